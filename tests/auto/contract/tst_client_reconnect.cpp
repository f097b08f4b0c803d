// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "platformflags.h"
#include "skipping.h"
#include "stress.h"
#include "testclient.h"
#include "testserver.h"

#include <QtCore/qelapsedtimer.h>
#include <QtCore/qset.h>
#include <QtTest/QtTest>

#include <atomic>
#include <stdexcept>

using namespace Qt::StringLiterals;

/// autoReconnect: a connection that comes back until it is told not to.
class tst_ClientReconnect : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void serverMayStopAndStartAgain_data();
    void serverMayStopAndStartAgain();
    void nothingIsSentTwiceAndEverythingIsAnswered_data();
    void nothingIsSentTwiceAndEverythingIsAnswered();
    void firstDialNeedsNoServer_data();
    void firstDialNeedsNoServer();
    void eachKindOfFailureIsToldOnce_data();
    void eachKindOfFailureIsToldOnce();
    void waitingBetweenTriesEndsAtOnce_data();
    void waitingBetweenTriesEndsAtOnce();
    void ownCloseIsFinal_data();
    void ownCloseIsFinal();
    void stopIsFinal_data();
    void stopIsFinal();
    void withoutAutoReconnectTheDropIsFinal();
    void settingIsReadByConnectToServer();
    void stateBetweenSessionsIsOpening_data();
    void stateBetweenSessionsIsOpening();
    void statisticsAndCustomDataStay();
    void manualReadsGoOnInTheNextSession();
    void delaysGrowAndAreBounded();
    void goodSessionResetsTheDelays();
    void throwingSlotDoesNotEndTheReconnecting_data();
    void throwingSlotDoesNotEndTheReconnecting();
    void stopInASlotIsFinal_data();
    void stopInASlotIsFinal();

private:
    enum Ending { Close, CloseAfterSending, Stop, Drop, DeleteManager };

    static void addThreadingRows();
    static void addEndings(bool withManager);
    static void quickly(TestClient &tc, bool freeThreaded = false)
    {
        tc.manager.setAutoReconnect(true);
        tc.manager.setMinimumReconnectDelay(2);
        tc.manager.setMaximumReconnectDelay(20);
        tc.manager.setFreeThreadingEvents(freeThreaded);
    }
    static void echo(ServerRecorder &recorder)
    {
        recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                  const QByteArray &data) { connection->asyncWrite(data); };
    }
};

void tst_ClientReconnect::addThreadingRows()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::newRow("marshalled") << false;
    QTest::newRow("free-threaded") << true;
}

void tst_ClientReconnect::serverMayStopAndStartAgain_data()
{
    addThreadingRows();
}

void tst_ClientReconnect::serverMayStopAndStartAgain()
{
    QFETCH(bool, freeThreaded);
    TestServer ts;
    echo(ts.recorder);
    TestClient tc;
    tc.recorder.onConnected() = [](NamedPipeClientConnection &client) {
        client.asyncWrite("here again"_ba);
    };
    quickly(tc, freeThreaded);
    QVERIFY(ts.start());
    const auto client = tc.dial(ts.name());
    const int rounds = scaled(20, 4);
    for (int round = 1; round <= rounds; ++round) {
        QVERIFY(tc.recorder.waitFor(ClientEvent::Message, round));
        QVERIFY(client->isConnected());
        QCOMPARE(ts.server.connectionCount(), 1);
        const int ends = tc.recorder.count(ClientEvent::Disconnected);
        ts.server.stop();
        QVERIFY(tc.recorder.waitFor(ClientEvent::Disconnected, ends + 1));
        QVERIFY(ts.start());
    }
    QVERIFY(tc.recorder.waitFor(ClientEvent::Message, rounds + 1));
    // A client that is as quick as this one may get hold of a server that is about to go.
    const int sessions = tc.recorder.count(ClientEvent::Connected);
    QVERIFY(sessions >= rounds + 1);
    QCOMPARE(tc.recorder.count(ClientEvent::Disconnected), sessions - 1);
    QCOMPARE(tc.recorder.count(ClientEvent::Message), rounds + 1);
    QCOMPARE(ts.recorder.count(ServerEvent::Message), rounds + 1);
    QCOMPARE(tc.manager.connections(), QList { client });
}

