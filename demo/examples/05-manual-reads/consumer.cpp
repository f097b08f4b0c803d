// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// A slow consumer that is never flooded: with manual reads it gets the messages that it asks for,
// and asks for the next when it has done one. Whoever sends faster has to wait.

#include <QtNamedPipes/NamedPipeServer>

#include <QtCore/QCommandLineParser>
#include <QtCore/QCoreApplication>
#include <QtCore/QDebug>
#include <QtCore/QQueue>
#include <QtCore/QTimer>

using namespace Qt::StringLiterals;

/// Works on one message at a time.
class Consumer
{
public:
    Consumer(NamedPipeServer &server, int limit, std::chrono::milliseconds workTime)
    {
        server.setContinuouslyReadFromPipe(false);
        QObject::connect(&server, &NamedPipeServer::clientConnected, &m_work,
                         [limit](const NamedPipeServerConnectionPtr &client) {
                             for (int i = 0; i < limit; ++i)
                                 client->asyncRead(); // so many at first, and one for each one done
                         });
        QObject::connect(&server, &NamedPipeServer::clientMessageReceived, &m_work,
                         [this](const NamedPipeServerConnectionPtr &client, const QVariant &,
                                const QByteArray &message) { take(client, message); });
        m_work.setInterval(workTime); // the timer stands for work that takes long
        QObject::connect(&m_work, &QTimer::timeout, &m_work, [this] { finishOne(); });
    }

    /// Ends the program when everything is done that is in hand.
    void quitWhenDone()
    {
        m_quits = true;
        if (m_held.isEmpty())
            QCoreApplication::quit();
    }

    int done() const { return m_done; }
    qsizetype mostHeld() const { return m_mostHeld; }

private:
    struct Item
    {
        NamedPipeServerConnectionPtr client;
        QByteArray message;
    };

    void take(const NamedPipeServerConnectionPtr &client, const QByteArray &message)
    {
        m_held.enqueue({ client, message });
        m_mostHeld = qMax(m_mostHeld, m_held.size());
        if (!m_work.isActive())
            m_work.start();
    }

    void finishOne()
    {
        const Item item = m_held.dequeue();
        ++m_done;
        qInfo("done with %lld bytes of client %llu, %lld messages in hand",
              qlonglong(item.message.size()), item.client->id(), qlonglong(m_held.size()));
        item.client->asyncRead(); // there is room for the next one
        if (m_held.isEmpty()) {
            m_work.stop();
            if (m_quits)
                QCoreApplication::quit();
        }
    }

    QQueue<Item> m_held;
    qsizetype m_mostHeld = 0;
    int m_done = 0;
    bool m_quits = false;
    QTimer m_work;
};

int main(int argc, char *argv[])
{
    QCoreApplication app(argc, argv);
    QCommandLineParser parser;
    parser.addHelpOption();
    const QCommandLineOption pipe(u"pipe"_s, u"Name of the pipe."_s, u"NAME"_s, u"consumer"_s);
    const QCommandLineOption hold(u"hold"_s, u"Most messages of a client at a time."_s, u"N"_s,
                                  u"4"_s);
    const QCommandLineOption workTime(u"work-time"_s, u"What one message takes."_s, u"MSECS"_s,
                                      u"50"_s);
    const QCommandLineOption once(u"once"_s, u"End when the first client has left."_s);
    parser.addOptions({ pipe, hold, workTime, once });
    parser.process(app);

    NamedPipeServer server(parser.value(pipe));
    Consumer consumer(server, qMax(1, parser.value(hold).toInt()),
                      std::chrono::milliseconds(qMax(0, parser.value(workTime).toInt())));
    // In this mode the end of a client is reported when everything that it sent has been asked for.
    QObject::connect(&server, &NamedPipeServer::clientDisconnected, &app,
                     [&](const NamedPipeServerConnectionPtr &client) {
                         qInfo("client %llu has left", client->id());
                         if (parser.isSet(once))
                             consumer.quitWhenDone();
                     });
    QObject::connect(&server, &NamedPipeServer::clientErrorOccurred, &app,
                     [](const NamedPipeServerConnectionPtr &client, NamedPipe::Error,
                        const QString &text) {
                         qWarning("client %llu: %s", client->id(), qPrintable(text));
                     });
    if (!server.start()) {
        qCritical().noquote() << server.errorString();
        return 1;
    }
    qInfo().noquote() << "Listening on" << server.fullPipeName();
    const int code = app.exec();
    qInfo("%d messages done, never more than %lld in hand", consumer.done(),
          qlonglong(consumer.mostHeld()));
    return code;
}
