// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "platformflags.h"
#include "processfacts.h"
#include "rawlink.h"
#include "stress.h"

#include <QtCore/qelapsedtimer.h>
#include <QtTest/QtTest>

#include <algorithm>
#include <atomic>

using namespace Qt::StringLiterals;
using std::chrono::milliseconds;

/// How a client's connection ends, who is told what, and what becomes of the writes.
class tst_ClientDisconnect : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void serverThatWritesAndClosesLosesNothing_data();
    void serverThatWritesAndClosesLosesNothing();
    void unreadInboundMessagesSurviveAFailedWrite_data();
    void unreadInboundMessagesSurviveAFailedWrite();
    void serverThatClosesLeavesUnsentMessages_data();
    void serverThatClosesLeavesUnsentMessages();
    void writingToAVanishedServerEndsTheConnectionOnce_data();
    void writingToAVanishedServerEndsTheConnectionOnce();
    void cancelPendingDropsWhatIsQueued_data();
    void cancelPendingDropsWhatIsQueued();
    void sendPendingSendsWhatIsQueued_data();
    void sendPendingSendsWhatIsQueued();
    void sendPendingDoesNotWaitForEver();
    void sendPendingCanStillBeCancelled();
    void closingDiscardsWhatWasNotDelivered();
    void closingTwiceEndsOnce();
    void closeFromAnotherThreadWorks_data();
    void closeFromAnotherThreadWorks();
    void endedConnectionIsHarmless_data();
    void endedConnectionIsHarmless();
    void isConnectedTurnsFalseBeforeTheSignal();
    void lastPointerCloses_data();
    void lastPointerCloses();
    void lastPointerSendsWhatIsQueued_data();
    void lastPointerSendsWhatIsQueued();
    void lastPointerMayGoInASlot_data();
    void lastPointerMayGoInASlot();
    void lastPointerMayGoOnAnotherThread_data();
    void lastPointerMayGoOnAnotherThread();
    void closeInASlot_data();
    void closeInASlot();
    void managerMayGoInASlot_data();
    void managerMayGoInASlot();
    void managerMayGoInAnyState_data();
    void managerMayGoInAnyState();
    void stopInASlot_data();
    void stopInASlot();
    void stopIsPrompt_data();
    void stopIsPrompt();
    void stopDeliversWhatWasReceived_data();
    void stopDeliversWhatWasReceived();
    void stopAnswersWritesThatWereNotSent_data();
    void stopAnswersWritesThatWereNotSent();
    void comingAndGoingLeavesNothingBehind_data();
    void comingAndGoingLeavesNothingBehind();

private:
    static void modes()
    {
        QTest::addColumn<bool>("freeThreaded");
        QTest::newRow("marshalled") << false;
        QTest::newRow("free-threaded") << true;
    }

    static void slotsAndModes()
    {
        QTest::addColumn<int>("kind");
        QTest::addColumn<bool>("freeThreaded");
        for (const bool freeThreaded : { false, true }) {
            const auto row = [freeThreaded](const char *title, ClientEvent::Kind kind) {
                QTest::addRow("%s, %s", title, freeThreaded ? "free-threaded" : "marshalled")
                        << int(kind) << freeThreaded;
            };
            row("connected", ClientEvent::Connected);
            row("messageReceived", ClientEvent::Message);
            row("messageSent", ClientEvent::Sent);
            row("messageNotSent", ClientEvent::NotSent);
            row("errorOccurred", ClientEvent::Error);
            row("disconnected", ClientEvent::Disconnected);
        }
    }

    // Make that signal come once the connection is there: what the client does for it, and what the
    // server does. The client takes messages of at most 1000 bytes.
    static void provokeAtTheClient(int kind, NamedPipeClientConnection &connection);
    static void provokeAtTheServer(int kind, RawPeer &peer);

    enum State {
        NeverUsed,
        DiallingABusyServer,
        DiallingNobody,
        NotYetTold,
        Idle,
        Many,
        ServerNeverReads,
        ServerNeverStops,
        PausedByTheReadLimit,
        UnreadInManualMode,
        HalfAMessage,
        Draining,
        DroppedAndDraining,
    };
    static void statesAndModes();

    // A client in some state and the servers that keep it there.
    struct Scene
    {
        const QString name = scratchName();
        RawServer server;
        std::vector<RawPeer> peers;
        ClientRecorder recorder { ClientRecorder::CountOnly };
        std::unique_ptr<NamedPipeClientManager> manager =
                std::make_unique<NamedPipeClientManager>();
        QList<NamedPipeClientConnectionPtr> connections;
        std::vector<std::future<void>> tasks;

        void dial()
        {
            connections.append(manager->connectToServer(
                    name, [this](const NamedPipeClientConnectionPtr &connection) {
                        recorder.watch(connection, *manager);
                    }));
        }
        bool open(int count)
        {
            if (!server.listen(name, count))
                return false;
            for (int number = 0; number < count; ++number) {
                dial();
                peers.push_back(server.accept());
            }
            return recorder.waitFor(ClientEvent::Connected, count);
        }
        void flood(qsizetype size)
        {
            tasks.push_back(runClient([&peer = peers.front(), size] {
                while (peer.sendMessage(payload(size), milliseconds(2000))) { }
            }));
        }
        bool enter(State state, bool freeThreaded);
    };

    // What became of writes with the cookies 0, 1, 2...: sent up to some point, and not from there.
    static void verifyAccounts(const ClientRecorder &recorder, int writes)
    {
        QVariantList expected;
        for (int number = 0; number < writes; ++number)
            expected.append(number);
        QCOMPARE(recorder.cookies(ClientEvent::Sent) + recorder.cookies(ClientEvent::NotSent),
                 expected);
    }

    static qint64 bound() { return PlatformFlags::timingIsMeaningful() ? 1000 : 15'000; }
};

