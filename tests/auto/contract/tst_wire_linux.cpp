// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "platformflags.h"
#include "processfacts.h"
#include "stress.h"
#include "testserver.h"

#include <QtCore/qrandom.h>
#include <QtCore/qendian.h>
#include <QtTest/QtTest>

#include <algorithm>

using namespace Qt::StringLiterals;

/// The bytes on a Linux socket: a 32-bit big-endian length and the message. Nobody trusts the
/// length.
class tst_WireLinux : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void serverWritesBigEndianLengthAndBytes();
    void serverReadsBigEndianLengthAndBytes_data();
    void serverReadsBigEndianLengthAndBytes();
    void framesMayComeByteByByte();
    void framesMayComeInPiecesOfAnySize();
    void manyFramesMayComeInOneWrite();
    void frameCutByTheEndIsAnErrorAndNotAMessage_data();
    void frameCutByTheEndIsAnErrorAndNotAMessage();
    void announcedLengthTakesNoMemory_data();
    void announcedLengthTakesNoMemory();
    void announcedLengthOverTheMaximumEndsAtOnce_data();
    void announcedLengthOverTheMaximumEndsAtOnce();
    void garbageHarmsNobodyElse();

private:
    static QByteArray header(quint32 length)
    {
        QByteArray bytes(4, Qt::Uninitialized);
        qToBigEndian(length, bytes.data());
        return bytes;
    }
    static QByteArray frame(const QByteArray &message)
    {
        return header(quint32(message.size())) + message;
    }
};

void tst_WireLinux::serverWritesBigEndianLengthAndBytes()
{
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    QVERIFY(ts.connection()->asyncWrite("hello"_ba));
    QVERIFY(ts.connection()->asyncWrite(QByteArray(258, 'x')));
    const QByteArray expected = QByteArray("\0\0\0\5hello\0\0\1\2", 13) + QByteArray(258, 'x');
    QByteArray bytes;
    while (bytes.size() < expected.size()) {
        const auto part = peer.receiveRaw(1000);
        QVERIFY(part);
        bytes += *part;
    }
    QCOMPARE(bytes, expected);
}

void tst_WireLinux::serverReadsBigEndianLengthAndBytes_data()
{
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<QList<QByteArray>>("messages");
    QTest::newRow("one") << QByteArray("\0\0\0\5hello", 9) << QList { "hello"_ba };
    QTest::newRow("empty") << QByteArray("\0\0\0\0", 4) << QList { ""_ba };
    QTest::newRow("null array") << "\xff\xff\xff\xff"_ba << QList { ""_ba };
    QTest::newRow("null array between") << QByteArray("\0\0\0\1a\xff\xff\xff\xff\0\0\0\1b", 14)
                                        << QList { "a"_ba, ""_ba, "b"_ba };
    QTest::newRow("length in the third byte")
            << QByteArray("\0\0\1\0", 4) + QByteArray(256, 'y') << QList { QByteArray(256, 'y') };
}

void tst_WireLinux::serverReadsBigEndianLengthAndBytes()
{
    QFETCH(QByteArray, bytes);
    QFETCH(QList<QByteArray>, messages);
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    QVERIFY(peer.sendRaw(bytes));
    peer.close();
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    QCOMPARE(ts.recorder.messages(), messages);
    QCOMPARE(ts.recorder.count(ServerEvent::ClientError), 0);
}

void tst_WireLinux::framesMayComeByteByByte()
{
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    const NamedPipeServerConnectionPtr connection = ts.connection();
    for (int number = 0; number < 20; ++number) {
        const QByteArray bytes = frame(numbered(number));
        for (const char byte : bytes) {
            QCOMPARE(connection->statistics().messagesReceived, quint64(number));
            QVERIFY(peer.sendRaw(QByteArray(1, byte)));
            watchFor(
                    std::chrono::milliseconds(0)); // each byte on its own, if the workers are quick
        }
        QVERIFY(waitWithoutEvents(
                [&] { return connection->statistics().messagesReceived == quint64(number + 1); }));
    }
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 20));
    for (int number = 0; number < 20; ++number)
        QCOMPARE(ts.recorder.messages().at(number), numbered(number));
}

void tst_WireLinux::framesMayComeInPiecesOfAnySize()
{
    QByteArray bytes;
    QList<QByteArray> messages;
    for (int number = 0; number < 300; ++number) {
        messages.append(payload((number * number) % 1733, quint32(number)));
        bytes += frame(messages.constLast());
    }
    for (const int bufferSize : { 1, 3, 64, 4096 }) {
        TestServer ts;
        ts.server.setMessageBufferSize(bufferSize);
        QVERIFY(ts.start());
        RawPeer peer = ts.connectPeer();
        auto client = runClient([&] {
            QRandomGenerator random(42);
            for (qsizetype at = 0; at < bytes.size();) {
                const qsizetype piece = random.bounded(1, 2000);
                if (!peer.sendRaw(bytes.mid(at, piece)))
                    return false;
                at += piece;
            }
            peer.close();
            return true;
        });
        QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
        QVERIFY(client.get());
        QCOMPARE(ts.recorder.messages(), messages);
    }
}

void tst_WireLinux::manyFramesMayComeInOneWrite()
{
    const int count = scaled(20'000, 1000);
    QByteArray bytes;
    for (int number = 0; number < count; ++number)
        bytes += frame(numbered(number));
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    auto client = runClient([&] { return peer.sendRaw(bytes); });
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, count));
    QVERIFY(client.get());
    const QList<QByteArray> messages = ts.recorder.messages();
    for (int number = 0; number < count; ++number)
        QCOMPARE(numberOf(messages.at(number)), number);
}

