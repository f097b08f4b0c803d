// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "namedpipeclientconnection_p.h"

#include "core/connectionhub.h"

#include <QtCore/qmetaobject.h>
#include <QtCore/qscopeguard.h>

#include <utility>

using namespace QtNamedPipes;
using namespace std::chrono_literals;

// A connection that has held so long, or has brought a message, was a good one: the delays before
// the next begin with the shortest again.
static constexpr auto GoodConnection = 1s;

/*!
    \class NamedPipeClientConnection
    \inmodule QtNamedPipes
    \inheaderfile QtNamedPipes/NamedPipeClientConnection
    \brief The NamedPipeClientConnection class represents a connection to a server.

    NamedPipeClientManager::connectToServer() makes it. It is not connected yet then; connected()
    comes when it is, or errorOccurred() when that has failed. Messages are sent with asyncWrite(),
    and each message from the server comes as messageReceived().

    \snippet client.cpp connection

    Keep the pointer: when the last one is dropped, the connection is closed. For the same reason a
    slot that is connected to this object should not hold one; the example passes a plain pointer.

    All functions may be called on any thread, and return at once. The signals are emitted on the
    thread of the manager, from its event loop, or on a worker thread with
    NamedPipeClientManager::freeThreadingEvents. The object may outlive the manager, and is not
    connected any more then.

    \section1 The Life of a Connection

    connected() and disconnected() come in pairs, and everything else that a connection brings comes
    between them; only errorOccurred() may come outside. When a connection cannot be made,
    errorOccurred() says why, and no other signal follows.

    With NamedPipeClientManager::autoReconnect there can be many such pairs: after each
    disconnected() a new connection is made for the same object. See there.

    \sa NamedPipeClientManager, NamedPipeClientConnectionPtr
*/

/*!
    \typealias NamedPipeClientConnectionPtr
    \relates NamedPipeClientConnection

    A QSharedPointer to a NamedPipeClientConnection. Dropping the last one closes the connection.
*/

/*!
    \typealias NamedPipeClientConnection::CloseMode

    The same as NamedPipe::CloseMode.
*/

/*!
    \variable NamedPipeClientConnection::CancelPending
    \brief The same as NamedPipe::CancelPending.
*/

/*!
    \variable NamedPipeClientConnection::SendPending
    \brief The same as NamedPipe::SendPending.
*/

/*!
    \typealias NamedPipeClientConnection::CloseReason

    The same as NamedPipe::CloseReason.
*/

/*!
    \variable NamedPipeClientConnection::StillOpen
    \brief The same as NamedPipe::StillOpen.
*/

/*!
    \variable NamedPipeClientConnection::ClosedByClient
    \brief The same as NamedPipe::ClosedByClient.
*/

/*!
    \variable NamedPipeClientConnection::ClosedByServer
    \brief The same as NamedPipe::ClosedByServer.
*/

/*!
    \variable NamedPipeClientConnection::Failed
    \brief The same as NamedPipe::Failed.
*/

/*!
    \fn void NamedPipeClientConnection::connected()

    This signal is emitted when the connection is made. asyncWrite() takes messages from now on.

    \sa disconnected(), isConnected
*/

/*!
    \fn void NamedPipeClientConnection::disconnected()

    This signal is emitted once for each connected(), when the connection has ended and everything
    that it brought has been delivered. closeReason says why it ended.

    If NamedPipeClientManager::continuouslyReadFromPipe is \c false and the server has closed, this
    signal comes when everything that the server sent has been asked for with asyncRead().
    asyncClose() ends the wait.

    \sa connected()
*/

/*!
    \fn void NamedPipeClientConnection::messageReceived(const QVariant &cookie, const QByteArray &data)

    This signal is emitted for each message that came from the server.

    \a cookie is the one that was passed to asyncRead(). It is invalid when the message came without
    a request, because NamedPipeClientManager::continuouslyReadFromPipe is \c true. \a data is the
    whole message. It is empty when the server sent an empty message. A slot may keep it.

    \sa asyncRead(), messageBatchReceived()
*/

