// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "processfacts.h"
#include "platformflags.h"
#include "stress.h"
#include "testserver.h"

#include <QtTest/QtTest>

using namespace Qt::StringLiterals;

class tst_Disconnect : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void clientThatWritesAndClosesLosesNothing_data();
    void clientThatWritesAndClosesLosesNothing();
    void unreadInboundMessagesSurviveAFailedWrite_data();
    void unreadInboundMessagesSurviveAFailedWrite();
    void cancelPendingDropsWhatIsQueued();
    void sendPendingSendsWhatIsQueued_data();
    void sendPendingSendsWhatIsQueued();
    void sendPendingDoesNotWaitForEver();
    void sendPendingCanStillBeCancelled();
    void closingDiscardsWhatWasNotDelivered();
    void closeFromAnotherThreadWorks_data();
    void closeFromAnotherThreadWorks();
    void closingTwiceEndsOnce();
    void endedConnectionIsHarmless_data();
    void endedConnectionIsHarmless();
    void isConnectedTurnsFalseBeforeTheSignal();
    void writingToAVanishedClientEndsTheConnectionOnce();
    void rudeClientsDisturbNobody_data();
    void rudeClientsDisturbNobody();
};

void tst_Disconnect::clientThatWritesAndClosesLosesNothing_data()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::addColumn<int>("workers");
    QTest::addColumn<QList<int>>("sizes");
    const QList<int> small { 10, 0, 200, 1, 0 };
    const QList<int> large { 60'000, 3, 60'000 };
    QTest::newRow("marshalled, small") << false << 1 << small;
    QTest::newRow("marshalled, large") << false << 1 << large;
    QTest::newRow("marshalled, 4 workers") << false << 4 << small;
    QTest::newRow("free-threaded, small") << true << 1 << small;
    QTest::newRow("free-threaded, 4 workers") << true << 4 << small;
    QTest::newRow("free-threaded, large") << true << 4 << large;
    QTest::newRow("nothing at all") << false << 1 << QList<int>();
}

void tst_Disconnect::clientThatWritesAndClosesLosesNothing()
{
    QFETCH(bool, freeThreaded);
    QFETCH(int, workers);
    QFETCH(QList<int>, sizes);
    TestServer ts;
    ts.server.setFreeThreadingEvents(freeThreaded);
    ts.server.setNumThreadsIOCP(workers);
    QVERIFY(ts.start());
    for (int round = 0; round < scaled(200, 20); ++round) {
        auto client = runClient([&] {
            RawPeer peer;
            bool ok = peer.connectTo(ts.name());
            for (int index = 0; index < sizes.size(); ++index)
                ok = ok && peer.sendMessage(payload(sizes.at(index), quint32(index)));
            return ok;
        });
        if (round % 2) // the client has gone before the event loop knows that it came
            QVERIFY(waitWithoutEvents([&] { return isFinished(client); }));
        QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
        QVERIFY(client.get());
        const QList<QByteArray> messages = ts.recorder.messages();
        QCOMPARE(messages.size(), sizes.size());
        for (int index = 0; index < sizes.size(); ++index)
            QCOMPARE(messages.at(index), payload(sizes.at(index), quint32(index)));
        QCOMPARE(ts.connection()->closeReason(), NamedPipe::ClosedByClient);
        QCOMPARE(ts.recorder.count(ServerEvent::ClientError), 0);
        ts.recorder.clear();
    }
}

void tst_Disconnect::unreadInboundMessagesSurviveAFailedWrite_data()
{
    QTest::addColumn<int>("unreadByTheClient"); // bytes that the client left in the pipe
    QTest::newRow("the client had read everything") << 0;
    QTest::newRow("the client left something unread") << 100;
    QTest::newRow("the client left a full pipe") << 2'000'000;
}

