// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "iocpfixture.h"

#include "iocp/winsecurity.h"

#include <QtCore/qelapsedtimer.h>
#include <QtTest/QtTest>

#include <algorithm>
#include <thread>

using namespace QtNamedPipes;
using namespace std::chrono_literals;

namespace {

/// An operation that calls a function when it comes out of the port.
class FunctionOperation final : public IoOperation
{
public:
    FunctionOperation(IocpEngine &engine, std::function<void()> function)
        : IoOperation(engine.inFlight()),
          m_function(std::move(function))
    {
    }

private:
    void completed(DWORD, DWORD) override { m_function(); }

    const std::function<void()> m_function;
};

} // namespace

/// The completion port, its workers and its clock; errors and names as Windows has them.
class tst_IocpEngine : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void portThatCannotBeMadeIsSaidSo();
    void tasksRunOnWorkers_data();
    void tasksRunOnWorkers();
    void oneWorkerKeepsTheOrder();
    void delayedTasksRunInTime_data();
    void delayedTasksRunInTime();
    void clockGoesOnWhileAWorkerIsBusy();
    void slowTaskHoldsUpNobodyElse();
    void taskIsNotLostWhenThePortIsOutOfMemory();
    void idleWorkersFindWhatCouldNotBePosted_data();
    void idleWorkersFindWhatCouldNotBePosted();
    void clockThatCannotBeHandedOnIsTakenOver();
    void portThatCannotBeReadIsTriedAgain();
    void shutdownDropsWhatHasNotBegun();
    void shutdownOnAWorkerEndsTheOthers();
    void shutdownWaitsForMemory();
    void operationAfterShutdownLetsGo();
    void startAndShutdownManyTimes();
    void errorsAreTranslated_data();
    void errorsAreTranslated();
    void errorTextNamesTheCall();
    void namesHaveALongestSize();
    void clientsGetNoRightToCreateInstances_data();
    void clientsGetNoRightToCreateInstances();

private:
    static void addThreadRows()
    {
        QTest::addColumn<int>("threads");
        for (const int threads : { 1, 2, 8 })
            QTest::addRow("%d workers", threads) << threads;
    }
};

void tst_IocpEngine::portThatCannotBeMadeIsSaidSo()
{
    ScriptedApi api;
    api.ports << [] {
        SetLastError(ERROR_NO_SYSTEM_RESOURCES);
        return HANDLE();
    };
    const RunningEngine engine;
    QCOMPARE(engine.startError.error, NamedPipe::CompletionPortFailed);
    QCOMPARE(engine.startError.nativeCode, qint64(ERROR_NO_SYSTEM_RESOURCES));
    QCOMPARE(engine.startError.text(),
             QLatin1String("unable to create an IOCP port (CreateIoCompletionPort: 1450)"));
}

void tst_IocpEngine::tasksRunOnWorkers_data()
{
    addThreadRows();
}

void tst_IocpEngine::tasksRunOnWorkers()
{
    QFETCH(int, threads);
    const RunningEngine engine(threads);
    std::atomic<int> done { 0 };
    std::atomic<int> wrong { 0 };
    for (int i = 0; i < 1000; ++i) {
        engine->post(makeTask([&] {
            wrong += engine->isWorkerThread() ? 0 : 1;
            ++done;
        }));
    }
    QVERIFY(waitWithoutEvents([&] { return done == 1000; }));
    QCOMPARE(wrong, 0);
    QVERIFY(!engine->isWorkerThread());
}

void tst_IocpEngine::oneWorkerKeepsTheOrder()
{
    const RunningEngine engine(1);
    QList<int> order;
    std::atomic<int> done { 0 };
    for (int i = 0; i < 500; ++i) {
        engine->post(makeTask([&, i] {
            order.append(i);
            ++done;
        }));
    }
    QVERIFY(waitWithoutEvents([&] { return done == 500; }));
    QVERIFY(std::is_sorted(order.cbegin(), order.cend()));
}

void tst_IocpEngine::delayedTasksRunInTime_data()
{
    addThreadRows();
}

