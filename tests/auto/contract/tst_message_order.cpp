// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "stress.h"
#include "testserver.h"

#include <QtCore/qhash.h>
#include <QtTest/QtTest>

#include <array>
#include <thread>

using namespace Qt::StringLiterals;

class tst_MessageOrder : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void smallMessagesKeepTheirOrder_data();
    void smallMessagesKeepTheirOrder();
    void everyClientKeepsItsOwnOrder_data();
    void everyClientKeepsItsOwnOrder();
    void writesAndTheirCookiesKeepTheirOrder_data();
    void writesAndTheirCookiesKeepTheirOrder();
    void writersOnManyThreadsDoNotInterleave();
    void writesInTheConnectedSlotComeFirst();
    void repliesFromTheMessageSlotKeepTheirOrder_data();
    void repliesFromTheMessageSlotKeepTheirOrder();
    void heavyTrafficInBothDirectionsDoesNotLock_data();
    void heavyTrafficInBothDirectionsDoesNotLock();

private:
    static void addWorkerRows();
};

void tst_MessageOrder::addWorkerRows()
{
    QTest::addColumn<int>("workers");
    QTest::addColumn<bool>("freeThreaded");
    for (const int workers : { 1, 2, 8 }) {
        QTest::addRow("%d workers, marshalled", workers) << workers << false;
        QTest::addRow("%d workers, free-threaded", workers) << workers << true;
    }
}

void tst_MessageOrder::smallMessagesKeepTheirOrder_data()
{
    addWorkerRows();
}

void tst_MessageOrder::smallMessagesKeepTheirOrder()
{
    QFETCH(int, workers);
    QFETCH(bool, freeThreaded);
    const int count = scaled(100'000, 2000);
    std::atomic<int> next { 0 };
    std::atomic<int> misplaced { 0 };
    TestServer ts(ServerRecorder::CountOnly);
    ts.recorder.onMessage() = [&](const auto &, const auto &, const QByteArray &data) {
        if (numberOf(data) != next++)
            ++misplaced;
    };
    ts.server.setNumThreadsIOCP(workers);
    ts.server.setFreeThreadingEvents(freeThreaded);
    QVERIFY(ts.start());
    auto client = runClient([name = ts.name(), count] {
        RawPeer peer;
        bool ok = peer.connectTo(name);
        for (int number = 0; ok && number < count; ++number)
            ok = peer.sendMessage(numbered(number));
        return ok;
    });
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected, 1, 4 * patience));
    QVERIFY(client.get());
    QCOMPARE(next.load(), count);
    QCOMPARE(misplaced.load(), 0);
}

void tst_MessageOrder::everyClientKeepsItsOwnOrder_data()
{
    addWorkerRows();
}

void tst_MessageOrder::everyClientKeepsItsOwnOrder()
{
    QFETCH(int, workers);
    QFETCH(bool, freeThreaded);
    constexpr int clients = 6;
    const int count = scaled(5000, 300);
    std::array<std::atomic<int>, clients> next {};
    std::atomic<int> misplaced { 0 };
    TestServer ts(ServerRecorder::CountOnly);
    ts.recorder.onMessage() = [&](const auto &, const auto &, const QByteArray &data) {
        const int sender = senderOf(data);
        if (sender < 0 || sender >= clients || numberOf(data) != next[size_t(sender)]++)
            ++misplaced;
    };
    ts.server.setNumThreadsIOCP(workers);
    ts.server.setFreeThreadingEvents(freeThreaded);
    QVERIFY(ts.start());
    std::vector<std::future<bool>> tasks;
    for (int sender = 0; sender < clients; ++sender) {
        tasks.push_back(runClient([name = ts.name(), count, sender] {
            RawPeer peer;
            bool ok = peer.connectTo(name);
            for (int number = 0; ok && number < count; ++number)
                ok = peer.sendMessage(numbered(number, sender));
            return ok;
        }));
    }
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected, clients, 4 * patience));
    for (auto &task : tasks)
        QVERIFY(task.get());
    QCOMPARE(ts.recorder.count(ServerEvent::Message), clients * count);
    QCOMPARE(misplaced.load(), 0);
}

void tst_MessageOrder::writesAndTheirCookiesKeepTheirOrder_data()
{
    addWorkerRows();
}