/*!
    \fn void NamedPipeClientConnection::messageBatchReceived(const NamedPipeMessageBatch &messages)

    This signal is emitted for messages that came together from the server: one emission for many,
    which is several times faster than messageReceived() when they are small. \a messages are valid
    until the slot returns: \l{NamedPipeMessageBatch}{copy} what you keep.

    It is used only when something is connected to it. All else is as
    NamedPipeServer::clientMessageBatchReceived() says.

    \sa messageReceived()
*/

/*!
    \fn void NamedPipeClientConnection::messageSent(const QVariant &cookie)

    This signal is emitted when the operating system has accepted a message for the server. It does
    not say that the server has read it. \a cookie is the one that was passed to asyncWrite(). The
    signals come in the order of the calls.

    Messages that are sent while nothing is connected to this signal are not reported later.

    \sa messageNotSent(), bytesToWrite
*/

/*!
    \fn void NamedPipeClientConnection::messageNotSent(const QVariant &cookie)

    This signal is emitted for each message that asyncWrite() has taken and that will not be sent
    any more, because the connection has ended. \a cookie is the one that was passed to
    asyncWrite(). The signals come in the order of the calls, when everything else that the
    connection brought has been delivered. disconnected() follows; only errorOccurred() may come in
    between.

    So every message that asyncWrite() has taken is answered by messageSent() or by this signal. No
    message is sent again by itself. To repeat what was not sent after a reconnect, let the cookie
    be the message, or a number that leads to it:

    \snippet client.cpp repeat unsent

    \sa messageSent(), NamedPipeClientManager::autoReconnect
*/

/*!
    \fn void NamedPipeClientConnection::errorOccurred(NamedPipe::Error error, const QString &message)

    This signal is emitted when something went wrong. \a error says what, and \a message says it to
    people.

    When the connection could not be made:
    \list
    \li NamedPipe::NameMissing or NamedPipe::NameInvalid: see NamedPipeServer::pipeName;
    \li NamedPipe::NotFound: no server has the name;
    \li NamedPipe::ConnectTimeout: the server was busy, or with
        NamedPipeClientManager::waitForServer there was none, for
        NamedPipeClientManager::connectTimeout milliseconds;
    \li NamedPipe::AccessDenied: the server does not let this user in, or it is not the user's own
        as NamedPipeClientManager::serverAccess demands;
    \li NamedPipe::Unsupported: what has the name does not send messages;
    \li NamedPipe::InvalidConfiguration: a property of the manager is out of its range, or the
        manager is in stop(), which has called this slot;
    \li NamedPipe::CompletionPortFailed, NamedPipe::ResourceExhausted and others: what the operating
        system reported.
    \endlist
    There is one of these, and no other signal; with NamedPipeClientManager::autoReconnect one for
    each kind, and the attempt goes on.

    When asyncWrite() has refused a message, which leaves the connection as it is:
    NamedPipe::NotConnected, NamedPipe::WriteQueueFull, NamedPipe::MessageTooLarge. If 1024 of these
    wait to be delivered, further ones are not kept; and of a message that is refused in a slot of
    the last signals of a connection nothing may be told.

    All other errors end the connection. There is at most one of these for each connection, and
    disconnected() follows:
    \list
    \li NamedPipe::ConnectionBroken, when the server closed before everything was sent that
        asyncWrite() had taken, or did not read until the deadline of NamedPipe::SendPending;
    \li NamedPipe::MessageTooLarge, when the server sent more than
        NamedPipeClientManager::maximumMessageSize;
    \li NamedPipe::TruncatedMessage, when the server closed in the middle of a message;
    \li NamedPipe::SystemError, when a slot threw an exception in free-threaded mode;
    \li what the operating system reported.
    \endlist
*/

NamedPipeClientConnection::NamedPipeClientConnection(
        std::unique_ptr<NamedPipeClientConnectionPrivate> dd)
    : d(std::move(dd))
{
}

/*!
    Closes the connection without a signal, or gives up making it. This happens when the last
    NamedPipeClientConnectionPtr is dropped, on the thread that drops it.

    Messages that are queued are still sent, as with NamedPipe::SendPending. Messages that were
    received and not delivered are dropped.
*/
NamedPipeClientConnection::~NamedPipeClientConnection()
{
    d->close(NamedPipe::SendPending);
}