void tst_Disconnect::unreadInboundMessagesSurviveAFailedWrite()
{
    QFETCH(int, unreadByTheClient);
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    const NamedPipeServerConnectionPtr connection = ts.connection();
    if (unreadByTheClient > 0)
        QVERIFY(connection->asyncWrite(payload(unreadByTheClient)));
    if (unreadByTheClient > 0 && unreadByTheClient < 1000)
        QVERIFY(ts.recorder.waitFor(ServerEvent::Sent));
    for (int number = 0; number < 10; ++number)
        QVERIFY(peer.sendMessage(numbered(number)));
    peer.close();
    for (int number = 0; number < 100; ++number) // the event loop has not run since
        connection->asyncWrite(payload(10'000));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    const QList<QByteArray> messages = ts.recorder.messages();
    QCOMPARE(messages.size(), 10);
    for (int number = 0; number < 10; ++number)
        QCOMPARE(numberOf(messages.at(number)), number);
}

void tst_Disconnect::cancelPendingDropsWhatIsQueued()
{
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    const NamedPipeServerConnectionPtr connection = ts.connection();
    for (int number = 0; number < 40; ++number)
        QVERIFY(connection->asyncWrite(payload(1'000'000, quint32(number))));
    connection->asyncClose();
    QVERIFY(!connection->asyncWrite("too late"_ba));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    QVERIFY(ts.recorder.count(ServerEvent::Sent) < 40);
    QCOMPARE(connection->bytesToWrite(), 0);
    QCOMPARE(connection->closeReason(), NamedPipe::ClosedByServer);
    int received = 0; // what went out before is whole
    while (const auto message = peer.receiveMessage())
        QCOMPARE(*message, payload(1'000'000, quint32(received++)));
    QVERIFY(peer.atEnd());
    QVERIFY(received < 40);
}

void tst_Disconnect::sendPendingSendsWhatIsQueued_data()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::addColumn<int>("size");
    QTest::newRow("marshalled, small") << false << 10;
    QTest::newRow("marshalled, large") << false << 300'000;
    QTest::newRow("free-threaded, small") << true << 10;
    QTest::newRow("free-threaded, large") << true << 300'000;
}

void tst_Disconnect::sendPendingSendsWhatIsQueued()
{
    QFETCH(bool, freeThreaded);
    QFETCH(int, size);
    TestServer ts;
    ts.server.setFreeThreadingEvents(freeThreaded);
    QVERIFY(ts.start());
    for (int round = 0; round < scaled(20, 3); ++round) {
        RawPeer peer = ts.connectPeer();
        const NamedPipeServerConnectionPtr connection = ts.connection();
        for (int number = 0; number < 50; ++number)
            QVERIFY(connection->asyncWrite(payload(size, quint32(number)), number));
        connection->asyncClose(NamedPipe::SendPending);
        QVERIFY(!connection->asyncWrite("too late"_ba));
        for (int number = 0; number < 50; ++number)
            QCOMPARE(peer.receiveMessage(), payload(size, quint32(number)));
        QVERIFY(peer.atEnd());
        QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
        QCOMPARE(ts.recorder.count(ServerEvent::Sent), 50);
        QCOMPARE(connection->closeReason(), NamedPipe::ClosedByServer);
        ts.recorder.clear();
    }
}

void tst_Disconnect::sendPendingDoesNotWaitForEver()
{
    TestServer ts;
    QVERIFY(ts.start());
    const RawPeer peer = ts.connectPeer(); // never reads
    QVERIFY(ts.connection()->asyncWrite(payload(moreThanTheSystemBuffers)));
    ts.connection()->asyncClose(NamedPipe::SendPending);
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected, 1, 2 * patience));
}

void tst_Disconnect::sendPendingCanStillBeCancelled()
{
    TestServer ts;
    QVERIFY(ts.start());
    const RawPeer peer = ts.connectPeer(); // never reads
    QVERIFY(ts.connection()->asyncWrite(payload(moreThanTheSystemBuffers)));
    ts.connection()->asyncClose(NamedPipe::SendPending);
    ts.connection()->asyncClose(NamedPipe::CancelPending);
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected, 1, std::chrono::milliseconds(2000)));
}

