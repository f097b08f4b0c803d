// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// An echo server: it answers each message with itself, whatever its size, and tells what goes
// wrong.

#include <QtNamedPipes/NamedPipeServer>

#include <QtCore/QCommandLineParser>
#include <QtCore/QCoreApplication>
#include <QtCore/QDebug>

using namespace Qt::StringLiterals;

int main(int argc, char *argv[])
{
    QCoreApplication app(argc, argv);
    QCommandLineParser parser;
    parser.addHelpOption();
    const QCommandLineOption pipe(u"pipe"_s, u"Name of the pipe."_s, u"NAME"_s, u"echo"_s);
    const QCommandLineOption once(u"once"_s, u"End when the first client has left."_s);
    parser.addOptions({ pipe, once });
    parser.process(app);

    NamedPipeServer server(parser.value(pipe));
    // Every signal passes the client that it is about.
    QObject::connect(&server, &NamedPipeServer::clientConnected, &app,
                     [](const NamedPipeServerConnectionPtr &client) {
                         qInfo("client %llu: connected", client->id());
                     });
    QObject::connect(&server, &NamedPipeServer::clientMessageReceived, &app,
                     [](const NamedPipeServerConnectionPtr &client, const QVariant &,
                        const QByteArray &message) { client->asyncWrite(message); });
    QObject::connect(&server, &NamedPipeServer::clientDisconnected, &app,
                     [](const NamedPipeServerConnectionPtr &client) {
                         qInfo() << "client" << client->id() << "left after"
                                 << client->statistics().messagesReceived
                                 << "messages:" << client->closeReason();
                     });
    // Trouble with one client is no trouble of the server, which goes on.
    QObject::connect(&server, &NamedPipeServer::clientErrorOccurred, &app,
                     [](const NamedPipeServerConnectionPtr &client, NamedPipe::Error,
                        const QString &text) {
                         qWarning("client %llu: %s", client->id(), qPrintable(text));
                     });
    QObject::connect(&server, &NamedPipeServer::errorOccurred, &app,
                     [](NamedPipe::Error, const QString &text) { qCritical().noquote() << text; });
    if (parser.isSet(once))
        QObject::connect(&server, &NamedPipeServer::clientDisconnected, &app,
                         &QCoreApplication::quit);

    if (!server.start()) {
        qCritical().noquote() << server.errorString();
        return 1;
    }
    qInfo().noquote() << "Listening on" << server.fullPipeName();
    return app.exec();
}
