// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "fragments.h"

void letGroupIn(NamedPipeServer &server)
{
    //! [group]
    server.setAccessOptions(NamedPipe::UserAccess | NamedPipe::GroupAccess);
    //! [group]
}

void letEverybodyIn(NamedPipeServer &server)
{
    //! [everybody]
    server.setAccessOptions(NamedPipe::WorldAccess);
    //! [everybody]
}

void letUserIn(NamedPipeServer &server, const QString &ownSid, const QString &otherSid)
{
    //! [sddl]
    // FA: all rights. 0x12019b: to read and write, without the right to create instances.
    server.setSecurityDescriptor(
            QStringLiteral("D:P(A;;FA;;;%1)(A;;0x12019b;;;%2)").arg(ownSid, otherSid));
    //! [sddl]
}

void greetByUser(NamedPipeServer &server)
{
    //! [user id]
    QObject::connect(&server, &NamedPipeServer::clientConnected, &server,
                     [](const NamedPipeServerConnectionPtr &client) {
                         client->asyncWrite("you are user " + client->clientUserId().toUtf8());
                     });
    //! [user id]
}

void trustOwnUserOnly(NamedPipeClientManager &manager)
{
    //! [current user]
    manager.setServerAccess(NamedPipe::CurrentUser);
    //! [current user]
}
