// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "platformflags.h"
#include "processfacts.h"
#include "stress.h"
#include "testclient.h"
#include "testserver.h"

#include <QtCore/qeventloop.h>
#include <QtTest/QtTest>

#include <array>
#include <atomic>
#include <thread>

using namespace Qt::StringLiterals;

/// The client of this library against the server of this library.
class tst_ClientServer : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void messagesOfEverySizeComeBackWhole_data();
    void messagesOfEverySizeComeBackWhole();
    void emptyDataIsNoMessage();
    void messagesAndCookiesKeepTheirOrderBothWays_data();
    void messagesAndCookiesKeepTheirOrderBothWays();
    void writersOnManyThreadsDoNotInterleave();
    void broadcastReachesEveryClientInOrder_data();
    void broadcastReachesEveryClientInOrder();
    void manualReadsOnBothSidesAreServedInOrder();
    void heavyTrafficInBothDirectionsDoesNotLock_data();
    void heavyTrafficInBothDirectionsDoesNotLock();
    void cookiesOfEveryTypeComeBack();
    void customDataIsTheUsersAlone();
    void statisticsOfBothSidesAgree_data();
    void statisticsOfBothSidesAgree();
    void eachSideKnowsTheOther();
    void clientsHaveNumbersInTheOrderOfArrival();
    void clientAndServerLiveInDifferentThreads();
    void whatAThreadBeganGoesOnWithoutIt_data();
    void whatAThreadBeganGoesOnWithoutIt();
    void connectingInsideEveryClientSlotWorks_data();
    void connectingInsideEveryClientSlotWorks();
    void connectingToTheOwnServerInItsSlotsWorks_data();
    void connectingToTheOwnServerInItsSlotsWorks();
    void writesInsideConnectedComeFirst_data();
    void writesInsideConnectedComeFirst();
    void closingInsideConnectedWorks_data();
    void closingInsideConnectedWorks();
    void openingAndClosingLeaksNothing_data();
    void openingAndClosingLeaksNothing();

private:
    enum ClientSlot { InConnected, InMessage, InSent, InDisconnected, InError };

    static void addThreadingRows();
    static void addWorkerRows();
    static void echo(ServerRecorder &recorder)
    {
        recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                  const QByteArray &data) { connection->asyncWrite(data); };
    }
};

// What slots of clients write into is declared before the manager: the signals of a free-threaded
// one come until it is destroyed.

void tst_ClientServer::addThreadingRows()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::newRow("marshalled") << false;
    QTest::newRow("free-threaded") << true;
}

void tst_ClientServer::addWorkerRows()
{
    QTest::addColumn<int>("clientWorkers");
    QTest::addColumn<int>("serverWorkers");
    QTest::addColumn<bool>("freeThreaded");
    const std::array<std::pair<int, int>, 5> workers {
        { { 1, 1 }, { 2, 2 }, { 8, 8 }, { 1, 8 }, { 8, 1 } }
    };
    for (const auto &[client, server] : workers) {
        for (const bool freeThreaded : { false, true }) {
            QTest::addRow("client with %d workers, server with %d, %s", client, server,
                          freeThreaded ? "free-threaded" : "marshalled")
                    << client << server << freeThreaded;
        }
    }
}

void tst_ClientServer::messagesOfEverySizeComeBackWhole_data()
{
    QTest::addColumn<int>("size");
    QTest::addColumn<bool>("freeThreaded");
    for (const int size :
         { 1,       2,       3,       4,         5,         1000,      4095,
           4096,    4097,    65'535,  65'536,    65'537,    131'067,   131'068,
           131'071, 131'072, 131'073, 1'048'575, 1'048'576, 1'048'577, 16 * 1024 * 1024 }) {
        QTest::addRow("%d bytes, marshalled", size) << size << false;
        QTest::addRow("%d bytes, free-threaded", size) << size << true;
    }
}

void tst_ClientServer::messagesOfEverySizeComeBackWhole()
{
    QFETCH(int, size);
    QFETCH(bool, freeThreaded);
    constexpr int count = 3; // a byte too many shows in the next one
    std::atomic<int> received { 0 };
    std::atomic<int> wrong { 0 };
    TestServer ts(ServerRecorder::CountOnly);
    echo(ts.recorder);
    ts.server.setFreeThreadingEvents(freeThreaded);
    QVERIFY(ts.start());
    TestClient tc(ClientRecorder::CountOnly);
    NamedPipeClientManager &manager = tc.manager;
    manager.setFreeThreadingEvents(freeThreaded);
    const auto client = manager.connectToServer(ts.name(), [&](const auto &connection) {
        tc.recorder.watch(connection, manager);
        connect(connection.data(), &NamedPipeClientConnection::messageReceived,
                [&](const QVariant &, const QByteArray &data) {
                    if (data != payload(size, quint32(received.load())))
                        ++wrong;
                    ++received;
                });
    });
    QVERIFY(waitUntil([&] { return !client->isOpening(); }));
    for (int number = 0; number < count; ++number)
        QVERIFY(client->asyncWrite(payload(size, quint32(number))));
    QVERIFY(waitUntil([&] { return received == count; }));
    QCOMPARE(wrong.load(), 0);
}

void tst_ClientServer::emptyDataIsNoMessage()
{
    QList<QByteArray> received;
    QList<QVariant> sent;
    int errors = 0;
    TestServer ts;
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &data) {
        connection->asyncWrite({}, u"nothing"_s);
        connection->asyncWrite(data, u"echo"_s);
    };
    QVERIFY(ts.start());
    TestClient tc(ClientRecorder::CountOnly);
    const auto client = tc.dial(ts.name());
    connect(client.data(), &NamedPipeClientConnection::messageReceived,
            [&](const QVariant &, const QByteArray &data) { received.append(data); });
    connect(client.data(), &NamedPipeClientConnection::messageSent,
            [&](const QVariant &cookie) { sent.append(cookie); });
    connect(client.data(), &NamedPipeClientConnection::errorOccurred, [&] { ++errors; });
    QVERIFY(waitUntil([&] { return !client->isOpening(); }));
    QVERIFY(client->asyncWrite({}, 1));
    QVERIFY(client->asyncWrite("some"_ba, 2));
    QVERIFY(client->asyncWrite(""_ba, 3));
    QVERIFY(waitUntil([&] { return !received.isEmpty() && !sent.isEmpty(); }));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Sent));
    watchFor(std::chrono::milliseconds(30));
    QCOMPARE(received, QList { "some"_ba });
    QCOMPARE(sent, QList { QVariant(2) });
    QCOMPARE(ts.recorder.messages(), QList { "some"_ba });
    QCOMPARE(ts.recorder.cookies(ServerEvent::Sent), QList { QVariant(u"echo"_s) });
    QCOMPARE(client->statistics().messagesSent, 1u);
    QCOMPARE(errors, 0);
}

