// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_NAMEDPIPECLIENTCONNECTION_H
#define QTNAMEDPIPES_NAMEDPIPECLIENTCONNECTION_H

#include <QtNamedPipes/namedpipe.h>
#include <QtNamedPipes/namedpipemessagebatch.h>

#include <QtCore/qbytearray.h>
#include <QtCore/qobject.h>
#include <QtCore/qsharedpointer.h>
#include <QtCore/qstring.h>
#include <QtCore/qvariant.h>

#include <memory>

class NamedPipeClientConnectionPrivate;

/// A connection to a server. Made by NamedPipeClientManager::connectToServer() only; every member
/// is thread-safe. Dropping the last NamedPipeClientConnectionPtr closes it.
class QTNAMEDPIPES_EXPORT NamedPipeClientConnection : public QObject
{
    Q_OBJECT
    Q_PROPERTY(QString pipeName READ pipeName CONSTANT)
    Q_PROPERTY(QVariant customData READ customData WRITE setCustomData)
    Q_PROPERTY(qintptr handle READ handle)
    Q_PROPERTY(bool isConnected READ isConnected)
    Q_PROPERTY(bool isOpening READ isOpening)
    Q_PROPERTY(qint64 serverProcessId READ serverProcessId)
    Q_PROPERTY(QString serverUserId READ serverUserId)
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
    static constexpr CloseReason Failed = NamedPipe::Failed;

    ~NamedPipeClientConnection() override;

    QString pipeName() const;

    /// A place for the application's own data; the library never touches it.
    QVariant customData() const;
    void setCustomData(const QVariant &data);

    /// The HANDLE or file descriptor, for diagnosis only; -1 while there is none.
    qintptr handle() const;
    /// True from the moment the server is there until the drop is seen.
    bool isConnected() const;
    /// True until connected() is emitted, or it is known that it will not be.
    bool isOpening() const;

    /// The server's process: a hint, not an identity; 0 when unknown.
    qint64 serverProcessId() const;
    /// The server's user: the uid on Linux, the SID on Windows, as text; empty when unknown.
    QString serverUserId() const;

    /// Payload bytes that asyncWrite() took and the operating system has not accepted yet.
    qint64 bytesToWrite() const;
    NamedPipe::CloseReason closeReason() const;
    NamedPipe::Statistics statistics() const;

public Q_SLOTS:
    /// Asks for one message; it comes as messageReceived with \a cookie.
    void asyncRead(const QVariant &cookie = QVariant());
    /// Queues \a data as one message; messageSent or messageNotSent with \a cookie follows.
    bool asyncWrite(const QByteArray &data, const QVariant &cookie = QVariant());
    /// Ends the connection, or the attempt to make it.
    void asyncClose(NamedPipe::CloseMode mode = NamedPipe::CancelPending);

Q_SIGNALS:
    void connected();
    void disconnected();
    void messageReceived(const QVariant &cookie, const QByteArray &data);
    void messageBatchReceived(const NamedPipeMessageBatch &messages);
    void messageSent(const QVariant &cookie);
    void messageNotSent(const QVariant &cookie);
    void errorOccurred(NamedPipe::Error error, const QString &message);

protected:
    void connectNotify(const QMetaMethod &signal) override;

private:
    friend class NamedPipeClientConnectionPrivate;
    explicit NamedPipeClientConnection(std::unique_ptr<NamedPipeClientConnectionPrivate> d);
    Q_DISABLE_COPY_MOVE(NamedPipeClientConnection)

    const std::unique_ptr<NamedPipeClientConnectionPrivate> d;
};

using NamedPipeClientConnectionPtr = QSharedPointer<NamedPipeClientConnection>;

#endif // QTNAMEDPIPES_NAMEDPIPECLIENTCONNECTION_H
