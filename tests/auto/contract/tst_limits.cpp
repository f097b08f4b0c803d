// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "platformflags.h"
#include "processfacts.h"
#include "stress.h"
#include "testserver.h"

#include <QtTest/QtTest>

#include <algorithm>
#include <atomic>

using namespace Qt::StringLiterals;

class tst_Limits : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void tooLargeMessageClosesOnlyItsConnection_data();
    void tooLargeMessageClosesOnlyItsConnection();
    void messageOfExactlyTheMaximumIsFine_data();
    void messageOfExactlyTheMaximumIsFine();
    void whatCameBeforeATooLargeMessageIsDelivered();
    void slowSlotMakesTheClientWait_data();
    void slowSlotMakesTheClientWait();
    void messageLargerThanTheReadLimitGetsThrough();
    void fullWriteQueueRefusesThenDrains_data();
    void fullWriteQueueRefusesThenDrains();
    void messageLargerThanTheWriteLimitIsAcceptedWhenNothingIsQueued();
    void sentMessagesThatNobodyIsToldOfAreLimited();
    void furtherClientsWaitAtMaxConnections();
    void oneConnectionAtATimeServesManyClients();
    void manyClientsAtOnceAreAllServed_data();
    void manyClientsAtOnceAreAllServed();

private:
    static constexpr int chunk = 64 * 1024;
    static constexpr int enoughChunks = 2 * moreThanTheSystemBuffers / chunk;
};

void tst_Limits::tooLargeMessageClosesOnlyItsConnection_data()
{
    QTest::addColumn<int>("maximum");
    QTest::addColumn<int>("size");
    QTest::newRow("one byte over") << 1000 << 1001;
    QTest::newRow("larger than the buffer") << 1000 << 500'000;
    QTest::newRow("maximum larger than the buffer") << 300'000 << 300'001;
    QTest::newRow("maximum of one") << 1 << 2;
}

void tst_Limits::tooLargeMessageClosesOnlyItsConnection()
{
    QFETCH(int, maximum);
    QFETCH(int, size);
    for (const bool freeThreaded : { false, true }) {
        TestServer ts;
        ts.server.setFreeThreadingEvents(freeThreaded);
        ts.server.setMaximumMessageSize(maximum);
        QVERIFY(ts.start());
        RawPeer good = ts.connectPeer();
        RawPeer bad = ts.connectPeer();
        const NamedPipeServerConnectionPtr badConnection = ts.connection(1);
        auto client = runClient([&] {
            bad.sendMessage(payload(size), RawPeer::Milliseconds(2000)); // perhaps not all of it
            return bad.atEnd();
        });
        QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
        QVERIFY(waitForTask(client));
        QVERIFY(client.get());
        QCOMPARE(ts.recorder.errors(ServerEvent::ClientError),
                 QList { NamedPipe::MessageTooLarge });
        QCOMPARE(ts.recorder.count(ServerEvent::ClientError, badConnection->id()), 1);
        QCOMPARE(ts.recorder.count(ServerEvent::Disconnected, badConnection->id()), 1);
        QCOMPARE(badConnection->closeReason(), NamedPipe::Failed);
        QCOMPARE(ts.recorder.count(ServerEvent::Message), 0);
        QVERIFY(good.sendMessage("k"_ba));
        QVERIFY(ts.recorder.waitFor(ServerEvent::Message));
        QVERIFY(ts.connection(0)->isConnected());
        QCOMPARE(ts.recorder.count(ServerEvent::ServerError), 0);
    }
}

void tst_Limits::messageOfExactlyTheMaximumIsFine_data()
{
    QTest::addColumn<int>("maximum");
    for (const int maximum : { 1, 1000, 131072, 300'000 })
        QTest::addRow("%d", maximum) << maximum;
}

void tst_Limits::messageOfExactlyTheMaximumIsFine()
{
    QFETCH(int, maximum);
    TestServer ts;
    ts.server.setMaximumMessageSize(maximum);
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    auto client = runClient([&] {
        return peer.sendMessage(payload(maximum)) && peer.sendMessage({})
                && peer.sendMessage(payload(maximum));
    });
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 3));
    QVERIFY(client.get());
    QCOMPARE(ts.recorder.messages(), (QList { payload(maximum), QByteArray(), payload(maximum) }));
}

