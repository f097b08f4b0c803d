// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "eventlooppulse.h"
#include "payload.h"
#include "platformflags.h"
#include "rawlink.h"
#include "skipping.h"
#include "stress.h"

#include <QtCore/qdir.h>
#include <QtCore/qelapsedtimer.h>
#include <QtCore/qeventloop.h>
#include <QtCore/qfile.h>
#include <QtCore/qthread.h>
#include <QtTest/QtTest>

#include <algorithm>
#include <atomic>

using namespace Qt::StringLiterals;
using std::chrono::milliseconds;

/// The way to a connection: what is found at the name, how long it takes, and how it is given up.
class tst_ClientConnecting : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void serverThatListensIsConnected_data();
    void serverThatListensIsConnected();
    void preparationComesBeforeEverything_data();
    void preparationComesBeforeEverything();
    void preparationMayCloseTheConnection_data();
    void preparationMayCloseTheConnection();
    void missingServerFailsAtOnce_data();
    void missingServerFailsAtOnce();
    void missingServerWithWaitTimesOut_data();
    void missingServerWithWaitTimesOut();
    void serverThatComesLaterIsFound_data();
    void serverThatComesLaterIsFound();
    void serverThatRestartsIsNeverMissing();
    void busyServerTimesOut_data();
    void busyServerTimesOut();
    void placeThatBecomesFreeIsTaken_data();
    void placeThatBecomesFreeIsTaken();
    void infiniteTimeoutHasNoEnd();
    void whatIsNoServerFailsAtOnce_data();
    void whatIsNoServerFailsAtOnce();
    void whatIsNoServerDoesNotHangAWait_data();
    void whatIsNoServerDoesNotHangAWait();
    void foreignByteModeServerIsRefused();
    void ownServerIsAllowedForTheCurrentUser();
    void attemptCanBeCancelled_data();
    void attemptCanBeCancelled();
    void cancelledInTheMomentOfSuccessIsSilentOrComplete_data();
    void cancelledInTheMomentOfSuccessIsSilentOrComplete();
    void cancelFromAnotherThreadWorks();
    void sendPendingCancelsTheAttemptToo();
    void eventLoopStaysSmooth_data();
    void eventLoopStaysSmooth();
    void writingWhileOpeningIsRefused_data();
    void writingWhileOpeningIsRefused();
    void readsAskedForWhileOpeningAreKept_data();
    void readsAskedForWhileOpeningAreKept();
    void connectingInASlotWorks_data();
    void connectingInASlotWorks();
    void manyClientsShareFewPlaces_data();
    void manyClientsShareFewPlaces();
    void oneServerMayBeDialledManyTimes();
    void managerMayLiveInAWorkerThread();
    void managersDoNotShareAnything();
    void stoppedManagerConnectsAgain_data();
    void stoppedManagerConnectsAgain();
    void stopFromAnotherThreadHappensOnTheManagersThread();
    void pipesAreFoundByPattern_data();
    void pipesAreFoundByPattern();
    void onlyLiveServersAreFound();

private:
    static void modes()
    {
        QTest::addColumn<bool>("freeThreaded");
        QTest::newRow("marshalled") << false;
        QTest::newRow("free-threaded") << true;
    }

    enum Target {
        Nobody, ///< no pipe of that name
        Busy, ///< all places are taken
        Dead, ///< a socket that its server left behind
        PlainFile,
        Directory,
        SequencedPackets,
        Datagrams,
    };

    // What a client finds at a name.
    struct Scene
    {
        const QString name = scratchName();
        const QString path = QDir::tempPath() + u'/' + name;
        RawServer server;
        std::vector<RawPeer> occupants;

        bool enter(Target target)
        {
            switch (target) {
            case Nobody:
                return true;
            case Busy:
                if (!server.listen(name, 1))
                    return false;
                occupants = server.fill();
                return !occupants.empty();
            case Dead: {
                const bool listened = server.listen(name);
                server.die();
                return listened;
            }
            case PlainFile: {
                QFile file(path);
                return file.open(QIODevice::WriteOnly) && file.write("keep me") == 7;
            }
            case Directory:
                return QDir().mkpath(path);
            case SequencedPackets:
                return server.listen(name, 1, RawServer::Kind::SequencedPackets);
            case Datagrams:
                return server.listen(name, 1, RawServer::Kind::Datagrams);
            }
            return false;
        }

        ~Scene()
        {
            server.close();
            QFile::remove(path);
            QDir().rmdir(path);
        }
    };

    // Something else than a pipe can have the name of one on Linux only.
    static void addStrangeTargets()
    {
        if (PlatformFlags::runningOnWindows())
            return;
        const auto row = [](const char *title, Target target) {
            QTest::addRow("%s, marshalled", title) << target << false;
            QTest::addRow("%s, free-threaded", title) << target << true;
        };
        row("socket of a dead server", Dead);
        row("plain file", PlainFile);
        row("directory", Directory);
        row("socket of sequenced packets", SequencedPackets);
        row("socket of datagrams", Datagrams);
    }

    // A bound on what must be immediate.
    static qint64 moment() { return PlatformFlags::timingIsMeaningful() ? 50 : 2000; }
    static qint64 bound() { return PlatformFlags::timingIsMeaningful() ? 1500 : 15'000; }
};

void tst_ClientConnecting::serverThatListensIsConnected_data()
{
    modes();
}

