// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "testserver.h"

#include <QtCore/qregularexpression.h>
#include <QtCore/qthread.h>
#include <QtCore/qtimer.h>
#include <QtTest/QtTest>

#include <atomic>

using namespace Qt::StringLiterals;

/// manualMessageLoopEnter() and manualMessageLoopLeave(), for programs without an event loop.
class tst_MessageLoop : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void loopDeliversUntilLeftInASlot();
    void leaveFromAnotherThread();
    void leaveBeforeEnterIsNotLost_data();
    void leaveBeforeEnterIsNotLost();
    void enterWorksAgainAfterLeave();
    void enteringTwiceIsRefused();
    void enteringOnAnotherThreadIsRefused();
    void serverMayBeStoppedInsideTheLoop();
    void serverMayBeDeletedInsideTheLoop();
    void everyWayOfLeavingRaces();

private:
    static const QRegularExpression anyText;
};

const QRegularExpression tst_MessageLoop::anyText(u"."_s);

void tst_MessageLoop::loopDeliversUntilLeftInASlot()
{
    TestServer ts;
    ts.recorder.onMessage() = [&](const auto &, const auto &, const QByteArray &data) {
        if (data == "leave"_ba)
            ts.server.manualMessageLoopLeave();
    };
    QVERIFY(ts.start());
    RawPeer peer;
    QVERIFY(peer.connectTo(ts.name()));
    QVERIFY(peer.sendMessage("hello"_ba));
    QVERIFY(peer.sendMessage("leave"_ba));
    ts.server.manualMessageLoopEnter();
    QCOMPARE(ts.recorder.messages().mid(0, 2), (QList { "hello"_ba, "leave"_ba }));
    QVERIFY(ts.server.isRunning()); // leaving is not stopping
}

void tst_MessageLoop::leaveFromAnotherThread()
{
    TestServer ts;
    QVERIFY(ts.start());
    auto client = runClient([&ts] {
        RawPeer peer;
        const bool ok = peer.connectTo(ts.name()) && peer.sendMessage("hello"_ba)
                && waitWithoutEvents(
                                [&ts] { return ts.recorder.count(ServerEvent::Message) == 1; });
        ts.server.manualMessageLoopLeave();
        return ok;
    });
    ts.server.manualMessageLoopEnter();
    QVERIFY(client.get());
    QCOMPARE(ts.recorder.messages(), QList { "hello"_ba });
}

void tst_MessageLoop::leaveBeforeEnterIsNotLost_data()
{
    QTest::addColumn<bool>("fromAnotherThread");
    QTest::addColumn<bool>("running");
    QTest::newRow("same thread") << false << true;
    QTest::newRow("another thread") << true << true;
    QTest::newRow("same thread, not started") << false << false;
    QTest::newRow("another thread, not started") << true << false;
}

void tst_MessageLoop::leaveBeforeEnterIsNotLost()
{
    QFETCH(bool, fromAnotherThread);
    QFETCH(bool, running);
    TestServer ts;
    if (running)
        QVERIFY(ts.start());
    if (fromAnotherThread)
        runClient([&ts] { ts.server.manualMessageLoopLeave(); }).get();
    else
        ts.server.manualMessageLoopLeave();
    // Only to end the test if it hangs: a loop that has to be left by this has failed.
    QTimer watchdog;
    bool hung = false;
    watchdog.callOnTimeout(&watchdog, [&] {
        hung = true;
        ts.server.manualMessageLoopLeave();
    });
    watchdog.start(5000);
    ts.server.manualMessageLoopEnter();
    QVERIFY(!hung);
}

void tst_MessageLoop::enterWorksAgainAfterLeave()
{
    TestServer ts;
    QVERIFY(ts.start());
    ts.server.manualMessageLoopLeave();
    ts.server.manualMessageLoopEnter(); // uses the early Leave up
    RawPeer peer;
    QVERIFY(peer.connectTo(ts.name()));
    for (int round = 1; round <= 3; ++round) {
        auto task = runClient([&] {
            const bool ok = peer.sendMessage(numbered(round)) && waitWithoutEvents([&] {
                                return ts.recorder.count(ServerEvent::Message) == round;
                            });
            ts.server.manualMessageLoopLeave();
            return ok;
        });
        ts.server.manualMessageLoopEnter();
        QVERIFY(task.get());
        QCOMPARE(ts.recorder.count(ServerEvent::Message), round);
    }
}

void tst_MessageLoop::enteringTwiceIsRefused()
{
    TestServer ts;
    QVERIFY(ts.start());
    bool returned = false;
    QTimer::singleShot(0, &ts.server, [&] {
        QTest::ignoreMessage(QtWarningMsg, anyText);
        ts.server.manualMessageLoopEnter(); // at once, with a warning
        returned = true;
        ts.server.manualMessageLoopLeave();
    });
    ts.server.manualMessageLoopEnter();
    QVERIFY(returned);
}

void tst_MessageLoop::enteringOnAnotherThreadIsRefused()
{
    TestServer ts;
    QVERIFY(ts.start());
    // A text and no QRegularExpression: it would be matched on that thread, and with MinGW what
    // QRegularExpression keeps for a thread is sometimes destroyed after its memory is gone.
    QTest::ignoreMessage(QtWarningMsg,
                         "NamedPipeServer::manualMessageLoopEnter() can be called on the server's "
                         "thread only");
    auto task = runClient([&ts] { ts.server.manualMessageLoopEnter(); });
    const bool returned = waitWithoutEvents([&] { return isFinished(task); }, patience);
    if (!returned)
        ts.server.manualMessageLoopLeave();
    QVERIFY(returned);
}

void tst_MessageLoop::serverMayBeStoppedInsideTheLoop()
{
    TestServer ts;
    ts.recorder.onMessage() = [&](const auto &, const auto &, const auto &) {
        ts.server.stop();
        ts.server.manualMessageLoopLeave();
    };
    QVERIFY(ts.start());
    RawPeer peer;
    QVERIFY(peer.connectTo(ts.name()));
    QVERIFY(peer.sendMessage("stop"_ba));
    ts.server.manualMessageLoopEnter();
    QVERIFY(!ts.server.isRunning());
    QCOMPARE(ts.recorder.count(ServerEvent::Stopped), 1);
    QVERIFY(peer.atEnd());
}

void tst_MessageLoop::serverMayBeDeletedInsideTheLoop()
{
    auto *server = new NamedPipeServer(scratchName());
    const QString name = server->pipeName();
    connect(server, &NamedPipeServer::clientConnected, server,
            [server](const auto &) { delete server; });
    QVERIFY(server->start());
    RawPeer peer;
    QVERIFY(peer.connectTo(name));
    server->manualMessageLoopEnter(); // its loop is gone with it
    QVERIFY(peer.atEnd());
}

void tst_MessageLoop::everyWayOfLeavingRaces()
{
    TestServer ts;
    QVERIFY(ts.start());
    for (int round = 0; round < 500; ++round) { // Leave comes before, while or after Enter begins
        auto task = runClient([&ts] { ts.server.manualMessageLoopLeave(); });
        ts.server.manualMessageLoopEnter(); // QTest's watchdog if it hangs
        task.get();
    }
}

QTEST_GUILESS_MAIN(tst_MessageLoop)
#include "tst_message_loop.moc"
