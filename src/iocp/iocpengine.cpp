// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "iocp/iocpengine.h"

#include "core/logging.h"
#include "core/text.h"
#include "iocp/iocpconnector.h"
#include "iocp/iocplistener.h"
#include "iocp/winerror.h"

#include <algorithm>
#include <limits>
#include <shared_mutex>
#include <utility>

namespace QtNamedPipes {

using namespace std::chrono_literals;

// How long shutdown() waits for operations that the system was told to cancel.
static constexpr auto DrainTime = 1s;
// A packet that the system had no memory for is brought again after this time.
static constexpr auto LateTime = 10ms;
// A worker has a look at the tasks so often at least. Nothing else finds those for which no packet
// could be posted while every worker waited.
static constexpr auto LongestWait = 1s;

// The completion keys of packets without an operation. Handles are bound with 0: an operation
// knows its owner itself, and for as long as it is in flight the owner lives.
static constexpr ULONG_PTR ClockKey = 1;
static constexpr ULONG_PTR EndKey = 2;

thread_local IocpEngine::Worker *IocpEngine::currentWorker = nullptr;
thread_local const IocpEngine *IocpEngine::currentEngine = nullptr;

/// A task on its way through the port; owns itself until it comes out.
class IocpEngine::TaskPacket final : public IoOperation
{
public:
    TaskPacket(IocpEngine &engine, std::shared_ptr<EngineTask> task)
        : IoOperation(engine.m_inFlight),
          m_engine(engine),
          m_task(std::move(task))
    {
    }

private:
    void completed(DWORD, DWORD) override
    {
        if (!m_engine.m_isStopping.load(std::memory_order_acquire))
            m_task->run();
    }

    IocpEngine &m_engine; // the packet is in its port
    const std::shared_ptr<EngineTask> m_task;
};

/// An operation that was to come through the port when the system had no memory for the packet.
class IocpEngine::LatePacket final : public EngineTask
{
public:
    LatePacket(IoOperation &operation, DWORD error, DWORD bytes)
        : m_operation(operation),
          m_error(error),
          m_bytes(bytes)
    {
    }
    void run() override { m_operation.finish(m_error, m_bytes); }

private:
    IoOperation &m_operation; // in flight: it holds its own owner
    const DWORD m_error;
    const DWORD m_bytes;
};

IocpEngine::IocpEngine(const EngineSettings &settings, qsizetype bufferSize)
    : m_settings(settings),
      m_pool(bufferSize)
{
}

IocpEngine::~IocpEngine() = default;

qint64 IocpEngine::maximumWriteSize() const
{
    // A WriteFile() takes a DWORD, the kernel puts a header before the data, and the reader at the
    // other end may count in int.
    return std::numeric_limits<qint32>::max();
}

TransportError IocpEngine::start()
{
    const int threads = m_settings.threads;
    // As many may run at a time as there are workers, not as there are processors: a slot that
    // computes for long shall not keep the other workers from the port.
    m_port = WinHandle(
            winApi().createIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, DWORD(threads)));
    const DWORD code = m_port ? ERROR_SUCCESS : GetLastError();
    if (!m_port) {
        return { NamedPipe::CompletionPortFailed, qint64(code), "CreateIoCompletionPort",
                 Text::tr("unable to create an IOCP port") };
    }

    for (int i = 0; i < threads; ++i)
        m_workers.push_back(std::make_unique<Worker>());
    size_t begun = 0;
    for (const auto &worker : m_workers) {
        // The reference of a worker keeps the engine until its loop has been left, whoever calls
        // shutdown().
        auto run = [engine = shared_from_this(), self = worker.get()]() mutable {
            const auto alive = std::move(engine); // not until the QThread is deleted
            alive->work(*self);
        };
        worker->thread.reset(QThread::create(std::move(run)));
        worker->thread->setObjectName(QStringLiteral("QtNamedPipes %1").arg(++begun));
        worker->thread->start();
        if (!worker->thread->isRunning() && !worker->thread->isFinished()) {
            worker->thread.reset();
            return { NamedPipe::ResourceExhausted, 0, "CreateThread",
                     Text::tr("cannot start a worker thread") };
        }
    }
    std::unique_lock<std::mutex> lock(m_startMutex);
    m_started.wait(lock, [this] { return m_running == m_workers.size(); });
    return {};
}

TransportError IocpEngine::listen(const ListenSettings &settings,
                                  std::shared_ptr<ListenerSink> sink)
{
    m_listener = std::make_shared<IocpListener>(*this, settings, std::move(sink));
    return m_listener->listen();
}

