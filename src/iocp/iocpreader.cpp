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
// A watch that came to nothing begins again after this time.
static constexpr auto WatchPause = std::chrono::milliseconds(100);

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
    if (stage == Stage::Idle)
        read();
    else if (stage == Stage::EmptyMessage)
        endpoint().engine().complete(*this, owner(), StatusSuccess);
    else
        Q_ASSERT(stage == Stage::Watching);
}

void IocpReader::read()
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
            return failed(ERROR_NOT_ENOUGH_MEMORY);
        }
        data = m_batch.block.data();
        size = m_batch.block.size();
    }
    const DWORD length = DWORD(std::min(size, m_largestRead));
    const DWORD error =
            endpoint().gate().submit(*this, owner(), [&](HANDLE pipe, OVERLAPPED *overlapped) {
                return winApi().readFile(pipe, data, length, nullptr, overlapped);
            });
    if (error != ERROR_SUCCESS)
        failed(error);
}

/// Worker.
void IocpReader::completed(DWORD error, DWORD bytes)
{
    const Stage stage = m_stage.load();
    if (stage == Stage::Watching || stage == Stage::WatchingWanted)
        watched(error);
    else if (endpoint().isClosed())
        return;
    else if (error == ERROR_SUCCESS)
        messageEnded(qsizetype(bytes));
    else if (error == ERROR_MORE_DATA)
        fragmentCame(qsizetype(bytes));
    else
        failed(error);
}

// --- Watching ---

void IocpReader::watch()
{
    Stage idle = Stage::Idle;
    if (!m_stage.compare_exchange_strong(idle, Stage::Watching))
        return;
    static char nothing;
    const DWORD error =
            endpoint().gate().submit(*this, owner(), [](HANDLE pipe, OVERLAPPED *overlapped) {
                return winApi().readFile(pipe, &nothing, 0, nullptr, overlapped);
            });
    if (error != ERROR_SUCCESS)
        watched(error);
}

void IocpReader::watched(DWORD error)
{
    const bool tookEmptyMessage = error == ERROR_SUCCESS;
    Stage stage = Stage::Watching;
    if (m_stage.compare_exchange_strong(stage,
                                        tookEmptyMessage ? Stage::EmptyMessage : Stage::Idle)) {
        if (isPeerGone(error) && !endpoint().isClosed())
            endpoint().sink().hangUpSeen();
        else if (isShortage(error) || error == ERROR_OPERATION_ABORTED)
            watchLater();
        return;
    }
    m_stage.store(Stage::Reading); // start() has come meanwhile
    if (endpoint().isClosed())
        return;
    if (tookEmptyMessage)
        messageEnded(0);
    else
        read(); // whatever was wrong with watching: the read itself tells
}

void IocpReader::watchLater()
{
    if (!endpoint().gate().isCancelled() && !m_watchesLater.exchange(true))
        endpoint().engine().postAt(Clock::now() + WatchPause,
                                   std::make_shared<WatchAgain>(owner(), *this));
}

// --- Messages ---

void IocpReader::messageEnded(qsizetype size)
{
    succeeded();
    m_largestRead = LargestRead;
    if (isTooLarge(m_message.arrived() + size))
        return;
    MessageBatch batch = std::exchange(m_batch, MessageBatch());
    if (m_message.isActive()) {
        m_message.add(size);
        batch.wholes.push_back(m_message.take());
    } else {
        batch.spans.emplace_back(0u, quint32(size));
    }
    BatchPool &pool = endpoint().engine().pool();
    m_stage.store(Stage::Idle);
    endpoint().sink().received(
            batch); // which may start the next read, and another worker finish it
    pool.give(std::move(batch));
    watch();
}

void IocpReader::fragmentCame(qsizetype size)
{
    succeeded();
    const qint64 left = bytesLeft();
    if (isTooLarge(m_message.arrived() + size + std::max<qint64>(left, 1)))
        return;
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
        return end(ReadEnd::Failed, winError(ERROR_NOT_ENOUGH_MEMORY, "ReadFile"));
    }
    read();
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
