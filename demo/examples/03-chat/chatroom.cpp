// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "chatroom.h"

using namespace Qt::StringLiterals;

/// Empty until the client has said its name.
static QString nameOf(const NamedPipeServerConnectionPtr &client)
{
    return client->customData().toString();
}

ChatRoom::ChatRoom(const QString &pipe) : m_server(pipe)
{
    m_server.setMaximumMessageSize(64 * 1024); // nobody types that much
    QObject::connect(&m_server, &NamedPipeServer::clientMessageReceived, &m_server,
                     [this](const NamedPipeServerConnectionPtr &client, const QVariant &,
                            const QByteArray &message) {
                         receive(client, QString::fromUtf8(message).simplified());
                     });
    QObject::connect(&m_server, &NamedPipeServer::clientDisconnected, &m_server,
                     [this](const NamedPipeServerConnectionPtr &client) {
                         if (!nameOf(client).isEmpty())
                             announceChange(nameOf(client) + u" has left"_s);
                     });
}

void ChatRoom::receive(const NamedPipeServerConnectionPtr &client, const QString &text)
{
    if (text.isEmpty())
        return;
    if (nameOf(client).isEmpty()) {
        client->setCustomData(text);
        announceChange(text + u" has come"_s);
    } else {
        announce(nameOf(client), text);
    }
}

void ChatRoom::announce(const QString &speaker, const QString &text)
{
    m_server.asyncBroadcast((speaker + u'\n' + text).toUtf8());
}

void ChatRoom::announceChange(const QString &what)
{
    QStringList people;
    for (const NamedPipeServerConnectionPtr &client : m_server.connections()) {
        if (!nameOf(client).isEmpty())
            people.append(nameOf(client));
    }
    announce({}, what + u'\n' + people.join(u", "_s));
}