void tst_IocpEngine::delayedTasksRunInTime()
{
    QFETCH(int, threads);
    const RunningEngine engine(threads);
    std::mutex mutex;
    QList<int> order;
    const auto start = Clock::now();
    std::atomic<bool> early { false };
    for (const int delay : { 150, 50, 100, 0, 200 }) {
        const auto when = start + std::chrono::milliseconds(delay);
        engine->postAt(when, makeTask([&, delay, when] {
                           early = early || Clock::now() < when;
                           const std::lock_guard<std::mutex> lock(mutex);
                           order.append(delay);
                       }));
    }
    const auto isDone = [&] {
        const std::lock_guard<std::mutex> lock(mutex);
        return order.size() == 5;
    };
    QVERIFY(waitWithoutEvents(isDone));
    QVERIFY(!early);
    QCOMPARE(order, (QList<int> { 0, 50, 100, 150, 200 }));
    QVERIFY2(Clock::now() - start < 2s, "nothing is left to chance wake-ups");
}

void tst_IocpEngine::clockGoesOnWhileAWorkerIsBusy()
{
    const RunningEngine engine(2);
    for (int round = 0; round < 10; ++round) {
        Gate isBusy, release, ran;
        // Before the task that gets stuck: the worker that watches the clock may well be the one.
        engine->postAt(Clock::now() + 30ms, makeTask([&] { ran.open(); }));
        engine->post(makeTask([&] {
            isBusy.open();
            release.wait();
        }));
        QVERIFY(isBusy.wait());
        const bool ok = ran.wait(5s);
        release.open();
        QVERIFY(ok);
        // The one that was stuck must be out of the gates before they go.
        std::atomic<int> through { 0 };
        engine->post(makeTask([&] { ++through; }));
        QVERIFY(waitWithoutEvents([&] { return through == 1; }));
        watchFor(5ms);
    }
}

void tst_IocpEngine::slowTaskHoldsUpNobodyElse()
{
    const RunningEngine engine(2);
    Gate release;
    std::atomic<int> done { 0 };
    engine->post(makeTask([&] { release.wait(); }));
    for (int i = 0; i < 200; ++i)
        engine->post(makeTask([&] { ++done; }));
    const bool ok = waitWithoutEvents([&] { return done == 200; }, 10s);
    release.open();
    QVERIFY(ok);
}

void tst_IocpEngine::taskIsNotLostWhenThePortIsOutOfMemory()
{
    ScriptedApi api;
    const RunningEngine engine(2);
    std::atomic<int> done { 0 };
    api.posts << [] { return ScriptedApi::fail(ERROR_NO_SYSTEM_RESOURCES); };
    engine->post(makeTask([&] { ++done; }));
    engine->post(makeTask([&] { ++done; })); // wakes a worker, which then finds the other, too
    QVERIFY(waitWithoutEvents([&] { return done == 2; }));
}

void tst_IocpEngine::idleWorkersFindWhatCouldNotBePosted_data()
{
    addThreadRows();
}

void tst_IocpEngine::idleWorkersFindWhatCouldNotBePosted()
{
    QFETCH(int, threads);
    for (const bool isForLater : { false, true }) {
        Gate ran; // outlives the task
        ScriptedApi api;
        const RunningEngine engine(threads);
        QVERIFY(waitWithoutEvents([&] { return api.waits >= threads; }));
        api.posts << [] { return ScriptedApi::fail(ERROR_NO_SYSTEM_RESOURCES); };
        if (isForLater)
            engine->postAt(Clock::now() + 10ms, makeTask([&] { ran.open(); }));
        else
            engine->post(makeTask([&] { ran.open(); }));
        QVERIFY(ran.wait());
    }
}

// The worker that watches the clock gets stuck, and there is no memory to tell the other one.
void tst_IocpEngine::clockThatCannotBeHandedOnIsTakenOver()
{
    Gate ran, release; // outlive the tasks
    ScriptedApi api;
    const RunningEngine engine(2);
    std::atomic<int> stuck { 0 };
    const auto getStuck = [&] {
        ++stuck;
        release.wait();
    };
    engine->postAt(Clock::now() + 1000ms, makeTask([&] { ran.open(); }));
    QVERIFY(waitWithoutEvents([&] { return api.waits >= 3; })); // told to watch, and watching
    const int posted = api.posts.calls();
    api.posts.always([] { return ScriptedApi::fail(ERROR_NO_SYSTEM_RESOURCES); });
    for (int i = 1; i <= 2 && api.posts.calls() == posted; ++i) { // the first may be the other one
        const auto operation = std::make_shared<FunctionOperation>(*engine.engine, getStuck);
        api.queuePacket(operation->begin(operation), StatusSuccess, 0);
        waitWithoutEvents([&] { return stuck == i; });
    }
    const bool couldNotTell = api.posts.calls() > posted;
    if (stuck == 2) // nobody is left to take over
        release.open();
    const bool hasRun = ran.wait();
    release.open();
    api.posts.always(nullptr);
    QVERIFY(couldNotTell);
    QVERIFY(hasRun);
}

