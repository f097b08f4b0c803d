// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_UNIXCALLS_H
#define QTNAMEDPIPES_UNIXCALLS_H

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

namespace QtNamedPipes {

/// The system calls of the engine that can fail in ways a test cannot bring about, replaceable by
/// it. To be changed only while no engine runs.
struct UnixCalls
{
    int (*epoll_create1)(int flags);
    int (*epoll_ctl)(int epoll, int operation, int fd, epoll_event *event);
    int (*epoll_wait)(int epoll, epoll_event *events, int maximum, int timeout);
    int (*eventfd)(unsigned int value, int flags);
    int (*socket)(int domain, int type, int protocol);
    int (*getsockopt)(int fd, int level, int option, void *value, socklen_t *length);
    int (*bind)(int fd, const sockaddr *address, socklen_t length);
    int (*listen)(int fd, int backlog);
    int (*connect)(int fd, const sockaddr *address, socklen_t length);
    int (*accept4)(int fd, sockaddr *address, socklen_t *length, int flags);
    ssize_t (*recvmsg)(int fd, msghdr *message, int flags);
    ssize_t (*sendmsg)(int fd, const msghdr *message, int flags);

    // Of the name, which is a file.
    int (*open)(const char *path, int flags, mode_t mode);
    int (*flock)(int fd, int operation);
    int (*fstat)(int fd, struct stat *file);
    int (*lstat)(const char *path, struct stat *file);
    int (*fchmod)(int fd, mode_t mode);
    int (*chmod)(const char *path, mode_t mode);
    int (*unlink)(const char *path);
};

UnixCalls &unixCalls();

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_UNIXCALLS_H
