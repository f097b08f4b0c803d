// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_RAWSERVER_H
#define QTNAMEDPIPES_TESTS_RAWSERVER_H

#include "rawpeer.h"

#include <vector>

/// A server made of plain system calls, without a line of the library; the twin of RawPeer. It does
/// nothing by itself: clients wait in its places until it takes them.
class RawServer
{
public:
    using Milliseconds = RawPeer::Milliseconds;

    enum class Kind {
        Messages, ///< what the library talks to
        Bytes, ///< a byte-mode pipe on Windows; the same as Messages on Linux
        SequencedPackets, ///< a socket of another type; Linux only
        Datagrams, ///< likewise
    };

    RawServer();
    ~RawServer();
    RawServer(const RawServer &) = delete;
    RawServer &operator=(const RawServer &) = delete;

    /// \a places clients may connect before one of them is taken; the next one finds it busy.
    bool listen(const QString &name, int places = 16, Kind kind = Kind::Messages);
    bool isListening() const;

    /// The server's end of the client that came first; not open when none came in time.
    RawPeer accept(Milliseconds timeout = RawPeer::defaultTimeout);
    /// Raw clients for all places that are free, so that the server is busy from now on.
    std::vector<RawPeer> fill();

    /// Ends clients that were not taken, too. On Linux the socket's file goes.
    void close();
    /// As close(), but on Linux the file stays behind, as after a crash.
    void die();

private:
    struct Private;
    std::unique_ptr<Private> d;
};

#endif // QTNAMEDPIPES_TESTS_RAWSERVER_H