void tst_IocpEngine::portThatCannotBeReadIsTriedAgain()
{
    ScriptedApi api;
    const auto refuse = [] { return ScriptedApi::fail(ERROR_NO_SYSTEM_RESOURCES); };
    api.takes << refuse << refuse;
    for (int i = 0; i < 2; ++i)
        QTest::ignoreMessage(QtWarningMsg, "GetQueuedCompletionStatusEx: error 1450");
    const RunningEngine engine;
    Gate ran;
    engine->post(makeTask([&] { ran.open(); }));
    QVERIFY(ran.wait());
}

void tst_IocpEngine::shutdownDropsWhatHasNotBegun()
{
    std::atomic<int> done { 0 };
    auto later = makeTask([&] { ++done; });
    auto waiting = makeTask([&] { ++done; });
    {
        const RunningEngine engine(1);
        Gate isBusy, release;
        engine->post(makeTask([&] {
            isBusy.open();
            release.wait();
        }));
        QVERIFY(isBusy.wait());
        engine->post(waiting);
        engine->postAt(Clock::now() + 50ms, later);
        std::thread shutter([&] { engine->shutdown(); });
        watchFor(50ms);
        release.open();
        shutter.join();
        engine->post(waiting);
        engine->postAt(Clock::now(), later);
        watchFor(100ms);
    }
    QCOMPARE(done, 0);
    QCOMPARE(waiting.use_count(), 1);
    QCOMPARE(later.use_count(), 1);
}

void tst_IocpEngine::shutdownOnAWorkerEndsTheOthers()
{
    for (const int threads : { 1, 2, 8 }) {
        Gate done;
        std::weak_ptr<IocpEngine> alive;
        {
            const RunningEngine engine(threads);
            alive = engine.engine;
            engine->post(makeTask([&] {
                engine->shutdown();
                done.open();
            }));
            QVERIFY(done.wait());
        }
        QVERIFY(waitUntil([&] { return alive.expired(); }));
    }
}

void tst_IocpEngine::shutdownWaitsForMemory()
{
    ScriptedApi api;
    const RunningEngine engine(2);
    const int posted = api.posts.calls();
    const auto refuse = [] { return ScriptedApi::fail(ERROR_NO_SYSTEM_RESOURCES); };
    api.posts << refuse << refuse;
    engine->shutdown();
    QCOMPARE(api.posts.calls() - posted, 2 + 2);
}

// An endpoint may be used when its server has gone.
void tst_IocpEngine::operationAfterShutdownLetsGo()
{
    const RunningEngine engine;
    engine->shutdown();
    int completions = 0;
    const auto operation =
            std::make_shared<FunctionOperation>(*engine.engine, [&] { ++completions; });
    engine->complete(*operation, operation, StatusSuccess);
    QCOMPARE(operation.use_count(), 1);
    QCOMPARE(engine->inFlight().load(), qint64(0));
    QCOMPARE(completions, 0);
}

void tst_IocpEngine::startAndShutdownManyTimes()
{
    for (int i = 0; i < 50; ++i) {
        const RunningEngine engine(1 + i % 4);
        QVERIFY(!engine.startError);
        engine->post(makeTask([] {}));
    }
}

// --- Errors, names, rights ---

