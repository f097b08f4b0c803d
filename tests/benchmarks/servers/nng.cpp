// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// nng: a pair socket for each client, and a REP socket that tells a new client the address of its
// own. This is the pattern of nng in which nothing is lost: where one socket serves many clients,
// nng drops what a client does not take at once (the polyamorous pair keeps two messages for each;
// BUS, PUB and raw REP and RESPONDENT drop, too), and a REP sends nothing unasked.
//
// The work is done in nng's own threads, in the callbacks of one operation in each direction of
// each client: with several the messages of a client would lose their order.

#include "common/process.h"
#include "common/service.h"

#include <nng/nng.h>
#include <nng/protocol/pair1/pair.h>
#include <nng/protocol/reqrep0/rep.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <thread>
#include <unordered_set>

using namespace bench;

static void check(int result, const char *what)
{
    if (result != 0) {
        std::fprintf(stderr, "%s: %s\n", what, nng_strerror(result));
        std::exit(1);
    }
}

static nng_msg *messageOf(const char *data, std::size_t size)
{
    nng_msg *message = nullptr;
    check(nng_msg_alloc(&message, size), "message");
    std::memcpy(nng_msg_body(message), data, size);
    return message;
}

class Server;

class Client
{
public:
    Client(Server &server, const std::string &address);
    ~Client();

    /// Takes \a message. While some are waiting, nothing more is read of this client.
    void send(nng_msg *message);

private:
    /// How many messages nng keeps while our callbacks are busy.
    static constexpr int Buffered = 16;

    void received();
    void sent();
    void handle(nng_msg *message);
    /// Needs the mutex. False when nng does not take it at once.
    bool sendNow(nng_msg *message);

    Server &m_server;
    ClientState m_state;
    nng_socket m_socket = NNG_SOCKET_INITIALIZER;
    nng_aio *m_receiving = nullptr;
    nng_aio *m_sending = nullptr;

    std::mutex m_mutex; // guards the rest
    std::deque<nng_msg *> m_waiting; // behind the one in m_sending
    bool m_isSending = false;
    bool m_isPaused = false;
};

class Server
{
public:
    Server(Service &givenService, const std::string &address)
        : service(givenService),
          m_address(address)
    {
        check(nng_rep0_open(&m_door), "open");
        check(nng_listen(m_door, address.c_str(), nullptr, 0), address.c_str());
    }

    /// A client's socket is made ahead: no client waits for it. It lives until letOut().
    [[noreturn]] void letIn()
    {
        for (std::uint64_t number = 0;; ++number) {
            const std::string address = m_address + '.' + std::to_string(number);
            new Client(*this, address);
            nng_msg *message = nullptr;
            check(nng_recvmsg(m_door, &message, 0), "receive");
            nng_msg_free(message);
            check(nng_sendmsg(m_door, messageOf(address.c_str(), address.size() + 1), 0), "send");
        }
    }

    /// On a thread of its own: nng's callbacks must not wait for themselves to end.
    [[noreturn]] void letOut()
    {
        while (true) {
            Client *client;
            {
                std::unique_lock lock(m_mutex);
                m_someHaveGone.wait(lock, [this] { return !m_gone.empty(); });
                client = m_gone.front();
                m_gone.pop_front();
                m_clients.erase(client);
            }
            delete client;
        }
    }

    void come(Client *client)
    {
        const std::lock_guard lock(m_mutex);
        m_clients.insert(client);
    }

    void go(Client *client)
    {
        const std::lock_guard lock(m_mutex);
        m_gone.push_back(client);
        m_someHaveGone.notify_one();
    }

    void broadcast(const char *order)
    {
        const std::lock_guard lock(m_mutex);
        service.broadcast(order, [this](const char *data, std::size_t size) {
            for (Client *client : m_clients)
                client->send(messageOf(data, size));
        });
    }

    Service &service;

private:
    const std::string m_address;
    nng_socket m_door = NNG_SOCKET_INITIALIZER;
    std::mutex m_mutex; // guards the rest
    std::unordered_set<Client *> m_clients;
    std::deque<Client *> m_gone;
    std::condition_variable m_someHaveGone;
};

