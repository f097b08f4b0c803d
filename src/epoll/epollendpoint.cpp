// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "epoll/epollendpoint.h"

#include "core/text.h"
#include "epoll/unixcalls.h"
#include "epoll/unixerror.h"

#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

namespace QtNamedPipes {

using namespace std::chrono_literals;

static constexpr quint32 BaseEvents = EPOLLIN | EPOLLRDHUP | EPOLLET;
// Reads in one go before other connections have a turn.
static constexpr int ReadsPerTurn = 8;
// Up to here a message is copied next to its header, for the system takes longer over two pieces
// than this takes; above it is sent from where it lies.
static constexpr qsizetype SmallMessage = 2048;
// Room for the copies: about what a socket holds.
static constexpr qsizetype CopyRoom = 128 * 1024;
// What one startWrite() sends on the caller's thread at most, about; a worker does the rest.
static constexpr qsizetype SendPerCall = 1024 * 1024;
// The wait before a call is tried again that failed for want of memory.
static constexpr auto ExhaustionWait = 10ms;

EpollEndpoint::EpollEndpoint(std::shared_ptr<EpollEngine> engine, UnixFd fd,
                             const PeerIdentity &peer)
    : m_engine(std::move(engine)),
      m_peer(peer),
      m_fd(std::move(fd)),
      m_decoder(m_engine->maximumMessageSize(), &m_engine->pool())
{
}

void EpollEndpoint::attach(std::shared_ptr<EndpointSink> sink)
{
    m_sink = std::move(sink);
    if (!m_engine->watch(m_fd.get(), BaseEvents, shared_from_this(), &m_key)) {
        m_watchError = errno; // told to the first startRead()
        m_read.fetch_or(Ready);
    }
}

void EpollEndpoint::cancel()
{
    m_read.fetch_or(Cancelled);
    tryReadOnWorker(); // answers a read that is outstanding, and reads nothing
    if (takeWaiting())
        m_sink->writeProgressed({ WriteProgress::Cancelled, 0, {} });
}

void EpollEndpoint::close()
{
    // A socket that is closed with data unread tells its peer of a reset instead of the end.
    if (!m_hasEnd) {
        char unread[16 * 1024];
        for (int i = 0; i < 64 && ::recv(m_fd.get(), unread, sizeof unread, MSG_DONTWAIT) > 0;
             ++i) { }
    }
    m_engine->unwatch(m_fd.get(), m_key);
    m_fd.reset();
}

void EpollEndpoint::handle(quint32 events)
{
    if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
        Room arming = Room::Arming;
        if (takeWaiting())
            continueWrite();
        else
            m_room.compare_exchange_strong(arming, Room::Signalled);
    }
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) {
        const bool hungUp = events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP);
        m_read.fetch_or(hungUp ? Ready | HungUp : Ready);
        tryReadOnWorker();
        tellHangUp();
    }
}

// --- Reading ---

void EpollEndpoint::startRead(qint64 roughly)
{
    m_roughly.store(roughly, std::memory_order_relaxed);
    const quint32 before = m_read.fetch_or(Wanted);
    // From inside received() the loop that called it goes on; with nothing there an edge will come.
    if (!(before & Running) && (before & (Ready | Cancelled)))
        m_engine->post(shared_from_this());
}

/// Sets Running when there is something to do and nobody is doing it.
bool EpollEndpoint::beginReading()
{
    quint32 bits = m_read.load();
    do {
        if (!(bits & Wanted) || !(bits & (Ready | Cancelled)) || (bits & Running))
            return false;
    } while (!m_read.compare_exchange_weak(bits, bits | Running));
    return true;
}

/// Resets Running, unless there is something to do again.
bool EpollEndpoint::endReading()
{
    quint32 bits = m_read.load();
    do {
        if ((bits & Wanted) && (bits & (Ready | Cancelled)))
            return false;
    } while (!m_read.compare_exchange_weak(bits, bits & ~quint32(Running)));
    return true;
}

