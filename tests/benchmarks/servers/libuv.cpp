// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// libuv: one loop, one read buffer for all clients, no allocation for a message. The answers to all
// messages of a read are sent together, at once if the socket takes them.

#include "common/process.h"
#include "common/service.h"

#include <arpa/inet.h>
#include <uv.h>

#include <cstdio>
#include <cstdlib>
#include <csignal>
#include <memory>
#include <string>
#include <unordered_set>

namespace {

constexpr std::size_t LengthSize = 4;
constexpr std::size_t ReadSize = 256 * 1024;
/// While more than this waits for a client, nothing is read from it. Only broadcasts go beyond it;
/// the load generator has a few on their way.
constexpr std::size_t MaximumUnsent = 1024 * 1024;

struct Client;

struct Server
{
    explicit Server(const bench::ServerOptions &options) : service(options) { }

    bench::Service service;
    uv_loop_t loop;
    uv_pipe_t listener;
    std::unordered_set<Client *> clients;
    std::unique_ptr<char[]> input { new char[ReadSize] };
    std::string answers; ///< to the messages that are being handled, with their lengths
};

struct Client
{
    uv_pipe_t pipe; ///< its data is this client
    Server *server;
    bench::ClientState state;
    /// A message of which only a part has arrived, with its length. The rest is read into it.
    std::unique_ptr<char[]> begun;
    std::size_t begunRoom = 0;
    std::size_t begunSize = 0;
    std::size_t begunMissing = 0;

