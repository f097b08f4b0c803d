// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "childprocess.h"
#include "payload.h"
#include "platformflags.h"
#include "processfacts.h"
#include "siege.h"
#include "skipping.h"
#include "stress.h"
#include "testclient.h"
#include "waiting.h"

#include <QtCore/qelapsedtimer.h>
#include <QtCore/qendian.h>
#include <QtCore/qthread.h>
#include <QtTest/QtTest>

using namespace Qt::StringLiterals;

/// Peers that mean harm: what they cost the good clients of the same server, and its memory.
class tst_HostilePeers : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void slowSenders_data();
    void slowSenders();
    void peersThatNeverRead_data();
    void peersThatNeverRead();
    void peersThatNeverClose_data();
    void peersThatNeverClose();
    void floodOfClientsBeyondTheLimit_data();
    void floodOfClientsBeyondTheLimit();
    void clientsThatComeAndGo_data();
    void clientsThatComeAndGo();
    void serversThatWantTheName_data();
    void serversThatWantTheName();
    void processesThatWantTheName();
    void crashedServerIsReplacedAtOnce_data();
    void crashedServerIsReplacedAtOnce();

private:
    static constexpr qint64 mebibyte = 1024 * 1024;
    static constexpr RawPeer::Milliseconds atOnce { 0 };
};

void tst_HostilePeers::initTestCase()
{
    QVERIFY(ProcessFacts::allowHandles(4000));
}

void tst_HostilePeers::slowSenders_data()
{
    QTest::addColumn<quint32>("announced");
    QTest::addColumn<qint64>("allowed");
    QTest::addColumn<int>("milliseconds"); // between two bytes, at least
    QTest::addColumn<bool>("freeThreaded");
    for (const bool mode : { false, true }) {
        const auto add = [mode](const char *name, quint32 announced, qint64 allowed, int pause) {
            QTest::addRow("%s, %s", name, mode ? "free-threaded" : "marshalled")
                    << announced << allowed << pause << mode;
        };
        add("2 GiB announced", 0x7FFFFFFF, 0, 0);
        add("4 GiB announced", 0xFFFFFFFE, 0, 0);
        add("4 GiB announced where 1 MiB is allowed", 0xFFFFFFFE, mebibyte, 0);
        add("1 MB in drips", 1'000'000, 0, 0);
        add("1 byte a second", 1'000'000, 0, 1000);
    }
}

// Byte by byte, headers included, and no faster than the server reads: otherwise it is a flood, whose
// bytes rightly take memory. On Windows, where the system keeps the boundaries, each byte is a message,
// and the answer to it is not read. Who has been turned away comes again.
void tst_HostilePeers::slowSenders()
{
    QFETCH(quint32, announced);
    QFETCH(qint64, allowed);
    QFETCH(int, milliseconds);
    QFETCH(bool, freeThreaded);
    if (PlatformFlags::runningOnWindows() && announced != 1'000'000u)
        SKIP_BECAUSE("Windows keeps the boundaries of messages itself: there is no header");
    const int count = scaled(500, 20);
    std::vector<RawPeer> peers(static_cast<size_t>(count));
    QByteArray header(4, '\0');
    qToBigEndian(announced, header.data());
    RawPeer pacemaker;
    Siege siege(freeThreaded);
    siege.ts.server.setMaximumMessageSize(allowed);
    QVERIFY2(siege.begin(), siege.fault());
    const auto drip = [&](int round) -> QByteArray {
        if (round > 0)
            QThread::msleep(static_cast<unsigned long>(milliseconds));
        for (RawPeer &peer : peers) {
            const char byte = round < header.size() ? header.at(round) : 'x';
            if (peer.isOpen() && peer.sendRaw(QByteArray(1, byte)))
                continue;
            // The first time, and after the server has closed.
            if (!peer.connectTo(siege.ts.name()) || !peer.sendRaw(header.left(round + 1)))
                return "a peer could not come (again)";
        }
        if (round == 0 && !pacemaker.connectTo(siege.ts.name()))
            return "the pacemaker could not come";
        if (!pacemaker.sendMessage("next"_ba) || !pacemaker.receiveMessage())
            return "the pacemaker got no answer";
        return {};
    };
    const int rounds = milliseconds > 0 ? scaled(15, 3) : 10;
    QVERIFY2(siege.attack(QByteArray(QTest::currentDataTag()).split(',').constFirst(), count,
                          rounds, drip),
             siege.fault());
    QVERIFY(siege.isPrompt());
    QVERIFY2(siege.growth() < 64 * mebibyte, QByteArray::number(siege.growth()));
    QVERIFY2(siege.reserve() < 1024 * mebibyte, QByteArray::number(siege.reserve()));
    QVERIFY(siege.servesANewcomer());
    if (allowed > 0) // each of them has been turned away, and for that
        QVERIFY(siege.ts.recorder.waitFor(ServerEvent::ClientError, count));
    else
        QCOMPARE(siege.ts.recorder.count(ServerEvent::ClientError), 0);
    QCOMPARE(siege.ts.recorder.count(ServerEvent::ServerError), 0);
}

