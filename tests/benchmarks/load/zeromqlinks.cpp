// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// Each link is a DEALER. servers/zeromq.cpp says how the server learns that it comes and goes.

#include "common/service.h"
#include "load/links.h"

#include <zmq.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <vector>

#include <sys/epoll.h>
#include <unistd.h>

namespace bench {

namespace {

/// How much of one link may wait in its socket. The high-water mark is in messages.
constexpr std::size_t WaitingBytes = 4 * 1024 * 1024;
constexpr std::size_t MaximumWaiting = 1000; // what ZeroMQ has by default
/// From here on a message is written once, lent to the socket, and renewed when it comes back.
constexpr std::size_t BigMessage = 4096;

[[noreturn]] void fail(const char *what)
{
    throw std::runtime_error(std::string(what) + ": " + zmq_strerror(zmq_errno()));
}

void check(int result, const char *what)
{
    if (result < 0)
        fail(what);
}

/// Buffers of messages of one size. They come back on the I/O thread.
class Lending
{
public:
    explicit Lending(std::size_t size) : m_size(size) { }

    ~Lending()
    {
        for (const char *buffer : m_free)
            delete[] buffer;
    }

    std::size_t size() const { return m_size; }

    void make(zmq_msg_t *message, MessageMaker &maker)
    {
        char *buffer = nullptr;
        {
            const std::lock_guard lock(m_mutex);
            if (!m_free.empty()) {
                buffer = m_free.back();
                m_free.pop_back();
            }
        }
        if (buffer) {
            maker.renew(buffer);
        } else {
            buffer = new char[m_size];
            maker.write(buffer);
        }
        check(zmq_msg_init_data(message, buffer, m_size, giveBack, this), "message");
    }

private:
    static void giveBack(void *buffer, void *lending)
    {
        const auto self = static_cast<Lending *>(lending);
        const std::lock_guard lock(self->m_mutex);
        self->m_free.push_back(static_cast<char *>(buffer));
    }

    const std::size_t m_size;
    std::mutex m_mutex; // guards the rest
    std::vector<char *> m_free;
};

class ZeroMqLinks final : public Links
{
public:
    explicit ZeroMqLinks(const std::string &name)
    {
        ServerOptions options;
        options.name = name;
        m_address = "ipc://" + options.socketPath();
        check(zmq_ctx_set(m_context, ZMQ_MAX_SOCKETS, 65536), "sockets");
        m_epoll = epoll_create1(EPOLL_CLOEXEC);
        check(m_epoll, "epoll_create1");
        zmq_msg_init(&m_received);
    }

    ~ZeroMqLinks() override
    {
        for (Link &link : m_links) {
            if (link.socket)
                end(link);
        }
        zmq_ctx_term(m_context); // from here on nothing is lent
        ::close(m_epoll);
    }

