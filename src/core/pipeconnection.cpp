// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "core/pipeconnection.h"

#include "core/connectionhub.h"
#include "core/logging.h"

#include <QtCore/qcoreapplication.h>

#include <climits>
#include <cstring>
#include <exception>
#include <utility>

namespace QtNamedPipes {

// What a queued message or a received span costs beside its bytes: counted towards the
// limits on its own, so that a flood of tiny messages is bounded like one of large ones.
static constexpr qint64 QueueEntryCost = sizeof(OutgoingMessage);
static constexpr qint64 SpanCost = sizeof(MessageSpan);
// Small batches are gathered in a block of this size while they wait for the owner's thread.
static constexpr qsizetype GatherBlock = 16 * 1024;
// Replies written by a slot that has more messages before it are sent together up to this size.
static constexpr qint64 CorkLimit = 64 * 1024;
// asyncWrite() returns at once: a thread that finds ever more to send leaves it to a worker.
static constexpr int PumpRounds = 8;
// Refusals that wait to be told; who refuses to listen to that many is spared the rest.
static constexpr int KeptErrors = 1024;
static constexpr std::chrono::seconds SendPendingDeadline { 5 };
// Lists that a burst has made larger than this are freed when they are empty.
static constexpr qsizetype KeptCapacity = 64;

// The connection whose batch this thread is delivering, while more of the batch is to come:
// its replies wait for each other. Only its own: a slow slot delays nobody else's messages.
static thread_local PipeConnection *corkedConnection = nullptr;

static QString tr(const char *text)
{
    return QCoreApplication::translate("NamedPipe", text);
}

template<typename T>
static void emptyList(QList<T> &list)
{
    if (list.capacity() > KeptCapacity)
        list = QList<T>();
    else
        list.clear();
}

DeliveryBudget::DeliveryBudget(Clock::duration time)
    : m_deadline(Clock::now() + time), m_lastLook(m_deadline - time)
{
}

bool DeliveryBudget::isSpent()
{
    if (m_spent || --m_untilLook > 0)
        return m_spent;
    using namespace std::chrono_literals;
    const auto now = Clock::now();
    const auto passed = now - m_lastLook;
    if (passed > 100us)
        m_stride = 1;
    else if (passed < 25us)
        m_stride = qMin(2 * m_stride, 64);
    m_lastLook = now;
    m_untilLook = m_stride;
    m_spent = now >= m_deadline;
    return m_spent;
}

/// The way in: holds the mutex, and tells the hub what has happened when it is released.
class PipeConnection::Entry
{
public:
    explicit Entry(PipeConnection &connection) : lock(connection.m_mutex), m_connection(connection) { }
    ~Entry()
    {
        PipeConnection &c = m_connection;
        bool signal = std::exchange(c.m_signal, false);
        const bool released = std::exchange(c.m_released, false);
        if (signal && c.m_delivering) { // that worker goes on until there is nothing left
            c.m_deliverAgain = true;
            signal = false;
        }
        const auto self = signal ? c.shared_from_this() : nullptr;
        const auto hub = released ? c.m_hub : nullptr;
        lock.unlock();
        if (self)
            self->m_hub->makeReady(self);
        if (hub) // last: stop() waits for it, and then wants to find the events
            hub->handleReleased();
    }
    Entry(const Entry &) = delete;
    Entry &operator=(const Entry &) = delete;

