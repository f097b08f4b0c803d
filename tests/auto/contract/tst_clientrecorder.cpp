// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "clientrecorder.h"
#include "testserver.h"

#include <QtTest/QtTest>

#include <stdexcept>

using namespace Qt::StringLiterals;

/// The witness of the client's suites must not be blind: each broken rule is played to it by hand.
class tst_ClientRecorder : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void init();
    void cleanup();
    void soundSequenceIsAccepted();
    void secondConnectedIsSeen();
    void eventOutsideOfASessionIsSeen_data();
    void eventOutsideOfASessionIsSeen();
    void disconnectedWhileConnectedIsSeen();
    void reasonMayWaitForTheLastSession();
    void sentAfterNotSentIsSeen();
    void secondAnswerForACookieIsSeen();
    void errorThatSaysNothingIsSeen();
    void wrongThreadIsSeen();
    void overlappingEventsAreSeen();
    void connectionsAreJudgedApart();
    void throwingHookLeavesNoTrace();
    void watchingHoldsNoConnection();

private:
    using Connection = NamedPipeClientConnection;

    bool reports(const QString &part) const
    {
        return witness->violations().join(u'\n').contains(part);
    }

    // What the manager tells of the two connections is over when the witness begins to listen: it
    // hears only what the tests emit.
    std::unique_ptr<TestServer> ts;
    std::unique_ptr<NamedPipeClientManager> manager;
    std::unique_ptr<ClientRecorder> witness;
    NamedPipeClientConnectionPtr open;
    NamedPipeClientConnectionPtr ended;
};

void tst_ClientRecorder::init()
{
    ts = std::make_unique<TestServer>();
    QVERIFY(ts->start());
    manager = std::make_unique<NamedPipeClientManager>();
    bool isOver = false;
    ended = manager->connectToServer(ts->name());
    QObject::connect(ended.data(), &Connection::disconnected, this, [&isOver] { isOver = true; });
    QVERIFY(ts->recorder.waitFor(ServerEvent::Connected));
    ts->connection(0)->asyncClose();
    QVERIFY(waitUntil([&isOver] { return isOver; }));
    ended->disconnect(this);
    open = manager->connectToServer(ts->name());
    QVERIFY(waitUntil([this] { return !open->isOpening(); }));
    QVERIFY(open->isConnected());
    witness = std::make_unique<ClientRecorder>();
    witness->ignoreViolations(); // they are what these tests are about
}

void tst_ClientRecorder::cleanup()
{
    witness.reset();
    open.reset();
    ended.reset();
    manager.reset();
    ts.reset();
}

void tst_ClientRecorder::soundSequenceIsAccepted()
{
    QCOMPARE(witness->watch(ended, *manager), 0);
    Q_EMIT ended->errorOccurred(NamedPipe::NotFound, u"not yet"_s);
    for (int session = 0; session < 2; ++session) {
        Q_EMIT ended->connected();
        Q_EMIT ended->messageReceived(1, "one"_ba);
        Q_EMIT ended->messageSent(10 * session);
        Q_EMIT ended->errorOccurred(NamedPipe::ConnectionBroken, u"broken"_s);
        Q_EMIT ended->messageNotSent(10 * session + 1);
        Q_EMIT ended->disconnected();
    }
    QCOMPARE(witness->violations(), QStringList());
    QCOMPARE(witness->count(), 13);
    QCOMPARE(witness->messages(), (QList { "one"_ba, "one"_ba }));
    QCOMPARE(witness->cookies(ClientEvent::NotSent), (QList<QVariant> { 1, 11 }));
    QCOMPARE(witness->errors(),
             (QList { NamedPipe::NotFound, NamedPipe::ConnectionBroken,
                      NamedPipe::ConnectionBroken }));
}

void tst_ClientRecorder::secondConnectedIsSeen()
{
    witness->watch(open, *manager);
    Q_EMIT open->connected();
    QCOMPARE(witness->violations(), QStringList());
    Q_EMIT open->connected();
    QVERIFY(reports(u"a second time"_s));
}

void tst_ClientRecorder::eventOutsideOfASessionIsSeen_data()
{
    QTest::addColumn<ClientEvent::Kind>("kind");
    QTest::addColumn<bool>("afterwards");
    for (const bool afterwards : { false, true }) {
        const char *const when = afterwards ? "after disconnected" : "before connected";
        QTest::addRow("message %s", when) << ClientEvent::Message << afterwards;
        QTest::addRow("sent %s", when) << ClientEvent::Sent << afterwards;
        QTest::addRow("not sent %s", when) << ClientEvent::NotSent << afterwards;
        QTest::addRow("disconnected %s", when) << ClientEvent::Disconnected << afterwards;
    }
}

void tst_ClientRecorder::eventOutsideOfASessionIsSeen()
{
    QFETCH(ClientEvent::Kind, kind);
    QFETCH(bool, afterwards);
    witness->watch(ended, *manager);
    if (afterwards) {
        Q_EMIT ended->connected();
        Q_EMIT ended->disconnected();
    }
    QCOMPARE(witness->violations(), QStringList());
    if (kind == ClientEvent::Message)
        Q_EMIT ended->messageReceived({}, {});
    else if (kind == ClientEvent::Sent)
        Q_EMIT ended->messageSent({});
    else if (kind == ClientEvent::NotSent)
        Q_EMIT ended->messageNotSent({});
    else
        Q_EMIT ended->disconnected();
    QVERIFY(reports(u"outside of connected and disconnected"_s));
}

