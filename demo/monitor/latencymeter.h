// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef LATENCYMETER_H
#define LATENCYMETER_H

#include <QtCore/qelapsedtimer.h>
#include <QtCore/qobject.h>
#include <QtCore/qtimer.h>

/// Measures how late a timer fires on this thread, that is how long its event loop does not come
/// round. All functions must be called on the thread of the object.
class LatencyMeter : public QObject
{
    Q_OBJECT

public:
    static constexpr int Interval = 10; ///< of the timer, in ms

    explicit LatencyMeter(QObject *parent = nullptr);

    /// Begins to measure, with all values at 0.
    void start();
    void stop();
    bool isRunning() const { return m_timer.isActive(); }

    /// The worst lateness since the last call in ms. A gap that is not over yet counts, too.
    double takeWorst();
    /// The worst lateness since start() in ms.
    double worst() const;

private:
    void wait();
    void fired();
    void count(double late);
    double lateness() const;
    double sinceDue() const;

    QTimer m_timer;
    QElapsedTimer m_clock;
    qint64 m_due = 0; // ns of m_clock
    double m_worst = 0;
    double m_worstSinceTaken = 0;
    double m_taken = 0; // what takeWorst() has told of the gap that is not over
};

#endif // LATENCYMETER_H
