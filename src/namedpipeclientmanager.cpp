// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "namedpipeclientmanager_p.h"

#include "core/logging.h"
#include "core/pipename.h"
#include "core/ranges.h"
#include "namedpipeclientconnection_p.h"

#include <QtCore/qcoreevent.h>
#include <QtCore/qmetaobject.h>
#include <QtCore/qthread.h>

#include <climits>
#include <utility>

using namespace QtNamedPipes;

/*!
    \class NamedPipeClientManager
    \inmodule QtNamedPipes
    \inheaderfile QtNamedPipes/NamedPipeClientManager
    \brief The NamedPipeClientManager class connects to servers and drives the connections.

    connectToServer() returns a NamedPipeClientConnection at once, and connects it in the
    background. All connections of a manager share one completion port (Windows) or epoll instance
    (Linux) with its worker threads; it is made for the first connection and kept until stop(). One
    manager is enough for a program, whatever the number of servers is.

    \snippet echo_client.cpp program

    \section1 Connecting

    Nothing of it happens on the thread of the caller. A server that has no room for another client
    at the moment is tried again, every few milliseconds with some randomness, until connectTimeout
    has passed. If no server has the name, the attempt fails at once (NamedPipe::NotFound), or the
    server is waited for as long, with waitForServer. asyncClose(), stop() and dropping the
    connection end an attempt at any moment.

    On Windows the client asks for no more rights than it needs, reads in message mode, and lets the
    server know who it is but not act in its name (\c SECURITY_IDENTIFICATION). With serverAccess it
    makes sure that the server is run by the same user.

    \section1 Threads

    A manager belongs to the thread that it lives in. Do not move it to another thread once it has
    connections. Except for the constructor, the destructor and what QObject has, every function may
    be called on any thread.

    By default the signals of all connections are emitted on the manager's thread from its event
    loop, and never inside a call of yours, except that stop() delivers what there is to deliver. So
    signals can be connected after connectToServer() has returned, on this thread. Delivery in
    slices is the same as that of a server, see NamedPipeServer.

    With freeThreadingEvents the signals are emitted on the worker that saw the event, maybe before
    connectToServer() has returned. Connect them in a function that is passed to it, without a
    context object:

    \snippet client.cpp prepare

    The events of one connection never overlap and keep their order; different connections are
    served in parallel if numThreadsIOCP is more than 1. A slot that throws an exception closes its
    connection: errorOccurred() reports NamedPipe::SystemError. stop() waits for the slots.

    \section1 Memory and Back Pressure

    The limits are those of a server: see \l {NamedPipeServer#Memory and Back Pressure}{there}.

    \sa NamedPipeClientConnection, NamedPipeServer
*/

/*!
    \typealias NamedPipeClientManager::ServerAccess

    The same as NamedPipe::ServerAccess.
*/

/*!
    \variable NamedPipeClientManager::AnyUser
    \brief The same as NamedPipe::AnyUser.
*/

/*!
    \variable NamedPipeClientManager::CurrentUser
    \brief The same as NamedPipe::CurrentUser.
*/

/*!
    \typealias NamedPipeClientManager::Preparation

    A function that is called with a new connection before anything happens with it.

    \sa connectToServer()
*/

/*!
    Constructs a manager without connections, as a child of \a parent.
*/
NamedPipeClientManager::NamedPipeClientManager(QObject *parent)
    : QObject(parent),
      d(std::make_unique<NamedPipeClientManagerPrivate>(this))
{
}

/*!
    Closes all connections and destroys the manager. No signal is emitted. Messages that are not
    sent yet are dropped, and so are events that are not delivered yet. Connection objects that
    somebody still holds are not connected any more.

    A manager may be destroyed inside any slot of its connections that runs on its own thread.

    \sa stop()
*/
NamedPipeClientManager::~NamedPipeClientManager()
{
    for (const auto &hub : { d->currentHub, d->failuresHub, d->endingFailuresHub }) {
        if (hub)
            hub->abandon();
    }
}

// --- Properties ---

template<typename T>
T NamedPipeClientManagerPrivate::get(const T &property) const
{
    const std::lock_guard<std::mutex> lock(mutex);
    return property;
}