void tst_ClientDisconnect::provokeAtTheClient(int kind, NamedPipeClientConnection &connection)
{
    if (kind == ClientEvent::Sent) {
        for (int number = 0; number < 5; ++number)
            connection.asyncWrite(numbered(number), number);
    } else if (kind == ClientEvent::NotSent) {
        for (int number = 0; number < 5; ++number)
            connection.asyncWrite(payload(moreThanTheSystemBuffers), number);
    }
}

void tst_ClientDisconnect::provokeAtTheServer(int kind, RawPeer &peer)
{
    if (kind == ClientEvent::Message) {
        for (int number = 0; number < 5; ++number)
            peer.sendMessage(numbered(number)); // the first one may have been enough
    } else if (kind == ClientEvent::Error) {
        peer.sendMessage(payload(2000)); // the client may be gone before all of it is taken
    } else if (kind == ClientEvent::NotSent || kind == ClientEvent::Disconnected) {
        peer.close();
    }
}

void tst_ClientDisconnect::statesAndModes()
{
    QTest::addColumn<State>("state");
    QTest::addColumn<bool>("freeThreaded");
    const auto row = [](const char *title, State state) {
        QTest::addRow("%s, marshalled", title) << state << false;
        QTest::addRow("%s, free-threaded", title) << state << true;
    };
    row("never used", NeverUsed);
    row("dialling a busy server", DiallingABusyServer);
    row("dialling nobody", DiallingNobody);
    row("connected and not yet told", NotYetTold);
    row("idle", Idle);
    row("many idle connections", Many);
    row("a server that never reads", ServerNeverReads);
    row("a server that never stops writing", ServerNeverStops);
    row("paused by the read limit", PausedByTheReadLimit);
    row("unread in manual mode", UnreadInManualMode);
    row("half a message", HalfAMessage);
    row("a connection that sends its last", Draining);
    row("a dropped connection that sends its last", DroppedAndDraining);
}

