// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_PIPECONNECTION_H
#define QTNAMEDPIPES_PIPECONNECTION_H

#include "core/deliverybudget.h"
#include "core/pipetransport.h"
#include "core/spares.h"

#include <QtCore/qlist.h>
#include <QtCore/qmutex.h>
#include <QtCore/qobject.h>
#include <QtCore/qsharedpointer.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace QtNamedPipes {

class ConnectionHub;
class PipeConnection;
struct DialSettings;

/// The user's side of a connection: turns its events into signals. Called with no lock held, on the
/// delivering thread, one call at a time (but from inside a call when a slot runs an event loop).
class ConnectionFace
{
public:
    virtual ~ConnectionFace() = default;
    virtual void opened() = 0;
    /// Who listens to what; asked for each run of messages.
    struct Listeners
    {
        bool toMessages = true;
        bool toBatches = false;
    };
    virtual Listeners listeners() const = 0;
    virtual void messageReceived(const QVariant &cookie, const QByteArray &data) = 0;
    /// Messages that nobody has asked for by read(), several at once; valid during the call.
    virtual void messageBatchReceived(const NamedPipeMessageBatch &messages) = 0;
    virtual void messageSent(const QVariant &cookie) = 0;
    /// Client side: a message that was taken and will not be sent any more.
    virtual void messageNotSent(const QVariant &cookie) = 0;
    virtual void errorOccurred(NamedPipe::Error error, const QString &message) = 0;
    /// The last call. Without opened() before it when the connection could not be made.
    virtual void closed() = 0;
    /// The user's object.
    virtual QSharedPointer<QObject> object() const = 0;
};

