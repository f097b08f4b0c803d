// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "fakeserver.h"
#include "payload.h"
#include "waiting.h"

#include <QtTest/QtTest>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <utility>

using namespace QtNamedPipes;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

/// What slots may do while they are called: run event loops, delete the server, throw, take long.
class tst_PipeConnectionDelivery : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void nestedEventLoopGoesOnInOrder_data();
    void nestedEventLoopGoesOnInOrder();
    void nestedEventLoopHearsTheAnswerToAReplyWrittenBefore();
    void nestedEventLoopHearsTheAnswerWhereOneMessageIsAskedFor();
    void nestedEventLoopMayEndTheConnection();
    void nestedEventLoopsMayBeDeep();
    void closingInsideASlotDropsTheRestOfTheBatch();
    void deletingTheServerInsideAnyEventIsSafe_data();
    void deletingTheServerInsideAnyEventIsSafe();
    void deletingTheServerInsideANestedLoopIsSafe();
    void nestedLoopInTheSlotOfALargeMessageSeesTheEnd();
    void slotThatThrowsEndsItsOwnConnectionOnly_data();
    void slotThatThrowsEndsItsOwnConnectionOnly();
    void slotThatThrowsOnTheOwnersThreadLosesNoMessage();
    void slotThatThrowsOnTheOwnersThreadStopsNoReading();
    void slotThatThrowsInClosedHarmsNobody();
    void slotThatThrowsInReadyDoesNotKillTheWorker();
    void errorOfTheEndAndTheEndComeInOneTurn();
    void slotThatIsToldOfRefusalsAndWritesHearsOfTheEnd_data();
    void slotThatIsToldOfRefusalsAndWritesHearsOfTheEnd();
    void slotThatWritesOnAndOnHearsWhatArrives_data();
    void slotThatWritesOnAndOnHearsWhatArrives();
    void slotThatWritesOnAndOnOccupiesNoWorker();
    void freeThreadedEventsNeverNest();
    void freeThreadedReadingWaitsForTheSlot();
    void freeThreadedEventsOfAConnectionNeverOverlapAndKeepTheirOrder();
};

void tst_PipeConnectionDelivery::nestedEventLoopGoesOnInOrder_data()
{
    QTest::addColumn<QString>("inside"); // the event whose slot runs an event loop
    for (const char *line : { "opened", "message a", "message b", "message e", "sent #1" })
        QTest::newRow(line) << QString::fromLatin1(line);
}

void tst_PipeConnectionDelivery::nestedEventLoopGoesOnInOrder()
{
    QFETCH(QString, inside);
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.connectClient();
    const auto other = server.connectClient();
    QStringList atReturn;
    server.log->hook = [&](const FakeEvent &event) {
        if (event.id != 1 || event.line() != inside)
            return;
        // While the slot runs, more arrives; what was there and what comes is delivered inside.
        QVERIFY(client->receive({ "f"_ba, "g"_ba }));
        QVERIFY(other->receive({ "quiet"_ba }));
        server.deliver();
        atReturn = server.log->lines(1);
    };
    QVERIFY(client->receive({ "a"_ba, "b"_ba, "c"_ba }));
    QVERIFY(client->receiveWhole("d"_ba, { "e"_ba }));
    QVERIFY(server.connection()->write("out"_ba, 1, false));
    server.deliver();
    QCOMPARE(server.log->messages(1),
             QList<QByteArray>({ "a"_ba, "b"_ba, "c"_ba, "d"_ba, "e"_ba, "f"_ba, "g"_ba }));
    QCOMPARE(server.log->lines(2), QStringList({ u"opened"_s, u"message quiet"_s }));
    QCOMPARE(atReturn, server.log->lines(1)); // everything, and nothing twice
}

void tst_PipeConnectionDelivery::nestedEventLoopHearsTheAnswerToAReplyWrittenBefore()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    const auto connection = server.connection();
    client->onStartWrite = [&] { // the client answers what it is sent
        QMetaObject::invokeMethod(
                &server, [&] { client->receive({ "answer"_ba }); }, Qt::QueuedConnection);
    };
    bool heard = false;
    server.log->hook = [&](const FakeEvent &event) {
        if (event.data == "answer")
            heard = true;
        if (event.data != "ask me")
            return;
        QVERIFY(connection->write("question"_ba, {}, false)); // with more of the batch to come
        QVERIFY(waitUntil([&] { return heard; }, std::chrono::seconds(5)));
    };
    QVERIFY(client->receive({ "ask me"_ba, "more"_ba }));
    server.deliver();
    QVERIFY(heard);
}

