// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_BENCHMARK_RAWLOOP_H
#define QTNAMEDPIPES_BENCHMARK_RAWLOOP_H

// The practical limit on Linux: one thread, epoll, messages handled where they have arrived, the
// answers to one read sent at once.

#include "common/service.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

namespace bench {

constexpr std::size_t BufferSize = 256 * 1024;
constexpr std::size_t LengthSize = 4;
/// Frames from here on are put together apart from the read buffer and answered one by one.
constexpr std::size_t BigFrame = 16 * 1024;
constexpr std::size_t MaximumFrame = 256 * 1024 * 1024;
/// While more than this waits to be sent to a client nothing is read from it.
constexpr std::size_t PauseAt = 1024 * 1024;
/// A client that leaves so many broadcasts unread loses its connection.
constexpr std::size_t QueueLimit = 64 * 1024 * 1024;

[[noreturn]] inline void fail(const char *what)
{
    std::perror(what);
    std::exit(1);
}

/// A listening socket at the path that the options name.
inline int listenAt(const ServerOptions &options)
{
    sockaddr_un address { AF_UNIX, {} };
    const std::string path = options.socketPath();
    if (path.size() >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        fail(path.c_str());
    }
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    unlink(path.c_str());
    const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(listener, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0
        || listen(listener, SOMAXCONN) != 0) {
        fail(path.c_str());
    }
    return listener;
}

inline std::size_t frameSize(const char *frame)
{
    std::uint32_t length;
    std::memcpy(&length, frame, LengthSize);
    return LengthSize + ntohl(length);
}

inline void append(std::vector<char> &to, const char *data, std::size_t size)
{
    to.insert(to.end(), data, data + size);
}

inline void appendMessage(std::vector<char> &to, const char *data, std::size_t size)
{
    const std::uint32_t length = htonl(std::uint32_t(size));
    append(to, reinterpret_cast<const char *>(&length), LengthSize);
    append(to, data, size);
}

struct Client
{
    int fd = -1;
    ClientState state;
    std::size_t place = 0; ///< in Server::m_clients
    std::uint32_t events = EPOLLIN; ///< what epoll watches

    // What waits to be sent: `out` from `sent` on.
    std::vector<char> out;
    std::size_t sent = 0;
    std::size_t waiting() const { return out.size() - sent; }

    // What is there of a frame that has not arrived completely.
    std::vector<char> part;
    std::size_t have = 0;
    std::size_t whole = 0; ///< the size of a big frame; 0: it is a small one, or not known
};

/// \a Service is bench::Service, or does the same in another way.
template<typename Service>
class RawLoop
{
public:
    explicit RawLoop(const ServerOptions &options)
        : m_service(options),
          m_listener(listenAt(options))
    {
        m_epoll = epoll_create1(EPOLL_CLOEXEC);
        control(EPOLL_CTL_ADD, m_listener, EPOLLIN, nullptr);
    }

    [[noreturn]] void run()
    {
        for (;;) {
            epoll_event events[64];
            const int count = epoll_wait(m_epoll, events, 64, -1);
            for (int i = 0; i < count; ++i) {
                auto *client = static_cast<Client *>(events[i].data.ptr);
                if (!client) {
                    accept();
                    continue;
                }
                if (events[i].events & EPOLLOUT)
                    sendWaiting(*client);
                if (events[i].events & ~std::uint32_t(EPOLLOUT))
                    read(*client);
            }
        }
    }

private:
    void control(int operation, int fd, std::uint32_t events, Client *client)
    {
        epoll_event event {};
        event.events = events;
        event.data.ptr = client;
        if (epoll_ctl(m_epoll, operation, fd, &event) != 0)
            fail("epoll_ctl");
    }

