// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "namedpipeserver_p.h"

#include "core/logging.h"
#include "core/pipename.h"
#include "core/ranges.h"
#include "namedpipeserverconnection_p.h"

#include <QtCore/qcoreapplication.h>
#include <QtCore/qcoreevent.h>
#include <QtCore/qeventloop.h>
#include <QtCore/qmetaobject.h>
#include <QtCore/qpointer.h>
#include <QtCore/qthread.h>

#include <climits>
#include <utility>

using namespace QtNamedPipes;

static QEvent::Type leaveEvent()
{
    static const int type = QEvent::registerEventType();
    return QEvent::Type(type);
}

/*!
    \class NamedPipeServer
    \inmodule QtNamedPipes
    \inheaderfile QtNamedPipes/NamedPipeServer
    \brief The NamedPipeServer class hosts one named pipe in message mode for any number of clients.

    Give the server a pipeName, connect to its signals and call start(). Every client has a
    NamedPipeServerConnection, and every signal about this client passes the same object on. This
    server answers each message with itself:

    \snippet echo_server.cpp program

    For each client there is one clientConnected() and one clientDisconnected(), in this order, and
    all other signals about the client come between them. What a client sent before it closed is
    delivered before clientDisconnected(), also when it closed at once.

    Properties are read by start(). A change while the server runs takes effect at the next start,
    except for continuouslyReadFromPipe. No setter fails: a value out of range makes start() fail.

    \section1 Threads

    A server belongs to the thread that it lives in, like every QObject. Do not move it to another
    thread while it runs. These functions may be called on any thread: stop(), asyncBroadcast(),
    manualMessageLoopLeave(), connections(), connectionCount(), statistics(), error(),
    errorString(), isRunning() and the accessors of continuouslyReadFromPipe. Every function of
    NamedPipeServerConnection may be, too.

    \section2 Marshalled delivery

    This is the default. Every signal is emitted on the server's thread from its event loop, and
    never inside a call of yours, except that stop() delivers what there is to deliver. Events are
    handed over in batches and emitted in slices of 1.5 milliseconds; between them timers, painting
    and input have their turn, however much the clients send. A program without an event loop of its
    own can use manualMessageLoopEnter().

    Messages that are written in a slot of clientMessageReceived(), to the connection that it was
    called for, are sent together when more messages of this connection are about to be delivered.
    They go out at the latest when the batch is done.

    \section2 Free-threaded delivery

    With freeThreadingEvents the signals serverReady(), errorOccurred() and all those with a
    connection are emitted on the worker thread that saw the event. No event loop is needed. Connect
    with Qt::DirectConnection, or to a function without a context object; with Qt::AutoConnection
    Qt takes the event to the thread of the receiver.

    \snippet server.cpp free-threaded

    The events of one connection never overlap and keep their order, whatever numThreadsIOCP is.
    Different connections are served in parallel. A slot that blocks holds up its own connection
    only, for as long as a worker is free. A slot that throws an exception closes its connection:
    clientErrorOccurred() reports NamedPipe::SystemError.

    stop() waits for the slots. So a slot must not wait for the server's thread, which
    Qt::BlockingQueuedConnection would do. Stop the server before anything is destroyed that its
    slots use. For a subclass with such slots this means to call stop() in its own destructor: the
    destructor of this class comes after its members are gone.

    \section1 Memory and Back Pressure

    Memory is bounded for each connection, whatever the client and the slots do:
    \list
    \li maximumPendingReadBytes: when so much is received and not yet delivered, the server stops
        reading from this client until half of it is delivered. The client feels that nobody reads.
    \li maximumPendingWriteBytes: when so much is queued, NamedPipeServerConnection::asyncWrite()
        returns \c false, and clientErrorOccurred() reports NamedPipe::WriteQueueFull. It limits the
        number of messages as well, those included that were sent and that clientMessageSent() has
        not told yet.
    \li maximumMessageSize: a larger message closes the connection of the client that sent it.
    \endlist

    A message of any allowed size passes both limits when nothing else is pending. A large message
    gets memory for the bytes that have arrived, and not for the size that it announces.

    \section1 Errors

    A start() that fails says so by its return value, error() and errorString(). errorOccurred()
    reports trouble of the server itself, clientErrorOccurred() that of one client. A client that
    misbehaves is no error of the server, and the server never stops by itself: when it cannot let
    clients in for want of memory or descriptors, it reports this once and goes on trying.

    \section1 Differences Between the Systems

    \table
    \header \li \li Windows \li Linux
    \row \li fullPipeName
         \li \c {\\.\pipe\Name}
         \li \c {QDir::tempPath()/Name}, a socket file
    \row \li Longest name
         \li 247 characters
         \li 107 bytes for the whole path
    \row \li Boundaries of messages
         \li Kept by the system
         \li A 32-bit big-endian length before each message, as QDataStream writes a QByteArray
    \row \li Largest message sent
         \li 2147483647 bytes
         \li 4294967294 bytes
    \row \li Largest message received
         \li What the other side can write at once, less than 4 GiB
         \li 4294967294 bytes
    \row \li maxConnections reached
         \li One more client connects and waits; the others get \c ERROR_PIPE_BUSY
         \li Clients wait in the backlog
    \row \li securityDescriptor
         \li Used
         \li Ignored, with a warning
    \endtable

    On both systems a QLocalSocket that connects to the pipe name finds the server.

    The library logs warnings only. \c {QT_LOGGING_RULES="qtnamedpipes.*=true"} shows every
    transition of every connection.

    \sa NamedPipeServerConnection, NamedPipe
*/

