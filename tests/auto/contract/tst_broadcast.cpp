// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "stress.h"
#include "testserver.h"

#include <QtTest/QtTest>

#include <atomic>

using namespace Qt::StringLiterals;

class tst_Broadcast : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void everyClientGetsIt_data();
    void everyClientGetsIt();
    void nobodyIsConnected();
    void broadcastOfNothingIsANoOp();
    void laterClientDoesNotGetIt();
    void clientThatLeavesFailsSilently();
    void closedConnectionIsNoRecipient();
    void orderWithWritesIsKept();
    void broadcastInsideEverySlot();
    void slowClientDelaysNobody_data();
    void slowClientDelaysNobody();
    void payloadIsSharedNotCopied();
};

void tst_Broadcast::everyClientGetsIt_data()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::newRow("marshalled") << false;
    QTest::newRow("free-threaded") << true;
}

void tst_Broadcast::everyClientGetsIt()
{
    QFETCH(bool, freeThreaded);
    const int clients = scaled(64, 8);
    TestServer ts;
    ts.server.setFreeThreadingEvents(freeThreaded);
    ts.server.setNumThreadsIOCP(2);
    QVERIFY(ts.start());
    std::vector<RawPeer> peers;
    for (int client = 0; client < clients; ++client)
        peers.push_back(ts.connectPeer());
    for (int number = 0; number < 10; ++number)
        QCOMPARE(ts.server.asyncBroadcast(numbered(number), number), clients);
    for (RawPeer &peer : peers) {
        for (int number = 0; number < 10; ++number)
            QCOMPARE(peer.receiveMessage(), numbered(number));
    }
    QVERIFY(ts.recorder.waitFor(ServerEvent::Sent, 10 * clients));
    for (int client = 0; client < clients; ++client) {
        int next = 0;
        for (const ServerEvent &event : ts.recorder.eventsOf(ts.connection(client)->id())) {
            if (event.kind == ServerEvent::Sent)
                QCOMPARE(event.cookie, QVariant(next++));
        }
        QCOMPARE(next, 10);
    }
}

void tst_Broadcast::nobodyIsConnected()
{
    TestServer ts;
    QCOMPARE(ts.server.asyncBroadcast("not even running"_ba), 0);
    QVERIFY(ts.start());
    QCOMPARE(ts.server.asyncBroadcast("nobody"_ba), 0);
    ts.server.stop();
    QCOMPARE(ts.server.asyncBroadcast("stopped"_ba), 0);
    QCOMPARE(ts.recorder.count(ServerEvent::ServerError), 0);
}

void tst_Broadcast::broadcastOfNothingIsANoOp()
{
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    ts.server.asyncBroadcast({}, 1);
    QCOMPARE(ts.server.asyncBroadcast("real"_ba, 2), 1);
    QCOMPARE(peer.receiveMessage(), "real"_ba);
    QVERIFY(ts.recorder.waitFor(ServerEvent::Sent));
    QCOMPARE(ts.recorder.cookies(ServerEvent::Sent), QVariantList { 2 });
}

void tst_Broadcast::laterClientDoesNotGetIt()
{
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer early = ts.connectPeer();
    QCOMPARE(ts.server.asyncBroadcast("before"_ba), 1);
    RawPeer late = ts.connectPeer();
    QCOMPARE(ts.server.asyncBroadcast("after"_ba), 2);
    QCOMPARE(late.receiveMessage(), "after"_ba);
    QCOMPARE(early.receiveMessage(), "before"_ba);
    QCOMPARE(early.receiveMessage(), "after"_ba);
}

void tst_Broadcast::clientThatLeavesFailsSilently()
{
    TestServer ts;
    QVERIFY(ts.start());
    for (int round = 0; round < scaled(50, 5); ++round) {
        RawPeer stays = ts.connectPeer();
        RawPeer leaves = ts.connectPeer();
        leaves.close();
        const int recipients = ts.server.asyncBroadcast("news"_ba);
        QVERIFY2(recipients == 1 || recipients == 2, qPrintable(QString::number(recipients)));
        QCOMPARE(stays.receiveMessage(), "news"_ba);
        QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
        QCOMPARE(ts.recorder.count(ServerEvent::ClientError), 0);
        stays.close();
        QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected, 2));
        ts.recorder.clear();
    }
}

void tst_Broadcast::closedConnectionIsNoRecipient()
{
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer one = ts.connectPeer();
    RawPeer two = ts.connectPeer();
    ts.connection(0)->asyncClose();
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    QCOMPARE(ts.server.asyncBroadcast("news"_ba), 1);
    QCOMPARE(two.receiveMessage(), "news"_ba);
    QVERIFY(one.atEnd());
    QCOMPARE(ts.recorder.count(ServerEvent::ClientError), 0);
}