bool tst_ClientDisconnect::Scene::enter(State state, bool freeThreaded)
{
    manager->setFreeThreadingEvents(freeThreaded);
    manager->setNumThreadsIOCP(2);
    manager->setConnectTimeout(-1);
    manager->setWaitForServer(true);
    manager->setContinuouslyReadFromPipe(state != UnreadInManualMode);
    manager->setMaximumPendingReadBytes(64 * 1024);
    switch (state) {
    case NeverUsed:
        return true;
    case DiallingABusyServer:
        if (!server.listen(name, 1))
            return false;
        peers = server.fill();
        dial();
        watchFor(milliseconds(20));
        return connections.constFirst()->isOpening();
    case DiallingNobody:
        dial();
        watchFor(milliseconds(20));
        return connections.constFirst()->isOpening();
    case NotYetTold:
        if (!server.listen(name))
            return false;
        dial();
        return waitWithoutEvents([this] { return connections.constFirst()->isConnected(); });
    case Idle:
        return open(1);
    case Many:
        return open(scaled(50, 10));
    case ServerNeverReads:
        return open(1) && connections.constFirst()->asyncWrite(payload(moreThanTheSystemBuffers), 0)
                && connections.constFirst()->asyncWrite("more"_ba, 1);
    case ServerNeverStops:
        if (!open(1))
            return false;
        flood(1000);
        return recorder.waitFor(ClientEvent::Message, 100);
    case PausedByTheReadLimit: // nobody takes the messages: the event loop stands still
        if (!open(1))
            return false;
        flood(30'000);
        return freeThreaded || waitWithoutEvents([this] {
                   return connections.constFirst()->statistics().bytesReceived > 30'000;
               });
    case UnreadInManualMode:
        if (!open(1))
            return false;
        flood(100'000);
        return true;
    case HalfAMessage:
        return open(1) && peers.front().sendRaw(QByteArray("\0\0\x10\0half", 8));
    case Draining:
    case DroppedAndDraining:
        if (!open(1) || !connections.constFirst()->asyncWrite(payload(moreThanTheSystemBuffers), 0))
            return false;
        if (state == Draining)
            connections.constFirst()->asyncClose(NamedPipe::SendPending);
        else
            connections.clear();
        return true;
    }
    return false;
}

void tst_ClientDisconnect::serverThatWritesAndClosesLosesNothing_data()
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

void tst_ClientDisconnect::serverThatWritesAndClosesLosesNothing()
{
    QFETCH(bool, freeThreaded);
    QFETCH(int, workers);
    QFETCH(QList<int>, sizes);
    RawLink link;
    QVERIFY(link.server.listen(link.name));
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    link.client.manager.setNumThreadsIOCP(workers);
    for (int round = 0; round < scaled(100, 10); ++round) {
        auto server = runClient([&] {
            RawPeer peer = link.server.accept();
            bool ok = peer.isOpen();
            for (int index = 0; index < sizes.size(); ++index)
                ok = ok && peer.sendMessage(payload(sizes.at(index), quint32(index)));
            return ok;
        });
        const NamedPipeClientConnectionPtr connection = link.client.dial(link.name);
        if (round % 2) // the server has gone before the event loop knows that it was there
            QVERIFY(waitWithoutEvents([&] { return isFinished(server); }));
        QVERIFY2(link.client.recorder.waitFor(ClientEvent::Disconnected),
                 qPrintable(link.client.recorder.texts().join(u'\n')));
        QVERIFY(server.get());
        const QList<QByteArray> messages = link.client.recorder.messages();
        QCOMPARE(messages.size(), sizes.size());
        for (int index = 0; index < sizes.size(); ++index)
            QCOMPARE(messages.at(index), payload(sizes.at(index), quint32(index)));
        QCOMPARE(connection->closeReason(), NamedPipe::ClosedByServer);
        QCOMPARE(link.client.recorder.errors(), QList<NamedPipe::Error>());
        link.client.recorder.clear();
    }
}

void tst_ClientDisconnect::unreadInboundMessagesSurviveAFailedWrite_data()
{
    QTest::addColumn<int>("unreadByTheServer"); // bytes that the server left in the pipe
    QTest::newRow("the server had read everything") << 0;
    QTest::newRow("the server left something unread") << 100;
    QTest::newRow("the server left a full pipe") << 2'000'000;
}

void tst_ClientDisconnect::unreadInboundMessagesSurviveAFailedWrite()
{
    QFETCH(int, unreadByTheServer);
    RawLink link;
    QVERIFY(link.open());
    if (unreadByTheServer > 0)
        QVERIFY(link.connection->asyncWrite(payload(unreadByTheServer)));
    if (unreadByTheServer > 0 && unreadByTheServer < 1000)
        QVERIFY(link.client.recorder.waitFor(ClientEvent::Sent));
    for (int number = 0; number < 10; ++number)
        QVERIFY(link.peer.sendMessage(numbered(number)));
    link.peer.close();
    for (int number = 0; number < 100; ++number) // the event loop has not run since
        link.connection->asyncWrite(payload(10'000), number);
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Disconnected));
    const QList<QByteArray> messages = link.client.recorder.messages();
    QCOMPARE(messages.size(), 10);
    for (int number = 0; number < 10; ++number)
        QCOMPARE(numberOf(messages.at(number)), number);
}

void tst_ClientDisconnect::serverThatClosesLeavesUnsentMessages_data()
{
    modes();
}

void tst_ClientDisconnect::serverThatClosesLeavesUnsentMessages()
{
    QFETCH(bool, freeThreaded);
    RawLink link;
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    QVERIFY(link.open());
    constexpr int writes = 20;
    for (int number = 0; number < writes; ++number)
        QVERIFY(link.connection->asyncWrite(payload(1'000'000, quint32(number)), number));
    QCOMPARE(link.peer.receiveMessage(), payload(1'000'000, 0));
    QVERIFY(link.peer.sendMessage("that is enough"_ba));
    link.peer.close();
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Disconnected));
    verifyAccounts(link.client.recorder, writes);
    QVERIFY(link.client.recorder.count(ClientEvent::Sent) >= 1);
    QVERIFY(link.client.recorder.count(ClientEvent::NotSent) >= 1);
    QCOMPARE(link.client.recorder.messages(), QList { "that is enough"_ba });
    QCOMPARE(link.client.recorder.errors(), QList { NamedPipe::ConnectionBroken });
    const QList<ClientEvent::Kind> kinds = link.client.recorder.kinds();
    QCOMPARE(kinds.mid(kinds.size() - 3),
             (QList { ClientEvent::NotSent, ClientEvent::Error, ClientEvent::Disconnected }));
    QCOMPARE(link.connection->closeReason(), NamedPipe::ClosedByServer);
    QCOMPARE(link.connection->bytesToWrite(), 0);
    QCOMPARE(link.connection->statistics().messagesSent,
             quint64(link.client.recorder.count(ClientEvent::Sent)));
}

void tst_ClientDisconnect::writingToAVanishedServerEndsTheConnectionOnce_data()
{
    modes();
}

