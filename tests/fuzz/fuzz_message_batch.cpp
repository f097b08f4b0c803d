// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// NamedPipeMessageBatch: views, copies and copies of copies have the same messages.

#include "core/messagebatch.h"
#include "fuzzing.h"

#include <algorithm>
#include <optional>
#include <utility>

using namespace QtNamedPipes;
using Fuzzing::check;
using Fuzzing::Input;

namespace {

/// A batch, and what has to be in it.
struct Sample
{
    NamedPipeMessageBatch batch;
    QList<QByteArray> messages;

    void verify() const
    {
        check(batch.size() == messages.size() && batch.isEmpty() == messages.isEmpty(),
              "as many messages");
        check(std::equal(batch.begin(), batch.end(), messages.begin(), messages.end(),
                         [](QByteArrayView a, const QByteArray &b) { return a == b; }),
              "the same messages");
        for (qsizetype i = 0; i < batch.size(); ++i)
            check(batch[i] == messages[i] && batch.at(i) == batch[i], "at the same places");
    }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input(data, size);
    BatchPool pool(1024);
    Sample kept[4];
    while (!input.atEnd()) {
        // A batch as it comes out of a stream: messages in order, with headers between them.
        MessageBatch read = pool.take();
        QList<QByteArray> messages;
        qsizetype at = input.byte();
        qint64 bytes = 0;
        for (quint32 count = input.byte() % 16; count > 0; --count) {
            const qsizetype length = input.byte();
            at += 4;
            if (at + length > read.block.size())
                break;
            std::fill_n(read.block.data() + at, length, char('a' + (at + length) % 26));
            read.spans.push_back({ quint32(at), quint32(length) });
            messages.append(read.block.mid(at, length));
            bytes += length;
            at += length;
        }
        check(read.count() == messages.size() && read.bytes() == bytes
                      && read.isEmpty() == messages.isEmpty(),
              "a batch knows what is in it");
        {
            const Sample view { NamedPipeMessageBatch(read.block.constData(), read.spans.data(),
                                                      messages.size()),
                                messages };
            view.verify();
            kept[input.byte() % 4] = view;
        }
        // What was a view is gone now; the copies are not.
        read.block.fill('#');
        pool.give(std::move(read));
        const Sample copy = kept[input.byte() % 4];
        kept[input.byte() % 4] = copy;
        for (const Sample &sample : kept)
            sample.verify();

        const MessageBatch used = pool.take();
        check(used.isEmpty() && used.block.size() == pool.blockSize(), "a used batch is empty");

        const qsizetype wanted = qsizetype(input.twoBytes()) * 16;
        QByteArray array = pool.takeArray(wanted);
        check(array.isNull() || (array.isEmpty() && array.capacity() >= wanted),
              "an array of the pool has the room that was asked for");
        array.fill('x', wanted);
        const auto shared = input.flag() ? std::optional<QByteArray>(array) : std::nullopt;
        pool.giveArray(std::move(array));
        if (shared) {
            pool.takeArray(wanted).fill('y', wanted);
            check(shared->count('x') == wanted, "what somebody has is not given away");
        }
    }
    return 0;
}
