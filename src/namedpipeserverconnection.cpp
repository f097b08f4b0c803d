// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "namedpipeserverconnection_p.h"

#include <QtNamedPipes/namedpipeserver.h>

NamedPipeServerConnection::NamedPipeServerConnection(std::unique_ptr<NamedPipeServerConnectionPrivate> dd)
    : d(std::move(dd))
{
}

NamedPipeServerConnection::~NamedPipeServerConnection() = default;

NamedPipeServerConnectionPtr
NamedPipeServerConnectionPrivate::create(const std::shared_ptr<QtNamedPipes::PipeConnection> &connection)
{
    return NamedPipeServerConnectionPtr(
            new NamedPipeServerConnection(std::make_unique<NamedPipeServerConnectionPrivate>(connection)));
}

QVariant NamedPipeServerConnection::customData() const
{
    const std::lock_guard<std::mutex> lock(d->mutex);
    return d->customData;
}

void NamedPipeServerConnection::setCustomData(const QVariant &data)
{
    QVariant previous = data; // destroyed unlocked: its destructor may be the user's
    const std::lock_guard<std::mutex> lock(d->mutex);
    d->customData.swap(previous);
}

quint64 NamedPipeServerConnection::id() const
{
    return d->connection->id();
}

qintptr NamedPipeServerConnection::handle() const
{
    return d->connection->handle();
}

bool NamedPipeServerConnection::isConnected() const
{
    return d->connection->isConnected();
}

bool NamedPipeServerConnection::isOpening() const
{
    return d->connection->isOpening();
}

qint64 NamedPipeServerConnection::clientProcessId() const
{
    return d->connection->peer().processId;
}

QString NamedPipeServerConnection::clientUserId() const
{
    return d->connection->peer().userId;
}

qint64 NamedPipeServerConnection::bytesToWrite() const
{
    return d->connection->bytesToWrite();
}

NamedPipe::CloseReason NamedPipeServerConnection::closeReason() const
{
    return d->connection->closeReason();
}

NamedPipe::Statistics NamedPipeServerConnection::statistics() const
{
    return d->connection->statistics();
}

void NamedPipeServerConnection::asyncRead(const QVariant &cookie)
{
    d->connection->read(cookie);
}

bool NamedPipeServerConnection::asyncWrite(const QByteArray &data, const QVariant &cookie)
{
    return d->connection->write(data, cookie, false);
}

void NamedPipeServerConnection::asyncClose(NamedPipe::CloseMode mode)
{
    d->connection->close(mode);
}

void ServerConnectionFace::opened()
{
    Q_EMIT m_server->clientConnected(m_connection);
}

void ServerConnectionFace::messageReceived(const QVariant &cookie, const QByteArray &data)
{
    Q_EMIT m_server->clientMessageReceived(m_connection, cookie, data);
}

void ServerConnectionFace::messageSent(const QVariant &cookie)
{
    Q_EMIT m_server->clientMessageSent(m_connection, cookie);
}

void ServerConnectionFace::errorOccurred(NamedPipe::Error error, const QString &message)
{
    Q_EMIT m_server->clientErrorOccurred(m_connection, error, message);
}

void ServerConnectionFace::closed()
{
    Q_EMIT m_server->clientDisconnected(m_connection);
}

