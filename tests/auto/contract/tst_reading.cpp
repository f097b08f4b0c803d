// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "testserver.h"

#include <QtTest/QtTest>

#include <atomic>

using namespace Qt::StringLiterals;

/// Automatic and explicit reads, their cookies, and what the client feels of them.
class tst_Reading : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void automaticReadsHaveAnEmptyCookie();
    void explicitRequestsAreServedInOrderWithTheirCookies_data();
    void explicitRequestsAreServedInOrderWithTheirCookies();
    void explicitRequestsComeBeforeAutomaticReads();
    void cookiesOfAnyTypeComeBack_data();
    void cookiesOfAnyTypeComeBack();
    void nothingIsDeliveredUnasked_data();
    void nothingIsDeliveredUnasked();
    void requestMadeInTheSlotBringsTheNextMessage();
    void clientFeelsThatNobodyReads_data();
    void clientFeelsThatNobodyReads();
    void switchingToManualInASlotStopsAtOnce();
    void dropIsSeenInManualModeAfterEverythingWasAskedFor();
    void dropOfASilentClientIsSeenInManualMode();
    void requestStillOpenAtTheEndBringsNothing();

private:
    static void modes();
    // On a thread of its own: what nobody reads may make the client wait, on one system sooner than
    // on the other.
    static std::future<bool> sendNumbered(RawPeer &peer, int count, bool closeAfterwards = false)
    {
        return runClient([&peer, count, closeAfterwards] {
            bool ok = true;
            for (int number = 0; ok && number < count; ++number)
                ok = peer.sendMessage(numbered(number));
            if (closeAfterwards)
                peer.close();
            return ok;
        });
    }
};

void tst_Reading::modes()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::newRow("marshalled") << false;
    QTest::newRow("free-threaded") << true;
}

void tst_Reading::automaticReadsHaveAnEmptyCookie()
{
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    QVERIFY(peer.sendMessage("one"_ba));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message));
    QVERIFY(!ts.recorder.cookies(ServerEvent::Message).constFirst().isValid());
}

void tst_Reading::explicitRequestsAreServedInOrderWithTheirCookies_data()
{
    modes();
}

void tst_Reading::explicitRequestsAreServedInOrderWithTheirCookies()
{
    QFETCH(bool, freeThreaded);
    TestServer ts;
    ts.server.setFreeThreadingEvents(freeThreaded);
    ts.server.setNumThreadsIOCP(4);
    ts.server.setContinuouslyReadFromPipe(false);
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    QVariantList cookies;
    for (int number = 0; number < 50; ++number) { // requests first, then messages
        cookies.append(number);
        ts.connection()->asyncRead(number);
    }
    auto client = sendNumbered(peer, 100);
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 50));
    for (int number = 50; number < 100; ++number) { // messages first, then requests
        cookies.append(number);
        ts.connection()->asyncRead(number);
    }
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 100));
    QVERIFY(client.get());
    QCOMPARE(ts.recorder.cookies(ServerEvent::Message), cookies);
    const QList<QByteArray> messages = ts.recorder.messages();
    for (int number = 0; number < 100; ++number)
        QCOMPARE(numberOf(messages.at(number)), number);
}

void tst_Reading::explicitRequestsComeBeforeAutomaticReads()
{
    TestServer ts;
    ts.recorder.onConnected() = [](const NamedPipeServerConnectionPtr &connection) {
        connection->asyncRead(u"first"_s);
        connection->asyncRead(u"second"_s);
    };
    QVERIFY(ts.start());
    RawPeer peer;
    QVERIFY(peer.connectTo(ts.name()));
    for (int number = 0; number < 4; ++number)
        QVERIFY(peer.sendMessage(numbered(number)));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 4));
    QCOMPARE(ts.recorder.cookies(ServerEvent::Message),
             (QVariantList { u"first"_s, u"second"_s, QVariant(), QVariant() }));
}

