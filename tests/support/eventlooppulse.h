// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_EVENTLOOPPULSE_H
#define QTNAMEDPIPES_TESTS_EVENTLOOPPULSE_H

#include <QtCore/qelapsedtimer.h>
#include <QtCore/qtimer.h>

#include <algorithm>

/// Beats in the event loop of the thread that made it, and remembers the longest pause.
class EventLoopPulse
{
public:
    explicit EventLoopPulse(int intervalMs = 10)
    {
        m_timer.setTimerType(Qt::PreciseTimer);
        QObject::connect(&m_timer, &QTimer::timeout, &m_timer, [this] {
            m_worstGap = std::max(m_worstGap, m_sinceBeat.restart());
            ++m_beats;
        });
        m_sinceBeat.start();
        m_timer.start(intervalMs);
    }

    int beats() const { return m_beats; }
    /// In milliseconds; a pause that still lasts counts.
    qint64 worstGap() const { return std::max(m_worstGap, m_sinceBeat.elapsed()); }

private:
    QTimer m_timer;
    QElapsedTimer m_sinceBeat;
    qint64 m_worstGap = 0;
    int m_beats = 0;
};

#endif // QTNAMEDPIPES_TESTS_EVENTLOOPPULSE_H
