// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "fakeserver.h"
#include "payload.h"

#include <QtTest/QtTest>

using namespace QtNamedPipes;
using namespace Qt::StringLiterals;

/// Bytes out: the queue, its limit, what is told when, and what is not sent.
class tst_PipeConnectionWriting : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void messagesGoOutInOrderAndTheirEventsFollow();
    void writesDuringAPendingOneGoTogether();
    void partialProgressIsToldAsItComes();
    void completionBeforeStartWriteReturnsIsTheSame();
    void nothingIsEmittedInsideWrite();
    void emptyDataIsANoOp();
    void sentIsNotToldWhenNobodyListens();
    void queueTakesNewMessagesWhenTheOldAreSent();
    void oneMessageOfAnySizeGoesIntoAnEmptyQueue();
    void tinyMessagesMeetTheLimitByTheirNumber();
    void bytesToWriteCountsWhatIsQueuedAndWhatIsOut();
    void dataIsSharedAndMayBeChangedByTheCaller();
    void repliesOfOneBatchGoOutTogether();
    void largeRepliesAreNotHeldBack();
    void repliesToOthersAreNotHeldBack();
    void longQueuesAreLeftToAWorker();
    void closingInsideASlotSendsTheRepliesWrittenBefore();
};

void tst_PipeConnectionWriting::messagesGoOutInOrderAndTheirEventsFollow()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    QStringList expected { u"opened"_s };
    QList<QByteArray> sent;
    for (int i = 0; i < 100; ++i) {
        QVERIFY(server.connection()->write(numbered(i), i, false));
        sent.append(numbered(i));
        expected.append(u"sent #%1"_s.arg(i));
    }
    QCOMPARE(client->written(), sent);
    server.deliver();
    QCOMPARE(server.log->lines(1), expected);
    QCOMPARE(server.connection()->statistics().messagesSent, 100u);
    QCOMPARE(server.hub->statistics().messagesSent, 100u);
    QCOMPARE(server.connection()->statistics().bytesSent, server.hub->statistics().bytesSent);
}

void tst_PipeConnectionWriting::writesDuringAPendingOneGoTogether()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->acceptsAtOnce = false;
    for (int i = 0; i < 5; ++i)
        QVERIFY(server.connection()->write(numbered(i), i, false));
    QCOMPARE(client->writes(), QList<int>({ 1 }));
    QVERIFY(client->finishWrite());
    QCOMPARE(client->writes(), QList<int>({ 1, 4 }));
    QVERIFY(client->finishWrite());
    QVERIFY(!client->isWriting());
    server.deliver();
    QCOMPARE(server.log->count(FakeEvent::Sent), 5);
}

void tst_PipeConnectionWriting::partialProgressIsToldAsItComes()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->acceptsAtOnce = false;
    for (int i = 0; i < 5; ++i)
        QVERIFY(server.connection()->write(payload(10), i, false));
    QVERIFY(client->finishWrite());
    QVERIFY(client->accept(2));
    QVERIFY(client->accept(1));
    server.deliver();
    QCOMPARE(server.log->count(FakeEvent::Sent), 4);
    QCOMPARE(server.connection()->bytesToWrite(), qint64(10));
    QVERIFY(client->isWriting());
    QVERIFY(client->finishWrite());
    server.deliver();
    QCOMPARE(server.log->lines(1).mid(1),
             QStringList({ u"sent #0"_s, u"sent #1"_s, u"sent #2"_s, u"sent #3"_s, u"sent #4"_s }));
}

void tst_PipeConnectionWriting::completionBeforeStartWriteReturnsIsTheSame()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    const auto connection = server.connection();
    client->acceptsAtOnce = false;
    int rounds = 0;
    client->onStartWrite = [&] {
        if (++rounds == 1)
            connection->write("two"_ba, 2, false); // another thread's
        client->finishWrite();
    };
    QVERIFY(connection->write("one"_ba, 1, false));
    QCOMPARE(client->written(), QList<QByteArray>({ "one"_ba, "two"_ba }));
    server.deliver();
    QCOMPARE(server.log->lines(1), QStringList({ u"opened"_s, u"sent #1"_s, u"sent #2"_s }));
}