void tst_Reading::cookiesOfAnyTypeComeBack_data()
{
    QTest::addColumn<QVariant>("cookie");
    QTest::newRow("none") << QVariant();
    QTest::newRow("number") << QVariant(42);
    QTest::newRow("text") << QVariant(u"text"_s);
    QTest::newRow("map") << QVariant(QVariantMap { { u"key"_s, QVariantList { 1, 2 } } });
    QTest::newRow("null pointer") << QVariant::fromValue<QObject *>(nullptr);
}

void tst_Reading::cookiesOfAnyTypeComeBack()
{
    QFETCH(QVariant, cookie);
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    ts.connection()->asyncRead(cookie);
    QVERIFY(ts.connection()->asyncWrite("out"_ba, cookie));
    QVERIFY(peer.sendMessage("in"_ba));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Sent));
    QCOMPARE(ts.recorder.cookies(ServerEvent::Message), QVariantList { cookie });
    QCOMPARE(ts.recorder.cookies(ServerEvent::Sent), QVariantList { cookie });
}

void tst_Reading::nothingIsDeliveredUnasked_data()
{
    modes();
}

void tst_Reading::nothingIsDeliveredUnasked()
{
    QFETCH(bool, freeThreaded);
    TestServer ts;
    ts.server.setFreeThreadingEvents(freeThreaded);
    ts.server.setContinuouslyReadFromPipe(false);
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    auto client = sendNumbered(peer, 3);
    for (int asked = 0; asked < 3; ++asked) {
        watchFor();
        QCOMPARE(ts.recorder.count(ServerEvent::Message), asked);
        ts.connection()->asyncRead();
        QVERIFY(ts.recorder.waitFor(ServerEvent::Message, asked + 1));
    }
    QVERIFY(client.get());
}

void tst_Reading::requestMadeInTheSlotBringsTheNextMessage()
{
    for (const bool freeThreaded : { false, true }) {
        TestServer ts;
        ts.recorder.onConnected() = [](const NamedPipeServerConnectionPtr &connection) {
            connection->asyncRead(0);
        };
        ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection,
                                     const QVariant &cookie, const QByteArray &) {
            connection->asyncRead(cookie.toInt() + 1);
        };
        ts.server.setFreeThreadingEvents(freeThreaded);
        ts.server.setContinuouslyReadFromPipe(false);
        QVERIFY(ts.start());
        RawPeer peer;
        QVERIFY(peer.connectTo(ts.name()));
        auto client = sendNumbered(peer, 500);
        QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 500));
        QVERIFY(client.get());
        const QVariantList cookies = ts.recorder.cookies(ServerEvent::Message);
        for (int number = 0; number < 500; ++number)
            QCOMPARE(cookies.at(number), QVariant(number));
    }
}

void tst_Reading::clientFeelsThatNobodyReads_data()
{
    QTest::addColumn<bool>("continuous");
    QTest::newRow("manual: the client has to wait") << false;
    QTest::newRow("continuous: the same client never waits")
            << true; // or the row above proves nothing
}