template<typename T>
void NamedPipeClientManagerPrivate::set(T &property, const T &value,
                                        void (NamedPipeClientManager::*changed)())
{
    {
        const std::lock_guard<std::mutex> lock(mutex);
        if (property == value)
            return;
        property = value;
    }
    Q_EMIT(q->*changed)();
}

/*!
    \property NamedPipeClientManager::continuouslyReadFromPipe
    \brief whether messages are read and delivered without being asked for.

    The default is \c true: every message comes as NamedPipeClientConnection::messageReceived(),
    without a cookie unless NamedPipeClientConnection::asyncRead() has asked for it. If it is \c
    false, each message has to be asked for. As long as nobody asks, a server that goes on sending
    finds that nobody reads.

    The property counts for all connections and may be changed at any time, on any thread; its
    notifier signal is then emitted on that thread.
*/
bool NamedPipeClientManager::continuouslyReadFromPipe() const
{
    return d->get(d->continuouslyReadFromPipe);
}

void NamedPipeClientManager::setContinuouslyReadFromPipe(bool on)
{
    {
        const std::lock_guard<std::mutex> lock(d->mutex);
        if (std::exchange(d->continuouslyReadFromPipe, on) == on)
            return;
    }
    if (const auto hub = d->hub()) // one that is made from now on has read the property
        hub->followReading([this] { return continuouslyReadFromPipe(); });
    Q_EMIT continuouslyReadFromPipeChanged();
}

/*!
    \property NamedPipeClientManager::freeThreadingEvents
    \brief whether signals are emitted on the worker threads.

    The default is \c false: signals are emitted on the manager's thread. See
    \l {NamedPipeClientManager#Threads}{Threads} for both ways. The property is read for the first
    connection, and for the first after stop().

    \sa numThreadsIOCP
*/
bool NamedPipeClientManager::freeThreadingEvents() const
{
    return d->get(d->freeThreadingEvents);
}

void NamedPipeClientManager::setFreeThreadingEvents(bool on)
{
    d->set(d->freeThreadingEvents, on, &NamedPipeClientManager::freeThreadingEventsChanged);
}

/*!
    \property NamedPipeClientManager::messageBufferSize
    \brief the size of the buffers that messages are read into, in bytes.

    The default is 131072 (128 KiB). The property is read for the first connection, and for the
    first after stop(); it can be from 1 byte to 1 GiB, and on Linux a size below 8192 bytes counts
    as 8192. It does not limit the size of a message.

    \sa maximumMessageSize
*/
int NamedPipeClientManager::messageBufferSize() const
{
    return d->get(d->messageBufferSize);
}

void NamedPipeClientManager::setMessageBufferSize(int bytes)
{
    d->set(d->messageBufferSize, bytes, &NamedPipeClientManager::messageBufferSizeChanged);
}

/*!
    \property NamedPipeClientManager::numThreadsIOCP
    \brief the number of worker threads.

    The default is 1. The property is read for the first connection, and for the first after stop();
    it can be from 1 to 256.

    \sa freeThreadingEvents
*/
int NamedPipeClientManager::numThreadsIOCP() const
{
    return d->get(d->numThreadsIOCP);
}

void NamedPipeClientManager::setNumThreadsIOCP(int threads)
{
    d->set(d->numThreadsIOCP, threads, &NamedPipeClientManager::numThreadsIOCPChanged);
}

/*!
    \property NamedPipeClientManager::maximumMessageSize
    \brief the size of the largest message that a server may send, in bytes; 0 for no limit.

    The default is 0: what the system can carry, see NamedPipeServer::maximumMessageSize. The
    property is read for the first connection, and for the first after stop(). A larger message
    closes the connection:
    NamedPipeClientConnection::errorOccurred() reports NamedPipe::MessageTooLarge.
*/
qint64 NamedPipeClientManager::maximumMessageSize() const
{
    return d->get(d->maximumMessageSize);
}

void NamedPipeClientManager::setMaximumMessageSize(qint64 bytes)
{
    d->set(d->maximumMessageSize, bytes, &NamedPipeClientManager::maximumMessageSizeChanged);
}

