// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "platformflags.h"
#include "processfacts.h"
#include "stress.h"
#include "testserver.h"

#include <QtCore/qpointer.h>
#include <QtTest/QtTest>

#include <atomic>
#include <thread>

using namespace Qt::StringLiterals;

class tst_ServerLifecycle : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void serverReadyComesOncePerStart();
    void clientMayConnectAndSendBeforeTheEventLoopRuns();
    void startWhileRunningIsANoOp();
    void stopWhileStoppedIsANoOp();
    void runningChangedFollowsStartAndStop();
    void listenAndCloseOnTheSameNameManyTimes();
    void secondServerOfTheSameNameIsRefused();
    void refusedServerTakesNothingAwayWhenItGoes();
    void caseOfANameCountsWhereTheSystemSaysSo();
    void nameIsFreeRightAfterStop();
    void nameIsFreeRightAfterDestruction();
    void twoServersDoNotDisturbEachOther();
    void stopTellsEveryOpenConnection_data();
    void stopTellsEveryOpenConnection();
    void stopDeliversWhatHasArrived();
    void noSignalComesAfterStop_data();
    void noSignalComesAfterStop();
    void destructorEmitsNothing_data();
    void destructorEmitsNothing();
    void connectionsOutliveTheServer();
    void stopFromAnotherThreadHappensOnTheServersThread();
    void startDuringStopIsRefused();
    void handlesStayFlat();
    void workersAreGoneAfterStop_data();
    void workersAreGoneAfterStop();
};

void tst_ServerLifecycle::serverReadyComesOncePerStart()
{
    TestServer ts;
    ts.server.setNumThreadsIOCP(4);
    for (int round = 1; round <= 3; ++round) {
        QVERIFY(ts.start());
        QVERIFY(ts.server.isRunning());
        QVERIFY(ts.recorder.waitFor(ServerEvent::Ready, round));
        watchFor(std::chrono::milliseconds(30));
        QCOMPARE(ts.recorder.count(ServerEvent::Ready), round);
        ts.server.stop();
        QCOMPARE(ts.recorder.count(ServerEvent::Stopped), round);
    }
}

void tst_ServerLifecycle::clientMayConnectAndSendBeforeTheEventLoopRuns()
{
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer;
    QVERIFY(peer.connectTo(ts.name())); // on this thread: the event loop stands still
    QVERIFY(peer.sendMessage("early"_ba));
    peer.close();
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    QCOMPARE(ts.recorder.messages(), QList { "early"_ba });
    QList<ServerEvent::Kind> order;
    for (const ServerEvent &event : ts.recorder.events())
        order.append(event.kind);
    QCOMPARE(order,
             (QList { ServerEvent::Ready, ServerEvent::Connected, ServerEvent::Message,
                      ServerEvent::Disconnected }));
}

void tst_ServerLifecycle::startWhileRunningIsANoOp()
{
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    QVERIFY(ts.start());
    QVERIFY(ts.start());
    QVERIFY(peer.sendMessage("still there"_ba));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message));
    QCOMPARE(ts.recorder.count(ServerEvent::Ready), 1);
    QCOMPARE(ts.server.connectionCount(), 1);
}

void tst_ServerLifecycle::stopWhileStoppedIsANoOp()
{
    TestServer ts;
    ts.server.stop();
    QVERIFY(ts.start());
    ts.server.stop();
    ts.server.stop();
    watchFor(std::chrono::milliseconds(30));
    QCOMPARE(ts.recorder.count(ServerEvent::Stopped), 1);
}

void tst_ServerLifecycle::runningChangedFollowsStartAndStop()
{
    TestServer ts;
    QSignalSpy changed(&ts.server, &NamedPipeServer::runningChanged);
    QVERIFY(ts.start());
    QTRY_COMPARE(changed.size(), 1);
    ts.server.stop();
    QVERIFY(!ts.server.isRunning());
    QTRY_COMPARE(changed.size(), 2);
}

void tst_ServerLifecycle::listenAndCloseOnTheSameNameManyTimes()
{
    TestServer ts;
    const int rounds = scaled(200, 10);
    for (int round = 1; round <= rounds; ++round) {
        QVERIFY2(ts.start(), qPrintable(ts.server.errorString()));
        RawPeer peer;
        if (round % 3 == 0) // an open client, known or unknown to the server
            QVERIFY(peer.connectTo(ts.name()));
        if (round % 6 == 0)
            QVERIFY(ts.recorder.waitFor(ServerEvent::Connected, 1));
        ts.server.stop();
        QVERIFY(!ts.server.isRunning());
        QCOMPARE(ts.recorder.count(ServerEvent::Stopped), 1);
        QCOMPARE(ts.recorder.count(ServerEvent::Disconnected),
                 ts.recorder.count(ServerEvent::Connected));
        ts.recorder.clear();
    }
}

