// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_SNIPPETS_FRAGMENTS_H
#define QTNAMEDPIPES_SNIPPETS_FRAGMENTS_H

#include <QtNamedPipes/QtNamedPipes>

#include <QtCore/qlist.h>

class QIODevice;

// Each function here holds a piece of code that the documentation shows. tests/auto/docs calls them
// all.

/// What a snippet does with a message that it keeps; defined by the test.
void store(quint64 client, QByteArrayView message);

// server.cpp
void answerOnWorkers(NamedPipeServer &server);
void readOneByOne(NamedPipeServer &server);
void storeBatches(NamedPipeServer &server);
void countMessages(NamedPipeServer &server);
void welcome(NamedPipeServer &server);
void runMessageLoop();
void sayGoodbye(NamedPipeServer &server);
void tellErrors(NamedPipeServer &server);
void answerByNumber(NamedPipeServer &server);

// client.cpp
NamedPipeClientConnectionPtr greet(NamedPipeClientManager &manager, QObject &window);
NamedPipeClientConnectionPtr subscribe(NamedPipeClientManager &manager, QObject &window);
NamedPipeClientConnectionPtr listenOnWorker(NamedPipeClientManager &manager);
NamedPipeClientConnectionPtr listenToBasic(NamedPipeClientManager &manager);
void repeatUnsent(NamedPipeClientConnection *connection, QObject &window,
                  QList<QByteArray> &unsent);
QList<NamedPipeClientConnectionPtr> connectToSensors(NamedPipeClientManager &manager);
void sendFile(NamedPipeClientConnection *connection, QIODevice &file);

// access.cpp
void letGroupIn(NamedPipeServer &server);
void letEverybodyIn(NamedPipeServer &server);
void letUserIn(NamedPipeServer &server, const QString &ownSid, const QString &otherSid);
void greetByUser(NamedPipeServer &server);
void trustOwnUserOnly(NamedPipeClientManager &manager);

#endif // QTNAMEDPIPES_SNIPPETS_FRAGMENTS_H
