// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "faultinjector.h"

#include "epoll/socketname.h"
#include "epoll/unixcalls.h"
#include "processfacts.h"
#include "socketfiles.h"

#include <QtCore/qcoreapplication.h>
#include <QtCore/qfile.h>
#include <QtCore/qthread.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/file.h>
#include <sys/stat.h>

namespace Faults {

using QtNamedPipes::UnixCalls;

// Answers that are no errors.
static constexpr int Short = -1; ///< one byte goes
static constexpr int Reversed = -2; ///< events in another order

// What the system never says, or not of a socket that works, is not here. EAGAIN of recvmsg() and
// accept4() when there is something: the edge would be lost, and it is the system's rule that it is
// not. EPOLL_CTL_DEL of what is watched never fails. EBADF, EFAULT, EINVAL and the like are faults
// of the program. Where a call says that the other side has gone, this is made true first.
//
// Calls that are not here:
//   write() to the eventfd   fails when 2^64 wake-ups are outstanding
//   recv() of the end        what a client has sent and nobody wants; it fails as if there were less
//   getsockopt(PEERGROUPS)   only for clients of other users: tst_seldom_paths, tst_security_linux
//   pthread_create()         not behind the table: tst_seldom_paths
//   close()                  never repeated, and nobody can do anything about it
//   /proc/net/unix           read by Qt: tst_seldom_paths
enum {
    Create,
    Event,
    Add,
    Modify,
    Wait,
    Order,
    Open,
    Flock,
    Fstat,
    Lstat,
    Probe,
    Unlink,
    Socket,
    Fchmod,
    Bind,
    Chmod,
    Listen,
    Connect,
    Identify,
    Accept,
    Read,
    Send
};

const std::vector<Kind> &kinds()
{
    static const std::vector<Kind> table = {
        { "epoll_create1", { { "EMFILE", EMFILE, true }, { "ENOMEM", ENOMEM, true } } },
        { "eventfd", { { "ENFILE", ENFILE, true }, { "ENOMEM", ENOMEM, true } } },
        { "epoll_ctl(ADD)", { { "ENOSPC", ENOSPC, true }, { "ENOMEM", ENOMEM, true } } },
        { "epoll_ctl(MOD)", { { "ENOMEM", ENOMEM } } },
        { "epoll_wait", { { "EINTR", EINTR } } },
        { "epoll_wait of several events", { { "reversed", Reversed } } },
        { "open",
          { { "EMFILE", EMFILE, true },
            { "ENFILE", ENFILE, true },
            { "ENOMEM", ENOMEM, true },
            { "ENOSPC", ENOSPC, true },
            { "EACCES", EACCES, true } } },
        { "flock",
          { { "EINTR", EINTR },
            { "EWOULDBLOCK", EWOULDBLOCK, true },
            { "ENOLCK", ENOLCK, true } } },
        { "fstat", { { "ENOMEM", ENOMEM, true } } },
        { "lstat", { { "ENOMEM", ENOMEM, true, true }, { "EACCES", EACCES, true, true } } },
        { "connect to a stale socket",
          { { "EAGAIN", EAGAIN, true }, { "EACCES", EACCES, true }, { "ENOMEM", ENOMEM, true } } },
        { "unlink",
          { { "EACCES", EACCES, true, true },
            { "EROFS", EROFS, true, true },
            { "ENOMEM", ENOMEM, true, true } } },
        { "socket",
          { { "EMFILE", EMFILE, true },
            { "ENFILE", ENFILE, true },
            { "ENOBUFS", ENOBUFS, true },
            { "ENOMEM", ENOMEM, true } } },
        { "fchmod", { { "EPERM", EPERM, true } } },
        { "bind",
          { { "EADDRINUSE", EADDRINUSE, true },
            { "EACCES", EACCES, true },
            { "ENOSPC", ENOSPC, true },
            { "ENOMEM", ENOMEM, true } } },
        { "chmod", { { "EPERM", EPERM, true }, { "ENOENT", ENOENT, true } } },
        { "listen", { { "EACCES", EACCES, true }, { "ENOMEM", ENOMEM, true } } },
        { "connect",
          { { "EAGAIN", EAGAIN },
            { "EINTR", EINTR },
            { "ECONNREFUSED", ECONNREFUSED, true },
            { "EACCES", EACCES, true },
            { "ENOMEM", ENOMEM, true } } },
        { "getsockopt(PEERCRED)", { { "EACCES", EACCES, true } } },
        { "accept4",
          { { "EINTR", EINTR },
            { "EMFILE", EMFILE },
            { "ENFILE", ENFILE },
            { "ENOBUFS", ENOBUFS },
            { "ENOMEM", ENOMEM } } },
        { "recvmsg",
          { { "EINTR", EINTR },
            { "ENOMEM", ENOMEM },
            { "ENOBUFS", ENOBUFS },
            { "short", Short },
            { "ECONNRESET", ECONNRESET, true } } },
        { "sendmsg",
          { { "EINTR", EINTR },
            { "EAGAIN", EAGAIN },
            { "ENOBUFS", ENOBUFS },
            { "ENOMEM", ENOMEM },
            { "short", Short },
            { "EPIPE", EPIPE, true },
            { "ECONNRESET", ECONNRESET, true } } },
    };
    return table;
}

static UnixCalls real;

/// True when this call fails; errno is set then.
static bool fails(int kind)
{
    const Fault *const fault = strike(kind);
    if (fault)
        errno = fault->code;
    return fault != nullptr;
}

static int control(int epoll, int operation, int fd, epoll_event *event)
{
    if ((operation == EPOLL_CTL_ADD && fails(Add)) || (operation == EPOLL_CTL_MOD && fails(Modify)))
        return -1;
    return real.epoll_ctl(epoll, operation, fd, event);
}

static int wait(int epoll, epoll_event *events, int maximum, int timeout)
{
    if (fails(Wait))
        return -1;
    const int count = real.epoll_wait(epoll, events, maximum, timeout);
    if (count > 1 && strike(Order))
        std::reverse(events, events + count);
    return count;
}

/// \a message with nothing but its first byte.
struct OneByte : msghdr
{
    explicit OneByte(const msghdr &message) : msghdr(message), byte(message.msg_iov[0])
    {
        byte.iov_len = 1;
        msg_iov = &byte;
        msg_iovlen = 1;
    }
    iovec byte;
};

static ssize_t receive(int fd, msghdr *message, int flags)
{
    const Fault *const fault = strike(Read);
    if (!fault)
        return real.recvmsg(fd, message, flags);
    if (fault->code == Short) { // which happens only where a descriptor was passed, and it says so
        OneByte less(*message);
        const ssize_t size = real.recvmsg(fd, &less, flags);
        message->msg_flags = less.msg_flags | MSG_CTRUNC;
        return size;
    }
    if (fault->code == ECONNRESET) { // when all has been read
        ::shutdown(fd, SHUT_RDWR);
        const ssize_t size = real.recvmsg(fd, message, flags);
        if (size != 0)
            return size;
    }
    errno = fault->code;
    return -1;
}

static ssize_t send(int fd, const msghdr *message, int flags)
{
    const Fault *const fault = strike(Send);
    if (!fault)
        return real.sendmsg(fd, message, flags);
    if (fault->code == Short) {
        const OneByte less(*message);
        return real.sendmsg(fd, &less, flags);
    }
    if (fault->isHarmful)
        ::shutdown(fd, SHUT_RDWR);
    errno = fault->code;
    return -1;
}

static int connect(int fd, const sockaddr *address, socklen_t length)
{
    // Clients dial on workers; start() looks whether somebody is there.
    const bool isClient = QThread::currentThread() != QCoreApplication::instance()->thread();
    return fails(isClient ? Connect : Probe) ? -1 : real.connect(fd, address, length);
}

void keepAllPackets(bool) { }

int openHandles()
{
    return ProcessFacts::openHandles();
}

void litter(const QString &pipeName)
{
    const QString path = QtNamedPipes::platformPipePath(pipeName);
    const sockaddr_un address = QtNamedPipes::socketAddress(QFile::encodeName(path));
    const QtNamedPipes::UnixFd crashed(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::bind(crashed.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0)
        qFatal("bind: %s", std::strerror(errno));
}

QStringList tracesOf(const QString &pipeName)
{
    return socketFilesOf(pipeName);
}

void replaceCalls()
{
    ::umask(0077); // so that chmod() has something to do
    UnixCalls &calls = QtNamedPipes::unixCalls();
    real = calls;
    calls.epoll_create1 = [](int flags) { return fails(Create) ? -1 : real.epoll_create1(flags); };
    calls.eventfd = [](unsigned value, int flags) {
        return fails(Event) ? -1 : real.eventfd(value, flags);
    };
    calls.epoll_ctl = control;
    calls.epoll_wait = wait;
    calls.socket = [](int domain, int type, int protocol) {
        return fails(Socket) ? -1 : real.socket(domain, type, protocol);
    };
    calls.bind = [](int fd, const sockaddr *address, socklen_t length) {
        return fails(Bind) ? -1 : real.bind(fd, address, length);
    };
    calls.listen = [](int fd, int backlog) {
        return fails(Listen) ? -1 : real.listen(fd, backlog);
    };
    calls.connect = connect;
    calls.getsockopt = [](int fd, int level, int option, void *value, socklen_t *length) {
        return fails(Identify) ? -1 : real.getsockopt(fd, level, option, value, length);
    };
    calls.accept4 = [](int fd, sockaddr *address, socklen_t *length, int flags) {
        return fails(Accept) ? -1 : real.accept4(fd, address, length, flags);
    };
    calls.recvmsg = receive;
    calls.sendmsg = send;
    calls.open = [](const char *path, int flags, mode_t mode) {
        return fails(Open) ? -1 : real.open(path, flags, mode);
    };
    calls.flock = [](int fd, int operation) {
        return fails(Flock) ? -1 : real.flock(fd, operation);
    };
    calls.fstat = [](int fd, struct stat *file) {
        return fails(Fstat) ? -1 : real.fstat(fd, file);
    };
    calls.lstat = [](const char *path, struct stat *file) {
        return fails(Lstat) ? -1 : real.lstat(path, file);
    };
    calls.fchmod = [](int fd, mode_t mode) { return fails(Fchmod) ? -1 : real.fchmod(fd, mode); };
    calls.chmod = [](const char *path, mode_t mode) {
        return fails(Chmod) ? -1 : real.chmod(path, mode);
    };
    calls.unlink = [](const char *path) { return fails(Unlink) ? -1 : real.unlink(path); };
}

} // namespace Faults
