// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "fakeserver.h"
#include "payload.h"

#include <QtTest/QtTest>

using namespace QtNamedPipes;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

/// The life of one connection: its states, the count of what is in flight, and the end.
class tst_PipeConnection : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void openedComesFirstAndOnce();
    void everyEventInEveryStateEndsWithOneClosed_data();
    void everyEventInEveryStateEndsWithOneClosed();
    void theFirstReasonIsKept_data();
    void theFirstReasonIsKept();
    void closedComesOnlyWhenNothingIsInFlight();
    void messagesComeBeforeClosed();
    void aFailureIsReportedOnceAndRightBeforeClosed();
    void methodsAreHarmlessAfterClosed();
    void closingAfterTheServerHasStoppedPostsNothingAndKeepsNothing_data();
    void closingAfterTheServerHasStoppedPostsNothingAndKeepsNothing();
    void isConnectedTurnsFalseBeforeClosed();
    void isOpeningUntilOpenedIsDelivered();
    void whoLeavesBeforeOpenedStillHasItsMessagesDelivered();
    void abandonedOperationsMayComeBackAfterClosed();
    void abandonedOperationsMayComeBackWhileTheEventsWait();
    void abandoningAConnectionThatIsOpenDoesNothing();
};

using State = const char *;

void tst_PipeConnection::openedComesFirstAndOnce()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.connectClient();
    QVERIFY(client);
    QVERIFY(client->isReading()); // reading does not wait for the event loop
    QVERIFY(client->receive({ "one"_ba }));
    QVERIFY(server.log->lines(1).isEmpty()); // nothing is emitted by completions
    server.deliver();
    QCOMPARE(server.log->lines(1), QStringList({ u"opened"_s, u"message one"_s }));
}

static TransportError failure()
{
    return { NamedPipe::SystemError, 5, "test", {} };
}

namespace {

/// A connection in a state of the table below.
struct Prepared
{
    explicit Prepared(const QString &state)
    {
        if (!server.start())
            qFatal("the fake server does not start");
        client = server.connectClient();
        client->cancelAnswer = FakeEndpoint::Later;
        connection = server.connection();
        server.forgetConnections();
        if (state == u"Opening")
            return;
        server.deliver();
        if (state == u"Open")
            return;
        if (state == u"Open, messages waiting") {
            client->receive({ "a"_ba, "b"_ba });
        } else if (state == u"Open, a write pending") {
            client->acceptsAtOnce = false;
            connection->write("out"_ba, {}, false);
            connection->write("queued"_ba, {}, false);
        } else if (state == u"Open, the client hung up") {
            client->hangUp();
        } else if (state == u"Draining") {
            client->acceptsAtOnce = false;
            connection->write("out"_ba, {}, false);
            connection->write("queued"_ba, {}, false);
            connection->close(NamedPipe::SendPending);
        } else if (state == u"Closing") {
            client->acceptsAtOnce = false;
            connection->write("out"_ba, {}, false);
            connection->close(NamedPipe::CancelPending);
        } else if (state == u"Closed, not told yet") {
            connection->close(NamedPipe::CancelPending);
            client->answerCancel();
        } else if (state == u"Closed") {
            connection->close(NamedPipe::CancelPending);
            client->answerCancel();
            server.deliver();
        } else {
            qFatal("no such state");
        }
    }

    void apply(const QString &event)
    {
        if (event == u"messages arrive")
            client->receive({ "x"_ba, QByteArray(), "y"_ba });
        else if (event == u"the client closes")
            client->endReading(ReadEnd::PeerClosed);
        else if (event == u"reading fails")
            client->endReading(ReadEnd::Failed, failure());
        else if (event == u"a write is done")
            client->finishWrite();
        else if (event == u"a write goes on")
            client->accept(1) && client->finishWrite(); // (its only message: nothing is left)
        else if (event == u"a write fails")
            client->finishWrite(WriteProgress::Failed, failure());
        else if (event == u"a write finds nobody")
            client->finishWrite(WriteProgress::PeerGone);
        else if (event == u"the client hangs up")
            client->hangUp();
        else if (event == u"asyncRead")
            connection->read(1);
        else if (event == u"asyncWrite")
            connection->write("w"_ba, 2, false);
        else if (event == u"asyncClose")
            connection->close(NamedPipe::CancelPending);
        else if (event == u"asyncClose(SendPending)")
            connection->close(NamedPipe::SendPending);
        else if (event == u"the server stops")
            connection->stop(NamedPipe::CancelPending, {});
        else if (event == u"the server stops when sent")
            connection->stop(NamedPipe::SendPending, Clock::now() + 1s);
        else if (event == u"time passes")
            server.engine->advance(1h);
        else if (event == u"reading becomes manual")
            server.hub->setReadsContinuously(false);
        else if (event == u"events are delivered")
            server.deliver();
        else if (event == u"operations are given up") {
            client->cancelAnswer = FakeEndpoint::Never;
            connection->abandonOperations();
        } else {
            qFatal("no such event");
        }
    }