void tst_ServerLifecycle::secondServerOfTheSameNameIsRefused()
{
    TestServer ts;
    QVERIFY(ts.start());
    NamedPipeServer second(ts.name());
    if (second.start()) {
        const auto enforced = PlatformFlags::firstInstanceIsEnforced();
        if (!enforced)
            QEXPECT_FAIL("", enforced.reason, Abort);
        QVERIFY2(false, "the name was stolen");
    }
    QCOMPARE(second.error(), NamedPipe::NameInUse);
    QVERIFY(!second.errorString().isEmpty());
    RawPeer peer = ts.connectPeer(); // the first one has not noticed
    QVERIFY(peer.isOpen());
    ts.server.stop();
    QVERIFY(second.start());
}

void tst_ServerLifecycle::refusedServerTakesNothingAwayWhenItGoes()
{
    TestServer ts;
    QVERIFY(ts.start());
    for (int round = 0; round < 5; ++round) {
        {
            NamedPipeServer second(ts.name());
            second.start(); // is refused, unless the system lets two have one name
            if (round % 2)
                second.stop();
        }
        RawPeer peer = ts.connectPeer(); // finds the first one, and not what the second left
        QVERIFY(peer.sendMessage(numbered(round)));
        QVERIFY(ts.recorder.waitFor(ServerEvent::Message, round + 1));
    }
}

void tst_ServerLifecycle::caseOfANameCountsWhereTheSystemSaysSo()
{
    const bool isOneName = PlatformFlags::runningOnWindows();
    TestServer ts;
    QVERIFY(ts.start());
    const QString other = ts.name().toUpper();
    QVERIFY(other != ts.name());
    RawPeer peer;
    QCOMPARE(peer.connectTo(other), isOneName);
    NamedPipeServer second(other);
    const bool started = second.start();
    if (isOneName && started) {
        const auto enforced = PlatformFlags::firstInstanceIsEnforced();
        if (!enforced)
            QEXPECT_FAIL("", enforced.reason, Abort);
    }
    QCOMPARE(started, !isOneName);
    QCOMPARE(second.error(), isOneName ? NamedPipe::NameInUse : NamedPipe::NoError);
}

void tst_ServerLifecycle::nameIsFreeRightAfterStop()
{
    TestServer first;
    NamedPipeServer second(first.name());
    for (int round = 0; round < scaled(20, 5); ++round) {
        QVERIFY(first.start());
        const RawPeer peer = first.connectPeer(); // stays open: must not keep the name
        QVERIFY(peer.isOpen());
        first.server.stop();
        first.recorder.clear();
        QVERIFY2(second.start(), qPrintable(second.errorString()));
        second.stop();
    }
}

void tst_ServerLifecycle::nameIsFreeRightAfterDestruction()
{
    const QString name = scratchName();
    for (int round = 0; round < 5; ++round) {
        NamedPipeServer server(name);
        QVERIFY2(server.start(), qPrintable(server.errorString()));
        RawPeer peer;
        QVERIFY(peer.connectTo(name));
    }
    RawPeer peer;
    QVERIFY(!peer.connectTo(name, RawPeer::Milliseconds(0)));
}

void tst_ServerLifecycle::twoServersDoNotDisturbEachOther()
{
    TestServer one;
    TestServer two;
    QVERIFY(one.start());
    QVERIFY(two.start());
    RawPeer toOne = one.connectPeer();
    RawPeer toTwo = two.connectPeer();
    one.server.stop();
    QVERIFY(toOne.atEnd());
    QVERIFY(toTwo.sendMessage("alive"_ba));
    QVERIFY(two.recorder.waitFor(ServerEvent::Message));
    QCOMPARE(two.recorder.count(ServerEvent::Disconnected), 0);
}

void tst_ServerLifecycle::stopTellsEveryOpenConnection_data()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::newRow("marshalled") << false;
    QTest::newRow("free-threaded") << true;
}

