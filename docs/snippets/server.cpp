// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "fragments.h"

#include <QtCore/QDebug>

//! [version]
static_assert(QTNAMEDPIPES_VERSION >= QTNAMEDPIPES_VERSION_CHECK(1, 0, 0), "too old");
//! [version]

void answerOnWorkers(NamedPipeServer &server)
{
    //! [free-threaded]
    server.setFreeThreadingEvents(true);
    server.setNumThreadsIOCP(4);
    QObject::connect(&server, &NamedPipeServer::clientMessageReceived, // no context object
                     [](const NamedPipeServerConnectionPtr &client, const QVariant &,
                        const QByteArray &message) { client->asyncWrite(message.toUpper()); });
    //! [free-threaded]
}

void readOneByOne(NamedPipeServer &server)
{
    //! [manual reads]
    server.setContinuouslyReadFromPipe(false);
    QObject::connect(&server, &NamedPipeServer::clientConnected, &server,
                     [](const NamedPipeServerConnectionPtr &client) { client->asyncRead(1); });
    QObject::connect(&server, &NamedPipeServer::clientMessageReceived, &server,
                     [](const NamedPipeServerConnectionPtr &client, const QVariant &cookie,
                        const QByteArray &message) {
                         qInfo() << "message" << cookie.toInt() << message;
                         client->asyncRead(cookie.toInt() + 1); // when this one is dealt with
                     });
    //! [manual reads]
}

void storeBatches(NamedPipeServer &server)
{
    //! [batches]
    QObject::connect(&server, &NamedPipeServer::clientMessageBatchReceived, &server,
                     [](const NamedPipeServerConnectionPtr &client,
                        const NamedPipeMessageBatch &messages) {
                         for (const QByteArrayView message : messages) // until the slot returns
                             store(client->id(), message);
                     });
    //! [batches]
}

void countMessages(NamedPipeServer &server)
{
    //! [custom data]
    QObject::connect(&server, &NamedPipeServer::clientConnected, &server,
                     [](const NamedPipeServerConnectionPtr &client) {
                         client->setCustomData(0); // this client's state
                     });
    QObject::connect(&server, &NamedPipeServer::clientMessageReceived, &server,
                     [](const NamedPipeServerConnectionPtr &client, const QVariant &,
                        const QByteArray &message) {
                         const int count = client->customData().toInt() + 1;
                         client->setCustomData(count);
                         client->asyncWrite(QByteArray::number(count) + ' ' + message);
                     });
    //! [custom data]
}

void welcome(NamedPipeServer &server)
{
    //! [welcome]
    QObject::connect(&server, &NamedPipeServer::clientConnected, &server,
                     [](const NamedPipeServerConnectionPtr &client) {
                         client->asyncWrite("welcome");
                     });
    //! [welcome]
}

void runMessageLoop()
{
    //! [message loop]
    NamedPipeServer server(QStringLiteral("service"));
    QObject::connect(&server, &NamedPipeServer::clientMessageReceived, &server,
                     [&server](const NamedPipeServerConnectionPtr &, const QVariant &,
                               const QByteArray &message) {
                         if (message == "quit")
                             server.manualMessageLoopLeave();
                     });
    if (server.start())
        server.manualMessageLoopEnter();
    //! [message loop]
}

void sayGoodbye(NamedPipeServer &server)
{
    for (const NamedPipeServerConnectionPtr &client : server.connections()) {
        //! [goodbye]
        client->asyncWrite("goodbye");
        client->asyncClose(NamedPipe::SendPending);
        //! [goodbye]
    }
}

void tellErrors(NamedPipeServer &server)
{
    //! [errors]
    QObject::connect(&server, &NamedPipeServer::errorOccurred, &server,
                     [](NamedPipe::Error, const QString &text) { qWarning() << text; });
    QObject::connect(&server, &NamedPipeServer::clientErrorOccurred, &server,
                     [](const NamedPipeServerConnectionPtr &client, NamedPipe::Error error,
                        const QString &text) { qWarning() << client->id() << error << text; });
    //! [errors]
}

void answerByNumber(NamedPipeServer &server)
{
    //! [answer by number]
    QObject::connect(&server, &NamedPipeServer::clientMessageReceived, &server,
                     [](const NamedPipeServerConnectionPtr &client, const QVariant &,
                        const QByteArray &request) {
                         const qsizetype space = request.indexOf(' ');
                         const QByteArray number = request.left(space);
                         const QByteArray question = request.mid(space + 1);
                         client->asyncWrite(number + ' ' + question.toUpper());
                     });
    //! [answer by number]
}
