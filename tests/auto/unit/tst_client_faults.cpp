// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "faultycalls.h"

#include <QtNamedPipes/NamedPipeClientManager>

using namespace QtNamedPipes;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

/// Connecting on the engine of this system, when system calls fail that hardly ever do.
class tst_ClientFaults : public FaultySuite
{
    Q_OBJECT

private Q_SLOTS:
    void interruptedConnectIsDoneAgain();
    void fullBacklogIsTriedAgain();
    void fullBacklogTimesOut();
    void failuresAreTranslated_data();
    void failuresAreTranslated();
    void portThatCannotBeMadeIsTold_data();
    void portThatCannotBeMadeIsTold();
    void connectionThatCannotBeWatchedFails();
    void reconnectSurvivesEveryFailure_data();
    void reconnectSurvivesEveryFailure();
    void waitingCostsNoTime_data();
    void waitingCostsNoTime();
};

namespace {

/// A manager with one connection, and what that tells.
struct Client
{
    void dial(const QString &name)
    {
        connection = manager.connectToServer(name);
        const auto *raw = connection.get();
        QObject::connect(raw, &NamedPipeClientConnection::connected, [this] { ++connected; });
        QObject::connect(raw, &NamedPipeClientConnection::disconnected, [this] { ++disconnected; });
        QObject::connect(raw, &NamedPipeClientConnection::messageReceived,
                         [this](const QVariant &, const QByteArray &data) { answer = data; });
        QObject::connect(raw, &NamedPipeClientConnection::errorOccurred,
                         [this](NamedPipe::Error error, const QString &text) {
                             errors.append(error);
                             lastText = text;
                         });
    }
    bool connects(int times = 1)
    {
        return waitUntil([this, times] { return connected >= times; });
    }
    bool fails()
    {
        return waitUntil([this] { return !errors.isEmpty(); });
    }
    bool echoes()
    {
        answer.clear();
        return connection->asyncWrite("hello"_ba)
                && waitUntil([this] { return answer == "hello"_ba; });
    }

    int connected = 0;
    int disconnected = 0;
    QByteArray answer;
    QList<NamedPipe::Error> errors;
    QString lastText;
    NamedPipeClientManager manager;
    NamedPipeClientConnectionPtr connection;
};

} // namespace

void tst_ClientFaults::interruptedConnectIsDoneAgain()
{
    EchoServer echo;
    QVERIFY(echo.server.start());
    Client client;
    client.manager.setConnectTimeout(0); // no second try
    connectFault.set(EINTR, 3);
    client.dial(echo.server.pipeName());
    QVERIFY(client.connects());
    QCOMPARE(connectFault.calls.load(), 4);
    QVERIFY(client.echoes());
}

void tst_ClientFaults::fullBacklogIsTriedAgain()
{
    EchoServer echo;
    QVERIFY(echo.server.start());
    Client client;
    connectFault.set(EAGAIN, 10);
    client.dial(echo.server.pipeName());
    QVERIFY(client.connects());
    QCOMPARE(connectFault.calls.load(), 11);
    QVERIFY(client.errors.isEmpty());
    QVERIFY(client.echoes());
}

void tst_ClientFaults::fullBacklogTimesOut()
{
    Client client;
    client.manager.setConnectTimeout(50);
    connectFault.set(EAGAIN, always);
    QElapsedTimer passed;
    passed.start();
    client.dial(scratchName());
    QVERIFY(client.fails());
    QVERIFY(passed.elapsed() >= 50);
    QCOMPARE(client.errors, QList { NamedPipe::ConnectTimeout });
    QVERIFY2(client.lastText.contains(u"connect: 11"_s), qPrintable(client.lastText));
    QVERIFY(connectFault.calls >= 2);
    QCOMPARE(client.connection->closeReason(), NamedPipe::Failed);
}

void tst_ClientFaults::failuresAreTranslated_data()
{
    QTest::addColumn<bool>("inSocket");
    QTest::addColumn<int>("code");
    QTest::addColumn<NamedPipe::Error>("error");
    QTest::newRow("socket: too many files") << true << EMFILE << NamedPipe::ResourceExhausted;
    QTest::newRow("socket: no memory") << true << ENOMEM << NamedPipe::ResourceExhausted;
    QTest::newRow("connect: no file") << false << ENOENT << NamedPipe::NotFound;
    QTest::newRow("connect: nobody listens") << false << ECONNREFUSED << NamedPipe::NotFound;
    QTest::newRow("connect: denied") << false << EACCES << NamedPipe::AccessDenied;
    QTest::newRow("connect: another type") << false << EPROTOTYPE << NamedPipe::Unsupported;
    QTest::newRow("connect: no buffers") << false << ENOBUFS << NamedPipe::ResourceExhausted;
    QTest::newRow("connect: odd") << false << EDOM << NamedPipe::SystemError;
}

