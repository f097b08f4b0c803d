// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "stress.h"
#include "testclient.h"
#include "testserver.h"

#include <QtCore/qset.h>
#include <QtCore/qthread.h>
#include <QtTest/QtTest>

#include <array>
#include <atomic>
#include <mutex>
#include <stdexcept>
#include <thread>

using namespace Qt::StringLiterals;

/// A client's signals on the workers of its manager: serial for one connection, parallel for several.
class tst_ClientFreeThreaded : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void eventsComeOnWorkers_data();
    void eventsComeOnWorkers();
    void noEventLoopIsNeeded();
    void eventsOfOneConnectionNeverOverlap_data();
    void eventsOfOneConnectionNeverOverlap();
    void differentConnectionsRunInParallel_data();
    void differentConnectionsRunInParallel();
    void blockedSlotHarmsOnlyItsConnection_data();
    void blockedSlotHarmsOnlyItsConnection();
    void throwingSlotClosesOnlyItsConnection_data();
    void throwingSlotClosesOnlyItsConnection();
    void throwingSlotOfAFailedDialHarmsNobody();
    void autoConnectionReachesAnObjectOfAnotherThread();
    void writesFromSlotsOfOtherConnectionsWork();
    void stopInASlotReturnsAtOnce_data();
    void stopInASlotReturnsAtOnce();
    void closingInASlotWorks_data();
    void closingInASlotWorks();
    void droppingTheLastPointerInASlotIsSafe_data();
    void droppingTheLastPointerInASlotIsSafe();
    void managerMayBeDeletedByAnotherThreadAfterStop();
    void settingIsReadWhenTheFirstConnectionIsMade();

private:
    static void addWorkerRows();
    static void addSlotRows();
    static void echo(ServerRecorder &recorder)
    {
        recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                  const QByteArray &data) { connection->asyncWrite(data); };
    }
};

void tst_ClientFreeThreaded::addWorkerRows()
{
    QTest::addColumn<int>("workers");
    QTest::newRow("1 worker") << 1;
    QTest::newRow("2 workers") << 2;
    QTest::newRow("8 workers") << 8;
}

/// Every signal of a connection that gets so far as to be connected.
void tst_ClientFreeThreaded::addSlotRows()
{
    QTest::addColumn<ClientEvent::Kind>("kind");
    QTest::addColumn<int>("workers");
    for (const int workers : { 1, 2, 8 }) {
        QTest::addRow("connected, %d workers", workers) << ClientEvent::Connected << workers;
        QTest::addRow("messageReceived, %d workers", workers) << ClientEvent::Message << workers;
        QTest::addRow("messageSent, %d workers", workers) << ClientEvent::Sent << workers;
        QTest::addRow("disconnected, %d workers", workers) << ClientEvent::Disconnected << workers;
    }
}

void tst_ClientFreeThreaded::eventsComeOnWorkers_data()
{
    addWorkerRows();
}

void tst_ClientFreeThreaded::eventsComeOnWorkers()
{
    QFETCH(int, workers);
    std::mutex mutex;
    QSet<QThread *> threads;
    TestServer ts(ServerRecorder::CountOnly);
    echo(ts.recorder);
    QVERIFY(ts.start());
    TestClient tc;
    tc.recorder.onAny() = [&](NamedPipeClientConnection &, ClientEvent::Kind) {
        const std::lock_guard lock(mutex);
        threads.insert(QThread::currentThread());
    };
    tc.manager.setFreeThreadingEvents(true);
    tc.manager.setNumThreadsIOCP(workers);
    for (int number = 0; number < 10; ++number) {
        const auto client = tc.connectTo(ts.name());
        QVERIFY(client);
        QCOMPARE(client->thread(), QThread::currentThread());
        for (int message = 0; message < 20; ++message)
            QVERIFY(client->asyncWrite(numbered(message), message));
        QVERIFY(tc.recorder.waitFor(ClientEvent::Message, 20 * (number + 1)));
        client->asyncClose();
        QVERIFY(tc.recorder.waitFor(ClientEvent::Disconnected, number + 1));
    }
    const auto nowhere = tc.dial(scratchName());
    QVERIFY(tc.recorder.waitFor(ClientEvent::Error));
    const std::lock_guard lock(mutex);
    QVERIFY(!threads.contains(QThread::currentThread()));
    QVERIFY(threads.size() >= 1 && threads.size() <= workers);
}

