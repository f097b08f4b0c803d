// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "latencymeter.h"

#include <utility>

LatencyMeter::LatencyMeter(QObject *parent) : QObject(parent), m_timer(this)
{
    m_timer.setTimerType(Qt::PreciseTimer);
    m_timer.setInterval(Interval);
    // Started anew each time: a repeating timer that is late catches up in ways that differ between
    // systems, and then nobody knows when it was due.
    m_timer.setSingleShot(true);
    connect(&m_timer, &QTimer::timeout, this, &LatencyMeter::fired);
}

void LatencyMeter::start()
{
    m_worst = 0;
    m_worstSinceTaken = 0;
    m_clock.start();
    wait();
}

void LatencyMeter::stop()
{
    count(lateness());
    m_timer.stop();
    m_taken = 0;
}

double LatencyMeter::takeWorst()
{
    const double late = lateness();
    m_worst = qMax(m_worst, late);
    m_taken = qMax(m_taken, late);
    return qMax(std::exchange(m_worstSinceTaken, 0), late);
}

double LatencyMeter::worst() const
{
    return qMax(m_worst, lateness());
}

void LatencyMeter::wait()
{
    m_taken = 0;
    m_due = m_clock.nsecsElapsed() + Interval * 1'000'000;
    m_timer.start();
}

void LatencyMeter::fired()
{
    count(sinceDue());
    wait();
}

void LatencyMeter::count(double late)
{
    m_worst = qMax(m_worst, late);
    // When the loop comes round after a gap, whoever calls takeWorst() can be first. One gap would
    // be two peaks then.
    if (late - m_taken > qMin(m_taken, double(Interval)))
        m_worstSinceTaken = qMax(m_worstSinceTaken, late);
}

/// How late the timer is, if it should have fired already.
double LatencyMeter::lateness() const
{
    return m_timer.isActive() ? sinceDue() : 0;
}

double LatencyMeter::sinceDue() const
{
    return qMax(0.0, double(m_clock.nsecsElapsed() - m_due) / 1e6);
}
