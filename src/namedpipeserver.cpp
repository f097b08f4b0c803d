// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "namedpipeserver_p.h"

#include "core/logging.h"
#include "core/pipename.h"
#include "namedpipeserverconnection_p.h"

#include <QtCore/qcoreapplication.h>
#include <QtCore/qcoreevent.h>
#include <QtCore/qeventloop.h>
#include <QtCore/qmetaobject.h>
#include <QtCore/qpointer.h>
#include <QtCore/qthread.h>

#include <climits>

using namespace QtNamedPipes;

static QEvent::Type leaveEvent()
{
    static const int type = QEvent::registerEventType();
    return QEvent::Type(type);
}

NamedPipeServer::NamedPipeServer(QObject *parent)
    : QObject(parent), d(std::make_unique<NamedPipeServerPrivate>(this))
{
}

NamedPipeServer::NamedPipeServer(const QString &pipeName, QObject *parent) : NamedPipeServer(parent)
{
    d->pipeName = pipeName;
}

NamedPipeServer::~NamedPipeServer()
{
    if (const auto hub = d->hub())
        hub->abandon();
    if (d->messageLoop)
        d->messageLoop->quit();
}

// --- Properties ---

template<typename T>
void NamedPipeServerPrivate::set(T &property, const T &value, void (NamedPipeServer::*changed)())
{
    if (property == value)
        return;
    property = value;
    Q_EMIT (q->*changed)();
}

QString NamedPipeServer::pipeName() const
{
    return d->pipeName;
}

void NamedPipeServer::setPipeName(const QString &name)
{
    d->set(d->pipeName, name, &NamedPipeServer::pipeNameChanged);
}

bool NamedPipeServer::continuouslyReadFromPipe() const
{
    return d->continuouslyReadFromPipe.load(std::memory_order_relaxed);
}

void NamedPipeServer::setContinuouslyReadFromPipe(bool on)
{
    if (d->continuouslyReadFromPipe.exchange(on, std::memory_order_relaxed) == on)
        return;
    if (const auto hub = d->hub())
        hub->setReadsContinuously(on);
    Q_EMIT continuouslyReadFromPipeChanged();
}

bool NamedPipeServer::freeThreadingEvents() const
{
    return d->freeThreadingEvents;
}

void NamedPipeServer::setFreeThreadingEvents(bool on)
{
    d->set(d->freeThreadingEvents, on, &NamedPipeServer::freeThreadingEventsChanged);
}

int NamedPipeServer::messageBufferSize() const
{
    return d->messageBufferSize;
}

void NamedPipeServer::setMessageBufferSize(int bytes)
{
    d->set(d->messageBufferSize, bytes, &NamedPipeServer::messageBufferSizeChanged);
}

int NamedPipeServer::numThreadsIOCP() const
{
    return d->numThreadsIOCP;
}

void NamedPipeServer::setNumThreadsIOCP(int threads)
{
    d->set(d->numThreadsIOCP, threads, &NamedPipeServer::numThreadsIOCPChanged);
}

int NamedPipeServer::listenBacklogSize() const
{
    return d->listenBacklogSize;
}

void NamedPipeServer::setListenBacklogSize(int clients)
{
    d->set(d->listenBacklogSize, clients, &NamedPipeServer::listenBacklogSizeChanged);
}

int NamedPipeServer::maxConnections() const
{
    return d->maxConnections;
}

void NamedPipeServer::setMaxConnections(int connections)
{
    d->set(d->maxConnections, connections, &NamedPipeServer::maxConnectionsChanged);
}

qint64 NamedPipeServer::maximumMessageSize() const
{
    return d->maximumMessageSize;
}

void NamedPipeServer::setMaximumMessageSize(qint64 bytes)
{
    d->set(d->maximumMessageSize, bytes, &NamedPipeServer::maximumMessageSizeChanged);
}

qint64 NamedPipeServer::maximumPendingReadBytes() const
{
    return d->maximumPendingReadBytes;
}

void NamedPipeServer::setMaximumPendingReadBytes(qint64 bytes)
{
    d->set(d->maximumPendingReadBytes, bytes, &NamedPipeServer::maximumPendingReadBytesChanged);
}

qint64 NamedPipeServer::maximumPendingWriteBytes() const
{
    return d->maximumPendingWriteBytes;
}

void NamedPipeServer::setMaximumPendingWriteBytes(qint64 bytes)
{
    d->set(d->maximumPendingWriteBytes, bytes, &NamedPipeServer::maximumPendingWriteBytesChanged);
}

NamedPipe::AccessOptions NamedPipeServer::accessOptions() const
{
    return d->accessOptions;
}

void NamedPipeServer::setAccessOptions(NamedPipe::AccessOptions options)
{
    d->set(d->accessOptions, options, &NamedPipeServer::accessOptionsChanged);
}

QString NamedPipeServer::securityDescriptor() const
{
    return d->securityDescriptor;
}

void NamedPipeServer::setSecurityDescriptor(const QString &sddl)
{
    d->set(d->securityDescriptor, sddl, &NamedPipeServer::securityDescriptorChanged);
}

bool NamedPipeServer::isRunning() const
{
    return d->isRunning.load(std::memory_order_acquire);
}

QString NamedPipeServer::fullPipeName() const
{
    return d->pipeName.isEmpty() ? QString() : platformPipePath(d->pipeName);
}

NamedPipe::Error NamedPipeServer::error() const
{
    const std::lock_guard<std::mutex> lock(d->mutex);
    return d->error;
}

QString NamedPipeServer::errorString() const
{
    const std::lock_guard<std::mutex> lock(d->mutex);
    return d->errorString;
}

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

