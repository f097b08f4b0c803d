// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include <QtNamedPipes/namedpipe.h>

/*!
    \module QtNamedPipes
    \title QtNamedPipes C++ Classes
    \brief Message-oriented communication between the processes of one machine.

    A NamedPipeServer hosts one named pipe for any number of clients, and a NamedPipeClientManager
    connects to servers. Both use named pipes and an I/O completion port on Windows, and AF_UNIX
    sockets and epoll on Linux. Messages keep their boundaries on both.
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
    \macro QTNAMEDPIPES_VERSION_CHECK(major, minor, patch)
    \relates NamedPipe

    Turns the version \a major, \a minor, \a patch into a number that can be compared with
    QTNAMEDPIPES_VERSION, which is the version of the headers that a program is compiled with:

    \snippet server.cpp version

    \sa QTNAMEDPIPES_VERSION_STR
*/

/*!
    \macro QTNAMEDPIPES_VERSION
    \relates NamedPipe

    The version of the headers as a number.

    \sa QTNAMEDPIPES_VERSION_CHECK()
*/

/*!
    \macro QTNAMEDPIPES_VERSION_STR
    \relates NamedPipe

    The version of the headers as a string literal, for instance "1.0.0".
*/

/*!
    \macro QTNAMEDPIPES_VERSION_MAJOR
    \relates NamedPipe

    The first number of the version.
*/

/*!
    \macro QTNAMEDPIPES_VERSION_MINOR
    \relates NamedPipe

    The second number of the version.
*/

/*!
    \macro QTNAMEDPIPES_VERSION_PATCH
    \relates NamedPipe

    The third number of the version.
*/

/*!
    \enum NamedPipe::Error

    This enum says what went wrong. The text that comes with it names the operation and, where the
    operating system reported the error, the native code (\c GetLastError() or \c errno).

    \value NoError
           Nothing went wrong.
    \value NameMissing
           NamedPipeServer::start() or NamedPipeClientManager::connectToServer() was called without
           a pipe name.
    \value NameInvalid
           The pipe name cannot be used. The text says why. See NamedPipeServer::pipeName.
    \value NameInUse
           A running server has the name, in this or in another process. On Linux also: something
           else than a socket of this user is at the path of the socket.
    \value InvalidConfiguration
           A property of the server or of the manager is out of its range, the security descriptor
           is not valid, or NamedPipeServer::start() or NamedPipeClientManager::connectToServer()
           was called during stop().
    \value CompletionPortFailed
           The completion port (Windows) or the epoll instance (Linux) could not be made.
    \value AccessDenied
           The operating system refused the operation to this process; or the server is run by
           another user, see NamedPipeClientManager::serverAccess.
    \value NotFound
           No server has the name that a client wants to connect to; or something that the
           operation needs does not exist, the folder of the socket for instance.
    \value ConnectTimeout
           A connection was not made within NamedPipeClientManager::connectTimeout. Servers do not
           report this error.
    \value NotConnected
           A message was to be sent on a connection that is closed, is being closed or is not made
           yet.
    \value ConnectionBroken
           The connection ended before everything was sent: the other side closed it, or did not
           read before the deadline of NamedPipe::SendPending or of NamedPipeServer::stopWhenSent().
    \value MessageTooLarge
           The other side sent a message that is larger than NamedPipeServer::maximumMessageSize or
           NamedPipeClientManager::maximumMessageSize, which closes the connection; or a message to
           send is larger than the system can carry, which refuses this message only.
    \value TruncatedMessage
           The other side closed in the middle of a message. The part is not delivered. On Windows
           the system may drop such a part without telling.
    \value WriteQueueFull
           A message was refused because NamedPipeServer::maximumPendingWriteBytes or
           NamedPipeClientManager::maximumPendingWriteBytes was reached: by messages that wait to be
           sent, or by sent ones that nobody has been told of yet. The text says which.
    \value ResourceExhausted
           The system is short of memory, handles, file descriptors or threads.
    \value Unsupported
           The operating system does not know the operation; or what a client has found under the
           name does not send messages.
    \value SystemError
           Any other error of the operating system; in free-threaded mode also: a slot threw an
           exception.

    \sa NamedPipeServer::errorOccurred(), NamedPipeServer::clientErrorOccurred(),
        NamedPipeClientConnection::errorOccurred()
*/

/*!
    \enum NamedPipe::CloseMode

    This enum says what NamedPipeServerConnection::asyncClose() and
    NamedPipeClientConnection::asyncClose() do with messages that are queued and not sent yet.

    \value CancelPending
           They are dropped.
    \value SendPending
           They are sent first. After 5 seconds the rest is dropped, and
           NamedPipeServer::clientErrorOccurred() or NamedPipeClientConnection::errorOccurred()
           reports NamedPipe::ConnectionBroken.
*/

/*!
    \enum NamedPipe::CloseReason

    This enum says why a connection ended. The first reason is kept.

    \value StillOpen
           The connection has not ended.
    \value ClosedByClient
           The client closed its end, or its process ended. On the client's side: by
           NamedPipeClientConnection::asyncClose() or NamedPipeClientManager::stop().
    \value ClosedByServer
           NamedPipeServerConnection::asyncClose() was called. On the client's side: the server
           closed its end, was stopped, or its process ended.
    \value ServerStopped
           The server was stopped. Only the server's side says so.
    \value Failed
           An error ended the connection, or it could not be made.
           NamedPipeServer::clientErrorOccurred() or NamedPipeClientConnection::errorOccurred() has
           reported it before.

    \sa NamedPipeServerConnection::closeReason, NamedPipeClientConnection::closeReason
*/

/*!
    \enum NamedPipe::ServerAccess

    This enum says which servers a client talks to.

    \value AnyUser
           Whoever has the name.
    \value CurrentUser
           Servers that the client's own user runs.

    \sa NamedPipeClientManager::serverAccess
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
    \brief The Statistics struct counts the traffic of one connection, or of several together.

    The numbers are a snapshot. They only grow. Bytes are bytes of messages, without the length that
    goes before each on Linux.

    \sa NamedPipeServerConnection::statistics(), NamedPipeClientConnection::statistics(),
        NamedPipe::ServerStatistics
*/

/*!
    \fn NamedPipe::Statistics NamedPipe::Statistics::operator+(const NamedPipe::Statistics &a, const NamedPipe::Statistics &b)

    Returns the sums of the counters of \a a and \a b.
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
