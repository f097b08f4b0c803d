// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "requests.h"

#include <QtCore/qtimer.h>

Requests::Requests(const NamedPipeClientConnectionPtr &connection) : m_connection(connection)
{
    QObject::connect(connection.get(), &NamedPipeClientConnection::messageReceived, &m_context,
                     [this](const QVariant &, const QByteArray &message) { receive(message); });
    // The cookie is the number: it says which message will never be sent.
    QObject::connect(connection.get(), &NamedPipeClientConnection::messageNotSent, &m_context,
                     [this](const QVariant &cookie) { finish(cookie.toULongLong(), NotSent); });
    // The others were sent, and the server may have seen them; nobody knows.
    QObject::connect(connection.get(), &NamedPipeClientConnection::disconnected, &m_context,
                     [this] {
                         const QList<quint64> open = m_open.keys(); // finish() changes m_open
                         for (const quint64 number : open)
                             finish(number, Disconnected);
                     });
}

void Requests::send(const QByteArray &text, std::chrono::milliseconds timeout,
                    const Handler &handler)
{
    const quint64 number = ++m_last;
    m_open.insert(number, handler);
    if (m_connection->asyncWrite(QByteArray::number(number) + ' ' + text, number))
        QTimer::singleShot(timeout, &m_context, [this, number] { finish(number, TimedOut); });
    else
        QTimer::singleShot(0, &m_context, [this, number] { finish(number, NotSent); });
}

void Requests::receive(const QByteArray &message)
{
    const qsizetype space = message.indexOf(' ');
    finish(message.left(space).toULongLong(), Answered, message.mid(space + 1));
}

/// Nothing happens when the request is finished already: an answer may come too late.
void Requests::finish(quint64 number, Outcome outcome, const QByteArray &answer)
{
    if (const Handler handler = m_open.take(number)) // taken first: it may send the next request
        handler(outcome, answer);
}
