// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "fakeserver.h"
#include "payload.h"

#include <QtTest/QtTest>

using namespace QtNamedPipes;
using namespace Qt::StringLiterals;

/// Bytes in: requests and their cookies, the limit and its pauses, what a batch turns into.
class tst_PipeConnectionReading : public QObject
{
    Q_OBJECT

private:
    static void addThreadingRows();

private Q_SLOTS:
    void continuousReadingAsksAgainAfterEachCompletion();
    void manualReadingAsksForNothing();
    void eachRequestIsOneMessage();
    void requestsAreServedFirstInFirstOut();
    void explicitRequestsComeBeforeAutomaticOnes();
    void surplusMessagesOfABatchWaitForTheirRequests();
    void messagesThatNobodyAskedForCostNoEvents_data();
    void messagesThatNobodyAskedForCostNoEvents();
    void requestInsideASlotBringsTheNextMessage();
    void switchingToManualInsideASlotStopsAtOnce();
    void switchingToContinuousDeliversWhatWaits();
    void largeMessageInItsSlotIsNotWaiting_data();
    void largeMessageInItsSlotIsNotWaiting();
    void zeroLengthIsAMessage();
    void messagesKeepTheirBytesHoweverTheyArrive_data();
    void messagesKeepTheirBytesHoweverTheyArrive();
    void dataThatASlotKeepsStaysAsItIs();
    void manySmallBatchesAreGatheredInOrder();
    void readingPausesAtTheLimitAndGoesOnAtHalfOfIt();
    void pauseIsOverWhenAllIsDelivered();
    void oneMessageOfAnySizeGetsThroughTheLimit();
    void aFloodOfEmptyMessagesMeetsTheLimit();
    void theEngineIsToldHowMuchIsWelcome();
    void clientThatHungUpIsReadToTheEndUnasked();
    void brokenConnectionRestsUntilItsMessagesAreAskedFor();
    void pausedConnectionIsReadToTheEndAfterAHangUp();
    void statisticsCountWhatArrived();
    void blockCountsUntilItIsUsedUp();
};

void tst_PipeConnectionReading::addThreadingRows()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::newRow("marshalled") << false;
    QTest::newRow("free-threaded") << true;
}

void tst_PipeConnectionReading::continuousReadingAsksAgainAfterEachCompletion()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    for (int i = 1; i <= 5; ++i) {
        QCOMPARE(client->readsStarted(), i);
        QVERIFY(client->receive({ numbered(i) }));
    }
    QVERIFY(client->isReading()); // without waiting for the event loop
    server.deliver();
    QCOMPARE(client->readsStarted(), 6);
    QCOMPARE(server.log->count(FakeEvent::Message), 5);
    for (const FakeEvent &event : server.log->events())
        QVERIFY(!event.cookie.isValid());
}

void tst_PipeConnectionReading::manualReadingAsksForNothing()
{
    FakeServer server({}, false);
    QVERIFY(server.start());
    const auto client = server.openClient();
    QCOMPARE(client->readsStarted(), 0);
    server.hub->setReadsContinuously(true);
    QVERIFY(client->isReading());
}

void tst_PipeConnectionReading::eachRequestIsOneMessage()
{
    FakeServer server({}, false);
    QVERIFY(server.start());
    const auto client = server.openClient();
    server.connection()->read(7);
    QCOMPARE(client->readsStarted(), 1);
    QVERIFY(client->receive({ "one"_ba }));
    server.deliver();
    QVERIFY(!client->isReading());
    QCOMPARE(server.log->lines(1), QStringList({ u"opened"_s, u"message one #7"_s }));
}

void tst_PipeConnectionReading::requestsAreServedFirstInFirstOut()
{
    FakeServer server({}, false);
    QVERIFY(server.start());
    const auto client = server.openClient();
    const auto connection = server.connection();
    for (int i = 0; i < 4; ++i)
        connection->read(i);
    QCOMPARE(client->readsStarted(), 1); // one at a time
    QVERIFY(client->receive({ "a"_ba, "b"_ba }));
    QVERIFY(client->isReading()); // two requests are open still
    connection->read(4);
    QVERIFY(client->receive({ "c"_ba }));
    QVERIFY(client->receiveWhole("d"_ba));
    server.deliver();
    QVERIFY(client->receive({ "e"_ba }));
    server.deliver();
    QCOMPARE(server.log->lines(1),
             QStringList({ u"opened"_s, u"message a #0"_s, u"message b #1"_s, u"message c #2"_s,
                           u"message d #3"_s, u"message e #4"_s }));
    QVERIFY(!client->isReading());
}

