// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "namedpipeserverconnection_p.h"

#include "namedpipeserver_p.h"

#include <utility>

/*!
    \class NamedPipeServerConnection
    \inmodule QtNamedPipes
    \inheaderfile QtNamedPipes/NamedPipeServerConnection
    \brief The NamedPipeServerConnection class represents one client of a NamedPipeServer.

    The server makes one object for each client and passes it to every signal about this client.
    Use it to send messages, to ask for messages, and to close the connection. It emits no signals
    itself.

    \snippet server.cpp custom data

    All functions may be called on any thread, and return at once. After
    NamedPipeServer::clientDisconnected() they do nothing, and asyncWrite() returns \c false.

    The object stays valid for as long as somebody holds a NamedPipeServerConnectionPtr to it. The
    library holds one until clientDisconnected() has been delivered. Dropping a pointer does not
    close the connection; asyncClose() does. The object, and with it its customData, is destroyed
    on the thread that drops the last pointer, which can be a worker thread of the server.

    \sa NamedPipeServer, NamedPipeServerConnectionPtr
*/

/*!
    \typealias NamedPipeServerConnectionPtr
    \relates NamedPipeServerConnection

    A QSharedPointer to a NamedPipeServerConnection.
*/

/*!
    \typealias NamedPipeServerConnection::CloseMode

    The same as NamedPipe::CloseMode.
*/

/*!
    \variable NamedPipeServerConnection::CancelPending
    \brief The same as NamedPipe::CancelPending.
*/

/*!
    \variable NamedPipeServerConnection::SendPending
    \brief The same as NamedPipe::SendPending.
*/

/*!
    \typealias NamedPipeServerConnection::CloseReason

    The same as NamedPipe::CloseReason.
*/

/*!
    \variable NamedPipeServerConnection::StillOpen
    \brief The same as NamedPipe::StillOpen.
*/

/*!
    \variable NamedPipeServerConnection::ClosedByClient
    \brief The same as NamedPipe::ClosedByClient.
*/

/*!
    \variable NamedPipeServerConnection::ClosedByServer
    \brief The same as NamedPipe::ClosedByServer.
*/

/*!
    \variable NamedPipeServerConnection::ServerStopped
    \brief The same as NamedPipe::ServerStopped.
*/

/*!
    \variable NamedPipeServerConnection::Failed
    \brief The same as NamedPipe::Failed.
*/
NamedPipeServerConnection::NamedPipeServerConnection(
        std::unique_ptr<NamedPipeServerConnectionPrivate> dd)
    : d(std::move(dd))
{
}

/*!
    Destroys the object. This happens when the last NamedPipeServerConnectionPtr to it is gone.
*/
NamedPipeServerConnection::~NamedPipeServerConnection() = default;

NamedPipeServerConnectionPtr NamedPipeServerConnectionPrivate::create(
        const std::shared_ptr<QtNamedPipes::PipeConnection> &connection)
{
    return NamedPipeServerConnectionPtr(new NamedPipeServerConnection(
            std::make_unique<NamedPipeServerConnectionPrivate>(connection)));
}

/*!
    \property NamedPipeServerConnection::customData
    \brief a place for the application's own data about this client.

    It is an invalid QVariant at first. The library never touches it.
*/
QVariant NamedPipeServerConnection::customData() const
{
    const std::lock_guard<std::mutex> lock(d->mutex);
    return d->customData;
}

void NamedPipeServerConnection::setCustomData(const QVariant &data)
{
    QVariant previous = data; // destroyed unlocked: its destructor may be the user's
    const std::lock_guard<std::mutex> lock(d->mutex);
    d->customData.swap(previous);
}

/*!
    Returns the number of this connection. Numbers are given in the order of arrival, from 1 on,
    anew with each NamedPipeServer::start(). Unlike handle, a number is not used twice in one run.
*/
quint64 NamedPipeServerConnection::id() const
{
    return d->connection->id();
}

/*!
    \property NamedPipeServerConnection::handle
    \brief the handle (Windows) or the file descriptor (Linux) of the connection.

    It is for diagnosis only: do not close it, read from it or write to it. It is -1 once it is
    released, at the latest when NamedPipeServer::clientDisconnected() is emitted.

    \sa id()
*/
qintptr NamedPipeServerConnection::handle() const
{
    return d->connection->handle();
}

/*!
    \property NamedPipeServerConnection::isConnected
    \brief whether messages can be sent on this connection.

    It is \c true from the arrival of the client. It turns \c false as soon as the client's drop is
    seen or the connection is being closed, before NamedPipeServer::clientDisconnected() is emitted.
    Messages that the client sent before may still come.

    \sa closeReason
*/
bool NamedPipeServerConnection::isConnected() const
{
    return d->connection->isConnected();
}

/*!
    \property NamedPipeServerConnection::isOpening
    \brief whether NamedPipeServer::clientConnected() is still to be emitted for this client.

    It is \c false in the slots of this signal, and when the client has left before. Only
    NamedPipeServer::connections() gives out connections for which it is \c true.
*/
bool NamedPipeServerConnection::isOpening() const
{
    return d->connection->isOpening();
}

/*!
    \property NamedPipeServerConnection::clientProcessId
    \brief the process that made the connection; 0 if unknown.

    It is what the system knew when the client connected. The process may have ended since then, its
    number may belong to another one, and the handle may have been passed on. It is a hint, not an
    identity.

    \sa clientUserId
*/
qint64 NamedPipeServerConnection::clientProcessId() const
{
    return d->connection->peer().processId;
}