void tst_ClientDisconnect::writingToAVanishedServerEndsTheConnectionOnce()
{
    QFETCH(bool, freeThreaded);
    RawLink link;
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    for (int round = 0; round < scaled(50, 5); ++round) {
        QVERIFY(link.open());
        int taken = 0;
        const auto write = [&](int count, int size) {
            for (int number = 0; number < count; ++number)
                taken += link.connection->asyncWrite(payload(size), taken);
        };
        if (round % 2)
            write(20, 100'000);
        link.peer.abort(); // in the middle of it, or while nothing is on its way
        write(20, 1000);
        QVERIFY(link.client.recorder.waitFor(ClientEvent::Disconnected));
        watchFor(milliseconds(1));
        QCOMPARE(link.client.recorder.count(ClientEvent::Disconnected), 1);
        QCOMPARE(link.connection->closeReason(), NamedPipe::ClosedByServer);
        verifyAccounts(link.client.recorder, taken);
        QList<NamedPipe::Error> errors = link.client.recorder.errors();
        errors.removeAll(NamedPipe::NotConnected); // of the writes that came too late
        QCOMPARE(errors.size(), link.client.recorder.count(ClientEvent::NotSent) > 0 ? 1 : 0);
        QCOMPARE(errors.count(NamedPipe::ConnectionBroken), errors.size());
        link.client.recorder.clear();
    }
}

void tst_ClientDisconnect::cancelPendingDropsWhatIsQueued_data()
{
    modes();
}

void tst_ClientDisconnect::cancelPendingDropsWhatIsQueued()
{
    QFETCH(bool, freeThreaded);
    RawLink link;
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    QVERIFY(link.open());
    for (int number = 0; number < 40; ++number)
        QVERIFY(link.connection->asyncWrite(payload(1'000'000, quint32(number)), number));
    link.connection->asyncClose();
    QVERIFY(!link.connection->isConnected());
    QVERIFY(!link.connection->asyncWrite("too late"_ba, 40));
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Disconnected));
    verifyAccounts(link.client.recorder, 40);
    QVERIFY(link.client.recorder.count(ClientEvent::Sent) < 40);
    QCOMPARE(link.connection->bytesToWrite(), 0);
    QCOMPARE(link.connection->closeReason(), NamedPipe::ClosedByClient);
    int received = 0; // what went out before is whole
    while (const auto message = link.peer.receiveMessage())
        QCOMPARE(*message, payload(1'000'000, quint32(received++)));
    QVERIFY(link.peer.atEnd());
    QVERIFY(received < 40);
    QVERIFY(received <= link.client.recorder.count(ClientEvent::Sent));
    QVERIFY(!link.client.recorder.errors().contains(NamedPipe::ConnectionBroken));
}

void tst_ClientDisconnect::sendPendingSendsWhatIsQueued_data()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::addColumn<int>("size");
    QTest::newRow("marshalled, small") << false << 10;
    QTest::newRow("marshalled, large") << false << 300'000;
    QTest::newRow("free-threaded, small") << true << 10;
    QTest::newRow("free-threaded, large") << true << 300'000;
}

void tst_ClientDisconnect::sendPendingSendsWhatIsQueued()
{
    QFETCH(bool, freeThreaded);
    QFETCH(int, size);
    RawLink link;
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    for (int round = 0; round < scaled(20, 3); ++round) {
        QVERIFY(link.open());
        for (int number = 0; number < 50; ++number)
            QVERIFY(link.connection->asyncWrite(payload(size, quint32(number)), number));
        link.connection->asyncClose(NamedPipe::SendPending);
        QVERIFY(!link.connection->asyncWrite("too late"_ba, 50));
        for (int number = 0; number < 50; ++number)
            QCOMPARE(link.peer.receiveMessage(), payload(size, quint32(number)));
        QVERIFY(link.peer.atEnd());
        QVERIFY(link.client.recorder.waitFor(ClientEvent::Disconnected));
        verifyAccounts(link.client.recorder, 50);
        QCOMPARE(link.client.recorder.count(ClientEvent::NotSent), 0);
        QCOMPARE(link.connection->closeReason(), NamedPipe::ClosedByClient);
        link.client.recorder.clear();
    }
}

void tst_ClientDisconnect::sendPendingDoesNotWaitForEver()
{
    RawLink link;
    QVERIFY(link.open()); // the server never reads
    QVERIFY(link.connection->asyncWrite(payload(moreThanTheSystemBuffers), 0));
    QVERIFY(link.connection->asyncWrite("more"_ba, 1));
    link.connection->asyncClose(NamedPipe::SendPending);
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Disconnected, 1, 2 * patience));
    QCOMPARE(link.client.recorder.cookies(ClientEvent::NotSent), (QVariantList { 0, 1 }));
    QCOMPARE(link.connection->closeReason(), NamedPipe::ClosedByClient);
}

void tst_ClientDisconnect::sendPendingCanStillBeCancelled()
{
    RawLink link;
    QVERIFY(link.open()); // the server never reads
    QVERIFY(link.connection->asyncWrite(payload(moreThanTheSystemBuffers), 0));
    link.connection->asyncClose(NamedPipe::SendPending);
    link.connection->asyncClose(NamedPipe::CancelPending);
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Disconnected, 1, milliseconds(2000)));
    QCOMPARE(link.client.recorder.cookies(ClientEvent::NotSent), QVariantList { 0 });
}

void tst_ClientDisconnect::closingDiscardsWhatWasNotDelivered()
{
    RawLink link;
    link.client.recorder.onMessage() = [](NamedPipeClientConnection &connection, const auto &,
                                          const QByteArray &data) {
        if (numberOf(data) == 3)
            connection.asyncClose();
    };
    QVERIFY(link.open());
    for (int number = 0; number < 10; ++number)
        QVERIFY(link.peer.sendMessage(numbered(number)));
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Disconnected));
    QCOMPARE(link.client.recorder.count(ClientEvent::Message), 4);
}

