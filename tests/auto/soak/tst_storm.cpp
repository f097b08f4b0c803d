// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "platformflags.h"
#include "processfacts.h"
#include "stress.h"
#include "testclient.h"
#include "testserver.h"

#include <QtCore/qelapsedtimer.h>
#include <QtTest/QtTest>

#include <atomic>

using namespace Qt::StringLiterals;

/// Numbers of clients that a program has to bear, but seldom sees.
class tst_Storm : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void thousandsOfIdleClientsDoNotDisturbTheActiveOne();
    void clientsThatConnectAndCloseAreAllCounted_data();
    void clientsThatConnectAndCloseAreAllCounted();

private:
    static bool flat(int handles, int threads);
};

/// Nothing is left behind of what was there before. Windows has some of its own for its pools of
/// threads.
bool tst_Storm::flat(int handles, int threads)
{
    const int tolerance = PlatformFlags::runningOnWindows() ? 16 : 0;
    return waitUntil([&] {
        return ProcessFacts::openHandles() <= handles + tolerance
                && ProcessFacts::threads() <= threads + tolerance;
    });
}

void tst_Storm::thousandsOfIdleClientsDoNotDisturbTheActiveOne()
{
    int crowd = scaled(5000, 200);
    while (!ProcessFacts::allowHandles(2 * crowd + 100) && crowd > 100) // both ends are here
        crowd /= 2;
    QVERIFY(crowd > 100);
    const int rounds = scaled(2000, 100);
    TestServer ts(ServerRecorder::CountOnly);
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &client, const QVariant &,
                                 const QByteArray &data) { client->asyncWrite(data); };
    const auto echoes = [&](RawPeer &peer) -> qint64 {
        QElapsedTimer timer;
        timer.start();
        for (int number = 0; number < rounds; ++number) {
            if (!peer.sendMessage(numbered(number)) || peer.receiveMessage() != numbered(number))
                return -1;
        }
        return timer.elapsed();
    };
    QVERIFY(ts.start());
    {
        RawPeer active = ts.connectPeer();
        auto alone = runClient([&] { return echoes(active); });
        QVERIFY(waitForTask(alone, 4 * patience));
        const qint64 timeAlone = alone.get();
        QVERIFY(timeAlone >= 0);

        TestClient tc(ClientRecorder::CountOnly);
        tc.manager.setConnectTimeout(4 * int(patience.count()));
        std::vector<NamedPipeClientConnectionPtr> idle;
        for (int client = 0; client < crowd; ++client)
            idle.push_back(tc.dial(ts.name()));
        QVERIFY(tc.recorder.waitFor(ClientEvent::Connected, crowd, 4 * patience));
        QVERIFY(ts.recorder.waitFor(ServerEvent::Connected, crowd + 1, 4 * patience));
        QCOMPARE(ts.server.connectionCount(), crowd + 1);

        auto among = runClient([&] { return echoes(active); });
        QVERIFY(waitForTask(among, 4 * patience));
        const qint64 timeAmong = among.get();
        QVERIFY(timeAmong >= 0);
        qInfo("%d echoes: %lld ms alone, %lld ms among %d idle clients", rounds, timeAlone,
              timeAmong, crowd);
        if (PlatformFlags::timingIsMeaningful())
            QVERIFY(timeAmong < 20 * timeAlone + 1000);

        for (const auto &client : idle) // none of them has been forgotten
            QVERIFY(client->asyncWrite("still here"_ba));
        QVERIFY(tc.recorder.waitFor(ClientEvent::Message, crowd, 4 * patience));
        QCOMPARE(tc.recorder.count(ClientEvent::Error), 0);
    }
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected, crowd + 1, 4 * patience));
    const NamedPipe::ServerStatistics statistics = ts.server.statistics();
    QCOMPARE(statistics.connectionsAccepted, quint64(crowd + 1));
    QCOMPARE(statistics.connectionsClosed, quint64(crowd + 1));
    QCOMPARE(statistics.messagesReceived, quint64(crowd + 2 * rounds));
    QCOMPARE(ts.recorder.count(ServerEvent::Message), crowd + 2 * rounds);
    QCOMPARE(ts.recorder.count(ServerEvent::ClientError), 0);
    QCOMPARE(ts.recorder.count(ServerEvent::ServerError), 0);
}

void tst_Storm::clientsThatConnectAndCloseAreAllCounted_data()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::addColumn<int>("workers");
    QTest::newRow("marshalled") << false << 1;
    QTest::newRow("free-threaded") << true << 4;
}

void tst_Storm::clientsThatConnectAndCloseAreAllCounted()
{
    QFETCH(bool, freeThreaded);
    QFETCH(int, workers);
    constexpr int threads = 2;
    const int each = scaled(100'000 / 2 / threads, 100); // a half for each row
    // Not a recorder, which remembers every connection.
    std::atomic<int> connected { 0 };
    std::atomic<int> messages { 0 };
    std::atomic<int> disconnected { 0 };
    std::atomic<int> errors { 0 };
    const int handlesBefore = ProcessFacts::openHandles();
    {
        NamedPipeServer server(scratchName());
        using Server = NamedPipeServer;
        connect(&server, &Server::clientConnected, [&] { ++connected; });
        connect(&server, &Server::clientMessageReceived, [&] { ++messages; });
        connect(&server, &Server::clientDisconnected, [&] { ++disconnected; });
        connect(&server, &Server::clientErrorOccurred, [&] { ++errors; });
        connect(&server, &Server::errorOccurred, [&] { ++errors; });
        server.setFreeThreadingEvents(freeThreaded);
        server.setNumThreadsIOCP(workers);
        QVERIFY(server.start());
        const QString name = server.pipeName();
        const int handlesRunning = ProcessFacts::openHandles();
        const int threadsRunning = ProcessFacts::threads();
        std::vector<std::future<int>> tasks;
        for (int thread = 0; thread < threads; ++thread) {
            tasks.push_back(runClient([name, each] {
                int sent = 0;
                for (int number = 0; number < each; ++number) {
                    RawPeer peer;
                    if (!peer.connectTo(name))
                        return -1;
                    if (number % 2 == 0) // every other one says something first
                        sent += peer.sendMessage("good bye"_ba);
                }
                return sent;
            }));
        }
        int sent = 0;
        for (auto &task : tasks) {
            QVERIFY(waitForTask(task, 8 * patience));
            const int ofOne = task.get();
            QCOMPARE(ofOne, (each + 1) / 2);
            sent += ofOne;
        }
        // Who leaves before Windows has told of him was never there.
        const int least = PlatformFlags::runningOnWindows() ? sent : threads * each;
        QVERIFY(waitUntil([&] {
            return connected >= least && disconnected == connected && messages == sent
                    && server.connectionCount() == 0;
        }));
        QVERIFY(flat(handlesRunning, threadsRunning));
        server.stop(); // a client that nobody has been told of yet, because it has left, is told now
        QVERIFY(connected <= threads * each);
        QCOMPARE(disconnected.load(), connected.load());
        QCOMPARE(errors.load(), 0);
        const NamedPipe::ServerStatistics statistics = server.statistics();
        QCOMPARE(statistics.connectionsAccepted, quint64(connected));
        QCOMPARE(statistics.connectionsClosed, quint64(connected));
        QCOMPARE(statistics.connectionsRefused, quint64(0));
        QCOMPARE(statistics.messagesReceived, quint64(sent));
    }
    // The first pipe of a process costs Windows some for ever.
    QVERIFY(flat(handlesBefore, ProcessFacts::threads()));
}

QTEST_GUILESS_MAIN(tst_Storm)
#include "tst_storm.moc"