void tst_ClientConnecting::serverThatListensIsConnected()
{
    QFETCH(bool, freeThreaded);
    RawLink link;
    QVERIFY(link.server.listen(link.name));
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    QElapsedTimer timer;
    timer.start();
    link.connection = link.client.dial(link.name);
    QVERIFY2(timer.elapsed() < moment(), qPrintable(u"%1 ms"_s.arg(timer.elapsed())));
    QVERIFY(link.connection);
    QCOMPARE(link.connection->pipeName(), link.name);
    if (!freeThreaded) { // a worker may be quick
        QVERIFY(link.connection->isOpening());
        QCOMPARE(link.client.recorder.count(), 0);
    }
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Connected));
    QVERIFY(waitUntil([&] { return !link.connection->isOpening(); }));
    QVERIFY(link.connection->isConnected());
    QCOMPARE(link.connection->closeReason(), NamedPipe::StillOpen);
    QVERIFY(link.server.accept().isOpen());
    QVERIFY(!link.server.accept(milliseconds(0)).isOpen()); // dialled once
    QCOMPARE(link.client.recorder.count(ClientEvent::Connected), 1);
    QCOMPARE(link.client.recorder.errors(), QList<NamedPipe::Error>());
}

void tst_ClientConnecting::preparationComesBeforeEverything_data()
{
    modes();
}

void tst_ClientConnecting::preparationComesBeforeEverything()
{
    QFETCH(bool, freeThreaded);
    RawLink link;
    QVERIFY(link.server.listen(link.name));
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    NamedPipeClientConnectionPtr prepared;
    const NamedPipeClientConnectionPtr connection = link.client.manager.connectToServer(
            link.name, [&](const NamedPipeClientConnectionPtr &raw) {
                prepared = raw;
                QVERIFY(QThread::currentThread() == thread());
                QVERIFY(raw->isOpening());
                QVERIFY(!raw->isConnected());
                link.client.recorder.watch(raw, link.client.manager);
                // Nothing happens meanwhile, however long it takes.
                QVERIFY(!link.server.accept(milliseconds(100)).isOpen());
                QCOMPARE(link.client.recorder.count(), 0);
            });
    QCOMPARE(prepared, connection);
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Connected));
    const NamedPipeClientConnectionPtr unprepared =
            link.client.manager.connectToServer(link.name, NamedPipeClientManager::Preparation());
    QVERIFY(waitUntil([&] { return unprepared->isConnected(); }));
}

void tst_ClientConnecting::preparationMayCloseTheConnection_data()
{
    modes();
}

void tst_ClientConnecting::preparationMayCloseTheConnection()
{
    QFETCH(bool, freeThreaded);
    RawLink link;
    QVERIFY(link.server.listen(link.name));
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    const NamedPipeClientConnectionPtr connection =
            link.client.manager.connectToServer(link.name,
                                                [&](const NamedPipeClientConnectionPtr &raw) {
                                                    link.client.recorder.watch(raw,
                                                                               link.client.manager);
                                                    raw->asyncClose();
                                                });
    QVERIFY(!connection->isOpening());
    watchFor();
    QCOMPARE(connection->closeReason(), NamedPipe::ClosedByClient);
    QCOMPARE(link.client.recorder.count(), 0);
}

void tst_ClientConnecting::missingServerFailsAtOnce_data()
{
    modes();
}

void tst_ClientConnecting::missingServerFailsAtOnce()
{
    QFETCH(bool, freeThreaded);
    TestClient client;
    client.manager.setFreeThreadingEvents(freeThreaded);
    client.manager.setConnectTimeout(-1); // is not about servers that are not there
    QElapsedTimer timer;
    timer.start();
    const NamedPipeClientConnectionPtr connection = client.dial(scratchName());
    QVERIFY(client.recorder.waitFor(ClientEvent::Error));
    QVERIFY2(timer.elapsed() < bound(), qPrintable(u"%1 ms"_s.arg(timer.elapsed())));
    QCOMPARE(client.recorder.errors(), QList { NamedPipe::NotFound });
    QVERIFY(!connection->isOpening());
    QVERIFY(!connection->isConnected());
    QCOMPARE(connection->closeReason(), NamedPipe::Failed);
    watchFor(milliseconds(30));
    QCOMPARE(client.recorder.count(), 1); // and no disconnected
}

void tst_ClientConnecting::missingServerWithWaitTimesOut_data()
{
    QTest::addColumn<Target>("target");
    QTest::addColumn<int>("timeout");
    QTest::newRow("nobody, one try") << Nobody << 0;
    QTest::newRow("nobody, 100 ms") << Nobody << 100;
    QTest::newRow("nobody, 400 ms") << Nobody << 400;
    if (!PlatformFlags::runningOnWindows())
        QTest::newRow("socket of a dead server, 200 ms") << Dead << 200;
}

