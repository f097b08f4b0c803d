// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_NAMEDPIPEMESSAGEBATCH_H
#define QTNAMEDPIPES_NAMEDPIPEMESSAGEBATCH_H

#include <QtNamedPipes/qtnamedpipes_global.h>

#include <QtCore/qbytearray.h>
#include <QtCore/qbytearrayview.h>
#include <QtCore/qlist.h>
#include <QtCore/qmetatype.h>

#include <cstddef>
#include <iterator>

namespace QtNamedPipes {

/// Where one message lies in a block of them. Not for applications.
struct MessageSpan
{
    constexpr MessageSpan() = default;
    constexpr MessageSpan(quint32 o, quint32 s) : offset(o), size(s) { }
    quint32 offset = 0;
    quint32 size = 0;
};

} // namespace QtNamedPipes

/// Messages that arrived together, as views: valid as long as the batch is. The batch of a signal
/// is valid during its emission; a copy has its own bytes.
class QTNAMEDPIPES_EXPORT NamedPipeMessageBatch
{
public:
    class const_iterator
    {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = QByteArrayView;
        using difference_type = std::ptrdiff_t;
        using pointer = void;
        using reference = QByteArrayView;

        const_iterator() = default;

        QByteArrayView operator*() const
        {
            return { m_data + m_span->offset, qsizetype(m_span->size) };
        }
        const_iterator &operator++()
        {
            ++m_span;
            return *this;
        }
        const_iterator operator++(int)
        {
            const const_iterator before = *this;
            ++m_span;
            return before;
        }
        friend bool operator==(const_iterator a, const_iterator b) { return a.m_span == b.m_span; }
        friend bool operator!=(const_iterator a, const_iterator b) { return a.m_span != b.m_span; }

    private:
        friend class NamedPipeMessageBatch;
        const_iterator(const char *data, const QtNamedPipes::MessageSpan *span)
            : m_data(data),
              m_span(span)
        {
        }

        const char *m_data = nullptr;
        const QtNamedPipes::MessageSpan *m_span = nullptr;
    };
    using iterator = const_iterator;
    using value_type = QByteArrayView;
    using size_type = qsizetype;

    /// An empty batch.
    NamedPipeMessageBatch() = default;
    NamedPipeMessageBatch(const NamedPipeMessageBatch &other);
    NamedPipeMessageBatch &operator=(const NamedPipeMessageBatch &other);
    ~NamedPipeMessageBatch() = default;

    /// How many messages there are.
    qsizetype size() const { return m_count; }
    bool isEmpty() const { return m_count == 0; }
    /// The message at \a index, which must be valid.
    QByteArrayView at(qsizetype index) const
    {
        Q_ASSERT(index >= 0 && index < m_count);
        return { m_data + m_spans[index].offset, qsizetype(m_spans[index].size) };
    }
    QByteArrayView operator[](qsizetype index) const { return at(index); }

    const_iterator begin() const { return { m_data, m_spans }; }
    const_iterator end() const { return { m_data, m_spans + m_count }; }
    const_iterator cbegin() const { return begin(); }
    const_iterator cend() const { return end(); }

    /// Not for applications.
    NamedPipeMessageBatch(const char *data, const QtNamedPipes::MessageSpan *spans, qsizetype count)
        : m_data(data),
          m_spans(spans),
          m_count(count)
    {
    }

private:
    const char *m_data = nullptr;
    const QtNamedPipes::MessageSpan *m_spans = nullptr;
    qsizetype m_count = 0;
    QByteArray m_ownData; ///< a copy's: what m_data points into
    QList<QtNamedPipes::MessageSpan> m_ownSpans;
};

Q_DECLARE_METATYPE(NamedPipeMessageBatch)

#endif // QTNAMEDPIPES_NAMEDPIPEMESSAGEBATCH_H
