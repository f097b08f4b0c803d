// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "epoll/socketname.h"

#include "core/logging.h"
#include "core/text.h"
#include "epoll/unixcalls.h"
#include "epoll/unixerror.h"

#include <QtCore/qdir.h>
#include <QtCore/qfile.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

namespace QtNamedPipes {

QString platformPipePath(const QString &name)
{
    QString folder = QDir::tempPath(); // where QLocalServer and QLocalSocket have it
    if (folder.isEmpty()) // there is none: then nothing is found, rather than the root folder
        folder = qEnvironmentVariable("TMPDIR", QStringLiteral("/tmp"));
    return folder + QLatin1Char('/') + name;
}

QString platformNameFault(const QString &name)
{
    const qsizetype length = QFile::encodeName(platformPipePath(name)).size();
    const qsizetype maximum = qsizetype(sizeof(sockaddr_un::sun_path)) - 1;
    if (length > maximum)
        return Text::
                tr("the pipe name is too long: its socket path has %1 bytes, the system allows %2")
                        .arg(length)
                        .arg(maximum);
    return {};
}

sockaddr_un socketAddress(const QByteArray &path)
{
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.constData(), size_t(path.size()));
    return address;
}

bool peerCredentials(int fd, PeerIdentity *peer, ucred *credentials)
{
    socklen_t length = sizeof *credentials;
    if (unixCalls().getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, &length) != 0)
        return false;
    peer->processId = credentials->pid;
    peer->userId = QString::number(credentials->uid);
    return true;
}

static mode_t modeOf(NamedPipe::AccessOptions access)
{
    mode_t mode = S_IRUSR | S_IWUSR; // the server's own user, always
    if (access.testFlag(NamedPipe::GroupAccess))
        mode |= S_IRGRP | S_IWGRP;
    if (access.testFlag(NamedPipe::OtherAccess))
        mode |= S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH;
    return mode;
}

TransportError SocketName::claim(const QString &name, int backlog, NamedPipe::AccessOptions access)
{
    m_path = QFile::encodeName(platformPipePath(name));
    // No pipe name begins with a dot, so that no pipe's socket is another's lock file.
    if (TransportError error =
                lock(QFile::encodeName(platformPipePath(u'.' + name + QLatin1String(".lock")))))
        return error;
    if (TransportError error = removeStale())
        return error;

    const UnixCalls &calls = unixCalls();
    m_socket.reset(calls.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!m_socket)
        return unixError(errno, "socket");
    // Before bind() the mode of the descriptor is what the file gets, less the umask: the file is
    // never wider than it should be, and the process' umask stays as it is.
    const mode_t mode = modeOf(access);
    if (calls.fchmod(m_socket.get(), mode) != 0)
        return unixError(errno, "fchmod");
    const sockaddr_un address = socketAddress(m_path);
    if (calls.bind(m_socket.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address)
        != 0)
        return unixError(errno, "bind");
    struct stat file;
    if (calls.lstat(m_path.constData(), &file) != 0)
        return unixError(errno, "lstat");
    if (!S_ISSOCK(file.st_mode))
        return nameInUse(Text::tr("the name is taken by a file that is not a pipe: %1"));
    m_isBound = true;
    m_device = file.st_dev;
    m_inode = file.st_ino;
    if ((file.st_mode & ALLPERMS) != mode) {
        if (TransportError error = setMode(mode))
            return error;
    }
    if (calls.listen(m_socket.get(), backlog) != 0)
        return unixError(errno, "listen");
    return {};
}

/// Widens the mode of the socket's file: of the file itself, not of its path, for who may write to
/// the folder could have put something else there, a link to another file for instance.
TransportError SocketName::setMode(mode_t mode) const
{
    const UnixCalls &calls = unixCalls();
    const UnixFd bound(calls.open(m_path.constData(), O_PATH | O_NOFOLLOW | O_CLOEXEC, 0));
    struct stat file;
    if (!bound || calls.fstat(bound.get(), &file) != 0)
        return unixError(errno, "open");
    if (file.st_dev != m_device || file.st_ino != m_inode)
        return nameInUse(Text::tr("the name is taken by a file that is not a pipe: %1"));
    const QByteArray self = "/proc/self/fd/" + QByteArray::number(bound.get());
    if (calls.chmod(self.constData(), mode) != 0)
        return unixError(errno, "chmod");
    return {};
}

