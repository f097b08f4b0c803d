// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// The other half of PipeConnection: how its events reach the slots, on the delivering thread.

#include "core/connectionhub.h"
#include "core/logging.h"
#include "core/pipeconnection.h"
#include "core/text.h"

#include <QtCore/qscopeguard.h>

#include <climits>
#include <cstddef>
#include <cstring>
#include <exception>
#include <utility>

namespace QtNamedPipes {

// Refusals that wait to be told; who listens to none of so many is spared the rest.
static constexpr int KeptErrors = 1024;

// One emission of a batch has at most so many messages, and should not take longer than that.
static constexpr int MostInBatch = 4096;
static constexpr auto LongForBatch = std::chrono::microseconds(400);

// Before a slot gets a message as large as this, reading may go on: the worker has time for the next
// one meanwhile.
static constexpr qsizetype LargeMessage = 32 * 1024;

// The connection whose batch this thread is delivering, while more of the batch is to come:
// its replies wait for each other. Only its own: a slow slot delays nobody else's messages.
static thread_local PipeConnection *corkedConnection = nullptr;

/// Corks a connection on this thread until its end, or until uncork().
class PipeConnection::Cork
{
public:
    Cork() : m_current(corkedConnection), m_outer(m_current) { }
    ~Cork() { m_current = m_outer; }
    Cork(const Cork &) = delete;
    Cork &operator=(const Cork &) = delete;

    void set(PipeConnection *connection) { m_current = connection; }

private:
    PipeConnection *&m_current; // a thread's variable is looked up once
    PipeConnection *const m_outer;
};

/// The answer to a request, if there was one.
struct PipeConnection::Cookie
{
    QVariant value;
    bool isSet = false; ///< a look at a QVariant is a call
};

bool PipeConnection::isCorkedHere() const
{
    return corkedConnection == this;
}

void PipeConnection::uncork()
{
    if (PipeConnection *const connection = std::exchange(corkedConnection, nullptr)) {
        Entry entry(*connection);
        connection->startPump(entry);
    }
}

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
    if (m_closedDelivered)
        return false;
    const qint64 pending = m_pendingMessages - m_deliveredMessages;
    qint64 messages = pending;
    if (m_continueDelivery && !m_hub->readsContinuously())
        messages = qMin<qint64>(messages, m_requests.size());
    // The end comes behind messages that nobody has asked for yet.
    const bool mayEnd = m_state == State::Closed && messages == pending;
    const qint64 ending = mayEnd ? m_unsentCookies.size() + (m_closeError ? 2 : 1) : 0;
    return messages + promptCount() + ending > 1;
}

void PipeConnection::run()
{
    m_hub->takeFromReady(*this);
    Entry entry(*this);
    deliverOnWorker(entry);
}

/// Free-threaded: delivers on this worker unless another one is at it, which then goes on.
void PipeConnection::deliverOnWorker(Entry &entry)
{
    if (m_delivering) {
        m_deliverAgain = true;
        return;
    }
    m_delivering = true;
    DeliveryBudget budget(m_hub->settings().slice);
    bool isLeft = false;
    do {
        m_signal = m_deliverAgain = false; // it is what comes now
        isLeft = deliver(entry, &budget, INT_MAX);
    } while (!isLeft && (m_signal || m_deliverAgain));
    m_delivering = false;
    m_signal = m_signal || isLeft || m_deliverAgain; // others have their turn before the rest
    releaseWhenDone(entry);
}

bool PipeConnection::deliver(DeliveryBudget *budget, int quantum)
{
    Entry entry(*this);
    return deliver(entry, budget, quantum);
}

