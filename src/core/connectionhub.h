// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_CONNECTIONHUB_H
#define QTNAMEDPIPES_CONNECTIONHUB_H

#include "core/pipeconnection.h"
#include "core/pipetransport.h"
#include "core/spares.h"

#include <QtCore/qcoreevent.h>
#include <QtCore/qobject.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace QtNamedPipes {

/// Which end of the pipes a hub has.
enum class Side { Server, Client };

struct HubSettings
{
    Side side = Side::Server;
    bool freeThreaded = false;
    int maxConnections = 0;
    qint64 maximumPendingReadBytes = 1024 * 1024;
    qint64 maximumPendingWriteBytes = 64 * 1024 * 1024;
    /// How long one turn of delivery keeps its thread. Longer makes the owner's timers late, and on a
    /// worker its slots' replies; shorter costs throughput.
    Clock::duration slice = std::chrono::microseconds(1500);
};

/// What a hub needs of a server: called with no lock held, on the delivering thread except where
/// noted.
class HubOwner
{
public:
    virtual ~HubOwner() = default;
    /// On the worker that accepted the client.
    virtual std::unique_ptr<ConnectionFace> makeFace(
            const std::shared_ptr<PipeConnection> &connection) = 0;
    virtual void ready() = 0;
    virtual void errorOccurred(const TransportError &error) = 0;
};

/// What a server and a client manager share, from one start() to its stop(): the engine with its
/// workers, the registry of connections, the statistics, and the way of events from the workers to
/// the owner's thread (or straight to the slots in free-threaded mode).
class ConnectionHub final : public ListenerSink, public std::enable_shared_from_this<ConnectionHub>
{
public:
    /// \a owner: null on the client side.
    ConnectionHub(HubOwner *owner, QObject *eventTarget, std::shared_ptr<PipeEngine> engine,
                  const HubSettings &settings, bool readContinuously);
    ~ConnectionHub() override;

    /// The event that is posted to the owner's object, and answered with drain().
    static QEvent::Type drainEvent();

    // The owner's thread. One of:
    TransportError listen(const ListenSettings &settings); ///< a server starts
    TransportError start(); ///< a client manager does; any thread
    /// Delivers for a millisecond or two, then gives the event loop a turn.
    void drain();
    /// Lets no more clients in and queued writes out until \a deadline; true when all went out.
    bool sendPending(Clock::time_point deadline);
    /// Ends every connection and the engine, and delivers what there is to deliver.
    void stop();
    /// The owner is being destroyed: the same in silence. On a worker too.
    void abandon();

    // Any thread.
    const HubSettings &settings() const { return m_settings; }
    PipeEngine &engine() { return *m_engine; }
    Spares<SpareArrays::List> &spareArrays() { return m_spareArrays; }
    Spares<QList<OutgoingMessage>> &spareQueues() { return m_spareQueues; }
    bool readsContinuously() const { return m_continuous.load(std::memory_order_relaxed); }
    void setReadsContinuously(bool on);
    /// As \a property is, until it is so: another thread may change it meanwhile.
    template<typename Property>
    void followReading(Property property)
    {
        bool told = false;
        do {
            told = property();
            setReadsContinuously(told);
        } while (told != property());
    }
    /// Nothing may be emitted any more: the owner is gone.
    bool isSilent() const { return m_silent.load(std::memory_order_acquire); }
    bool isStopping() const { return m_stopping.load(std::memory_order_acquire); }
    bool tellsUnsent() const { return m_settings.side == Side::Client; }
    NamedPipe::CloseReason ownReason() const;
    NamedPipe::CloseReason peerReason() const;
    NamedPipe::CloseReason stopReason() const;
    bool wantsMessageSent() const { return m_wantsMessageSent.load(std::memory_order_relaxed); }
    void setWantsMessageSent() { m_wantsMessageSent.store(true, std::memory_order_relaxed); }