    int open() override
    {
        Link link;
        link.socket = zmq_socket(m_context, ZMQ_DEALER);
        if (!link.socket)
            fail("socket");
        set(link, ZMQ_PROBE_ROUTER, 1);
        set(link, ZMQ_RECONNECT_IVL, 1); // the backlog may be full
        set(link, ZMQ_LINGER, 1000); // what it took is sent after a close
        check(zmq_connect(link.socket, m_address.c_str()), "connect");
        int fd = -1;
        std::size_t size = sizeof fd;
        check(zmq_getsockopt(link.socket, ZMQ_FD, &fd, &size), "descriptor");

        int number = int(m_links.size());
        if (m_free.empty()) {
            m_links.push_back(link);
        } else {
            number = m_free.back();
            m_free.pop_back();
            m_links[std::size_t(number)] = link;
        }
        epoll_event event {};
        event.events = EPOLLIN;
        event.data.u32 = std::uint32_t(number);
        check(epoll_ctl(m_epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
        m_links[std::size_t(number)].fd = fd;
        return number;
    }

    void close(int number) override
    {
        Link &link = m_links[std::size_t(number)];
        end(link);
        link = Link();
        m_touched.erase(std::remove(m_touched.begin(), m_touched.end(), number), m_touched.end());
        m_free.push_back(number);
    }

    int send(int number, MessageMaker &maker, int count) override
    {
        Link &link = m_links[std::size_t(number)];
        adapt(link, maker.size());
        touch(number);
        int taken = 0;
        while (taken < count && flush(link)) {
            make(&link.waiting, maker);
            link.isWaiting = true;
            ++taken;
        }
        flush(link);
        return taken;
    }

    void poll(Receiver &receiver, Clock::time_point deadline) override
    {
        // A call of a link may have taken the news from its descriptor.
        bool isNews = false;
        m_asking.swap(m_touched);
        for (const int number : m_asking) {
            m_links[std::size_t(number)].isTouched = false;
            isNews |= serve(number, receiver);
        }
        m_asking.clear();

        while (true) {
            const auto left =
                    std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
            epoll_event events[64];
            const int count =
                    epoll_wait(m_epoll, events, 64, isNews ? 0 : int(std::max<long long>(left, 0)));
            if (count < 0 && errno != EINTR)
                fail("epoll_wait");
            for (int i = 0; i < count; ++i)
                isNews |= serve(int(events[i].data.u32), receiver);
            if (isNews || left <= 0)
                return;
        }
    }

private:
    struct Link
    {
        void *socket = nullptr;
        int fd = -1;
        std::size_t size = 0; ///< of the messages that it was adapted to
        bool isTouched = false;
        bool isWaiting = false;
        zmq_msg_t waiting; ///< has been taken, the socket is full
    };

    static void set(const Link &link, int option, int value)
    {
        check(zmq_setsockopt(link.socket, option, &value, sizeof value), "option");
    }

    void end(Link &link)
    {
        epoll_ctl(m_epoll, EPOLL_CTL_DEL, link.fd, nullptr); // ZeroMQ closes it later
        if (link.isWaiting)
            zmq_msg_close(&link.waiting);
        zmq_send(link.socket, "", 0, ZMQ_DONTWAIT);
        zmq_close(link.socket);
    }

    static void adapt(Link &link, std::size_t size)
    {
        if (link.size == size)
            return;
        link.size = size;
        set(link, ZMQ_SNDHWM, int(std::clamp<std::size_t>(WaitingBytes / size, 2, MaximumWaiting)));
    }

    void touch(int number)
    {
        Link &link = m_links[std::size_t(number)];
        if (!link.isTouched) {
            link.isTouched = true;
            m_touched.push_back(number);
        }
    }

    void make(zmq_msg_t *message, MessageMaker &maker)
    {
        if (maker.size() < BigMessage) {
            if (m_sample.size() != maker.size()) {
                m_sample.resize(maker.size());
                MessageMaker(Kind::Data, maker.size()).write(m_sample.data());
            }
            check(zmq_msg_init_size(message, maker.size()), "message");
            std::memcpy(zmq_msg_data(message), m_sample.data(), maker.size());
            maker.renew(static_cast<char *>(zmq_msg_data(message)));
            return;
        }
        if (m_lendings.empty() || m_lendings.back().size() != maker.size())
            m_lendings.emplace_back(maker.size());
        m_lendings.back().make(message, maker);
    }

    /// False when the socket takes no more.
    static bool flush(Link &link)
    {
        if (!link.isWaiting)
            return true;
        if (zmq_msg_send(&link.waiting, link.socket, ZMQ_DONTWAIT) < 0) {
            if (zmq_errno() != EAGAIN)
                fail("send");
            return false;
        }
        link.isWaiting = false;
        return true;
    }

    /// Hands over all that has arrived. After that the descriptor tells what is new. False when
    /// nothing has changed.
    bool serve(int number, Receiver &receiver)
    {
        Link &link = m_links[std::size_t(number)];
        bool isNews = false;
        while (zmq_msg_recv(&m_received, link.socket, ZMQ_DONTWAIT) >= 0) {
            receiver.received(number, static_cast<const char *>(zmq_msg_data(&m_received)),
                              zmq_msg_size(&m_received));
            isNews = true;
        }
        if (zmq_errno() != EAGAIN)
            fail("receive");
        return isNews | (link.isWaiting && flush(link));
    }

    void *const m_context = zmq_ctx_new();
    std::string m_address;
    int m_epoll = -1;
    std::deque<Link> m_links;
    std::vector<int> m_free;
    std::vector<char> m_sample; // the content of all small messages of one size
    std::deque<Lending> m_lendings; // one for each size; nothing goes before the context ends
    std::vector<int> m_touched;
    std::vector<int> m_asking;
    zmq_msg_t m_received;
};

} // namespace

std::unique_ptr<Links> makeZeroMqLinks(const std::string &name)
{
    return std::make_unique<ZeroMqLinks>(name);
}

} // namespace bench