bool PipeConnection::deliver(Entry &entry, DeliveryBudget *budget, int quantum)
{
    if (!m_face)
        return false;
    ++m_deliverDepth;
    const auto leaveDelivery = qScopeGuard([&] {
        if (!entry.owns_lock()) // a slot's exception is on its way
            entry.lock();
        // Not earlier: a slot further up the stack still has the connection in its hands.
        if (--m_deliverDepth == 0 && (m_closedDelivered || m_hub->isSilent()))
            entry.discard(std::move(m_face));
    });
    bool isFirst = true; // who was first in line does not go to its end for nothing
    const auto isEnough = [&] {
        return !std::exchange(isFirst, false) && (quantum <= 0 || (budget && budget->isSpent()));
    };
    const auto isOver = [this] { return m_hub->isSilent() || m_closedDelivered; };
    // In rounds: a slot that brings about the next event of the kind that it was called for, by
    // writing again say, keeps nothing else from being delivered, and not the end either. A round
    // goes on in the next turn where this one has ended: the slot may take longer than a turn.
    while (!isOver()) {
        if (m_promptsLeft < 0)
            m_promptsLeft = promptCount();
        while (m_promptsLeft > 0 && !isOver()) {
            if (isEnough())
                return true;
            --m_promptsLeft;
            deliverPrompt(entry);
            --quantum;
        }
        const bool mustOpen = m_hasOpened && !m_openedDelivered;
        if (!mustOpen && (hasMessages() || isAtEnd()) && isEnough())
            return true;
        m_promptsLeft = -1;
        if (mustOpen || isOver() || deliverMessages(entry, budget, &quantum))
            continue;
        if (isAtEnd())
            deliverClosed(entry);
        else if (promptCount() == 0)
            return false;
    }
    return false;
}

/// Nothing is left but the last events. (New refusals are: a slot may go on bringing them about.)
bool PipeConnection::isAtEnd() const
{
    return m_state == State::Closed && !hasMessages() && m_sentCookies.isEmpty();
}

/// How many events wait for no message.
qsizetype PipeConnection::promptCount() const
{
    const bool opens = m_hasOpened && !m_openedDelivered;
    return m_sentCookies.size() + m_errors.size() + (opens ? 1 : 0);
}

/// One of them.
void PipeConnection::deliverPrompt(Entry &entry)
{
    if (m_errorsBeforeOpened == 0 && m_hasOpened && !m_openedDelivered) {
        m_openedDelivered = true;
        emitUnlocked(entry, [this] { m_face->opened(); });
    } else if (m_errorsBeforeOpened == 0 && !m_sentCookies.isEmpty()) {
        QVariant cookie = m_sentCookies.takeFirst();
        if (m_sentCookies.isEmpty())
            m_sentCookies = QList<QVariant>();
        emitUnlocked(entry, [&] { // and destroyed unlocked
            const QVariant taken = std::move(cookie);
            m_face->messageSent(taken);
        });
    } else if (!m_errors.isEmpty()) {
        const TransportError error = m_errors.takeFirst();
        m_errorsBeforeOpened = qMax<qsizetype>(m_errorsBeforeOpened - 1, 0);
        emitUnlocked(entry, [&] { m_face->errorOccurred(error.error, error.text()); });
    }
}

/// Delivers messages for as long as they may be; true when something was done.
bool PipeConnection::deliverMessages(Entry &entry, DeliveryBudget *budget, int *quantum)
{
    if (m_pendingMessages == m_deliveredMessages) {
        if (m_deliveredMessages > 0) // a slot further up the stack runs an event loop
            settleDelivered(entry);
        return false;
    }
    if (!m_continueDelivery) {
        dropUndelivered(entry);
        return true;
    }
    if (m_takenIndex == m_taken.size()) {
        m_taken.clear();
        m_takenIndex = 0;
        m_taken.swap(m_inbox);
    }
    // With a single message no event is posted, by which a slot with an event loop would uncork.
    const qint64 pending = m_pendingMessages - m_deliveredMessages;
    PipeConnection *const corked = pending > 1 ? this : nullptr;
    const int before = *quantum;
    bool isTold = false;
    entry.unlock();
    {
        const auto settle = qScopeGuard([&] { // also when a slot throws
            entry.lock();
            startPump(entry);
            settleDelivered(entry);
        });
        Cork cork;
        QByteArray data;
        SpareArrays::List spares = m_hub->spareArrays().take();
        Cookie cookie;
        const auto listeners = m_face->listeners();
        bool goesOn = hasNextMessage();
        while (goesOn) {
            if (listeners.toBatches && m_toldInBatch == 0 && mayDeliverBatch()) {
                cork.set(corked);
                *quantum -= deliverBatch(listeners);
                isTold = true; // the same messages one by one may be what is left
            } else if (takeCookie(&cookie)) {
                nextMessage(&data, spares);
                if (data.size() >= LargeMessage && !m_hub->settings().freeThreaded) {
                    Entry settling(*this); // tells of what it finds before the slot is called
                    settleDelivered(settling);
                }
                // Only when the next one may be delivered, too: an event is posted for it then.
                cork.set(hasNextMessage() && mayTakeMessage() ? this : nullptr);
                emitGuarded([&] { m_face->messageReceived(cookie.value, data); });
                --*quantum;
            } else {
                break;
            }
            goesOn = hasNextMessage() && *quantum > 0 && !m_hub->isSilent() && m_continueDelivery
                    && !(budget && budget->isSpent());
        }
        if (!spares.empty())
            m_hub->spareArrays().give(spares);
        m_hub->engine().pool().giveArray(std::move(data));
    }
    if (*quantum != before || isTold || m_takenIndex == m_taken.size())
        return true;
    if (m_hub->isStopping()) { // nobody has asked for them, and nobody will
        dropUndelivered(entry);
        return true;
    }
    return false;
}