/*!
    \typealias NamedPipeServer::AccessOption

    The same as NamedPipe::AccessOption.
*/

/*!
    \typealias NamedPipeServer::AccessOptions

    The same as NamedPipe::AccessOptions.
*/

/*!
    \variable NamedPipeServer::UserAccess
    \brief The same as NamedPipe::UserAccess.
*/

/*!
    \variable NamedPipeServer::GroupAccess
    \brief The same as NamedPipe::GroupAccess.
*/

/*!
    \variable NamedPipeServer::OtherAccess
    \brief The same as NamedPipe::OtherAccess.
*/

/*!
    \variable NamedPipeServer::WorldAccess
    \brief The same as NamedPipe::WorldAccess.
*/

/*!
    \fn void NamedPipeServer::serverReady()

    This signal is emitted once for each start(), when every worker thread runs and the pipe exists.
    It comes before any signal about a client.

    In marshalled mode it comes from the event loop after start() has returned. In free-threaded
    mode it comes on a worker, maybe before start() has returned, and clients are let in when its
    slots have returned.

    \sa start(), stopped()
*/

/*!
    \fn void NamedPipeServer::clientConnected(const NamedPipeServerConnectionPtr &connection)

    This signal is emitted when a client has connected. It is the first one with this \a connection.

    The client may have closed its end already: then NamedPipeServerConnection::isConnected is
    \c false, and clientDisconnected() follows.

    \snippet server.cpp welcome

    \sa clientDisconnected(), connections()
*/

/*!
    \fn void NamedPipeServer::clientDisconnected(const NamedPipeServerConnectionPtr &connection)

    This signal is emitted once for each clientConnected(). It is the last one with this
    \a connection. Its handle is closed by then. NamedPipeServerConnection::closeReason says why it
    ended.

    The object stays valid for as long as somebody keeps the pointer. Its functions do nothing any
    more.

    If continuouslyReadFromPipe is \c false and the client has closed its end, this signal comes
    when everything that the client sent has been asked for with
    NamedPipeServerConnection::asyncRead(). NamedPipeServerConnection::asyncClose() ends the wait.

    \sa clientConnected()
*/

/*!
    \fn void NamedPipeServer::clientMessageReceived(const NamedPipeServerConnectionPtr &connection, const QVariant &cookie, const QByteArray &data)

    This signal is emitted for each message that came from the client of \a connection.

    \a cookie is the one that was passed to NamedPipeServerConnection::asyncRead(). It is invalid
    when the message came without a request, because continuouslyReadFromPipe is \c true. \a data is
    the whole message. It is empty when the client sent an empty message. A slot may keep it.

    \sa NamedPipeServerConnection::asyncRead(), maximumPendingReadBytes,
        clientMessageBatchReceived()
*/

/*!
    \fn void NamedPipeServer::clientMessageBatchReceived(const NamedPipeServerConnectionPtr &connection, const NamedPipeMessageBatch &messages)

    This signal is emitted for messages that came together from the client of \a connection: one
    emission for up to some thousand of them, while clientMessageReceived() takes one for each. With messages
    of some 10 to 200 bytes the emission is most of the work, and this signal is several times
    faster. With larger ones, or few of them, it makes no difference.

    \a messages are whole and in order. They are views into the read buffer and valid until the slot
    returns: \l{NamedPipeMessageBatch}{copy} what you keep. A queued connection gets a copy.

    \snippet server.cpp batches

    Batches are made only when something is connected to this signal. The number of messages in one
    follows the speed of the slot, so that the event loop stays smooth with a slow one, too. Messages
    that the slot writes to \a connection are sent together, at the latest when it has returned.

    It tells of messages that nobody asked for: those that NamedPipeServerConnection::asyncRead() has
    asked for come with clientMessageReceived() and their cookie only. If clientMessageReceived() is
    connected as well, it is emitted after this signal for each of the same messages.

    \sa clientMessageReceived(), continuouslyReadFromPipe
*/

/*!
    \fn void NamedPipeServer::clientMessageSent(const NamedPipeServerConnectionPtr &connection, const QVariant &cookie)

    This signal is emitted when the operating system has accepted a message for the client of
    \a connection. It does not say that the client has read it. \a cookie is the one that was passed
    to NamedPipeServerConnection::asyncWrite() or asyncBroadcast().

    The signals come in the order of the calls. There is none for a message that is dropped.
    Messages that are sent while nothing is connected to this signal are not reported later.

    \sa NamedPipeServerConnection::bytesToWrite
*/