void tst_ClientFreeThreaded::noEventLoopIsNeeded()
{
    TestServer ts(ServerRecorder::CountOnly);
    echo(ts.recorder);
    ts.server.setFreeThreadingEvents(true);
    QVERIFY(ts.start());
    TestClient tc(ClientRecorder::CountOnly);
    tc.recorder.onConnected() = [](NamedPipeClientConnection &client) {
        client.asyncWrite("hello"_ba);
    };
    tc.recorder.onMessage() = [](NamedPipeClientConnection &client, const auto &, const auto &) {
        client.asyncClose();
    };
    tc.manager.setFreeThreadingEvents(true);
    const auto client = tc.dial(ts.name());
    QVERIFY(waitWithoutEvents([&] { return tc.recorder.count(ClientEvent::Disconnected) == 1; }));
    QCOMPARE(tc.recorder.count(ClientEvent::Message), 1);
    const auto nowhere = tc.dial(scratchName());
    QVERIFY(waitWithoutEvents([&] { return tc.recorder.count(ClientEvent::Error) == 1; }));
    QVERIFY(!nowhere->isOpening());
    tc.manager.stop();
    ts.server.stop();
}

void tst_ClientFreeThreaded::eventsOfOneConnectionNeverOverlap_data()
{
    addWorkerRows();
}

void tst_ClientFreeThreaded::eventsOfOneConnectionNeverOverlap()
{
    QFETCH(int, workers);
    constexpr int clients = 4;
    const int count = scaled(400, 40);
    std::array<std::atomic<int>, clients> nextMessage {};
    std::array<std::atomic<int>, clients> nextCookie {};
    std::atomic<int> misplaced { 0 };
    TestServer ts(ServerRecorder::CountOnly);
    ts.recorder.onConnected() = [](const NamedPipeServerConnectionPtr &connection) {
        connection->asyncWrite(numbered(0));
    };
    echo(ts.recorder);
    ts.server.setNumThreadsIOCP(2);
    QVERIFY(ts.start());
    // The recorder sees two events of a connection at a time.
    TestClient tc(ClientRecorder::CountOnly);
    tc.recorder.onAny() = [](NamedPipeClientConnection &, ClientEvent::Kind) {
        for (int turn = 0; turn < 20; ++turn) // long enough for another worker to come along
            std::this_thread::yield();
    };
    tc.recorder.onMessage() = [&](NamedPipeClientConnection &client, const QVariant &,
                                  const QByteArray &data) {
        if (numberOf(data) != nextMessage[client.customData().toUInt()]++)
            ++misplaced;
    };
    tc.recorder.onSent() = [&](NamedPipeClientConnection &client, const QVariant &cookie) {
        if (cookie.toInt() != ++nextCookie[client.customData().toUInt()])
            ++misplaced;
    };
    tc.manager.setFreeThreadingEvents(true);
    tc.manager.setNumThreadsIOCP(workers);
    std::vector<NamedPipeClientConnectionPtr> connections;
    std::vector<std::future<bool>> tasks;
    for (uint client = 0; client < clients; ++client) {
        connections.push_back(
                tc.manager.connectToServer(ts.name(),
                                           [&](const NamedPipeClientConnectionPtr &connection) {
                                               connection->setCustomData(client);
                                               tc.recorder.watch(connection, tc.manager);
                                           }));
    }
    QVERIFY(tc.recorder.waitFor(ClientEvent::Connected, clients));
    for (const auto &connection : connections) {
        tasks.push_back(runClient([&connection, count] {
            bool ok = true;
            for (int number = 1; number <= count; ++number)
                ok = connection->asyncWrite(numbered(number), number) && ok;
            return ok;
        }));
    }
    QVERIFY(tc.recorder.waitFor(ClientEvent::Message, clients * (count + 1), 2 * patience));
    QVERIFY(tc.recorder.waitFor(ClientEvent::Sent, clients * count));
    for (auto &task : tasks)
        QVERIFY(task.get());
    tc.manager.stop();
    QCOMPARE(misplaced.load(), 0);
    QCOMPARE(tc.recorder.count(ClientEvent::Disconnected), clients);
    QCOMPARE(tc.recorder.violations(), QStringList());
}