void tst_HostilePeers::peersThatNeverRead_data()
{
    QTest::addColumn<bool>("broadcasts");
    QTest::addColumn<bool>("freeThreaded");
    QTest::newRow("unread replies, marshalled") << false << false;
    QTest::newRow("unread replies, free-threaded") << false << true;
    QTest::newRow("unread broadcasts, marshalled") << true << false;
    QTest::newRow("unread broadcasts, free-threaded") << true << true;
}

void tst_HostilePeers::peersThatNeverRead()
{
    QFETCH(bool, broadcasts);
    QFETCH(bool, freeThreaded);
    constexpr qint64 limit = 256 * 1024;
    const int count = scaled(50, 5);
    const QByteArray large = payload(16 * 1024);
    std::vector<RawPeer> peers(static_cast<size_t>(count));
    Siege siege(freeThreaded);
    NamedPipeServer &server = siege.ts.server;
    server.setMaximumPendingWriteBytes(limit);
    siege.ts.recorder.onMessage() = [&](const NamedPipeServerConnectionPtr &connection,
                                        const QVariant &, const QByteArray &data) {
        connection->asyncWrite(data);
        if (broadcasts)
            server.asyncBroadcast(large);
    };
    QVERIFY2(siege.begin(), siege.fault());
    constexpr int rounds = 100;
    const auto everyQueueIsFull = [&] {
        for (RawPeer &peer : peers) {
            if (!broadcasts) // which the good clients bring about
                peer.sendMessage(large, atOnce); // what it refuses was asked for before
        }
        return siege.ts.recorder.count(ServerEvent::ClientError) >= count; // WriteQueueFull
    };
    const auto ask = [&](int round) -> QByteArray {
        for (RawPeer &peer : peers) {
            if (round == 0 && !peer.connectTo(siege.ts.name()))
                return "a peer could not come";
        }
        if (!everyQueueIsFull() && round == rounds - 1 && !waitWithoutEvents(everyQueueIsFull))
            return "a queue never fills";
        for (const NamedPipeServerConnectionPtr &connection : server.connections()) {
            if (connection->bytesToWrite() > limit)
                return "more is queued than may be: "
                        + QByteArray::number(connection->bytesToWrite());
        }
        return {};
    };
    const QByteArray name = broadcasts ? "unread broadcasts" : "unread replies";
    QVERIFY2(siege.attack(name, count, rounds, ask), siege.fault());
    QVERIFY(siege.isPrompt());
    // The queue of each, and as much of what it asked for; and the attackers' own.
    QVERIFY2(siege.growth() < (16 + count * 2) * mebibyte, QByteArray::number(siege.growth()));
    QCOMPARE(server.connectionCount(), Siege::goodClients + count); // slow is not dead
    QVERIFY(siege.servesANewcomer());
}

void tst_HostilePeers::peersThatNeverClose_data()
{
    Siege::addModes();
}

