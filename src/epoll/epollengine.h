// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_EPOLLENGINE_H
#define QTNAMEDPIPES_EPOLLENGINE_H

#include "core/pipetransport.h"
#include "core/timerqueue.h"
#include "epoll/unixfd.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace QtNamedPipes {

class EpollListener;

/// What a descriptor's events are for.
class EpollHandler
{
public:
    virtual ~EpollHandler() = default;
    /// On a worker; two workers may be here at once.
    virtual void handle(quint32 events) = 0;
};

/// Descriptors, each with its handler. An event names its descriptor by a key that is never used
/// again, so that one that a worker has fetched already finds nobody when another worker has closed
/// the descriptor.
class EpollHandlers
{
public:
    quint64 add(std::shared_ptr<EpollHandler> handler);
    void remove(quint64 key);
    std::shared_ptr<EpollHandler> find(quint64 key) const;

private:
    struct Slot
    {
        quint32 generation = 0;
        std::shared_ptr<EpollHandler> handler;
    };
    mutable QMutex m_mutex;
    std::vector<Slot> m_slots;
    std::vector<quint32> m_free;
};

/// One epoll instance and the workers that wait on it.
class EpollEngine final : public PipeEngine, public std::enable_shared_from_this<EpollEngine>
{
public:
    EpollEngine(const EngineSettings &settings, qsizetype bufferSize);
    ~EpollEngine() override;

    // PipeEngine
    qint64 maximumWriteSize() const override;
    BatchPool &pool() override { return m_pool; }
    TransportError start() override;
    TransportError listen(const ListenSettings &settings,
                          std::shared_ptr<ListenerSink> sink) override;
    void startAccepting() override;
    void stopAccepting() override;
    void placeFreed() override;
    DialResult connect(const DialTarget &target) override;
    void post(std::shared_ptr<EngineTask> task) override;
    void postAt(Clock::time_point when, std::shared_ptr<EngineTask> task) override;
    bool isWorkerThread() const override;
    void shutdown() override;

    // For endpoints and the listener.
    qint64 maximumMessageSize() const { return m_settings.maximumMessageSize; }
    /// Watches \a fd for \a events. \a key is set before the first event can come; false and errno
    /// when the system refuses.
    bool watch(int fd, quint32 events, std::shared_ptr<EpollHandler> handler, quint64 *key);
    bool rewatch(int fd, quint32 events, quint64 key);
    void unwatch(int fd, quint64 key);

private:
    void work();
    bool runTask();
    void keepTimersWatched();
    void wakeOne();

    const EngineSettings m_settings;
    BatchPool m_pool;
    UnixFd m_epoll;
    UnixFd m_wake; ///< edge-triggered: each write wakes one worker, and nobody has to read it
    EpollHandlers m_handlers;
    TimerQueue m_timers;
    std::atomic<int> m_waiting { 0 }; ///< workers that are, or are about to be, in epoll_wait
    std::atomic<bool> m_quit { false };
    std::atomic<size_t> m_taskCount { 0 }; ///< m_tasks.size(), for a look without the lock

    std::mutex m_mutex; // guards the rest
    std::condition_variable m_changed;
    std::deque<std::shared_ptr<EngineTask>> m_tasks;
    std::vector<std::thread> m_workers;
    int m_running = 0;
    std::shared_ptr<EpollListener> m_listener;
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_EPOLLENGINE_H
