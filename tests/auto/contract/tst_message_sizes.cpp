// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "testserver.h"

#include <QtTest/QtTest>

#include <algorithm>

using namespace Qt::StringLiterals;

class tst_MessageSizes : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void sizesAroundTheBufferArriveWhole_data();
    void sizesAroundTheBufferArriveWhole();
    void largeMessagesArriveWholeInBothDirections_data();
    void largeMessagesArriveWholeInBothDirections();
    void emptyMessagesAreMessages_data();
    void emptyMessagesAreMessages();
    void asyncWriteOfNothingIsANoOp();
    void boundariesAreTheSystemsNotLuck();
    void clientInByteModeKeepsItsBoundariesOnTheServer();
    void receivedDataMayBeKept();
    void writtenDataMayBeChangedAtOnce();
};

void tst_MessageSizes::sizesAroundTheBufferArriveWhole_data()
{
    QTest::addColumn<int>("bufferSize");
    QTest::addColumn<bool>("freeThreaded");
    for (const int size : { 1, 7, 512, 4096, 65536, 131072 }) {
        QTest::addRow("buffer of %d, marshalled", size) << size << false;
        QTest::addRow("buffer of %d, free-threaded", size) << size << true;
    }
}

void tst_MessageSizes::sizesAroundTheBufferArriveWhole()
{
    QFETCH(int, bufferSize);
    QFETCH(bool, freeThreaded);
    TestServer ts;
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &data) { connection->asyncWrite(data); };
    ts.server.setMessageBufferSize(bufferSize);
    ts.server.setFreeThreadingEvents(freeThreaded);
    ts.server.setNumThreadsIOCP(2);
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    QList<QByteArray> sent;
    for (const int size : { 0, 1, bufferSize - 1, bufferSize, bufferSize + 1, 2 * bufferSize - 1,
                            2 * bufferSize, 2 * bufferSize + 1, 10 * bufferSize, 0, 1 })
        sent.append(payload(size, quint32(sent.size())));
    auto client = runClient([&] {
        for (const QByteArray &message : std::as_const(sent)) {
            if (!peer.sendMessage(message))
                return u"could not send %1 bytes"_s.arg(message.size());
            // The echo of nothing is nothing: asyncWrite() of empty data is a no-op.
            if (!message.isEmpty() && peer.receiveMessage() != message)
                return u"%1 bytes came back damaged"_s.arg(message.size());
        }
        return QString();
    });
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, int(sent.size())));
    QVERIFY(waitForTask(client));
    QCOMPARE(ts.recorder.messages(), sent);
    QCOMPARE(client.get(), QString());
}

void tst_MessageSizes::largeMessagesArriveWholeInBothDirections_data()
{
    QTest::addColumn<int>("size");
    QTest::addColumn<bool>("freeThreaded");
    for (const int mebi : { 1, 16, 64 }) {
        QTest::addRow("%d MiB, marshalled", mebi) << mebi * 1024 * 1024 << false;
        QTest::addRow("%d MiB, free-threaded", mebi) << mebi * 1024 * 1024 << true;
    }
    QTest::newRow("odd size, marshalled") << 3 * 1024 * 1024 + 17 << false;
}

void tst_MessageSizes::largeMessagesArriveWholeInBothDirections()
{
    QFETCH(int, size);
    QFETCH(bool, freeThreaded);
    TestServer ts(ServerRecorder::CountOnly);
    const QByteArray message = payload(size);
    std::atomic<bool> same { false };
    ts.recorder.onMessage() = [&](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                  const QByteArray &data) {
        same = data == message;
        connection->asyncWrite(data);
    };
    ts.server.setFreeThreadingEvents(freeThreaded);
    QVERIFY(ts.start());
    RawPeer peer;
    QVERIFY(peer.connectTo(ts.name()));
    auto client = runClient([&] {
        return peer.sendMessage(message, 2 * patience)
                && peer.receiveMessage(2 * patience) == message;
    });
    QVERIFY(waitForTask(client, 3 * patience));
    QVERIFY(client.get());
    QVERIFY(same);
    QCOMPARE(ts.recorder.count(ServerEvent::Message), 1);
}

