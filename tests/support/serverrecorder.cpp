// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "serverrecorder.h"

#include "eventlog.h"

#include <QtCore/qthread.h>
#include <QtTest/qtestcase.h>

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

    EventLog<ServerEvent> log; // its mutex guards the rest
    QHash<quint64, QHash<int, int>> countsOfClient;
    QHash<quint64, Client> clients;
    bool reporting = true;

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
        const auto wrong = [&](const char *what) {
            log.violation(describe(event) + QLatin1String(": ") + QLatin1String(what));
        };
        if (!event.connection) {
            wrong("null connection");
            return;
        }
        const bool known = clients.contains(event.connectionId);
        Client &client = clients[event.connectionId];
        if (event.kind == ServerEvent::Connected) {
            if (known)
                wrong("a second time");
            client.object = event.connection.data();
        } else if (!known) {
            wrong("before clientConnected");
            client.object = event.connection.data();
        }
        if (client.object != event.connection.data())
            wrong("another object for the same client");
        if (client.disconnected)
            wrong("after clientDisconnected");
        if (event.kind == ServerEvent::Disconnected) {
            client.disconnected = true;
            if (event.connection->isConnected())
                wrong("isConnected is still true");
            if (event.connection->closeReason() == NamedPipe::StillOpen)
                wrong("closeReason is StillOpen");
        }
        if (client.inside > 0 && client.insideThread != QThread::currentThreadId())
            wrong("while another event of it is handled");
    }

    // With the mutex held. The next start() may count its clients from 1 again.
    void checkEnd()
    {
        for (auto client = clients.cbegin(); client != clients.cend(); ++client) {
            if (!client->disconnected)
                log.violation(QStringLiteral("stopped: client %1 got no clientDisconnected")
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
            const std::lock_guard lock(m_owner->log.mutex);
            const bool ofClient = event.kind != ServerEvent::Ready
                    && event.kind != ServerEvent::Stopped && event.kind != ServerEvent::ServerError;
            if (m_owner->serverThread && QThread::currentThread() != m_owner->serverThread)
                m_owner->log.violation(describe(event)
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
            m_owner->log.append(std::move(event), m_owner->keeping == KeepEverything);
        }
        ~Inside()
        {
            const std::lock_guard lock(m_owner->log.mutex);
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
        const std::lock_guard lock(log.mutex);
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
    return d->log.events();
}

QList<ServerEvent> ServerRecorder::eventsOf(quint64 connectionId) const
{
    return d->log.collect([](const ServerEvent &event) { return event; },
                          [connectionId](const ServerEvent &event) {
                              return event.connection && event.connectionId == connectionId;
                          });
}

int ServerRecorder::count(ServerEvent::Kind kind) const
{
    return d->log.count(kind);
}

int ServerRecorder::count(ServerEvent::Kind kind, quint64 connectionId) const
{
    const std::lock_guard lock(d->log.mutex);
    return d->countsOfClient.value(connectionId).value(kind);
}

QList<QByteArray> ServerRecorder::messages() const
{
    return d->log.collect([](const ServerEvent &event) { return event.data; },
                          [](const ServerEvent &event) {
                              return event.kind == ServerEvent::Message;
                          });
}

QList<QByteArray> ServerRecorder::messagesOf(quint64 connectionId) const
{
    return d->log.collect([](const ServerEvent &event) { return event.data; },
                          [connectionId](const ServerEvent &event) {
                              return event.kind == ServerEvent::Message && event.connection
                                      && event.connectionId == connectionId;
                          });
}

QList<QVariant> ServerRecorder::cookies(ServerEvent::Kind kind) const
{
    return d->log.collect([](const ServerEvent &event) { return event.cookie; },
                          [kind](const ServerEvent &event) { return event.kind == kind; });
}

QList<NamedPipe::Error> ServerRecorder::errors(ServerEvent::Kind kind) const
{
    return d->log.collect([](const ServerEvent &event) { return event.error; },
                          [kind](const ServerEvent &event) { return event.kind == kind; });
}

NamedPipeServerConnectionPtr ServerRecorder::connection(int index) const
{
    return d->log
            .collect([](const ServerEvent &event) { return event.connection; },
                     [](const ServerEvent &event) { return event.kind == ServerEvent::Connected; })
            .value(index);
}

void ServerRecorder::clear()
{
    std::vector<ServerEvent> dropped; // the last references may go: not under the lock
    const std::lock_guard lock(d->log.mutex);
    dropped = d->log.clear();
    d->countsOfClient.clear();
    d->clients.removeIf([](auto client) { return client.value().disconnected; });
}

void ServerRecorder::dropConnections()
{
    if (d->keeping == CountOnly)
        return;
    QList<NamedPipeServerConnectionPtr> dropped; // not under the lock
    const std::lock_guard lock(d->log.mutex);
    for (ServerEvent &event : d->log.clear()) { // appending counts them again
        dropped.append(std::exchange(event.connection, {}));
        d->log.append(std::move(event), true);
    }
}

bool ServerRecorder::waitFor(ServerEvent::Kind kind, int times,
                             std::chrono::milliseconds timeout) const
{
    return waitUntil([&] { return count(kind) >= times; }, timeout);
}

QStringList ServerRecorder::violations() const
{
    return d->log.violations();
}

void ServerRecorder::ignoreViolations()
{
    const std::lock_guard lock(d->log.mutex);
    d->reporting = false;
}
