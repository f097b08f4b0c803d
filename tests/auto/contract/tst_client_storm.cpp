// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "platformflags.h"
#include "processfacts.h"
#include "stress.h"
#include "testclient.h"
#include "testserver.h"

#include <QtCore/qelapsedtimer.h>
#include <QtCore/qeventloop.h>
#include <QtCore/qset.h>
#include <QtTest/QtTest>

#include <atomic>
#include <thread>

using namespace Qt::StringLiterals;

/// Very many clients at once, who come and go as they like, and a server that does the same.
class tst_ClientStorm : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void everyClientOfACrowdGetsIn_data();
    void everyClientOfACrowdGetsIn();
    void crowdsOfManyManagersGetIn_data();
    void crowdsOfManyManagersGetIn();
    void connectAndCloseStormHarmsNobody_data();
    void connectAndCloseStormHarmsNobody();
    void clientsBeyondTheLimitAreServedLater_data();
    void clientsBeyondTheLimitAreServedLater();
    void clientsBeyondTheLimitDoNotWaitForEver();
    void serverThatComesAndGoesIsWaitedFor_data();
    void serverThatComesAndGoesIsWaitedFor();
    void serverThatComesAndGoesIsFoundOrNot();

private:
    /// Time enough for any surroundings: here it matters who gets in, not how soon.
    static constexpr int ampleTimeout = 120'000;

    static void echo(ServerRecorder &recorder)
    {
        recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                  const QByteArray &data) { connection->asyncWrite(data); };
    }
    // A recorder's own report belongs on the thread of the test.
    static QString reportOf(ClientRecorder &recorder)
    {
        const QString report = recorder.violations().join(u'\n');
        recorder.ignoreViolations();
        return report;
    }
    struct Storm
    {
        int sessions = 0;
        int ends = 0;
        QSet<NamedPipe::Error> errors;
        QString report;
    };
    static Storm storm(const QString &name, bool freeThreaded, const std::atomic<bool> &over);
    /// What a client may meet that was connected: its server has gone, perhaps before it knew.
    static inline const QSet<NamedPipe::Error> lossOfServer { NamedPipe::ConnectionBroken,
                                                              NamedPipe::NotConnected };
    struct Visits
    {
        int echoes = 0;
        bool hangs = false;
        QSet<NamedPipe::Error> dialErrors;
        QSet<NamedPipe::Error> sessionErrors;
        QString report;
    };
    static Visits visit(const QString &name, bool waitForServer, const std::atomic<bool> &over);
};

void tst_ClientStorm::everyClientOfACrowdGetsIn_data()
{
    QTest::addColumn<int>("backlog");
    QTest::addColumn<bool>("freeThreaded");
    for (const int backlog : { 1, 16 }) {
        QTest::addRow("backlog of %d, marshalled", backlog) << backlog << false;
        QTest::addRow("backlog of %d, free-threaded", backlog) << backlog << true;
    }
}

void tst_ClientStorm::everyClientOfACrowdGetsIn()
{
    QFETCH(int, backlog);
    QFETCH(bool, freeThreaded);
    const int clients = scaled(500, 40);
    QVERIFY(ProcessFacts::allowHandles(2 * clients + 100)); // both ends are here
    TestServer ts(ServerRecorder::CountOnly);
    echo(ts.recorder);
    ts.server.setListenBacklogSize(backlog);
    ts.server.setFreeThreadingEvents(freeThreaded);
    QVERIFY(ts.start());
    TestClient tc;
    tc.recorder.onConnected() = [](NamedPipeClientConnection &client) {
        client.asyncWrite(numbered(client.customData().toInt()));
    };
    tc.manager.setConnectTimeout(ampleTimeout);
    tc.manager.setFreeThreadingEvents(freeThreaded);
    tc.manager.setNumThreadsIOCP(2);
    std::vector<NamedPipeClientConnectionPtr> crowd;
    for (int number = 0; number < clients; ++number) {
        crowd.push_back(
                tc.manager.connectToServer(ts.name(),
                                           [&](const NamedPipeClientConnectionPtr &connection) {
                                               connection->setCustomData(number);
                                               tc.recorder.watch(connection, tc.manager);
                                           }));
    }
    QVERIFY(tc.recorder.waitFor(ClientEvent::Message, clients, 4 * patience));
    QCOMPARE(tc.recorder.errors(), QList<NamedPipe::Error>());
    QCOMPARE(tc.recorder.count(ClientEvent::Disconnected), 0);
    for (int number = 0; number < clients; ++number)
        QCOMPARE(tc.recorder.messagesOf(number), QList { numbered(number) });
    QCOMPARE(tc.manager.connectionCount(), clients);
    QCOMPARE(ts.server.connectionCount(), clients); // all of them at once
    crowd.clear();
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected, clients));
    QCOMPARE(ts.recorder.count(ServerEvent::ClientError), 0);
    QCOMPARE(ts.recorder.count(ServerEvent::ServerError), 0);
}

