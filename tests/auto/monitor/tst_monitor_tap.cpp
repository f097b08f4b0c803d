// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "messagetap.h"
#include "payload.h"
#include "waiting.h"

#include <QtTest/QtTest>

#include <vector>

/// The way of messages from the workers to the window in free-threaded mode.
class tst_MonitorTap : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void everyMessageIsTakenOrCounted();
    void onlySomeAreKept();
    void messagesAreAsTheyWere();
};

void tst_MonitorTap::everyMessageIsTakenOrCounted()
{
    constexpr int threads = 4;
    constexpr int messages = 20'000;
    MessageTap tap;
    std::atomic<int> running { threads };
    std::vector<std::future<bool>> workers;
    for (int worker = 0; worker < threads; ++worker) {
        workers.push_back(runClient([&, worker] {
            for (int i = 0; i < messages; ++i)
                tap.offer(i % 2 == 0, quint64(worker), numbered(i));
            --running;
            return true;
        }));
    }
    qint64 taken = 0;
    qint64 passed = 0;
    for (bool isLast = false; !isLast;) {
        isLast = running == 0;
        qint64 more = 0;
        taken += tap.take(&more).size();
        passed += more;
    }
    for (auto &worker : workers)
        QVERIFY(waitForTask(worker) && worker.get());
    QCOMPARE(taken + passed, qint64(threads) * messages);
    QVERIFY(taken > 0);
}

void tst_MonitorTap::onlySomeAreKept()
{
    MessageTap tap;
    for (int i = 0; i < 100'000; ++i)
        tap.offer(true, 1, "message");
    qint64 passed = 0;
    const auto kept = tap.take(&passed).size();
    QVERIFY(kept > 0 && kept <= 1000);
    QCOMPARE(kept + passed, 100'000);
    tap.offer(true, 1, "message"); // and then there is room again
    QCOMPARE(tap.take(&passed).size(), 1);
    QCOMPARE(passed, 0);
}

void tst_MonitorTap::messagesAreAsTheyWere()
{
    MessageTap tap;
    tap.offer(true, 7, "in");
    tap.offer(false, 8, "out");
    qint64 passed = 0;
    const auto messages = tap.take(&passed);
    QCOMPARE(messages.size(), 2);
    QVERIFY(messages[0].isIncoming && messages[0].client == 7 && messages[0].data == "in");
    QVERIFY(!messages[1].isIncoming && messages[1].client == 8 && messages[1].data == "out");
}

QTEST_GUILESS_MAIN(tst_MonitorTap)
#include "tst_monitor_tap.moc"
