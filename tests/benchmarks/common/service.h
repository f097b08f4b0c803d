// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_BENCHMARK_SERVICE_H
#define QTNAMEDPIPES_BENCHMARK_SERVICE_H

// The work of a server, the same for every peer: only how messages come and go is different.

#include "common/protocol.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace bench {

/// The command line of a server.
struct ServerOptions
{
    std::string name; ///< of the pipe or socket
    std::string variant; ///< which of several ways, for programs that have several
    int threads = 1;
    int slotMicroseconds = 0; ///< how long the handling of each message of Kind::Data takes
    bool ticks = false; ///< run a 10 ms timer on the GUI thread, and report how late it is

    /// --name NAME [--variant V] [--threads N] [--slot-us N] [--ticks]; ends the program on others.
    static ServerOptions parse(int argc, char **argv);
    /// The path of the socket on Linux: in TMPDIR or /tmp, as QLocalServer has it.
    std::string socketPath() const;
};

/// Says on standard output that the server can be connected to. From then on the program ends when
/// its standard input does: no server outlives the benchmark.
void sayReady();

/// What is kept for each client. Handled by one thread at a time.
class ClientState
{
public:
    ClientState() = default;

private:
    friend class Service;
    void count(std::atomic<std::uint64_t> &counter, std::uint64_t by) const
    { // one writer: no locked instruction
        counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
    }
    std::uint32_t m_next = 0;
    std::atomic<std::uint64_t> m_messages { 0 };
    std::atomic<std::uint64_t> m_bytes { 0 };
    std::atomic<std::uint64_t> m_faults { 0 };
};

class Service
{
public:
    explicit Service(const ServerOptions &options) : m_options(options) { }

    /// Call these when a client comes and when it goes; the state stays the caller's.
    void added(ClientState &client);
    void removed(ClientState &client);

    enum class Answer {
        None,
        SameBack, ///< send the message back as it is
        Report, ///< send back what report() returns
        Broadcast, ///< send each of the messages of broadcast() to every client
    };

    /// For each message, on any thread; for one client on one thread at a time, in order.
    Answer handle(ClientState &client, const char *data, std::size_t size)
    {
        const bool isWhole = isIntact(data, size, client.m_next);
        if (!isWhole)
            client.count(client.m_faults, 1);
        ++client.m_next;
        if (size < sizeof(Header))
            return Answer::None;
        const Kind kind = headerOf(data).kind;
        if (kind == Kind::Data || kind == Kind::Echo) {
            client.count(client.m_messages, 1);
            client.count(client.m_bytes, size);
        }
        switch (kind) {
        case Kind::Data:
            if (m_options.slotMicroseconds > 0)
                beBusy();
            return Answer::None;
        case Kind::Echo:
            return Answer::SameBack;
        case Kind::Report:
            return Answer::Report;
        case Kind::Broadcast:
            return Answer::Broadcast;
        }
        return Answer::None;
    }

    /// The answer to Kind::Report: a Header and a line of JSON (padded to a multiple of 8) with
    /// the sums of all clients ever (messages, bytes, faults), the CPU time of the process (cpu_ns),
    /// its resident memory (rss_kib) now and at most (peak_kib), and what was added by onReport().
    std::string report();
    /// \a more writes more members, each as `,"name":value`.
    void onReport(std::function<std::string()> more) { m_more = std::move(more); }

    /// Calls \a send(data, size) for each message that the order in \a data asks for. The messages
    /// are the caller's to copy or to share: \a data of \a send is valid during the call.
    template<typename Send>
    void broadcast(const char *data, Send send)
    {
        BroadcastOrder order;
        std::memcpy(&order, data + sizeof(Header), sizeof order);
        MessageMaker maker(Kind::Data, std::size_t(order.size), order.first);
        std::vector<char> message(std::size_t(order.size));
        maker.write(message.data());
        for (std::uint32_t i = 0; i < order.count; ++i) {
            if (i > 0)
                maker.renew(message.data());
            send(message.data(), message.size());
        }
    }

private:
    void beBusy() const
    {
        const auto end = std::chrono::steady_clock::now()
                + std::chrono::microseconds(m_options.slotMicroseconds);
        while (std::chrono::steady_clock::now() < end) { }
    }

    const ServerOptions m_options;
    std::function<std::string()> m_more;
    std::mutex m_mutex; // guards the rest
    std::vector<ClientState *> m_clients;
    std::uint64_t m_messagesOfGone = 0;
    std::uint64_t m_bytesOfGone = 0;
    std::uint64_t m_faultsOfGone = 0;
};

} // namespace bench

#endif // QTNAMEDPIPES_BENCHMARK_SERVICE_H