void tst_ServerLifecycle::stopTellsEveryOpenConnection()
{
    QFETCH(bool, freeThreaded);
    TestServer ts;
    ts.server.setFreeThreadingEvents(freeThreaded);
    ts.server.setNumThreadsIOCP(2);
    QVERIFY(ts.start());
    std::vector<RawPeer> peers;
    for (int index = 0; index < 5; ++index)
        peers.push_back(ts.connectPeer());
    QCOMPARE(ts.recorder.count(ServerEvent::Connected), 5);
    ts.server.stop();
    QCOMPARE(ts.recorder.count(ServerEvent::Disconnected), 5); // before stop() returned
    QCOMPARE(ts.recorder.count(ServerEvent::Stopped), 1);
    QCOMPARE(ts.recorder.events().constLast().kind, ServerEvent::Stopped);
    for (int index = 0; index < 5; ++index) {
        QCOMPARE(ts.connection(index)->closeReason(), NamedPipe::ServerStopped);
        QVERIFY(!ts.connection(index)->isConnected());
        QCOMPARE(ts.connection(index)->handle(), qintptr(-1));
    }
    QCOMPARE(ts.server.connectionCount(), 0);
    for (RawPeer &peer : peers)
        QVERIFY(peer.atEnd());
}

void tst_ServerLifecycle::stopDeliversWhatHasArrived()
{
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    for (int number = 0; number < 20; ++number)
        QVERIFY(peer.sendMessage(numbered(number)));
    QVERIFY(waitWithoutEvents([&] { return ts.server.statistics().messagesReceived == 20; }));
    QCOMPARE(ts.recorder.count(ServerEvent::Message), 0);
    ts.server.stop();
    const QList<QByteArray> messages = ts.recorder.messages();
    QCOMPARE(messages.size(), 20);
    for (int number = 0; number < 20; ++number)
        QCOMPARE(numberOf(messages.at(number)), number);
}

void tst_ServerLifecycle::noSignalComesAfterStop_data()
{
    stopTellsEveryOpenConnection_data();
}

void tst_ServerLifecycle::noSignalComesAfterStop()
{
    QFETCH(bool, freeThreaded);
    for (int round = 0; round < scaled(10, 2); ++round) {
        TestServer ts(ServerRecorder::CountOnly);
        std::atomic<int> signalsEmitted { 0 };
        ts.recorder.onMessage() = [&](const NamedPipeServerConnectionPtr &connection,
                                      const QVariant &, const QByteArray &data) {
            ++signalsEmitted;
            connection->asyncWrite(data);
        };
        ts.recorder.onSent() = [&](const auto &, const auto &) { ++signalsEmitted; };
        ts.recorder.onDisconnected() = [&](const auto &) { ++signalsEmitted; };
        ts.server.setFreeThreadingEvents(freeThreaded);
        ts.server.setNumThreadsIOCP(2);
        QVERIFY(ts.start());
        RawPeer peer;
        QVERIFY(peer.connectTo(ts.name()));
        const auto flood = runClient([&peer] {
            while (peer.sendMessage(payload(100), RawPeer::Milliseconds(5000))) { }
        });
        QVERIFY(waitUntil([&] { return ts.recorder.count(ServerEvent::Message) > 100; }));
        ts.server.stop();
        const int before = signalsEmitted;
        QVERIFY(waitForTask(flood));
        watchFor(std::chrono::milliseconds(30));
        QCOMPARE(signalsEmitted.load(), before);
        QCOMPARE(ts.recorder.count(ServerEvent::Disconnected), 1);
    }
}

void tst_ServerLifecycle::destructorEmitsNothing_data()
{
    stopTellsEveryOpenConnection_data();
}

void tst_ServerLifecycle::destructorEmitsNothing()
{
    QFETCH(bool, freeThreaded);
    auto server = std::make_unique<NamedPipeServer>(scratchName());
    ServerRecorder recorder(server.get());
    server->setFreeThreadingEvents(freeThreaded);
    QVERIFY(server->start());
    RawPeer peer;
    QVERIFY(peer.connectTo(server->pipeName()));
    QVERIFY(recorder.waitFor(ServerEvent::Connected));
    QSignalSpy destroyed(server.get(), &QObject::destroyed);
    server.reset();
    QCOMPARE(destroyed.size(), 1);
    QCOMPARE(recorder.count(ServerEvent::Disconnected), 0);
    QCOMPARE(recorder.count(ServerEvent::Stopped), 0);
    QVERIFY(peer.atEnd());
}

