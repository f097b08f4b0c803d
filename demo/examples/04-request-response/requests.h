// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef REQUESTS_H
#define REQUESTS_H

#include <QtNamedPipes/NamedPipeClientConnection>

#include <QtCore/qhash.h>

#include <chrono>
#include <functional>

/// Requests on a connection, whose answers come in any order: each request has a number, and its
/// answer begins with it.
class Requests
{
public:
    enum Outcome { Answered, TimedOut, NotSent, Disconnected };
    using Handler = std::function<void(Outcome outcome, const QByteArray &answer)>;

    explicit Requests(const NamedPipeClientConnectionPtr &connection);

    /// Sends \a text. \a handler is called once, and never before this function has returned.
    void send(const QByteArray &text, std::chrono::milliseconds timeout, const Handler &handler);

private:
    void receive(const QByteArray &message);
    void finish(quint64 number, Outcome outcome, const QByteArray &answer = {});

    // What is connected to this object ends before the members below go.
    QHash<quint64, Handler> m_open;
    quint64 m_last = 0;
    QObject m_context;
    const NamedPipeClientConnectionPtr m_connection;
};

#endif // REQUESTS_H
