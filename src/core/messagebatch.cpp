// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "core/messagebatch.h"

#include "core/spares.h"

#include <cstddef>
#include <utility>

namespace QtNamedPipes {

// What lies idle: some blocks of the usual size, one or two of the largest.
static constexpr size_t MaximumFreeBatches = 32;
static constexpr qsizetype MaximumFreeBytes = 4 * 1024 * 1024;
// Below this an array is taken from the heap as quickly.
static constexpr qsizetype SmallestArray = 8 * 1024;
// An array is not used for a message that fills less than so much of it.
static constexpr qsizetype LargestWaste = 4;

qint64 MessageBatch::bytes() const
{
    qint64 sum = 0;
    for (const QByteArray &whole : wholes)
        sum += whole.size();
    for (const MessageSpan &span : spans)
        sum += span.size;
    return sum;
}

void MessageBatch::clear()
{
    wholes.clear();
    wholes.squeeze(); // Qt 6.4 leaks the memory of a list that another one is moved into
    spans.clear();
}

BatchPool::BatchPool(qsizetype blockSize) : m_blockSize(blockSize) { }

MessageBatch BatchPool::take()
{
    {
        const std::lock_guard<QMutex> lock(m_mutex);
        if (!m_free.empty()) {
            MessageBatch batch = std::move(m_free.back());
            m_free.pop_back();
            return batch;
        }
    }
    MessageBatch batch;
    batch.block = QByteArray(m_blockSize, Qt::Uninitialized);
    return batch;
}

void BatchPool::give(MessageBatch &&batch)
{
    if (batch.block.size() != m_blockSize || !isSoleOwner(batch.block))
        return;
    batch.clear();
    const std::lock_guard<QMutex> lock(m_mutex);
    const size_t maximum =
            qBound<size_t>(2, size_t(MaximumFreeBytes / m_blockSize), MaximumFreeBatches);
    if (m_free.size() < maximum)
        m_free.push_back(std::move(batch));
}

QByteArray BatchPool::takeArray(qsizetype size)
{
    if (size < SmallestArray)
        return {};
    const std::lock_guard<QMutex> lock(m_mutex);
    for (size_t i = m_arrays.size(); i-- > 0;) { // the last one is the warmest
        const qsizetype capacity = m_arrays[i].capacity();
        if (capacity < size || capacity / LargestWaste > size)
            continue;
        QByteArray array = std::move(m_arrays[i]);
        m_arrays.erase(m_arrays.begin() + std::ptrdiff_t(i));
        m_arrayBytes -= capacity;
        return array;
    }
    return {};
}

void BatchPool::giveArray(QByteArray &&data)
{
    const qsizetype capacity = data.capacity();
    QByteArray array = std::move(data); // freed unlocked
    if (capacity < SmallestArray || capacity > MaximumFreeBytes || !isSoleOwner(array))
        return;
    array.resize(0);
    const std::lock_guard<QMutex> lock(m_mutex);
    if (m_arrayBytes + capacity > MaximumFreeBytes || m_arrays.size() >= MaximumFreeBatches)
        return;
    m_arrays.push_back(std::move(array));
    m_arrayBytes += capacity;
}

} // namespace QtNamedPipes
