// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// Each link is a pair socket to one of the server's own. servers/nng.cpp says why.

#include "common/service.h"
#include "load/links.h"

#include <nng/nng.h>
#include <nng/protocol/pair1/pair.h>
#include <nng/protocol/reqrep0/req.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <vector>

namespace bench {

namespace {

/// How much of one link may wait in nng's queue, which counts messages.
constexpr std::size_t WaitingBytes = 1024 * 1024;
constexpr std::size_t MaximumWaiting = 128;

void check(int result, const char *what)
{
    if (result != 0)
        throw std::runtime_error(std::string(what) + ": " + nng_strerror(result));
}

class NngLinks final : public Links
{
public:
    explicit NngLinks(const std::string &name)
    {
        ServerOptions options;
        options.name = name;
        check(nng_req0_open(&m_door), "open");
        check(nng_dial(m_door, ("ipc://" + options.socketPath()).c_str(), nullptr, 0), "connect");
    }

    ~NngLinks() override
    {
        for (Link &link : m_links) {
            if (link.receiving)
                end(link);
        }
        nng_close(m_door);
        nng_msg_free(m_sample);
    }

    int open() override
    {
        int number = int(m_links.size());
        if (m_free.empty()) {
            m_links.emplace_back();
        } else {
            number = m_free.back();
            m_free.pop_back();
        }
        Link &link = m_links[std::size_t(number)];
        link = Link();
        link.links = this;
        link.number = number;

        nng_msg *message = nullptr;
        check(nng_msg_alloc(&message, 0), "message");
        check(nng_sendmsg(m_door, message, 0), "ask for an address");
        check(nng_recvmsg(m_door, &message, 0), "ask for an address");
        const std::string address = static_cast<const char *>(nng_msg_body(message));
        nng_msg_free(message);

        check(nng_pair1_open(&link.socket), "open");
        check(nng_aio_alloc(&link.receiving, received, &link), "receiver");
        check(nng_aio_alloc(&link.sending, sent, &link), "sender");
        check(nng_socket_set_int(link.socket, NNG_OPT_RECVBUF, MaximumWaiting), "receive buffer");
        check(nng_socket_set_size(link.socket, NNG_OPT_RECVMAXSZ, 0), "size");
        check(nng_dial(link.socket, address.c_str(), nullptr, 0), "connect");
        nng_recv_aio(link.socket, link.receiving);
        return number;
    }

    void close(int number) override
    {
        end(m_links[std::size_t(number)]);
        const std::lock_guard lock(m_mutex);
        const auto isOfIt = [number](const Event &event) { return event.link == number; };
        m_events.erase(std::remove_if(m_events.begin(), m_events.end(), isOfIt), m_events.end());
        m_free.push_back(number);
    }

    int send(int number, MessageMaker &maker, int count) override
    {
        Link &link = m_links[std::size_t(number)];
        adapt(link, maker.size());
        int taken = 0;
        while (taken < count && !link.isFull) {
            nng_msg *const message = make(maker);
            ++taken;
            if (nng_sendmsg(link.socket, message, NNG_FLAG_NONBLOCK) != 0) {
                link.isFull = true;
                nng_aio_set_msg(link.sending, message);
                nng_send_aio(link.socket, link.sending);
            }
        }
        return taken;
    }

    void poll(Receiver &receiver, Clock::time_point deadline) override
    {
        {
            std::unique_lock lock(m_mutex);
            m_somethingHappened.wait_until(lock, deadline, [this] { return !m_events.empty(); });
            m_happened.swap(m_events);
        }
        for (const Event &event : m_happened) {
            Link &link = m_links[std::size_t(event.link)];
            check(nng_aio_result(event.isSent ? link.sending : link.receiving), "the connection");
            if (event.isSent)
                link.isFull = false;
            else
                read(link, receiver);
        }
        m_happened.clear();
    }

private:
    struct Link
    {
        NngLinks *links = nullptr;
        int number = -1;
        nng_socket socket = NNG_SOCKET_INITIALIZER;
        nng_aio *receiving = nullptr;
        nng_aio *sending = nullptr; ///< when the link is full: the message that waits
        bool isFull = false;
        std::size_t size = 0; ///< of the messages that the queue was adapted to
    };

    struct Event
    {
        int link;
        bool isSent;
    };

    // nng calls these on its threads.
    static void received(void *link) { happened(*static_cast<Link *>(link), false); }
    static void sent(void *link) { happened(*static_cast<Link *>(link), true); }

    static void happened(const Link &link, bool isSent)
    {
        const std::lock_guard lock(link.links->m_mutex);
        link.links->m_events.push_back({ link.number, isSent });
        link.links->m_somethingHappened.notify_one();
    }

    static void end(Link &link)
    {
        nng_close(link.socket);
        nng_aio_wait(link.sending);
        if (nng_aio_result(link.sending) != 0)
            nng_msg_free(nng_aio_get_msg(link.sending));
        nng_aio_free(link.receiving); // waits for the callback
        nng_aio_free(link.sending);
        link = Link();
    }

    static void adapt(Link &link, std::size_t size)
    {
        if (link.size == size)
            return;
        link.size = size;
        const auto count = std::clamp<std::size_t>(WaitingBytes / size, 1, MaximumWaiting);
        check(nng_socket_set_int(link.socket, NNG_OPT_SENDBUF, int(count)), "send buffer");
    }

    /// nng keeps what it sends. A message is copied from the last one of its size, and renewed.
    nng_msg *make(MessageMaker &maker)
    {
        if (!m_sample || nng_msg_len(m_sample) != maker.size()) {
            nng_msg_free(m_sample);
            check(nng_msg_alloc(&m_sample, maker.size()), "message");
            MessageMaker(Kind::Data, maker.size())
                    .write(static_cast<char *>(nng_msg_body(m_sample)));
        }
        nng_msg *message = nullptr;
        check(nng_msg_dup(&message, m_sample), "message");
        maker.renew(static_cast<char *>(nng_msg_body(message)));
        return message;
    }

    static void handOver(const Link &link, nng_msg *message, Receiver &receiver)
    {
        receiver.received(link.number, static_cast<const char *>(nng_msg_body(message)),
                          nng_msg_len(message));
        nng_msg_free(message);
    }

    static void read(const Link &link, Receiver &receiver)
    {
        handOver(link, nng_aio_get_msg(link.receiving), receiver);
        nng_msg *message = nullptr;
        while (nng_recvmsg(link.socket, &message, NNG_FLAG_NONBLOCK) == 0)
            handOver(link, message, receiver);
        nng_recv_aio(link.socket, link.receiving);
    }

    nng_socket m_door = NNG_SOCKET_INITIALIZER; ///< asks for the address of a new link
    std::deque<Link> m_links;
    std::vector<int> m_free;
    nng_msg *m_sample = nullptr;
    std::vector<Event> m_happened;

    std::mutex m_mutex; // guards the rest
    std::vector<Event> m_events;
    std::condition_variable m_somethingHappened;
};

} // namespace

std::unique_ptr<Links> makeNngLinks(const std::string &name)
{
    return std::make_unique<NngLinks>(name);
}

} // namespace bench
