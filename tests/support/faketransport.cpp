// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "faketransport.h"

#include <QtTest/qtestcase.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace QtNamedPipes {

static thread_local const FakeEngine *currentEngine = nullptr;

// --- FakeEndpoint ---

FakeEndpoint::FakeEndpoint(std::shared_ptr<FakeEngine> engine, const PeerIdentity &peer)
    : m_peer(peer),
      m_engine(std::move(engine))
{
}

FakeEndpoint::~FakeEndpoint()
{
    require(m_closed, "an endpoint is closed before it is let go");
    require(m_calls == 0, "an endpoint is not let go while it is called");
}

void FakeEndpoint::require(bool holds, const char *rule) const
{
    if (!holds)
        QTest::qFail(qPrintable(QStringLiteral("a rule of the seam is broken: ")
                                + QLatin1String(rule)),
                     __FILE__, __LINE__);
}

void FakeEndpoint::attach(std::shared_ptr<EndpointSink> sink)
{
    require(!m_sink && m_readsStarted == 0 && m_writes.isEmpty(), "attach() comes first, and once");
    m_sink = std::move(sink);
}

void FakeEndpoint::watch()
{
    const std::lock_guard lock(m_mutex);
    require(m_sink != nullptr, "attach() comes first");
    require(!m_watched, "watch() comes once");
    require(!m_closed, "nothing is called after close()");
    m_watched = true;
}

void FakeEndpoint::startRead(qint64 roughly)
{
    std::unique_lock lock(m_mutex);
    ++m_calls;
    require(m_sink != nullptr, "attach() comes first");
    require(!m_closed, "nothing is called after close()");
    require(!m_reading, "one read is outstanding at most");
    require(!m_cancelled || mayStartLate, "nothing is started after cancel()");
    require(roughly > 0, "some bytes are welcome");
    m_reading = true;
    m_roughly = roughly;
    ++m_readsStarted;
    const bool answer = m_cancelled && cancelAnswer == AtOnce;
    lock.unlock();
    if (onStartRead)
        onStartRead();
    if (answer)
        endReading(ReadEnd::Cancelled);
    lock.lock();
    --m_calls;
}

WriteProgress FakeEndpoint::startWrite(const OutgoingMessage *messages, int count)
{
    std::unique_lock lock(m_mutex);
    ++m_calls;
    require(m_sink != nullptr, "attach() comes first");
    require(!m_closed, "nothing is called after close()");
    require(!m_writing, "one write is outstanding at most");
    require(!m_cancelled || mayStartLate, "nothing is started after cancel()");
    require(count > 0, "a write has messages");
    QList<QByteArray> copies;
    for (int i = 0; i < count; ++i) {
        require(!messages[i].data.isEmpty(), "empty messages are not sent");
        copies.append(messages[i].data);
    }
    m_writes.append(count);
    m_writing = true;
    m_messages = messages;
    m_accepted = 0;
    m_copies = copies;
    lock.unlock();
    if (onStartWrite)
        onStartWrite();
    lock.lock();
    --m_calls;
    if (!m_writing) // what completed it came before this returned
        return { WriteProgress::Pending, 0, {} };
    if (m_cancelled && cancelAnswer == AtOnce) {
        m_writing = false;
        return { WriteProgress::Cancelled, 0, {} };
    }
    if (!acceptsAtOnce)
        return { WriteProgress::Pending, 0, {} };
    m_writing = false;
    m_written += copies;
    return { WriteProgress::Done, count, {} };
}

void FakeEndpoint::cancel()
{
    {
        const std::lock_guard lock(m_mutex);
        ++m_calls;
        require(m_sink != nullptr, "attach() comes first");
        require(!m_closed, "nothing is called after close()");
        m_cancelled = true;
    }
    if (cancelAnswer == AtOnce)
        answerCancel();
    const std::lock_guard lock(m_mutex);
    --m_calls;
}

void FakeEndpoint::close()
{
    const std::lock_guard lock(m_mutex);
    require(!m_closed, "close() comes once");
    require(m_calls == 0, "close() comes during no other call");
    require(cancelAnswer == Never || (!m_reading && !m_writing),
            "close() comes when nothing is outstanding");
    m_closed = true;
}

bool FakeEndpoint::isReading() const
{
    const std::lock_guard lock(m_mutex);
    return m_reading;
}

int FakeEndpoint::readsStarted() const
{
    const std::lock_guard lock(m_mutex);
    return m_readsStarted;
}

qint64 FakeEndpoint::roughly() const
{
    const std::lock_guard lock(m_mutex);
    return m_roughly;
}

bool FakeEndpoint::isWriting() const
{
    const std::lock_guard lock(m_mutex);
    return m_writing;
}

QList<int> FakeEndpoint::writes() const
{
    const std::lock_guard lock(m_mutex);
    return m_writes;
}