void tst_ClientReconnect::nothingIsSentTwiceAndEverythingIsAnswered_data()
{
    addThreadingRows();
}

void tst_ClientReconnect::nothingIsSentTwiceAndEverythingIsAnswered()
{
    QFETCH(bool, freeThreaded);
    // The slots of one connection do not run at the same time: they need no lock among themselves.
    int next = 0;
    std::atomic<int> accepted { 0 };
    const auto write = [&](NamedPipeClientConnection &client) {
        const bool large = next % 5 == 0; // some of it is in the queue when the server goes
        const QByteArray message = numbered(next) + '|' + payload(large ? 400'000 : 10);
        if (client.asyncWrite(message, next))
            ++accepted;
        ++next; // refused ones are not tried again
    };
    TestServer ts(ServerRecorder::CountOnly);
    QList<int> arrived;
    ts.recorder.onMessage() = [&](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                  const QByteArray &data) {
        arrived.append(numberOf(data.left(data.indexOf('|'))));
        if (arrived.size() % 7 == 0)
            connection->asyncWrite("more"_ba);
    };
    TestClient tc;
    std::atomic<int> greetings { 0 }; // its slot has returned
    tc.recorder.onConnected() = [&](NamedPipeClientConnection &client) {
        for (int count = 0; count < 20; ++count)
            write(client);
        ++greetings;
    };
    tc.recorder.onMessage() = [&](NamedPipeClientConnection &client, const auto &, const auto &) {
        for (int count = 0; count < 3; ++count)
            write(client);
    };
    quickly(tc, freeThreaded);
    tc.manager.setNumThreadsIOCP(2);
    const auto client = tc.dial(ts.name());
    const int rounds = scaled(20, 4);
    for (int round = 1; round <= rounds; ++round) {
        const bool reads = round % 2 == 0; // or everything piles up
        ts.server.setContinuouslyReadFromPipe(reads);
        const qsizetype before = arrived.size();
        const int greeted = greetings;
        QVERIFY(ts.start());
        QVERIFY(ts.recorder.waitFor(ServerEvent::Connected, round));
        QVERIFY(waitUntil([&] { return client->isConnected() && greetings > greeted; }));
        if (reads)
            QVERIFY(waitUntil([&] { return arrived.size() > before + 30; }));
        const int ends = tc.recorder.count(ClientEvent::Disconnected);
        ts.server.stop();
        QVERIFY(tc.recorder.waitFor(ClientEvent::Disconnected, ends + 1));
    }
    tc.manager.stop();
    QVERIFY(tc.recorder.count(ClientEvent::Connected) >= rounds);
    QCOMPARE(tc.recorder.count(ClientEvent::Disconnected),
             tc.recorder.count(ClientEvent::Connected));
    // Each one that was taken is answered; the recorder sees that it is answered once.
    const QList<QVariant> sent = tc.recorder.cookies(ClientEvent::Sent);
    const QList<QVariant> notSent = tc.recorder.cookies(ClientEvent::NotSent);
    QCOMPARE(int(sent.size() + notSent.size()), accepted.load());
    QVERIFY(!notSent.isEmpty());
    QSet<int> lost;
    int previous = -1;
    for (const QVariant &cookie : notSent) {
        QVERIFY(cookie.toInt() > previous); // in the order of the calls
        previous = cookie.toInt();
        lost.insert(previous);
    }
    previous = -1;
    for (const QVariant &cookie : sent) {
        QVERIFY(cookie.toInt() > previous);
        previous = cookie.toInt();
    }
    previous = -1;
    for (const int number : std::as_const(arrived)) {
        QVERIFY2(number > previous, "a message came twice, or too late");
        QVERIFY2(!lost.contains(number), "a message came that was told to be lost");
        previous = number;
    }
}

void tst_ClientReconnect::firstDialNeedsNoServer_data()
{
    addThreadingRows();
}

void tst_ClientReconnect::firstDialNeedsNoServer()
{
    QFETCH(bool, freeThreaded);
    TestServer ts;
    echo(ts.recorder);
    TestClient tc;
    tc.recorder.onConnected() = [](NamedPipeClientConnection &client) {
        client.asyncWrite("at last"_ba);
    };
    quickly(tc, freeThreaded);
    const auto client = tc.dial(ts.name());
    QVERIFY(client->isOpening());
    QVERIFY(tc.recorder.waitFor(ClientEvent::Error));
    watchFor(); // it tries many times
    QVERIFY(client->isOpening());
    QVERIFY(!client->isConnected());
    QCOMPARE(client->closeReason(), NamedPipe::StillOpen);
    QCOMPARE(tc.recorder.errors(), QList { NamedPipe::NotFound });
    QVERIFY(ts.start());
    QVERIFY(tc.recorder.waitFor(ClientEvent::Message));
    QCOMPARE(tc.recorder.kinds(),
             (QList { ClientEvent::Error, ClientEvent::Connected, ClientEvent::Sent,
                      ClientEvent::Message }));
}

void tst_ClientReconnect::eachKindOfFailureIsToldOnce_data()
{
    addThreadingRows();
}

void tst_ClientReconnect::eachKindOfFailureIsToldOnce()
{
    QFETCH(bool, freeThreaded);
    TestServer ts(ServerRecorder::CountOnly);
    ts.server.setMaxConnections(1);
    ts.server.setListenBacklogSize(1);
    QVERIFY(ts.start());
    std::vector<RawPeer> crowd; // all places are taken
    for (bool free = true; free;) {
        RawPeer peer;
        free = peer.connectTo(ts.name(), RawPeer::Milliseconds(200));
        crowd.push_back(std::move(peer));
    }
    TestClient tc;
    quickly(tc, freeThreaded);
    tc.manager.setConnectTimeout(20);
    const auto client = tc.dial(ts.name());
    QVERIFY(tc.recorder.waitFor(ClientEvent::Error));
    watchFor();
    QCOMPARE(tc.recorder.errors(), QList { NamedPipe::ConnectTimeout });
    ts.server.stop();
    QVERIFY(tc.recorder.waitFor(ClientEvent::Error, 2));
    watchFor();
    QCOMPARE(tc.recorder.errors(), (QList { NamedPipe::ConnectTimeout, NamedPipe::NotFound }));
    QVERIFY(client->isOpening());
    crowd.clear();
    QVERIFY(ts.start());
    QVERIFY(tc.recorder.waitFor(ClientEvent::Connected));
    QCOMPARE(tc.recorder.count(ClientEvent::Error), 2);
}

void tst_ClientReconnect::addEndings(bool withManager)
{
    QTest::addColumn<Ending>("ending");
    QTest::addColumn<bool>("afterASession");
    QTest::addColumn<bool>("freeThreaded");
    const auto row = [](const char *name, Ending ending) {
        for (const bool freeThreaded : { false, true }) {
            const char *const mode = freeThreaded ? "free-threaded" : "marshalled";
            QTest::addRow("%s, before the first session, %s", name, mode)
                    << ending << false << freeThreaded;
            QTest::addRow("%s, after a session, %s", name, mode) << ending << true << freeThreaded;
        }
    };
    row("asyncClose", Close);
    row("asyncClose(SendPending)", CloseAfterSending);
    row("stop", Stop);
    row("last pointer", Drop);
    if (withManager)
        row("manager deleted", DeleteManager);
}

void tst_ClientReconnect::waitingBetweenTriesEndsAtOnce_data()
{
    addEndings(true);
}

void tst_ClientReconnect::waitingBetweenTriesEndsAtOnce()
{
    QFETCH(Ending, ending);
    QFETCH(bool, afterASession);
    QFETCH(bool, freeThreaded);
    TestServer ts(ServerRecorder::CountOnly);
    ClientRecorder recorder;
    auto manager = std::make_unique<NamedPipeClientManager>();
    manager->setAutoReconnect(true);
    // Long enough to be in the middle of it, short enough to see that nothing comes of it.
    manager->setMinimumReconnectDelay(100);
    manager->setMaximumReconnectDelay(100);
    manager->setFreeThreadingEvents(freeThreaded);
    if (afterASession)
        QVERIFY(ts.start());
    auto client = manager->connectToServer(ts.name(), [&](const auto &connection) {
        recorder.watch(connection, *manager);
    });
    if (afterASession) {
        QVERIFY(recorder.waitFor(ClientEvent::Connected));
        ts.server.stop();
        QVERIFY(recorder.waitFor(ClientEvent::Disconnected));
    } else {
        QVERIFY(recorder.waitFor(ClientEvent::Error));
    }
    ts.recorder.clear();
    const int events = recorder.count();
    const QWeakPointer<NamedPipeClientConnection> observer = client;
    QElapsedTimer timer;
    timer.start();
    switch (ending) {
    case Close:
        client->asyncClose();
        break;
    case CloseAfterSending:
        client->asyncClose(NamedPipe::SendPending);
        break;
    case Stop:
        manager->stop();
        break;
    case Drop:
        client.reset();
        break;
    case DeleteManager:
        manager.reset();
        break;
    }
    if (client)
        QVERIFY(waitUntil([&] { return !client->isOpening(); }));
    else
        QVERIFY(waitUntil([&] { return observer.isNull(); }));
    const qint64 taken = timer.elapsed();
    if (PlatformFlags::timingIsMeaningful())
        QVERIFY2(taken < 50, qPrintable(u"%1 ms"_s.arg(taken)));
    if (client) {
        QCOMPARE(client->closeReason(), NamedPipe::ClosedByClient);
        QVERIFY(!client->isConnected());
    }
    QVERIFY(ts.start()); // too late
    watchFor();
    QCOMPARE(ts.recorder.count(ServerEvent::Connected), 0);
    const int late = recorder.count(ClientEvent::Error) - (afterASession ? 0 : 1);
    QVERIFY(late <= 1); // a try that was under way before
    QCOMPARE(recorder.count() - late, events);
}

void tst_ClientReconnect::ownCloseIsFinal_data()
{
    QTest::addColumn<NamedPipe::CloseMode>("mode");
    QTest::addColumn<bool>("insideASlot");
    QTest::addColumn<bool>("freeThreaded");
    for (const bool freeThreaded : { false, true }) {
        const char *const name = freeThreaded ? "free-threaded" : "marshalled";
        QTest::addRow("at once, %s", name) << NamedPipe::CancelPending << false << freeThreaded;
        QTest::addRow("after sending, %s", name) << NamedPipe::SendPending << false << freeThreaded;
        QTest::addRow("in the slot of disconnected, %s", name)
                << NamedPipe::CancelPending << true << freeThreaded;
    }
}

void tst_ClientReconnect::ownCloseIsFinal()
{
    QFETCH(NamedPipe::CloseMode, mode);
    QFETCH(bool, insideASlot);
    QFETCH(bool, freeThreaded);
    TestServer ts;
    QVERIFY(ts.start());
    TestClient tc;
    if (insideASlot) {
        tc.recorder.onDisconnected() = [](NamedPipeClientConnection &client) {
            client.asyncClose();
        };
    }
    quickly(tc, freeThreaded);
    const auto client = tc.connectTo(ts.name());
    QVERIFY(client);
    QVERIFY(ts.recorder.waitFor(ServerEvent::Connected));
    if (insideASlot) {
        ts.connection()->asyncClose();
    } else {
        QVERIFY(client->asyncWrite("last"_ba));
        client->asyncClose(mode);
    }
    QVERIFY(tc.recorder.waitFor(ClientEvent::Disconnected));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    watchFor();
    QCOMPARE(tc.recorder.count(ClientEvent::Connected), 1);
    QCOMPARE(ts.recorder.count(ServerEvent::Connected), 1);
    QVERIFY(!client->isOpening());
    QCOMPARE(client->closeReason(),
             insideASlot ? NamedPipe::ClosedByServer : NamedPipe::ClosedByClient);
    if (mode == NamedPipe::SendPending)
        QCOMPARE(ts.recorder.messages(), QList { "last"_ba });
    QCOMPARE(tc.recorder.count(ClientEvent::Error), 0);
}

void tst_ClientReconnect::stopIsFinal_data()
{
    addThreadingRows();
}

void tst_ClientReconnect::stopIsFinal()
{
    QFETCH(bool, freeThreaded);
    TestServer ts;
    QVERIFY(ts.start());
    TestClient tc;
    quickly(tc, freeThreaded);
    const auto client = tc.connectTo(ts.name());
    QVERIFY(client);
    tc.manager.stop();
    QCOMPARE(tc.recorder.kinds(), (QList { ClientEvent::Connected, ClientEvent::Disconnected }));
    QCOMPARE(client->closeReason(), NamedPipe::ClosedByClient);
    QVERIFY(!client->isOpening());
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    watchFor();
    QCOMPARE(ts.recorder.count(ServerEvent::Connected), 1);
    QCOMPARE(tc.recorder.count(), 2);
    const auto another = tc.connectTo(ts.name()); // but the manager works again
    QVERIFY(another);
    QVERIFY(!client->isConnected());
}

void tst_ClientReconnect::withoutAutoReconnectTheDropIsFinal()
{
    TestServer ts;
    QVERIFY(ts.start());
    TestClient tc;
    QVERIFY(!tc.manager.autoReconnect());
    tc.manager.setMinimumReconnectDelay(1);
    const auto client = tc.connectTo(ts.name());
    QVERIFY(client);
    ts.server.stop();
    QVERIFY(ts.start());
    QVERIFY(tc.recorder.waitFor(ClientEvent::Disconnected));
    watchFor();
    QCOMPARE(tc.recorder.count(ClientEvent::Connected), 1);
    QVERIFY(!client->isOpening());
    QCOMPARE(client->closeReason(), NamedPipe::ClosedByServer);
}

void tst_ClientReconnect::settingIsReadByConnectToServer()
{
    TestServer ts;
    QVERIFY(ts.start());
    TestClient tc;
    quickly(tc);
    const auto faithful = tc.connectTo(ts.name());
    tc.manager.setAutoReconnect(false);
    tc.manager.setMaximumReconnectDelay(1'000'000);
    tc.manager.setMinimumReconnectDelay(1'000'000);
    const auto fickle = tc.connectTo(ts.name());
    QVERIFY(faithful && fickle);
    ts.server.stop();
    QVERIFY(tc.recorder.waitFor(ClientEvent::Disconnected, 2));
    QVERIFY(ts.start());
    QVERIFY(tc.recorder.waitFor(ClientEvent::Connected, 3));
    watchFor();
    QVERIFY(faithful->isConnected());
    QVERIFY(!fickle->isConnected());
    QCOMPARE(tc.recorder.count(ClientEvent::Connected), 3);
}

void tst_ClientReconnect::stateBetweenSessionsIsOpening_data()
{
    addThreadingRows();
}

void tst_ClientReconnect::stateBetweenSessionsIsOpening()
{
    QFETCH(bool, freeThreaded);
    std::atomic<int> reason { -1 };
    std::atomic<int> accepted { 0 };
    TestServer ts;
    QVERIFY(ts.start());
    TestClient tc;
    tc.recorder.onDisconnected() = [&](NamedPipeClientConnection &client) {
        reason = int(client.closeReason());
        accepted += client.asyncWrite("into nothing"_ba) ? 1 : 0;
    };
    quickly(tc, freeThreaded);
    const auto client = tc.connectTo(ts.name());
    QVERIFY(client);
    ts.server.stop();
    QVERIFY(tc.recorder.waitFor(ClientEvent::Disconnected));
    QVERIFY(waitUntil([&] { return client->isOpening(); }));
    QCOMPARE(reason.load(), int(NamedPipe::ClosedByServer));
    QVERIFY(!client->isConnected());
    QCOMPARE(client->closeReason(), NamedPipe::StillOpen);
    QCOMPARE(client->handle(), qintptr(-1));
    QCOMPARE(tc.manager.connectionCount(), 0);
    QVERIFY(!client->asyncWrite("into nothing"_ba, 1));
    QVERIFY(waitUntil([&] { return tc.recorder.errors().contains(NamedPipe::NotConnected); }));
    QCOMPARE(accepted.load(), 0);
    QVERIFY(ts.start());
    QVERIFY(tc.recorder.waitFor(ClientEvent::Connected, 2));
    QVERIFY(waitUntil([&] { return !client->isOpening(); }));
    QVERIFY(client->isConnected());
    QCOMPARE(client->serverProcessId(), QCoreApplication::applicationPid());
    QCOMPARE(tc.recorder.count(ClientEvent::Sent) + tc.recorder.count(ClientEvent::NotSent), 0);
    QCOMPARE(ts.recorder.count(ServerEvent::Message), 0);
}

void tst_ClientReconnect::statisticsAndCustomDataStay()
{
    TestServer ts(ServerRecorder::CountOnly);
    echo(ts.recorder);
    TestClient tc;
    tc.recorder.onConnected() = [](NamedPipeClientConnection &client) {
        client.asyncWrite("ten bytes!"_ba);
    };
    quickly(tc);
    const auto client = tc.dial(ts.name());
    client->setCustomData(u"mine"_s);
    for (int round = 1; round <= 5; ++round) {
        QVERIFY(ts.start());
        QVERIFY(tc.recorder.waitFor(ClientEvent::Message, round));
        QVERIFY(tc.recorder.waitFor(ClientEvent::Sent, round));
        for (const NamedPipe::Statistics &all : { client->statistics(), tc.manager.statistics() }) {
            QCOMPARE(all.messagesSent, quint64(round));
            QCOMPARE(all.messagesReceived, quint64(round));
            QCOMPARE(all.bytesSent, quint64(10 * round));
            QCOMPARE(all.bytesReceived, quint64(10 * round));
        }
        QCOMPARE(client->customData(), QVariant(u"mine"_s));
        ts.server.stop();
        QVERIFY(tc.recorder.waitFor(ClientEvent::Disconnected, round));
    }
    QCOMPARE(client->statistics().messagesSent, 5u);
    tc.manager.stop();
    QCOMPARE(client->statistics().messagesSent, 5u);
    QCOMPARE(tc.manager.statistics().messagesSent, 5u);
    QCOMPARE(client->customData(), QVariant(u"mine"_s));
}

void tst_ClientReconnect::manualReadsGoOnInTheNextSession()
{
    TestServer ts;
    ts.recorder.onConnected() = [](const NamedPipeServerConnectionPtr &connection) {
        connection->asyncWrite("first"_ba);
        connection->asyncWrite("second"_ba);
    };
    TestClient tc;
    tc.recorder.onConnected() = [](NamedPipeClientConnection &client) { client.asyncRead(1); };
    quickly(tc);
    tc.manager.setContinuouslyReadFromPipe(false);
    const auto client = tc.dial(ts.name());
    for (int round = 1; round <= 3; ++round) {
        QVERIFY(ts.start());
        QVERIFY(tc.recorder.waitFor(ClientEvent::Message, 2 * round - 1));
        watchFor(std::chrono::milliseconds(30)); // the second one is not asked for
        QCOMPARE(tc.recorder.count(ClientEvent::Message), 2 * round - 1);
        ts.server.stop();
        client->asyncRead(2); // what was there before the end is still there
        client->asyncRead(3); // and this one finds the end
        QVERIFY(tc.recorder.waitFor(ClientEvent::Disconnected, round));
        QCOMPARE(tc.recorder.count(ClientEvent::Message), 2 * round);
    }
    QList<QByteArray> messages;
    QList<QVariant> cookies;
    for (int round = 1; round <= 3; ++round) {
        messages += { "first"_ba, "second"_ba };
        cookies += { 1, 2 }; // a request ends with its session
    }
    QCOMPARE(tc.recorder.messages(), messages);
    QCOMPARE(tc.recorder.cookies(ClientEvent::Message), cookies);
}

/// A server that ends each session at once, and the times that a client takes to come again.
static QList<qint64> pausesBetweenSessions(int sessions, int shortest, int longest, bool good)
{
    QElapsedTimer clock;
    clock.start();
    QList<qint64> pauses;
    qint64 end = 0;
    TestServer ts(ServerRecorder::CountOnly);
    ts.recorder.onConnected() = [good](const NamedPipeServerConnectionPtr &connection) {
        if (good)
            connection->asyncWrite("hello"_ba);
        connection->asyncClose(NamedPipe::SendPending);
    };
    TestClient tc(ClientRecorder::CountOnly);
    tc.recorder.onConnected() = [&](NamedPipeClientConnection &) {
        if (end > 0)
            pauses.append(clock.elapsed() - end);
    };
    tc.recorder.onDisconnected() = [&](NamedPipeClientConnection &) { end = clock.elapsed(); };
    tc.manager.setAutoReconnect(true);
    tc.manager.setMinimumReconnectDelay(shortest);
    tc.manager.setMaximumReconnectDelay(longest);
    if (!ts.start())
        return {};
    const auto client = tc.dial(ts.name());
    waitUntil([&] { return pauses.size() == sessions; });
    return pauses;
}

static QByteArray asText(const QList<qint64> &numbers)
{
    QByteArray text;
    for (const qint64 number : numbers)
        text += QByteArray::number(number) + ' ';
    return text;
}

void tst_ClientReconnect::delaysGrowAndAreBounded()
{
    if (const auto meaningful = PlatformFlags::timingIsMeaningful(); !meaningful)
        SKIP_BECAUSE(meaningful.reason);
    const QList<qint64> pauses = pausesBetweenSessions(10, 20, 160, false);
    QCOMPARE(pauses.size(), 10);
    const QByteArray all = asText(pauses);
    constexpr int slack = 2000; // of a busy machine; without the bound the tenth takes five seconds
    for (const qint64 pause : pauses) {
        QVERIFY2(pause >= 8, all.constData());
        QVERIFY2(pause <= 160 + slack, all.constData());
    }
    // However much of a delay is left to chance, the last ones are longer than the first was meant.
    for (qsizetype late = 4; late < 10; ++late)
        QVERIFY2(pauses.at(late) > 40, all.constData());
    QVERIFY2(pauses.constFirst() <= 20 + slack, all.constData());
}

void tst_ClientReconnect::goodSessionResetsTheDelays()
{
    if (const auto meaningful = PlatformFlags::timingIsMeaningful(); !meaningful)
        SKIP_BECAUSE(meaningful.reason);
    const QList<qint64> pauses = pausesBetweenSessions(12, 10, 10'000, true);
    QCOMPARE(pauses.size(), 12); // otherwise the twelfth alone takes five seconds
    for (const qint64 pause : pauses)
        QVERIFY2(pause <= 10 + 2000, asText(pauses).constData());
}

void tst_ClientReconnect::throwingSlotDoesNotEndTheReconnecting_data()
{
    QTest::addColumn<ClientEvent::Kind>("kind");
    QTest::addColumn<int>("workers");
    for (const int workers : { 1, 2 }) {
        QTest::addRow("connected, %d workers", workers) << ClientEvent::Connected << workers;
        QTest::addRow("messageReceived, %d workers", workers) << ClientEvent::Message << workers;
        QTest::addRow("messageSent, %d workers", workers) << ClientEvent::Sent << workers;
        QTest::addRow("disconnected, %d workers", workers) << ClientEvent::Disconnected << workers;
        QTest::addRow("errorOccurred, %d workers", workers) << ClientEvent::Error << workers;
    }
}

void tst_ClientReconnect::throwingSlotDoesNotEndTheReconnecting()
{
    QFETCH(ClientEvent::Kind, kind);
    QFETCH(int, workers);
    std::atomic<int> thrown { 0 };
    TestServer ts(ServerRecorder::CountOnly);
    echo(ts.recorder);
    TestClient tc;
    tc.recorder.onAny() = [&](NamedPipeClientConnection &client, ClientEvent::Kind here) {
        if (here == ClientEvent::Connected)
            client.asyncWrite("hello"_ba);
        if (here == kind && thrown < 3) {
            ++thrown;
            throw std::runtime_error("a slot of the user");
        }
    };
    quickly(tc, true);
    tc.manager.setNumThreadsIOCP(workers);
    if (kind != ClientEvent::Error)
        QVERIFY(ts.start());
    const auto client = tc.dial(ts.name());
    if (kind == ClientEvent::Error) {
        // There is no server. Each slot that throws ends its try, of which the second and the fourth
        // error tell; a server that comes before would find its session ended by the third.
        QVERIFY(tc.recorder.waitFor(ClientEvent::Error, 4));
        QCOMPARE(thrown, 3);
        QVERIFY(ts.start());
    }
    for (int session = 1; session < 4 && kind == ClientEvent::Disconnected; ++session) {
        QVERIFY(tc.recorder.waitFor(ClientEvent::Message, session));
        for (const auto &connection : ts.server.connections())
            connection->asyncClose();
    }
    // However often it was thrown: in the end there is a session that is left in peace.
    const int sessions = kind == ClientEvent::Error ? 1 : 4;
    QVERIFY(tc.recorder.waitFor(ClientEvent::Connected, sessions));
    QVERIFY(waitUntil([&] { return !client->isOpening(); }));
    const int echoes = tc.recorder.count(ClientEvent::Message);
    QVERIFY(waitUntil([&] { return client->asyncWrite("still there"_ba, u"last"_s); }));
    QVERIFY(tc.recorder.waitFor(ClientEvent::Message, echoes + 1));
    QVERIFY(client->isConnected());
    QCOMPARE(tc.recorder.count(ClientEvent::Connected), sessions);
    QCOMPARE(tc.recorder.count(ClientEvent::Disconnected), sessions - 1);
    if (kind == ClientEvent::Connected || kind == ClientEvent::Message || kind == ClientEvent::Sent)
        QCOMPARE(tc.recorder.errors().count(NamedPipe::SystemError), 3);
}

void tst_ClientReconnect::stopInASlotIsFinal_data()
{
    QTest::addColumn<ClientEvent::Kind>("kind");
    QTest::addColumn<bool>("freeThreaded");
    for (const bool freeThreaded : { false, true }) {
        const char *const mode = freeThreaded ? "free-threaded" : "marshalled";
        QTest::addRow("connected, %s", mode) << ClientEvent::Connected << freeThreaded;
        QTest::addRow("messageReceived, %s", mode) << ClientEvent::Message << freeThreaded;
        QTest::addRow("disconnected, %s", mode) << ClientEvent::Disconnected << freeThreaded;
        QTest::addRow("errorOccurred, %s", mode) << ClientEvent::Error << freeThreaded;
    }
}

void tst_ClientReconnect::stopInASlotIsFinal()
{
    QFETCH(ClientEvent::Kind, kind);
    QFETCH(bool, freeThreaded);
    std::atomic<int> calls { 0 };
    TestServer ts(ServerRecorder::CountOnly);
    ts.recorder.onConnected() = [](const NamedPipeServerConnectionPtr &connection) {
        connection->asyncWrite("hello"_ba);
    };
    TestClient tc;
    tc.recorder.onAny() = [&](NamedPipeClientConnection &, ClientEvent::Kind here) {
        if (here == kind && calls++ == 0)
            tc.manager.stop();
    };
    quickly(tc, freeThreaded);
    if (kind != ClientEvent::Error)
        QVERIFY(ts.start());
    const auto client = tc.dial(ts.name());
    if (kind == ClientEvent::Disconnected) {
        QVERIFY(tc.recorder.waitFor(ClientEvent::Message));
        ts.server.stop();
    }
    QVERIFY(waitUntil([&] { return calls >= 1; }));
    QVERIFY(waitUntil([&] { return !client->isOpening(); }));
    QVERIFY(ts.start());
    const int sessions = tc.recorder.count(ClientEvent::Connected);
    watchFor();
    QVERIFY(tc.recorder.count(ClientEvent::Connected) <= sessions + 0);
    QCOMPARE(tc.recorder.count(ClientEvent::Disconnected), sessions);
    QCOMPARE(ts.server.connectionCount(), 0);
    QVERIFY(!client->isOpening());
    QVERIFY(!client->isConnected());
}

QTEST_GUILESS_MAIN(tst_ClientReconnect)
#include "tst_client_reconnect.moc"