void tst_Limits::whatCameBeforeATooLargeMessageIsDelivered()
{
    TestServer ts;
    ts.server.setMaximumMessageSize(100);
    QVERIFY(ts.start());
    RawPeer peer;
    QVERIFY(peer.connectTo(ts.name()));
    for (int number = 0; number < 10; ++number)
        QVERIFY(peer.sendMessage(numbered(number)));
    peer.sendMessage(payload(101));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    QCOMPARE(ts.recorder.count(ServerEvent::Message), 10);
    QCOMPARE(ts.recorder.errors(ServerEvent::ClientError), QList { NamedPipe::MessageTooLarge });
}

void tst_Limits::slowSlotMakesTheClientWait_data()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::addColumn<int>("messageSize");
    QTest::newRow("marshalled, small messages") << false << 1000;
    QTest::newRow("marshalled, large messages") << false << 300'000;
    QTest::newRow("free-threaded, small messages") << true << 1000;
    QTest::newRow("free-threaded, large messages") << true << 300'000;
}

void tst_Limits::slowSlotMakesTheClientWait()
{
    QFETCH(bool, freeThreaded);
    QFETCH(int, messageSize);
    const int most = 4 * moreThanTheSystemBuffers / messageSize;
    int next = 0;
    std::atomic<int> damaged { 0 };
    Gate gate;
    TestServer ts(ServerRecorder::CountOnly);
    ts.recorder.onMessage() = [&](const auto &, const auto &, const QByteArray &data) {
        if (freeThreaded)
            gate.wait(2 * patience);
        if (data != payload(messageSize, quint32(next++)))
            ++damaged;
    };
    ts.server.setFreeThreadingEvents(freeThreaded);
    ts.server.setMaximumPendingReadBytes(256 * 1024);
    QVERIFY(ts.start());
    RawPeer peer;
    QVERIFY(peer.connectTo(ts.name()));
    const qint64 memoryBefore = ProcessFacts::residentBytes();
    std::atomic<int> sentUntilBlocked { -1 };
    Gate goOn;
    // One thread all the way: the end of a thread would cancel its writes on Windows.
    auto client = runClient([&] {
        int sent = 0;
        while (sent < most
               && peer.sendMessage(payload(messageSize, quint32(sent)), RawPeer::Milliseconds(500)))
            ++sent;
        sentUntilBlocked = sent;
        bool ok = goOn.wait(2 * patience) && peer.finishSending();
        for (int number = sent + 1; ok && number < sent + 50; ++number)
            ok = peer.sendMessage(payload(messageSize, quint32(number)));
        peer.close();
        return ok;
    });
    // Marshalled: the event loop stands still. Free-threaded: the slot does.
    const bool decided = waitWithoutEvents([&] { return sentUntilBlocked >= 0; }, 2 * patience);
    const int sent = sentUntilBlocked;
    const bool stillSending = decided && peer.isSending();
    const qint64 memoryAfter = ProcessFacts::residentBytes();
    gate.open();
    goOn.open();
    QVERIFY(decided);
    QVERIFY2(sent < most, "the client could send all it had, although nobody took it");
    QVERIFY(stillSending);
    if (!PlatformFlags::runningUnderSanitizer())
        QVERIFY(memoryAfter - memoryBefore < moreThanTheSystemBuffers);
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    QVERIFY(client.get());
    QCOMPARE(ts.recorder.count(ServerEvent::Message), sent + 50);
    QCOMPARE(damaged.load(), 0);
}

