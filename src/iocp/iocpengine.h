// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_IOCPENGINE_H
#define QTNAMEDPIPES_IOCPENGINE_H

#include "core/pipetransport.h"
#include "core/timerqueue.h"
#include "iocp/iooperation.h"
#include "iocp/winhandle.h"
#include "iocp/winsharedmutex.h"

#include <QtCore/qthread.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

namespace QtNamedPipes {

class IocpListener;

/// A completion port and the threads that wait at it. All that comes out of the port is an
/// IoOperation, but for two tokens without one: "have a look at the clock" and "end".
class IocpEngine final : public PipeEngine, public std::enable_shared_from_this<IocpEngine>
{
public:
    IocpEngine(const EngineSettings &settings, qsizetype bufferSize);
    ~IocpEngine() override;

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

    // For the other classes of this engine. Any thread.

    qint64 maximumMessageSize() const { return m_settings.maximumMessageSize; }
    /// The number of operations that have not come back; each of them counts itself.
    std::atomic<qint64> &inFlight() { return m_inFlight; }
    /// Lets the completions of \a handle come here; ERROR_SUCCESS or the reason why not. For the
    /// life of the handle.
    DWORD bind(HANDLE handle);
    /// Brings \a operation to a worker as if the system had completed it with \a status.
    void complete(IoOperation &operation, std::shared_ptr<void> owner, LONG status,
                  DWORD bytes = 0);

private:
    class TaskPacket;
    class LatePacket;

    // With one worker a batch saves system calls; with several, a packet taken along would wait
    // behind a slow slot while another worker is free.
    static constexpr ULONG BatchSize = 16;

    struct Worker
    {
        std::unique_ptr<QThread> thread;
        std::array<OVERLAPPED_ENTRY, BatchSize> packets;
        ULONG count = 0;
        ULONG next = 0; ///< packets before it have been handled or are being handled
        bool hasClock = false; ///< it was told to watch the clock
        bool isEnding = false;
    };

    void work(Worker &self);
    void takePackets(Worker &self);
    DWORD waitTime(Worker &self);
    void passClockOn(Worker &self, bool hasDueTasks);
    void handlePackets(Worker &self);
    bool postPacket(OVERLAPPED *overlapped, ULONG_PTR key, DWORD bytes = 0);
    void joinWorkers(Worker *self);
    void drain(Worker *self);

    static thread_local Worker *currentWorker;
    static thread_local const IocpEngine *currentEngine;

    const EngineSettings m_settings;
    BatchPool m_pool;
    TimerQueue m_timers;
    std::atomic<qint64> m_inFlight { 0 };
    std::atomic<bool> m_isStopping { false };
    std::atomic<Worker *> m_clockWatcher { nullptr };
    std::atomic<bool> m_tokenIsDue {
        false
    }; ///< a clock token could not be posted: the next worker counts as told
    std::vector<std::unique_ptr<Worker>> m_workers; ///< fixed from start() on
    std::shared_ptr<IocpListener> m_listener; ///< fixed from listen() on

    WinSharedMutex m_portMutex; // shared: posting, which any thread may do; exclusive: closing
    WinHandle m_port;

    std::mutex m_startMutex;
    std::condition_variable m_started;
    size_t m_running = 0;
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_IOCPENGINE_H
