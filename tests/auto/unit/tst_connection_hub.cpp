// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "fakeserver.h"
#include "payload.h"
#include "waiting.h"

#include <QtCore/qelapsedtimer.h>
#include <QtTest/QtTest>

#include <atomic>
#include <thread>

using namespace QtNamedPipes;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

/// What connections share: start and stop, turns of the event loop, places, notices.
class tst_ConnectionHub : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void readyComesBeforeTheFirstClient();
    void freeThreadedClientsAreLetInAfterReady();
    void failuresOfStartAreReturnedAndCleanedUp_data();
    void failuresOfStartAreReturnedAndCleanedUp();
    void listenerNoticesReachTheOwner_data();
    void listenerNoticesReachTheOwner();

    void oneEventIsPostedForManyCompletions();
    void slowSlotsGiveTheEventLoopItsTurns();
    void writingOnAndOnInSlotsGivesTheEventLoopItsTurns_data();
    void writingOnAndOnInSlotsGivesTheEventLoopItsTurns();
    void quietConnectionIsHeardAmongFlooders();
    void endlessFloodKeepsNobodyElseWaiting();

    void placesAreLimited();
    void placeIsFreeWithTheHandleNotWithTheEvents();
    void placesBalanceWhateverTheThreadsDo();
    void connectionsAreListedInOrderOfArrivalWhileTheyAreConnected();
    void statisticsCountClients();
};

static HubSettings settingsFor(bool freeThreaded)
{
    HubSettings settings;
    settings.freeThreaded = freeThreaded;
    return settings;
}

static HubSettings shortTurns()
{
    HubSettings settings;
    settings.slice = 1ms;
    return settings;
}

// --- Start ---

void tst_ConnectionHub::readyComesBeforeTheFirstClient()
{
    FakeServer server;
    QVERIFY(!server.hub->listen({})); // no error
    QCOMPARE(server.engine->calls(), QStringList({ u"start"_s, u"listen"_s, u"startAccepting"_s }));
    const auto client = server.connectClient(); // long before the event loop runs
    QVERIFY(client && client->receive({ "early"_ba }));
    QVERIFY(client->endReading(ReadEnd::PeerClosed));
    server.deliver();
    QCOMPARE(server.log->lines(),
             QStringList({ u"ready"_s, u"1: opened"_s, u"1: message early"_s, u"1: closed"_s }));
}

void tst_ConnectionHub::freeThreadedClientsAreLetInAfterReady()
{
    FakeServer server(settingsFor(true));
    server.log->hook = [&](const FakeEvent &event) {
        if (event.kind == FakeEvent::Ready)
            QVERIFY(!server.engine->isAccepting());
    };
    QVERIFY(!server.hub->listen({}));
    QVERIFY(!server.engine->isAccepting());
    server.engine->runTasks();
    QVERIFY(server.engine->isAccepting());
    QVERIFY(server.connectClient());
    server.engine->runTasks();
    QCOMPARE(server.log->lines(), QStringList({ u"ready"_s, u"1: opened"_s }));
}

void tst_ConnectionHub::failuresOfStartAreReturnedAndCleanedUp_data()
{
    QTest::addColumn<bool>("engineFails");
    QTest::newRow("engine") << true;
    QTest::newRow("listener") << false;
}

void tst_ConnectionHub::failuresOfStartAreReturnedAndCleanedUp()
{
    QFETCH(bool, engineFails);
    FakeServer server;
    TransportError &failure = engineFails ? server.engine->startError : server.engine->listenError;
    failure = { NamedPipe::ResourceExhausted, 23, "test", u"no more"_s };
    const TransportError error = server.hub->listen({});
    QCOMPARE(error.error, NamedPipe::ResourceExhausted);
    QCOMPARE(error.text(), u"no more (test: 23)"_s);
    QStringList calls { u"start"_s, u"listen"_s, u"shutdown"_s };
    if (engineFails)
        calls.removeAt(1);
    QCOMPARE(server.engine->calls(), calls);
    server.deliver();
    QVERIFY(server.log->events().isEmpty());
}

void tst_ConnectionHub::listenerNoticesReachTheOwner_data()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::newRow("marshalled") << false;
    QTest::newRow("free-threaded") << true;
}

void tst_ConnectionHub::listenerNoticesReachTheOwner()
{
    QFETCH(bool, freeThreaded);
    FakeServer server(settingsFor(freeThreaded));
    QVERIFY(server.start());
    server.engine->sink()->listenerFailed({ NamedPipe::ResourceExhausted, 24, "accept4", {} });
    server.engine->sink()->listenerFailed({ NamedPipe::SystemError, 99, "accept4", {} });
    QCOMPARE(server.log->lines(), QStringList({ u"ready"_s })); // not on the listener's stack
    server.deliver();
    QCOMPARE(server.log->lines(),
             QStringList({ u"ready"_s, u"server error ResourceExhausted"_s,
                           u"server error SystemError"_s }));
    QVERIFY(server.log->events().constLast().text.contains(u"accept4: 99"_s));
}