/*!
    \property NamedPipeClientManager::maximumPendingReadBytes
    \brief the number of bytes of one connection that may be received and not yet delivered.

    The default is 1048576 (1 MiB). The property is read for the first connection, and for the first
    after stop(); it is 1 at least. When the limit is reached nothing more is read until less than
    half of it is left to deliver. A message of any allowed size is read when nothing else is
    pending.
*/
qint64 NamedPipeClientManager::maximumPendingReadBytes() const
{
    return d->get(d->maximumPendingReadBytes);
}

void NamedPipeClientManager::setMaximumPendingReadBytes(qint64 bytes)
{
    d->set(d->maximumPendingReadBytes, bytes,
           &NamedPipeClientManager::maximumPendingReadBytesChanged);
}

/*!
    \property NamedPipeClientManager::maximumPendingWriteBytes
    \brief the number of bytes that may be queued for one connection and not yet sent.

    The default is 67108864 (64 MiB). The property is read for the first connection, and for the
    first after stop(); it is 1 at least. When the limit is reached
    NamedPipeClientConnection::asyncWrite() refuses messages (NamedPipe::WriteQueueFull). A message
    of any size is taken when nothing else is queued. The number of messages is limited as by
    NamedPipeServer::maximumPendingWriteBytes.
*/
qint64 NamedPipeClientManager::maximumPendingWriteBytes() const
{
    return d->get(d->maximumPendingWriteBytes);
}

void NamedPipeClientManager::setMaximumPendingWriteBytes(qint64 bytes)
{
    d->set(d->maximumPendingWriteBytes, bytes,
           &NamedPipeClientManager::maximumPendingWriteBytesChanged);
}

/*!
    \property NamedPipeClientManager::connectTimeout
    \brief how long a busy server, or one that is waited for, is tried, in milliseconds.

    The default is 5000. 0 means one try, -1 no limit. The property is read by connectToServer().
    When the time is over, NamedPipeClientConnection::errorOccurred() reports
    NamedPipe::ConnectTimeout.

    On Linux a server is busy when its backlog is full. A client in the backlog is connected,
    although the server has not seen it yet; what it sends is kept.

    \sa waitForServer
*/
int NamedPipeClientManager::connectTimeout() const
{
    return d->get(d->connectTimeout);
}

void NamedPipeClientManager::setConnectTimeout(int msecs)
{
    d->set(d->connectTimeout, msecs, &NamedPipeClientManager::connectTimeoutChanged);
}

/*!
    \property NamedPipeClientManager::waitForServer
    \brief whether a server that does not exist yet is waited for.

    The default is \c false: connecting to a name that no server has fails at once with
    NamedPipe::NotFound. If it is \c true, the server may come until connectTimeout has passed. The
    property is read by connectToServer().

    \sa connectTimeout, autoReconnect
*/
bool NamedPipeClientManager::waitForServer() const
{
    return d->get(d->waitForServer);
}

void NamedPipeClientManager::setWaitForServer(bool on)
{
    d->set(d->waitForServer, on, &NamedPipeClientManager::waitForServerChanged);
}

/*!
    \property NamedPipeClientManager::serverAccess
    \brief which servers are accepted.

    The default is NamedPipe::AnyUser. With NamedPipe::CurrentUser a server that is not run by the
    same user as this process is refused before anything is sent (NamedPipe::AccessDenied): another
    user may have been faster in taking the name. The property is read by connectToServer().

    On Windows the owner of the pipe is compared with the user of this process and, for an
    administrator's elevated process, with the owner that its own objects have. On Linux it is the
    uid that the kernel recorded for the server's socket.
*/
NamedPipe::ServerAccess NamedPipeClientManager::serverAccess() const
{
    return d->get(d->serverAccess);
}

void NamedPipeClientManager::setServerAccess(NamedPipe::ServerAccess access)
{
    d->set(d->serverAccess, access, &NamedPipeClientManager::serverAccessChanged);
}

