// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

//! [program]
#include <QtCore/QCoreApplication>
#include <QtCore/QDebug>
#include <QtNamedPipes/NamedPipeClientManager>

int main(int argc, char *argv[])
{
    QCoreApplication app(argc, argv);
    NamedPipeClientManager manager;
    const NamedPipeClientConnectionPtr connection = manager.connectToServer("MyService");
    QObject::connect(connection.get(), &NamedPipeClientConnection::connected, &manager,
                     [&connection] { connection->asyncWrite(QStringLiteral("hello").toUtf8()); });
    QObject::connect(connection.get(), &NamedPipeClientConnection::messageReceived, &manager,
                     [&connection](const QVariant &, const QByteArray &data) {
                         qInfo() << QString::fromUtf8(data);
                         connection->asyncClose();
                     });
    QObject::connect(connection.get(), &NamedPipeClientConnection::disconnected, &app,
                     &QCoreApplication::quit);
    QObject::connect(connection.get(), &NamedPipeClientConnection::errorOccurred, &app,
                     [&app](NamedPipe::Error, const QString &text) {
                         qWarning() << text;
                         app.exit(1);
                     });
    return app.exec();
}
//! [program]
