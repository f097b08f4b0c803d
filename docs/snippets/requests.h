// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_SNIPPETS_REQUESTS_H
#define QTNAMEDPIPES_SNIPPETS_REQUESTS_H

#include <QtNamedPipes/NamedPipeClientManager>

#include <QtCore/qhash.h>
#include <QtCore/qlist.h>

#include <functional>
#include <utility>

//! [requests]
class Requests
{
public:
    /// Called once for each request, with an empty answer when there is none.
    using Handler = std::function<void(const QByteArray &answer)>;

    explicit Requests(const NamedPipeClientConnectionPtr &connection) : m_connection(connection)
    {
        QObject::connect(connection.get(), &NamedPipeClientConnection::messageReceived, &m_context,
                         [this](const QVariant &, const QByteArray &message) {
                             const qsizetype space = message.indexOf(' ');
                             finish(message.left(space).toInt(), message.mid(space + 1));
                         });
        // The cookie is the number of a request that will not be sent any more.
        QObject::connect(connection.get(), &NamedPipeClientConnection::messageNotSent, &m_context,
                         [this](const QVariant &cookie) { finish(cookie.toInt(), {}); });
        // The others were sent, and nobody knows whether the server has seen them.
        QObject::connect(connection.get(), &NamedPipeClientConnection::disconnected, &m_context,
                         [this] {
                             const QList<int> open = m_open.keys();
                             for (const int number : open)
                                 finish(number, {});
                         });
    }

    /// False when it cannot be sent; the handler is not called then.
    bool send(const QByteArray &question, const Handler &handler)
    {
        const int number = ++m_last;
        m_open.insert(number, handler);
        if (m_connection->asyncWrite(QByteArray::number(number) + ' ' + question, number))
            return true;
        m_open.remove(number);
        return false;
    }

private:
    void finish(int number, const QByteArray &answer)
    {
        if (const Handler handler = m_open.take(number)) // taken first: it may send the next one
            handler(answer);
    }

    const NamedPipeClientConnectionPtr m_connection;
    QHash<int, Handler> m_open;
    int m_last = 0;
    QObject m_context; // last, so that no slot is called when the others are gone
};
//! [requests]

#endif // QTNAMEDPIPES_SNIPPETS_REQUESTS_H
