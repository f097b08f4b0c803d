// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "load.h"

#include "blockingclient.h"

#include <atomic>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

static constexpr int MessagesOnTheirWay = 16;

/// One client's life; false when an answer was not the message that was sent.
static bool echoUntilEnd(const QString &fullPipeName, int size)
{
    BlockingClient client;
    if (!client.open(fullPipeName)) {
        std::fprintf(stderr, "load: there is no server at %s\n", qPrintable(fullPipeName));
        return false;
    }
    QByteArray message(size, '.');
    quint32 sent = 0;
    quint32 received = 0;
    const auto stamp = [&](quint32 number) { std::memcpy(message.data(), &number, sizeof number); };
    for (;;) {
        for (; sent - received < MessagesOnTheirWay; ++sent) {
            stamp(sent);
            if (!client.send(message))
                return true;
        }
        QByteArray answer(size, Qt::Uninitialized);
        if (!client.receive(answer))
            return true;
        stamp(received++);
        if (answer != message) {
            std::fprintf(stderr, "load: answer %u is not the message that was sent\n", received);
            return false;
        }
    }
}

int runLoad(const QString &fullPipeName, int clients, int size)
{
    std::atomic<int> failures { 0 };
    std::vector<std::thread> threads;
    for (int i = 0; i < clients; ++i) {
        threads.emplace_back([&] {
            if (!echoUntilEnd(fullPipeName, size))
                ++failures;
        });
    }
    for (std::thread &thread : threads)
        thread.join();
    return failures == 0 ? 0 : 1;
}
