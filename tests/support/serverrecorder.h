// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_SERVERRECORDER_H
#define QTNAMEDPIPES_TESTS_SERVERRECORDER_H

#include "waiting.h"

#include <QtNamedPipes/NamedPipeServer>
#include <QtNamedPipes/NamedPipeServerConnection>

#include <QtCore/qlist.h>
#include <QtCore/qstringlist.h>

#include <functional>
#include <memory>

/// One signal of a server.
struct ServerEvent
{
    enum Kind { Ready, Connected, Message, Sent, ClientError, Disconnected, Stopped, ServerError };
    Kind kind = Ready;
    quint64 connectionId = 0;
    NamedPipeServerConnectionPtr connection;
    QVariant cookie;
    QByteArray data;
    NamedPipe::Error error = NamedPipe::NoError;
    QString text;
};

/// Listens to every signal of a server, on whatever thread it comes, and checks what the contract
/// says about any sequence of events: connected first and once, disconnected last and once, one
/// object for one client, the right thread, never two events of a connection at a time. What it
/// finds wrong fails the test when the recorder is destroyed. Hooks run inside the slot, as a
/// user's code would.
class ServerRecorder
{
public:
    enum Keeping { KeepEverything, CountOnly };

    using ConnectionHook = std::function<void(const NamedPipeServerConnectionPtr &)>;
    using MessageHook = std::function<void(const NamedPipeServerConnectionPtr &,
                                           const QVariant &cookie, const QByteArray &data)>;
    using SentHook =
            std::function<void(const NamedPipeServerConnectionPtr &, const QVariant &cookie)>;
    using ErrorHook = std::function<void(const NamedPipeServerConnectionPtr &, NamedPipe::Error)>;

    explicit ServerRecorder(NamedPipeServer *server, Keeping keeping = KeepEverything);
    ~ServerRecorder();
    ServerRecorder(const ServerRecorder &) = delete;
    ServerRecorder &operator=(const ServerRecorder &) = delete;

    // Set before start(): the slots read them without a lock.
    std::function<void()> &onReady();
    std::function<void()> &onStopped();
    ConnectionHook &onConnected();
    ConnectionHook &onDisconnected();
    MessageHook &onMessage();
    SentHook &onSent();
    ErrorHook &onClientError();

    QList<ServerEvent> events() const;
    QList<ServerEvent> eventsOf(quint64 connectionId) const;
    int count(ServerEvent::Kind kind) const;
    int count(ServerEvent::Kind kind, quint64 connectionId) const;
    /// The data of all messages, in the order of their arrival.
    QList<QByteArray> messages() const;
    QList<QByteArray> messagesOf(quint64 connectionId) const;
    QList<QVariant> cookies(ServerEvent::Kind kind) const;
    QList<NamedPipe::Error> errors(ServerEvent::Kind kind) const;
    /// The connection of the n-th clientConnected; null when there is none or it was not kept.
    NamedPipeServerConnectionPtr connection(int index = 0) const;
    void clear();
    /// Forgets the pointers to connections, so that only the library holds them.
    void dropConnections();

    bool waitFor(ServerEvent::Kind kind, int times = 1,
                 std::chrono::milliseconds timeout = patience) const;

    QStringList violations() const;
    /// Reports nothing any more, for tests that break the rules on purpose.
    void ignoreViolations();

private:
    struct Private;
    std::shared_ptr<Private> d;
    QList<QMetaObject::Connection> m_links;
};

#endif // QTNAMEDPIPES_TESTS_SERVERRECORDER_H
