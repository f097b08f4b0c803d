// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "childprocess.h"
#include "payload.h"
#include "platformflags.h"
#include "processfacts.h"
#include "stress.h"
#include "testclient.h"
#include "testserver.h"

#include <QtCore/qset.h>
#include <QtTest/QtTest>

using namespace Qt::StringLiterals;

/// The client and its server in different processes, one of which crashes.
class tst_ClientProcess : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void serverInAnotherProcessIsKnown();
    void killedServerIsFoundAgain_data();
    void killedServerIsFoundAgain();
    void serverKilledWhileItSpeaks_data();
    void serverKilledWhileItSpeaks();
    void killedServerIsNoHangForPendingWrites();
    void leftoversOfAKilledServerAreNoServer();
    void clientKilledWhileDialingHarmsNobody();

private:
    static void addThreadingRows();
};

void tst_ClientProcess::addThreadingRows()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::newRow("marshalled") << false;
    QTest::newRow("free-threaded") << true;
}

void tst_ClientProcess::serverInAnotherProcessIsKnown()
{
    const QString name = scratchName();
    ChildProcess server({ u"serve"_s, name });
    QVERIFY(server.waitForOutput("serving"));
    TestClient tc;
    tc.manager.setServerAccess(NamedPipe::CurrentUser);
    const auto client = tc.connectTo(name);
    QVERIFY(client);
    QCOMPARE(client->serverProcessId(), server.processId());
    QCOMPARE(client->serverUserId(), ProcessFacts::userId());
    const int count = scaled(500, 50);
    for (int number = 0; number < count; ++number)
        QVERIFY(client->asyncWrite(numbered(number) + payload(number % 3000), number));
    QVERIFY(tc.recorder.waitFor(ClientEvent::Message, count));
    const QList<QByteArray> echoes = tc.recorder.messages();
    for (int number = 0; number < count; ++number)
        QCOMPARE(echoes.at(number), numbered(number) + payload(number % 3000));
    server.closeInput(); // an orderly end
    QVERIFY(tc.recorder.waitFor(ClientEvent::Disconnected));
    QCOMPARE(client->closeReason(), NamedPipe::ClosedByServer);
    QCOMPARE(tc.recorder.errors(), QList<NamedPipe::Error>());
    QVERIFY(server.waitForEnd());
}

void tst_ClientProcess::killedServerIsFoundAgain_data()
{
    addThreadingRows();
}

void tst_ClientProcess::killedServerIsFoundAgain()
{
    QFETCH(bool, freeThreaded);
    const QString name = scratchName();
    int next = 0; // the slots of one connection do not run at the same time
    std::atomic<int> accepted { 0 };
    TestClient tc;
    tc.recorder.onConnected() = [&](NamedPipeClientConnection &client) {
        for (int count = 0; count < 10; ++count, ++next)
            accepted += client.asyncWrite(numbered(next), next) ? 1 : 0;
    };
    tc.manager.setAutoReconnect(true);
    tc.manager.setMinimumReconnectDelay(5);
    tc.manager.setMaximumReconnectDelay(50);
    tc.manager.setFreeThreadingEvents(freeThreaded);
    const auto client = tc.dial(name); // before there is a server
    const int rounds = scaled(20, 3);
    for (int round = 1; round <= rounds; ++round) {
        ChildProcess server({ u"serve"_s, name });
        QVERIFY(server.waitForOutput("serving"));
        QVERIFY(tc.recorder.waitFor(ClientEvent::Message, 10 * round));
        QVERIFY(waitUntil([&] { return client->serverProcessId() == server.processId(); }));
        QVERIFY(server.kill());
        QVERIFY(tc.recorder.waitFor(ClientEvent::Disconnected, round));
    }
    tc.manager.stop();
    // A client that is as quick as this one may get hold of a server that is about to go.
    QVERIFY(tc.recorder.count(ClientEvent::Connected) >= rounds);
    QCOMPARE(tc.recorder.count(ClientEvent::Disconnected),
             tc.recorder.count(ClientEvent::Connected));
    QCOMPARE(tc.recorder.count(ClientEvent::Sent) + tc.recorder.count(ClientEvent::NotSent),
             accepted.load());
    const QList<QByteArray> echoes = tc.recorder.messages();
    QCOMPARE(echoes.size(), 10 * rounds);
    int previous = -1;
    for (const QByteArray &echo : echoes) { // none twice
        QVERIFY(numberOf(echo) > previous);
        previous = numberOf(echo);
    }
    for (const NamedPipe::Error error : tc.recorder.errors())
        QVERIFY2(error == NamedPipe::NotFound || error == NamedPipe::ConnectionBroken
                         || error == NamedPipe::NotConnected,
                 qPrintable(tc.recorder.texts().join(u'\n')));
}

void tst_ClientProcess::serverKilledWhileItSpeaks_data()
{
    addThreadingRows();
}