void tst_ClientFreeThreaded::differentConnectionsRunInParallel_data()
{
    QTest::addColumn<int>("workers");
    QTest::addColumn<bool>("parallel");
    QTest::newRow("8 workers: in parallel") << 8 << true;
    QTest::newRow("2 workers: in parallel") << 2 << true;
    QTest::newRow("1 worker: one after the other") << 1 << false; // or the rows above prove nothing
}

void tst_ClientFreeThreaded::differentConnectionsRunInParallel()
{
    QFETCH(int, workers);
    QFETCH(bool, parallel);
    std::atomic<int> inside { 0 };
    std::atomic<int> met { 0 };
    TestServer ts(ServerRecorder::CountOnly);
    QVERIFY(ts.start());
    TestClient tc(ClientRecorder::CountOnly);
    tc.recorder.onMessage() = [&](const auto &, const auto &, const auto &) {
        ++inside;
        // Both slots wait for each other: that ends well only if they run at the same time.
        if (waitWithoutEvents([&] { return inside == 2; }, parallel ? patience : quietTime))
            ++met;
        if (!parallel)
            --inside;
    };
    tc.manager.setFreeThreadingEvents(true);
    tc.manager.setNumThreadsIOCP(workers);
    const auto one = tc.connectTo(ts.name());
    const auto two = tc.connectTo(ts.name());
    QVERIFY(ts.recorder.waitFor(ServerEvent::Connected, 2));
    QCOMPARE(ts.server.asyncBroadcast("go"_ba), 2);
    QVERIFY(tc.recorder.waitFor(ClientEvent::Message, 2));
    tc.manager.stop();
    QCOMPARE(met.load(), parallel ? 2 : 0);
}

void tst_ClientFreeThreaded::blockedSlotHarmsOnlyItsConnection_data()
{
    QTest::addColumn<ClientEvent::Kind>("kind");
    QTest::newRow("connected") << ClientEvent::Connected;
    QTest::newRow("messageReceived") << ClientEvent::Message;
    QTest::newRow("messageSent") << ClientEvent::Sent;
    QTest::newRow("disconnected") << ClientEvent::Disconnected;
}

void tst_ClientFreeThreaded::blockedSlotHarmsOnlyItsConnection()
{
    QFETCH(ClientEvent::Kind, kind);
    Gate gate;
    std::atomic<bool> blocked { false };
    std::atomic<NamedPipeClientConnection *> bad { nullptr };
    std::atomic<int> echoes { 0 };
    TestServer ts(ServerRecorder::CountOnly);
    echo(ts.recorder);
    QVERIFY(ts.start());
    TestClient tc(ClientRecorder::CountOnly);
    tc.recorder.onAny() = [&](NamedPipeClientConnection &client, ClientEvent::Kind here) {
        if (&client == bad && here == kind && !blocked.exchange(true))
            gate.wait(2 * patience);
    };
    tc.recorder.onMessage() = [&](NamedPipeClientConnection &client, const auto &, const auto &) {
        if (&client != bad)
            ++echoes;
    };
    tc.manager.setFreeThreadingEvents(true);
    tc.manager.setNumThreadsIOCP(2);
    const auto good = tc.connectTo(ts.name());
    QVERIFY(good);
    const auto blocking =
            tc.manager.connectToServer(ts.name(), [&](const NamedPipeClientConnectionPtr &made) {
                bad = made.data();
                tc.recorder.watch(made, tc.manager);
            });
    if (kind != ClientEvent::Connected) {
        QVERIFY(tc.recorder.waitFor(ClientEvent::Connected, 2));
        QVERIFY(blocking->asyncWrite("block"_ba));
        if (kind == ClientEvent::Disconnected)
            blocking->asyncClose(NamedPipe::SendPending);
    }
    QVERIFY(waitUntil([&] { return blocked.load(); }));
    const int count = scaled(500, 50);
    for (int number = 1; number <= count; ++number) {
        QVERIFY(good->asyncWrite(numbered(number)));
        QVERIFY(waitUntil([&] { return echoes == number; }));
    }
    const auto late = tc.connectTo(ts.name()); // dialing goes on, too
    QVERIFY(late);
    QVERIFY(late->asyncWrite("late"_ba));
    QVERIFY(waitUntil([&] { return echoes == count + 1; }));
    gate.open();
    if (kind != ClientEvent::Disconnected) { // nothing was lost meanwhile
        if (kind == ClientEvent::Connected)
            QVERIFY(waitUntil([&] { return blocking->asyncWrite("block"_ba); }));
        QVERIFY(waitUntil([&] { return tc.recorder.count(ClientEvent::Message, 1) >= 1; }));
        QVERIFY(waitUntil([&] { return tc.recorder.count(ClientEvent::Sent, 1) >= 1; }));
        blocking->asyncClose();
    }
    QVERIFY(waitUntil([&] { return tc.recorder.count(ClientEvent::Disconnected, 1) == 1; }));
    tc.manager.stop();
}