/*!
    \fn void NamedPipeServer::clientErrorOccurred(const NamedPipeServerConnectionPtr &connection, NamedPipe::Error error, const QString &message)

    This signal is emitted when something went wrong with \a connection. \a error says what, and
    \a message says it to people.

    These errors refuse one message and leave the connection as it is:
    \list
    \li NamedPipe::WriteQueueFull and NamedPipe::MessageTooLarge, when
        NamedPipeServerConnection::asyncWrite() or asyncBroadcast() refuses a message;
    \li NamedPipe::NotConnected, when NamedPipeServerConnection::asyncWrite() is called after the
        drop was seen.
    \endlist
    Each refusal is reported. Only if 1024 of them wait to be delivered, further ones are not kept;
    and of a message that is refused in a slot of the last signals of a connection nothing may be
    told.

    All other errors end the connection. There is at most one of these for each connection, and
    clientDisconnected() follows:
    \list
    \li NamedPipe::ConnectionBroken, when the client closed before everything was sent that
        NamedPipeServerConnection::asyncWrite() had taken (messages of asyncBroadcast() do not
        count), or did not read until the deadline of NamedPipe::SendPending or stopWhenSent();
    \li NamedPipe::MessageTooLarge, when the client sent more than maximumMessageSize;
    \li NamedPipe::TruncatedMessage, when the client closed in the middle of a message;
    \li NamedPipe::SystemError, when a slot threw an exception in free-threaded mode;
    \li what the operating system reported.
    \endlist

    \sa errorOccurred()
*/

/*!
    \fn void NamedPipeServer::stopped()

    This signal is emitted at the end of stop(), on the server's thread. It is the last one of the
    run. start() may be called in its slots.

    \sa stop(), serverReady()
*/

/*!
    \fn void NamedPipeServer::errorOccurred(NamedPipe::Error error, const QString &message)

    This signal is emitted when something went wrong with the server itself. \a error says what, and
    \a message says it to people. Both stay available from error() and errorString().

    For a start() that failed it is emitted once, from the event loop of the server's thread. While
    the server runs it says that clients cannot be let in at the moment. This is reported once for
    each episode; the server goes on trying, with up to a second between tries.

    \sa clientErrorOccurred()
*/

/*!
    Constructs a server without a pipe name, as a child of \a parent. It does not run yet.

    \sa setPipeName(), start()
*/
NamedPipeServer::NamedPipeServer(QObject *parent)
    : QObject(parent),
      d(std::make_unique<NamedPipeServerPrivate>(this))
{
}

/*!
    Constructs a server for the pipe \a pipeName, as a child of \a parent. It does not run yet.

    \sa start()
*/
NamedPipeServer::NamedPipeServer(const QString &pipeName, QObject *parent) : NamedPipeServer(parent)
{
    d->pipeName = pipeName;
}

/*!
    Stops the server and destroys it. No signal is emitted. Messages that are not sent yet are
    dropped, and so are events that are not delivered yet.

    A server may be destroyed inside any slot that it has called. For a slot that runs on a worker,
    with freeThreadingEvents, this is so only while the server's own thread does nothing with the
    server and has no event for it: as with every QObject, nothing protects the one thread from the
    other.

    \sa stop(), stopWhenSent()
*/
NamedPipeServer::~NamedPipeServer()
{
    if (const auto hub = d->hub())
        hub->abandon();
    const std::lock_guard<std::mutex> lock(d->messageLoop->mutex);
    if (d->messageLoop->loop)
        d->messageLoop->loop->quit();
}

// --- Properties ---

template<typename T>
void NamedPipeServerPrivate::set(T &property, const T &value, void (NamedPipeServer::*changed)())
{
    if (property == value)
        return;
    property = value;
    Q_EMIT(q->*changed)();
}

/*!
    \property NamedPipeServer::pipeName
    \brief the name that the pipe is published under.

    Give the last part only: \c {Name}, not \c {\\.\pipe\Name}. The default is an empty name, with
    which start() fails (NamedPipe::NameMissing).

    A name is valid Unicode text without \c {\}, \c {/} and control characters. It cannot begin or
    end with a dot or a space, where a space is any white space of Unicode. On Windows it has at most
    247 characters. On Linux the path of the socket has at most 107 bytes. With a name that breaks
    these rules start() fails (NamedPipe::NameInvalid).

    \sa fullPipeName
*/
QString NamedPipeServer::pipeName() const
{
    return d->pipeName;
}

void NamedPipeServer::setPipeName(const QString &name)
{
    const bool isMoved = !d->hub() && name != d->pipeName;
    const QPointer<NamedPipeServer> alive(this);
    d->set(d->pipeName, name, &NamedPipeServer::pipeNameChanged);
    if (alive && isMoved)
        Q_EMIT fullPipeNameChanged();
}