void tst_Limits::messageLargerThanTheReadLimitGetsThrough()
{
    TestServer ts;
    ts.server.setMaximumPendingReadBytes(1000);
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    auto client = runClient([&] {
        bool ok = true;
        for (const int size : { 1'000'000, 10, 999, 1000, 1001, 3'000'000, 0 })
            ok = ok && peer.sendMessage(payload(size));
        return ok;
    });
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 7));
    QVERIFY(client.get());
    QCOMPARE(ts.recorder.messages().at(5), payload(3'000'000));
}

void tst_Limits::fullWriteQueueRefusesThenDrains_data()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::newRow("marshalled") << false;
    QTest::newRow("free-threaded") << true;
}

void tst_Limits::fullWriteQueueRefusesThenDrains()
{
    QFETCH(bool, freeThreaded);
    constexpr qint64 limit = 1024 * 1024;
    TestServer ts;
    ts.server.setFreeThreadingEvents(freeThreaded);
    ts.server.setMaximumPendingWriteBytes(limit);
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    const NamedPipeServerConnectionPtr connection = ts.connection();
    int accepted = 0;
    // Until it refuses and stays full: what the system takes in the meantime makes room again.
    const auto fill = [&] {
        while (accepted < enoughChunks
               && connection->asyncWrite(payload(chunk, quint32(accepted)), accepted))
            ++accepted;
        return ts.recorder.count(ServerEvent::ClientError) > 0
                && connection->bytesToWrite() > limit - chunk;
    };
    QVERIFY(waitUntil(fill));
    QVERIFY2(accepted < enoughChunks, "nothing was refused");
    QVERIFY(connection->bytesToWrite() <= limit);
    QVERIFY(!ts.recorder.errors(ServerEvent::ClientError).isEmpty());
    for (const NamedPipe::Error error : ts.recorder.errors(ServerEvent::ClientError))
        QCOMPARE(error, NamedPipe::WriteQueueFull);
    QVERIFY(connection->isConnected()); // it is no reason to end anything

    for (int number = 0; number < accepted; ++number)
        QCOMPARE(peer.receiveMessage(), payload(chunk, quint32(number)));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Sent, accepted));
    QCOMPARE(connection->bytesToWrite(), 0);
    QVERIFY(connection->asyncWrite("room again"_ba));
    QCOMPARE(peer.receiveMessage(), "room again"_ba);
    QVERIFY(ts.recorder.waitFor(ServerEvent::Sent, accepted + 1));
    QCOMPARE(ts.recorder.count(ServerEvent::Sent), accepted + 1); // none for what was refused
}

void tst_Limits::messageLargerThanTheWriteLimitIsAcceptedWhenNothingIsQueued()
{
    TestServer ts;
    ts.server.setMaximumPendingWriteBytes(1000);
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    for (int round = 1; round <= 3; ++round) {
        QVERIFY(ts.connection()->asyncWrite(payload(2'000'000)));
        QVERIFY(!ts.connection()->asyncWrite(
                "no room"_ba)); // the client has not read: it is queued
        QCOMPARE(peer.receiveMessage(), payload(2'000'000));
        QVERIFY(ts.recorder.waitFor(ServerEvent::Sent, round));
    }
}

void tst_Limits::sentMessagesThatNobodyIsToldOfAreLimited()
{
    TestServer ts;
    ts.server.setMaximumPendingWriteBytes(64 * 1024); // one for each 64 bytes: 1024
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    const NamedPipeServerConnectionPtr connection = ts.connection();
    int accepted = 0; // without an event loop, so that nothing can be told
    while (accepted < 2000 && connection->asyncWrite("x"_ba, accepted)) {
        ++accepted;
        QCOMPARE(peer.receiveMessage(), "x"_ba);
        QVERIFY(waitWithoutEvents([&] { return connection->bytesToWrite() == 0; }));
    }
    QVERIFY2(accepted >= 1000 && accepted < 1100, qPrintable(QString::number(accepted)));
    QVERIFY(ts.recorder.waitFor(ServerEvent::ClientError));
    for (const ServerEvent &event : ts.recorder.events()) {
        if (event.kind != ServerEvent::ClientError)
            continue;
        QCOMPARE(event.error, NamedPipe::WriteQueueFull);
        QVERIFY2(event.text.contains(u"nobody has been told"_s), qPrintable(event.text));
    }

    QVERIFY(ts.recorder.waitFor(ServerEvent::Sent, accepted)); // now they are
    QVERIFY(connection->isConnected() && connection->asyncWrite("y"_ba, accepted));
    QCOMPARE(peer.receiveMessage(), "y"_ba);
}