void tst_PipeConnectionReading::explicitRequestsComeBeforeAutomaticOnes()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    server.connection()->read(u"first"_s);
    server.connection()->read(u"second"_s);
    QVERIFY(client->receive({ "a"_ba, "b"_ba, "c"_ba }));
    server.deliver();
    server.connection()->read(u"third"_s);
    QVERIFY(client->receive({ "d"_ba }));
    server.deliver();
    QCOMPARE(server.log->lines(1),
             QStringList({ u"opened"_s, u"message a #first"_s, u"message b #second"_s,
                           u"message c"_s, u"message d #third"_s }));
}

void tst_PipeConnectionReading::surplusMessagesOfABatchWaitForTheirRequests()
{
    FakeServer server({}, false);
    QVERIFY(server.start());
    const auto client = server.openClient();
    const auto connection = server.connection();
    connection->read(0);
    QVERIFY(client->receive({ "a"_ba, "b"_ba, "c"_ba })); // a stream read brings what is there
    server.deliverOnce();
    QCOMPARE(server.log->messages(1), QList<QByteArray>({ "a"_ba }));
    connection->read(1);
    QVERIFY(!client->isReading()); // a message is here for it already
    server.deliverOnce();
    server.deliverOnce();
    QCOMPARE(server.log->messages(1), QList<QByteArray>({ "a"_ba, "b"_ba }));
    connection->read(2);
    connection->read(3);
    QVERIFY(client->isReading()); // but not for this one
    server.deliverOnce();
    QCOMPARE(server.log->lines(1),
             QStringList({ u"opened"_s, u"message a #0"_s, u"message b #1"_s, u"message c #2"_s }));
}

void tst_PipeConnectionReading::messagesThatNobodyAskedForCostNoEvents_data()
{
    QTest::addColumn<int>("unasked");
    QTest::addColumn<bool>("left");
    for (int unasked : { 1, 2, 100 }) {
        QTest::addRow("%d, the client is there", unasked) << unasked << false;
        QTest::addRow("%d, the client has left", unasked) << unasked << true;
    }
}

void tst_PipeConnectionReading::messagesThatNobodyAskedForCostNoEvents()
{
    QFETCH(int, unasked);
    QFETCH(bool, left);
    FakeServer server({}, false);
    QVERIFY(server.start());
    const auto client = server.openClient();
    server.connection()->read(0);
    QVERIFY(client->receive(QList<QByteArray>(unasked + 1, "a"_ba)));
    if (left) {
        client->hangUp();
        QVERIFY(client->endReading(ReadEnd::PeerClosed));
    }
    for (int turn = 0; turn < 5; ++turn) // delivers one, and finds that nothing more is wanted
        server.deliverOnce();
    QCOMPARE(server.log->count(FakeEvent::Message), 1);
    const int before = server.drainEvents();
    for (int turn = 0; turn < 50; ++turn)
        server.deliverOnce();
    QCOMPARE(server.drainEvents() - before, 0); // or an idle server would burn a processor
}

void tst_PipeConnectionReading::requestInsideASlotBringsTheNextMessage()
{
    FakeServer server({}, false);
    QVERIFY(server.start());
    const auto client = server.openClient();
    const auto connection = server.connection();
    server.log->hook = [&](const FakeEvent &event) {
        if (event.kind == FakeEvent::Message)
            connection->read(event.cookie.toInt() + 1);
    };
    connection->read(0);
    QVERIFY(client->receive({ "a"_ba, "b"_ba, "c"_ba }));
    server.deliver();
    QVERIFY(client->isReading());
    QVERIFY(client->receive({ "d"_ba }));
    server.deliver();
    QCOMPARE(server.log->lines(1),
             QStringList({ u"opened"_s, u"message a #0"_s, u"message b #1"_s, u"message c #2"_s,
                           u"message d #3"_s }));
}

void tst_PipeConnectionReading::switchingToManualInsideASlotStopsAtOnce()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    server.log->hook = [&](const FakeEvent &event) {
        if (event.data == "b")
            server.hub->setReadsContinuously(false);
    };
    QVERIFY(client->receive({ "a"_ba, "b"_ba, "c"_ba }));
    for (int turn = 0; turn < 10; ++turn)
        server.deliverOnce();
    QCOMPARE(server.log->messages(1), QList<QByteArray>({ "a"_ba, "b"_ba }));
}