/*!
    \property NamedPipeServer::continuouslyReadFromPipe
    \brief whether messages are read and delivered without being asked for.

    The default is \c true: every message of every client comes as clientMessageReceived(), without
    a cookie unless NamedPipeServerConnection::asyncRead() has asked for it.

    If it is \c false, each message has to be asked for with NamedPipeServerConnection::asyncRead().
    As long as nobody asks, a client that goes on sending finds that nobody reads.

    The property may be changed while the server runs, on any thread; its notifier signal is then
    emitted on that thread. Messages are matched with requests when they are delivered: once it is
    set to \c false in a slot of clientMessageReceived(), no further message of that connection
    comes unasked. When it is set to \c true again, the messages that were received meanwhile are
    delivered.

    \sa NamedPipeServerConnection::asyncRead()
*/
bool NamedPipeServer::continuouslyReadFromPipe() const
{
    return d->continuouslyReadFromPipe;
}

void NamedPipeServer::setContinuouslyReadFromPipe(bool on)
{
    if (d->continuouslyReadFromPipe.exchange(on) == on)
        return;
    if (const auto hub = d->hub())
        hub->followReading([this] { return continuouslyReadFromPipe(); });
    Q_EMIT continuouslyReadFromPipeChanged();
}

/*!
    \property NamedPipeServer::freeThreadingEvents
    \brief whether signals are emitted on the worker threads.

    The default is \c false: signals are emitted on the server's thread. See
    \l {NamedPipeServer#Threads}{Threads} for both ways. The property is read by start().

    \sa numThreadsIOCP
*/
bool NamedPipeServer::freeThreadingEvents() const
{
    return d->freeThreadingEvents;
}

void NamedPipeServer::setFreeThreadingEvents(bool on)
{
    d->set(d->freeThreadingEvents, on, &NamedPipeServer::freeThreadingEventsChanged);
}

/*!
    \property NamedPipeServer::messageBufferSize
    \brief the size of the buffers that messages are read into, in bytes.

    The default is 131072 (128 KiB). The property is read by start(); it can be from 1 byte to 1
    GiB, and on Linux a size below 8192 bytes counts as 8192. It does not limit the size of a
    message: a larger one is put together in memory of its own.

    \sa maximumMessageSize
*/
int NamedPipeServer::messageBufferSize() const
{
    return d->messageBufferSize;
}

void NamedPipeServer::setMessageBufferSize(int bytes)
{
    d->set(d->messageBufferSize, bytes, &NamedPipeServer::messageBufferSizeChanged);
}

/*!
    \property NamedPipeServer::numThreadsIOCP
    \brief the number of worker threads.

    The default is 1, which is enough unless slots on the workers take long. The property is read by
    start(); it can be from 1 to 256. The workers wait at the completion port (Windows) or the epoll
    instance (Linux). More of them let the slots of different connections run in parallel if
    freeThreadingEvents is \c true.

    \sa freeThreadingEvents
*/
int NamedPipeServer::numThreadsIOCP() const
{
    return d->numThreadsIOCP;
}

void NamedPipeServer::setNumThreadsIOCP(int threads)
{
    d->set(d->numThreadsIOCP, threads, &NamedPipeServer::numThreadsIOCPChanged);
}

/*!
    \property NamedPipeServer::listenBacklogSize
    \brief the number of clients that can connect at the same moment.

    The default is 16. The property is read by start(); it can be from 1 to 65535. On Windows it
    is the number of pipe instances that are kept waiting for clients; a client that finds none
    gets \c ERROR_PIPE_BUSY. On Linux it is the backlog of \c listen(), which the system may limit
    further (\c net.core.somaxconn).

    \sa maxConnections
*/
int NamedPipeServer::listenBacklogSize() const
{
    return d->listenBacklogSize;
}

void NamedPipeServer::setListenBacklogSize(int clients)
{
    d->set(d->listenBacklogSize, clients, &NamedPipeServer::listenBacklogSizeChanged);
}

/*!
    \property NamedPipeServer::maxConnections
    \brief the number of clients that are let in at a time; 0 for no limit.

    The default is 0. The property is read by start().

    When the limit is reached, further clients are not let in until another one has left; nothing
    is reported for them. On Linux they wait in the backlog. On Windows one of them can connect
    and then waits, and the others get \c ERROR_PIPE_BUSY.

    \sa listenBacklogSize, connectionCount()
*/
int NamedPipeServer::maxConnections() const
{
    return d->maxConnections;
}

void NamedPipeServer::setMaxConnections(int connections)
{
    d->set(d->maxConnections, connections, &NamedPipeServer::maxConnectionsChanged);
}

/*!
    \property NamedPipeServer::maximumMessageSize
    \brief the size of the largest message that a client may send, in bytes; 0 for no limit.

    The default is 0: what the system can carry, which is 4294967294 bytes on Linux, and on Windows
    what a client can write at once, less than 4 GiB. The property is read by start().

    A larger message closes the connection: clientErrorOccurred() reports
    NamedPipe::MessageTooLarge, and clientDisconnected() follows. Messages before it are delivered.
    Set a limit if the clients are not trusted: the memory for a message in assembly is not part of
    maximumPendingReadBytes.

    \sa maximumPendingReadBytes
*/
qint64 NamedPipeServer::maximumMessageSize() const
{
    return d->maximumMessageSize;
}

