// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "core/messageframing.h"

#include <cstring>
#include <utility>

namespace QtNamedPipes {

// Below this a cut-off frame is cheaper to copy in front of the next read than to assemble.
static constexpr qsizetype SmallFrame = 4096;
// The least that is read at once, however small the buffer or the room below a limit.
static constexpr qsizetype SmallestRead = 4096;

FrameDecoder::FrameDecoder(qint64 maximumMessageSize)
    : m_maximum(maximumMessageSize > 0 ? qMin(maximumMessageSize, MaximumFrameSize)
                                       : MaximumFrameSize)
{
}

std::array<FrameDecoder::Region, 2> FrameDecoder::regions(MessageBatch &batch, qint64 roughly)
{
    Q_ASSERT(batch.block.size() >= SmallFrame + FrameHeaderSize);
    const qsizetype blockRoom = batch.block.size() - m_partial.size();
    const qsizetype room =
            qsizetype(qBound<qint64>(qMin(SmallestRead, blockRoom), roughly, blockRoom));
    Region block { batch.block.data() + m_partial.size(), room };
    if (!m_inAssembly) {
        if (!m_partial.isEmpty())
            std::memcpy(batch.block.data(), m_partial.constData(), size_t(m_partial.size()));
        return { block, {} };
    }
    Region assembly { m_assembly.data() + m_arrived, m_assembly.size() - m_arrived };
    // Bytes may go past the assembly only when the whole rest of the message fits into it.
    if (m_assembly.size() < qsizetype(m_announced))
        block = {};
    return { assembly, block };
}

bool FrameDecoder::consume(MessageBatch &batch, qsizetype size)
{
    if (!m_inAssembly) {
        const qsizetype end = m_partial.size() + size;
        return parse(batch, end);
    }
    const qsizetype taken = qMin(size, m_assembly.size() - m_arrived);
    m_arrived += taken;
    if (m_arrived < qsizetype(m_announced)) {
        growAssembly();
        return true;
    }
    batch.whole = std::exchange(m_assembly, QByteArray());
    batch.hasWhole = true;
    m_inAssembly = false;
    return parse(batch, size - taken);
}

bool FrameDecoder::parse(MessageBatch &batch, qsizetype end)
{
    const char *const bytes = batch.block.constData();
    qsizetype at = 0;
    while (end - at >= FrameHeaderSize) {
        const quint32 length = qFromBigEndian<quint32>(bytes + at);
        m_announced = length == NullArrayLength ? 0 : length;
        if (m_announced > m_maximum)
            return false;
        if (qint64(end) - at - FrameHeaderSize < qint64(m_announced))
            break;
        batch.spans.push_back({ quint32(at + FrameHeaderSize), m_announced });
        at += FrameHeaderSize + qsizetype(m_announced);
    }
    const qsizetype rest = end - at;
    if (rest >= FrameHeaderSize && m_announced > SmallFrame) {
        m_partial = QByteArray();
        beginAssembly(bytes + at + FrameHeaderSize, rest - FrameHeaderSize);
    } else if (rest > 0) {
        m_partial = QByteArray(bytes + at, rest);
    } else if (!m_partial.isEmpty()) {
        m_partial = QByteArray(); // an idle connection holds no memory
    }
    return true;
}

void FrameDecoder::reset()
{
    m_partial = QByteArray();
    m_assembly = QByteArray();
    m_inAssembly = false;
}

void FrameDecoder::beginAssembly(const char *payload, qsizetype arrived)
{
    m_inAssembly = true;
    m_arrived = arrived;
    m_assembly = QByteArray(payload, arrived);
    growAssembly();
}

void FrameDecoder::growAssembly()
{
    if (m_arrived < m_assembly.size())
        return;
    const qint64 room =
            qMin<qint64>(m_announced, qMax<qint64>(2 * qint64(m_arrived), 2 * SmallFrame));
    m_assembly.resize(qsizetype(room));
}

} // namespace QtNamedPipes
