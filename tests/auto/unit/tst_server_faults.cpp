// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "core/pipetransport.h"
#include "faultycalls.h"
#include "payload.h"
#include "processfacts.h"
#include "socketfiles.h"

#include <QtCore/qelapsedtimer.h>
#include <QtCore/qfile.h>
#include <QtCore/qscopeguard.h>
#include <QtTest/QtTest>

#include <sys/stat.h>

using namespace QtNamedPipes;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

/// The server on the engine of this system, when system calls fail that hardly ever do.
class tst_ServerFaults : public FaultySuite
{
    Q_OBJECT

private Q_SLOTS:
    void startReportsWhatFailed_data();
    void startReportsWhatFailed();
    void startThatIsNotSureOfItsFilesLeavesThemToTheNext_data();
    void startThatIsNotSureOfItsFilesLeavesThemToTheNext();
    void modeThatCannotBeWidenedIsTold_data();
    void modeThatCannotBeWidenedIsTold();
    void lockIsAskedForAgainAfterASignal();
    void whatStopCannotRemoveIsTakenOverByTheNext_data();
    void whatStopCannotRemoveIsTakenOverByTheNext();
    void clientThatCannotBeIdentifiedIsRefused();
    void acceptSurvives_data();
    void acceptSurvives();
    void acceptBacksOffInsteadOfSpinning_data();
    void acceptBacksOffInsteadOfSpinning();
    void acceptTroubleIsReportedOncePerEpisode();
    void listenerSurvivesEpollFailures_data();
    void listenerSurvivesEpollFailures();
    void clientThatCannotBeWatchedIsDroppedAndTold();
    void interruptedWaitsAreHarmless();
    void tasksThatWaitAreDoneInOneRound();
};

// --- start() and stop() ---

void tst_ServerFaults::startReportsWhatFailed_data()
{
    QTest::addColumn<QString>("call");
    QTest::addColumn<int>("code");
    QTest::addColumn<NamedPipe::Error>("error");
    QTest::addColumn<QString>("text");
    const QString port = u"unable to create an IOCP port"_s;
    QTest::newRow("epoll_create1")
            << u"epoll_create1"_s << EMFILE << NamedPipe::CompletionPortFailed << port;
    QTest::newRow("eventfd") << u"eventfd"_s << ENFILE << NamedPipe::CompletionPortFailed << port;
    QTest::newRow("epoll_ctl") << u"epoll_ctl"_s << ENOSPC << NamedPipe::CompletionPortFailed
                               << port;
    QTest::newRow("socket") << u"socket"_s << EMFILE << NamedPipe::ResourceExhausted << QString();
    QTest::newRow("bind, in use") << u"bind"_s << EADDRINUSE << NamedPipe::NameInUse << QString();
    QTest::newRow("bind, denied") << u"bind"_s << EACCES << NamedPipe::AccessDenied << QString();
    QTest::newRow("bind, no room")
            << u"bind"_s << ENOSPC << NamedPipe::ResourceExhausted << QString();
    QTest::newRow("listen, in use")
            << u"listen"_s << EADDRINUSE << NamedPipe::NameInUse << QString();
    QTest::newRow("listen, odd") << u"listen"_s << EDOM << NamedPipe::SystemError << QString();
    QTest::newRow("open") << u"open"_s << EMFILE << NamedPipe::ResourceExhausted
                          << u"cannot open the lock file"_s;
    QTest::newRow("fchmod") << u"fchmod"_s << EPERM << NamedPipe::AccessDenied << QString();
}