/*!
    \property NamedPipeClientManager::autoReconnect
    \brief whether a connection that is lost is made again.

    The default is \c false. The property is read by connectToServer().

    If it is \c true, the connection object tries to be connected for as long as it lives: it does
    not give up when connecting fails, and begins again after each
    NamedPipeClientConnection::disconnected(). NamedPipeClientConnection::asyncClose(), stop() and
    dropping the connection end this.

    Each attempt is made as without this property, with connectTimeout and waitForServer. Between
    two there is a delay from minimumReconnectDelay to maximumReconnectDelay: it doubles with each
    failure, and is partly random, so that many clients of a server that has been
    restarted do not come at once. It begins with the shortest again after a connection that held
    for a second or brought a message.

    What keeps an attempt from being made at all is final: an invalid name or property, or a
    completion port that cannot be made.

    NamedPipeClientConnection::connected() and NamedPipeClientConnection::disconnected() are emitted
    for each connection. While there is none, NamedPipeClientConnection::errorOccurred() reports
    each kind of failure once. Nothing is sent a second time by itself:
    NamedPipeClientConnection::messageNotSent() tells which messages were not sent.

    \sa minimumReconnectDelay, maximumReconnectDelay
*/
bool NamedPipeClientManager::autoReconnect() const
{
    return d->get(d->autoReconnect);
}

void NamedPipeClientManager::setAutoReconnect(bool on)
{
    d->set(d->autoReconnect, on, &NamedPipeClientManager::autoReconnectChanged);
}

/*!
    \property NamedPipeClientManager::minimumReconnectDelay
    \brief the first delay before a connection is made again, in milliseconds.

    The default is 100; it is 1 at least. The property is read by connectToServer().

    \sa autoReconnect
*/
int NamedPipeClientManager::minimumReconnectDelay() const
{
    return d->get(d->minimumReconnectDelay);
}

void NamedPipeClientManager::setMinimumReconnectDelay(int msecs)
{
    d->set(d->minimumReconnectDelay, msecs, &NamedPipeClientManager::minimumReconnectDelayChanged);
}

/*!
    \property NamedPipeClientManager::maximumReconnectDelay
    \brief the longest delay before a connection is made again, in milliseconds.

    The default is 10000; it is minimumReconnectDelay at least. The property is read by
    connectToServer().

    \sa autoReconnect
*/
int NamedPipeClientManager::maximumReconnectDelay() const
{
    return d->get(d->maximumReconnectDelay);
}

void NamedPipeClientManager::setMaximumReconnectDelay(int msecs)
{
    d->set(d->maximumReconnectDelay, msecs, &NamedPipeClientManager::maximumReconnectDelayChanged);
}

// --- Connecting ---

/*!
    Begins to connect to the server of the pipe \a pipeName, and returns the connection at once. The
    result is never null. Give the last part of the name only, as for NamedPipeServer::pipeName.

    NamedPipeClientConnection::connected() is emitted when the connection is made, or
    NamedPipeClientConnection::errorOccurred() when it cannot be; this is so for an invalid name or
    property, too, and comes from the event loop of the manager's thread then.

    Keep the pointer: dropping the last one closes the connection.

    \sa connectTimeout, waitForServer, autoReconnect, serverAccess
*/
NamedPipeClientConnectionPtr NamedPipeClientManager::connectToServer(const QString &pipeName)
{
    return connectToServer(pipeName, {});
}

/*!
    \overload

    Calls \a prepare with the connection before anything happens with it, on the thread of the
    caller. It is the place to connect signals in free-threaded mode, or when this function is
    called on another thread than the manager's.

    If \a prepare throws an exception, no connection is made, and the exception goes on to the
    caller.
*/
NamedPipeClientConnectionPtr NamedPipeClientManager::connectToServer(const QString &pipeName,
                                                                     const Preparation &prepare)
{
    if (const TransportError error =
                checkPipeName(pipeName, tr("cannot connect without specifying a pipe name")))
        return d->failed(pipeName, prepare, error);
    std::shared_ptr<ConnectionHub> hub;
    DialSettings settings;
    if (const TransportError error = d->useHub(&hub, &settings))
        return d->failed(pipeName, prepare, error);
    settings.target.name = pipeName;
    const auto connection = d->prepared(hub, pipeName, prepare);
    NamedPipeClientConnectionPrivate::dial(connection, settings);
    return connection;
}

