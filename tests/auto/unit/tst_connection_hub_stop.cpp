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

/// How it ends: stop(), stopWhenSent(), and the owner that is deleted.
class tst_ConnectionHubStop : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void stopDeliversWhatIsQueued();
    void stopEndsWhatNobodyAskedFor();
    void stopInsideASlotDeliversTheRestFirst();
    void stopWaitsForCancelledOperations();
    void stopGivesUpOperationsThatNeverComeBack();
    void stopWaitsForTheSlotsOfWorkers();
    void clientAcceptedDuringStopIsDropped();
    void abandonIsSilent();
    void handleIsNotClosedUnderTheCallOfAnotherThread_data();
    void handleIsNotClosedUnderTheCallOfAnotherThread();
    void stopWhenSentWaitsForTheWrites();
    void stopWhenSentEndsAtItsDeadline();
    void stopWhenSentIsNotToldOfEarlierTimeouts();
};

void tst_ConnectionHubStop::stopDeliversWhatIsQueued()
{
    FakeServer server;
    server.hub->setWantsMessageSent();
    QVERIFY(!server.hub->listen({}));
    const auto client = server.connectClient();
    const auto other = server.connectClient();
    QVERIFY(client->receive({ "a"_ba, "b"_ba }));
    QVERIFY(server.connection()->write("out"_ba, 1, false));
    server.engine->sink()->listenerFailed({ NamedPipe::ResourceExhausted, 24, "accept4", {} });
    const auto log = server.log;
    server.stop();
    QCOMPARE(log->lines(0), QStringList({ u"ready"_s, u"server error ResourceExhausted"_s }));
    QCOMPARE(log->lines(1),
             QStringList(
                     { u"opened"_s, u"sent #1"_s, u"message a"_s, u"message b"_s, u"closed"_s }));
    QCOMPARE(log->lines(2), QStringList({ u"opened"_s, u"closed"_s }));
    QCOMPARE(server.connection(1)->closeReason(), NamedPipe::ServerStopped);
    QCOMPARE(server.engine->calls().mid(3), QStringList({ u"stopAccepting"_s, u"shutdown"_s }));
    QVERIFY(client->isClosed() && other->isClosed());
    log->expectSilence();
    server.deliver();
}

void tst_ConnectionHubStop::stopEndsWhatNobodyAskedFor()
{
    FakeServer server({}, false);
    QVERIFY(server.start());
    const auto client = server.openClient();
    server.connection()->read(1);
    QVERIFY(client->receive({ "a"_ba, "nobody wants it"_ba }));
    const auto gone = server.connectClient();
    server.connection(1)->read(1);
    QVERIFY(gone->receive({ "b"_ba, "nor this"_ba }));
    gone->hangUp();
    QVERIFY(gone->endReading(ReadEnd::PeerClosed));
    server.stop();
    QCOMPARE(server.log->lines(1), QStringList({ u"opened"_s, u"message a #1"_s, u"closed"_s }));
    QCOMPARE(server.log->lines(2), QStringList({ u"opened"_s, u"message b #1"_s, u"closed"_s }));
}

void tst_ConnectionHubStop::stopInsideASlotDeliversTheRestFirst()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    server.log->hook = [&](const FakeEvent &event) {
        if (event.data == "a") {
            server.stop();
            QCOMPARE(server.log->lines(1).constLast(), u"closed"_s);
            server.log->expectSilence();
        }
    };
    QVERIFY(client->receive({ "a"_ba, "b"_ba }));
    server.deliver();
    QCOMPARE(server.log->lines(1),
             QStringList({ u"opened"_s, u"message a"_s, u"message b"_s, u"closed"_s }));
}

void tst_ConnectionHubStop::stopWaitsForCancelledOperations()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->cancelAnswer = FakeEndpoint::Later;
    client->acceptsAtOnce = false;
    QVERIFY(server.connection()->write("out"_ba, 1, false));
    std::atomic<bool> answered { false };
    std::thread system([&] {
        if (!waitWithoutEvents([&] { return client->isCancelled(); }))
            return;
        client->endReading(ReadEnd::Cancelled);
        waitWithoutEvents([] { return false; }, 50ms);
        answered = true;
        client->accept(1);
        client->finishWrite();
    });
    server.stop();
    QVERIFY(answered);
    QCOMPARE(server.log->lines(1), QStringList({ u"opened"_s, u"sent #1"_s, u"closed"_s }));
    system.join();
}

void tst_ConnectionHubStop::stopGivesUpOperationsThatNeverComeBack()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->cancelAnswer = FakeEndpoint::Never;
    QTest::ignoreMessage(QtWarningMsg, QRegularExpression(u"did not complete 1 operations"_s));
    QElapsedTimer timer;
    timer.start();
    server.stop();
    QVERIFY(timer.elapsed() >= 900);
    QVERIFY(timer.elapsed() < 10000);
    QVERIFY(client->isClosed());
    QCOMPARE(server.log->lines(1), QStringList({ u"opened"_s, u"closed"_s }));
    client->endReading(ReadEnd::Cancelled); // now, of all times
}

void tst_ConnectionHubStop::stopWaitsForTheSlotsOfWorkers()
{
    HubSettings settings;
    settings.freeThreaded = true;
    FakeServer server(settings, true, 2);
    Gate inSlot;
    std::atomic<bool> left { false };
    server.log->hook = [&](const FakeEvent &event) {
        if (event.kind != FakeEvent::Sent)
            return;
        inSlot.open();
        waitWithoutEvents([] { return false; }, 50ms);
        left = true;
    };
    QVERIFY(server.start());
    QVERIFY(waitWithoutEvents([&] { return server.engine->isAccepting(); }));
    const auto client = server.connectClient();
    QVERIFY(server.connection()->write("out"_ba, 1, false));
    QVERIFY(inSlot.wait());
    server.stop();
    QVERIFY(left);
    server.log->expectSilence();
    QCOMPARE(server.log->lines(1), QStringList({ u"opened"_s, u"sent #1"_s, u"closed"_s }));
}