void tst_ServerFaults::startReportsWhatFailed()
{
    QFETCH(QString, call);
    QFETCH(int, code);
    QFETCH(NamedPipe::Error, error);
    QFETCH(QString, text);
    Fault &fault = call == u"epoll_create1" ? createFault
            : call == u"eventfd"            ? eventFault
            : call == u"epoll_ctl"          ? controlFault
            : call == u"socket"             ? socketFault
            : call == u"bind"               ? bindFault
            : call == u"listen"             ? listenFault
            : call == u"open"               ? openFault
                                            : fchmodFault;
    EchoServer echo;
    fault.set(code, 1);
    QVERIFY(!echo.server.start());
    QVERIFY(!echo.server.isRunning());
    QCOMPARE(echo.server.error(), error);
    const QString said = echo.server.errorString();
    QVERIFY2(said.contains(text), qPrintable(said));
    QVERIFY2(said.contains(u"%1: %2"_s.arg(call).arg(code)), qPrintable(said));
    QCOMPARE(socketFilesOf(echo.server.pipeName()), QStringList());
    QCOMPARE(ProcessFacts::openHandles(), m_handles);
    QVERIFY(waitUntil([&] { return echo.errors.size() == 1; }));
    QCOMPARE(echo.errors.constFirst(), error);

    QVERIFY(echo.server.start()); // the same object, when the trouble is over
    RawPeer peer;
    QVERIFY(echo.connects(peer));
    QVERIFY(echo.echoes(peer, { "hello"_ba }));
}

void tst_ServerFaults::startThatIsNotSureOfItsFilesLeavesThemToTheNext_data()
{
    QTest::addColumn<QString>("call");
    QTest::addColumn<int>("nth");
    QTest::addColumn<int>("code");
    QTest::addColumn<NamedPipe::Error>("error");
    QTest::addColumn<QString>("left"); // %1 is the name
    const QString lock = u".%1.lock"_s; // whose it is nobody knows
    QTest::newRow("flock") << u"flock"_s << 1 << ENOLCK << NamedPipe::SystemError << lock;
    QTest::newRow("fstat of the lock file")
            << u"fstat"_s << 1 << ENOMEM << NamedPipe::ResourceExhausted << lock;
    QTest::newRow("lstat of the lock file")
            << u"lstat"_s << 1 << EACCES << NamedPipe::AccessDenied << lock;
    QTest::newRow("lstat before bind")
            << u"lstat"_s << 2 << ENOMEM << NamedPipe::ResourceExhausted << QString();
    QTest::newRow("lstat after bind")
            << u"lstat"_s << 3 << ENOMEM << NamedPipe::ResourceExhausted << u"%1"_s;
}

void tst_ServerFaults::startThatIsNotSureOfItsFilesLeavesThemToTheNext()
{
    QFETCH(QString, call);
    QFETCH(int, nth);
    QFETCH(int, code);
    QFETCH(NamedPipe::Error, error);
    QFETCH(QString, left);
    EchoServer echo;
    Fault &fault = call == u"flock" ? flockFault : call == u"fstat" ? fstatFault : lstatFault;
    fault.set(code, 10, nth - 1); // it stays, and start() comes back all the same
    QVERIFY(!echo.server.start());
    QCOMPARE(echo.server.error(), error);
    const QString said = echo.server.errorString();
    QVERIFY2(said.contains(u"%1: %2"_s.arg(call).arg(code)), qPrintable(said));
    QCOMPARE(socketFilesOf(echo.server.pipeName()).join(u' '),
             left.contains(u"%1") ? left.arg(echo.server.pipeName()) : left);
    fault.set(0, 0);

    QVERIFY2(echo.server.start(), qPrintable(echo.server.errorString()));
    RawPeer peer;
    QVERIFY(echo.connects(peer));
    QVERIFY(echo.echoes(peer, { "hello"_ba }));
    echo.server.stop();
    QCOMPARE(socketFilesOf(echo.server.pipeName()), QStringList());
}

void tst_ServerFaults::modeThatCannotBeWidenedIsTold_data()
{
    QTest::addColumn<QString>("call");
    QTest::addColumn<QString>("told");
    QTest::addColumn<int>("code");
    QTest::newRow("open") << u"open"_s << u"open"_s << EMFILE;
    QTest::newRow("fstat") << u"fstat"_s << u"open"_s << ENOMEM;
    QTest::newRow("chmod") << u"chmod"_s << u"chmod"_s << EPERM;
    QTest::newRow("chmod, where there is no /proc") << u"chmod"_s << u"chmod"_s << ENOENT;
}

