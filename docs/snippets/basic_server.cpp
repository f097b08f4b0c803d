// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

//! [program]
#include <QtCore/QCoreApplication>
#include <QtCore/QDebug>
#include <QtNamedPipes/NamedPipeServer>

int main(int argc, char *argv[])
{
    QCoreApplication app(argc, argv);
    NamedPipeServer server;
    server.setPipeName("MyService");
    QObject::connect(&server, &NamedPipeServer::clientConnected, &server,
                     [](const NamedPipeServerConnectionPtr &connection) {
                         connection->setCustomData(0);
                     });
    QObject::connect(&server, &NamedPipeServer::clientMessageReceived, &server,
                     [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                        const QByteArray &data) {
                         connection->setCustomData(connection->customData().toInt() + 1);
                         connection->asyncWrite(data, connection->customData());
                     });
    QObject::connect(&server, &NamedPipeServer::clientMessageSent, &server,
                     [](const NamedPipeServerConnectionPtr &, const QVariant &cookie) {
                         qInfo() << "sent" << cookie.toInt();
                     });
    if (!server.start()) {
        qWarning() << server.errorString();
        return 1;
    }
    return app.exec();
}
//! [program]
