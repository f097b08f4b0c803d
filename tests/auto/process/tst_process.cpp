// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "childprocess.h"
#include "payload.h"
#include "platformflags.h"
#include "processfacts.h"
#include "stress.h"
#include "testserver.h"

#include <QtTest/QtTest>

using namespace Qt::StringLiterals;

/// Peers in processes of their own, which crash whenever it suits them least.
class tst_Process : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void clientsInOtherProcessesAreServed();
    void clientProcessIdIsThatOfTheOtherProcess();
    void killedClientGivesOneDisconnected_data();
    void killedClientGivesOneDisconnected();
    void whatAClientSentBeforeItDiedIsDelivered();
    void killedClientsLeakNothing();
    void nameServedByAnotherProcessIsRefused();
    void killedServerLeavesTheNameFree();
    void clientSeesTheEndOfAKilledServer();
    void manyStartersRaceForOneName_data();
    void manyStartersRaceForOneName();
    void livingChildKeepsNeitherNameNorConnections();
    void serverAndClientMayOutliveTheApplication_data();
    void serverAndClientMayOutliveTheApplication();
};

void tst_Process::clientsInOtherProcessesAreServed()
{
    TestServer ts(ServerRecorder::CountOnly);
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &data) { connection->asyncWrite(data); };
    ts.server.setNumThreadsIOCP(2);
    QVERIFY(ts.start());
    const int count = scaled(500, 50);
    std::vector<std::unique_ptr<ChildProcess>> children;
    for (int child = 0; child < 3; ++child)
        children.push_back(std::make_unique<ChildProcess>(
                QStringList { u"echo"_s, ts.name(), QString::number(count) }));
    for (const auto &child : children) {
        QVERIFY(child->waitForEnd(2 * patience));
        QVERIFY2(child->hasExitCode(0), child->output().constData());
    }
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected, 3));
    QCOMPARE(ts.recorder.count(ServerEvent::Message), 3 * count);
    QCOMPARE(ts.recorder.count(ServerEvent::ClientError), 0);
}

void tst_Process::clientProcessIdIsThatOfTheOtherProcess()
{
    TestServer ts;
    QVERIFY(ts.start());
    ChildProcess child({ u"hold"_s, ts.name() });
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message));
    const qint64 pid = child.processId();
    QCOMPARE(ts.connection()->clientProcessId(), pid);
    QCOMPARE(ts.connection()->clientUserId(), ProcessFacts::userId());
    child.kill();
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    QCOMPARE(ts.connection()->clientProcessId(), pid);
}

void tst_Process::killedClientGivesOneDisconnected_data()
{
    QTest::addColumn<QString>("mode");
    QTest::addColumn<bool>("freeThreaded");
    for (const QString &mode :
         { u"hold"_s, u"die-idle"_s, u"die-reading"_s, u"die-writing"_s, u"flood"_s }) {
        QTest::addRow("%s, marshalled", qPrintable(mode)) << mode << false;
        QTest::addRow("%s, free-threaded", qPrintable(mode)) << mode << true;
    }
}

void tst_Process::killedClientGivesOneDisconnected()
{
    QFETCH(QString, mode);
    QFETCH(bool, freeThreaded);
    TestServer ts(ServerRecorder::CountOnly);
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &data) {
        if (data == "send"_ba) { // more than it takes before it dies
            for (int number = 0; number < 20; ++number)
                connection->asyncWrite(payload(1'000'000));
        } else if (data == "good"_ba) {
            connection->asyncWrite(data);
        }
    };
    ts.server.setFreeThreadingEvents(freeThreaded);
    ts.server.setNumThreadsIOCP(2);
    QVERIFY(ts.start());
    RawPeer good = ts.connectPeer();
    const int rounds = scaled(5, 1);
    for (int round = 1; round <= rounds; ++round) {
        const int before = ts.recorder.count(ServerEvent::Message);
        ChildProcess child({ mode, ts.name(), u"5"_s });
        QVERIFY(ts.recorder.waitFor(ServerEvent::Connected, round + 1));
        if (mode == u"hold"_s || mode == u"flood"_s) {
            QVERIFY(ts.recorder.waitFor(ServerEvent::Message,
                                        before + (mode == u"flood"_s ? 100 : 1)));
            QVERIFY(child.kill());
        } else {
            QVERIFY(child.waitForEnd());
        }
        QVERIFY(!child.hasExitCode(0));
        QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected, round));
        QVERIFY(good.sendMessage("good"_ba));
        QVERIFY(waitUntil([&] { return ts.recorder.count(ServerEvent::Sent, 1) == round; }));
        QCOMPARE(good.receiveMessage(), "good"_ba);
    }
    watchFor(std::chrono::milliseconds(30));
    QCOMPARE(ts.recorder.count(ServerEvent::Disconnected), rounds);
    QCOMPARE(ts.recorder.count(ServerEvent::ServerError), 0);
}

