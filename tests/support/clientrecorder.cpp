// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "clientrecorder.h"

#include "eventlog.h"

#include <QtCore/qpointer.h>
#include <QtCore/qset.h>
#include <QtCore/qthread.h>
#include <QtTest/qtestcase.h>

struct ClientRecorder::Private
{
    struct Client
    {
        QThread *thread = nullptr; // of all its events; null when free-threaded
        bool reconnects = false;
        bool inSession = false;
        bool unsentSeen = false; // in this session
        int inside = 0; // events that are being handled now
        Qt::HANDLE insideThread = nullptr;
        QHash<int, int> counts;
        QSet<QString> answered; // cookies
    };

    explicit Private(Keeping k) : keeping(k) { }

    const Keeping keeping;
    ConnectionHook onConnected;
    ConnectionHook onDisconnected;
    MessageHook onMessage;
    CookieHook onSent;
    CookieHook onNotSent;
    ErrorHook onError;
    std::function<void(NamedPipeClientConnection &, ClientEvent::Kind)> onAny;

    EventLog<ClientEvent> log; // its mutex guards the rest
    std::vector<Client> clients;
    bool repeatedCookies = false;
    bool reporting = true;

    static QString describe(const ClientEvent &event)
    {
        static const char *const names[] = { "connected",      "messageReceived", "messageSent",
                                             "messageNotSent", "errorOccurred",   "disconnected" };
        return QStringLiteral("%1 of connection %2")
                .arg(QLatin1String(names[event.kind]))
                .arg(event.client);
    }

    // With the mutex held.
    void check(const ClientEvent &event, const NamedPipeClientConnection &connection)
    {
        Client &client = clients[size_t(event.client)];
        const auto wrong = [&](const char *what) {
            log.violation(describe(event) + QLatin1String(": ") + QLatin1String(what));
        };
        if (client.thread && QThread::currentThread() != client.thread)
            wrong("not on the manager's thread");
        if (client.inside > 0 && client.insideThread != QThread::currentThreadId())
            wrong("while another event of it is handled");
        switch (event.kind) {
        case ClientEvent::Connected:
            if (client.inSession)
                wrong("a second time");
            client.inSession = true;
            client.unsentSeen = false;
            return;
        case ClientEvent::Error: // comes before, between and after sessions, too
            if (event.error == NamedPipe::NoError)
                wrong("without an error");
            if (event.text.isEmpty())
                wrong("without a text");
            return;
        case ClientEvent::Message:
            break;
        case ClientEvent::Sent:
            if (client.unsentSeen)
                wrong("after messageNotSent");
            checkCookie(event, client);
            break;
        case ClientEvent::NotSent:
            client.unsentSeen = true;
            checkCookie(event, client);
            break;
        case ClientEvent::Disconnected:
            if (connection.isConnected())
                wrong("isConnected is still true");
            if (!client.reconnects && connection.closeReason() == NamedPipe::StillOpen)
                wrong("closeReason is StillOpen");
            break;
        }
        if (!client.inSession)
            wrong("outside of connected and disconnected");
        if (event.kind == ClientEvent::Disconnected)
            client.inSession = false;
    }

    // With the mutex held.
    void checkCookie(const ClientEvent &event, Client &client)
    {
        if (repeatedCookies || !event.cookie.isValid() || !event.cookie.canConvert<QString>())
            return;
        const QString cookie = event.cookie.toString();
        if (client.answered.contains(cookie))
            log.violation(describe(event) + QStringLiteral(": cookie %1 again").arg(cookie));
        client.answered.insert(cookie);
    }

    // RAII: a hook may throw.
    class Inside
    {
    public:
        Inside(Private *owner, NamedPipeClientConnection &connection, ClientEvent event)
            : m_owner(owner),
              m_client(size_t(event.client))
        {
            const std::lock_guard lock(m_owner->log.mutex);
            m_owner->check(event, connection);
            Client &client = m_owner->clients[m_client];
            ++client.inside;
            client.insideThread = QThread::currentThreadId();
            ++client.counts[event.kind];
            m_owner->log.append(std::move(event), m_owner->keeping == KeepEverything);
        }
        ~Inside()
        {
            const std::lock_guard lock(m_owner->log.mutex);
            --m_owner->clients[m_client].inside;
        }
        Inside(const Inside &) = delete;
        Inside &operator=(const Inside &) = delete;

