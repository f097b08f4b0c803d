// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include <QtNamedPipes/namedpipemessagebatch.h>

/*!
    \class NamedPipeMessageBatch
    \inmodule QtNamedPipes
    \inheaderfile QtNamedPipes/NamedPipeMessageBatch
    \brief The NamedPipeMessageBatch class gives a view of messages that arrived together.

    NamedPipeServer::clientMessageBatchReceived() and
    NamedPipeClientConnection::messageBatchReceived() hand over many messages in one emission, for
    programs that receive millions of small messages in a second. The messages are whole and in
    order, as always:

    \snippet server.cpp batches

    \section1 Lifetime

    The batch of a signal owns nothing: its views point into the buffer that the operating system
    has filled. They are valid until the slot returns. To keep a message, copy it with
    QByteArrayView::toByteArray(). To keep all of them, copy the batch: a copy has its own bytes, and
    copies of that share them. A queued connection makes such a copy by itself.

    All functions are reentrant.
*/

/*!
    \fn NamedPipeMessageBatch::NamedPipeMessageBatch()

    Constructs an empty batch.
*/

/*!
    Constructs a copy of \a other with its own bytes, which may be kept. Copying a copy shares the
    bytes.
*/
NamedPipeMessageBatch::NamedPipeMessageBatch(const NamedPipeMessageBatch &other)
{
    *this = other;
}

/*!
    Makes this batch a copy of \a other, as the constructor does.
*/
NamedPipeMessageBatch &NamedPipeMessageBatch::operator=(const NamedPipeMessageBatch &other)
{
    if (this == &other)
        return *this;
    if (other.m_count > 0 && other.m_ownSpans.isEmpty()) {
        // Messages of a block lie in order: one piece, from the first to the end of the last.
        const quint32 begin = other.m_spans[0].offset;
        const auto last = other.m_spans[other.m_count - 1];
        m_ownData = QByteArray(other.m_data + begin, qsizetype(last.offset - begin) + last.size);
        m_ownSpans.clear();
        m_ownSpans.reserve(other.m_count);
        for (qsizetype i = 0; i < other.m_count; ++i)
            m_ownSpans.append({ other.m_spans[i].offset - begin, other.m_spans[i].size });
    } else {
        m_ownData = other.m_ownData;
        m_ownSpans = other.m_ownSpans;
    }
    m_data = m_ownData.constData();
    m_spans = m_ownSpans.constData();
    m_count = other.m_count;
    return *this;
}

/*!
    \fn qsizetype NamedPipeMessageBatch::size() const

    Returns the number of messages.
*/

/*!
    \fn bool NamedPipeMessageBatch::isEmpty() const

    Returns \c true if there is no message. The batch of a signal is never empty.
*/

/*!
    \fn QByteArrayView NamedPipeMessageBatch::at(qsizetype index) const

    Returns the message at \a index, which must be valid: 0 <= \a index < size(). A message of no
    bytes is an empty view.
*/

/*!
    \fn QByteArrayView NamedPipeMessageBatch::operator[](qsizetype index) const

    Returns at(\a index).
*/

/*!
    \fn NamedPipeMessageBatch::const_iterator NamedPipeMessageBatch::begin() const

    Returns an iterator at the first message.

    \sa end()
*/

/*!
    \fn NamedPipeMessageBatch::const_iterator NamedPipeMessageBatch::end() const

    Returns an iterator behind the last message.

    \sa begin()
*/

/*!
    \fn NamedPipeMessageBatch::const_iterator NamedPipeMessageBatch::cbegin() const

    Returns begin().
*/

/*!
    \fn NamedPipeMessageBatch::const_iterator NamedPipeMessageBatch::cend() const

    Returns end().
*/

/*!
    \class NamedPipeMessageBatch::const_iterator
    \inmodule QtNamedPipes
    \inheaderfile QtNamedPipes/NamedPipeMessageBatch
    \brief The iterator class goes through the messages of a NamedPipeMessageBatch, for
    range-based \c for loops and algorithms.
*/