void tst_ClientDisconnect::closingTwiceEndsOnce()
{
    RawLink link;
    QVERIFY(link.open());
    link.connection->asyncClose();
    link.connection->asyncClose();
    link.connection->asyncClose(NamedPipe::SendPending);
    QVERIFY(link.peer.atEnd());
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Disconnected));
    watchFor(milliseconds(30));
    QCOMPARE(link.client.recorder.count(ClientEvent::Disconnected), 1);
    QCOMPARE(link.client.recorder.errors(), QList<NamedPipe::Error>());
}

void tst_ClientDisconnect::closeFromAnotherThreadWorks_data()
{
    modes();
}

void tst_ClientDisconnect::closeFromAnotherThreadWorks()
{
    QFETCH(bool, freeThreaded);
    RawLink link;
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    link.client.manager.setNumThreadsIOCP(2);
    for (int round = 0; round < scaled(50, 5); ++round) {
        QVERIFY(link.open());
        const NamedPipeClientConnectionPtr connection = link.connection;
        auto traffic = runClient([&peer = link.peer] {
            while (peer.sendMessage(payload(50), milliseconds(5000))) { }
        });
        auto closers = { runClient([&] { connection->asyncClose(); }),
                         runClient([&] { connection->asyncClose(NamedPipe::SendPending); }),
                         runClient([&] { connection->asyncWrite("meanwhile"_ba); }) };
        QVERIFY(link.client.recorder.waitFor(ClientEvent::Disconnected));
        QVERIFY(waitForTask(traffic));
        for (const auto &closer : closers)
            QVERIFY(waitForTask(closer));
        QCOMPARE(connection->closeReason(), NamedPipe::ClosedByClient);
        QCOMPARE(link.client.recorder.count(ClientEvent::Disconnected), 1);
        link.client.recorder.clear();
    }
}

void tst_ClientDisconnect::endedConnectionIsHarmless_data()
{
    enum { ByServer, ByClient, ByStop, ByFailure, ByDestructor };
    QTest::addColumn<int>("how");
    QTest::addColumn<NamedPipe::CloseReason>("reason");
    QTest::newRow("closed by the server") << int(ByServer) << NamedPipe::ClosedByServer;
    QTest::newRow("closed by the client") << int(ByClient) << NamedPipe::ClosedByClient;
    QTest::newRow("manager stopped") << int(ByStop) << NamedPipe::ClosedByClient;
    QTest::newRow("failed") << int(ByFailure) << NamedPipe::Failed;
    QTest::newRow("manager destroyed") << int(ByDestructor) << NamedPipe::ClosedByClient;
}

void tst_ClientDisconnect::endedConnectionIsHarmless()
{
    enum { ByServer, ByClient, ByStop, ByFailure, ByDestructor };
    QFETCH(int, how);
    QFETCH(NamedPipe::CloseReason, reason);
    Scene scene;
    scene.manager->setMaximumMessageSize(100);
    QVERIFY(scene.open(1));
    const NamedPipeClientConnectionPtr connection = scene.connections.constFirst();
    switch (how) {
    case ByServer:
        scene.peers.front().close();
        break;
    case ByClient:
        connection->asyncClose();
        break;
    case ByStop:
        scene.manager->stop();
        break;
    case ByFailure:
        scene.peers.front().sendMessage(payload(101));
        break;
    case ByDestructor:
        scene.manager.reset();
        break;
    }
    if (how != ByDestructor)
        QVERIFY(scene.recorder.waitFor(ClientEvent::Disconnected));
    QCOMPARE(connection->closeReason(), reason);
    const int events = scene.recorder.count() - scene.recorder.count(ClientEvent::Error);
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
    QVERIFY(!connection->isOpening());
    watchFor(milliseconds(30));
    QCOMPARE(scene.recorder.count() - scene.recorder.count(ClientEvent::Error), events);
    if (how == ByDestructor)
        QCOMPARE(scene.recorder.count(ClientEvent::Error), 0); // nobody is there to tell it
}

void tst_ClientDisconnect::isConnectedTurnsFalseBeforeTheSignal()
{
    RawLink link;
    QVERIFY(link.open());
    link.peer.close();
    QVERIFY(waitWithoutEvents([&] { return !link.connection->isConnected(); }));
    QCOMPARE(link.client.recorder.count(ClientEvent::Disconnected), 0);
    QVERIFY(!link.connection->asyncWrite("late"_ba));
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Disconnected));
    QCOMPARE(link.connection->closeReason(), NamedPipe::ClosedByServer);
}

void tst_ClientDisconnect::lastPointerCloses_data()
{
    statesAndModes();
}

void tst_ClientDisconnect::lastPointerCloses()
{
    QFETCH(State, state);
    QFETCH(bool, freeThreaded);
    Scene scene;
    QVERIFY(scene.enter(state, freeThreaded));
    const auto signalled = [&] {
        int number = 0;
        for (const ClientEvent::Kind kind :
             { ClientEvent::Connected, ClientEvent::Sent, ClientEvent::NotSent, ClientEvent::Error,
               ClientEvent::Disconnected })
            number += scene.recorder.count(kind);
        // On a worker a message may be on its way until the pointer has gone.
        return freeThreaded ? number : number + scene.recorder.count(ClientEvent::Message);
    };
    if (freeThreaded && state == NotYetTold)
        QVERIFY(scene.recorder.waitFor(ClientEvent::Connected));
    const int before = signalled();
    QList<QPointer<NamedPipeClientConnection>> objects;
    for (const auto &connection : std::as_const(scene.connections))
        objects.append(connection.data());
    scene.connections.clear();
    for (RawPeer &peer : scene.peers) {
        if (state == DiallingABusyServer)
            break;
        while (peer.receiveMessage()) { }
        QVERIFY(peer.atEnd());
    }
    QVERIFY(waitUntil([&] {
        return std::all_of(objects.cbegin(), objects.cend(),
                           [](const auto &object) { return !object; });
    }));
    watchFor(milliseconds(20));
    QCOMPARE(signalled(), before);
    QCOMPARE(scene.manager->connectionCount(), 0);
    for (const auto &task : scene.tasks)
        QVERIFY(waitForTask(task));
}