// With more messages there that nobody has asked for: what the slot writes must not wait for them.
void tst_PipeConnectionDelivery::nestedEventLoopHearsTheAnswerWhereOneMessageIsAskedFor()
{
    FakeServer server({}, false);
    QVERIFY(server.start());
    const auto client = server.openClient();
    const auto connection = server.connection();
    bool isAnswered = false;
    server.log->hook = [&](const FakeEvent &event) {
        if (event.data != "ask me")
            return;
        QVERIFY(connection->write("question"_ba, {}, false));
        isAnswered = waitUntil([&] { return client->written().contains("question"_ba); },
                               std::chrono::seconds(5));
    };
    connection->read(1);
    QVERIFY(client->receive({ "ask me"_ba, "not asked for"_ba }));
    server.deliver();
    QVERIFY(isAnswered);
}

void tst_PipeConnectionDelivery::nestedEventLoopMayEndTheConnection()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    const auto connection = server.connection();
    bool objectWasThere = false;
    server.log->hook = [&](const FakeEvent &event) {
        if (event.data != "a")
            return;
        QVERIFY(client->endReading(ReadEnd::PeerClosed));
        server.deliver();
        QCOMPARE(server.log->lines(1).constLast(), u"closed"_s);
        // This slot has the connection in its hands still.
        objectWasThere = !connection->object().isNull();
    };
    QVERIFY(client->receive({ "a"_ba, "b"_ba }));
    server.deliver();
    QCOMPARE(server.log->lines(1),
             QStringList({ u"opened"_s, u"message a"_s, u"message b"_s, u"closed"_s }));
    QVERIFY(objectWasThere);
    QVERIFY(!connection->object());
}

void tst_PipeConnectionDelivery::nestedEventLoopsMayBeDeep()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    int depth = 0;
    int deepest = 0;
    server.log->hook = [&](const FakeEvent &event) {
        if (event.kind != FakeEvent::Message)
            return;
        deepest = qMax(deepest, ++depth);
        server.deliver();
        --depth;
    };
    QList<QByteArray> sent;
    for (int i = 0; i < 30; ++i)
        sent.append(numbered(i));
    QVERIFY(client->receive(sent));
    server.deliver();
    QCOMPARE(server.log->messages(1), sent);
    QCOMPARE(deepest, 30);
    QVERIFY(client->receive({ "after"_ba })); // and everything is in order afterwards
    server.deliver();
    QCOMPARE(server.log->messages(1).constLast(), "after"_ba);
}

void tst_PipeConnectionDelivery::closingInsideASlotDropsTheRestOfTheBatch()
{
    for (const bool freeThreaded : { false, true }) {
        HubSettings settings;
        settings.freeThreaded = freeThreaded;
        FakeServer server(settings);
        QVERIFY(server.start());
        const auto client = server.openClient();
        server.log->hook = [&](const FakeEvent &event) {
            if (event.data == "b")
                server.connection()->close(NamedPipe::CancelPending);
        };
        QVERIFY(client->receive({ "a"_ba, "b"_ba, "c"_ba, "d"_ba }));
        server.deliver();
        QCOMPARE(server.log->lines(1),
                 QStringList({ u"opened"_s, u"message a"_s, u"message b"_s, u"closed"_s }));
    }
}

// --- Deletion ---

void tst_PipeConnectionDelivery::deletingTheServerInsideAnyEventIsSafe_data()
{
    QTest::addColumn<QString>("inside");
    QTest::addColumn<bool>("freeThreaded");
    for (const bool freeThreaded : { false, true }) {
        for (const char *line :
             { "ready", "server error ResourceExhausted", "opened", "message a", "message b",
               "message d", "sent #1", "error NotConnected", "closed" }) {
            QTest::addRow("%s%s", line, freeThreaded ? ", free-threaded" : "")
                    << QString::fromLatin1(line) << freeThreaded;
        }
    }
}

