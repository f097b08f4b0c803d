// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "core/pipeconnection.h"

#include "core/connectionhub.h"
#include "core/logging.h"
#include "core/pipedialer.h"
#include "core/text.h"

#include <climits>
#include <cstring>
#include <exception>
#include <utility>

namespace QtNamedPipes {

// What a message takes beside its bytes, counted towards the limits: a flood of tiny messages is
// bounded like one of large ones.
static constexpr qint64 QueueEntryCost = sizeof(OutgoingMessage);
// Its place, and what lists and blocks that grow have to spare.
static constexpr qint64 SpanCost = 4 * sizeof(MessageSpan);
static constexpr qint64 LeastForEvents = 64 * 1024;
// Small batches are gathered in a block of this size while they wait for the owner's thread.
static constexpr qsizetype GatherBlock = 16 * 1024;
// Replies written by a slot that has more messages before it are sent together up to this size.
static constexpr qint64 CorkLimit = 64 * 1024;
// asyncWrite() returns at once: a thread that finds ever more to send leaves it to a worker.
static constexpr int PumpRounds = 8;
static constexpr std::chrono::seconds SendPendingDeadline { 5 };
// A queue that a burst has made larger than this is given back when it is empty.
static constexpr qsizetype KeptCapacity = 16;

PipeConnection::Entry::~Entry()
{
    if (!owns_lock()) // a slot's exception is on its way
        lock();
    PipeConnection &c = m_connection;
    bool signal = std::exchange(c.m_signal, false);
    const bool released = std::exchange(c.m_released, false);
    if (signal && c.m_delivering) { // that worker goes on until there is nothing left
        c.m_deliverAgain = true;
        signal = false;
    }
    const auto self = signal ? c.shared_from_this() : nullptr;
    const auto hub = released ? c.m_hub : nullptr;
    const quint64 id = c.m_id;
    unlock();
    static const char *const names[] = { "Opening", "Open", "Draining", "Closing", "Closed" };
    for (int i = 0; i < m_transitionCount; ++i)
        qCDebug(lcConnection, "connection %llu: %s -> %s", static_cast<unsigned long long>(id),
                names[int(m_transitions[i][0])], names[int(m_transitions[i][1])]);
    if (self)
        self->m_hub->makeReady(self);
    if (hub) // last: stop() waits for it, and then wants to find the events
        hub->handleReleased();
}

void PipeConnection::Entry::log(State from, State to)
{
    m_transitions[m_transitionCount][0] = from;
    m_transitions[m_transitionCount++][1] = to;
}

PipeConnection::PipeConnection(std::shared_ptr<ConnectionHub> hub,
                               std::shared_ptr<PipeEndpoint> endpoint, quint64 id)
    : m_hub(std::move(hub)),
      m_id(id),
      m_connected(endpoint != nullptr),
      m_endpoint(std::move(endpoint)),
      m_state(m_endpoint ? State::Open : State::Opening),
      m_hasOpened(m_endpoint != nullptr)
{
    if (m_endpoint)
        m_peer = m_endpoint->peer();
}

PipeConnection::~PipeConnection() = default;

void PipeConnection::open(std::unique_ptr<ConnectionFace> face)
{
    Entry entry(*this);
    m_face = std::move(face);
    beginReading(entry);
}

/// The first read, and the watch for the end.
void PipeConnection::beginReading(Entry &entry)
{
    m_signal = true;
    updateReading(entry);
    if (m_state == State::Open)
        callEndpoint(entry, [](PipeEndpoint &endpoint) { endpoint.watch(); });
}

// --- Dialing ---

void PipeConnection::dial(std::unique_ptr<ConnectionFace> face, const DialSettings &settings)
{
    Entry entry(*this);
    if (m_closedDelivered) // the owner has stopped meanwhile; the face goes unlocked
        return;
    m_face = std::move(face);
    if (m_state == State::Opening)
        PipeDialer::start(m_hub->engine(), weak_from_this(), settings);
    else
        m_signal = true; // closed before it began
}

bool PipeConnection::isDialing() const
{
    const Lock lock(m_mutex);
    return m_state == State::Opening;
}

void PipeConnection::dialed(std::shared_ptr<PipeEndpoint> endpoint)
{
    m_hub->handleAcquired();
    endpoint->attach(shared_from_this());
    Entry entry(*this);
    if (m_state != State::Opening) { // closed meanwhile
        entry.unlock();
        endpoint->close();
        m_hub->handleReleased();
        return;
    }
    m_endpoint = std::move(endpoint);
    m_peer = m_endpoint->peer();
    m_hasOpened = true;
    m_errorsBeforeOpened = m_errors.size();
    transition(entry, State::Open);
    m_connected.store(true, std::memory_order_release);
    m_hub->connectionOpened();
    if (m_peerGone) // hangUpSeen() was faster
        dropped();
    beginReading(entry);
}

void PipeConnection::dialFailed(const TransportError &error)
{
    Entry entry(*this);
    if (m_state == State::Opening)
        beginClose(entry, NamedPipe::Failed, error);
}

void PipeConnection::dialDelayed(const TransportError &error)
{
    Entry entry(*this);
    if (m_state == State::Opening)
        reportError(error);
}

// --- The user's calls: any thread ---

void PipeConnection::read(const QVariant &cookie)
{
    QVariant kept =
            cookie; // copied and, if need be, destroyed unlocked: the type may be the user's
    Entry entry(*this);
    if (m_closedDelivered)
        return;
    m_requests.append(std::move(kept));
    m_requestCount.store(int(m_requests.size()), std::memory_order_release);
    if (m_pendingMessages > 0 || m_state == State::Closed)
        m_signal = true;
    updateReading(entry);
}

bool PipeConnection::write(const QByteArray &data, const QVariant &cookie, bool isBroadcast)
{
    OutgoingMessage message(data, cookie, isBroadcast); // unlocked, as in read()
    Entry entry(*this);
    const auto refuse = [this](NamedPipe::Error error, const QString &text) {
        reportError({ error, 0, "", text });
        return false;
    };
    if (!isConnected()) {
        return !isBroadcast
                && refuse(NamedPipe::NotConnected,
                          m_state == State::Opening
                                  ? Text::tr("asyncWrite: the connection is not made yet")
                                  : Text::tr("asyncWrite: the connection is closed"));
    }
    if (data.isEmpty())
        return true;
    const qint64 size = data.size();
    if (size > m_hub->engine().maximumWriteSize()) {
        return refuse(NamedPipe::MessageTooLarge,
                      Text::tr("asyncWrite: a message of %1 bytes is more than can be sent as one")
                              .arg(size));
    }
    const qint64 limit = m_hub->settings().maximumPendingWriteBytes;
    const bool isQueueFull =
            m_bytesToWrite + size > limit || (m_messagesToWrite + 1) * QueueEntryCost > limit;
    // One message of any size goes into an empty queue.
    if (hasUnsent() && isQueueFull) {
        return refuse(NamedPipe::WriteQueueFull,
                      Text::tr("asyncWrite: the other side does not read, and %1 bytes are queued")
                              .arg(m_bytesToWrite));
    }
    // Sent messages that nobody has been told of take memory too.
    if (m_sentCookies.size() * QueueEntryCost > qMax(limit, LeastForEvents)) {
        return refuse(NamedPipe::WriteQueueFull,
                      Text::tr("asyncWrite: of %1 messages that were sent nobody has been told yet")
                              .arg(m_sentCookies.size()));
    }
    if (m_queue.capacity() == 0)
        m_queue = m_hub->spareQueues().take();
    m_queue.append(std::move(message));
    m_bytesToWrite += size;
    ++m_messagesToWrite;
    if (isCorkedHere() && m_corkedBytes + size < CorkLimit)
        m_corkedBytes += size;
    else if (isBroadcast)
        postPump();
    else
        startPump(entry);
    return true;
}

void PipeConnection::close(NamedPipe::CloseMode mode)
{
    Entry entry(*this);
    if (m_closedDelivered)
        return;
    // Who closes a connection wants no more of its messages.
    m_continueDelivery.store(false, std::memory_order_release);
    // Nobody knows yet that it was made, or has made use of it: then it never was.
    const bool isUnused =
            m_statistics.messagesSent == 0 && !hasUnsent() && m_unsentCookies.isEmpty();
    if (m_hub->settings().side == Side::Client && !m_openedDelivered && isUnused)
        m_hasOpened = false;
    m_signal = true;
    startPump(entry); // what a slot has written before it closes is not held back by the cork
    if (mode == NamedPipe::SendPending && hasUnsent())
        beginDraining(entry, m_hub->ownReason(), Clock::now() + SendPendingDeadline);
    else
        beginClose(entry, m_hub->ownReason());
}

void PipeConnection::stop(NamedPipe::CloseMode mode, Clock::time_point deadline)
{
    Entry entry(*this);
    startPump(entry);
    if (mode == NamedPipe::SendPending && hasUnsent())
        beginDraining(entry, m_hub->stopReason(), deadline);
    else
        beginClose(entry, m_hub->stopReason());
    if (m_state == State::Closed)
        m_signal = true; // messages that nobody asked for keep it no longer
}

qintptr PipeConnection::handle() const
{
    const Lock lock(m_mutex);
    return m_endpoint ? m_endpoint->handle() : -1;
}

PeerIdentity PipeConnection::peer() const
{
    const Lock lock(m_mutex);
    return m_peer;
}

bool PipeConnection::isOpening() const
{
    const Lock lock(m_mutex);
    return m_state == State::Opening || (isConnected() && !m_openedDelivered);
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
    updateReading(entry);
}

void PipeConnection::forget()
{
    // Destroyed unlocked: the cookies may hold the user's object, too.
    std::unique_ptr<ConnectionFace> face;
    QList<QVariant> requests, sent, unsent;
    const Lock lock(m_mutex);
    requests.swap(m_requests);
    m_requestCount.store(0, std::memory_order_release);
    sent.swap(m_sentCookies);
    unsent.swap(m_unsentCookies);
    m_closedDelivered = true;
    if (m_deliverDepth == 0) // else its deliver() does it
        face = std::move(m_face);
}

// --- The end ---

void PipeConnection::transition(Entry &entry, State to)
{
    Q_ASSERT(int(to) > int(m_state));
    entry.log(std::exchange(m_state, to), to);
}

/// The connection is no longer to be used, by the other side's doing or by ours.
void PipeConnection::dropped()
{
    if (m_connected.exchange(false, std::memory_order_acq_rel))
        m_hub->connectionDropped();
}

void PipeConnection::beginDraining(Entry &entry, NamedPipe::CloseReason reason,
                                   Clock::time_point deadline)
{
    class DrainDeadline final : public EngineTask
    {
    public:
        explicit DrainDeadline(std::weak_ptr<PipeConnection> connection)
            : m_connection(std::move(connection))
        {
        }
        void run() override
        {
            const auto connection = m_connection.lock();
            if (!connection)
                return;
            Entry entry(*connection);
            if (connection->m_state != State::Draining)
                return;
            connection->m_hub->sendingTimedOut();
            connection->beginClose(
                    entry, NamedPipe::Failed,
                    { NamedPipe::ConnectionBroken, 0, "",
                      Text::tr("the other side did not read in time: %1 messages were not sent")
                              .arg(connection->m_messagesToWrite) });
        }

    private:
        const std::weak_ptr<PipeConnection> m_connection;
    };

    if (m_state != State::Open && m_state != State::Draining)
        return;
    if (m_state == State::Draining && deadline >= m_drainDeadline)
        return;
    m_drainDeadline = deadline;
    m_hub->engine().postAt(deadline, std::make_shared<DrainDeadline>(weak_from_this()));
    if (m_state == State::Draining)
        return;
    transition(entry, State::Draining);
    m_closeReason = reason;
    dropped();
    updateReading(entry); // what arrives is dropped, and the client's own close is seen
}

void PipeConnection::beginClose(Entry &entry, NamedPipe::CloseReason reason,
                                const TransportError &error)
{
    if (m_state == State::Closing || m_state == State::Closed)
        return;
    transition(entry, State::Closing);
    if (m_closeReason == NamedPipe::StillOpen)
        m_closeReason = reason;
    dropped();
    dropUnsent(entry);
    m_closeError = error;
    m_peerGone = m_peerGone || reason == m_hub->peerReason();
    if (m_endpoint)
        callEndpoint(entry, [](PipeEndpoint &endpoint) { endpoint.cancel(); });
    else
        releaseWhenDone(entry);
}

/// Calls the endpoint, unlocked; it is not closed meanwhile.
template<typename Call>
void PipeConnection::callEndpoint(Entry &entry, Call call)
{
    ++m_calls;
    entry.unlock();
    call(*m_endpoint);
    entry.lock();
    --m_calls;
    releaseWhenDone(entry);
}

void PipeConnection::endOperation(Entry &entry)
{
    --m_inFlight;
    releaseWhenDone(entry);
}

void PipeConnection::releaseWhenDone(Entry &entry)
{
    if (m_state != State::Closing || m_calls > 0)
        return;
    // A worker that is in a slot of this connection goes on with the end when the slot has returned.
    if (m_inFlight == 0 || (m_isAbandoned && !m_delivering))
        releaseEndpoint(entry);
}

void PipeConnection::abandonOperations()
{
    int given = 0;
    {
        Entry entry(*this);
        if (m_state != State::Closing || m_isReleasing)
            return;
        m_isAbandoned = true;
        given = m_inFlight;
        releaseWhenDone(entry);
    }
    qCWarning(lcConnection, "connection %llu: the system did not complete %d operations in time",
              static_cast<unsigned long long>(m_id), given);
}

void PipeConnection::releaseEndpoint(Entry &entry)
{
    if (std::exchange(m_isReleasing, true))
        return;
    if (auto endpoint = std::exchange(m_endpoint, nullptr)) {
        entry.unlock();
        endpoint->close();
        endpoint.reset();
        entry.lock();
        m_released = true;
    }
    if (m_writing) { // abandoned: the messages stay where the system may still look at them
        bookUnsent(entry, m_out, m_outDone);
    }
    // Now that the endpoint has returned what it had.
    if (m_peerGone && !m_closeError && m_lostMessages > 0) {
        m_closeError = {
            NamedPipe::ConnectionBroken, 0, "",
            Text::tr("the other side closed before %1 messages were sent").arg(m_lostMessages)
        };
    }
    transition(entry, State::Closed);
    m_signal = true;
}

// --- Bytes in ---

/// The memory that received messages take.
qint64 PipeConnection::pendingCost() const
{
    return m_pendingBytes + m_pendingMessages * SpanCost + m_usedBytes;
}

/// Whether the limits and the mode of reading allow another read now.
bool PipeConnection::mayRead()
{
    if (m_state == State::Draining)
        return true;
    if (m_pendingMessages > 0) {
        const qint64 limit = m_hub->settings().maximumPendingReadBytes;
        m_paused = pendingCost() >= (m_paused ? limit / 2 : limit);
        // A worker delivers what it has before it reads more.
        if (m_paused || (m_hub->settings().freeThreaded && m_hub->readsContinuously()))
            return false;
    } else {
        m_paused = false;
    }
    return m_peerGone || m_hub->readsContinuously() || m_requests.size() > m_pendingMessages;
}

void PipeConnection::updateReading(Entry &entry)
{
    const bool hasEndpoint = m_state == State::Open || m_state == State::Draining;
    if (m_reading || m_readEnded || !hasEndpoint || !mayRead())
        return;
    const qint64 limit = m_hub->settings().maximumPendingReadBytes;
    const qint64 roughly =
            m_state == State::Draining ? limit : qMax<qint64>(limit - pendingCost(), 1);
    m_reading = true;
    beginOperation();
    callEndpoint(entry, [roughly](PipeEndpoint &endpoint) { endpoint.startRead(roughly); });
}

void PipeConnection::received(MessageBatch &batch)
{
    Entry entry(*this);
    m_reading = false;
    if (m_state == State::Open) {
        keepMessages(batch);
        if (m_hub->settings().freeThreaded) {
            // The next read starts when all is delivered, here or, when that takes long, later:
            // that is the order, and the back pressure.
            deliverOnWorker(entry);
        } else {
            m_signal = true;
        }
    } else {
        batch.clear();
    }
    updateReading(entry);
    endOperation(entry);
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
    const qsizetype used =
            batch.spans.empty() ? 0 : batch.spans.back().offset + batch.spans.back().size - from;
    const bool isDeliveredNow = m_hub->settings().freeThreaded;
    if (used > batch.block.size() / 4 || (isDeliveredNow && batch.spans.size() > 1)) {
        m_inbox.push_back(std::move(batch));
        batch = MessageBatch();
        return;
    }
    const bool gather = batch.wholes.empty() && !m_inbox.empty()
            && m_inbox.back().block.size() + used <= GatherBlock;
    if (!gather) {
        m_inbox.emplace_back();
        m_inbox.back().wholes = std::move(batch.wholes);
        if (count == 1 && used > 0) { // an array of its own, as it will be delivered
            const char *const message = batch.block.constData() + from;
            QByteArray array = m_hub->engine().pool().takeArray(used);
            m_inbox.back().wholes.append(array.isNull() ? QByteArray(message, used)
                                                        : std::move(array.append(message, used)));
            batch.clear();
            return;
        }
        m_inbox.back().spans.reserve(batch.spans.size());
    }
    MessageBatch &kept = m_inbox.back();
    const quint32 shift = quint32(kept.block.size() - from);
    kept.block.append(batch.block.constData() + from, used);
    for (const MessageSpan &span : batch.spans)
        kept.spans.emplace_back(span.offset + shift, span.size);
    batch.clear();
}

void PipeConnection::readEnded(ReadEnd end, const TransportError &error)
{
    Entry entry(*this);
    m_reading = false;
    m_readEnded = true;
    if (end == ReadEnd::PeerClosed)
        beginClose(entry, m_hub->peerReason());
    else if (end == ReadEnd::Failed)
        beginClose(entry, NamedPipe::Failed, error);
    endOperation(entry);
}

void PipeConnection::hangUpSeen()
{
    Entry entry(*this);
    peerIsGone();
    updateReading(entry);
}

/// Seen otherwise than by reading. When it is being closed anyway, that is not the reason.
void PipeConnection::peerIsGone()
{
    m_peerGone = m_peerGone || m_state < State::Closing;
    dropped();
}

// --- Bytes out ---

void PipeConnection::startPump(Entry &entry)
{
    m_corkedBytes = 0;
    if (m_writing || m_queue.isEmpty())
        return;
    m_writing = true;
    beginOperation();
    pump(entry);
}

/// A worker sends what is queued by then: many messages to many connections are told to the system
/// once for each connection, and the caller does not wait for it.
void PipeConnection::postPump()
{
    class StartPumpTask final : public EngineTask
    {
    public:
        explicit StartPumpTask(std::shared_ptr<PipeConnection> connection)
            : m_connection(std::move(connection))
        {
        }
        void run() override
        {
            Entry entry(*m_connection);
            m_connection->m_pumpPosted = false;
            m_connection->startPump(entry);
        }

    private:
        const std::shared_ptr<PipeConnection> m_connection;
    };

    if (m_writing || std::exchange(m_pumpPosted, true))
        return; // who sends, or will send, finds it
    m_hub->engine().post(std::make_shared<StartPumpTask>(shared_from_this()));
}

/// Hands the queue to the endpoint until it is empty or an operation is pending. The caller has
/// m_writing.
void PipeConnection::pump(Entry &entry)
{
    class PumpTask final : public EngineTask
    {
    public:
        explicit PumpTask(std::shared_ptr<PipeConnection> connection)
            : m_connection(std::move(connection))
        {
        }
        void run() override
        {
            Entry entry(*m_connection);
            m_connection->pump(entry);
        }

    private:
        const std::shared_ptr<PipeConnection> m_connection;
    };

    for (int round = 0;; ++round) {
        if (m_queue.isEmpty()) {
            m_writing = false;
            if (m_state == State::Draining)
                beginClose(entry, m_closeReason);
            endOperation(entry);
            return;
        }
        if (round == PumpRounds) {
            m_hub->engine().post(std::make_shared<PumpTask>(shared_from_this()));
            return;
        }
        m_out.swap(m_queue);
        WriteProgress progress;
        callEndpoint(entry,
                     [&, messages = m_out.constData(),
                      count = int(m_out.size())](PipeEndpoint &endpoint) {
                         progress = endpoint.startWrite(messages, count);
                     });
        if (progress.status == WriteProgress::Pending || !applyProgress(entry, progress))
            return;
    }
}

void PipeConnection::writeProgressed(const WriteProgress &progress)
{
    Entry entry(*this);
    if (applyProgress(entry, progress))
        pump(entry);
}

/// Books what was accepted. True when the operation is over and the next may begin.
bool PipeConnection::applyProgress(Entry &entry, const WriteProgress &progress)
{
    if (m_state == State::Closed) // abandoned, and booked as not sent
        return false;
    const bool tell = m_hub->wantsMessageSent() && !m_closedDelivered;
    qint64 bytes = 0;
    OutgoingMessage *const sent = m_out.data() + m_outDone;
    SpareArrays::List spares;
    if (progress.accepted > 1)
        spares.reserve(qMin<size_t>(size_t(progress.accepted), SpareArrays::MostInList));
    for (int i = 0; i < progress.accepted; ++i) {
        bytes += sent[i].data.size();
        if (tell)
            m_sentCookies.append(std::move(sent[i].cookie));
        else
            entry.discard(std::move(sent[i].cookie));
        SpareArrays::add(spares, std::exchange(sent[i].data, QByteArray()));
    }
    m_outDone += progress.accepted;
    if (!spares.empty())
        m_hub->spareArrays().give(spares);
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
        m_out.clear();
        if (m_out.capacity() > KeptCapacity)
            m_hub->spareQueues().give(m_out);
        return true;
    }
    m_writing = false;
    dropUnsent(entry);
    if (progress.status == WriteProgress::Failed) {
        beginClose(entry, NamedPipe::Failed, progress.error);
    } else if (progress.status == WriteProgress::PeerGone) {
        // Messages of the peer may still be unread: the end comes when reading has found it.
        peerIsGone();
        if (m_state == State::Draining)
            beginClose(entry, m_hub->peerReason());
        else
            updateReading(entry);
    }
    endOperation(entry);
    return false;
}

