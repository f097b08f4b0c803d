// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "blockingclient.h"

#include <QtCore/qendian.h>
#include <QtCore/qfile.h>

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct BlockingClient::Handle
{
    int fd = -1;
    QByteArray frame;
};

BlockingClient::BlockingClient() : m_handle(std::make_unique<Handle>()) { }

BlockingClient::~BlockingClient()
{
    if (m_handle->fd >= 0)
        ::close(m_handle->fd);
}

bool BlockingClient::open(const QString &fullPipeName)
{
    const QByteArray path = QFile::encodeName(fullPipeName);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    if (path.size() >= qsizetype(sizeof address.sun_path))
        return false;
    std::memcpy(address.sun_path, path.constData(), size_t(path.size()));
    m_handle->fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return ::connect(m_handle->fd, reinterpret_cast<const sockaddr *>(&address), sizeof address)
            == 0;
}

bool BlockingClient::send(const QByteArray &message)
{
    // A message is its length, big-endian, and its bytes.
    QByteArray &frame = m_handle->frame;
    frame.resize(4 + message.size());
    qToBigEndian(quint32(message.size()), frame.data());
    std::memcpy(frame.data() + 4, message.constData(), size_t(message.size()));
    for (qsizetype sent = 0; sent < frame.size();) {
        const ssize_t size = ::send(m_handle->fd, frame.constData() + sent,
                                    size_t(frame.size() - sent), MSG_NOSIGNAL);
        if (size <= 0 && errno != EINTR)
            return false;
        sent += qMax<ssize_t>(size, 0);
    }
    return true;
}

static bool receiveAll(int fd, char *to, qsizetype size)
{
    while (size > 0) {
        const ssize_t received = ::recv(fd, to, size_t(size), MSG_WAITALL);
        if (received < 0 && errno == EINTR)
            continue;
        if (received <= 0)
            return false;
        to += received;
        size -= received;
    }
    return true;
}

bool BlockingClient::receive(QByteArray &message)
{
    char header[4];
    if (!receiveAll(m_handle->fd, header, sizeof header))
        return false;
    const quint32 size = qFromBigEndian<quint32>(header);
    if (size > quint32(message.size()))
        return false;
    message.resize(qsizetype(size));
    return receiveAll(m_handle->fd, message.data(), message.size());
}