void tst_ClientServer::messagesAndCookiesKeepTheirOrderBothWays_data()
{
    addWorkerRows();
}

void tst_ClientServer::messagesAndCookiesKeepTheirOrderBothWays()
{
    QFETCH(int, clientWorkers);
    QFETCH(int, serverWorkers);
    QFETCH(bool, freeThreaded);
    const int count = scaled(100'000, 2000);
    std::atomic<int> atServer { 0 };
    std::atomic<int> back { 0 };
    std::atomic<int> sent { 0 };
    std::atomic<int> misplaced { 0 };
    TestServer ts(ServerRecorder::CountOnly);
    ts.recorder.onMessage() = [&](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                  const QByteArray &data) {
        if (numberOf(data) != atServer++)
            ++misplaced;
        connection->asyncWrite(data);
    };
    ts.server.setNumThreadsIOCP(serverWorkers);
    ts.server.setFreeThreadingEvents(freeThreaded);
    QVERIFY(ts.start());
    TestClient tc(ClientRecorder::CountOnly);
    NamedPipeClientManager &manager = tc.manager;
    manager.setNumThreadsIOCP(clientWorkers);
    manager.setFreeThreadingEvents(freeThreaded);
    const auto client = manager.connectToServer(ts.name(), [&](const auto &connection) {
        tc.recorder.watch(connection, manager);
        connect(connection.data(), &NamedPipeClientConnection::messageReceived,
                [&](const QVariant &, const QByteArray &data) {
                    if (numberOf(data) != back++)
                        ++misplaced;
                });
        connect(connection.data(), &NamedPipeClientConnection::messageSent,
                [&](const QVariant &cookie) {
                    if (cookie.toInt() != sent++)
                        ++misplaced;
                });
    });
    QVERIFY(waitUntil([&] { return !client->isOpening(); }));
    for (int number = 0; number < count; ++number)
        QVERIFY(client->asyncWrite(numbered(number), number));
    QVERIFY(waitUntil([&] { return back == count && sent == count; }, 4 * patience));
    QCOMPARE(atServer.load(), count);
    QCOMPARE(misplaced.load(), 0);
    QCOMPARE(client->bytesToWrite(), 0);
}

void tst_ClientServer::writersOnManyThreadsDoNotInterleave()
{
    constexpr int writers = 8;
    const int count = scaled(500, 50);
    const auto message = [](int writer, int number) {
        return numbered(number, writer) + '|' + payload(17 * (number % 200), quint32(writer));
    };
    std::array<int, writers> nextAtServer {};
    std::array<int, writers> nextAtClient {};
    int mixed = 0;
    const auto check = [&](std::array<int, writers> &next, const QByteArray &data) {
        const int writer = senderOf(data.left(data.indexOf('|')));
        if (writer < 0 || writer >= writers || data != message(writer, next[size_t(writer)]++))
            ++mixed;
    };
    int received = 0;
    TestServer ts;
    ts.recorder.onMessage() = [&](const auto &, const auto &, const QByteArray &data) {
        check(nextAtServer, data);
    };
    ts.server.setNumThreadsIOCP(2);
    QVERIFY(ts.start());
    TestClient tc(ClientRecorder::CountOnly);
    NamedPipeClientManager &manager = tc.manager;
    manager.setNumThreadsIOCP(2);
    const auto client = tc.dial(ts.name());
    connect(client.data(), &NamedPipeClientConnection::messageReceived,
            [&](const QVariant &, const QByteArray &data) {
                check(nextAtClient, data);
                ++received;
            });
    QVERIFY(waitUntil([&] { return !client->isOpening(); }));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Connected));
    const NamedPipeServerConnectionPtr server = ts.connection();
    std::vector<std::future<bool>> tasks;
    for (int writer = 0; writer < writers; ++writer) {
        tasks.push_back(runClient([&, writer] {
            bool ok = true;
            for (int number = 0; number < count; ++number) {
                ok = client->asyncWrite(message(writer, number)) && ok;
                ok = server->asyncWrite(message(writer, number)) && ok;
            }
            return ok;
        }));
    }
    const bool all = waitUntil([&] { return received == writers * count; })
            && ts.recorder.waitFor(ServerEvent::Message, writers * count);
    for (auto &task : tasks)
        QVERIFY(task.get());
    QVERIFY(all);
    QCOMPARE(mixed, 0);
}