void tst_IocpEngine::errorsAreTranslated_data()
{
    QTest::addColumn<qint32>("status");
    QTest::addColumn<quint32>("code");
    QTest::addColumn<NamedPipe::Error>("error");
    const auto row = [](const char *name, quint32 status, quint32 code, NamedPipe::Error error) {
        QTest::newRow(name) << qint32(status) << code << error;
    };
    row("success", 0, ERROR_SUCCESS, NamedPipe::NoError);
    row("more data", 0x80000005, ERROR_MORE_DATA, NamedPipe::SystemError);
    row("broken", 0xC000014B, ERROR_BROKEN_PIPE, NamedPipe::ConnectionBroken);
    row("closing", 0xC00000B1, ERROR_NO_DATA, NamedPipe::ConnectionBroken);
    row("disconnected", 0xC00000B0, ERROR_PIPE_NOT_CONNECTED, NamedPipe::ConnectionBroken);
    row("end of file", 0xC0000011, ERROR_HANDLE_EOF, NamedPipe::ConnectionBroken);
    row("cancelled", 0xC0000120, ERROR_OPERATION_ABORTED, NamedPipe::SystemError);
    row("no pool", 0xC000009A, ERROR_NO_SYSTEM_RESOURCES, NamedPipe::ResourceExhausted);
    row("no memory", 0xC0000017, ERROR_NOT_ENOUGH_MEMORY, NamedPipe::ResourceExhausted);
    row("no quota", 0xC0000044, ERROR_NOT_ENOUGH_QUOTA, NamedPipe::ResourceExhausted);
    row("denied", 0xC0000022, ERROR_ACCESS_DENIED, NamedPipe::AccessDenied);
}

void tst_IocpEngine::errorsAreTranslated()
{
    QFETCH(qint32, status);
    QFETCH(quint32, code);
    QFETCH(NamedPipe::Error, error);
    QCOMPARE(winErrorFromStatus(status), DWORD(code));
    QCOMPARE(translateWinError(code), error);
}

void tst_IocpEngine::errorTextNamesTheCall()
{
    const QString text = winError(ERROR_ACCESS_DENIED, "CreateNamedPipe").text();
    QVERIFY2(text.endsWith(QLatin1String(" (CreateNamedPipe: 5)")), qPrintable(text));
    QVERIFY(!text.startsWith(QLatin1String(" (")));
    QVERIFY(!text.contains(QLatin1Char('\n')));
    QVERIFY(!platformErrorText(0x7FFF1234).isEmpty());
}

void tst_IocpEngine::namesHaveALongestSize()
{
    QCOMPARE(platformPipePath(QStringLiteral("a b")), QLatin1String("\\\\.\\pipe\\a b"));
    const QString longest(256 - platformPipePath(QString()).size(), QLatin1Char('n'));
    QVERIFY(platformNameFault(longest).isEmpty());
    QVERIFY(!platformNameFault(longest + QLatin1Char('n')).isEmpty());
    const WinHandle pipe(::CreateNamedPipeW(platformPipePath(longest).toStdWString().c_str(),
                                            PIPE_ACCESS_DUPLEX, PIPE_TYPE_MESSAGE, 1, 0, 0, 0,
                                            nullptr));
    QVERIFY(pipe);
}

void tst_IocpEngine::clientsGetNoRightToCreateInstances_data()
{
    QTest::addColumn<int>("access");
    QTest::addColumn<int>("clientEntries");
    QTest::newRow("user") << int(NamedPipe::UserAccess) << 0;
    QTest::newRow("group") << int(NamedPipe::UserAccess | NamedPipe::GroupAccess) << 1;
    QTest::newRow("group only") << int(NamedPipe::GroupAccess) << 1;
    QTest::newRow("world") << int(NamedPipe::WorldAccess) << 2;
}

void tst_IocpEngine::clientsGetNoRightToCreateInstances()
{
    QFETCH(int, access);
    QFETCH(int, clientEntries);
    QString sddl;
    QVERIFY(!WinSecurity::describe(NamedPipe::AccessOptions(access), &sddl));
    QVERIFY2(sddl.startsWith(QLatin1String("O:S-1-")), qPrintable(sddl));
    QVERIFY2(sddl.contains(QLatin1String("D:P(A;;FA;;;S-1-")), qPrintable(sddl));
    QCOMPARE(sddl.count(QLatin1String("(A;;FA;;;")), 3);
    QCOMPARE(sddl.count(QLatin1String("(A;;0x0012019b;;;")), clientEntries);
    QCOMPARE(sddl.count(QLatin1Char('(')), 3 + clientEntries);
}

QTEST_GUILESS_MAIN(tst_IocpEngine)

#include "tst_iocp_engine.moc"