void tst_ClientFreeThreaded::throwingSlotClosesOnlyItsConnection_data()
{
    addSlotRows();
}

void tst_ClientFreeThreaded::throwingSlotClosesOnlyItsConnection()
{
    QFETCH(ClientEvent::Kind, kind);
    QFETCH(int, workers);
    std::atomic<bool> armed { false };
    std::atomic<int> thrown { 0 };
    TestServer ts(ServerRecorder::CountOnly);
    echo(ts.recorder);
    QVERIFY(ts.start());
    TestClient tc;
    tc.recorder.onAny() = [&](NamedPipeClientConnection &client, ClientEvent::Kind here) {
        if (here == ClientEvent::Connected)
            client.asyncWrite("first"_ba);
        if (here == kind && armed.exchange(false)) {
            ++thrown;
            throw std::runtime_error("a slot of the user");
        }
    };
    tc.manager.setFreeThreadingEvents(true);
    tc.manager.setNumThreadsIOCP(workers);
    const auto good = tc.connectTo(ts.name());
    QVERIFY(tc.recorder.waitFor(ClientEvent::Sent));
    QVERIFY(tc.recorder.waitFor(ClientEvent::Message));
    armed = true;
    const auto bad = tc.dial(ts.name());
    if (kind == ClientEvent::Disconnected) {
        QVERIFY(waitUntil([&] { return tc.recorder.count(ClientEvent::Message, 1) == 1; }));
        bad->asyncClose();
    }
    QVERIFY(waitUntil([&] { return thrown == 1; }));
    QVERIFY(tc.recorder.waitFor(ClientEvent::Disconnected));
    QVERIFY(waitUntil([&] { return !bad->isOpening() && !bad->isConnected(); }));
    if (kind == ClientEvent::Disconnected) {
        QCOMPARE(bad->closeReason(), NamedPipe::ClosedByClient);
    } else {
        QCOMPARE(bad->closeReason(), NamedPipe::Failed);
        QCOMPARE(tc.recorder.errors(), QList { NamedPipe::SystemError });
        QVERIFY(tc.recorder.kindsOf(1).contains(ClientEvent::Error));
    }
    for (int number = 1; number <= 50; ++number) {
        QVERIFY(good->asyncWrite(numbered(number), number));
        QVERIFY(waitUntil(
                [&] { return tc.recorder.count(ClientEvent::Message, 0) == number + 1; }));
    }
    QVERIFY(tc.connectTo(ts.name()));
    tc.manager.stop();
    QCOMPARE(tc.recorder.count(ClientEvent::Disconnected, 1), 1);
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected, 3));
}