void tst_ClientServer::broadcastReachesEveryClientInOrder_data()
{
    addThreadingRows();
}

void tst_ClientServer::broadcastReachesEveryClientInOrder()
{
    QFETCH(bool, freeThreaded);
    constexpr int clients = 64;
    const int count = scaled(100, 20);
    std::array<std::atomic<int>, clients> next {};
    std::atomic<int> received { 0 };
    std::atomic<int> misplaced { 0 };
    TestServer ts(ServerRecorder::CountOnly);
    ts.server.setFreeThreadingEvents(freeThreaded);
    ts.server.setNumThreadsIOCP(2);
    QVERIFY(ts.start());
    TestClient tc(ClientRecorder::CountOnly);
    NamedPipeClientManager &manager = tc.manager;
    manager.setFreeThreadingEvents(freeThreaded);
    manager.setNumThreadsIOCP(2);
    std::vector<NamedPipeClientConnectionPtr> connections;
    for (size_t client = 0; client < clients; ++client) {
        connections.push_back(manager.connectToServer(ts.name(), [&](const auto &connection) {
            tc.recorder.watch(connection, manager);
            connect(connection.data(), &NamedPipeClientConnection::messageReceived,
                    [&, client](const QVariant &, const QByteArray &data) {
                        if (numberOf(data) != next[client]++)
                            ++misplaced;
                        ++received;
                    });
        }));
    }
    QVERIFY(ts.recorder.waitFor(ServerEvent::Connected, clients));
    for (int number = 0; number < count; ++number)
        QCOMPARE(ts.server.asyncBroadcast(numbered(number)), clients);
    QVERIFY(waitUntil([&] { return received == clients * count; }));
    QCOMPARE(misplaced.load(), 0);
    QCOMPARE(manager.connectionCount(), clients);
}

void tst_ClientServer::manualReadsOnBothSidesAreServedInOrder()
{
    using Read = std::pair<QVariant, QByteArray>;
    QList<Read> atClient;
    TestServer ts;
    ts.server.setContinuouslyReadFromPipe(false);
    QVERIFY(ts.start());
    TestClient tc(ClientRecorder::CountOnly);
    NamedPipeClientManager &manager = tc.manager;
    manager.setContinuouslyReadFromPipe(false);
    const auto client = tc.dial(ts.name());
    connect(client.data(), &NamedPipeClientConnection::messageReceived,
            [&](const QVariant &cookie, const QByteArray &data) {
                atClient.append({ cookie, data });
            });
    QVERIFY(waitUntil([&] { return !client->isOpening(); }));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Connected));
    const NamedPipeServerConnectionPtr server = ts.connection();
    for (int number = 0; number < 5; ++number) {
        QVERIFY(client->asyncWrite("to the server " + QByteArray::number(number)));
        QVERIFY(server->asyncWrite("to the client " + QByteArray::number(number)));
    }
    watchFor();
    QCOMPARE(atClient.size(), 0); // nobody has asked
    QCOMPARE(ts.recorder.count(ServerEvent::Message), 0);
    for (const int cookie : { 70, 71, 72 }) {
        client->asyncRead(cookie);
        server->asyncRead(cookie);
    }
    QVERIFY(waitUntil([&] { return atClient.size() == 3; }));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 3));
    watchFor(std::chrono::milliseconds(30));
    QCOMPARE(atClient.size(), 3);
    QCOMPARE(ts.recorder.count(ServerEvent::Message), 3);
    for (const int cookie : { 73, 74, 75 }) { // the last one is asked for before it is there
        client->asyncRead(cookie);
        server->asyncRead(cookie);
    }
    QVERIFY(waitUntil([&] { return atClient.size() == 5; }));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 5));
    QVERIFY(client->asyncWrite("to the server 5"_ba));
    QVERIFY(server->asyncWrite("to the client 5"_ba));
    QVERIFY(waitUntil([&] { return atClient.size() == 6; }));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 6));
    const QList<QByteArray> atServer = ts.recorder.messages();
    const QList<QVariant> cookies = ts.recorder.cookies(ServerEvent::Message);
    for (int number = 0; number < 6; ++number) {
        QCOMPARE(atClient.at(number).first, QVariant(70 + number));
        QCOMPARE(atClient.at(number).second, "to the client " + QByteArray::number(number));
        QCOMPARE(cookies.at(number), QVariant(70 + number));
        QCOMPARE(atServer.at(number), "to the server " + QByteArray::number(number));
    }
}

void tst_ClientServer::heavyTrafficInBothDirectionsDoesNotLock_data()
{
    addWorkerRows();
}