void NamedPipeServer::setMaximumMessageSize(qint64 bytes)
{
    d->set(d->maximumMessageSize, bytes, &NamedPipeServer::maximumMessageSizeChanged);
}

/*!
    \property NamedPipeServer::maximumPendingReadBytes
    \brief the number of bytes of one connection that may be received and not yet delivered.

    The default is 1048576 (1 MiB). The property is read by start(); it is 1 at least.

    When the limit is reached the server reads no more from this client until less than half of it
    is left to deliver. A message of any allowed size is read when nothing else is pending, so that
    a small limit blocks nobody. A message counts with its bytes and 32 more, for its place in
    memory: many tiny messages are limited like few large ones.

    \sa maximumMessageSize, maximumPendingWriteBytes
*/
qint64 NamedPipeServer::maximumPendingReadBytes() const
{
    return d->maximumPendingReadBytes;
}

void NamedPipeServer::setMaximumPendingReadBytes(qint64 bytes)
{
    d->set(d->maximumPendingReadBytes, bytes, &NamedPipeServer::maximumPendingReadBytesChanged);
}

/*!
    \property NamedPipeServer::maximumPendingWriteBytes
    \brief the number of bytes that may be queued for one connection and not yet sent.

    The default is 67108864 (64 MiB). The property is read by start(); it is 1 at least.

    NamedPipeServerConnection::asyncWrite() refuses a message that would go beyond the limit. When
    nothing is queued it takes a message of any size. The number of queued messages is limited, too,
    to one for each 64 bytes of the limit or thereabouts. As many, and 1024 at least, may have been
    sent without clientMessageSent() having told of them: when something is connected to it, a thread
    that writes for long without returning to its event loop is refused in the end.

    \sa NamedPipeServerConnection::bytesToWrite
*/
qint64 NamedPipeServer::maximumPendingWriteBytes() const
{
    return d->maximumPendingWriteBytes;
}

void NamedPipeServer::setMaximumPendingWriteBytes(qint64 bytes)
{
    d->set(d->maximumPendingWriteBytes, bytes, &NamedPipeServer::maximumPendingWriteBytesChanged);
}

/*!
    \property NamedPipeServer::accessOptions
    \brief the users who may connect.

    The default is NamedPipe::UserAccess: only the user who runs the server, and on Windows SYSTEM
    and the administrators. Clients on other machines are always refused. The property is read by
    start().

    On Windows the options become the access list of the pipe; a client can never create an instance
    of it. On Linux they become the mode of the socket file, and the user and the groups of a client
    are checked once more when it connects. Clients that this second look turns away are counted by
    NamedPipe::ServerStatistics::connectionsRefused.

    \sa securityDescriptor, NamedPipeServerConnection::clientUserId
*/
NamedPipe::AccessOptions NamedPipeServer::accessOptions() const
{
    return d->accessOptions;
}

void NamedPipeServer::setAccessOptions(NamedPipe::AccessOptions options)
{
    d->set(d->accessOptions, options, &NamedPipeServer::accessOptionsChanged);
}

/*!
    \property NamedPipeServer::securityDescriptor
    \brief a security descriptor for the pipe, in SDDL. Windows only.

    The default is an empty string. If it is not empty, it is used instead of accessOptions. The
    property is read by start(), which fails with NamedPipe::InvalidConfiguration if the text is not
    valid. Leave \c FILE_CREATE_PIPE_INSTANCE (0x4) to the server's own user, who needs it: whoever
    has this right can pose as the server.

    On Linux a text that is not empty is ignored, with a warning.

    \sa accessOptions
*/
QString NamedPipeServer::securityDescriptor() const
{
    return d->securityDescriptor;
}

void NamedPipeServer::setSecurityDescriptor(const QString &sddl)
{
    d->set(d->securityDescriptor, sddl, &NamedPipeServer::securityDescriptorChanged);
}

/*!
    \property NamedPipeServer::isRunning
    \brief whether the server has been started and not stopped.

    It is \c false from the beginning of stop(), also in the slots that stop() calls. It may be read
    on any thread.

    The notifier signal comes on the server's thread in both ways of delivery: at the end of a start()
    that works, before the function returns, and at the end of stop(), right before stopped(). For a
    start() that fails there is none.

    \sa start(), stop()
*/
bool NamedPipeServer::isRunning() const
{
    return d->isRunning.load(std::memory_order_acquire);
}

/*!
    \property NamedPipeServer::fullPipeName
    \brief the place of the pipe: \c {\\.\pipe\Name} on Windows, the path of the socket on Linux.

    The socket of the pipe \c Name is \c {QDir::tempPath()/Name}. A QLocalSocket takes either this
    text or pipeName. It is empty if pipeName is.

    It is made from pipeName. From start() to the end of stop() it is the place where the server is,
    also when pipeName has been changed meanwhile; it follows this change at the end of stop().

    \sa pipeName
*/
QString NamedPipeServer::fullPipeName() const
{
    const QString &name = d->hub() ? d->servedName : d->pipeName;
    return name.isEmpty() ? QString() : platformPipePath(name);
}

