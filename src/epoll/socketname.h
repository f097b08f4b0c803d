// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_SOCKETNAME_H
#define QTNAMEDPIPES_SOCKETNAME_H

#include "core/pipetransport.h"
#include "epoll/unixfd.h"

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

namespace QtNamedPipes {

/// The address of the socket at \a path, which checkPipeName() has found short enough.
sockaddr_un socketAddress(const QByteArray &path);
/// Who is at the other end of the socket \a fd; false and errno when the system does not tell.
bool peerCredentials(int fd, PeerIdentity *peer, ucred *credentials);

/// A claimed socket path: a listening socket that nobody else can take the name from while this
/// lives.
///
/// The claim is an exclusive flock on a file beside the socket; who holds it knows that a socket
/// file of ours without a listener is a crashed server's, and may replace it. What is not a dead
/// socket of this user is never removed.
class SocketName
{
public:
    SocketName() = default;
    ~SocketName() { release(); }
    SocketName(const SocketName &) = delete;
    SocketName &operator=(const SocketName &) = delete;

    TransportError claim(const QString &name, int backlog, NamedPipe::AccessOptions access);
    /// Removes the file of the socket and closes it: nobody can connect any more. The name stays
    /// claimed.
    void closeSocket();
    /// Likewise, and lets go of the name.
    void release();

    int socket() const { return m_socket.get(); }

private:
    TransportError lock(const QByteArray &path);
    TransportError removeStale() const;
    TransportError setMode(mode_t mode) const;
    TransportError nameInUse(const QString &text) const;

    QByteArray m_path;
    QByteArray m_lockPath;
    UnixFd m_lock;
    UnixFd m_socket;
    bool m_isBound = false;
    dev_t m_device = 0; ///< of the socket file, to know it again
    ino_t m_inode = 0;
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_SOCKETNAME_H
