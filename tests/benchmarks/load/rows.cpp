// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "load/rows.h"

#include "common/process.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <vector>

namespace bench {

namespace {

/// What the server says of itself.
struct Report
{
    std::uint64_t messages = 0;
    std::uint64_t cpu = 0;
    std::uint64_t resident = 0;
    std::uint64_t peak = 0;
    std::string late; ///< the members that begin with late_, each after a comma
    Clock::time_point time; ///< when it came
};

std::uint64_t number(const std::string &json, const std::string &name)
{
    const std::size_t at = json.find('"' + name + "\":");
    if (at == std::string::npos)
        throw std::runtime_error("the server's report has no " + name + ": " + json);
    return std::strtoull(json.c_str() + at + name.size() + 3, nullptr, 10);
}

Report parse(const std::string &json)
{
    if (number(json, "faults") != 0)
        throw std::runtime_error("the server has found faults: " + json);
    Report report;
    report.messages = number(json, "messages");
    report.cpu = number(json, "cpu_ns");
    report.resident = number(json, "rss_kib");
    report.peak = std::max(number(json, "peak_kib"), report.resident); // the system is not exact
    std::size_t at = 0;
    while ((at = json.find(",\"late_", at)) != std::string::npos) {
        const std::size_t end = json.find_first_of(",}", at + 1);
        report.late += json.substr(at, end - at);
        at = end;
    }
    report.time = Clock::now();
    return report;
}

std::string member(const char *name, std::uint64_t value)
{
    return std::string(",\"") + name + "\":" + std::to_string(value);
}

std::string member(const char *name, double value)
{
    char text[64];
    std::snprintf(text, sizeof text, "%.3f", value);
    return std::string(",\"") + name + "\":" + text;
}

Clock::time_point in(double seconds)
{
    return Clock::now()
            + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

double secondsSince(Clock::time_point start)
{
    return std::chrono::duration<double>(Clock::now() - start).count();
}

class Row final : Links::Receiver
{
public:
    Row(Links &links, const RowOptions &options)
        : m_links(links),
          m_options(options),
          m_limit(in(options.seconds * (1 + WarmUp) + 80))
    {
    }

    std::string run()
    {
        m_control = open(Kind::Report, sizeof(Header));
        if (m_options.row != "churn" && m_options.row != "idle") {
            for (int i = 0; i < m_options.clients; ++i)
                m_clients.push_back(open(Kind::Echo, m_options.size));
            echoOnce(); // now the server has let them in, too
        }
        const Report first = report();
        m_sent = m_received = 0;

        if (m_options.row == "oneway") {
            measure([this](double seconds) { oneway(seconds); });
        } else if (m_options.row == "flood") {
            flood();
        } else if (m_options.row == "echo") {
            measureEcho(m_options.clients == 1 && m_options.window == 1);
        } else if (m_options.row == "broadcast") {
            m_wanted = Kind::Data;
            for (Peer &peer : m_peers)
                peer.wanted = 0;
            measure([this](double seconds) { broadcast(seconds); });
        } else if (m_options.row == "churn") {
            measure([this](double seconds) { churn(seconds); });
        } else if (m_options.row == "idle") {
            idle();
        } else {
            throw std::runtime_error("there is no such row");
        }
        return text(first);
    }

private:
    static constexpr double WarmUp = 0.1; ///< of the time that is measured
    static constexpr std::uint32_t Burst = 64; ///< messages of one order to broadcast
    static constexpr std::size_t TurnBytes = 192 * 1024; ///< a client sends before the next one

    /// One end of a connection.
    struct Peer
    {
        MessageMaker maker;
        std::uint32_t wanted = 0; ///< the sequence number of what comes next
        int credit = 0; ///< how many messages it may send now
    };

    // -- connections ----------------------------------------------------------------------------

    int open(Kind kind, std::size_t size)
    {
        const int link = m_links.open();
        if (m_peers.size() <= std::size_t(link))
            m_peers.resize(std::size_t(link) + 1, Peer { MessageMaker(kind, sizeof(Header)) });
        m_peers[std::size_t(link)] = { MessageMaker(kind, size) };
        return link;
    }

    Peer &peer(int link) { return m_peers[std::size_t(link)]; }

    /// The next messages of \a link are of another kind; the sequence goes on.
    void change(int link, Kind kind, std::size_t size)
    {
        peer(link).maker = MessageMaker(kind, size, peer(link).maker.next());
    }

    // -- traffic --------------------------------------------------------------------------------

    void received(int link, const char *data, std::size_t size) override
    {
        if (size < sizeof(Header))
            throw std::runtime_error("a message is too short");
        const Kind kind = headerOf(data).kind;
        if (kind == Kind::Report && link == m_control) {
            if (!isIntact(data, size, 0))
                throw std::runtime_error("the report is not intact");
            m_report.assign(data + sizeof(Header), size - sizeof(Header));
            return;
        }
        Peer &client = peer(link);
        if (kind != m_wanted || size != m_options.size || !isIntact(data, size, client.wanted)) {
            throw std::runtime_error("link " + std::to_string(link) + ": message "
                                     + std::to_string(client.wanted) + " is not what was sent");
        }
        ++client.wanted;
        ++m_received;
        if (kind == Kind::Echo) {
            if (client.credit++ == 0)
                m_ready.push_back(link);
            if (m_recordsTrips) {
                const auto now = Clock::now();
                m_trips.push_back(now - m_tripStart);
                m_tripStart = now;
            }
        } else if (client.wanted % Burst == 0) {
            ++m_served[client.wanted / Burst % 2];
        }
    }

    void poll(Clock::time_point deadline)
    {
        m_links.poll(*this, std::min(deadline, m_limit));
        if (Clock::now() > m_limit)
            throw std::runtime_error("it takes too long");
    }

    /// Sends one message that may have to wait.
    void sendOne(int link)
    {
        while (m_links.send(link, peer(link).maker, 1) == 0)
            poll(m_limit);
    }

    void ask()
    {
        m_report.clear();
        change(m_control, Kind::Report, sizeof(Header));
        sendOne(m_control);
    }

    Report report()
    {
        ask();
        while (m_report.empty())
            poll(m_limit);
        return parse(m_report);
    }

    /// All clients send as much as goes, none waits for another, as long as \a goesOn says.
    template<typename GoesOn>
    void sendAll(GoesOn goesOn, Clock::time_point end)
    {
        const int turn = int(std::max<std::size_t>(TurnBytes / m_options.size, 1));
        while (goesOn()) {
            bool isFull = true;
            for (const int link : m_clients) {
                const int taken = m_links.send(link, peer(link).maker, turn);
                m_sent += std::uint64_t(taken);
                isFull = isFull && taken < turn;
            }
            poll(isFull ? end : Clock::time_point());
        }
    }

    void sendAllUntil(Clock::time_point end)
    {
        sendAll([end] { return Clock::now() < end; }, end);
    }

    /// Each client sends one message and gets it back.
    void echoOnce()
    {
        const std::uint64_t all = m_received + m_clients.size();
        for (const int link : m_clients) {
            peer(link).wanted = peer(link).maker.next();
            sendOne(link);
            ++m_sent;
        }
        while (m_received < all)
            poll(m_limit);
        m_ready.clear();
        for (const int link : m_clients)
            peer(link).credit = 0;
    }

    // -- rows -----------------------------------------------------------------------------------

    template<typename Run>
    void measure(Run run)
    {
        run(m_options.seconds * WarmUp);
        const std::uint64_t &count = m_options.row == "broadcast" ? m_received : m_sent;
        m_before = report();
        m_trips.clear();
        const std::uint64_t countBefore = count;
        const std::uint64_t cpuBefore = processCpuNanoseconds();
        const auto start = Clock::now();
        run(m_options.seconds);
        m_elapsed = secondsSince(start);
        m_cpu = processCpuNanoseconds() - cpuBefore;
        m_messages = count - countBefore;
        m_after = report();
    }

    void oneway(double seconds)
    {
        for (const int link : m_clients)
            change(link, Kind::Data, m_options.size);
        const auto end = in(seconds);
        const std::uint64_t most = m_options.most > 0 ? m_sent + m_options.most : UINT64_MAX;
        sendAll([&] { return Clock::now() < end && m_sent < most; }, end);
        for (const int link : m_clients)
            change(link, Kind::Echo, m_options.size);
        echoOnce();
    }

    void flood()
    {
        for (const int link : m_clients)
            change(link, Kind::Data, m_options.size);
        sendAllUntil(in(0.2));
        ask();
        sendAll([this] { return m_report.empty(); }, m_limit);
        m_before = parse(m_report);
        const std::uint64_t cpuBefore = processCpuNanoseconds();
        sendAllUntil(in(m_options.seconds));
        ask();
        sendAll([this] { return m_report.empty(); }, m_limit);
        m_after = parse(m_report);
        m_cpu = processCpuNanoseconds() - cpuBefore;
        m_elapsed = std::chrono::duration<double>(m_after.time - m_before.time).count();
        m_messages = m_after.messages - m_before.messages;
    }

    /// Every client keeps its window full; returns when all has come back.
    void echo(double seconds)
    {
        const auto end = in(seconds);
        m_ready = m_clients;
        for (const int link : m_clients)
            peer(link).credit = m_options.window;
        m_tripStart = Clock::now();
        for (auto now = m_tripStart; now < end || m_received < m_sent; now = Clock::now()) {
            if (now >= end)
                m_ready.clear();
            std::size_t waiting = 0;
            for (const int link : m_ready) {
                Peer &client = peer(link);
                const int taken = m_links.send(link, client.maker, client.credit);
                m_sent += std::uint64_t(taken);
                client.credit -= taken;
                if (client.credit > 0)
                    m_ready[waiting++] = link;
            }
            m_ready.resize(waiting);
            poll(m_limit);
        }
        m_ready.clear();
    }

    void measureEcho(bool recordsTrips)
    {
        m_recordsTrips = recordsTrips;
        m_trips.reserve(recordsTrips ? std::size_t(m_options.seconds * 250'000) : 0);
        measure([this](double seconds) { echo(seconds); });
        m_recordsTrips = false;
    }

    /// Keeps two bursts on their way; returns when all have come.
    void broadcast(double seconds)
    {
        const int all = m_options.clients + 1; // the control link gets them, too
        const auto end = in(seconds);
        std::uint32_t done = m_ordered;
        while (Clock::now() < end || done < m_ordered) {
            while (Clock::now() < end && m_ordered < done + 2) {
                peer(m_control).maker =
                        MessageMaker(BroadcastOrder { m_ordered * Burst, Burst, m_options.size },
                                     peer(m_control).maker.next());
                sendOne(m_control);
                ++m_ordered;
            }
            poll(m_limit);
            while (m_served[(done + 1) % 2] == all)
                m_served[++done % 2] = 0;
        }
    }

    void churn(double seconds)
    {
        const auto end = in(seconds);
        while (Clock::now() < end) {
            m_clients = { open(Kind::Echo, m_options.size) };
            echoOnce();
            m_links.close(m_clients.front());
        }
        m_clients.clear();
    }

    void idle()
    {
        // The further client comes first: what the server takes once is not of the idle ones.
        const std::vector<int> active { open(Kind::Echo, m_options.size) };
        m_clients = active;
        echo(m_options.seconds * WarmUp);
        const Report without = report();

        for (int i = 0; i < m_options.idle; ++i) {
            m_clients = { open(Kind::Echo, m_options.size) };
            echoOnce();
        }
        const Report with = report();
        m_more += member("bytes_per_connection",
                         (double(with.resident) - double(without.resident)) * 1024
                                 / std::max(m_options.idle, 1));
        m_clients = active;
        measureEcho(true);
    }

    // -- result ---------------------------------------------------------------------------------

    std::string text(const Report &first)
    {
        const bool isFlood = m_options.row == "flood";
        const std::uint64_t handled = m_after.messages - first.messages;
        if (isFlood ? handled > m_sent : handled != m_sent) {
            throw std::runtime_error("sent were " + std::to_string(m_sent)
                                     + " messages, the server has counted "
                                     + std::to_string(handled));
        }
        const double bytes = double(m_messages) * double(m_options.size);
        const std::uint64_t cpu = m_after.cpu - m_before.cpu;
        std::string line = "{\"row\":\"" + m_options.row + '"';
        line += member("clients", std::uint64_t(m_options.clients));
        line += member("size", std::uint64_t(m_options.size));
        line += member("window", std::uint64_t(m_options.window));
        line += member("idle", std::uint64_t(m_options.idle));
        line += member("seconds", m_elapsed);
        line += member("messages", m_messages);
        line += member("bytes", m_messages * m_options.size);
        line += member("per_second", double(m_messages) / m_elapsed);
        line += member("mib_per_second", bytes / m_elapsed / (1024 * 1024));
        line += member("server_cpu_ns", cpu);
        line += member("server_cpu_ns_per_message",
                       m_messages ? double(cpu) / double(m_messages) : 0);
        line += member("load_cpu_ns", m_cpu);
        line += member("rss_kib_before", first.resident);
        line += member("rss_kib_after", m_after.resident);
        line += member("peak_kib", m_after.peak);
        if (!m_trips.empty()) {
            std::sort(m_trips.begin(), m_trips.end());
            const auto trip = [this](double share) {
                const auto at = std::size_t(double(m_trips.size() - 1) * share);
                return std::chrono::duration<double, std::micro>(m_trips[at]).count();
            };
            line += member("p50_us", trip(0.5)) + member("p90_us", trip(0.9))
                    + member("p99_us", trip(0.99));
        }
        return line + m_more + m_after.late + '}';
    }

    Links &m_links;
    const RowOptions m_options;
    const Clock::time_point m_limit; ///< when the row is given up
    std::vector<Peer> m_peers; ///< by number of the link
    int m_control = 0;
    std::vector<int> m_clients;

    Kind m_wanted = Kind::Echo; ///< what comes from the server now
    std::uint64_t m_sent = 0; ///< messages that the server counts
    std::uint64_t m_received = 0;
    std::vector<int> m_ready; ///< clients with credit
    std::string m_report;
    std::uint32_t m_ordered = 0; ///< bursts
    int m_served[2] = { 0,
                        0 }; ///< how many clients have one of the two bursts that are on their way
    bool m_recordsTrips = false;
    Clock::time_point m_tripStart;
    std::vector<Clock::duration> m_trips;

    Report m_before;
    Report m_after;
    double m_elapsed = 0;
    std::uint64_t m_messages = 0;
    std::uint64_t m_cpu = 0; ///< of this process
    std::string m_more;
};

} // namespace

std::string runRow(Links &links, const RowOptions &options)
{
    if (options.size < sizeof(Header) || options.size % 8 != 0 || options.clients < 1
        || options.window < 1 || options.idle < 0 || !(options.seconds > 0)) {
        throw std::runtime_error("impossible options");
    }
    return Row(links, options).run();
}

} // namespace bench
