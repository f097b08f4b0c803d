// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_BENCHMARK_PROTOCOL_H
#define QTNAMEDPIPES_BENCHMARK_PROTOCOL_H

// What the load generator and every server say to each other, whatever carries it. No Qt: some
// peers have none. Byte order and layout are the machine's own, for both sides run on it.

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace bench {

enum class Kind : std::uint32_t {
    Data, ///< is checked and counted
    Echo, ///< is checked, counted and sent back as it is
    Report, ///< is answered with the server's figures: a Header and a line of JSON
    Broadcast, ///< the payload is a BroadcastOrder
};

/// The beginning of each message. A message's size is a multiple of 8, and at least this.
struct Header
{
    Kind kind;
    std::uint32_t sequence; ///< 0, 1, 2, ... in each direction of each connection
    std::uint64_t sum; ///< checksum() of the rest
};
static_assert(sizeof(Header) == 16);

/// Asks for \c count messages of \c size bytes to every client that is connected, the one that asks
/// included. They are of Kind::Data with the sequence numbers \c first, \c first + 1, ...
struct BroadcastOrder
{
    std::uint32_t first;
    std::uint32_t count;
    std::uint64_t size;
};

/// Of the content: each word counts, and where it stands. Four lanes, so that large messages are
/// checked at the speed of the memory.
inline std::uint64_t contentHash(const char *data, std::size_t size)
{
    constexpr std::uint64_t prime = 0x9e3779b185ebca87u;
    const auto mix = [](std::uint64_t hash, std::uint64_t word) {
        hash = (hash ^ word) * prime;
        return hash << 31 | hash >> 33;
    };
    const auto wordAt = [data](std::size_t at) {
        std::uint64_t word;
        std::memcpy(&word, data + at, 8);
        return word;
    };
    std::uint64_t lanes[4] = { 1, 2, 3, 4 };
    std::size_t at = 0;
    for (; at + 32 <= size; at += 32) {
        for (std::size_t lane = 0; lane < 4; ++lane)
            lanes[lane] = mix(lanes[lane], wordAt(at + 8 * lane));
    }
    std::uint64_t hash = mix(mix(mix(lanes[0], lanes[1]), lanes[2]), lanes[3]);
    for (; at + 8 <= size; at += 8)
        hash = mix(hash, wordAt(at));
    return hash;
}

/// What the sequence number adds, so that a sender can number a message anew without reading it.
constexpr std::uint64_t sequencePart(std::uint32_t sequence)
{
    return sequence * std::uint64_t(0xc2b2ae3d27d4eb4fu);
}

inline std::uint64_t checksum(const char *data, std::size_t size, std::uint32_t sequence)
{
    return contentHash(data, size) + sequencePart(sequence);
}

inline Header headerOf(const char *message)
{
    Header header;
    std::memcpy(&header, message, sizeof header);
    return header;
}

/// True when \a message is whole: what was sent with number \a sequence.
inline bool isIntact(const char *message, std::size_t size, std::uint32_t sequence)
{
    if (size < sizeof(Header) || size % 8 != 0)
        return false;
    const Header header = headerOf(message);
    return header.sequence == sequence
            && header.sum == checksum(message + sizeof header, size - sizeof header, sequence);
}

/// Writes message after message.
class MessageMaker
{
public:
    MessageMaker(Kind kind, std::size_t size, std::uint32_t first = 0)
        : m_kind(kind),
          m_size(size),
          m_next(first)
    {
    }

    /// Makes the message that asks for a broadcast.
    MessageMaker(const BroadcastOrder &order, std::uint32_t sequence)
        : m_kind(Kind::Broadcast),
          m_size(sizeof(Header) + sizeof order),
          m_next(sequence),
          m_order(order)
    {
    }

    std::size_t size() const { return m_size; }
    std::uint32_t next() const { return m_next; }

    /// Writes the next message to \a to, which has room for size() bytes. The content is different
    /// from the one before.
    void write(char *to)
    {
        if (m_kind == Kind::Broadcast) {
            std::memcpy(to + sizeof(Header), &m_order, sizeof m_order);
        } else {
            for (std::size_t at = sizeof(Header); at + 8 <= m_size; at += 8) {
                const std::uint64_t word = (m_next + at) * 0x2545f4914f6cdd1du;
                std::memcpy(to + at, &word, 8);
            }
        }
        const Header header { m_kind, m_next,
                              checksum(to + sizeof header, m_size - sizeof header, m_next) };
        std::memcpy(to, &header, sizeof header);
        ++m_next;
    }

    /// Makes the next message of one that write() has written to \a to, for the cost of its header:
    /// the content stays the same.
    void renew(char *to)
    {
        if (m_kind == Kind::Broadcast)
            return write(to); // orders differ
        Header header = headerOf(to);
        header.kind = m_kind;
        header.sum += sequencePart(m_next) - sequencePart(header.sequence);
        header.sequence = m_next;
        std::memcpy(to, &header, sizeof header);
        ++m_next;
    }

private:
    Kind m_kind;
    std::size_t m_size;
    std::uint32_t m_next;
    BroadcastOrder m_order {}; ///< of Kind::Broadcast
};

} // namespace bench

#endif // QTNAMEDPIPES_BENCHMARK_PROTOCOL_H