void IocpEngine::startAccepting()
{
    if (m_listener)
        m_listener->startAccepting();
}

void IocpEngine::stopAccepting()
{
    if (m_listener)
        m_listener->stopAccepting();
}

void IocpEngine::placeFreed()
{
    if (m_listener)
        m_listener->placeFreed();
}

DialResult IocpEngine::connect(const DialTarget &target)
{
    return connectPipe(shared_from_this(), target);
}

void IocpEngine::post(std::shared_ptr<EngineTask> task)
{
    if (m_isStopping.load(std::memory_order_acquire))
        return;
    const auto packet = std::make_shared<TaskPacket>(*this, std::move(task));
    complete(*packet, packet, StatusSuccess);
}

void IocpEngine::postAt(Clock::time_point when, std::shared_ptr<EngineTask> task)
{
    if (m_isStopping.load(std::memory_order_acquire))
        return;
    if (m_timers.add(when, std::move(task)) && !postPacket(nullptr, ClockKey))
        m_tokenIsDue.store(true); // a worker that waits must wait anew
}

bool IocpEngine::isWorkerThread() const
{
    return currentEngine == this;
}

DWORD IocpEngine::bind(HANDLE handle)
{
    const bool ok = winApi().createIoCompletionPort(handle, m_port.get(), 0, 0) != nullptr;
    return ok ? ERROR_SUCCESS : GetLastError();
}

void IocpEngine::complete(IoOperation &operation, std::shared_ptr<void> owner, LONG status,
                          DWORD bytes)
{
    OVERLAPPED *overlapped = operation.begin(std::move(owner));
    overlapped->Internal = ULONG_PTR(status);
    if (postPacket(overlapped, 0, bytes))
        return;
    if (m_isStopping.load(std::memory_order_acquire)) {
        operation.revoke(); // the port is closed
    } else {
        const auto late =
                std::make_shared<LatePacket>(operation, winErrorFromStatus(status), bytes);
        if (m_timers.add(Clock::now() + LateTime, late))
            m_tokenIsDue.store(true); // a token cannot be posted either
    }
}

bool IocpEngine::postPacket(OVERLAPPED *overlapped, ULONG_PTR key, DWORD bytes)
{
    const std::shared_lock<WinSharedMutex> lock(m_portMutex);
    return m_port && winApi().postQueuedCompletionStatus(m_port.get(), bytes, key, overlapped);
}

// --- Workers ---

void IocpEngine::work(Worker &self)
{
    currentWorker = &self;
    currentEngine = this;
    {
        const std::lock_guard<std::mutex> lock(m_startMutex);
        ++m_running;
        m_started.notify_all();
    }
    while (!self.isEnding) {
        takePackets(self);
        const auto due = m_timers.takeDue();
        passClockOn(self, !due.empty());
        for (const auto &task : due) {
            if (!m_isStopping.load(std::memory_order_acquire))
                task->run();
        }
        handlePackets(self);
    }
    currentWorker = nullptr;
    currentEngine = nullptr;
}

/// Waits for packets or for the time of the next task, whichever comes first.
void IocpEngine::takePackets(Worker &self)
{
    const ULONG limit = m_workers.size() == 1 ? BatchSize : 1;
    self.next = 0;
    self.count = 0;
    const BOOL ok = winApi().getQueuedCompletionStatusEx(m_port.get(), self.packets.data(), limit,
                                                         &self.count, waitTime(self), FALSE);
    const DWORD code = ok ? ERROR_SUCCESS : GetLastError();
    if (ok)
        return;
    self.count = 0;
    if (code == WAIT_TIMEOUT)
        return;
    qCWarning(lcEngine, "GetQueuedCompletionStatusEx: error %lu", static_cast<unsigned long>(code));
    QThread::msleep(ULONG(LateTime.count())); // whatever it is, it shall not spin
}

/// One of the waiting workers watches the clock, the others wait long. Tasks that come to be the
/// first send a clock token, and who gets it takes the watch over.
DWORD IocpEngine::waitTime(Worker &self)
{
    Worker *nobody = nullptr;
    if (std::exchange(self.hasClock, false)
        || (m_tokenIsDue.load() && m_tokenIsDue.exchange(false)))
        m_clockWatcher.store(&self);
    else
        m_clockWatcher.compare_exchange_strong(nobody, &self);
    // After having taken the watch: a task that is added from now on sends a token.
    const int next = m_timers.millisecondsToNext();
    const auto longest = DWORD(std::chrono::milliseconds(LongestWait).count());
    return next < 0 || m_clockWatcher.load() != &self ? longest : std::min(DWORD(next), longest);
}

