// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "epoll/unixcalls.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <unistd.h>

namespace QtNamedPipes {

UnixCalls &unixCalls()
{
    static UnixCalls calls = {
        ::epoll_create1,
        ::epoll_ctl,
        ::epoll_wait,
        [](unsigned int value, int flags) { return ::eventfd(value, flags); },
        ::socket,
        ::getsockopt,
        [](int fd, const sockaddr *address, socklen_t length) {
            return ::bind(fd, address, length);
        },
        ::listen,
        [](int fd, const sockaddr *address, socklen_t length) {
            return ::connect(fd, address, length);
        },
        [](int fd, sockaddr *address, socklen_t *length, int flags) {
            return ::accept4(fd, address, length, flags);
        },
        ::recvmsg,
        [](int fd, const msghdr *message, int flags) {
            if (message->msg_iovlen != 1)
                return ::sendmsg(fd, message, flags);
            const iovec &whole = *message->msg_iov; // this costs the system less
            return ::send(fd, whole.iov_base, whole.iov_len, flags);
        },
        [](const char *path, int flags, mode_t mode) { return ::open(path, flags, mode); },
        ::flock,
        ::fstat,
        ::lstat,
        ::fchmod,
        ::chmod,
        ::unlink,
    };
    return calls;
}

} // namespace QtNamedPipes