void tst_MessageSizes::emptyMessagesAreMessages_data()
{
    QTest::addColumn<QList<int>>("sizes");
    QTest::newRow("only") << QList<int> { 0 };
    QTest::newRow("first") << QList<int> { 0, 5 };
    QTest::newRow("last") << QList<int> { 5, 0 };
    QTest::newRow("between") << QList<int> { 5, 0, 7 };
    QTest::newRow("in a row") << QList<int> { 0, 0, 0, 3, 0, 0 };
    QTest::newRow("after a large one") << QList<int> { 200'000, 0, 1 };
}

void tst_MessageSizes::emptyMessagesAreMessages()
{
    QFETCH(QList<int>, sizes);
    for (const bool freeThreaded : { false, true }) {
        TestServer ts;
        ts.server.setFreeThreadingEvents(freeThreaded);
        QVERIFY(ts.start());
        RawPeer peer = ts.connectPeer();
        auto client = runClient([&] {
            bool ok = true;
            for (const int size : std::as_const(sizes))
                ok = peer.sendMessage(payload(size)) && ok;
            peer.close();
            return ok;
        });
        QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected)); // the close, not the empty message
        QVERIFY(waitForTask(client));
        QVERIFY(client.get());
        QList<int> received;
        for (const QByteArray &message : ts.recorder.messages())
            received.append(int(message.size()));
        QCOMPARE(received, sizes);
        QCOMPARE(ts.recorder.count(ServerEvent::ClientError), 0);
    }
}

void tst_MessageSizes::asyncWriteOfNothingIsANoOp()
{
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    QVERIFY(ts.connection()->asyncWrite({}, 1));
    QVERIFY(ts.connection()->asyncWrite(""_ba, 2));
    QVERIFY(ts.connection()->asyncWrite("real"_ba, 3));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Sent));
    watchFor(std::chrono::milliseconds(30));
    QCOMPARE(ts.recorder.cookies(ServerEvent::Sent), QVariantList { 3 });
    QCOMPARE(peer.receiveMessage(), "real"_ba);
}

// The negative of all of the above: a reader that knows no boundaries must see none, or these tests
// would prove nothing.
void tst_MessageSizes::boundariesAreTheSystemsNotLuck()
{
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer bytes = ts.connectPeer(RawPeer::ReadMode::Bytes);
    RawPeer messages = ts.connectPeer(RawPeer::ReadMode::Messages);
    QCOMPARE(ts.server.asyncBroadcast("first"_ba), 2);
    QCOMPARE(ts.server.asyncBroadcast("second"_ba), 2);
    QVERIFY(ts.recorder.waitFor(ServerEvent::Sent, 4));
    QByteArray stream;
    while (!stream.endsWith("second")) {
        const auto part = bytes.receiveRaw(1000);
        QVERIFY(part);
        QVERIFY(*part != "first"_ba && *part != "second"_ba);
        stream += *part;
    }
    QCOMPARE(messages.receiveMessage(), "first"_ba);
    QCOMPARE(messages.receiveMessage(), "second"_ba);
}

void tst_MessageSizes::clientInByteModeKeepsItsBoundariesOnTheServer()
{
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer(RawPeer::ReadMode::Bytes);
    QVERIFY(peer.sendMessage("one"_ba));
    QVERIFY(peer.sendMessage("two"_ba));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 2));
    QCOMPARE(ts.recorder.messages(), (QList { "one"_ba, "two"_ba }));
}

void tst_MessageSizes::receivedDataMayBeKept()
{
    TestServer ts; // its recorder keeps every QByteArray
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    QList<QByteArray> sent;
    for (int number = 0; number < 1000; ++number)
        sent.append(payload(1 + (number * 37) % 900, quint32(number)));
    auto client = runClient([&] {
        return std::all_of(sent.cbegin(), sent.cend(),
                           [&](const QByteArray &message) { return peer.sendMessage(message); });
    });
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 1000));
    QVERIFY(client.get());
    QList<QByteArray> kept = ts.recorder.messages();
    QVERIFY(kept.first().data() != kept.last().data()); // writable
    ts.server.stop();
    QCOMPARE(kept, sent);
}

void tst_MessageSizes::writtenDataMayBeChangedAtOnce()
{
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    const QByteArray original = payload(2'000'000); // does not fit into the system's buffers
    QByteArray data = original;
    data.detach();
    QVERIFY(ts.connection()->asyncWrite(data));
    data.fill('x');
    QVERIFY(ts.connection()->asyncWrite(data));
    data.clear();
    QCOMPARE(peer.receiveMessage(), original);
    QCOMPARE(peer.receiveMessage(), QByteArray(2'000'000, 'x'));
}

QTEST_GUILESS_MAIN(tst_MessageSizes)
#include "tst_message_sizes.moc"