Client::Client(Server &server, const std::string &address) : m_server(server)
{
    check(nng_pair1_open(&m_socket), "open");
    check(nng_socket_set_int(m_socket, NNG_OPT_SENDBUF, Buffered), "send buffer");
    check(nng_socket_set_int(m_socket, NNG_OPT_RECVBUF, Buffered), "receive buffer");
    check(nng_socket_set_size(m_socket, NNG_OPT_RECVMAXSZ, 0), "size");
    const auto receivedOf = [](void *client) { static_cast<Client *>(client)->received(); };
    const auto sentOf = [](void *client) { static_cast<Client *>(client)->sent(); };
    check(nng_aio_alloc(&m_receiving, receivedOf, this), "receiver");
    check(nng_aio_alloc(&m_sending, sentOf, this), "sender");
    const auto come = [](nng_pipe, nng_pipe_ev, void *client) {
        const auto self = static_cast<Client *>(client);
        self->m_server.service.added(self->m_state);
        self->m_server.come(self);
    };
    const auto go = [](nng_pipe, nng_pipe_ev, void *client) {
        const auto self = static_cast<Client *>(client);
        self->m_server.go(self);
    };
    nng_pipe_notify(m_socket, NNG_PIPE_EV_ADD_PRE, come, this);
    nng_pipe_notify(m_socket, NNG_PIPE_EV_REM_POST, go, this);
    check(nng_listen(m_socket, address.c_str(), nullptr, 0), address.c_str());
    nng_recv_aio(m_socket, m_receiving);
}

Client::~Client()
{
    nng_close(m_socket);
    nng_aio_free(m_receiving); // waits for the callback
    nng_aio_free(m_sending);
    for (nng_msg *message : m_waiting)
        nng_msg_free(message);
    m_server.service.removed(m_state);
}

void Client::received()
{
    if (nng_aio_result(m_receiving) != 0)
        return; // it has gone
    handle(nng_aio_get_msg(m_receiving));
    // What has arrived meanwhile costs no further callback.
    for (int i = 0; i < Buffered; ++i) {
        {
            const std::lock_guard lock(m_mutex);
            m_isPaused = m_isSending;
            if (m_isPaused)
                return;
        }
        nng_msg *message = nullptr;
        if (nng_recvmsg(m_socket, &message, NNG_FLAG_NONBLOCK) != 0)
            break;
        handle(message);
    }
    nng_recv_aio(m_socket, m_receiving);
}

void Client::handle(nng_msg *message)
{
    const char *const data = static_cast<const char *>(nng_msg_body(message));
    switch (m_server.service.handle(m_state, data, nng_msg_len(message))) {
    case Service::Answer::None:
        break;
    case Service::Answer::SameBack:
        return send(message);
    case Service::Answer::Report: {
        const std::string report = m_server.service.report();
        send(messageOf(report.data(), report.size()));
        break;
    }
    case Service::Answer::Broadcast:
        m_server.broadcast(data);
        break;
    }
    nng_msg_free(message);
}

void Client::send(nng_msg *message)
{
    const std::lock_guard lock(m_mutex);
    if (m_isSending)
        m_waiting.push_back(message);
    else
        m_isSending = !sendNow(message);
}

bool Client::sendNow(nng_msg *message)
{
    if (nng_sendmsg(m_socket, message, NNG_FLAG_NONBLOCK) == 0)
        return true;
    nng_aio_set_msg(m_sending, message);
    nng_send_aio(m_socket, m_sending);
    return false;
}

void Client::sent()
{
    if (nng_aio_result(m_sending) != 0) {
        nng_msg_free(nng_aio_get_msg(m_sending)); // it has gone
        return;
    }
    const std::lock_guard lock(m_mutex);
    m_isSending = false;
    while (!m_isSending && !m_waiting.empty()) {
        m_isSending = !sendNow(m_waiting.front());
        m_waiting.pop_front();
    }
    if (!m_isSending && m_isPaused) {
        m_isPaused = false;
        nng_recv_aio(m_socket, m_receiving);
    }
}

int main(int argc, char **argv)
{
    const auto options = ServerOptions::parse(argc, argv);
    raiseDescriptorLimit();
    Service service(options);
    Server server(service, "ipc://" + options.socketPath());
    std::thread([&server] { server.letOut(); }).detach();
    sayReady();
    server.letIn();
}