void tst_ClientProcess::serverKilledWhileItSpeaks()
{
    QFETCH(bool, freeThreaded);
    const QString name = scratchName();
    ChildProcess server({ u"die-serving"_s, name });
    QVERIFY(server.waitForOutput("serving"));
    TestClient tc;
    tc.manager.setFreeThreadingEvents(freeThreaded);
    tc.manager.setContinuouslyReadFromPipe(false); // so that the server cannot finish
    const auto client = tc.connectTo(name);
    QVERIFY(client);
    QVERIFY(client->asyncWrite("hello"_ba));
    client->asyncRead(1);
    QVERIFY(tc.recorder.waitFor(ClientEvent::Message));
    QVERIFY(client->asyncWrite("die talking"_ba));
    QVERIFY(server.waitForEnd());
    client->asyncRead(2);
    QVERIFY(tc.recorder.waitFor(ClientEvent::Disconnected));
    QCOMPARE(tc.recorder.messages(), QList { "hello"_ba }); // a part of a message is no message
    if (!PlatformFlags::runningOnWindows()) { // there the system drops a torn message silently
        QCOMPARE(tc.recorder.errors(), QList { NamedPipe::TruncatedMessage });
        QCOMPARE(client->closeReason(), NamedPipe::Failed);
    }
}

void tst_ClientProcess::killedServerIsNoHangForPendingWrites()
{
    const QString name = scratchName();
    ChildProcess server({ u"serve"_s, name });
    QVERIFY(server.waitForOutput("serving"));
    TestClient tc;
    tc.manager.setContinuouslyReadFromPipe(false); // the echoes block the server, and it blocks us
    const auto client = tc.connectTo(name);
    QVERIFY(client);
    constexpr int count = 60;
    for (int number = 0; number < count; ++number)
        QVERIFY(client->asyncWrite(payload(1'000'000), number));
    QVERIFY(tc.recorder.waitFor(ClientEvent::Sent));
    QVERIFY(server.kill());
    client->asyncRead();
    for (int number = 0; number < count; ++number)
        client->asyncRead();
    QVERIFY(tc.recorder.waitFor(ClientEvent::Disconnected));
    QCOMPARE(tc.recorder.count(ClientEvent::Sent) + tc.recorder.count(ClientEvent::NotSent), count);
    QCOMPARE(client->bytesToWrite(), 0);
}

void tst_ClientProcess::leftoversOfAKilledServerAreNoServer()
{
    const QString name = scratchName();
    {
        ChildProcess server({ u"serve"_s, name });
        QVERIFY(server.waitForOutput("serving"));
        QVERIFY(server.kill());
    }
    TestClient tc;
    const auto client = tc.dial(name);
    QVERIFY(tc.recorder.waitFor(ClientEvent::Error));
    QCOMPARE(tc.recorder.errors(), QList { NamedPipe::NotFound });
    QCOMPARE(client->closeReason(), NamedPipe::Failed);
    tc.manager.setWaitForServer(true); // and one that waits for a server does not take it for one
    tc.manager.setConnectTimeout(int(patience.count()));
    const auto patient = tc.dial(name);
    watchFor();
    QVERIFY(patient->isOpening());
    ChildProcess server({ u"serve"_s, name });
    QVERIFY(tc.recorder.waitFor(ClientEvent::Connected));
    QCOMPARE(tc.recorder.count(ClientEvent::Error), 1);
}

void tst_ClientProcess::clientKilledWhileDialingHarmsNobody()
{
    TestServer ts(ServerRecorder::CountOnly);
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &data) { connection->asyncWrite(data); };
    ts.server.setMaxConnections(2);
    ts.server.setListenBacklogSize(2);
    QVERIFY(ts.start());
    TestClient tc;
    tc.manager.setConnectTimeout(int(patience.count()));
    const auto good = tc.connectTo(ts.name());
    QVERIFY(good);
    const int rounds = scaled(5, 2);
    int echoes = 0;
    for (int round = 0; round < rounds; ++round) {
        {
            ChildProcess dialing({ u"dial"_s, ts.name(), u"20"_s }); // one gets in, some may wait
            QVERIFY(dialing.waitForOutput("dialing"));
            QVERIFY(waitUntil([&] { return ts.server.connectionCount() == 2; }));
            QVERIFY(dialing.kill());
        }
        QVERIFY(good->asyncWrite(numbered(echoes)));
        QVERIFY(tc.recorder.waitFor(ClientEvent::Message, ++echoes));
        const auto another = tc.connectTo(ts.name()); // there is room again
        QVERIFY(another);
        QVERIFY(another->asyncWrite(numbered(echoes)));
        QVERIFY(tc.recorder.waitFor(ClientEvent::Message, ++echoes));
        another->asyncClose();
        QVERIFY(waitUntil([&] { return ts.server.connectionCount() == 1; }));
    }
    QVERIFY(good->isConnected());
    QCOMPARE(tc.recorder.errors(), QList<NamedPipe::Error>());
    QCOMPARE(ts.recorder.count(ServerEvent::ServerError), 0);
    QVERIFY(waitUntil([&] {
        return ts.recorder.count(ServerEvent::Connected)
                == ts.recorder.count(ServerEvent::Disconnected) + 1;
    }));
}

QTEST_GUILESS_MAIN(tst_ClientProcess)
#include "tst_client_process.moc"