/// Reads for as long as reads are wanted and there is something to read. On a worker; elsewhere
/// only to answer a cancelled read.
void EpollEndpoint::tryReadOnWorker()
{
    if (!beginReading())
        return;
    // The worker's own: what comes alone leaves the block where it is, for the next read.
    static thread_local MessageBatch batch;
    int reads = 0;
    do {
        const quint32 bits = m_read.load();
        if (bits & Cancelled) {
            endRead(ReadEnd::Cancelled);
        } else if (m_watchError != 0) {
            endRead(ReadEnd::Failed, unixError(m_watchError, "epoll_ctl"));
        } else if (m_hasEnd) {
            endRead(m_end, m_endError);
        } else if (++reads > ReadsPerTurn) {
            m_read.fetch_and(~quint32(Running));
            m_engine->post(shared_from_this());
            break;
        } else if (!readOnce(batch)) {
            m_read.fetch_or(Ready);
            m_read.fetch_and(~quint32(Running)); // before the next try can come
            m_engine->postAt(Clock::now() + ExhaustionWait, shared_from_this());
            break;
        }
    } while (!endReading());
    tellHangUp();
}

/// Nobody reads, and the client has gone: the connection would not learn of it.
void EpollEndpoint::tellHangUp()
{
    const quint32 bits = m_read.load();
    if (!(bits & HungUp) || (bits & (Wanted | Running | Cancelled)))
        return;
    if (!(m_read.fetch_or(HangUpTold) & HangUpTold))
        m_sink->hangUpSeen();
}

/// One system call and what comes of it. False when there was no memory for it.
bool EpollEndpoint::readOnce(MessageBatch &batch)
{
    FrameDecoder::Regions regions;
    try {
        if (batch.block.size() != m_engine->pool().blockSize() || !batch.block.isDetached())
            batch = m_engine->pool().take();
        regions = m_decoder.regions(batch, m_roughly.load(std::memory_order_relaxed));
    } catch (const std::bad_alloc &) {
        m_decoder.nothingCame();
        return false;
    }
    iovec vectors[FrameDecoder::MaximumRegions];
    msghdr message = {};
    message.msg_iov = vectors;
    for (const auto &region : regions)
        vectors[message.msg_iovlen++] = { region.data, size_t(region.size) };
    m_read.fetch_and(~quint32(Ready)); // before the call: an edge that comes during it counts
    const ssize_t size = unixCalls().recvmsg(m_fd.get(), &message, MSG_DONTWAIT);
    const int code = size < 0 ? errno : 0;
    if (size <= 0)
        m_decoder.nothingCame();
    if (code == EAGAIN)
        return true;
    if (code == EINTR) {
        m_read.fetch_or(Ready);
        return true;
    }
    if (code != 0 && isExhaustion(code))
        return false;

    if (size > 0) {
        // A read that was not filled has emptied the socket, and an edge will tell of more; unless
        // the end is there already, or the client has sent descriptors along (which are not taken):
        // they end a read early.
        if (size == regions.bytes() || (message.msg_flags & MSG_CTRUNC) || (m_read.load() & HungUp))
            m_read.fetch_or(Ready);
        decode(batch, size);
    } else if (m_decoder.isInsideFrame()) {
        foundEnd(ReadEnd::Failed,
                 { NamedPipe::TruncatedMessage, code, "recvmsg",
                   Text::tr("the other side closed in the middle of a message") });
    } else if (code == 0 || code == ECONNRESET) {
        foundEnd(ReadEnd::PeerClosed, {});
    } else {
        foundEnd(ReadEnd::Failed, unixError(code, "recvmsg"));
    }
    if (batch.isEmpty())
        return true;
    m_read.fetch_and(~quint32(Wanted));
    m_sink->received(batch);
    return true;
}

