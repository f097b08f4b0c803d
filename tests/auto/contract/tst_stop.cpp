// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "platformflags.h"
#include "stress.h"
#include "testserver.h"

#include <QtCore/qelapsedtimer.h>
#include <QtTest/QtTest>

#include <atomic>

using namespace Qt::StringLiterals;

/// stop() takes the time of the slots that it calls plus at most a second, whatever clients do.
class tst_Stop : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void stopIsPrompt_data();
    void stopIsPrompt();
    void destructorIsPrompt_data();
    void destructorIsPrompt();
    void stopWhileClientsComeAndGo_data();
    void stopWhileClientsComeAndGo();
    void stopWhenSentSendsEverythingFirst_data();
    void stopWhenSentSendsEverythingFirst();
    void stopWhenSentGivesUpInTime();
    void stopWhenSentTakesNoNewClients();
    void stopWhenSentWithNothingToSendIsAtOnce();

private:
    enum State {
        JustListening,
        IdleClient,
        ManyIdleClients,
        UnknownClient,
        ClientThatNeverReads,
        ClientThatNeverStops,
        PausedByTheReadLimit,
        UnreadInManualMode,
        HalfAMessage,
        ClientsWaitingAtTheLimit,
        DrainingConnection,
    };
    static void addStateRows();

    // A server in some state and the clients that keep it there.
    struct Scene
    {
        std::atomic<bool> over { false };
        NamedPipeServerConnectionPtr connection;
        std::unique_ptr<TestServer> server =
                std::make_unique<TestServer>(ServerRecorder::CountOnly);
        const QString name = server->name();
        std::vector<RawPeer> peers;
        std::vector<std::future<void>> tasks;

        void addPeers(int count)
        {
            for (int index = 0; index < count; ++index)
                peers.push_back(server->connectPeer());
            connection = server->server.connections().value(0);
        }
        void flood(RawPeer &peer, qsizetype size)
        {
            tasks.push_back(runClient([&peer, size] {
                while (peer.sendMessage(payload(size), RawPeer::Milliseconds(2000))) { }
            }));
        }
        bool enter(State state, bool freeThreaded);
    };

    static qint64 bound() { return PlatformFlags::timingIsMeaningful() ? 1500 : 15'000; }
};

void tst_Stop::addStateRows()
{
    QTest::addColumn<State>("state");
    QTest::addColumn<bool>("freeThreaded");
    const auto row = [](const char *name, State state) {
        QTest::addRow("%s, marshalled", name) << state << false;
        QTest::addRow("%s, free-threaded", name) << state << true;
    };
    row("just listening", JustListening);
    row("an idle client", IdleClient);
    row("100 idle clients", ManyIdleClients);
    row("a client not yet known", UnknownClient);
    row("a client that never reads", ClientThatNeverReads);
    row("a client that never stops writing", ClientThatNeverStops);
    row("paused by the read limit", PausedByTheReadLimit);
    row("unread in manual mode", UnreadInManualMode);
    row("half a message", HalfAMessage);
    row("clients waiting at the limit", ClientsWaitingAtTheLimit);
    row("a connection that sends its last", DrainingConnection);
}

