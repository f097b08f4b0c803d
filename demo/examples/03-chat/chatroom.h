// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef CHATROOM_H
#define CHATROOM_H

#include <QtNamedPipes/NamedPipeServer>

#include <QtCore/qstringlist.h>

/// The server of a chat: what one says, all hear.
///
/// The first message of a client is its name, each further one is what it says. Everybody gets
/// "SPEAKER\nTEXT". Without a speaker it is a notice, "\nTEXT\nPEOPLE", with those who are here.
class ChatRoom
{
public:
    explicit ChatRoom(const QString &pipe);

    /// Opens the room, unless it is open: here or in another process.
    void open() { m_server.start(); }
    /// Closes it when everybody has heard everything.
    void close() { m_server.stopWhenSent(1000); }

private:
    void receive(const NamedPipeServerConnectionPtr &client, const QString &text);
    void announce(const QString &speaker, const QString &text);
    void announceChange(const QString &what);

    NamedPipeServer m_server;
};

#endif // CHATROOM_H
