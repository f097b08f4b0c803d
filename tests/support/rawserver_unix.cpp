// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "rawserver.h"

#include <QtCore/qdeadlinetimer.h>
#include <QtCore/qdir.h>
#include <QtCore/qfile.h>

#include <cerrno>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct RawServer::Private
{
    QString name;
    QByteArray path;
    int socket = -1;
};

RawServer::RawServer() : d(std::make_unique<Private>()) { }

RawServer::~RawServer()
{
    close();
}

bool RawServer::listen(const QString &name, int places, Kind kind)
{
    close();
    d->name = name;
    d->path = QFile::encodeName(QDir::tempPath() + QLatin1Char('/') + name);
    sockaddr_un address {};
    if (size_t(d->path.size()) >= sizeof(address.sun_path))
        return false;
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, d->path.constData(), size_t(d->path.size()));
    const int type = kind == Kind::SequencedPackets ? SOCK_SEQPACKET
            : kind == Kind::Datagrams               ? SOCK_DGRAM
                                                    : SOCK_STREAM;
    d->socket = ::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (d->socket == -1)
        return false;
    if (::bind(d->socket, reinterpret_cast<sockaddr *>(&address), sizeof(address)) == -1) {
        die(); // the file is not ours
        return false;
    }
    // The kernel lets in one more than it is told.
    if (kind != Kind::Datagrams && ::listen(d->socket, places - 1) == -1) {
        close();
        return false;
    }
    return true;
}

bool RawServer::isListening() const
{
    return d->socket != -1;
}

RawPeer RawServer::accept(Milliseconds timeout)
{
    const QDeadlineTimer deadline(timeout);
    while (isListening()) {
        const int client = ::accept4(d->socket, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (client != -1)
            return RawPeer::adopt(client);
        if (errno == EAGAIN) {
            pollfd entry { d->socket, POLLIN, 0 };
            if (::poll(&entry, 1, int(deadline.remainingTime())) == 0)
                break;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            break;
        }
    }
    return RawPeer();
}

std::vector<RawPeer> RawServer::fill()
{
    std::vector<RawPeer> clients;
    RawPeer client;
    while (client.connectTo(d->name, Milliseconds(0)))
        clients.push_back(std::exchange(client, RawPeer()));
    return clients;
}

void RawServer::close()
{
    if (isListening())
        ::unlink(d->path.constData());
    die();
}

void RawServer::die()
{
    if (isListening())
        ::close(d->socket);
    d->socket = -1;
}