void tst_Reading::clientFeelsThatNobodyReads()
{
    QFETCH(bool, continuous);
    constexpr int size = 64 * 1024;
    TestServer ts(ServerRecorder::CountOnly);
    NamedPipeServerConnectionPtr connection;
    int next = 0;
    bool inOrder = true;
    ts.recorder.onConnected() = [&](const NamedPipeServerConnectionPtr &client) {
        connection = client;
    };
    ts.recorder.onMessage() = [&](const auto &, const auto &, const QByteArray &data) {
        inOrder = inOrder && data == payload(size, quint32(next++));
    };
    ts.server.setContinuouslyReadFromPipe(continuous);
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    std::atomic<int> sentUntilBlocked { -1 };
    Gate goOn;
    // One thread all the way: the end of a thread would cancel its writes on Windows.
    auto client = runClient([&] {
        int sent = 0;
        const RawPeer::Milliseconds wait =
                continuous ? RawPeer::defaultTimeout : RawPeer::Milliseconds(500);
        while (sent < moreThanTheSystemBuffers / size
               && peer.sendMessage(payload(size, quint32(sent)), wait))
            ++sent;
        sentUntilBlocked = sent;
        return goOn.wait(2 * patience) && peer.finishSending();
    });
    const bool decided = waitUntil([&] { return sentUntilBlocked >= 0; }, 2 * patience);
    const int sent = sentUntilBlocked;
    const bool stillSending = decided && peer.isSending();
    goOn.open();
    QVERIFY(decided);
    if (continuous) {
        QCOMPARE(sent, moreThanTheSystemBuffers / size);
        QVERIFY(ts.recorder.waitFor(ServerEvent::Message, sent));
    } else {
        QVERIFY(sent < moreThanTheSystemBuffers / size);
        QVERIFY(stillSending);
        QCOMPARE(ts.recorder.count(ServerEvent::Message), 0);
        for (int asked = 0; asked <= sent; ++asked)
            connection->asyncRead();
        QVERIFY(ts.recorder.waitFor(ServerEvent::Message, sent + 1));
    }
    QVERIFY(waitForTask(client));
    QVERIFY(client.get());
    QVERIFY(inOrder);
    QVERIFY(connection->isConnected());
}

void tst_Reading::switchingToManualInASlotStopsAtOnce()
{
    TestServer ts;
    ts.recorder.onMessage() = [&](const auto &, const auto &, const QByteArray &data) {
        if (numberOf(data) == 2)
            ts.server.setContinuouslyReadFromPipe(false);
    };
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    for (int number = 0; number < 10; ++number)
        QVERIFY(peer.sendMessage(numbered(number)));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 3));
    watchFor();
    QCOMPARE(ts.recorder.count(ServerEvent::Message), 3);
    ts.connection()->asyncRead(u"asked"_s);
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 4));
    watchFor();
    QCOMPARE(ts.recorder.count(ServerEvent::Message), 4);
    ts.server.setContinuouslyReadFromPipe(true);
    ts.connection()->asyncRead(u"asked again"_s); // from here on by itself
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 10));
    const QList<QByteArray> messages = ts.recorder.messages();
    for (int number = 0; number < 10; ++number)
        QCOMPARE(numberOf(messages.at(number)), number);
}

void tst_Reading::dropIsSeenInManualModeAfterEverythingWasAskedFor()
{
    TestServer ts;
    ts.server.setContinuouslyReadFromPipe(false);
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    auto client = sendNumbered(peer, 2, true);
    watchFor();
    QCOMPARE(ts.recorder.count(ServerEvent::Message), 0);
    QCOMPARE(ts.recorder.count(ServerEvent::Disconnected), 0); // its messages still wait
    ts.connection()->asyncRead();
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message));
    ts.connection()->asyncRead();
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 2));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    QVERIFY(client.get());
    QCOMPARE(ts.recorder.messages(), (QList { numbered(0), numbered(1) }));
    QCOMPARE(ts.connection()->closeReason(), NamedPipe::ClosedByClient);
}

void tst_Reading::dropOfASilentClientIsSeenInManualMode()
{
    TestServer ts;
    ts.server.setContinuouslyReadFromPipe(false);
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    peer.close();
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
}

void tst_Reading::requestStillOpenAtTheEndBringsNothing()
{
    TestServer ts;
    ts.server.setContinuouslyReadFromPipe(false);
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    for (int cookie = 0; cookie < 3; ++cookie)
        ts.connection()->asyncRead(cookie);
    QVERIFY(peer.sendMessage("only"_ba));
    peer.close();
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    QCOMPARE(ts.recorder.messages(), QList { "only"_ba });
    ts.connection()->asyncRead(u"late"_s);
    watchFor(std::chrono::milliseconds(30));
    QCOMPARE(ts.recorder.count(ServerEvent::Message), 1);
    QCOMPARE(ts.recorder.count(ServerEvent::ClientError), 0);
}

QTEST_GUILESS_MAIN(tst_Reading)
#include "tst_reading.moc"