/// Goes on to the spans of a batch, or to the next batch that has a message left; what is used up
/// goes back to the pool.
bool PipeConnection::nextBatch()
{
    while (m_takenIndex < m_taken.size()) {
        MessageBatch &batch = m_taken[m_takenIndex];
        if (m_wholeIndex < batch.wholes.size())
            return true;
        if (!m_span && !batch.spans.empty()) {
            m_span = batch.spans.data();
            m_spansEnd = m_span + batch.spans.size();
            return true;
        }
        m_hub->engine().pool().give(std::move(batch));
        ++m_takenIndex;
        m_wholeIndex = 0;
        m_span = m_spansEnd = nullptr;
    }
    return false;
}

/// Whether the next message may be delivered.
bool PipeConnection::mayTakeMessage() const
{
    return m_hub->readsContinuously() || m_requestCount.load(std::memory_order_acquire) > 0;
}

/// Asked-for messages come one by one, each with its cookie.
bool PipeConnection::mayDeliverBatch() const
{
    return m_hub->readsContinuously() && m_requestCount.load(std::memory_order_acquire) == 0;
}

/// Tells of the next messages as one batch. Returns how many are delivered by that: none when they
/// are to be told one by one, too.
int PipeConnection::deliverBatch(const ConnectionFace::Listeners &listeners)
{
    // Held here: a slot with an event loop may use up what is taken, and take more.
    MessageBatch held;
    const MessageSpan *spans = nullptr;
    int count = 1;
    bool isWhole = false;
    {
        MessageBatch &batch = m_taken[m_takenIndex];
        const auto left = m_spansEnd - m_span;
        isWhole = left == 0;
        if (isWhole) {
            QByteArray &whole = batch.wholes[m_wholeIndex];
            held.block = listeners.toMessages ? whole : std::move(whole);
            held.spans.emplace_back(0u, quint32(held.block.size()));
            if (!listeners.toMessages)
                ++m_wholeIndex;
            spans = held.spans.data();
        } else if (!listeners.toMessages && left <= m_batchSize) {
            count = int(left);
            spans = m_span; // stay where they are
            m_span = m_spansEnd = nullptr;
            held = std::exchange(batch, MessageBatch());
        } else {
            count = int(qMin<std::ptrdiff_t>(left, m_batchSize));
            held.block = batch.block;
            held.spans.assign(m_span, m_span + count);
            if (!listeners.toMessages)
                m_span += count;
            spans = held.spans.data();
        }
    }
    if (listeners.toMessages) {
        m_toldInBatch = count;
    } else {
        m_deliveredMessages += count;
        for (int i = 0; i < count; ++i)
            m_deliveredBytes += spans[i].size;
    }
    const auto began = Clock::now();
    emitGuarded([&] { m_face->messageBatchReceived({ held.block.constData(), spans, count }); });
    const auto took = Clock::now() - began;
    if (took > LongForBatch)
        m_batchSize = qMax(m_batchSize / 2, 1);
    else if (took < LongForBatch / 4 && count == m_batchSize)
        m_batchSize = qMin(2 * m_batchSize, MostInBatch);
    BatchPool &pool = m_hub->engine().pool();
    if (isWhole)
        pool.giveArray(std::move(held.block));
    else
        pool.give(std::move(held));
    return listeners.toMessages ? 0 : count;
}

