// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_NAMEDPIPESERVERCONNECTION_H
#define QTNAMEDPIPES_NAMEDPIPESERVERCONNECTION_H

#include <QtNamedPipes/namedpipe.h>

#include <QtCore/qbytearray.h>
#include <QtCore/qobject.h>
#include <QtCore/qsharedpointer.h>
#include <QtCore/qvariant.h>

#include <memory>

class NamedPipeServerConnectionPrivate;

/// One client of a NamedPipeServer. Made by the server only; every member is thread-safe.
class QTNAMEDPIPES_EXPORT NamedPipeServerConnection : public QObject
{
    Q_OBJECT
    Q_PROPERTY(QVariant customData READ customData WRITE setCustomData)
    Q_PROPERTY(qintptr handle READ handle)
    Q_PROPERTY(bool isConnected READ isConnected)
    Q_PROPERTY(bool isOpening READ isOpening)
    Q_PROPERTY(qint64 clientProcessId READ clientProcessId CONSTANT)
    Q_PROPERTY(QString clientUserId READ clientUserId CONSTANT)
    Q_PROPERTY(qint64 bytesToWrite READ bytesToWrite)
    Q_PROPERTY(NamedPipe::CloseReason closeReason READ closeReason)

public:
    using CloseMode = NamedPipe::CloseMode;
    static constexpr CloseMode CancelPending = NamedPipe::CancelPending;
    static constexpr CloseMode SendPending = NamedPipe::SendPending;

    using CloseReason = NamedPipe::CloseReason;
    static constexpr CloseReason StillOpen = NamedPipe::StillOpen;
    static constexpr CloseReason ClosedByClient = NamedPipe::ClosedByClient;
    static constexpr CloseReason ClosedByServer = NamedPipe::ClosedByServer;
    static constexpr CloseReason ServerStopped = NamedPipe::ServerStopped;
    static constexpr CloseReason Failed = NamedPipe::Failed;

    ~NamedPipeServerConnection() override;

    /// A place for the application's own data; the library never touches it.
    QVariant customData() const;
    void setCustomData(const QVariant &data);

    /// The number that identifies the connection within its server, counted from 1 in the order of
    /// arrival.
    quint64 id() const;
    /// The HANDLE or file descriptor, for diagnosis only; -1 once it is released.
    qintptr handle() const;
    /// True from the client's arrival until its drop is seen.
    bool isConnected() const;
    /// True until clientConnected has been emitted.
    bool isOpening() const;

    /// The client's process, as the system knew it when the client connected: a hint, not an
    /// identity.
    qint64 clientProcessId() const;
    /// The client's user: the uid on Linux, the SID on Windows, as text; empty when unknown.
    QString clientUserId() const;

    /// Payload bytes that asyncWrite() took and the operating system has not accepted yet.
    qint64 bytesToWrite() const;
    NamedPipe::CloseReason closeReason() const;
    NamedPipe::Statistics statistics() const;

public Q_SLOTS:
    /// Asks for one message; it comes as clientMessageReceived with \a cookie.
    void asyncRead(const QVariant &cookie = QVariant());
    /// Queues \a data as one message; clientMessageSent with \a cookie follows.
    bool asyncWrite(const QByteArray &data, const QVariant &cookie = QVariant());
    /// Ends the connection; clientDisconnected follows.
    void asyncClose(NamedPipe::CloseMode mode = NamedPipe::CancelPending);

private:
    friend class NamedPipeServerConnectionPrivate;
    explicit NamedPipeServerConnection(std::unique_ptr<NamedPipeServerConnectionPrivate> d);
    Q_DISABLE_COPY_MOVE(NamedPipeServerConnection)

    const std::unique_ptr<NamedPipeServerConnectionPrivate> d;
};

using NamedPipeServerConnectionPtr = QSharedPointer<NamedPipeServerConnection>;

#endif // QTNAMEDPIPES_NAMEDPIPESERVERCONNECTION_H
