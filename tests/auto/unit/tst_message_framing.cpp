// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "core/messageframing.h"
#include "payload.h"
#include "processfacts.h"

#include <QtCore/qdatastream.h>
#include <QtCore/qrandom.h>
#include <QtTest/QtTest>

#include <cstring>

using namespace QtNamedPipes;
using namespace Qt::StringLiterals;

/// A stream of bytes back into messages, however it is cut.
class tst_MessageFraming : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void theWireIsThatOfQDataStream();
    void messagesOfAnySizeComeBack_data();
    void messagesOfAnySizeComeBack();
    void everyCutOfAStreamGivesTheSameMessages();
    void everySmallStepOfAStreamGivesTheSameMessages();
    void manyMessagesOfOneReadAreOneBatch();
    void nullArrayIsAnEmptyMessage();
    void theEndInsideAFrameIsSeen();
    void limitIsKept_data();
    void limitIsKept();
    void messagesBeforeATooLargeOneAreThere();
    void hostileHeaderAllocatesNothing();
    void largeMessagesUseMemoryAgain();
    void littleIsReadBeyondALargeMessage();
    void memoryGrowsWithWhatArrived();
    void roughlyIsKeptAndNeverStarves();
    void smallMessagesStayWhereTheyWereRead();
    void wholeMessageAndWhatFollowsComeTogether();
    void messagesOfOneSizeAreReadSeveralAtATime();
    void largeMessageTakesTheMemoryOfItsBytes_data();
    void largeMessageTakesTheMemoryOfItsBytes();
    void wrongGuessLosesNothing_data();
    void wrongGuessLosesNothing();
    void guessesKeepWithinWhatIsWelcome();
    void guessesThatCameToNothingHoldNoMemory();
    void randomStreamsMatchTheModel_data();
    void randomStreamsMatchTheModel();
};

static constexpr qsizetype BlockSize = 8192;

static QByteArray frame(const QByteArray &message)
{
    QByteArray bytes(FrameHeaderSize, Qt::Uninitialized);
    writeFrameHeader(bytes.data(), message.size());
    return bytes + message;
}

static QByteArray frames(const QList<QByteArray> &messages)
{
    QByteArray bytes;
    for (const QByteArray &message : messages)
        bytes += frame(message);
    return bytes;
}

static QByteArray header(quint32 length)
{
    QByteArray bytes(FrameHeaderSize, Qt::Uninitialized);
    qToBigEndian(length, bytes.data());
    return bytes;
}

namespace {

/// Does with a decoder what an endpoint does.
class Reader
{
public:
    explicit Reader(qint64 maximum = 0, qsizetype blockSize = BlockSize)
        : m_pool(blockSize),
          decoder(maximum, &m_pool)
    {
    }

    /// One read that finds \a bytes; returns how many of them fitted, -1 when a message is too
    /// large.
    qsizetype read(const char *bytes, qsizetype size, qint64 roughly = 1 << 20)
    {
        MessageBatch batch = m_pool.take();
        const auto regions = decoder.regions(batch, roughly);
        offered = regions.bytes();
        qsizetype taken = 0;
        for (const auto &region : regions) {
            const qsizetype part = qMin(region.size, size - taken);
            if (part > 0)
                std::memcpy(region.data, bytes + taken, size_t(part));
            taken += qMax<qsizetype>(part, 0);
        }
        const bool ok = decoder.consume(batch, taken);
        batches += batch.isEmpty() ? 0 : 1;
        for (QByteArray &whole : batch.wholes) {
            messages.append(QByteArray(whole.constData(), whole.size()));
            mostUnused = qMax(mostUnused, whole.capacity() - whole.size());
            m_pool.giveArray(std::move(whole));
        }
        for (const MessageSpan &span : batch.spans)
            messages.append(QByteArray(batch.block.constData() + span.offset, span.size));
        m_pool.give(std::move(batch));
        return ok ? taken : -1;
    }