    FakeServer server;
    std::shared_ptr<FakeEndpoint> client;
    std::shared_ptr<PipeConnection> connection;
};

} // namespace

void tst_PipeConnection::everyEventInEveryStateEndsWithOneClosed_data()
{
    QTest::addColumn<QString>("state");
    QTest::addColumn<QString>("event");
    for (State state :
         { "Opening", "Open", "Open, messages waiting", "Open, a write pending",
           "Open, the client hung up", "Draining", "Closing", "Closed, not told yet", "Closed" }) {
        for (const char *event :
             { "messages arrive", "the client closes", "reading fails", "a write is done",
               "a write goes on", "a write fails", "a write finds nobody", "the client hangs up",
               "asyncRead", "asyncWrite", "asyncClose", "asyncClose(SendPending)",
               "the server stops", "the server stops when sent", "time passes",
               "reading becomes manual", "events are delivered", "operations are given up" }) {
            QTest::addRow("%s: %s", state, event)
                    << QString::fromLatin1(state) << QString::fromLatin1(event);
        }
    }
}

void tst_PipeConnection::everyEventInEveryStateEndsWithOneClosed()
{
    QFETCH(QString, state);
    QFETCH(QString, event);
    Prepared p(state);
    p.apply(event);
    p.server.deliver();
    const bool isOver = p.client->isClosed();
    QCOMPARE(p.server.log->count(FakeEvent::Closed), isOver ? 1 : 0);

    p.connection->close(NamedPipe::CancelPending);
    if (p.client->isCancelled())
        p.client->answerCancel();
    p.server.deliver();
    QVERIFY(p.client->isClosed());
    QCOMPARE(p.server.log->count(FakeEvent::Opened), 1);
    QCOMPARE(p.server.log->count(FakeEvent::Closed),
             1); // that it is the last is FakeLog's business
    QVERIFY(!p.connection->isConnected());
    QVERIFY(p.connection->closeReason() != NamedPipe::StillOpen);
    QCOMPARE(p.server.hub->connectionCount(), 0);
    QCOMPARE(p.server.hub->statistics().connectionsClosed, 1u);
    QCOMPARE(p.server.engine->placesFreed(), 1);

    const std::weak_ptr<PipeConnection> memory = p.connection;
    p.connection.reset();
    p.client.reset();
    p.server.engine->advance(1h);
    QVERIFY(memory.expired());
}

void tst_PipeConnection::theFirstReasonIsKept_data()
{
    QTest::addColumn<QString>("first");
    QTest::addColumn<NamedPipe::CloseReason>("reason");
    QTest::addRow("client") << u"the client closes"_s << NamedPipe::ClosedByClient;
    QTest::addRow("failure") << u"reading fails"_s << NamedPipe::Failed;
    QTest::addRow("close") << u"asyncClose"_s << NamedPipe::ClosedByServer;
    QTest::addRow("stop") << u"the server stops"_s << NamedPipe::ServerStopped;
}

void tst_PipeConnection::theFirstReasonIsKept()
{
    QFETCH(QString, first);
    QFETCH(NamedPipe::CloseReason, reason);
    Prepared p(u"Open, a write pending"_s); // so that it is not over at once
    QCOMPARE(p.connection->closeReason(), NamedPipe::StillOpen);
    p.apply(first);
    QCOMPARE(p.connection->closeReason(), reason);
    for (const char *event : { "the client closes", "reading fails", "a write fails", "asyncClose",
                               "asyncClose(SendPending)", "the server stops" }) {
        p.apply(QString::fromLatin1(event));
        QCOMPARE(p.connection->closeReason(), reason);
    }
    p.client->answerCancel();
    p.server.deliver();
    QCOMPARE(p.connection->closeReason(), reason);
}

