// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "eventlooppulse.h"
#include "payload.h"
#include "platformflags.h"
#include "stress.h"
#include "testserver.h"

#include <QtCore/qelapsedtimer.h>
#include <QtCore/qeventloop.h>
#include <QtTest/QtTest>

#include <atomic>
#include <future>
#include <thread>

using namespace Qt::StringLiterals;

/// The default delivery: every signal on the server's thread, from its event loop.
class tst_Marshalled : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void signalsComeOnTheServersThread_data();
    void signalsComeOnTheServersThread();
    void serverMayLiveInAWorkerThread();
    void serverMayBeMovedBeforeStart();
    void nothingIsEmittedInsideACallOfTheUser();
    void busyServerThreadDoesNotLoseOrReorder();
    void eventLoopStaysSmoothUnderFlood_data();
    void eventLoopStaysSmoothUnderFlood();
};

void tst_Marshalled::signalsComeOnTheServersThread_data()
{
    QTest::addColumn<int>("workers");
    QTest::newRow("1 worker") << 1;
    QTest::newRow("8 workers") << 8;
}

void tst_Marshalled::signalsComeOnTheServersThread()
{
    QFETCH(int, workers);
    TestServer ts; // its recorder looks at the thread of every signal
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &data) { connection->asyncWrite(data); };
    ts.server.setNumThreadsIOCP(workers);
    ts.server.setMaximumMessageSize(1000);
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    QVERIFY(peer.sendMessage("hello"_ba));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Sent));
    peer.sendMessage(payload(2000));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    ts.server.stop();
    for (int kind = ServerEvent::Ready; kind <= ServerEvent::Stopped; ++kind)
        QVERIFY2(ts.recorder.count(ServerEvent::Kind(kind)) > 0, qPrintable(QString::number(kind)));
    QCOMPARE(ts.recorder.violations(), QStringList());
}

void tst_Marshalled::serverMayLiveInAWorkerThread()
{
    struct Started
    {
        bool isRunning;
        QString name;
        QEventLoop *loop;
    };
    std::promise<Started> started;
    std::promise<QStringList> ended;
    Gate posted;
    std::thread thread([&] {
        TestServer ts;
        ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection,
                                     const QVariant &,
                                     const QByteArray &data) { connection->asyncWrite(data); };
        QEventLoop loop;
        const bool isRunning = ts.start();
        started.set_value({ isRunning, ts.name(), &loop });
        loop.exec();
        posted.wait(); // the other thread is still in postEvent()
        ts.server.stop();
        ended.set_value(ts.recorder.violations());
    });
    const Started server = started.get_future().get();
    // This thread never runs an event loop: the server has its own.
    RawPeer peer;
    const bool isAnswered = server.isRunning && peer.connectTo(server.name)
            && peer.sendMessage("hello"_ba) && peer.receiveMessage() == "hello"_ba;
    QMetaObject::invokeMethod(server.loop, &QEventLoop::quit, Qt::QueuedConnection);
    posted.open();
    const QStringList violations = ended.get_future().get();
    thread.join();
    QVERIFY(isAnswered);
    QCOMPARE(violations, QStringList());
    QVERIFY(peer.atEnd());
}

void tst_Marshalled::serverMayBeMovedBeforeStart()
{
    QThread thread;
    auto *server = new NamedPipeServer(scratchName());
    const QString name = server->pipeName();
    std::atomic<QThread *> seenOn { nullptr };
    connect(server, &NamedPipeServer::clientConnected,
            [&](const auto &) { seenOn = QThread::currentThread(); });
    server->moveToThread(&thread);
    connect(&thread, &QThread::started, server, &NamedPipeServer::start);
    connect(&thread, &QThread::finished, server, &QObject::deleteLater);
    Gate ready;
    connect(server, &NamedPipeServer::serverReady, [&ready] { ready.open(); });
    thread.start();
    QVERIFY(ready.wait());
    RawPeer peer;
    QVERIFY(peer.connectTo(name));
    QVERIFY(waitWithoutEvents([&] { return seenOn == &thread; }));
    thread.quit();
    QVERIFY(thread.wait(int(patience.count())));
    QVERIFY(peer.atEnd());
}