void tst_Disconnect::closingDiscardsWhatWasNotDelivered()
{
    TestServer ts;
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const auto &,
                                 const QByteArray &data) {
        if (numberOf(data) == 3)
            connection->asyncClose();
    };
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    for (int number = 0; number < 10; ++number)
        QVERIFY(peer.sendMessage(numbered(number)));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    QCOMPARE(ts.recorder.count(ServerEvent::Message), 4);
}

void tst_Disconnect::closeFromAnotherThreadWorks_data()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::newRow("marshalled") << false;
    QTest::newRow("free-threaded") << true;
}

void tst_Disconnect::closeFromAnotherThreadWorks()
{
    QFETCH(bool, freeThreaded);
    TestServer ts;
    ts.server.setFreeThreadingEvents(freeThreaded);
    ts.server.setNumThreadsIOCP(2);
    QVERIFY(ts.start());
    for (int round = 0; round < scaled(50, 5); ++round) {
        RawPeer peer = ts.connectPeer();
        const NamedPipeServerConnectionPtr connection = ts.connection();
        auto traffic = runClient([&peer] {
            while (peer.sendMessage(payload(50), RawPeer::Milliseconds(5000))) { }
        });
        auto closers = { runClient([&] { connection->asyncClose(); }),
                         runClient([&] { connection->asyncClose(NamedPipe::SendPending); }),
                         runClient([&] { connection->asyncWrite("meanwhile"_ba); }) };
        QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
        QVERIFY(waitForTask(traffic));
        for (const auto &closer : closers)
            QVERIFY(waitForTask(closer));
        QCOMPARE(connection->closeReason(), NamedPipe::ClosedByServer);
        QCOMPARE(ts.recorder.count(ServerEvent::Disconnected), 1);
        ts.recorder.clear();
    }
}

void tst_Disconnect::closingTwiceEndsOnce()
{
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    ts.connection()->asyncClose();
    ts.connection()->asyncClose();
    ts.connection()->asyncClose(NamedPipe::SendPending);
    QVERIFY(peer.atEnd());
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    watchFor(std::chrono::milliseconds(30));
    QCOMPARE(ts.recorder.count(ServerEvent::Disconnected), 1);
}

void tst_Disconnect::endedConnectionIsHarmless_data()
{
    QTest::addColumn<NamedPipe::CloseReason>("reason");
    QTest::newRow("closed by the client") << NamedPipe::ClosedByClient;
    QTest::newRow("closed by the server") << NamedPipe::ClosedByServer;
    QTest::newRow("server stopped") << NamedPipe::ServerStopped;
    QTest::newRow("failed") << NamedPipe::Failed;
}

void tst_Disconnect::endedConnectionIsHarmless()
{
    QFETCH(NamedPipe::CloseReason, reason);
    TestServer ts;
    ts.server.setMaximumMessageSize(100);
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    const NamedPipeServerConnectionPtr connection = ts.connection();
    QVERIFY(connection->isConnected());
    QVERIFY(!connection->isOpening());
    QCOMPARE(connection->closeReason(), NamedPipe::StillOpen);
    switch (reason) {
    case NamedPipe::ClosedByClient:
        peer.close();
        break;
    case NamedPipe::ClosedByServer:
        connection->asyncClose();
        break;
    case NamedPipe::ServerStopped:
        ts.server.stop();
        break;
    default:
        peer.sendMessage(payload(101));
        break;
    }
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    QCOMPARE(connection->closeReason(), reason);
    const qsizetype events = ts.recorder.events().size();
    for (int round = 0; round < 3; ++round) {
        QVERIFY(!connection->asyncWrite("late"_ba, 1));
        connection->asyncRead(2);
        connection->asyncClose(NamedPipe::SendPending);
        connection->asyncClose();
    }
    QCOMPARE(connection->closeReason(), reason); // the first one is kept
    QCOMPARE(connection->handle(), qintptr(-1));
    QCOMPARE(connection->bytesToWrite(), 0);
    QVERIFY(!connection->isConnected());
    QVERIFY(!ts.server.connections().contains(connection));
    watchFor(std::chrono::milliseconds(30));
    QCOMPARE(ts.recorder.events().size(), events);
}

