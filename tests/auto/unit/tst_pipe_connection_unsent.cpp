// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "fakeserver.h"
#include "payload.h"

#include <QtTest/QtTest>

using namespace QtNamedPipes;
using namespace Qt::StringLiterals;

/// Messages that are refused, and messages that were taken and could not be sent.
class tst_PipeConnectionUnsent : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void messageTooLargeForTheEngineIsRefused();
    void queueLimitRefusesAndSaysSo();
    void refusalsThatNobodyHearsAreBounded();
    void sentEventsThatNobodyTakesAreBounded();
    void writingAfterTheClientHungUpIsRefused();
    void failureEndsTheConnection();
    void clientThatIsGoneIsReadToTheEnd();
    void lostMessagesAreToldOnceWhateverIsSeenFirst_data();
    void lostMessagesAreToldOnceWhateverIsSeenFirst();
    void lostBroadcastsAreNotTold();
};

void tst_PipeConnectionUnsent::messageTooLargeForTheEngineIsRefused()
{
    FakeServer server;
    server.engine->maximumWrite = 100;
    QVERIFY(server.start());
    const auto client = server.openClient();
    QVERIFY(server.connection()->write(payload(100), 1, false));
    QVERIFY(!server.connection()->write(payload(101), 2, false));
    server.deliver();
    QCOMPARE(server.log->lines(1),
             QStringList({ u"opened"_s, u"sent #1"_s, u"error MessageTooLarge"_s }));
    QVERIFY(server.connection()->isConnected());
}

