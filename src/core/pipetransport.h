// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_PIPETRANSPORT_H
#define QTNAMEDPIPES_PIPETRANSPORT_H

// The seam. Below it are the engines, which know one operating system each and nothing of the
// contract; above it is the core, which knows the contract and no operating system.

#include "core/messagebatch.h"

#include <QtNamedPipes/namedpipe.h>

#include <QtCore/qbytearray.h>
#include <QtCore/qstring.h>
#include <QtCore/qstringlist.h>
#include <QtCore/qvariant.h>

#include <chrono>
#include <memory>

namespace QtNamedPipes {

/// An error as a value: what it means, what the system called it, what was being done.
struct TransportError
{
    NamedPipe::Error error = NamedPipe::NoError;
    qint64 nativeCode = 0; ///< errno or GetLastError(); 0 when the system had no part in it
    const char *operation = ""; ///< the call that failed, "ReadFile" say
    QString detail; ///< one sentence; empty: the system's own text for nativeCode

    explicit operator bool() const { return error != NamedPipe::NoError; }
    /// The sentence for the user: detail, operation and native code.
    QString text() const;
};

/// Who is at the other end, as the system knew it at the moment of the connect.
struct PeerIdentity
{
    qint64 processId = 0;
    QString userId;
};

/// One message on its way out.
struct OutgoingMessage
{
    OutgoingMessage(const QByteArray &bytes, const QVariant &tag, bool broadcast)
        : data(bytes),
          cookie(tag),
          isBroadcast(broadcast)
    {
    }
    QByteArray data;
    QVariant cookie;
    bool isBroadcast;
};

} // namespace QtNamedPipes

Q_DECLARE_TYPEINFO(QtNamedPipes::OutgoingMessage, Q_RELOCATABLE_TYPE);

namespace QtNamedPipes {

/// How far a write has come.
struct WriteProgress
{
    enum Status {
        Done, ///< all messages of the write are accepted; the operation is over
        Pending, ///< more calls of EndpointSink::writeProgressed() follow
        PeerGone, ///< the other end was closed; the operation is over
        Cancelled, ///< by PipeEndpoint::cancel(); the operation is over
        Failed, ///< for the reason in error; the operation is over
    };
    Status status = Done;
    int accepted = 0; ///< whole messages accepted since the last report
    TransportError error;
};

/// How reading came to its end.
enum class ReadEnd {
    PeerClosed, ///< end of stream: the peer closed, and everything it sent has been handed over
    Cancelled, ///< by PipeEndpoint::cancel()
    Failed, ///< for the reason that comes with it
};

/// Where an endpoint reports to: the connection. May be called on any thread; emits nothing except
/// in received().
class EndpointSink
{
public:
    virtual ~EndpointSink() = default;

    /// Completes startRead(): at least one whole message. Always on a worker. The sink may take
    /// the block out of \a batch; what it leaves belongs to the endpoint again.
    virtual void received(MessageBatch &batch) = 0;
    /// Completes startRead() for the last time; may come from inside startRead() or cancel().
    virtual void readEnded(ReadEnd end, const TransportError &error) = 0;
    /// Reports on a startWrite() that returned Pending.
    virtual void writeProgressed(const WriteProgress &progress) = 0;
    /// The peer hung up while no read was wanted, so that nobody would notice otherwise.
    virtual void hangUpSeen() = 0;
};

/// One connected end of a pipe. The connection brackets every call: none comes during or after
/// close(), and close() comes only when no read and no write is outstanding (or, when an operating
/// system never gave an operation back, after a second: late completions must then be harmless).
class PipeEndpoint
{
public:
    virtual ~PipeEndpoint() = default;

    /// Comes first. The endpoint keeps the sink alive for as long as it lives itself. From now on
    /// hangUpSeen() may be called.
    virtual void attach(std::shared_ptr<EndpointSink> sink) = 0;
    /// Comes once, when the connection is open: from now on a hang-up is looked out for. On a
    /// worker.
    virtual void watch() = 0;

    virtual qintptr handle() const = 0;
    virtual PeerIdentity peer() const = 0;

    /// Asks for messages. Exactly one received() or readEnded() answers; never called again
    /// before that. \a roughly says how many bytes are welcome; one message of any size is.
    /// Any thread.
    virtual void startRead(qint64 roughly) = 0;

    /// Sends \a count messages in order. They stay where they are until the operation is over.
    /// Never called again before that. Returns at once: when it is over, with how it ended; else
    /// with Pending and nothing accepted, and the rest is reported to writeProgressed(). That may
    /// be called before this has returned, too, for messages that were accepted meanwhile. Any
    /// thread.
    virtual WriteProgress startWrite(const OutgoingMessage *messages, int count) = 0;