void tst_ClientConnecting::missingServerWithWaitTimesOut()
{
    QFETCH(Target, target);
    QFETCH(int, timeout);
    for (const bool freeThreaded : { false, true }) {
        Scene scene;
        QVERIFY(scene.enter(target));
        TestClient client;
        client.manager.setFreeThreadingEvents(freeThreaded);
        client.manager.setWaitForServer(true);
        client.manager.setConnectTimeout(timeout);
        QElapsedTimer timer;
        timer.start();
        const NamedPipeClientConnectionPtr connection = client.dial(scene.name);
        QVERIFY(client.recorder.waitFor(ClientEvent::Error));
        QVERIFY2(timer.elapsed() >= timeout && timer.elapsed() < timeout + bound(),
                 qPrintable(u"%1 ms"_s.arg(timer.elapsed())));
        QCOMPARE(client.recorder.errors(), QList { NamedPipe::ConnectTimeout });
        QVERIFY(!connection->isOpening());
        QCOMPARE(connection->closeReason(), NamedPipe::Failed);
        QCOMPARE(client.recorder.count(), 1);
    }
}

void tst_ClientConnecting::serverThatComesLaterIsFound_data()
{
    modes();
}

void tst_ClientConnecting::serverThatComesLaterIsFound()
{
    QFETCH(bool, freeThreaded);
    RawLink link;
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    link.client.manager.setWaitForServer(true);
    link.client.manager.setConnectTimeout(int(patience.count()));
    const NamedPipeClientConnectionPtr connection = link.client.dial(link.name);
    watchFor();
    QVERIFY(connection->isOpening());
    QVERIFY(link.server.listen(link.name));
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Connected));
    QCOMPARE(link.client.recorder.count(), 1);
    RawPeer peer = link.server.accept();
    QVERIFY(peer.sendMessage("welcome"_ba));
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Message));
}

void tst_ClientConnecting::serverThatRestartsIsNeverMissing()
{
    const QString name = scratchName();
    std::atomic<bool> over { false };
    auto restarting = runClient([&] {
        RawServer server;
        int served = 0;
        while (!over) {
            if (!server.listen(name, 4))
                return -1;
            served += server.accept(milliseconds(20)).isOpen();
            server.close();
        }
        return served;
    });
    TestClient client;
    client.manager.setWaitForServer(true);
    client.manager.setConnectTimeout(int(patience.count()));
    const int attempts = scaled(100, 10);
    bool connected = true;
    for (int attempt = 0; connected && attempt < attempts; ++attempt)
        connected = bool(client.connectTo(name)); // the server may drop it at once
    over = true;
    QVERIFY(waitForTask(restarting));
    QVERIFY2(connected, qPrintable(client.recorder.texts().join(u'\n')));
    QVERIFY(restarting.get() >= 0);
    QCOMPARE(client.recorder.errors(), QList<NamedPipe::Error>());
}

void tst_ClientConnecting::busyServerTimesOut_data()
{
    QTest::addColumn<int>("timeout");
    QTest::addColumn<bool>("waitForServer");
    QTest::addColumn<bool>("freeThreaded");
    for (const bool freeThreaded : { false, true }) {
        const char *const mode = freeThreaded ? "free-threaded" : "marshalled";
        QTest::addRow("one try, %s", mode) << 0 << false << freeThreaded;
        QTest::addRow("100 ms, %s", mode) << 100 << false << freeThreaded;
        QTest::addRow("400 ms, %s", mode) << 400 << false << freeThreaded;
        QTest::addRow("200 ms and waiting, %s", mode) << 200 << true << freeThreaded;
    }
}

void tst_ClientConnecting::busyServerTimesOut()
{
    QFETCH(int, timeout);
    QFETCH(bool, waitForServer);
    QFETCH(bool, freeThreaded);
    Scene scene;
    QVERIFY(scene.enter(Busy));
    TestClient client;
    client.manager.setFreeThreadingEvents(freeThreaded);
    client.manager.setWaitForServer(waitForServer);
    client.manager.setConnectTimeout(timeout);
    QElapsedTimer timer;
    timer.start();
    const NamedPipeClientConnectionPtr connection = client.dial(scene.name);
    QVERIFY(client.recorder.waitFor(ClientEvent::Error));
    QVERIFY2(timer.elapsed() >= timeout && timer.elapsed() < timeout + bound(),
             qPrintable(u"%1 ms"_s.arg(timer.elapsed())));
    QCOMPARE(client.recorder.errors(), QList { NamedPipe::ConnectTimeout });
    QVERIFY(!connection->isOpening());
    QCOMPARE(connection->closeReason(), NamedPipe::Failed);
    watchFor(milliseconds(30));
    QCOMPARE(client.recorder.count(), 1);
}

void tst_ClientConnecting::placeThatBecomesFreeIsTaken_data()
{
    modes();
}

void tst_ClientConnecting::placeThatBecomesFreeIsTaken()
{
    QFETCH(bool, freeThreaded);
    Scene scene;
    QVERIFY(scene.enter(Busy));
    TestClient client;
    client.manager.setFreeThreadingEvents(freeThreaded);
    client.manager.setConnectTimeout(int(patience.count()));
    const NamedPipeClientConnectionPtr connection = client.dial(scene.name);
    watchFor();
    QVERIFY(connection->isOpening());
    QCOMPARE(client.recorder.count(), 0);
    std::vector<RawPeer> ends;
    for (size_t place = 0; place < scene.occupants.size(); ++place)
        ends.push_back(scene.server.accept());
    QVERIFY(client.recorder.waitFor(ClientEvent::Connected));
    RawPeer peer = scene.server.accept();
    QVERIFY(peer.isOpen());
    QVERIFY(connection->asyncWrite("got in"_ba));
    QCOMPARE(peer.receiveMessage(), "got in"_ba);
}

