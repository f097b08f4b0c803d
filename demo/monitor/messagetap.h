// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef MESSAGETAP_H
#define MESSAGETAP_H

#include <QtCore/qbytearray.h>
#include <QtCore/qlist.h>

#include <atomic>
#include <mutex>

/// Takes messages from the workers to the window, for free-threaded mode: some of them, for the
/// window shows no more, and the workers must never wait for it.
class MessageTap
{
public:
    struct Message
    {
        bool isIncoming = true;
        quint64 client = 0;
        QByteArray data;
    };

    /// Any thread. Returns at once; only counts when the window has enough to show already.
    void offer(bool isIncoming, quint64 client, const QByteArray &data)
    {
        if (m_waiting.fetch_add(1, std::memory_order_relaxed) >= MostWaiting) {
            m_passed.fetch_add(1, std::memory_order_relaxed);
            return;
        }
        const std::lock_guard<std::mutex> lock(m_mutex);
        m_messages.append({ isIncoming, client, data });
    }

    /// The window's thread: what there is, and how many have passed by.
    QList<Message> take(qint64 *passed)
    {
        QList<Message> messages;
        {
            const std::lock_guard<std::mutex> lock(m_mutex);
            messages.swap(m_messages);
        }
        *passed = m_passed.exchange(0, std::memory_order_relaxed);
        m_waiting.store(0, std::memory_order_relaxed);
        return messages;
    }

private:
    static constexpr int MostWaiting = 500; // each tenth of a second

    std::atomic<int> m_waiting { 0 };
    std::atomic<qint64> m_passed { 0 };
    std::mutex m_mutex; // guards m_messages
    QList<Message> m_messages;
};

#endif // MESSAGETAP_H