void tst_PipeConnectionWriting::nothingIsEmittedInsideWrite()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    const auto connection = server.connection();
    bool inside = false;
    server.log->hook = [&](const FakeEvent &event) {
        QVERIFY2(!inside, qPrintable(event.line()));
        if (event.kind != FakeEvent::Message && event.kind != FakeEvent::Sent)
            return;
        if (event.cookie.toInt() > 20)
            return;
        inside = true;
        connection->write("reply"_ba, event.cookie.toInt() + 1, false);
        connection->write(QByteArray(), {}, false);
        connection->read({});
        inside = false;
    };
    QVERIFY(client->receive({ "a"_ba, "b"_ba }));
    server.deliver();
    QVERIFY(server.log->count(FakeEvent::Sent) > 20);
}

void tst_PipeConnectionWriting::emptyDataIsANoOp()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    QVERIFY(server.connection()->write(QByteArray(), 1, false));
    QVERIFY(server.connection()->write(""_ba, 1, false));
    server.deliver();
    QVERIFY(client->writes().isEmpty());
    QCOMPARE(server.log->lines(1), QStringList({ u"opened"_s }));
}

void tst_PipeConnectionWriting::sentIsNotToldWhenNobodyListens()
{
    FakeServer server;
    server.listensToSent = false;
    QVERIFY(server.start());
    const auto client = server.openClient();
    QVERIFY(server.connection()->write("one"_ba, 1, false));
    QVERIFY(!server.deliverOnce()); // not even an event is posted for it
    QCOMPARE(client->written().size(), 1);
    server.hub->setWantsMessageSent();
    QVERIFY(server.connection()->write("two"_ba, 2, false));
    server.deliver();
    QCOMPARE(server.log->lines(1), QStringList({ u"opened"_s, u"sent #2"_s }));
}

// --- The limit ---

void tst_PipeConnectionWriting::queueTakesNewMessagesWhenTheOldAreSent()
{
    HubSettings settings;
    settings.maximumPendingWriteBytes = 1000;
    FakeServer server(settings);
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->acceptsAtOnce = false;
    QVERIFY(server.connection()->write(payload(600), 1, false));
    QVERIFY(server.connection()->write(payload(400), 2, false));
    QVERIFY(!server.connection()->write(payload(1), 3, false));
    QVERIFY(client->finishWrite());
    QVERIFY(!server.connection()->write(payload(601), 4, false));
    QVERIFY(server.connection()->write(payload(600), 5, false));
    QVERIFY(client->finishWrite());
    QVERIFY(client->finishWrite());
    QCOMPARE(client->written().size(), 3);
    server.deliver();
    QCOMPARE(server.log->count(FakeEvent::Sent), 3);
}