void tst_ClientConnecting::infiniteTimeoutHasNoEnd()
{
    Scene scene;
    QVERIFY(scene.enter(Busy));
    TestClient client;
    client.manager.setConnectTimeout(-1);
    const NamedPipeClientConnectionPtr busy = client.dial(scene.name);
    client.manager.setWaitForServer(true);
    const NamedPipeClientConnectionPtr missing = client.dial(scratchName());
    watchFor(milliseconds(1000));
    QVERIFY(busy->isOpening());
    QVERIFY(missing->isOpening());
    QCOMPARE(client.recorder.count(), 0);
}

void tst_ClientConnecting::whatIsNoServerFailsAtOnce_data()
{
    QTest::addColumn<Target>("target");
    QTest::addColumn<bool>("freeThreaded");
    QTest::newRow("nobody") << Nobody << false;
    addStrangeTargets();
}

void tst_ClientConnecting::whatIsNoServerFailsAtOnce()
{
    QFETCH(Target, target);
    QFETCH(bool, freeThreaded);
    Scene scene;
    QVERIFY(scene.enter(target));
    TestClient client;
    client.manager.setFreeThreadingEvents(freeThreaded);
    QElapsedTimer timer;
    timer.start();
    const NamedPipeClientConnectionPtr connection = client.dial(scene.name);
    QVERIFY(client.recorder.waitFor(ClientEvent::Error));
    QVERIFY2(timer.elapsed() < bound(), qPrintable(u"%1 ms"_s.arg(timer.elapsed())));
    const NamedPipe::Error error = client.recorder.errors().constFirst();
    // Nobody listens there, or somebody who does not speak our language.
    if (target == Nobody || target == Dead)
        QCOMPARE(error, NamedPipe::NotFound);
    else if (target == SequencedPackets || target == Datagrams)
        QCOMPARE(error, NamedPipe::Unsupported);
    QCOMPARE(connection->closeReason(), NamedPipe::Failed);
    QVERIFY(!connection->isOpening());
    watchFor(milliseconds(10));
    QCOMPARE(client.recorder.count(), 1);
    if (target == PlainFile) {
        QFile file(scene.path);
        QVERIFY(file.open(QIODevice::ReadOnly));
        QCOMPARE(file.readAll(), "keep me"_ba);
    }
    if (target == Dead || target == Directory)
        QVERIFY(QFileInfo::exists(scene.path)); // a client tidies nothing up
}

void tst_ClientConnecting::whatIsNoServerDoesNotHangAWait_data()
{
    whatIsNoServerFailsAtOnce_data();
}

void tst_ClientConnecting::whatIsNoServerDoesNotHangAWait()
{
    QFETCH(Target, target);
    QFETCH(bool, freeThreaded);
    Scene scene;
    QVERIFY(scene.enter(target));
    TestClient client;
    client.manager.setFreeThreadingEvents(freeThreaded);
    client.manager.setWaitForServer(true);
    client.manager.setConnectTimeout(200);
    QElapsedTimer timer;
    timer.start();
    const NamedPipeClientConnectionPtr connection = client.dial(scene.name);
    QVERIFY(client.recorder.waitFor(ClientEvent::Error));
    QVERIFY2(timer.elapsed() < 200 + bound(), qPrintable(u"%1 ms"_s.arg(timer.elapsed())));
    QCOMPARE(client.recorder.count(), 1);
    QCOMPARE(connection->closeReason(), NamedPipe::Failed);
}

void tst_ClientConnecting::foreignByteModeServerIsRefused()
{
    if (!PlatformFlags::runningOnWindows())
        SKIP_BECAUSE("a socket has no modes");
    for (const bool freeThreaded : { false, true }) {
        RawLink link;
        QVERIFY(link.server.listen(link.name, 4, RawServer::Kind::Bytes));
        link.client.manager.setFreeThreadingEvents(freeThreaded);
        const NamedPipeClientConnectionPtr connection = link.client.dial(link.name);
        QVERIFY(link.client.recorder.waitFor(ClientEvent::Error));
        QCOMPARE(link.client.recorder.errors(), QList { NamedPipe::Unsupported });
        QCOMPARE(connection->closeReason(), NamedPipe::Failed);
        watchFor(milliseconds(30));
        QCOMPARE(link.client.recorder.count(), 1);
    }
}

void tst_ClientConnecting::ownServerIsAllowedForTheCurrentUser()
{
    RawLink link;
    link.client.manager.setServerAccess(NamedPipe::CurrentUser);
    QVERIFY2(link.open(), qPrintable(link.client.recorder.texts().join(u'\n')));
    QVERIFY(link.connection->asyncWrite("hello"_ba));
    QCOMPARE(link.peer.receiveMessage(), "hello"_ba);
}