void tst_ClientFreeThreaded::throwingSlotOfAFailedDialHarmsNobody()
{
    std::atomic<int> thrown { 0 };
    TestServer ts(ServerRecorder::CountOnly);
    echo(ts.recorder);
    QVERIFY(ts.start());
    TestClient tc;
    tc.recorder.onError() = [&](NamedPipeClientConnection &, NamedPipe::Error) {
        ++thrown;
        throw std::runtime_error("a slot of the user");
    };
    tc.manager.setFreeThreadingEvents(true);
    const auto good = tc.connectTo(ts.name());
    QVERIFY(good);
    const auto nowhere = tc.dial(scratchName());
    QVERIFY(waitUntil([&] { return thrown > 0; }));
    QVERIFY(waitUntil([&] { return !nowhere->isOpening(); }));
    QVERIFY(good->asyncWrite("hello"_ba));
    QVERIFY(tc.recorder.waitFor(ClientEvent::Message));
    const auto late = tc.connectTo(ts.name());
    QVERIFY(late);
    tc.manager.stop();
    QCOMPARE(tc.recorder.count(ClientEvent::Connected), 2);
    QCOMPARE(tc.recorder.count(ClientEvent::Disconnected), 2);
}

void tst_ClientFreeThreaded::autoConnectionReachesAnObjectOfAnotherThread()
{
    TestServer ts(ServerRecorder::CountOnly);
    echo(ts.recorder);
    QVERIFY(ts.start());
    const QObject receiver; // lives here
    QList<QByteArray> received;
    bool onThisThread = true;
    NamedPipeClientManager manager;
    manager.setFreeThreadingEvents(true);
    manager.setNumThreadsIOCP(2);
    const auto client = manager.connectToServer(ts.name(), [&](const auto &connection) {
        NamedPipeClientConnection *const own = connection.data();
        connect(own, &NamedPipeClientConnection::connected, &receiver, [&, own] {
            onThisThread = onThisThread && QThread::currentThread() == receiver.thread();
            for (int number = 0; number < 100; ++number)
                own->asyncWrite(numbered(number));
        });
        connect(own, &NamedPipeClientConnection::messageReceived, &receiver,
                [&](const QVariant &, const QByteArray &data) {
                    onThisThread = onThisThread && QThread::currentThread() == receiver.thread();
                    received.append(data);
                });
    });
    QVERIFY(waitUntil([&] { return received.size() == 100; }));
    QVERIFY(onThisThread);
    for (int number = 0; number < 100; ++number)
        QCOMPARE(numberOf(received.at(number)), number);
    manager.stop();
}

void tst_ClientFreeThreaded::writesFromSlotsOfOtherConnectionsWork()
{
    // What one connection receives goes out through all of them, from whatever worker: no lock is
    // held while slots run.
    constexpr int clients = 4;
    const int count = scaled(200, 20);
    TestServer ts(ServerRecorder::CountOnly);
    ts.server.setNumThreadsIOCP(2);
    QVERIFY(ts.start());
    TestClient tc(ClientRecorder::CountOnly);
    NamedPipeClientManager &manager = tc.manager;
    tc.recorder.onMessage() = [&](const auto &, const auto &, const QByteArray &data) {
        for (const NamedPipeClientConnectionPtr &other : manager.connections())
            other->asyncWrite(data);
    };
    manager.setFreeThreadingEvents(true);
    manager.setNumThreadsIOCP(4);
    std::vector<NamedPipeClientConnectionPtr> connections;
    for (int client = 0; client < clients; ++client) {
        connections.push_back(tc.connectTo(ts.name()));
        QVERIFY(connections.back());
    }
    QVERIFY(ts.recorder.waitFor(ServerEvent::Connected, clients));
    for (int number = 0; number < count; ++number)
        QCOMPARE(ts.server.asyncBroadcast(numbered(number)), clients);
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, clients * clients * count, 2 * patience));
    QVERIFY(tc.recorder.waitFor(ClientEvent::Sent, clients * clients * count));
    QCOMPARE(tc.recorder.count(ClientEvent::Error), 0);
    manager.stop();
}

void tst_ClientFreeThreaded::stopInASlotReturnsAtOnce_data()
{
    addSlotRows();
    QTest::newRow("errorOccurred, 1 worker") << ClientEvent::Error << 1;
    QTest::newRow("errorOccurred, 2 workers") << ClientEvent::Error << 2;
}

