// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "platformflags.h"
#include "processfacts.h"
#include "rawlink.h"
#include "skipping.h"
#include "stress.h"

#include <QtCore/qendian.h>
#include <QtTest/QtTest>

#include <algorithm>
#include <atomic>

using namespace Qt::StringLiterals;
using std::chrono::milliseconds;

/// Messages between a client and a server that is not ours.
class tst_ClientMessages : public QObject
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
    void orderIsKeptInBothDirections_data();
    void orderIsKeptInBothDirections();
    void writersOnManyThreadsDoNotMix_data();
    void writersOnManyThreadsDoNotMix();
    void connectionsDoNotMix_data();
    void connectionsDoNotMix();
    void nothingIsEmittedInsideACallOfTheUser();
    void cookiesOfAnyTypeComeBack_data();
    void cookiesOfAnyTypeComeBack();
    void automaticReadsHaveAnEmptyCookie();
    void explicitRequestsAreServedInOrderWithTheirCookies_data();
    void explicitRequestsAreServedInOrderWithTheirCookies();
    void explicitRequestsComeBeforeAutomaticReads();
    void nothingIsDeliveredUnasked_data();
    void nothingIsDeliveredUnasked();
    void serverFeelsThatNobodyReads_data();
    void serverFeelsThatNobodyReads();
    void busyEventLoopPausesReading_data();
    void busyEventLoopPausesReading();
    void fullQueueRefusesWrites_data();
    void fullQueueRefusesWrites();
    void sentMessagesThatNobodyIsToldOfAreLimited();
    void writeReturnsAtOnce();
    void bytesToWriteCountsWhatIsQueued();
    void receivedDataMayBeKept();
    void writtenDataMayBeChangedAtOnce();
    void tooLargeMessageEndsTheConnection_data();
    void tooLargeMessageEndsTheConnection();
    void wireIsLengthAndBytes();
    void wireIsReadInAnyPieces_data();
    void wireIsReadInAnyPieces();
    void frameCutByTheEndIsAnErrorAndNotAMessage_data();
    void frameCutByTheEndIsAnErrorAndNotAMessage();
    void announcedLengthTakesNoMemory_data();
    void announcedLengthTakesNoMemory();
    void announcedLengthOverTheMaximumEndsAtOnce();

private:
    static void modes()
    {
        QTest::addColumn<bool>("freeThreaded");
        QTest::newRow("marshalled") << false;
        QTest::newRow("free-threaded") << true;
    }
    static void echo(ClientRecorder &recorder)
    {
        recorder.onMessage() = [](NamedPipeClientConnection &connection, const QVariant &,
                                  const QByteArray &data) { connection.asyncWrite(data); };
    }
    // On a thread of its own: what nobody reads may make the server wait.
    static std::future<bool> sendNumbered(RawPeer &peer, int count)
    {
        return runClient([&peer, count] {
            bool ok = true;
            for (int number = 0; ok && number < count; ++number)
                ok = peer.sendMessage(numbered(number));
            return ok;
        });
    }
    static QByteArray header(quint32 length)
    {
        QByteArray bytes(4, Qt::Uninitialized);
        qToBigEndian(length, bytes.data());
        return bytes;
    }
    static const char *noFrames() { return "the system keeps the boundaries of messages itself"; }
};

void tst_ClientMessages::sizesAroundTheBufferArriveWhole_data()
{
    QTest::addColumn<int>("bufferSize");
    QTest::addColumn<bool>("freeThreaded");
    for (const int size : { 1, 7, 512, 4096, 65536, 131072 }) {
        QTest::addRow("buffer of %d, marshalled", size) << size << false;
        QTest::addRow("buffer of %d, free-threaded", size) << size << true;
    }
}

