// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "messagelog.h"
#include "messagelogview.h"
#include "messagetext.h"
#include "texts.h"

#include <QtCore/qdatetime.h>
#include <QtCore/qelapsedtimer.h>
#include <QtCore/qfile.h>
#include <QtCore/qtemporarydir.h>
#include <QtGui/qaction.h>
#include <QtGui/qclipboard.h>
#include <QtGui/qguiapplication.h>
#include <QtTest/qabstractitemmodeltester.h>
#include <QtTest/qsignalspy.h>
#include <QtTest/qtest.h>
#include <QtWidgets/qapplication.h>
#include <QtWidgets/qlabel.h>
#include <QtWidgets/qlineedit.h>
#include <QtWidgets/qplaintextedit.h>
#include <QtWidgets/qscrollbar.h>
#include <QtWidgets/qtableview.h>

using namespace Qt::StringLiterals;

Q_DECLARE_METATYPE(std::optional<QByteArray>)

/// The log of messages of the pipe monitor: how bytes are written, the model, and its view.
class tst_MonitorLog : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void textIsKnown_data();
    void textIsKnown();
    void halfCharacterIsCutOff_data();
    void halfCharacterIsCutOff();
    void previewIsOneShortLine_data();
    void previewIsOneShortLine();
    void hexDumpAndAsciiMatch_data();
    void hexDumpAndAsciiMatch();
    void jsonIsIndented_data();
    void jsonIsIndented();
    void jsonKeepsItsTokens();
    void deepJsonStaysSmall();
    void hexIsParsed_data();
    void hexIsParsed();

    void rowsSayWhatCame();
    void rowsComeInOneBlock();
    void oldestRowsMakeRoom();
    void blockLargerThanTheRing();
    void largeMessageIsCut();
    void cutMessageIsACopy();
    void bytesAreBounded();
    void largeMessagesOfOneSliceAreBounded();
    void floodIsSampled();
    void samplesAreSpreadOverTheSecond();
    void slowRateIsKeptUp();
    void messageAfterSilenceIsTaken();
    void unseenMessagesAreCounted();
    void eventsAreNeverLeftOut();
    void pausedLogStandsStill();
    void pausedLogCounts();
    void pauseShowsWhatCameBefore();
    void clearRemovesEverything();
    void slotMayAddMore();
    void savedFileHasEveryRow();
    void saveFails();

    void emptyTableSaysSo();
    void filterFindsTextAndClient_data();
    void filterFindsTextAndClient();
    void filterHoldsForNewRows();
    void escapeClearsTheFilter();
    void spacePauses();
    void clearEmptiesTheView();
    void newestRowIsFollowed();
    void tableStandsStillElsewhere();
    void selectionStaysOnItsMessage();
    void droppedMessageStaysReadable();
    void detailsShowTheMessage();
    void detailsSayThatItIsCut();
    void panesScrollTogether();
    void saveErrorIsInTheStatus();
    void rowIsCopied();
    void viewIsAccessible();
};

namespace {

constexpr int NoSampling = 100'000'000;

/// A log that is checked as a model all the time.
struct Log : MessageLog
{
    explicit Log(int rate = NoSampling)
        : tester(this, QAbstractItemModelTester::FailureReportingMode::QtTest)
    {
        setMaximumRate(rate);
    }

    QString text(int row, Column column) const { return index(row, column).data().toString(); }
    QStringList messages() const
    {
        QStringList texts;
        for (int row = 0; row < rowCount(); ++row)
            texts += text(row, MessageColumn);
        return texts;
    }
    /// Adds "message N", and waits until they are rows.
    bool fill(int count, int first = 0)
    {
        for (int i = first; i < first + count; ++i)
            addMessage(In, quint64(i % 5 + 1), "message " + QByteArray::number(i));
        return showsLast("message " + QByteArray::number(first + count - 1));
    }
    bool showsLast(const QByteArray &data)
    {
        return QTest::qWaitFor(
                [&] { return rowCount() > 0 && message(rowCount() - 1).data == data; });
    }

    QAbstractItemModelTester tester;
};

/// A view of a log, on the screen.
struct View
{
    explicit View(int rate = NoSampling) : log(rate), view(&log)
    {
        view.resize(900, 420);
        view.show();
        view.activateWindow();
        isShown = QTest::qWaitForWindowActive(&view);
    }

    QTableView &table() { return *view.findChild<QTableView *>(u"messages"_s); }
    QAbstractItemModel &rows() { return *table().model(); }
    QString header() { return view.findChild<QLabel *>(u"header"_s)->text(); }
    QString status() { return view.findChild<QLabel *>(u"status"_s)->text(); }
    QLineEdit &filter() { return *view.findChild<QLineEdit *>(u"filter"_s); }
    QPlainTextEdit &pane(const QString &name) { return *view.findChild<QPlainTextEdit *>(name); }
    QString message(int row)
    {
        return rows().index(row, MessageLog::MessageColumn).data().toString();
    }
    QString firstSeen() { return message(table().rowAt(1)); }
    QString lastSeen() { return message(table().rowAt(table().viewport()->height() - 2)); }
    bool isAtEnd()
    {
        const auto *bar = table().verticalScrollBar();
        return bar->maximum() > 0 && bar->value() == bar->maximum()
                && lastSeen() == message(rows().rowCount() - 1);
    }
    QStringList selected()
    {
        QStringList texts;
        for (const QModelIndex &index : table().selectionModel()->selectedRows())
            texts += message(index.row());
        return texts;
    }

    Log log;
    MessageLogView view;
    bool isShown = false;
};

/// Binary data in which every place is different from its neighbours.
QByteArray numbers(int size)
{
    QByteArray data(size, Qt::Uninitialized);
    for (int i = 0; i < size; ++i)
        data[i] = char(i * 7 + i / 256);
    return data;
}

QByteArray bytes(const char *hex)
{
    return QByteArray::fromHex(hex);
}

} // namespace

// --- How bytes are written ---

