// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

//! [program]
// after: NamedPipeClientManager
#include <QtCore/QCoreApplication>
#include <QtCore/QDebug>
#include <QtNamedPipes/NamedPipeClientManager>

int main(int argc, char *argv[])
{
    QCoreApplication app(argc, argv);
    NamedPipeClientManager manager;
    const auto pipe =
            manager.connectToServer("upper"); // returns at once; signals come from the event loop
    QObject::connect(pipe.get(), &NamedPipeClientConnection::connected, &app,
                     [&pipe] { pipe->asyncWrite("hello"); });
    QObject::connect(pipe.get(), &NamedPipeClientConnection::messageReceived, &app,
                     [&app](const QVariant &, const QByteArray &answer) {
                         qInfo() << answer;
                         app.quit();
                     });
    QObject::connect(pipe.get(), &NamedPipeClientConnection::errorOccurred, &app,
                     [&app](NamedPipe::Error, const QString &text) {
                         qWarning() << text;
                         app.exit(1);
                     });
    return app.exec();
}
//! [program]