void tst_ClientMessages::sizesAroundTheBufferArriveWhole()
{
    QFETCH(int, bufferSize);
    QFETCH(bool, freeThreaded);
    RawLink link;
    echo(link.client.recorder);
    link.client.manager.setMessageBufferSize(bufferSize);
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    link.client.manager.setNumThreadsIOCP(2);
    QVERIFY(link.open());
    QList<QByteArray> sent;
    for (const int size : { 0, 1, bufferSize - 1, bufferSize, bufferSize + 1, 2 * bufferSize - 1,
                            2 * bufferSize, 2 * bufferSize + 1, 65535, 65536, 65537, 0, 1 })
        sent.append(payload(size, quint32(sent.size())));
    auto server = runClient([&] {
        for (const QByteArray &message : std::as_const(sent)) {
            if (!link.peer.sendMessage(message))
                return u"could not send %1 bytes"_s.arg(message.size());
            // The echo of nothing is nothing: asyncWrite() of empty data is a no-op.
            if (!message.isEmpty() && link.peer.receiveMessage() != message)
                return u"%1 bytes came back damaged"_s.arg(message.size());
        }
        return QString();
    });
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Message, int(sent.size())));
    QVERIFY(waitForTask(server));
    QCOMPARE(link.client.recorder.messages(), sent);
    QCOMPARE(server.get(), QString());
}

void tst_ClientMessages::largeMessagesArriveWholeInBothDirections_data()
{
    QTest::addColumn<int>("size");
    QTest::addColumn<bool>("freeThreaded");
    for (const int mebi : { 1, 16 }) {
        QTest::addRow("%d MiB, marshalled", mebi) << mebi * 1024 * 1024 << false;
        QTest::addRow("%d MiB, free-threaded", mebi) << mebi * 1024 * 1024 << true;
    }
    QTest::newRow("odd size, marshalled") << 3 * 1024 * 1024 + 17 << false;
}

void tst_ClientMessages::largeMessagesArriveWholeInBothDirections()
{
    QFETCH(int, size);
    QFETCH(bool, freeThreaded);
    const QByteArray message = payload(size);
    std::atomic<bool> same { false };
    RawLink link(ClientRecorder::CountOnly);
    link.client.recorder.onMessage() = [&](NamedPipeClientConnection &connection, const QVariant &,
                                           const QByteArray &data) {
        same = data == message;
        connection.asyncWrite(data);
    };
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    QVERIFY(link.open());
    auto server = runClient([&] {
        return link.peer.sendMessage(message, 2 * patience)
                && link.peer.receiveMessage(2 * patience) == message;
    });
    QVERIFY(waitForTask(server, 3 * patience));
    QVERIFY(server.get());
    QVERIFY(same);
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Sent));
    QCOMPARE(link.client.recorder.count(ClientEvent::Message), 1);
}

void tst_ClientMessages::emptyMessagesAreMessages_data()
{
    QTest::addColumn<QList<int>>("sizes");
    QTest::newRow("only") << QList<int> { 0 };
    QTest::newRow("first") << QList<int> { 0, 5 };
    QTest::newRow("last") << QList<int> { 5, 0 };
    QTest::newRow("between") << QList<int> { 5, 0, 7 };
    QTest::newRow("in a row") << QList<int> { 0, 0, 0, 3, 0, 0 };
    QTest::newRow("after a large one") << QList<int> { 200'000, 0, 1 };
}

void tst_ClientMessages::emptyMessagesAreMessages()
{
    QFETCH(QList<int>, sizes);
    for (const bool freeThreaded : { false, true }) {
        RawLink link;
        link.client.manager.setFreeThreadingEvents(freeThreaded);
        QVERIFY(link.open());
        auto server = runClient([&] {
            bool ok = true;
            for (const int size : std::as_const(sizes))
                ok = link.peer.sendMessage(payload(size)) && ok;
            link.peer.close();
            return ok;
        });
        QVERIFY(link.client.recorder.waitFor(ClientEvent::Disconnected)); // the close only
        QVERIFY(waitForTask(server));
        QVERIFY(server.get());
        QList<int> received;
        for (const QByteArray &message : link.client.recorder.messages())
            received.append(int(message.size()));
        QCOMPARE(received, sizes);
        QCOMPARE(link.client.recorder.errors(), QList<NamedPipe::Error>());
    }
}

void tst_ClientMessages::asyncWriteOfNothingIsANoOp()
{
    RawLink link;
    QVERIFY(link.open());
    QVERIFY(link.connection->asyncWrite({}, 1));
    QVERIFY(link.connection->asyncWrite(""_ba, 2));
    QVERIFY(link.connection->asyncWrite("real"_ba, 3));
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Sent));
    watchFor(milliseconds(30));
    QCOMPARE(link.client.recorder.cookies(ClientEvent::Sent), QVariantList { 3 });
    QCOMPARE(link.peer.receiveMessage(), "real"_ba);
}

