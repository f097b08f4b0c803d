// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "processfacts.h"
#include "stress.h"
#include "testserver.h"

#include <QtTest/QtTest>

#include <atomic>

using namespace Qt::StringLiterals;

/// What a server and its connections tell about themselves.
class tst_StatisticsIdentity : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void connectionsAreListedInTheOrderOfArrival();
    void listOfConnectionsIsASnapshot();
    void clientIsWhoItIs();
    void openingEndsWithTheConnectedSlot();
    void statisticsCountMessagesAndBytes_data();
    void statisticsCountMessagesAndBytes();
    void statisticsStartAgainWithTheServer();
    void bytesToWriteFollowsTheQueue();
    void customDataIsTheUsersAlone();
    void everyMemberMayBeCalledFromAnyThread();
};

void tst_StatisticsIdentity::connectionsAreListedInTheOrderOfArrival()
{
    TestServer ts;
    ts.server.setNumThreadsIOCP(4);
    QVERIFY(ts.start());
    std::vector<RawPeer> peers;
    for (int client = 0; client < 10; ++client) {
        peers.push_back(ts.connectPeer());
        QCOMPARE(ts.server.connectionCount(), client + 1);
    }
    QList<NamedPipeServerConnectionPtr> expected;
    for (int client = 0; client < 10; ++client) {
        expected.append(ts.connection(client));
        QCOMPARE(ts.connection(client)->id(), quint64(client + 1));
    }
    QCOMPARE(ts.server.connections(), expected);
    for (const int leaver : { 7, 0, 4 }) {
        peers[size_t(leaver)].close();
        QVERIFY(waitUntil([&] { return !expected.at(leaver)->isConnected(); }));
    }
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected, 3));
    expected.removeAt(7);
    expected.removeAt(4);
    expected.removeAt(0);
    QCOMPARE(ts.server.connections(), expected);
    QCOMPARE(ts.server.connectionCount(), 7);
}

void tst_StatisticsIdentity::listOfConnectionsIsASnapshot()
{
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    const QList<NamedPipeServerConnectionPtr> snapshot = ts.server.connections();
    peer.close();
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    const RawPeer another = ts.connectPeer();
    QCOMPARE(snapshot.size(), 1);
    QVERIFY(!snapshot.constFirst()->asyncWrite("too late"_ba));
}

void tst_StatisticsIdentity::clientIsWhoItIs()
{
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    const NamedPipeServerConnectionPtr connection = ts.connection();
    QVERIFY(connection->handle() != qintptr(-1));
    QCOMPARE(connection->property("handle").value<qintptr>(), connection->handle());
    for (int round = 0; round < 2; ++round) { // also when the client has gone
        QCOMPARE(connection->clientProcessId(), QCoreApplication::applicationPid());
        QCOMPARE(connection->clientUserId(), ProcessFacts::userId());
        QVERIFY(!connection->clientUserId().isEmpty());
        peer.close();
        QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    }
    QCOMPARE(connection->handle(), qintptr(-1));
}

void tst_StatisticsIdentity::openingEndsWithTheConnectedSlot()
{
    TestServer ts;
    bool connectedInSlot = false;
    ts.recorder.onConnected() = [&](const NamedPipeServerConnectionPtr &connection) {
        connectedInSlot = connection->isConnected();
    };
    bool openingInMessageSlot = true;
    ts.recorder.onMessage() = [&](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                  const QByteArray &) {
        openingInMessageSlot = connection->isOpening();
    };
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    QVERIFY(connectedInSlot);
    QVERIFY(!ts.connection()->isOpening());
    QVERIFY(peer.sendMessage("hello"_ba));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message));
    QVERIFY(!openingInMessageSlot);
}

void tst_StatisticsIdentity::statisticsCountMessagesAndBytes_data()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::newRow("marshalled") << false;
    QTest::newRow("free-threaded") << true;
}