void tst_Process::whatAClientSentBeforeItDiedIsDelivered()
{
    TestServer ts;
    QVERIFY(ts.start());
    for (int round = 0; round < scaled(5, 1); ++round) {
        ChildProcess child({ u"die-writing"_s, ts.name(), u"100"_s });
        QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
        const QList<QByteArray> messages = ts.recorder.messages();
        QVERIFY(messages.size() >= 100);
        for (int number = 0; number < 100; ++number)
            QCOMPARE(messages.at(number), numbered(number));
        if (!PlatformFlags::runningOnWindows()) { // there the system drops a torn message silently
            QCOMPARE(messages.size(), 100);
            QCOMPARE(ts.recorder.errors(ServerEvent::ClientError),
                     QList { NamedPipe::TruncatedMessage });
        }
        ts.recorder.clear();
    }
}

void tst_Process::killedClientsLeakNothing()
{
    TestServer ts(ServerRecorder::CountOnly);
    QVERIFY(ts.start());
    const auto round = [&ts](int number) {
        {
            ChildProcess child({ u"die-idle"_s, ts.name() });
            if (!child.waitForEnd())
                return false;
        }
        return ts.recorder.waitFor(ServerEvent::Disconnected, number);
    };
    QVERIFY(round(1));
    QVERIFY(round(2));
    const int before = ProcessFacts::openHandles();
    const int rounds = scaled(10, 3);
    for (int number = 1; number <= rounds; ++number)
        QVERIFY(round(number + 2));
    const int tolerance = PlatformFlags::runningOnWindows() ? 8 : 0; // Windows has some of its own
    QVERIFY2(waitUntil([&] { return ProcessFacts::openHandles() <= before + tolerance; }),
             qPrintable(u"%1 handles before, %2 after"_s.arg(before).arg(
                     ProcessFacts::openHandles())));
}

void tst_Process::nameServedByAnotherProcessIsRefused()
{
    const QString name = scratchName();
    ChildProcess other({ u"serve"_s, name });
    QVERIFY(other.waitForOutput("serving"));
    NamedPipeServer server(name);
    if (server.start()) {
        const auto enforced = PlatformFlags::firstInstanceIsEnforced();
        if (!enforced)
            QEXPECT_FAIL("", enforced.reason, Abort);
        QVERIFY2(false, "the name was stolen");
    }
    QCOMPARE(server.error(), NamedPipe::NameInUse);
    RawPeer peer; // and the other one has not noticed
    QVERIFY(peer.connectTo(name));
    QVERIFY(peer.sendMessage("hello"_ba));
    QCOMPARE(peer.receiveMessage(), "hello"_ba);
    other.closeInput(); // an orderly end
    QVERIFY(other.waitForEnd());
    QVERIFY(other.hasExitCode(0));
    QVERIFY2(server.start(), qPrintable(server.errorString()));
}

void tst_Process::killedServerLeavesTheNameFree()
{
    const QString name = scratchName();
    for (int round = 0; round < scaled(5, 2); ++round) {
        ChildProcess other({ u"serve"_s, name });
        QVERIFY(other.waitForOutput("serving"));
        RawPeer client; // a crash with a client connected
        QVERIFY(client.connectTo(name));
        QVERIFY(other.kill());
        TestServer ts;
        ts.server.setPipeName(name);
        QVERIFY2(ts.start(), qPrintable(ts.server.errorString()));
        QVERIFY(ts.connectPeer().isOpen());
    }
}

