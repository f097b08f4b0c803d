// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "core/timerqueue.h"
#include "waiting.h"

#include <QtTest/QtTest>

#include <atomic>
#include <functional>
#include <thread>

using namespace QtNamedPipes;
using namespace std::chrono_literals;

/// What an engine has to do later.
class tst_TimerQueue : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void emptyQueueHasNothingToWaitFor();
    void firstTaskMustWakeTheWaiter();
    void dueTasksComeInOrderOfTime();
    void tasksOfOneTimeKeepTheirOrder();
    void whatIsNotDueStays();
    void waitIsRoundedUpAndBounded();
    void takenTasksAreGone();
    void clearLetsGoUnlocked();
    void manyThreadsLoseNothing();
};

namespace {

class Note final : public EngineTask
{
public:
    explicit Note(std::function<void()> run, std::function<void()> gone = {})
        : m_run(std::move(run)),
          m_gone(std::move(gone))
    {
    }
    ~Note() override
    {
        if (m_gone)
            m_gone();
    }
    void run() override { m_run(); }

private:
    const std::function<void()> m_run;
    const std::function<void()> m_gone;
};

std::shared_ptr<EngineTask> note(QList<int> &list, int number)
{
    return std::make_shared<Note>([&list, number] { list.append(number); });
}

void runDue(TimerQueue &queue)
{
    for (const auto &task : queue.takeDue())
        task->run();
}

} // namespace

void tst_TimerQueue::emptyQueueHasNothingToWaitFor()
{
    TimerQueue queue;
    QCOMPARE(queue.millisecondsToNext(), -1);
    QVERIFY(queue.takeDue().empty());
    queue.clear();
}

void tst_TimerQueue::firstTaskMustWakeTheWaiter()
{
    TimerQueue queue;
    QList<int> ran;
    const auto now = Clock::now();
    QVERIFY(queue.add(now + 10s, note(ran, 1)));
    QVERIFY(!queue.add(now + 20s, note(ran, 2)));
    QVERIFY(queue.add(now + 5s, note(ran, 3)));
    QVERIFY(!queue.add(now + 5s, note(ran, 4))); // the waiter wakes for the other one then
}

void tst_TimerQueue::dueTasksComeInOrderOfTime()
{
    TimerQueue queue;
    QList<int> ran;
    const auto past = Clock::now() - 1s;
    for (int number : { 3, 1, 4, 0, 2 })
        queue.add(past + std::chrono::milliseconds(number), note(ran, number));
    QCOMPARE(queue.millisecondsToNext(), 0);
    runDue(queue);
    QCOMPARE(ran, QList<int>({ 0, 1, 2, 3, 4 }));
}

void tst_TimerQueue::tasksOfOneTimeKeepTheirOrder()
{
    TimerQueue queue;
    QList<int> ran;
    const auto past = Clock::now() - 1s;
    for (int number = 0; number < 5; ++number)
        queue.add(past, note(ran, number));
    runDue(queue);
    QCOMPARE(ran, QList<int>({ 0, 1, 2, 3, 4 }));
}

void tst_TimerQueue::whatIsNotDueStays()
{
    TimerQueue queue;
    QList<int> ran;
    queue.add(Clock::now() + 1h, note(ran, 2));
    queue.add(Clock::now() - 1ms, note(ran, 1));
    runDue(queue);
    runDue(queue);
    QCOMPARE(ran, QList<int>({ 1 }));
    QVERIFY(queue.millisecondsToNext() > 0);
}

void tst_TimerQueue::waitIsRoundedUpAndBounded()
{
    TimerQueue queue;
    QList<int> ran;
    // Who waits for what he is told finds the task due, and has not woken for nothing.
    queue.add(Clock::now() + 1500us, note(ran, 1));
    const int wait = queue.millisecondsToNext();
    QVERIFY(wait >= 0 && wait <= 2);
    QVERIFY(waitWithoutEvents([&] {
        if (queue.millisecondsToNext() == 0) {
            runDue(queue);
            return true;
        }
        return false;
    }));
    QCOMPARE(ran, QList<int>({ 1 }));
    queue.add(Clock::now() + 24h * 365, note(ran, 2)); // no overflow
    QVERIFY(queue.millisecondsToNext() > 0);
    QVERIFY(queue.millisecondsToNext() <= 24 * 3600 * 1000);
}

void tst_TimerQueue::takenTasksAreGone()
{
    TimerQueue queue;
    bool gone = false;
    queue.add(Clock::now() - 1s, std::make_shared<Note>([] {}, [&] { gone = true; }));
    {
        const auto due = queue.takeDue();
        QCOMPARE(due.size(), size_t(1));
        QVERIFY(!gone);
        QCOMPARE(queue.millisecondsToNext(), -1);
    }
    QVERIFY(gone);
}

void tst_TimerQueue::clearLetsGoUnlocked()
{
    TimerQueue queue;
    QList<int> ran;
    int gone = 0;
    for (int i = 0; i < 3; ++i) {
        queue.add(Clock::now() + 1h,
                  std::make_shared<Note>(
                          [] {},
                          [&] {
                              ++gone;
                              queue.add(Clock::now(),
                                        note(ran, gone)); // a lock that is held would hang here
                          }));
    }
    queue.clear();
    QCOMPARE(gone, 3);
    runDue(queue);
    QCOMPARE(ran.size(), 3);
}

void tst_TimerQueue::manyThreadsLoseNothing()
{
    constexpr int threads = 4;
    constexpr int tasks = 1000;
    TimerQueue queue;
    std::atomic<int> ran { 0 };
    const auto task = std::make_shared<Note>([&ran] { ++ran; });
    std::vector<std::thread> workers;
    for (int i = 0; i < threads; ++i) {
        workers.emplace_back([&] {
            for (int j = 0; j < tasks; ++j) {
                queue.add(Clock::now() + std::chrono::microseconds(j % 50), task);
                runDue(queue);
            }
        });
    }
    for (std::thread &worker : workers)
        worker.join();
    QVERIFY(waitWithoutEvents([&] {
        runDue(queue);
        return ran == threads * tasks;
    }));
    QCOMPARE(queue.millisecondsToNext(), -1);
}

QTEST_GUILESS_MAIN(tst_TimerQueue)
#include "tst_timer_queue.moc"