void tst_ClientStorm::crowdsOfManyManagersGetIn_data()
{
    everyClientOfACrowdGetsIn_data();
}

void tst_ClientStorm::crowdsOfManyManagersGetIn()
{
    QFETCH(int, backlog);
    QFETCH(bool, freeThreaded);
    constexpr int managers = 8;
    const int clients = scaled(60, 5);
    TestServer ts(ServerRecorder::CountOnly);
    echo(ts.recorder);
    ts.server.setListenBacklogSize(backlog);
    ts.server.setNumThreadsIOCP(2);
    QVERIFY(ts.start());
    std::atomic<int> done { 0 };
    std::vector<std::future<QString>> tasks;
    for (int manager = 0; manager < managers; ++manager) {
        tasks.push_back(runClient([&, manager, freeThreaded] {
            const QEventLoop loop; // gives the thread its events
            TestClient tc;
            tc.recorder.onConnected() = [manager](NamedPipeClientConnection &client) {
                client.asyncWrite(numbered(manager));
            };
            tc.manager.setConnectTimeout(ampleTimeout);
            tc.manager.setFreeThreadingEvents(freeThreaded);
            std::vector<NamedPipeClientConnectionPtr> crowd;
            for (int client = 0; client < clients; ++client)
                crowd.push_back(tc.dial(ts.name()));
            tc.recorder.waitFor(ClientEvent::Message, clients, 4 * patience);
            ++done;
            if (!waitUntil([&] { return done == managers; }, 4 * patience))
                return u"others have not finished"_s; // all of them at once
            if (tc.recorder.messages() != QList<QByteArray>(clients, numbered(manager)))
                return u"%1 of %2 have an answer"_s.arg(tc.recorder.count(ClientEvent::Message))
                        .arg(clients);
            if (tc.recorder.count(ClientEvent::Error) > 0)
                return tc.recorder.texts().constFirst();
            return reportOf(tc.recorder);
        }));
    }
    for (auto &task : tasks) {
        QVERIFY(waitForTask(task, 5 * patience));
        QCOMPARE(task.get(), QString());
    }
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected, managers * clients));
    QCOMPARE(ts.recorder.count(ServerEvent::Connected), managers * clients);
    QCOMPARE(ts.recorder.count(ServerEvent::ClientError), 0);
}