/*!
    Returns the last error of the server itself, or NamedPipe::NoError. It is reset when start()
    finds nothing wrong with the properties.

    This function may be called on any thread.

    \sa errorString(), errorOccurred()
*/
NamedPipe::Error NamedPipeServer::error() const
{
    const std::lock_guard<std::mutex> lock(d->mutex);
    return d->error;
}

/*!
    Returns a text for error() for people. It names the operation and the native code if the
    operating system reported the error. It is empty if there was none.

    This function may be called on any thread.

    \sa error(), errorOccurred()
*/
QString NamedPipeServer::errorString() const
{
    const std::lock_guard<std::mutex> lock(d->mutex);
    return d->errorString;
}

/*!
    Returns the clients that are connected at this moment, in the order of their arrival. It is a
    snapshot: any of them may have left when the function returns. A client for which
    clientConnected() has not been emitted yet may be among them; its
    NamedPipeServerConnection::isOpening is \c true.

    This function may be called on any thread.

    \sa connectionCount(), asyncBroadcast()
*/
QList<NamedPipeServerConnectionPtr> NamedPipeServer::connections() const
{
    QList<NamedPipeServerConnectionPtr> list;
    if (const auto hub = d->hub()) {
        for (const auto &connection : hub->connections()) {
            if (const auto object = connection->object())
                list.append(qSharedPointerCast<NamedPipeServerConnection>(object));
        }
    }
    return list;
}

/*!
    Returns the number of clients that are connected at this moment.

    This function may be called on any thread.

    \sa connections(), maxConnections
*/
int NamedPipeServer::connectionCount() const
{
    const auto hub = d->hub();
    return hub ? hub->connectionCount() : 0;
}

/*!
    Returns the counters of this run, or of the last one if the server does not run.

    This function may be called on any thread.

    \sa NamedPipeServerConnection::statistics()
*/
NamedPipe::ServerStatistics NamedPipeServer::statistics() const
{
    if (const auto hub = d->hub())
        return hub->statistics();
    const std::lock_guard<std::mutex> lock(d->mutex);
    return d->lastStatistics;
}

// --- Start and stop ---

std::shared_ptr<ConnectionHub> NamedPipeServerPrivate::hub() const
{
    const std::lock_guard<std::mutex> lock(mutex);
    return currentHub;
}

void NamedPipeServerPrivate::setHub(std::shared_ptr<ConnectionHub> hub)
{
    const std::lock_guard<std::mutex> lock(mutex);
    if (currentHub)
        lastStatistics = currentHub->statistics();
    currentHub.swap(hub);
}

void NamedPipeServerPrivate::setError(NamedPipe::Error code, const QString &text)
{
    const std::lock_guard<std::mutex> lock(mutex);
    error = code;
    errorString = text;
}

bool NamedPipeServerPrivate::isOnServersThread(const char *function) const
{
    if (QThread::currentThread() == q->thread())
        return true;
    qCWarning(lcServer, "NamedPipeServer::%s() can be called on the server's thread only",
              function);
    return false;
}

/// Every number that start() reads, against its range.
TransportError NamedPipeServerPrivate::checkConfiguration() const
{
    if (const TransportError nameError =
                checkPipeName(pipeName,
                              NamedPipeServer::tr("cannot start without specifying a pipe name")))
        return nameError;
    return checkRanges({
            { "messageBufferSize", messageBufferSize, 1, LargestBuffer },
            { "numThreadsIOCP", numThreadsIOCP, 1, MostThreads },
            { "listenBacklogSize", listenBacklogSize, 1, 65535 },
            { "maxConnections", maxConnections, 0, INT_MAX },
            { "maximumMessageSize", maximumMessageSize, 0, LLONG_MAX },
            { "maximumPendingReadBytes", maximumPendingReadBytes, 1, LLONG_MAX },
            { "maximumPendingWriteBytes", maximumPendingWriteBytes, 1, LLONG_MAX },
            { "accessOptions", qint64(accessOptions), NamedPipe::UserAccess,
              NamedPipe::WorldAccess },
    });
}

/// start() has failed: known at once, told from the event loop.
bool NamedPipeServerPrivate::fail(const TransportError &failure)
{
    const QString text = failure.text();
    setError(failure.error, text);
    QMetaObject::invokeMethod(
            q, [this, code = failure.error, text] { Q_EMIT q->errorOccurred(code, text); },
            Qt::QueuedConnection);
    return false;
}

