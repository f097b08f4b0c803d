// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// A console host: a server without a window. It answers every message, prints a line of rates each
// second, and stops cleanly on Ctrl-C. A second process of the same program makes the load.

#include "interrupt.h"
#include "load.h"

#include <QtNamedPipes/NamedPipeServer>

#include <QtCore/qcommandlineparser.h>
#include <QtCore/qcoreapplication.h>
#include <QtCore/qelapsedtimer.h>
#include <QtCore/qprocess.h>
#include <QtCore/qtimer.h>

#include <cstdio>

static constexpr int SmallestSize = 4; // the load numbers its messages

struct Options
{
    QString pipe;
    int seconds = 0;
    int load = 0;
    int size = 0;
    bool freeThreaded = false;
    QString loadAgainst; ///< set: this is the process that makes the load
};

static Options parse(const QCoreApplication &app)
{
    QCommandLineParser parser;
    parser.setApplicationDescription(QStringLiteral(
            "Echo server on a named pipe, with clients in a second process to keep it busy."));
    parser.addHelpOption();
    const QCommandLineOption pipe(QStringLiteral("pipe"), QStringLiteral("Name of the pipe."),
                                  QStringLiteral("NAME"),
                                  QStringLiteral("QtNamedPipes-echo-%1").arg(app.applicationPid()));
    const QCommandLineOption duration(QStringLiteral("duration"),
                                      QStringLiteral("Stop after this time (0: on Ctrl-C)."),
                                      QStringLiteral("SECONDS"), QStringLiteral("0"));
    const QCommandLineOption load(QStringLiteral("load"),
                                  QStringLiteral("Clients in the second process (0: none)."),
                                  QStringLiteral("N"), QStringLiteral("4"));
    const QCommandLineOption size(QStringLiteral("size"), QStringLiteral("Size of their messages."),
                                  QStringLiteral("BYTES"), QStringLiteral("256"));
    const QCommandLineOption freeThreaded(
            QStringLiteral("free-threaded"),
            QStringLiteral("Answer on the worker thread, not in the message loop."));
    QCommandLineOption loadAgainst(QStringLiteral("load-against"), {}, QStringLiteral("PIPE"));
    loadAgainst.setFlags(QCommandLineOption::HiddenFromHelp);
    parser.addOptions({ pipe, duration, load, size, freeThreaded, loadAgainst });
    parser.process(app);

    const auto number = [&](const QCommandLineOption &option, int minimum) {
        bool isNumber = false;
        const int value = parser.value(option).toInt(&isNumber);
        if (isNumber && value >= minimum)
            return value;
        std::fprintf(stderr, "--%s must be a number, %d or more\n",
                     qPrintable(option.names().constFirst()), minimum);
        std::exit(2);
    };
    return { parser.value(pipe),         number(duration, 0),        number(load, 0),
             number(size, SmallestSize), parser.isSet(freeThreaded), parser.value(loadAgainst) };
}

/// Prints what has happened since the last line.
class RatePrinter
{
public:
    explicit RatePrinter(const NamedPipeServer &server) : m_server(server) { m_sinceLast.start(); }

    void print()
    {
        const auto now = m_server.statistics();
        const double seconds = double(m_sinceLast.nsecsElapsed()) / 1e9;
        m_sinceLast.restart();
        const auto rate = [&](quint64 count, quint64 before) {
            return double(count - before) / seconds;
        };
        constexpr double mebibyte = 1024 * 1024;
        std::printf(
                "%4d s  %4d clients   in %9.0f msg/s %8.1f MiB/s   out %9.0f msg/s %8.1f MiB/s\n",
                ++m_lines, m_server.connectionCount(),
                rate(now.messagesReceived, m_last.messagesReceived),
                rate(now.bytesReceived, m_last.bytesReceived) / mebibyte,
                rate(now.messagesSent, m_last.messagesSent),
                rate(now.bytesSent, m_last.bytesSent) / mebibyte);
        std::fflush(stdout);
        m_last = now;
    }

private:
    const NamedPipeServer &m_server;
    NamedPipe::ServerStatistics m_last;
    QElapsedTimer m_sinceLast;
    int m_lines = 0;
};

static int runServer(const Options &options)
{
    NamedPipeServer server(options.pipe);
    server.setFreeThreadingEvents(options.freeThreaded);
    onInterrupt([&server] { server.manualMessageLoopLeave(); });

    const auto echo = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                         const QByteArray &data) { connection->asyncWrite(data); };
    if (options.freeThreaded)
        QObject::connect(&server, &NamedPipeServer::clientMessageReceived, echo); // on the worker
    else
        QObject::connect(&server, &NamedPipeServer::clientMessageReceived, &server,
                         echo); // in the message loop
    QObject::connect(
            &server, &NamedPipeServer::clientErrorOccurred, &server,
            [](const NamedPipeServerConnectionPtr &connection, NamedPipe::Error error,
               const QString &message) {
                if (error == NamedPipe::NotConnected)
                    return; // an answer to a client that has gone, or to one that is being stopped
                std::fprintf(stderr, "client %llu: %s\n",
                             static_cast<unsigned long long>(connection->id()),
                             qPrintable(message));
            });
    QObject::connect(&server, &NamedPipeServer::errorOccurred, &server,
                     [](NamedPipe::Error, const QString &message) {
                         std::fprintf(stderr, "server: %s\n", qPrintable(message));
                     });

    if (!server.start()) {
        std::fprintf(stderr, "cannot start: %s\n", qPrintable(server.errorString()));
        return 1;
    }
    std::printf("Echo server on %s; Ctrl-C stops it.\n", qPrintable(server.fullPipeName()));
    std::fflush(stdout);

    QProcess load;
    load.setProcessChannelMode(QProcess::ForwardedChannels);
    if (options.load > 0) {
        load.start(QCoreApplication::applicationFilePath(),
                   { QStringLiteral("--load-against"), server.pipeName(), QStringLiteral("--load"),
                     QString::number(options.load), QStringLiteral("--size"),
                     QString::number(options.size) });
        std::printf("A second process sends with %d clients, %d bytes a message.\n", options.load,
                    options.size);
    }

    RatePrinter rates(server);
    QTimer everySecond;
    QObject::connect(&everySecond, &QTimer::timeout, &server, [&rates] { rates.print(); });
    everySecond.start(1000);
    QTimer end;
    QObject::connect(&end, &QTimer::timeout, &server, &NamedPipeServer::manualMessageLoopLeave);
    if (options.seconds > 0)
        end.start(options.seconds * 1000);

    server.manualMessageLoopEnter();

    everySecond.stop();
    server.stop(); // and with it the clients: their pipe ends
    const auto sum = server.statistics();
    std::printf("Stopped: %llu clients, %llu messages in, %llu out.\n",
                static_cast<unsigned long long>(sum.connectionsAccepted),
                static_cast<unsigned long long>(sum.messagesReceived),
                static_cast<unsigned long long>(sum.messagesSent));
    if (options.load > 0 && (!load.waitForFinished() || load.exitCode() != 0)) {
        std::fprintf(stderr, "the load process did not end well\n");
        return 1;
    }
    return 0;
}

int main(int argc, char *argv[])
{
    QCoreApplication app(argc, argv);
    const Options options = parse(app);
    if (options.loadAgainst.isEmpty())
        return runServer(options);
    onInterrupt([] {}); // Ctrl-C reaches both processes; this one ends with its server
    return runLoad(options.loadAgainst, options.load, options.size);
}