void tst_Disconnect::isConnectedTurnsFalseBeforeTheSignal()
{
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    const NamedPipeServerConnectionPtr connection = ts.connection();
    peer.close();
    QVERIFY(waitWithoutEvents([&] { return !connection->isConnected(); })); // no event loop needed
    QCOMPARE(ts.recorder.count(ServerEvent::Disconnected), 0);
    QVERIFY(!connection->asyncWrite("late"_ba));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
}

void tst_Disconnect::writingToAVanishedClientEndsTheConnectionOnce()
{
    TestServer ts;
    QVERIFY(ts.start());
    for (int round = 0; round < scaled(50, 5); ++round) {
        RawPeer peer = ts.connectPeer();
        const NamedPipeServerConnectionPtr connection = ts.connection();
        for (int number = 0; number < 20; ++number)
            connection->asyncWrite(payload(100'000));
        peer.abort(); // in the middle of it
        for (int number = 0; number < 20; ++number)
            connection->asyncWrite(payload(1000));
        QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
        QVERIFY(connection->closeReason() == NamedPipe::ClosedByClient);
        QCOMPARE(ts.recorder.count(ServerEvent::ServerError), 0); // no error of the server
        ts.recorder.clear();
    }
}

void tst_Disconnect::rudeClientsDisturbNobody_data()
{
    closeFromAnotherThreadWorks_data();
}

void tst_Disconnect::rudeClientsDisturbNobody()
{
    QFETCH(bool, freeThreaded);
    const int rudeClients = scaled(10'000, 300);
    TestServer ts(ServerRecorder::CountOnly);
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &data) { connection->asyncWrite(data); };
    ts.server.setFreeThreadingEvents(freeThreaded);
    ts.server.setNumThreadsIOCP(2);
    QVERIFY(ts.start());
    RawPeer good = ts.connectPeer();
    const int handles = ProcessFacts::openHandles();
    std::atomic<bool> finished { false };
    auto rude = runClient([&, name = ts.name()] {
        int connected = 0;
        for (int number = 0; number < rudeClients; ++number) {
            RawPeer peer;
            if (!peer.connectTo(name))
                break;
            ++connected;
            if (number % 4 == 1)
                peer.sendMessage("rude"_ba); // the echo finds nobody
            if (number % 4 == 2)
                peer.sendRaw("\xff\xff"_ba); // on Linux half a header
        }
        finished = true;
        return connected;
    });
    auto echo = runClient([&] {
        int echoes = 0;
        while (!finished) {
            if (!good.sendMessage(numbered(echoes)) || good.receiveMessage() != numbered(echoes))
                return -1;
            ++echoes;
        }
        return echoes;
    });
    QVERIFY(waitForTask(rude, 8 * patience));
    QVERIFY(waitForTask(echo));
    QCOMPARE(rude.get(), rudeClients);
    QVERIFY(echo.get() > 0);
    QVERIFY(waitUntil([&] { // isConnected() turns before the signal comes
        return ts.server.connectionCount() == 1
                && ts.recorder.count(ServerEvent::Connected)
                == ts.recorder.count(ServerEvent::Disconnected) + 1;
    }));
    QCOMPARE(ts.recorder.count(ServerEvent::ServerError), 0);
    const int tolerance = PlatformFlags::runningOnWindows() ? 8 : 0; // Windows has some of its own
    QVERIFY2(waitUntil([&] { return ProcessFacts::openHandles() <= handles + tolerance; }),
             qPrintable(u"%1 handles before, %2 after"_s.arg(handles).arg(
                     ProcessFacts::openHandles())));
    QVERIFY(ts.connectPeer().isOpen()); // the listener lives
}

QTEST_GUILESS_MAIN(tst_Disconnect)
#include "tst_disconnect.moc"
