// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// The practical limit on Windows: system calls and nothing else. Named pipes in message mode, one
// completion port, one thread.

#include "common/service.h"

#include <windows.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

using bench::Service;

constexpr int WaitingInstances = 16; // for clients that come all at once
constexpr DWORD PipeQuota = 256 * 1024; // what the system takes before a write waits, each way
constexpr DWORD FirstBuffer = 4096; // for one message; grows. An idle client keeps no more in RAM
constexpr int ReadsInTurn = 64; // then the other clients have their turn
constexpr int WritesInFlight = 16; // of one client
constexpr std::size_t UnsentLimit = 1024 * 1024; // beyond this nothing more is read from a client
constexpr LONG StatusSuccess = 0;
constexpr LONG StatusBufferOverflow = LONG(0x80000005); // a part of a message has been read

[[noreturn]] void fail(const char *call)
{
    std::fprintf(stderr, "bench-server-raw: %s: error %lu\n", call, GetLastError());
    std::exit(1);
}

/// A message to a client: in its queue, in flight, or spare.
struct Write : OVERLAPPED
{
    Write *next = nullptr;
    std::vector<char> message;
};

/// Messages that wait to be sent.
struct Queue
{
    Write *first = nullptr;
    Write *last = nullptr;

    void append(Write *write)
    {
        write->next = nullptr;
        (first ? last->next : first) = write;
        last = write;
    }
    Write *take()
    {
        Write *write = first;
        if (write)
            first = write->next;
        return write;
    }
};

/// An instance of the pipe, and the client that it has. It is used again for the next one.
struct Client
{
    HANDLE pipe = INVALID_HANDLE_VALUE;
    std::optional<bench::ClientState> state; ///< while there is a client
    bool isEnding = false; ///< waits for the writes in flight to come back
    bool isPaused = false; ///< nothing is read, for too much is unsent

    OVERLAPPED reading; ///< or waiting for a client
    std::unique_ptr<char[]> buffer; ///< left uninitialised: memory that is not used costs none
    DWORD capacity = 0;
    DWORD arrived = 0; ///< of a message that did not fit

    Queue queue;
    int inFlight = 0;
    std::size_t unsent = 0; ///< bytes of the queue and in flight
};

class Server
{
public:
    explicit Server(const bench::ServerOptions &options)
        : m_path("\\\\.\\pipe\\" + options.name),
          m_service(options)
    {
        m_port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, 1);
        if (!m_port)
            fail("CreateIoCompletionPort");
        addInstances(FILE_FLAG_FIRST_PIPE_INSTANCE);
    }

    [[noreturn]] void run()
    {
        for (;;) {
            OVERLAPPED_ENTRY packets[64];
            ULONG count = 0;
            if (!GetQueuedCompletionStatusEx(m_port, packets, 64, &count, INFINITE, FALSE))
                fail("GetQueuedCompletionStatusEx");
            for (ULONG i = 0; i < count; ++i) {
                Client &client = *reinterpret_cast<Client *>(packets[i].lpCompletionKey);
                OVERLAPPED *overlapped = packets[i].lpOverlapped;
                if (!overlapped)
                    read(client); // its next turn
                else if (overlapped != &client.reading)
                    written(client, static_cast<Write *>(overlapped));
                else if (!client.state)
                    connected(client);
                else if (took(client, LONG(overlapped->Internal)))
                    read(client);
            }
        }
    }