    private:
        Private *const m_owner;
        const size_t m_client;
    };

    // One slot: writes the event down, then runs the hooks.
    template<typename Hook, typename... Arguments>
    void handle(NamedPipeClientConnection &connection, ClientEvent event, const Hook &hook,
                const Arguments &...arguments)
    {
        const ClientEvent::Kind kind = event.kind;
        const Inside inside(this, connection, std::move(event));
        const QPointer<NamedPipeClientConnection> alive(&connection);
        if (onAny)
            onAny(connection, kind);
        if (hook && alive)
            hook(connection, arguments...);
    }
};

ClientRecorder::ClientRecorder(Keeping keeping) : d(std::make_shared<Private>(keeping)) { }

ClientRecorder::~ClientRecorder()
{
    for (const QMetaObject::Connection &link : std::as_const(m_links))
        QObject::disconnect(link);
    const QStringList found = violations();
    if (!found.isEmpty() && d->reporting)
        QTest::qFail(qPrintable(found.join(QLatin1Char('\n'))), __FILE__, __LINE__);
}

int ClientRecorder::watch(const NamedPipeClientConnectionPtr &connection,
                          const NamedPipeClientManager &manager)
{
    int index = 0;
    {
        const std::lock_guard lock(d->log.mutex);
        index = int(d->clients.size());
        Private::Client client;
        client.thread = manager.freeThreadingEvents() ? nullptr : manager.thread();
        client.reconnects = manager.autoReconnect();
        d->clients.push_back(std::move(client));
    }
    // The slots share d: one of them may still run when the recorder is gone, or destroy it.
    const auto p = d;
    NamedPipeClientConnection *const object = connection.data();
    const auto make = [index](ClientEvent::Kind kind, const QVariant &cookie = {}) {
        return ClientEvent { kind, index, cookie, {}, NamedPipe::NoError, {} };
    };
    using Connection = NamedPipeClientConnection;
    m_links += {
        QObject::connect(object, &Connection::connected,
                         [p, object, make] {
                             const auto self = p;
                             self->handle(*object, make(ClientEvent::Connected), self->onConnected);
                         }),
        QObject::connect(object, &Connection::disconnected,
                         [p, object, make] {
                             const auto self = p;
                             self->handle(*object, make(ClientEvent::Disconnected),
                                          self->onDisconnected);
                         }),
        QObject::connect(object, &Connection::messageReceived,
                         [p, object, make](const QVariant &cookie, const QByteArray &data) {
                             const auto self = p;
                             ClientEvent event = make(ClientEvent::Message, cookie);
                             event.data = data;
                             self->handle(*object, event, self->onMessage, cookie, data);
                         }),
        QObject::connect(object, &Connection::messageSent,
                         [p, object, make](const QVariant &cookie) {
                             const auto self = p;
                             self->handle(*object, make(ClientEvent::Sent, cookie), self->onSent,
                                          cookie);
                         }),
        QObject::connect(object, &Connection::messageNotSent,
                         [p, object, make](const QVariant &cookie) {
                             const auto self = p;
                             self->handle(*object, make(ClientEvent::NotSent, cookie),
                                          self->onNotSent, cookie);
                         }),
        QObject::connect(object, &Connection::errorOccurred,
                         [p, object, make](NamedPipe::Error error, const QString &text) {
                             const auto self = p;
                             ClientEvent event = make(ClientEvent::Error);
                             event.error = error;
                             event.text = text;
                             self->handle(*object, event, self->onError, error);
                         }),
    };
    return index;
}

ClientRecorder::ConnectionHook &ClientRecorder::onConnected()
{
    return d->onConnected;
}

ClientRecorder::ConnectionHook &ClientRecorder::onDisconnected()
{
    return d->onDisconnected;
}

ClientRecorder::MessageHook &ClientRecorder::onMessage()
{
    return d->onMessage;
}

