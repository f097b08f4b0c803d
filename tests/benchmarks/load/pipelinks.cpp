// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "load/links.h"

#include <windows.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <stdexcept>
#include <utility>
#include <vector>

namespace bench {

namespace {

constexpr DWORD FirstBuffer = 64 * 1024; // for reading; grows
constexpr int ReadsInTurn = 64; // then the other links have their turn
// Of one link: enough to keep the pipe full while this program does something else.
constexpr std::size_t WritesInFlight = 64;
constexpr std::size_t BytesInFlight = 1024 * 1024;
constexpr std::size_t LengthSize = 4;
constexpr LONG StatusSuccess = 0;
constexpr LONG StatusBufferOverflow = LONG(0x80000005); // a part of a message has been read

[[noreturn]] void fail(const char *what, DWORD error)
{
    throw std::runtime_error(std::string(what) + ": error " + std::to_string(error));
}

/// How messages are carried.
struct Wire
{
    DWORD readMode;
    std::size_t prefix; ///< bytes of the length before each message
    std::size_t bytesInWrite; ///< what is gathered, one message at least
};
constexpr Wire Messages { PIPE_READMODE_MESSAGE, 0, 0 };
constexpr Wire Bytes { PIPE_READMODE_BYTE, LengthSize, 64 * 1024 };

std::uint32_t swapped(std::uint32_t value) // big-endian, for Windows is not
{
    return value >> 24 | (value >> 8 & 0xff00) | (value << 8 & 0xff0000) | value << 24;
}

/// The links of one kind of wire, with one completion port. What is done at once is handled at once,
/// without a packet.
class PipeLinks final : public Links
{
public:
    PipeLinks(const std::string &name, const Wire &wire)
        : m_path("\\\\.\\pipe\\" + name),
          m_wire(wire)
    {
        m_port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, 1);
        if (!m_port)
            fail("CreateIoCompletionPort", GetLastError());
    }

    ~PipeLinks() override
    {
        for (Link &link : m_links) {
            if (!link.isClosed)
                close(link.number);
        }
        CloseHandle(m_port);
    }

    int open() override
    {
        const HANDLE pipe = openPipe();
        if (m_free.empty()) {
            m_free.push_back(int(m_links.size()));
            m_links.emplace_back();
        }
        const int number = m_free.back();
        m_free.pop_back();
        Link &link = m_links[std::size_t(number)];
        link = Link();
        link.number = number;
        link.pipe = pipe;
        DWORD mode = m_wire.readMode;
        if (!SetNamedPipeHandleState(pipe, &mode, nullptr, nullptr)
            || !CreateIoCompletionPort(pipe, m_port, ULONG_PTR(&link), 0)
            || !SetFileCompletionNotificationModes(pipe,
                                                   FILE_SKIP_COMPLETION_PORT_ON_SUCCESS
                                                           | FILE_SKIP_SET_EVENT_ON_HANDLE))
            fail("the new pipe cannot be used", GetLastError());
        m_turns.push_back(&link);
        return number;
    }

    void close(int number) override
    {
        Link &link = m_links[std::size_t(number)];
        link.isClosed = true;
        CancelIoEx(link.pipe, nullptr);
        CloseHandle(link.pipe);
        m_turns.erase(std::remove(m_turns.begin(), m_turns.end(), &link), m_turns.end());
        freeIfUnused(link);
    }

    int send(int number, MessageMaker &maker, int count) override
    {
        Link &link = m_links[std::size_t(number)];
        const std::size_t frame = m_wire.prefix + maker.size();
        const std::size_t atOnce = std::max<std::size_t>(m_wire.bytesInWrite / frame, 1);
        link.mostWrites =
                std::clamp<std::size_t>(BytesInFlight / (atOnce * frame), 2, WritesInFlight);
        int taken = 0;
        while (taken < count && link.writing < link.mostWrites) {
            Write *write = takeWrite(link);
            const int frames = std::min<int>(count - taken, int(atOnce));
            fill(*write, maker, frames);
            taken += frames;
            static_cast<OVERLAPPED &>(*write) = OVERLAPPED();
            if (WriteFile(link.pipe, write->data.data(), DWORD(std::size_t(frames) * frame),
                          nullptr, write))
                giveBack(link, write);
            else if (GetLastError() != ERROR_IO_PENDING)
                fail("WriteFile", GetLastError());
        }
        link.isBlocked = taken < count;
        return taken;
    }