void tst_ClientMessages::orderIsKeptInBothDirections_data()
{
    QTest::addColumn<int>("workers");
    QTest::addColumn<bool>("freeThreaded");
    for (const int workers : { 1, 2, 8 }) {
        QTest::addRow("%d workers, marshalled", workers) << workers << false;
        QTest::addRow("%d workers, free-threaded", workers) << workers << true;
    }
}

void tst_ClientMessages::orderIsKeptInBothDirections()
{
    QFETCH(int, workers);
    QFETCH(bool, freeThreaded);
    const int count = scaled(20'000, 1000);
    RawLink link;
    link.client.manager.setNumThreadsIOCP(workers);
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    QVERIFY(link.open());
    auto sending = sendNumbered(link.peer, count);
    auto receiving = runClient([&] { // another thread than the sender's
        int received = 0;
        while (received < count) {
            const auto message = link.peer.receiveMessage();
            if (!message || numberOf(*message) != received)
                return -1 - received;
            ++received;
        }
        return received;
    });
    for (int number = 0; number < count; ++number)
        QVERIFY(link.connection->asyncWrite(numbered(number), number));
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Sent, count));
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Message, count));
    QVERIFY(waitForTask(receiving));
    QVERIFY(waitForTask(sending));
    QCOMPARE(receiving.get(), count);
    QVERIFY(sending.get());
    const QList<QByteArray> messages = link.client.recorder.messages();
    const QVariantList cookies = link.client.recorder.cookies(ClientEvent::Sent);
    for (int number = 0; number < count; ++number) {
        QCOMPARE(numberOf(messages.at(number)), number);
        QCOMPARE(cookies.at(number), QVariant(number));
    }
}

void tst_ClientMessages::writersOnManyThreadsDoNotMix_data()
{
    modes();
}

void tst_ClientMessages::writersOnManyThreadsDoNotMix()
{
    QFETCH(bool, freeThreaded);
    constexpr int writers = 4;
    const int each = scaled(1000, 50);
    RawLink link(ClientRecorder::CountOnly);
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    link.client.manager.setNumThreadsIOCP(2);
    QVERIFY(link.open());
    std::vector<std::future<void>> tasks;
    for (int writer = 0; writer < writers; ++writer) {
        tasks.push_back(runClient([connection = link.connection, writer, each] {
            for (int number = 0; number < each; ++number)
                connection->asyncWrite(numbered(number, writer), writer * each + number);
        }));
    }
    auto receiving = runClient([&] {
        std::array<int, writers> next {};
        for (int received = 0; received < writers * each; ++received) {
            const auto message = link.peer.receiveMessage();
            if (!message || senderOf(*message) < 0 || senderOf(*message) >= writers
                || numberOf(*message) != next[size_t(senderOf(*message))]++)
                return false;
        }
        return true;
    });
    QVERIFY(waitForTask(receiving));
    QVERIFY(receiving.get());
    for (const auto &task : tasks)
        QVERIFY(waitForTask(task));
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Sent, writers * each));
}

void tst_ClientMessages::connectionsDoNotMix_data()
{
    modes();
}

void tst_ClientMessages::connectionsDoNotMix()
{
    QFETCH(bool, freeThreaded);
    const int clients = scaled(20, 5);
    const int each = scaled(200, 20);
    RawLink link;
    echo(link.client.recorder);
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    link.client.manager.setNumThreadsIOCP(4);
    QList<NamedPipeClientConnectionPtr> connections;
    std::vector<RawPeer> peers;
    for (int index = 0; index < clients; ++index) {
        QVERIFY(link.open());
        connections.append(link.connection);
        peers.push_back(std::move(link.peer));
        link.peer = RawPeer();
    }
    std::vector<std::future<bool>> servers;
    for (int index = 0; index < clients; ++index) {
        servers.push_back(runClient([&peer = peers[size_t(index)], index, each] {
            for (int number = 0; number < each; ++number) {
                if (!peer.sendMessage(numbered(number, index))
                    || peer.receiveMessage() != numbered(number, index))
                    return false;
            }
            return true;
        }));
    }
    for (auto &server : servers) {
        QVERIFY(waitForTask(server));
        QVERIFY(server.get());
    }
    for (int index = 0; index < clients; ++index) {
        const QList<QByteArray> messages = link.client.recorder.messagesOf(index);
        QCOMPARE(messages.size(), each);
        for (int number = 0; number < each; ++number)
            QCOMPARE(messages.at(number), numbered(number, index));
    }
    QCOMPARE(link.client.manager.connectionCount(), clients);
}