void tst_ClientServer::heavyTrafficInBothDirectionsDoesNotLock()
{
    QFETCH(int, clientWorkers);
    QFETCH(int, serverWorkers);
    QFETCH(bool, freeThreaded);
    const int count = scaled(200, 30);
    // The server sends on its own, and an echo of everything: both sides write all the time, and
    // neither waits for the other.
    std::atomic<int> nextOwn { 0 };
    std::atomic<int> nextEcho { 0 };
    std::atomic<int> wrong { 0 };
    TestServer ts(ServerRecorder::CountOnly);
    ts.recorder.onConnected() = [&](const NamedPipeServerConnectionPtr &connection) {
        for (int number = 0; number < count; ++number) {
            if (!connection->asyncWrite(payload(70'001, quint32(number))))
                ++wrong;
        }
    };
    ts.recorder.onMessage() = [&](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                  const QByteArray &data) {
        if (!connection->asyncWrite(data))
            ++wrong;
    };
    ts.server.setNumThreadsIOCP(serverWorkers);
    ts.server.setFreeThreadingEvents(freeThreaded);
    QVERIFY(ts.start());
    TestClient tc(ClientRecorder::CountOnly);
    NamedPipeClientManager &manager = tc.manager;
    manager.setNumThreadsIOCP(clientWorkers);
    manager.setFreeThreadingEvents(freeThreaded);
    const auto client = manager.connectToServer(ts.name(), [&](const auto &connection) {
        tc.recorder.watch(connection, manager);
        connect(connection.data(), &NamedPipeClientConnection::messageReceived,
                [&](const QVariant &, const QByteArray &data) {
                    auto &next = data.size() == 70'001 ? nextOwn : nextEcho;
                    if (data != payload(data.size(), quint32(next++)))
                        ++wrong;
                });
    });
    QVERIFY(waitUntil([&] { return !client->isOpening(); }));
    for (int number = 0; number < count; ++number)
        QVERIFY(client->asyncWrite(payload(100'000, quint32(number))));
    QVERIFY(waitUntil([&] { return nextOwn == count && nextEcho == count; }, 2 * patience));
    QCOMPARE(wrong.load(), 0);
}

void tst_ClientServer::cookiesOfEveryTypeComeBack()
{
    QList<QVariant> sent;
    QList<QVariant> read;
    TestServer ts;
    echo(ts.recorder);
    QVERIFY(ts.start());
    TestClient tc(ClientRecorder::CountOnly);
    NamedPipeClientManager &manager = tc.manager;
    tc.recorder.allowRepeatedCookies();
    manager.setContinuouslyReadFromPipe(false);
    const auto client = tc.dial(ts.name());
    connect(client.data(), &NamedPipeClientConnection::messageSent,
            [&](const QVariant &cookie) { sent.append(cookie); });
    connect(client.data(), &NamedPipeClientConnection::messageReceived,
            [&](const QVariant &cookie) { read.append(cookie); });
    QVERIFY(waitUntil([&] { return !client->isOpening(); }));
    const QList<QVariant> cookies { 7,         QVariant(),
                                    u"text"_s, QVariantList { 1, u"two"_s },
                                    7,         QByteArray(100'000, 'c') };
    for (const QVariant &cookie : cookies) {
        client->asyncRead(cookie);
        QVERIFY(client->asyncWrite("message"_ba, cookie));
    }
    QVERIFY(waitUntil([&] { return sent.size() == 6 && read.size() == 6; }));
    QCOMPARE(sent, cookies);
    QCOMPARE(read, cookies);
}

void tst_ClientServer::customDataIsTheUsersAlone()
{
    TestServer ts;
    QVERIFY(ts.start());
    TestClient tc(ClientRecorder::CountOnly);
    NamedPipeClientManager &manager = tc.manager;
    const auto client = tc.dial(ts.name());
    QVERIFY(!client->customData().isValid());
    client->setCustomData(u"mine"_s);
    QVERIFY(waitUntil([&] { return !client->isOpening(); }));
    QCOMPARE(client->customData(), QVariant(u"mine"_s));
    QCOMPARE(client->property("customData"), QVariant(u"mine"_s));
    client->asyncClose();
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    manager.stop();
    QCOMPARE(client->customData(), QVariant(u"mine"_s));
    // Data that owns its connection is the user's business; the library must not choke on it.
    client->setCustomData(QVariant::fromValue(client));
    client->setCustomData({});
}

void tst_ClientServer::statisticsOfBothSidesAgree_data()
{
    addThreadingRows();
}

void tst_ClientServer::statisticsOfBothSidesAgree()
{
    QFETCH(bool, freeThreaded);
    const std::array<int, 4> sizes { 1, 1000, 300'000, 77 };
    TestServer ts;
    echo(ts.recorder);
    ts.server.setFreeThreadingEvents(freeThreaded);
    QVERIFY(ts.start());
    TestClient tc(ClientRecorder::CountOnly);
    NamedPipeClientManager &manager = tc.manager;
    manager.setFreeThreadingEvents(freeThreaded);
    QCOMPARE(manager.statistics().messagesSent, 0u);
    std::vector<NamedPipeClientConnectionPtr> clients;
    for (int index = 0; index < 3; ++index) {
        const auto client = tc.dial(ts.name());
        clients.push_back(client);
        QVERIFY(ts.recorder.waitFor(ServerEvent::Connected, index + 1));
        QVERIFY(waitUntil([&] { return !client->isOpening(); }));
        for (int message = 0; message <= index; ++message) {
            for (const int size : sizes)
                QVERIFY(client->asyncWrite(payload(size)));
        }
        const quint64 messages = 4u * quint64(index + 1);
        const quint64 bytes = 301'078u * quint64(index + 1);
        QVERIFY(waitUntil([&] { return client->statistics().messagesReceived == messages; }));
        const NamedPipeServerConnectionPtr server = ts.connection(index);
        QVERIFY(waitUntil([&] { return server->statistics().messagesSent == messages; }));
        QVERIFY(waitUntil([&] { return client->statistics().messagesSent == messages; }));
        QCOMPARE(client->statistics().bytesSent, bytes);
        QCOMPARE(client->statistics().bytesReceived, bytes);
        QCOMPARE(server->statistics().bytesSent, bytes);
        QCOMPARE(server->statistics().bytesReceived, bytes);
        QCOMPARE(server->statistics().messagesReceived, messages);
    }
    const auto agree = [&] {
        const NamedPipe::Statistics mine = manager.statistics();
        const NamedPipe::Statistics its = ts.server.statistics();
        return mine.messagesSent == 24 && mine.messagesReceived == 24
                && mine.bytesSent == 6 * 301'078 && mine.bytesReceived == 6 * 301'078
                && its.messagesSent == 24 && its.messagesReceived == 24
                && its.bytesSent == 6 * 301'078 && its.bytesReceived == 6 * 301'078;
    };
    QVERIFY(agree());
    clients.clear(); // those of the past count as well
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected, 3));
    QVERIFY(agree());
    manager.stop(); // to look at afterwards
    QVERIFY(agree());
}

void tst_ClientServer::eachSideKnowsTheOther()
{
    TestServer ts;
    QVERIFY(ts.start());
    TestClient tc(ClientRecorder::CountOnly);
    NamedPipeClientManager &manager = tc.manager;
    const auto client = tc.dial(ts.name());
    QCOMPARE(client->pipeName(), ts.name());
    QVERIFY(client->isOpening());
    QVERIFY(waitUntil([&] { return !client->isOpening(); }));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Connected));
    QVERIFY(client->isConnected());
    QVERIFY(client->handle() != qintptr(-1));
    QCOMPARE(client->serverProcessId(), QCoreApplication::applicationPid());
    QCOMPARE(client->serverUserId(), ProcessFacts::userId());
    QCOMPARE(ts.connection()->clientProcessId(), QCoreApplication::applicationPid());
    QCOMPARE(ts.connection()->clientUserId(), ProcessFacts::userId());
    QCOMPARE(manager.connections(), QList { client });
    client->asyncClose();
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    QVERIFY(waitUntil([&] { return client->handle() == qintptr(-1); }));
    QVERIFY(!client->isConnected());
    QVERIFY(!client->isOpening());
    QCOMPARE(client->closeReason(), NamedPipe::ClosedByClient);
    QCOMPARE(ts.connection()->closeReason(), NamedPipe::ClosedByClient);
    QCOMPARE(manager.connectionCount(), 0);

    manager.setWaitForServer(true);
    const auto nowhere = tc.dial(scratchName());
    QVERIFY(nowhere->isOpening());
    QVERIFY(!nowhere->isConnected());
    QCOMPARE(nowhere->handle(), qintptr(-1));
    QCOMPARE(nowhere->serverProcessId(), 0);
    QCOMPARE(nowhere->serverUserId(), QString());
    QCOMPARE(nowhere->closeReason(), NamedPipe::StillOpen);
}

void tst_ClientServer::clientsHaveNumbersInTheOrderOfArrival()
{
    TestServer ts;
    QVERIFY(ts.start());
    TestClient tc(ClientRecorder::CountOnly);
    NamedPipeClientManager &manager = tc.manager;
    QList<NamedPipeClientConnectionPtr> clients;
    for (int index = 0; index < 5; ++index) {
        clients.append(tc.dial(ts.name()));
        QVERIFY(ts.recorder.waitFor(ServerEvent::Connected, index + 1));
        QVERIFY(waitUntil([&] { return !clients.last()->isOpening(); }));
        QCOMPARE(ts.connection(index)->id(), quint64(index + 1));
        QVERIFY(clients.last()->asyncWrite(numbered(index)));
        QVERIFY(waitUntil([&] { return ts.recorder.count(ServerEvent::Message) == index + 1; }));
        QCOMPARE(ts.recorder.messagesOf(quint64(index + 1)), QList { numbered(index) });
    }
    QCOMPARE(manager.connections(), clients);
    clients.takeAt(2)->asyncClose();
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    QVERIFY(waitUntil([&] { return manager.connectionCount() == 4; }));
    QCOMPARE(manager.connections(), clients);
}

void tst_ClientServer::clientAndServerLiveInDifferentThreads()
{
    const int count = scaled(2000, 100);
    TestServer ts(ServerRecorder::CountOnly);
    echo(ts.recorder);
    QVERIFY(ts.start());
    auto task = runClient([name = ts.name(), count] {
        const QEventLoop loop; // gives the thread its events
        const auto here = std::this_thread::get_id();
        int received = 0;
        bool ended = false;
        bool ok = true;
        NamedPipeClientManager manager;
        const auto client = manager.connectToServer(name);
        connect(client.data(), &NamedPipeClientConnection::messageReceived,
                [&](const QVariant &, const QByteArray &data) {
                    ok = ok && std::this_thread::get_id() == here && numberOf(data) == received;
                    ++received;
                });
        connect(client.data(), &NamedPipeClientConnection::disconnected, [&] { ended = true; });
        ok = ok && waitUntil([&] { return !client->isOpening(); });
        for (int number = 0; number < count; ++number)
            ok = client->asyncWrite(numbered(number)) && ok;
        ok = waitUntil([&] { return received == count; }) && ok;
        client->asyncClose();
        return waitUntil([&] { return ended; }) && ok;
    });
    QVERIFY(waitForTask(task));
    QVERIFY(task.get());
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    QCOMPARE(ts.recorder.count(ServerEvent::Message), count);
}

void tst_ClientServer::whatAThreadBeganGoesOnWithoutIt_data()
{
    addThreadingRows();
}

// The end of a thread cancels what it has asked the system for, if a library lets it.
void tst_ClientServer::whatAThreadBeganGoesOnWithoutIt()
{
    QFETCH(bool, freeThreaded);
    const QByteArray large = payload(moreThanTheSystemBuffers);
    TestServer ts;
    ts.server.setContinuouslyReadFromPipe(false);
    ts.server.setFreeThreadingEvents(freeThreaded);
    QVERIFY(ts.start());
    TestClient tc;
    tc.manager.setContinuouslyReadFromPipe(false);
    tc.manager.setFreeThreadingEvents(freeThreaded);
    const auto client = tc.connectTo(ts.name());
    QVERIFY(client);
    QVERIFY(ts.recorder.waitFor(ServerEvent::Connected));
    const auto served = ts.connection();

    std::thread([&] { // reads that nothing answers yet
        client->asyncRead(1);
        served->asyncRead(2);
    })
            .join();
    QVERIFY(client->asyncWrite("to the server"_ba));
    QVERIFY(served->asyncWrite("to the client"_ba));
    QVERIFY(tc.recorder.waitFor(ClientEvent::Message));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message));

    bool accepted = false;
    std::thread([&] { // writes that nobody takes yet
        accepted = client->asyncWrite(large, 3) && served->asyncWrite(large, 4);
    })
            .join();
    QVERIFY(accepted);
    QVERIFY(client->bytesToWrite() > 0);
    QVERIFY(served->bytesToWrite() > 0);
    client->asyncRead(5);
    served->asyncRead(6);
    QVERIFY(tc.recorder.waitFor(ClientEvent::Message, 2));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 2));
    QVERIFY(tc.recorder.waitFor(ClientEvent::Sent, 2));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Sent, 2));

    QCOMPARE(tc.recorder.messages(), (QList { "to the client"_ba, large }));
    QCOMPARE(ts.recorder.messages(), (QList { "to the server"_ba, large }));
    QCOMPARE(tc.recorder.cookies(ClientEvent::Message), (QVariantList { 1, 5 }));
    QCOMPARE(ts.recorder.cookies(ServerEvent::Message), (QVariantList { 2, 6 }));
    QVERIFY(client->isConnected());
}

