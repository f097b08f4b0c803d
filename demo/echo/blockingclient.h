// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef BLOCKINGCLIENT_H
#define BLOCKINGCLIENT_H

#include <QtCore/qbytearray.h>
#include <QtCore/qstring.h>

#include <memory>

/// The plainest client there is, for the load: calls of the operating system and nothing of the
/// library. It shows what a client in another language has to do.
class BlockingClient
{
public:
    BlockingClient();
    ~BlockingClient();
    Q_DISABLE_COPY_MOVE(BlockingClient)

    /// Waits while all places of the server are taken; false when there is no server.
    bool open(const QString &fullPipeName);
    /// One message; false when the server has gone.
    bool send(const QByteArray &message);
    /// The next message, of at most \a message's size, into \a message; false when the server has
    /// gone.
    bool receive(QByteArray &message);

private:
    struct Handle;
    const std::unique_ptr<Handle> m_handle;
};

#endif // BLOCKINGCLIENT_H
