// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_MESSAGEFRAMING_H
#define QTNAMEDPIPES_MESSAGEFRAMING_H

#include "core/messagebatch.h"

#include <QtCore/qendian.h>

#include <array>
#include <vector>

namespace QtNamedPipes {

// The wire of stream sockets: a 32-bit big-endian length and the bytes, as QDataStream writes a
// QByteArray.

constexpr qsizetype FrameHeaderSize = 4;
/// QDataStream's null QByteArray: an empty message.
constexpr quint32 NullArrayLength = 0xFFFFFFFFu;
/// The longest message that a header can announce.
constexpr qint64 MaximumFrameSize = qint64(NullArrayLength) - 1;

inline void writeFrameHeader(char *to, qsizetype messageSize)
{
    qToBigEndian(quint32(messageSize), to);
}

/// Cuts a byte stream into messages. The caller reads into the regions and says how much came;
/// small messages stay where they were read, a large one is assembled in memory of its own that
/// grows with the bytes that have arrived and not with what its header announces.
///
/// Two large messages of one size make a guess at the next ones: they are read straight into the
/// places where they stay, several at a time. If the guess was wrong, what has come is copied.
class FrameDecoder
{
public:
    /// \a maximumMessageSize 0: no limit but the wire's. \a pool may be null.
    explicit FrameDecoder(qint64 maximumMessageSize, BatchPool *pool = nullptr);

    static constexpr size_t MaximumRegions = 10;
    struct Region
    {
        char *data = nullptr;
        qsizetype size = 0;
    };
    class Regions
    {
    public:
        const Region *begin() const { return m_regions.data(); }
        const Region *end() const { return begin() + m_count; }
        qsizetype bytes() const { return m_bytes; }

    private:
        friend class FrameDecoder;
        void add(char *data, qsizetype size);

        std::array<Region, MaximumRegions> m_regions; // not initialised
        size_t m_count = 0;
        qsizetype m_bytes = 0;
    };
    /// Where the next bytes belong, none of them empty: at first into the message in assembly, then
    /// into guessed ones and the batch's block. At most \a roughly bytes beyond the assembly are
    /// offered, but always some. To be answered with consume() or nothingCame().
    Regions regions(MessageBatch &batch, qint64 roughly);

    /// \a size bytes were read into the regions. False when a header announces more than is
    /// allowed; the messages before it are in the batch all the same.
    [[nodiscard]] bool consume(MessageBatch &batch, qsizetype size);
    void nothingCame() { dropGuesses(); }

    /// Lets go of what has arrived of the message in assembly.
    void reset();

    /// True when the stream must not end here.
    bool isInsideFrame() const { return m_inAssembly || !m_partial.isEmpty(); }
    /// What the last header announced, for the error text.
    quint32 announcedSize() const { return m_announced; }

private:
    /// A message that may come next.
    struct Guess
    {
        char header[FrameHeaderSize];
        QByteArray data;
    };
    static constexpr size_t MaximumGuesses = (MaximumRegions - 2) / 2;

    bool parse(MessageBatch &batch, qsizetype end);
    void beginAssembly(const char *payload, qsizetype arrived);
    void growAssembly();
    void endAssembly(MessageBatch &batch);
    void addGuesses(Regions &regions, qint64 roughly);
    qsizetype takeGuesses(MessageBatch &batch, qsizetype size);
    void joinGuesses(MessageBatch &batch, size_t from, qsizetype size);
    void dropGuesses();

    const qint64 m_maximum;
    BatchPool *const m_pool;
    quint32 m_announced = 0;
    QByteArray m_partial; ///< the beginning of a small frame, copied in front of the next read
    QByteArray m_assembly; ///< a large message; its size is the room that it has at the moment
    qsizetype m_arrived = 0; ///< bytes of it that are there
    qsizetype m_leastRoom = 0; ///< made for it at once
    bool m_inAssembly = false;
    quint32 m_lastLarge = 0; ///< the size of the last message that was assembled
    quint32 m_guessed = 0; ///< likewise, when the one before was of that size, too
    std::vector<Guess> m_guesses; ///< between regions() and its answer
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_MESSAGEFRAMING_H