// --- Turns of the event loop ---

void tst_ConnectionHub::oneEventIsPostedForManyCompletions()
{
    FakeServer server;
    QVERIFY(server.start());
    QList<std::shared_ptr<FakeEndpoint>> clients;
    for (int i = 0; i < 20; ++i)
        clients.append(server.openClient());
    const int before = server.drainEvents();
    for (int i = 0; i < 50; ++i) {
        for (const auto &client : std::as_const(clients))
            QVERIFY(client->receive({ numbered(i) }));
    }
    QVERIFY(server.deliverOnce());
    QCOMPARE(server.drainEvents() - before, 1);
    server.deliver();
    QCOMPARE(server.log->count(FakeEvent::Message), 1000);
}

void tst_ConnectionHub::slowSlotsGiveTheEventLoopItsTurns()
{
    FakeServer server(shortTurns());
    QVERIFY(server.start());
    const auto client = server.openClient();
    server.log->hook = [](const FakeEvent &) { // 200 microseconds at least
        for (const auto end = Clock::now() + 200us; Clock::now() < end;) { }
    };
    QList<QByteArray> messages;
    for (int i = 0; i < 200; ++i)
        messages.append(numbered(i));
    QVERIFY(client->receive(messages));
    int delivered = 0;
    int turns = 0;
    while (server.deliverOnce()) {
        const int now = server.log->count(FakeEvent::Message);
        QVERIFY2(now - delivered <= 20, qPrintable(QString::number(now - delivered)));
        delivered = now;
        ++turns;
    }
    QCOMPARE(delivered, 200);
    QVERIFY(turns >= 10);
    QCOMPARE(server.log->messages(1), messages);
}

void tst_ConnectionHub::writingOnAndOnInSlotsGivesTheEventLoopItsTurns_data()
{
    QTest::addColumn<bool>("isRefused");
    QTest::newRow("the next message when one was sent") << false;
    QTest::newRow("once more when it was refused") << true;
}

void tst_ConnectionHub::writingOnAndOnInSlotsGivesTheEventLoopItsTurns()
{
    QFETCH(bool, isRefused);
    FakeServer server(shortTurns());
    QVERIFY(server.start());
    const auto client = server.openClient();
    const auto quiet = server.openClient();
    const auto connection = server.connection();
    if (isRefused)
        server.engine->maximumWrite = 1;
    int slots = 0;
    server.log->hook = [&](const FakeEvent &event) {
        if (event.kind != FakeEvent::Sent && event.kind != FakeEvent::Error)
            return;
        for (const auto end = Clock::now() + 200us; Clock::now() < end;) { }
        if (++slots < 500)
            connection->write("next"_ba, slots, false);
    };
    connection->write("first"_ba, 0, false);
    QVERIFY(quiet->receive({ "psst"_ba }));
    QVERIFY(server.deliverOnce());
    QVERIFY2(slots <= 50, qPrintable(QString::number(slots)));
    server.deliver();
    QCOMPARE(slots, 500);
    QCOMPARE(server.log->messages(2), QList<QByteArray>({ "psst"_ba }));
}

void tst_ConnectionHub::quietConnectionIsHeardAmongFlooders()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto flooder = server.openClient();
    const auto second = server.openClient();
    const auto quiet = server.openClient();
    for (int i = 0; i < 100; ++i) {
        QList<QByteArray> messages;
        for (int j = 0; j < 100; ++j)
            messages.append(numbered(100 * i + j));
        QVERIFY(flooder->receive(messages));
        QVERIFY(second->receive(messages));
    }
    QVERIFY(quiet->receive({ "psst"_ba }));
    server.deliver();
    int before = 0;
    for (const FakeEvent &event : server.log->events()) {
        if (event.data == "psst")
            break;
        before += event.kind == FakeEvent::Message ? 1 : 0;
    }
    QVERIFY2(before <= 2 * 1024, qPrintable(QString::number(before)));
    QCOMPARE(server.log->count(FakeEvent::Message), 20'001);
    for (quint64 id : { 1u, 2u }) {
        const QList<QByteArray> messages = server.log->messages(id);
        for (int i = 0; i < messages.size(); ++i)
            QCOMPARE(numberOf(messages.at(i)), i);
    }
}

void tst_ConnectionHub::endlessFloodKeepsNobodyElseWaiting()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto flooder = server.openClient();
    const auto quiet = server.openClient();
    int flood = 0;
    int atPsst = -1;
    server.log->hook = [&](const FakeEvent &event) {
        if (event.id == 1 && event.kind == FakeEvent::Message && ++flood < 100'000) {
            flooder->receive({ "x"_ba, "x"_ba }); // faster than it is delivered
            if (flood == 1000)
                QVERIFY(quiet->receive({ "psst"_ba }));
        } else if (event.data == "psst") {
            atPsst = flood;
            flood = 200'000; // enough
        }
        server.log->clear();
    };
    QVERIFY(flooder->receive({ "x"_ba }));
    server.deliver();
    // The flooder's turn that was under way, and one that it was in line for.
    QVERIFY2(atPsst > 0 && atPsst <= 1000 + 2 * 1024, qPrintable(QString::number(atPsst)));
}

