// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "fragments.h"

#include <QtCore/QDebug>
#include <QtCore/QIODevice>

#include <utility>

NamedPipeClientConnectionPtr greet(NamedPipeClientManager &manager, QObject &window)
{
    //! [connection]
    const auto connection = manager.connectToServer(QStringLiteral("echo"));
    QObject::connect(connection.get(), &NamedPipeClientConnection::connected, &window,
                     [connection = connection.get()] { connection->asyncWrite("hello"); });
    QObject::connect(connection.get(), &NamedPipeClientConnection::messageReceived, &window,
                     [](const QVariant &, const QByteArray &message) { qInfo() << message; });
    QObject::connect(connection.get(), &NamedPipeClientConnection::errorOccurred, &window,
                     [](NamedPipe::Error, const QString &text) { qWarning() << text; });
    //! [connection]
    return connection;
}

NamedPipeClientConnectionPtr subscribe(NamedPipeClientManager &manager, QObject &window)
{
    //! [reconnect]
    manager.setAutoReconnect(true);
    const auto connection = manager.connectToServer(QStringLiteral("log"));
    QObject::connect(connection.get(), &NamedPipeClientConnection::connected, &window,
                     [connection = connection.get()] { // each time
                         connection->asyncWrite("subscribe");
                     });
    QObject::connect(connection.get(), &NamedPipeClientConnection::messageNotSent, &window,
                     [](const QVariant &cookie) { qWarning() << "not sent:" << cookie.toInt(); });
    //! [reconnect]
    return connection;
}

NamedPipeClientConnectionPtr listenOnWorker(NamedPipeClientManager &manager)
{
    //! [prepare]
    manager.setFreeThreadingEvents(true);
    const auto connection = manager.connectToServer(
            QStringLiteral("echo"), [](const NamedPipeClientConnectionPtr &made) {
                QObject::connect(made.get(), &NamedPipeClientConnection::messageReceived,
                                 [](const QVariant &, const QByteArray &message) {
                                     qInfo() << message; // on a worker
                                 });
            });
    //! [prepare]
    return connection;
}

NamedPipeClientConnectionPtr listenToBasic(NamedPipeClientManager &manager)
{
    //! [basic prepare]
    manager.setFreeThreadingEvents(true);
    const auto connection = manager.connectToServer(
            QStringLiteral("MyService"), [](const NamedPipeClientConnectionPtr &made) {
                QObject::connect(made.get(), &NamedPipeClientConnection::messageReceived,
                                 [](const QVariant &, const QByteArray &data) {
                                     qInfo() << data; // on a worker
                                 });
            });
    //! [basic prepare]
    return connection;
}

void repeatUnsent(NamedPipeClientConnection *connection, QObject &window, QList<QByteArray> &unsent)
{
    //! [repeat unsent]
    QObject::connect(connection, &NamedPipeClientConnection::messageNotSent, &window,
                     [&unsent](const QVariant &cookie) { unsent.append(cookie.toByteArray()); });
    QObject::connect(connection, &NamedPipeClientConnection::connected, &window,
                     [&unsent, connection] {
                         for (const QByteArray &message : std::exchange(unsent, {}))
                             connection->asyncWrite(message, message);
                     });
    //! [repeat unsent]
}

QList<NamedPipeClientConnectionPtr> connectToSensors(NamedPipeClientManager &manager)
{
    QList<NamedPipeClientConnectionPtr> connections;
    //! [find]
    for (const QString &name : manager.findNamedPipes(QStringLiteral("sensor-*")))
        connections.append(manager.connectToServer(name));
    //! [find]
    return connections;
}

void sendFile(NamedPipeClientConnection *connection, QIODevice &file)
{
    //! [slow down]
    const auto sendMore = [connection, &file] {
        while (connection->bytesToWrite() < 1024 * 1024 && !file.atEnd()) {
            if (!connection->asyncWrite(file.read(64 * 1024)))
                break; // errorOccurred() says why
        }
    };
    QObject::connect(connection, &NamedPipeClientConnection::connected, &file, sendMore);
    QObject::connect(connection, &NamedPipeClientConnection::messageSent, &file, sendMore);
    //! [slow down]
}