void tst_PipeConnectionReading::switchingToContinuousDeliversWhatWaits()
{
    FakeServer server({}, false);
    QVERIFY(server.start());
    const auto client = server.openClient();
    server.connection()->read(0);
    QVERIFY(client->receive({ "a"_ba, "b"_ba }));
    for (int turn = 0; turn < 10; ++turn)
        server.deliverOnce();
    QCOMPARE(server.log->count(FakeEvent::Message), 1);
    server.hub->setReadsContinuously(true);
    QVERIFY(client->isReading());
    server.deliver();
    QCOMPARE(server.log->lines(1), QStringList({ u"opened"_s, u"message a #0"_s, u"message b"_s }));
}

void tst_PipeConnectionReading::largeMessageInItsSlotIsNotWaiting_data()
{
    addThreadingRows();
}

/// It is delivered to the slot: the next one is read while the slot looks at it, by a worker that would
/// have nothing to do. Free-threaded that worker is the one that runs the slot.
void tst_PipeConnectionReading::largeMessageInItsSlotIsNotWaiting()
{
    QFETCH(bool, freeThreaded);
    HubSettings settings;
    settings.freeThreaded = freeThreaded;
    settings.maximumPendingReadBytes = 1000;
    FakeServer server(settings);
    QVERIFY(server.start());
    const auto client = server.openClient();
    QList<bool> reading;
    server.log->hook = [&](const FakeEvent &event) {
        if (event.kind == FakeEvent::Message)
            reading.append(client->isReading());
    };
    const QByteArray large(100'000, 'x');
    QVERIFY(client->receiveWholes({ large, large }, { "small"_ba }));
    QCOMPARE(client->isReading(), freeThreaded); // delivered already
    server.deliver();
    // The second one and the small one wait while the slot has the first, and are too much.
    QCOMPARE(reading, QList<bool>({ false, !freeThreaded, !freeThreaded }));
    QVERIFY(client->isReading());
    QCOMPARE(server.log->messages(1), QList<QByteArray>({ large, large, "small"_ba }));
}

void tst_PipeConnectionReading::zeroLengthIsAMessage()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    QVERIFY(client->receive({ QByteArray() }));
    QVERIFY(client->receive({ "a"_ba, QByteArray(), QByteArray(), "b"_ba }));
    QVERIFY(client->receiveWhole(QByteArray()));
    QVERIFY(client->receiveWhole(QByteArray(), { QByteArray() }));
    server.deliver();
    QVERIFY(client->isReading()); // not an end
    QCOMPARE(server.log->messages(1),
             QList<QByteArray>({ ""_ba, "a"_ba, ""_ba, ""_ba, "b"_ba, ""_ba, ""_ba, ""_ba }));
}

void tst_PipeConnectionReading::messagesKeepTheirBytesHoweverTheyArrive_data()
{
    addThreadingRows();
}