void tst_PipeConnectionUnsent::queueLimitRefusesAndSaysSo()
{
    HubSettings settings;
    settings.maximumPendingWriteBytes = 10'000;
    FakeServer server(settings);
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->acceptsAtOnce = false;
    const auto connection = server.connection();
    for (int i = 0; i < 10; ++i)
        QVERIFY(connection->write(payload(1000), i, false));
    for (int i = 0; i < 5; ++i)
        QVERIFY(!connection->write(payload(1), i, false));
    QVERIFY(!connection->write(payload(1), {}, true)); // a broadcast is skipped and told as well
    QCOMPARE(connection->bytesToWrite(), qint64(10'000));
    server.deliver();
    QCOMPARE(server.log->count(FakeEvent::Error), 6); // each refusal has its reason
    for (const FakeEvent &event : server.log->events().mid(2))
        QCOMPARE(event.error, NamedPipe::WriteQueueFull);
    QVERIFY(connection->isConnected());
}

void tst_PipeConnectionUnsent::refusalsThatNobodyHearsAreBounded()
{
    HubSettings settings;
    settings.maximumPendingWriteBytes = 10;
    FakeServer server(settings);
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->acceptsAtOnce = false;
    const auto connection = server.connection();
    QVERIFY(connection->write(payload(10), 0, false));
    for (int i = 0; i < 100'000; ++i)
        QVERIFY(!connection->write("x"_ba, i, false));
    server.deliver();
    const int told = server.log->count(FakeEvent::Error);
    QVERIFY2(told >= 1 && told <= 2000, qPrintable(QString::number(told)));
    QVERIFY(!connection->write("x"_ba, 1, false)); // heard by now, and refused anew
    server.deliver();
    QCOMPARE(server.log->count(FakeEvent::Error), told + 1);
}

void tst_PipeConnectionUnsent::sentEventsThatNobodyTakesAreBounded()
{
    HubSettings settings;
    settings.maximumPendingWriteBytes = 1;
    FakeServer server(settings);
    QVERIFY(server.start());
    const auto client = server.openClient(); // takes everything at once
    const auto connection = server.connection();
    int taken = 0;
    while (connection->write("x"_ba, taken, false))
        QVERIFY(++taken < 1'000'000); // the event loop does not run
    QVERIFY(taken > 0);
    server.deliver();
    QCOMPARE(server.log->count(FakeEvent::Sent), taken);
    QCOMPARE(server.log->count(FakeEvent::Error), 1);
    QVERIFY(connection->write("x"_ba, taken, false));
    server.deliver();
    QCOMPARE(server.log->count(FakeEvent::Sent), taken + 1);
}

void tst_PipeConnectionUnsent::writingAfterTheClientHungUpIsRefused()
{
    FakeServer server({}, false);
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->hangUp();
    QVERIFY(!server.connection()->write("late"_ba, 1, false));
    QVERIFY(client->writes().isEmpty());
    QVERIFY(client->endReading(ReadEnd::PeerClosed));
    server.deliver();
    QCOMPARE(server.log->lines(1),
             QStringList({ u"opened"_s, u"error NotConnected"_s, u"closed"_s }));
}

void tst_PipeConnectionUnsent::failureEndsTheConnection()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->acceptsAtOnce = false;
    for (int i = 0; i < 4; ++i)
        QVERIFY(server.connection()->write(numbered(i), i, false));
    QVERIFY(client->finishWrite());
    QVERIFY(client->accept(1));
    QVERIFY(client->finishWrite(WriteProgress::Failed, { NamedPipe::SystemError, 5, "send", {} }));
    QVERIFY(client->isClosed());
    server.deliver();
    QCOMPARE(server.log->lines(1),
             QStringList({ u"opened"_s, u"sent #0"_s, u"sent #1"_s, u"error SystemError"_s,
                           u"closed"_s }));
    QCOMPARE(server.connection()->closeReason(), NamedPipe::Failed);
    QCOMPARE(server.connection()->bytesToWrite(), qint64(0));
}

void tst_PipeConnectionUnsent::clientThatIsGoneIsReadToTheEnd()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->acceptsAtOnce = false;
    QVERIFY(server.connection()->write("out"_ba, 1, false));
    QVERIFY(client->finishWrite(WriteProgress::PeerGone));
    QVERIFY(!server.connection()->isConnected());
    QVERIFY(!client->isCancelled());
    QVERIFY(client->receive({ "last"_ba, "words"_ba }));
    server.deliver();
    QVERIFY(client->endReading(ReadEnd::PeerClosed));
    server.deliver();
    QCOMPARE(server.log->lines(1),
             QStringList({ u"opened"_s, u"message last"_s, u"message words"_s,
                           u"error ConnectionBroken"_s, u"closed"_s }));
    QCOMPARE(server.connection()->closeReason(), NamedPipe::ClosedByClient);
}

void tst_PipeConnectionUnsent::lostMessagesAreToldOnceWhateverIsSeenFirst_data()
{
    QTest::addColumn<bool>("writeSeesItFirst");
    QTest::addColumn<bool>("cancelledLater");
    QTest::addColumn<int>("messages");
    for (int messages : { 1, 3 }) {
        QTest::addRow("%d lost, the write sees it first", messages) << true << false << messages;
        QTest::addRow("%d lost, the read sees it first", messages) << false << false << messages;
        QTest::addRow("%d lost, the read sees it first, cancelled later", messages)
                << false << true << messages;
    }
}

void tst_PipeConnectionUnsent::lostMessagesAreToldOnceWhateverIsSeenFirst()
{
    QFETCH(bool, writeSeesItFirst);
    QFETCH(bool, cancelledLater);
    QFETCH(int, messages);
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->acceptsAtOnce = false;
    if (cancelledLater)
        client->cancelAnswer = FakeEndpoint::Later;
    for (int i = 0; i < messages; ++i) // the first is out, the others are queued
        QVERIFY(server.connection()->write("lost"_ba, i, false));
    if (writeSeesItFirst)
        QVERIFY(client->finishWrite(WriteProgress::PeerGone));
    QVERIFY(client->endReading(ReadEnd::PeerClosed));
    if (cancelledLater)
        client->answerCancel();
    server.deliver();
    QCOMPARE(server.log->lines(1),
             QStringList({ u"opened"_s, u"error ConnectionBroken"_s, u"closed"_s }));
    const QString text = server.log->events().at(2).text;
    QVERIFY2(text.contains(u"%1 messages"_s.arg(messages)), qPrintable(text));
}

void tst_PipeConnectionUnsent::lostBroadcastsAreNotTold()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->acceptsAtOnce = false;
    QVERIFY(server.connection()->write("to all"_ba, 1, true));
    QVERIFY(server.connection()->write("to all"_ba, 2, true));
    server.deliver(); // a worker sends broadcasts
    QVERIFY(client->finishWrite(WriteProgress::PeerGone));
    QVERIFY(!server.connection()->write("to all"_ba, 3, true));
    QVERIFY(client->endReading(ReadEnd::PeerClosed));
    server.deliver();
    QCOMPARE(server.log->lines(1), QStringList({ u"opened"_s, u"closed"_s }));
}

QTEST_GUILESS_MAIN(tst_PipeConnectionUnsent)
#include "tst_pipe_connection_unsent.moc"