void tst_ClientServer::connectingInsideEveryClientSlotWorks_data()
{
    QTest::addColumn<ClientSlot>("slot");
    QTest::addColumn<bool>("freeThreaded");
    for (const bool freeThreaded : { false, true }) {
        const char *const mode = freeThreaded ? "free-threaded" : "marshalled";
        QTest::addRow("connected, %s", mode) << InConnected << freeThreaded;
        QTest::addRow("messageReceived, %s", mode) << InMessage << freeThreaded;
        QTest::addRow("messageSent, %s", mode) << InSent << freeThreaded;
        QTest::addRow("disconnected, %s", mode) << InDisconnected << freeThreaded;
        QTest::addRow("errorOccurred, %s", mode) << InError << freeThreaded;
    }
}

void tst_ClientServer::connectingInsideEveryClientSlotWorks()
{
    QFETCH(ClientSlot, slot);
    QFETCH(bool, freeThreaded);
    std::atomic<bool> calling { false };
    std::atomic<bool> emittedInside { false };
    std::atomic<int> made { 0 };
    std::atomic<int> echoes { 0 };
    NamedPipeClientConnectionPtr second;
    TestServer ts(ServerRecorder::CountOnly);
    echo(ts.recorder);
    QVERIFY(ts.start());
    NamedPipeClientManager manager;
    manager.setFreeThreadingEvents(freeThreaded);
    const auto connectAgain = [&] {
        if (made++ > 0)
            return;
        calling = true;
        const std::thread::id here = std::this_thread::get_id();
        second = manager.connectToServer(ts.name(), [&](const auto &connection) {
            NamedPipeClientConnection *const own = connection.data();
            connect(own, &NamedPipeClientConnection::connected, [&, own, here] {
                if (std::this_thread::get_id() == here && calling)
                    emittedInside = true;
                own->asyncWrite("second"_ba);
            });
            connect(own, &NamedPipeClientConnection::messageReceived,
                    [&](const QVariant &, const QByteArray &data) {
                        if (data == "second"_ba)
                            ++echoes;
                    });
        });
        calling = false;
    };
    const auto first = manager.connectToServer(
            slot == InError ? scratchName() : ts.name(), [&](const auto &connection) {
                NamedPipeClientConnection *const own = connection.data();
                connect(own, &NamedPipeClientConnection::connected, [&, own] {
                    own->asyncWrite("first"_ba);
                    if (slot == InConnected)
                        connectAgain();
                });
                connect(own, &NamedPipeClientConnection::messageReceived, [&, own] {
                    if (slot == InMessage)
                        connectAgain();
                    if (slot == InDisconnected)
                        own->asyncClose();
                });
                connect(own, &NamedPipeClientConnection::messageSent, [&] {
                    if (slot == InSent)
                        connectAgain();
                });
                connect(own, &NamedPipeClientConnection::disconnected, [&] {
                    if (slot == InDisconnected)
                        connectAgain();
                });
                connect(own, &NamedPipeClientConnection::errorOccurred, [&] {
                    if (slot == InError)
                        connectAgain();
                });
            });
    QVERIFY(waitUntil([&] { return echoes == 1; }));
    QCOMPARE(made.load(), 1);
    QVERIFY(!emittedInside);
    manager.stop();
}