    uv_stream_t *stream() { return reinterpret_cast<uv_stream_t *>(&pipe); }
};

/// What the socket has not taken at once.
struct Rest
{
    uv_write_t request; // the first: libuv gives it back, and the rest with it
    std::unique_ptr<char[]> data;
};

void check(int result, const char *what)
{
    if (result >= 0)
        return;
    std::fprintf(stderr, "%s: %s\n", what, uv_strerror(result));
    std::exit(1);
}

std::size_t lengthAt(const char *data)
{
    std::uint32_t length;
    std::memcpy(&length, data, sizeof length);
    length = ntohl(length);
    return length == 0xffffffff ? 0 : length;
}

void append(std::string &to, const char *data, std::size_t size)
{
    const std::uint32_t length = htonl(std::uint32_t(size));
    to.append(reinterpret_cast<const char *>(&length), sizeof length);
    to.append(data, size);
}

void giveRoom(uv_handle_t *handle, std::size_t, uv_buf_t *room)
{
    auto *client = static_cast<Client *>(handle->data);
    if (client->begunMissing > 0)
        *room = uv_buf_init(client->begun.get() + client->begunSize,
                            unsigned(client->begunMissing));
    else
        *room = uv_buf_init(client->server->input.get(), ReadSize);
}

void arrived(uv_stream_t *stream, ssize_t size, const uv_buf_t *);

void close(Client *client)
{
    if (client->server->clients.erase(client) == 0)
        return; // is being closed
    client->server->service.removed(client->state);
    uv_close(reinterpret_cast<uv_handle_t *>(&client->pipe),
             [](uv_handle_t *handle) { delete static_cast<Client *>(handle->data); });
}

void restSent(uv_write_t *request, int status)
{
    auto *client = static_cast<Client *>(request->handle->data);
    delete reinterpret_cast<Rest *>(request);
    if (status < 0)
        close(client);
    else if (uv_stream_get_write_queue_size(client->stream()) <= MaximumUnsent)
        uv_read_start(client->stream(), giveRoom, arrived); // changes nothing if it is reading
}

void send(Client *client, const std::string &data)
{
    uv_buf_t all = uv_buf_init(const_cast<char *>(data.data()), unsigned(data.size()));
    int sent = uv_try_write(client->stream(), &all, 1);
    if (sent == UV_EAGAIN)
        sent = 0;
    if (sent < 0 || std::size_t(sent) == data.size())
        return; // on an error the client is gone: reading finds it out

    const std::size_t size = data.size() - std::size_t(sent);
    auto *rest = new Rest { {}, std::unique_ptr<char[]>(new char[size]) };
    std::memcpy(rest->data.get(), data.data() + sent, size);
    const uv_buf_t buffer = uv_buf_init(rest->data.get(), unsigned(size));
    if (uv_write(&rest->request, client->stream(), &buffer, 1, restSent) < 0)
        delete rest;
    else if (uv_stream_get_write_queue_size(client->stream()) > MaximumUnsent)
        uv_read_stop(client->stream());
}

void sendAnswers(Client *client)
{
    if (client->server->answers.empty())
        return;
    send(client, client->server->answers);
    client->server->answers.clear();
}

void handle(Client *client, const char *data, std::size_t size)
{
    Server *server = client->server;
    switch (server->service.handle(client->state, data, size)) {
    case bench::Service::Answer::None:
        break;
    case bench::Service::Answer::SameBack:
        append(server->answers, data, size);
        break;
    case bench::Service::Answer::Report: {
        const std::string report = server->service.report();
        append(server->answers, report.data(), report.size());
        break;
    }
    case bench::Service::Answer::Broadcast:
        sendAnswers(client); // they come first
        server->service.broadcast(data, [server](const char *message, std::size_t messageSize) {
            append(server->answers, message, messageSize);
        });
        for (Client *each : server->clients)
            send(each, server->answers);
        server->answers.clear();
        break;
    }
}

/// Makes room for what is missing of the message that begins with \a size bytes of \a data.
void begin(Client *client, const char *data, std::size_t size)
{
    const std::size_t whole = LengthSize + (size < LengthSize ? 0 : lengthAt(data));
    if (whole > client->begunRoom) {
        std::unique_ptr<char[]> room(new char[whole]);
        std::memcpy(room.get(), data, size);
        client->begun = std::move(room);
        client->begunRoom = whole;
    } else if (data != client->begun.get()) {
        std::memcpy(client->begun.get(), data, size);
    }
    client->begunSize = size;
    client->begunMissing = whole - size;
}

void arrived(uv_stream_t *stream, ssize_t result, const uv_buf_t *)
{
    auto *client = static_cast<Client *>(stream->data);
    if (result == 0)
        return; // there was nothing to read
    if (result < 0) {
        close(client);
        return;
    }

    const std::size_t size = std::size_t(result);
    if (client->begunMissing > 0) {
        client->begunSize += size;
        client->begunMissing -= size;
        if (client->begunMissing == 0 && client->begunSize == LengthSize)
            begin(client, client->begun.get(), LengthSize); // only the length was known to miss
        if (client->begunMissing == 0)
            handle(client, client->begun.get() + LengthSize, client->begunSize - LengthSize);
    } else {
        const char *at = client->server->input.get();
        const char *const end = at + size;
        while (std::size_t(end - at) >= LengthSize
               && std::size_t(end - at) - LengthSize >= lengthAt(at)) {
            const std::size_t length = lengthAt(at);
            handle(client, at + LengthSize, length);
            at += LengthSize + length;
        }
        if (at != end)
            begin(client, at, std::size_t(end - at));
    }
    sendAnswers(client);
}

void connected(uv_stream_t *listener, int status)
{
    check(status, "listen");
    auto *server = static_cast<Server *>(listener->data);
    auto *client = new Client;
    client->server = server;
    check(uv_pipe_init(&server->loop, &client->pipe, 0), "uv_pipe_init");
    client->pipe.data = client;
    check(uv_accept(listener, client->stream()), "uv_accept");
    server->service.added(client->state);
    server->clients.insert(client);
    check(uv_read_start(client->stream(), giveRoom, arrived), "uv_read_start");
}

} // namespace

int main(int argc, char **argv)
{
    const bench::ServerOptions options = bench::ServerOptions::parse(argc, argv);
    bench::raiseDescriptorLimit();
    std::signal(SIGPIPE, SIG_IGN);

    Server server(options);
    const std::string path = options.socketPath();
    std::remove(path.c_str());
    check(uv_loop_init(&server.loop), "uv_loop_init");
    check(uv_pipe_init(&server.loop, &server.listener, 0), "uv_pipe_init");
    server.listener.data = &server;
    check(uv_pipe_bind(&server.listener, path.c_str()), path.c_str());
    check(uv_listen(reinterpret_cast<uv_stream_t *>(&server.listener), SOMAXCONN, connected),
          path.c_str());
    bench::sayReady();
    return uv_run(&server.loop, UV_RUN_DEFAULT);
}
