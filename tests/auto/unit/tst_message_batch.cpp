// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "core/messagebatch.h"
#include "core/spares.h"

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
    void clearedListsMayBeMovedInto();
    void takenBatchIsEmptyWithABlockOfItsOwn();
    void givenBlockIsTakenAgain();
    void sharedBlockIsNotTakenBack();
    void blockOfAnotherSizeIsNotTakenBack();
    void batchWithoutBlockIsNotTakenBack();
    void givenBatchHoldsNothingOfItsMessages();
    void poolKeepsABoundedNumber();
    void poolServesManyThreads();
    void givenArrayIsTakenForMessagesThatFillIt();
    void arrayThatSomebodyHasIsNotTaken();
    void arraysAreBounded();
    void sparesKeepWhatListsHave();
};

void tst_MessageBatch::countsWhatItHolds()
{
    MessageBatch batch;
    QVERIFY(batch.isEmpty());
    QCOMPARE(batch.count(), qint64(0));
    batch.wholes.push_back({}); // an empty one
    QVERIFY(!batch.isEmpty());
    QCOMPARE(batch.count(), qint64(1));
    QCOMPARE(batch.bytes(), qint64(0));
    batch.wholes.push_back("abc"_ba);
    batch.spans = { { 0, 10 }, { 10, 0 }, { 10, 5 } };
    QCOMPARE(batch.count(), qint64(5));
    QCOMPARE(batch.bytes(), qint64(18));
}

void tst_MessageBatch::clearKeepsTheBlock()
{
    MessageBatch batch;
    batch.block = QByteArray(100, 'x');
    const char *const block = batch.block.constData();
    batch.wholes = { "abc"_ba };
    batch.spans = { { 0, 10 } };
    batch.clear();
    QVERIFY(batch.isEmpty());
    QCOMPARE(batch.block.constData(), block);
    QCOMPARE(batch.block.size(), qsizetype(100));
}

/// The memory of the list is gone then: Qt 6.4 would lose it (which LeakSanitizer sees).
void tst_MessageBatch::clearedListsMayBeMovedInto()
{
    const auto several = [] {
        MessageBatch batch;
        for (const auto &whole : { "a"_ba, "b"_ba, "c"_ba })
            batch.wholes.append(whole);
        return batch;
    };
    MessageBatch batch = several();
    batch.clear();
    QCOMPARE(batch.wholes.capacity(), qsizetype(1));
    batch = several();
    QCOMPARE(batch.count(), qint64(3));
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
    batch.wholes = { QByteArray(1000, 'x') };
    const QByteArray observer = batch.wholes.front();
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

void tst_MessageBatch::givenArrayIsTakenForMessagesThatFillIt()
{
    BatchPool pool(1000);
    QVERIFY(pool.takeArray(100'000).isNull());
    QByteArray array(100'000, 'x');
    const char *const bytes = array.constData();
    pool.giveArray(std::move(array));
    QVERIFY(pool.takeArray(200'000).isNull()); // it has no room
    QVERIFY(pool.takeArray(10'000).isNull()); // most of it would be wasted
    const QByteArray again = pool.takeArray(90'000);
    QCOMPARE(again.constData(), bytes);
    QVERIFY(again.isEmpty());
    QVERIFY(again.capacity() >= 100'000);
    QVERIFY(pool.takeArray(90'000).isNull());
    pool.giveArray(QByteArray(100, 'x')); // not worth it
    QVERIFY(pool.takeArray(100).isNull());
    pool.giveArray(QByteArray());
}

void tst_MessageBatch::arrayThatSomebodyHasIsNotTaken()
{
    BatchPool pool(1000);
    QByteArray array(100'000, 'x');
    const QByteArray kept = array;
    pool.giveArray(std::move(array));
    QVERIFY(pool.takeArray(100'000).isNull());
    QCOMPARE(kept, QByteArray(100'000, 'x'));
    static const char raw[20'000] = {};
    pool.giveArray(QByteArray::fromRawData(raw, sizeof raw));
    QVERIFY(pool.takeArray(20'000).isNull());
}

void tst_MessageBatch::arraysAreBounded()
{
    BatchPool pool(1000);
    pool.giveArray(QByteArray(64 * 1024 * 1024, Qt::Uninitialized));
    QVERIFY(pool.takeArray(64 * 1024 * 1024).isNull());
    for (int i = 0; i < 1000; ++i)
        pool.giveArray(QByteArray(1024 * 1024, Qt::Uninitialized));
    qint64 bytes = 0;
    for (QByteArray array; !(array = pool.takeArray(1024 * 1024)).isNull();)
        bytes += array.capacity();
    QVERIFY2(bytes > 0 && bytes <= 4 * 1024 * 1024 + 1024, qPrintable(QString::number(bytes)));
    for (int i = 0; i < 1000; ++i)
        pool.giveArray(QByteArray(10'000, Qt::Uninitialized));
    int count = 0;
    while (!pool.takeArray(10'000).isNull())
        ++count;
    QVERIFY2(count > 0 && count <= 32, qPrintable(QString::number(count)));
}

void tst_MessageBatch::sparesKeepWhatListsHave()
{
    Spares<SpareArrays::List> spares;
    QVERIFY(spares.take().empty());
    SpareArrays::List list;
    QByteArray kept(100, 'k');
    SpareArrays::add(list, QByteArray(kept)); // somebody has it
    SpareArrays::add(list, QByteArray(1'000'000, 'x')); // not worth it
    QVERIFY(list.empty());
    QByteArray array(100, 'x');
    const char *const bytes = array.constData();
    SpareArrays::add(list, std::move(array));
    QCOMPARE(list.size(), size_t(1));
    spares.give(list);
    QVERIFY(list.empty());
    list = spares.take();
    QByteArray data = kept;
    SpareArrays::renew(&data, 90, list);
    QCOMPARE(data.constData(), bytes);
    QCOMPARE(data.size(), 90);
    QVERIFY(list.empty());
    SpareArrays::renew(&data, 100, list); // the same one again
    QCOMPARE(data.constData(), bytes);
    const QByteArray copy = data;
    SpareArrays::renew(&data, 100, list); // a slot has kept it
    QVERIFY(data.constData() != copy.constData());
    QCOMPARE(data.size(), 100);
    QCOMPARE(kept, QByteArray(100, 'k'));
    for (int i = 0; i < 1000; ++i) {
        SpareArrays::add(list, QByteArray(100, 'x'));
        QVERIFY(list.size() <= SpareArrays::MostInList);
    }
    for (int i = 0; i < 1000; ++i) {
        SpareArrays::List more(1);
        spares.give(more);
    }
    int lists = 0;
    for (; spares.take().capacity() > 0; ++lists) { }
    QVERIFY2(lists > 0 && lists <= 64, qPrintable(QString::number(lists)));
}

QTEST_GUILESS_MAIN(tst_MessageBatch)
#include "tst_message_batch.moc"
