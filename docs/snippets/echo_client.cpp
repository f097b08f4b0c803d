// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

//! [program]
#include <QtNamedPipes/NamedPipeClientManager>
#include <QtCore/QCoreApplication>
#include <QtCore/QDebug>

int main(int argc, char *argv[])
{
    QCoreApplication app(argc, argv);
    NamedPipeClientManager manager;
    const auto connection = manager.connectToServer(QStringLiteral("echo")); // returns at once
    QObject::connect(connection.get(), &NamedPipeClientConnection::connected, &app,
                     [&] { connection->asyncWrite("hello"); });
    QObject::connect(connection.get(), &NamedPipeClientConnection::messageReceived, &app,
                     [&](const QVariant &, const QByteArray &message) {
                         qInfo() << message;
                         app.quit();
                     });
    QObject::connect(connection.get(), &NamedPipeClientConnection::errorOccurred, &app,
                     [&](NamedPipe::Error, const QString &text) {
                         qWarning() << text;
                         app.exit(1);
                     });
    return app.exec();
}
//! [program]