void tst_ClientMessages::nothingIsEmittedInsideACallOfTheUser()
{
    bool calling = false;
    bool emitted = false;
    RawLink link;
    link.client.recorder.onAny() = [&](auto &, ClientEvent::Kind) { emitted = emitted || calling; };
    link.client.manager.setMaximumPendingWriteBytes(100'000);
    QVERIFY(link.open());
    calling = true;
    for (int number = 0; number < 20; ++number) // until the queue is full, and beyond
        link.connection->asyncWrite(payload(60'000), number);
    link.connection->asyncRead(1);
    link.connection->asyncClose();
    link.connection->asyncWrite("late"_ba);
    calling = false;
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Disconnected));
    QVERIFY(!emitted);
    QVERIFY(link.client.recorder.count(ClientEvent::Error) > 0);
}

void tst_ClientMessages::cookiesOfAnyTypeComeBack_data()
{
    QTest::addColumn<QVariant>("cookie");
    QTest::newRow("none") << QVariant();
    QTest::newRow("number") << QVariant(42);
    QTest::newRow("text") << QVariant(u"text"_s);
    QTest::newRow("map") << QVariant(QVariantMap { { u"key"_s, QVariantList { 1, 2 } } });
    QTest::newRow("null pointer") << QVariant::fromValue<QObject *>(nullptr);
}

void tst_ClientMessages::cookiesOfAnyTypeComeBack()
{
    QFETCH(QVariant, cookie);
    RawLink link;
    QVERIFY(link.open());
    link.connection->asyncRead(cookie);
    QVERIFY(link.connection->asyncWrite("out"_ba, cookie));
    QVERIFY(link.peer.sendMessage("in"_ba));
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Message));
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Sent));
    QCOMPARE(link.client.recorder.cookies(ClientEvent::Message), QVariantList { cookie });
    QCOMPARE(link.client.recorder.cookies(ClientEvent::Sent), QVariantList { cookie });
}

void tst_ClientMessages::automaticReadsHaveAnEmptyCookie()
{
    RawLink link;
    QVERIFY(link.open());
    QVERIFY(link.peer.sendMessage("one"_ba));
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Message));
    QVERIFY(!link.client.recorder.cookies(ClientEvent::Message).constFirst().isValid());
}

void tst_ClientMessages::explicitRequestsAreServedInOrderWithTheirCookies_data()
{
    modes();
}

void tst_ClientMessages::explicitRequestsAreServedInOrderWithTheirCookies()
{
    QFETCH(bool, freeThreaded);
    RawLink link;
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    link.client.manager.setNumThreadsIOCP(4);
    link.client.manager.setContinuouslyReadFromPipe(false);
    QVERIFY(link.open());
    QVariantList cookies;
    for (int number = 0; number < 50; ++number) { // requests first, then messages
        cookies.append(number);
        link.connection->asyncRead(number);
    }
    auto server = sendNumbered(link.peer, 100);
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Message, 50));
    for (int number = 50; number < 100; ++number) { // messages first, then requests
        cookies.append(number);
        link.connection->asyncRead(number);
    }
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Message, 100));
    QVERIFY(server.get());
    QCOMPARE(link.client.recorder.cookies(ClientEvent::Message), cookies);
    const QList<QByteArray> messages = link.client.recorder.messages();
    for (int number = 0; number < 100; ++number)
        QCOMPARE(numberOf(messages.at(number)), number);
}

void tst_ClientMessages::explicitRequestsComeBeforeAutomaticReads()
{
    RawLink link;
    link.client.recorder.onConnected() = [](NamedPipeClientConnection &connection) {
        connection.asyncRead(u"first"_s);
        connection.asyncRead(u"second"_s);
    };
    QVERIFY(link.open());
    for (int number = 0; number < 4; ++number)
        QVERIFY(link.peer.sendMessage(numbered(number)));
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Message, 4));
    QCOMPARE(link.client.recorder.cookies(ClientEvent::Message),
             (QVariantList { u"first"_s, u"second"_s, QVariant(), QVariant() }));
}

