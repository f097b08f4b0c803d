// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_FAULTYCALLS_H
#define QTNAMEDPIPES_TESTS_FAULTYCALLS_H

#include "epoll/unixcalls.h"
#include "processfacts.h"
#include "rawpeer.h"
#include "scratchname.h"
#include "waiting.h"

#include <QtNamedPipes/NamedPipeServer>
#include <QtNamedPipes/NamedPipeServerConnection>

#include <QtTest/QtTest>

#include <atomic>
#include <cerrno>

// --- System calls that fail when the test says so ---

inline QtNamedPipes::UnixCalls real;

/// Of one system call: the next times it fails, with this code.
struct Fault
{
    std::atomic<int> times { 0 };
    std::atomic<int> code { 0 };
    std::atomic<int> calls { 0 }; ///< all of them, whether they fail or not
    std::atomic<int> spared { 0 }; ///< so many of them succeed before

    void set(int newCode, int newTimes, int newSpared = 0)
    {
        code = newCode;
        times = newTimes;
        spared = newSpared;
        calls = 0;
    }
    /// True when this call fails; errno is set then.
    bool strikes()
    {
        if (++calls <= spared)
            return false;
        for (int left = times; left > 0;) {
            if (times.compare_exchange_weak(left, left - 1)) {
                errno = code;
                return true;
            }
        }
        return false;
    }
};

inline constexpr int always = 1 << 30;
inline Fault createFault, controlFault, waitFault, eventFault, socketFault, optionFault, bindFault,
        listenFault, connectFault, acceptFault, readFault, sendFault;
inline Fault openFault, flockFault, fstatFault, lstatFault, fchmodFault, chmodFault, unlinkFault;
inline std::atomic<int> controlOperation { EPOLL_CTL_ADD }; ///< that controlFault strikes
inline std::atomic<quint32> controlEvents { 0 }; ///< and only with one of these, when there are any
inline std::atomic<int> longestSend { 0 }; ///< bytes that a send takes at most; 0: what it gets

inline int faultyControl(int epoll, int operation, int fd, epoll_event *event)
{
    if (operation == controlOperation && (!controlEvents || (event->events & controlEvents))
        && controlFault.strikes())
        return -1;
    return real.epoll_ctl(epoll, operation, fd, event);
}

inline ssize_t faultySend(int fd, const msghdr *message, int flags)
{
    if (sendFault.strikes())
        return -1;
    if (longestSend == 0)
        return real.sendmsg(fd, message, flags);
    iovec first = message->msg_iov[0];
    first.iov_len = qMin(first.iov_len, size_t(longestSend));
    msghdr less = *message;
    less.msg_iov = &first;
    less.msg_iovlen = 1;
    return real.sendmsg(fd, &less, flags);
}

inline ssize_t faultyRead(int fd, msghdr *message, int flags)
{
    if (readFault.strikes())
        return -1;
    return real.recvmsg(fd, message, flags);
}

inline void replaceCalls()
{
    QtNamedPipes::UnixCalls &calls = QtNamedPipes::unixCalls();
    real = calls;
    calls.epoll_create1 = [](int flags) {
        return createFault.strikes() ? -1 : real.epoll_create1(flags);
    };
    calls.epoll_ctl = faultyControl;
    calls.epoll_wait = [](int epoll, epoll_event *events, int maximum, int timeout) {
        return waitFault.strikes() ? -1 : real.epoll_wait(epoll, events, maximum, timeout);
    };
    calls.eventfd = [](unsigned value, int flags) {
        return eventFault.strikes() ? -1 : real.eventfd(value, flags);
    };
    calls.socket = [](int domain, int type, int protocol) {
        return socketFault.strikes() ? -1 : real.socket(domain, type, protocol);
    };
    calls.getsockopt = [](int fd, int level, int option, void *value, socklen_t *length) {
        return optionFault.strikes() ? -1 : real.getsockopt(fd, level, option, value, length);
    };
    calls.bind = [](int fd, const sockaddr *address, socklen_t length) {
        return bindFault.strikes() ? -1 : real.bind(fd, address, length);
    };
    calls.listen = [](int fd, int backlog) {
        return listenFault.strikes() ? -1 : real.listen(fd, backlog);
    };
    calls.connect = [](int fd, const sockaddr *address, socklen_t length) {
        return connectFault.strikes() ? -1 : real.connect(fd, address, length);
    };
    calls.accept4 = [](int fd, sockaddr *address, socklen_t *length, int flags) {
        return acceptFault.strikes() ? -1 : real.accept4(fd, address, length, flags);
    };
    calls.recvmsg = faultyRead;
    calls.sendmsg = faultySend;
    calls.open = [](const char *path, int flags, mode_t mode) {
        return openFault.strikes() ? -1 : real.open(path, flags, mode);
    };
    calls.flock = [](int fd, int operation) {
        return flockFault.strikes() ? -1 : real.flock(fd, operation);
    };
    calls.fstat = [](int fd, struct stat *file) {
        return fstatFault.strikes() ? -1 : real.fstat(fd, file);
    };
    calls.lstat = [](const char *path, struct stat *file) {
        return lstatFault.strikes() ? -1 : real.lstat(path, file);
    };
    calls.fchmod = [](int fd, mode_t mode) {
        return fchmodFault.strikes() ? -1 : real.fchmod(fd, mode);
    };
    calls.chmod = [](const char *path, mode_t mode) {
        return chmodFault.strikes() ? -1 : real.chmod(path, mode);
    };
    calls.unlink = [](const char *path) { return unlinkFault.strikes() ? -1 : real.unlink(path); };
}