// --- Places ---

void tst_ConnectionHub::placesAreLimited()
{
    HubSettings settings;
    settings.maxConnections = 2;
    FakeServer server(settings);
    QVERIFY(server.start());
    const auto first = server.openClient();
    const auto second = server.openClient();
    QVERIFY(first && second);
    QVERIFY(!server.connectClient());
    QVERIFY(first->endReading(ReadEnd::PeerClosed));
    QCOMPARE(server.engine->placesFreed(), 1);
    const auto third = server.connectClient();
    QVERIFY(third);
    QVERIFY(!server.connectClient());
    const auto sink = server.engine->sink();
    QVERIFY(second->endReading(ReadEnd::PeerClosed));
    QVERIFY(sink->reservePlace());
    QVERIFY(!sink->reservePlace());
    sink->releasePlace();
    QVERIFY(sink->reservePlace());
    sink->releasePlace();
}

void tst_ConnectionHub::placeIsFreeWithTheHandleNotWithTheEvents()
{
    HubSettings settings;
    settings.maxConnections = 1;
    FakeServer server(settings);
    QVERIFY(server.start());
    const auto first = server.connectClient();
    QVERIFY(first->endReading(ReadEnd::PeerClosed)); // however late the event loop runs
    QVERIFY(server.connectClient());
    QCOMPARE(server.log->lines(), QStringList({ u"ready"_s }));
    server.deliver();
    QCOMPARE(server.log->count(FakeEvent::Opened), 2);
}

void tst_ConnectionHub::placesBalanceWhateverTheThreadsDo()
{
    constexpr int places = 3;
    HubSettings settings;
    settings.maxConnections = places;
    FakeServer server(settings);
    QVERIFY(server.start());
    const auto sink = server.engine->sink();
    std::atomic<int> taken { 0 };
    std::atomic<int> most { 0 };
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&, i] {
            for (int round = 0; round < 500; ++round) {
                if (!sink->reservePlace())
                    continue;
                const int now = ++taken;
                for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) { }
                if ((round + i) % 3 == 0) {
                    const auto endpoint =
                            std::make_shared<FakeEndpoint>(server.engine, PeerIdentity());
                    sink->accepted(endpoint);
                    --taken; // before it can be free for another
                    endpoint->endReading(ReadEnd::PeerClosed);
                } else {
                    --taken;
                    sink->releasePlace();
                }
            }
        });
    }
    for (std::thread &thread : threads)
        thread.join();
    QVERIFY2(most <= places, qPrintable(QString::number(most)));
    for (int i = 0; i < places; ++i)
        QVERIFY(sink->reservePlace());
    QVERIFY(!sink->reservePlace());
    server.deliver();
    QCOMPARE(server.hub->statistics().connectionsAccepted,
             server.hub->statistics().connectionsClosed);
    QCOMPARE(quint64(server.log->count(FakeEvent::Closed)),
             server.hub->statistics().connectionsClosed);
    QCOMPARE(server.hub->connectionCount(), 0);
}

void tst_ConnectionHub::connectionsAreListedInOrderOfArrivalWhileTheyAreConnected()
{
    FakeServer server;
    QVERIFY(server.start());
    QList<std::shared_ptr<FakeEndpoint>> clients;
    for (int i = 0; i < 4; ++i)
        clients.append(server.connectClient());
    const auto ids = [&] {
        QList<quint64> list;
        for (const auto &connection : server.hub->connections())
            list.append(connection->id());
        return list;
    };
    QCOMPARE(ids(), QList<quint64>({ 1, 2, 3, 4 }));
    QVERIFY(clients.at(1)->endReading(ReadEnd::PeerClosed));
    clients.at(2)->hangUp();
    QCOMPARE(ids(), QList<quint64>({ 1, 4 }));
    QCOMPARE(server.hub->connectionCount(), 2);
    server.connection(0)->close(NamedPipe::CancelPending);
    QCOMPARE(ids(), QList<quint64>({ 4 }));
    QCOMPARE(server.hub->connectionCount(), 1);
}

void tst_ConnectionHub::statisticsCountClients()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    const auto other = server.openClient();
    server.engine->sink()->refused({ 1, u"stranger"_s });
    QVERIFY(client->endReading(ReadEnd::PeerClosed));
    QCOMPARE(server.hub->statistics().connectionsClosed, 0u); // not told yet
    server.deliver();
    const NamedPipe::ServerStatistics statistics = server.hub->statistics();
    QCOMPARE(statistics.connectionsAccepted, 2u);
    QCOMPARE(statistics.connectionsClosed, 1u);
    QCOMPARE(statistics.connectionsRefused, 1u);
    QCOMPARE(server.connection()->peer().processId, qint64(4711));
    QCOMPARE(server.connection()->peer().userId, u"me"_s);
}

QTEST_GUILESS_MAIN(tst_ConnectionHub)
#include "tst_connection_hub.moc"
