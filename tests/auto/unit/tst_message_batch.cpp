// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "core/messagebatch.h"

#include <QtTest/QtTest>

#include <atomic>
#include <thread>

using namespace QtNamedPipes;
using namespace Qt::StringLiterals;

/// Batches, and the pool that their blocks come from and go back to.
class tst_MessageBatch : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void countsWhatItHolds();
    void clearKeepsTheBlock();
    void takenBatchIsEmptyWithABlockOfItsOwn();
    void givenBlockIsTakenAgain();
    void sharedBlockIsNotTakenBack();
    void blockOfAnotherSizeIsNotTakenBack();
    void batchWithoutBlockIsNotTakenBack();
    void givenBatchHoldsNothingOfItsMessages();
    void poolKeepsABoundedNumber();
    void poolServesManyThreads();
};

void tst_MessageBatch::countsWhatItHolds()
{
    MessageBatch batch;
    QVERIFY(batch.isEmpty());
    QCOMPARE(batch.count(), qint64(0));
    batch.hasWhole = true; // an empty one
    QVERIFY(!batch.isEmpty());
    QCOMPARE(batch.count(), qint64(1));
    QCOMPARE(batch.bytes(), qint64(0));
    batch.whole = "abc"_ba;
    batch.spans = { { 0, 10 }, { 10, 0 }, { 10, 5 } };
    QCOMPARE(batch.count(), qint64(4));
    QCOMPARE(batch.bytes(), qint64(18));
}

void tst_MessageBatch::clearKeepsTheBlock()
{
    MessageBatch batch;
    batch.block = QByteArray(100, 'x');
    const char *const block = batch.block.constData();
    batch.whole = "abc"_ba;
    batch.hasWhole = true;
    batch.spans = { { 0, 10 } };
    batch.clear();
    QVERIFY(batch.isEmpty() && batch.whole.isNull());
    QCOMPARE(batch.block.constData(), block);
    QCOMPARE(batch.block.size(), qsizetype(100));
}

void tst_MessageBatch::takenBatchIsEmptyWithABlockOfItsOwn()
{
    BatchPool pool(1000);
    QCOMPARE(pool.blockSize(), qsizetype(1000));
    MessageBatch one = pool.take();
    MessageBatch two = pool.take();
    QVERIFY(one.isEmpty() && two.isEmpty());
    QCOMPARE(one.block.size(), qsizetype(1000));
    QVERIFY(one.block.isDetached() && two.block.isDetached());
    QVERIFY(one.block.constData() != two.block.constData());
}

void tst_MessageBatch::givenBlockIsTakenAgain()
{
    BatchPool pool(1000);
    MessageBatch batch = pool.take();
    const char *const block = batch.block.constData();
    pool.give(std::move(batch));
    QCOMPARE(pool.take().block.constData(), block);
}

void tst_MessageBatch::sharedBlockIsNotTakenBack()
{
    BatchPool pool(1000);
    MessageBatch batch = pool.take();
    const QByteArray keptBySomebody = batch.block;
    pool.give(std::move(batch));
    MessageBatch next = pool.take();
    QVERIFY(next.block.constData() != keptBySomebody.constData());
    QVERIFY(next.block.isDetached());
}

void tst_MessageBatch::blockOfAnotherSizeIsNotTakenBack()
{
    BatchPool pool(1000);
    for (qsizetype size : { 1, 999, 1001, 100'000 }) {
        MessageBatch batch = pool.take();
        batch.block.resize(size);
        pool.give(std::move(batch));
        QCOMPARE(pool.take().block.size(), qsizetype(1000));
    }
}

void tst_MessageBatch::batchWithoutBlockIsNotTakenBack()
{
    BatchPool pool(1000);
    pool.give(MessageBatch());
    QCOMPARE(pool.take().block.size(), qsizetype(1000));
}

void tst_MessageBatch::givenBatchHoldsNothingOfItsMessages()
{
    BatchPool pool(1000);
    MessageBatch batch = pool.take();
    batch.spans = { { 0, 10 } };
    batch.whole = QByteArray(1000, 'x');
    batch.hasWhole = true;
    const QByteArray observer = batch.whole;
    pool.give(std::move(batch));
    QVERIFY(observer.isDetached()); // nobody else has it any more
    QVERIFY(pool.take().isEmpty());
}

void tst_MessageBatch::poolKeepsABoundedNumber()
{
    BatchPool pool(1000);
    std::vector<MessageBatch> batches;
    for (int i = 0; i < 1000; ++i) {
        batches.push_back(pool.take());
        batches.back().spans.reserve(777); // by which it is known again
    }
    for (MessageBatch &batch : batches)
        pool.give(std::move(batch));
    batches.clear();
    int known = 0;
    for (int i = 0; i < 1000; ++i) {
        batches.push_back(pool.take());
        known += batches.back().spans.capacity() >= 777 ? 1 : 0;
    }
    QVERIFY2(known > 0 && known <= 100, qPrintable(QString::number(known)));
}

void tst_MessageBatch::poolServesManyThreads()
{
    BatchPool pool(256);
    std::atomic<int> mixedUp { 0 };
    std::vector<std::thread> threads;
    for (int id = 0; id < 4; ++id) {
        threads.emplace_back([&pool, &mixedUp, id] {
            for (int i = 0; i < 2000; ++i) {
                MessageBatch one = pool.take();
                MessageBatch two = pool.take();
                one.block.fill(char(id));
                two.block.fill(char(id + 100));
                if (one.block.count(char(id)) != 256 || two.block.count(char(id + 100)) != 256
                    || !one.isEmpty())
                    ++mixedUp;
                pool.give(std::move(one));
                pool.give(std::move(two));
            }
        });
    }
    for (std::thread &thread : threads)
        thread.join();
    QCOMPARE(mixedUp.load(), 0);
}

QTEST_GUILESS_MAIN(tst_MessageBatch)
#include "tst_message_batch.moc"