bool tst_Stop::Scene::enter(State state, bool freeThreaded)
{
    TestServer &ts = *server;
    ts.server.setFreeThreadingEvents(freeThreaded);
    ts.server.setNumThreadsIOCP(2);
    ts.server.setContinuouslyReadFromPipe(state != UnreadInManualMode);
    ts.server.setMaxConnections(state == ClientsWaitingAtTheLimit ? 1 : 0);
    ts.server.setMaximumPendingReadBytes(64 * 1024);
    if (!ts.start())
        return false;
    switch (state) {
    case JustListening:
        return true;
    case IdleClient:
        addPeers(1);
        return true;
    case ManyIdleClients:
        addPeers(scaled(100, 10));
        return true;
    case UnknownClient:
        peers.emplace_back();
        return peers.front().connectTo(name) && peers.front().sendMessage("hello"_ba);
    case ClientThatNeverReads:
        addPeers(1);
        return connection->asyncWrite(payload(moreThanTheSystemBuffers))
                && connection->asyncWrite("more"_ba);
    case ClientThatNeverStops:
        addPeers(1);
        flood(peers.front(), 1000);
        return ts.recorder.waitFor(ServerEvent::Message, 100);
    case PausedByTheReadLimit: // nobody takes the messages: the event loop stands still
        addPeers(1);
        flood(peers.front(), 30'000);
        return freeThreaded || waitWithoutEvents([&] {
                   return connection->statistics().bytesReceived > 30'000;
               });
    case UnreadInManualMode:
        addPeers(1);
        flood(peers.front(), 100'000);
        return true;
    case HalfAMessage:
        addPeers(1);
        return peers.front().sendRaw(QByteArray("\0\0\x10\0half", 8));
    case ClientsWaitingAtTheLimit:
        addPeers(1);
        for (int index = 0; index < 3; ++index) {
            tasks.push_back(runClient([this] {
                RawPeer peer;
                while (!over && !peer.connectTo(name, RawPeer::Milliseconds(100))) { }
                while (!over && peer.sendMessage("waiting"_ba, RawPeer::Milliseconds(100))) { }
            }));
        }
        return true;
    case DrainingConnection:
        addPeers(1);
        if (!connection->asyncWrite(payload(moreThanTheSystemBuffers)))
            return false;
        connection->asyncClose(NamedPipe::SendPending);
        return true;
    }
    return false;
}

void tst_Stop::stopIsPrompt_data()
{
    addStateRows();
}

void tst_Stop::stopIsPrompt()
{
    QFETCH(State, state);
    QFETCH(bool, freeThreaded);
    for (int round = 0; round < scaled(3, 1); ++round) {
        Scene scene;
        QVERIFY(scene.enter(state, freeThreaded));
        QElapsedTimer timer;
        timer.start();
        scene.server->server.stop();
        const qint64 taken = timer.elapsed();
        scene.over = true;
        QVERIFY2(taken < bound(), qPrintable(u"%1 ms"_s.arg(taken)));
        QVERIFY(!scene.server->server.isRunning());
        QCOMPARE(scene.server->recorder.count(ServerEvent::Disconnected),
                 scene.server->recorder.count(ServerEvent::Connected));
        QCOMPARE(scene.server->recorder.count(ServerEvent::Stopped), 1);
        for (const auto &task : scene.tasks)
            QVERIFY(waitForTask(task));
        QVERIFY(scene.server->start()); // the name is free
        scene.server->server.stop();
    }
}

void tst_Stop::destructorIsPrompt_data()
{
    addStateRows();
}

void tst_Stop::destructorIsPrompt()
{
    QFETCH(State, state);
    QFETCH(bool, freeThreaded);
    Scene scene;
    QVERIFY(scene.enter(state, freeThreaded));
    QElapsedTimer timer;
    timer.start();
    scene.server.reset();
    const qint64 taken = timer.elapsed();
    scene.over = true;
    QVERIFY2(taken < bound(), qPrintable(u"%1 ms"_s.arg(taken)));
    for (const auto &task : scene.tasks)
        QVERIFY(waitForTask(task));
}

void tst_Stop::stopWhileClientsComeAndGo_data()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::newRow("marshalled") << false;
    QTest::newRow("free-threaded") << true;
}

void tst_Stop::stopWhileClientsComeAndGo()
{
    QFETCH(bool, freeThreaded);
    std::atomic<bool> over { false };
    TestServer ts(ServerRecorder::CountOnly);
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &data) { connection->asyncWrite(data); };
    ts.server.setFreeThreadingEvents(freeThreaded);
    ts.server.setNumThreadsIOCP(4);
    std::vector<std::future<void>> clients;
    for (int client = 0; client < 3; ++client) {
        clients.push_back(runClient([&over, name = ts.name()] {
            while (!over) {
                RawPeer peer;
                if (peer.connectTo(name, RawPeer::Milliseconds(0)) && peer.sendMessage("hello"_ba))
                    peer.receiveMessage(RawPeer::Milliseconds(20));
            }
        }));
    }
    const int rounds = scaled(60, 5);
    bool ok = true;
    for (int round = 1; ok && round <= rounds; ++round) {
        ok = ts.start() && (round % 2 || ts.recorder.waitFor(ServerEvent::Message, 3));
        ts.server.stop();
        ok = ok && ts.recorder.count(ServerEvent::Stopped) == 1
                && ts.recorder.count(ServerEvent::Connected)
                        == ts.recorder.count(ServerEvent::Disconnected);
        ts.recorder.clear();
    }
    over = true;
    for (const auto &client : clients)
        QVERIFY(waitForTask(client));
    QVERIFY2(ok, qPrintable(ts.server.errorString()));
}