void tst_ClientServer::connectingToTheOwnServerInItsSlotsWorks_data()
{
    QTest::addColumn<int>("kind");
    QTest::addColumn<bool>("freeThreaded");
    for (const bool freeThreaded : { false, true }) {
        const char *const mode = freeThreaded ? "free-threaded" : "marshalled";
        QTest::addRow("serverReady, %s", mode) << int(ServerEvent::Ready) << freeThreaded;
        QTest::addRow("clientConnected, %s", mode) << int(ServerEvent::Connected) << freeThreaded;
        QTest::addRow("clientMessageReceived, %s", mode)
                << int(ServerEvent::Message) << freeThreaded;
        QTest::addRow("clientMessageSent, %s", mode) << int(ServerEvent::Sent) << freeThreaded;
        QTest::addRow("clientDisconnected, %s", mode)
                << int(ServerEvent::Disconnected) << freeThreaded;
    }
}

void tst_ClientServer::connectingToTheOwnServerInItsSlotsWorks()
{
    QFETCH(int, kind);
    QFETCH(bool, freeThreaded);
    std::atomic<bool> made { false };
    std::atomic<int> echoes { 0 };
    NamedPipeClientConnectionPtr client;
    TestServer ts(ServerRecorder::CountOnly);
    NamedPipeClientManager manager;
    manager.setFreeThreadingEvents(freeThreaded);
    const auto connectNow = [&](int here) {
        if (here != kind || made.exchange(true))
            return;
        client = manager.connectToServer(ts.name(), [&](const auto &connection) {
            NamedPipeClientConnection *const own = connection.data();
            connect(own, &NamedPipeClientConnection::connected,
                    [own] { own->asyncWrite("from the slot"_ba); });
            connect(own, &NamedPipeClientConnection::messageReceived,
                    [&](const QVariant &, const QByteArray &data) {
                        if (data == "from the slot"_ba)
                            ++echoes;
                    });
        });
    };
    ts.recorder.onReady() = [&] { connectNow(ServerEvent::Ready); };
    ts.recorder.onConnected() = [&](const auto &) { connectNow(ServerEvent::Connected); };
    ts.recorder.onMessage() = [&](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                  const QByteArray &data) {
        connection->asyncWrite(data);
        connectNow(ServerEvent::Message);
    };
    ts.recorder.onSent() = [&](const auto &, const auto &) { connectNow(ServerEvent::Sent); };
    ts.recorder.onDisconnected() = [&](const auto &) { connectNow(ServerEvent::Disconnected); };
    ts.server.setFreeThreadingEvents(freeThreaded);
    QVERIFY(ts.start());
    if (kind != ServerEvent::Ready) {
        RawPeer peer;
        QVERIFY(peer.connectTo(ts.name()));
        QVERIFY(peer.sendMessage("hello"_ba));
        QVERIFY(ts.recorder.waitFor(ServerEvent::Sent));
        peer.close();
    }
    QVERIFY(waitUntil([&] { return echoes == 1; }));
    ts.server.stop(); // its slots use the manager
}