void tst_ClientFreeThreaded::stopInASlotReturnsAtOnce()
{
    QFETCH(ClientEvent::Kind, kind);
    QFETCH(int, workers);
    std::atomic<int> calls { 0 };
    std::atomic<int> returned { 0 };
    TestServer ts(ServerRecorder::CountOnly);
    echo(ts.recorder);
    ts.server.setFreeThreadingEvents(true); // answers while this thread waits
    QVERIFY(ts.start());
    TestClient tc(ClientRecorder::CountOnly);
    tc.recorder.onAny() = [&](NamedPipeClientConnection &client, ClientEvent::Kind here) {
        if (here == ClientEvent::Connected)
            client.asyncWrite("first"_ba);
        if (here == ClientEvent::Message && kind == ClientEvent::Disconnected)
            client.asyncClose();
        if (here == kind && calls++ == 0) {
            tc.manager.stop();
            ++returned;
        }
    };
    tc.manager.setFreeThreadingEvents(true);
    tc.manager.setNumThreadsIOCP(workers);
    std::vector<NamedPipeClientConnectionPtr> others;
    if (kind == ClientEvent::Error) {
        others.push_back(tc.connectTo(ts.name()));
        others.push_back(tc.dial(scratchName()));
    } else {
        for (int client = 0; client < 3; ++client)
            others.push_back(tc.dial(ts.name()));
    }
    // It returns without the event loop of the manager's thread; the stop itself needs that.
    QVERIFY(waitWithoutEvents([&] { return returned == 1; }));
    QVERIFY(waitUntil([&] {
        return tc.manager.connectionCount() == 0
                && tc.recorder.count(ClientEvent::Disconnected)
                == tc.recorder.count(ClientEvent::Connected)
                && !others.front()->isOpening() && !others.back()->isOpening();
    }));
    watchFor(std::chrono::milliseconds(30));
    QCOMPARE(tc.recorder.count(ClientEvent::Disconnected),
             tc.recorder.count(ClientEvent::Connected));
    for (const auto &client : others) {
        QVERIFY(!client->isConnected());
        QVERIFY(!client->asyncWrite("too late"_ba));
    }
    calls = 1; // it works again
    const int echoes = tc.recorder.count(ClientEvent::Message);
    const auto again = tc.dial(ts.name());
    QVERIFY(tc.recorder.waitFor(ClientEvent::Message, echoes + 1));
}

void tst_ClientFreeThreaded::closingInASlotWorks_data()
{
    addSlotRows();
}

void tst_ClientFreeThreaded::closingInASlotWorks()
{
    QFETCH(ClientEvent::Kind, kind);
    QFETCH(int, workers);
    TestServer ts(ServerRecorder::CountOnly);
    ts.recorder.onConnected() = [](const NamedPipeServerConnectionPtr &connection) {
        for (int number = 0; number < 10; ++number)
            connection->asyncWrite(numbered(number));
    };
    QVERIFY(ts.start());
    TestClient tc;
    tc.recorder.onAny() = [&](NamedPipeClientConnection &client, ClientEvent::Kind here) {
        if (here == ClientEvent::Connected)
            client.asyncWrite("first"_ba);
        if (here == kind)
            client.asyncClose();
    };
    tc.manager.setFreeThreadingEvents(true);
    tc.manager.setNumThreadsIOCP(workers);
    const auto client = tc.dial(ts.name());
    if (kind == ClientEvent::Disconnected) {
        QVERIFY(tc.recorder.waitFor(ClientEvent::Message, 10));
        client->asyncClose();
    }
    QVERIFY(tc.recorder.waitFor(ClientEvent::Disconnected));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    watchFor(std::chrono::milliseconds(30));
    QCOMPARE(tc.recorder.count(ClientEvent::Disconnected), 1);
    QCOMPARE(client->closeReason(), NamedPipe::ClosedByClient);
    if (kind == ClientEvent::Connected || kind == ClientEvent::Message) // the rest is discarded
        QCOMPARE(tc.recorder.count(ClientEvent::Message), kind == ClientEvent::Message ? 1 : 0);
    QCOMPARE(tc.recorder.count(ClientEvent::Error), 0);
}