    /// Everything, in reads that find \a chunk bytes at most.
    bool readAll(const QByteArray &stream, qsizetype chunk = 1 << 30, qint64 roughly = 1 << 20)
    {
        for (qsizetype at = 0; at < stream.size();) {
            const qsizetype taken =
                    read(stream.constData() + at, qMin(chunk, stream.size() - at), roughly);
            if (taken <= 0)
                return false;
            at += taken;
        }
        return true;
    }

private:
    BatchPool m_pool;

public:
    BatchPool &pool() { return m_pool; }
    FrameDecoder decoder;
    qsizetype mostUnused = 0; ///< of the memory of a large message
    QList<QByteArray> messages;
    int batches = 0;
    qsizetype offered = 0;
};

} // namespace

void tst_MessageFraming::theWireIsThatOfQDataStream()
{
    QByteArray expected;
    QDataStream stream(&expected, QIODevice::WriteOnly);
    const QList<QByteArray> messages { "one"_ba, ""_ba, payload(70'000) };
    for (const QByteArray &message : messages)
        stream << message;
    QCOMPARE(frames(messages), expected);
    stream << QByteArray(); // the null one
    Reader reader;
    QVERIFY(reader.readAll(expected));
    QCOMPARE(reader.messages, messages + QList<QByteArray>({ ""_ba }));
}

void tst_MessageFraming::messagesOfAnySizeComeBack_data()
{
    QTest::addColumn<int>("size");
    for (int size :
         { 0,          1,    2,    3,    4,    5,    4091, 4092, 4093, 4095,          4096,
           4097,       8183, 8184, 8187, 8188, 8189, 8191, 8192, 8193, 64 * 1024 - 1, 64 * 1024,
           1024 * 1024 })
        QTest::addRow("%d bytes", size) << size;
}

void tst_MessageFraming::messagesOfAnySizeComeBack()
{
    QFETCH(int, size);
    const QList<QByteArray> messages { payload(size, 1), "between"_ba, payload(size, 2) };
    const QByteArray stream = frames(messages);
    for (qsizetype chunk :
         { qsizetype(1 << 30), qsizetype(4096), qsizetype(1000), qsizetype(7), qsizetype(1) }) {
        if (stream.size() / chunk > 200'000)
            continue;
        Reader reader;
        QVERIFY(reader.readAll(stream, chunk));
        QCOMPARE(reader.messages.size(), 3);
        QVERIFY2(reader.messages == messages, qPrintable(QString::number(chunk)));
        QVERIFY(!reader.decoder.isInsideFrame());
    }
}

void tst_MessageFraming::everyCutOfAStreamGivesTheSameMessages()
{
    const QList<QByteArray> messages { ""_ba, "a"_ba,           payload(40, 1),
                                       ""_ba, payload(4200, 2), "end"_ba };
    const QByteArray stream = frames(messages);
    for (qsizetype cut = 1; cut < stream.size(); ++cut) {
        Reader reader;
        QVERIFY(reader.readAll(stream.left(cut)));
        QVERIFY(reader.readAll(stream.mid(cut)));
        QVERIFY2(reader.messages == messages, qPrintable(QString::number(cut)));
        QVERIFY(!reader.decoder.isInsideFrame());
    }
}

void tst_MessageFraming::everySmallStepOfAStreamGivesTheSameMessages()
{
    const QList<QByteArray> messages {
        "ab"_ba,          ""_ba, payload(100, 1), payload(4095, 2), payload(4096, 3),
        payload(4097, 4), "x"_ba
    };
    const QByteArray stream = frames(messages);
    for (qsizetype step = 1; step <= 64; ++step) {
        Reader reader;
        QVERIFY(reader.readAll(stream, step));
        QVERIFY2(reader.messages == messages, qPrintable(QString::number(step)));
    }
}

void tst_MessageFraming::manyMessagesOfOneReadAreOneBatch()
{
    QList<QByteArray> messages;
    for (int i = 0; i < 400; ++i)
        messages.append(numbered(i));
    const QByteArray stream = frames(messages);
    QVERIFY(stream.size() < BlockSize);
    Reader reader;
    QVERIFY(reader.readAll(stream));
    QCOMPARE(reader.messages, messages);
    QCOMPARE(reader.batches, 1);
}

void tst_MessageFraming::nullArrayIsAnEmptyMessage()
{
    for (qint64 maximum : { 0, 1, 1000 }) { // whatever the limit: it is not four gigabytes
        Reader reader(maximum);
        QVERIFY(reader.readAll(header(NullArrayLength) + frame("a"_ba) + header(NullArrayLength),
                               3));
        QCOMPARE(reader.messages, QList<QByteArray>({ ""_ba, "a"_ba, ""_ba }));
        QVERIFY(!reader.decoder.isInsideFrame());
    }
}

void tst_MessageFraming::theEndInsideAFrameIsSeen()
{
    for (const QByteArray &message : { "abc"_ba, payload(10'000) }) {
        const QByteArray stream = frame(message);
        for (qsizetype size : { qsizetype(0), qsizetype(1), qsizetype(3), qsizetype(4),
                                qsizetype(5), stream.size() - 1, stream.size() }) {
            Reader reader;
            QVERIFY(reader.readAll(stream.left(size)));
            QCOMPARE(reader.decoder.isInsideFrame(), size > 0 && size < stream.size());
            QVERIFY(reader.readAll(frame("next"_ba).left(size == stream.size() ? 2 : 0)));
            QCOMPARE(reader.decoder.isInsideFrame(), size > 0);
        }
    }
}

void tst_MessageFraming::limitIsKept_data()
{
    QTest::addColumn<qint64>("limit");
    for (qint64 limit : { 1, 100, 4095, 4096, 4097, 8192, 100'000 })
        QTest::addRow("%lld bytes", limit) << limit;
}

void tst_MessageFraming::limitIsKept()
{
    QFETCH(qint64, limit);
    for (qsizetype chunk : { 1, 5, 100'000 }) {
        Reader reader(limit);
        QVERIFY(reader.readAll(frame(payload(limit - 1)) + frame(payload(limit)), chunk));
        QCOMPARE(reader.messages.size(), 2);
        QVERIFY(!reader.readAll(frame(payload(limit + 1)), chunk));
        QCOMPARE(reader.messages.size(), 2);
        QCOMPARE(reader.decoder.announcedSize(), quint32(limit + 1));
    }
}

void tst_MessageFraming::messagesBeforeATooLargeOneAreThere()
{
    Reader reader(10);
    QVERIFY(!reader.readAll(frame("one"_ba) + frame("two"_ba) + header(11)));
    QCOMPARE(reader.messages, QList<QByteArray>({ "one"_ba, "two"_ba }));
    // Behind an assembled one as well.
    Reader second(20'000);
    QVERIFY(second.readAll(frame(payload(20'000)).left(15'000)));
    const QByteArray rest = frame(payload(20'000)).mid(15'000) + frame("two"_ba) + header(20'001);
    qsizetype at = 0;
    qsizetype taken = 0;
    while (at < rest.size() && (taken = second.read(rest.constData() + at, rest.size() - at)) > 0)
        at += taken;
    QCOMPARE(taken, qsizetype(-1));
    QCOMPARE(second.messages, QList<QByteArray>({ payload(20'000), "two"_ba }));
}

void tst_MessageFraming::hostileHeaderAllocatesNothing()
{
    const qint64 before = ProcessFacts::residentBytes();
    std::vector<std::unique_ptr<Reader>> readers;
    for (int i = 0; i < 200; ++i) { // 800 GB are announced
        readers.push_back(std::make_unique<Reader>());
        QVERIFY(readers.back()->readAll(header(NullArrayLength - 1) + "x"_ba));
        // What is asked for next is what has been allocated.
        readers.back()->read("y", 1);
        QVERIFY(readers.back()->offered <= 2 * BlockSize);
        QVERIFY(readers.back()->decoder.isInsideFrame());
    }
    QVERIFY(ProcessFacts::residentBytes() - before < 64 * 1024 * 1024);
}

void tst_MessageFraming::largeMessagesUseMemoryAgain()
{
    Reader reader;
    QVERIFY(reader.readAll(frame(payload(1'000'000, 1))));
    // Now there is an array with room for the whole of the next one: it is read in one go.
    const QByteArray second = frame(payload(900'000, 2));
    qsizetype at = reader.read(second.constData(), second.size());
    QVERIFY(at > 0 && at < 20'000);
    at += reader.read(second.constData() + at, second.size() - at);
    QCOMPARE(at, second.size());
    // One with an announced size beyond it grows as ever, and one much smaller has its own.
    QVERIFY(reader.readAll(frame(payload(3'000'000, 3)) + frame(payload(9'000, 4))));
    QCOMPARE(reader.messages,
             QList<QByteArray>({ payload(1'000'000, 1), payload(900'000, 2), payload(3'000'000, 3),
                                 payload(9'000, 4) }));
}

void tst_MessageFraming::littleIsReadBeyondALargeMessage()
{
    Reader reader(0, 256 * 1024);
    reader.read("", 0);
    QCOMPARE(reader.offered, 256 * 1024);
    QVERIFY(reader.readAll(frame(payload(300'000))));
    reader.read("", 0);
    QVERIFY2(reader.offered <= 8 * 1024, qPrintable(QString::number(reader.offered)));
    QVERIFY(reader.readAll(frame("small"_ba)));
    reader.read("", 0); // and all is as before
    QCOMPARE(reader.offered, 256 * 1024);
}

void tst_MessageFraming::memoryGrowsWithWhatArrived()
{
    Reader reader;
    const QByteArray message = payload(4'000'000);
    const QByteArray stream = frame(message);
    qsizetype at = 0;
    while (at < stream.size()) {
        const qsizetype taken = reader.read(stream.constData() + at, stream.size() - at);
        QVERIFY(taken > 0);
        QVERIFY2(reader.offered <= qMax<qsizetype>(2 * at, 2 * BlockSize),
                 qPrintable(QString::number(at)));
        at += taken;
    }
    QCOMPARE(reader.messages, QList<QByteArray>({ message }));
}

void tst_MessageFraming::roughlyIsKeptAndNeverStarves()
{
    QList<QByteArray> messages;
    for (int i = 0; i < 1000; ++i)
        messages.append(payload(i % 50, quint32(i)));
    const QByteArray stream = frames(messages);
    for (qint64 roughly : { -5, 0, 1, 4095, 5000 }) {
        Reader reader;
        QVERIFY(reader.readAll(stream, 1 << 30, roughly));
        QCOMPARE(reader.messages, messages);
        Reader fresh;
        fresh.read(stream.constData(), 1, roughly);
        QVERIFY(fresh.offered >= 1 && fresh.offered <= qMax<qint64>(roughly, 4096));
    }
}

void tst_MessageFraming::smallMessagesStayWhereTheyWereRead()
{
    BatchPool pool(BlockSize);
    MessageBatch batch = pool.take();
    FrameDecoder decoder(0);
    const auto regions = decoder.regions(batch, 100'000);
    QCOMPARE(regions.end() - regions.begin(), 1);
    QCOMPARE(regions.begin()->data, batch.block.data());
    QCOMPARE(regions.begin()->size, BlockSize);
    const QByteArray stream = frame("abc"_ba) + frame("de"_ba);
    std::memcpy(regions.begin()->data, stream.constData(), size_t(stream.size()));
    QVERIFY(decoder.consume(batch, stream.size()));
    QVERIFY(batch.wholes.empty());
    QCOMPARE(batch.spans.size(), size_t(2));
    QCOMPARE(batch.spans[1].offset, 11u);
    QCOMPARE(batch.spans[1].size, 2u);
    QCOMPARE(batch.count(), qint64(2));
    QCOMPARE(batch.bytes(), qint64(5));
}

void tst_MessageFraming::wholeMessageAndWhatFollowsComeTogether()
{
    const QList<QByteArray> messages { payload(6000), "after"_ba, "that"_ba };
    const QByteArray stream = frames(messages);
    Reader reader;
    QVERIFY(reader.readAll(stream.left(100)));
    QVERIFY(reader.readAll(stream.mid(100)));
    QCOMPARE(reader.messages, messages);
    QCOMPARE(reader.batches, 1);
}

void tst_MessageFraming::messagesOfOneSizeAreReadSeveralAtATime()
{
    constexpr qsizetype size = 50'000;
    QList<QByteArray> messages;
    for (int i = 0; i < 7; ++i)
        messages.append(payload(size, quint32(i)));
    const QByteArray stream = frames(messages);
    Reader reader(0, 64 * 1024);
    QVERIFY(reader.readAll(stream.left(2 * frame(messages[0]).size())));
    QCOMPARE(reader.messages.size(), 2);
    const int batches = reader.batches;
    QVERIFY(reader.readAll(stream.mid(2 * frame(messages[0]).size())));
    QCOMPARE(reader.messages, messages);
    QVERIFY2(reader.batches - batches <= 2, qPrintable(QString::number(reader.batches - batches)));
    QVERIFY(!reader.decoder.isInsideFrame());
}

void tst_MessageFraming::largeMessageTakesTheMemoryOfItsBytes_data()
{
    QTest::addColumn<qsizetype>("size");
    for (const qsizetype size : { 16'384, 40'000, 65'536, 262'145, 1'048'576 })
        QTest::addRow("%lld bytes", static_cast<long long>(size)) << size;
}

/// The limit on what waits counts bytes: memory must not be a multiple of it.
void tst_MessageFraming::largeMessageTakesTheMemoryOfItsBytes()
{
    QFETCH(qsizetype, size);
    Reader reader;
    const QByteArray message = payload(size);
    for (int i = 0; i < 6; ++i) // assembled, and from the third one on guessed
        QVERIFY(reader.readAll(frame(message)));
    QCOMPARE(reader.messages, QList<QByteArray>(6, message));
    QVERIFY2(reader.mostUnused < 64, qPrintable(QString::number(reader.mostUnused)));
}

void tst_MessageFraming::wrongGuessLosesNothing_data()
{
    QTest::addColumn<QList<qsizetype>>("sizes"); // of what comes behind two messages of 40000 bytes
    using Sizes = QList<qsizetype>;
    QTest::newRow("nothing") << Sizes {};
    QTest::newRow("empty ones") << Sizes { 0, 0, 0 };
    QTest::newRow("small ones") << Sizes { 1, 100, 4096 };
    QTest::newRow("one byte less") << Sizes { 39'999, 40'000, 40'000, 40'000 };
    QTest::newRow("one byte more") << Sizes { 40'001, 40'000, 40'000, 40'000 };
    QTest::newRow("right, then wrong") << Sizes { 40'000, 5, 40'000, 40'000, 40'000, 3 };
    QTest::newRow("right twice, then larger") << Sizes { 40'000, 40'000, 300'000, 7 };
    QTest::newRow("very many small ones") << Sizes(5000, 20);
    QTest::newRow("larger than what is made room for") << Sizes { 1'000'000, 1'000'000, 1'000'000 };
}

void tst_MessageFraming::wrongGuessLosesNothing()
{
    QFETCH(QList<qsizetype>, sizes);
    sizes = QList<qsizetype> { 40'000, 40'000 } + sizes;
    QList<QByteArray> messages;
    for (qsizetype size : qAsConst(sizes))
        messages.append(payload(size, quint32(messages.size())));
    const QByteArray stream = frames(messages);
    // The read that meets the guess ends anywhere, headers included; the rest comes at once.
    const qsizetype guessed = 2 * 40'004;
    QList<qsizetype> cuts;
    for (qsizetype at :
         { qsizetype(0), qsizetype(40'004), qsizetype(80'008), qsizetype(120'012) }) {
        for (qsizetype by = -5; by <= 9; ++by)
            cuts.append(guessed + at + by);
    }
    cuts += { guessed + 20'000, guessed + 60'000, guessed + 130'000 };
    for (qsizetype blockSize : { qsizetype(BlockSize), qsizetype(128 * 1024) }) {
        for (qsizetype cut : qAsConst(cuts)) {
            Reader reader(0, blockSize);
            QVERIFY(reader.readAll(stream.left(guessed)));
            QVERIFY(reader.readAll(stream.mid(guessed, qMax<qsizetype>(cut - guessed, 0))));
            QVERIFY(reader.readAll(stream.mid(qMax(cut, guessed))));
            QVERIFY2(reader.messages == messages, qPrintable(QString::number(cut)));
            QVERIFY(!reader.decoder.isInsideFrame());
        }
    }
}

void tst_MessageFraming::guessesKeepWithinWhatIsWelcome()
{
    constexpr qsizetype size = 40'000;
    const QByteArray two = frame(payload(size, 1)) + frame(payload(size, 2));
    for (qint64 roughly : { -1, 0, 1, 40'003, 40'004, 80'007, 80'008, 120'012, 1'000'000 }) {
        Reader reader;
        QVERIFY(reader.readAll(two));
        reader.read("", 0, roughly);
        const qint64 guesses = qBound(qint64(0), roughly / (size + FrameHeaderSize), qint64(4));
        const qint64 most = guesses * (size + FrameHeaderSize) + 4096;
        QVERIFY2(reader.offered >= 1 && reader.offered <= most,
                 qPrintable(QString::number(roughly)));
        QCOMPARE(reader.offered > size, guesses > 0);
    }
}

void tst_MessageFraming::guessesThatCameToNothingHoldNoMemory()
{
    Reader reader;
    QVERIFY(reader.readAll(frame(payload(40'000, 1)) + frame(payload(40'000, 2))));
    while (!reader.pool().takeArray(40'000).isNull()) { }
    MessageBatch batch = reader.pool().take();
    QVERIFY(reader.decoder.regions(batch, 1 << 20).bytes() > 40'000);
    QVERIFY(reader.pool().takeArray(40'000).isNull()); // they are the decoder's
    reader.decoder.nothingCame();
    QVERIFY(!reader.pool().takeArray(40'000).isNull());
    QVERIFY(!reader.decoder.isInsideFrame());
}

void tst_MessageFraming::randomStreamsMatchTheModel_data()
{
    QTest::addColumn<quint32>("seed");
    for (quint32 seed = 1; seed <= 60; ++seed)
        QTest::addRow("seed %u", seed) << seed;
}

void tst_MessageFraming::randomStreamsMatchTheModel()
{
    QFETCH(quint32, seed);
    QRandomGenerator random(seed);
    QList<QByteArray> messages;
    QByteArray stream;
    for (int i = 0; i < 150; ++i) {
        static constexpr int most[] = { 1, 10, 300, 5000, 30'000, 200'000 };
        const int size = random.bounded(5) == 0 && !messages.isEmpty()
                ? int(messages.last().size()) // large ones of one size are guessed
                : random.bounded(most[qMin<int>(random.bounded(8), 5)]);
        messages.append(payload(size, seed * 1000 + quint32(i)));
        stream += size == 0 && random.bounded(2) ? header(NullArrayLength) : frame(messages.last());
    }
    Reader reader(0, BlockSize << random.bounded(4));
    for (qsizetype at = 0; at < stream.size();) {
        const qsizetype size =
                random.bounded(3) == 0 ? random.bounded(1, 8) : random.bounded(1, 70'000);
        const qsizetype taken = reader.read(stream.constData() + at, qMin(size, stream.size() - at),
                                            random.bounded(100'000));
        QVERIFY(taken > 0);
        at += taken;
    }
    QCOMPARE(reader.messages.size(), messages.size());
    QVERIFY(reader.messages == messages);
    QVERIFY(!reader.decoder.isInsideFrame());
}

QTEST_GUILESS_MAIN(tst_MessageFraming)
#include "tst_message_framing.moc"
