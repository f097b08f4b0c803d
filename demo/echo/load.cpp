// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "load.h"

#include <QtNamedPipes/NamedPipeClientManager>

#include <QtCore/qcoreapplication.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

static constexpr quint32 MessagesOnTheirWay = 16;

/// A client that keeps a few messages on their way and checks what comes back.
class EchoClient
{
public:
    EchoClient(NamedPipeClientManager &manager, const QString &pipeName, int size)
        : m_message(size, '.'),
          m_connection(manager.connectToServer(pipeName))
    {
        const auto connection = m_connection.get();
        QObject::connect(connection, &NamedPipeClientConnection::connected, connection,
                         [this] { send(); });
        QObject::connect(connection, &NamedPipeClientConnection::messageReceived, connection,
                         [this](const QVariant &, const QByteArray &answer) { check(answer); });
    }

    NamedPipeClientConnection *connection() const { return m_connection.get(); }

private:
    void send()
    {
        for (; m_sent - m_received < MessagesOnTheirWay; ++m_sent) {
            if (!m_connection->asyncWrite(numbered(m_sent)))
                return; // the server has gone
        }
    }

    void check(const QByteArray &answer)
    {
        if (answer != numbered(m_received++)) {
            std::fprintf(stderr, "load: answer %u is not the message that was sent\n", m_received);
            QCoreApplication::exit(1);
        }
        send();
    }

    const QByteArray &numbered(quint32 number)
    {
        std::memcpy(m_message.data(), &number, sizeof number);
        return m_message;
    }

    QByteArray m_message;
    quint32 m_sent = 0;
    quint32 m_received = 0;
    const NamedPipeClientConnectionPtr m_connection;
};

int runLoad(const QString &pipeName, int clients, int size)
{
    NamedPipeClientManager manager;
    std::vector<std::unique_ptr<EchoClient>> load;
    int ended = 0;
    for (int i = 0; i < clients; ++i) {
        load.push_back(std::make_unique<EchoClient>(manager, pipeName, size));
        const auto connection = load.back()->connection();
        QObject::connect(connection, &NamedPipeClientConnection::disconnected, &manager, [&] {
            if (++ended == clients)
                QCoreApplication::quit();
        });
        QObject::connect(connection, &NamedPipeClientConnection::errorOccurred, &manager,
                         [connection](NamedPipe::Error, const QString &message) {
                             if (connection->closeReason() == NamedPipe::Failed) {
                                 std::fprintf(stderr, "load: %s\n", qPrintable(message));
                                 QCoreApplication::exit(1);
                             }
                         });
    }
    return QCoreApplication::exec();
}