void EpollEndpoint::decode(MessageBatch &batch, qsizetype size)
{
    try {
        if (m_decoder.consume(batch, size))
            return;
        foundEnd(
                ReadEnd::Failed,
                { NamedPipe::MessageTooLarge, 0, "",
                  Text::tr(
                          "the other side announced a message of %1 bytes, which is more than is allowed")
                          .arg(m_decoder.announcedSize()) });
    } catch (const std::bad_alloc &) { // it is the client who decides how much is needed
        m_decoder.reset();
        foundEnd(ReadEnd::Failed,
                 { NamedPipe::ResourceExhausted, 0, "",
                   Text::tr("there is no memory for a message of %1 bytes")
                           .arg(m_decoder.announcedSize()) });
    }
}

/// To be told to this read, or to the next when there are messages before it.
void EpollEndpoint::foundEnd(ReadEnd end, const TransportError &error)
{
    m_hasEnd = true;
    m_end = end;
    m_endError = error;
    m_read.fetch_or(Ready);
}

void EpollEndpoint::endRead(ReadEnd end, const TransportError &error)
{
    m_read.fetch_and(~quint32(Wanted));
    m_sink->readEnded(end, error);
}

// --- Writing ---

/// The frames of the next system call: headers and small messages copied together, large ones where
/// they lie.
class EpollEndpoint::SendBatch
{
public:
    SendBatch()
    {
        // Each thread that sends has its own; too large for a stack of unknown size. When there is no
        // memory, or the thread is destroying what it has, less is sent at once.
        static thread_local char *room = nullptr;
        static thread_local bool isThreadEnding = false;
        struct Owner
        {
            ~Owner()
            {
                delete[] std::exchange(room, nullptr);
                isThreadEnding = true;
            }
        };
        static thread_local Owner owner;
        if (!room && !isThreadEnding)
            room = new (std::nothrow) char[CopyRoom]; // what is not used takes no memory
        if (room) {
            m_copies = room;
            m_room = CopyRoom;
        }
    }

    /// False when there is no room left.
    bool add(const QByteArray &data, qsizetype offset)
    {
        const bool isSmall = data.size() <= SmallMessage;
        const qsizetype copied = FrameHeaderSize + (isSmall ? data.size() : 0);
        if (m_count + 2 > MaximumVectors || m_used + copied > m_room)
            return false;
        char *const to = m_copies + m_used;
        writeFrameHeader(to, data.size());
        if (isSmall && !data.isEmpty())
            std::memcpy(to + FrameHeaderSize, data.constData(), size_t(data.size()));
        m_used += copied;
        if (offset < copied)
            addVector(to + offset, copied - offset);
        if (!isSmall) {
            const qsizetype from = qMax<qsizetype>(offset - FrameHeaderSize, 0);
            addVector(const_cast<char *>(data.constData()) + from, data.size() - from);
        }
        return true;
    }

    qsizetype size() const { return m_size; }
    ssize_t send(int fd)
    {
        msghdr message = {};
        message.msg_iov = m_vectors;
        message.msg_iovlen = size_t(m_count);
        return unixCalls().sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    }

private:
    static constexpr int MaximumVectors = 256;

    void addVector(char *data, qsizetype size)
    {
        m_size += size;
        if (m_count > 0) {
            iovec &last = m_vectors[m_count - 1];
            if (static_cast<char *>(last.iov_base) + last.iov_len == data) {
                last.iov_len += size_t(size);
                return;
            }
        }
        m_vectors[m_count++] = { data, size_t(size) };
    }

    iovec m_vectors[MaximumVectors];
    int m_count = 0;
    qsizetype m_size = 0;
    qsizetype m_used = 0;
    char m_own[4096]; // not initialised
    char *m_copies = m_own;
    qsizetype m_room = sizeof m_own;
};

/// Goes on with a write when there is room, or when the want of memory may be over.
class EpollEndpoint::WriteRetry final : public EngineTask
{
public:
    explicit WriteRetry(std::shared_ptr<EpollEndpoint> endpoint) : m_endpoint(std::move(endpoint))
    {
    }
    void run() override
    {
        if (m_endpoint->takeWaiting())
            m_endpoint->continueWrite();
    }

private:
    const std::shared_ptr<EpollEndpoint> m_endpoint;
};