void tst_ClientServer::writesInsideConnectedComeFirst_data()
{
    addThreadingRows();
}

void tst_ClientServer::writesInsideConnectedComeFirst()
{
    QFETCH(bool, freeThreaded);
    for (int round = 0; round < scaled(20, 3); ++round) {
        std::atomic<int> refused { 0 };
        std::atomic<int> greeted { 0 };
        std::atomic<bool> isConnected { false };
        TestServer ts;
        ts.recorder.onConnected() = [](const NamedPipeServerConnectionPtr &connection) {
            connection->asyncWrite("welcome"_ba);
        };
        ts.server.setFreeThreadingEvents(freeThreaded);
        QVERIFY(ts.start());
        TestClient tc(ClientRecorder::CountOnly);
        NamedPipeClientManager &manager = tc.manager;
        manager.setFreeThreadingEvents(freeThreaded);
        const auto client = manager.connectToServer(ts.name(), [&](const auto &connection) {
            tc.recorder.watch(connection, manager);
            NamedPipeClientConnection *const own = connection.data();
            connect(own, &NamedPipeClientConnection::connected, [&, own] {
                isConnected = own->isConnected();
                for (int number = 0; number < 3; ++number)
                    refused += own->asyncWrite(numbered(number)) ? 0 : 1;
            });
            connect(own, &NamedPipeClientConnection::messageReceived, [&, own] {
                ++greeted;
                own->asyncWrite(numbered(3)); // an answer comes after what connected() said
            });
        });
        QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 4));
        QCOMPARE(ts.recorder.messages(),
                 (QList { numbered(0), numbered(1), numbered(2), numbered(3) }));
        QCOMPARE(refused.load(), 0);
        QCOMPARE(greeted.load(), 1);
        QVERIFY(isConnected);
        QVERIFY(!client->isOpening());
    }
}