void tst_PipeConnectionDelivery::deletingTheServerInsideAnyEventIsSafe()
{
    QFETCH(QString, inside);
    QFETCH(bool, freeThreaded);
    HubSettings settings;
    settings.freeThreaded = freeThreaded;
    auto server = std::make_unique<FakeServer>(settings);
    const auto log = server->log;
    const auto engine = server->engine;
    const std::weak_ptr<ConnectionHub> hub = server->hub;
    std::shared_ptr<FakeEndpoint> client;
    log->hook = [&](const FakeEvent &event) {
        if (event.line() == inside) {
            server.reset();
            log->expectSilence();
        }
    };
    const std::function<void(FakeServer &)> steps[] = {
        [](FakeServer &s) { s.start(); },
        [&](FakeServer &s) { client = s.connectClient(); },
        [](FakeServer &s) {
            s.engine->sink()->listenerFailed({ NamedPipe::ResourceExhausted, 24, "accept", {} });
        },
        [](FakeServer &s) { s.deliver(); },
        [](FakeServer &s) { s.connection()->write("out"_ba, 1, false); },
        [&](FakeServer &) {
            client->receive({ "a"_ba, "b"_ba, "c"_ba, "d"_ba });
        },
        [](FakeServer &s) { s.deliver(); },
        [&](FakeServer &) { client->hangUp(); },
        [](FakeServer &s) { s.connection()->write("late"_ba, 2, false); },
        [](FakeServer &s) { s.deliver(); },
        [&](FakeServer &) { client->endReading(ReadEnd::PeerClosed); },
        [](FakeServer &s) { s.deliver(); },
    };
    for (const auto &step : steps) {
        if (server)
            step(*server);
    }
    QVERIFY2(!server, "the event did not come");
    QVERIFY(engine->calls().contains(u"shutdown"_s));
    if (client)
        QVERIFY(client->isClosed());
    client.reset();
    QCoreApplication::sendPostedEvents();
    QVERIFY(hub.expired());
}

void tst_PipeConnectionDelivery::deletingTheServerInsideANestedLoopIsSafe()
{
    auto server = std::make_unique<FakeServer>();
    QVERIFY(server->start());
    const auto log = server->log;
    auto client = server->openClient();
    const std::weak_ptr<ConnectionHub> hub = server->hub;
    log->hook = [&](const FakeEvent &event) {
        if (event.data == "a")
            server->deliver(); // in which ...
        if (event.data == "c") {
            server.reset();
            log->expectSilence();
        }
    };
    QVERIFY(client->receive({ "a"_ba, "b"_ba, "c"_ba, "d"_ba }));
    server->deliverOnce();
    QVERIFY(!server);
    QCOMPARE(log->messages(1), QList<QByteArray>({ "a"_ba, "b"_ba, "c"_ba }));
    QVERIFY(client->isClosed());
    client.reset();
    QVERIFY(hub.expired());
}