/// The hub of all connections, made when there is none, and the settings for the next connection.
TransportError NamedPipeClientManagerPrivate::useHub(std::shared_ptr<ConnectionHub> *hub,
                                                     DialSettings *dial)
{
    using Time = BackOff::Time;
    const std::lock_guard<std::mutex> lock(mutex);
    if (isStopping)
        return { NamedPipe::InvalidConfiguration, 0, "",
                 NamedPipeClientManager::tr("the manager is stopping; connect after stop()") };
    if (const TransportError error = checkConfiguration())
        return error;
    if (!currentHub) {
        const auto made = makeHub();
        if (const TransportError error = made->start())
            return error;
        currentHub = made;
    }
    *hub = currentHub;
    dial->target.access = serverAccess;
    dial->timeout = Time(connectTimeout);
    dial->waitForServer = waitForServer;
    dial->isPersistent = autoReconnect;
    dial->delays =
            std::make_shared<BackOff>(Time(minimumReconnectDelay), Time(maximumReconnectDelay));
    return {};
}

std::shared_ptr<ConnectionHub> NamedPipeClientManagerPrivate::makeHub() const
{
    EngineSettings engine;
    engine.threads = numThreadsIOCP;
    engine.maximumMessageSize = maximumMessageSize;
    HubSettings settings;
    settings.side = Side::Client;
    settings.freeThreaded = freeThreadingEvents;
    settings.maximumPendingReadBytes = maximumPendingReadBytes;
    settings.maximumPendingWriteBytes = maximumPendingWriteBytes;
    return std::make_shared<ConnectionHub>(nullptr, q,
                                           createPlatformEngine(engine, messageBufferSize),
                                           settings, continuouslyReadFromPipe);
}

/// Every number that a connection depends on, against its range. The mutex is held.
TransportError NamedPipeClientManagerPrivate::checkConfiguration() const
{
    return checkRanges({
            { "messageBufferSize", messageBufferSize, 1, LargestBuffer },
            { "numThreadsIOCP", numThreadsIOCP, 1, MostThreads },
            { "maximumMessageSize", maximumMessageSize, 0, LLONG_MAX },
            { "maximumPendingReadBytes", maximumPendingReadBytes, 1, LLONG_MAX },
            { "maximumPendingWriteBytes", maximumPendingWriteBytes, 1, LLONG_MAX },
            { "connectTimeout", connectTimeout, -1, INT_MAX },
            { "serverAccess", serverAccess, NamedPipe::AnyUser, NamedPipe::CurrentUser },
            { "minimumReconnectDelay", minimumReconnectDelay, 1, INT_MAX },
            { "maximumReconnectDelay", maximumReconnectDelay, minimumReconnectDelay, INT_MAX },
    });
}

NamedPipeClientConnectionPtr NamedPipeClientManagerPrivate::prepared(
        const std::shared_ptr<ConnectionHub> &hub, const QString &name,
        const NamedPipeClientManager::Preparation &prepare) const
{
    const auto connection = NamedPipeClientConnectionPrivate::create(hub, name);
    connection->moveToThread(q->thread());
    if (prepare)
        prepare(connection);
    return connection;
}

/// A connection that cannot even be dialed. The hub of these has no workers: it only tells of them,
/// from the event loop.
NamedPipeClientConnectionPtr NamedPipeClientManagerPrivate::failed(
        const QString &name, const NamedPipeClientManager::Preparation &prepare,
        const TransportError &error)
{
    std::unique_lock<std::mutex> lock(mutex);
    if (!failuresHub) {
        HubSettings settings;
        settings.side = Side::Client;
        failuresHub = std::make_shared<ConnectionHub>(nullptr, q,
                                                      createPlatformEngine(EngineSettings(), 1),
                                                      settings, true);
    }
    const auto hub = failuresHub;
    lock.unlock();
    const auto connection = prepared(hub, name, prepare);
    NamedPipeClientConnectionPrivate::fail(connection, error);
    return connection;
}

// --- The end ---

std::shared_ptr<ConnectionHub> NamedPipeClientManagerPrivate::hub() const
{
    const std::lock_guard<std::mutex> lock(mutex);
    return currentHub;
}