    /// Ends what is outstanding soon, each with its own report. Nothing is started afterwards. Any
    /// thread.
    virtual void cancel() = 0;

    /// Releases the handle. What the system has accepted still reaches the peer.
    virtual void close() = 0;
};

/// Where a listener reports to: the hub. Called on workers.
class ListenerSink
{
public:
    virtual ~ListenerSink() = default;

    /// Takes one place of maxConnections before a client is let in; false when all are taken,
    /// and then PipeEngine::placeFreed() tells when to try again.
    virtual bool reservePlace() = 0;
    /// Gives back a place that no client took.
    virtual void releasePlace() = 0;
    /// A client is here, on a reserved place.
    virtual void accepted(std::shared_ptr<PipeEndpoint> endpoint) = 0;
    /// A client was turned away because of who it is.
    virtual void refused(const PeerIdentity &peer) = 0;
    /// Accepting has run into trouble; the listener goes on by itself, with back-off. Once per
    /// episode.
    virtual void listenerFailed(const TransportError &error) = 0;
};

/// A piece of work for a worker.
class EngineTask
{
public:
    virtual ~EngineTask() = default;
    virtual void run() = 0;
};

struct ListenSettings
{
    QString name;
    int backlog = 16;
    NamedPipe::AccessOptions access = NamedPipe::UserAccess;
    QString securityDescriptor; ///< SDDL, wins over access; Windows only
};

/// A server to connect to.
struct DialTarget
{
    QString name;
    NamedPipe::ServerAccess access = NamedPipe::AnyUser;
};

/// How an attempt to connect went.
struct DialResult
{
    std::shared_ptr<PipeEndpoint> endpoint; ///< null: for the reason in error
    TransportError error;
    bool isBusy = false; ///< the name is served, but nobody could take the call just now
};

struct EngineSettings
{
    int threads = 1;
    qint64 maximumMessageSize = 0; ///< of an incoming message; 0: what the engine can carry
};

using Clock = std::chrono::steady_clock;

/// A completion port or an epoll instance, with its workers. Used for one start() to one
/// shutdown().
class PipeEngine
{
public:
    virtual ~PipeEngine() = default;

    /// The largest message that can be sent.
    virtual qint64 maximumWriteSize() const = 0;
    /// The pool that read buffers come from and go back to.
    virtual BatchPool &pool() = 0;

    /// Returns when every worker runs.
    virtual TransportError start() = 0;

    /// Claims the name: clients can connect from now on, and wait.
    virtual TransportError listen(const ListenSettings &settings,
                                  std::shared_ptr<ListenerSink> sink) = 0;
    /// Lets clients in, those that wait already and those that come.
    virtual void startAccepting() = 0;
    /// No accepted() begins after this has returned; the name is kept until shutdown(). Any thread,
    /// also a worker.
    virtual void stopAccepting() = 0;
    /// A place of maxConnections, and with it a handle of the system, has become free. Any thread;
    /// harmless after shutdown().
    virtual void placeFreed() = 0;

    /// Tries once to connect, and waits for nobody. On a worker.
    virtual DialResult connect(const DialTarget &target) = 0;

    /// Runs \a task on a worker, soon or at \a when. Any thread; forgets it after shutdown().
    virtual void post(std::shared_ptr<EngineTask> task) = 0;
    virtual void postAt(Clock::time_point when, std::shared_ptr<EngineTask> task) = 0;

    /// True on a worker of this engine.
    virtual bool isWorkerThread() const = 0;

    /// Frees the name and every handle and ends the workers; tasks that have not begun are dropped.
    /// Waits for the workers, except for the calling one when it is a worker itself: that one ends,
    /// and lets go of the engine, when it returns to its loop.
    virtual void shutdown() = 0;
};

/// The engine of this platform.
std::shared_ptr<PipeEngine> createPlatformEngine(const EngineSettings &settings,
                                                 qsizetype bufferSize);
/// `\\.\pipe\Name` or the path of the socket.
QString platformPipePath(const QString &name);
/// The names of all pipes that are served on this machine, as far as the system tells; unsorted.
QStringList platformPipeNames();
/// Whether "Name" and "name" are two pipes.
Qt::CaseSensitivity platformNameCase();
/// What the platform has against \a name beyond the common rules: a sentence, or nothing.
QString platformNameFault(const QString &name);
/// The system's text for a native code.
QString platformErrorText(qint64 nativeCode);

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_PIPETRANSPORT_H
