// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "stress.h"
#include "testserver.h"

#include <QtCore/qset.h>
#include <QtCore/qthread.h>
#include <QtTest/QtTest>

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <thread>

using namespace Qt::StringLiterals;

/// Signals on the workers: serial for one connection, parallel for several.
class tst_FreeThreaded : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void eventsComeOnWorkers();
    void noEventLoopIsNeeded();
    void eventsOfOneConnectionNeverOverlap_data();
    void eventsOfOneConnectionNeverOverlap();
    void differentConnectionsRunInParallel_data();
    void differentConnectionsRunInParallel();
    void blockedSlotHarmsOnlyItsConnection();
    void throwingSlotHarmsOnlyItsConnection_data();
    void throwingSlotHarmsOnlyItsConnection();
    void autoConnectionReachesAnObjectOfAnotherThread();
    void writesFromSlotsOfOtherConnectionsWork();
};

void tst_FreeThreaded::eventsComeOnWorkers()
{
    std::mutex mutex;
    QSet<QThread *> threads;
    const auto note = [&] {
        const std::lock_guard lock(mutex);
        threads.insert(QThread::currentThread());
    };
    TestServer ts;
    ts.recorder.onConnected() = [&](const auto &) { note(); };
    ts.recorder.onMessage() = [&](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                  const QByteArray &data) {
        note();
        connection->asyncWrite(data);
    };
    ts.recorder.onSent() = [&](const auto &, const auto &) { note(); };
    ts.recorder.onDisconnected() = [&](const auto &) { note(); };
    ts.server.setFreeThreadingEvents(true);
    ts.server.setNumThreadsIOCP(3);
    QVERIFY(ts.start());
    for (int client = 0; client < 10; ++client) {
        RawPeer peer = ts.connectPeer();
        for (int number = 0; number < 20; ++number) {
            QVERIFY(peer.sendMessage(numbered(number)));
            QCOMPARE(peer.receiveMessage(), numbered(number));
        }
    }
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected, 10));
    const std::lock_guard lock(mutex);
    QVERIFY(!threads.contains(QThread::currentThread()));
    QVERIFY(threads.size() >= 1 && threads.size() <= 3);
}

void tst_FreeThreaded::noEventLoopIsNeeded()
{
    TestServer ts(ServerRecorder::CountOnly);
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &data) { connection->asyncWrite(data); };
    ts.server.setFreeThreadingEvents(true);
    QVERIFY(ts.start());
    {
        RawPeer peer;
        QVERIFY(peer.connectTo(ts.name()));
        QVERIFY(peer.sendMessage("hello"_ba));
        QCOMPARE(peer.receiveMessage(), "hello"_ba);
    }
    QVERIFY(waitWithoutEvents([&] { return ts.recorder.count(ServerEvent::Disconnected) == 1; }));
    ts.server.stop();
}

void tst_FreeThreaded::eventsOfOneConnectionNeverOverlap_data()
{
    QTest::addColumn<int>("workers");
    QTest::newRow("1 worker") << 1;
    QTest::newRow("2 workers") << 2;
    QTest::newRow("8 workers") << 8;
}

void tst_FreeThreaded::eventsOfOneConnectionNeverOverlap()
{
    QFETCH(int, workers);
    constexpr int clients = 4;
    const int count = scaled(400, 40);
    TestServer ts(
            ServerRecorder::CountOnly); // the recorder sees two events of a connection at a time
    const auto linger = [] { // long enough for another worker to come along
        for (int turn = 0; turn < 20; ++turn)
            std::this_thread::yield();
    };
    ts.recorder.onConnected() = [&](const NamedPipeServerConnectionPtr &connection) {
        connection->asyncWrite("welcome"_ba);
        linger();
    };
    ts.recorder.onMessage() = [&](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                  const QByteArray &data) {
        connection->asyncWrite(data);
        linger();
    };
    ts.recorder.onSent() = [&](const auto &, const auto &) { linger(); };
    ts.recorder.onDisconnected() = [&](const auto &) { linger(); };
    ts.server.setFreeThreadingEvents(true);
    ts.server.setNumThreadsIOCP(workers);
    QVERIFY(ts.start());
    std::vector<std::future<bool>> tasks;
    for (int client = 0; client < clients; ++client) {
        tasks.push_back(runClient([name = ts.name(), count] {
            RawPeer peer;
            bool ok = peer.connectTo(name);
            for (int number = 0; ok && number < count; ++number)
                ok = peer.sendMessage(numbered(number));
            ok = ok && peer.receiveMessage() == "welcome"_ba;
            for (int number = 0; ok && number < count; ++number)
                ok = peer.receiveMessage() == numbered(number);
            return ok;
        }));
    }
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected, clients, 2 * patience));
    for (auto &task : tasks)
        QVERIFY(task.get());
    ts.server.stop();
    QCOMPARE(ts.recorder.violations(), QStringList());
}