/// Takes the lock file. It is removed with the name, so that a file that was locked may be one that
/// is no longer at its path: then another server has come and gone, and the next try decides.
TransportError SocketName::lock(const QByteArray &path)
{
    const UnixCalls &calls = unixCalls();
    for (;;) {
        UnixFd file(calls.open(path.constData(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                               S_IRUSR | S_IWUSR));
        if (!file)
            return unixError(errno, "open",
                             Text::tr("cannot open the lock file %1").arg(QFile::decodeName(path)));
        if (calls.flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
            const int code = errno;
            if (code == EINTR)
                continue;
            if (code == EWOULDBLOCK) {
                return { NamedPipe::NameInUse, code, "flock",
                         Text::tr("the name is served by a running server: %1")
                                 .arg(QFile::decodeName(m_path)) };
            }
            return unixError(code, "flock");
        }
        struct stat locked, present;
        if (calls.fstat(file.get(), &locked) != 0)
            return unixError(errno, "fstat");
        if (!S_ISREG(locked.st_mode)) {
            return { NamedPipe::NameInUse, 0, "",
                     Text::tr("there is something else in place of the lock file %1")
                             .arg(QFile::decodeName(path)) };
        }
        const bool isThere = calls.lstat(path.constData(), &present) == 0;
        if (!isThere && errno != ENOENT)
            return unixError(errno, "lstat");
        if (isThere && locked.st_dev == present.st_dev && locked.st_ino == present.st_ino) {
            m_lock = std::move(file);
            m_lockPath = path;
            return {};
        }
    }
}

TransportError SocketName::nameInUse(const QString &text) const
{
    return { NamedPipe::NameInUse, 0, "", text.arg(QFile::decodeName(m_path)) };
}

/// Removes the socket of a crashed server; anything else in the way keeps the name.
TransportError SocketName::removeStale() const
{
    const UnixCalls &calls = unixCalls();
    struct stat file;
    if (calls.lstat(m_path.constData(), &file) != 0)
        return errno == ENOENT ? TransportError() : unixError(errno, "lstat");
    if (!S_ISSOCK(file.st_mode))
        return nameInUse(Text::tr("the name is taken by a file that is not a pipe: %1"));
    if (file.st_uid != ::geteuid())
        return nameInUse(Text::tr("the name is taken by another user's pipe: %1"));

    // A server that does not lock, a QLocalServer say, may be listening.
    const UnixFd probe(calls.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!probe)
        return unixError(errno, "socket");
    const sockaddr_un address = socketAddress(m_path);
    const int result = calls.connect(probe.get(), reinterpret_cast<const sockaddr *>(&address),
                                     sizeof address);
    const int code = result == 0 ? 0 : errno;
    if (code != EAGAIN && isExhaustion(code)) // EAGAIN: it runs, and its backlog is full
        return unixError(code, "connect");
    if (code != ECONNREFUSED)
        return nameInUse(Text::tr("the name is served by a running server: %1"));
    qCDebug(lcEngine, "taking over the stale socket %s", m_path.constData());
    if (calls.unlink(m_path.constData()) != 0 && errno != ENOENT)
        return unixError(errno, "unlink");
    return {};
}

void SocketName::closeSocket()
{
    const UnixCalls &calls = unixCalls();
    struct stat file;
    // Before the socket is closed: afterwards the file at the path could be a successor's.
    if (m_isBound && calls.lstat(m_path.constData(), &file) == 0 && file.st_dev == m_device
        && file.st_ino == m_inode)
        calls.unlink(m_path.constData());
    m_isBound = false;
    m_socket.reset();
}

void SocketName::release()
{
    closeSocket();
    if (m_lock)
        unixCalls().unlink(m_lockPath.constData());
    m_lock.reset();
}

} // namespace QtNamedPipes