/// Clients who leave in every way and at every moment.
tst_ClientStorm::Storm tst_ClientStorm::storm(const QString &name, bool freeThreaded,
                                              const std::atomic<bool> &over)
{
    const QEventLoop loop; // gives the thread its events
    Storm result;
    TestClient tc;
    tc.manager.setConnectTimeout(ampleTimeout);
    tc.manager.setFreeThreadingEvents(freeThreaded);
    for (int number = 0; !over; ++number) {
        NamedPipeClientConnectionPtr client = tc.dial(name);
        switch (number % 6) {
        case 0: // before anything has happened
            client->asyncClose();
            break;
        case 1:
            client.reset();
            break;
        case 2: // as soon as it is connected, which its own thread may not know
            waitWithoutEvents([&] { return client->isConnected(); });
            client->asyncClose();
            break;
        case 3:
            waitUntil([&] { return !client->isOpening(); });
            client->asyncWrite("storm"_ba);
            client.reset();
            break;
        case 4:
            waitUntil([&] { return !client->isOpening(); });
            client->asyncWrite(payload(200'000));
            client->asyncClose();
            break;
        case 5:
            tc.manager.stop();
            break;
        }
        watchFor(std::chrono::milliseconds(0));
    }
    tc.manager.stop();
    for (const NamedPipe::Error error : tc.recorder.errors())
        result.errors.insert(error);
    result.sessions = tc.recorder.count(ClientEvent::Connected);
    result.ends = tc.recorder.count(ClientEvent::Disconnected);
    result.report = reportOf(tc.recorder);
    return result;
}

void tst_ClientStorm::connectAndCloseStormHarmsNobody_data()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::newRow("marshalled") << false;
    QTest::newRow("free-threaded") << true;
}

void tst_ClientStorm::connectAndCloseStormHarmsNobody()
{
    QFETCH(bool, freeThreaded);
    std::atomic<bool> over { false };
    TestServer ts(ServerRecorder::CountOnly);
    echo(ts.recorder);
    ts.server.setListenBacklogSize(4);
    ts.server.setNumThreadsIOCP(2);
    QVERIFY(ts.start());
    TestClient good;
    const auto client = good.connectTo(ts.name());
    QVERIFY(client);
    std::vector<std::future<Storm>> tasks;
    for (int thread = 0; thread < 3; ++thread)
        tasks.push_back(runClient([&] { return storm(ts.name(), freeThreaded, over); }));
    const int count = scaled(4000, 200);
    bool ok = true;
    for (int number = 0; ok && number < count; ++number) {
        ok = client->asyncWrite(numbered(number))
                && good.recorder.waitFor(ClientEvent::Message, number + 1);
    }
    over = true;
    for (auto &task : tasks) {
        QVERIFY(waitForTask(task));
        const Storm result = task.get();
        QCOMPARE(result.report, QString());
        QVERIFY(result.ends <= result.sessions); // a dropped pointer hears nothing any more
        QCOMPARE(result.errors, QSet<NamedPipe::Error>());
    }
    QVERIFY(ok);
    const QList<QByteArray> echoes = good.recorder.messages();
    for (int number = 0; number < count; ++number)
        QCOMPARE(numberOf(echoes.at(number)), number);
    QVERIFY(waitUntil([&] { return ts.server.connectionCount() == 1; }));
    QVERIFY(waitUntil([&] {
        return ts.recorder.count(ServerEvent::Connected)
                == ts.recorder.count(ServerEvent::Disconnected) + 1;
    }));
    QCOMPARE(ts.recorder.count(ServerEvent::ServerError), 0);
    QVERIFY(client->isConnected());
}

void tst_ClientStorm::clientsBeyondTheLimitAreServedLater_data()
{
    connectAndCloseStormHarmsNobody_data();
}

void tst_ClientStorm::clientsBeyondTheLimitAreServedLater()
{
    QFETCH(bool, freeThreaded);
    constexpr int limit = 3;
    const int clients = scaled(30, 8);
    std::atomic<int> most { 0 };
    TestServer ts(ServerRecorder::CountOnly);
    echo(ts.recorder);
    ts.recorder.onConnected() = [&](const auto &) {
        const int now = ts.server.connectionCount();
        int before = most;
        while (now > before && !most.compare_exchange_weak(before, now)) { }
    };
    ts.server.setFreeThreadingEvents(freeThreaded);
    ts.server.setMaxConnections(limit);
    ts.server.setListenBacklogSize(2);
    QVERIFY(ts.start());
    TestClient tc;
    tc.recorder.onConnected() = [](NamedPipeClientConnection &client) {
        client.asyncWrite("let me in"_ba);
    };
    tc.recorder.onMessage() = [](NamedPipeClientConnection &client, const auto &, const auto &) {
        client.asyncClose(); // room for the next
    };
    tc.manager.setFreeThreadingEvents(freeThreaded);
    tc.manager.setConnectTimeout(ampleTimeout);
    std::vector<NamedPipeClientConnectionPtr> crowd;
    for (int client = 0; client < clients; ++client)
        crowd.push_back(tc.dial(ts.name()));
    QVERIFY(tc.recorder.waitFor(ClientEvent::Disconnected, clients, 4 * patience));
    QCOMPARE(tc.recorder.count(ClientEvent::Message), clients);
    QCOMPARE(tc.recorder.errors(), QList<NamedPipe::Error>());
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected, clients));
    QVERIFY2(most <= limit, qPrintable(u"%1 at a time"_s.arg(most.load())));
}