void tst_Process::clientSeesTheEndOfAKilledServer()
{
    const QString name = scratchName();
    ChildProcess other({ u"serve"_s, name });
    QVERIFY(other.waitForOutput("serving"));
    RawPeer client;
    QVERIFY(client.connectTo(name));
    QVERIFY(client.sendMessage("hello"_ba));
    QCOMPARE(client.receiveMessage(), "hello"_ba);
    QVERIFY(other.kill());
    QVERIFY(client.atEnd());
}

void tst_Process::manyStartersRaceForOneName_data()
{
    QTest::addColumn<bool>("afterACrash");
    QTest::newRow("fresh name") << false;
    QTest::newRow("name of a killed server") << true;
}

void tst_Process::manyStartersRaceForOneName()
{
    QFETCH(bool, afterACrash);
    const QString name = scratchName();
    if (afterACrash) {
        ChildProcess crashing({ u"serve"_s, name });
        QVERIFY(crashing.waitForOutput("serving"));
        QVERIFY(crashing.kill());
    }
    const int starters = scaled(50, 5);
    std::vector<std::unique_ptr<ChildProcess>> children;
    for (int child = 0; child < starters; ++child)
        children.push_back(std::make_unique<ChildProcess>(QStringList { u"race"_s, name }));
    // All of them stay until every one of them has tried.
    for (const auto &child : children)
        QVERIFY(waitUntil([&] { return child->output().contains('\n'); }, 3 * patience));
    int winners = 0;
    for (const auto &child : children) {
        if (child->output().startsWith("won"))
            ++winners;
        else
            QCOMPARE(child->output().trimmed(),
                     "lost " + QByteArray::number(int(NamedPipe::NameInUse)));
    }
    if (winners > 1) {
        const auto enforced = PlatformFlags::firstInstanceIsEnforced();
        if (!enforced)
            QEXPECT_FAIL("", enforced.reason, Abort);
    }
    QCOMPARE(winners, 1);
    RawPeer peer;
    QVERIFY(peer.connectTo(name));
    QVERIFY(peer.sendMessage("hello"_ba));
    QCOMPARE(peer.receiveMessage(), "hello"_ba);
    for (const auto &child : children)
        child->closeInput();
    for (const auto &child : children)
        QVERIFY(child->waitForEnd());
}

void tst_Process::livingChildKeepsNeitherNameNorConnections()
{
    TestServer helper; // only to keep the child alive and busy
    QVERIFY(helper.start());
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    ChildProcess child({ u"hold"_s, helper.name() }); // started while the pipe is open
    QVERIFY(helper.recorder.waitFor(ServerEvent::Message));
    ts.server.stop();
    QVERIFY(peer.atEnd()); // no copy of the other end lives on in the child
    QVERIFY(!peer.connectTo(ts.name(), RawPeer::Milliseconds(0)));
    QVERIFY2(ts.start(), qPrintable(ts.server.errorString()));
    QVERIFY(helper.connection()->isConnected()); // the child was there all the time
}

void tst_Process::serverAndClientMayOutliveTheApplication_data()
{
    QTest::addColumn<QString>("mode");
    QTest::newRow("marshalled") << u"marshalled"_s;
    QTest::newRow("free-threaded") << u"free-threaded"_s;
}

void tst_Process::serverAndClientMayOutliveTheApplication()
{
    QFETCH(QString, mode);
    for (int round = 0; round < scaled(5, 1); ++round) {
        ChildProcess child({ u"outlive"_s, scratchName(), mode });
        QVERIFY(child.waitForEnd());
        QVERIFY2(child.hasExitCode(0), child.output().constData());
        QCOMPARE(child.output().simplified(), "talked still here gone"_ba);
    }
}

QTEST_GUILESS_MAIN(tst_Process)
#include "tst_process.moc"