/// The next message as a QByteArray of its own: the one that \a data holds when no slot has kept
/// it.
void PipeConnection::nextMessage(QByteArray *data, SpareArrays::List &spares)
{
    MessageBatch &batch = m_taken[m_takenIndex];
    if (m_span == m_spansEnd) {
        m_hub->engine().pool().giveArray(std::move(*data));
        *data = std::move(batch.wholes[m_wholeIndex++]);
    } else {
        const MessageSpan span = *m_span++;
        const qsizetype size = span.size;
        if (span.offset == 0 && batch.spans.size() == 1 && size > batch.block.size() / 2) {
            *data = std::exchange(batch.block, QByteArray()); // it fills most of the block
            data->truncate(size);
        } else if (size == 0) {
            *data = QByteArray("", 0); // empty, not null
        } else {
            SpareArrays::renew(data, size, spares);
            std::memcpy(data->data(), batch.block.constData() + span.offset, size_t(size));
        }
    }
    if (m_toldInBatch > 0)
        --m_toldInBatch;
    ++m_deliveredMessages;
    m_deliveredBytes += data->size();
}

/// Whether the next message may be delivered, and with which cookie.
inline bool PipeConnection::takeCookie(Cookie *cookie)
{
    if (m_requestCount.load(std::memory_order_acquire) == 0) {
        if (cookie->isSet)
            *cookie = Cookie();
        return m_hub->readsContinuously();
    }
    QVariant next; // changes places with the last one, which is destroyed unlocked
    const Lock lock(m_mutex);
    cookie->isSet = !m_requests.isEmpty();
    if (cookie->isSet)
        next = m_requests.takeFirst();
    m_requestCount.store(int(m_requests.size()), std::memory_order_release);
    cookie->value.swap(next);
    return cookie->isSet || m_hub->readsContinuously();
}

void PipeConnection::settleDelivered(Entry &entry)
{
    m_pendingMessages -= std::exchange(m_deliveredMessages, 0);
    m_pendingBytes -= std::exchange(m_deliveredBytes, 0);
    const bool isInBlock = m_span != m_spansEnd
            && m_taken[m_takenIndex].block.size() == m_hub->engine().pool().blockSize();
    m_usedBytes = isInBlock ? m_span->offset : 0;
    updateReading(entry);
}

void PipeConnection::dropUndelivered(Entry &entry)
{
    m_taken.clear();
    m_takenIndex = 0;
    m_wholeIndex = 0;
    m_span = m_spansEnd = nullptr;
    m_toldInBatch = 0;
    m_inbox.clear();
    m_pendingMessages = 0;
    m_pendingBytes = 0;
    m_usedBytes = 0;
    m_deliveredMessages = 0;
    m_deliveredBytes = 0;
    updateReading(entry);
}

void PipeConnection::deliverClosed(Entry &entry)
{
    if (!m_unsentCookies.isEmpty()) {
        QVariant cookie = m_unsentCookies.takeFirst();
        emitUnlocked(entry, [&] { // and destroyed unlocked
            const QVariant taken = std::move(cookie);
            m_face->messageNotSent(taken);
        });
        return;
    }
    if (m_closeError) {
        const TransportError error = std::exchange(m_closeError, TransportError());
        emitUnlocked(entry, [&] { m_face->errorOccurred(error.error, error.text()); });
        // The end comes with it: who returns to the event loop has been told both.
        if (promptCount() > 0 || m_closedDelivered || m_hub->isSilent())
            return;
    }
    m_closedDelivered = true;
    for (QVariant &cookie : m_requests)
        entry.discard(std::move(cookie));
    m_requests = QList<QVariant>();
    m_requestCount.store(0, std::memory_order_release);
    emitUnlocked(entry, [this] { m_face->closed(); });
    entry.unlock();
    m_hub->connectionGone(m_id);
    entry.lock();
}

template<typename Emission>
void PipeConnection::emitUnlocked(Entry &entry, Emission emission)
{
    entry.unlock();
    emitGuarded(emission);
    entry.lock();
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
        what = Text::tr("of an unknown type");
    }
    qCWarning(lcConnection, "connection %llu: a slot threw an exception: %ls",
              static_cast<unsigned long long>(m_id), qUtf16Printable(what));
    Entry entry(*this);
    beginClose(entry, NamedPipe::Failed,
               { NamedPipe::SystemError, 0, "",
                 Text::tr("a slot threw an exception: %1").arg(what) });
}

} // namespace QtNamedPipes
