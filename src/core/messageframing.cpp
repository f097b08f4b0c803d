// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "core/messageframing.h"

#include "core/spares.h"

#include <QtCore/qscopeguard.h>

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
// Messages are guessed until there is room for so much: about what a socket holds.
static constexpr qsizetype ReadAhead = 128 * 1024;

FrameDecoder::FrameDecoder(qint64 maximumMessageSize, BatchPool *pool)
    : m_maximum(maximumMessageSize > 0 ? qMin(maximumMessageSize, MaximumFrameSize)
                                       : MaximumFrameSize),
      m_pool(pool)
{
}

void FrameDecoder::Regions::add(char *data, qsizetype size)
{
    Q_ASSERT(size > 0);
    m_regions[m_count++] = { data, size };
    m_bytes += size;
}

FrameDecoder::Regions FrameDecoder::regions(MessageBatch &batch, qint64 roughly)
{
    Q_ASSERT(batch.block.size() >= SmallFrame + FrameHeaderSize);
    Regions regions;
    if (m_inAssembly) {
        regions.add(m_assembly.data() + m_arrived, m_assembly.size() - m_arrived);
        // Bytes may go past the assembly only when the whole rest of the message fits into it.
        if (m_assembly.size() < qsizetype(m_announced))
            return regions;
    } else if (!m_partial.isEmpty()) {
        std::memcpy(batch.block.data(), m_partial.constData(), size_t(m_partial.size()));
    }
    if (m_announced >= LargeFrame) {
        if (m_announced == m_guessed && m_partial.isEmpty())
            addGuesses(regions, roughly);
        if (!m_guesses.empty() && m_guesses.back().data.size() < qsizetype(m_announced))
            return regions;
        roughly = qMin<qint64>(roughly, ReadAfterLarge);
    }
    const qsizetype blockRoom = batch.block.size() - m_partial.size();
    regions.add(batch.block.data() + m_partial.size(),
                qsizetype(qBound<qint64>(qMin(SmallestRead, blockRoom), roughly, blockRoom)));
    return regions;
}

bool FrameDecoder::consume(MessageBatch &batch, qsizetype size)
{
    const auto drop = qScopeGuard([this] { dropGuesses(); });
    if (m_inAssembly) {
        const qsizetype taken = qMin(size, m_assembly.size() - m_arrived);
        m_arrived += taken;
        size -= taken;
        if (m_arrived < qsizetype(m_announced)) {
            growAssembly();
            return true;
        }
        endAssembly(batch);
    } else {
        size += m_partial.size();
    }
    return parse(batch, takeGuesses(batch, size));
}

bool FrameDecoder::parse(MessageBatch &batch, qsizetype end)
{
    const char *const bytes = batch.block.constData();
    qsizetype at = 0;
    quint32 announced = m_announced;
    while (end - at >= FrameHeaderSize) {
        const quint32 header = qFromUnaligned<quint32>(bytes + at);
        announced = qFromBigEndian(header);
        if (announced == NullArrayLength)
            announced = 0;
        if (announced > m_maximum) {
            m_announced = announced;
            return false;
        }
        const qint64 frame = FrameHeaderSize + qint64(announced);
        if (end - at < frame)
            break;
        // A flood is messages of one size, and where the next header lies is known then without the
        // one before it: the processor looks at several at a time.
        do { // written in place: a span made beside the list, and then copied, takes five times as long
            batch.spans.emplace_back(quint32(at + FrameHeaderSize), announced);
            at += qsizetype(frame);
        } while (end - at >= frame && qFromUnaligned<quint32>(bytes + at) == header);
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

// --- Large messages ---

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
    resizeExactly(m_assembly, qsizetype(room));
}

void FrameDecoder::endAssembly(MessageBatch &batch)
{
    batch.wholes.push_back(std::exchange(m_assembly, QByteArray()));
    m_inAssembly = false;
    m_guessed = m_announced == m_lastLarge ? m_announced : 0;
    m_lastLarge = m_announced;
}

void FrameDecoder::addGuesses(Regions &regions, qint64 roughly)
{
    const qsizetype size = m_announced;
    const qint64 frame = FrameHeaderSize + qint64(size);
    for (qint64 ahead = 0;
         ahead < ReadAhead && ahead + frame <= roughly && m_guesses.size() < MaximumGuesses;
         ahead += frame) {
        m_guesses.emplace_back();
        if (m_pool)
            m_guesses.back().data = m_pool->takeArray(size);
        resizeExactly(m_guesses.back().data,
                      qMin(size, qMax(m_guesses.back().data.capacity(), MostRoomAhead)));
    }
    for (Guess &guess : m_guesses) { // now that they stay where they are
        regions.add(guess.header, FrameHeaderSize);
        regions.add(guess.data.data(), guess.data.size());
    }
}

/// Of \a size bytes behind the assembly those that are guessed messages. Returns how many are left
/// in the block.
qsizetype FrameDecoder::takeGuesses(MessageBatch &batch, qsizetype size)
{
    for (size_t i = 0; i < m_guesses.size() && size > 0; ++i) {
        Guess &guess = m_guesses[i];
        size -= FrameHeaderSize;
        if (size < 0 || qFromBigEndian<quint32>(guess.header) != m_announced) {
            m_guessed = 0;
            joinGuesses(batch, i, size + FrameHeaderSize);
            return size + FrameHeaderSize;
        }
        m_inAssembly = true;
        m_assembly = std::move(guess.data);
        m_arrived = qMin(size, m_assembly.size());
        size -= m_arrived;
        if (m_arrived == qsizetype(m_announced))
            endAssembly(batch);
        else
            growAssembly();
    }
    return size;
}

/// A guess was wrong: puts \a size bytes, from guess \a from on, together in the block.
void FrameDecoder::joinGuesses(MessageBatch &batch, size_t from, qsizetype size)
{
    QByteArray joined;
    joined.reserve(size);
    for (size_t i = from; i < m_guesses.size(); ++i) {
        const Guess &guess = m_guesses[i];
        joined.append(guess.header, qMin(FrameHeaderSize, size - joined.size()));
        joined.append(guess.data.constData(), qMin(guess.data.size(), size - joined.size()));
    }
    joined.append(batch.block.constData(), size - joined.size());
    if (size > batch.block.size())
        batch.block = std::move(joined);
    else
        std::memcpy(batch.block.data(), joined.constData(), size_t(size));
}

void FrameDecoder::dropGuesses()
{
    for (Guess &guess : m_guesses) {
        if (m_pool)
            m_pool->giveArray(std::move(guess.data));
    }
    m_guesses.clear();
}

} // namespace QtNamedPipes
