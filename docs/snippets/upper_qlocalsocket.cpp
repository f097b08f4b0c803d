// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

//! [program]
// before: QLocalSocket
#include <QtCore/QCoreApplication>
#include <QtCore/QDataStream>
#include <QtCore/QDebug>
#include <QtNetwork/QLocalSocket>

int main(int argc, char *argv[])
{
    QCoreApplication app(argc, argv);
    QLocalSocket socket;
    QDataStream stream(&socket);
    QObject::connect(&socket, &QLocalSocket::connected, &app,
                     [&] { stream << QByteArray("hello"); });
    QObject::connect(&socket, &QLocalSocket::readyRead, &app, [&] {
        QByteArray answer;
        stream.startTransaction();
        stream >> answer;
        if (stream.commitTransaction()) {
            qInfo() << answer;
            app.quit();
        }
    });
    QObject::connect(&socket, &QLocalSocket::errorOccurred, &app, [&] {
        qWarning() << socket.errorString();
        app.exit(1);
    });
    QMetaObject::invokeMethod(
            &socket, [&] { socket.connectToServer("upper"); }, Qt::QueuedConnection);
    return app.exec();
}
//! [program]