void tst_ClientDisconnect::lastPointerSendsWhatIsQueued_data()
{
    sendPendingSendsWhatIsQueued_data();
}

void tst_ClientDisconnect::lastPointerSendsWhatIsQueued()
{
    QFETCH(bool, freeThreaded);
    QFETCH(int, size);
    std::atomic<bool> dropped { false };
    std::atomic<int> late { 0 };
    RawLink link;
    link.client.recorder.onAny() = [&](auto &, ClientEvent::Kind) { late += dropped; };
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    for (int round = 0; round < scaled(20, 3); ++round) {
        dropped = false;
        QVERIFY(link.open());
        for (int number = 0; number < 50; ++number)
            QVERIFY(link.connection->asyncWrite(payload(size, quint32(number)), number));
        link.connection.reset();
        dropped = !freeThreaded; // on a worker one may be on its way already
        for (int number = 0; number < 50; ++number)
            QCOMPARE(link.peer.receiveMessage(), payload(size, quint32(number)));
        QVERIFY(link.peer.atEnd());
        watchFor(milliseconds(1));
        QCOMPARE(late, 0);
        QCOMPARE(link.client.recorder.count(ClientEvent::Disconnected), 0);
    }
}

void tst_ClientDisconnect::lastPointerMayGoInASlot_data()
{
    slotsAndModes();
}

void tst_ClientDisconnect::lastPointerMayGoInASlot()
{
    QFETCH(int, kind);
    QFETCH(bool, freeThreaded);
    for (int round = 0; round < scaled(20, 3); ++round) {
        Gate returned; // from connectToServer(), which holds a pointer meanwhile
        std::mutex mutex;
        NamedPipeClientConnectionPtr holder;
        std::atomic<bool> dropped { false };
        std::atomic<bool> gone { false };
        std::atomic<int> late { 0 };
        RawLink link;
        link.client.recorder.onAny() = [&](NamedPipeClientConnection &connection,
                                           ClientEvent::Kind event) {
            late += dropped;
            returned.wait();
            if (event == ClientEvent::Connected)
                provokeAtTheClient(kind, connection);
            if (int(event) != kind || dropped)
                return;
            NamedPipeClientConnectionPtr last;
            {
                const std::lock_guard lock(mutex);
                last.swap(holder);
            }
            dropped = true;
        };
        QVERIFY(link.server.listen(link.name));
        link.client.manager.setFreeThreadingEvents(freeThreaded);
        link.client.manager.setMaximumMessageSize(1000);
        link.client.manager.connectToServer(link.name,
                                            [&](const NamedPipeClientConnectionPtr &connection) {
                                                link.client.recorder.watch(connection,
                                                                           link.client.manager);
                                                connect(connection.data(), &QObject::destroyed,
                                                        [&gone] { gone = true; });
                                                const std::lock_guard lock(mutex);
                                                holder = connection;
                                            });
        returned.open();
        link.peer = link.server.accept();
        QVERIFY(link.client.recorder.waitFor(ClientEvent::Connected));
        provokeAtTheServer(kind, link.peer);
        QVERIFY(waitUntil([&] { return dropped && gone; }));
        while (link.peer.isOpen() && link.peer.receiveMessage()) { }
        QVERIFY(!link.peer.isOpen() || link.peer.atEnd());
        watchFor(milliseconds(5));
        QCOMPARE(late, 0);
        QVERIFY(waitUntil([&] { return link.client.manager.connectionCount() == 0; }));
    }
}

void tst_ClientDisconnect::lastPointerMayGoOnAnotherThread_data()
{
    modes();
}

void tst_ClientDisconnect::lastPointerMayGoOnAnotherThread()
{
    QFETCH(bool, freeThreaded);
    RawLink link(ClientRecorder::CountOnly);
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    for (int round = 0; round < scaled(50, 5); ++round) {
        QVERIFY(link.open());
        std::atomic<bool> gone { false };
        connect(link.connection.data(), &QObject::destroyed, [&gone] { gone = true; });
        auto traffic = runClient([&peer = link.peer] {
            while (peer.sendMessage(payload(50), milliseconds(5000))) { }
        });
        auto dropping = runClient([last = std::move(link.connection)]() mutable { last.reset(); });
        link.connection.reset();
        QVERIFY(waitForTask(dropping));
        QVERIFY(waitForTask(traffic));
        QVERIFY(waitUntil([&] { return gone.load(); }));
    }
    QCOMPARE(link.client.recorder.count(ClientEvent::Disconnected), 0);
    QCOMPARE(link.client.manager.connectionCount(), 0);
}

