// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_TESTSERVER_H
#define QTNAMEDPIPES_TESTS_TESTSERVER_H

#include "rawpeer.h"
#include "scratchname.h"
#include "serverrecorder.h"

/// A server with a name of its own and a recorder on it. What the recorder's hooks refer to has to
/// be declared before it.
class TestServer
{
public:
    explicit TestServer(ServerRecorder::Keeping keeping = ServerRecorder::KeepEverything)
        : server(scratchName()),
          recorder(&server, keeping)
    {
    }

    QString name() const { return server.pipeName(); }
    bool start() { return server.start(); }

    /// A client that is connected, and known to the server as connection(index).
    RawPeer connectPeer(RawPeer::ReadMode mode = RawPeer::ReadMode::Messages)
    {
        RawPeer peer(mode);
        const int before = recorder.count(ServerEvent::Connected);
        if (peer.connectTo(name()) && !recorder.waitFor(ServerEvent::Connected, before + 1))
            peer.close();
        return peer;
    }

    NamedPipeServerConnectionPtr connection(int index = 0) const
    {
        return recorder.connection(index);
    }

    NamedPipeServer server;
    ServerRecorder recorder;
};

#endif // QTNAMEDPIPES_TESTS_TESTSERVER_H