void tst_ClientMessages::nothingIsDeliveredUnasked_data()
{
    modes();
}

void tst_ClientMessages::nothingIsDeliveredUnasked()
{
    QFETCH(bool, freeThreaded);
    RawLink link;
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    link.client.manager.setContinuouslyReadFromPipe(false);
    QVERIFY(link.open());
    auto server = sendNumbered(link.peer, 3);
    for (int asked = 0; asked < 3; ++asked) {
        watchFor();
        QCOMPARE(link.client.recorder.count(ClientEvent::Message), asked);
        link.connection->asyncRead();
        QVERIFY(link.client.recorder.waitFor(ClientEvent::Message, asked + 1));
    }
    QVERIFY(server.get());
}

void tst_ClientMessages::serverFeelsThatNobodyReads_data()
{
    QTest::addColumn<bool>("continuous");
    QTest::newRow("manual: the server has to wait") << false;
    QTest::newRow("continuous: the same server never waits")
            << true; // or the row above proves nothing
}

void tst_ClientMessages::serverFeelsThatNobodyReads()
{
    QFETCH(bool, continuous);
    RawLink link(ClientRecorder::CountOnly);
    link.client.manager.setContinuouslyReadFromPipe(continuous);
    QVERIFY(link.open());
    constexpr int size = 100'000;
    constexpr int count = moreThanTheSystemBuffers / size;
    std::atomic<int> sent { 0 };
    auto server = runClient([&] {
        for (int number = 0; number < count; ++number) {
            if (!link.peer.sendMessage(payload(size, quint32(number))))
                return false;
            ++sent;
        }
        return true;
    });
    if (!continuous) {
        watchFor(milliseconds(300));
        QVERIFY(sent < count);
        QCOMPARE(link.client.recorder.count(ClientEvent::Message), 0);
        for (int number = 0; number < count; ++number)
            link.connection->asyncRead(number);
    }
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Message, count));
    QVERIFY(waitForTask(server));
    QVERIFY(server.get());
}

void tst_ClientMessages::busyEventLoopPausesReading_data()
{
    QTest::addColumn<qint64>("limit");
    QTest::newRow("64 KiB") << qint64(64 * 1024);
    QTest::newRow("default") << qint64(1024 * 1024);
}

void tst_ClientMessages::busyEventLoopPausesReading()
{
    QFETCH(qint64, limit);
    RawLink link;
    link.client.manager.setMaximumPendingReadBytes(limit);
    QVERIFY(link.open());
    constexpr int size = 30'000;
    constexpr int count = 1000;
    auto server = runClient([&] {
        for (int number = 0; number < count; ++number) {
            if (!link.peer.sendMessage(payload(size, quint32(number))))
                return false;
        }
        return true;
    });
    // The event loop stands still: what is received stays within the limit and one message more.
    const auto received = [&] { return qint64(link.connection->statistics().bytesReceived); };
    QVERIFY(waitWithoutEvents([&] { return received() >= limit; }));
    QVERIFY(!waitWithoutEvents([&] { return received() > limit + 2 * size; }, milliseconds(200)));
    QVERIFY(!isFinished(server));
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Message, count));
    QVERIFY(waitForTask(server));
    QVERIFY(server.get());
    const QList<QByteArray> messages = link.client.recorder.messages();
    for (int number = 0; number < count; ++number)
        QCOMPARE(messages.at(number), payload(size, quint32(number)));
}

void tst_ClientMessages::fullQueueRefusesWrites_data()
{
    modes();
}