void tst_ClientDisconnect::closeInASlot_data()
{
    slotsAndModes();
}

void tst_ClientDisconnect::closeInASlot()
{
    QFETCH(int, kind);
    QFETCH(bool, freeThreaded);
    std::atomic<int> late { 0 };
    std::atomic<bool> closed { false };
    RawLink link;
    link.client.recorder.onAny() = [&](NamedPipeClientConnection &connection,
                                       ClientEvent::Kind event) {
        late += closed && event == ClientEvent::Message;
        if (int(event) == kind) {
            connection.asyncClose();
            closed = true;
        }
    };
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    link.client.manager.setMaximumMessageSize(1000);
    QVERIFY(link.open());
    provokeAtTheClient(kind, *link.connection);
    provokeAtTheServer(kind, link.peer);
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Disconnected));
    watchFor(milliseconds(20));
    QCOMPARE(late, 0);
    QCOMPARE(link.client.recorder.count(ClientEvent::Disconnected), 1);
}

void tst_ClientDisconnect::managerMayGoInASlot_data()
{
    QTest::addColumn<int>("kind");
    QTest::newRow("connected") << int(ClientEvent::Connected);
    QTest::newRow("messageReceived") << int(ClientEvent::Message);
    QTest::newRow("messageSent") << int(ClientEvent::Sent);
    QTest::newRow("messageNotSent") << int(ClientEvent::NotSent);
    QTest::newRow("errorOccurred") << int(ClientEvent::Error);
    QTest::newRow("disconnected") << int(ClientEvent::Disconnected);
}

void tst_ClientDisconnect::managerMayGoInASlot()
{
    QFETCH(int, kind);
    Scene scene;
    int late = 0;
    scene.recorder.onAny() = [&](NamedPipeClientConnection &, ClientEvent::Kind event) {
        late += !scene.manager;
        if (int(event) == kind)
            scene.manager.reset();
    };
    scene.manager->setMaximumMessageSize(1000);
    QVERIFY(scene.server.listen(scene.name));
    scene.dial();
    scene.dial(); // a bystander
    const NamedPipeClientConnectionPtr connection = scene.connections.constFirst();
    scene.peers.push_back(scene.server.accept());
    scene.peers.push_back(scene.server.accept());
    if (kind != ClientEvent::Connected) {
        QVERIFY(scene.recorder.waitFor(ClientEvent::Connected, 2));
        // Which of them came first, the server cannot know.
        provokeAtTheClient(kind, *connection);
        for (RawPeer &peer : scene.peers)
            provokeAtTheServer(kind, peer);
    }
    QVERIFY(waitUntil([&] { return !scene.manager; }));
    watchFor(milliseconds(20));
    QCOMPARE(late, 0);
    for (const auto &each : std::as_const(scene.connections)) {
        QVERIFY(!each->isConnected());
        QVERIFY(!each->isOpening());
        QVERIFY(each->closeReason() != NamedPipe::StillOpen);
        QVERIFY(!each->asyncWrite("late"_ba));
    }
    for (RawPeer &peer : scene.peers) {
        while (peer.isOpen() && peer.receiveMessage()) { }
        QVERIFY(!peer.isOpen() || peer.atEnd());
    }
}

void tst_ClientDisconnect::managerMayGoInAnyState_data()
{
    statesAndModes();
}

void tst_ClientDisconnect::managerMayGoInAnyState()
{
    QFETCH(State, state);
    QFETCH(bool, freeThreaded);
    std::atomic<bool> going { false };
    std::atomic<int> late { 0 };
    Scene scene;
    scene.recorder.onAny() = [&](auto &, ClientEvent::Kind) { late += going; };
    QVERIFY(scene.enter(state, freeThreaded));
    QElapsedTimer timer;
    timer.start();
    going = !freeThreaded; // on a worker one may be on its way already
    scene.manager.reset();
    going = true;
    QVERIFY2(timer.elapsed() < bound(), qPrintable(u"%1 ms"_s.arg(timer.elapsed())));
    for (const auto &connection : std::as_const(scene.connections)) {
        QVERIFY(!connection->isConnected());
        QVERIFY(!connection->isOpening());
        QCOMPARE(connection->closeReason(), NamedPipe::ClosedByClient);
        QVERIFY(!connection->asyncWrite("late"_ba));
        connection->asyncRead();
        connection->asyncClose();
        QCOMPARE(connection->handle(), qintptr(-1));
    }
    watchFor(milliseconds(20));
    QCOMPARE(late, 0);
    QCOMPARE(scene.recorder.count(ClientEvent::Disconnected), 0);
    scene.connections.clear();
    for (const auto &task : scene.tasks)
        QVERIFY(waitForTask(task));
}

void tst_ClientDisconnect::stopInASlot_data()
{
    slotsAndModes();
}