void tst_Broadcast::orderWithWritesIsKept()
{
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer one = ts.connectPeer();
    RawPeer two = ts.connectPeer();
    for (int number = 0; number < 300; ++number) {
        if (number % 3 == 0) {
            QVERIFY(ts.connection(0)->asyncWrite(numbered(number)));
            QVERIFY(ts.connection(1)->asyncWrite(numbered(number)));
        } else {
            QCOMPARE(ts.server.asyncBroadcast(numbered(number)), 2);
        }
    }
    for (int number = 0; number < 300; ++number) {
        QCOMPARE(one.receiveMessage(), numbered(number));
        QCOMPARE(two.receiveMessage(), numbered(number));
    }
}

void tst_Broadcast::broadcastInsideEverySlot()
{
    for (const bool freeThreaded : { false, true }) {
        std::atomic<int> sentSlots { 0 };
        TestServer ts;
        NamedPipeServer &server = ts.server;
        ts.recorder.onConnected() = [&](const auto &) { server.asyncBroadcast("joined"_ba); };
        ts.recorder.onMessage() = [&](const auto &, const auto &, const QByteArray &data) {
            server.asyncBroadcast(data);
        };
        ts.recorder.onSent() = [&](const auto &, const auto &) {
            if (sentSlots++ == 0)
                server.asyncBroadcast("sent"_ba);
        };
        ts.recorder.onDisconnected() = [&](const auto &) { server.asyncBroadcast("left"_ba); };
        server.setFreeThreadingEvents(freeThreaded);
        server.setNumThreadsIOCP(2);
        QVERIFY(ts.start());
        RawPeer one = ts.connectPeer();
        QVERIFY(ts.recorder.waitFor(ServerEvent::Sent, 2));
        RawPeer two = ts.connectPeer();
        QVERIFY(two.sendMessage("hello"_ba));
        QVERIFY(ts.recorder.waitFor(ServerEvent::Message));
        QVERIFY(ts.recorder.waitFor(ServerEvent::Sent, 6));
        two.close();
        QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
        for (const QByteArray &expected :
             { "joined"_ba, "sent"_ba, "joined"_ba, "hello"_ba, "left"_ba })
            QCOMPARE(one.receiveMessage(), expected);
        ts.server.stop();
    }
}

void tst_Broadcast::slowClientDelaysNobody_data()
{
    everyClientGetsIt_data();
}

void tst_Broadcast::slowClientDelaysNobody()
{
    QFETCH(bool, freeThreaded);
    constexpr int size = 64 * 1024;
    constexpr int count = 2 * moreThanTheSystemBuffers / size;
    TestServer ts;
    ts.server.setFreeThreadingEvents(freeThreaded);
    ts.server.setMaximumPendingWriteBytes(1024 * 1024);
    QVERIFY(ts.start());
    RawPeer slow = ts.connectPeer();
    RawPeer fast = ts.connectPeer();
    const quint64 slowId = ts.connection(0)->id();
    for (int number = 0; number < count; ++number) {
        QCOMPARE(ts.server.asyncBroadcast(payload(size, quint32(number)), number), 2);
        QCOMPARE(fast.receiveMessage(), payload(size, quint32(number)));
        QVERIFY(waitUntil([&] { return ts.connection(1)->bytesToWrite() == 0; }));
    }
    const quint64 fastId = ts.connection(1)->id();
    QVERIFY(ts.recorder.waitFor(ServerEvent::ClientError));
    QVERIFY(waitUntil([&] { return ts.recorder.count(ServerEvent::Sent, fastId) == count; }));
    QCOMPARE(ts.recorder.count(ServerEvent::ClientError, fastId), 0);
    for (const NamedPipe::Error error : ts.recorder.errors(ServerEvent::ClientError))
        QCOMPARE(error, NamedPipe::WriteQueueFull);
    // What was not skipped comes, in order, as soon as the slow one reads. (How many were skipped
    // the errors do not tell: one may stand for several.)
    int received = 0;
    int last = -1;
    bool inOrder = true;
    QVERIFY(waitUntil([&] {
        const bool allWritten = ts.connection(0)->bytesToWrite() == 0;
        while (const auto message = slow.receiveMessage(RawPeer::Milliseconds(0))) {
            int number = last + 1;
            while (number < count && *message != payload(size, quint32(number)))
                ++number;
            inOrder = inOrder && number < count;
            last = number;
            ++received;
        }
        return allWritten && ts.recorder.count(ServerEvent::Sent, slowId) == received;
    }));
    QVERIFY2(inOrder, "not in order, or damaged");
    QVERIFY(received > 0 && received < count);
}

void tst_Broadcast::payloadIsSharedNotCopied()
{
    TestServer ts;
    QVERIFY(ts.start());
    std::vector<RawPeer> peers; // none of them reads
    for (int client = 0; client < 4; ++client)
        peers.push_back(ts.connectPeer());
    QByteArray data = payload(moreThanTheSystemBuffers);
    QCOMPARE(ts.server.asyncBroadcast(data), 4);
    QVERIFY(!data.isDetached());
    // All the queues hold this one: nobody else has a reference as soon as all have let it go.
    for (int client = 0; client < 4; ++client)
        QVERIFY(ts.connection(client)->bytesToWrite() > 0);
    ts.server.stop();
    QVERIFY(data.isDetached());
}

QTEST_GUILESS_MAIN(tst_Broadcast)
#include "tst_broadcast.moc"