/*!
    \property NamedPipeServerConnection::clientUserId
    \brief the user whose process made the connection, as text; empty if unknown.

    On Linux this is the uid that the kernel recorded for the connection, \c "1000" for instance.
    On Windows it is the SID of the user of clientProcessId, looked up when the client connected,
    and as much a hint as that: let NamedPipeServer::accessOptions decide who may connect.

    \sa clientProcessId, NamedPipeServer::accessOptions
*/
QString NamedPipeServerConnection::clientUserId() const
{
    return d->connection->peer().userId;
}

/*!
    \property NamedPipeServerConnection::bytesToWrite
    \brief the bytes of messages that wait to be accepted by the operating system.

    Use it to slow down before NamedPipeServer::maximumPendingWriteBytes is reached.

    \sa asyncWrite(), NamedPipeServer::clientMessageSent()
*/
qint64 NamedPipeServerConnection::bytesToWrite() const
{
    return d->connection->bytesToWrite();
}

/*!
    \property NamedPipeServerConnection::closeReason
    \brief the reason why the connection ended, or NamedPipe::StillOpen.

    \sa isConnected, NamedPipeServer::clientDisconnected()
*/
NamedPipe::CloseReason NamedPipeServerConnection::closeReason() const
{
    return d->connection->closeReason();
}

/*!
    Returns the counters of this connection. They stay as they are when it has ended.

    \sa NamedPipeServer::statistics()
*/
NamedPipe::Statistics NamedPipeServerConnection::statistics() const
{
    return d->connection->statistics();
}

/*!
    Asks for one message. It comes as NamedPipeServer::clientMessageReceived() with \a cookie.

    Each call is a request of its own; requests are served in the order of the calls. A request that
    is still open when the connection ends brings nothing.

    If NamedPipeServer::continuouslyReadFromPipe is \c false, this is the only way to get messages.
    If it is \c true, a request only gives the next message its cookie.

    \snippet server.cpp manual reads

    \sa NamedPipeServer::clientMessageReceived()
*/
void NamedPipeServerConnection::asyncRead(const QVariant &cookie)
{
    d->connection->read(cookie);
}

/*!
    Queues \a data as one message to the client. NamedPipeServer::clientMessageSent() with \a cookie
    follows when the operating system has accepted it.

    Returns \c true if the message was taken. Messages are sent in the order of the calls, each as
    a whole. The bytes are shared, not copied; the caller may change its own \a data at once. With
    empty \a data nothing is sent or emitted, and the result is \c true while the client is
    connected.

    Returns \c false if the message is not taken. NamedPipeServer::clientErrorOccurred() then
    reports why, unless NamedPipeServer::clientDisconnected() has been emitted:
    \list
    \li NamedPipe::NotConnected: isConnected is \c false;
    \li NamedPipe::WriteQueueFull: the queue would grow beyond
        NamedPipeServer::maximumPendingWriteBytes; or too many messages have been sent that
        NamedPipeServer::clientMessageSent() has not told yet, one for each 64 bytes of that property
        or 1024, because the thread that it comes on does not return to its event loop;
    \li NamedPipe::MessageTooLarge: the message is larger than the system can carry, which is
        2147483647 bytes on Windows and 4294967294 on Linux.
    \endlist

    The function never waits for the client. \a cookie is destroyed on the thread that is done with
    it, which may be a worker.

    \sa bytesToWrite, NamedPipeServer::asyncBroadcast()
*/
bool NamedPipeServerConnection::asyncWrite(const QByteArray &data, const QVariant &cookie)
{
    return d->connection->write(data, cookie, false);
}

/*!
    Closes the connection. NamedPipeServer::clientDisconnected() follows, and closeReason is
    NamedPipe::ClosedByServer.

    \a mode says what happens to messages that are queued and not sent yet. With
    NamedPipe::CancelPending they are dropped. With NamedPipe::SendPending they are sent first. If
    the client does not read them within 5 seconds, the rest is dropped, and
    NamedPipeServer::clientErrorOccurred() reports NamedPipe::ConnectionBroken.

    In both modes isConnected is \c false from now on, and messages from the client that were not
    delivered yet are discarded. What the operating system has accepted still reaches the client.

    \snippet server.cpp goodbye

    A second call does nothing, except that NamedPipe::CancelPending ends the waiting of
    NamedPipe::SendPending.

    \sa NamedPipeServer::stop()
*/
void NamedPipeServerConnection::asyncClose(NamedPipe::CloseMode mode)
{
    d->connection->close(mode);
}

void ServerConnectionFace::opened()
{
    Q_EMIT m_server->clientConnected(m_connection);
}

ServerConnectionFace::Listeners ServerConnectionFace::listeners() const
{
    return { m_server->d->wantsMessages, m_server->d->wantsBatches };
}

void ServerConnectionFace::messageReceived(const QVariant &cookie, const QByteArray &data)
{
    Q_EMIT m_server->clientMessageReceived(m_connection, cookie, data);
}

void ServerConnectionFace::messageBatchReceived(const NamedPipeMessageBatch &messages)
{
    Q_EMIT m_server->clientMessageBatchReceived(m_connection, messages);
}

void ServerConnectionFace::messageSent(const QVariant &cookie)
{
    Q_EMIT m_server->clientMessageSent(m_connection, cookie);
}

void ServerConnectionFace::errorOccurred(NamedPipe::Error error, const QString &message)
{
    Q_EMIT m_server->clientErrorOccurred(m_connection, error, message);
}

void ServerConnectionFace::closed()
{
    Q_EMIT m_server->clientDisconnected(m_connection);
}
