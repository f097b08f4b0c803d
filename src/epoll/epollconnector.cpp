// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "epoll/epollconnector.h"

#include "core/text.h"
#include "epoll/epollendpoint.h"
#include "epoll/epollengine.h"
#include "epoll/socketname.h"
#include "epoll/unixcalls.h"
#include "epoll/unixerror.h"

#include <QtCore/qfile.h>

#include <cerrno>
#include <memory>
#include <unistd.h>

namespace QtNamedPipes {

static DialResult failed(const TransportError &error)
{
    return { nullptr, error, false };
}

DialResult connectSocket(const std::shared_ptr<EpollEngine> &engine, const DialTarget &target)
{
    const UnixCalls &calls = unixCalls();
    const QString path = platformPipePath(target.name);
    UnixFd fd(calls.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd)
        return failed(unixError(errno, "socket"));
    const sockaddr_un address = socketAddress(QFile::encodeName(path));
    int code;
    do {
        const int result = calls.connect(fd.get(), reinterpret_cast<const sockaddr *>(&address),
                                         sizeof address);
        code = result == 0 ? 0 : errno;
    } while (code == EINTR);
    if (code == EAGAIN) { // the backlog is full
        TransportError error = unixError(code, "connect");
        error.error = NamedPipe::ResourceExhausted;
        return { nullptr, error, true };
    }
    if (code == ENOENT || code == ECONNREFUSED) {
        return failed(unixError(code, "connect", Text::tr("no server runs at %1").arg(path)));
    }
    if (code == EPROTOTYPE) {
        return failed({ NamedPipe::Unsupported, code, "connect",
                        Text::tr("%1 is not a stream socket").arg(path) });
    }
    if (code != 0)
        return failed(unixError(code, "connect"));

    // Of the moment when the server called listen().
    PeerIdentity peer;
    ucred server = {};
    if (!peerCredentials(fd.get(), &peer, &server))
        return failed(unixError(errno, "getsockopt"));
    if (target.access == NamedPipe::CurrentUser && server.uid != ::geteuid()) {
        return failed({ NamedPipe::AccessDenied, 0, "",
                        Text::tr("the server is run by another user (uid %1)").arg(peer.userId) });
    }
    return { std::make_shared<EpollEndpoint>(engine, std::move(fd), peer), {}, false };
}

/// By the kernel's list of sockets: to connect to each would disturb its server.
QStringList platformPipeNames()
{
    static constexpr quint32 Listens = 0x10000; // __SO_ACCEPTCON of the kernel

    QStringList names;
    QFile list(QStringLiteral("/proc/net/unix"));
    if (!list.open(QIODevice::ReadOnly))
        return names;
    const QByteArray folder = QFile::encodeName(platformPipePath(QString()));
    for (const QByteArray &line : list.readAll().split('\n')) {
        // Num: RefCount Protocol Flags Type St Inode Path
        const QList<QByteArray> fields = line.simplified().split(' ');
        const qsizetype start = line.indexOf(folder);
        if (fields.size() < 8 || start < 0 || line[start - 1] != ' ')
            continue;
        const bool isListening = fields[3].toUInt(nullptr, 16) & Listens;
        const bool isStream = fields[4].toUInt(nullptr, 16) == SOCK_STREAM;
        const QString name = QFile::decodeName(line.mid(start + folder.size()));
        if (isListening && isStream && QFile::exists(platformPipePath(name)))
            names += name;
    }
    return names;
}

Qt::CaseSensitivity platformNameCase()
{
    return Qt::CaseSensitive;
}

} // namespace QtNamedPipes
