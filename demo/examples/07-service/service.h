// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef SERVICE_H
#define SERVICE_H

#include <QtNamedPipes/NamedPipeServer>

#include <QtCore/qelapsedtimer.h>
#include <QtCore/qloggingcategory.h>

#include <chrono>

Q_DECLARE_LOGGING_CATEGORY(lcService)

struct Settings
{
    QString pipe;
    NamedPipe::AccessOptions access = NamedPipe::UserAccess;
    int maxClients = 0;
    std::chrono::milliseconds stopTimeout { 0 };
};

/// Answers "time" and "status"; "bye" ends the connection.
class Service
{
public:
    explicit Service(const Settings &settings);

    bool start();
    /// Says goodbye to the clients, and gives them time to hear it.
    void stop();

private:
    void answer(const NamedPipeServerConnectionPtr &client, const QByteArray &request);

    const std::chrono::milliseconds m_stopTimeout;
    QElapsedTimer m_upTime;
    NamedPipeServer m_server;
};

#endif // SERVICE_H