void tst_MonitorLog::textIsKnown_data()
{
    QTest::addColumn<QByteArray>("data");
    QTest::addColumn<bool>("expected");
    QTest::newRow("empty") << ""_ba << true;
    QTest::newRow("ASCII") << "hello"_ba << true;
    QTest::newRow("lines and tabs") << "a\r\n\tb\n"_ba << true;
    QTest::newRow("UTF-8") << QByteArray("gr\xc3\xbc\xc3\x9f"
                                         "e \xf0\x9f\x98\x80")
                           << true;
    QTest::newRow("colours") << "\x1b[31mred\x1b[0m"_ba << true;
    QTest::newRow("a NUL at the end") << QByteArray("hello\0", 6) << true;
    QTest::newRow("a NUL inside") << QByteArray("hel\0lo", 6) << false;
    QTest::newRow("a NUL alone") << QByteArray("\0", 1) << false;
    QTest::newRow("control character") << "hello\x01"_ba << false;
    QTest::newRow("delete") << "hello\x7f"_ba << false;
    QTest::newRow("C1 control") << bytes("c285") << false;
    QTest::newRow("no character") << bytes("efbfbf") << false;
    QTest::newRow("Latin-1") << bytes("6772fc") << false;
    QTest::newRow("half a character") << bytes("67c3") << false;
    QTest::newRow("overlong") << bytes("c080") << false;
    QTest::newRow("surrogate") << bytes("eda080") << false;
    QTest::newRow("UTF-16") << bytes("680069") << false;
    QTest::newRow("bytes") << bytes("deadbeef") << false;
}

void tst_MonitorLog::textIsKnown()
{
    QFETCH(QByteArray, data);
    QTEST(isText(data), "expected");
}

void tst_MonitorLog::halfCharacterIsCutOff_data()
{
    QTest::addColumn<QByteArray>("data");
    QTest::addColumn<QByteArray>("expected");
    QTest::newRow("empty") << ""_ba
                           << ""_ba;
    QTest::newRow("ASCII") << "abc"_ba
                           << "abc"_ba;
    QTest::newRow("whole, two bytes") << bytes("61c3bc") << bytes("61c3bc");
    QTest::newRow("whole, four bytes") << bytes("f09f9880") << bytes("f09f9880");
    QTest::newRow("1 of 2") << bytes("61c3") << bytes("61");
    QTest::newRow("2 of 3") << bytes("61e282") << bytes("61");
    QTest::newRow("3 of 4") << bytes("61f09f98") << bytes("61");
    QTest::newRow("1 of 4") << bytes("61f0") << bytes("61");
    QTest::newRow("nothing but ends") << bytes("8080808080") << bytes("8080808080");
}

void tst_MonitorLog::halfCharacterIsCutOff()
{
    QFETCH(QByteArray, data);
    QTEST(withoutHalfCharacter(data), "expected");
}

void tst_MonitorLog::previewIsOneShortLine_data()
{
    QTest::addColumn<QByteArray>("data");
    QTest::addColumn<int>("length");
    QTest::addColumn<QString>("expected");
    QTest::newRow("empty") << ""_ba << 10 << u""_s;
    QTest::newRow("text") << "hello"_ba << 10 << u"hello"_s;
    QTest::newRow("exactly") << "0123456789"_ba << 10 << u"0123456789"_s;
    QTest::newRow("one more") << "0123456789a"_ba << 10 << u"012345678…"_s;
    QTest::newRow("much more") << QByteArray(1'000'000, 'x') << 5 << u"xxxx…"_s;
    QTest::newRow("symbols") << QByteArray("a\r\n\tb\x1b\0", 7) << 10 << u"a⇤↵⇥b␛␀"_s;
    QTest::newRow("umlauts") << u"äöüß"_s.toUtf8() << 4 << u"äöüß"_s;
    QTest::newRow("umlauts, cut") << u"äöüßäöüß"_s.toUtf8() << 4 << u"äöü…"_s;
    QTest::newRow("cut between characters") << u"ab😀😀😀😀😀"_s.toUtf8() << 4 << u"ab…"_s;
    QTest::newRow("reordering") << u"a\u202eb"_s.toUtf8() << 10 << u"a\ufffdb"_s;
    QTest::newRow("hex") << bytes("deadbeef") << 11 << u"de ad be ef"_s;
    QTest::newRow("hex, cut") << bytes("deadbeef01") << 11 << u"de ad be …"_s;
    QTest::newRow("hex, no room") << bytes("deadbeef01") << 3 << u"…"_s;
    QTest::newRow("one character") << "hello"_ba << 1 << u"…"_s;
    QTest::newRow("none") << "hello"_ba << 0 << u""_s;
    QTest::newRow("text that gets binary later")
            << "text text text text "_ba + bytes("ff") << 5 << u"text…"_s;
}

void tst_MonitorLog::previewIsOneShortLine()
{
    QFETCH(QByteArray, data);
    QFETCH(int, length);
    QTEST(preview(data, length), "expected");
    QVERIFY(preview(data, length).size() <= length);
}

void tst_MonitorLog::hexDumpAndAsciiMatch_data()
{
    QTest::addColumn<QByteArray>("data");
    QTest::addColumn<int>("limit");
    QTest::addColumn<QString>("hex");
    QTest::addColumn<QString>("ascii");
    const QByteArray sixteen = "0123456789abcdef";
    const QString line = u"00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66"_s;
    QTest::newRow("empty") << ""_ba << 100 << u""_s << u""_s;
    QTest::newRow("one byte") << "A"_ba << 100 << u"00000000  41"_s << u"A"_s;
    QTest::newRow("one line") << sixteen << 100 << line << u"0123456789abcdef"_s;
    QTest::newRow("17 bytes") << sixteen + bytes("ff") << 100 << line + u"\n00000010  ff"_s
                              << u"0123456789abcdef\n·"_s;
    QTest::newRow("no characters") << bytes("00207e7f80c3bc") << 100
                                   << u"00000000  00 20 7e 7f 80 c3 bc"_s << u"· ~····"_s;
    QTest::newRow("cut") << sixteen + sixteen << 16 << line + u"\n…"_s << u"0123456789abcdef\n…"_s;
    QTest::newRow("cut in a line") << sixteen << 2 << u"00000000  30 31\n…"_s << u"01\n…"_s;
    QTest::newRow("limit 0") << sixteen << 0 << u"…"_s << u"…"_s;
}

void tst_MonitorLog::hexDumpAndAsciiMatch()
{
    QFETCH(QByteArray, data);
    QFETCH(int, limit);
    QTEST(hexDump(data, limit), "hex");
    QTEST(asciiColumn(data, limit), "ascii");
}