QList<QByteArray> FakeEndpoint::written() const
{
    const std::lock_guard lock(m_mutex);
    return m_written;
}

bool FakeEndpoint::isCancelled() const
{
    const std::lock_guard lock(m_mutex);
    return m_cancelled;
}

bool FakeEndpoint::isClosed() const
{
    const std::lock_guard lock(m_mutex);
    return m_closed;
}

/// As the framing engine lays messages out: a header before each.
static void layOut(const QList<QByteArray> &messages, MessageBatch &batch)
{
    qsizetype at = 0;
    for (const QByteArray &message : messages) {
        at += 4;
        if (at + message.size() > batch.block.size())
            qFatal("the messages of a fake read do not fit into its block");
        std::memcpy(batch.block.data() + at, message.constData(), size_t(message.size()));
        batch.spans.push_back({ quint32(at), quint32(message.size()) });
        at += message.size();
    }
}

bool FakeEndpoint::complete(MessageBatch &batch)
{
    {
        const std::lock_guard lock(m_mutex);
        if (!std::exchange(m_reading, false))
            return false;
    }
    const auto sink = m_sink; // as an operation holds its owner
    const FakeEngine::AsWorker worker(m_engine.get());
    sink->received(batch);
    m_engine->pool().give(std::move(batch));
    return true;
}

bool FakeEndpoint::receive(const QList<QByteArray> &messages)
{
    MessageBatch batch = m_engine->pool().take();
    layOut(messages, batch);
    return complete(batch);
}

bool FakeEndpoint::receiveWholes(const QList<QByteArray> &wholes, const QList<QByteArray> &messages)
{
    MessageBatch batch = m_engine->pool().take();
    batch.wholes.append(wholes.constData(), wholes.size());
    layOut(messages, batch);
    return complete(batch);
}

bool FakeEndpoint::endReading(ReadEnd end, const TransportError &error)
{
    {
        const std::lock_guard lock(m_mutex);
        if (!std::exchange(m_reading, false))
            return false;
    }
    const auto sink = m_sink;
    const FakeEngine::AsWorker worker(m_engine.get());
    sink->readEnded(end, error);
    return true;
}

/// What is not accepted yet must be where it was, and what it was.
void FakeEndpoint::checkMessages() const
{
    for (qsizetype i = m_accepted; i < m_copies.size(); ++i)
        require(m_messages[i].data == m_copies.at(i), "messages stay put until the write is over");
}

bool FakeEndpoint::accept(int messages)
{
    {
        const std::lock_guard lock(m_mutex);
        if (!m_writing)
            return false;
        checkMessages();
        m_written += m_copies.mid(m_accepted, messages);
        m_accepted += messages;
    }
    const auto sink = m_sink;
    const FakeEngine::AsWorker worker(m_engine.get());
    sink->writeProgressed({ WriteProgress::Pending, messages, {} });
    return true;
}

bool FakeEndpoint::finishWrite(WriteProgress::Status status, const TransportError &error)
{
    WriteProgress progress { status, 0, error };
    {
        const std::lock_guard lock(m_mutex);
        if (!m_writing)
            return false;
        checkMessages();
        m_writing = false;
        if (status == WriteProgress::Done) {
            progress.accepted = int(m_copies.size()) - m_accepted;
            m_written += m_copies.mid(m_accepted);
        }
    }
    const auto sink = m_sink;
    const FakeEngine::AsWorker worker(m_engine.get());
    sink->writeProgressed(progress);
    return true;
}

void FakeEndpoint::hangUp()
{
    const FakeEngine::AsWorker worker(m_engine.get());
    m_sink->hangUpSeen();
}

void FakeEndpoint::answerCancel()
{
    require(isCancelled(), "(the test answers a cancel() that was not called)");
    endReading(ReadEnd::Cancelled);
    finishWrite(WriteProgress::Cancelled);
}

// --- FakeEngine ---

FakeEngine::AsWorker::AsWorker(const FakeEngine *engine)
    : m_before(std::exchange(currentEngine, engine))
{
}

FakeEngine::AsWorker::~AsWorker()
{
    currentEngine = m_before;
}

FakeEngine::FakeEngine(int threads) : m_threadCount(threads) { }

FakeEngine::~FakeEngine()
{
    if (!m_workers.empty())
        qFatal("an engine that was started is shut down before it is let go");
}

TransportError FakeEngine::start()
{
    const std::lock_guard lock(m_mutex);
    m_calls.append(QStringLiteral("start"));
    if (startError)
        return startError;
    for (int i = 0; i < m_threadCount; ++i)
        m_workers.emplace_back([this] { work(); });
    return {};
}

TransportError FakeEngine::listen(const ListenSettings &, std::shared_ptr<ListenerSink> sink)
{
    const std::lock_guard lock(m_mutex);
    m_calls.append(QStringLiteral("listen"));
    if (!listenError)
        m_sink = std::move(sink);
    return listenError;
}