/*!
    \property NamedPipeClientConnection::pipeName
    \brief the name of the pipe, as it was passed to NamedPipeClientManager::connectToServer().
*/
QString NamedPipeClientConnection::pipeName() const
{
    return d->pipeName;
}

/*!
    \property NamedPipeClientConnection::customData
    \brief a place for the application's own data about this connection.

    It is an invalid QVariant at first. The library never touches it.
*/
QVariant NamedPipeClientConnection::customData() const
{
    const std::lock_guard<std::mutex> lock(d->mutex);
    return d->customData;
}

void NamedPipeClientConnection::setCustomData(const QVariant &data)
{
    QVariant previous = data; // destroyed unlocked: its destructor may be the user's
    const std::lock_guard<std::mutex> lock(d->mutex);
    d->customData.swap(previous);
}

/*!
    \property NamedPipeClientConnection::handle
    \brief the handle (Windows) or the file descriptor (Linux) of the connection.

    It is for diagnosis only: do not close it, read from it or write to it. It is -1 while there is
    none.
*/
qintptr NamedPipeClientConnection::handle() const
{
    return d->connection()->handle();
}

/*!
    \property NamedPipeClientConnection::isConnected
    \brief whether messages can be sent.

    It turns \c true when the connection is made, before connected() is emitted. It turns \c false
    as soon as the server's drop is seen or the connection is being closed, before disconnected() is
    emitted. Messages that the server sent before may still come.

    \sa isOpening, closeReason
*/
bool NamedPipeClientConnection::isConnected() const
{
    return d->connection()->isConnected();
}

/*!
    \property NamedPipeClientConnection::isOpening
    \brief whether connected() is still to be emitted.

    It is \c true from the beginning. It is \c false in the slots of connected(), and as soon as the
    connection is known to fail, is dropped by the server, or is given up with asyncClose(). With
    NamedPipeClientManager::autoReconnect it turns \c true again after disconnected().
*/
bool NamedPipeClientConnection::isOpening() const
{
    return d->connection()->isOpening();
}

/*!
    \property NamedPipeClientConnection::serverProcessId
    \brief the process of the server; 0 if unknown or not connected yet.

    On Linux it is the process that called \c listen(). It is a hint, not an identity.

    \sa serverUserId
*/
qint64 NamedPipeClientConnection::serverProcessId() const
{
    return d->connection()->peer().processId;
}

/*!
    \property NamedPipeClientConnection::serverUserId
    \brief the user who runs the server, as text; empty if unknown or not connected yet.

    On Linux it is the uid that the kernel recorded when the server began to listen. On Windows it
    is the SID of the user of serverProcessId, and as much a hint as that. To be sure of the user,
    set NamedPipeClientManager::serverAccess.
*/
QString NamedPipeClientConnection::serverUserId() const
{
    return d->connection()->peer().userId;
}

/*!
    \property NamedPipeClientConnection::bytesToWrite
    \brief the bytes of messages that wait to be accepted by the operating system.

    Use it to slow down before NamedPipeClientManager::maximumPendingWriteBytes is reached.

    \sa asyncWrite(), messageSent()
*/
qint64 NamedPipeClientConnection::bytesToWrite() const
{
    return d->connection()->bytesToWrite();
}

/*!
    \property NamedPipeClientConnection::closeReason
    \brief the reason why the connection ended, or NamedPipe::StillOpen.

    NamedPipe::ClosedByClient stands for asyncClose() and for NamedPipeClientManager::stop(),
    NamedPipe::ClosedByServer for a server that has closed or ended, NamedPipe::Failed for an error,
    which errorOccurred() has reported; also when the connection could not be made.

    In the slots of disconnected() it is always the reason of this end. With
    NamedPipeClientManager::autoReconnect it turns to NamedPipe::StillOpen after them.
*/
NamedPipe::CloseReason NamedPipeClientConnection::closeReason() const
{
    return d->connection()->closeReason();
}

/*!
    Returns the counters of this connection. They stay as they are when it has ended, and count on
    with the next one if NamedPipeClientManager::autoReconnect is set.
*/
NamedPipe::Statistics NamedPipeClientConnection::statistics() const
{
    return d->statistics();
}