/*!
    Closes all connections, gives up those that are being made, and ends the worker threads. When
    the function returns, no worker thread runs, no handle of a connection is open, and no further
    signal comes. connectToServer() can be called again then.

    Messages that were received are delivered before that, inside this function, as are all other
    events and NamedPipeClientConnection::disconnected() for each connection. Messages that are not
    sent yet are dropped; NamedPipeClientConnection::messageNotSent() tells of each. The function
    takes the time of the slots that it calls, and at most a second beyond that, whatever the
    servers do. A slot that calls connectToServer() meanwhile gets a connection that fails, which is
    told from the event loop afterwards.

    It may be called in a slot of a connection. On another thread than the manager's it returns at
    once, and the stop happens from the event loop of the manager's thread. Does nothing if there
    was no connection since the last stop.
*/
void NamedPipeClientManager::stop()
{
    const auto hub = d->hub();
    if (QThread::currentThread() != thread()) {
        // A worker cannot wait for itself, and events belong on the manager's thread.
        QMetaObject::invokeMethod(
                this,
                [this, stopped = std::weak_ptr<ConnectionHub>(hub)] {
                    if (d->hub() == stopped.lock())
                        stop();
                },
                Qt::QueuedConnection);
        return;
    }
    std::shared_ptr<ConnectionHub> failures;
    {
        const std::lock_guard<std::mutex> lock(d->mutex);
        if (std::exchange(d->isStopping, true))
            return; // a slot that is called by stop() calls it again
        failures = d->failuresHub;
        d->endingFailuresHub.swap(d->failuresHub); // attempts of slots are told afterwards
    }
    for (const auto &ending : { hub, failures }) {
        if (!ending)
            continue;
        ending->stop();
        if (ending->isSilent())
            return; // a slot has deleted the manager
    }
    const std::lock_guard<std::mutex> lock(d->mutex);
    if (hub)
        d->lastStatistics = hub->statistics();
    d->currentHub = nullptr;
    d->endingFailuresHub = nullptr;
    d->isStopping = false;
}

/*!
    \reimp
*/
bool NamedPipeClientManager::event(QEvent *event)
{
    if (event->type() == ConnectionHub::drainEvent()) {
        std::unique_lock<std::mutex> lock(d->mutex);
        const auto hubs = { d->currentHub, d->failuresHub };
        lock.unlock();
        for (const auto &hub : hubs) {
            if (hub)
                hub->drain(); // nothing of this object is touched any more: a slot may delete it
        }
        return true;
    }
    return QObject::event(event);
}

// --- Information ---

/*!
    Returns the names of the pipes of this machine that match \a pattern, sorted. In it \c{*} stands
    for any number of characters and \c{?} for one; other characters stand for themselves.

    On Windows these are all pipes that the system lists, in message mode or not, and case does not
    matter. On Linux these are the sockets in QDir::tempPath() that a live server listens on, a
    QLocalServer's included unless it has socket options; a socket that a crashed server has left is not among them. Names that
    connectToServer() would not take are left out. Wine 8 lists no pipes, and the result is empty.

    \snippet client.cpp find
*/
QStringList NamedPipeClientManager::findNamedPipes(const QString &pattern) const
{
    QStringList found;
    for (const QString &name : platformPipeNames()) {
        if (matchesPattern(name, pattern, platformNameCase()) && !checkPipeName(name, {}))
            found += name;
    }
    found.sort();
    found.removeDuplicates();
    return found;
}

/*!
    Returns the connections that are connected at this moment, in the order of their making. It is a
    snapshot.

    \sa connectionCount()
*/
QList<NamedPipeClientConnectionPtr> NamedPipeClientManager::connections() const
{
    QList<NamedPipeClientConnectionPtr> list;
    if (const auto hub = d->hub()) {
        for (const auto &connection : hub->connections()) {
            if (const auto object = connection->object())
                list.append(qSharedPointerCast<NamedPipeClientConnection>(object));
        }
    }
    return list;
}

/*!
    Returns the number of connections that are connected at this moment.

    \sa connections()
*/
int NamedPipeClientManager::connectionCount() const
{
    const auto hub = d->hub();
    return hub ? hub->connectionCount() : 0;
}

/*!
    Returns the counters of all connections together, since the first one or the first one after the
    last stop().

    \sa NamedPipeClientConnection::statistics()
*/
NamedPipe::Statistics NamedPipeClientManager::statistics() const
{
    if (const auto hub = d->hub())
        return hub->statistics();
    const std::lock_guard<std::mutex> lock(d->mutex);
    return d->lastStatistics;
}
