// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "core/messageassembler.h"
#include "payload.h"

#include <QtTest/QtTest>

using namespace QtNamedPipes;
using namespace Qt::StringLiterals;

/// Fragments of one message put together.
class tst_MessageAssembler : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void fragmentsBecomeOneMessage_data();
    void fragmentsBecomeOneMessage();
    void oneFragmentIsAMessage();
    void emptyMessageIsAMessage();
    void emptyLastFragmentEndsTheMessage();
    void nextMessageBeginsAfresh();
    void limitIsKept_data();
    void limitIsKept();
    void whatIsAnnouncedCountsTowardsTheLimit();
    void announcedRestAllocatesNothing();
    void spansOfTheBatchAreLeftAlone();
};

void tst_MessageAssembler::fragmentsBecomeOneMessage_data()
{
    QTest::addColumn<int>("size");
    QTest::addColumn<int>("fragment");
    for (int size : { 1, 4095, 4096, 4097, 1'000'000 }) {
        for (int fragment : { 1, 1000, 4096, 70'000 }) {
            if (size / fragment <= 100'000)
                QTest::addRow("%d bytes in fragments of %d", size, fragment) << size << fragment;
        }
    }
}

void tst_MessageAssembler::fragmentsBecomeOneMessage()
{
    QFETCH(int, size);
    QFETCH(int, fragment);
    const QByteArray message = payload(size);
    MessageAssembler assembler(0);
    MessageBatch batch;
    qsizetype at = 0;
    for (; at + fragment < size; at += fragment) {
        QVERIFY(assembler.addFragment(message.constData() + at, fragment, size - at - fragment));
        QVERIFY(assembler.isInMessage());
        QCOMPARE(assembler.arrived(), qint64(at + fragment));
        QVERIFY(batch.isEmpty());
    }
    QVERIFY(assembler.finish(message.constData() + at, size - at, batch));
    QVERIFY(batch.hasWhole);
    QCOMPARE(batch.whole, message);
    QVERIFY(!assembler.isInMessage());
    QCOMPARE(assembler.arrived(), qint64(0));
}

void tst_MessageAssembler::oneFragmentIsAMessage()
{
    MessageAssembler assembler(0);
    MessageBatch batch;
    QVERIFY(!assembler.isInMessage());
    QVERIFY(assembler.finish("whole", 5, batch));
    QCOMPARE(batch.whole, "whole"_ba);
    QCOMPARE(batch.count(), qint64(1));
    QCOMPARE(batch.bytes(), qint64(5));
}

void tst_MessageAssembler::emptyMessageIsAMessage()
{
    MessageAssembler assembler(1);
    MessageBatch batch;
    QVERIFY(assembler.finish(nullptr, 0, batch));
    QVERIFY(batch.hasWhole && !batch.isEmpty());
    QCOMPARE(batch.whole.size(), qsizetype(0));
}

void tst_MessageAssembler::emptyLastFragmentEndsTheMessage()
{
    MessageAssembler assembler(5);
    MessageBatch batch;
    QVERIFY(assembler.addFragment("abcde", 5, 0));
    QVERIFY(assembler.finish(nullptr, 0, batch));
    QCOMPARE(batch.whole, "abcde"_ba);
}

void tst_MessageAssembler::nextMessageBeginsAfresh()
{
    MessageAssembler assembler(6);
    for (const QByteArray &message : { "abcdef"_ba, "ghi"_ba, "jklmno"_ba }) {
        MessageBatch batch;
        QVERIFY(assembler.addFragment(message.constData(), 2, 0));
        QVERIFY(assembler.finish(message.constData() + 2, message.size() - 2, batch));
        QCOMPARE(batch.whole, message);
        QVERIFY(batch.whole.isDetached()); // it is nobody else's
    }
}

void tst_MessageAssembler::limitIsKept_data()
{
    QTest::addColumn<int>("limit");
    for (int limit : { 1, 2, 4096, 100'000 })
        QTest::addRow("%d bytes", limit) << limit;
}

void tst_MessageAssembler::limitIsKept()
{
    QFETCH(int, limit);
    const QByteArray message = payload(limit + 1);
    MessageBatch batch;
    MessageAssembler exact(limit);
    QVERIFY(exact.addFragment(message.constData(), limit / 2, 0));
    QVERIFY(exact.finish(message.constData() + limit / 2, limit - limit / 2, batch));
    QCOMPARE(batch.whole, message.left(limit));

    batch.clear();
    MessageAssembler atOnce(limit);
    QVERIFY(!atOnce.finish(message.constData(), limit + 1, batch));
    QVERIFY(batch.isEmpty());

    MessageAssembler inTheEnd(limit);
    QVERIFY(inTheEnd.addFragment(message.constData(), limit, 0));
    QVERIFY(!inTheEnd.finish(message.constData() + limit, 1, batch));
    QVERIFY(batch.isEmpty());
}

void tst_MessageAssembler::whatIsAnnouncedCountsTowardsTheLimit()
{
    MessageAssembler assembler(1000);
    QVERIFY(assembler.addFragment("abc", 3, 997));
    QVERIFY(!assembler.addFragment("d", 1, 997));
    MessageAssembler unlimited(0);
    QVERIFY(unlimited.addFragment("abc", 3, Q_INT64_C(1) << 40));
}

void tst_MessageAssembler::announcedRestAllocatesNothing()
{
    MessageAssembler assembler(0);
    QVERIFY(assembler.addFragment("abc", 3, 0x7FFFFFFF));
    MessageBatch batch;
    QVERIFY(assembler.finish("d", 1, batch));
    QVERIFY(batch.whole.capacity() < 1024);
}

void tst_MessageAssembler::spansOfTheBatchAreLeftAlone()
{
    MessageBatch batch;
    batch.block = "abc"_ba;
    batch.spans.push_back({ 0, 3 });
    MessageAssembler assembler(0);
    QVERIFY(assembler.finish("whole", 5, batch));
    QCOMPARE(batch.count(), qint64(2));
    QCOMPARE(batch.block, "abc"_ba);
}

QTEST_GUILESS_MAIN(tst_MessageAssembler)
#include "tst_message_assembler.moc"
