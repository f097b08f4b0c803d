// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_RAWLINK_H
#define QTNAMEDPIPES_TESTS_RAWLINK_H

#include "rawserver.h"
#include "scratchname.h"
#include "testclient.h"

/// A client of the library and the raw server that it is connected to. What the recorder's hooks
/// refer to has to be declared before.
class RawLink
{
public:
    explicit RawLink(ClientRecorder::Keeping keeping = ClientRecorder::KeepEverything)
        : client(keeping)
    {
    }

    /// Connects, also once more: connection and peer are then the ends of the new connection.
    bool open()
    {
        if (!server.isListening() && !server.listen(name))
            return false;
        connection = client.connectTo(name);
        peer = server.accept();
        return connection && peer.isOpen();
    }

    const QString name = scratchName();
    RawServer server;
    RawPeer peer;
    TestClient client;
    NamedPipeClientConnectionPtr connection;
};

#endif // QTNAMEDPIPES_TESTS_RAWLINK_H
