// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "common/service.h"
#include "load/links.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <stdexcept>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

namespace bench {

namespace {

constexpr std::size_t BufferSize = 256 * 1024;
/// What is sent at once of small messages: all clients share it, so that it stays in the cache.
constexpr std::size_t BlockSize = 64 * 1024;
constexpr std::size_t LengthSize = 4;
/// Frames from here on go out one by one, and are put together apart from the read buffer.
constexpr std::size_t BigFrame = 16 * 1024;

[[noreturn]] void fail(const char *what)
{
    throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

std::size_t frameSize(const char *frame)
{
    std::uint32_t length;
    std::memcpy(&length, frame, LengthSize);
    return LengthSize + ntohl(length);
}

class StreamLinks final : public Links
{
public:
    explicit StreamLinks(const std::string &name)
    {
        ServerOptions options;
        options.name = name;
        const std::string path = options.socketPath();
        if (path.size() >= sizeof m_address.sun_path)
            throw std::runtime_error(path + ": too long");
        std::memcpy(m_address.sun_path, path.c_str(), path.size() + 1);
        m_epoll = epoll_create1(EPOLL_CLOEXEC);
        if (m_epoll < 0)
            fail("epoll_create1");
    }

    ~StreamLinks() override
    {
        for (const Link &link : m_links) {
            if (link.fd >= 0)
                ::close(link.fd);
        }
        ::close(m_epoll);
    }

    int open() override
    {
        const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
            fail("socket");
        const auto limit = Clock::now() + std::chrono::seconds(30);
        while (connect(fd, reinterpret_cast<const sockaddr *>(&m_address), sizeof m_address) != 0) {
            if (errno != EAGAIN || Clock::now() > limit) { // EAGAIN: the backlog is full
                ::close(fd);
                fail("connect");
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }

        int number = int(m_links.size());
        if (m_free.empty()) {
            m_links.emplace_back();
        } else {
            number = m_free.back();
            m_free.pop_back();
        }
        Link &link = m_links[std::size_t(number)];
        link = Link();
        link.fd = fd;
        epoll_event event {};
        event.events = EPOLLIN;
        event.data.u32 = std::uint32_t(number);
        if (epoll_ctl(m_epoll, EPOLL_CTL_ADD, fd, &event) != 0)
            fail("epoll_ctl");
        return number;
    }

    void close(int number) override
    {
        Link &link = m_links[std::size_t(number)];
        ::close(link.fd);
        link = Link();
        m_free.push_back(number);
    }

    int send(int number, MessageMaker &maker, int count) override
    {
        Link &link = m_links[std::size_t(number)];
        const std::size_t frame = LengthSize + maker.size();
        const bool isBig = frame >= BigFrame;
        int taken = 0;
        while (taken < count && link.left == 0) {
            Block &block = isBig ? link.big : m_block;
            const int some = isBig ? 1 : std::min(count - taken, int(BlockSize / frame));
            block.make(maker, some);
            taken += some;
            link.at = block.data.data();
            link.left = std::size_t(some) * frame;
            sendWaiting(link);
            if (link.left > 0 && !isBig) { // others need the block
                link.rest.assign(link.at, link.at + link.left);
                link.at = link.rest.data();
            }
        }
        if (link.left > 0 && !link.watchesRoom)
            watchRoom(number, true);
        return taken;
    }

    void poll(Receiver &receiver, Clock::time_point deadline) override
    {
        const auto left =
                std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
        epoll_event events[64];
        const int count = epoll_wait(m_epoll, events, 64, int(std::max<long long>(left, 0)));
        if (count < 0 && errno != EINTR)
            fail("epoll_wait");
        for (int i = 0; i < count; ++i) {
            const int number = int(events[i].data.u32);
            Link &link = m_links[std::size_t(number)];
            if (events[i].events & EPOLLOUT) {
                // It stays watched until nothing was left to be sent: a flood changes nothing here.
                if (link.left == 0)
                    watchRoom(number, false);
                else
                    sendWaiting(link);
            }
            if (events[i].events & ~std::uint32_t(EPOLLOUT))
                read(number, receiver);
        }
    }

private:
    /// Frames of one size. They are written once and renewed in place from then on.
    struct Block
    {
        std::vector<char> data;
        std::size_t of = 0; ///< the size of a message
        std::size_t written = 0; ///< bytes that can be renewed

        void make(MessageMaker &maker, int count)
        {
            if (of != maker.size()) {
                of = maker.size();
                written = 0;
            }
            const std::size_t frame = LengthSize + of;
            const std::size_t size = std::size_t(count) * frame;
            if (data.size() < size)
                data.resize(size);

            char *at = data.data();
            char *const end = at + size;
            for (char *const old = at + std::min(written, size); at < old; at += frame)
                maker.renew(at + LengthSize);
            const std::uint32_t length = htonl(std::uint32_t(of));
            for (; at < end; at += frame) {
                std::memcpy(at, &length, LengthSize);
                maker.write(at + LengthSize);
            }
            written = std::max(written, size);
        }
    };

    struct Link
    {
        int fd = -1;
        bool watchesRoom = false;

        // What was taken and has not gone is in `big` or in `rest`.
        const char *at = nullptr;
        std::size_t left = 0;
        Block big; ///< one big frame
        std::vector<char> rest; ///< of small ones

        // What is there of a frame that has not arrived completely.
        std::vector<char> part;
        std::size_t have = 0;
        std::size_t whole = 0; ///< the size of a big frame; 0: it is a small one, or not known
    };

    static void sendWaiting(Link &link)
    {
        const ssize_t sent = ::send(link.fd, link.at, link.left, MSG_NOSIGNAL);
        if (sent >= 0) {
            link.at += sent;
            link.left -= std::size_t(sent);
        } else if (errno != EAGAIN && errno != EINTR) {
            fail("send");
        }
    }

    void watchRoom(int number, bool watch)
    {
        Link &link = m_links[std::size_t(number)];
        epoll_event event {};
        event.events = watch ? EPOLLIN | EPOLLOUT : EPOLLIN;
        event.data.u32 = std::uint32_t(number);
        if (epoll_ctl(m_epoll, EPOLL_CTL_MOD, link.fd, &event) != 0)
            fail("epoll_ctl");
        link.watchesRoom = watch;
    }

    /// One read: the rest of a big frame goes to its place, all else into the buffer.
    void read(int number, Receiver &receiver)
    {
        Link &link = m_links[std::size_t(number)];
        std::size_t carried = 0;
        if (link.whole == 0 && link.have > 0) {
            carried = link.have;
            std::memcpy(m_buffer.data(), link.part.data(), carried);
        }
        iovec parts[2] = { { link.part.data() + link.have,
                             link.whole ? link.whole - link.have : 0 },
                           { m_buffer.data() + carried, BufferSize - carried } };
        const ssize_t result = readv(link.fd, parts, 2);
        if (result < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (result < 0)
            fail("the connection is lost");
        if (result == 0)
            throw std::runtime_error("the connection is lost: the server has closed it");

        const std::size_t toPart = std::min(std::size_t(result), parts[0].iov_len);
        if (link.whole > 0) {
            link.have += toPart;
            if (link.have < link.whole)
                return;
            receiver.received(number, link.part.data() + LengthSize, link.whole - LengthSize);
        }
        const char *at = m_buffer.data();
        const char *const end = at + carried + (std::size_t(result) - toPart);
        std::size_t frame = 0; // of the one that is not complete
        while (end - at >= std::ptrdiff_t(LengthSize)) {
            frame = frameSize(at);
            if (frame > std::size_t(end - at))
                break;
            receiver.received(number, at + LengthSize, frame - LengthSize);
            at += frame;
            frame = 0;
        }
        link.have = std::size_t(end - at);
        link.whole = frame >= BigFrame ? frame : 0;
        if (link.part.size() < std::max(link.have, link.whole))
            link.part.resize(std::max(link.have, link.whole));
        if (link.have > 0)
            std::memcpy(link.part.data(), at, link.have);
    }

    sockaddr_un m_address { AF_UNIX, {} };
    int m_epoll = -1;
    std::deque<Link> m_links;
    std::vector<int> m_free;
    Block m_block; ///< small frames, for whichever link sends next
    std::vector<char> m_buffer = std::vector<char>(BufferSize);
};

} // namespace

std::unique_ptr<Links> makeStreamLinks(const std::string &name)
{
    return std::make_unique<StreamLinks>(name);
}

} // namespace bench
