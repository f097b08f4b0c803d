// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// Sends more than the consumer can take, and shows what that feels like: messages pile up in the
// queue of the connection. A polite producer looks at bytesToWrite, and makes no more until the
// queue is shorter.

#include <QtNamedPipes/NamedPipeClientManager>

#include <QtCore/QCommandLineParser>
#include <QtCore/QCoreApplication>
#include <QtCore/QDebug>

using namespace Qt::StringLiterals;

class Producer
{
public:
    Producer(const NamedPipeClientConnectionPtr &connection, int total)
        : m_connection(connection),
          m_total(total)
    {
        QObject::connect(connection.get(), &NamedPipeClientConnection::connected, &m_context,
                         [this] { produce(); });
        // The operating system has taken a message; its cookie says which.
        QObject::connect(connection.get(), &NamedPipeClientConnection::messageSent, &m_context,
                         [this](const QVariant &cookie) {
                             m_sent = cookie.toInt();
                             if (m_connection->bytesToWrite() <= LittleInTheQueue)
                                 produce();
                         });
    }

    int sent() const { return m_sent; }
    int pauses() const { return m_pauses; }

private:
    static constexpr int MessageSize = 64 * 1024;
    static constexpr qint64 EnoughInTheQueue = 4 * MessageSize;
    static constexpr qint64 LittleInTheQueue = EnoughInTheQueue / 2;

    void produce()
    {
        while (m_made < m_total) {
            if (m_connection->bytesToWrite() >= EnoughInTheQueue) {
                ++m_pauses;
                qInfo("paused after message %d: %lld KiB wait to be sent", m_made,
                      m_connection->bytesToWrite() / 1024);
                return; // messageSent goes on
            }
            const QByteArray message(MessageSize, '.');
            if (!m_connection->asyncWrite(message, m_made + 1))
                return; // the connection has ended; errorOccurred or disconnected says why
            ++m_made;
        }
        if (m_sent == m_total)
            m_connection->asyncClose(NamedPipe::SendPending);
    }

    QObject m_context;
    const NamedPipeClientConnectionPtr m_connection;
    const int m_total;
    int m_made = 0;
    int m_sent = 0;
    int m_pauses = 0;
};

int main(int argc, char *argv[])
{
    QCoreApplication app(argc, argv);
    QCommandLineParser parser;
    parser.addHelpOption();
    const QCommandLineOption pipe(u"pipe"_s, u"Name of the pipe."_s, u"NAME"_s, u"consumer"_s);
    const QCommandLineOption messages(u"messages"_s, u"How many to send."_s, u"N"_s, u"100"_s);
    parser.addOptions({ pipe, messages });
    parser.process(app);
    const int total = qMax(1, parser.value(messages).toInt());

    NamedPipeClientManager manager;
    manager.setWaitForServer(true);
    const auto connection = manager.connectToServer(parser.value(pipe));
    const Producer producer(connection, total);
    QObject::connect(connection.get(), &NamedPipeClientConnection::disconnected, &app, [&] {
        qInfo("%d of %d messages sent, paused %d times", producer.sent(), total, producer.pauses());
        QCoreApplication::exit(producer.sent() == total ? 0 : 1);
    });
    QObject::connect(connection.get(), &NamedPipeClientConnection::errorOccurred, &app,
                     [](NamedPipe::Error, const QString &text) {
                         qCritical().noquote() << text;
                         QCoreApplication::exit(1);
                     });
    return app.exec();
}