/*!
    Starts the server and returns \c true; a client may connect from this moment on. What it sends
    is kept until the event loop delivers it. serverReady() is emitted once for each start.

    Returns \c false if the server cannot start. error() and errorString() then say why, and
    errorOccurred() is emitted once from the event loop:
    \list
    \li NamedPipe::NameMissing or NamedPipe::NameInvalid: see pipeName;
    \li NamedPipe::NameInUse: a running server has the name;
    \li NamedPipe::InvalidConfiguration: a property is out of its range, or the server is still in
        stop(), which has called this slot;
    \li NamedPipe::CompletionPortFailed, NamedPipe::AccessDenied, NamedPipe::ResourceExhausted and
        others: the operating system refused.
    \endlist

    Does nothing and returns \c true if the server runs. A server can be started and stopped any
    number of times. The socket file of a server that crashed is taken over.

    Call it on the server's thread only; on another one it returns \c false with a warning.

    \sa stop(), isRunning
*/
bool NamedPipeServer::start()
{
    if (!d->isOnServersThread("start"))
        return false;
    if (isRunning())
        return true;
    if (d->hub())
        return d->fail(
                { NamedPipe::InvalidConfiguration, 0, "",
                  tr("the server is still stopping; start it when stopped() has been emitted") });
    if (const TransportError error = d->checkConfiguration())
        return d->fail(error);

    EngineSettings engine;
    engine.threads = d->numThreadsIOCP;
    engine.maximumMessageSize = d->maximumMessageSize;
    HubSettings settings;
    settings.freeThreaded = d->freeThreadingEvents;
    settings.maxConnections = d->maxConnections;
    settings.maximumPendingReadBytes = d->maximumPendingReadBytes;
    settings.maximumPendingWriteBytes = d->maximumPendingWriteBytes;
    const auto hub =
            std::make_shared<ConnectionHub>(d.get(), this,
                                            createPlatformEngine(engine, d->messageBufferSize),
                                            settings, true);
    d->setError(NamedPipe::NoError, QString());
    d->setHub(hub); // before the first slot can run on a worker
    // After it: what other threads change from now on they tell the hub.
    hub->followReading([this] { return continuouslyReadFromPipe(); });
    if (d->wantsMessageSent)
        hub->setWantsMessageSent();
    d->servedName = d->pipeName;
    d->isRunning = true;

    ListenSettings listen;
    listen.name = d->pipeName;
    listen.backlog = d->listenBacklogSize;
    listen.access = d->accessOptions;
    listen.securityDescriptor = d->securityDescriptor;
    if (const TransportError error = hub->listen(listen)) {
        d->isRunning = false;
        d->setHub(nullptr);
        return d->fail(error);
    }
    Q_EMIT runningChanged();
    return true;
}

/*!
    Closes all connections and stops the server. When the function returns, no worker thread runs,
    no handle of the server is open, the name is free, and no further signal comes.

    Messages that were received are delivered before that, inside this function, as are all other
    events and one clientDisconnected() for each connection; then stopped() is emitted. Messages
    that nobody asked for are dropped if continuouslyReadFromPipe is \c false. Messages that are
    not sent yet are dropped without an error; see stopWhenSent(). The function takes the time of
    the slots that it calls, and at most a second beyond that, whatever the clients do.
    NamedPipeServerConnection::asyncWrite() returns \c false in these slots.

    It may be called in a slot of the server. On another thread than the server's, for instance in a
    free-threaded slot, it returns at once, and the server is stopped from the event loop of its
    thread. Does nothing if the server does not run.

    This function may be called on any thread.

    \sa start(), stopped(), stopWhenSent()
*/
void NamedPipeServer::stop()
{
    const auto hub = d->hub();
    if (!hub)
        return;
    if (QThread::currentThread() != thread()) {
        // A worker cannot wait for itself, and events belong on the server's thread.
        QMetaObject::invokeMethod(
                this,
                [this, stopped = std::weak_ptr<ConnectionHub>(hub)] {
                    if (d->hub() == stopped.lock())
                        stop();
                },
                Qt::QueuedConnection);
        return;
    }
    if (!d->isRunning.exchange(false))
        return; // a slot that is called by stop() calls it again
    hub->stop();
    if (hub->isSilent())
        return; // a slot has deleted the server
    d->setHub(nullptr);
    const QPointer<NamedPipeServer> alive(this);
    if (d->pipeName != d->servedName)
        Q_EMIT fullPipeNameChanged();
    if (alive)
        Q_EMIT runningChanged();
    if (alive)
        Q_EMIT stopped();
}

/*!
    Lets no more clients in, waits until the queued messages are sent, for at most \a msecs
    milliseconds, and then does the same as stop(). With a negative \a msecs there is no limit.

    Returns \c true if all was sent. Returns \c false if time ran out and messages were dropped;
    clientErrorOccurred() then reports NamedPipe::ConnectionBroken for each client that did not
    read in time. A client that leaves meanwhile does not make the result \c false. Returns \c
    true if the server does not run.

    The function blocks the server's thread. Nothing is delivered there while it waits, and messages
    that arrive from now on are dropped. Call it on the server's thread only; on another one it
    returns \c false with a warning.

    \sa stop(), NamedPipe::SendPending
*/
bool NamedPipeServer::stopWhenSent(int msecs)
{
    if (!d->isOnServersThread("stopWhenSent"))
        return false;
    const auto hub = d->hub();
    if (!hub || !isRunning())
        return true;
    const auto time = msecs < 0 ? std::chrono::milliseconds(std::chrono::hours(24 * 365))
                                : std::chrono::milliseconds(msecs);
    const bool sent = hub->sendPending(Clock::now() + time);
    stop();
    return sent;
}

