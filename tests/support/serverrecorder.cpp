// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "serverrecorder.h"

#include <QtCore/qhash.h>
#include <QtCore/qthread.h>
#include <QtTest/qtestcase.h>

#include <mutex>
#include <vector>

struct ServerRecorder::Private
{
    struct Client
    {
        const NamedPipeServerConnection *object = nullptr;
        bool disconnected = false;
        int inside = 0; // events that are being handled now
        Qt::HANDLE insideThread = nullptr;
    };

    NamedPipeServer *server = nullptr;
    QThread *serverThread = nullptr;
    Keeping keeping = KeepEverything;

    std::function<void()> onReady;
    std::function<void()> onStopped;
    ConnectionHook onConnected;
    ConnectionHook onDisconnected;
    MessageHook onMessage;
    SentHook onSent;
    ErrorHook onClientError;

    mutable std::mutex mutex; // guards the rest
    // A list of Qt's would be shared with who asks for it, and who shares it is not seen by ThreadSanitizer.
    std::vector<ServerEvent> events;
    QHash<int, int> counts;
    QHash<quint64, QHash<int, int>> countsOfClient;
    QHash<quint64, Client> clients;
    QStringList violations;
    bool reporting = true;

    void violation(const QString &text)
    {
        if (violations.size() < 20)
            violations.append(text);
    }

    static QString describe(const ServerEvent &event)
    {
        static const char *const names[] = {
            "serverReady",       "clientConnected",     "clientMessageReceived",
            "clientMessageSent", "clientErrorOccurred", "clientDisconnected",
            "stopped",           "errorOccurred"
        };
        return QStringLiteral("%1 of client %2")
                .arg(QLatin1String(names[event.kind]))
                .arg(event.connectionId);
    }

    // With the mutex held.
    void checkClient(const ServerEvent &event)
    {
        if (!event.connection) {
            violation(describe(event) + QStringLiteral(": null connection"));
            return;
        }
        const bool known = clients.contains(event.connectionId);
        Client &client = clients[event.connectionId];
        if (event.kind == ServerEvent::Connected) {
            if (known)
                violation(describe(event) + QStringLiteral(": a second time"));
            client.object = event.connection.data();
        } else if (!known) {
            violation(describe(event) + QStringLiteral(": before clientConnected"));
            client.object = event.connection.data();
        }
        if (client.object != event.connection.data())
            violation(describe(event) + QStringLiteral(": another object for the same client"));
        if (client.disconnected)
            violation(describe(event) + QStringLiteral(": after clientDisconnected"));
        if (event.kind == ServerEvent::Disconnected) {
            client.disconnected = true;
            if (event.connection->isConnected())
                violation(describe(event) + QStringLiteral(": isConnected is still true"));
            if (event.connection->closeReason() == NamedPipe::StillOpen)
                violation(describe(event) + QStringLiteral(": closeReason is StillOpen"));
        }
        if (client.inside > 0 && client.insideThread != QThread::currentThreadId())
            violation(describe(event) + QStringLiteral(": while another event of it is handled"));
    }

    // With the mutex held. The next start() may count its clients from 1 again.
    void checkEnd()
    {
        for (auto client = clients.cbegin(); client != clients.cend(); ++client) {
            if (!client->disconnected)
                violation(QStringLiteral("stopped: client %1 got no clientDisconnected")
                                  .arg(client.key()));
        }
        clients.clear();
    }

    // RAII: a hook may throw.
    class Inside
    {
    public:
        Inside(Private *owner, ServerEvent event) : m_owner(owner), m_id(event.connectionId)
        {
            const std::lock_guard lock(m_owner->mutex);
            const bool ofClient = event.kind != ServerEvent::Ready
                    && event.kind != ServerEvent::Stopped && event.kind != ServerEvent::ServerError;
            if (m_owner->serverThread && QThread::currentThread() != m_owner->serverThread)
                m_owner->violation(describe(event)
                                   + QStringLiteral(": not on the server's thread"));
            if (ofClient) {
                m_owner->checkClient(event);
                Client &client = m_owner->clients[m_id];
                ++client.inside;
                client.insideThread = QThread::currentThreadId();
                ++m_owner->countsOfClient[m_id][event.kind];
            }
            if (event.kind == ServerEvent::Stopped)
                m_owner->checkEnd();
            ++m_owner->counts[event.kind];
            if (m_owner->keeping == KeepEverything)
                m_owner->events.push_back(std::move(event));
        }
        ~Inside()
        {
            const std::lock_guard lock(m_owner->mutex);
            const auto client = m_owner->clients.find(m_id);
            if (client != m_owner->clients.end())
                --client->inside;
        }
        Inside(const Inside &) = delete;
        Inside &operator=(const Inside &) = delete;

