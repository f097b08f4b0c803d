// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_SPARES_H
#define QTNAMEDPIPES_SPARES_H

#include <QtCore/qbytearray.h>
#include <QtCore/qmutex.h>

#include <atomic>
#include <mutex>
#include <vector>

namespace QtNamedPipes {

/// True when nobody else has the bytes any more. QByteArray::isDetached() asks the same, but
/// without the acquire that lets them be written over after another thread has been the last to
/// read them.
inline bool isSoleOwner(QByteArray &data)
{
    const auto *const header = data.data_ptr().d_ptr();
    return header && header->ref_.loadAcquire() == 1;
}

/// Gives \a array \a size bytes, and no memory beyond: resize() alone takes the next power of two, which
/// may be twice as much.
inline void resizeExactly(QByteArray &array, qsizetype size)
{
    array.reserve(size);
    array.resize(size);
}

/// Lists that go round with the memory they have, so that a steady flow allocates nothing: the lock
/// is taken once for many messages. Thread-safe.
template<typename T>
class Spares
{
public:
    /// A list that was given back, or an empty one.
    T take()
    {
        T list;
        if (m_count.load(std::memory_order_relaxed) == 0)
            return list;
        const std::lock_guard<QMutex> lock(m_mutex);
        if (!m_lists.empty()) {
            list.swap(m_lists.back());
            m_lists.pop_back();
            m_count.store(m_lists.size(), std::memory_order_relaxed);
        }
        return list;
    }

    /// Gives \a list back; it is empty afterwards.
    void give(T &list)
    {
        T given;
        given.swap(list);
        if (given.capacity() == 0 || size_t(given.capacity()) > MostInList)
            return;
        const std::lock_guard<QMutex> lock(m_mutex);
        if (m_lists.size() < MostLists)
            m_lists.push_back(std::move(given));
        m_count.store(m_lists.size(), std::memory_order_relaxed);
    }

private:
    static constexpr size_t MostLists = 64;
    static constexpr size_t MostInList = 512;

    std::atomic<size_t> m_count { 0 }; ///< of the lists, for a look without the lock
    QMutex m_mutex;
    std::vector<T> m_lists;
};

/// Small messages that were sent, for small ones that come: a server that answers with what it gets
/// would otherwise allocate and free once for each.
struct SpareArrays
{
    using List = std::vector<QByteArray>;
    static constexpr size_t MostInList = 64;

    /// Puts \a data into \a list when that is worth it.
    static void add(List &list, QByteArray &&data)
    {
        if (list.size() < MostInList && data.capacity() <= LargestArray && isSoleOwner(data))
            list.push_back(std::move(data));
    }

    /// Makes \a data an array of \a size bytes that nobody else has, of any content: the same one,
    /// one of \a list, or a new one.
    static void renew(QByteArray *data, qsizetype size, List &list)
    {
        const auto fits = [size](QByteArray &array, qsizetype waste) {
            return isSoleOwner(array) && array.capacity() >= size
                    && array.capacity() <= 2 * size + waste;
        };
        if (!fits(*data, 512)) {
            // Less waste here: a slot that keeps all it gets would keep that, too.
            if (!list.empty() && fits(list.back(), 64)) {
                *data = std::move(list.back());
                list.pop_back();
            } else {
                *data = QByteArray(size, Qt::Uninitialized);
            }
        }
        if (data->size() != size)
            data->resize(size);
    }

    static constexpr qsizetype LargestArray = 2048;
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_SPARES_H