void tst_Limits::furtherClientsWaitAtMaxConnections()
{
    TestServer ts;
    ts.server.setMaxConnections(2);
    QVERIFY(ts.start());
    RawPeer first = ts.connectPeer();
    RawPeer second = ts.connectPeer();
    auto third =
            runClient([name = ts.name()] { // waits in the backlog, or for a pipe that is not busy
                RawPeer peer;
                return peer.connectTo(name, patience) && peer.sendMessage("third"_ba, patience)
                        && peer.receiveMessage(patience) == "welcome"_ba;
            });
    watchFor();
    QCOMPARE(ts.recorder.count(ServerEvent::Connected), 2);
    QCOMPARE(ts.server.connectionCount(), 2);
    QVERIFY(first.sendMessage("still served"_ba));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message));
    first.close();
    QVERIFY(ts.recorder.waitFor(ServerEvent::Connected, 3));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 2));
    QVERIFY(ts.connection(2)->asyncWrite("welcome"_ba));
    QVERIFY(waitForTask(third));
    QVERIFY(third.get());
    QVERIFY(second.isOpen());
    QCOMPARE(ts.recorder.count(ServerEvent::ServerError), 0);
}

void tst_Limits::oneConnectionAtATimeServesManyClients()
{
    const int clients = scaled(30, 5);
    std::atomic<int> open { 0 };
    std::atomic<int> most { 0 };
    TestServer ts(ServerRecorder::CountOnly);
    ts.recorder.onConnected() = [&](const auto &) { most = std::max(most.load(), ++open); };
    ts.recorder.onDisconnected() = [&](const auto &) { --open; };
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &data) { connection->asyncWrite(data); };
    ts.server.setMaxConnections(1);
    QVERIFY(ts.start());
    std::vector<std::future<bool>> tasks;
    for (int client = 0; client < clients; ++client) {
        tasks.push_back(runClient([name = ts.name(), client] {
            RawPeer peer;
            return peer.connectTo(name, patience) && peer.sendMessage(numbered(client), patience)
                    && peer.receiveMessage(patience) == numbered(client);
        }));
    }
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected, clients, 2 * patience));
    for (auto &task : tasks)
        QVERIFY(task.get());
    QCOMPARE(most.load(), 1);
}

void tst_Limits::manyClientsAtOnceAreAllServed_data()
{
    QTest::addColumn<int>("backlog");
    QTest::newRow("backlog 1") << 1;
    QTest::newRow("backlog 16") << 16;
    QTest::newRow("backlog 200") << 200;
}

void tst_Limits::manyClientsAtOnceAreAllServed()
{
    QFETCH(int, backlog);
    const int clients = scaled(200, 20);
    TestServer ts(ServerRecorder::CountOnly);
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &data) { connection->asyncWrite(data); };
    ts.server.setListenBacklogSize(backlog);
    QVERIFY(ts.start());
    std::vector<std::future<bool>> tasks;
    for (int client = 0; client < clients; ++client) {
        tasks.push_back(runClient([name = ts.name(), client] {
            RawPeer peer;
            return peer.connectTo(name, patience) && peer.sendMessage(numbered(client), patience)
                    && peer.receiveMessage(patience) == numbered(client);
        }));
    }
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected, clients, 2 * patience));
    for (auto &task : tasks)
        QVERIFY(task.get());
    QCOMPARE(ts.recorder.count(ServerEvent::Message), clients);
    QCOMPARE(ts.recorder.count(ServerEvent::ServerError), 0);
}

QTEST_GUILESS_MAIN(tst_Limits)
#include "tst_limits.moc"