    void accept()
    {
        for (;;) {
            const int fd = accept4(m_listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
                fail("accept4");
            if (fd < 0)
                return;
            auto client = std::make_unique<Client>();
            client->fd = fd;
            client->place = m_clients.size();
            m_service.added(client->state);
            control(EPOLL_CTL_ADD, fd, client->events, client.get());
            m_clients.push_back(std::move(client));
        }
    }

    void close(Client &client)
    {
        ::close(client.fd);
        m_service.removed(client.state);
        const std::size_t place = client.place;
        std::swap(m_clients[place], m_clients.back());
        m_clients[place]->place = place;
        m_clients.pop_back();
    }

    // -- receiving ------------------------------------------------------------------------------

    /// One read: the rest of a big frame goes to its place, all else into the buffer.
    void read(Client &client)
    {
        std::size_t carried = 0;
        if (client.whole == 0 && client.have > 0) {
            carried = client.have;
            std::memcpy(m_buffer.data(), client.part.data(), carried);
        }
        iovec parts[2] = { { client.part.data() + client.have,
                             client.whole ? client.whole - client.have : 0 },
                           { m_buffer.data() + carried, BufferSize - carried } };
        const ssize_t result = readv(client.fd, parts, 2);
        if (result < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (result <= 0)
            return close(client);

        const std::size_t toPart = std::min(std::size_t(result), parts[0].iov_len);
        if (client.whole > 0) {
            client.have += toPart;
            if (client.have < client.whole)
                return;
            handle(client, client.part.data(), client.whole);
        }
        const char *at = m_buffer.data();
        const char *const end = at + carried + (std::size_t(result) - toPart);
        std::size_t frame = 0; // of the one that is not complete
        while (end - at >= std::ptrdiff_t(LengthSize)) {
            frame = frameSize(at);
            if (frame > std::size_t(end - at))
                break;
            handle(client, at, frame);
            at += frame;
            frame = 0;
        }
        sendAnswers(client);
        if (frame > MaximumFrame)
            return close(client);
        client.have = std::size_t(end - at);
        client.whole = frame >= BigFrame ? frame : 0;
        if (client.part.size() < std::max(client.have, client.whole))
            client.part.resize(std::max(client.have, client.whole));
        if (client.have > 0)
            std::memcpy(client.part.data(), at, client.have);
    }

    void handle(Client &client, const char *frame, std::size_t size)
    {
        const char *const message = frame + LengthSize;
        switch (m_service.handle(client.state, message, size - LengthSize)) {
        case bench::Service::Answer::None:
            break;
        case bench::Service::Answer::SameBack:
            if (size < BigFrame) {
                append(m_answers, frame, size);
            } else {
                sendAnswers(client);
                send(client, frame, size);
            }
            break;
        case bench::Service::Answer::Report: {
            const std::string report = m_service.report();
            appendMessage(m_answers, report.data(), report.size());
            break;
        }
        case bench::Service::Answer::Broadcast:
            sendAnswers(client);
            m_broadcast.clear();
            m_service.broadcast(message, [this](const char *data, std::size_t dataSize) {
                appendMessage(m_broadcast, data, dataSize);
            });
            for (const auto &each : m_clients)
                send(*each, m_broadcast.data(), m_broadcast.size());
            break;
        }
    }

    // -- sending --------------------------------------------------------------------------------

    void sendAnswers(Client &client)
    {
        if (!m_answers.empty())
            send(client, m_answers.data(), m_answers.size());
        m_answers.clear();
    }

    /// Sends what goes now; the rest waits.
    void send(Client &client, const char *data, std::size_t size)
    {
        const std::size_t gone = client.waiting() == 0 ? sendNow(client, data, size) : 0;
        if (gone == size)
            return;
        append(client.out, data + gone, size - gone);
        if (client.waiting() > QueueLimit)
            shutdown(client.fd, SHUT_RDWR); // epoll tells that it is closed
        watch(client);
    }

    void sendWaiting(Client &client)
    {
        client.sent += sendNow(client, client.out.data() + client.sent, client.waiting());
        if (client.sent >= client.out.size() / 2) { // else the same bytes would be moved often
            client.out.erase(client.out.begin(), client.out.begin() + std::ptrdiff_t(client.sent));
            client.sent = 0;
        }
        watch(client);
    }

    /// Returns how many bytes went. A client that has gone takes all: reading finds the end.
    static std::size_t sendNow(Client &client, const char *data, std::size_t size)
    {
        const ssize_t sent = ::send(client.fd, data, size, MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : size;
        return std::size_t(sent);
    }

    void watch(Client &client)
    {
        std::uint32_t events = 0;
        if (client.waiting() <= PauseAt)
            events |= EPOLLIN;
        if (client.waiting() > 0)
            events |= EPOLLOUT;
        if (client.events != events)
            control(EPOLL_CTL_MOD, client.fd, events, &client);
        client.events = events;
    }

    Service m_service;
    const int m_listener;
    int m_epoll = -1;
    std::vector<std::unique_ptr<Client>> m_clients;
    std::vector<char> m_buffer = std::vector<char>(BufferSize);
    std::vector<char> m_answers; ///< to what one read has brought
    std::vector<char> m_broadcast;
};

} // namespace bench

#endif // QTNAMEDPIPES_BENCHMARK_RAWLOOP_H