void tst_StatisticsIdentity::statisticsCountMessagesAndBytes()
{
    QFETCH(bool, freeThreaded);
    TestServer ts;
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &data) { connection->asyncWrite(data); };
    ts.server.setFreeThreadingEvents(freeThreaded);
    QVERIFY(ts.start());
    const QList<int> sizes { 1, 0, 1000, 300'000, 0, 77 };
    quint64 bytes = 0;
    for (int client = 1; client <= 3; ++client) {
        RawPeer peer = ts.connectPeer();
        auto task = runClient([&] {
            bool ok = true;
            for (const int size : sizes) {
                ok = ok && peer.sendMessage(payload(size));
                if (size > 0) // nothing has no echo
                    ok = ok && peer.receiveMessage() == payload(size);
            }
            return ok;
        });
        QVERIFY(waitForTask(task));
        QVERIFY(task.get());
        for (const int size : sizes)
            bytes += quint64(size);
        QVERIFY(ts.recorder.waitFor(ServerEvent::Sent, 4 * client));
        QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 6 * client));
        const NamedPipe::Statistics own = ts.connection(client - 1)->statistics();
        QCOMPARE(own.messagesReceived, 6u);
        QCOMPARE(own.messagesSent, 4u);
        QCOMPARE(own.bytesReceived, 301'078u);
        QCOMPARE(own.bytesSent, 301'078u);
        peer.close();
        QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected, client));
    }
    const NamedPipe::ServerStatistics all = ts.server.statistics();
    QCOMPARE(all.messagesReceived, 18u);
    QCOMPARE(all.messagesSent, 12u);
    QCOMPARE(all.bytesReceived, bytes);
    QCOMPARE(all.bytesSent, bytes);
    QCOMPARE(all.connectionsAccepted, 3u);
    QCOMPARE(all.connectionsClosed, 3u);
    QCOMPARE(all.connectionsRefused, 0u);
}

void tst_StatisticsIdentity::statisticsStartAgainWithTheServer()
{
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    QVERIFY(peer.sendMessage("one"_ba));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message));
    ts.server.stop();
    QCOMPARE(ts.server.statistics().connectionsAccepted, 1u); // to look at afterwards
    QCOMPARE(ts.server.statistics().connectionsClosed, 1u);
    QVERIFY(ts.start());
    QCOMPARE(ts.server.statistics().connectionsAccepted, 0u);
    QCOMPARE(ts.server.statistics().messagesReceived, 0u);
}

void tst_StatisticsIdentity::bytesToWriteFollowsTheQueue()
{
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    const NamedPipeServerConnectionPtr connection = ts.connection();
    QCOMPARE(connection->bytesToWrite(), 0);
    QVERIFY(connection->asyncWrite(payload(moreThanTheSystemBuffers)));
    const qint64 first = connection->bytesToWrite();
    QVERIFY(first > 0 && first <= moreThanTheSystemBuffers);
    QVERIFY(connection->asyncWrite(payload(1000)));
    QVERIFY(connection->bytesToWrite() > 1000 && connection->bytesToWrite() <= first + 1000);
    QCOMPARE(peer.receiveMessage(), payload(moreThanTheSystemBuffers));
    QCOMPARE(peer.receiveMessage(), payload(1000));
    QVERIFY(waitUntil([&] { return connection->bytesToWrite() == 0; }));
}

void tst_StatisticsIdentity::customDataIsTheUsersAlone()
{
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    const NamedPipeServerConnectionPtr connection = ts.connection();
    QVERIFY(!connection->customData().isValid());
    connection->setCustomData(u"mine"_s);
    QVERIFY(peer.sendMessage("hello"_ba));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message));
    peer.close();
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    QCOMPARE(connection->customData(), QVariant(u"mine"_s));
    // Data that owns its connection is the user's business; the library must not choke on it.
    connection->setCustomData(QVariant::fromValue(connection));
    connection->setCustomData({});
}

void tst_StatisticsIdentity::everyMemberMayBeCalledFromAnyThread()
{
    // For ThreadSanitizer above all.
    TestServer ts;
    ts.server.setNumThreadsIOCP(2);
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    const NamedPipeServerConnectionPtr connection = ts.connection();
    std::atomic<bool> over { false };
    std::atomic<int> torn { 0 };
    std::vector<std::future<void>> tasks;
    for (int thread = 0; thread < 3; ++thread) {
        tasks.push_back(runClient([&, thread] {
            while (!over) {
                connection->setCustomData(QString(100, QChar(u'a' + thread)));
                const QString text = connection->customData().toString();
                if (text != QString(100, text.at(0)))
                    ++torn;
                if (connection->isConnected() && connection->bytesToWrite() < 1000
                    && connection->asyncWrite("x"_ba, thread))
                    connection->asyncRead(thread);
                connection->isOpening();
                connection->handle();
                connection->closeReason();
                connection->bytesToWrite();
                connection->clientProcessId();
                connection->clientUserId();
                connection->id();
                connection->statistics();
            }
        }));
    }
    for (int number = 0; number < scaled(500, 50); ++number) {
        QVERIFY(peer.sendMessage(numbered(number)));
        QVERIFY(peer.receiveMessage());
        QVERIFY(ts.server.statistics().connectionsAccepted == 1);
    }
    watchFor(std::chrono::milliseconds(50));
    connection->asyncClose();
    const bool ended = ts.recorder.waitFor(ServerEvent::Disconnected);
    over = true;
    for (const auto &task : tasks)
        QVERIFY(waitForTask(task));
    QVERIFY(ended);
    QCOMPARE(torn.load(), 0);
}

QTEST_GUILESS_MAIN(tst_StatisticsIdentity)
#include "tst_statistics_identity.moc"