void tst_PipeConnectionWriting::oneMessageOfAnySizeGoesIntoAnEmptyQueue()
{
    HubSettings settings;
    settings.maximumPendingWriteBytes = 1;
    FakeServer server(settings);
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->acceptsAtOnce = false;
    for (int i = 0; i < 3; ++i) {
        QVERIFY(server.connection()->write(payload(100'000), i, false));
        QVERIFY(!server.connection()->write(payload(1), i, false));
        QVERIFY(client->finishWrite());
    }
    QCOMPARE(client->written().size(), 3);
}

void tst_PipeConnectionWriting::tinyMessagesMeetTheLimitByTheirNumber()
{
    HubSettings settings;
    settings.maximumPendingWriteBytes = 64 * 1024;
    FakeServer server(settings);
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->acceptsAtOnce = false;
    int taken = 0;
    while (server.connection()->write("x"_ba, {}, false))
        QVERIFY(++taken < 64 * 1024);
    QVERIFY2(taken > 100, qPrintable(QString::number(taken)));
    QVERIFY(taken <= int(64 * 1024 / sizeof(OutgoingMessage)));
}

void tst_PipeConnectionWriting::bytesToWriteCountsWhatIsQueuedAndWhatIsOut()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->acceptsAtOnce = false;
    const auto connection = server.connection();
    QVERIFY(connection->write(payload(5), 1, false));
    QVERIFY(connection->write(payload(7), 2, false));
    QCOMPARE(connection->bytesToWrite(), qint64(12));
    QVERIFY(client->finishWrite());
    QCOMPARE(connection->bytesToWrite(), qint64(7));
    QVERIFY(client->finishWrite());
    QCOMPARE(connection->bytesToWrite(), qint64(0));
    QVERIFY(connection->write(payload(5), 3, false));
    connection->close(NamedPipe::CancelPending);
    QCOMPARE(connection->bytesToWrite(), qint64(0));
}

void tst_PipeConnectionWriting::dataIsSharedAndMayBeChangedByTheCaller()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    client->acceptsAtOnce = false;
    QByteArray data = payload(1000);
    const char *const bytes = data.constData();
    QVERIFY(server.connection()->write(data, 1, false));
    data.fill('x'); // detaches: the queue holds what it was
    QVERIFY(data.constData() != bytes);
    QVERIFY(client->finishWrite());
    QCOMPARE(client->written().constFirst(), payload(1000));
    QCOMPARE(client->written().constFirst().constData(), bytes);
}

// --- Writes from inside slots ---

void tst_PipeConnectionWriting::repliesOfOneBatchGoOutTogether()
{
    // A slice of delivery ends after 1.5 ms, and the batch is cut there: on a busy machine this may
    // happen once or twice.
    QList<int> writes;
    for (int attempt = 0; attempt < 5 && writes.size() != 1; ++attempt) {
        FakeServer server;
        QVERIFY(server.start());
        const auto client = server.openClient();
        const auto connection = server.connection();
        server.log->hook = [&](const FakeEvent &event) {
            if (event.kind == FakeEvent::Message)
                QVERIFY(connection->write(event.data, {}, false));
        };
        QList<QByteArray> messages;
        for (int i = 0; i < 100; ++i)
            messages.append(numbered(i));
        QVERIFY(client->receive(messages));
        server.deliver();
        QCOMPARE(client->written(), messages);
        writes = client->writes();
    }
    QCOMPARE(writes, QList<int>({ 100 }));
}

void tst_PipeConnectionWriting::largeRepliesAreNotHeldBack()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    const auto connection = server.connection();
    QList<int> writtenAtReply;
    server.log->hook = [&](const FakeEvent &event) {
        if (event.kind != FakeEvent::Message)
            return;
        writtenAtReply.append(int(client->written().size()));
        QVERIFY(connection->write(payload(30'000), {}, false));
    };
    QVERIFY(client->receive({ "a"_ba, "b"_ba, "c"_ba, "d"_ba, "e"_ba }));
    server.deliver();
    QCOMPARE(client->written().size(), 5);
    QCOMPARE(writtenAtReply, QList<int>({ 0, 0, 0, 3, 3 }));
}

void tst_PipeConnectionWriting::repliesToOthersAreNotHeldBack()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    const auto other = server.openClient();
    server.log->hook = [&](const FakeEvent &event) {
        if (event.data == "a") {
            QVERIFY(server.connection(1)->write("news"_ba, {}, false));
            QCOMPARE(other->written().size(), 1);
        }
    };
    QVERIFY(client->receive({ "a"_ba, "b"_ba }));
    server.deliver();
    QCOMPARE(server.log->messages(1).size(), 2);
    QCOMPARE(other->written().size(), 1);
}

void tst_PipeConnectionWriting::longQueuesAreLeftToAWorker()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    const auto connection = server.connection();
    int more = 1000;
    client->onStartWrite = [&] { // another thread writes as fast as this one sends
        if (--more > 0)
            connection->write("more"_ba, {}, false);
    };
    QVERIFY(connection->write("first"_ba, {}, false));
    QVERIFY2(client->writes().size() < 50, "the caller sends for others without end");
    QCOMPARE(server.engine->taskCount(), 1);
    server.deliver();
    QCOMPARE(client->written().size(), 1000);
    QCOMPARE(connection->bytesToWrite(), qint64(0));
}

void tst_PipeConnectionWriting::closingInsideASlotSendsTheRepliesWrittenBefore()
{
    FakeServer server;
    QVERIFY(server.start());
    const auto client = server.openClient();
    const auto connection = server.connection();
    server.log->hook = [&](const FakeEvent &event) {
        if (event.data == "quit") {
            QVERIFY(connection->write("bye"_ba, {}, false));
            connection->close(NamedPipe::SendPending);
        }
    };
    QVERIFY(client->receive({ "quit"_ba, "ignored"_ba }));
    server.deliver();
    QCOMPARE(client->written(), QList<QByteArray>({ "bye"_ba }));
    QCOMPARE(server.log->lines(1),
             QStringList({ u"opened"_s, u"message quit"_s, u"sent"_s, u"closed"_s }));
}

QTEST_GUILESS_MAIN(tst_PipeConnectionWriting)
#include "tst_pipe_connection_writing.moc"
