// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// The smallest server: it greets its first client, and ends with it.

#include <QtNamedPipes/NamedPipeServer>

#include <QtCore/QCoreApplication>
#include <QtCore/QDebug>

using namespace Qt::StringLiterals;

int main(int argc, char *argv[])
{
    QCoreApplication app(argc, argv);
    NamedPipeServer server(app.arguments().value(1, u"hello"_s));
    QObject::connect(&server, &NamedPipeServer::clientConnected, &app,
                     [](const NamedPipeServerConnectionPtr &client) {
                         client->asyncWrite("Hello, client!");
                     });
    QObject::connect(&server, &NamedPipeServer::clientDisconnected, &app, &QCoreApplication::quit);
    if (!server.start()) {
        qCritical().noquote() << server.errorString();
        return 1;
    }
    qInfo().noquote() << "Listening on" << server.fullPipeName();
    return app.exec();
}