void tst_ClientConnecting::attemptCanBeCancelled_data()
{
    enum { Close, Stop, Drop, Delete };
    QTest::addColumn<int>("how");
    QTest::addColumn<Target>("target");
    QTest::addColumn<bool>("atOnce"); // or after some tries
    QTest::addColumn<bool>("freeThreaded");
    const QList<std::pair<const char *, int>> ways { { "asyncClose", Close },
                                                     { "stop", Stop },
                                                     { "last pointer", Drop },
                                                     { "destructor", Delete } };
    QList<std::pair<const char *, Target>> targets { { "nobody", Nobody }, { "busy", Busy } };
    if (!PlatformFlags::runningOnWindows())
        targets.append({ "dead", Dead });
    for (const auto &way : ways) {
        for (const auto &target : std::as_const(targets)) {
            for (const bool atOnce : { false, true }) {
                for (const bool freeThreaded : { false, true }) {
                    QTest::addRow("%s, %s, %s, %s", way.first, target.first,
                                  atOnce ? "at once" : "later",
                                  freeThreaded ? "free-threaded" : "marshalled")
                            << way.second << target.second << atOnce << freeThreaded;
                }
            }
        }
    }
}

void tst_ClientConnecting::attemptCanBeCancelled()
{
    enum { Close, Stop, Drop, Delete };
    QFETCH(int, how);
    QFETCH(Target, target);
    QFETCH(bool, atOnce);
    QFETCH(bool, freeThreaded);
    // A busy machine is slow now and then; a library that blocks does so every time.
    qint64 taken = moment();
    for (int attempt = 0; attempt < 5 && taken >= moment(); ++attempt) {
        Scene scene;
        QVERIFY(scene.enter(target));
        ClientRecorder recorder;
        auto manager = std::make_unique<NamedPipeClientManager>();
        manager->setFreeThreadingEvents(freeThreaded);
        manager->setWaitForServer(true);
        manager->setConnectTimeout(-1);
        NamedPipeClientConnectionPtr connection =
                manager->connectToServer(scene.name, [&](const NamedPipeClientConnectionPtr &raw) {
                    recorder.watch(raw, *manager);
                });
        if (!atOnce)
            watchFor(milliseconds(60));
        QVERIFY(connection->isOpening());
        const QPointer<NamedPipeClientConnection> object = connection.data();
        QElapsedTimer timer;
        timer.start();
        switch (how) {
        case Close:
            connection->asyncClose();
            break;
        case Stop:
            manager->stop();
            break;
        case Drop:
            connection.reset();
            break;
        case Delete:
            manager.reset();
            break;
        }
        taken = timer.elapsed();
        if (how == Drop) {
            QVERIFY(waitUntil([&] { return !object; }));
        } else {
            QVERIFY(!connection->isOpening());
            QVERIFY(!connection->isConnected());
            QCOMPARE(connection->closeReason(), NamedPipe::ClosedByClient);
        }
        if (target == Busy) { // there is room now, and nobody who wants it
            for (size_t place = 0; place < scene.occupants.size(); ++place)
                QVERIFY(scene.server.accept().isOpen());
        }
        watchFor(milliseconds(60));
        QCOMPARE(recorder.count(), 0);
        if (target
            == Busy) { // the try that was going on at that moment may have got in, and has left
            RawPeer late = scene.server.accept(milliseconds(0));
            QVERIFY(!late.isOpen() || late.atEnd());
            QVERIFY(!scene.server.accept(milliseconds(0)).isOpen());
        }
    }
    QVERIFY2(taken < moment(), qPrintable(u"%1 ms"_s.arg(taken)));
}

void tst_ClientConnecting::cancelledInTheMomentOfSuccessIsSilentOrComplete_data()
{
    modes();
}

void tst_ClientConnecting::cancelledInTheMomentOfSuccessIsSilentOrComplete()
{
    QFETCH(bool, freeThreaded);
    RawLink link;
    QVERIFY(link.server.listen(link.name));
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    for (int round = 0; round < scaled(200, 20); ++round) {
        const NamedPipeClientConnectionPtr connection = link.client.dial(link.name);
        if (round % 3 == 1) // the connection is there, the event loop does not know it
            QVERIFY(waitWithoutEvents([&] { return connection->isConnected(); }));
        else if (round % 3 == 2)
            std::this_thread::yield();
        connection->asyncClose();
        QVERIFY(!connection->isConnected());
        QVERIFY(link.server.accept(milliseconds(0)).isOpen() || round % 3 != 1);
        QVERIFY(waitUntil([&] {
            return !connection->isOpening()
                    && link.client.recorder.count(ClientEvent::Connected, round)
                    == link.client.recorder.count(ClientEvent::Disconnected, round);
        }));
        QCOMPARE(connection->closeReason(), NamedPipe::ClosedByClient);
        while (link.server.accept(milliseconds(0)).isOpen()) { }
    }
    watchFor(milliseconds(30));
    QCOMPARE(link.client.recorder.count(ClientEvent::Connected),
             link.client.recorder.count(ClientEvent::Disconnected));
    QCOMPARE(link.client.recorder.errors(), QList<NamedPipe::Error>());
}

void tst_ClientConnecting::cancelFromAnotherThreadWorks()
{
    Scene scene;
    QVERIFY(scene.enter(Busy));
    TestClient client;
    client.manager.setConnectTimeout(-1);
    for (int round = 0; round < scaled(50, 5); ++round) {
        const NamedPipeClientConnectionPtr connection = client.dial(scene.name);
        auto closing = runClient([connection] {
            connection->asyncClose();
            return connection->isOpening();
        });
        QVERIFY(waitForTask(closing));
        QVERIFY(!closing.get());
        QCOMPARE(connection->closeReason(), NamedPipe::ClosedByClient);
    }
    watchFor(milliseconds(30));
    QCOMPARE(client.recorder.count(), 0);
}

