// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "platformflags.h"
#include "skipping.h"
#include "testserver.h"

#include <QtCore/qdatastream.h>
#include <QtCore/qdir.h>
#include <QtCore/qfile.h>
#include <QtNetwork/qlocalserver.h>
#include <QtNetwork/qlocalsocket.h>
#include <QtTest/QtTest>

using namespace Qt::StringLiterals;

/// Programs that use Qt's local sockets and have never heard of this library.
class tst_QLocalSocketInterop : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void localSocketTalksToTheServer();
    void dataStreamTransactionsReadWholeMessages();
    void localSocketSeesTheEnd();
    void liveLocalServerIsNotStolenFrom();
    void localServerCannotTakeOurName();
    void staleLocalServerIsTakenOver();
    void successorOfARemovedSocketIsLeftAlone();

private:
    // One message, as such a program writes it.
    static void send(QLocalSocket &socket, const QByteArray &message)
    {
        if (PlatformFlags::runningOnWindows()) {
            socket.write(message); // the pipe keeps the boundaries
        } else {
            QDataStream stream(&socket);
            stream << message;
        }
        socket.flush();
    }
};

void tst_QLocalSocketInterop::localSocketTalksToTheServer()
{
    TestServer ts;
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &data) { connection->asyncWrite(data); };
    QVERIFY(ts.start());
    QLocalSocket socket;
    socket.connectToServer(ts.name()); // the leaf name, on both systems
    QVERIFY(waitUntil([&] { return socket.state() == QLocalSocket::ConnectedState; }));
    send(socket, "hello"_ba);
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message));
    QCOMPARE(ts.recorder.messages(), QList { "hello"_ba });
    if (PlatformFlags::runningOnWindows()) {
        QByteArray reply;
        QVERIFY(waitUntil([&] { return (reply += socket.readAll()).size() >= 5; }));
        QCOMPARE(reply, "hello"_ba);
    } else {
        QDataStream stream(&socket);
        QByteArray reply;
        QVERIFY(waitUntil([&] {
            stream.startTransaction();
            stream >> reply;
            return stream.commitTransaction();
        }));
        QCOMPARE(reply, "hello"_ba);
    }
}

void tst_QLocalSocketInterop::dataStreamTransactionsReadWholeMessages()
{
    if (PlatformFlags::runningOnWindows())
        SKIP_BECAUSE("on Windows the pipe has messages of its own, and no length in front of them");
    TestServer ts;
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &data) { connection->asyncWrite(data); };
    QVERIFY(ts.start());
    QLocalSocket socket;
    socket.connectToServer(ts.name());
    QVERIFY(waitUntil([&] { return socket.state() == QLocalSocket::ConnectedState; }));
    QDataStream stream(&socket);
    QList<QByteArray> messages;
    for (int number = 1; number <= 50; ++number) {
        messages.append(payload(number * 997, quint32(number)));
        stream << messages.constLast();
    }
    stream << QByteArray(); // the null array
    messages.append(QByteArray());
    QList<QByteArray> replies;
    QVERIFY(waitUntil([&] {
        for (;;) {
            QByteArray reply;
            stream.startTransaction();
            stream >> reply;
            if (!stream.commitTransaction())
                break;
            replies.append(reply);
        }
        return replies.size() == 50; // the empty one has no echo
    }));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 51));
    QCOMPARE(ts.recorder.messages(), messages);
    QCOMPARE(replies, messages.mid(0, 50));
}

void tst_QLocalSocketInterop::localSocketSeesTheEnd()
{
    TestServer ts;
    QVERIFY(ts.start());
    QLocalSocket socket;
    QSignalSpy disconnected(&socket, &QLocalSocket::disconnected);
    socket.connectToServer(ts.name());
    QVERIFY(ts.recorder.waitFor(ServerEvent::Connected));
    QVERIFY(waitUntil([&] { return socket.state() == QLocalSocket::ConnectedState; }));
    ts.server.stop();
    QVERIFY(waitUntil([&] { return disconnected.size() == 1; }));
}

void tst_QLocalSocketInterop::liveLocalServerIsNotStolenFrom()
{
    QLocalServer other;
    QVERIFY(other.listen(scratchName()));
    NamedPipeServer server(other.serverName());
    if (server.start()) {
        const auto enforced = PlatformFlags::firstInstanceIsEnforced();
        if (!enforced)
            QEXPECT_FAIL("", enforced.reason, Abort);
        QVERIFY2(false, "the name was stolen");
    }
    QCOMPARE(server.error(), NamedPipe::NameInUse);
    QLocalSocket socket;
    socket.connectToServer(other.serverName());
    QVERIFY(waitUntil([&] { return other.hasPendingConnections(); }));
    other.close();
    QVERIFY2(server.start(), qPrintable(server.errorString()));
}

void tst_QLocalSocketInterop::localServerCannotTakeOurName()
{
    if (PlatformFlags::runningOnWindows())
        SKIP_BECAUSE("a second instance by the same user is no theft that Windows would see");
    TestServer ts;
    QVERIFY(ts.start());
    QLocalServer other;
    QVERIFY(!other.listen(ts.name()));
    QCOMPARE(other.serverError(), QAbstractSocket::AddressInUseError);
    QVERIFY(ts.connectPeer().isOpen());
    ts.server.stop();
    QVERIFY(other.listen(ts.name())); // nothing is left in the way
}

void tst_QLocalSocketInterop::staleLocalServerIsTakenOver()
{
    if (PlatformFlags::runningOnWindows())
        SKIP_BECAUSE("pipes end with their process");
    const QString name = scratchName();
    const QString path = QDir::tempPath() + u'/' + name;
    {
        QLocalServer other;
        QVERIFY(other.listen(name));
        QVERIFY(QFile::rename(path, path + u".kept"_s)); // as a crash would leave it
    }
    QVERIFY(QFile::rename(path + u".kept"_s, path));
    NamedPipeServer server(name);
    QVERIFY2(server.start(), qPrintable(server.errorString()));
    RawPeer peer;
    QVERIFY(peer.connectTo(name));
}

void tst_QLocalSocketInterop::successorOfARemovedSocketIsLeftAlone()
{
    if (PlatformFlags::runningOnWindows())
        SKIP_BECAUSE("pipes have no file to remove");
    TestServer ts;
    QVERIFY(ts.start());
    QVERIFY(QLocalServer::removeServer(ts.name())); // rude, but Qt programs do that
    QLocalServer successor;
    QVERIFY(successor.listen(ts.name()));
    ts.server.stop(); // must not take the successor's socket away
    QLocalSocket socket;
    socket.connectToServer(ts.name());
    QVERIFY(waitUntil([&] { return successor.hasPendingConnections(); }));
}

QTEST_GUILESS_MAIN(tst_QLocalSocketInterop)
#include "tst_qlocalsocket_interop.moc"
