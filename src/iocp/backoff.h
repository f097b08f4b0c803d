// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_BACKOFF_H
#define QTNAMEDPIPES_BACKOFF_H

#include <algorithm>
#include <chrono>
#include <utility>

namespace QtNamedPipes {

/// How long to wait before the next try: 10 ms at first, twice as long each time, a second at most.
class BackOff
{
public:
    std::chrono::milliseconds next()
    {
        ++m_tries;
        return std::exchange(m_delay, std::min(2 * m_delay, Longest));
    }
    int tries() const { return m_tries; }
    void reset() { *this = BackOff(); }

private:
    static constexpr std::chrono::milliseconds Shortest { 10 };
    static constexpr std::chrono::milliseconds Longest { 1000 };

    std::chrono::milliseconds m_delay = Shortest;
    int m_tries = 0;
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_BACKOFF_H
