// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "testserver.h"

#include <QtTest/QtTest>

#include <stdexcept>

using namespace Qt::StringLiterals;

/// The witness of the other suites must not be blind: each broken rule is played to it by hand.
class tst_ServerRecorder : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void init();
    void cleanup();
    void soundSequenceIsAccepted();
    void secondConnectedIsSeen();
    void eventBeforeConnectedIsSeen();
    void eventAfterDisconnectedIsSeen();
    void secondDisconnectedIsSeen();
    void disconnectedWhileConnectedIsSeen();
    void missingDisconnectedIsSeen();
    void nullConnectionIsSeen();
    void wrongThreadIsSeen();
    void overlappingEventsAreSeen();
    void throwingHookLeavesNoTrace();

private:
    bool reports(const QString &part) const
    {
        return witness->violations().join(u'\n').contains(part);
    }

    // The server that makes the connections has a recorder of its own, which must stay content; the
    // witness listens to one that is never started.
    std::unique_ptr<TestServer> ts;
    std::unique_ptr<NamedPipeServer> stage;
    std::unique_ptr<ServerRecorder> witness;
    NamedPipeServerConnectionPtr open;
    NamedPipeServerConnectionPtr ended;
    RawPeer peer;
};

void tst_ServerRecorder::init()
{
    ts = std::make_unique<TestServer>();
    QVERIFY(ts->start());
    ts->connectPeer().close();
    QVERIFY(ts->recorder.waitFor(ServerEvent::Disconnected));
    peer = ts->connectPeer();
    ended = ts->connection(0);
    open = ts->connection(1);
    stage = std::make_unique<NamedPipeServer>();
    witness = std::make_unique<ServerRecorder>(stage.get());
    witness->ignoreViolations(); // they are what these tests are about
}

void tst_ServerRecorder::cleanup()
{
    open.reset();
    ended.reset();
    witness.reset();
    stage.reset();
    ts.reset();
    peer.close();
}

void tst_ServerRecorder::soundSequenceIsAccepted()
{
    Q_EMIT stage->serverReady();
    Q_EMIT stage->clientConnected(ended);
    Q_EMIT stage->clientMessageReceived(ended, 1, "one"_ba);
    Q_EMIT stage->clientMessageSent(ended, 2);
    Q_EMIT stage->clientErrorOccurred(ended, NamedPipe::WriteQueueFull, u"full"_s);
    Q_EMIT stage->clientDisconnected(ended);
    Q_EMIT stage->stopped();
    QCOMPARE(witness->violations(), QStringList());
    QCOMPARE(witness->events().size(), 7);
    QCOMPARE(witness->messages(), QList { "one"_ba });
}

void tst_ServerRecorder::secondConnectedIsSeen()
{
    Q_EMIT stage->clientConnected(open);
    Q_EMIT stage->clientConnected(open);
    QVERIFY(reports(u"a second time"_s));
}

void tst_ServerRecorder::eventBeforeConnectedIsSeen()
{
    Q_EMIT stage->clientMessageReceived(open, {}, {});
    QVERIFY(reports(u"before clientConnected"_s));
}

void tst_ServerRecorder::eventAfterDisconnectedIsSeen()
{
    Q_EMIT stage->clientConnected(ended);
    Q_EMIT stage->clientDisconnected(ended);
    QCOMPARE(witness->violations(), QStringList());
    Q_EMIT stage->clientMessageSent(ended, {});
    QVERIFY(reports(u"after clientDisconnected"_s));
}

void tst_ServerRecorder::secondDisconnectedIsSeen()
{
    Q_EMIT stage->clientConnected(ended);
    Q_EMIT stage->clientDisconnected(ended);
    Q_EMIT stage->clientDisconnected(ended);
    QVERIFY(reports(u"after clientDisconnected"_s));
}

void tst_ServerRecorder::disconnectedWhileConnectedIsSeen()
{
    Q_EMIT stage->clientConnected(open);
    Q_EMIT stage->clientDisconnected(open);
    QVERIFY(reports(u"isConnected is still true"_s));
    QVERIFY(reports(u"StillOpen"_s));
}

void tst_ServerRecorder::missingDisconnectedIsSeen()
{
    Q_EMIT stage->clientConnected(open);
    Q_EMIT stage->stopped();
    QVERIFY(reports(u"got no clientDisconnected"_s));
}

void tst_ServerRecorder::nullConnectionIsSeen()
{
    Q_EMIT stage->clientConnected({});
    QVERIFY(reports(u"null"_s));
}

void tst_ServerRecorder::wrongThreadIsSeen()
{
    runClient([this] { Q_EMIT stage->clientConnected(open); }).get();
    QVERIFY(reports(u"not on the server's thread"_s));
}

void tst_ServerRecorder::overlappingEventsAreSeen()
{
    stage->setFreeThreadingEvents(true); // any thread, but one after the other
    Gate inside;
    Gate leave;
    witness->onMessage() = [&](const auto &, const auto &, const auto &) {
        inside.open();
        leave.wait();
    };
    Q_EMIT stage->clientConnected(open);
    auto other = runClient([this] { Q_EMIT stage->clientMessageReceived(open, {}, {}); });
    QVERIFY(inside.wait());
    QCOMPARE(witness->violations(), QStringList());
    Q_EMIT stage->clientMessageSent(open, {});
    leave.open();
    other.get();
    QVERIFY(reports(u"while another event of it is handled"_s));
}

void tst_ServerRecorder::throwingHookLeavesNoTrace()
{
    stage->setFreeThreadingEvents(true);
    witness->onConnected() = [](const auto &) { throw std::runtime_error("a slot of the user"); };
    runClient([this] {
        try {
            Q_EMIT stage->clientConnected(open);
        } catch (const std::runtime_error &) {
        }
    }).get();
    Q_EMIT stage->clientMessageSent(open, {}); // on another thread, but not at the same time
    QCOMPARE(witness->violations(), QStringList());
}

QTEST_GUILESS_MAIN(tst_ServerRecorder)
#include "tst_serverrecorder.moc"