// The server closes; they keep their end, and go on sending.
void tst_HostilePeers::peersThatNeverClose()
{
    QFETCH(bool, freeThreaded);
    constexpr int places = 10;
    const int count = scaled(500, 30);
    std::vector<RawPeer> peers;
    Siege siege(freeThreaded);
    NamedPipeServer &server = siege.ts.server;
    server.setMaxConnections(Siege::goodClients + places);
    siege.ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection,
                                       const QVariant &, const QByteArray &data) {
        if (data == "close me"_ba)
            connection->asyncClose();
        else
            connection->asyncWrite(data);
    };
    QVERIFY2(siege.begin(), siege.fault());
    const auto stay = [&](int) -> QByteArray {
        for (RawPeer &peer : peers)
            peer.sendMessage("still here"_ba, atOnce);
        for (int place = 0; place < places && int(peers.size()) < count; ++place) {
            peers.emplace_back();
            if (!peers.back().connectTo(siege.ts.name())) // more of them than there are places
                return "a place has not become free";
            peers.back().sendMessage("close me"_ba, atOnce);
        }
        return {};
    };
    QVERIFY2(siege.attack("never closes", count, count / places, stay), siege.fault());
    QVERIFY(siege.isPrompt());
    QVERIFY2(siege.growth() < 32 * mebibyte, QByteArray::number(siege.growth()));
    QVERIFY(siege.servesANewcomer());
    QVERIFY(waitUntil([&] { return server.connectionCount() == Siege::goodClients; }));
    QCOMPARE(siege.ts.recorder.count(ServerEvent::ServerError), 0);
    QVERIFY(peers.back().isOpen());
}

void tst_HostilePeers::floodOfClientsBeyondTheLimit_data()
{
    Siege::addModes();
}

void tst_HostilePeers::floodOfClientsBeyondTheLimit()
{
    QFETCH(bool, freeThreaded);
    constexpr int limit = Siege::goodClients + 20;
    const int count = scaled(500, 50);
    int most = 0;
    std::vector<RawPeer> peers(static_cast<size_t>(count));
    Siege siege(freeThreaded);
    NamedPipeServer &server = siege.ts.server;
    server.setMaxConnections(limit);
    QVERIFY2(siege.begin(), siege.fault());
    const auto flood = [&](int round) -> QByteArray {
        for (size_t index = size_t(round % 2); index < peers.size(); index += 2)
            peers[index].abort();
        // Nobody queues on Windows, so whoever finds no instance that listens knocks again.
        const auto everyPlaceIsTaken = [&] {
            for (RawPeer &peer : peers) {
                if (peer.isOpen() || peer.connectTo(siege.ts.name(), atOnce))
                    peer.sendMessage("let me in"_ba, atOnce);
            }
            const int taken = server.connectionCount();
            most = std::max(most, taken);
            return taken >= limit;
        };
        return waitWithoutEvents(everyPlaceIsTaken) ? QByteArray() : "a place stays free"_ba;
    };
    QVERIFY2(siege.attack("connect flood", count, 20, flood), siege.fault());
    QCOMPARE(most, limit); // and no more
    QVERIFY(siege.isPrompt());
    QVERIFY2(siege.growth() < 32 * mebibyte, QByteArray::number(siege.growth()));
    peers.clear();
    QVERIFY(siege.servesANewcomer());
    QCOMPARE(siege.ts.recorder.count(ServerEvent::ServerError), 0);
}

void tst_HostilePeers::clientsThatComeAndGo_data()
{
    Siege::addModes();
}

void tst_HostilePeers::clientsThatComeAndGo()
{
    QFETCH(bool, freeThreaded);
    constexpr int count = 20;
    Siege siege(freeThreaded);
    QVERIFY2(siege.begin(), siege.fault());
    const auto knock = [&](int round) -> QByteArray {
        for (int visitor = 0; visitor < count; ++visitor) {
            RawPeer peer;
            if (!peer.connectTo(siege.ts.name()))
                return "a client could not come";
            if (visitor % 2 == round % 2)
                peer.sendRaw("rubbish"_ba, atOnce);
        }
        return {};
    };
    QVERIFY2(siege.attack("come and go", count, scaled(50, 5), knock), siege.fault());
    QVERIFY(siege.isPrompt());
    QVERIFY2(siege.growth() < 32 * mebibyte, QByteArray::number(siege.growth()));
    QVERIFY(siege.servesANewcomer());
    QVERIFY(waitUntil([&] { return siege.ts.server.connectionCount() == Siege::goodClients; }));
    QCOMPARE(siege.ts.recorder.count(ServerEvent::ServerError), 0);
}

void tst_HostilePeers::serversThatWantTheName_data()
{
    Siege::addModes();
}