void tst_PipeConnection::closedComesOnlyWhenNothingIsInFlight()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->cancelAnswer = FakeEndpoint::Later;
    client->acceptsAtOnce = false;
    const auto connection = server.connection();
    QVERIFY(connection->write("out"_ba, {}, false));
    QVERIFY(client->isReading() && client->isWriting());

    connection->close(NamedPipe::CancelPending);
    server.deliver();
    QVERIFY(client->isCancelled() && !client->isClosed());
    QCOMPARE(server.log->count(FakeEvent::Closed), 0);
    QVERIFY(client->endReading(ReadEnd::Cancelled));
    server.deliver();
    QVERIFY(!client->isClosed());
    QCOMPARE(server.log->count(FakeEvent::Closed), 0);
    QVERIFY(client->accept(1)); // the cancel came too late for it
    QVERIFY(client->finishWrite());
    QVERIFY(client->isClosed());
    server.deliver();
    QCOMPARE(server.log->lines(1), QStringList({ u"opened"_s, u"sent"_s, u"closed"_s }));
}

void tst_PipeConnection::messagesComeBeforeClosed()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    QVERIFY(client->receive({ "one"_ba, "two"_ba }));
    QVERIFY(client->receiveWhole("three"_ba, { "four"_ba }));
    QVERIFY(client->endReading(ReadEnd::PeerClosed));
    QVERIFY(client->isClosed()); // the handle does not wait for slots
    server.deliver();
    QCOMPARE(server.log->lines(1),
             QStringList({ u"opened"_s, u"message one"_s, u"message two"_s, u"message three"_s,
                           u"message four"_s, u"closed"_s }));
    QCOMPARE(server.connection()->closeReason(), NamedPipe::ClosedByClient);
}

void tst_PipeConnection::aFailureIsReportedOnceAndRightBeforeClosed()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->acceptsAtOnce = false;
    QVERIFY(server.connection()->write("out"_ba, {}, false));
    QVERIFY(client->receive({ "last words"_ba }));
    QVERIFY(client->endReading(ReadEnd::Failed, failure()));
    QVERIFY(!client->finishWrite(WriteProgress::Failed, failure())); // cancelled by then
    server.deliver();
    QCOMPARE(server.log->lines(1),
             QStringList({ u"opened"_s, u"message last words"_s, u"error SystemError"_s,
                           u"closed"_s }));
    const QString text = server.log->events().at(3).text;
    QVERIFY2(text.contains(u"test: 5"_s), qPrintable(text)); // operation and native code
}

void tst_PipeConnection::methodsAreHarmlessAfterClosed()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    const auto connection = server.connection();
    QVERIFY(client->endReading(ReadEnd::PeerClosed));
    QVERIFY(connection->object());
    server.deliver();
    connection->read(1);
    QVERIFY(!connection->write("late"_ba, 2, false));
    QVERIFY(!connection->write("late"_ba, 2, true));
    QVERIFY(!connection->write(QByteArray(), 2, false));
    connection->close(NamedPipe::CancelPending);
    connection->close(NamedPipe::SendPending);
    connection->stop(NamedPipe::SendPending, Clock::now());
    connection->reconsiderReading();
    connection->abandonOperations();
    QCOMPARE(connection->handle(), qintptr(-1));
    QVERIFY(!connection->object());
    QCOMPARE(connection->bytesToWrite(), qint64(0));
    QCOMPARE(connection->closeReason(), NamedPipe::ClosedByClient);
    server.deliver();
    QCOMPARE(server.log->lines(1), QStringList({ u"opened"_s, u"closed"_s }));
}

void tst_PipeConnection::closingAfterTheServerHasStoppedPostsNothingAndKeepsNothing_data()
{
    QTest::addColumn<bool>("leftBefore");
    QTest::newRow("closed by the stop") << false;
    QTest::newRow("the client had left before") << true;
}

void tst_PipeConnection::closingAfterTheServerHasStoppedPostsNothingAndKeepsNothing()
{
    QFETCH(bool, leftBefore);
    FakeServer server;
    QVERIFY(server.start());
    auto client = server.openClient();
    auto connection = server.connection();
    server.forgetConnections();
    if (leftBefore) {
        QVERIFY(client->endReading(ReadEnd::PeerClosed));
        server.deliver();
    }
    const std::weak_ptr<ConnectionHub> hub = server.hub;
    server.stop();
    QCOMPARE(server.log->lines(1), QStringList({ u"opened"_s, u"closed"_s }));
    server.deliver();

    // The server's object may be gone by now: nothing may be posted to it.
    connection->close(NamedPipe::CancelPending);
    connection->read(1);
    connection->write("late"_ba, {}, false);
    QVERIFY(!server.deliverOnce());
    connection.reset();
    client.reset(); // an endpoint holds its connection
    QVERIFY(hub.expired());
}

