// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_NAMEDPIPECLIENTCONNECTION_P_H
#define QTNAMEDPIPES_NAMEDPIPECLIENTCONNECTION_P_H

#include "core/pipeconnection.h"
#include "core/pipedialer.h"

#include <QtNamedPipes/namedpipeclientconnection.h>

#include <atomic>
#include <mutex>

/// The user's object outlives single connections: with autoReconnect each drop is followed by a new
/// PipeConnection of the same hub.
class NamedPipeClientConnectionPrivate
{
public:
    NamedPipeClientConnectionPrivate(const QString &name,
                                     std::shared_ptr<QtNamedPipes::PipeConnection> first)
        : pipeName(name),
          m_connection(std::move(first))
    {
    }
    /// An object for \a hub that does nothing yet.
    static NamedPipeClientConnectionPtr create(
            const std::shared_ptr<QtNamedPipes::ConnectionHub> &hub, const QString &name);
    static void dial(const NamedPipeClientConnectionPtr &object,
                     const QtNamedPipes::DialSettings &settings);
    /// Ends it before it has begun; told when the hub stops.
    static void fail(const NamedPipeClientConnectionPtr &object,
                     const QtNamedPipes::TransportError &error);

    static NamedPipeClientConnectionPrivate &of(const NamedPipeClientConnectionPtr &object)
    {
        return *object->d;
    }

    std::shared_ptr<QtNamedPipes::PipeConnection> connection() const;
    void close(NamedPipe::CloseMode mode);
    NamedPipe::Statistics statistics() const;
    /// On the delivering thread, when a connection has ended: makes the next one if there is to be
    /// one.
    void reconnect(const NamedPipeClientConnectionPtr &object,
                   QtNamedPipes::Clock::duration lifetime);

    const QString pipeName;
    std::atomic<bool> wantsMessages { false };
    std::atomic<bool> wantsBatches { false };
    QVariant customData; ///< guarded by mutex
    mutable std::mutex mutex; // guards the rest

private:
    std::shared_ptr<QtNamedPipes::PipeConnection> m_connection; ///< never null
    bool m_isClosed = false; ///< asyncClose() was called
    NamedPipe::Statistics m_past; ///< of former connections
    QtNamedPipes::DialSettings m_settings; ///< fixed from dial() on, but for firstDelay
};

/// Turns the events of one connection into the signals of the user's object, if that still exists.
class ClientConnectionFace final : public QtNamedPipes::ConnectionFace
{
public:
    explicit ClientConnectionFace(const NamedPipeClientConnectionPtr &connection)
        : m_connection(connection)
    {
    }

    void opened() override;
    Listeners listeners() const override;
    void messageReceived(const QVariant &cookie, const QByteArray &data) override;
    void messageBatchReceived(const NamedPipeMessageBatch &messages) override;
    void messageSent(const QVariant &cookie) override;
    void messageNotSent(const QVariant &cookie) override;
    void errorOccurred(NamedPipe::Error error, const QString &message) override;
    void closed() override;
    QSharedPointer<QObject> object() const override { return m_connection.toStrongRef(); }

private:
    const QWeakPointer<NamedPipeClientConnection> m_connection;
    bool m_hasOpened = false;
    QtNamedPipes::Clock::time_point m_openedAt;
};

#endif // QTNAMEDPIPES_NAMEDPIPECLIENTCONNECTION_P_H