void tst_WireLinux::frameCutByTheEndIsAnErrorAndNotAMessage_data()
{
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<int>("wholeMessages");
    const QByteArray whole = frame("whole"_ba);
    QTest::newRow("1 byte of a header") << QByteArray("\0", 1) << 0;
    QTest::newRow("3 bytes of a header") << QByteArray("\0\0\0", 3) << 0;
    QTest::newRow("header only") << header(5) << 0;
    QTest::newRow("last byte missing") << whole.chopped(1) << 0;
    QTest::newRow("large, half of it") << header(200'000) + payload(100'000) << 0;
    QTest::newRow("whole ones before, header cut") << whole + whole + whole.left(2) << 2;
    QTest::newRow("whole ones before, payload cut") << whole + whole.chopped(2) << 1;
    QTest::newRow("null array cut") << whole + "\xff\xff\xff"_ba << 1;
}

void tst_WireLinux::frameCutByTheEndIsAnErrorAndNotAMessage()
{
    QFETCH(QByteArray, bytes);
    QFETCH(int, wholeMessages);
    for (const bool freeThreaded : { false, true }) {
        TestServer ts;
        ts.server.setFreeThreadingEvents(freeThreaded);
        QVERIFY(ts.start());
        RawPeer peer = ts.connectPeer();
        QVERIFY(peer.sendRaw(bytes));
        peer.close();
        QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
        QCOMPARE(ts.recorder.messages(), QList<QByteArray>(wholeMessages, "whole"_ba));
        QCOMPARE(ts.recorder.errors(ServerEvent::ClientError),
                 QList { NamedPipe::TruncatedMessage });
        QCOMPARE(ts.connection()->closeReason(), NamedPipe::Failed);
        QCOMPARE(ts.recorder.count(ServerEvent::ServerError), 0);
        const QList<ServerEvent> events = ts.recorder.eventsOf(ts.connection()->id());
        QCOMPARE(events.at(events.size() - 2).kind, ServerEvent::ClientError); // last but one
    }
}

void tst_WireLinux::announcedLengthTakesNoMemory_data()
{
    QTest::addColumn<quint32>("length");
    QTest::newRow("1 GiB") << 0x40000000u;
    QTest::newRow("2 GiB - 1") << 0x7FFFFFFFu;
    QTest::newRow("2 GiB") << 0x80000000u;
    QTest::newRow("4 GiB - 2") << 0xFFFFFFFEu;
}

void tst_WireLinux::announcedLengthTakesNoMemory()
{
    QFETCH(quint32, length);
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer good = ts.connectPeer();
    const qint64 before = ProcessFacts::residentBytes();
    std::vector<RawPeer> hostile;
    for (int client = 0; client < 20; ++client) {
        hostile.push_back(ts.connectPeer());
        // The server may refuse the length at once (MessageTooLarge) or wait for the rest.
        hostile.back().sendRaw(header(length));
        hostile.back().sendRaw(payload(1000));
    }
    QVERIFY(good.sendMessage("good"_ba));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message));
    watchFor();
    const qint64 grown = ProcessFacts::residentBytes() - before;
    const qint64 bound = (PlatformFlags::runningUnderSanitizer() ? 200 : 20) * 1024 * 1024;
    QVERIFY2(grown < bound, qPrintable(u"%1 bytes"_s.arg(grown)));
    QCOMPARE(ts.recorder.count(ServerEvent::Message), 1);
    for (const NamedPipe::Error error : ts.recorder.errors(ServerEvent::ClientError))
        QCOMPARE(error, NamedPipe::MessageTooLarge);
    hostile.clear();
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected, 20));
    QVERIFY(ts.connection(0)->isConnected());
}

void tst_WireLinux::announcedLengthOverTheMaximumEndsAtOnce_data()
{
    announcedLengthTakesNoMemory_data();
    QTest::newRow("one byte over") << 1001u;
}

void tst_WireLinux::announcedLengthOverTheMaximumEndsAtOnce()
{
    QFETCH(quint32, length);
    TestServer ts;
    ts.server.setMaximumMessageSize(1000);
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    QVERIFY(peer.sendRaw(header(length))); // and not one byte of the message
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    QCOMPARE(ts.recorder.errors(ServerEvent::ClientError), QList { NamedPipe::MessageTooLarge });
    QCOMPARE(ts.connection()->closeReason(), NamedPipe::Failed);
    QVERIFY(peer.atEnd());
}

void tst_WireLinux::garbageHarmsNobodyElse()
{
    TestServer ts(ServerRecorder::CountOnly);
    ts.server.setMaximumMessageSize(100'000);
    ts.server.setNumThreadsIOCP(2);
    QVERIFY(ts.start());
    RawPeer good = ts.connectPeer();
    QRandomGenerator random(7);
    const int clients = scaled(200, 20);
    for (int client = 0; client < clients; ++client) {
        RawPeer peer;
        QVERIFY(peer.connectTo(ts.name()));
        QByteArray bytes(random.bounded(1, 3000), Qt::Uninitialized);
        for (char &byte : bytes)
            byte = random.bounded(4) ? char(random.bounded(256)) : '\0';
        peer.sendRaw(bytes);
    }
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected, clients));
    QVERIFY(good.sendMessage("good"_ba));
    const int before = ts.recorder.count(ServerEvent::Message);
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, std::max(1, before)));
    QCOMPARE(ts.recorder.count(ServerEvent::ServerError), 0);
    QCOMPARE(ts.server.connectionCount(), 1);
}

QTEST_GUILESS_MAIN(tst_WireLinux)
#include "tst_wire_linux.moc"