void tst_ClientMessages::fullQueueRefusesWrites()
{
    QFETCH(bool, freeThreaded);
    RawLink link;
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    link.client.manager.setMaximumPendingWriteBytes(1'000'000);
    QVERIFY(link.open());
    int accepted = 0;
    while (accepted < 1000 && link.connection->asyncWrite(payload(100'000), accepted))
        ++accepted;
    QVERIFY(accepted < 1000);
    QVERIFY(link.connection->bytesToWrite() <= 1'000'000);
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Error));
    QCOMPARE(link.client.recorder.errors(), QList { NamedPipe::WriteQueueFull });
    QVERIFY(link.connection->isConnected()); // nothing is broken
    for (int number = 0; number < accepted; ++number)
        QCOMPARE(link.peer.receiveMessage(), payload(100'000));
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Sent, accepted));
    QVERIFY(link.connection->asyncWrite("room again"_ba, accepted));
    QCOMPARE(link.peer.receiveMessage(), "room again"_ba);
    QCOMPARE(link.client.recorder.count(ClientEvent::NotSent), 0);
}

void tst_ClientMessages::sentMessagesThatNobodyIsToldOfAreLimited()
{
    RawLink link;
    link.client.manager.setMaximumPendingWriteBytes(64 * 1024); // one for each 64 bytes: 1024
    QVERIFY(link.open());
    int accepted = 0; // without an event loop, so that nothing can be told
    while (accepted < 2000 && link.connection->asyncWrite("x"_ba, accepted)) {
        ++accepted;
        QCOMPARE(link.peer.receiveMessage(), "x"_ba);
        QVERIFY(waitWithoutEvents([&] { return link.connection->bytesToWrite() == 0; }));
    }
    QVERIFY2(accepted >= 1000 && accepted < 1100, qPrintable(QString::number(accepted)));
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Error));
    QCOMPARE(link.client.recorder.errors(), QList { NamedPipe::WriteQueueFull });
    QVERIFY(link.client.recorder.texts().constFirst().contains(u"nobody has been told"_s));
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Sent, accepted)); // now they are
    QVERIFY(link.connection->asyncWrite("y"_ba, accepted));
    QCOMPARE(link.peer.receiveMessage(), "y"_ba);
    QCOMPARE(link.client.recorder.count(ClientEvent::NotSent), 0);
}

void tst_ClientMessages::writeReturnsAtOnce()
{
    RawLink link;
    QVERIFY(link.open());
    const QByteArray message = payload(1'000'000);
    QElapsedTimer timer;
    qint64 worst = 0;
    for (int number = 0; number < 40; ++number) { // nobody reads
        timer.start();
        QVERIFY(link.connection->asyncWrite(message, number));
        worst = std::max(worst, timer.elapsed());
    }
    if (PlatformFlags::timingIsMeaningful())
        QVERIFY2(worst < 50, qPrintable(u"%1 ms"_s.arg(worst)));
    for (int number = 0; number < 40; ++number)
        QCOMPARE(link.peer.receiveMessage(), message);
}

void tst_ClientMessages::bytesToWriteCountsWhatIsQueued()
{
    RawLink link;
    QVERIFY(link.open());
    QCOMPARE(link.connection->bytesToWrite(), 0);
    QVERIFY(link.connection->asyncWrite(payload(moreThanTheSystemBuffers)));
    QVERIFY(link.connection->asyncWrite(payload(1000)));
    QVERIFY(link.connection->bytesToWrite() > 1000);
    QVERIFY(link.connection->bytesToWrite() <= moreThanTheSystemBuffers + 1000);
    QVERIFY(link.peer.receiveMessage());
    QVERIFY(link.peer.receiveMessage());
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Sent, 2));
    QCOMPARE(link.connection->bytesToWrite(), 0);
}

void tst_ClientMessages::receivedDataMayBeKept()
{
    RawLink link; // its recorder keeps every QByteArray
    QVERIFY(link.open());
    QList<QByteArray> sent;
    for (int number = 0; number < 1000; ++number)
        sent.append(payload(1 + (number * 37) % 900, quint32(number)));
    auto server = runClient([&] {
        return std::all_of(sent.cbegin(), sent.cend(), [&](const QByteArray &message) {
            return link.peer.sendMessage(message);
        });
    });
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Message, 1000));
    QVERIFY(server.get());
    QList<QByteArray> kept = link.client.recorder.messages();
    QVERIFY(kept.first().data() != kept.last().data()); // writable
    link.client.manager.stop();
    QCOMPARE(kept, sent);
}

void tst_ClientMessages::writtenDataMayBeChangedAtOnce()
{
    RawLink link;
    QVERIFY(link.open());
    const QByteArray original = payload(2'000'000); // does not fit into the system's buffers
    QByteArray data = original;
    data.detach();
    QVERIFY(link.connection->asyncWrite(data));
    data.fill('x');
    QVERIFY(link.connection->asyncWrite(data));
    data.clear();
    QCOMPARE(link.peer.receiveMessage(), original);
    QCOMPARE(link.peer.receiveMessage(), QByteArray(2'000'000, 'x'));
}

