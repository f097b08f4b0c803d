// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "epoll/epollengine.h"

#include "core/logging.h"
#include "core/messageframing.h"
#include "core/text.h"
#include "epoll/epollconnector.h"
#include "epoll/epolllistener.h"
#include "epoll/unixcalls.h"
#include "epoll/unixerror.h"

#include <cerrno>
#include <pthread.h>
#include <sys/eventfd.h>
#include <system_error>
#include <utility>

namespace QtNamedPipes {

// Room for a header and for every frame that is not assembled on its own.
static constexpr qsizetype SmallestBlock = 8192;
// Keys of handlers count from here; below are the engine's own.
static constexpr quint64 WakeKey = 0;

static thread_local const EpollEngine *currentEngine = nullptr;

std::shared_ptr<PipeEngine> createPlatformEngine(const EngineSettings &settings,
                                                 qsizetype bufferSize)
{
    return std::make_shared<EpollEngine>(settings, bufferSize);
}

// --- EpollHandlers ---

quint64 EpollHandlers::add(std::shared_ptr<EpollHandler> handler)
{
    const std::lock_guard<QMutex> lock(m_mutex);
    if (m_free.empty()) {
        m_free.push_back(quint32(m_slots.size()));
        m_slots.emplace_back();
    }
    const quint32 index = m_free.back();
    m_free.pop_back();
    Slot &slot = m_slots[index];
    slot.handler = std::move(handler);
    return quint64(++slot.generation) << 32 | index;
}

void EpollHandlers::remove(quint64 key)
{
    std::shared_ptr<EpollHandler> handler; // destroyed unlocked
    const std::lock_guard<QMutex> lock(m_mutex);
    const quint32 index = quint32(key);
    if (index >= m_slots.size() || m_slots[index].generation != quint32(key >> 32))
        return;
    handler = std::move(m_slots[index].handler);
    if (handler)
        m_free.push_back(index);
}

std::shared_ptr<EpollHandler> EpollHandlers::find(quint64 key) const
{
    const std::lock_guard<QMutex> lock(m_mutex);
    const quint32 index = quint32(key);
    if (index >= m_slots.size() || m_slots[index].generation != quint32(key >> 32))
        return nullptr;
    return m_slots[index].handler;
}

// --- EpollEngine ---

EpollEngine::EpollEngine(const EngineSettings &settings, qsizetype bufferSize)
    : m_settings(settings),
      m_pool(qMax(bufferSize, SmallestBlock))
{
}

EpollEngine::~EpollEngine() = default;

qint64 EpollEngine::maximumWriteSize() const
{
    return MaximumFrameSize;
}

TransportError EpollEngine::start()
{
    const UnixCalls &calls = unixCalls();
    const QString what = Text::tr("unable to create an IOCP port");
    m_epoll.reset(calls.epoll_create1(EPOLL_CLOEXEC));
    if (!m_epoll)
        return { NamedPipe::CompletionPortFailed, errno, "epoll_create1", what };
    m_wake.reset(calls.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!m_wake)
        return { NamedPipe::CompletionPortFailed, errno, "eventfd", what };
    epoll_event event = {};
    event.events = EPOLLIN | EPOLLET;
    event.data.u64 = WakeKey;
    if (calls.epoll_ctl(m_epoll.get(), EPOLL_CTL_ADD, m_wake.get(), &event) != 0)
        return { NamedPipe::CompletionPortFailed, errno, "epoll_ctl", what };

    try {
        for (int i = 0; i < m_settings.threads; ++i)
            m_workers.emplace_back([engine = shared_from_this()] { engine->work(); });
    } catch (const std::system_error &error) {
        return unixError(error.code().value(), "pthread_create");
    }
    std::unique_lock<std::mutex> lock(m_mutex);
    m_changed.wait(lock, [this] { return m_running == m_settings.threads; });
    return {};
}

TransportError EpollEngine::listen(const ListenSettings &settings,
                                   std::shared_ptr<ListenerSink> sink)
{
    auto listener = std::make_shared<EpollListener>(*this, std::move(sink), settings.access);
    if (TransportError error = listener->claim(settings))
        return error;
    const std::lock_guard<std::mutex> lock(m_mutex);
    m_listener = std::move(listener);
    return {};
}

void EpollEngine::startAccepting()
{
    std::unique_lock<std::mutex> lock(m_mutex);
    const auto listener = m_listener;
    lock.unlock();
    if (listener)
        listener->start();
}

void EpollEngine::stopAccepting()
{
    std::unique_lock<std::mutex> lock(m_mutex);
    const auto listener = m_listener;
    lock.unlock();
    if (listener)
        listener->stop();
}

void EpollEngine::placeFreed()
{
    std::unique_lock<std::mutex> lock(m_mutex);
    const auto listener = m_listener;
    lock.unlock();
    if (listener)
        listener->placeFreed();
}

DialResult EpollEngine::connect(const DialTarget &target)
{
    return connectSocket(shared_from_this(), target);
}

void EpollEngine::post(std::shared_ptr<EngineTask> task)
{
    const std::lock_guard<std::mutex> lock(m_mutex);
    if (m_quit)
        return;
    m_tasks.push_back(std::move(task));
    m_taskCount = m_tasks.size();
    if (m_waiting.load() > 0) // a worker that is not waiting looks before it does
        wakeOne();
}

void EpollEngine::postAt(Clock::time_point when, std::shared_ptr<EngineTask> task)
{
    const std::lock_guard<std::mutex> lock(m_mutex);
    if (!m_quit && m_timers.add(when, std::move(task)) && m_waiting.load() > 0)
        wakeOne();
}

bool EpollEngine::isWorkerThread() const
{
    return currentEngine == this;
}

void EpollEngine::wakeOne()
{
    const quint64 one = 1;
    const ssize_t written = ::write(m_wake.get(), &one, sizeof one);
    Q_UNUSED(written); // fails only when 2^64 wake-ups are outstanding
}

void EpollEngine::shutdown()
{
    std::vector<std::thread> workers;
    std::deque<std::shared_ptr<EngineTask>> tasks; // destroyed unlocked
    std::shared_ptr<EpollListener> listener;
    {
        const std::lock_guard<std::mutex> lock(m_mutex);
        m_quit = true;
        workers.swap(m_workers);
        tasks.swap(m_tasks);
        m_taskCount = 0;
        listener.swap(m_listener);
        if (m_running > 0)
            wakeOne(); // the first worker that ends wakes the next
    }
    if (listener)
        listener->close();
    m_timers.clear();
    for (std::thread &worker : workers) {
        if (worker.get_id() == std::this_thread::get_id())
            worker.detach(); // it ends when it returns to its loop, and holds the engine until then
        else
            worker.join();
    }
}

bool EpollEngine::watch(int fd, quint32 events, std::shared_ptr<EpollHandler> handler, quint64 *key)
{
    *key = m_handlers.add(std::move(handler));
    epoll_event event = {};
    event.events = events;
    event.data.u64 = *key;
    if (unixCalls().epoll_ctl(m_epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0)
        return true;
    const int code = errno;
    m_handlers.remove(std::exchange(*key, 0));
    errno = code;
    return false;
}

bool EpollEngine::rewatch(int fd, quint32 events, quint64 key)
{
    epoll_event event = {};
    event.events = events;
    event.data.u64 = key;
    return unixCalls().epoll_ctl(m_epoll.get(), EPOLL_CTL_MOD, fd, &event) == 0;
}

void EpollEngine::unwatch(int fd, quint64 key)
{
    if (key == 0)
        return;
    epoll_event unused = {};
    unixCalls().epoll_ctl(m_epoll.get(), EPOLL_CTL_DEL, fd, &unused);
    m_handlers.remove(key);
}

/// A worker's life.
void EpollEngine::work()
{
    pthread_setname_np(pthread_self(), "QtNamedPipes"); // for debuggers and top
    currentEngine = this;
    {
        const std::lock_guard<std::mutex> lock(m_mutex);
        ++m_running;
        m_changed.notify_all();
    }
    // With several workers each takes one event at a time: what it has fetched would wait behind a
    // slow slot while another worker is free.
    epoll_event events[64];
    const int maximum = m_settings.threads == 1 ? 64 : 1;
    while (!m_quit) {
        const auto due = m_timers.takeDue();
        if (!due.empty())
            keepTimersWatched();
        for (const auto &task : due)
            task->run();
        // As many as there are now, for a broadcast is a task for each client.
        bool idle = true;
        for (size_t left = m_taskCount; left > 0 && runTask(); --left)
            idle = false;
        m_waiting.fetch_add(1);
        idle = idle && m_taskCount == 0 && !m_quit; // again, now that post() can see this worker
        const int count = unixCalls().epoll_wait(m_epoll.get(), events, maximum,
                                                 idle ? m_timers.millisecondsToNext() : 0);
        m_waiting.fetch_sub(1);
        bool isWatchKept = false;
        for (int i = 0; i < count; ++i) {
            const auto handler = m_handlers.find(events[i].data.u64);
            if (!handler)
                continue; // a wake-up: handing the watch on for it would be a wake-up again
            if (!std::exchange(isWatchKept, true))
                keepTimersWatched();
            handler->handle(events[i].events);
        }
    }
    wakeOne();
    currentEngine = nullptr;
    const std::lock_guard<std::mutex> lock(m_mutex);
    if (--m_running == 0) { // whoever keeps a closed connection keeps no descriptor
        m_epoll.reset();
        m_wake.reset();
    }
}

/// Runs one of the waiting tasks; false when there was none.
bool EpollEngine::runTask()
{
    std::unique_lock<std::mutex> lock(m_mutex);
    if (m_tasks.empty())
        return false;
    const auto task = std::move(m_tasks.front());
    m_tasks.pop_front();
    m_taskCount = m_tasks.size();
    const bool more = !m_tasks.empty();
    lock.unlock();
    if (more && m_waiting.load() > 0)
        wakeOne(); // this task may take long
    keepTimersWatched();
    task->run();
    return true;
}

/// What this worker turns to may take long, and it may be the only one that knows when the next
/// timer is due.
void EpollEngine::keepTimersWatched()
{
    if (m_settings.threads > 1 && !m_timers.isEmpty() && m_waiting.load() > 0)
        wakeOne();
}

} // namespace QtNamedPipes
