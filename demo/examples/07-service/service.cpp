// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "service.h"

#include <QtCore/qdatetime.h>

Q_LOGGING_CATEGORY(lcService, "example.service", QtInfoMsg)

Service::Service(const Settings &settings)
    : m_stopTimeout(settings.stopTimeout),
      m_server(settings.pipe)
{
    m_server.setAccessOptions(settings.access);
    m_server.setMaxConnections(settings.maxClients);
    m_server.setMaximumMessageSize(1024); // no request is that long
    QObject::connect(&m_server, &NamedPipeServer::clientConnected, &m_server,
                     [](const NamedPipeServerConnectionPtr &client) {
                         qCDebug(lcService).noquote() << "client" << client->id() << "is process"
                                                      << client->clientProcessId() << "of user"
                                                      << client->clientUserId();
                     });
    QObject::connect(&m_server, &NamedPipeServer::clientMessageReceived, &m_server,
                     [this](const NamedPipeServerConnectionPtr &client, const QVariant &,
                            const QByteArray &request) { answer(client, request); });
    QObject::connect(&m_server, &NamedPipeServer::clientDisconnected, &m_server,
                     [](const NamedPipeServerConnectionPtr &client) {
                         qCDebug(lcService)
                                 << "client" << client->id() << "ended:" << client->closeReason();
                     });
    QObject::connect(&m_server, &NamedPipeServer::clientErrorOccurred, &m_server,
                     [](const NamedPipeServerConnectionPtr &client, NamedPipe::Error,
                        const QString &text) {
                         qCWarning(lcService).noquote() << "client" << client->id() << text;
                     });
    QObject::connect(&m_server, &NamedPipeServer::errorOccurred, &m_server,
                     [](NamedPipe::Error, const QString &text) {
                         qCCritical(lcService).noquote() << text;
                     });
}

bool Service::start()
{
    if (!m_server.start()) {
        qCCritical(lcService).noquote() << m_server.errorString();
        return false;
    }
    m_upTime.start();
    qCInfo(lcService).noquote() << "listening on" << m_server.fullPipeName();
    return true;
}

void Service::stop()
{
    qCInfo(lcService) << "stopping; clients connected:" << m_server.connectionCount();
    m_server.asyncBroadcast("goodbye");
    if (!m_server.stopWhenSent(int(m_stopTimeout.count())))
        qCWarning(lcService) << "not every client has read its messages in time";
    qCInfo(lcService) << "stopped; clients served:" << m_server.statistics().connectionsAccepted;
}

void Service::answer(const NamedPipeServerConnectionPtr &client, const QByteArray &request)
{
    if (request == "time") {
        client->asyncWrite(QDateTime::currentDateTimeUtc().toString(Qt::ISODateWithMs).toUtf8());
    } else if (request == "status") {
        client->asyncWrite("clients: " + QByteArray::number(m_server.connectionCount())
                           + ", seconds: " + QByteArray::number(m_upTime.elapsed() / 1000));
    } else if (request == "bye") {
        client->asyncWrite("bye");
        client->asyncClose(NamedPipe::SendPending); // what is queued is sent before the end
    } else {
        client->asyncWrite("error: time, status or bye");
    }
}