void tst_Marshalled::nothingIsEmittedInsideACallOfTheUser()
{
    bool inside = false;
    int emittedInside = 0;
    const auto look = [&] { emittedInside += inside; };
    TestServer ts;
    ts.recorder.onReady() = look;
    ts.recorder.onConnected() = [&](const auto &) { look(); };
    ts.recorder.onMessage() = [&](const auto &, const auto &, const auto &) { look(); };
    ts.recorder.onSent() = [&](const auto &, const auto &) { look(); };
    ts.recorder.onClientError() = [&](const auto &, auto) { look(); };
    ts.recorder.onDisconnected() = [&](const auto &) { look(); };
    ts.server.setMaximumPendingWriteBytes(10'000);
    ts.server.setContinuouslyReadFromPipe(false);
    const auto call = [&](const auto &function) {
        inside = true;
        function();
        inside = false;
    };
    call([&] { ts.start(); });
    RawPeer peer = ts.connectPeer();
    const NamedPipeServerConnectionPtr connection = ts.connection();
    auto client = runClient([&peer] { // nobody has asked for these yet
        for (int number = 0; number < 10; ++number)
            peer.sendMessage(numbered(number));
    });
    watchFor(std::chrono::milliseconds(30));
    for (int round = 0; round < 1000; ++round) {
        call([&] { connection->asyncWrite(payload(1000)); }); // sooner or later: queue full
        call([&] { connection->asyncRead(); });
        call([&] { ts.server.asyncBroadcast(payload(1000)); });
    }
    call([&] { connection->asyncClose(); });
    call([&] { connection->asyncWrite("late"_ba); });
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    QVERIFY(waitForTask(client));
    QCOMPARE(emittedInside, 0);
}

void tst_Marshalled::busyServerThreadDoesNotLoseOrReorder()
{
    TestServer ts;
    ts.server.setNumThreadsIOCP(4);
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    for (int number = 0; number < 1000; ++number)
        QVERIFY(peer.sendMessage(numbered(number)));
    peer.close();
    const NamedPipeServerConnectionPtr connection = ts.connection();
    QVERIFY(waitWithoutEvents([&] { return connection->statistics().messagesReceived == 1000; }));
    QCOMPARE(ts.recorder.count(ServerEvent::Message), 0);
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    const QList<QByteArray> messages = ts.recorder.messages();
    QCOMPARE(messages.size(), 1000);
    for (int number = 0; number < 1000; ++number)
        QCOMPARE(numberOf(messages.at(number)), number);
}

void tst_Marshalled::eventLoopStaysSmoothUnderFlood_data()
{
    QTest::addColumn<int>("microsecondsPerSlot");
    QTest::addColumn<bool>("echo");
    QTest::newRow("fast slots") << 0 << false;
    QTest::newRow("slow slots") << 50 << false;
    QTest::newRow("echo") << 0 << true;
}

void tst_Marshalled::eventLoopStaysSmoothUnderFlood()
{
    QFETCH(int, microsecondsPerSlot);
    QFETCH(bool, echo);
    std::atomic<bool> over { false };
    TestServer ts(ServerRecorder::CountOnly);
    ts.recorder.onMessage() = [&](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                  const QByteArray &data) {
        QElapsedTimer busy;
        busy.start();
        while (busy.nsecsElapsed() < microsecondsPerSlot * 1000) { }
        if (echo)
            connection->asyncWrite(data);
    };
    ts.server.setNumThreadsIOCP(2);
    QVERIFY(ts.start());
    std::vector<std::future<void>> clients;
    for (int client = 0; client < 2; ++client) {
        clients.push_back(runClient([&over, name = ts.name()] {
            RawPeer peer;
            if (!peer.connectTo(name))
                return;
            const QByteArray message = payload(64);
            while (!over && peer.sendMessage(message, RawPeer::Milliseconds(5000)))
                peer.receiveMessage(RawPeer::Milliseconds(0));
        }));
    }
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 100));
    // A busy machine makes anybody pause now and then; a library that does so does it every time.
    const qint64 bound = PlatformFlags::timingIsMeaningful() ? 250 : 5000;
    qint64 gap = 0;
    int beats = 0;
    int messages = 0;
    for (int attempt = 0; attempt < 5; ++attempt) {
        const int before = ts.recorder.count(ServerEvent::Message);
        EventLoopPulse pulse;
        watchFor(std::chrono::milliseconds(700));
        gap = pulse.worstGap();
        beats = pulse.beats();
        messages = ts.recorder.count(ServerEvent::Message) - before;
        if (gap < bound)
            break;
    }
    over = true;
    for (const auto &client : clients)
        QVERIFY(waitForTask(client));
    QVERIFY2(gap < bound, qPrintable(u"a pause of %1 ms"_s.arg(gap)));
    QVERIFY2(messages > 100, qPrintable(u"%1 messages"_s.arg(messages)));
    if (PlatformFlags::timingIsMeaningful())
        QVERIFY2(beats > 3, qPrintable(u"%1 beats"_s.arg(beats)));
}

QTEST_GUILESS_MAIN(tst_Marshalled)
#include "tst_marshalled.moc"
