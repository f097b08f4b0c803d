// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// peerprocess MODE NAME [NUMBER...]: a client or a server in a process of its own. It says on
// stdout how far it is and waits for the end of stdin, so that it never outlives the test that
// started it.
//
//   hold NAME             connects, sends "hold", waits
//   die-idle NAME         connects, sends "last", dies
//   die-reading NAME      connects, sends "send", reads a little of what comes, dies
//   die-writing NAME N    sends N numbered messages and a part of a large one, dies
//   flood NAME            sends until it is killed
//   echo NAME N           sends N messages and checks what comes back
//   stranger NAME UID GID becomes that user (Linux), connects, sends "stranger", waits for a reply
//   dial NAME N           dials N times with the library's client, says "dialing", waits
//   serve NAME            an echo server of this library
//   die-serving NAME      an echo server of this library that dies in the middle of the answer to
//                         "die talking"
//   race NAME             tries to become the server of that name, once
//   outlive NAME MODE     destroys a server, a client and their connection after the application
//                         object, as programs with static variables do
//   files                 lists the open files that it got from its parent (Linux)

#include "payload.h"
#include "processfacts.h"
#include "rawpeer.h"
#include "waiting.h"

#include <QtNamedPipes/NamedPipeClientManager>
#include <QtNamedPipes/NamedPipeServer>

#include <QtCore/qcoreapplication.h>
#include <QtCore/qdeadlinetimer.h>
#include <QtCore/qdir.h>
#include <QtCore/qfile.h>
#include <QtCore/qstringlist.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <thread>

#ifdef Q_OS_LINUX
#    include <grp.h>
#    include <unistd.h>
#endif

static void say(const QByteArray &line)
{
    std::fputs((line + '\n').constData(), stdout);
    std::fflush(stdout);
}

static void waitForTheEndOfInput()
{
    while (std::fgetc(stdin) != EOF) { }
}

static int client(const QString &mode, const QString &name, int number)
{
    RawPeer peer;
    if (!peer.connectTo(name)) {
        say("refused " + QByteArray::number(qlonglong(peer.lastError())));
        return 1;
    }
    say("connected");
    if (mode == QLatin1String("hold")) {
        peer.sendMessage("hold");
        waitForTheEndOfInput();
    } else if (mode == QLatin1String("die-idle")) {
        peer.sendMessage("last");
        ProcessFacts::dieNow();
    } else if (mode == QLatin1String("die-reading")) {
        peer.sendMessage("send");
        peer.receiveRaw(1000);
        ProcessFacts::dieNow();
    } else if (mode == QLatin1String("die-writing")) {
        for (int count = 0; count < number; ++count)
            peer.sendMessage(numbered(count));
        peer.sendMessage(payload(64 * 1024 * 1024), RawPeer::Milliseconds(0));
        ProcessFacts::dieNow();
    } else if (mode == QLatin1String("flood")) {
        const QByteArray message = payload(500);
        while (peer.sendMessage(message)) { }
    } else if (mode == QLatin1String("echo")) {
        for (int count = 0; count < number; ++count) {
            const QByteArray message = numbered(count) + payload(count % 3000);
            if (!peer.sendMessage(message) || peer.receiveMessage() != message)
                return 1;
        }
    } else if (mode == QLatin1String("stranger")) {
        const bool answered = peer.sendMessage("stranger") && peer.receiveMessage();
        say(answered ? "answered" : "dropped");
    }
    return 0;
}

/// Runs the event loop until the end of stdin.
static int runUntilTheEndOfInput(QCoreApplication &app)
{
    std::thread watcher([&app] {
        waitForTheEndOfInput();
        QMetaObject::invokeMethod(&app, &QCoreApplication::quit, Qt::QueuedConnection);
    });
    const int code = app.exec();
    watcher.join();
    return code;
}

static int dial(QCoreApplication &app, const QString &name, int number)
{
    NamedPipeClientManager manager;
    manager.setConnectTimeout(-1);
    QList<NamedPipeClientConnectionPtr> connections;
    for (int count = 0; count < number; ++count)
        connections.append(manager.connectToServer(name));
    say("dialing");
    return runUntilTheEndOfInput(app);
}

/// Sends more than the system takes at once, and dies when the system has a part of it.
[[noreturn]] static void dieTalking(const NamedPipeServerConnectionPtr &connection)
{
    constexpr int size = 32 * 1024 * 1024;
    connection->asyncWrite(payload(size));
    const QDeadlineTimer deadline(300); // parts need not be counted
    while (connection->bytesToWrite() == size && !deadline.hasExpired())
        std::this_thread::yield();
    ProcessFacts::dieNow();
}

