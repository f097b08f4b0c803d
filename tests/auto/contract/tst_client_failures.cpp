// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "scratchname.h"
#include "testclient.h"
#include "testserver.h"

#include <QtTest/QtTest>

#include <stdexcept>

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

/// Connections that are never dialed, for their name or a property is wrong: what is told of them
/// obeys the same rules as what is told of others.
class tst_ClientFailures : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void theyAreToldFromTheEventLoop_data();
    void theyAreToldFromTheEventLoop();
    void stopTellsThemAndNothingFollows();
    void attemptsInASlotOfStopAreToldAfterwards();
    void managerThatGoesTellsNothing();
    void managerMayGoInTheirSlot();
    void preparationMayThrow_data();
    void preparationMayThrow();
    void lastPointerMayGoInTheirSlot();
    void manyOfThemAreToldInOrder();
};

void tst_ClientFailures::theyAreToldFromTheEventLoop_data()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::newRow("marshalled") << false;
    QTest::newRow("free-threaded") << true;
}

void tst_ClientFailures::theyAreToldFromTheEventLoop()
{
    QFETCH(bool, freeThreaded);
    TestClient client;
    client.manager.setFreeThreadingEvents(freeThreaded);
    QThread *thread = nullptr;
    client.recorder.onError() = [&](NamedPipeClientConnection &, NamedPipe::Error) {
        thread = QThread::currentThread();
    };
    const auto connection = client.dial(u"bad/name"_s);
    QCOMPARE(client.recorder.count(), 0);
    QVERIFY(!connection->isOpening());
    QCOMPARE(connection->closeReason(), NamedPipe::Failed);
    QVERIFY(client.recorder.waitFor(ClientEvent::Error));
    QCOMPARE(thread, QThread::currentThread());
    QCOMPARE(client.recorder.errors(), QList { NamedPipe::NameInvalid });
    QVERIFY(!connection->asyncWrite("too late"_ba));
    watchFor(20ms);
    QCOMPARE(client.recorder.count(), 1);
}

void tst_ClientFailures::stopTellsThemAndNothingFollows()
{
    TestClient client;
    const auto connection = client.dial(QString());
    client.manager.stop();
    QCOMPARE(client.recorder.errors(), QList { NamedPipe::NameMissing });
    watchFor(20ms);
    QCOMPARE(client.recorder.count(), 1);
}

void tst_ClientFailures::attemptsInASlotOfStopAreToldAfterwards()
{
    TestServer ts;
    QVERIFY(ts.start());
    TestClient client;
    NamedPipeClientConnectionPtr second;
    client.recorder.onDisconnected() = [&](NamedPipeClientConnection &) {
        second = client.dial(ts.name());
    };
    const auto connection = client.connectTo(ts.name());
    QVERIFY(connection);
    client.manager.stop();
    QVERIFY(second);
    QCOMPARE(client.recorder.errors(), QList<NamedPipe::Error>());
    QVERIFY(client.recorder.waitFor(ClientEvent::Error));
    QCOMPARE(client.recorder.errors(), QList { NamedPipe::InvalidConfiguration });
    const auto third = client.connectTo(ts.name()); // and afterwards all is as before
    QVERIFY(third);
}

void tst_ClientFailures::managerThatGoesTellsNothing()
{
    ClientRecorder recorder;
    NamedPipeClientConnectionPtr connection;
    {
        NamedPipeClientManager manager;
        connection =
                manager.connectToServer(QString(), [&](const NamedPipeClientConnectionPtr &made) {
                    recorder.watch(made, manager);
                });
    }
    watchFor(20ms);
    QCOMPARE(recorder.count(), 0);
    QVERIFY(!connection->asyncWrite("harmless"_ba));
}

void tst_ClientFailures::managerMayGoInTheirSlot()
{
    ClientRecorder recorder;
    auto *manager = new NamedPipeClientManager;
    recorder.onError() = [&](NamedPipeClientConnection &connection, NamedPipe::Error) {
        delete std::exchange(manager, nullptr);
        QVERIFY(!connection.asyncWrite("harmless"_ba));
    };
    const auto watch = [&](const NamedPipeClientConnectionPtr &made) {
        recorder.watch(made, *manager);
    };
    const auto first = manager->connectToServer(QString(), watch);
    const auto second = manager->connectToServer(u"a/b"_s, watch);
    QVERIFY(recorder.waitFor(ClientEvent::Error));
    QVERIFY(!manager);
    watchFor(20ms);
    QCOMPARE(recorder.count(), 1);
}

void tst_ClientFailures::preparationMayThrow_data()
{
    QTest::addColumn<QString>("name");
    QTest::newRow("that fails") << u"a/b"_s;
    QTest::newRow("that would be dialed") << scratchName();
}

void tst_ClientFailures::preparationMayThrow()
{
    QFETCH(QString, name);
    TestClient client;
    for (int round = 0; round < 3; ++round) {
        bool isThrown = false;
        try {
            client.manager.connectToServer(name, [](const NamedPipeClientConnectionPtr &) {
                throw std::runtime_error("not today");
            });
        } catch (const std::runtime_error &) {
            isThrown = true;
        }
        QVERIFY(isThrown);
    }
    const auto next = client.dial(QString());
    QVERIFY(client.recorder.waitFor(ClientEvent::Error));
    QCOMPARE(client.recorder.count(), 1);
    client.manager.stop(); // does not wait for what never was
}

void tst_ClientFailures::lastPointerMayGoInTheirSlot()
{
    TestClient client;
    NamedPipeClientConnectionPtr connection;
    client.recorder.onError() = [&](NamedPipeClientConnection &, NamedPipe::Error) {
        connection.reset();
    };
    connection = client.dial(QString());
    const QWeakPointer<NamedPipeClientConnection> left(connection);
    QVERIFY(client.recorder.waitFor(ClientEvent::Error));
    QVERIFY(waitUntil([&] { return left.isNull(); }));
}

void tst_ClientFailures::manyOfThemAreToldInOrder()
{
    TestClient client;
    QList<NamedPipeClientConnectionPtr> connections;
    QList<NamedPipe::Error> expected;
    for (int i = 0; i < 100; ++i) {
        connections.append(client.dial(i % 3 == 0 ? QString() : u"a/b"_s));
        expected.append(i % 3 == 0 ? NamedPipe::NameMissing : NamedPipe::NameInvalid);
    }
    QVERIFY(client.recorder.waitFor(ClientEvent::Error, 100));
    QCOMPARE(client.recorder.errors(), expected);
}

QTEST_GUILESS_MAIN(tst_ClientFailures)
#include "tst_client_failures.moc"
