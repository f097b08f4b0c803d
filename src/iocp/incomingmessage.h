// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_INCOMINGMESSAGE_H
#define QTNAMEDPIPES_INCOMINGMESSAGE_H

#include "core/spares.h"

#include <QtCore/qbytearray.h>

#include <cstring>
#include <utility>

namespace QtNamedPipes {

/// A message that is larger than a read buffer: the system reads the rest of it straight into the
/// place where it stays. Grows with what has arrived.
class IncomingMessage
{
public:
    bool isActive() const { return m_isActive; }
    qint64 arrived() const { return m_arrived; }

    /// The fragment that showed the message to be large, out of the buffer that it was read into,
    /// with room for \a more bytes; in the memory of \a spare, if that is enough. May throw
    /// std::bad_alloc.
    void begin(const char *data, qsizetype size, qsizetype more, QByteArray &&spare)
    {
        m_isActive = true;
        m_data = std::move(spare);
        makeRoom(size + more);
        std::memcpy(tail(), data, size_t(size));
        m_arrived = size;
    }

    /// May throw std::bad_alloc; nothing has happened then.
    void makeRoom(qsizetype size)
    {
        if (m_data.size() - m_arrived < size)
            resizeExactly(m_data, m_arrived + size);
    }
    char *tail() { return m_data.data() + m_arrived; }
    qsizetype room() const { return m_data.size() - m_arrived; }
    /// A read has put \a size bytes into the room.
    void add(qsizetype size) { m_arrived += size; }

    /// The whole of it; the next message may begin.
    QByteArray take()
    {
        m_data.truncate(m_arrived);
        return std::exchange(*this, IncomingMessage()).m_data;
    }

private:
    QByteArray m_data;
    qsizetype m_arrived = 0;
    bool m_isActive = false;
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_INCOMINGMESSAGE_H
