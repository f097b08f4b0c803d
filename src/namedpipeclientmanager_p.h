// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_NAMEDPIPECLIENTMANAGER_P_H
#define QTNAMEDPIPES_NAMEDPIPECLIENTMANAGER_P_H

#include "core/connectionhub.h"
#include "core/pipedialer.h"

#include <QtNamedPipes/namedpipeclientmanager.h>

#include <memory>
#include <mutex>

class NamedPipeClientManagerPrivate
{
public:
    explicit NamedPipeClientManagerPrivate(NamedPipeClientManager *manager) : q(manager) { }

    template<typename T>
    T get(const T &property) const;
    template<typename T>
    void set(T &property, const T &value, void (NamedPipeClientManager::*changed)());

    std::shared_ptr<QtNamedPipes::ConnectionHub> hub() const;
    QtNamedPipes::TransportError useHub(std::shared_ptr<QtNamedPipes::ConnectionHub> *hub,
                                        QtNamedPipes::DialSettings *dial);
    QtNamedPipes::TransportError checkConfiguration() const;
    std::shared_ptr<QtNamedPipes::ConnectionHub> makeHub() const;
    NamedPipeClientConnectionPtr prepared(const std::shared_ptr<QtNamedPipes::ConnectionHub> &hub,
                                          const QString &name,
                                          const NamedPipeClientManager::Preparation &prepare) const;
    NamedPipeClientConnectionPtr failed(const QString &name,
                                        const NamedPipeClientManager::Preparation &prepare,
                                        const QtNamedPipes::TransportError &error);

    NamedPipeClientManager *const q;

    mutable std::mutex mutex; // guards the rest
    bool continuouslyReadFromPipe = true;
    bool freeThreadingEvents = false;
    int messageBufferSize = 128 * 1024;
    int numThreadsIOCP = 1;
    qint64 maximumMessageSize = 0;
    qint64 maximumPendingReadBytes = 1024 * 1024;
    qint64 maximumPendingWriteBytes = 64 * 1024 * 1024;
    int connectTimeout = 5000;
    bool waitForServer = false;
    NamedPipe::ServerAccess serverAccess = NamedPipe::AnyUser;
    bool autoReconnect = false;
    int minimumReconnectDelay = 100;
    int maximumReconnectDelay = 10000;

    /// From the first connection to the end of stop().
    std::shared_ptr<QtNamedPipes::ConnectionHub> currentHub;
    /// Tells of connections that cannot even be dialed; made for the first of them.
    std::shared_ptr<QtNamedPipes::ConnectionHub> failuresHub;
    std::shared_ptr<QtNamedPipes::ConnectionHub> endingFailuresHub; ///< the same during stop()
    bool isStopping = false;
    NamedPipe::Statistics lastStatistics;
};

#endif // QTNAMEDPIPES_NAMEDPIPECLIENTMANAGER_P_H
