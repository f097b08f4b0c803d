// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_EVENTLOG_H
#define QTNAMEDPIPES_TESTS_EVENTLOG_H

#include <QtCore/qhash.h>
#include <QtCore/qlist.h>
#include <QtCore/qstringlist.h>

#include <mutex>
#include <vector>

/// What a recorder writes down, on whatever thread: the events of signals, their numbers, and what
/// was wrong with them. \a Event has a member kind. The functions lock, except those that say so.
template<typename Event>
class EventLog
{
public:
    using Kind = typename Event::Kind;

    mutable std::mutex mutex;

    /// With the mutex held.
    void append(Event event, bool keep)
    {
        ++m_counts[event.kind];
        if (keep)
            m_events.push_back(std::move(event));
    }

    /// With the mutex held.
    void violation(const QString &text)
    {
        if (m_violations.size() < 20)
            m_violations.append(text);
    }

    QList<Event> events() const
    {
        const std::lock_guard lock(mutex);
        return QList<Event>(m_events.begin(), m_events.end());
    }

    int count(Kind kind) const
    {
        const std::lock_guard lock(mutex);
        return m_counts.value(kind);
    }

    /// What \a value says about each event that \a wanted accepts, in the order of their arrival.
    template<typename Value, typename Wanted>
    auto collect(Value value, Wanted wanted) const
    {
        const std::lock_guard lock(mutex);
        QList<std::decay_t<decltype(value(std::declval<const Event &>()))>> result;
        for (const Event &event : m_events) {
            if (wanted(event))
                result.append(value(event));
        }
        return result;
    }

    QStringList violations() const
    {
        const std::lock_guard lock(mutex);
        return m_violations;
    }

    /// With the mutex held; gives the events away, whose last references should not go under it.
    std::vector<Event> clear()
    {
        m_counts.clear();
        return std::exchange(m_events, {});
    }

private:
    // A list of Qt's would be shared with who asks for it, and who shares it is not seen by
    // ThreadSanitizer.
    std::vector<Event> m_events;
    QHash<int, int> m_counts;
    QStringList m_violations;
};

#endif // QTNAMEDPIPES_TESTS_EVENTLOG_H