void tst_ServerFaults::modeThatCannotBeWidenedIsTold()
{
    QFETCH(QString, call);
    QFETCH(QString, told);
    QFETCH(int, code);
    const mode_t before = ::umask(0077); // so that there is something to widen
    const auto restore = qScopeGuard([before] { ::umask(before); });
    EchoServer echo;
    echo.server.setAccessOptions(NamedPipe::WorldAccess);
    if (call == u"chmod")
        chmodFault.set(code, 1);
    else // the first one is for the lock file
        (call == u"open" ? openFault : fstatFault).set(code, 1, 1);
    QVERIFY(!echo.server.start()); // rather than with another mode than was asked for
    const QString said = echo.server.errorString();
    QVERIFY2(said.contains(u"%1: %2"_s.arg(told).arg(code)), qPrintable(said));
    QCOMPARE(socketFilesOf(echo.server.pipeName()), QStringList());
    QVERIFY(echo.server.start());
    const QByteArray path = QFile::encodeName(echo.server.fullPipeName());
    struct stat file = {};
    QCOMPARE(::lstat(path.constData(), &file), 0);
    QCOMPARE(file.st_mode & ALLPERMS, mode_t(0666));
}

void tst_ServerFaults::lockIsAskedForAgainAfterASignal()
{
    EchoServer echo;
    flockFault.set(EINTR, 5);
    QVERIFY2(echo.server.start(), qPrintable(echo.server.errorString()));
    QCOMPARE(flockFault.times.load(), 0);
    echo.server.stop();
    QCOMPARE(socketFilesOf(echo.server.pipeName()), QStringList());
}

void tst_ServerFaults::whatStopCannotRemoveIsTakenOverByTheNext_data()
{
    QTest::addColumn<bool>("isLook");
    QTest::addColumn<int>("times");
    QTest::addColumn<QString>("left"); // %1 is the name
    QTest::newRow("the socket cannot be looked at") << true << 1 << u"%1"_s;
    QTest::newRow("the socket stays") << false << 1 << u"%1"_s;
    QTest::newRow("both files stay") << false << 2 << u".%1.lock %1"_s;
}

void tst_ServerFaults::whatStopCannotRemoveIsTakenOverByTheNext()
{
    QFETCH(bool, isLook);
    QFETCH(int, times);
    QFETCH(QString, left);
    EchoServer echo;
    QVERIFY(echo.server.start());
    RawPeer before;
    QVERIFY(echo.connects(before));
    (isLook ? lstatFault : unlinkFault).set(EACCES, times);
    echo.server.stop();
    QCOMPARE(socketFilesOf(echo.server.pipeName()).join(u' '),
             left.replace(u"%1"_s, echo.server.pipeName()));
    QVERIFY(before.atEnd());
    RawPeer tooLate;
    QVERIFY(!tooLate.connectTo(echo.server.pipeName(), RawPeer::Milliseconds(0)));

    QVERIFY2(echo.server.start(), qPrintable(echo.server.errorString()));
    RawPeer peer;
    QVERIFY(echo.connects(peer));
    QVERIFY(echo.echoes(peer, { "hello"_ba }));
    echo.server.stop();
    QCOMPARE(socketFilesOf(echo.server.pipeName()), QStringList());
    QVERIFY(echo.errors.isEmpty());
}

// --- accept ---

/// Who it is cannot be found out: it is turned away, and the next one is let in.
void tst_ServerFaults::clientThatCannotBeIdentifiedIsRefused()
{
    EchoServer echo;
    echo.server.setMaxConnections(1);
    QVERIFY(echo.server.start());
    optionFault.set(EACCES, 3);
    for (int number = 1; number <= 3; ++number) {
        RawPeer unknown;
        QVERIFY(unknown.connectTo(echo.server.pipeName()));
        QVERIFY(unknown.atEnd());
        QVERIFY(waitUntil(
                [&] { return echo.server.statistics().connectionsRefused == quint64(number); }));
    }
    RawPeer peer; // the only place is free
    QVERIFY(echo.connects(peer));
    QVERIFY(echo.echoes(peer, { "hello"_ba }));
    QCOMPARE(echo.server.statistics().connectionsAccepted, 1u);
}

