// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "core/messagebatch.h"

namespace QtNamedPipes {

// What lies idle: some blocks of the usual size, one or two of the largest.
static constexpr size_t MaximumFreeBatches = 32;
static constexpr qsizetype MaximumFreeBytes = 4 * 1024 * 1024;

qint64 MessageBatch::bytes() const
{
    qint64 sum = whole.size();
    for (const MessageSpan &span : spans)
        sum += span.size;
    return sum;
}

void MessageBatch::clear()
{
    whole = QByteArray();
    hasWhole = false;
    spans.clear();
}

BatchPool::BatchPool(qsizetype blockSize) : m_blockSize(blockSize) { }

MessageBatch BatchPool::take()
{
    {
        const std::lock_guard<std::mutex> lock(m_mutex);
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
    if (batch.block.size() != m_blockSize || !batch.block.isDetached())
        return;
    batch.clear();
    const std::lock_guard<std::mutex> lock(m_mutex);
    const size_t maximum =
            qBound<size_t>(2, size_t(MaximumFreeBytes / m_blockSize), MaximumFreeBatches);
    if (m_free.size() < maximum)
        m_free.push_back(std::move(batch));
}

} // namespace QtNamedPipes
