// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_NAMEDPIPESERVER_P_H
#define QTNAMEDPIPES_NAMEDPIPESERVER_P_H

#include "core/connectionhub.h"

#include <QtNamedPipes/namedpipeserver.h>

#include <atomic>
#include <memory>
#include <mutex>

class QEventLoop;

/// Of manualMessageLoopEnter(), which may outlive the server.
struct MessageLoop
{
    std::mutex mutex; // guards the rest
    QEventLoop *loop = nullptr; ///< while it runs
    bool leaveRequested = false;
};

class NamedPipeServerPrivate final : public QtNamedPipes::HubOwner
{
public:
    explicit NamedPipeServerPrivate(NamedPipeServer *server) : q(server) { }

    template<typename T>
    void set(T &property, const T &value, void (NamedPipeServer::*changed)());

    std::shared_ptr<QtNamedPipes::ConnectionHub> hub() const;
    void setHub(std::shared_ptr<QtNamedPipes::ConnectionHub> hub);
    QtNamedPipes::TransportError checkConfiguration() const;
    bool fail(const QtNamedPipes::TransportError &error);
    void setError(NamedPipe::Error error, const QString &text);
    bool isOnServersThread(const char *function) const;

    // HubOwner
    std::unique_ptr<QtNamedPipes::ConnectionFace> makeFace(
            const std::shared_ptr<QtNamedPipes::PipeConnection> &connection) override;
    void ready() override;
    void errorOccurred(const QtNamedPipes::TransportError &error) override;

    NamedPipeServer *const q;

    // Read by start(); the server's thread only.
    QString pipeName;
    QString servedName; ///< pipeName as start() has read it
    bool freeThreadingEvents = false;
    int messageBufferSize = 128 * 1024;
    int numThreadsIOCP = 1;
    int listenBacklogSize = 16;
    int maxConnections = 0;
    qint64 maximumMessageSize = 0;
    qint64 maximumPendingReadBytes = 1024 * 1024;
    qint64 maximumPendingWriteBytes = 64 * 1024 * 1024;
    NamedPipe::AccessOptions accessOptions = NamedPipe::UserAccess;
    QString securityDescriptor;

    std::atomic<bool> continuouslyReadFromPipe { true };
    std::atomic<bool> isRunning { false };
    std::atomic<bool> wantsMessageSent { false };
    std::atomic<bool> wantsMessages { false };
    std::atomic<bool> wantsBatches { false };

    const std::shared_ptr<MessageLoop> messageLoop = std::make_shared<MessageLoop>();

    mutable std::mutex mutex; // guards the rest
    std::shared_ptr<QtNamedPipes::ConnectionHub> currentHub; ///< from start() to the end of stop()
    NamedPipe::ServerStatistics lastStatistics;
    NamedPipe::Error error = NamedPipe::NoError;
    QString errorString;
};

#endif // QTNAMEDPIPES_NAMEDPIPESERVER_P_H