    /// The connected ones, in order of arrival.
    using Connections = std::vector<std::shared_ptr<PipeConnection>>;
    Connections connections() const;
    int connectionCount() const { return m_openCount.load(std::memory_order_acquire); }
    NamedPipe::ServerStatistics statistics() const;
    /// Writes to each of them, and returns how many they are.
    int broadcast(const QByteArray &data, const QVariant &cookie);

    /// A connection that is Opening; nothing happens with it before dial().
    std::shared_ptr<PipeConnection> newConnection();
    void dial(const std::shared_ptr<PipeConnection> &connection,
              std::unique_ptr<ConnectionFace> face, const DialSettings &settings);

    // What the connections report.
    void makeReady(const std::shared_ptr<PipeConnection> &connection);
    void handleAcquired(); ///< client side: there is a handle
    void connectionOpened(); ///< client side: it is connected
    void connectionDropped(); ///< it is no longer connected
    void handleReleased(); ///< its handle is closed
    void connectionGone(quint64 id); ///< closed() has been delivered
    void takeFromReady(PipeConnection &connection); ///< free-threaded: its task has begun
    void sendingTimedOut(); ///< asyncClose(SendPending) or sendPending() ran into its deadline
    void countReceived(qint64 messages, qint64 bytes);
    void countSent(qint64 messages, qint64 bytes);

    // ListenerSink, on workers
    bool reservePlace() override;
    void releasePlace() override;
    void accepted(std::shared_ptr<PipeEndpoint> endpoint) override;
    void refused(const PeerIdentity &peer) override;
    void listenerFailed(const TransportError &error) override;

private:
    struct Notice
    {
        TransportError error; ///< NoError: the server is ready
    };
    class NoticeTask;

    void addNotice(const Notice &notice);
    bool deliverNotice();
    void postDrain(std::unique_lock<QMutex> &lock, bool isNeeded);
    bool deliverNext(DeliveryBudget *budget);
    void detach();
    void closeConnections(NamedPipe::CloseMode mode, Clock::time_point deadline);
    void forgetConnections();
    std::shared_ptr<const Connections> allConnections() const;
    void addConnection(
            const std::shared_ptr<PipeConnection> &connection); // m_registryMutex is held
    bool waitForHandles(Clock::time_point deadline);

    HubOwner *const m_owner;
    const std::shared_ptr<PipeEngine> m_engine;
    const HubSettings m_settings;
    Spares<SpareArrays::List> m_spareArrays;
    Spares<QList<OutgoingMessage>> m_spareQueues;
    std::atomic<bool> m_continuous;
    std::atomic<bool> m_silent { false };
    std::atomic<bool> m_stopping { false };
    std::atomic<bool> m_wantsMessageSent { false };
    std::atomic<bool> m_sendingTimedOut { false };
    std::atomic<int> m_openCount { 0 };
    std::atomic<quint64> m_messagesReceived { 0 }, m_bytesReceived { 0 };
    std::atomic<quint64> m_messagesSent { 0 }, m_bytesSent { 0 };
    std::atomic<quint64> m_accepted { 0 }, m_closed { 0 }, m_refused { 0 };

    mutable std::mutex m_registryMutex; // guards the next six
    std::condition_variable m_registryChanged;
    /// Until closed() is delivered.
    std::map<quint64, std::shared_ptr<PipeConnection>> m_connections;
    mutable std::shared_ptr<const Connections> m_all; ///< the same as a list; null: to be made anew
    int m_places = 0; ///< reserved or taken
    int m_openHandles = 0;
    quint64 m_lastId = 0;
    bool m_closing = false; ///< a connection that is made from now on is dropped at once

    QMutex m_targetMutex; // held while an event is posted
    QObject *m_eventTarget; ///< null once the owner is gone; changed with both mutexes held
    QMutex m_readyMutex; // guards the rest
    std::deque<std::shared_ptr<PipeConnection>> m_ready;
    std::deque<Notice> m_notices;
    bool m_drainPosted = false;
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_CONNECTIONHUB_H
