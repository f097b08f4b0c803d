// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "core/timerqueue.h"

#include <utility>

namespace QtNamedPipes {

bool TimerQueue::add(Clock::time_point when, std::shared_ptr<EngineTask> task)
{
    const std::lock_guard<std::mutex> lock(m_mutex);
    const auto added = m_tasks.emplace(when, std::move(task));
    m_count = m_tasks.size();
    return added == m_tasks.begin();
}

int TimerQueue::millisecondsToNext() const
{
    if (isEmpty())
        return -1;
    const std::lock_guard<std::mutex> lock(m_mutex);
    if (m_tasks.empty())
        return -1;
    const auto wait = m_tasks.begin()->first - Clock::now();
    if (wait <= Clock::duration::zero())
        return 0;
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
    return int(qMin<qint64>(ms, 60'000));
}

std::vector<std::shared_ptr<EngineTask>> TimerQueue::takeDue()
{
    std::vector<std::shared_ptr<EngineTask>> due;
    if (isEmpty())
        return due;
    const std::lock_guard<std::mutex> lock(m_mutex);
    const auto end = m_tasks.upper_bound(Clock::now());
    for (auto it = m_tasks.begin(); it != end; ++it)
        due.push_back(std::move(it->second));
    m_tasks.erase(m_tasks.begin(), end);
    m_count = m_tasks.size();
    return due;
}

void TimerQueue::clear()
{
    std::multimap<Clock::time_point, std::shared_ptr<EngineTask>> dropped; // destroyed unlocked
    const std::lock_guard<std::mutex> lock(m_mutex);
    dropped.swap(m_tasks);
    m_count = 0;
}

} // namespace QtNamedPipes
