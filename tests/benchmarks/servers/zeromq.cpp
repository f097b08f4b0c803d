// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// ZeroMQ: one ROUTER, the clients are DEALERs. --threads is the number of its I/O threads.
//
// A ROUTER tells neither who comes nor who goes. A client says both itself, with an empty message:
// the first is ZMQ_PROBE_ROUTER's, the second is its last message.
//
// Back pressure is ZeroMQ's: sending to a client that does not read waits at the high-water mark,
// and the clients' messages wait in their sockets meanwhile.

#include "common/process.h"
#include "common/service.h"

#include <zmq.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <unordered_map>

using namespace bench;

[[noreturn]] static void fail(const char *what)
{
    std::fprintf(stderr, "%s: %s\n", what, zmq_strerror(zmq_errno()));
    std::exit(1);
}

static void check(int result, const char *what)
{
    if (result < 0)
        fail(what);
}

class Server
{
public:
    Server(Service &service, const ServerOptions &options) : m_service(service)
    {
        check(zmq_ctx_set(m_context, ZMQ_IO_THREADS, options.threads), "threads");
        m_socket = zmq_socket(m_context, ZMQ_ROUTER);
        if (!m_socket)
            fail("socket");
        set(ZMQ_ROUTER_MANDATORY, 1);
        set(ZMQ_BACKLOG, 4096);
        const std::string address = "ipc://" + options.socketPath();
        check(zmq_bind(m_socket, address.c_str()), address.c_str());
        zmq_msg_init(&m_id);
        zmq_msg_init(&m_message);
    }

    [[noreturn]] void run()
    {
        while (true) {
            check(zmq_msg_recv(&m_id, m_socket, 0), "receive"); // waits
            check(zmq_msg_recv(&m_message, m_socket, 0), "receive");
            handle();
        }
    }

private:
    /// The router gives each client an id: a zero and 32 bits.
    static constexpr std::size_t IdSize = 5;

    static std::uint32_t keyOf(zmq_msg_t *id)
    {
        std::uint32_t key;
        std::memcpy(&key, static_cast<const char *>(zmq_msg_data(id)) + 1, sizeof key);
        return key;
    }

    void set(int option, int value)
    {
        check(zmq_setsockopt(m_socket, option, &value, sizeof value), "option");
    }

    void handle()
    {
        const std::uint32_t key = keyOf(&m_id);
        const char *const data = static_cast<const char *>(zmq_msg_data(&m_message));
        const std::size_t size = zmq_msg_size(&m_message);
        if (size == 0)
            return comeOrGo(key);

        switch (m_service.handle(m_clients.at(key), data, size)) {
        case Service::Answer::None:
            break;
        case Service::Answer::SameBack:
            send(&m_id, &m_message);
            break;
        case Service::Answer::Report: {
            const std::string report = m_service.report();
            zmq_msg_t answer;
            check(zmq_msg_init_size(&answer, report.size()), "message");
            std::memcpy(zmq_msg_data(&answer), report.data(), report.size());
            send(&m_id, &answer);
            break;
        }
        case Service::Answer::Broadcast:
            m_service.broadcast(data, [this](const char *each, std::size_t eachSize) {
                broadcast(each, eachSize);
            });
            break;
        }
    }

    void comeOrGo(std::uint32_t key)
    {
        const auto [it, isNew] = m_clients.try_emplace(key);
        if (isNew) {
            m_service.added(it->second);
        } else {
            m_service.removed(it->second);
            m_clients.erase(it);
        }
    }

    /// All clients share one copy.
    void broadcast(const char *data, std::size_t size)
    {
        zmq_msg_t message;
        check(zmq_msg_init_size(&message, size), "message");
        std::memcpy(zmq_msg_data(&message), data, size);
        for (const auto &client : m_clients) {
            zmq_msg_t id;
            zmq_msg_init_size(&id, IdSize);
            char *const to = static_cast<char *>(zmq_msg_data(&id));
            to[0] = 0;
            std::memcpy(to + 1, &client.first, sizeof client.first);
            zmq_msg_t copy;
            zmq_msg_init(&copy);
            zmq_msg_copy(&copy, &message);
            send(&id, &copy);
        }
        zmq_msg_close(&message);
    }

    /// Takes both parts.
    void send(zmq_msg_t *id, zmq_msg_t *message)
    {
        if (zmq_msg_send(id, m_socket, ZMQ_SNDMORE) < 0) {
            if (zmq_errno() != EHOSTUNREACH) // it has gone
                fail("send");
            zmq_msg_close(id);
            zmq_msg_close(message);
            zmq_msg_init(id);
            zmq_msg_init(message);
            return;
        }
        check(zmq_msg_send(message, m_socket, 0), "send");
    }

    Service &m_service;
    void *const m_context = zmq_ctx_new();
    void *m_socket = nullptr;
    zmq_msg_t m_id;
    zmq_msg_t m_message;
    std::unordered_map<std::uint32_t, ClientState> m_clients;
};

int main(int argc, char **argv)
{
    const auto options = ServerOptions::parse(argc, argv);
    raiseDescriptorLimit();
    Service service(options);
    Server server(service, options);
    sayReady();
    server.run();
}