void tst_ClientMessages::tooLargeMessageEndsTheConnection_data()
{
    QTest::addColumn<int>("maximum");
    QTest::addColumn<int>("size");
    QTest::addColumn<bool>("freeThreaded");
    for (const bool freeThreaded : { false, true }) {
        const char *const mode = freeThreaded ? "free-threaded" : "marshalled";
        QTest::addRow("one byte more, %s", mode) << 1000 << 1001 << freeThreaded;
        QTest::addRow("much more, %s", mode) << 1000 << 1'000'000 << freeThreaded;
        QTest::addRow("over a large maximum, %s", mode) << 300'000 << 300'001 << freeThreaded;
    }
}

void tst_ClientMessages::tooLargeMessageEndsTheConnection()
{
    QFETCH(int, maximum);
    QFETCH(int, size);
    QFETCH(bool, freeThreaded);
    RawLink link;
    link.client.manager.setMaximumMessageSize(maximum);
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    QVERIFY(link.open());
    auto server = runClient([&] {
        link.peer.sendMessage("before"_ba);
        link.peer.sendMessage(payload(maximum));
        link.peer.sendMessage(payload(size)); // may break off
        return link.peer.atEnd();
    });
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Disconnected));
    QVERIFY(waitForTask(server));
    QVERIFY(server.get());
    QCOMPARE(link.client.recorder.messages(), (QList { "before"_ba, payload(maximum) }));
    QCOMPARE(link.client.recorder.errors(), QList { NamedPipe::MessageTooLarge });
    QCOMPARE(link.connection->closeReason(), NamedPipe::Failed);
    QCOMPARE(link.client.recorder.kinds(),
             (QList { ClientEvent::Connected, ClientEvent::Message, ClientEvent::Message,
                      ClientEvent::Error, ClientEvent::Disconnected }));
}

void tst_ClientMessages::wireIsLengthAndBytes()
{
    if (PlatformFlags::runningOnWindows())
        SKIP_BECAUSE(noFrames());
    RawLink link;
    QVERIFY(link.open());
    QVERIFY(link.connection->asyncWrite("hello"_ba));
    QVERIFY(link.connection->asyncWrite(QByteArray(258, 'x')));
    const QByteArray expected = QByteArray("\0\0\0\5hello\0\0\1\2", 13) + QByteArray(258, 'x');
    QByteArray bytes;
    while (bytes.size() < expected.size()) {
        const auto part = link.peer.receiveRaw(1000);
        QVERIFY(part);
        bytes += *part;
    }
    QCOMPARE(bytes, expected);
}

void tst_ClientMessages::wireIsReadInAnyPieces_data()
{
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<int>("piece");
    QTest::addColumn<QList<QByteArray>>("messages");
    const QByteArray several("\0\0\0\1a\xff\xff\xff\xff\0\0\0\0\0\0\0\5hello", 22);
    const QList<QByteArray> all { "a"_ba, ""_ba, ""_ba, "hello"_ba };
    QTest::newRow("null array") << "\xff\xff\xff\xff"_ba << 4 << QList { ""_ba };
    QTest::newRow("one by one") << several << 1 << all;
    QTest::newRow("three at a time") << several << 3 << all;
    QTest::newRow("all at once") << several << 22 << all;
    QTest::newRow("length in the third byte") << QByteArray("\0\0\1\0", 4) + QByteArray(256, 'y')
                                              << 100 << QList { QByteArray(256, 'y') };
}

void tst_ClientMessages::wireIsReadInAnyPieces()
{
    QFETCH(QByteArray, bytes);
    QFETCH(int, piece);
    QFETCH(QList<QByteArray>, messages);
    if (PlatformFlags::runningOnWindows())
        SKIP_BECAUSE(noFrames());
    RawLink link;
    QVERIFY(link.open());
    for (int at = 0; at < bytes.size(); at += piece) {
        QVERIFY(link.peer.sendRaw(bytes.mid(at, piece)));
        watchFor(milliseconds(1)); // each piece on its own, if the workers are quick
    }
    link.peer.close();
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Disconnected));
    QCOMPARE(link.client.recorder.messages(), messages);
    QCOMPARE(link.client.recorder.errors(), QList<NamedPipe::Error>());
}

