// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "rawpeer.h"

#include <QtCore/qdeadlinetimer.h>
#include <QtCore/qdir.h>
#include <QtCore/qendian.h>
#include <QtCore/qfile.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct RawPeer::Private
{
    int socket = -1;
    long lastError = 0;
    QByteArray outgoing; // not yet accepted by the kernel: from sent on
    qsizetype sent = 0;
    QByteArray incoming; // received, not yet asked for: from taken on
    qsizetype taken = 0;
    bool ended = false;
    std::optional<QByteArray> early; // seen by atEnd()

    bool poll(short events, const QDeadlineTimer &deadline)
    {
        pollfd entry { socket, events, 0 };
        for (;;) {
            const int ready = ::poll(&entry, 1, int(deadline.remainingTime()));
            if (ready >= 0 || errno != EINTR)
                return ready > 0;
            if (deadline.hasExpired())
                return false;
        }
    }

    bool fail()
    {
        lastError = errno;
        return false;
    }

    bool flush(const QDeadlineTimer &deadline)
    {
        while (sent < outgoing.size()) {
            const ssize_t count =
                    ::send(socket, outgoing.constData() + sent, size_t(outgoing.size() - sent),
                           MSG_NOSIGNAL | MSG_DONTWAIT);
            if (count >= 0) {
                sent += count;
            } else if (errno == EAGAIN) {
                if (!poll(POLLOUT, deadline))
                    return fail();
            } else if (errno != EINTR) {
                return fail();
            }
        }
        outgoing.clear();
        sent = 0;
        return true;
    }

    // One read; false at the end of the stream or of the time.
    bool fill(qsizetype atMost, const QDeadlineTimer &deadline)
    {
        if (taken > 0 && (taken == incoming.size() || taken > (1 << 20))) {
            incoming.remove(0, taken);
            taken = 0;
        }
        while (!ended && socket != -1) {
            const qsizetype before = incoming.size();
            incoming.resize(before + atMost);
            const ssize_t count =
                    ::recv(socket, incoming.data() + before, size_t(atMost), MSG_DONTWAIT);
            const int error = errno;
            incoming.resize(before + (count > 0 ? count : 0));
            if (count > 0)
                return true;
            if (count == 0 || error == ECONNRESET || error == EPIPE) {
                ended = true;
            } else if (error == EAGAIN) {
                if (!poll(POLLIN, deadline))
                    return false;
            } else if (error != EINTR) {
                lastError = error;
                return false;
            }
        }
        return false;
    }
};

RawPeer::RawPeer(ReadMode) : d(std::make_unique<Private>()) { }
RawPeer::RawPeer(RawPeer &&) noexcept = default;

RawPeer &RawPeer::operator=(RawPeer &&other) noexcept
{
    close();
    d = std::move(other.d);
    return *this;
}

RawPeer::~RawPeer()
{
    close();
}

RawPeer RawPeer::adopt(qintptr handle, ReadMode mode)
{
    RawPeer peer(mode);
    peer.d->socket = int(handle);
    return peer;
}

bool RawPeer::connectTo(const QString &name, Milliseconds timeout)
{
    const QDeadlineTimer deadline(timeout);
    const QByteArray path = QFile::encodeName(QDir::tempPath() + QLatin1Char('/') + name);
    sockaddr_un address {};
    if (size_t(path.size()) >= sizeof(address.sun_path))
        return false;
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.constData(), size_t(path.size()));
    close();
    *d = Private {};
    for (;;) {
        d->socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (d->socket == -1)
            return d->fail();
        if (::connect(d->socket, reinterpret_cast<sockaddr *>(&address), sizeof(address)) == 0)
            return true;
        d->fail();
        close();
        if ((d->lastError != EAGAIN && d->lastError != EINTR) || deadline.hasExpired())
            return false;
        // The backlog is full and there is nothing to poll for: let the server run.
        std::this_thread::sleep_for(Milliseconds(2));
    }
}

bool RawPeer::isOpen() const
{
    return d && d->socket != -1;
}

long RawPeer::lastError() const
{
    return d->lastError;
}

bool RawPeer::sendMessage(const QByteArray &message, Milliseconds timeout)
{
    QByteArray frame(4, Qt::Uninitialized);
    qToBigEndian(quint32(message.size()), frame.data());
    return sendRaw(frame + message, timeout);
}

bool RawPeer::sendRaw(const QByteArray &bytes, Milliseconds timeout)
{
    const QDeadlineTimer deadline(timeout);
    if (!isOpen() || (isSending() && !d->flush(deadline)))
        return false;
    d->outgoing = bytes;
    d->sent = 0;
    return d->flush(deadline);
}

bool RawPeer::finishSending(Milliseconds timeout)
{
    return isOpen() && d->flush(QDeadlineTimer(timeout));
}

bool RawPeer::isSending() const
{
    return isOpen() && d->sent < d->outgoing.size();
}

std::optional<QByteArray> RawPeer::receiveMessage(Milliseconds timeout)
{
    if (d->early)
        return std::exchange(d->early, std::nullopt);
    const QDeadlineTimer deadline(timeout);
    for (;;) {
        const qsizetype available = d->incoming.size() - d->taken;
        qsizetype wanted = 4;
        if (available >= 4) {
            const quint32 announced = qFromBigEndian<quint32>(d->incoming.constData() + d->taken);
            const qsizetype size = announced == 0xFFFFFFFFu ? 0 : qsizetype(announced);
            wanted = 4 + size;
            if (available >= wanted) {
                const QByteArray message = d->incoming.mid(d->taken + 4, size);
                d->taken += wanted;
                return message;
            }
        }
        if (!d->fill(std::max<qsizetype>(65536, std::min<qsizetype>(wanted - available, 1 << 20)),
                     deadline))
            return std::nullopt;
    }
}

std::optional<QByteArray> RawPeer::receiveRaw(int size, Milliseconds timeout)
{
    if (d->taken == d->incoming.size() && !d->fill(size, QDeadlineTimer(timeout)))
        return std::nullopt;
    const QByteArray bytes = d->incoming.mid(d->taken, size);
    d->taken += bytes.size();
    return bytes;
}

bool RawPeer::atEnd(Milliseconds timeout)
{
    if (!d->early)
        d->early = receiveMessage(timeout);
    return !d->early && d->ended;
}

void RawPeer::close()
{
    if (!isOpen())
        return;
    ::close(d->socket);
    d->socket = -1;
}

void RawPeer::abort()
{
    close();
}
