// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "common/service.h"

#include "common/process.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace bench {

ServerOptions ServerOptions::parse(int argc, char **argv)
{
    ServerOptions options;
    for (int i = 1; i < argc; ++i) {
        const std::string option = argv[i];
        if (option == "--ticks") {
            options.ticks = true;
        } else if (i + 1 == argc) {
            std::fprintf(stderr, "%s: what is %s?\n", argv[0], argv[i]);
            std::exit(2);
        } else if (option == "--name") {
            options.name = argv[++i];
        } else if (option == "--variant") {
            options.variant = argv[++i];
        } else if (option == "--threads") {
            options.threads = std::atoi(argv[++i]);
        } else if (option == "--slot-us") {
            options.slotMicroseconds = std::atoi(argv[++i]);
        } else {
            std::fprintf(stderr, "%s: what is %s?\n", argv[0], argv[i]);
            std::exit(2);
        }
    }
    if (options.name.empty()) {
        std::fprintf(stderr, "%s: --name is missing\n", argv[0]);
        std::exit(2);
    }
    return options;
}

std::string ServerOptions::socketPath() const
{
    const char *folder = std::getenv("TMPDIR");
    return std::string(folder && *folder ? folder : "/tmp") + '/' + name;
}

void sayReady()
{
    std::puts("ready");
    std::fflush(stdout);
    std::thread([] {
        while (std::getchar() != EOF) { }
        std::_Exit(0);
    }).detach();
}

void Service::added(ClientState &client)
{
    const std::lock_guard lock(m_mutex);
    m_clients.push_back(&client);
}

void Service::removed(ClientState &client)
{
    const std::lock_guard lock(m_mutex);
    const auto it = std::find(m_clients.begin(), m_clients.end(), &client);
    if (it == m_clients.end())
        return;
    *it = m_clients.back();
    m_clients.pop_back();
    m_messagesOfGone += client.m_messages;
    m_bytesOfGone += client.m_bytes;
    m_faultsOfGone += client.m_faults;
}

std::string Service::report()
{
    std::uint64_t messages, bytes, faults;
    {
        const std::lock_guard lock(m_mutex);
        messages = m_messagesOfGone;
        bytes = m_bytesOfGone;
        faults = m_faultsOfGone;
        for (const ClientState *client : m_clients) {
            messages += client->m_messages;
            bytes += client->m_bytes;
            faults += client->m_faults;
        }
    }
    std::string text = "{\"messages\":" + std::to_string(messages)
            + ",\"bytes\":" + std::to_string(bytes) + ",\"faults\":" + std::to_string(faults)
            + ",\"cpu_ns\":" + std::to_string(processCpuNanoseconds())
            + ",\"rss_kib\":" + std::to_string(residentKibibytes()) + ",\"peak_kib\":"
            + std::to_string(peakResidentKibibytes()) + (m_more ? m_more() : "") + "}";
    text.resize((text.size() + 7) / 8 * 8, ' ');
    const Header header { Kind::Report, 0, checksum(text.data(), text.size(), 0) };
    return std::string(reinterpret_cast<const char *>(&header), sizeof header) + text;
}

} // namespace bench