void tst_ClientRecorder::disconnectedWhileConnectedIsSeen()
{
    witness->watch(open, *manager);
    Q_EMIT open->connected();
    Q_EMIT open->disconnected();
    QVERIFY(reports(u"isConnected is still true"_s));
    QVERIFY(reports(u"StillOpen"_s));
}

void tst_ClientRecorder::reasonMayWaitForTheLastSession()
{
    manager->setAutoReconnect(true);
    witness->watch(open, *manager);
    Q_EMIT open->connected();
    Q_EMIT open->disconnected();
    QVERIFY(reports(u"isConnected is still true"_s));
    QVERIFY(!reports(u"StillOpen"_s));
}

void tst_ClientRecorder::sentAfterNotSentIsSeen()
{
    witness->watch(open, *manager);
    Q_EMIT open->connected();
    Q_EMIT open->messageSent(1);
    Q_EMIT open->messageNotSent(2);
    QCOMPARE(witness->violations(), QStringList());
    Q_EMIT open->messageSent(3);
    QVERIFY(reports(u"after messageNotSent"_s));
}

void tst_ClientRecorder::secondAnswerForACookieIsSeen()
{
    witness->watch(open, *manager);
    Q_EMIT open->connected();
    Q_EMIT open->messageSent(1);
    Q_EMIT open->messageSent(QVariant()); // says nothing about which it was
    Q_EMIT open->messageSent(QVariant());
    QCOMPARE(witness->violations(), QStringList());
    Q_EMIT open->messageNotSent(1);
    QVERIFY(reports(u"cookie 1 again"_s));
    const qsizetype before = witness->violations().size();
    witness->allowRepeatedCookies();
    Q_EMIT open->messageNotSent(1);
    QCOMPARE(witness->violations().size(), before);
}

void tst_ClientRecorder::errorThatSaysNothingIsSeen()
{
    witness->watch(open, *manager);
    Q_EMIT open->errorOccurred(NamedPipe::NoError, u"all is well"_s);
    QVERIFY(reports(u"without an error"_s));
    QVERIFY(!reports(u"without a text"_s));
    Q_EMIT open->errorOccurred(NamedPipe::NotFound, {});
    QVERIFY(reports(u"without a text"_s));
}

void tst_ClientRecorder::wrongThreadIsSeen()
{
    witness->watch(open, *manager);
    runClient([this] { Q_EMIT open->connected(); }).get();
    QVERIFY(reports(u"not on the manager's thread"_s));
}

void tst_ClientRecorder::overlappingEventsAreSeen()
{
    NamedPipeClientManager freeThreaded; // any thread, but one after the other
    freeThreaded.setFreeThreadingEvents(true);
    witness->watch(open, freeThreaded);
    Gate inside;
    Gate leave;
    witness->onMessage() = [&](auto &, const auto &, const auto &) {
        inside.open();
        leave.wait();
    };
    Q_EMIT open->connected();
    auto other = runClient([this] { Q_EMIT open->messageReceived({}, {}); });
    QVERIFY(inside.wait());
    QCOMPARE(witness->violations(), QStringList());
    Q_EMIT open->messageSent({});
    leave.open();
    other.get();
    QVERIFY(reports(u"while another event of it is handled"_s));
}

void tst_ClientRecorder::connectionsAreJudgedApart()
{
    NamedPipeClientManager freeThreaded;
    freeThreaded.setFreeThreadingEvents(true);
    const int first = witness->watch(open, freeThreaded);
    const int second = witness->watch(ended, freeThreaded);
    Gate inside;
    Gate leave;
    witness->onMessage() = [&](auto &, const auto &, const auto &) {
        inside.open();
        leave.wait();
    };
    Q_EMIT open->connected();
    auto other = runClient([this] { Q_EMIT open->messageReceived({}, "first"_ba); });
    QVERIFY(inside.wait());
    Q_EMIT ended->connected(); // while the other connection is busy
    Q_EMIT ended->messageSent(1);
    Q_EMIT ended->disconnected();
    leave.open();
    other.get();
    Q_EMIT open->messageSent(1); // a cookie of the other one
    QCOMPARE(witness->violations(), QStringList());
    QCOMPARE(witness->kindsOf(first),
             (QList { ClientEvent::Connected, ClientEvent::Message, ClientEvent::Sent }));
    QCOMPARE(witness->kindsOf(second),
             (QList { ClientEvent::Connected, ClientEvent::Sent, ClientEvent::Disconnected }));
    QCOMPARE(witness->messagesOf(first), QList { "first"_ba });
}

void tst_ClientRecorder::throwingHookLeavesNoTrace()
{
    NamedPipeClientManager freeThreaded;
    freeThreaded.setFreeThreadingEvents(true);
    witness->watch(open, freeThreaded);
    witness->onConnected() = [](auto &) { throw std::runtime_error("a slot of the user"); };
    runClient([this] {
        try {
            Q_EMIT open->connected();
        } catch (const std::runtime_error &) {
        }
    }).get();
    Q_EMIT open->messageSent({}); // on another thread, but not at the same time
    QCOMPARE(witness->violations(), QStringList());
}

void tst_ClientRecorder::watchingHoldsNoConnection()
{
    witness->watch(ended, *manager);
    Q_EMIT ended->connected();
    Q_EMIT ended->messageReceived({}, "kept"_ba);
    const QWeakPointer<NamedPipeClientConnection> left(ended);
    ended.reset();
    QVERIFY(left.isNull());
    QCOMPARE(witness->messages(), QList { "kept"_ba });
}

QTEST_GUILESS_MAIN(tst_ClientRecorder)
#include "tst_clientrecorder.moc"