WriteProgress EpollEndpoint::startWrite(const OutgoingMessage *messages, int count)
{
    m_messages = messages;
    m_count = count;
    m_index = 0;
    m_offset = 0;
    const WriteProgress progress = send();
    if (progress.status != WriteProgress::Pending)
        return progress;
    if (progress.accepted > 0)
        m_sink->writeProgressed(progress);
    switch (waitForRoom()) {
    case Room::Idle:
        return { WriteProgress::Cancelled, 0, {} };
    case Room::Signalled: // a worker's business: this call returns at once
        m_room = Room::Waiting;
        m_engine->post(std::make_shared<WriteRetry>(shared_from_this()));
        break;
    default:
        break;
    }
    return { WriteProgress::Pending, 0, {} };
}

/// On a worker, which has taken the write over.
void EpollEndpoint::continueWrite()
{
    for (;;) {
        const WriteProgress progress = send();
        if (progress.status != WriteProgress::Pending) {
            watchForRoom(false);
            m_sink->writeProgressed(progress);
            return;
        }
        if (progress.accepted > 0)
            m_sink->writeProgressed(progress);
        switch (waitForRoom()) {
        case Room::Idle:
            m_sink->writeProgressed({ WriteProgress::Cancelled, 0, {} });
            return;
        case Room::Signalled:
            break;
        default:
            return;
        }
    }
}

/// Gives the write to whoever hears of room. Signalled: that has happened already, and the write is
/// the caller's still; Idle: it was cancelled meanwhile. Otherwise nothing of the write is the
/// caller's any more.
EpollEndpoint::Room EpollEndpoint::waitForRoom()
{
    m_room = Room::Arming;
    const bool exhausted = std::exchange(m_isExhausted, false) || !watchForRoom(true);
    Room expected = Room::Arming;
    if (!m_room.compare_exchange_strong(expected, Room::Waiting))
        return Room::Signalled;
    if (exhausted)
        m_engine->postAt(Clock::now() + ExhaustionWait,
                         std::make_shared<WriteRetry>(shared_from_this()));
    if ((m_read.load() & Cancelled) && takeWaiting())
        return Room::Idle;
    return Room::Waiting;
}

bool EpollEndpoint::takeWaiting()
{
    Room expected = Room::Waiting;
    return m_room.compare_exchange_strong(expected, Room::Idle);
}

/// Only while a write waits: otherwise each message that the client reads would wake a worker.
bool EpollEndpoint::watchForRoom(bool on)
{
    if (!on && !m_watchesForRoom)
        return true;
    m_watchesForRoom = on;
    return m_engine->rewatch(m_fd.get(), on ? BaseEvents | EPOLLOUT : BaseEvents, m_key);
}

/// Sends what the socket takes. Pending: there is more.
WriteProgress EpollEndpoint::send()
{
    WriteProgress progress;
    qsizetype sent = 0;
    while (m_index < m_count) {
        if (sent >= SendPerCall) {
            progress.status = WriteProgress::Pending;
            break;
        }
        SendBatch batch;
        for (int i = m_index;
             i < m_count && batch.add(m_messages[i].data, i == m_index ? m_offset : 0); ++i) { }
        const ssize_t size = batch.send(m_fd.get());
        const int code = size < 0 ? errno : 0;
        if (code == EINTR)
            continue;
        if (code == EAGAIN || (code != 0 && isExhaustion(code))) {
            m_isExhausted = code != EAGAIN;
            progress.status = WriteProgress::Pending;
            break;
        }
        if (code != 0) {
            const bool peerGone = code == EPIPE || code == ECONNRESET;
            progress.status = peerGone ? WriteProgress::PeerGone : WriteProgress::Failed;
            progress.error = unixError(code, "sendmsg");
            break;
        }
        sent += size;
        m_offset += size;
        while (m_index < m_count && m_offset >= FrameHeaderSize + m_messages[m_index].data.size()) {
            m_offset -= FrameHeaderSize + m_messages[m_index].data.size();
            ++m_index;
            ++progress.accepted;
        }
        if (size < batch.size()) {
            progress.status = WriteProgress::Pending;
            break;
        }
    }
    return progress;
}

} // namespace QtNamedPipes