void tst_MonitorLog::jsonIsIndented_data()
{
    QTest::addColumn<QByteArray>("data");
    QTest::addColumn<QString>("expected");
    QTest::newRow("empty object") << "{}"_ba << u"{}"_s;
    QTest::newRow("empty array") << " [ ] "_ba << u"[]"_s;
    QTest::newRow("object") << R"({"b":1,"a":[1,{"c":null}]})"_ba
                            << u"{\n  \"b\": 1,\n  \"a\": [\n    1,\n    {\n      \"c\": null\n"
                               "    }\n  ]\n}"_s;
    QTest::newRow("empty inside") << R"([{},[]])"_ba << u"[\n  {},\n  []\n]"_s;
    QTest::newRow("brackets in strings")
            << R"(["{[,:]}\"\\"])"_ba << u"[\n  \"{[,:]}\\\"\\\\\"\n]"_s;
    QTest::newRow("indented before") << "[\n 1,\n\n 2 ]\n"_ba << u"[\n  1,\n  2\n]"_s;
    QTest::newRow("UTF-8") << u"[\"ä\"]"_s.toUtf8() << u"[\n  \"ä\"\n]"_s;
    QTest::newRow("a number") << "17"_ba << u""_s;
    QTest::newRow("a string") << "\"text\""_ba << u""_s;
    QTest::newRow("text") << "hello"_ba << u""_s;
    QTest::newRow("empty") << ""_ba << u""_s;
    QTest::newRow("not closed") << "{\"a\":1"_ba << u""_s;
    QTest::newRow("more behind it") << "{} {}"_ba << u""_s;
    QTest::newRow("bytes") << bytes("7bff7d") << u""_s;
}

void tst_MonitorLog::jsonIsIndented()
{
    QFETCH(QByteArray, data);
    QTEST(prettyJson(data), "expected");
}

void tst_MonitorLog::jsonKeepsItsTokens()
{
    // A parser would sort the keys, drop one of the two, and round the numbers.
    QCOMPARE(prettyJson(R"({"z":12345678901234567890,"a":1.10,"a":2e3})"),
             u"{\n  \"z\": 12345678901234567890,\n  \"a\": 1.10,\n  \"a\": 2e3\n}"_s);
}

