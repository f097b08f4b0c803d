// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "testserver.h"

#include <QtCore/qloggingcategory.h>
#include <QtCore/qpointer.h>
#include <QtCore/qtimer.h>
#include <QtTest/QtTest>

#include <atomic>

using namespace Qt::StringLiterals;

/// What a slot may do to the server and the connection that called it: everything.
class tst_Reentrancy : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void stopInASlot_data();
    void stopInASlot();
    void stopOnAWorkerReturnsAtOnce_data();
    void stopOnAWorkerReturnsAtOnce();
    void deleteTheServerInASlot_data();
    void deleteTheServerInASlot();
    void restartInTheStoppedSlot();
    void closeInASlot_data();
    void closeInASlot();
    void droppingAllReferencesInASlotIsSafe_data();
    void droppingAllReferencesInASlotIsSafe();
    void nestedEventLoopInASlotDoesNotReorder();
    void logHandlerMayCallTheServer_data();
    void logHandlerMayCallTheServer();

private:
    using Action = std::function<void(const NamedPipeServerConnectionPtr &)>;
    static void addSlotRows(bool withConnectionOnly);
    static void installHook(ServerRecorder &recorder, int kind, const Action &action);
    static void provoke(ServerRecorder &recorder, const QString &name, int kind, RawPeer &peer);
};

void tst_Reentrancy::addSlotRows(bool withConnectionOnly)
{
    QTest::addColumn<int>("kind");
    if (!withConnectionOnly)
        QTest::newRow("serverReady") << int(ServerEvent::Ready);
    QTest::newRow("clientConnected") << int(ServerEvent::Connected);
    QTest::newRow("clientMessageReceived") << int(ServerEvent::Message);
    QTest::newRow("clientMessageSent") << int(ServerEvent::Sent);
    QTest::newRow("clientErrorOccurred") << int(ServerEvent::ClientError);
    QTest::newRow("clientDisconnected") << int(ServerEvent::Disconnected);
}

// Runs the action in the slot of this signal; everything else works as in a simple echo server.
void tst_Reentrancy::installHook(ServerRecorder &recorder, int kind, const Action &action)
{
    recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                              const QByteArray &data) { connection->asyncWrite(data); };
    switch (kind) {
    case ServerEvent::Ready:
        recorder.onReady() = [action] { action({}); };
        break;
    case ServerEvent::Connected:
        recorder.onConnected() = action;
        break;
    case ServerEvent::Message:
        recorder.onMessage() = [action](const NamedPipeServerConnectionPtr &connection,
                                        const QVariant &,
                                        const QByteArray &) { action(connection); };
        break;
    case ServerEvent::Sent:
        recorder.onSent() = [action](const NamedPipeServerConnectionPtr &connection,
                                     const QVariant &) { action(connection); };
        break;
    case ServerEvent::ClientError:
        recorder.onClientError() = [action](const NamedPipeServerConnectionPtr &connection,
                                            NamedPipe::Error) { action(connection); };
        break;
    case ServerEvent::Disconnected:
        recorder.onDisconnected() = action;
        break;
    default:
        break;
    }
}

// Makes that signal come; the server takes messages of at most 1000 bytes.
void tst_Reentrancy::provoke(ServerRecorder &recorder, const QString &name, int kind, RawPeer &peer)
{
    if (kind == ServerEvent::Ready)
        return;
    QVERIFY(peer.connectTo(name));
    if (kind == ServerEvent::Connected)
        return;
    QVERIFY(recorder.waitFor(ServerEvent::Connected));
    if (kind == ServerEvent::ClientError) {
        peer.sendMessage(payload(2000)); // the server may be gone before all of it is taken
    } else if (kind == ServerEvent::Disconnected) {
        peer.close();
    } else {
        for (int number = 0; number < 10; ++number)
            QVERIFY(peer.sendMessage(numbered(number)));
    }
}

void tst_Reentrancy::stopInASlot_data()
{
    addSlotRows(false);
}

void tst_Reentrancy::stopInASlot()
{
    QFETCH(int, kind);
    TestServer ts;
    int calls = 0;
    bool runningAfterStop = true;
    installHook(ts.recorder, kind, [&](const NamedPipeServerConnectionPtr &) {
        if (calls++ > 0)
            return;
        ts.server.stop();
        runningAfterStop = ts.server.isRunning();
    });
    ts.server.setMaximumMessageSize(1000);
    for (int round = 1; round <= 2; ++round) { // and start() works afterwards
        calls = 0;
        QVERIFY(ts.start());
        RawPeer peer;
        provoke(ts.recorder, ts.name(), kind, peer);
        QVERIFY(ts.recorder.waitFor(ServerEvent::Stopped));
        QVERIFY(!runningAfterStop);
        QVERIFY(!ts.server.isRunning());
        if (peer.isOpen()) {
            while (peer.receiveMessage()) { }
            QVERIFY(peer.atEnd());
        }
        watchFor(std::chrono::milliseconds(30));
        QCOMPARE(ts.recorder.count(ServerEvent::Stopped), 1);
        QCOMPARE(ts.recorder.count(ServerEvent::Disconnected),
                 ts.recorder.count(ServerEvent::Connected));
        ts.recorder.clear();
    }
}