int NamedPipeServer::connectionCount() const
{
    const auto hub = d->hub();
    return hub ? hub->connectionCount() : 0;
}

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
    qCWarning(lcServer, "NamedPipeServer::%s() can be called on the server's thread only", function);
    return false;
}

/// Every number that start() reads, against its range.
TransportError NamedPipeServerPrivate::checkConfiguration() const
{
    if (const TransportError nameError = checkPipeName(pipeName))
        return nameError;
    const struct
    {
        const char *name;
        qint64 value;
        qint64 minimum;
        qint64 maximum;
    } ranges[] = {
        { "messageBufferSize", messageBufferSize, 1, 1024 * 1024 * 1024 },
        { "numThreadsIOCP", numThreadsIOCP, 1, 256 },
        { "listenBacklogSize", listenBacklogSize, 1, 65535 },
        { "maxConnections", maxConnections, 0, INT_MAX },
        { "maximumMessageSize", maximumMessageSize, 0, LLONG_MAX },
        { "maximumPendingReadBytes", maximumPendingReadBytes, 1, LLONG_MAX },
        { "maximumPendingWriteBytes", maximumPendingWriteBytes, 1, LLONG_MAX },
        { "accessOptions", qint64(accessOptions), NamedPipe::UserAccess, NamedPipe::WorldAccess },
    };
    for (const auto &range : ranges) {
        if (range.value < range.minimum || range.value > range.maximum) {
            return { NamedPipe::InvalidConfiguration, 0, "",
                     NamedPipeServer::tr("%1 is %2; it must be from %3 to %4")
                             .arg(QLatin1String(range.name))
                             .arg(range.value)
                             .arg(range.minimum)
                             .arg(range.maximum) };
        }
    }
    return {};
}

/// start() has failed: known at once, told from the event loop.
bool NamedPipeServerPrivate::fail(const TransportError &failure)
{
    const QString text = failure.text();
    setError(failure.error, text);
    QMetaObject::invokeMethod(
            q, [this, code = failure.error, text] { Q_EMIT q->errorOccurred(code, text); }, Qt::QueuedConnection);
    return false;
}

bool NamedPipeServer::start()
{
    if (!d->isOnServersThread("start"))
        return false;
    if (isRunning())
        return true;
    if (d->hub())
        return d->fail({ NamedPipe::InvalidConfiguration, 0, "",
                         tr("the server is still stopping; start it again when stopped() has been emitted") });
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
    const auto hub = std::make_shared<ConnectionHub>(
            d.get(), this, createPlatformEngine(engine, d->messageBufferSize), settings, continuouslyReadFromPipe());
    if (d->wantsMessageSent)
        hub->setWantsMessageSent();
    d->setError(NamedPipe::NoError, QString());
    d->setHub(hub); // before the first slot can run on a worker
    d->isRunning = true;

    ListenSettings listen;
    listen.name = d->pipeName;
    listen.backlog = d->listenBacklogSize;
    listen.access = d->accessOptions;
    listen.securityDescriptor = d->securityDescriptor;
    if (const TransportError error = hub->start(listen)) {
        d->isRunning = false;
        d->setHub(nullptr);
        return d->fail(error);
    }
    Q_EMIT runningChanged();
    return true;
}

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
    Q_EMIT runningChanged();
    if (alive)
        Q_EMIT stopped();
}

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

int NamedPipeServer::asyncBroadcast(const QByteArray &data, const QVariant &cookie)
{
    const auto hub = d->hub();
    if (!hub)
        return 0;
    const auto recipients = hub->connections();
    for (const auto &connection : recipients)
        connection->write(data, cookie, true);
    return int(recipients.size());
}

// --- The manual message loop ---

void NamedPipeServer::manualMessageLoopEnter()
{
    if (!d->isOnServersThread("manualMessageLoopEnter"))
        return;
    QEventLoop loop;
    {
        const std::lock_guard<std::mutex> lock(d->mutex);
        if (d->messageLoop) {
            qCWarning(lcServer, "NamedPipeServer::manualMessageLoopEnter() was called inside the manual message loop");
            return;
        }
        if (std::exchange(d->leaveRequested, false))
            return;
        d->messageLoop = &loop;
    }
    const QPointer<NamedPipeServer> alive(this);
    loop.exec();
    if (!alive)
        return;
    const std::lock_guard<std::mutex> lock(d->mutex);
    d->messageLoop = nullptr;
    d->leaveRequested = false;
}

void NamedPipeServer::manualMessageLoopLeave()
{
    const std::lock_guard<std::mutex> lock(d->mutex);
    d->leaveRequested = true;
    if (d->messageLoop)
        QCoreApplication::postEvent(this, new QEvent(leaveEvent()));
}

// --- Events ---

bool NamedPipeServer::event(QEvent *event)
{
    if (event->type() == ConnectionHub::drainEvent()) {
        if (const auto hub = d->hub())
            hub->drain();
        return true; // nothing of this object is touched any more: a slot may have deleted it
    }
    if (event->type() == leaveEvent()) {
        const std::lock_guard<std::mutex> lock(d->mutex);
        if (d->messageLoop && d->leaveRequested) // not a late one, for a loop that has been left already
            d->messageLoop->quit();
        return true;
    }
    return QObject::event(event);
}

void NamedPipeServer::connectNotify(const QMetaMethod &signal)
{
    // May be called with a lock of Qt's held: no QObject function from here.
    static const QMetaMethod messageSent = QMetaMethod::fromSignal(&NamedPipeServer::clientMessageSent);
    if (signal != messageSent)
        return;
    d->wantsMessageSent = true;
    if (const auto hub = d->hub())
        hub->setWantsMessageSent();
}

std::unique_ptr<ConnectionFace> NamedPipeServerPrivate::makeFace(const std::shared_ptr<PipeConnection> &connection)
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

