// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_TESTCLIENT_H
#define QTNAMEDPIPES_TESTS_TESTCLIENT_H

#include "clientrecorder.h"

/// A manager and a recorder on all connections that it makes. The recorder outlives the manager and
/// sees what that does when it goes. What the recorder's hooks refer to has to be declared before.
class TestClient
{
public:
    explicit TestClient(ClientRecorder::Keeping keeping = ClientRecorder::KeepEverything)
        : recorder(keeping)
    {
    }

    /// Begins to connect.
    NamedPipeClientConnectionPtr dial(const QString &name)
    {
        return manager.connectToServer(name,
                                       [this](const NamedPipeClientConnectionPtr &connection) {
                                           recorder.watch(connection, manager);
                                       });
    }

    /// A connection that is connected, and told so; null when that did not come to be.
    NamedPipeClientConnectionPtr connectTo(const QString &name)
    {
        const int before = recorder.count(ClientEvent::Connected);
        NamedPipeClientConnectionPtr connection = dial(name);
        if (!recorder.waitFor(ClientEvent::Connected, before + 1))
            connection.reset();
        return connection;
    }

    ClientRecorder recorder;
    NamedPipeClientManager manager;
};

#endif // QTNAMEDPIPES_TESTS_TESTCLIENT_H
