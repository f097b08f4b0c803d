// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_NAMEDPIPE_H
#define QTNAMEDPIPES_NAMEDPIPE_H

#include <QtNamedPipes/qtnamedpipes_global.h>

#include <QtCore/qflags.h>
#include <QtCore/qmetatype.h>
#include <QtCore/qobjectdefs.h>

/// What the server and the client side share: the enumerations and value types of the library.
namespace NamedPipe {
Q_NAMESPACE_EXPORT(QTNAMEDPIPES_EXPORT)

/// What went wrong. The text that comes with it names the operation and the native code.
enum Error {
    NoError,
    NameMissing,
    NameInvalid,
    NameInUse,
    InvalidConfiguration,
    CompletionPortFailed,
    AccessDenied,
    NotFound,
    ConnectTimeout,
    NotConnected,
    ConnectionBroken,
    MessageTooLarge,
    TruncatedMessage,
    WriteQueueFull,
    ResourceExhausted,
    Unsupported,
    SystemError,
};
Q_ENUM_NS(Error)

/// What asyncClose() does with writes that are still queued.
enum CloseMode {
    CancelPending, ///< drops them
    SendPending, ///< sends them first, within a deadline
};
Q_ENUM_NS(CloseMode)

/// Why a connection ended: the first reason is the one that is kept.
enum CloseReason {
    StillOpen,
    ClosedByClient,
    ClosedByServer,
    ServerStopped,
    Failed,
};
Q_ENUM_NS(CloseReason)

/// Who may connect to a server.
enum AccessOption {
    UserAccess = 0x1, ///< the user who runs the server
    GroupAccess = 0x2, ///< members of that user's primary group
    OtherAccess = 0x4, ///< every local user
    WorldAccess = 0x7, ///< all of the above
};
Q_ENUM_NS(AccessOption)
Q_DECLARE_FLAGS(AccessOptions, AccessOption)
Q_FLAG_NS(AccessOptions)
Q_DECLARE_OPERATORS_FOR_FLAGS(AccessOptions)

/// Which servers a client talks to.
enum ServerAccess {
    AnyUser, ///< whoever has the name
    CurrentUser, ///< one that the client's own user runs
};
Q_ENUM_NS(ServerAccess)

/// Counters of one connection, or of all connections together.
struct QTNAMEDPIPES_EXPORT Statistics
{
    Q_GADGET
    Q_PROPERTY(quint64 messagesReceived MEMBER messagesReceived)
    Q_PROPERTY(quint64 bytesReceived MEMBER bytesReceived)
    Q_PROPERTY(quint64 messagesSent MEMBER messagesSent)
    Q_PROPERTY(quint64 bytesSent MEMBER bytesSent)

public:
    quint64 messagesReceived = 0; ///< whole messages that arrived, delivered or not
    quint64 bytesReceived = 0; ///< their bytes
    quint64 messagesSent = 0; ///< messages that the operating system has accepted
    quint64 bytesSent = 0; ///< their bytes

    friend Statistics operator+(const Statistics &a, const Statistics &b)
    {
        Statistics sum;
        sum.messagesReceived = a.messagesReceived + b.messagesReceived;
        sum.bytesReceived = a.bytesReceived + b.bytesReceived;
        sum.messagesSent = a.messagesSent + b.messagesSent;
        sum.bytesSent = a.bytesSent + b.bytesSent;
        return sum;
    }
};

/// Counters of a server since its last start().
struct QTNAMEDPIPES_EXPORT ServerStatistics : Statistics
{
    Q_GADGET
    Q_PROPERTY(quint64 connectionsAccepted MEMBER connectionsAccepted)
    Q_PROPERTY(quint64 connectionsClosed MEMBER connectionsClosed)
    Q_PROPERTY(quint64 connectionsRefused MEMBER connectionsRefused)

public:
    quint64 connectionsAccepted = 0; ///< clients that got a connection
    quint64 connectionsClosed = 0; ///< connections that have ended
    quint64 connectionsRefused = 0; ///< clients turned away because of who they are
};

} // namespace NamedPipe

Q_DECLARE_METATYPE(NamedPipe::Statistics)
Q_DECLARE_METATYPE(NamedPipe::ServerStatistics)

#endif // QTNAMEDPIPES_NAMEDPIPE_H