void tst_ServerLifecycle::connectionsOutliveTheServer()
{
    NamedPipeServerConnectionPtr connection;
    {
        TestServer ts;
        QVERIFY(ts.start());
        const RawPeer peer = ts.connectPeer();
        connection = ts.connection();
        connection->setCustomData(42);
    }
    QVERIFY(connection);
    QVERIFY(!connection->isConnected());
    QVERIFY(!connection->asyncWrite("nobody there"_ba));
    connection->asyncRead();
    connection->asyncClose();
    QCOMPARE(connection->customData(), QVariant(42));
    QCOMPARE(connection->bytesToWrite(), 0);
}

void tst_ServerLifecycle::stopFromAnotherThreadHappensOnTheServersThread()
{
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    const auto task = runClient([&ts] { ts.server.stop(); });
    QVERIFY(waitWithoutEvents([&] { return isFinished(task); })); // does not wait for this thread
    QVERIFY(ts.recorder.waitFor(ServerEvent::Stopped)); // the recorder checks the thread
    QVERIFY(!ts.server.isRunning());
    QCOMPARE(ts.recorder.count(ServerEvent::Disconnected), 1);
    QVERIFY(peer.atEnd());
}

void tst_ServerLifecycle::startDuringStopIsRefused()
{
    TestServer ts;
    bool startedMeanwhile = true;
    ts.recorder.onDisconnected() = [&](const auto &) { startedMeanwhile = ts.server.start(); };
    QVERIFY(ts.start());
    const RawPeer peer = ts.connectPeer();
    ts.server.stop();
    QVERIFY(!startedMeanwhile);
    QVERIFY(!ts.server.isRunning());
    QCOMPARE(ts.recorder.count(ServerEvent::Stopped), 1);
    ts.recorder.onDisconnected() = nullptr;
    QVERIFY(ts.start());
}

void tst_ServerLifecycle::handlesStayFlat()
{
    TestServer ts;
    ts.server.setNumThreadsIOCP(2);
    const auto round = [&ts] {
        if (!ts.start())
            return false;
        const bool connected = ts.connectPeer().isOpen();
        const bool left = ts.recorder.waitFor(ServerEvent::Disconnected);
        const RawPeer stays = ts.connectPeer();
        ts.server.stop();
        ts.recorder.clear();
        return connected && left && stays.isOpen();
    };
    for (int warmUp = 0; warmUp < 3; ++warmUp)
        QVERIFY(round());
    const int before = ProcessFacts::openHandles();
    for (int count = 0; count < scaled(50, 10); ++count)
        QVERIFY(round());
    // Windows itself keeps a few for its thread pools.
    const int tolerance = PlatformFlags::runningOnWindows() ? 8 : 0;
    QVERIFY2(waitUntil([&] { return ProcessFacts::openHandles() <= before + tolerance; }),
             qPrintable(u"%1 handles before, %2 after"_s.arg(before).arg(
                     ProcessFacts::openHandles())));
}

void tst_ServerLifecycle::workersAreGoneAfterStop_data()
{
    QTest::addColumn<int>("workers");
    QTest::newRow("1 worker") << 1;
    QTest::newRow("8 workers") << 8;
    QTest::newRow("64 workers") << 64;
}

void tst_ServerLifecycle::workersAreGoneAfterStop()
{
    QFETCH(int, workers);
    TestServer ts;
    ts.server.setNumThreadsIOCP(workers);
    QVERIFY(ts.start());
    QVERIFY(ts.connectPeer().isOpen());
    ts.server.stop();
    // Counted in the same way as below, for a running timer may have a thread of the system's; and
    // more than once, for the system's list of threads lags a little.
    int before = 0;
    int looks = 0;
    QVERIFY(waitUntil([&] {
        before = ProcessFacts::threads();
        return ++looks == 20;
    }));
    QVERIFY(ts.start());
    const int running = ProcessFacts::threads();
    QVERIFY2(running > workers, // the count sees them, and this one
             qPrintable(u"%1 threads before, %2 now"_s.arg(before).arg(running)));
    const RawPeer peer = ts.connectPeer();
    ts.server.stop();
    QVERIFY2(waitUntil([&] { return ProcessFacts::threads() <= before; }),
             qPrintable(u"%1 threads before, %2 after"_s.arg(before).arg(ProcessFacts::threads())));
}

QTEST_GUILESS_MAIN(tst_ServerLifecycle)
#include "tst_server_lifecycle.moc"
