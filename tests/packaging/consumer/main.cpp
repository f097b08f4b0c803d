// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// A program as somebody else would write it: a server and a client, which exchange one message.
// The exit code is 0 only if the client has got its message back.

#include <QtNamedPipes/QtNamedPipes>

#include <QtCore/QCoreApplication>
#include <QtCore/QTimer>

#include <cstdio>

static int failed(const QString &reason)
{
    std::fprintf(stderr, "consumer: %s\n", qPrintable(reason));
    return 1;
}

int main(int argc, char *argv[])
{
    QCoreApplication app(argc, argv);
    const QString name = QStringLiteral("qtnamedpipes-consumer-%1").arg(app.applicationPid());

    NamedPipeServer server(name);
    QObject::connect(&server, &NamedPipeServer::clientMessageReceived, &server,
                     [](const NamedPipeServerConnectionPtr &client, const QVariant &,
                        const QByteArray &message) { client->asyncWrite(message); });
    if (!server.start())
        return failed(server.errorString());

    NamedPipeClientManager manager;
    const NamedPipeClientConnectionPtr connection = manager.connectToServer(name);
    const QByteArray sent("hello");
    QObject::connect(connection.get(), &NamedPipeClientConnection::connected, &app,
                     [&] { connection->asyncWrite(sent); });
    QObject::connect(connection.get(), &NamedPipeClientConnection::messageReceived, &app,
                     [&](const QVariant &, const QByteArray &message) {
                         app.exit(message == sent ? 0 : failed(QStringLiteral("another message")));
                     });
    QObject::connect(connection.get(), &NamedPipeClientConnection::errorOccurred, &app,
                     [&](NamedPipe::Error, const QString &text) { app.exit(failed(text)); });
    QTimer::singleShot(30000, &app, [&] { app.exit(failed(QStringLiteral("no answer"))); });
    return app.exec();
}