    private:
        Private *const m_owner;
        const quint64 m_id;
    };

    static ServerEvent make(ServerEvent::Kind kind,
                            const NamedPipeServerConnectionPtr &connection = {},
                            const QVariant &cookie = {}, const QByteArray &data = {},
                            NamedPipe::Error error = NamedPipe::NoError, const QString &text = {})
    {
        return { kind, connection ? connection->id() : 0, connection, cookie, data, error, text };
    }

    // What was free-threaded at start() stays so until stop(); the property is read at each start.
    void adopt()
    {
        const std::lock_guard lock(mutex);
        serverThread = server->freeThreadingEvents() ? nullptr : server->thread();
    }
};

ServerRecorder::ServerRecorder(NamedPipeServer *server, Keeping keeping)
    : d(std::make_shared<Private>())
{
    d->server = server;
    d->keeping = keeping;
    d->adopt();
    const auto p = d; // the slots share it: one of them may still run when the recorder is gone
    m_links = {
        QObject::connect(server, &NamedPipeServer::freeThreadingEventsChanged, [p] { p->adopt(); }),
        QObject::connect(server, &NamedPipeServer::serverReady,
                         [p] {
                             const auto self = p;
                             const Private::Inside inside(self.get(),
                                                          Private::make(ServerEvent::Ready));
                             if (self->onReady)
                                 self->onReady();
                         }),
        QObject::connect(server, &NamedPipeServer::stopped,
                         [p] {
                             const auto self = p;
                             const Private::Inside inside(self.get(),
                                                          Private::make(ServerEvent::Stopped));
                             if (self->onStopped)
                                 self->onStopped();
                         }),
        QObject::connect(server, &NamedPipeServer::errorOccurred,
                         [p](NamedPipe::Error error, const QString &text) {
                             const auto self = p;
                             const Private::Inside inside(self.get(),
                                                          Private::make(ServerEvent::ServerError,
                                                                        {}, {}, {}, error, text));
                         }),
        QObject::connect(server, &NamedPipeServer::clientConnected,
                         [p](const NamedPipeServerConnectionPtr &connection) {
                             const auto self = p;
                             const Private::Inside inside(self.get(),
                                                          Private::make(ServerEvent::Connected,
                                                                        connection));
                             if (self->onConnected)
                                 self->onConnected(connection);
                         }),
        QObject::connect(server, &NamedPipeServer::clientDisconnected,
                         [p](const NamedPipeServerConnectionPtr &connection) {
                             const auto self = p;
                             const Private::Inside inside(self.get(),
                                                          Private::make(ServerEvent::Disconnected,
                                                                        connection));
                             if (self->onDisconnected)
                                 self->onDisconnected(connection);
                         }),
        QObject::connect(server, &NamedPipeServer::clientMessageReceived,
                         [p](const NamedPipeServerConnectionPtr &connection, const QVariant &cookie,
                             const QByteArray &data) {
                             const auto self = p;
                             const Private::Inside inside(self.get(),
                                                          Private::make(ServerEvent::Message,
                                                                        connection, cookie, data));
                             if (self->onMessage)
                                 self->onMessage(connection, cookie, data);
                         }),
        QObject::connect(server, &NamedPipeServer::clientMessageSent,
                         [p](const NamedPipeServerConnectionPtr &connection,
                             const QVariant &cookie) {
                             const auto self = p;
                             const Private::Inside inside(self.get(),
                                                          Private::make(ServerEvent::Sent,
                                                                        connection, cookie));
                             if (self->onSent)
                                 self->onSent(connection, cookie);
                         }),
        QObject::connect(server, &NamedPipeServer::clientErrorOccurred,
                         [p](const NamedPipeServerConnectionPtr &connection, NamedPipe::Error error,
                             const QString &text) {
                             const auto self = p;
                             const Private::Inside inside(self.get(),
                                                          Private::make(ServerEvent::ClientError,
                                                                        connection, {}, {}, error,
                                                                        text));
                             if (self->onClientError)
                                 self->onClientError(connection, error);
                         }),
    };
}