/*!
    Asks for one message. It comes as messageReceived() with \a cookie.

    Each call is a request of its own; requests are served in the order of the calls. A request may
    be made before the connection is. One that is still open when the connection ends brings
    nothing, nor does one that is made in the slots of disconnected(): ask in those of connected().

    If NamedPipeClientManager::continuouslyReadFromPipe is \c false, this is the only way to get
    messages. If it is \c true, a request only gives the next message its cookie.

    \sa messageReceived()
*/
void NamedPipeClientConnection::asyncRead(const QVariant &cookie)
{
    d->connection()->read(cookie);
}

/*!
    Queues \a data as one message to the server. messageSent() with \a cookie follows when the
    operating system has accepted it, messageNotSent() when the connection has ended before.

    Returns \c true if the message was taken. Messages are sent in the order of the calls, each as
    a whole. The bytes are shared, not copied; the caller may change its own \a data at once. With
    empty \a data nothing is sent or emitted, and the result is \c true while isConnected is.

    Returns \c false if the message is not taken. errorOccurred() then reports why, unless the
    connection has ended for good:
    \list
    \li NamedPipe::NotConnected: isConnected is \c false, for instance because connected() has not
        been emitted yet;
    \li NamedPipe::WriteQueueFull: the queue would grow beyond
        NamedPipeClientManager::maximumPendingWriteBytes; or too many messages have been sent that
        messageSent() has not told yet, one for each 64 bytes of that property or 1024, because the
        thread that it comes on does not return to its event loop;
    \li NamedPipe::MessageTooLarge: the message is larger than the system can carry, which is
        2147483647 bytes on Windows and 4294967294 on Linux.
    \endlist

    In the slots of disconnected() the result is \c false, too, without an error. Write in those of
    connected().

    \a cookie is destroyed on the thread that is done with it, which may be a worker.

    The function never waits for the server.

    \sa bytesToWrite
*/
bool NamedPipeClientConnection::asyncWrite(const QByteArray &data, const QVariant &cookie)
{
    return d->connection()->write(data, cookie, false);
}

/*!
    Closes the connection. disconnected() follows, and closeReason is NamedPipe::ClosedByClient. If
    connected() has not been emitted yet, it never will be, and no signal follows; unless messages
    have been taken by asyncWrite() already.

    \a mode says what happens to messages that are queued and not sent yet. With
    NamedPipe::CancelPending they are dropped; messageNotSent() tells of each. With
    NamedPipe::SendPending they are sent first. If the server does not read them within 5 seconds,
    the rest is dropped, and errorOccurred() reports NamedPipe::ConnectionBroken.

    In both modes isConnected is \c false from now on, and messages from the server that were not
    delivered yet are discarded. What the operating system has accepted still reaches the server.
    NamedPipeClientManager::autoReconnect does not make another connection.

    A server may still see a client that leaves at once when the connection was being made in this
    moment.

    A second call does nothing, except that NamedPipe::CancelPending ends the waiting of
    NamedPipe::SendPending.

    \sa NamedPipeClientManager::stop()
*/
void NamedPipeClientConnection::asyncClose(NamedPipe::CloseMode mode)
{
    d->close(mode);
}

/*!
    \reimp
*/
void NamedPipeClientConnection::connectNotify(const QMetaMethod &signal)
{
    static const QMetaMethod messageReceived =
            QMetaMethod::fromSignal(&NamedPipeClientConnection::messageReceived);
    static const QMetaMethod batchReceived =
            QMetaMethod::fromSignal(&NamedPipeClientConnection::messageBatchReceived);
    static const QMetaMethod messageSent =
            QMetaMethod::fromSignal(&NamedPipeClientConnection::messageSent);
    if (signal == messageReceived)
        d->wantsMessages = true;
    else if (signal == batchReceived)
        d->wantsBatches = true;
    else if (signal == messageSent)
        d->connection()->hub().setWantsMessageSent();
}

// --- The connections behind the object ---

NamedPipeClientConnectionPtr NamedPipeClientConnectionPrivate::create(
        const std::shared_ptr<ConnectionHub> &hub, const QString &name)
{
    return NamedPipeClientConnectionPtr(new NamedPipeClientConnection(
            std::make_unique<NamedPipeClientConnectionPrivate>(name, hub->newConnection())));
}