void tst_ClientDisconnect::stopInASlot()
{
    QFETCH(int, kind);
    QFETCH(bool, freeThreaded);
    RawLink link;
    std::atomic<bool> stopped { false };
    link.client.recorder.onAny() = [&](NamedPipeClientConnection &, ClientEvent::Kind event) {
        if (int(event) == kind && !stopped.exchange(true))
            link.client.manager.stop();
    };
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    link.client.manager.setMaximumMessageSize(1000);
    for (int round = 1; round <= 2; ++round) { // and connectToServer() works afterwards
        stopped = false;
        QVERIFY(link.open());
        provokeAtTheClient(kind, *link.connection);
        provokeAtTheServer(kind, link.peer);
        QVERIFY(link.client.recorder.waitFor(ClientEvent::Disconnected));
        while (link.peer.isOpen() && link.peer.receiveMessage()) { }
        QVERIFY(!link.peer.isOpen() || link.peer.atEnd());
        QVERIFY(waitUntil([&] { return stopped.load(); }));
        watchFor(milliseconds(20));
        QCOMPARE(link.client.recorder.count(ClientEvent::Connected), 1);
        QCOMPARE(link.client.recorder.count(ClientEvent::Disconnected), 1);
        QVERIFY(link.connection->closeReason() != NamedPipe::StillOpen);
        link.client.recorder.clear();
    }
}

void tst_ClientDisconnect::stopIsPrompt_data()
{
    statesAndModes();
}

void tst_ClientDisconnect::stopIsPrompt()
{
    QFETCH(State, state);
    QFETCH(bool, freeThreaded);
    for (int round = 0; round < scaled(3, 1); ++round) {
        Scene scene;
        QVERIFY(scene.enter(state, freeThreaded));
        QElapsedTimer timer;
        timer.start();
        scene.manager->stop();
        QVERIFY2(timer.elapsed() < bound(), qPrintable(u"%1 ms"_s.arg(timer.elapsed())));
        // Who dropped a connection hears nothing of it.
        if (state != DroppedAndDraining)
            QCOMPARE(scene.recorder.count(ClientEvent::Disconnected),
                     scene.recorder.count(ClientEvent::Connected));
        QCOMPARE(scene.recorder.count(ClientEvent::Error), 0);
        for (const auto &connection : std::as_const(scene.connections)) {
            QVERIFY(!connection->isConnected());
            QVERIFY(!connection->isOpening());
            QCOMPARE(connection->closeReason(), NamedPipe::ClosedByClient);
        }
        const int events = scene.recorder.count();
        for (const auto &task : scene.tasks)
            QVERIFY(waitForTask(task));
        watchFor(milliseconds(5));
        QCOMPARE(scene.recorder.count(), events); // nothing comes after it
    }
}

void tst_ClientDisconnect::stopDeliversWhatWasReceived_data()
{
    modes();
}

void tst_ClientDisconnect::stopDeliversWhatWasReceived()
{
    QFETCH(bool, freeThreaded);
    RawLink link;
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    QVERIFY(link.open());
    for (int number = 0; number < 10; ++number)
        QVERIFY(link.peer.sendMessage(numbered(number)));
    QVERIFY(waitWithoutEvents(
            [&] { return link.connection->statistics().messagesReceived == 10; }));
    link.client.manager.stop();
    QCOMPARE(link.client.recorder.count(ClientEvent::Message), 10);
    QCOMPARE(link.client.recorder.count(ClientEvent::Disconnected), 1);
    for (int number = 0; number < 10; ++number)
        QCOMPARE(link.client.recorder.messages().at(number), numbered(number));
}

void tst_ClientDisconnect::stopAnswersWritesThatWereNotSent_data()
{
    modes();
}

void tst_ClientDisconnect::stopAnswersWritesThatWereNotSent()
{
    QFETCH(bool, freeThreaded);
    RawLink link;
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    QVERIFY(link.open()); // the server never reads
    for (int number = 0; number < 20; ++number)
        QVERIFY(link.connection->asyncWrite(payload(1'000'000), number));
    link.client.manager.stop();
    QCOMPARE(link.client.recorder.count(ClientEvent::Disconnected), 1);
    verifyAccounts(link.client.recorder, 20);
    QVERIFY(link.client.recorder.count(ClientEvent::NotSent) > 0);
}

void tst_ClientDisconnect::comingAndGoingLeavesNothingBehind_data()
{
    modes();
}

void tst_ClientDisconnect::comingAndGoingLeavesNothingBehind()
{
    QFETCH(bool, freeThreaded);
    RawLink link(ClientRecorder::CountOnly);
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    const auto rounds = [&](int count) {
        bool ok = true;
        for (int round = 0; ok && round < count; ++round) {
            ok = link.open() && link.connection->asyncWrite("hello"_ba)
                    && link.peer.receiveMessage() == "hello"_ba;
            if (round % 3 == 0)
                link.peer.close();
            else if (round % 3 == 1)
                link.connection->asyncClose();
            link.connection.reset(); // in any case
            ok = ok && (round % 3 == 0 || link.peer.atEnd());
            link.peer.close();
        }
        return ok && waitUntil([&] { return link.client.manager.connectionCount() == 0; });
    };
    QVERIFY(rounds(10)); // what is made on first use
    const int handles = ProcessFacts::openHandles();
    QVERIFY(rounds(scaled(300, 30)));
    QVERIFY(waitUntil([&] { return ProcessFacts::openHandles() <= handles + 3; }));
    link.client.manager.stop();
    QVERIFY(ProcessFacts::openHandles() <= handles);
}

QTEST_GUILESS_MAIN(tst_ClientDisconnect)
#include "tst_client_disconnect.moc"