void tst_MessageOrder::writesAndTheirCookiesKeepTheirOrder()
{
    QFETCH(int, workers);
    QFETCH(bool, freeThreaded);
    const int count = scaled(20'000, 1000);
    std::atomic<int> nextCookie { 0 };
    std::atomic<int> misplaced { 0 };
    TestServer ts;
    ts.recorder.onSent() = [&](const auto &, const QVariant &cookie) {
        if (cookie.toInt() != nextCookie++)
            ++misplaced;
    };
    ts.server.setNumThreadsIOCP(workers);
    ts.server.setFreeThreadingEvents(freeThreaded);
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    const NamedPipeServerConnectionPtr connection = ts.connection();
    auto client = runClient([&peer, count] {
        int number = 0;
        while (number < count) {
            const auto message = peer.receiveMessage();
            // every hundredth is long: short and long writes must not overtake one another
            if (!message || numberOf(*message) != number
                || message->size() < (number % 100 == 0 ? 10'000 : 0))
                break;
            ++number;
        }
        return number;
    });
    for (int number = 0; number < count; ++number) {
        QByteArray message = numbered(number);
        if (number % 100 == 0)
            message = "m:0:" + QByteArray::number(number).rightJustified(10'000, '0');
        QVERIFY(connection->asyncWrite(message, number));
    }
    QVERIFY(ts.recorder.waitFor(ServerEvent::Sent, count, 4 * patience));
    QCOMPARE(misplaced.load(), 0);
    QVERIFY(waitForTask(client));
    QCOMPARE(client.get(), count);
    QCOMPARE(connection->bytesToWrite(), 0);
}

void tst_MessageOrder::writersOnManyThreadsDoNotInterleave()
{
    constexpr int writers = 8;
    const int count = scaled(500, 50);
    TestServer ts;
    ts.server.setNumThreadsIOCP(2);
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    const NamedPipeServerConnectionPtr connection = ts.connection();
    const auto message = [](int writer, int number) {
        return numbered(number, writer) + '|' + payload(17 * (number % 200), quint32(writer));
    };
    std::vector<std::future<bool>> tasks;
    for (int writer = 0; writer < writers; ++writer) {
        tasks.push_back(runClient([&, writer] {
            bool ok = true;
            for (int number = 0; number < count; ++number)
                ok = connection->asyncWrite(message(writer, number)) && ok;
            return ok;
        }));
    }
    std::array<int, writers> next {};
    for (int received = 0; received < writers * count; ++received) {
        const auto whole = peer.receiveMessage();
        QVERIFY(whole);
        const QByteArray head = whole->left(whole->indexOf('|'));
        const int writer = senderOf(head);
        QVERIFY(writer >= 0 && writer < writers);
        QCOMPARE(numberOf(head), next[size_t(writer)]);
        QCOMPARE(*whole, message(writer, next[size_t(writer)]++));
    }
    for (auto &task : tasks)
        QVERIFY(task.get());
    QVERIFY(ts.recorder.waitFor(ServerEvent::Sent, writers * count));
}

void tst_MessageOrder::writesInTheConnectedSlotComeFirst()
{
    for (const bool freeThreaded : { false, true }) {
        TestServer ts;
        ts.recorder.onConnected() = [](const NamedPipeServerConnectionPtr &connection) {
            connection->asyncWrite("welcome"_ba);
            connection->asyncWrite("read the rules"_ba);
        };
        ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection,
                                     const QVariant &,
                                     const QByteArray &data) { connection->asyncWrite(data); };
        ts.server.setFreeThreadingEvents(freeThreaded);
        QVERIFY(ts.start());
        RawPeer peer;
        QVERIFY(peer.connectTo(ts.name()));
        QVERIFY(peer.sendMessage("hello"_ba)); // perhaps before the server has seen the client
        QVERIFY(ts.recorder.waitFor(ServerEvent::Sent, 3));
        QCOMPARE(peer.receiveMessage(), "welcome"_ba);
        QCOMPARE(peer.receiveMessage(), "read the rules"_ba);
        QCOMPARE(peer.receiveMessage(), "hello"_ba);
    }
}

void tst_MessageOrder::repliesFromTheMessageSlotKeepTheirOrder_data()
{
    addWorkerRows();
}

void tst_MessageOrder::repliesFromTheMessageSlotKeepTheirOrder()
{
    QFETCH(int, workers);
    QFETCH(bool, freeThreaded);
    constexpr int inFlight = 64;
    const int batches = scaled(100, 5);
    TestServer ts(ServerRecorder::CountOnly);
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &data) { connection->asyncWrite(data); };
    ts.server.setNumThreadsIOCP(workers);
    ts.server.setFreeThreadingEvents(freeThreaded);
    QVERIFY(ts.start());
    auto client = runClient([name = ts.name(), batches] {
        RawPeer peer;
        if (!peer.connectTo(name))
            return u"cannot connect"_s;
        for (int first = 0; first < batches * inFlight; first += inFlight) {
            for (int number = first; number < first + inFlight; ++number) {
                if (!peer.sendMessage(numbered(number)))
                    return u"cannot send %1"_s.arg(number);
            }
            for (int number = first; number < first + inFlight; ++number) {
                const auto reply = peer.receiveMessage();
                if (!reply || numberOf(*reply) != number)
                    return u"no reply, or another one, to %1"_s.arg(number);
            }
        }
        return QString();
    });
    QVERIFY(waitForTask(client));
    QCOMPARE(client.get(), QString());
}

void tst_MessageOrder::heavyTrafficInBothDirectionsDoesNotLock_data()
{
    addWorkerRows();
}

void tst_MessageOrder::heavyTrafficInBothDirectionsDoesNotLock()
{
    QFETCH(int, workers);
    QFETCH(bool, freeThreaded);
    const int count = scaled(300, 30);
    TestServer ts(ServerRecorder::CountOnly);
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &data) { connection->asyncWrite(data); };
    ts.server.setNumThreadsIOCP(workers);
    ts.server.setFreeThreadingEvents(freeThreaded);
    QVERIFY(ts.start());
    RawPeer peer;
    QVERIFY(peer.connectTo(ts.name()));
    auto sender = runClient([&] {
        for (int number = 0; number < count; ++number) {
            if (!peer.sendMessage(payload(100'000, quint32(number))))
                return number;
        }
        return count;
    });
    auto receiver = runClient([&] {
        for (int number = 0; number < count; ++number) {
            if (peer.receiveMessage() != payload(100'000, quint32(number)))
                return number;
        }
        return count;
    });
    QVERIFY(waitForTask(receiver, 4 * patience));
    QCOMPARE(receiver.get(), count);
    QCOMPARE(sender.get(), count);
}

QTEST_GUILESS_MAIN(tst_MessageOrder)
#include "tst_message_order.moc"