void tst_ClientFaults::failuresAreTranslated()
{
    QFETCH(bool, inSocket);
    QFETCH(int, code);
    QFETCH(NamedPipe::Error, error);
    Client client;
    EchoServer echo;
    QVERIFY(echo.server.start());
    (inSocket ? socketFault : connectFault).set(code, 1);
    client.dial(echo.server.pipeName());
    QVERIFY(client.fails());
    QCOMPARE(client.errors, QList { error });
    const QString said = u"%1: %2"_s.arg(inSocket ? u"socket"_s : u"connect"_s).arg(code);
    QVERIFY2(client.lastText.contains(said), qPrintable(client.lastText));
    QCOMPARE(client.connected, 0);
    QCOMPARE(client.disconnected, 0);
}

void tst_ClientFaults::portThatCannotBeMadeIsTold_data()
{
    QTest::addColumn<QString>("call");
    QTest::addColumn<int>("code");
    QTest::newRow("epoll_create1") << u"epoll_create1"_s << EMFILE;
    QTest::newRow("eventfd") << u"eventfd"_s << ENFILE;
    QTest::newRow("epoll_ctl") << u"epoll_ctl"_s << ENOSPC;
}

void tst_ClientFaults::portThatCannotBeMadeIsTold()
{
    QFETCH(QString, call);
    QFETCH(int, code);
    EchoServer echo;
    QVERIFY(echo.server.start());
    Fault &fault = call == u"epoll_create1" ? createFault
            : call == u"eventfd"            ? eventFault
                                            : controlFault;
    Client client;
    fault.set(code, 1);
    client.dial(echo.server.pipeName());
    QVERIFY(client.errors.isEmpty()); // not inside the call
    QVERIFY(client.fails());
    QCOMPARE(client.errors, QList { NamedPipe::CompletionPortFailed });
    QVERIFY2(client.lastText.contains(u"unable to create an IOCP port"_s),
             qPrintable(client.lastText));
    client.dial(echo.server.pipeName()); // the next one makes it
    QVERIFY(client.connects());
    QVERIFY(client.echoes());
}

void tst_ClientFaults::connectionThatCannotBeWatchedFails()
{
    EchoServer echo;
    QVERIFY(echo.server.start());
    Client client;
    client.dial(echo.server.pipeName());
    QVERIFY(client.connects());
    QVERIFY(client.echoes());
    QVERIFY(waitUntil([&] { return echo.connected == 1; }));
    controlEvents = EPOLLRDHUP; // the next to be watched is a connection's: the client's or the
            // server's end
    controlFault.set(ENOSPC, 2);
    Client second;
    second.dial(echo.server.pipeName());
    QVERIFY(waitUntil([&] { return second.disconnected == 1; }));
    QCOMPARE(second.connected, 1);
    QCOMPARE(second.errors, QList { NamedPipe::ResourceExhausted });
    QCOMPARE(second.connection->closeReason(), NamedPipe::Failed);
    QVERIFY(client.echoes());
}

void tst_ClientFaults::reconnectSurvivesEveryFailure_data()
{
    failuresAreTranslated_data();
}

void tst_ClientFaults::reconnectSurvivesEveryFailure()
{
    QFETCH(bool, inSocket);
    QFETCH(int, code);
    QFETCH(NamedPipe::Error, error);
    EchoServer echo;
    QVERIFY(echo.server.start());
    Client client;
    client.manager.setAutoReconnect(true);
    client.manager.setMinimumReconnectDelay(1);
    client.manager.setMaximumReconnectDelay(5);
    (inSocket ? socketFault : connectFault).set(code, 5);
    client.dial(echo.server.pipeName());
    QVERIFY(client.connects());
    QCOMPARE(client.errors, QList { error }); // five times the same
    QVERIFY(client.echoes());
    QVERIFY(waitUntil([&] { return echo.connected == 1; }));
    echo.server.connections().constFirst()->asyncClose();
    QVERIFY(client.connects(2));
    QCOMPARE(client.disconnected, 1);
    QVERIFY(client.echoes());
}

void tst_ClientFaults::waitingCostsNoTime_data()
{
    QTest::addColumn<int>("workers");
    for (const int workers : { 1, 2, 8 })
        QTest::addRow("%d", workers) << workers;
}

/// Workers that wait for a timer must not wake each other.
void tst_ClientFaults::waitingCostsNoTime()
{
    QFETCH(int, workers);
    Client client;
    client.manager.setNumThreadsIOCP(workers);
    client.manager.setWaitForServer(true);
    client.manager.setConnectTimeout(-1);
    client.dial(scratchName());
    QVERIFY(waitUntil([] { return connectFault.calls >= 10; })); // 25 to 50 ms apart by now
    connectFault.calls = 0;
    waitFault.calls = 0;
    QVERIFY(waitUntil([] { return connectFault.calls >= 20; }));
    // Each try ends the waiting of each worker, and may wake one more.
    const int allowed = connectFault.calls * (2 * workers + 4);
    QVERIFY2(waitFault.calls <= allowed,
             qPrintable(u"%1 waits for %2 tries"_s.arg(waitFault.calls).arg(connectFault.calls)));
}

QTEST_GUILESS_MAIN(tst_ClientFaults)
#include "tst_client_faults.moc"