void tst_ClientMessages::frameCutByTheEndIsAnErrorAndNotAMessage_data()
{
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<int>("wholeMessages");
    const QByteArray whole = QByteArray("\0\0\0\5whole", 9);
    QTest::newRow("part of the length") << QByteArray("\0\0", 2) << 0;
    QTest::newRow("length only") << QByteArray("\0\0\0\5", 4) << 0;
    QTest::newRow("part of the message") << QByteArray("\0\0\0\5par", 7) << 0;
    QTest::newRow("after a whole message") << whole + QByteArray("\0\0\0\5part", 8) << 1;
    QTest::newRow("after two whole messages") << whole + whole + QByteArray(1, '\0') << 2;
    QTest::newRow("of a large message") << header(1'000'000) + QByteArray(300'000, 'x') << 0;
}

void tst_ClientMessages::frameCutByTheEndIsAnErrorAndNotAMessage()
{
    QFETCH(QByteArray, bytes);
    QFETCH(int, wholeMessages);
    if (PlatformFlags::runningOnWindows())
        SKIP_BECAUSE(noFrames());
    for (const bool freeThreaded : { false, true }) {
        RawLink link;
        link.client.manager.setFreeThreadingEvents(freeThreaded);
        QVERIFY(link.open());
        QVERIFY(link.peer.sendRaw(bytes));
        link.peer.close();
        QVERIFY(link.client.recorder.waitFor(ClientEvent::Disconnected));
        QCOMPARE(link.client.recorder.messages(), QList<QByteArray>(wholeMessages, "whole"_ba));
        QCOMPARE(link.client.recorder.errors(), QList { NamedPipe::TruncatedMessage });
        QCOMPARE(link.connection->closeReason(), NamedPipe::Failed);
        const QList<ClientEvent::Kind> kinds = link.client.recorder.kinds();
        QCOMPARE(kinds.at(kinds.size() - 2), ClientEvent::Error); // last but one
    }
}

void tst_ClientMessages::announcedLengthTakesNoMemory_data()
{
    QTest::addColumn<quint32>("length");
    QTest::newRow("1 GiB") << 0x40000000u;
    QTest::newRow("2 GiB - 1") << 0x7FFFFFFFu;
    QTest::newRow("2 GiB") << 0x80000000u;
    QTest::newRow("4 GiB - 2") << 0xFFFFFFFEu;
}

void tst_ClientMessages::announcedLengthTakesNoMemory()
{
    QFETCH(quint32, length);
    if (PlatformFlags::runningOnWindows())
        SKIP_BECAUSE(noFrames());
    RawLink link;
    QVERIFY(link.open());
    QVERIFY(link.peer.sendMessage("before"_ba));
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Message));
    const qint64 before = ProcessFacts::residentBytes();
    QVERIFY(link.peer.sendRaw(header(length) + "begin"));
    watchFor();
    if (!PlatformFlags::runningUnderSanitizer())
        QVERIFY(ProcessFacts::residentBytes() - before < 16 * 1024 * 1024);
    link.peer.close();
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Disconnected));
    QCOMPARE(link.client.recorder.count(ClientEvent::Message), 1);
    QCOMPARE(link.client.recorder.count(ClientEvent::Error), 1);
    QCOMPARE(link.connection->closeReason(), NamedPipe::Failed);
}

void tst_ClientMessages::announcedLengthOverTheMaximumEndsAtOnce()
{
    if (PlatformFlags::runningOnWindows())
        SKIP_BECAUSE(noFrames());
    RawLink link;
    link.client.manager.setMaximumMessageSize(1000);
    QVERIFY(link.open());
    QVERIFY(link.peer.sendRaw(header(1001))); // and not a byte of it
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Disconnected));
    QCOMPARE(link.client.recorder.errors(), QList { NamedPipe::MessageTooLarge });
    QCOMPARE(link.connection->closeReason(), NamedPipe::Failed);
    QVERIFY(link.peer.atEnd());
}

QTEST_GUILESS_MAIN(tst_ClientMessages)
#include "tst_client_messages.moc"