void tst_ClientConnecting::sendPendingCancelsTheAttemptToo()
{
    TestClient client;
    client.manager.setWaitForServer(true);
    client.manager.setConnectTimeout(-1);
    const NamedPipeClientConnectionPtr connection = client.dial(scratchName());
    connection->asyncClose(NamedPipe::SendPending); // there is nothing to send
    QVERIFY(!connection->isOpening());
    QCOMPARE(connection->closeReason(), NamedPipe::ClosedByClient);
    watchFor(milliseconds(30));
    QCOMPARE(client.recorder.count(), 0);
}

void tst_ClientConnecting::eventLoopStaysSmooth_data()
{
    QTest::addColumn<Target>("target");
    QTest::addColumn<bool>("waitForServer");
    QTest::addColumn<bool>("freeThreaded");
    const auto row = [](const char *title, Target target, bool waitForServer) {
        QTest::addRow("%s, marshalled", title) << target << waitForServer << false;
        QTest::addRow("%s, free-threaded", title) << target << waitForServer << true;
    };
    row("busy", Busy, false);
    row("busy and waiting", Busy, true);
    row("missing", Nobody, false);
    row("missing and waiting", Nobody, true);
    if (!PlatformFlags::runningOnWindows()) {
        row("dead", Dead, false);
        row("dead and waiting", Dead, true);
    }
}

void tst_ClientConnecting::eventLoopStaysSmooth()
{
    QFETCH(Target, target);
    QFETCH(bool, waitForServer);
    QFETCH(bool, freeThreaded);
    Scene scene;
    QVERIFY(scene.enter(target));
    TestClient client;
    client.manager.setFreeThreadingEvents(freeThreaded);
    client.manager.setWaitForServer(waitForServer);
    client.manager.setConnectTimeout(500);
    // A busy machine makes anybody pause now and then; a library that does so does it every time.
    qint64 gap = 0;
    for (int attempt = 0; attempt < 5; ++attempt) {
        const EventLoopPulse pulse(5);
        client.recorder.clear();
        QList<NamedPipeClientConnectionPtr> connections;
        for (int number = 0; number < 20; ++number)
            connections.append(client.dial(scene.name));
        QVERIFY(client.recorder.waitFor(ClientEvent::Error, int(connections.size())));
        watchFor(milliseconds(20));
        gap = pulse.worstGap();
        if (gap < moment())
            break;
    }
    QVERIFY2(gap < moment(), qPrintable(u"a pause of %1 ms"_s.arg(gap)));
}

void tst_ClientConnecting::writingWhileOpeningIsRefused_data()
{
    modes();
}

void tst_ClientConnecting::writingWhileOpeningIsRefused()
{
    QFETCH(bool, freeThreaded);
    Scene scene;
    QVERIFY(scene.enter(Busy));
    TestClient client;
    client.manager.setFreeThreadingEvents(freeThreaded);
    client.manager.setConnectTimeout(-1);
    const NamedPipeClientConnectionPtr connection = client.dial(scene.name);
    QVERIFY(!connection->asyncWrite("too early"_ba, 1));
    if (!freeThreaded)
        QCOMPARE(client.recorder.count(), 0); // never inside the call
    QVERIFY(client.recorder.waitFor(ClientEvent::Error));
    QCOMPARE(client.recorder.errors(), QList { NamedPipe::NotConnected });
    QVERIFY(connection->isOpening()); // goes on
    QCOMPARE(connection->bytesToWrite(), 0);
    for (size_t place = 0; place < scene.occupants.size(); ++place)
        QVERIFY(scene.server.accept().isOpen());
    const RawPeer peer = scene.server.accept();
    QVERIFY(peer.isOpen());
    QVERIFY(client.recorder.waitFor(ClientEvent::Connected));
    QVERIFY(connection->asyncWrite("in time"_ba, 2));
    QVERIFY(client.recorder.waitFor(ClientEvent::Sent));
    QCOMPARE(client.recorder.cookies(ClientEvent::Sent), QVariantList { 2 });
    QCOMPARE(client.recorder.count(ClientEvent::NotSent), 0);
}

void tst_ClientConnecting::readsAskedForWhileOpeningAreKept_data()
{
    modes();
}

void tst_ClientConnecting::readsAskedForWhileOpeningAreKept()
{
    QFETCH(bool, freeThreaded);
    RawLink link;
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    link.client.manager.setContinuouslyReadFromPipe(false);
    link.client.manager.setWaitForServer(true);
    const NamedPipeClientConnectionPtr connection = link.client.dial(link.name);
    connection->asyncRead(1);
    connection->asyncRead(2);
    QVERIFY(link.server.listen(link.name));
    RawPeer peer = link.server.accept();
    for (int number = 0; number < 3; ++number)
        QVERIFY(peer.sendMessage(numbered(number)));
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Message, 2));
    watchFor(milliseconds(30));
    QCOMPARE(link.client.recorder.cookies(ClientEvent::Message), (QVariantList { 1, 2 }));
    QCOMPARE(link.client.recorder.messages(), (QList { numbered(0), numbered(1) }));
}

void tst_ClientConnecting::connectingInASlotWorks_data()
{
    QTest::addColumn<int>("kind");
    QTest::newRow("connected") << int(ClientEvent::Connected);
    QTest::newRow("messageReceived") << int(ClientEvent::Message);
    QTest::newRow("errorOccurred") << int(ClientEvent::Error);
    QTest::newRow("disconnected") << int(ClientEvent::Disconnected);
}

