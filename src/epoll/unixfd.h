// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_UNIXFD_H
#define QTNAMEDPIPES_UNIXFD_H

#include <unistd.h>

#include <utility>

namespace QtNamedPipes {

/// A file descriptor that closes itself.
class UnixFd
{
public:
    UnixFd() = default;
    explicit UnixFd(int fd) : m_fd(fd) { }
    ~UnixFd() { reset(); }
    UnixFd(UnixFd &&other) noexcept : m_fd(std::exchange(other.m_fd, -1)) { }
    UnixFd &operator=(UnixFd &&other) noexcept
    {
        reset(std::exchange(other.m_fd, -1));
        return *this;
    }
    UnixFd(const UnixFd &) = delete;
    UnixFd &operator=(const UnixFd &) = delete;

    int get() const { return m_fd; }
    explicit operator bool() const { return m_fd >= 0; }
    void reset(int fd = -1)
    {
        if (m_fd >= 0)
            ::close(m_fd); // not repeated on EINTR: Linux has released it by then
        m_fd = fd;
    }

private:
    int m_fd = -1;
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_UNIXFD_H
