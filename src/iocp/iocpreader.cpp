// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "iocp/iocpreader.h"

#include "core/text.h"
#include "iocp/iocpendpoint.h"
#include "iocp/iocpengine.h"
#include "iocp/winerror.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <new>
#include <utility>

namespace QtNamedPipes {

// The system may need memory of its own for the bytes of one read.
static constexpr qsizetype LargestRead = 8 * 1024 * 1024;
static constexpr qsizetype SmallestRead = 4 * 1024;
// Reads that are done at once before other connections have a turn.
static constexpr int ReadsPerTurn = 64;
// A watch that came to nothing begins again after this time.
static constexpr auto WatchPause = std::chrono::milliseconds(100);

/// A message that this thread is handing over.
struct HandOver
{
    IocpReader *reader = nullptr;
    bool isNextWanted = false; ///< start() was called meanwhile, here
};
static thread_local HandOver handOver;

class IocpReader::WatchAgain final : public EngineTask
{
public:
    WatchAgain(std::shared_ptr<void> owner, IocpReader &reader)
        : m_owner(std::move(owner)),
          m_reader(reader)
    {
    }
    void run() override
    {
        m_reader.m_watchesLater.store(false);
        m_reader.watch();
    }

private:
    const std::shared_ptr<void> m_owner;
    IocpReader &m_reader;
};

IocpReader::IocpReader(IocpEndpoint &endpoint) : IocpDirection(endpoint), m_largestRead(LargestRead)
{
}

void IocpReader::start()
{
    Stage stage = m_stage.load();
    for (;;) {
        const Stage next = stage == Stage::Watching ? Stage::WatchingWanted : Stage::Reading;
        if (m_stage.compare_exchange_weak(stage, next))
            break;
    }
    if (stage == Stage::EmptyMessage)
        return endpoint().engine().complete(*this, owner(), StatusSuccess);
    if (stage == Stage::Watching)
        return; // it goes on when the watch has come back
    Q_ASSERT(stage == Stage::Idle);
    if (handOver.reader == this) { // on the worker that is in received(), and goes on
        handOver.isNextWanted = true;
        return;
    }
    const Submission read = submitRead();
    if (read.kind == Submission::Failed)
        failed(read.error);
    else if (read.kind == Submission::Done) // received() comes on a worker
        toWorker(read);
}

Submission IocpReader::submitRead()
{
    char *data;
    qsizetype size;
    if (m_message.isActive()) {
        data = m_message.tail();
        size = m_message.room();
    } else {
        try {
            if (m_batch.block.isEmpty())
                m_batch = endpoint().engine().pool().take();
        } catch (const std::bad_alloc &) {
            return { Submission::Failed, ERROR_NOT_ENOUGH_MEMORY, 0 };
        }
        data = m_batch.block.data();
        size = m_batch.block.size();
    }
    const DWORD length = DWORD(std::min(size, m_largestRead));
    return endpoint().gate().submit(*this, owner(), [&](HANDLE pipe, OVERLAPPED *overlapped) {
        return winApi().readFile(pipe, data, length, nullptr, overlapped);
    });
}

/// A read that was done at once, and has no packet of its own.
void IocpReader::toWorker(const Submission &read)
{
    const LONG status = read.error == ERROR_SUCCESS ? StatusSuccess : StatusBufferOverflow;
    endpoint().engine().complete(*this, owner(), status, read.bytes);
}

/// Worker: goes on for as long as reads are wanted and done at once.
void IocpReader::proceed(Next next)
{
    for (int reads = 0; next != Next::Nothing; ++reads) {
        Submission read = { Submission::Done, ERROR_SUCCESS, 0 };
        if (next == Next::Read)
            read = submitRead();
        if (read.kind == Submission::Pending)
            return;
        if (read.kind == Submission::Failed)
            return failed(read.error);
        if (reads == ReadsPerTurn) // other connections have their turn
            return toWorker(read);
        next = cameBack(read.error, read.bytes);
    }
}

/// Worker.
void IocpReader::completed(DWORD error, DWORD bytes)
{
    const Stage stage = m_stage.load();
    if (stage == Stage::Watching || stage == Stage::WatchingWanted)
        proceed(watched(error));
    else
        proceed(cameBack(error, bytes));
}

IocpReader::Next IocpReader::cameBack(DWORD error, DWORD bytes)
{
    if (endpoint().isClosed())
        return Next::Nothing;
    if (error == ERROR_SUCCESS)
        return messageEnded(qsizetype(bytes));
    if (error == ERROR_MORE_DATA)
        return fragmentCame(qsizetype(bytes));
    failed(error);
    return Next::Nothing;
}

// --- Watching ---

IocpReader::Next IocpReader::beginWatch()
{
    Stage idle = Stage::Idle;
    if (!m_stage.compare_exchange_strong(idle, Stage::Watching))
        return Next::Nothing;
    static char nothing;
    const Submission watch =
            endpoint().gate().submit(*this, owner(), [](HANDLE pipe, OVERLAPPED *overlapped) {
                return winApi().readFile(pipe, &nothing, 0, nullptr, overlapped);
            });
    return watch.kind == Submission::Pending ? Next::Nothing : watched(watch.error);
}

IocpReader::Next IocpReader::watched(DWORD error)
{
    const bool tookEmptyMessage = error == ERROR_SUCCESS;
    Stage stage = Stage::Watching;
    if (m_stage.compare_exchange_strong(stage,
                                        tookEmptyMessage ? Stage::EmptyMessage : Stage::Idle)) {
        if (isPeerGone(error) && !endpoint().isClosed())
            endpoint().sink().hangUpSeen();
        else if (isShortage(error) || error == ERROR_OPERATION_ABORTED)
            watchLater();
        return Next::Nothing;
    }
    m_stage.store(Stage::Reading); // start() has come meanwhile
    if (endpoint().isClosed())
        return Next::Nothing;
    // Whatever was wrong with watching: the read itself tells.
    return tookEmptyMessage ? Next::EmptyMessage : Next::Read;
}

void IocpReader::watchLater()
{
    if (!endpoint().gate().isCancelled() && !m_watchesLater.exchange(true))
        endpoint().engine().postAt(Clock::now() + WatchPause,
                                   std::make_shared<WatchAgain>(owner(), *this));
}

// --- Messages ---

IocpReader::Next IocpReader::messageEnded(qsizetype size)
{
    succeeded();
    m_largestRead = LargestRead;
    if (isTooLarge(m_message.arrived() + size))
        return Next::Nothing;
    MessageBatch batch = std::exchange(m_batch, MessageBatch());
    if (m_message.isActive()) {
        m_message.add(size);
        batch.wholes.push_back(m_message.take());
    } else {
        batch.spans.emplace_back(0u, quint32(size));
    }
    BatchPool &pool = endpoint().engine().pool();
    m_stage.store(Stage::Idle);
    const HandOver outer = std::exchange(handOver, { this, false });
    // Another thread may start the next read as well, and another worker finish it.
    endpoint().sink().received(batch);
    const bool isNextWanted = std::exchange(handOver, outer).isNextWanted;
    pool.give(std::move(batch));
    return isNextWanted ? Next::Read : beginWatch();
}

IocpReader::Next IocpReader::fragmentCame(qsizetype size)
{
    succeeded();
    const qint64 left = bytesLeft();
    if (isTooLarge(m_message.arrived() + size + std::max<qint64>(left, 1)))
        return Next::Nothing;
    // What the system says is left has arrived, too. When it does not say, the room doubles.
    const auto wanted = [this, left] {
        return left > 0 ? qsizetype(left)
                        : std::max(m_message.arrived(), endpoint().engine().pool().blockSize());
    };
    try {
        if (m_message.isActive()) {
            m_message.add(size);
            if (left > 0 || m_message.room() == 0)
                m_message.makeRoom(wanted());
        } else {
            m_message.begin(m_batch.block.constData(), size, wanted(),
                            endpoint().engine().pool().takeArray(size + wanted()));
            endpoint().engine().pool().give(std::exchange(m_batch, MessageBatch()));
        }
    } catch (const std::bad_alloc &) {
        end(ReadEnd::Failed, winError(ERROR_NOT_ENOUGH_MEMORY, "ReadFile"));
        return Next::Nothing;
    }
    return Next::Read;
}

/// How much of the message that has been read in part is still in the pipe; 0 when the system does
/// not say. A hint: if the writer cancels or dies now, the rest vanishes and nobody is told.
qint64 IocpReader::bytesLeft()
{
    DWORD left = 0;
    endpoint().gate().use([&left](HANDLE pipe) {
        if (!winApi().peekNamedPipe(pipe, nullptr, 0, nullptr, nullptr, &left))
            left = 0;
    });
    return left;
}

/// True, and then reading has ended, when a message of \a size bytes or more is not allowed.
bool IocpReader::isTooLarge(qint64 size)
{
    const qint64 limit = endpoint().engine().maximumMessageSize();
    if (limit <= 0 || size <= limit)
        return false;
    end(ReadEnd::Failed,
        { NamedPipe::MessageTooLarge, 0, "ReadFile",
          Text::tr("a message of %1 bytes or more is larger than the %2 bytes that are allowed")
                  .arg(size)
                  .arg(limit) });
    return true;
}

// --- The end ---

void IocpReader::failed(DWORD error)
{
    const bool isOwnCancel = error == ERROR_OPERATION_ABORTED && endpoint().gate().isCancelled();
    if (isOwnCancel)
        return end(ReadEnd::Cancelled);
    if (isPeerGone(error)) {
        if (!m_message.isActive())
            return end(ReadEnd::PeerClosed);
        return end(ReadEnd::Failed,
                   { NamedPipe::TruncatedMessage, qint64(error), "ReadFile",
                     Text::tr("the other side closed in the middle of a message") });
    }
    // A read that somebody else has cancelled has taken nothing, and can simply be done again.
    if (isShortage(error) || error == ERROR_OPERATION_ABORTED) {
        m_largestRead = std::max(m_largestRead / 2, SmallestRead);
        if (tryLater())
            return;
    }
    end(ReadEnd::Failed, winError(error, "ReadFile"));
}

void IocpReader::end(ReadEnd end, const TransportError &error)
{
    m_stage.store(Stage::Ended);
    m_message = IncomingMessage();
    endpoint().engine().pool().give(std::exchange(m_batch, MessageBatch()));
    if (!endpoint().isClosed())
        endpoint().sink().readEnded(end, error);
}

} // namespace QtNamedPipes
