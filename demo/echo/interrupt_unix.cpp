// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "interrupt.h"

#include <csignal>
#include <thread>
#include <utility>

void onInterrupt(std::function<void()> handler)
{
    // A signal handler may do next to nothing; a thread that waits for the signals may do anything.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr); // inherited by every thread made later
    std::thread([signals, handler = std::move(handler)] {
        for (int signal = 0; sigwait(&signals, &signal) == 0;)
            handler();
    }).detach();
}