void NamedPipeClientConnectionPrivate::dial(const NamedPipeClientConnectionPtr &object,
                                            const DialSettings &settings)
{
    const auto connection = object->d->connection();
    object->d->m_settings = settings;
    connection->hub().dial(connection, std::make_unique<ClientConnectionFace>(object), settings);
}

void NamedPipeClientConnectionPrivate::fail(const NamedPipeClientConnectionPtr &object,
                                            const TransportError &error)
{
    object->d->connection()->dialFailed(error);
    dial(object, {});
}

std::shared_ptr<PipeConnection> NamedPipeClientConnectionPrivate::connection() const
{
    const std::lock_guard<std::mutex> lock(mutex);
    return m_connection;
}

void NamedPipeClientConnectionPrivate::close(NamedPipe::CloseMode mode)
{
    std::unique_lock<std::mutex> lock(mutex);
    m_isClosed = true;
    const auto connection = m_connection;
    lock.unlock();
    connection->close(mode);
}

NamedPipe::Statistics NamedPipeClientConnectionPrivate::statistics() const
{
    const std::lock_guard<std::mutex> lock(mutex);
    return m_past + m_connection->statistics();
}

void NamedPipeClientConnectionPrivate::reconnect(const NamedPipeClientConnectionPtr &object,
                                                 Clock::duration lifetime)
{
    std::shared_ptr<PipeConnection> ended; // let go of unlocked
    std::unique_lock<std::mutex> lock(mutex);
    ConnectionHub &hub = m_connection->hub();
    if (!m_settings.isPersistent || m_isClosed || m_connection->closeReason() == hub.stopReason())
        return;
    const NamedPipe::Statistics statistics = m_connection->statistics();
    m_past = m_past + statistics;
    if (lifetime >= GoodConnection || statistics.messagesReceived > 0)
        m_settings.delays->reset();
    m_settings.firstDelay = m_settings.delays->nextJittered();
    const auto next = hub.newConnection();
    ended = std::exchange(m_connection, next);
    const DialSettings settings = m_settings;
    lock.unlock();
    next->hub().dial(next, std::make_unique<ClientConnectionFace>(object), settings);
}

// --- Signals ---

void ClientConnectionFace::opened()
{
    m_openedAt = Clock::now();
    m_hasOpened = true;
    if (const auto connection = m_connection.toStrongRef())
        Q_EMIT connection->connected();
}

ClientConnectionFace::Listeners ClientConnectionFace::listeners() const
{
    const auto connection = m_connection.toStrongRef();
    if (!connection)
        return {};
    const auto &d = NamedPipeClientConnectionPrivate::of(connection);
    return { d.wantsMessages, d.wantsBatches };
}

void ClientConnectionFace::messageReceived(const QVariant &cookie, const QByteArray &data)
{
    if (const auto connection = m_connection.toStrongRef())
        Q_EMIT connection->messageReceived(cookie, data);
}

void ClientConnectionFace::messageBatchReceived(const NamedPipeMessageBatch &messages)
{
    if (const auto connection = m_connection.toStrongRef())
        Q_EMIT connection->messageBatchReceived(messages);
}

void ClientConnectionFace::messageSent(const QVariant &cookie)
{
    if (const auto connection = m_connection.toStrongRef())
        Q_EMIT connection->messageSent(cookie);
}

void ClientConnectionFace::messageNotSent(const QVariant &cookie)
{
    if (const auto connection = m_connection.toStrongRef())
        Q_EMIT connection->messageNotSent(cookie);
}

void ClientConnectionFace::errorOccurred(NamedPipe::Error error, const QString &message)
{
    if (const auto connection = m_connection.toStrongRef())
        Q_EMIT connection->errorOccurred(error, message);
}

void ClientConnectionFace::closed()
{
    const auto connection = m_connection.toStrongRef();
    if (!connection)
        return;
    const auto lifetime = m_hasOpened ? Clock::now() - m_openedAt : Clock::duration(0);
    const auto reconnect = qScopeGuard([&] { // also when a slot throws
        NamedPipeClientConnectionPrivate::of(connection).reconnect(connection, lifetime);
    });
    if (m_hasOpened)
        Q_EMIT connection->disconnected();
}
