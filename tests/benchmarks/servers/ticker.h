// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_BENCHMARK_TICKER_H
#define QTNAMEDPIPES_BENCHMARK_TICKER_H

#include <QtCore/qtimer.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <string>
#include <vector>

namespace bench {

/// A 10 ms timer on the thread of the event loop: how late it fires is how smooth a window would be.
class Ticker
{
public:
    Ticker()
    {
        m_timer.setTimerType(Qt::PreciseTimer);
        QObject::connect(&m_timer, &QTimer::timeout, &m_timer, [this] {
            const std::lock_guard lock(m_mutex);
            if (!noteLate())
                m_late.push_back(0);
            m_last = Clock::now();
        });
        m_timer.start(Period);
    }

    /// Members of JSON for Service::onReport(), about the time since the last call: the median,
    /// the 99th percentile and the most, in microseconds. Any thread.
    std::string report()
    {
        const std::lock_guard lock(m_mutex);
        if (noteLate()) // it is late right now
            m_last = Clock::now();
        std::sort(m_late.begin(), m_late.end());
        const auto at = [this](double share) {
            return m_late.empty() ? 0 : m_late[std::size_t(double(m_late.size() - 1) * share)];
        };
        const std::string text = ",\"late_p50_us\":" + std::to_string(at(0.5)) + ",\"late_p99_us\":"
                + std::to_string(at(0.99)) + ",\"late_max_us\":" + std::to_string(at(1.0))
                + ",\"ticks\":" + std::to_string(m_late.size());
        m_late.clear();
        return text;
    }

private:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::milliseconds Period { 10 };

    /// A gap of 35 ms between two ticks is one that came 25 ms late, and two that never came and were
    /// 15 and 5 ms late by then: a long freeze must not count as one bad tick among many.
    bool noteLate()
    {
        auto late = Clock::now() - m_last - Period;
        const bool isLate = late > Clock::duration::zero();
        for (; late > Clock::duration::zero(); late -= Period) {
            m_late.push_back(std::chrono::duration_cast<std::chrono::microseconds>(late).count());
        }
        return isLate;
    }

    QTimer m_timer;
    std::mutex m_mutex; // guards the rest
    Clock::time_point m_last = Clock::now();
    std::vector<long long> m_late;
};

} // namespace bench

#endif // QTNAMEDPIPES_BENCHMARK_TICKER_H