void tst_ClientConnecting::connectingInASlotWorks()
{
    QFETCH(int, kind);
    NamedPipeClientConnectionPtr second;
    RawLink link;
    link.client.recorder.onAny() = [&](NamedPipeClientConnection &, ClientEvent::Kind event) {
        if (int(event) == kind && !second)
            second = link.client.dial(link.name);
    };
    QVERIFY(link.server.listen(link.name));
    const NamedPipeClientConnectionPtr first =
            link.client.dial(kind == ClientEvent::Error ? scratchName() : link.name);
    RawPeer peer;
    if (kind != ClientEvent::Error)
        peer = link.server.accept();
    if (kind == ClientEvent::Message)
        QVERIFY(peer.sendMessage("hello"_ba));
    if (kind == ClientEvent::Disconnected)
        peer.close();
    QVERIFY(waitUntil([&] { return second && second->isConnected(); }));
    RawPeer other = link.server.accept();
    QVERIFY(other.sendMessage("again"_ba));
    QVERIFY(waitUntil([&] { return link.client.recorder.messagesOf(1) == QList { "again"_ba }; }));
    second.reset();
}

void tst_ClientConnecting::manyClientsShareFewPlaces_data()
{
    modes();
}

void tst_ClientConnecting::manyClientsShareFewPlaces()
{
    QFETCH(bool, freeThreaded);
    const int clients = scaled(100, 20);
    RawLink link;
    QVERIFY(link.server.listen(link.name, 2));
    link.client.manager.setFreeThreadingEvents(freeThreaded);
    link.client.manager.setNumThreadsIOCP(2);
    link.client.manager.setConnectTimeout(int(patience.count()));
    QList<NamedPipeClientConnectionPtr> connections;
    for (int number = 0; number < clients; ++number)
        connections.append(link.client.dial(link.name));
    auto serving = runClient([&] {
        std::vector<RawPeer> peers;
        while (int(peers.size()) < clients) {
            RawPeer peer = link.server.accept();
            if (!peer.isOpen() || !peer.sendMessage("welcome"_ba))
                return false;
            peers.push_back(std::move(peer));
        }
        return true;
    });
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Message, clients));
    QVERIFY(waitForTask(serving));
    QVERIFY(serving.get());
    QCOMPARE(link.client.recorder.count(ClientEvent::Connected), clients);
    QCOMPARE(link.client.recorder.errors(), QList<NamedPipe::Error>());
}

void tst_ClientConnecting::oneServerMayBeDialledManyTimes()
{
    RawLink link;
    for (int number = 0; number < 5; ++number) {
        QVERIFY(link.open());
        QVERIFY(link.peer.sendMessage(numbered(number)));
        QVERIFY(link.client.recorder.waitFor(ClientEvent::Message, number + 1));
    }
    QCOMPARE(link.client.recorder.count(ClientEvent::Connected), 5);
}

void tst_ClientConnecting::managerMayLiveInAWorkerThread()
{
    const QString name = scratchName();
    RawServer server;
    QVERIFY(server.listen(name));
    std::promise<QEventLoop *> started;
    std::promise<QStringList> ended;
    Gate posted;
    std::thread thread([&] {
        TestClient client;
        client.recorder.onMessage() = [](NamedPipeClientConnection &connection, const QVariant &,
                                         const QByteArray &data) { connection.asyncWrite(data); };
        QEventLoop loop;
        const NamedPipeClientConnectionPtr connection = client.dial(name);
        started.set_value(&loop);
        loop.exec();
        posted.wait(); // the other thread is still in postEvent()
        client.manager.stop();
        ended.set_value(client.recorder.violations());
    });
    QEventLoop *const loop = started.get_future().get();
    RawPeer peer = server.accept(); // this thread never runs an event loop
    const bool isAnswered = peer.sendMessage("hello"_ba) && peer.receiveMessage() == "hello"_ba;
    QMetaObject::invokeMethod(loop, &QEventLoop::quit, Qt::QueuedConnection);
    posted.open();
    const QStringList violations = ended.get_future().get();
    thread.join();
    QVERIFY(isAnswered);
    QCOMPARE(violations, QStringList());
    QVERIFY(peer.atEnd());
}

void tst_ClientConnecting::managersDoNotShareAnything()
{
    RawLink link;
    QVERIFY(link.open());
    {
        TestClient other;
        const NamedPipeClientConnectionPtr connection = other.connectTo(link.name);
        QVERIFY(connection);
        QVERIFY(!link.client.manager.connections().contains(connection));
        other.manager.stop();
    }
    QVERIFY(link.connection->asyncWrite("still here"_ba));
    QCOMPARE(link.peer.receiveMessage(), "still here"_ba);
}

void tst_ClientConnecting::stoppedManagerConnectsAgain_data()
{
    modes();
}

