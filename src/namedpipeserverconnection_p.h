// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_NAMEDPIPESERVERCONNECTION_P_H
#define QTNAMEDPIPES_NAMEDPIPESERVERCONNECTION_P_H

#include "core/pipeconnection.h"

#include <QtNamedPipes/namedpipeserverconnection.h>

#include <mutex>

class NamedPipeServer;
class NamedPipeServerPrivate;

class NamedPipeServerConnectionPrivate
{
public:
    explicit NamedPipeServerConnectionPrivate(std::shared_ptr<QtNamedPipes::PipeConnection> c)
        : connection(std::move(c))
    {
    }
    static NamedPipeServerConnectionPtr create(
            const std::shared_ptr<QtNamedPipes::PipeConnection> &connection);

    const std::shared_ptr<QtNamedPipes::PipeConnection> connection;
    mutable std::mutex mutex; // guards customData
    QVariant customData;
};

/// Turns the events of one connection into the signals of its server.
class ServerConnectionFace final : public QtNamedPipes::ConnectionFace
{
public:
    ServerConnectionFace(NamedPipeServer *server, NamedPipeServerConnectionPtr connection)
        : m_server(server),
          m_connection(std::move(connection))
    {
    }

    void opened() override;
    Listeners listeners() const override;
    void messageReceived(const QVariant &cookie, const QByteArray &data) override;
    void messageBatchReceived(const NamedPipeMessageBatch &messages) override;
    void messageSent(const QVariant &cookie) override;
    void messageNotSent(const QVariant &) override { } // a server is told of all together
    void errorOccurred(NamedPipe::Error error, const QString &message) override;
    void closed() override;
    QSharedPointer<QObject> object() const override { return m_connection; }

private:
    NamedPipeServer *const m_server; // the core emits nothing once it is gone
    const NamedPipeServerConnectionPtr m_connection;
};

#endif // QTNAMEDPIPES_NAMEDPIPESERVERCONNECTION_P_H
