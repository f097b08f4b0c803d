// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// Counts primes for its clients, on a pool of threads. The slots run on the workers of the server
// (free-threaded), hand the work over and return; the answer is written from the pool. The main
// thread has nothing to do with it.

#include <QtNamedPipes/NamedPipeServer>

#include <QtCore/QCommandLineParser>
#include <QtCore/QCoreApplication>
#include <QtCore/QDebug>
#include <QtCore/QThreadPool>

#include <atomic>

using namespace Qt::StringLiterals;

static bool isPrime(int number)
{
    for (int divisor = 2; divisor <= number / divisor; ++divisor) {
        if (number % divisor == 0)
            return false;
    }
    return number > 1;
}

/// Takes its time. \a request is a number.
static QByteArray answerTo(const QByteArray &request)
{
    constexpr int most = 10'000'000;
    bool isNumber = false;
    const int limit = request.toInt(&isNumber);
    if (!isNumber || limit < 0 || limit > most)
        return request + ": not a number from 0 to " + QByteArray::number(most);
    int count = 0;
    for (int number = 2; number <= limit; ++number)
        count += isPrime(number) ? 1 : 0;
    return request + ": " + QByteArray::number(count) + " primes";
}

int main(int argc, char *argv[])
{
    QCoreApplication app(argc, argv);
    QCommandLineParser parser;
    parser.addHelpOption();
    const QCommandLineOption pipe(u"pipe"_s, u"Name of the pipe."_s, u"NAME"_s, u"primes"_s);
    const QCommandLineOption once(u"once"_s, u"End when the first client has left."_s);
    parser.addOptions({ pipe, once });
    parser.process(app);

    QThreadPool pool; // as many threads as the machine has
    std::atomic<int> jobs { 0 }; // slots of different clients run at the same time
    NamedPipeServer server(parser.value(pipe));
    server.setFreeThreadingEvents(true);
    server.setNumThreadsIOCP(2);
    server.setMaximumMessageSize(100);
    // A client gets the next message in when one is answered: it cannot fill the queue of the pool.
    server.setContinuouslyReadFromPipe(false);

    // Without a context object a slot is called on the worker.
    QObject::connect(&server, &NamedPipeServer::clientConnected,
                     [](const NamedPipeServerConnectionPtr &client) {
                         constexpr int jobsOfAClient = 4;
                         for (int i = 0; i < jobsOfAClient; ++i)
                             client->asyncRead();
                     });
    QObject::connect(&server, &NamedPipeServer::clientMessageReceived,
                     [&](const NamedPipeServerConnectionPtr &client, const QVariant &,
                         const QByteArray &request) {
                         ++jobs;
                         pool.start([client, request] {
                             // A connection may be used on any thread, and after its end, too.
                             client->asyncWrite(answerTo(request));
                             client->asyncRead();
                         });
                     });
    QObject::connect(&server, &NamedPipeServer::clientErrorOccurred,
                     [](const NamedPipeServerConnectionPtr &client, NamedPipe::Error,
                        const QString &text) {
                         qWarning("client %llu: %s", client->id(), qPrintable(text));
                     });
    // With one, it is called on the thread of that object: here the main thread.
    if (parser.isSet(once))
        QObject::connect(&server, &NamedPipeServer::clientDisconnected, &app,
                         &QCoreApplication::quit);

    if (!server.start()) {
        qCritical().noquote() << server.errorString();
        return 1;
    }
    qInfo().noquote() << "Listening on" << server.fullPipeName();
    const int code = app.exec();
    server.stop(); // no slot is called any more, so no job is added
    pool.waitForDone();
    qInfo("%d jobs done by up to %d threads", jobs.load(), pool.maxThreadCount());
    return code;
}