/// A worker that watched the clock, or was told to, and has something else to do now hands the
/// watch on, since a slot may take its time.
void IocpEngine::passClockOn(Worker &self, bool hasDueTasks)
{
    const bool gotToken = self.count == 1 && !self.packets[0].lpOverlapped
            && self.packets[0].lpCompletionKey == ClockKey;
    if (gotToken)
        self.count = 0;
    const bool isTold = gotToken || (m_tokenIsDue.load() && m_tokenIsDue.exchange(false));
    Worker *me = &self;
    if (!m_clockWatcher.compare_exchange_strong(me, nullptr) && !isTold)
        return;
    if (self.count == 0 && !hasDueTasks)
        self.hasClock = true;
    else if (m_workers.size() > 1 && m_timers.millisecondsToNext() >= 0
             && !postPacket(nullptr, ClockKey))
        m_tokenIsDue.store(true);
}

void IocpEngine::handlePackets(Worker &self)
{
    while (self.next < self.count) {
        // Counted as handled before it is: shutdown() may be called in here, and handles the rest.
        const OVERLAPPED_ENTRY packet = self.packets[self.next++];
        if (packet.lpOverlapped) {
            auto &operation = static_cast<IoOperation &>(*packet.lpOverlapped);
            operation.finish(winErrorFromStatus(LONG(operation.Internal)),
                             packet.dwNumberOfBytesTransferred);
        } else if (packet.lpCompletionKey == EndKey) {
            self.isEnding = true;
        }
    }
}

// --- The end ---

void IocpEngine::shutdown()
{
    if (m_isStopping.exchange(true))
        return;
    if (m_listener)
        m_listener->close();
    Worker *self = isWorkerThread() ? currentWorker : nullptr;
    joinWorkers(self);
    if (m_port)
        drain(self);
    m_timers.clear();
    {
        const std::unique_lock<WinSharedMutex> lock(m_portMutex);
        m_port.close();
    }
    if (m_listener)
        m_listener->forgetSink();
}

/// Ends the workers with one token for each; closing the port would not wake them everywhere.
void IocpEngine::joinWorkers(Worker *self)
{
    for (const auto &worker : m_workers) {
        if (!worker->thread || worker.get() == self)
            continue;
        while (!postPacket(nullptr, EndKey))
            QThread::msleep(ULONG(LateTime.count()));
    }
    for (const auto &worker : m_workers) {
        if (worker->thread && worker.get() != self) {
            worker->thread->wait();
            worker->thread.reset();
        }
    }
    if (self) {
        // It ends when it returns to its loop; its QThread is then freed where it was made.
        self->isEnding = true;
        QThread *thread = self->thread.release();
        QObject::connect(thread, &QThread::finished, thread, &QObject::deleteLater);
    }
}

/// The workers are gone or, in the case of \a self, do not take packets any more: what has been
/// cancelled comes back to this thread.
void IocpEngine::drain(Worker *self)
{
    if (self)
        handlePackets(*self);
    Worker drainer;
    const auto deadline = Clock::now() + DrainTime;
    while (m_inFlight.load(std::memory_order_acquire) > 0) {
        const auto left =
                std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
        drainer.next = 0;
        drainer.count = 0;
        if (left <= 0
            || !winApi().getQueuedCompletionStatusEx(m_port.get(), drainer.packets.data(),
                                                     BatchSize, &drainer.count, DWORD(left),
                                                     FALSE)) {
            qCWarning(lcEngine,
                      "%lld operations never came back; their memory is left to the system",
                      static_cast<long long>(m_inFlight.load()));
            return;
        }
        handlePackets(drainer);
    }
}

// --- What the seam asks of a platform ---

std::shared_ptr<PipeEngine> createPlatformEngine(const EngineSettings &settings,
                                                 qsizetype bufferSize)
{
    return std::make_shared<IocpEngine>(settings, bufferSize);
}

static const QLatin1String PipeFolder("\\\\.\\pipe\\");

QString platformPipePath(const QString &name)
{
    return PipeFolder + name;
}

QString platformNameFault(const QString &name)
{
    static constexpr qsizetype LongestPath = 256;
    const qsizetype longest = LongestPath - PipeFolder.size();
    if (name.size() <= longest)
        return {};
    return Text::tr("the pipe name is too long: it has %2 characters, Windows allows %1")
            .arg(longest)
            .arg(name.size());
}

} // namespace QtNamedPipes