void tst_Stop::stopWhenSentSendsEverythingFirst_data()
{
    stopWhileClientsComeAndGo_data();
}

void tst_Stop::stopWhenSentSendsEverythingFirst()
{
    QFETCH(bool, freeThreaded);
    TestServer ts;
    ts.server.setFreeThreadingEvents(freeThreaded);
    QVERIFY(ts.start());
    RawPeer one = ts.connectPeer();
    RawPeer two = ts.connectPeer();
    const auto receiveAll = [](RawPeer &peer) {
        int received = 0;
        while (const auto message = peer.receiveMessage()) {
            if (*message != payload(200'000, quint32(received)))
                return -1;
            ++received;
        }
        return peer.atEnd() ? received : -2;
    };
    for (int number = 0; number < 50; ++number)
        QCOMPARE(ts.server.asyncBroadcast(payload(200'000, quint32(number)), number), 2);
    auto readerOne = runClient([&] { return receiveAll(one); });
    auto readerTwo = runClient([&] { return receiveAll(two); });
    QVERIFY(ts.server.stopWhenSent(int(patience.count())));
    QVERIFY(!ts.server.isRunning());
    QCOMPARE(ts.recorder.count(ServerEvent::Sent), 100);
    QCOMPARE(ts.recorder.count(ServerEvent::Disconnected), 2);
    QCOMPARE(ts.recorder.count(ServerEvent::Stopped), 1);
    QVERIFY(waitForTask(readerOne));
    QVERIFY(waitForTask(readerTwo));
    QCOMPARE(readerOne.get(), 50);
    QCOMPARE(readerTwo.get(), 50);
    QCOMPARE(ts.connection()->closeReason(), NamedPipe::ServerStopped);
}

void tst_Stop::stopWhenSentGivesUpInTime()
{
    TestServer ts;
    QVERIFY(ts.start());
    const RawPeer lazy = ts.connectPeer(); // never reads
    RawPeer eager = ts.connectPeer();
    QVERIFY(ts.connection(0)->asyncWrite(payload(moreThanTheSystemBuffers)));
    QVERIFY(ts.connection(1)->asyncWrite("eager"_ba));
    QElapsedTimer timer;
    timer.start();
    QVERIFY(!ts.server.stopWhenSent(300));
    QVERIFY2(timer.elapsed() < 300 + bound(), qPrintable(u"%1 ms"_s.arg(timer.elapsed())));
    QVERIFY(!ts.server.isRunning());
    QCOMPARE(ts.recorder.count(ServerEvent::Disconnected), 2);
    QCOMPARE(eager.receiveMessage(), "eager"_ba);
    QVERIFY(eager.atEnd());
}

void tst_Stop::stopWhenSentTakesNoNewClients()
{
    TestServer ts;
    QVERIFY(ts.start());
    const RawPeer lazy = ts.connectPeer(); // keeps stopWhenSent() busy
    QVERIFY(ts.connection()->asyncWrite(payload(moreThanTheSystemBuffers)));
    std::atomic<bool> over { false };
    auto late = runClient([&over, name = ts.name()] {
        int served = 0;
        while (!over) {
            RawPeer peer; // those of the first moment may still have got in
            if (peer.connectTo(name, RawPeer::Milliseconds(0))
                && !peer.atEnd(RawPeer::Milliseconds(50)))
                ++served;
        }
        return served;
    });
    QVERIFY(!ts.server.stopWhenSent(1000));
    over = true;
    QVERIFY(waitForTask(late));
    // A server that went on accepting would have taken a client every 50 ms.
    QVERIFY2(ts.recorder.count(ServerEvent::Connected) <= 4,
             qPrintable(u"%1 clients got in"_s.arg(ts.recorder.count(ServerEvent::Connected))));
}

void tst_Stop::stopWhenSentWithNothingToSendIsAtOnce()
{
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    QElapsedTimer timer;
    timer.start();
    QVERIFY(ts.server.stopWhenSent(int(patience.count())));
    QVERIFY2(timer.elapsed() < bound(), qPrintable(u"%1 ms"_s.arg(timer.elapsed())));
    QVERIFY(!ts.server.isRunning());
    QVERIFY(peer.atEnd());
}

QTEST_GUILESS_MAIN(tst_Stop)
#include "tst_stop.moc"
