// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// Boost.Asio: one thread, one read buffer for all clients, no allocation for a message. Sockets are
// waited for, then read and written without waiting: so an idle client needs no buffer. The answers
// to all messages of a read are sent together, at once if the socket takes them.

#include "common/process.h"
#include "common/service.h"

#include <arpa/inet.h>
#include <boost/asio.hpp>

#include <cstdio>
#include <memory>
#include <string>
#include <unordered_set>

namespace {

namespace asio = boost::asio;
using Error = boost::system::error_code;
using Local = asio::local::stream_protocol;

constexpr std::size_t LengthSize = 4;
constexpr std::size_t ReadSize = 256 * 1024;
/// While more than this waits for a client, nothing is read from it. Only broadcasts go beyond it;
/// the load generator has a few on their way.
constexpr std::size_t MaximumUnsent = 1024 * 1024;
/// After so many reads of one client it is the turn of the others.
constexpr int MaximumReads = 32;

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

class Client;

struct Server
{
    explicit Server(const bench::ServerOptions &options) : service(options) { }

    bench::Service service;
    std::unordered_set<Client *> clients;
    std::unique_ptr<char[]> input { new char[ReadSize] };
    std::string answers; ///< to the messages that are being handled, with their lengths
};

/// Lives as long as something is waited for.
class Client : public std::enable_shared_from_this<Client>
{
public:
    Client(Server &server, Local::socket socket) : m_server(server), m_socket(std::move(socket))
    {
        m_socket.non_blocking(true);
        m_server.service.added(m_state);
        m_server.clients.insert(this);
    }

    void waitForReading()
    {
        m_socket.async_wait(Local::socket::wait_read, [self = shared_from_this()](Error error) {
            if (!error)
                self->read();
        });
    }

private:
    void close()
    {
        m_server.clients.erase(this);
        m_server.service.removed(m_state);
        Error ignored;
        m_socket.close(ignored);
    }

    void read()
    {
        for (int i = 0; i < MaximumReads; ++i) {
            const asio::mutable_buffer room = m_begunMissing > 0
                    ? asio::buffer(m_begun.get() + m_begunSize, m_begunMissing)
                    : asio::buffer(m_server.input.get(), ReadSize);
            Error error;
            const std::size_t size = m_socket.read_some(room, error);
            if (error == asio::error::would_block)
                break;
            if (error) {
                close();
                return;
            }
            arrived(size);
            sendAnswers();
            m_isPaused = m_unsent.size() - m_sent > MaximumUnsent;
            if (m_isPaused)
                return; // writeUnsent() goes on
            if (size < room.size())
                break; // this was all
        }
        waitForReading();
    }

    void arrived(std::size_t size)
    {
        if (m_begunMissing > 0) {
            m_begunSize += size;
            m_begunMissing -= size;
            if (m_begunMissing == 0 && m_begunSize == LengthSize)
                begin(m_begun.get(), LengthSize); // only the length was known to miss
            if (m_begunMissing == 0)
                handle(m_begun.get() + LengthSize, m_begunSize - LengthSize);
            return;
        }
        const char *at = m_server.input.get();
        const char *const end = at + size;
        while (std::size_t(end - at) >= LengthSize
               && std::size_t(end - at) - LengthSize >= lengthAt(at)) {
            const std::size_t length = lengthAt(at);
            handle(at + LengthSize, length);
            at += LengthSize + length;
        }
        if (at != end)
            begin(at, std::size_t(end - at));
    }

    /// Makes room for what is missing of the message that begins with \a size bytes of \a data.
    void begin(const char *data, std::size_t size)
    {
        const std::size_t whole = LengthSize + (size < LengthSize ? 0 : lengthAt(data));
        if (whole > m_begunRoom) {
            std::unique_ptr<char[]> room(new char[whole]);
            std::memcpy(room.get(), data, size);
            m_begun = std::move(room);
            m_begunRoom = whole;
        } else if (data != m_begun.get()) {
            std::memcpy(m_begun.get(), data, size);
        }
        m_begunSize = size;
        m_begunMissing = whole - size;
    }

    void handle(const char *data, std::size_t size)
    {
        std::string &answers = m_server.answers;
        switch (m_server.service.handle(m_state, data, size)) {
        case bench::Service::Answer::None:
            break;
        case bench::Service::Answer::SameBack:
            append(answers, data, size);
            break;
        case bench::Service::Answer::Report: {
            const std::string report = m_server.service.report();
            append(answers, report.data(), report.size());
            break;
        }
        case bench::Service::Answer::Broadcast:
            sendAnswers(); // they come first
            m_server.service.broadcast(data,
                                       [&answers](const char *message, std::size_t messageSize) {
                                           append(answers, message, messageSize);
                                       });
            for (Client *each : m_server.clients)
                each->send(answers);
            answers.clear();
            break;
        }
    }

    void sendAnswers()
    {
        if (m_server.answers.empty())
            return;
        send(m_server.answers);
        m_server.answers.clear();
    }

    void send(const std::string &data)
    {
        const bool isFirst = m_unsent.empty();
        std::size_t sent = 0;
        if (isFirst) {
            Error error;
            sent = m_socket.write_some(asio::buffer(data), error);
            if (error && error != asio::error::would_block)
                return; // the client is gone: reading finds it out
        }
        m_unsent.append(data, sent);
        if (isFirst && !m_unsent.empty())
            waitForWriting();
    }

    void waitForWriting()
    {
        m_socket.async_wait(Local::socket::wait_write, [self = shared_from_this()](Error error) {
            if (!error)
                self->writeUnsent();
        });
    }

    void writeUnsent()
    {
        Error error;
        m_sent += m_socket.write_some(asio::buffer(m_unsent.data() + m_sent,
                                                   m_unsent.size() - m_sent),
                                      error);
        const bool isGone = error && error != asio::error::would_block;
        if (isGone || m_sent > m_unsent.size() / 2) {
            m_unsent.erase(0, isGone ? m_unsent.size() : m_sent);
            m_sent = 0;
        }
        if (!m_unsent.empty())
            waitForWriting();
        if (m_isPaused && m_unsent.size() - m_sent <= MaximumUnsent) {
            m_isPaused = false;
            waitForReading();
        }
    }

    Server &m_server;
    Local::socket m_socket;
    bench::ClientState m_state;
    /// A message of which only a part has arrived, with its length. The rest is read into it.
    std::unique_ptr<char[]> m_begun;
    std::size_t m_begunRoom = 0;
    std::size_t m_begunSize = 0;
    std::size_t m_begunMissing = 0;
    std::string m_unsent; ///< what the socket has not taken at once
    std::size_t m_sent = 0; ///< so much of the beginning of m_unsent is sent
    bool m_isPaused = false;
};

void accept(Server &server, Local::acceptor &acceptor)
{
    acceptor.async_accept([&server, &acceptor](Error error, Local::socket socket) {
        if (error)
            throw boost::system::system_error(error);
        std::make_shared<Client>(server, std::move(socket))->waitForReading();
        accept(server, acceptor);
    });
}

} // namespace

int main(int argc, char **argv)
{
    const bench::ServerOptions options = bench::ServerOptions::parse(argc, argv);
    bench::raiseDescriptorLimit();

    Server server(options);
    const std::string path = options.socketPath();
    std::remove(path.c_str());
    asio::io_context context(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE); // one thread: no locks
    Local::acceptor acceptor(context, Local::endpoint(path));
    accept(server, acceptor);
    bench::sayReady();
    context.run();
    return 0;
}
