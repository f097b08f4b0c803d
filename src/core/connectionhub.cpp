// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "core/connectionhub.h"

#include "core/logging.h"

#include <QtCore/qcoreapplication.h>
#include <QtCore/qscopeguard.h>

#include <algorithm>
#include <utility>

namespace QtNamedPipes {

using namespace std::chrono_literals;

// Messages of one connection before the next has its turn.
static constexpr int DrainQuantum = 1024;
// How long stop() waits for operations that the system has been told to cancel.
static constexpr auto CancelTime = 1s;

/// Free-threaded mode: tells the owner of a notice on a worker.
class ConnectionHub::NoticeTask final : public EngineTask
{
public:
    explicit NoticeTask(std::shared_ptr<ConnectionHub> hub) : m_hub(std::move(hub)) { }
    void run() override
    {
        try {
            m_hub->deliverNotice();
        } catch (...) { // a worker goes on whatever a slot does
            qCWarning(lcServer, "a slot of the server threw an exception");
        }
    }

private:
    const std::shared_ptr<ConnectionHub> m_hub;
};

ConnectionHub::ConnectionHub(HubOwner *owner, QObject *eventTarget,
                             std::shared_ptr<PipeEngine> engine, const HubSettings &settings,
                             bool readContinuously)
    : m_owner(owner),
      m_engine(std::move(engine)),
      m_settings(settings),
      m_continuous(readContinuously),
      m_eventTarget(eventTarget)
{
}

ConnectionHub::~ConnectionHub() = default;

QEvent::Type ConnectionHub::drainEvent()
{
    static const int type = QEvent::registerEventType();
    return QEvent::Type(type);
}

// --- The owner's thread ---

TransportError ConnectionHub::start()
{
    TransportError error = m_engine->start();
    if (error)
        m_engine->shutdown();
    return error;
}

TransportError ConnectionHub::listen(const ListenSettings &settings)
{
    if (TransportError error = start())
        return error;
    if (TransportError error = m_engine->listen(settings, shared_from_this())) {
        m_engine->shutdown();
        return error;
    }
    // ready() comes before the first client: on the owner's thread by the order of delivery,
    // on workers because accepting begins after it.
    addNotice({});
    if (!m_settings.freeThreaded)
        m_engine->startAccepting();
    return {};
}

void ConnectionHub::drain()
{
    const auto self = shared_from_this(); // a slot may stop or delete the owner
    PipeConnection::uncork(); // this may be the event loop of a slot
    {
        const std::lock_guard<QMutex> lock(m_readyMutex);
        m_drainPosted = false;
    }
    DeliveryBudget budget(m_settings.slice);
    while (deliverNext(&budget) && !budget.isSpent()) { }
}

/// Delivers what is first in line; false when nothing was. What is left afterwards has an event
/// posted for it before a slot is called: a slot that runs an event loop of its own gets the rest
/// there.
bool ConnectionHub::deliverNext(DeliveryBudget *budget)
{
    std::unique_lock<QMutex> lock(m_readyMutex);
    if (isSilent())
        return false;
    if (!m_notices.empty()) {
        const bool isMore = m_notices.size() > 1 || !m_ready.empty();
        postDrain(lock, isMore);
        return deliverNotice();
    }
    if (m_ready.empty())
        return false;
    const auto connection = std::move(m_ready.front());
    m_ready.pop_front();
    connection->inReadyList = false;
    postDrain(lock, !m_ready.empty());
    if (connection->hasSeveralEvents())
        makeReady(connection);
    if (connection->deliver(budget, DrainQuantum))
        makeReady(connection);
    return true;
}

bool ConnectionHub::deliverNotice()
{
    std::unique_lock<QMutex> lock(m_readyMutex);
    if (m_notices.empty() || isSilent())
        return false;
    const Notice notice = std::move(m_notices.front());
    m_notices.pop_front();
    lock.unlock();
    if (notice.error) {
        m_owner->errorOccurred(notice.error);
        return true;
    }
    const auto startAccepting = qScopeGuard([this] {
        if (m_settings.freeThreaded && !isSilent())
            m_engine->startAccepting();
    });
    m_owner->ready();
    return true;
}

bool ConnectionHub::sendPending(Clock::time_point deadline)
{
    m_sendingTimedOut = false;
    m_engine->stopAccepting();
    closeConnections(NamedPipe::SendPending, deadline);
    return waitForHandles(deadline + CancelTime)
            && !m_sendingTimedOut.load(std::memory_order_acquire);
}

void ConnectionHub::stop()
{
    const auto self = shared_from_this(); // a slot may delete the owner
    m_stopping.store(true, std::memory_order_release);
    m_engine->stopAccepting();
    closeConnections(NamedPipe::CancelPending, {});
    if (!waitForHandles(Clock::now() + CancelTime)) {
        const auto all = allConnections();
        for (const auto &connection : *all)
            connection->abandonOperations();
    }
    if (m_settings.freeThreaded) { // the workers deliver: it takes the time of the slots
        std::unique_lock<std::mutex> lock(m_registryMutex);
        m_registryChanged.wait(lock, [this] { return m_connections.empty(); });
    }
    m_engine->shutdown();
    while (deliverNext(nullptr)) { }
    detach();
    forgetConnections(); // dialed by another thread in the last moment
}

/// From here on nothing reaches the owner any more, whoever still has a connection.
void ConnectionHub::detach()
{
    std::deque<std::shared_ptr<PipeConnection>> ready; // let go of unlocked
    const std::scoped_lock lock(m_targetMutex, m_readyMutex);
    m_eventTarget = nullptr;
    m_notices.clear();
    ready.swap(m_ready);
}

void ConnectionHub::abandon()
{
    const auto self = shared_from_this();
    m_silent.store(true, std::memory_order_release);
    m_stopping.store(true, std::memory_order_release);
    detach();
    m_engine->stopAccepting();
    closeConnections(NamedPipe::CancelPending, {});
    // A worker that deletes the server has its own connection's operations to finish after it has
    // returned from here.
    if (!m_engine->isWorkerThread())
        waitForHandles(Clock::now() + CancelTime);
    m_engine->shutdown();
    forgetConnections();
}

void ConnectionHub::forgetConnections()
{
    const auto all = allConnections();
    for (const auto &connection : *all) {
        connection->abandonOperations();
        connection->forget();
        connectionGone(connection->id());
    }
}

void ConnectionHub::closeConnections(NamedPipe::CloseMode mode, Clock::time_point deadline)
{
    {
        const std::lock_guard<std::mutex> lock(m_registryMutex);
        m_closing = true;
    }
    const auto all = allConnections();
    for (const auto &connection : *all)
        connection->stop(mode, deadline);
}

bool ConnectionHub::waitForHandles(Clock::time_point deadline)
{
    std::unique_lock<std::mutex> lock(m_registryMutex);
    return m_registryChanged.wait_until(lock, deadline, [this] { return m_openHandles == 0; });
}

// --- Any thread ---

void ConnectionHub::setReadsContinuously(bool on)
{
    m_continuous.store(on, std::memory_order_relaxed);
    if (on) {
        const auto all = allConnections();
        for (const auto &connection : *all)
            connection->reconsiderReading();
    }
}

std::shared_ptr<const ConnectionHub::Connections> ConnectionHub::allConnections() const
{
    const std::lock_guard<std::mutex> lock(m_registryMutex);
    if (!m_all) {
        Connections all;
        all.reserve(m_connections.size());
        for (const auto &[id, connection] : m_connections)
            all.push_back(connection);
        m_all = std::make_shared<const Connections>(std::move(all));
    }
    return m_all;
}

ConnectionHub::Connections ConnectionHub::connections() const
{
    Connections connected = *allConnections();
    connected.erase(std::remove_if(connected.begin(), connected.end(),
                                   [](const auto &c) { return !c->isConnected(); }),
                    connected.end());
    return connected;
}

int ConnectionHub::broadcast(const QByteArray &data, const QVariant &cookie)
{
    int recipients = 0;
    const auto all = allConnections();
    for (const auto &connection : *all) {
        if (!connection->isConnected())
            continue;
        connection->write(data, cookie, true);
        ++recipients;
    }
    return recipients;
}

NamedPipe::ServerStatistics ConnectionHub::statistics() const
{
    NamedPipe::ServerStatistics sum;
    sum.messagesReceived = m_messagesReceived.load(std::memory_order_relaxed);
    sum.bytesReceived = m_bytesReceived.load(std::memory_order_relaxed);
    sum.messagesSent = m_messagesSent.load(std::memory_order_relaxed);
    sum.bytesSent = m_bytesSent.load(std::memory_order_relaxed);
    sum.connectionsAccepted = m_accepted.load(std::memory_order_relaxed);
    sum.connectionsClosed = m_closed.load(std::memory_order_relaxed);
    sum.connectionsRefused = m_refused.load(std::memory_order_relaxed);
    return sum;
}

void ConnectionHub::countReceived(qint64 messages, qint64 bytes)
{
    m_messagesReceived.fetch_add(quint64(messages), std::memory_order_relaxed);
    m_bytesReceived.fetch_add(quint64(bytes), std::memory_order_relaxed);
}

void ConnectionHub::countSent(qint64 messages, qint64 bytes)
{
    m_messagesSent.fetch_add(quint64(messages), std::memory_order_relaxed);
    m_bytesSent.fetch_add(quint64(bytes), std::memory_order_relaxed);
}

/// A connection has something to deliver: into the line of the owner's thread, or to a worker.
void ConnectionHub::makeReady(const std::shared_ptr<PipeConnection> &connection)
{
    std::unique_lock<QMutex> lock(m_readyMutex);
    if (connection->inReadyList || !m_eventTarget)
        return;
    connection->inReadyList = true;
    if (m_settings.freeThreaded) {
        lock.unlock();
        m_engine->post(connection);
    } else {
        m_ready.push_back(connection);
        postDrain(lock, true);
    }
}

void ConnectionHub::takeFromReady(PipeConnection &connection)
{
    const std::lock_guard<QMutex> lock(m_readyMutex);
    connection.inReadyList = false;
}

/// Posts the event that makes the owner drain(), unless it is posted or \a isNeeded is not true.
/// Releases \a lock, which is of m_readyMutex, before: the owner's thread wakes up at once, and would
/// have to wait for it.
void ConnectionHub::postDrain(std::unique_lock<QMutex> &lock, bool isNeeded)
{
    const bool post = isNeeded && !m_drainPosted && m_eventTarget && !m_settings.freeThreaded;
    m_drainPosted = m_drainPosted || post;
    lock.unlock();
    if (!post)
        return;
    const std::lock_guard<QMutex> targetLock(m_targetMutex); // the owner cannot go meanwhile
    if (m_eventTarget)
        QCoreApplication::postEvent(m_eventTarget, new QEvent(drainEvent()));
}

void ConnectionHub::addNotice(const Notice &notice)
{
    std::unique_lock<QMutex> lock(m_readyMutex);
    m_notices.push_back(notice);
    postDrain(lock, true);
    if (m_settings.freeThreaded)
        m_engine->post(std::make_shared<NoticeTask>(shared_from_this()));
}

NamedPipe::CloseReason ConnectionHub::ownReason() const
{
    return m_settings.side == Side::Server ? NamedPipe::ClosedByServer : NamedPipe::ClosedByClient;
}

NamedPipe::CloseReason ConnectionHub::peerReason() const
{
    return m_settings.side == Side::Server ? NamedPipe::ClosedByClient : NamedPipe::ClosedByServer;
}

NamedPipe::CloseReason ConnectionHub::stopReason() const
{
    return m_settings.side == Side::Server ? NamedPipe::ServerStopped : NamedPipe::ClosedByClient;
}

std::shared_ptr<PipeConnection> ConnectionHub::newConnection()
{
    std::unique_lock<std::mutex> lock(m_registryMutex);
    const quint64 id = ++m_lastId;
    lock.unlock();
    return std::make_shared<PipeConnection>(shared_from_this(), nullptr, id);
}

void ConnectionHub::dial(const std::shared_ptr<PipeConnection> &connection,
                         std::unique_ptr<ConnectionFace> face, const DialSettings &settings)
{
    std::unique_lock<std::mutex> lock(m_registryMutex);
    const bool isClosing = m_closing;
    if (!isClosing)
        addConnection(connection);
    lock.unlock();
    if (isClosing) {
        connection->close(NamedPipe::CancelPending);
        connection->forget();
    } else {
        connection->dial(std::move(face), settings);
    }
}

void ConnectionHub::handleAcquired()
{
    const std::lock_guard<std::mutex> lock(m_registryMutex);
    ++m_openHandles;
    ++m_places;
}

void ConnectionHub::connectionOpened()
{
    m_openCount.fetch_add(1, std::memory_order_acq_rel);
    m_accepted.fetch_add(1, std::memory_order_relaxed);
}

void ConnectionHub::connectionDropped()
{
    m_openCount.fetch_sub(1, std::memory_order_acq_rel);
}

void ConnectionHub::handleReleased()
{
    {
        const std::lock_guard<std::mutex> lock(m_registryMutex);
        --m_openHandles;
        --m_places;
        m_registryChanged.notify_all();
    }
    m_engine->placeFreed();
}

void ConnectionHub::addConnection(const std::shared_ptr<PipeConnection> &connection)
{
    m_connections.emplace(connection->id(), connection);
    m_all.reset();
}

void ConnectionHub::connectionGone(quint64 id)
{
    std::shared_ptr<PipeConnection> connection; // let go of unlocked
    const std::lock_guard<std::mutex> lock(m_registryMutex);
    const auto it = m_connections.find(id);
    if (it == m_connections.end())
        return;
    connection = std::move(it->second);
    m_connections.erase(it);
    m_all.reset();
    m_closed.fetch_add(1, std::memory_order_relaxed);
    if (m_connections.empty())
        m_registryChanged.notify_all();
}

void ConnectionHub::sendingTimedOut()
{
    m_sendingTimedOut.store(true, std::memory_order_release);
}

// --- The listener: workers ---

bool ConnectionHub::reservePlace()
{
    const std::lock_guard<std::mutex> lock(m_registryMutex);
    if (m_closing || (m_settings.maxConnections > 0 && m_places >= m_settings.maxConnections))
        return false;
    ++m_places;
    return true;
}

void ConnectionHub::releasePlace()
{
    const std::lock_guard<std::mutex> lock(m_registryMutex);
    --m_places;
}

void ConnectionHub::accepted(std::shared_ptr<PipeEndpoint> endpoint)
{
    std::shared_ptr<PipeConnection> connection;
    {
        const std::lock_guard<std::mutex> lock(m_registryMutex);
        if (!m_closing) {
            connection = std::make_shared<PipeConnection>(shared_from_this(), endpoint, ++m_lastId);
            addConnection(connection);
            ++m_openHandles;
            m_openCount.fetch_add(1, std::memory_order_acq_rel);
            endpoint->attach(connection); // before closeConnections() can see it
        }
    }
    if (!connection) {
        endpoint->close();
        releasePlace();
        return;
    }
    m_accepted.fetch_add(1, std::memory_order_relaxed);
    connection->open(m_owner->makeFace(connection));
}

void ConnectionHub::refused(const PeerIdentity &peer)
{
    m_refused.fetch_add(1, std::memory_order_relaxed);
    qCInfo(lcServer, "refused a client: process %lld of user %ls",
           static_cast<long long>(peer.processId), qUtf16Printable(peer.userId));
}

void ConnectionHub::listenerFailed(const TransportError &error)
{
    addNotice({ error });
}

} // namespace QtNamedPipes