/// It is found by the read that begins before the slot is called, which may be answered at once.
void tst_PipeConnectionDelivery::nestedLoopInTheSlotOfALargeMessageSeesTheEnd()
{
    HubSettings settings;
    settings.maximumPendingReadBytes = 1000;
    FakeServer server(settings);
    QVERIFY(server.start());
    const auto client = server.openClient();
    int endsSeen = -1;
    server.log->hook = [&](const FakeEvent &event) {
        if (event.kind != FakeEvent::Message)
            return;
        server.deliver(); // the event loop of the slot
        endsSeen = server.log->count(FakeEvent::Closed);
    };
    QVERIFY(client->receiveWhole(QByteArray(100'000, 'x')));
    QVERIFY(!client->isReading());
    client->onStartRead = [&] { client->endReading(ReadEnd::PeerClosed); };
    server.deliver();
    QCOMPARE(endsSeen, 1);
    QVERIFY(client->isClosed());
}

// --- Exceptions, free-threaded ---

static HubSettings freeThreadedSettings()
{
    HubSettings settings;
    settings.freeThreaded = true;
    return settings;
}

void tst_PipeConnectionDelivery::slotThatThrowsEndsItsOwnConnectionOnly_data()
{
    QTest::addColumn<QString>("inside");
    QTest::addColumn<bool>("isStandard");
    for (const char *line : { "opened", "message a", "sent #1", "error MessageTooLarge" }) {
        QTest::addRow("%s, std::exception", line) << QString::fromLatin1(line) << true;
        QTest::addRow("%s, an int", line) << QString::fromLatin1(line) << false;
    }
}

void tst_PipeConnectionDelivery::slotThatThrowsEndsItsOwnConnectionOnly()
{
    QFETCH(QString, inside);
    QFETCH(bool, isStandard);
    FakeServer server(freeThreadedSettings());
    server.engine->maximumWrite = 100;
    QVERIFY(server.start());
    server.log->hook = [&](const FakeEvent &event) {
        if (event.id != 1 || event.line() != inside)
            return;
        if (isStandard)
            throw std::runtime_error("the user's own fault");
        throw 42;
    };
    QTest::ignoreMessage(QtWarningMsg, QRegularExpression(u"a slot threw an exception"_s));
    const auto client = server.openClient();
    const auto other = server.openClient();
    server.connection()->write("out"_ba, 1, false);
    server.connection()->write(payload(101), 2, false);
    server.deliver();
    client->receive({ "a"_ba, "b"_ba });
    server.deliver();
    QVERIFY(client->isClosed());
    QCOMPARE(server.connection()->closeReason(), NamedPipe::Failed);
    const QList<FakeEvent> events = server.log->events();
    QCOMPARE(server.log->lines(1).constLast(), u"closed"_s);
    QString text;
    for (const FakeEvent &event : events) {
        if (event.error == NamedPipe::SystemError)
            text = event.text;
    }
    QVERIFY2(text.contains(isStandard ? u"the user's own fault"_s : u"unknown type"_s),
             qPrintable(text));

    QVERIFY(other->receive({ "still here"_ba }));
    server.deliver();
    QCOMPARE(server.log->lines(2), QStringList({ u"opened"_s, u"message still here"_s }));
}

void tst_PipeConnectionDelivery::slotThatThrowsOnTheOwnersThreadLosesNoMessage()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    const auto connection = server.connection();
    bool isThrown = false;
    server.log->hook = [&](const FakeEvent &event) {
        if (event.kind == FakeEvent::Sent && !std::exchange(isThrown, true))
            throw std::runtime_error("of a slot");
    };
    QVERIFY(connection->write("out"_ba, 1, false));
    QVERIFY(client->receive({ "in"_ba }));
    QVERIFY_THROWS_EXCEPTION(std::runtime_error, connection->deliver(nullptr, 10));
    server.deliver(); // nothing is locked
    QCOMPARE(server.log->lines(1), QStringList({ u"opened"_s, u"sent #1"_s, u"message in"_s }));
}

void tst_PipeConnectionDelivery::slotThatThrowsOnTheOwnersThreadStopsNoReading()
{
    HubSettings settings;
    settings.maximumPendingReadBytes = 1; // reading waits for the slot
    FakeServer server(settings);
    QVERIFY(server.start());
    const auto client = server.openClient();
    const auto connection = server.connection();
    server.log->hook = [&](const FakeEvent &event) {
        if (event.data != "in")
            return;
        QVERIFY(connection->write("reply"_ba, 1, false));
        throw std::runtime_error("of a slot");
    };
    QVERIFY(client->receive({ "in"_ba, "next"_ba }));
    QVERIFY(!client->isReading());
    QVERIFY_THROWS_EXCEPTION(std::runtime_error, connection->deliver(nullptr, 10));
    QCOMPARE(client->written(), QList<QByteArray>({ "reply"_ba }));
    server.deliver();
    QVERIFY(client->isReading());
    QCOMPARE(server.log->messages(1), QList<QByteArray>({ "in"_ba, "next"_ba }));
}

void tst_PipeConnectionDelivery::slotThatThrowsInClosedHarmsNobody()
{
    FakeServer server(freeThreadedSettings());
    QVERIFY(server.start());
    server.log->hook = [](const FakeEvent &event) {
        if (event.kind == FakeEvent::Closed)
            throw std::runtime_error("at the very end");
    };
    const auto client = server.openClient();
    QTest::ignoreMessage(QtWarningMsg, QRegularExpression(u"at the very end"_s));
    QVERIFY(client->endReading(ReadEnd::PeerClosed));
    server.deliver();
    QCOMPARE(server.log->lines(1), QStringList({ u"opened"_s, u"closed"_s }));
    QCOMPARE(server.hub->statistics().connectionsClosed, 1u);
}

void tst_PipeConnectionDelivery::slotThatThrowsInReadyDoesNotKillTheWorker()
{
    FakeServer server(freeThreadedSettings());
    server.log->hook = [](const FakeEvent &event) {
        if (event.kind == FakeEvent::Ready)
            throw std::runtime_error("not ready at all");
    };
    bool escaped = false;
    try {
        server.start();
    } catch (const std::runtime_error &) {
        escaped = true; // on a worker this ends the process
    }
    QVERIFY(!escaped);
    QVERIFY(server.engine->isAccepting());
}

// Or a program that waits for the error in an event loop could still write, and be told of that.
void tst_PipeConnectionDelivery::errorOfTheEndAndTheEndComeInOneTurn()
{
    HubSettings settings;
    settings.slice = 0s;
    FakeServer server(settings);
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->endReading(ReadEnd::Failed, { NamedPipe::TruncatedMessage, 0, "", {} });
    QVERIFY(server.deliverOnce());
    QCOMPARE(server.log->count(FakeEvent::Error), 1);
    QCOMPARE(server.log->lines(1).constLast(), u"closed"_s);
}

// --- Slots that bring about what they are called for ---

static void bothModes()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::addColumn<bool>("isSlow");
    QTest::newRow("marshalled") << false << false;
    QTest::newRow("free-threaded") << true << false;
    QTest::newRow("marshalled, one event a turn") << false << true;
    QTest::newRow("free-threaded, one event a turn") << true << true;
}

/// Of a row of bothModes().
static HubSettings settingsOfRow()
{
    QFETCH(bool, freeThreaded);
    QFETCH(bool, isSlow);
    HubSettings settings;
    settings.freeThreaded = freeThreaded;
    if (isSlow)
        settings.slice = 0s; // each slot takes longer than a turn may
    return settings;
}

void tst_PipeConnectionDelivery::slotThatIsToldOfRefusalsAndWritesHearsOfTheEnd_data()
{
    bothModes();
}

void tst_PipeConnectionDelivery::slotThatIsToldOfRefusalsAndWritesHearsOfTheEnd()
{
    FakeServer server(settingsOfRow());
    QVERIFY(server.start());
    const auto client = server.openClient();
    const auto connection = server.connection();
    int told = 0;
    server.log->hook = [&](const FakeEvent &event) {
        if (event.kind == FakeEvent::Error && ++told < 10'000)
            connection->write("and now?"_ba, told, false);
    };
    client->endReading(ReadEnd::Failed, { NamedPipe::TruncatedMessage, 0, "", {} });
    connection->write("too late"_ba, 0, false);
    server.deliver();
    QVERIFY2(told <= 5, qPrintable(QString::number(told)));
    QCOMPARE(server.log->lines(1).constLast(), u"closed"_s);
}

void tst_PipeConnectionDelivery::slotThatWritesOnAndOnHearsWhatArrives_data()
{
    bothModes();
}

void tst_PipeConnectionDelivery::slotThatWritesOnAndOnHearsWhatArrives()
{
    FakeServer server(settingsOfRow());
    QVERIFY(server.start());
    const auto client = server.openClient();
    const auto connection = server.connection();
    bool goesOn = true;
    int sent = 0;
    server.log->hook = [&](const FakeEvent &event) {
        if (event.data == "stop")
            goesOn = false;
        else if (event.kind == FakeEvent::Sent && ++sent < 20'000 && goesOn)
            connection->write("next"_ba, sent, false); // which the client takes at once
    };
    connection->write("first"_ba, 0, false);
    QVERIFY(client->receive({ "stop"_ba }));
    server.deliver();
    QVERIFY(!goesOn);
    QVERIFY2(sent <= 10, qPrintable(QString::number(sent)));
}

void tst_PipeConnectionDelivery::slotThatWritesOnAndOnOccupiesNoWorker()
{
    HubSettings settings = freeThreadedSettings();
    settings.slice = 1ms;
    FakeServer server(settings);
    QVERIFY(server.start());
    const auto client = server.openClient();
    const auto other = server.openClient();
    const auto connection = server.connection();
    int sent = 0;
    server.log->hook = [&](const FakeEvent &event) {
        if (event.kind != FakeEvent::Sent)
            return;
        for (const auto end = Clock::now() + 200us; Clock::now() < end;) { }
        if (++sent < 500)
            connection->write("next"_ba, sent, false);
    };
    connection->write("first"_ba, 0, false);
    QCOMPARE(server.engine->runTasks(1), 1);
    QVERIFY2(sent > 0 && sent <= 50, qPrintable(QString::number(sent)));
    server.engine->runTasks();
    QCOMPARE(sent, 500);
}

// --- Free-threaded: order ---

void tst_PipeConnectionDelivery::freeThreadedEventsNeverNest()
{
    FakeServer server(freeThreadedSettings(), false);
    QVERIFY(server.start());
    const auto client = server.openClient();
    bool inside = false;
    server.log->hook = [&](const FakeEvent &event) {
        QVERIFY2(!inside, qPrintable(event.line()));
        inside = true;
        if (event.data == "a") {
            server.connection()->write("reply"_ba, 1, false);
            server.connection()->read(2);
            server.connection()->read(3); // one more than there are messages: a read is started
            QVERIFY(client->receive({ "b"_ba })); // as another worker does
            server.engine->runTasks();
        }
        inside = false;
    };
    server.connection()->read(1);
    QVERIFY(client->receive({ "a"_ba }));
    QCOMPARE(server.log->lines(1),
             QStringList({ u"opened"_s, u"message a #1"_s, u"sent #1"_s, u"message b #2"_s }));
}

void tst_PipeConnectionDelivery::freeThreadedReadingWaitsForTheSlot()
{
    FakeServer server(freeThreadedSettings());
    QVERIFY(server.start());
    const auto client = server.openClient();
    server.log->hook = [&](const FakeEvent &event) {
        if (event.kind == FakeEvent::Message)
            QVERIFY(!client->isReading());
    };
    for (int i = 0; i < 10; ++i)
        QVERIFY(client->receive({ "a"_ba, "b"_ba }));
    QVERIFY(client->isReading());
    QCOMPARE(server.log->count(FakeEvent::Message), 20);
}

void tst_PipeConnectionDelivery::freeThreadedEventsOfAConnectionNeverOverlapAndKeepTheirOrder()
{
    constexpr int clients = 3;
    constexpr int batches = 300;
    FakeServer server(freeThreadedSettings(), true, 4);
    std::atomic<bool> busy[clients + 1] = {};
    std::atomic<int> overlaps { 0 };
    std::atomic<int> lastMessage[clients + 1] = {};
    std::atomic<int> lastSent[clients + 1] = {};
    std::atomic<int> disorder { 0 };
    server.log->hook = [&](const FakeEvent &event) {
        if (event.id == 0)
            return;
        if (busy[event.id].exchange(true))
            ++overlaps;
        if (event.kind == FakeEvent::Message) {
            const int number = numberOf(event.data);
            if (number != lastMessage[event.id].exchange(number) + 1)
                ++disorder;
            server.connection(int(event.id) - 1)->write(event.data, number, false);
        } else if (event.kind == FakeEvent::Sent) {
            if (event.cookie.toInt() != lastSent[event.id].exchange(event.cookie.toInt()) + 1)
                ++disorder;
        }
        busy[event.id] = false;
    };
    QVERIFY(server.start());
    QVERIFY(waitWithoutEvents([&] { return server.engine->isAccepting(); }));
    std::vector<std::shared_ptr<FakeEndpoint>> endpoints;
    for (int i = 0; i < clients; ++i) {
        endpoints.push_back(server.connectClient());
        QVERIFY(endpoints.back());
    }
    std::vector<std::thread> engines;
    for (const auto &endpoint : endpoints) {
        engines.emplace_back([endpoint] {
            for (int i = 0; i < batches; ++i) {
                if (!waitWithoutEvents([&] { return endpoint->isReading(); }))
                    return;
                endpoint->receive({ numbered(2 * i + 1), numbered(2 * i + 2) });
            }
        });
    }
    for (std::thread &thread : engines)
        thread.join();
    QVERIFY(waitWithoutEvents(
            [&] { return server.log->count(FakeEvent::Sent) == clients * batches * 2; }));
    QCOMPARE(server.log->count(FakeEvent::Message), clients * batches * 2);
    QCOMPARE(overlaps.load(), 0);
    QCOMPARE(disorder.load(), 0);
    server.stop();
    QCOMPARE(server.log->count(FakeEvent::Closed), clients);
}

QTEST_GUILESS_MAIN(tst_PipeConnectionDelivery)
#include "tst_pipe_connection_delivery.moc"