/*!
    Sends \a data as one message to every client that is connected at this moment, and returns how
    many these are, 0 if the server does not run. clientMessageSent() with \a cookie is emitted for
    each of them.

    The function returns at once. The bytes are shared, not copied for each client. A client that
    leaves before it has the message is no error. For a client whose queue is full
    clientErrorOccurred() reports NamedPipe::WriteQueueFull; it is counted, does not get the message
    and delays nobody else. With empty \a data nothing is sent.

    A worker sends what is queued by then: many broadcasts in a row are sent together. With a small
    maximumPendingWriteBytes such a row may fill the queues before the worker has its turn.

    This function may be called on any thread.

    \sa NamedPipeServerConnection::asyncWrite(), connections()
*/
int NamedPipeServer::asyncBroadcast(const QByteArray &data, const QVariant &cookie)
{
    const auto hub = d->hub();
    return hub ? hub->broadcast(data, cookie) : 0;
}

// --- The manual message loop ---

/*!
    Runs an event loop until manualMessageLoopLeave() is called. This is for programs that want
    marshalled events and have no event loop of their own, such as console programs and services. A
    QCoreApplication has to exist.

    \snippet server.cpp message loop

    Returns at once if manualMessageLoopLeave() was called before. Call it on the server's thread
    only. On another thread, and inside the loop that it runs already, it does nothing but print a
    warning.

    \sa manualMessageLoopLeave()
*/
void NamedPipeServer::manualMessageLoopEnter()
{
    if (!d->isOnServersThread("manualMessageLoopEnter"))
        return;
    QEventLoop loop;
    const auto state = d->messageLoop; // a slot may delete the server, on a worker too
    {
        std::unique_lock<std::mutex> lock(state->mutex);
        if (state->loop) {
            lock.unlock();
            qCWarning(lcServer, "NamedPipeServer::manualMessageLoopEnter(): the loop runs already");
            return;
        }
        if (std::exchange(state->leaveRequested, false))
            return;
        state->loop = &loop;
    }
    loop.exec();
    const std::lock_guard<std::mutex> lock(state->mutex);
    state->loop = nullptr;
    state->leaveRequested = false;
}

/*!
    Makes manualMessageLoopEnter() return. If it does not run, its next call returns at once: the
    request is not lost. The server goes on running.

    This function may be called on any thread.

    \sa manualMessageLoopEnter(), stop()
*/
void NamedPipeServer::manualMessageLoopLeave()
{
    const std::lock_guard<std::mutex> lock(d->messageLoop->mutex);
    d->messageLoop->leaveRequested = true;
    if (d->messageLoop->loop)
        QCoreApplication::postEvent(this, new QEvent(leaveEvent()));
}

// --- Events ---

/*!
    \reimp
*/
bool NamedPipeServer::event(QEvent *event)
{
    if (event->type() == ConnectionHub::drainEvent()) {
        if (const auto hub = d->hub())
            hub->drain();
        return true; // nothing of this object is touched any more: a slot may have deleted it
    }
    if (event->type() == leaveEvent()) {
        const std::lock_guard<std::mutex> lock(d->messageLoop->mutex);
        if (d->messageLoop->loop
            && d->messageLoop->leaveRequested) // no late one, for a loop that was left
            d->messageLoop->loop->quit();
        return true;
    }
    return QObject::event(event);
}

/*!
    \reimp
*/
void NamedPipeServer::connectNotify(const QMetaMethod &signal)
{
    // May be called with a lock of Qt's held: no QObject function from here.
    static const QMetaMethod messageReceived =
            QMetaMethod::fromSignal(&NamedPipeServer::clientMessageReceived);
    static const QMetaMethod batchReceived =
            QMetaMethod::fromSignal(&NamedPipeServer::clientMessageBatchReceived);
    static const QMetaMethod messageSent =
            QMetaMethod::fromSignal(&NamedPipeServer::clientMessageSent);
    if (signal == messageReceived) {
        d->wantsMessages = true;
    } else if (signal == batchReceived) {
        d->wantsBatches = true;
    } else if (signal == messageSent) {
        d->wantsMessageSent = true;
        if (const auto hub = d->hub())
            hub->setWantsMessageSent();
    }
}

std::unique_ptr<ConnectionFace> NamedPipeServerPrivate::makeFace(
        const std::shared_ptr<PipeConnection> &connection)
{
    auto object = NamedPipeServerConnectionPrivate::create(connection);
    object->moveToThread(q->thread());
    return std::make_unique<ServerConnectionFace>(q, std::move(object));
}

void NamedPipeServerPrivate::ready()
{
    Q_EMIT q->serverReady();
}

void NamedPipeServerPrivate::errorOccurred(const TransportError &failure)
{
    const QString text = failure.text();
    setError(failure.error, text);
    Q_EMIT q->errorOccurred(failure.error, text);
}