    void poll(Receiver &receiver, Clock::time_point deadline) override
    {
        m_hasNews = false;
        do {
            takeTurns(receiver);
            if (m_hasNews && m_turns.empty())
                return;
            const bool waits = !m_hasNews && m_turns.empty();
            if (!takePackets(receiver, waits ? deadline : Clock::time_point()))
                return;
        } while (!m_hasNews);
    }

private:
    /// Frames of one size. They are written once and renewed in place from then on.
    struct Write : OVERLAPPED
    {
        std::vector<char> data;
        std::size_t size = 0; ///< of a message in `data`
        int written = 0; ///< how many frames of `data` can be renewed
    };

    struct Link
    {
        int number = 0;
        HANDLE pipe = INVALID_HANDLE_VALUE;
        bool isClosed = false;

        OVERLAPPED reading {};
        bool isReading = false;
        std::unique_ptr<char[]> buffer; ///< left uninitialised: memory that is not used costs none
        DWORD capacity = 0;
        DWORD arrived = 0; ///< of a message that is not complete

        std::vector<std::unique_ptr<Write>> writes;
        std::vector<Write *> spare;
        std::size_t writing = 0; ///< writes in flight
        std::size_t mostWrites = 0;
        bool isBlocked = false; ///< took less than there was
    };

    HANDLE openPipe() const
    {
        const auto limit = Clock::now() + std::chrono::seconds(30);
        for (;;) {
            // GENERIC_WRITE would ask for the right to create instances, too.
            const HANDLE pipe = CreateFileA(m_path.c_str(),
                                            GENERIC_READ | FILE_WRITE_DATA | FILE_WRITE_ATTRIBUTES,
                                            0, nullptr, OPEN_EXISTING,
                                            FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT
                                                    | SECURITY_IDENTIFICATION,
                                            nullptr);
            if (pipe != INVALID_HANDLE_VALUE)
                return pipe;
            const DWORD error = GetLastError();
            if (error != ERROR_PIPE_BUSY || Clock::now() > limit)
                fail("CreateFile", error);
            WaitNamedPipeA(m_path.c_str(), 1000); // then another client may be faster
        }
    }

    // -- writing --------------------------------------------------------------------------------

    Write *takeWrite(Link &link)
    {
        ++link.writing;
        if (link.spare.empty())
            return link.writes.emplace_back(std::make_unique<Write>()).get();
        Write *write = link.spare.back();
        link.spare.pop_back();
        return write;
    }

    void giveBack(Link &link, Write *write)
    {
        --link.writing;
        link.spare.push_back(write);
    }

    void fill(Write &write, MessageMaker &maker, int frames)
    {
        const std::size_t frame = m_wire.prefix + maker.size();
        if (write.size != maker.size()) {
            write.size = maker.size();
            write.written = 0;
        }
        if (write.data.size() < std::size_t(frames) * frame)
            write.data.resize(std::size_t(frames) * frame);
        char *at = write.data.data();
        for (int i = 0; i < frames; ++i, at += frame) {
            if (i < write.written) {
                maker.renew(at + m_wire.prefix);
                continue;
            }
            const std::uint32_t length = swapped(std::uint32_t(maker.size()));
            std::memcpy(at, &length, m_wire.prefix);
            maker.write(at + m_wire.prefix);
        }
        write.written = std::max(write.written, frames);
    }

    // -- what comes -----------------------------------------------------------------------------

    /// Reads from the links that may have something. The others have a read outstanding.
    void takeTurns(Receiver &receiver)
    {
        m_now.swap(m_turns);
        for (Link *link : m_now) {
            if (!link->isClosed)
                read(*link, receiver);
        }
        m_now.clear();
    }

