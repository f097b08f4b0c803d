// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "fakeserver.h"

#include <QtCore/qcoreapplication.h>
#include <QtCore/qmetaobject.h>
#include <QtCore/qpointer.h>
#include <QtTest/qtestcase.h>

#include <utility>

namespace QtNamedPipes {

// More turns than this for what a test has prepared: it would never end.
static constexpr int EndlessDelivery = 2000;

// --- FakeEvent and FakeLog ---

static QString errorName(NamedPipe::Error error)
{
    const QMetaObject &meta = NamedPipe::staticMetaObject;
    return QLatin1String(meta.enumerator(meta.indexOfEnumerator("Error")).valueToKey(error));
}

QString FakeEvent::line() const
{
    static const char *const names[] = { "ready", "server error", "opened", "message", "batched",
                                         "sent",  "notSent",      "error",  "closed" };
    QString line = QLatin1String(names[kind]);
    if (kind == Message || kind == InBatch)
        line += u' ' + QString::fromLatin1(data.left(40));
    if (cookie.isValid())
        line += QStringLiteral(" #") + cookie.toString();
    if (error != NamedPipe::NoError)
        line += u' ' + errorName(error);
    return line;
}

FakeLog::~FakeLog()
{
    for (const QString &wrong : std::as_const(m_wrong))
        QTest::qFail(qPrintable(wrong), __FILE__, __LINE__);
}

void FakeLog::add(const FakeEvent &event)
{
    {
        const std::lock_guard lock(m_mutex);
        const auto require = [&](bool holds, const char *rule) {
            if (!holds)
                m_wrong.append(QStringLiteral("\"%1\" of connection %2: %3")
                                       .arg(event.line())
                                       .arg(event.id)
                                       .arg(QLatin1String(rule)));
        };
        require(!m_silent, "nothing may come any more");
        if (event.kind == FakeEvent::Opened) {
            require(!m_opened.contains(event.id), "opened twice");
            m_opened.append(event.id);
        } else if (event.id != 0) {
            const bool mayFail = m_dialed.contains(event.id)
                    && (event.kind == FakeEvent::Error || event.kind == FakeEvent::Closed);
            require(mayFail || m_opened.contains(event.id), "comes before opened");
        }
        if (event.id != 0)
            require(!m_closed.contains(event.id), "comes after closed");
        if (event.kind == FakeEvent::Closed)
            m_closed.append(event.id);
        m_events.append(event);
    }
    if (hook)
        hook(event);
}

QList<FakeEvent> FakeLog::events() const
{
    const std::lock_guard lock(m_mutex);
    return m_events;
}

QStringList FakeLog::lines(quint64 id) const
{
    QStringList lines;
    for (const FakeEvent &event : events()) {
        if (event.id == id)
            lines.append(event.line());
    }
    return lines;
}

QStringList FakeLog::lines() const
{
    QStringList lines;
    for (const FakeEvent &event : events()) {
        lines.append(event.id == 0 ? event.line()
                                   : QStringLiteral("%1: %2").arg(event.id).arg(event.line()));
    }
    return lines;
}

int FakeLog::count(FakeEvent::Kind kind, quint64 id) const
{
    int count = 0;
    for (const FakeEvent &event : events()) {
        if (event.kind == kind && (id == 0 || event.id == id))
            ++count;
    }
    return count;
}

QList<QByteArray> FakeLog::messages(quint64 id) const
{
    QList<QByteArray> messages;
    for (const FakeEvent &event : events()) {
        if (event.kind == FakeEvent::Message && event.id == id)
            messages.append(event.data);
    }
    return messages;
}

void FakeLog::clear()
{
    const std::lock_guard lock(m_mutex);
    m_events.clear();
}

void FakeLog::expectDial(quint64 id)
{
    const std::lock_guard lock(m_mutex);
    m_dialed.append(id);
}

void FakeLog::expectSilence()
{
    const std::lock_guard lock(m_mutex);
    m_silent = true;
}

// --- The face ---

namespace {

class FakeFace final : public ConnectionFace
{
public:
    FakeFace(std::shared_ptr<FakeLog> log, std::shared_ptr<PipeConnection> connection)
        : m_log(std::move(log)),
          m_id(connection->id()),
          m_connection(std::move(connection)),
          m_object(new QObject)
    {
    }