static int server(QCoreApplication &app, const QString &mode, const QString &name)
{
    NamedPipeServer pipeServer(name);
    QObject::connect(&pipeServer, &NamedPipeServer::clientMessageReceived, &pipeServer,
                     [mortal = mode == QLatin1String("die-serving")](
                             const NamedPipeServerConnectionPtr &connection, const QVariant &,
                             const QByteArray &data) {
                         if (mortal && data == "die talking")
                             dieTalking(connection);
                         connection->asyncWrite(data);
                     });
    if (!pipeServer.start()) {
        say("lost " + QByteArray::number(int(pipeServer.error())));
        if (mode == QLatin1String("race"))
            waitForTheEndOfInput();
        return 2;
    }
    say(mode == QLatin1String("race") ? "won" : "serving");
    return runUntilTheEndOfInput(app);
}

/// What it makes lives until the end of this function; the application ends before.
static int outlive(int argc, char **argv)
{
    auto app = std::make_unique<QCoreApplication>(argc, argv);
    const QString name = QCoreApplication::arguments().value(2);
    const bool freeThreaded =
            QCoreApplication::arguments().value(3) == QLatin1String("free-threaded");
    std::atomic<int> answers { 0 };
    NamedPipeServer pipeServer(name);
    pipeServer.setFreeThreadingEvents(freeThreaded);
    QObject::connect(&pipeServer, &NamedPipeServer::clientMessageReceived,
                     [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                        const QByteArray &data) { connection->asyncWrite(data); });
    if (!pipeServer.start())
        return 2;
    NamedPipeClientManager manager;
    manager.setFreeThreadingEvents(freeThreaded);
    const auto prepare = [&answers](const NamedPipeClientConnectionPtr &made) {
        QObject::connect(made.data(), &NamedPipeClientConnection::messageReceived,
                         [&answers] { ++answers; });
    };
    const NamedPipeClientConnectionPtr connection = manager.connectToServer(name, prepare);
    if (!waitUntil([&] { return connection->isConnected() && !connection->isOpening(); })
        || !connection->asyncWrite("hello") || !waitUntil([&] { return answers == 1; }))
        return 3;
    say("talked");
    watchFor(); // Qt cannot bear that somebody posts an event while the application ends
    app.reset();
    const bool written = connection->asyncWrite("is anybody there?");
    const bool arrived = waitWithoutEvents([&] {
        return freeThreaded ? answers == 2 : pipeServer.statistics().messagesReceived == 2;
    });
    say(written && arrived ? "still here" : "mute");
    return 0;
}

static int becomeAnotherUser(int uid, int gid)
{
#ifdef Q_OS_LINUX
    const gid_t group = gid_t(gid);
    return ::setgroups(1, &group) || ::setgid(group) || ::setuid(uid_t(uid));
#else
    Q_UNUSED(uid);
    Q_UNUSED(gid);
    return 1;
#endif
}

static int listFiles()
{
    const QDir folder(QStringLiteral("/proc/self/fd"));
    for (const QString &entry :
         folder.entryList(QDir::AllEntries | QDir::System | QDir::NoDotAndDotDot)) {
        if (entry.toInt() > 2)
            say(QFile::encodeName(QFile::symLinkTarget(folder.filePath(entry))));
    }
    say("end");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && qstrcmp(argv[1], "outlive") == 0) {
        const int code = outlive(argc, argv);
        say("gone"); // all of them
        return code;
    }
    QCoreApplication app(argc, argv);
    const QStringList arguments = QCoreApplication::arguments();
    const QString mode = arguments.value(1);
    const QString name = arguments.value(2);
    if (mode == QLatin1String("files"))
        return listFiles();
    if (mode == QLatin1String("serve") || mode == QLatin1String("race")
        || mode == QLatin1String("die-serving"))
        return server(app, mode, name);
    if (mode == QLatin1String("dial"))
        return dial(app, name, arguments.value(3).toInt());
    if (mode == QLatin1String("stranger")
        && becomeAnotherUser(arguments.value(3).toInt(), arguments.value(4).toInt()) != 0) {
        say("cannot become another user");
        return 3;
    }
    return client(mode, name, arguments.value(3).toInt());
}