void tst_FreeThreaded::differentConnectionsRunInParallel_data()
{
    QTest::addColumn<int>("workers");
    QTest::addColumn<bool>("parallel");
    QTest::newRow("2 workers: in parallel") << 2 << true;
    QTest::newRow("1 worker: one after the other") << 1 << false; // or the row above proves nothing
}

void tst_FreeThreaded::differentConnectionsRunInParallel()
{
    QFETCH(int, workers);
    QFETCH(bool, parallel);
    std::atomic<int> inside { 0 };
    std::atomic<int> met { 0 };
    TestServer ts;
    ts.recorder.onMessage() = [&](const auto &, const auto &, const auto &) {
        ++inside;
        // Both slots wait for each other: that ends well only if they run at the same time.
        if (waitWithoutEvents([&] { return inside == 2; }, parallel ? patience : quietTime))
            ++met;
        if (!parallel)
            --inside;
    };
    ts.server.setFreeThreadingEvents(true);
    ts.server.setNumThreadsIOCP(workers);
    QVERIFY(ts.start());
    RawPeer one = ts.connectPeer();
    RawPeer two = ts.connectPeer();
    QVERIFY(one.sendMessage("one"_ba));
    QVERIFY(two.sendMessage("two"_ba));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 2));
    ts.server.stop();
    QCOMPARE(met.load(), parallel ? 2 : 0);
}

void tst_FreeThreaded::blockedSlotHarmsOnlyItsConnection()
{
    Gate gate;
    std::atomic<bool> blocked { false };
    TestServer ts;
    ts.recorder.onMessage() = [&](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                  const QByteArray &data) {
        if (data == "block"_ba) {
            blocked = true;
            gate.wait(2 * patience);
        }
        connection->asyncWrite(data);
    };
    ts.server.setFreeThreadingEvents(true);
    ts.server.setNumThreadsIOCP(2);
    QVERIFY(ts.start());
    RawPeer bad = ts.connectPeer();
    RawPeer good = ts.connectPeer();
    QVERIFY(bad.sendMessage("block"_ba));
    QVERIFY(waitUntil([&] { return blocked.load(); }));
    for (int number = 0; number < scaled(500, 50); ++number) {
        QVERIFY(good.sendMessage(numbered(number)));
        QCOMPARE(good.receiveMessage(), numbered(number));
    }
    RawPeer late = ts.connectPeer(); // the listener goes on, too
    QVERIFY(late.isOpen());
    QVERIFY(late.sendMessage("late"_ba));
    QCOMPARE(late.receiveMessage(), "late"_ba);
    gate.open();
    QCOMPARE(bad.receiveMessage(), "block"_ba);
    ts.server.stop();
}

void tst_FreeThreaded::throwingSlotHarmsOnlyItsConnection_data()
{
    QTest::addColumn<int>("kind");
    QTest::addColumn<int>("workers");
    for (const int workers : { 1, 2 }) {
        QTest::addRow("clientConnected, %d workers", workers)
                << int(ServerEvent::Connected) << workers;
        QTest::addRow("clientMessageReceived, %d workers", workers)
                << int(ServerEvent::Message) << workers;
        QTest::addRow("clientMessageSent, %d workers", workers)
                << int(ServerEvent::Sent) << workers;
        QTest::addRow("clientDisconnected, %d workers", workers)
                << int(ServerEvent::Disconnected) << workers;
    }
}

