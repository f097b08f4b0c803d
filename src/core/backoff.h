// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_BACKOFF_H
#define QTNAMEDPIPES_BACKOFF_H

#include <QtCore/qrandom.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace QtNamedPipes {

/// How long to wait before the next try: twice as long each time, between two bounds.
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
        ++m_tries;
        return std::exchange(m_delay, std::min(2 * m_delay, m_longest));
    }
    /// Likewise with some randomness: those who failed together do not come again together.
    Time nextJittered()
    {
        const Time delay = std::min(2 * next(), m_longest);
        const Time less(QRandomGenerator::global()->bounded(int(delay.count() / 2) + 1));
        return std::max(delay - less, m_shortest);
    }
    int tries() const { return m_tries; }
    void reset()
    {
        m_delay = m_shortest;
        m_tries = 0;
    }

private:
    Time m_shortest;
    Time m_longest;
    Time m_delay;
    int m_tries = 0;
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_BACKOFF_H