void tst_ClientStorm::clientsBeyondTheLimitDoNotWaitForEver()
{
    TestServer ts(ServerRecorder::CountOnly);
    echo(ts.recorder);
    ts.server.setMaxConnections(1);
    ts.server.setListenBacklogSize(2);
    QVERIFY(ts.start());
    TestClient first;
    auto inside = first.connectTo(ts.name());
    QVERIFY(inside);
    TestClient tc;
    constexpr int clients = 8; // more than a backlog of two can hold
    tc.manager.setConnectTimeout(300);
    std::vector<NamedPipeClientConnectionPtr> crowd;
    for (int client = 0; client < clients; ++client)
        crowd.push_back(tc.dial(ts.name()));
    QVERIFY(waitUntil([&] {
        return tc.recorder.count(ClientEvent::Connected) + tc.recorder.count(ClientEvent::Error)
                == clients;
    }));
    // Some are connected for all that they can tell, and wait: on Linux as many as fit into the
    // backlog, on Windows one, in the instance that keeps the name. The others find it busy.
    const int waiting = tc.recorder.count(ClientEvent::Connected);
    QVERIFY2(waiting > 0 && waiting < clients, qPrintable(QString::number(waiting)));
    if (PlatformFlags::runningOnWindows())
        QCOMPARE(waiting, 1);
    QCOMPARE(tc.recorder.errors(),
             QList<NamedPipe::Error>(clients - waiting, NamedPipe::ConnectTimeout));
    QCOMPARE(ts.server.connectionCount(), 1);
    for (const auto &client : crowd) {
        QVERIFY(!client->isOpening());
        if (client->isConnected())
            QVERIFY(client->asyncWrite("when you have time"_ba));
        else
            QCOMPARE(client->closeReason(), NamedPipe::Failed);
    }
    watchFor();
    QCOMPARE(tc.recorder.count(ClientEvent::Message), 0);
    QCOMPARE(ts.server.connectionCount(), 1);
    inside.reset();
    for (int served = 1; served <= waiting; ++served) { // one after the other
        QVERIFY(tc.recorder.waitFor(ClientEvent::Message, served));
        QCOMPARE(ts.server.connectionCount(), 1);
        const QList<ClientEvent> events = tc.recorder.events();
        crowd.at(size_t(events.constLast().client))->asyncClose();
    }
    QCOMPARE(tc.recorder.count(ClientEvent::Error), clients - waiting);
}