void tst_HostilePeers::serversThatWantTheName()
{
    QFETCH(bool, freeThreaded);
    Siege siege(freeThreaded);
    QVERIFY2(siege.begin(), siege.fault());
    const auto grab = [&](int) -> QByteArray {
        NamedPipeServer thief(siege.ts.name());
        if (thief.start())
            return "the name was stolen";
        return thief.error() == NamedPipe::NameInUse ? QByteArray() : thief.errorString().toUtf8();
    };
    QVERIFY2(siege.attack("second server", 1, scaled(200, 20), grab), siege.fault());
    QVERIFY(siege.isPrompt());
    QVERIFY(siege.servesANewcomer());
}

void tst_HostilePeers::processesThatWantTheName()
{
    const int count = scaled(50, 5);
    int thieves = 0;
    Siege siege(false);
    QVERIFY2(siege.begin(), siege.fault());
    const auto grab = [&](int round) -> QByteArray {
        if (round > 0) // once will do; the good clients go on for their thousand trips
            return {};
        std::vector<std::unique_ptr<ChildProcess>> children;
        for (int child = 0; child < count; ++child)
            children.push_back(
                    std::make_unique<ChildProcess>(QStringList { u"race"_s, siege.ts.name() }));
        for (const auto &child : children) {
            if (!child->waitForOutput("\n", 3 * patience))
                return "a process says nothing";
            thieves += child->output().startsWith("won") ? 1 : 0;
        }
        return {};
    };
    QVERIFY2(siege.attack("second server in other processes", count, 1, grab), siege.fault());
    if (thieves > 0) {
        const auto enforced = PlatformFlags::firstInstanceIsEnforced();
        if (!enforced)
            QEXPECT_FAIL("", enforced.reason, Abort);
    }
    QCOMPARE(thieves, 0);
    QVERIFY(siege.isPrompt());
    QVERIFY(siege.servesANewcomer());
}

void tst_HostilePeers::crashedServerIsReplacedAtOnce_data()
{
    Siege::addModes();
}

// A server in another process is killed; its clients, and those of the server here, are good ones.
void tst_HostilePeers::crashedServerIsReplacedAtOnce()
{
    QFETCH(bool, freeThreaded);
    const int count = scaled(50, 5);
    const int rounds = scaled(5, 2);
    std::vector<qint64> told;
    Siege siege(freeThreaded);
    QVERIFY2(siege.begin(), siege.fault());
    const auto crash = [&](int round) -> QByteArray {
        if (round >= rounds)
            return {};
        const QString name = scratchName();
        ChildProcess victim({ u"serve"_s, name });
        if (!victim.waitForOutput("serving"))
            return "the server did not start";
        TestClient clients;
        clients.manager.setFreeThreadingEvents(freeThreaded);
        std::vector<NamedPipeClientConnectionPtr> connections;
        for (int client = 0; client < count; ++client) {
            connections.push_back(clients.dial(name));
            connections.back()->asyncWrite("hello"_ba, client);
        }
        if (!clients.recorder.waitFor(ClientEvent::Connected, count))
            return "not all clients are connected";
        for (const NamedPipeClientConnectionPtr &connection : connections)
            connection->asyncWrite(payload(1'000'000)); // is on its way when the server dies
        QElapsedTimer sinceTheCrash;
        if (!victim.kill())
            return "the server does not die";
        sinceTheCrash.start();
        NamedPipeServer successor(name);
        if (!successor.start())
            return "the name is not free: " + successor.errorString().toUtf8();
        if (!clients.recorder.waitFor(ClientEvent::Disconnected, count))
            return "not all clients were told";
        told.push_back(sinceTheCrash.elapsed());
        RawPeer peer;
        return peer.connectTo(name) ? QByteArray() : "nobody gets in to the successor"_ba;
    };
    QVERIFY2(siege.attack("crashed server", count, rounds, crash), siege.fault());
    QVERIFY(siege.isPrompt());
    const qint64 worst = *std::max_element(told.begin(), told.end());
    qInfo("all %d clients of the crashed server told, and the name taken, after %lld ms at most",
          count, worst);
    QVERIFY2(worst < Siege::bound().count(), QByteArray::number(worst));
    QVERIFY(siege.servesANewcomer());
}

QTEST_GUILESS_MAIN(tst_HostilePeers)
#include "tst_hostile_peers.moc"
