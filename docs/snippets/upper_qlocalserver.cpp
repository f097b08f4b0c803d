// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

//! [program]
// before: QLocalServer
#include <QtCore/QCoreApplication>
#include <QtCore/QDataStream>
#include <QtNetwork/QLocalServer>
#include <QtNetwork/QLocalSocket>

int main(int argc, char *argv[])
{
    QCoreApplication app(argc, argv);
    QLocalServer server;
    QObject::connect(&server, &QLocalServer::newConnection, &server, [&server] {
        while (QLocalSocket *socket = server.nextPendingConnection()) {
            QObject::connect(socket, &QLocalSocket::disconnected, socket, &QObject::deleteLater);
            QObject::connect(socket, &QLocalSocket::readyRead, socket, [socket] {
                QDataStream stream(socket);
                for (;;) {
                    QByteArray message;
                    stream.startTransaction();
                    stream >> message;
                    if (!stream.commitTransaction())
                        break; // not all of it is there
                    stream << message.toUpper();
                }
            });
        }
    });
    server.setSocketOptions(QLocalServer::UserAccessOption);
    QLocalServer::removeServer("upper"); // takes the name from a server that runs, too
    return server.listen("upper") ? app.exec() : 1;
}
//! [program]