    Lock lock;

private:
    PipeConnection &m_connection;
};

PipeConnection::PipeConnection(std::shared_ptr<ConnectionHub> hub, std::shared_ptr<PipeEndpoint> endpoint,
                               quint64 id)
    : m_hub(std::move(hub)), m_id(id), m_peer(endpoint->peer()), m_endpoint(std::move(endpoint))
{
}

PipeConnection::~PipeConnection() = default;

void PipeConnection::open(std::unique_ptr<ConnectionFace> face)
{
    Entry entry(*this);
    m_face = std::move(face);
    m_signal = true;
    updateReading(entry.lock);
}

// --- The user's calls: any thread ---

void PipeConnection::read(const QVariant &cookie)
{
    Entry entry(*this);
    if (m_closedDelivered)
        return;
    m_requests.append(cookie);
    m_requestCount.store(int(m_requests.size()), std::memory_order_release);
    if (m_pendingMessages > 0 || m_state == State::Closed)
        m_signal = true;
    updateReading(entry.lock);
}

bool PipeConnection::write(const QByteArray &data, const QVariant &cookie, bool isBroadcast)
{
    Entry entry(*this);
    if (!isConnected()) {
        if (!isBroadcast)
            reportError({ NamedPipe::NotConnected, 0, "", tr("asyncWrite: the connection is closed") });
        return false;
    }
    if (data.isEmpty())
        return true;
    const qint64 size = data.size();
    if (size > m_hub->engine().maximumWriteSize()) {
        reportError({ NamedPipe::MessageTooLarge, 0, "",
                      tr("asyncWrite: a message of %1 bytes is more than can be sent as one").arg(size) });
        return false;
    }
    const qint64 limit = m_hub->settings().maximumPendingWriteBytes;
    const bool isFull = m_bytesToWrite + size > limit || (m_messagesToWrite + 1) * QueueEntryCost > limit;
    if (hasUnsent() && isFull) { // one message of any size goes into an empty queue
        reportError({ NamedPipe::WriteQueueFull, 0, "",
                      tr("asyncWrite: the client does not read, and %1 bytes are queued").arg(m_bytesToWrite) });
        return false;
    }
    m_queue.append({ data, cookie, isBroadcast });
    m_bytesToWrite += size;
    ++m_messagesToWrite;
    if (corkedConnection == this && m_corkedBytes + size < CorkLimit)
        m_corkedBytes += size;
    else
        startPump(entry.lock);
    return true;
}

void PipeConnection::close(NamedPipe::CloseMode mode)
{
    Entry entry(*this);
    // Who closes a connection wants no more of its messages.
    m_continueDelivery.store(false, std::memory_order_release);
    m_signal = true;
    startPump(entry.lock); // what a slot has written before it closes is not held back by the cork
    if (mode == NamedPipe::SendPending && hasUnsent())
        beginDraining(entry.lock, NamedPipe::ClosedByServer, Clock::now() + SendPendingDeadline);
    else
        beginClose(entry.lock, NamedPipe::ClosedByServer);
}

void PipeConnection::stop(NamedPipe::CloseMode mode, Clock::time_point deadline)
{
    Entry entry(*this);
    startPump(entry.lock);
    if (mode == NamedPipe::SendPending && hasUnsent())
        beginDraining(entry.lock, NamedPipe::ServerStopped, deadline);
    else
        beginClose(entry.lock, NamedPipe::ServerStopped);
    if (m_state == State::Closed)
        m_signal = true; // messages that nobody asked for keep it no longer
}

qintptr PipeConnection::handle() const
{
    const Lock lock(m_mutex);
    return m_endpoint ? m_endpoint->handle() : -1;
}

QSharedPointer<QObject> PipeConnection::object() const
{
    const Lock lock(m_mutex);
    return m_face ? m_face->object() : QSharedPointer<QObject>();
}

qint64 PipeConnection::bytesToWrite() const
{
    const Lock lock(m_mutex);
    return m_bytesToWrite;
}

NamedPipe::CloseReason PipeConnection::closeReason() const
{
    const Lock lock(m_mutex);
    return m_closeReason;
}

NamedPipe::Statistics PipeConnection::statistics() const
{
    const Lock lock(m_mutex);
    return m_statistics;
}

void PipeConnection::reconsiderReading()
{
    Entry entry(*this);
    if (m_pendingMessages > 0)
        m_signal = true;
    updateReading(entry.lock);
}

void PipeConnection::forget()
{
    std::unique_ptr<ConnectionFace> face; // destroyed unlocked
    const Lock lock(m_mutex);
    if (m_deliverDepth == 0) // else its deliver() does it
        face = std::move(m_face);
}

// --- The end ---

void PipeConnection::transition(State to)
{
    static const char *const names[] = { "Open", "Draining", "Closing", "Closed" };
    Q_ASSERT(int(to) > int(m_state));
    qCDebug(lcConnection, "connection %llu: %s -> %s", static_cast<unsigned long long>(m_id),
            names[int(m_state)], names[int(to)]);
    m_state = to;
}

/// The connection is no longer to be used, by the client's doing or by ours.
void PipeConnection::dropped()
{
    if (m_connected.exchange(false, std::memory_order_acq_rel))
        m_hub->connectionDropped();
}

void PipeConnection::beginDraining(Lock &lock, NamedPipe::CloseReason reason, Clock::time_point deadline)
{
    class DrainDeadline final : public EngineTask
    {
    public:
        explicit DrainDeadline(std::weak_ptr<PipeConnection> connection) : m_connection(std::move(connection)) { }
        void run() override
        {
            const auto connection = m_connection.lock();
            if (!connection)
                return;
            Entry entry(*connection);
            if (connection->m_state != State::Draining)
                return;
            connection->m_hub->sendingTimedOut();
            connection->beginClose(entry.lock, NamedPipe::Failed,
                                   { NamedPipe::ConnectionBroken, 0, "",
                                     tr("the client did not read in time: %1 messages were not sent")
                                             .arg(connection->m_messagesToWrite) });
        }

    private:
        const std::weak_ptr<PipeConnection> m_connection;
    };

    if (m_state != State::Open)
        return;
    transition(State::Draining);
    m_closeReason = reason;
    dropped();
    m_hub->engine().postAt(deadline, std::make_shared<DrainDeadline>(weak_from_this()));
    updateReading(lock); // what arrives is dropped, and the client's own close is seen
}

void PipeConnection::beginClose(Lock &lock, NamedPipe::CloseReason reason, const TransportError &error)
{
    if (m_state == State::Closing || m_state == State::Closed)
        return;
    transition(State::Closing);
    if (m_closeReason == NamedPipe::StillOpen)
        m_closeReason = reason;
    dropped();
    dropUnsent();
    m_closeError = error;
    if (!error && reason == NamedPipe::ClosedByClient && m_lostMessages > 0) {
        m_closeError = { NamedPipe::ConnectionBroken, 0, "",
                         tr("the client closed before %1 messages were sent").arg(m_lostMessages) };
    }
    enter();
    lock.unlock();
    m_endpoint->cancel();
    lock.lock();
    leave(lock);
}

void PipeConnection::leave(Lock &lock)
{
    --m_inFlight;
    if (m_state == State::Closing && m_inFlight == 0)
        releaseEndpoint(lock);
}

void PipeConnection::abandonOperations()
{
    Entry entry(*this);
    if (m_state != State::Closing || !m_endpoint)
        return;
    qCWarning(lcConnection, "connection %llu: the system did not complete %d operations in time",
              static_cast<unsigned long long>(m_id), m_inFlight);
    releaseEndpoint(entry.lock);
}

void PipeConnection::releaseEndpoint(Lock &lock)
{
    auto endpoint = std::move(m_endpoint);
    m_endpoint = nullptr;
    if (!endpoint)
        return;
    lock.unlock();
    endpoint->close();
    endpoint.reset();
    lock.lock();
    transition(State::Closed);
    m_signal = true;
    m_released = true;
}

// --- Bytes in ---

/// Whether the limits and the mode of reading allow another read now.
bool PipeConnection::mayRead()
{
    if (m_state == State::Draining)
        return true;
    if (m_pendingMessages > 0) {
        const qint64 limit = m_hub->settings().maximumPendingReadBytes;
        const qint64 cost = qMax(m_pendingBytes, m_pendingMessages * SpanCost);
        m_paused = cost >= (m_paused ? limit / 2 : limit);
        if (m_paused)
            return false;
    }
    return m_peerGone || m_hub->readsContinuously() || m_requests.size() > m_pendingMessages;
}

void PipeConnection::updateReading(Lock &lock)
{
    if (m_reading || m_readEnded || m_state == State::Closing || m_state == State::Closed || !mayRead())
        return;
    const qint64 limit = m_hub->settings().maximumPendingReadBytes;
    const qint64 roughly = m_state == State::Draining ? limit : qMax<qint64>(limit - m_pendingBytes, 1);
    m_reading = true;
    enter(); // for the operation
    enter(); // for the call
    lock.unlock();
    m_endpoint->startRead(roughly);
    lock.lock();
    leave(lock);
}

void PipeConnection::received(MessageBatch &batch)
{
    Entry entry(*this);
    m_reading = false;
    if (m_state == State::Open) {
        keepMessages(batch);
        if (m_hub->settings().freeThreaded) {
            // The next read starts when the slots have returned: that is the order, and the back pressure.
            entry.lock.unlock();
            deliverOnWorker();
            entry.lock.lock();
        } else {
            m_signal = true;
        }
    } else {
        batch.clear();
    }
    updateReading(entry.lock);
    leave(entry.lock);
}

/// Takes the messages over: with the block, or, when they fill little of it, by a copy to size.
void PipeConnection::keepMessages(MessageBatch &batch)
{
    const qint64 count = batch.count();
    const qint64 bytes = batch.bytes();
    m_pendingMessages += count;
    m_pendingBytes += bytes;
    m_statistics.messagesReceived += quint64(count);
    m_statistics.bytesReceived += quint64(bytes);
    m_hub->countReceived(count, bytes);

    const qsizetype from = batch.spans.empty() ? 0 : batch.spans.front().offset;
    const qsizetype used = batch.spans.empty() ? 0 : batch.spans.back().offset + batch.spans.back().size - from;
    if (m_hub->settings().freeThreaded || used > batch.block.size() / 4) {
        m_inbox.push_back(std::move(batch));
        batch = MessageBatch();
        return;
    }
    const bool gather = !batch.hasWhole && !m_inbox.empty()
            && m_inbox.back().block.size() + used <= GatherBlock;
    if (!gather) {
        m_inbox.emplace_back();
        m_inbox.back().hasWhole = std::exchange(batch.hasWhole, false);
        m_inbox.back().whole = std::exchange(batch.whole, QByteArray());
    }
    MessageBatch &kept = m_inbox.back();
    const quint32 shift = quint32(kept.block.size() - from);
    kept.block.append(batch.block.constData() + from, used);
    for (const MessageSpan &span : batch.spans)
        kept.spans.push_back({ span.offset + shift, span.size });
    batch.clear();
}

void PipeConnection::readEnded(ReadEnd end, const TransportError &error)
{
    Entry entry(*this);
    m_reading = false;
    m_readEnded = true;
    if (end == ReadEnd::PeerClosed)
        beginClose(entry.lock, NamedPipe::ClosedByClient);
    else if (end == ReadEnd::Failed)
        beginClose(entry.lock, NamedPipe::Failed, error);
    leave(entry.lock);
}

void PipeConnection::hangUpSeen()
{
    Entry entry(*this);
    m_peerGone = true;
    dropped();
    updateReading(entry.lock);
}

// --- Bytes out ---

void PipeConnection::startPump(Lock &lock)
{
    m_corkedBytes = 0;
    if (m_writing || m_queue.isEmpty())
        return;
    m_writing = true;
    enter();
    pump(lock);
}

/// Hands the queue to the endpoint until it is empty or an operation is pending. The caller has m_writing.
void PipeConnection::pump(Lock &lock)
{
    class PumpTask final : public EngineTask
    {
    public:
        explicit PumpTask(std::shared_ptr<PipeConnection> connection) : m_connection(std::move(connection)) { }
        void run() override
        {
            Entry entry(*m_connection);
            m_connection->pump(entry.lock);
        }

    private:
        const std::shared_ptr<PipeConnection> m_connection;
    };

    for (int round = 0;; ++round) {
        if (m_queue.isEmpty()) {
            m_writing = false;
            if (m_state == State::Draining)
                beginClose(lock, m_closeReason);
            leave(lock);
            return;
        }
        if (round == PumpRounds) {
            m_hub->engine().post(std::make_shared<PumpTask>(shared_from_this()));
            return;
        }
        m_out.swap(m_queue);
        enter();
        lock.unlock();
        const WriteProgress progress = m_endpoint->startWrite(m_out.constData(), int(m_out.size()));
        lock.lock();
        const bool goOn = progress.status != WriteProgress::Pending && applyProgress(lock, progress);
        leave(lock);
        if (!goOn)
            return;
    }
}

void PipeConnection::writeProgressed(const WriteProgress &progress)
{
    Entry entry(*this);
    if (applyProgress(entry.lock, progress))
        pump(entry.lock);
}

/// Books what was accepted. True when the operation is over and the next may begin.
bool PipeConnection::applyProgress(Lock &lock, const WriteProgress &progress)
{
    qint64 bytes = 0;
    const bool tell = progress.accepted > 0 && m_hub->wantsMessageSent() && !m_closedDelivered;
    for (int i = 0; i < progress.accepted; ++i) {
        OutgoingMessage &message = m_out[m_outDone++];
        bytes += message.data.size();
        if (tell)
            m_sentCookies.append(std::move(message.cookie));
        message.data = QByteArray();
    }
    if (progress.accepted > 0) {
        m_bytesToWrite -= bytes;
        m_messagesToWrite -= progress.accepted;
        m_statistics.messagesSent += quint64(progress.accepted);
        m_statistics.bytesSent += quint64(bytes);
        m_hub->countSent(progress.accepted, bytes);
        m_signal = m_signal || tell;
    }
    if (progress.status == WriteProgress::Pending)
        return false;

    if (progress.status == WriteProgress::Done) {
        Q_ASSERT(m_outDone == m_out.size());
        m_outDone = 0;
        emptyList(m_out);
        return true;
    }
    m_writing = false;
    if (progress.status == WriteProgress::Failed) {
        beginClose(lock, NamedPipe::Failed, progress.error);
    } else if (progress.status == WriteProgress::PeerGone) {
        // Messages of the client may still be unread: the end comes when reading has found it.
        m_peerGone = true;
        dropped();
        updateReading(lock);
    }
    dropUnsent();
    leave(lock);
    return false;
}

/// Forgets the messages that cannot be sent any more; those in the endpoint's hands only when it has returned them.
void PipeConnection::dropUnsent()
{
    const auto drop = [this](QList<OutgoingMessage> &list, qsizetype from) {
        for (qsizetype i = from; i < list.size(); ++i) {
            m_bytesToWrite -= list.at(i).data.size();
            --m_messagesToWrite;
            if (!list.at(i).isBroadcast)
                ++m_lostMessages;
        }
        list = QList<OutgoingMessage>();
    };
    drop(m_queue, 0);
    if (!m_writing) {
        drop(m_out, m_outDone);
        m_outDone = 0;
    }
}

// --- Events: the delivering thread ---

void PipeConnection::reportError(const TransportError &error)
{
    if (m_closedDelivered || m_errors.size() >= KeptErrors)
        return;
    m_errors.append(error);
    m_signal = true;
}

bool PipeConnection::hasSeveralEvents() const
{
    const Lock lock(m_mutex);
    return m_pendingMessages - m_deliveredMessages + m_sentCookies.size() + m_errors.size()
            + (m_openedDelivered ? 0 : 1) + (m_state == State::Closed ? 1 : 0)
            > 1;
}

void PipeConnection::run()
{
    m_hub->takeFromReady(*this);
    deliverOnWorker();
}

void PipeConnection::deliverOnWorker()
{
    Lock lock(m_mutex);
    if (m_delivering) {
        m_deliverAgain = true;
        return;
    }
    m_delivering = true;
    do {
        m_deliverAgain = false;
        lock.unlock();
        deliver(nullptr, INT_MAX);
        lock.lock();
    } while (m_deliverAgain);
    m_delivering = false;
}

bool PipeConnection::deliver(DeliveryBudget *budget, int quantum)
{
    std::unique_ptr<ConnectionFace> face; // destroyed unlocked, after the entry
    Entry entry(*this);
    Lock &lock = entry.lock;
    if (!m_face)
        return false;
    ++m_deliverDepth;
    bool isLeft = false;
    while (!m_hub->isSilent() && !m_closedDelivered) {
        isLeft = true;
        if (!m_openedDelivered) {
            m_openedDelivered = true;
            emitUnlocked(lock, [this] { m_face->opened(); });
        } else if (deliverPrompt(lock)) {
        } else if (quantum <= 0 || (budget && budget->isSpent())) {
            break;
        } else if (deliverMessages(lock, budget, &quantum)) {
        } else if (m_state == State::Closed && m_pendingMessages == m_deliveredMessages) {
            deliverClosed(lock);
        } else {
            isLeft = false;
            break;
        }
    }
    if (--m_deliverDepth == 0 && (m_closedDelivered || m_hub->isSilent()))
        face = std::move(m_face); // not earlier: a slot further up the stack still has the connection in its hands
    return isLeft && !m_closedDelivered && !m_hub->isSilent();
}

bool PipeConnection::deliverPrompt(Lock &lock)
{
    if (!m_sentCookies.isEmpty()) {
        const QVariant cookie = m_sentCookies.takeFirst();
        if (m_sentCookies.isEmpty())
            emptyList(m_sentCookies);
        emitUnlocked(lock, [&] { m_face->messageSent(cookie); });
        return true;
    }
    if (!m_errors.isEmpty()) {
        const TransportError error = m_errors.takeFirst();
        emitUnlocked(lock, [&] { m_face->errorOccurred(error.error, error.text()); });
        return true;
    }
    return false;
}

/// Delivers messages for as long as they may be; true when something was done.
bool PipeConnection::deliverMessages(Lock &lock, DeliveryBudget *budget, int *quantum)
{
    if (m_pendingMessages == m_deliveredMessages)
        return false;
    if (!m_continueDelivery) {
        dropUndelivered(lock);
        return true;
    }
    if (m_takenIndex == m_taken.size()) {
        m_taken.clear();
        m_takenIndex = 0;
        m_taken.swap(m_inbox);
    }
    lock.unlock();
    const int before = *quantum;
    const auto outerCork = corkedConnection;
    QByteArray data;
    QVariant cookie;
    while (hasNextMessage() && takeCookie(&cookie)) {
        nextMessage(&data);
        corkedConnection = hasNextMessage() ? this : nullptr;
        emitGuarded([&] { m_face->messageReceived(cookie, data); });
        --*quantum;
        if (*quantum <= 0 || m_hub->isSilent() || !m_continueDelivery || (budget && budget->isSpent()))
            break;
    }
    corkedConnection = outerCork;
    lock.lock();
    startPump(lock);
    settleDelivered(lock);
    if (*quantum != before || m_takenIndex == m_taken.size())
        return true;
    if (m_hub->isStopping()) { // nobody has asked for them, and nobody will
        dropUndelivered(lock);
        return true;
    }
    return false;
}

/// Goes on to the next batch that has a message left; what is used up goes back to the pool.
bool PipeConnection::hasNextMessage()
{
    while (m_takenIndex < m_taken.size()) {
        MessageBatch &batch = m_taken[m_takenIndex];
        if (batch.hasWhole || m_spanIndex < batch.spans.size())
            return true;
        m_hub->engine().pool().give(std::move(batch));
        ++m_takenIndex;
        m_spanIndex = 0;
    }
    return false;
}

/// The next message as a QByteArray of its own: the one that \a data holds when no slot has kept it.
void PipeConnection::nextMessage(QByteArray *data)
{
    MessageBatch &batch = m_taken[m_takenIndex];
    if (batch.hasWhole) {
        batch.hasWhole = false;
        *data = std::exchange(batch.whole, QByteArray());
    } else {
        const MessageSpan span = batch.spans[m_spanIndex++];
        const qsizetype size = span.size;
        if (span.offset == 0 && batch.spans.size() == 1 && size > batch.block.size() / 2) {
            *data = std::exchange(batch.block, QByteArray()); // it fills most of the block
            data->truncate(size);
        } else if (size > 0 && data->isDetached() && data->capacity() >= size
                   && data->capacity() <= 2 * size + 512) {
            data->resize(size);
            std::memcpy(data->data(), batch.block.constData() + span.offset, size_t(size));
        } else {
            *data = QByteArray(batch.block.constData() + span.offset, size);
        }
    }
    ++m_deliveredMessages;
    m_deliveredBytes += data->size();
}

/// Whether the next message may be delivered, and with which cookie.
bool PipeConnection::takeCookie(QVariant *cookie)
{
    if (m_requestCount.load(std::memory_order_acquire) > 0) {
        const Lock lock(m_mutex);
        *cookie = m_requests.takeFirst();
        m_requestCount.store(int(m_requests.size()), std::memory_order_release);
        return true;
    }
    if (cookie->isValid())
        *cookie = QVariant();
    return m_hub->readsContinuously();
}

void PipeConnection::settleDelivered(Lock &lock)
{
    m_pendingMessages -= std::exchange(m_deliveredMessages, 0);
    m_pendingBytes -= std::exchange(m_deliveredBytes, 0);
    updateReading(lock);
}

void PipeConnection::dropUndelivered(Lock &lock)
{
    m_taken.clear();
    m_takenIndex = 0;
    m_spanIndex = 0;
    m_inbox.clear();
    m_pendingMessages = 0;
    m_pendingBytes = 0;
    m_deliveredMessages = 0;
    m_deliveredBytes = 0;
    updateReading(lock);
}

void PipeConnection::deliverClosed(Lock &lock)
{
    if (m_closeError) {
        const TransportError error = std::exchange(m_closeError, TransportError());
        emitUnlocked(lock, [&] { m_face->errorOccurred(error.error, error.text()); });
        return;
    }
    m_closedDelivered = true;
    m_requests.clear();
    m_requestCount.store(0, std::memory_order_release);
    emitUnlocked(lock, [this] { m_face->closed(); });
    lock.unlock();
    m_hub->connectionGone(m_id);
    lock.lock();
}

template<typename Emission>
void PipeConnection::emitUnlocked(Lock &lock, Emission emission)
{
    lock.unlock();
    emitGuarded(emission);
    lock.lock();
}

/// In free-threaded mode a slot that throws harms its own connection only; on the owner's
/// thread Qt's own rule for exceptions in event handlers stays in force.
template<typename Emission>
void PipeConnection::emitGuarded(Emission emission)
{
    if (!m_hub->settings().freeThreaded)
        return emission();
    QString what;
    try {
        return emission();
    } catch (const std::exception &exception) {
        what = QString::fromLocal8Bit(exception.what());
    } catch (...) {
        what = tr("of an unknown type");
    }
    qCWarning(lcConnection, "connection %llu: a slot threw an exception: %ls",
              static_cast<unsigned long long>(m_id), qUtf16Printable(what));
    Entry entry(*this);
    beginClose(entry.lock, NamedPipe::Failed,
               { NamedPipe::SystemError, 0, "", tr("a slot threw an exception: %1").arg(what) });
}

} // namespace QtNamedPipes