ServerRecorder::~ServerRecorder()
{
    for (const QMetaObject::Connection &link : std::as_const(m_links))
        QObject::disconnect(link);
    const QStringList found = violations();
    if (!found.isEmpty() && d->reporting)
        QTest::qFail(qPrintable(found.join(QLatin1Char('\n'))), __FILE__, __LINE__);
}

std::function<void()> &ServerRecorder::onReady()
{
    return d->onReady;
}

std::function<void()> &ServerRecorder::onStopped()
{
    return d->onStopped;
}

ServerRecorder::ConnectionHook &ServerRecorder::onConnected()
{
    return d->onConnected;
}

ServerRecorder::ConnectionHook &ServerRecorder::onDisconnected()
{
    return d->onDisconnected;
}

ServerRecorder::MessageHook &ServerRecorder::onMessage()
{
    return d->onMessage;
}

ServerRecorder::SentHook &ServerRecorder::onSent()
{
    return d->onSent;
}

ServerRecorder::ErrorHook &ServerRecorder::onClientError()
{
    return d->onClientError;
}

QList<ServerEvent> ServerRecorder::events() const
{
    const std::lock_guard lock(d->mutex);
    return QList<ServerEvent>(d->events.begin(), d->events.end());
}

QList<ServerEvent> ServerRecorder::eventsOf(quint64 connectionId) const
{
    QList<ServerEvent> result;
    for (const ServerEvent &event : events()) {
        if (event.connection && event.connectionId == connectionId)
            result.append(event);
    }
    return result;
}

int ServerRecorder::count(ServerEvent::Kind kind) const
{
    const std::lock_guard lock(d->mutex);
    return d->counts.value(kind);
}

int ServerRecorder::count(ServerEvent::Kind kind, quint64 connectionId) const
{
    const std::lock_guard lock(d->mutex);
    return d->countsOfClient.value(connectionId).value(kind);
}

QList<QByteArray> ServerRecorder::messages() const
{
    QList<QByteArray> result;
    for (const ServerEvent &event : events()) {
        if (event.kind == ServerEvent::Message)
            result.append(event.data);
    }
    return result;
}

QList<QByteArray> ServerRecorder::messagesOf(quint64 connectionId) const
{
    QList<QByteArray> result;
    for (const ServerEvent &event : eventsOf(connectionId)) {
        if (event.kind == ServerEvent::Message)
            result.append(event.data);
    }
    return result;
}

QList<QVariant> ServerRecorder::cookies(ServerEvent::Kind kind) const
{
    QList<QVariant> result;
    for (const ServerEvent &event : events()) {
        if (event.kind == kind)
            result.append(event.cookie);
    }
    return result;
}

QList<NamedPipe::Error> ServerRecorder::errors(ServerEvent::Kind kind) const
{
    QList<NamedPipe::Error> result;
    for (const ServerEvent &event : events()) {
        if (event.kind == kind)
            result.append(event.error);
    }
    return result;
}

NamedPipeServerConnectionPtr ServerRecorder::connection(int index) const
{
    for (const ServerEvent &event : events()) {
        if (event.kind == ServerEvent::Connected && index-- == 0)
            return event.connection;
    }
    return {};
}

void ServerRecorder::clear()
{
    std::vector<ServerEvent> dropped; // the last references may go: not under the lock
    const std::lock_guard lock(d->mutex);
    dropped.swap(d->events);
    d->counts.clear();
    d->countsOfClient.clear();
    d->clients.removeIf([](auto client) { return client.value().disconnected; });
}

void ServerRecorder::dropConnections()
{
    QList<NamedPipeServerConnectionPtr> dropped;
    const std::lock_guard lock(d->mutex);
    for (ServerEvent &event : d->events) {
        dropped.append(std::move(event.connection));
        event.connection.reset();
    }
}

bool ServerRecorder::waitFor(ServerEvent::Kind kind, int times,
                             std::chrono::milliseconds timeout) const
{
    return waitUntil([&] { return count(kind) >= times; }, timeout);
}

QStringList ServerRecorder::violations() const
{
    const std::lock_guard lock(d->mutex);
    return d->violations;
}

void ServerRecorder::ignoreViolations()
{
    const std::lock_guard lock(d->mutex);
    d->reporting = false;
}
