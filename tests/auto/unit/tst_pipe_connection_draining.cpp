// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "fakeserver.h"
#include "payload.h"

#include <QtTest/QtTest>

using namespace QtNamedPipes;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

/// asyncClose(SendPending): what is queued goes out first.
class tst_PipeConnectionDraining : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void sendPendingEndsWhenEverythingIsSent();
    void sendPendingWithNothingQueuedClosesAtOnce();
    void sendPendingEndsAtItsDeadline();
    void sendPendingDropsWhatArrives();
    void sendPendingSeesTheClientLeave();
    void sendPendingCanBeCutShort();
    void sendPendingEndsAtTheEarlierOfTwoDeadlines();
    void clientThatLeavesWhenItIsClosedAnywayIsNoError_data();
    void clientThatLeavesWhenItIsClosedAnywayIsNoError();
};

void tst_PipeConnectionDraining::sendPendingEndsWhenEverythingIsSent()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->acceptsAtOnce = false;
    const auto connection = server.connection();
    QVERIFY(connection->write("one"_ba, 1, false));
    QVERIFY(connection->write("two"_ba, 2, false));
    connection->close(NamedPipe::SendPending);
    QVERIFY(!connection->isConnected() && !client->isCancelled());
    QVERIFY(!connection->write("too late"_ba, 3, false));
    QVERIFY(client->finishWrite());
    QVERIFY(client->finishWrite());
    QVERIFY(client->isClosed());
    QCOMPARE(client->written(), QList<QByteArray>({ "one"_ba, "two"_ba }));
    server.deliver();
    QStringList lines = server.log->lines(1);
    QCOMPARE(lines.removeAll(u"error NotConnected"_s), 1);
    QCOMPARE(lines, QStringList({ u"opened"_s, u"sent #1"_s, u"sent #2"_s, u"closed"_s }));
    QCOMPARE(connection->closeReason(), NamedPipe::ClosedByServer);
    server.engine->advance(1h); // the deadline finds nothing to do
    server.deliver();
    QCOMPARE(server.log->count(FakeEvent::Error), 1);
}

void tst_PipeConnectionDraining::sendPendingWithNothingQueuedClosesAtOnce()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    server.connection()->close(NamedPipe::SendPending);
    QVERIFY(client->isClosed());
    QCOMPARE(server.engine->timerCount(), 0);
}

void tst_PipeConnectionDraining::sendPendingEndsAtItsDeadline()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->acceptsAtOnce = false;
    const auto connection = server.connection();
    for (int i = 0; i < 3; ++i)
        QVERIFY(connection->write("stuck"_ba, i, false));
    connection->close(NamedPipe::SendPending);
    server.engine->advance(4s);
    QVERIFY(!client->isCancelled());
    QVERIFY(client->finishWrite()); // the first: two are left
    server.engine->advance(2s);
    QVERIFY(client->isCancelled() && client->isClosed());
    server.deliver();
    QCOMPARE(server.log->lines(1),
             QStringList({ u"opened"_s, u"sent #0"_s, u"error ConnectionBroken"_s, u"closed"_s }));
    const QString text = server.log->events().at(3).text;
    QVERIFY2(text.contains(u"2 messages"_s), qPrintable(text));
    QCOMPARE(connection->closeReason(), NamedPipe::ClosedByServer);
}

void tst_PipeConnectionDraining::sendPendingDropsWhatArrives()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->acceptsAtOnce = false;
    QVERIFY(client->receive({ "before"_ba })); // not delivered yet: who closes wants no more
    QVERIFY(server.connection()->write("out"_ba, {}, false));
    server.connection()->close(NamedPipe::SendPending);
    for (int i = 0; i < 20; ++i)
        QVERIFY(client->receive({ payload(6000) })); // the client must not block on its own writes
    server.deliver();
    QVERIFY(client->finishWrite());
    server.deliver();
    QCOMPARE(server.log->lines(1), QStringList({ u"opened"_s, u"sent"_s, u"closed"_s }));
}

void tst_PipeConnectionDraining::sendPendingSeesTheClientLeave()
{
    FakeServer server({}, false); // also where nothing is read unasked
    QVERIFY(server.start());
    const auto client = server.openClient();
    QVERIFY(!client->isReading());
    client->acceptsAtOnce = false;
    QVERIFY(server.connection()->write("out"_ba, {}, false));
    server.connection()->close(NamedPipe::SendPending);
    QVERIFY(client->isReading());
    QVERIFY(client->finishWrite(WriteProgress::PeerGone));
    client->endReading(ReadEnd::PeerClosed); // if that is waited for
    QVERIFY(client->isClosed());
    server.deliver();
    QCOMPARE(server.log->lines(1),
             QStringList({ u"opened"_s, u"error ConnectionBroken"_s, u"closed"_s }));
}

void tst_PipeConnectionDraining::sendPendingCanBeCutShort()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->acceptsAtOnce = false;
    QVERIFY(server.connection()->write("out"_ba, {}, false));
    server.connection()->close(NamedPipe::SendPending);
    server.connection()->close(NamedPipe::SendPending); // again: nothing new
    QCOMPARE(server.engine->timerCount(), 1);
    QVERIFY(!client->isClosed());
    server.connection()->close(NamedPipe::CancelPending);
    QVERIFY(client->isClosed());
    server.deliver();
    QCOMPARE(server.log->lines(1), QStringList({ u"opened"_s, u"closed"_s }));
}

// asyncClose(SendPending), and then stopWhenSent() with less time.
void tst_PipeConnectionDraining::sendPendingEndsAtTheEarlierOfTwoDeadlines()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->acceptsAtOnce = false;
    QVERIFY(server.connection()->write("out"_ba, {}, false));
    server.connection()->close(NamedPipe::SendPending);
    server.connection()->stop(NamedPipe::SendPending, Clock::now() + 50ms);
    QVERIFY(!client->isClosed());
    server.engine->advance(60ms);
    QVERIFY(client->isClosed());
    server.deliver();
    QCOMPARE(server.log->lines(1),
             QStringList({ u"opened"_s, u"error ConnectionBroken"_s, u"closed"_s }));
}

void tst_PipeConnectionDraining::clientThatLeavesWhenItIsClosedAnywayIsNoError_data()
{
    QTest::addColumn<bool>("isStop");
    QTest::newRow("asyncClose()") << false;
    QTest::newRow("stop()") << true;
}

// The write that close() cancels ends because the client has gone at the same moment.
void tst_PipeConnectionDraining::clientThatLeavesWhenItIsClosedAnywayIsNoError()
{
    QFETCH(bool, isStop);
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->acceptsAtOnce = false;
    client->cancelAnswer = FakeEndpoint::Later;
    QVERIFY(server.connection()->write("out"_ba, {}, false));
    if (isStop)
        server.connection()->stop(NamedPipe::CancelPending, {});
    else
        server.connection()->close(NamedPipe::CancelPending);
    QVERIFY(client->finishWrite(WriteProgress::PeerGone));
    client->hangUp();
    QVERIFY(client->endReading(ReadEnd::Cancelled));
    server.deliver();
    QCOMPARE(server.log->lines(1), QStringList({ u"opened"_s, u"closed"_s }));
    QCOMPARE(server.connection()->closeReason(),
             isStop ? NamedPipe::ServerStopped : NamedPipe::ClosedByServer);
}

QTEST_GUILESS_MAIN(tst_PipeConnectionDraining)
#include "tst_pipe_connection_draining.moc"