void tst_MonitorLog::deepJsonStaysSmall()
{
    QByteArray json = QByteArray(500, '[') + "1";
    for (int i = 0; i < 20'000; ++i)
        json += ",1";
    json += QByteArray(500, ']');
    const QString pretty = prettyJson(json);
    QCOMPARE(pretty.count(u'1'), 20'001);
    QVERIFY2(pretty.size() < 30 * json.size(), QByteArray::number(pretty.size()).constData());
}

void tst_MonitorLog::hexIsParsed_data()
{
    QTest::addColumn<QString>("text");
    QTest::addColumn<std::optional<QByteArray>>("expected");
    using Bytes = std::optional<QByteArray>;
    QTest::newRow("empty") << u""_s << Bytes(""_ba);
    QTest::newRow("spaces") << u"  \n "_s << Bytes(""_ba);
    QTest::newRow("pairs") << u"de ad be ef"_s << Bytes(bytes("deadbeef"));
    QTest::newRow("one word") << u"DEADbeef"_s << Bytes(bytes("deadbeef"));
    QTest::newRow("0x") << u"0xde 0Xad 0xbeef"_s << Bytes(bytes("deadbeef"));
    QTest::newRow("lines") << u"00 01\n02\t03"_s << Bytes(bytes("00010203"));
    QTest::newRow("odd") << u"de a"_s << Bytes();
    QTest::newRow("odd word, even sum") << u"dea d"_s << Bytes();
    QTest::newRow("bad digit") << u"de ag"_s << Bytes();
    QTest::newRow("0x alone") << u"0x"_s << Bytes();
    QTest::newRow("0x inside") << u"de0xad"_s << Bytes();
    QTest::newRow("comma") << u"de,ad"_s << Bytes();
    QTest::newRow("full-width digits") << u"\uff11\uff12"_s << Bytes();
    QTest::newRow("sign") << u"-1"_s << Bytes();
}

void tst_MonitorLog::hexIsParsed()
{
    QFETCH(QString, text);
    QTEST(parseHex(text), "expected");
}

// --- The model ---

void tst_MonitorLog::rowsSayWhatCame()
{
    Log log;
    QCOMPARE(log.status(), u"0 entries"_s);
    const qint64 before = QDateTime::currentMSecsSinceEpoch();
    log.addMessage(MessageLog::In, 17, "hello\n");
    log.addMessage(MessageLog::Out, 4'000'000'000, bytes("00ff"));
    log.addMessage(MessageLog::In, 1, QByteArray(1536, 'x'));
    log.addEvent(3, u"gone – schade"_s);
    log.addEvent(0, u"stopped"_s);
    QCOMPARE(log.rowCount(), 0); // they come with the timer
    QTRY_COMPARE(log.rowCount(), 5);
    const qint64 after = QDateTime::currentMSecsSinceEpoch();

    QCOMPARE(log.columnCount(), 5);
    for (int row = 0; row < 5; ++row) {
        QVERIFY(log.message(row).msecs >= before && log.message(row).msecs <= after);
        const QDateTime time = QDateTime::fromMSecsSinceEpoch(log.message(row).msecs);
        QCOMPARE(log.text(row, MessageLog::TimeColumn), time.toString(u"hh:mm:ss.zzz"_s));
    }
    const auto column = [&log](MessageLog::Column which) {
        QStringList texts;
        for (int row = 0; row < 5; ++row)
            texts += log.text(row, which);
        return texts;
    };
    QCOMPARE(column(MessageLog::DirectionColumn),
             QStringList({ u"↓ in"_s, u"↑ out"_s, u"↓ in"_s, u"• event"_s, u"• event"_s }));
    QCOMPARE(column(MessageLog::ClientColumn),
             QStringList({ u"17"_s, u"4000000000"_s, u"1"_s, u"3"_s, u""_s }));
    QCOMPARE(column(MessageLog::SizeColumn),
             QStringList({ formatBytes(6), formatBytes(2), formatBytes(1536), u""_s, u""_s }));
    QCOMPARE(column(MessageLog::MessageColumn),
             QStringList({ u"hello↵"_s, u"00 ff"_s,
                           QString(MessageLog::PreviewLength - 1, u'x') + u'…', u"gone – schade"_s,
                           u"stopped"_s }));
    QStringList names;
    for (int section = 0; section < 5; ++section)
        names += log.headerData(section, Qt::Horizontal).toString();
    QCOMPARE(names,
             QStringList({ u"Time"_s, u"Direction"_s, u"Client"_s, u"Size"_s, u"Message"_s }));
    QCOMPARE(log.status(), u"5 entries"_s);
}

void tst_MonitorLog::rowsComeInOneBlock()
{
    Log log;
    QSignalSpy inserted(&log, &QAbstractItemModel::rowsInserted);
    QVERIFY(log.fill(150));
    QCOMPARE(log.rowCount(), 150);
    QCOMPARE(inserted.size(), 1);
    QCOMPARE(inserted[0][1].toInt(), 0);
    QCOMPARE(inserted[0][2].toInt(), 149);
}

void tst_MonitorLog::oldestRowsMakeRoom()
{
    Log log;
    log.setMaximumEntries(100);
    QSignalSpy removed(&log, &QAbstractItemModel::rowsRemoved);
    int next = 0;
    for (const int block : { 60, 60, 7, 100, 1 }) { // around the ring more than twice
        QVERIFY(log.fill(block, next));
        next += block;
        const int expected = qMin(next, 100);
        QCOMPARE(log.rowCount(), expected);
        for (int row = 0; row < expected; ++row) {
            const QString text = u"message "_s + QString::number(next - expected + row);
            QCOMPARE(log.text(row, MessageLog::MessageColumn), text);
        }
        QVERIFY(log.contains(quint64(next)));
        QCOMPARE(log.contains(1), next <= 100);
    }
    QCOMPARE(removed.size(), 4);
    log.setMaximumEntries(3);
    QCOMPARE(log.messages(), QStringList({ u"message 225"_s, u"message 226"_s, u"message 227"_s }));
    QCOMPARE(log.status(), u"3 entries"_s);
}

void tst_MonitorLog::blockLargerThanTheRing()
{
    Log log;
    log.setMaximumEntries(10);
    QVERIFY(log.fill(3));
    QVERIFY(log.fill(1000, 3));
    QCOMPARE(log.rowCount(), 10);
    QCOMPARE(log.messages().constFirst(), u"message 993"_s);
    QCOMPARE(log.messages().constLast(), u"message 1002"_s);
}

void tst_MonitorLog::largeMessageIsCut()
{
    Log log;
    QByteArray large = numbers(200'000);
    log.addMessage(MessageLog::In, 1, large);
    log.addMessage(MessageLog::In, 1, large.left(MessageLog::KeptBytes));
    log.addMessage(MessageLog::In, 1, large.left(MessageLog::KeptBytes + 1));
    QTRY_COMPARE(log.rowCount(), 3);
    QCOMPARE(log.message(0).data, large.left(MessageLog::KeptBytes));
    QCOMPARE(log.message(0).size, qint64(200'000));
    QCOMPARE(log.text(0, MessageLog::SizeColumn), formatBytes(200'000));
    QVERIFY(log.message(0).isCut());
    QVERIFY(!log.message(1).isCut());
    QVERIFY(log.message(2).isCut());
    QCOMPARE(log.bytes(), qint64(3 * MessageLog::KeptBytes));
}

void tst_MonitorLog::cutMessageIsACopy()
{
    Log log;
    char buffer[] = "before";
    log.addMessage(MessageLog::In, 1, QByteArray::fromRawData(buffer, 6));
    qstrncpy(buffer, "after!", sizeof(buffer));
    QTRY_COMPARE(log.rowCount(), 1);
    QCOMPARE(log.message(0).data, "before"_ba);
}

void tst_MonitorLog::bytesAreBounded()
{
    Log log;
    QCOMPARE(log.maximumBytes(), qint64(32 * 1024 * 1024));
    log.setMaximumBytes(1024 * 1024);
    const auto lastClient = [&log] {
        return log.rowCount() == 0 ? 0 : int(log.message(log.rowCount() - 1).client);
    };
    for (int client = 1; client <= 40; ++client) {
        log.addMessage(MessageLog::In, quint64(client), QByteArray(100'000, 'x'));
        QVERIFY(log.bytes() <= log.maximumBytes());
        if (client % 3 == 0)
            QTRY_COMPARE(lastClient(), client);
        QVERIFY(log.bytes() <= log.maximumBytes());
    }
    QTRY_COMPARE(lastClient(), 40);
    QCOMPARE(log.messagesTaken(), quint64(40));
    // What is left is what fits, and the newest.
    QCOMPARE(log.rowCount(), 12);
    QCOMPARE(log.message(0).client, quint64(29));
    QCOMPARE(log.bytes(), qint64(12 * MessageLog::KeptBytes));
}

void tst_MonitorLog::largeMessagesOfOneSliceAreBounded()
{
    Log log;
    const QByteArray large(MessageLog::KeptBytes, 'x');
    for (int i = 0; i < 1000; ++i)
        log.addMessage(MessageLog::In, 1, large);
    QCOMPARE(log.messagesSeen(), quint64(1000));
    QCOMPARE(log.messagesTaken(), quint64(128)); // a quarter of 32 MiB
    QCOMPARE(log.bytes(), qint64(8 * 1024 * 1024));
    for (int i = 0; i < 1000; ++i)
        log.addEvent(1, QString(MessageLog::KeptBytes, u'e'));
    QVERIFY(log.bytes() <= qint64(8 * 1024 * 1024));
    QTRY_COMPARE(log.rowCount(), 128);
    QCOMPARE(log.message(127).direction, MessageLog::Event);
}

void tst_MonitorLog::floodIsSampled()
{
    Log log(2000);
    QSignalSpy changed(&log, &MessageLog::statusChanged);
    const QByteArray data(200, 'x');
    QElapsedTimer time;
    time.start();
    for (int i = 0; i < 1'000'000; ++i)
        log.addMessage(MessageLog::In, quint64(i), data);
    const double msecs = double(time.nsecsElapsed()) / 1e6;
    qInfo("1 000 000 calls: %.1f ms, %.1f ns each", msecs, msecs);
    QCOMPARE(log.messagesSeen(), quint64(1'000'000));
    QCOMPARE(log.messagesTaken(), quint64(200));

    QTRY_COMPARE(log.rowCount(), 200);
    for (int row = 0; row < 200; ++row)
        QCOMPARE(log.message(row).client, quint64(row));
    QCOMPARE(log.status(), u"showing 200 of 1.0 M messages/s"_s);
    QVERIFY(changed.size() >= 1);
    // When it is over the status says so.
    QTRY_COMPARE(log.status(), u"200 entries"_s);
    QCOMPARE(log.messagesSeen(), quint64(1'000'000));
}

void tst_MonitorLog::samplesAreSpreadOverTheSecond()
{
    Log log(2000);
    log.setMaximumEntries(100'000);
    QSignalSpy inserted(&log, &QAbstractItemModel::rowsInserted);
    QTimer flood;
    quint64 sent = 0;
    connect(&flood, &QTimer::timeout, &log, [&] {
        for (int i = 0; i < 300; ++i)
            log.addMessage(MessageLog::In, ++sent, "x");
    });
    QElapsedTimer time;
    time.start();
    flood.start(0);
    QTRY_VERIFY_WITH_TIMEOUT(inserted.size() >= 12, 20'000);
    const qint64 msecs = time.elapsed();
    flood.stop();
    QVERIFY2(log.status().startsWith(u"showing "_s), qPrintable(log.status()));
    QVERIFY2(log.status().endsWith(u" messages/s"_s), qPrintable(log.status()));
    QCOMPARE(log.messagesSeen(), sent);
    // No second has more than its share: the slices that are over, the one that began, and one that
    // the timer was early.
    QVERIFY2(log.messagesTaken() <= quint64(200 * (msecs / 100 + 2)),
             qPrintable(u"%1 in %2 ms"_s.arg(log.messagesTaken()).arg(msecs)));
    for (const auto &block : std::as_const(inserted))
        QVERIFY(block[2].toInt() - block[1].toInt() + 1 <= 200);
    // And the last slice has had its part, as the first.
    QCOMPARE(inserted[0][2].toInt() + 1, 200);
    QVERIFY(log.message(log.rowCount() - 1).client > sent / 2);
}

void tst_MonitorLog::slowRateIsKeptUp()
{
    // Less than one message in each slice.
    Log log(5);
    QTimer flood;
    connect(&flood, &QTimer::timeout, &log, [&] { log.addMessage(MessageLog::In, 1, "x"); });
    QElapsedTimer time;
    time.start();
    flood.start(1);
    QTRY_VERIFY_WITH_TIMEOUT(log.rowCount() >= 6, 20'000);
    QVERIFY2(time.elapsed() >= 800, qPrintable(QString::number(time.elapsed())));
    QVERIFY(log.messagesSeen() > log.messagesTaken());
}

void tst_MonitorLog::messageAfterSilenceIsTaken()
{
    // Also when the slice in which it became silent had no message to give.
    Log log(1);
    for (int round = 1; round <= 3; ++round) {
        log.addEvent(1, u"event"_s);
        QTRY_COMPARE(log.rowCount(), 2 * round - 1);
        log.addMessage(MessageLog::In, 1, "x");
        QCOMPARE(log.messagesTaken(), quint64(round));
        QTRY_COMPARE(log.rowCount(), 2 * round);
        log.clear(); // and silence it is
        for (int i = 0; i < 2 * round; ++i)
            log.addEvent(1, u"event"_s);
        QTRY_COMPARE(log.rowCount(), 2 * round);
    }
}

void tst_MonitorLog::unseenMessagesAreCounted()
{
    Log log(2000);
    log.addUnseen(0);
    log.addUnseen(-5);
    QCOMPARE(log.messagesSeen(), quint64(0));
    log.addMessage(MessageLog::In, 1, "x");
    log.addUnseen(48'699);
    QTRY_COMPARE(log.status(), u"showing 1 of 48 700 messages/s"_s);
    QCOMPARE(log.messagesSeen(), quint64(48'700));
    QTRY_COMPARE(log.status(), u"1 entry"_s);
    // Also when nothing else wakes it.
    log.addUnseen(1000);
    QTRY_COMPARE(log.status(), u"showing 0 of 1 000 messages/s"_s);
}

void tst_MonitorLog::eventsAreNeverLeftOut()
{
    Log log(10);
    for (int i = 0; i < 1000; ++i) {
        log.addMessage(MessageLog::In, 1, "x");
        log.addEvent(quint64(i), u"event %1"_s.arg(i));
    }
    QCOMPARE(log.messagesTaken(), quint64(1));
    QTRY_COMPARE(log.rowCount(), 1001);
    QCOMPARE(log.message(0).direction, MessageLog::In);
    for (int i = 0; i < 1000; ++i)
        QCOMPARE(log.text(i + 1, MessageLog::MessageColumn), u"event %1"_s.arg(i));
}

void tst_MonitorLog::pausedLogStandsStill()
{
    Log log;
    QVERIFY(log.fill(20));
    QSignalSpy inserted(&log, &QAbstractItemModel::rowsInserted);
    QSignalSpy removed(&log, &QAbstractItemModel::rowsRemoved);
    QSignalSpy paused(&log, &MessageLog::pausedChanged);
    log.setPaused(true);
    log.setPaused(true);
    QCOMPARE(paused.size(), 1);
    QVERIFY(log.isPaused());
    QCOMPARE(log.status(), u"paused"_s);
    log.addMessage(MessageLog::In, 1, "unseen");
    log.addEvent(1, u"an event"_s);
    QTRY_COMPARE(log.status(), u"paused, 1 message not shown"_s); // the timer has come round
    log.addMessage(MessageLog::In, 1, "unseen");
    QTRY_COMPARE(log.status(), u"paused, 2 messages not shown"_s);
    QCOMPARE(inserted.size(), 0);
    QCOMPARE(removed.size(), 0);

    log.setPaused(false);
    QCOMPARE(paused.size(), 2);
    QTRY_COMPARE(log.rowCount(), 22);
    QCOMPARE(log.text(20, MessageLog::MessageColumn), u"an event"_s);
    QCOMPARE(log.text(21, MessageLog::MessageColumn), u"paused: 2 messages not shown"_s);
    QVERIFY(!log.messages().contains(u"unseen"_s));
    QCOMPARE(log.status(), u"22 entries"_s);
    // And on it goes.
    QTRY_VERIFY(log.fill(5, 100));
}

void tst_MonitorLog::pausedLogCounts()
{
    Log log(2000);
    log.setPaused(true);
    for (int i = 0; i < 123'456; ++i)
        log.addMessage(MessageLog::Out, 1, "x");
    QTRY_COMPARE(log.status(), u"paused, 123 456 messages not shown"_s);
    QCOMPARE(log.messagesSeen(), quint64(123'456));
    QCOMPARE(log.messagesTaken(), quint64(0));
    QCOMPARE(log.bytes(), qint64(0));
    log.setPaused(false);
    QCOMPARE(log.status(), u"1 entry"_s); // not a rate of messages that were not to be shown
}

void tst_MonitorLog::pauseShowsWhatCameBefore()
{
    Log log;
    log.addMessage(MessageLog::In, 1, "before");
    log.setPaused(true);
    QCOMPARE(log.messages(), QStringList(u"before"_s));
    log.setPaused(false);
    QCOMPARE(log.messages(), QStringList(u"before"_s));
    QCOMPARE(log.status(), u"1 entry"_s);
}

void tst_MonitorLog::clearRemovesEverything()
{
    Log log;
    QVERIFY(log.fill(10));
    log.addMessage(MessageLog::In, 1, "waiting");
    QSignalSpy reset(&log, &QAbstractItemModel::modelReset);
    log.clear();
    QCOMPARE(reset.size(), 1);
    QCOMPARE(log.rowCount(), 0);
    QCOMPARE(log.bytes(), qint64(0));
    QCOMPARE(log.status(), u"0 entries"_s);
    log.addMessage(MessageLog::In, 1, "after");
    QTRY_COMPARE(log.rowCount(), 1);
    QCOMPARE(log.messages(), QStringList(u"after"_s));

    log.setPaused(true);
    log.addMessage(MessageLog::In, 1, "unseen");
    log.clear();
    QCOMPARE(log.status(), u"paused"_s);
    log.setPaused(false);
    QCOMPARE(log.rowCount(), 0);
}

void tst_MonitorLog::slotMayAddMore()
{
    Log log;
    connect(
            &log, &QAbstractItemModel::rowsInserted, &log,
            [&log] { log.addMessage(MessageLog::Out, 2, "answer"); }, Qt::SingleShotConnection);
    log.addMessage(MessageLog::In, 1, "question");
    QTRY_COMPARE(log.messages(), QStringList({ u"question"_s, u"answer"_s }));
}

void tst_MonitorLog::savedFileHasEveryRow()
{
    Log log;
    log.addMessage(MessageLog::In, 17, "a\tb\nc\\d\r");
    log.addMessage(MessageLog::Out, 3, bytes("00ff"));
    log.addMessage(MessageLog::In, 1, u"grüße"_s.toUtf8());
    log.addMessage(MessageLog::In, 1, QByteArray());
    log.addMessage(MessageLog::Out, 1, QByteArray(70'000, 'x'));
    log.addEvent(0, u"stopped"_s);
    QTRY_COMPARE(log.rowCount(), 6);

    QTemporaryDir folder;
    const QString name = folder.filePath(u"log.tsv"_s);
    QString error = u"none"_s;
    QVERIFY(log.save(name, &error));
    QCOMPARE(error, u"none"_s);
    QFile file(name);
    QVERIFY(file.open(QIODevice::ReadOnly));
    const QList<QByteArray> lines = file.readAll().split('\n');
    QCOMPARE(lines.size(), 8);
    QCOMPARE(lines[0], "time\tdirection\tclient\tsize\tmessage"_ba);
    QCOMPARE(lines[7], ""_ba);
    const QByteArray expected[] = { "in\t17\t8\ta\\tb\\nc\\\\d\\r"_ba,
                                    "out\t3\t2\t0x00ff"_ba,
                                    u"in\t1\t7\tgrüße"_s.toUtf8(),
                                    "in\t1\t0\t"_ba,
                                    "out\t1\t70000\t"_ba + QByteArray(65536, 'x') + u"…"_s.toUtf8(),
                                    "event\t\t\tstopped"_ba };
    for (int row = 0; row < 6; ++row) {
        const QByteArray &line = lines[row + 1];
        const qsizetype tab = line.indexOf('\t');
        QCOMPARE(line.mid(tab + 1), expected[row]);
        const auto time =
                QDateTime::fromString(QString::fromLatin1(line.left(tab)), Qt::ISODateWithMs);
        QCOMPARE(time.toMSecsSinceEpoch(), log.message(row).msecs);
    }
}

void tst_MonitorLog::saveFails()
{
    Log log;
    QTemporaryDir folder;
    QString error;
    QVERIFY(!log.save(folder.filePath(u"missing/log.tsv"_s), &error));
    QVERIFY(!error.isEmpty());
    QVERIFY(!log.save(folder.path(), nullptr));
}

// --- The view ---

void tst_MonitorLog::emptyTableSaysSo()
{
    View shown;
    QVERIFY(shown.isShown);
    const auto picture = [&shown] { return shown.table().viewport()->grab().toImage(); };
    const QImage empty = picture();
    shown.view.setFilter(u"nothing"_s);
    QVERIFY(picture() != empty); // another text: no message matches
    shown.view.setFilter({});
    QCOMPARE(picture(), empty);
    QVERIFY(shown.log.fill(1));
    shown.log.clear();
    QTRY_COMPARE(picture(), empty);
    // It is not the bare table.
    const QColor corner = empty.pixelColor(2, 2);
    bool hasText = false;
    for (int x = 0; x < empty.width(); ++x)
        hasText |= empty.pixelColor(x, empty.height() / 2) != corner;
    QVERIFY(hasText);
}

void tst_MonitorLog::filterFindsTextAndClient_data()
{
    QTest::addColumn<QString>("filter");
    QTest::addColumn<QStringList>("expected");
    const QStringList all { u"Hello"_s, u"hello 7"_s, u"(.*)"_s, u"fe ed"_s, u"connected"_s };
    QTest::newRow("none") << u""_s << all;
    QTest::newRow("spaces") << u"  "_s << all;
    QTest::newRow("text") << u"hELLO"_s << QStringList({ u"Hello"_s, u"hello 7"_s });
    QTest::newRow("no pattern") << u"(.*)"_s << QStringList({ u"(.*)"_s });
    QTest::newRow("client, or text") << u"7"_s << QStringList({ u"hello 7"_s, u"(.*)"_s });
    QTest::newRow("client") << u"17"_s << QStringList({ u"Hello"_s });
    QTest::newRow("hex") << u"E eD"_s << QStringList({ u"fe ed"_s });
    QTest::newRow("event") << u"connect"_s << QStringList({ u"connected"_s });
    QTest::newRow("nothing") << u"nothing"_s << QStringList();
}

void tst_MonitorLog::filterFindsTextAndClient()
{
    QFETCH(QString, filter);
    View shown;
    shown.log.addMessage(MessageLog::In, 17, "Hello");
    shown.log.addMessage(MessageLog::In, 1, "hello 7");
    shown.log.addMessage(MessageLog::Out, 7, "(.*)");
    shown.log.addMessage(MessageLog::Out, 2, bytes("feed"));
    shown.log.addEvent(3, u"connected"_s);
    QTRY_COMPARE(shown.log.rowCount(), 5);
    QVERIFY(shown.isShown);
    shown.filter().setFocus();
    QTest::keyClicks(&shown.filter(), filter);
    QCOMPARE(shown.view.filter(), filter);
    QStringList found;
    for (int row = 0; row < shown.rows().rowCount(); ++row)
        found += shown.message(row);
    QTEST(found, "expected");
}

void tst_MonitorLog::filterHoldsForNewRows()
{
    View shown;
    QAbstractItemModelTester tester(&shown.rows(),
                                    QAbstractItemModelTester::FailureReportingMode::QtTest);
    shown.log.setMaximumEntries(50);
    shown.view.setFilter(u"message 1"_s);
    QVERIFY(shown.log.fill(20));
    QCOMPARE(shown.rows().rowCount(), 11); // 1 and 10 to 19
    QVERIFY(shown.log.fill(45, 20));
    QCOMPARE(shown.log.message(0).data, "message 15"_ba);
    QCOMPARE(shown.rows().rowCount(), 5);
    QCOMPARE(shown.message(0), u"message 15"_s);
}

void tst_MonitorLog::escapeClearsTheFilter()
{
    View shown;
    shown.view.setFilter(u"text"_s);
    QTest::keyClick(&shown.filter(), Qt::Key_Escape);
    QCOMPARE(shown.view.filter(), u""_s);
}

void tst_MonitorLog::spacePauses()
{
    View shown;
    QVERIFY(shown.isShown);
    QVERIFY(shown.log.fill(3));
    QAction *pause = shown.view.logActions().constFirst();
    shown.table().setFocus();
    QTest::keyClick(&shown.table(), Qt::Key_Space);
    QVERIFY(shown.log.isPaused());
    QVERIFY(pause->isChecked());
    QCOMPARE(shown.status(), u"paused"_s);
    QTest::keyClick(&shown.table(), Qt::Key_Space);
    QVERIFY(!shown.log.isPaused());
    QVERIFY(!pause->isChecked());
    // A space in the filter is a space.
    shown.filter().setFocus();
    QTest::keyClick(&shown.filter(), Qt::Key_Space);
    QVERIFY(!shown.log.isPaused());
    QCOMPARE(shown.view.filter(), u" "_s);
    // Whoever pauses the log, the button knows.
    shown.log.setPaused(true);
    QVERIFY(pause->isChecked());
}

void tst_MonitorLog::clearEmptiesTheView()
{
    View shown;
    QVERIFY(shown.log.fill(30));
    shown.table().selectRow(3);
    QVERIFY(shown.header().contains(u"client 4"_s));
    shown.view.logActions().at(1)->trigger();
    QCOMPARE(shown.rows().rowCount(), 0);
    QVERIFY(!shown.header().contains(u"client"_s));
    QCOMPARE(shown.pane(u"hex"_s).toPlainText(), u""_s);
    QVERIFY(!shown.pane(u"hex"_s).isVisible());
    // The same message once more is shown again.
    QVERIFY(shown.log.fill(30));
    shown.table().selectRow(3);
    QVERIFY(shown.header().contains(u"client 4"_s));
    QVERIFY(shown.pane(u"hex"_s).isVisible());
}

void tst_MonitorLog::newestRowIsFollowed()
{
    View shown;
    QVERIFY(shown.isShown);
    shown.log.setMaximumEntries(100);
    int next = 0;
    for (const int block : { 5, 60, 60, 90, 100 }) { // also while rows are dropped
        QVERIFY(shown.log.fill(block, next));
        next += block;
        if (next > 5)
            QTRY_VERIFY(shown.isAtEnd());
    }
    // Away from the end, and back.
    shown.table().scrollToTop();
    QVERIFY(shown.log.fill(10, next));
    next += 10;
    QVERIFY(!shown.isAtEnd());
    QTest::keyClick(&shown.table(), Qt::Key_End, Qt::ControlModifier);
    shown.table().scrollToBottom();
    QVERIFY(shown.log.fill(10, next));
    QTRY_VERIFY(shown.isAtEnd());
    // A smaller view shows the end, too.
    shown.view.resize(900, 300);
    QTRY_VERIFY(shown.isAtEnd());
}

void tst_MonitorLog::tableStandsStillElsewhere()
{
    View shown;
    QVERIFY(shown.isShown);
    shown.log.setMaximumEntries(200);
    QVERIFY(shown.log.fill(200));
    QTRY_VERIFY(shown.isAtEnd());
    shown.table().verticalScrollBar()->setValue(120);
    QTRY_COMPARE(shown.firstSeen(), u"message 120"_s);
    QVERIFY(shown.log.fill(50, 200)); // drops 50
    QTRY_COMPARE(shown.firstSeen(), u"message 120"_s);
    QVERIFY(shown.log.fill(70, 250));
    QTRY_COMPARE(shown.firstSeen(), u"message 120"_s);
    QCOMPARE(shown.table().verticalScrollBar()->value(), 0);
    QVERIFY(shown.log.fill(30, 320)); // now it is gone itself
    QTRY_COMPARE(shown.firstSeen(), u"message 150"_s);
    QVERIFY(!shown.isAtEnd());
}

void tst_MonitorLog::selectionStaysOnItsMessage()
{
    View shown;
    shown.log.setMaximumEntries(100);
    QVERIFY(shown.log.fill(100));
    shown.table().selectRow(80);
    QCOMPARE(shown.selected(), QStringList(u"message 80"_s));
    const QString header = shown.header();
    const QString hex = shown.pane(u"hex"_s).toPlainText();
    QVERIFY(shown.log.fill(60, 100));
    QCOMPARE(shown.selected(), QStringList(u"message 80"_s));
    QCOMPARE(shown.table().selectionModel()->selectedRows().constFirst().row(), 20);
    QCOMPARE(shown.header(), header);
    QCOMPARE(shown.pane(u"hex"_s).toPlainText(), hex);
    // Also when rows are hidden.
    shown.view.setFilter(u"8"_s);
    QCOMPARE(shown.selected(), QStringList(u"message 80"_s));
    shown.view.setFilter({});
    QCOMPARE(shown.selected(), QStringList(u"message 80"_s));
}

void tst_MonitorLog::droppedMessageStaysReadable()
{
    View shown;
    shown.log.setMaximumEntries(100);
    QVERIFY(shown.log.fill(100));
    shown.table().selectRow(10);
    QVERIFY(!shown.header().contains(u"no longer"_s));
    QVERIFY(shown.log.fill(60, 100));
    QCOMPARE(shown.selected(), QStringList());
    QVERIFY2(shown.header().endsWith(u"no longer in the list"_s), qPrintable(shown.header()));
    QCOMPARE(shown.pane(u"text"_s).toPlainText(), u"message 10"_s);
    shown.table().selectRow(10);
    QCOMPARE(shown.pane(u"text"_s).toPlainText(), u"message 70"_s);
    QVERIFY(!shown.header().contains(u"no longer"_s));
}

void tst_MonitorLog::detailsShowTheMessage()
{
    View shown;
    shown.log.addMessage(MessageLog::In, 7, "a\nb");
    shown.log.addMessage(MessageLog::Out, 8, R"({"a":1})");
    shown.log.addMessage(MessageLog::Out, 9, bytes("00ff41"));
    shown.log.addMessage(MessageLog::Out, 9, QByteArray());
    shown.log.addEvent(5, u"connected"_s);
    QTRY_COMPARE(shown.log.rowCount(), 5);
    const auto pane = [&shown](const QString &name) { return shown.pane(name).toPlainText(); };
    const auto header = [&shown](int row, const QStringList &parts) {
        return QStringList(MessageLog::timeText(shown.log.message(row)) + u"   "_s
                           + parts.join(u"   "_s));
    };

    shown.table().selectRow(0);
    QCOMPARE(QStringList(shown.header()), header(0, { u"↓ in"_s, u"client 7"_s, u"3 B"_s }));
    QCOMPARE(pane(u"hex"_s), u"00000000  61 0a 62"_s);
    QCOMPARE(pane(u"ascii"_s), u"a·b"_s);
    QCOMPARE(pane(u"text"_s), u"a\nb"_s);

    shown.table().selectRow(1);
    QCOMPARE(QStringList(shown.header()), header(1, { u"↑ out"_s, u"client 8"_s, u"7 B"_s }));
    QCOMPARE(pane(u"ascii"_s), u"{\"a\":1}"_s);
    QCOMPARE(pane(u"text"_s), u"{\n  \"a\": 1\n}"_s);

    shown.table().selectRow(2);
    QCOMPARE(pane(u"hex"_s), u"00000000  00 ff 41"_s);
    QCOMPARE(pane(u"text"_s), u""_s);
    QCOMPARE(shown.pane(u"text"_s).placeholderText(), u"not text"_s);

    shown.table().selectRow(3);
    QCOMPARE(pane(u"hex"_s), u""_s);
    QCOMPARE(shown.pane(u"text"_s).placeholderText(), u"empty"_s);

    shown.table().selectRow(4);
    QCOMPARE(QStringList(shown.header()), header(4, { u"• event"_s, u"client 5"_s }));
    QCOMPARE(pane(u"text"_s), u"connected"_s);
    QVERIFY(!shown.pane(u"hex"_s).isVisible());
    QVERIFY(shown.pane(u"text"_s).isVisible());

    shown.table().selectRow(0);
    QVERIFY(shown.pane(u"hex"_s).isVisible());
    for (const QString &name : { u"hex"_s, u"ascii"_s, u"text"_s })
        QVERIFY(shown.pane(name).isReadOnly());
}

void tst_MonitorLog::detailsSayThatItIsCut()
{
    View shown;
    // The cut goes through a character.
    const QByteArray data = "x" + u"ä"_s.toUtf8().repeated(1'500'000);
    shown.log.addMessage(MessageLog::In, 7, data);
    QTRY_COMPARE(shown.log.rowCount(), 1);
    shown.table().selectRow(0);
    const QString expected = u"first %1 of %2"_s.arg(formatBytes(65536), formatBytes(3'000'001));
    QVERIFY2(shown.header().endsWith(expected), qPrintable(shown.header()));
    QCOMPARE(shown.pane(u"hex"_s).document()->blockCount(), 4096);
    QCOMPARE(shown.pane(u"ascii"_s).document()->blockCount(), 4096);
    QCOMPARE(shown.pane(u"text"_s).toPlainText(), u"x"_s + QString(32767, u'ä'));
}

void tst_MonitorLog::panesScrollTogether()
{
    View shown;
    QVERIFY(shown.isShown);
    shown.log.addMessage(MessageLog::In, 7, numbers(2000));
    QTRY_COMPARE(shown.log.rowCount(), 1);
    shown.table().selectRow(0);
    auto *hex = shown.pane(u"hex"_s).verticalScrollBar();
    auto *ascii = shown.pane(u"ascii"_s).verticalScrollBar();
    for (const int width : { 900, 500 }) { // in the narrow one the bytes do not fit
        shown.view.resize(width, 420);
        const bool fits = width == 900;
        QTRY_COMPARE(shown.pane(u"hex"_s).horizontalScrollBar()->isVisible(), !fits);
        QTRY_COMPARE(shown.pane(u"ascii"_s).viewport()->height(),
                     shown.pane(u"hex"_s).viewport()->height());
        QTRY_VERIFY(hex->maximum() > 50 && hex->maximum() == ascii->maximum());
        hex->setValue(40);
        QCOMPARE(ascii->value(), 40);
        ascii->setValue(hex->maximum());
        QCOMPARE(hex->value(), hex->maximum());
        QCOMPARE(ascii->value(), ascii->maximum());
    }
}

void tst_MonitorLog::saveErrorIsInTheStatus()
{
    View shown;
    QVERIFY(shown.log.fill(3));
    QTemporaryDir folder;
    QVERIFY(!shown.view.saveTo(folder.filePath(u"missing/log.tsv"_s)));
    QVERIFY2(shown.status().startsWith(u"Not saved: "_s), qPrintable(shown.status()));
    QVERIFY(!QApplication::activeModalWidget());
    // It can be read for some time, whatever the log says.
    QVERIFY(shown.log.fill(3, 3));
    QVERIFY(shown.status().startsWith(u"Not saved: "_s));
    QVERIFY(shown.view.saveTo(folder.filePath(u"log.tsv"_s)));
    QVERIFY2(shown.status().startsWith(u"Saved 6 entries to "_s), qPrintable(shown.status()));
    QVERIFY(QFile::exists(folder.filePath(u"log.tsv"_s)));
}

void tst_MonitorLog::rowIsCopied()
{
    View shown;
    QVERIFY(shown.log.fill(3));
    shown.view.setFilter(u"message 1"_s);
    shown.table().selectRow(0);
    QTest::keySequence(&shown.table(), QKeySequence::Copy);
    QCOMPARE(QGuiApplication::clipboard()->text(), shown.log.line(1));
}

void tst_MonitorLog::viewIsAccessible()
{
    View shown;
    QVERIFY(shown.log.fill(1));
    shown.table().selectRow(0);
    QWidget *first = &shown.filter();
    QStringList names;
    QWidget *widget = first;
    do {
        if (widget->isVisible() && (widget->focusPolicy() & Qt::TabFocus)) {
            QVERIFY2(!widget->accessibleName().isEmpty(), widget->metaObject()->className());
            names += widget->accessibleName();
        }
        widget = widget->nextInFocusChain();
    } while (widget != first);
    QCOMPARE(names,
             QStringList({ u"Filter messages"_s, u"Pause"_s, u"Clear"_s, u"Save…"_s, u"Messages"_s,
                           u"Bytes of the message, hexadecimal"_s,
                           u"Bytes of the message, as characters"_s, u"The message as text"_s }));
}

QTEST_MAIN(tst_MonitorLog)
#include "tst_monitor_log.moc"