/// One connection's life: its state, both queues, cookies, limits, the count of operations in
/// flight and the end.
///
/// States, each entered at most once and in this order:
///   Opening   client side: there is no endpoint yet; a PipeDialer tries to get one
///   Open      reads and writes are started
///   Draining  asyncClose(SendPending): queued writes still go out, nothing new is taken, and what
///             arrives is dropped
///   Closing   the first reason is kept; what is in flight has been cancelled and is awaited
///   Closed    nothing is in flight, the handle is released; what events remain are delivered,
///             and closed() is the last
///
/// Two questions, two answers: "may it be called closed?" is m_calls and m_inFlight, counts under the
/// mutex of every call into the endpoint and every operation it has outstanding; "may the memory
/// go?" is the reference that the endpoint, and with it each operation, holds. An operation that
/// never comes back is given up after a while, a call never.
///
/// m_mutex is never held while the endpoint or a slot is called.
class PipeConnection final : public EndpointSink,
                             public EngineTask,
                             public std::enable_shared_from_this<PipeConnection>
{
public:
    /// Open, or Opening when \a endpoint is null.
    PipeConnection(std::shared_ptr<ConnectionHub> hub, std::shared_ptr<PipeEndpoint> endpoint,
                   quint64 id);
    ~PipeConnection() override;

    /// Worker: takes the face and starts reading.
    void open(std::unique_ptr<ConnectionFace> face);

    // Instead of open(), when it is Opening.
    /// Takes the face and starts to dial. Any thread.
    void dial(std::unique_ptr<ConnectionFace> face, const DialSettings &settings);
    bool isDialing() const;
    /// Worker: \a endpoint is the connection.
    void dialed(std::shared_ptr<PipeEndpoint> endpoint);
    /// The connection cannot be made. Any thread.
    void dialFailed(const TransportError &error);
    /// It cannot be made now; the dialer goes on.
    void dialDelayed(const TransportError &error);

    // What the user's object passes on. Any thread.
    void read(const QVariant &cookie);
    bool write(const QByteArray &data, const QVariant &cookie, bool isBroadcast);
    void close(NamedPipe::CloseMode mode);

    quint64 id() const { return m_id; }
    ConnectionHub &hub() const { return *m_hub; }
    PeerIdentity peer() const;
    qintptr handle() const;
    bool isConnected() const { return m_connected.load(std::memory_order_acquire); }
    bool isOpening() const; ///< opened() is still to come
    QSharedPointer<QObject> object() const; ///< null before open() and after closed()
    qint64 bytesToWrite() const;
    NamedPipe::CloseReason closeReason() const;
    NamedPipe::Statistics statistics() const;

    // What the hub asks for.
    /// Ends the connection because the owner stops; with SendPending until \a deadline at the
    /// latest.
    void stop(NamedPipe::CloseMode mode, Clock::time_point deadline);
    /// The system did not give back an operation in time: releases the handle all the same.
    void abandonOperations();
    /// The mode of reading has changed.
    void reconsiderReading();
    /// The owner is gone: lets go of the face, and with it of the user's object.
    void forget();
    /// Emits what there is. On the delivering thread. With \a budget until it is spent, or
    /// \a quantum messages are delivered; true when something is left that can be delivered now.
    bool deliver(DeliveryBudget *budget, int quantum);
    /// True when more than one event waits: a nested event loop must be able to go on.
    bool hasSeveralEvents() const;
    /// A slot of this thread runs an event loop: what it has written goes out now.
    static void uncork();
    void run() override;

    bool inReadyList = false; ///< guarded by the hub's mutex

    // EndpointSink
    void received(MessageBatch &batch) override;
    void readEnded(ReadEnd end, const TransportError &error) override;
    void writeProgressed(const WriteProgress &progress) override;
    void hangUpSeen() override;

private:
    enum class State { Opening, Open, Draining, Closing, Closed };
    using Lock = std::unique_lock<QMutex>;
    static constexpr int FirstBatchSize = 16;

    /// The way in: holds the mutex; when it is released, tells the hub what has happened, writes the
    /// log, and lets go of what must not be destroyed under the mutex: the destructor, and the
    /// handler of log messages, may be the user's.
    class Entry : public Lock
    {
    public:
        explicit Entry(PipeConnection &connection)
            : Lock(connection.m_mutex),
              m_connection(connection)
        {
        }
        ~Entry();
        Entry(const Entry &) = delete;
        Entry &operator=(const Entry &) = delete;

        void discard(QVariant &&cookie)
        {
            if (cookie.isValid())
                m_discarded.append(std::move(cookie));
        }
        void discard(std::unique_ptr<ConnectionFace> &&face) { m_face = std::move(face); }
        void log(State from, State to);

    private:
        PipeConnection &m_connection;
        QList<QVariant> m_discarded;
        std::unique_ptr<ConnectionFace> m_face;
        State m_transitions[4][2]; ///< each state is entered once
        int m_transitionCount = 0;
    };
    class Cork;

    void transition(Entry &entry, State to);
    void dropped();
    void beginClose(Entry &entry, NamedPipe::CloseReason reason, const TransportError &error = {});
    void beginDraining(Entry &entry, NamedPipe::CloseReason reason, Clock::time_point deadline);
    template<typename Call>
    void callEndpoint(Entry &entry, Call call);
    void beginOperation() { ++m_inFlight; }
    void endOperation(Entry &entry);
    void releaseWhenDone(Entry &entry);
    void releaseEndpoint(Entry &entry);

    void beginReading(Entry &entry);
    qint64 pendingCost() const;
    bool mayRead();
    void updateReading(Entry &entry);
    void keepMessages(MessageBatch &batch);

    bool hasUnsent() const { return m_messagesToWrite > 0; }
    bool isCorkedHere() const;
    void startPump(Entry &entry);
    void postPump();
    void pump(Entry &entry);
    bool applyProgress(Entry &entry, const WriteProgress &progress);
    void peerIsGone();
    void dropUnsent(Entry &entry);
    void bookUnsent(Entry &entry, QList<OutgoingMessage> &list, qsizetype from);

    void reportError(const TransportError &error);
    bool hasMessages() const { return m_pendingMessages > m_deliveredMessages; }
    bool isAtEnd() const;
    qsizetype promptCount() const;
    bool deliver(Entry &entry, DeliveryBudget *budget, int quantum);
    void deliverOnWorker(Entry &entry);
    void deliverPrompt(Entry &entry);
    bool deliverMessages(Entry &entry, DeliveryBudget *budget, int *quantum);
    void deliverClosed(Entry &entry);
    bool hasNextMessage() { return m_span != m_spansEnd || nextBatch(); }
    bool nextBatch();
    void nextMessage(QByteArray *data, SpareArrays::List &spares);
    struct Cookie;
    bool takeCookie(Cookie *cookie);
    bool mayTakeMessage() const;
    bool mayDeliverBatch() const;
    int deliverBatch(const ConnectionFace::Listeners &listeners);
    void settleDelivered(Entry &entry);
    void dropUndelivered(Entry &entry);
    template<typename Emission>
    void emitUnlocked(Entry &entry, Emission emission);
    template<typename Emission>
    void emitGuarded(Emission emission);

    const std::shared_ptr<ConnectionHub> m_hub;
    const quint64 m_id;
    std::atomic<bool> m_connected;
    std::atomic<bool> m_continueDelivery {
        true
    }; ///< false: received messages are dropped, not delivered
    std::atomic<int> m_requestCount { 0 }; ///< m_requests.size(), for a look without the lock

    mutable QMutex m_mutex; // guards all that follows, up to the delivering thread's own

    std::shared_ptr<PipeEndpoint> m_endpoint; ///< until Closed; null while Opening
    PeerIdentity m_peer;
    std::unique_ptr<ConnectionFace> m_face; ///< until closed() is delivered, and has returned
    State m_state;
    bool m_hasOpened; ///< it has been Open, and opened() was or will be delivered
    bool m_openedDelivered = false;
    NamedPipe::CloseReason m_closeReason = NamedPipe::StillOpen;
    TransportError m_closeError; ///< reported right before closed()
    int m_calls = 0; ///< into the endpoint, now
    int m_inFlight = 0; ///< operations
    bool m_isAbandoned = false; ///< those are not awaited any longer
    bool m_signal = false; ///< there are new events: to be told when the lock is released
    bool m_released = false; ///< the handle is closed: likewise
    bool m_isReleasing = false;

    bool m_reading = false; ///< a startRead() is outstanding
    bool m_readEnded = false;
    bool m_peerGone = false; ///< seen otherwise than by reading: read to the end of what there is
    QList<QVariant> m_requests; ///< asyncRead() calls that no message has answered yet
    std::vector<MessageBatch> m_inbox; ///< received and not yet taken by the delivering thread
    qint64 m_pendingBytes = 0; ///< received and not yet delivered
    qint64 m_pendingMessages = 0;
    qint64 m_usedBytes =
            0; ///< delivered, of a read block that is there still, with more to deliver
    bool m_paused = false; ///< past the limit; until half of it is delivered

    Clock::time_point m_drainDeadline; ///< when Draining ends at the latest
    bool m_writing = false; ///< a thread is in pump(), or a startWrite() is outstanding
    bool m_pumpPosted = false; ///< a worker will call startPump()
    QList<OutgoingMessage> m_queue; ///< taken by write() and not yet handed to the endpoint
    QList<OutgoingMessage> m_out; ///< what the endpoint is sending; stays put meanwhile
    qsizetype m_outDone = 0;
    qint64 m_bytesToWrite = 0;
    qint64 m_messagesToWrite = 0;
    qint64 m_corkedBytes = 0;
    /// Taken by write(), no broadcast, and never sent because the client left.
    qint64 m_lostMessages = 0;

    QList<QVariant> m_sentCookies; ///< messageSent() events to deliver
    QList<QVariant> m_unsentCookies; ///< messageNotSent() events to deliver before closed()
    QList<TransportError> m_errors; ///< errorOccurred() events to deliver
    qsizetype m_errorsBeforeOpened = 0; ///< so many of them come before opened()
    qsizetype m_promptsLeft = -1; ///< of this round of delivery; negative between two
    bool m_closedDelivered = false;
    NamedPipe::Statistics m_statistics;

    int m_deliverDepth = 0; ///< frames of deliver() on the delivering thread's stack
    bool m_delivering = false; ///< free-threaded: a worker is in deliver()
    bool m_deliverAgain = false;

    // The delivering thread's own: the batches it has taken, and where it stands in them.
    std::vector<MessageBatch> m_taken;
    size_t m_takenIndex = 0;
    qsizetype m_wholeIndex = 0; ///< of the next one of that batch
    const MessageSpan *m_span = nullptr; ///< likewise; null: wholes come first
    const MessageSpan *m_spansEnd = nullptr;
    int m_toldInBatch =
            0; ///< so many of the next messages were in a messageBatchReceived() already
    int m_batchSize = FirstBatchSize; ///< of the next one: as many as slots are quick
    qint64 m_deliveredBytes = 0; ///< delivered and not yet subtracted from m_pendingBytes
    qint64 m_deliveredMessages = 0;
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_PIPECONNECTION_H