void tst_ClientServer::closingInsideConnectedWorks_data()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::addColumn<bool>("sendsFirst");
    QTest::newRow("at once, marshalled") << false << false;
    QTest::newRow("at once, free-threaded") << true << false;
    QTest::newRow("after a last message, marshalled") << false << true;
    QTest::newRow("after a last message, free-threaded") << true << true;
}

void tst_ClientServer::closingInsideConnectedWorks()
{
    QFETCH(bool, freeThreaded);
    QFETCH(bool, sendsFirst);
    for (int round = 0; round < scaled(20, 3); ++round) {
        std::atomic<int> connected { 0 };
        std::atomic<int> disconnected { 0 };
        std::atomic<int> sent { 0 };
        std::atomic<int> others { 0 };
        TestServer ts;
        QVERIFY(ts.start());
        TestClient tc(ClientRecorder::CountOnly);
        NamedPipeClientManager &manager = tc.manager;
        manager.setFreeThreadingEvents(freeThreaded);
        const auto client = manager.connectToServer(ts.name(), [&](const auto &connection) {
            tc.recorder.watch(connection, manager);
            NamedPipeClientConnection *const own = connection.data();
            connect(own, &NamedPipeClientConnection::connected, [&, own] {
                ++connected;
                if (sendsFirst)
                    own->asyncWrite("good-bye"_ba);
                own->asyncClose(sendsFirst ? NamedPipe::SendPending : NamedPipe::CancelPending);
            });
            connect(own, &NamedPipeClientConnection::disconnected, [&] { ++disconnected; });
            connect(own, &NamedPipeClientConnection::messageSent, [&] { ++sent; });
            connect(own, &NamedPipeClientConnection::messageNotSent, [&] { ++others; });
            connect(own, &NamedPipeClientConnection::errorOccurred, [&] { ++others; });
        });
        QVERIFY(waitUntil([&] { return disconnected == 1; }));
        QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
        manager.stop();
        QCOMPARE(connected.load(), 1);
        QCOMPARE(disconnected.load(), 1);
        QCOMPARE(sent.load(), sendsFirst ? 1 : 0);
        QCOMPARE(others.load(), 0);
        QCOMPARE(client->closeReason(), NamedPipe::ClosedByClient);
        QCOMPARE(ts.recorder.messages(),
                 sendsFirst ? QList { "good-bye"_ba } : QList<QByteArray>());
        QCOMPARE(ts.recorder.count(ServerEvent::ClientError), 0);
    }
}

void tst_ClientServer::openingAndClosingLeaksNothing_data()
{
    QTest::addColumn<bool>("newManager");
    QTest::newRow("one manager for all") << false;
    QTest::newRow("a manager for each") << true;
}

void tst_ClientServer::openingAndClosingLeaksNothing()
{
    QFETCH(bool, newManager);
    TestServer ts(ServerRecorder::CountOnly);
    echo(ts.recorder);
    QVERIFY(ts.start());
    auto manager = std::make_unique<NamedPipeClientManager>();
    int rounds = 0;
    const auto round = [&] {
        if (newManager)
            manager = std::make_unique<NamedPipeClientManager>();
        bool answered = false;
        auto client = manager->connectToServer(ts.name());
        NamedPipeClientConnection *const own = client.data();
        connect(own, &NamedPipeClientConnection::connected, [own] { own->asyncWrite("hello"_ba); });
        connect(own, &NamedPipeClientConnection::messageReceived, [&] { answered = true; });
        const bool ok = waitUntil([&] { return answered; });
        if (rounds % 3 == 0)
            client->asyncClose(); // or the pointer goes, or a pointer that is closed does
        if (rounds % 3 < 2)
            client.reset();
        if (rounds % 3 == 2 && !newManager)
            client->asyncClose(NamedPipe::SendPending);
        if (newManager)
            manager.reset();
        return ok && ts.recorder.waitFor(ServerEvent::Disconnected, ++rounds);
    };
    for (int warm = 0; warm < 6; ++warm)
        QVERIFY(round());
    const int handles = ProcessFacts::openHandles();
    const int threads = ProcessFacts::threads();
    const int count = scaled(300, 30);
    for (int number = 0; number < count; ++number)
        QVERIFY(round());
    const int tolerance = PlatformFlags::runningOnWindows() ? 8 : 0; // Windows has some of its own
    // Without the event loop: on Windows its timer has a thread of its own.
    QVERIFY2(waitWithoutEvents([&] { return ProcessFacts::openHandles() <= handles + tolerance; }),
             qPrintable(u"%1 handles before, %2 after"_s.arg(handles).arg(
                     ProcessFacts::openHandles())));
    QVERIFY2(waitWithoutEvents([&] { return ProcessFacts::threads() <= threads; }),
             qPrintable(
                     u"%1 threads before, %2 after"_s.arg(threads).arg(ProcessFacts::threads())));
    QCOMPARE(ts.server.connectionCount(), 0);
}

QTEST_GUILESS_MAIN(tst_ClientServer)
#include "tst_client_server.moc"