void tst_FreeThreaded::throwingSlotHarmsOnlyItsConnection()
{
    QFETCH(int, kind);
    QFETCH(int, workers);
    std::atomic<bool> armed { false };
    std::atomic<int> thrown { 0 };
    const auto maybeThrow = [&](int here) {
        if (here == kind && armed.exchange(false)) {
            ++thrown;
            throw std::runtime_error("a slot of the user");
        }
    };
    TestServer ts;
    ts.recorder.onConnected() = [&](const auto &) { maybeThrow(ServerEvent::Connected); };
    ts.recorder.onMessage() = [&](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                  const QByteArray &data) {
        connection->asyncWrite(data);
        maybeThrow(ServerEvent::Message);
    };
    ts.recorder.onSent() = [&](const auto &, const auto &) { maybeThrow(ServerEvent::Sent); };
    ts.recorder.onDisconnected() = [&](const auto &) { maybeThrow(ServerEvent::Disconnected); };
    ts.server.setFreeThreadingEvents(true);
    ts.server.setNumThreadsIOCP(workers);
    QVERIFY(ts.start());
    RawPeer good = ts.connectPeer();
    QVERIFY(good.sendMessage("before"_ba));
    QCOMPARE(good.receiveMessage(), "before"_ba);
    QVERIFY(ts.recorder.waitFor(ServerEvent::Sent));
    armed = true;
    {
        RawPeer bad;
        QVERIFY(bad.connectTo(ts.name()));
        bad.sendMessage("bad"_ba);
        bad.receiveMessage(RawPeer::Milliseconds(200)); // perhaps an echo, perhaps the end
    }
    QVERIFY(waitUntil([&] { return thrown == 1; }));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    for (int number = 0; number < 50; ++number) {
        QVERIFY(good.sendMessage(numbered(number)));
        QCOMPARE(good.receiveMessage(), numbered(number));
    }
    QVERIFY(ts.connectPeer().isOpen());
    ts.server.stop();
    QCOMPARE(ts.recorder.count(ServerEvent::Disconnected),
             ts.recorder.count(ServerEvent::Connected));
    QCOMPARE(ts.recorder.count(ServerEvent::Disconnected), 3);
}

void tst_FreeThreaded::autoConnectionReachesAnObjectOfAnotherThread()
{
    TestServer ts;
    QObject receiver; // lives here
    QList<QByteArray> received;
    bool onThisThread = true;
    connect(&ts.server, &NamedPipeServer::clientMessageReceived, &receiver,
            [&](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                const QByteArray &data) {
                onThisThread = onThisThread && QThread::currentThread() == receiver.thread();
                received.append(data);
                connection->asyncWrite(data);
            });
    ts.server.setFreeThreadingEvents(true);
    ts.server.setNumThreadsIOCP(2);
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    for (int number = 0; number < 100; ++number)
        QVERIFY(peer.sendMessage(numbered(number)));
    QVERIFY(waitUntil([&] { return received.size() == 100; }));
    QVERIFY(onThisThread);
    for (int number = 0; number < 100; ++number) {
        QCOMPARE(numberOf(received.at(number)), number);
        QCOMPARE(peer.receiveMessage(), numbered(number));
    }
    ts.server.stop();
}

void tst_FreeThreaded::writesFromSlotsOfOtherConnectionsWork()
{
    // Each client's messages go to everybody, from whatever worker: no lock is held while slots
    // run.
    constexpr int clients = 4;
    const int count = scaled(200, 20);
    TestServer ts(ServerRecorder::CountOnly);
    NamedPipeServer &server = ts.server;
    ts.recorder.onMessage() = [&](const auto &, const auto &, const QByteArray &data) {
        for (const NamedPipeServerConnectionPtr &other : server.connections())
            other->asyncWrite(data);
    };
    server.setFreeThreadingEvents(true);
    server.setNumThreadsIOCP(4);
    QVERIFY(ts.start());
    std::vector<RawPeer> peers;
    for (int client = 0; client < clients; ++client)
        peers.push_back(ts.connectPeer());
    std::vector<std::future<bool>> tasks;
    for (int client = 0; client < clients; ++client) {
        tasks.push_back(runClient([&peers, client, count] {
            RawPeer &peer = peers[size_t(client)];
            for (int number = 0; number < count; ++number) {
                if (!peer.sendMessage(numbered(number, client)))
                    return false;
            }
            QList<int> next(clients, 0);
            for (int received = 0; received < clients * count; ++received) {
                const auto message = peer.receiveMessage();
                if (!message || numberOf(*message) != next[senderOf(*message)]++)
                    return false;
            }
            return true;
        }));
    }
    for (auto &task : tasks) {
        QVERIFY(waitForTask(task));
        QVERIFY(task.get());
    }
    ts.server.stop();
}

QTEST_GUILESS_MAIN(tst_FreeThreaded)
#include "tst_freethreaded.moc"