inline void clearFaults()
{
    for (Fault *fault : { &createFault, &controlFault, &waitFault, &eventFault, &socketFault,
                          &optionFault, &bindFault, &listenFault, &connectFault, &acceptFault,
                          &readFault, &sendFault, &openFault, &flockFault, &fstatFault, &lstatFault,
                          &fchmodFault, &chmodFault, &unlinkFault })
        fault->set(0, 0);
    controlOperation = EPOLL_CTL_ADD;
    controlEvents = 0;
    longestSend = 0;
}

// --- A server that sends back what it gets ---

class EchoServer
{
public:
    EchoServer()
    {
        QObject::connect(&server, &NamedPipeServer::clientConnected, &server,
                         [this](const NamedPipeServerConnectionPtr &) { ++connected; });
        QObject::connect(&server, &NamedPipeServer::clientDisconnected, &server,
                         [this](const NamedPipeServerConnectionPtr &c) {
                             ++disconnected;
                             lastReason = c->closeReason();
                         });
        QObject::connect(&server, &NamedPipeServer::clientMessageReceived, &server,
                         [this](const NamedPipeServerConnectionPtr &c, const QVariant &,
                                const QByteArray &data) {
                             ++messages;
                             c->asyncWrite(data);
                         });
        QObject::connect(&server, &NamedPipeServer::clientErrorOccurred, &server,
                         [this](const NamedPipeServerConnectionPtr &, NamedPipe::Error error,
                                const QString &text) {
                             clientErrors.append(error);
                             lastText = text;
                         });
        QObject::connect(&server, &NamedPipeServer::errorOccurred, &server,
                         [this](NamedPipe::Error error, const QString &text) {
                             errors.append(error);
                             lastText = text;
                         });
    }

    /// Sends messages and compares what comes back.
    bool echoes(RawPeer &peer, const QList<QByteArray> &sent)
    {
        auto client = runClient([&peer, &sent] {
            for (const QByteArray &message : sent) {
                if (!peer.sendMessage(message) || peer.receiveMessage() != message)
                    return false;
            }
            return true;
        });
        return waitForTask(client) && client.get();
    }
    /// The same with everything sent before anything is read.
    bool echoesTogether(RawPeer &peer, const QList<QByteArray> &sent)
    {
        auto client = runClient([&peer, &sent] {
            for (const QByteArray &message : sent) {
                if (!peer.sendMessage(message))
                    return false;
            }
            for (const QByteArray &message : sent) {
                if (peer.receiveMessage() != message)
                    return false;
            }
            return true;
        });
        return waitForTask(client) && client.get();
    }
    bool connects(RawPeer &peer)
    {
        const int before = connected;
        return peer.connectTo(server.pipeName())
                && waitUntil([this, before] { return connected > before; });
    }

    NamedPipeServer server { scratchName() };
    int connected = 0;
    int disconnected = 0;
    int messages = 0;
    NamedPipe::CloseReason lastReason = NamedPipe::StillOpen;
    QList<NamedPipe::Error> errors;
    QList<NamedPipe::Error> clientErrors;
    QString lastText;
};

// --- What every suite with faults does ---

/// No fault is left from one test to the next, and no descriptor.
class FaultySuite : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void initTestCase()
    {
        replaceCalls();
        EchoServer warmUp; // what is opened once for the process
        RawPeer peer;
        QVERIFY(warmUp.server.start());
        QVERIFY(warmUp.connects(peer));
        QVERIFY(warmUp.echoes(peer, { "hello" }));
    }
    void init()
    {
        clearFaults();
        m_handles = ProcessFacts::openHandles();
    }
    void cleanup()
    {
        clearFaults();
        const auto isClean = [this] { return ProcessFacts::openHandles() == m_handles; };
        QVERIFY2(waitUntil(isClean, std::chrono::seconds(5)),
                 qPrintable(QStringLiteral("%1 descriptors before, %2 after")
                                    .arg(m_handles)
                                    .arg(ProcessFacts::openHandles())));
    }

protected:
    int m_handles = 0; ///< when the test began
};

#endif // QTNAMEDPIPES_TESTS_FAULTYCALLS_H