void tst_ClientConnecting::stoppedManagerConnectsAgain()
{
    QFETCH(bool, freeThreaded);
    RawLink link;
    link.client.manager.stop(); // of one that never worked
    for (int round = 0; round < scaled(20, 3); ++round) {
        link.client.manager.setFreeThreadingEvents(freeThreaded ? round % 2 == 0 : false);
        link.client.manager.setNumThreadsIOCP(1 + round % 3);
        QVERIFY(link.open());
        QVERIFY(link.peer.sendMessage("hello"_ba));
        QVERIFY(link.client.recorder.waitFor(ClientEvent::Message, round + 1));
        link.client.manager.stop();
        link.client.manager.stop();
        QCOMPARE(link.client.recorder.count(ClientEvent::Disconnected), round + 1);
        QCOMPARE(link.connection->closeReason(), NamedPipe::ClosedByClient);
        QVERIFY(!link.connection->isConnected());
        QCOMPARE(link.client.manager.connectionCount(), 0);
        QVERIFY(link.peer.atEnd());
    }
    QCOMPARE(link.client.recorder.errors(), QList<NamedPipe::Error>());
}

void tst_ClientConnecting::stopFromAnotherThreadHappensOnTheManagersThread()
{
    RawLink link; // its recorder looks at the thread of every signal
    QVERIFY(link.open());
    QVERIFY(link.peer.sendMessage("last words"_ba));
    QVERIFY(waitWithoutEvents([&] { return link.connection->statistics().messagesReceived == 1; }));
    auto stopping = runClient([&] { link.client.manager.stop(); });
    // It returns although this thread, whose turn it is, does nothing.
    QVERIFY(waitWithoutEvents([&] { return isFinished(stopping); }));
    QCOMPARE(link.client.recorder.count(ClientEvent::Disconnected), 0);
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Disconnected));
    QCOMPARE(link.client.recorder.messages(), QList { "last words"_ba });
    QCOMPARE(link.connection->closeReason(), NamedPipe::ClosedByClient);
    QVERIFY(link.open());
}

void tst_ClientConnecting::pipesAreFoundByPattern_data()
{
    QTest::addColumn<QString>("pattern"); // after the common beginning of the names
    QTest::addColumn<QStringList>("found");
    QTest::newRow("all") << u"*"_s << QStringList { u"-a"_s, u"-ab"_s, u"-b[1]"_s, u"-ba"_s };
    QTest::newRow("exact") << u"-ab"_s << QStringList { u"-ab"_s };
    QTest::newRow("one character") << u"-?"_s << QStringList { u"-a"_s };
    QTest::newRow("two characters") << u"-??"_s << QStringList { u"-ab"_s, u"-ba"_s };
    QTest::newRow("beginning") << u"-a*"_s << QStringList { u"-a"_s, u"-ab"_s };
    QTest::newRow("end") << u"*a"_s << QStringList { u"-a"_s, u"-ba"_s };
    QTest::newRow("middle") << u"-*b*"_s << QStringList { u"-ab"_s, u"-b[1]"_s, u"-ba"_s };
    QTest::newRow("brackets are plain") << u"-b[1]"_s << QStringList { u"-b[1]"_s };
    QTest::newRow("nothing else is special") << u"-[ab]"_s << QStringList();
    QTest::newRow("none") << u"-c*"_s << QStringList();
}

void tst_ClientConnecting::pipesAreFoundByPattern()
{
    QFETCH(QString, pattern);
    QFETCH(QStringList, found);
    const auto listable = PlatformFlags::pipesCanBeListed();
    if (!listable)
        SKIP_BECAUSE(listable.reason);
    const QString common = scratchName();
    std::array<RawServer, 4> servers;
    QVERIFY(servers[0].listen(common + u"-ba"_s));
    QVERIFY(servers[1].listen(common + u"-a"_s));
    QVERIFY(servers[2].listen(common + u"-b[1]"_s));
    QVERIFY(servers[3].listen(common + u"-ab"_s));
    QStringList expected;
    for (const QString &ending : std::as_const(found))
        expected.append(common + ending);
    const NamedPipeClientManager manager;
    QCOMPARE(manager.findNamedPipes(common + pattern), expected);
    const QStringList all = manager.findNamedPipes();
    for (const QString &name : std::as_const(expected))
        QVERIFY(all.contains(name));
    QVERIFY(std::is_sorted(all.cbegin(), all.cend()));
}

void tst_ClientConnecting::onlyLiveServersAreFound()
{
    const auto listable = PlatformFlags::pipesCanBeListed();
    if (!listable)
        SKIP_BECAUSE(listable.reason);
    const NamedPipeClientManager manager;
    QVERIFY(manager.findNamedPipes(scratchName() + u'*').isEmpty());
    {
        Scene busy;
        QVERIFY(busy.enter(Busy));
        QCOMPARE(manager.findNamedPipes(busy.name), QStringList { busy.name });
        busy.occupants.clear();
        busy.server.close();
        QVERIFY(waitUntil([&] { return manager.findNamedPipes(busy.name).isEmpty(); }));
    }
    {
        Scene idle;
        QVERIFY(idle.server.listen(idle.name));
        QCOMPARE(manager.findNamedPipes(idle.name), QStringList { idle.name });
        QVERIFY(!idle.server.accept(milliseconds(0)).isOpen()); // it is looked for, not dialled
    }
    if (PlatformFlags::runningOnWindows())
        return;
    for (const Target target : { Dead, PlainFile, Directory }) {
        Scene scene;
        QVERIFY(scene.enter(target));
        QCOMPARE(manager.findNamedPipes(scene.name), QStringList());
    }
}

QTEST_GUILESS_MAIN(tst_ClientConnecting)
#include "tst_client_connecting.moc"
