// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_MESSAGEASSEMBLER_H
#define QTNAMEDPIPES_MESSAGEASSEMBLER_H

#include "core/messagebatch.h"

namespace QtNamedPipes {

/// Puts the fragments of one message together where the system keeps the boundaries but a buffer
/// was smaller than the message. Grows with what has arrived, never ahead of it.
class MessageAssembler
{
public:
    explicit MessageAssembler(qint64 maximumMessageSize) : m_maximum(maximumMessageSize) { }

    bool isInMessage() const { return m_inMessage; }
    qint64 arrived() const { return m_message.size(); }

    /// A fragment that does not end its message; false when the message is now known to be larger
    /// than allowed (\a remaining: what the system says is still to come, 0 when it does not say).
    [[nodiscard]] bool addFragment(const char *data, qsizetype size, qint64 remaining);
    /// The fragment that ends the message: into \a batch as its whole message. False when too
    /// large.
    [[nodiscard]] bool finish(const char *data, qsizetype size, MessageBatch &batch);

private:
    const qint64 m_maximum; // 0: no limit
    QByteArray m_message;
    bool m_inMessage = false;
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_MESSAGEASSEMBLER_H