ClientRecorder::CookieHook &ClientRecorder::onSent()
{
    return d->onSent;
}

ClientRecorder::CookieHook &ClientRecorder::onNotSent()
{
    return d->onNotSent;
}

ClientRecorder::ErrorHook &ClientRecorder::onError()
{
    return d->onError;
}

std::function<void(NamedPipeClientConnection &, ClientEvent::Kind)> &ClientRecorder::onAny()
{
    return d->onAny;
}

QList<ClientEvent> ClientRecorder::events() const
{
    return d->log.events();
}

QList<ClientEvent> ClientRecorder::eventsOf(int client) const
{
    return d->log.collect([](const ClientEvent &event) { return event; },
                          [client](const ClientEvent &event) { return event.client == client; });
}

QList<ClientEvent::Kind> ClientRecorder::kinds() const
{
    return d->log.collect([](const ClientEvent &event) { return event.kind; },
                          [](const ClientEvent &) { return true; });
}

QList<ClientEvent::Kind> ClientRecorder::kindsOf(int client) const
{
    return d->log.collect([](const ClientEvent &event) { return event.kind; },
                          [client](const ClientEvent &event) { return event.client == client; });
}

int ClientRecorder::count() const
{
    int total = 0;
    for (int kind = ClientEvent::Connected; kind <= ClientEvent::Disconnected; ++kind)
        total += count(ClientEvent::Kind(kind));
    return total;
}

int ClientRecorder::count(ClientEvent::Kind kind) const
{
    return d->log.count(kind);
}

int ClientRecorder::count(ClientEvent::Kind kind, int client) const
{
    const std::lock_guard lock(d->log.mutex);
    return d->clients.at(size_t(client)).counts.value(kind);
}

QList<QByteArray> ClientRecorder::messages() const
{
    return d->log.collect([](const ClientEvent &event) { return event.data; },
                          [](const ClientEvent &event) {
                              return event.kind == ClientEvent::Message;
                          });
}

QList<QByteArray> ClientRecorder::messagesOf(int client) const
{
    return d->log.collect([](const ClientEvent &event) { return event.data; },
                          [client](const ClientEvent &event) {
                              return event.kind == ClientEvent::Message && event.client == client;
                          });
}

QList<QVariant> ClientRecorder::cookies(ClientEvent::Kind kind) const
{
    return d->log.collect([](const ClientEvent &event) { return event.cookie; },
                          [kind](const ClientEvent &event) { return event.kind == kind; });
}

QList<QVariant> ClientRecorder::cookiesOf(ClientEvent::Kind kind, int client) const
{
    return d->log.collect([](const ClientEvent &event) { return event.cookie; },
                          [kind, client](const ClientEvent &event) {
                              return event.kind == kind && event.client == client;
                          });
}

QList<NamedPipe::Error> ClientRecorder::errors() const
{
    return d->log.collect([](const ClientEvent &event) { return event.error; },
                          [](const ClientEvent &event) {
                              return event.kind == ClientEvent::Error;
                          });
}

QStringList ClientRecorder::texts() const
{
    return d->log.collect([](const ClientEvent &event) { return event.text; },
                          [](const ClientEvent &event) {
                              return event.kind == ClientEvent::Error;
                          });
}

void ClientRecorder::clear()
{
    std::vector<ClientEvent> dropped; // cookies of the test may go: not under the lock
    const std::lock_guard lock(d->log.mutex);
    dropped = d->log.clear();
    for (Private::Client &client : d->clients) {
        client.counts.clear();
        client.answered.clear();
    }
}

bool ClientRecorder::waitFor(ClientEvent::Kind kind, int times,
                             std::chrono::milliseconds timeout) const
{
    return waitUntil([&] { return count(kind) >= times; }, timeout);
}

void ClientRecorder::allowRepeatedCookies()
{
    const std::lock_guard lock(d->log.mutex);
    d->repeatedCookies = true;
}

QStringList ClientRecorder::violations() const
{
    return d->log.violations();
}

void ClientRecorder::ignoreViolations()
{
    const std::lock_guard lock(d->log.mutex);
    d->reporting = false;
}