void tst_ConnectionHubStop::clientAcceptedDuringStopIsDropped()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto sink = server.engine->sink();
    QVERIFY(sink->reservePlace()); // a client is being let in ...
    const auto hub = server.hub;
    server.stop(); // ... while the server stops
    const auto late = std::make_shared<FakeEndpoint>(server.engine, PeerIdentity());
    sink->accepted(late);
    QVERIFY(late->isClosed());
    QVERIFY(!sink->reservePlace());
    QCOMPARE(hub->connectionCount(), 0);
    QCOMPARE(hub->statistics().connectionsAccepted, 0u);
    QCOMPARE(server.log->lines(), QStringList({ u"ready"_s }));
}

void tst_ConnectionHubStop::abandonIsSilent()
{
    auto server = std::make_unique<FakeServer>();
    QVERIFY(server->start());
    auto client = server->openClient();
    client->acceptsAtOnce = false;
    const auto connection = server->connection();
    QVERIFY(connection->write("out"_ba, 1, false));
    QVERIFY(client->receive({ "a"_ba }));
    const auto log = server->log;
    log->expectSilence();
    server.reset();
    QVERIFY(client->isClosed() && !connection->isConnected());
    QVERIFY(!connection->object());
    QVERIFY(!connection->write("late"_ba, 2, false));
    connection->close(NamedPipe::CancelPending);
    QCoreApplication::sendPostedEvents();
}

void tst_ConnectionHubStop::handleIsNotClosedUnderTheCallOfAnotherThread_data()
{
    QTest::addColumn<bool>("isWorker");
    QTest::newRow("owner deleted in a slot of a worker") << true;
    QTest::newRow("stop(), and a second passes") << false;
}

void tst_ConnectionHubStop::handleIsNotClosedUnderTheCallOfAnotherThread()
{
    QFETCH(bool, isWorker);
    HubSettings settings;
    settings.freeThreaded = isWorker;
    FakeServer server(settings);
    QVERIFY(server.start());
    const auto client = server.openClient();
    const auto connection = server.connection();
    Gate isCalled, mayReturn;
    client->onStartWrite = [&] {
        isCalled.open();
        mayReturn.wait();
    };
    std::thread writer([&] { connection->write("out"_ba, {}, false); });
    const bool wasCalled = isCalled.wait();
    if (isWorker) {
        const FakeEngine::AsWorker worker(server.engine.get());
        server.hub->abandon();
    } else {
        QTest::ignoreMessage(QtWarningMsg, QRegularExpression(u"did not complete"_s));
        server.stop();
    }
    const bool wasClosed = client->isClosed();
    mayReturn.open();
    writer.join();
    QVERIFY(wasCalled);
    QVERIFY(!wasClosed);
    QVERIFY(client->isClosed()); // now
}

void tst_ConnectionHubStop::stopWhenSentWaitsForTheWrites()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto idle = server.openClient();
    const auto client = server.openClient();
    client->acceptsAtOnce = false;
    QVERIFY(server.connection(1)->write("one"_ba, 1, false));
    QVERIFY(server.connection(1)->write("two"_ba, 2, false));
    std::thread system([&] {
        waitWithoutEvents([&] { return idle->isClosed(); });
        client->finishWrite();
        client->finishWrite();
    });
    QVERIFY(server.hub->sendPending(Clock::now() + 30s));
    system.join();
    QVERIFY(client->isClosed() && !server.engine->isAccepting());
    QCOMPARE(client->written().size(), 2);
    server.stop();
    QCOMPARE(server.log->lines(2),
             QStringList({ u"opened"_s, u"sent #1"_s, u"sent #2"_s, u"closed"_s }));
    QCOMPARE(server.connection(1)->closeReason(), NamedPipe::ServerStopped);
}

void tst_ConnectionHubStop::stopWhenSentEndsAtItsDeadline()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->acceptsAtOnce = false;
    QVERIFY(server.connection()->write("stuck"_ba, 1, false));
    std::thread clock([&] {
        waitWithoutEvents([&] { return server.engine->timerCount() > 0; });
        server.engine->advance(1h);
    });
    QVERIFY(!server.hub->sendPending(Clock::now() + 1h - 1min));
    clock.join();
    server.stop();
    QCOMPARE(server.log->lines(1),
             QStringList({ u"opened"_s, u"error ConnectionBroken"_s, u"closed"_s }));
}

void tst_ConnectionHubStop::stopWhenSentIsNotToldOfEarlierTimeouts()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->acceptsAtOnce = false;
    QVERIFY(server.connection()->write("stuck"_ba, 1, false));
    server.connection()->close(NamedPipe::SendPending);
    server.engine->advance(1h); // that one client did not read in time
    QVERIFY(client->isClosed());
    server.deliver();
    const auto later = server.openClient();
    QVERIFY(server.connection(1)->write("out"_ba, 1, false));
    QVERIFY(server.hub->sendPending(Clock::now() + 30s)); // nothing of this was cancelled
    QCOMPARE(later->written().size(), 1);
    server.stop();
}

QTEST_GUILESS_MAIN(tst_ConnectionHubStop)
#include "tst_connection_hub_stop.moc"
