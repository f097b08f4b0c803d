// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TIMERQUEUE_H
#define QTNAMEDPIPES_TIMERQUEUE_H

#include "core/pipetransport.h"

#include <atomic>
#include <map>
#include <mutex>
#include <vector>

namespace QtNamedPipes {

/// What an engine has to do later; its workers wait no longer than until the next of these.
/// Thread-safe.
class TimerQueue
{
public:
    /// True when \a task is now the first, so that a waiting worker must be woken to wait anew.
    bool add(Clock::time_point when, std::shared_ptr<EngineTask> task);
    /// Milliseconds until the first task, rounded up; -1 when there is none.
    int millisecondsToNext() const;
    /// Takes out what is due.
    std::vector<std::shared_ptr<EngineTask>> takeDue();
    /// In one order with what add() does: who looks before it waits misses nothing.
    bool isEmpty() const { return m_count == 0; }
    void clear();

private:
    mutable std::mutex m_mutex;
    std::multimap<Clock::time_point, std::shared_ptr<EngineTask>> m_tasks;
    std::atomic<size_t> m_count { 0 }; ///< m_tasks.size(), for a look without the lock
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_TIMERQUEUE_H