/// Forgets the messages that cannot be sent any more; those in the endpoint's hands only when it
/// has returned them.
void PipeConnection::dropUnsent(Entry &entry)
{
    bookUnsent(entry, m_queue, 0);
    m_queue = QList<OutgoingMessage>();
    if (!m_writing) {
        bookUnsent(entry, m_out, m_outDone);
        m_out = QList<OutgoingMessage>();
        m_outDone = 0;
    }
}

void PipeConnection::bookUnsent(Entry &entry, QList<OutgoingMessage> &list, qsizetype from)
{
    const bool tell = m_hub->tellsUnsent() && !m_closedDelivered;
    // In the order of the calls: the endpoint returns what it had when the queue is gone already.
    QList<QVariant> later;
    if (&list == &m_out)
        later.swap(m_unsentCookies);
    for (qsizetype i = from; i < list.size(); ++i) {
        m_bytesToWrite -= list[i].data.size();
        --m_messagesToWrite;
        if (!list[i].isBroadcast)
            ++m_lostMessages;
        if (tell)
            m_unsentCookies.append(std::move(list[i].cookie));
        else
            entry.discard(std::move(list[i].cookie));
    }
    for (QVariant &cookie : later)
        m_unsentCookies.append(std::move(cookie));
}

} // namespace QtNamedPipes