    /// False when there were none until \a deadline.
    bool takePackets(Receiver &receiver, Clock::time_point deadline)
    {
        const auto left =
                std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
        OVERLAPPED_ENTRY packets[64];
        ULONG count = 0;
        if (!GetQueuedCompletionStatusEx(m_port, packets, 64, &count,
                                         DWORD(std::max<long long>(left, 0)), FALSE)) {
            if (GetLastError() != WAIT_TIMEOUT)
                fail("GetQueuedCompletionStatusEx", GetLastError());
            return false;
        }
        for (ULONG i = 0; i < count; ++i) {
            Link &link = *reinterpret_cast<Link *>(packets[i].lpCompletionKey);
            OVERLAPPED *overlapped = packets[i].lpOverlapped;
            const bool isRead = overlapped == &link.reading;
            if (isRead)
                link.isReading = false;
            else
                giveBack(link, static_cast<Write *>(overlapped));
            if (link.isClosed) {
                freeIfUnused(link);
            } else if (isRead) {
                took(link, LONG(overlapped->Internal), receiver);
                m_turns.push_back(&link);
            } else if (overlapped->Internal != StatusSuccess) {
                fail("a write has failed: status", DWORD(overlapped->Internal));
            } else if (link.isBlocked && link.writing <= link.mostWrites / 2) {
                link.isBlocked = false; // not for each write: what is in flight keeps the pipe full
                m_hasNews = true;
            }
        }
        return true;
    }

    void freeIfUnused(Link &link) // the system writes to what is in flight
    {
        if (!link.isReading && link.writing == 0)
            m_free.push_back(link.number);
    }

    void read(Link &link, Receiver &receiver)
    {
        for (int i = 0; i < ReadsInTurn; ++i) {
            makeRoom(link);
            link.reading = OVERLAPPED();
            const BOOL ok = ReadFile(link.pipe, link.buffer.get() + link.arrived,
                                     link.capacity - link.arrived, nullptr, &link.reading);
            const DWORD error = ok ? ERROR_SUCCESS : GetLastError();
            link.isReading = error == ERROR_IO_PENDING;
            if (link.isReading)
                return;
            if (error != ERROR_SUCCESS && error != ERROR_MORE_DATA)
                fail("the connection is lost", error);
            took(link, error == ERROR_SUCCESS ? StatusSuccess : StatusBufferOverflow, receiver);
        }
        m_turns.push_back(&link);
    }

    static void makeRoom(Link &link)
    {
        if (link.arrived < link.capacity)
            return;
        const DWORD capacity = std::max<DWORD>(FirstBuffer, link.capacity * 2);
        std::unique_ptr<char[]> buffer(new char[capacity]);
        if (link.arrived > 0)
            std::memcpy(buffer.get(), link.buffer.get(), link.arrived);
        link.buffer = std::move(buffer);
        link.capacity = capacity;
    }

    /// A read is done: hands over what is complete.
    void took(Link &link, LONG status, Receiver &receiver)
    {
        if (status != StatusSuccess && status != StatusBufferOverflow)
            fail("the connection is lost: status", DWORD(status));
        link.arrived += DWORD(link.reading.InternalHigh);
        if (m_wire.prefix > 0)
            return takeFrames(link, receiver);
        if (status == StatusBufferOverflow)
            return;
        m_hasNews = true;
        receiver.received(link.number, link.buffer.get(), std::exchange(link.arrived, 0));
    }

    void takeFrames(Link &link, Receiver &receiver)
    {
        const char *at = link.buffer.get();
        std::size_t left = link.arrived;
        while (left >= LengthSize) {
            std::uint32_t length;
            std::memcpy(&length, at, LengthSize);
            length = swapped(length);
            if (left - LengthSize < length)
                break;
            m_hasNews = true;
            receiver.received(link.number, at + LengthSize, length);
            at += LengthSize + length;
            left -= LengthSize + length;
        }
        link.arrived = DWORD(left);
        std::memmove(link.buffer.get(), at, left);
    }

    const std::string m_path;
    const Wire m_wire;
    HANDLE m_port;
    // Never freed: after the end, too, the system may write to what is in flight.
    std::deque<Link> &m_links = *new std::deque<Link>;
    std::vector<int> m_free;
    std::vector<Link *> m_turns; ///< these are to be read from
    std::vector<Link *> m_now; ///< in takeTurns()
    bool m_hasNews = false; ///< what poll() waits for has happened
};

} // namespace

std::unique_ptr<Links> makePipeLinks(const std::string &name)
{
    return std::make_unique<PipeLinks>(name, Messages);
}

std::unique_ptr<Links> makeByteLinks(const std::string &name)
{
    return std::make_unique<PipeLinks>(name, Bytes);
}

} // namespace bench