void tst_Reentrancy::stopOnAWorkerReturnsAtOnce_data()
{
    addSlotRows(true);
}

void tst_Reentrancy::stopOnAWorkerReturnsAtOnce()
{
    QFETCH(int, kind);
    TestServer ts;
    std::atomic<bool> returned { false };
    installHook(ts.recorder, kind, [&](const NamedPipeServerConnectionPtr &) {
        ts.server.stop();
        returned = true;
    });
    ts.server.setFreeThreadingEvents(true);
    ts.server.setMaximumMessageSize(1000);
    QVERIFY(ts.start());
    RawPeer peer;
    provoke(ts.recorder, ts.name(), kind, peer);
    QVERIFY(waitWithoutEvents([&] { return returned.load(); })); // this thread is no help meanwhile
    QVERIFY(ts.recorder.waitFor(ServerEvent::Stopped));
    QVERIFY(!ts.server.isRunning());
    QCOMPARE(ts.recorder.count(ServerEvent::Disconnected),
             ts.recorder.count(ServerEvent::Connected));
    QCOMPARE(ts.recorder.count(ServerEvent::Stopped), 1);
}

void tst_Reentrancy::deleteTheServerInASlot_data()
{
    addSlotRows(false);
    QTest::newRow("stopped") << int(ServerEvent::Stopped);
}

void tst_Reentrancy::deleteTheServerInASlot()
{
    QFETCH(int, kind);
    const QString name = scratchName();
    QPointer<NamedPipeServer> server = new NamedPipeServer(name);
    ServerRecorder recorder(server);
    const auto deleteIt = [&server](const NamedPipeServerConnectionPtr &) { delete server.data(); };
    installHook(recorder, kind, deleteIt);
    recorder.onStopped() = [&deleteIt] { deleteIt({}); };
    server->setMaximumMessageSize(1000);
    QVERIFY(server->start());
    RawPeer peer;
    provoke(recorder, name, kind, peer);
    if (kind == ServerEvent::Stopped)
        server->stop();
    QVERIFY(waitUntil([&] { return server.isNull(); }));
    if (peer.isOpen()) {
        while (peer.receiveMessage()) { }
        QVERIFY(peer.atEnd());
    }
    NamedPipeServer successor(name);
    QVERIFY2(successor.start(), qPrintable(successor.errorString()));
    QCOMPARE(recorder.count(ServerEvent::Stopped), kind == ServerEvent::Stopped ? 1 : 0);
}

void tst_Reentrancy::restartInTheStoppedSlot()
{
    TestServer ts;
    bool restarted = false;
    ts.recorder.onStopped() = [&] {
        if (!std::exchange(restarted, true))
            ts.server
                    .start(); // refused while stop() runs, or a proper start: but nothing in between
    };
    QVERIFY(ts.start());
    ts.server.stop();
    QVERIFY(restarted);
    if (!ts.server.isRunning())
        QVERIFY(ts.start());
    QVERIFY(ts.connectPeer().isOpen());
}

void tst_Reentrancy::closeInASlot_data()
{
    addSlotRows(true);
}

void tst_Reentrancy::closeInASlot()
{
    QFETCH(int, kind);
    TestServer ts;
    installHook(ts.recorder, kind,
                [](const NamedPipeServerConnectionPtr &connection) { connection->asyncClose(); });
    ts.server.setMaximumMessageSize(1000);
    QVERIFY(ts.start());
    RawPeer peer;
    provoke(ts.recorder, ts.name(), kind, peer);
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    if (kind == ServerEvent::Message) // the nine others are discarded with it
        QCOMPARE(ts.recorder.count(ServerEvent::Message), 1);
    if (kind == ServerEvent::Connected || kind == ServerEvent::Message || kind == ServerEvent::Sent)
        QCOMPARE(ts.connection()->closeReason(), NamedPipe::ClosedByServer);
    if (kind == ServerEvent::ClientError)
        QCOMPARE(ts.connection()->closeReason(), NamedPipe::Failed);
    if (kind == ServerEvent::Disconnected)
        QCOMPARE(ts.connection()->closeReason(), NamedPipe::ClosedByClient);
    watchFor(std::chrono::milliseconds(30));
    QCOMPARE(ts.recorder.count(ServerEvent::Disconnected), 1);
    QCOMPARE(ts.server.connectionCount(), 0);
}