    void opened() override { m_log->add({ FakeEvent::Opened, m_id, {}, {}, {}, {} }); }
    void messageReceived(const QVariant &cookie, const QByteArray &data) override
    {
        m_log->add({ FakeEvent::Message, m_id, cookie, data, {}, {} });
    }
    Listeners listeners() const override { return m_log->listeners; }
    void messageBatchReceived(const NamedPipeMessageBatch &messages) override
    {
        for (const QByteArrayView message : messages)
            m_log->add({ FakeEvent::InBatch, m_id, {}, message.toByteArray(), {}, {} });
    }
    void messageSent(const QVariant &cookie) override
    {
        m_log->add({ FakeEvent::Sent, m_id, cookie, {}, {}, {} });
    }
    void messageNotSent(const QVariant &cookie) override
    {
        m_log->add({ FakeEvent::NotSent, m_id, cookie, {}, {}, {} });
    }
    void errorOccurred(NamedPipe::Error error, const QString &message) override
    {
        m_log->add({ FakeEvent::Error, m_id, {}, {}, error, message });
    }
    void closed() override { m_log->add({ FakeEvent::Closed, m_id, {}, {}, {}, {} }); }
    QSharedPointer<QObject> object() const override { return m_object; }

private:
    const std::shared_ptr<FakeLog> m_log;
    const quint64 m_id;
    const std::shared_ptr<PipeConnection> m_connection; ///< as the user's object holds it
    const QSharedPointer<QObject> m_object;
};

} // namespace

// --- FakeServer ---

FakeServer::FakeServer(const HubSettings &settings, bool continuous, int threads)
    : engine(std::make_shared<FakeEngine>(threads))
{
    // A turn ends where the test says, not where the machine pauses.
    HubSettings unhurried = settings;
    if (settings.slice == HubSettings().slice)
        unhurried.slice = std::chrono::hours(1);
    hub = std::make_shared<ConnectionHub>(this, this, engine, unhurried, continuous);
}

FakeServer::~FakeServer()
{
    if (hub)
        hub->abandon();
}

bool FakeServer::start()
{
    if (listensToSent)
        hub->setWantsMessageSent();
    if (hub->settings().side == Side::Client ? hub->start() : hub->listen({}))
        return false;
    deliver();
    return true;
}

bool FakeServer::deliverOnce()
{
    const int before = m_drains;
    const QPointer<FakeServer> alive(this);
    QCoreApplication::sendPostedEvents(this, ConnectionHub::drainEvent());
    return alive && m_drains != before;
}

void FakeServer::deliver()
{
    const QPointer<FakeServer> alive(this);
    const auto workers = engine;
    for (int turn = 0; alive; ++turn) {
        const bool ran = workers->runTasks(EndlessDelivery) > 0;
        if (!alive || (!deliverOnce() && !ran))
            return;
        if (turn == EndlessDelivery) {
            QTest::qFail("delivery never comes to an end", __FILE__, __LINE__);
            return;
        }
    }
}

void FakeServer::stop()
{
    const QPointer<FakeServer> alive(this);
    const auto stopped = hub;
    stopped->stop();
    if (alive)
        hub.reset();
}

std::shared_ptr<PipeConnection> FakeServer::dial(const DialSettings &dial)
{
    const auto connection = hub->newConnection();
    log->expectDial(connection->id());
    hub->dial(connection, makeFace(connection), dial);
    return connection;
}

std::shared_ptr<FakeEndpoint> FakeServer::connectClient()
{
    return engine->connectClient();
}

std::shared_ptr<FakeEndpoint> FakeServer::openClient()
{
    const auto endpoint = connectClient();
    if (endpoint)
        deliver();
    return endpoint;
}

std::shared_ptr<PipeConnection> FakeServer::connection(int index) const
{
    const std::lock_guard lock(m_mutex);
    return m_connections.value(index);
}

void FakeServer::forgetConnections()
{
    QList<std::shared_ptr<PipeConnection>> forgotten; // let go of unlocked
    const std::lock_guard lock(m_mutex);
    forgotten.swap(m_connections);
}

std::unique_ptr<ConnectionFace> FakeServer::makeFace(
        const std::shared_ptr<PipeConnection> &connection)
{
    {
        const std::lock_guard lock(m_mutex);
        m_connections.append(connection);
    }
    return std::make_unique<FakeFace>(log, connection);
}

void FakeServer::ready()
{
    const auto keep = log;
    keep->add({ FakeEvent::Ready, 0, {}, {}, {}, {} });
}

void FakeServer::errorOccurred(const TransportError &error)
{
    const auto keep = log;
    keep->add({ FakeEvent::ServerError, 0, {}, {}, error.error, error.text() });
}

bool FakeServer::event(QEvent *event)
{
    if (event->type() != ConnectionHub::drainEvent())
        return QObject::event(event);
    ++m_drains;
    if (const auto current = hub)
        current->drain();
    return true;
}

} // namespace QtNamedPipes