void tst_PipeConnection::isConnectedTurnsFalseBeforeClosed()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    const auto connection = server.connection();
    QVERIFY(connection->isConnected());
    QCOMPARE(server.hub->connectionCount(), 1);
    QCOMPARE(server.hub->connections().size(), size_t(1));
    client->hangUp();
    QVERIFY(!connection->isConnected());
    QCOMPARE(server.hub->connectionCount(), 0);
    QVERIFY(server.hub->connections().empty());
    QVERIFY(!connection->write("late"_ba, {}, false));
    QVERIFY(client->receive({ "said before"_ba })); // what it had sent is still read
    QVERIFY(client->endReading(ReadEnd::PeerClosed));
    server.deliver();
    QCOMPARE(server.log->lines(1),
             QStringList({ u"opened"_s, u"error NotConnected"_s, u"message said before"_s,
                           u"closed"_s }));
}

void tst_PipeConnection::isOpeningUntilOpenedIsDelivered()
{
    FakeServer server;
    QVERIFY(server.start());
    QVERIFY(server.connectClient());
    const auto connection = server.connection();
    QVERIFY(connection->isOpening());
    server.log->hook = [&](const FakeEvent &event) {
        if (event.kind == FakeEvent::Opened)
            QVERIFY(!connection->isOpening() && connection->isConnected());
    };
    server.deliver();
    QVERIFY(!connection->isOpening());
}

void tst_PipeConnection::whoLeavesBeforeOpenedStillHasItsMessagesDelivered()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.connectClient();
    QVERIFY(client->receive({ "hello"_ba }));
    QVERIFY(client->endReading(ReadEnd::PeerClosed));
    QVERIFY(!server.connection()->isOpening());
    server.deliver();
    QCOMPARE(server.log->lines(1), QStringList({ u"opened"_s, u"message hello"_s, u"closed"_s }));
}

void tst_PipeConnection::abandonedOperationsMayComeBackAfterClosed()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->cancelAnswer = FakeEndpoint::Never;
    client->acceptsAtOnce = false;
    const auto connection = server.connection();
    QVERIFY(connection->write("lost"_ba, 1, false));
    connection->close(NamedPipe::CancelPending);
    server.deliver();
    QVERIFY(!client->isClosed());
    QTest::ignoreMessage(QtWarningMsg, QRegularExpression(u"did not complete 2 operations"_s));
    connection->abandonOperations();
    QVERIFY(client->isClosed());
    server.deliver();
    QCOMPARE(server.log->lines(1), QStringList({ u"opened"_s, u"closed"_s }));
    server.log->expectSilence();

    QVERIFY(client->receive({ "much too late"_ba }));
    QVERIFY(client->finishWrite());
    server.deliver();
    QCOMPARE(server.engine->placesFreed(), 1); // the endgame is played once
    QVERIFY(!client->isReading());
}

void tst_PipeConnection::abandonedOperationsMayComeBackWhileTheEventsWait()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->cancelAnswer = FakeEndpoint::Never;
    client->acceptsAtOnce = false;
    const auto connection = server.connection();
    QVERIFY(connection->write("out"_ba, 1, false));
    connection->close(NamedPipe::CancelPending);
    QTest::ignoreMessage(QtWarningMsg, QRegularExpression(u"did not complete"_s));
    connection->abandonOperations();
    QVERIFY(client->endReading(ReadEnd::Failed, failure()));
    QVERIFY(client->finishWrite(WriteProgress::Failed, failure()));
    server.deliver();
    QCOMPARE(server.log->lines(1), QStringList({ u"opened"_s, u"closed"_s }));
    QCOMPARE(server.engine->placesFreed(), 1);
}

void tst_PipeConnection::abandoningAConnectionThatIsOpenDoesNothing()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    server.connection()->abandonOperations();
    QVERIFY(client->isReading() && !client->isClosed());
    QVERIFY(server.connection()->isConnected());
}

QTEST_GUILESS_MAIN(tst_PipeConnection)
#include "tst_pipe_connection.moc"