void tst_Reentrancy::droppingAllReferencesInASlotIsSafe_data()
{
    addSlotRows(true);
}

void tst_Reentrancy::droppingAllReferencesInASlotIsSafe()
{
    QFETCH(int, kind);
    TestServer ts(ServerRecorder::CountOnly);
    QWeakPointer<NamedPipeServerConnection> seen;
    NamedPipeServerConnectionPtr kept;
    installHook(ts.recorder, kind, [&](const NamedPipeServerConnectionPtr &connection) {
        kept = connection;
        seen = connection;
        kept.reset();
        if (const auto own = seen.toStrongRef())
            own->asyncClose();
    });
    ts.server.setMaximumMessageSize(1000);
    QVERIFY(ts.start());
    RawPeer peer;
    provoke(ts.recorder, ts.name(), kind, peer);
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    QVERIFY(waitUntil([&] { return seen.isNull(); })); // the library keeps nothing
}

void tst_Reentrancy::nestedEventLoopInASlotDoesNotReorder()
{
    TestServer ts;
    int depth = 0;
    ts.recorder.onMessage() = [&](const auto &, const auto &, const QByteArray &data) {
        if (numberOf(data) % 10 == 0 && depth < 3) {
            ++depth;
            waitUntil([] { return false; }, std::chrono::milliseconds(5));
            --depth;
        }
    };
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    for (int number = 0; number < 100; ++number)
        QVERIFY(peer.sendMessage(numbered(number)));
    peer.close();
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 100));
    const QList<QByteArray> messages = ts.recorder.messages();
    for (int number = 0; number < 100; ++number)
        QCOMPARE(numberOf(messages.at(number)), number);
}

namespace {

/// Sends what is logged to all clients, as an application does that is watched through its pipe,
/// and looks at the server.
class LogForwarder
{
public:
    explicit LogForwarder(NamedPipeServer &server)
    {
        s_server = &server;
        s_lines = 0;
        QLoggingCategory::setFilterRules(u"qtnamedpipes.*=true"_s);
        m_previous = qInstallMessageHandler(forward);
    }
    ~LogForwarder()
    {
        qInstallMessageHandler(m_previous);
        QLoggingCategory::setFilterRules(QString());
    }
    LogForwarder(const LogForwarder &) = delete;
    LogForwarder &operator=(const LogForwarder &) = delete;

    static int lines() { return s_lines; }

private:
    static void forward(QtMsgType, const QMessageLogContext &, const QString &text)
    {
        static thread_local bool isForwarding = false;
        if (std::exchange(isForwarding, true))
            return;
        ++s_lines;
        s_server->asyncBroadcast(text.toUtf8());
        for (const auto &connection : s_server->connections())
            connection->bytesToWrite();
        s_server->errorString();
        s_server->statistics();
        isForwarding = false;
    }

    QtMessageHandler m_previous;
    static inline NamedPipeServer *s_server = nullptr;
    static inline std::atomic<int> s_lines { 0 };
};

} // namespace

void tst_Reentrancy::logHandlerMayCallTheServer_data()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::newRow("marshalled") << false;
    QTest::newRow("free-threaded") << true;
}

// No lock is held while something is logged.
void tst_Reentrancy::logHandlerMayCallTheServer()
{
    QFETCH(bool, freeThreaded);
    TestServer ts;
    ts.server.setFreeThreadingEvents(freeThreaded);
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &data) { connection->asyncWrite(data); };
    const LogForwarder forwarder(ts.server);
    QVERIFY(ts.start());
    RawPeer watching = ts.connectPeer();
    QVERIFY(watching.isOpen());
    {
        RawPeer passing = ts.connectPeer();
        QVERIFY(passing.sendMessage("hello"));
        QVERIFY(ts.recorder.waitFor(ServerEvent::Message));
    }
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    const auto enterAgain = [&] { ts.server.manualMessageLoopEnter(); }; // which is refused, loudly
    QTimer::singleShot(0, &ts.server, enterAgain);
    QTimer::singleShot(0, &ts.server, &NamedPipeServer::manualMessageLoopLeave);
    ts.server.manualMessageLoopEnter();
    ts.connection(0)->asyncClose(NamedPipe::SendPending);
    ts.server.stop();
    QVERIFY2(forwarder.lines() >= 3, qPrintable(QString::number(forwarder.lines())));
    bool isTold = false;
    while (const auto line = watching.receiveMessage())
        isTold = isTold || line->contains("->");
    QVERIFY(isTold);
}

QTEST_GUILESS_MAIN(tst_Reentrancy)
#include "tst_reentrancy.moc"
