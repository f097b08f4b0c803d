// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_WAITING_H
#define QTNAMEDPIPES_TESTS_WAITING_H

#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>

/// How long a test waits for something that must happen: a bound on hanging, not on speed.
inline constexpr std::chrono::milliseconds patience { 30000 };

/// How long a test watches for something that must not happen.
inline constexpr std::chrono::milliseconds quietTime { 150 };

/// Runs the event loop of the calling thread until \a condition holds; false when \a timeout
/// passed.
bool waitUntil(const std::function<bool()> &condition,
               std::chrono::milliseconds timeout = patience);

/// Waits without an event loop: for what worker threads do while the server's thread is busy.
bool waitWithoutEvents(const std::function<bool()> &condition,
                       std::chrono::milliseconds timeout = patience);

/// Runs the event loop of the calling thread for \a time, to see that nothing happens.
void watchFor(std::chrono::milliseconds time = quietTime);

/// True when the task has ended; its result can be taken without blocking.
template<typename T>
bool isFinished(const std::future<T> &task)
{
    return task.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

/// Runs the event loop while a client works on a thread of its own; false when it did not end.
template<typename T>
bool waitForTask(const std::future<T> &task, std::chrono::milliseconds timeout = 2 * patience)
{
    return waitUntil([&task] { return isFinished(task); }, timeout);
}

/// Starts \a function on a thread of its own.
template<typename Function>
auto runClient(Function &&function)
{
    return std::async(std::launch::async, std::forward<Function>(function));
}

/// A door for threads: closed until opened, waited for with a deadline.
class Gate
{
public:
    void open();
    bool wait(std::chrono::milliseconds timeout = patience);

private:
    std::mutex m_mutex;
    std::condition_variable m_changed;
    bool m_open = false;
};

#endif // QTNAMEDPIPES_TESTS_WAITING_H