private:
    // --- Instances ---

    void addInstances(DWORD firstInstanceFlag = 0)
    {
        for (; m_waiting < WaitingInstances; firstInstanceFlag = 0) {
            Client &client = *m_instances.emplace_back(std::make_unique<Client>());
            client.pipe =
                    CreateNamedPipeA(m_path.c_str(),
                                     PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | firstInstanceFlag,
                                     PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE
                                             | PIPE_REJECT_REMOTE_CLIENTS,
                                     PIPE_UNLIMITED_INSTANCES, PipeQuota, PipeQuota, 0, nullptr);
            if (client.pipe == INVALID_HANDLE_VALUE)
                fail("CreateNamedPipe");
            // What is done at once is handled at once, without a packet.
            if (!CreateIoCompletionPort(client.pipe, m_port, ULONG_PTR(&client), 0)
                || !SetFileCompletionNotificationModes(client.pipe,
                                                       FILE_SKIP_COMPLETION_PORT_ON_SUCCESS
                                                               | FILE_SKIP_SET_EVENT_ON_HANDLE))
                fail("CreateIoCompletionPort");
            wait(client);
        }
    }

    void wait(Client &client)
    {
        ++m_waiting;
        client.reading = OVERLAPPED();
        ConnectNamedPipe(client.pipe, &client.reading); // never succeeds at once
        const DWORD error = GetLastError();
        if (error == ERROR_IO_PENDING)
            return;
        // The client was faster, and may have gone again: what it has sent is there to be read.
        if (error != ERROR_PIPE_CONNECTED && error != ERROR_NO_DATA)
            fail("ConnectNamedPipe");
        post(client, &client.reading);
    }

    void connected(Client &client)
    {
        --m_waiting;
        m_service.added(client.state.emplace());
        m_clients.push_back(&client);
        addInstances();
        read(client);
    }

    void end(Client &client)
    {
        m_service.removed(*client.state);
        m_clients.erase(std::find(m_clients.begin(), m_clients.end(), &client));
        client.isEnding = true;
        while (Write *write = client.queue.take())
            release(client, write);
        if (client.inFlight > 0)
            CancelIoEx(client.pipe, nullptr);
        else
            reuse(client);
    }

    void reuse(Client &client)
    {
        DisconnectNamedPipe(client.pipe); // reading has come to the end: nothing is lost
        client.state.reset();
        client.isEnding = false;
        client.arrived = 0;
        wait(client);
    }

    void post(Client &client, OVERLAPPED *overlapped)
    {
        if (!PostQueuedCompletionStatus(m_port, 0, ULONG_PTR(&client), overlapped))
            fail("PostQueuedCompletionStatus");
    }

    // --- Reading ---

    /// Reads what there is.
    void read(Client &client)
    {
        for (int i = 0; i < ReadsInTurn; ++i) {
            client.isPaused = client.unsent > UnsentLimit;
            if (client.isPaused)
                return;
            makeRoom(client);
            client.reading = OVERLAPPED();
            const BOOL ok = ReadFile(client.pipe, client.buffer.get() + client.arrived,
                                     client.capacity - client.arrived, nullptr, &client.reading);
            const DWORD error = ok ? ERROR_SUCCESS : GetLastError();
            if (error == ERROR_IO_PENDING)
                return;
            if (error != ERROR_SUCCESS && error != ERROR_MORE_DATA)
                return end(client);
            if (!took(client, error == ERROR_SUCCESS ? StatusSuccess : StatusBufferOverflow))
                return;
        }
        post(client, nullptr);
    }

    /// There is room for more of the message.
    void makeRoom(Client &client)
    {
        if (client.arrived < client.capacity)
            return;
        const DWORD capacity = std::max<DWORD>(FirstBuffer, client.capacity * 2);
        std::unique_ptr<char[]> buffer(new char[capacity]);
        if (client.arrived > 0)
            std::memcpy(buffer.get(), client.buffer.get(), client.arrived);
        client.buffer = std::move(buffer);
        client.capacity = capacity;
    }

    /// A read is done. False when it was the last.
    bool took(Client &client, LONG status)
    {
        if (status != StatusSuccess && status != StatusBufferOverflow) {
            end(client);
            return false;
        }
        client.arrived += DWORD(client.reading.InternalHigh);
        if (status == StatusSuccess)
            handle(client, client.buffer.get(), std::exchange(client.arrived, 0));
        return true;
    }

    void handle(Client &client, const char *data, std::size_t size)
    {
        switch (m_service.handle(*client.state, data, size)) {
        case Service::Answer::None:
            break;
        case Service::Answer::SameBack:
            send(client, data, size);
            break;
        case Service::Answer::Report: {
            const std::string report = m_service.report();
            send(client, report.data(), report.size());
            break;
        }
        case Service::Answer::Broadcast:
            m_service.broadcast(data, [this](const char *message, std::size_t messageSize) {
                for (Client *each : m_clients)
                    send(*each, message, messageSize);
            });
            break;
        }
    }

    // --- Writing ---

    void send(Client &client, const char *data, std::size_t size)
    {
        Write *write = m_spare;
        if (write)
            m_spare = write->next;
        else
            write = m_writes.emplace_back(std::make_unique<Write>()).get();
        write->message.assign(data, data + size);
        client.unsent += size;
        client.queue.append(write);
        sendQueue(client);
    }

    void sendQueue(Client &client)
    {
        while (client.queue.first && client.inFlight < WritesInFlight) {
            Write *write = client.queue.take();
            static_cast<OVERLAPPED &>(*write) = OVERLAPPED();
            const BOOL ok = WriteFile(client.pipe, write->message.data(),
                                      DWORD(write->message.size()), nullptr, write);
            // When the client has gone reading will find the end, after what it has sent.
            if (ok || GetLastError() != ERROR_IO_PENDING)
                release(client, write);
            else
                ++client.inFlight;
        }
    }

    void written(Client &client, Write *write)
    {
        --client.inFlight;
        release(client, write);
        if (client.isEnding) {
            if (client.inFlight == 0)
                reuse(client);
            return;
        }
        sendQueue(client);
        if (client.isPaused && client.unsent <= UnsentLimit / 2)
            read(client);
    }

    void release(Client &client, Write *write)
    {
        client.unsent -= write->message.size();
        write->next =
                m_spare; // the last one used is the first to be used again: it is in the cache
        m_spare = write;
    }

    const std::string m_path;
    Service m_service;
    HANDLE m_port;
    std::vector<std::unique_ptr<Client>> m_instances;
    std::vector<Client *> m_clients;
    int m_waiting = 0;
    std::vector<std::unique_ptr<Write>> m_writes;
    Write *m_spare = nullptr;
};

} // namespace

int main(int argc, char **argv)
{
    Server server(bench::ServerOptions::parse(argc, argv));
    bench::sayReady();
    server.run();
}