void tst_ClientFreeThreaded::droppingTheLastPointerInASlotIsSafe_data()
{
    addSlotRows();
}

void tst_ClientFreeThreaded::droppingTheLastPointerInASlotIsSafe()
{
    QFETCH(ClientEvent::Kind, kind);
    QFETCH(int, workers);
    const int rounds = scaled(20, 3);
    TestServer ts(ServerRecorder::CountOnly);
    echo(ts.recorder);
    QVERIFY(ts.start());
    for (int round = 1; round <= rounds; ++round) {
        std::mutex mutex;
        NamedPipeClientConnectionPtr last;
        QWeakPointer<NamedPipeClientConnection> observer;
        std::atomic<bool> dropped { false };
        TestClient tc;
        tc.recorder.onAny() = [&](NamedPipeClientConnection &client, ClientEvent::Kind here) {
            if (here == ClientEvent::Connected) {
                client.asyncWrite("first"_ba);
                client.asyncWrite("second"_ba);
            }
            if (here == ClientEvent::Message && kind == ClientEvent::Disconnected)
                client.asyncClose();
            if (here == kind) {
                const std::lock_guard lock(mutex); // connectToServer() has returned
                last.reset();
                dropped = true;
            }
        };
        tc.manager.setFreeThreadingEvents(true);
        tc.manager.setNumThreadsIOCP(workers);
        {
            const std::lock_guard lock(mutex);
            last = tc.dial(ts.name());
            observer = last;
        }
        QVERIFY(waitUntil([&] { return dropped.load(); }));
        QVERIFY(waitUntil([&] { return observer.isNull(); })); // the library keeps nothing
        QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected, round));
        if (kind == ClientEvent::Connected || kind == ClientEvent::Sent) // SendPending
            QCOMPARE(ts.recorder.count(ServerEvent::Message), 2 * round);
        QCOMPARE(tc.recorder.count(ClientEvent::Error), 0);
        tc.manager.stop();
    }
}

void tst_ClientFreeThreaded::managerMayBeDeletedByAnotherThreadAfterStop()
{
    TestServer ts(ServerRecorder::CountOnly);
    echo(ts.recorder);
    QVERIFY(ts.start());
    for (int round = 0; round < scaled(20, 3); ++round) {
        ClientRecorder recorder;
        recorder.onConnected() = [](NamedPipeClientConnection &client) {
            client.asyncWrite("hello"_ba);
        };
        auto manager = std::make_unique<NamedPipeClientManager>();
        manager->setFreeThreadingEvents(true);
        manager->setNumThreadsIOCP(2);
        const auto client = manager->connectToServer(ts.name(), [&](const auto &connection) {
            recorder.watch(connection, *manager);
        });
        QVERIFY(recorder.waitFor(ClientEvent::Message));
        manager->stop();
        const int events = recorder.count();
        std::thread owner([&manager] { manager.reset(); });
        owner.join();
        watchFor(std::chrono::milliseconds(10));
        QCOMPARE(recorder.count(), events);
        QCOMPARE(recorder.count(ClientEvent::Disconnected), 1);
        QVERIFY(!client->asyncWrite("too late"_ba)); // outlives its manager
    }
}

void tst_ClientFreeThreaded::settingIsReadWhenTheFirstConnectionIsMade()
{
    std::atomic<int> here { 0 };
    const QThread *const thread = QThread::currentThread();
    TestServer ts(ServerRecorder::CountOnly);
    QVERIFY(ts.start());
    NamedPipeClientManager manager;
    const auto dial = [&] {
        return manager.connectToServer(ts.name(), [&](const auto &connection) {
            connect(connection.data(), &NamedPipeClientConnection::connected,
                    [&, thread] { here += QThread::currentThread() == thread ? 1 : 100; });
        });
    };
    const auto first = dial();
    QVERIFY(waitUntil([&] { return here == 1; }));
    manager.stop(); // the next connection is the first one again
    manager.setFreeThreadingEvents(true);
    const auto second = dial();
    QVERIFY(waitUntil([&] { return here == 101; }));
}

QTEST_GUILESS_MAIN(tst_ClientFreeThreaded)
#include "tst_client_freethreaded.moc"