/// A client comes, says something, hears it again or loses the server, and comes again.
tst_ClientStorm::Visits tst_ClientStorm::visit(const QString &name, bool waitForServer,
                                               const std::atomic<bool> &over)
{
    const QEventLoop loop; // gives the thread its events
    Visits result;
    std::atomic<bool> wasConnected { false };
    TestClient tc(ClientRecorder::CountOnly);
    tc.recorder.onConnected() = [&](NamedPipeClientConnection &client) {
        wasConnected = true;
        client.asyncWrite("hello"_ba);
    };
    tc.recorder.onError() = [&](NamedPipeClientConnection &, NamedPipe::Error error) {
        (wasConnected ? result.sessionErrors : result.dialErrors).insert(error);
    };
    tc.manager.setWaitForServer(waitForServer);
    tc.manager.setConnectTimeout(waitForServer ? ampleTimeout : 5000);
    while (!over && !result.hangs) {
        wasConnected = false;
        const int echoes = tc.recorder.count(ClientEvent::Message);
        const int ends = tc.recorder.count(ClientEvent::Disconnected);
        const int errors = tc.recorder.count(ClientEvent::Error);
        const auto client = tc.dial(name);
        result.hangs = !waitUntil(
                [&] {
                    return tc.recorder.count(ClientEvent::Message) > echoes
                            || tc.recorder.count(ClientEvent::Disconnected) > ends
                            || (!wasConnected && tc.recorder.count(ClientEvent::Error) > errors);
                },
                2 * patience);
    }
    result.echoes = tc.recorder.count(ClientEvent::Message);
    tc.manager.stop();
    result.report = reportOf(tc.recorder);
    return result;
}

void tst_ClientStorm::serverThatComesAndGoesIsWaitedFor_data()
{
    connectAndCloseStormHarmsNobody_data();
}

void tst_ClientStorm::serverThatComesAndGoesIsWaitedFor()
{
    QFETCH(bool, freeThreaded); // the server
    std::atomic<bool> over { false };
    TestServer ts(ServerRecorder::CountOnly);
    echo(ts.recorder);
    ts.server.setFreeThreadingEvents(freeThreaded);
    std::vector<std::future<Visits>> tasks;
    for (int thread = 0; thread < 3; ++thread)
        tasks.push_back(runClient([&] { return visit(ts.name(), true, over); }));
    const int rounds = scaled(60, 6);
    bool ok = true;
    for (int round = 1; ok && round <= rounds; ++round) {
        ok = ts.start();
        if (round % 2 == 0) // every other time it goes at once
            ok = ok && ts.recorder.waitFor(ServerEvent::Message, 3);
        ts.server.stop();
        ts.recorder.clear();
    }
    ok = ts.start() && ok; // for those who wait for it now
    over = true;
    for (auto &task : tasks) {
        QVERIFY(waitForTask(task, 3 * patience));
        const Visits result = task.get();
        QVERIFY(!result.hangs);
        QCOMPARE(result.report, QString());
        QCOMPARE(result.dialErrors, QSet<NamedPipe::Error>());
        QVERIFY(lossOfServer.contains(result.sessionErrors));
        QVERIFY(result.echoes > 0);
    }
    QVERIFY2(ok, qPrintable(ts.server.errorString()));
}

void tst_ClientStorm::serverThatComesAndGoesIsFoundOrNot()
{
    std::atomic<bool> over { false };
    TestServer ts(ServerRecorder::CountOnly);
    echo(ts.recorder);
    std::vector<std::future<Visits>> tasks;
    for (int thread = 0; thread < 3; ++thread)
        tasks.push_back(runClient([&] { return visit(ts.name(), false, over); }));
    const int rounds = scaled(60, 6);
    bool ok = true;
    for (int round = 1; ok && round <= rounds; ++round) {
        ok = ts.start() && ts.recorder.waitFor(ServerEvent::Message, 3);
        ts.server.stop();
        ts.recorder.clear();
    }
    over = true;
    for (auto &task : tasks) {
        QVERIFY(waitForTask(task, 3 * patience));
        const Visits result = task.get();
        QVERIFY(!result.hangs);
        QCOMPARE(result.report, QString());
        QVERIFY(QSet { NamedPipe::NotFound }.contains(result.dialErrors)); // and nothing stranger
        QVERIFY(lossOfServer.contains(result.sessionErrors));
    }
    QVERIFY2(ok, qPrintable(ts.server.errorString()));
}

QTEST_GUILESS_MAIN(tst_ClientStorm)
#include "tst_client_storm.moc"
