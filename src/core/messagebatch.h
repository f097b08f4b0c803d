// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_MESSAGEBATCH_H
#define QTNAMEDPIPES_MESSAGEBATCH_H

#include <QtNamedPipes/namedpipemessagebatch.h>

#include <QtCore/qbytearray.h>
#include <QtCore/qmutex.h>
#include <QtCore/qvarlengtharray.h>

#include <mutex>
#include <vector>

namespace QtNamedPipes {

/// Whole messages of one read, in order: first the wholes, then the spans, each of which becomes a
/// QByteArray of its own only where it is delivered.
struct MessageBatch
{
    /// Large ones, handed over without a copy, or the only one; most often one, and then no memory
    /// is allocated for the list.
    QVarLengthArray<QByteArray, 1> wholes;
    QByteArray block; ///< the storage that the spans point into
    std::vector<MessageSpan> spans;

    qint64 count() const { return qint64(spans.size()) + qint64(wholes.size()); }
    bool isEmpty() const { return spans.empty() && wholes.empty(); }
    qint64 bytes() const;

    /// Forgets the messages and keeps the block for the next read.
    void clear();
};

/// Blocks of one size that go round between the workers that fill them and the thread that
/// delivers them, so that a steady flow touches no fresh memory; and the arrays of large messages
/// that no slot has kept, for the next ones. Thread-safe.
class BatchPool
{
public:
    explicit BatchPool(qsizetype blockSize);

    qsizetype blockSize() const { return m_blockSize; }
    /// An empty batch with a block of blockSize() bytes that nobody shares.
    MessageBatch take();
    /// Gives a batch back; one whose block is shared or of another size is freed.
    void give(MessageBatch &&batch);

    /// An array with room for \a size bytes, and empty; null when there is none.
    QByteArray takeArray(qsizetype size);
    /// Keeps the memory of \a data, unless somebody else has it or it is not worth it.
    void giveArray(QByteArray &&data);

private:
    const qsizetype m_blockSize;
    QMutex m_mutex; // guards the rest
    std::vector<MessageBatch> m_free;
    std::vector<QByteArray> m_arrays;
    qsizetype m_arrayBytes = 0; ///< their capacity
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_MESSAGEBATCH_H