void tst_ServerFaults::acceptSurvives_data()
{
    QTest::addColumn<int>("code");
    QTest::addColumn<int>("times");
    QTest::addColumn<bool>("isTrouble"); // told to the user
    QTest::newRow("EINTR") << EINTR << 40 << false;
    QTest::newRow("ECONNABORTED") << ECONNABORTED << 40 << false;
    QTest::newRow("EPROTO") << EPROTO << 1 << false;
    QTest::newRow("EMFILE") << EMFILE << 3 << true;
    QTest::newRow("ENFILE") << ENFILE << 3 << true;
    QTest::newRow("ENOBUFS") << ENOBUFS << 3 << true;
    QTest::newRow("ENOMEM") << ENOMEM << 3 << true;
}

void tst_ServerFaults::acceptSurvives()
{
    QFETCH(int, code);
    QFETCH(int, times);
    QFETCH(bool, isTrouble);
    EchoServer echo;
    QVERIFY(echo.server.start());
    acceptFault.set(code, times);
    RawPeer peer;
    QVERIFY(echo.connects(peer)); // by the server's own efforts: there is one client only
    QCOMPARE(acceptFault.times.load(), 0);
    QVERIFY(echo.echoes(peer, { "hello"_ba, payload(100'000) }));
    RawPeer another;
    QVERIFY(echo.connects(another));
    QVERIFY(echo.echoes(another, { "hello"_ba }));
    QCOMPARE(echo.errors.size(), isTrouble ? 1 : 0);
    if (isTrouble) {
        QCOMPARE(echo.errors.constFirst(), NamedPipe::ResourceExhausted);
        QVERIFY2(echo.lastText.contains(u"accept4: %1"_s.arg(code)), qPrintable(echo.lastText));
    }
    peer.close();
    another.close();
    QVERIFY(waitUntil([&] { return echo.disconnected == 2; }));
    const NamedPipe::ServerStatistics statistics = echo.server.statistics();
    QCOMPARE(statistics.connectionsAccepted, 2u);
    QCOMPARE(statistics.connectionsClosed, 2u);
}

void tst_ServerFaults::acceptBacksOffInsteadOfSpinning_data()
{
    QTest::addColumn<int>("clients");
    QTest::newRow("one client waits") << 1;
    QTest::newRow("many clients wait") << 10;
}

void tst_ServerFaults::acceptBacksOffInsteadOfSpinning()
{
    QFETCH(int, clients);
    EchoServer echo;
    QVERIFY(echo.server.start());
    acceptFault.set(EMFILE, always);
    std::vector<RawPeer> peers(static_cast<size_t>(clients));
    for (RawPeer &peer : peers)
        QVERIFY(peer.connectTo(echo.server.pipeName())); // the backlog takes it
    QVERIFY(waitUntil([] { return acceptFault.calls >= 1; }));
    QElapsedTimer timer;
    timer.start();
    watchFor(500ms);
    const int calls = acceptFault.calls;
    // 10, 20, 40, ... ms: after half a second there were six.
    QVERIFY2(calls <= 20 + timer.elapsed() / 100, qPrintable(QString::number(calls)));
    QVERIFY2(calls >= 3, qPrintable(QString::number(calls)));
    QCOMPARE(echo.errors, QList<NamedPipe::Error>({ NamedPipe::ResourceExhausted }));
    acceptFault.set(0, 0);
    QVERIFY(waitUntil([&] { return echo.connected == clients; }));
}

void tst_ServerFaults::acceptTroubleIsReportedOncePerEpisode()
{
    EchoServer echo;
    echo.server.setMaxConnections(3);
    QVERIFY(echo.server.start());
    RawPeer peers[3];
    for (int episode = 1; episode <= 3; ++episode) {
        acceptFault.set(EMFILE, 4);
        QVERIFY(echo.connects(peers[episode - 1]));
        QCOMPARE(echo.errors.size(), episode);
    }
    RawPeer fourth; // places balance: exactly three were taken
    QVERIFY(fourth.connectTo(echo.server.pipeName()));
    watchFor();
    QCOMPARE(echo.connected, 3);
    peers[0].close();
    QVERIFY(waitUntil([&] { return echo.connected == 4; }));
}

void tst_ServerFaults::listenerSurvivesEpollFailures_data()
{
    QTest::addColumn<bool>("atStart");
    QTest::newRow("the listener cannot be watched at first") << true;
    QTest::newRow("the listener cannot be watched again") << false;
}

void tst_ServerFaults::listenerSurvivesEpollFailures()
{
    QFETCH(bool, atStart);
    EchoServer echo;
    RawPeer first;
    if (atStart) {
        echo.server.setFreeThreadingEvents(true); // accepting begins later than start()
        controlEvents = EPOLLONESHOT; // as only the listener asks for
        controlFault.set(ENOSPC, 2);
        QVERIFY(echo.server.start());
    } else {
        QVERIFY(echo.server.start());
        controlEvents = EPOLLONESHOT;
        controlOperation = EPOLL_CTL_MOD;
        controlFault.set(ENOMEM, 1);
        QVERIFY(echo.connects(first));
    }
    QVERIFY(waitUntil([] { return controlFault.times == 0; }));
    RawPeer peer;
    QVERIFY(peer.connectTo(echo.server.pipeName()));
    QVERIFY(waitUntil([&] { return echo.connected == (atStart ? 1 : 2); }, 5s));
}

void tst_ServerFaults::clientThatCannotBeWatchedIsDroppedAndTold()
{
    EchoServer echo;
    QVERIFY(echo.server.start());
    controlFault.set(ENOSPC, 1);
    RawPeer peer;
    QVERIFY(echo.connects(peer));
    QVERIFY(waitUntil([&] { return echo.disconnected == 1; }));
    QCOMPARE(echo.clientErrors, QList<NamedPipe::Error>({ NamedPipe::ResourceExhausted }));
    QVERIFY2(echo.lastText.contains(u"epoll_ctl: %1"_s.arg(ENOSPC)), qPrintable(echo.lastText));
    QCOMPARE(echo.lastReason, NamedPipe::Failed);
    QVERIFY(peer.atEnd());
    QVERIFY(echo.errors.isEmpty()); // not the server's
    RawPeer another;
    QVERIFY(echo.connects(another));
    QVERIFY(echo.echoes(another, { "hello"_ba }));
}

void tst_ServerFaults::interruptedWaitsAreHarmless()
{
    EchoServer echo;
    waitFault.set(EINTR, 1000);
    QVERIFY(echo.server.start());
    RawPeer peer;
    QVERIFY(echo.connects(peer));
    waitFault.set(EINTR, 1000);
    QVERIFY(echo.echoes(peer, { "hello"_ba, payload(1'000'000) }));
    QVERIFY(waitFault.times < 1000);
}

// A broadcast is a task for each client: it must not take a round of events for each.
void tst_ServerFaults::tasksThatWaitAreDoneInOneRound()
{
    struct Task final : EngineTask
    {
        explicit Task(std::function<void()> function) : m_function(std::move(function)) { }
        void run() override { m_function(); }
        const std::function<void()> m_function;
    };
    const auto engine = createPlatformEngine({ 1, 0 }, 4096);
    QVERIFY(!engine->start());
    Gate begun;
    Gate goOn;
    Gate done;
    engine->post(std::make_shared<Task>([&] {
        begun.open();
        goOn.wait();
        waitFault.set(0, 0); // counts from here
    }));
    QVERIFY(begun.wait());
    std::atomic<int> count { 0 };
    for (int i = 0; i < 1000; ++i) {
        engine->post(std::make_shared<Task>([&] {
            if (++count == 1000)
                done.open();
        }));
    }
    goOn.open();
    QVERIFY(done.wait());
    QVERIFY2(waitFault.calls.load() < 10, qPrintable(QString::number(waitFault.calls.load())));
    engine->shutdown();
}

QTEST_GUILESS_MAIN(tst_ServerFaults)
#include "tst_server_faults.moc"
