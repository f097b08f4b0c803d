// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_BACKOFF_H
#define QTNAMEDPIPES_BACKOFF_H

#include <QtCore/qrandom.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <utility>

namespace QtNamedPipes {

/// How long to wait before the next try: twice as long each time, between two bounds. Thread-safe: a
/// dialer that has just ended may still ask when the next connection does.
class BackOff
{
public:
    using Time = std::chrono::milliseconds;

    BackOff() : BackOff(Time(10), Time(1000)) { }
    BackOff(Time shortest, Time longest)
        : m_shortest(shortest),
          m_longest(longest),
          m_delay(shortest)
    {
    }

    Time next()
    {
        const std::lock_guard<std::mutex> lock(m_mutex);
        ++m_tries;
        return std::exchange(m_delay, std::min(2 * m_delay, m_longest));
    }
    /// Likewise with some randomness: those who failed together do not come again together.
    Time nextJittered()
    {
        const Time delay = std::min(2 * next(), m_longest);
        const Time less(QRandomGenerator::system()->bounded(int(delay.count() / 2) + 1));
        return std::max(delay - less, m_shortest);
    }
    int tries() const
    {
        const std::lock_guard<std::mutex> lock(m_mutex);
        return m_tries;
    }
    void reset()
    {
        const std::lock_guard<std::mutex> lock(m_mutex);
        m_delay = m_shortest;
        m_tries = 0;
    }

private:
    const Time m_shortest;
    const Time m_longest;
    mutable std::mutex m_mutex; // guards the rest
    Time m_delay;
    int m_tries = 0;
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_BACKOFF_H