void FakeEngine::startAccepting()
{
    const std::lock_guard lock(m_mutex);
    m_calls.append(QStringLiteral("startAccepting"));
    m_accepting = !m_stopped;
}

void FakeEngine::stopAccepting()
{
    const std::lock_guard lock(m_mutex);
    m_calls.append(QStringLiteral("stopAccepting"));
    m_accepting = false;
    m_stopped = true;
}

void FakeEngine::placeFreed()
{
    const std::lock_guard lock(m_mutex);
    ++m_placesFreed;
}

DialResult FakeEngine::connect(const DialTarget &target)
{
    if (onConnect)
        return onConnect(target);
    return { nullptr, { NamedPipe::NotFound, 2, "connect", {} }, false };
}

void FakeEngine::post(std::shared_ptr<EngineTask> task)
{
    const std::lock_guard lock(m_mutex);
    if (m_shutDown)
        return;
    m_tasks.push_back(std::move(task));
    m_changed.notify_one();
}

void FakeEngine::postAt(Clock::time_point when, std::shared_ptr<EngineTask> task)
{
    const std::lock_guard lock(m_mutex);
    if (!m_shutDown)
        m_timers.emplace(when + m_passed, std::move(task));
}

bool FakeEngine::isWorkerThread() const
{
    return currentEngine == this;
}

void FakeEngine::shutdown()
{
    std::vector<std::thread> workers;
    std::deque<std::shared_ptr<EngineTask>> tasks; // let go of unlocked
    std::multimap<Clock::time_point, std::shared_ptr<EngineTask>> timers;
    std::shared_ptr<ListenerSink> sink;
    {
        const std::lock_guard lock(m_mutex);
        m_calls.append(QStringLiteral("shutdown"));
        m_shutDown = true;
        m_accepting = false;
        workers.swap(m_workers);
        tasks.swap(m_tasks);
        timers.swap(m_timers);
        sink.swap(m_sink);
        m_changed.notify_all();
    }
    for (std::thread &worker : workers)
        worker.join();
}

QStringList FakeEngine::calls() const
{
    const std::lock_guard lock(m_mutex);
    return m_calls;
}

int FakeEngine::placesFreed() const
{
    const std::lock_guard lock(m_mutex);
    return m_placesFreed;
}

bool FakeEngine::isAccepting() const
{
    const std::lock_guard lock(m_mutex);
    return m_accepting;
}

int FakeEngine::runTasks(int atMost)
{
    if (m_threadCount > 0)
        return 0;
    const AsWorker worker(this);
    for (int count = 0;; ++count) {
        std::unique_lock lock(m_mutex);
        if (m_tasks.empty() || count == atMost)
            return count;
        const auto task = std::move(m_tasks.front());
        m_tasks.pop_front();
        lock.unlock();
        task->run();
    }
}

int FakeEngine::taskCount() const
{
    const std::lock_guard lock(m_mutex);
    return int(m_tasks.size());
}

int FakeEngine::timerCount() const
{
    const std::lock_guard lock(m_mutex);
    return int(m_timers.size());
}

void FakeEngine::advance(Clock::duration time)
{
    const AsWorker worker(this);
    std::unique_lock lock(m_mutex);
    const Clock::duration target = m_passed + time;
    while (!m_timers.empty() && m_timers.begin()->first <= Clock::now() + target) {
        const auto first = m_timers.begin();
        m_passed = std::max(m_passed, first->first - Clock::now()); // it is that late now
        const auto task = std::move(first->second);
        m_timers.erase(first);
        lock.unlock();
        task->run();
        lock.lock();
    }
    m_passed = target;
}

std::shared_ptr<FakeEndpoint> FakeEngine::makeEndpoint(const PeerIdentity &peer)
{
    return std::make_shared<FakeEndpoint>(shared_from_this(), peer);
}

std::shared_ptr<FakeEndpoint> FakeEngine::connectClient(const PeerIdentity &peer)
{
    const AsWorker worker(this);
    const auto listener = sink();
    if (!isAccepting() || !listener || !listener->reservePlace())
        return nullptr;
    auto endpoint = makeEndpoint(peer);
    listener->accepted(endpoint);
    return endpoint;
}

std::shared_ptr<ListenerSink> FakeEngine::sink() const
{
    const std::lock_guard lock(m_mutex);
    return m_sink;
}

void FakeEngine::work()
{
    const AsWorker worker(this);
    std::unique_lock lock(m_mutex);
    for (;;) {
        m_changed.wait(lock, [this] { return m_shutDown || !m_tasks.empty(); });
        if (m_shutDown)
            return;
        auto task = std::move(m_tasks.front());
        m_tasks.pop_front();
        lock.unlock();
        task->run();
        task.reset();
        lock.lock();
    }
}

} // namespace QtNamedPipes
