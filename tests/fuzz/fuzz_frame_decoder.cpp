// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// FrameDecoder, with a stream that comes in any pieces, against the plainest decoder there is.

#include "core/messageframing.h"
#include "fuzzing.h"

#include <algorithm>
#include <cstring>

using namespace QtNamedPipes;
using Fuzzing::check;
using Fuzzing::Input;

namespace {

constexpr qsizetype LongestStream = 150'000;

/// What the decoder has to find: where messages lie, and where a header says too much.
struct Reference
{
    struct Message
    {
        qsizetype begin;
        qsizetype size;
    };
    std::vector<Message> messages;
    qsizetype forbiddenAt = -1; ///< the end of that header
    qint64 forbiddenSize = 0;

    Reference(const QByteArray &stream, qint64 maximum)
    {
        qsizetype at = 0;
        while (stream.size() - at >= 4) {
            qint64 size = 0;
            for (int i = 0; i < 4; ++i)
                size = size << 8 | quint8(stream[at++]);
            if (size == 0xFFFFFFFF)
                size = 0;
            if (maximum > 0 && size > maximum) {
                forbiddenAt = at;
                forbiddenSize = size;
                return;
            }
            if (size > stream.size() - at) {
                messages.push_back({ at, qsizetype(size) }); // cut off
                return;
            }
            messages.push_back({ at, qsizetype(size) });
            at += qsizetype(size);
        }
    }
};

void appendFrame(QByteArray &stream, quint32 announced, quint32 size)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        stream.append(char(announced >> shift));
    const qsizetype begin = stream.size();
    stream.resize(std::max(begin, std::min(begin + qsizetype(size), LongestStream)));
    char *const bytes = stream.data();
    for (auto at = quint32(begin); at < quint32(stream.size()); ++at)
        bytes[at] = char(at * 151 + (at >> 8)); // a byte in the wrong place shows
}

QByteArray makeStream(Input &input)
{
    QByteArray stream;
    for (quint32 count = input.byte() % 64; count > 0; --count) {
        const quint32 kind = input.byte();
        switch (kind % 8) {
        case 0: // as the wire has it, whatever that is
            for (quint32 i = 0; i < kind / 8; ++i)
                stream.append(char(input.byte()));
            break;
        case 1:
            appendFrame(stream, NullArrayLength, 0);
            break;
        case 2: // says what does not come
            appendFrame(stream, input.twoBytes() << 16 | input.twoBytes(), input.byte());
            break;
        case 3:
        case 4: {
            const quint32 size = input.twoBytes();
            appendFrame(stream, size, size);
            break;
        }
        default: {
            const quint32 size = kind / 8;
            if (kind % 64 == 63) { // large ones of one size are guessed when they come again
                for (quint32 i = 0; i <= kind / 64; ++i)
                    appendFrame(stream, 32'768, 32'768);
            }
            appendFrame(stream, size, size);
        }
        }
        if (stream.size() >= LongestStream)
            break;
    }
    return stream;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input(data, size);
    const qint64 maximum =
            input.oneOf<qint64>({ 0, 1, 20, 4096, 30'000, 65'534, MaximumFrameSize });
    const qsizetype blockSize = input.oneOf<qsizetype>({ 4100, 8192, 65'536 });
    const bool hasPool = input.flag();
    const QByteArray stream = makeStream(input);
    const Reference reference(stream, maximum);

    BatchPool pool(blockSize);
    FrameDecoder decoder(maximum, hasPool ? &pool : nullptr);
    check(!decoder.isInsideFrame(), "a decoder begins between frames");
    size_t found = 0;
    int large = 0; ///< how many of those were
    qsizetype largest = 0;
    for (qsizetype at = 0; at < stream.size();) {
        MessageBatch batch = pool.take();
        const qint64 roughly = 1 + qint64(input.byte()) * input.byte() * 4;
        const auto regions = decoder.regions(batch, roughly);
        const char *const block = batch.block.constData();
        qsizetype roomInBlock = 0;
        qsizetype roomAhead = 0;
        for (const auto &region : regions) {
            if (region.data >= block && region.data + region.size <= block + batch.block.size())
                roomInBlock += region.size;
            else
                roomAhead += region.size;
        }
        check(roomInBlock + roomAhead > 0, "there is always room");
        check(roomInBlock <= std::max<qint64>(roughly, 4096), "no more is read than is welcome");
        // The message that has begun: memory for it follows what has arrived. Who has sent two large
        // ones gets room for another at once, and for further ones as far as they are welcome.
        const qsizetype arrived =
                found < reference.messages.size() ? at - reference.messages[found].begin : 0;
        qsizetype most = 2 * std::max(arrived, blockSize) + 64;
        if (large >= 2)
            most += largest + qsizetype(roughly);
        check(hasPool || roomAhead <= most, "memory grows with what has arrived");

        qsizetype taken = 0;
        // Byte by byte only for as long as the input says so: the rest would take most of the time.
        const qsizetype piece = std::min(input.atEnd() ? 1000 : qsizetype(1 + input.twoBytes()),
                                         stream.size() - at);
        for (const auto &region : regions) {
            const qsizetype part = std::min(region.size, piece - taken);
            if (part > 0)
                std::memcpy(region.data, stream.constData() + at + taken, size_t(part));
            taken += part;
        }
        const bool isAllowed = decoder.consume(batch, taken);
        at += taken;

        const auto compare = [&](const char *bytes, qsizetype count) {
            check(found < reference.messages.size(), "no message comes out of nowhere");
            const auto &message = reference.messages[found++];
            check(message.begin + message.size <= at, "no message comes before it is there");
            check(message.size == count, "messages keep their size");
            large += count >= 32 * 1024 ? 1 : 0;
            largest = std::max(largest, count);
            check(count == 0
                          || std::memcmp(bytes, stream.constData() + message.begin, size_t(count))
                                  == 0,
                  "messages keep their bytes");
        };
        for (QByteArray &whole : batch.wholes) {
            compare(whole.constData(), whole.size());
            pool.giveArray(std::move(whole));
        }
        for (const MessageSpan &span : batch.spans) {
            check(qsizetype(span.offset) + qsizetype(span.size) <= batch.block.size(),
                  "messages lie in the block");
            compare(batch.block.constData() + span.offset, span.size);
        }
        pool.give(std::move(batch));

        const bool isForbidden = reference.forbiddenAt >= 0 && at >= reference.forbiddenAt;
        check(isAllowed != isForbidden, "the maximum is kept, and nothing but it");
        if (isForbidden) {
            check(found == reference.messages.size(),
                  "what comes before a message too large is there");
            check(decoder.announcedSize() == quint32(reference.forbiddenSize),
                  "it is told how large it is");
            break;
        }
        check(found == reference.messages.size()
                      || reference.messages[found].begin + reference.messages[found].size > at,
              "messages come when they are there");
        const qsizetype end = found == 0
                ? 0
                : reference.messages[found - 1].begin + reference.messages[found - 1].size;
        check(decoder.isInsideFrame() == (at > end), "an end inside a frame is known");
    }
    decoder.reset();
    check(!decoder.isInsideFrame(), "nothing is left after reset()");
    return 0;
}
