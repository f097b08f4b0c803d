// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include <QtNamedPipes/namedpipe.h>

/*!
    \module QtNamedPipes
    \title QtNamedPipes C++ Classes
    \brief Message-oriented communication between the processes of one machine.

    A NamedPipeServer hosts one named pipe for any number of clients. It uses named pipes and an
    I/O completion port on Windows, and AF_UNIX sockets and epoll on Linux. Messages keep their
    boundaries on both.
*/

/*!
    \namespace NamedPipe
    \inmodule QtNamedPipes
    \inheaderfile QtNamedPipes/NamedPipe
    \brief The NamedPipe namespace contains the enumerations and value types of the library.

    All types in it are known to the meta-object system, so that they can be used in queued
    connections, in QSignalSpy and in a QVariant.
*/

/*!
    \enum NamedPipe::Error

    This enum says what went wrong. The text that comes with it names the operation and, where the
    operating system reported the error, the native code (\c GetLastError() or \c errno).

    \value NoError
           Nothing went wrong.
    \value NameMissing
           NamedPipeServer::start() was called without a pipe name.
    \value NameInvalid
           The pipe name cannot be used. The text says why. See NamedPipeServer::pipeName.
    \value NameInUse
           A running server has the name, in this or in another process. On Linux also: something
           else than a socket of this user is at the path of the socket.
    \value InvalidConfiguration
           A property of the server is out of its range, the security descriptor is not valid, or
           start() was called while the server was stopping.
    \value CompletionPortFailed
           The completion port (Windows) or the epoll instance (Linux) could not be made.
    \value AccessDenied
           The operating system refused the operation to this process.
    \value NotFound
           Something that the operation needs does not exist, the folder of the socket for instance.
    \value ConnectTimeout
           A connection was not made in time. The server does not report this error.
    \value NotConnected
           A message was to be sent on a connection that is closed or is being closed.
    \value ConnectionBroken
           The connection ended before everything was sent: the client closed it, or it did not read
           before the deadline of NamedPipe::SendPending or of NamedPipeServer::stopWhenSent().
    \value MessageTooLarge
           The client sent a message that is larger than NamedPipeServer::maximumMessageSize, which
           closes its connection; or a message to send is larger than the system can carry, which
           refuses this message only.
    \value TruncatedMessage
           The client closed its end in the middle of a message. The part is not delivered.
    \value WriteQueueFull
           A message was refused because NamedPipeServer::maximumPendingWriteBytes was reached.
    \value ResourceExhausted
           The system is short of memory, handles, file descriptors or threads.
    \value Unsupported
           The operating system does not know the operation.
    \value SystemError
           Any other error of the operating system; in free-threaded mode also: a slot threw an
           exception.

    \sa NamedPipeServer::errorOccurred(), NamedPipeServer::clientErrorOccurred()
*/

/*!
    \enum NamedPipe::CloseMode

    This enum says what NamedPipeServerConnection::asyncClose() does with messages that are queued
    and not sent yet.

    \value CancelPending
           They are dropped.
    \value SendPending
           They are sent first. After 5 seconds the rest is dropped, and
           NamedPipeServer::clientErrorOccurred() reports NamedPipe::ConnectionBroken.

    \sa NamedPipeServerConnection::asyncClose()
*/

/*!
    \enum NamedPipe::CloseReason

    This enum says why a connection ended. The first reason is kept.

    \value StillOpen
           The connection has not ended.
    \value ClosedByClient
           The client closed its end, or its process ended.
    \value ClosedByServer
           NamedPipeServerConnection::asyncClose() was called.
    \value ServerStopped
           The server was stopped.
    \value Failed
           An error ended the connection. NamedPipeServer::clientErrorOccurred() has reported it
           before NamedPipeServer::clientDisconnected().

    \sa NamedPipeServerConnection::closeReason
*/

/*!
    \enum NamedPipe::AccessOption

    This enum says who may connect to a server. Clients on other machines never may.

    \value UserAccess
           The user who runs the server. On Windows, SYSTEM and the administrators may always
           connect, too.
    \value GroupAccess
           The members of the primary group of that user. Combine it with UserAccess.
    \value OtherAccess
           Every user of the machine.
    \value WorldAccess
           All of the above.

    \sa NamedPipeServer::accessOptions
*/

/*!
    \class NamedPipe::Statistics
    \inmodule QtNamedPipes
    \inheaderfile QtNamedPipes/NamedPipe
    \brief The Statistics struct counts the traffic of one connection, or of all of a server.

    The numbers are a snapshot. They only grow. Bytes are bytes of messages, without the length that
    goes before each on Linux.

    \sa NamedPipeServerConnection::statistics(), NamedPipe::ServerStatistics
*/

/*!
    \variable NamedPipe::Statistics::messagesReceived
    \brief the number of whole messages that arrived, delivered to a slot or not.
*/

/*!
    \variable NamedPipe::Statistics::bytesReceived
    \brief the bytes of these messages.
*/

/*!
    \variable NamedPipe::Statistics::messagesSent
    \brief the number of messages that the operating system accepted.
*/

/*!
    \variable NamedPipe::Statistics::bytesSent
    \brief the bytes of these messages.
*/

/*!
    \class NamedPipe::ServerStatistics
    \inmodule QtNamedPipes
    \inheaderfile QtNamedPipes/NamedPipe
    \brief The ServerStatistics struct counts the clients and the traffic of a server.

    It counts from the last NamedPipeServer::start(). After NamedPipeServer::stop() the numbers stay
    as they are until the next start. The traffic is that of all connections, those that have ended
    included.

    \sa NamedPipeServer::statistics()
*/

/*!
    \variable NamedPipe::ServerStatistics::connectionsAccepted
    \brief the number of clients that got a connection.
*/

/*!
    \variable NamedPipe::ServerStatistics::connectionsClosed
    \brief the number of connections that have ended, with all their events delivered.
*/

/*!
    \variable NamedPipe::ServerStatistics::connectionsRefused
    \brief the number of clients that were turned away because of who they are.

    Clients that the operating system turns away itself are not seen by the server and not counted.
    On Windows that is all of them.
*/
