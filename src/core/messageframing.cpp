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
// After a message as large as this the next may be one, too: little is read into the block then, for
// what is there has to be copied.
static constexpr quint32 LargeFrame = 32 * 1024;
static constexpr qsizetype ReadAfterLarge = 4096;
// Room for so much of a message is made at once, whatever its header announces.
static constexpr qsizetype MostRoomAhead = 256 * 1024;

FrameDecoder::FrameDecoder(qint64 maximumMessageSize, BatchPool *pool)
    : m_maximum(maximumMessageSize > 0 ? qMin(maximumMessageSize, MaximumFrameSize)
                                       : MaximumFrameSize),
      m_pool(pool)
{
}

std::array<FrameDecoder::Region, 2> FrameDecoder::regions(MessageBatch &batch, qint64 roughly)
{
    Q_ASSERT(batch.block.size() >= SmallFrame + FrameHeaderSize);
    const qsizetype blockRoom = batch.block.size() - m_partial.size();
    const qint64 welcome =
            m_announced >= LargeFrame ? qMin<qint64>(roughly, ReadAfterLarge) : roughly;
    const qsizetype room =
            qsizetype(qBound<qint64>(qMin(SmallestRead, blockRoom), welcome, blockRoom));
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
    quint32 announced = m_announced; // the loop's own: for every small message of a flood
    while (end - at >= FrameHeaderSize) {
        announced = qFromBigEndian<quint32>(bytes + at);
        if (announced == NullArrayLength)
            announced = 0;
        if (announced > m_maximum) {
            m_announced = announced;
            return false;
        }
        const qsizetype begin = at + FrameHeaderSize;
        if (end - begin < qint64(announced))
            break;
        batch.spans.push_back({ quint32(begin), announced });
        at = begin + qsizetype(announced);
    }
    m_announced = announced;
    const qsizetype rest = end - at;
    if (rest >= FrameHeaderSize && m_announced > SmallFrame) {
        m_partial = QByteArray();
        m_leastRoom = qMin(batch.block.size(), MostRoomAhead);
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
    if (m_pool)
        m_assembly = m_pool->takeArray(qsizetype(m_announced));
    m_assembly.append(payload, arrived);
    growAssembly();
}

void FrameDecoder::growAssembly()
{
    if (m_arrived < m_assembly.size())
        return;
    const qint64 room = qMin<qint64>(m_announced,
                                     qMax<qint64>(qMax<qint64>(2 * m_arrived, m_leastRoom),
                                                  m_assembly.capacity()));
    m_assembly.resize(qsizetype(room));
}

} // namespace QtNamedPipes
