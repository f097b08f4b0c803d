// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

//! [program]
// after: NamedPipeServer
#include <QtCore/QCoreApplication>
#include <QtNamedPipes/NamedPipeServer>

int main(int argc, char *argv[])
{
    QCoreApplication app(argc, argv);
    NamedPipeServer server("upper");
    QObject::connect(&server, &NamedPipeServer::clientMessageReceived, &server,
                     [](const NamedPipeServerConnectionPtr &client, const QVariant &,
                        const QByteArray &message) { client->asyncWrite(message.toUpper()); });
    return server.start() ? app.exec() : 1;
}
//! [program]