void tst_PipeConnectionReading::messagesKeepTheirBytesHoweverTheyArrive()
{
    QFETCH(bool, freeThreaded);
    HubSettings settings;
    settings.freeThreaded = freeThreaded;
    FakeServer server(settings);
    QVERIFY(server.start());
    const auto client = server.openClient();
    QList<QByteArray> sent;
    quint32 seed = 0;
    const auto make = [&](std::initializer_list<int> sizes) {
        QList<QByteArray> messages;
        for (int size : sizes)
            messages.append(payload(size, ++seed));
        sent += messages;
        return messages;
    };
    // Below and above the quarter of a block that is copied out; one that fills it; many; none.
    QVERIFY(client->receive(make({ 1 })));
    QVERIFY(client->receive(make({ 2000, 1, 0, 30 })));
    QVERIFY(client->receive(make({ 2040 })));
    QVERIFY(client->receive(make({ 2048 })));
    QVERIFY(client->receive(make({ 2049 })));
    QVERIFY(client->receive(make({ FakeEngine::BlockSize - 4 })));
    QVERIFY(client->receive(make({ 4000, 4000 })));
    const QList<QByteArray> mixed = make({ 100'000, 5, 3000 });
    QVERIFY(client->receiveWhole(mixed.first(), mixed.mid(1)));
    const QList<QByteArray> small = make({ 50'000, 5 });
    QVERIFY(client->receiveWhole(small.first(), small.mid(1)));
    for (int i = 0; i < 40; ++i)
        QVERIFY(client->receive(make({ i * 20, i })));
    server.deliver();
    QCOMPARE(server.log->messages(1), sent);
}

void tst_PipeConnectionReading::dataThatASlotKeepsStaysAsItIs()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    QList<QByteArray> kept; // FakeLog keeps every message, too: here only every third is kept
    server.log->hook = [&](const FakeEvent &event) {
        if (event.kind == FakeEvent::Message && numberOf(event.data) % 3 == 0)
            kept.append(event.data);
        server.log->clear();
    };
    for (int i = 0; i < 100; ++i) {
        QVERIFY(client->receive({ numbered(2 * i), numbered(2 * i + 1) }));
        if (i % 7 == 0)
            server.deliver();
    }
    server.deliver();
    QCOMPARE(kept.size(), 67);
    for (int i = 0; i < kept.size(); ++i)
        QCOMPARE(kept.at(i), numbered(3 * i));
}

void tst_PipeConnectionReading::manySmallBatchesAreGatheredInOrder()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    QList<QByteArray> sent;
    for (int i = 0; i < 2000; ++i) {
        sent.append(numbered(i));
        QVERIFY(client->receive({ numbered(i) }));
    }
    server.deliver();
    QCOMPARE(server.log->messages(1), sent);
}

// --- The limit ---

void tst_PipeConnectionReading::readingPausesAtTheLimitAndGoesOnAtHalfOfIt()
{
    HubSettings settings;
    settings.maximumPendingReadBytes = 10'000;
    FakeServer server(settings, false);
    QVERIFY(server.start());
    const auto client = server.openClient();
    const auto connection = server.connection();
    for (int i = 0; i < 20; ++i) // requests enough: the mode does not stop reading here
        connection->read(i);
    for (int i = 0; i < 10; ++i) {
        QVERIFY2(client->isReading(), qPrintable(QString::number(i)));
        QVERIFY(client->receive({ payload(1000) }));
    }
    QVERIFY(!client->isReading()); // 10000 are pending

    int readingAgainAfter = -1;
    int delivered = 0;
    server.log->hook = [&](const FakeEvent &event) {
        if (event.kind == FakeEvent::Message)
            ++delivered;
    };
    // One message at a time, so that each step is seen.
    for (int i = 1; i <= 10; ++i) {
        connection->deliver(nullptr, 1);
        QCOMPARE(delivered, i);
        if (client->isReading() && readingAgainAfter < 0)
            readingAgainAfter = i;
    }
    QCOMPARE(readingAgainAfter, 6); // 4000 pending: less than half
}

void tst_PipeConnectionReading::pauseIsOverWhenAllIsDelivered()
{
    HubSettings settings;
    settings.maximumPendingReadBytes = 6'000;
    FakeServer server(settings);
    QVERIFY(server.start());
    const auto client = server.openClient();
    QVERIFY(client->receive({ payload(3000), payload(3000) }));
    QVERIFY(!client->isReading());
    server.deliver();
    QVERIFY(client->isReading());
    QVERIFY(client->receive({ payload(4000) })); // more than half of the limit, and less than it
    QVERIFY(client->isReading());
}

void tst_PipeConnectionReading::oneMessageOfAnySizeGetsThroughTheLimit()
{
    HubSettings settings;
    settings.maximumPendingReadBytes = 1;
    FakeServer server(settings);
    QVERIFY(server.start());
    const auto client = server.openClient();
    for (int i = 0; i < 3; ++i) {
        QVERIFY(client->isReading());
        QVERIFY(client->receiveWhole(payload(1'000'000, quint32(i))));
        QVERIFY(!client->isReading());
        server.deliver();
        QCOMPARE(server.log->messages(1).size(), i + 1);
        QCOMPARE(server.log->messages(1).constLast(), payload(1'000'000, quint32(i)));
    }
}

void tst_PipeConnectionReading::aFloodOfEmptyMessagesMeetsTheLimit()
{
    HubSettings settings;
    settings.maximumPendingReadBytes = 10'000;
    FakeServer server(settings);
    QVERIFY(server.start());
    const auto client = server.openClient();
    const QList<QByteArray> batch(100, QByteArray());
    int batches = 0;
    while (client->receive(batch))
        QVERIFY(++batches < 1000);
    QVERIFY2(batches > 1 && batches < 100, qPrintable(QString::number(batches)));
    server.deliver();
    QCOMPARE(server.log->count(FakeEvent::Message), 100 * batches);
    QVERIFY(client->isReading());
}

void tst_PipeConnectionReading::theEngineIsToldHowMuchIsWelcome()
{
    HubSettings settings;
    settings.maximumPendingReadBytes = 10'000;
    FakeServer server(settings);
    QVERIFY(server.start());
    const auto client = server.openClient();
    QCOMPARE(client->roughly(), qint64(10'000));
    QVERIFY(client->receive({ payload(3000) }));
    QCOMPARE(client->roughly(), qint64(7'000 - 32)); // a message takes more than its bytes
    QVERIFY(client->receive({ payload(6'999 - 2 * 32) }));
    QCOMPARE(client->roughly(), qint64(1));
}

void tst_PipeConnectionReading::clientThatHungUpIsReadToTheEndUnasked()
{
    FakeServer server({}, false);
    QVERIFY(server.start());
    const auto client = server.openClient();
    QVERIFY(!client->isReading());
    client->hangUp();
    QVERIFY(client->receive({ "unread"_ba })); // to find the end
    QVERIFY(client->endReading(ReadEnd::PeerClosed));
    for (int turn = 0; turn < 10; ++turn)
        server.deliverOnce();
    QCOMPARE(server.log->lines(1), QStringList({ u"opened"_s })); // messages come first
    server.connection()->read(1);
    server.deliver();
    QCOMPARE(server.log->lines(1),
             QStringList({ u"opened"_s, u"message unread #1"_s, u"closed"_s }));
}

void tst_PipeConnectionReading::brokenConnectionRestsUntilItsMessagesAreAskedFor()
{
    FakeServer server({}, false);
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->hangUp();
    QVERIFY(client->receive({ "unread"_ba }));
    QVERIFY(client->endReading(ReadEnd::Failed, { NamedPipe::ConnectionBroken, 0, "", {} }));
    server.deliver();
    QVERIFY(!server.deliverOnce()); // an event after each would keep the owner's thread busy
    QCOMPARE(server.log->lines(1), QStringList({ u"opened"_s }));
    server.connection()->read(1);
    server.deliver();
    QCOMPARE(server.log->lines(1),
             QStringList({ u"opened"_s, u"message unread #1"_s, u"error ConnectionBroken"_s,
                           u"closed"_s }));
}

void tst_PipeConnectionReading::pausedConnectionIsReadToTheEndAfterAHangUp()
{
    HubSettings settings;
    settings.maximumPendingReadBytes = 1000;
    FakeServer server(settings);
    QVERIFY(server.start());
    const auto client = server.openClient();
    QVERIFY(client->receive({ payload(2000) }));
    QVERIFY(!client->isReading());
    client->hangUp();
    QVERIFY(!client->isReading()); // memory is bounded for those who have left as well
    server.deliver();
    QVERIFY(client->receive({ "end"_ba }));
    QVERIFY(client->endReading(ReadEnd::PeerClosed));
    server.deliver();
    QCOMPARE(server.log->messages(1), QList<QByteArray>({ payload(2000), "end"_ba }));
    QCOMPARE(server.log->lines(1).constLast(), u"closed"_s);
}

void tst_PipeConnectionReading::statisticsCountWhatArrived()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    QVERIFY(client->receive({ payload(10), QByteArray(), payload(20) }));
    QVERIFY(client->receiveWhole(payload(100), { payload(1) }));
    const NamedPipe::Statistics statistics = server.connection()->statistics();
    QCOMPARE(statistics.messagesReceived, 5u);
    QCOMPARE(statistics.bytesReceived, 131u);
    QCOMPARE(server.hub->statistics().messagesReceived, 5u);
    QCOMPARE(server.hub->statistics().bytesReceived, 131u);
    server.deliver();
}

// Its memory is there until then, however many of its messages are delivered.
void tst_PipeConnectionReading::blockCountsUntilItIsUsedUp()
{
    HubSettings settings;
    settings.maximumPendingReadBytes = 9000;
    FakeServer server(settings);
    QVERIFY(server.start());
    const auto client = server.openClient();
    const auto connection = server.connection();
    const QList<QByteArray> messages(100, QByteArray(50, 'x')); // 8200 with their places
    QVERIFY(client->receive(messages));
    QVERIFY(client->receive(messages));
    QVERIFY(!client->isReading());
    connection->deliver(nullptr,
                        150); // what is left is less than the half from which on it goes on
    QCOMPARE(server.log->count(FakeEvent::Message), 150);
    QVERIFY(!client->isReading());
    server.deliver();
    QCOMPARE(server.log->count(FakeEvent::Message), 200);
    QVERIFY(client->isReading());
}

QTEST_GUILESS_MAIN(tst_PipeConnectionReading)
#include "tst_pipe_connection_reading.moc"
