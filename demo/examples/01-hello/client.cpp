// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// The smallest client: it prints what the server says first, and ends.

#include <QtNamedPipes/NamedPipeClientManager>

#include <QtCore/QCoreApplication>
#include <QtCore/QDebug>

using namespace Qt::StringLiterals;

int main(int argc, char *argv[])
{
    QCoreApplication app(argc, argv);
    NamedPipeClientManager manager;
    const auto connection =
            manager.connectToServer(app.arguments().value(1, u"hello"_s)); // returns at once
    QObject::connect(connection.get(), &NamedPipeClientConnection::messageReceived, &app,
                     [](const QVariant &, const QByteArray &message) {
                         qInfo().noquote() << "The server says:" << message;
                         QCoreApplication::quit();
                     });
    QObject::connect(connection.get(), &NamedPipeClientConnection::disconnected, &app,
                     &QCoreApplication::quit); // the server has gone
    QObject::connect(connection.get(), &NamedPipeClientConnection::errorOccurred, &app,
                     [](NamedPipe::Error, const QString &text) {
                         qCritical().noquote() << text;
                         QCoreApplication::exit(1);
                     });
    return app.exec();
}
