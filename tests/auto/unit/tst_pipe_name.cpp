// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "core/pipename.h"

#include <QtTest/QtTest>

using namespace QtNamedPipes;
using namespace Qt::StringLiterals;

static const QString missing = u"a name is missing"_s;

/// Which names a pipe may have, and what is said of the others.
class tst_PipeName : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void goodNames_data();
    void goodNames();
    void badNames_data();
    void badNames();
    void theLongestNameIsKnown();
    void thePathContainsTheName();
};

void tst_PipeName::goodNames_data()
{
    QTest::addColumn<QString>("name");
    QTest::newRow("letter") << u"a"_s;
    QTest::newRow("word") << u"MyPipe"_s;
    QTest::newRow("inner dots and spaces") << u"com.example my pipe.v2"_s;
    QTest::newRow("signs") << u"a-b_c+d{e}(f),g@h#i"_s;
    QTest::newRow("umlauts") << u"Grüße"_s;
    QTest::newRow("beyond the first plane") << u"pipe \U0001F600!"_s;
    QTest::newRow("digits") << u"4711"_s;
    QTest::newRow("pipe") << u"pipe"_s;
    QTest::newRow("inner no-break space") << u"a\u00a0b"_s;
}

void tst_PipeName::goodNames()
{
    QFETCH(QString, name);
    const TransportError error = checkPipeName(name, missing);
    QVERIFY2(!error, qPrintable(error.text()));
}

void tst_PipeName::badNames_data()
{
    QTest::addColumn<QString>("name");
    QTest::addColumn<NamedPipe::Error>("error");
    QTest::addColumn<QString>("said"); // a part of the text
    const auto bad = [](const char *row, const QString &name, const QString &said) {
        QTest::newRow(row) << name << NamedPipe::NameInvalid << said;
    };
    QTest::newRow("null") << QString() << NamedPipe::NameMissing << missing;
    QTest::newRow("empty") << u""_s << NamedPipe::NameMissing << missing;
    bad("full name", u"\\\\.\\pipe\\Name"_s, u"leaf name"_s);
    bad("full name, other case", u"\\\\.\\PIPE\\Name"_s, u"leaf name"_s);
    bad("full name without a leaf", u"\\\\.\\pipe\\"_s, u"leaf name"_s);
    bad("backslash", u"a\\b"_s, u"\\ or /"_s);
    bad("slash", u"a/b"_s, u"\\ or /"_s);
    bad("path", u"/tmp/name"_s, u"\\ or /"_s);
    bad("up and away", u"../name"_s, u"\\ or /"_s);
    bad("NUL", u"a"_s + QChar(0) + u'b', u"NUL"_s);
    bad("NUL at the end", u"a"_s + QChar(0), u"NUL"_s);
    bad("line feed", u"a\nb"_s, u"control character"_s);
    bad("line feed at the end", u"a\n"_s, u"control character"_s);
    bad("escape", u"\x1b[2J"_s, u"control character"_s);
    bad("delete", u"a\x7f"_s, u"control character"_s);
    bad("C1 control", u"a\u0085b"_s, u"control character"_s);
    bad("dot", u"."_s, u"begin or end"_s);
    bad("two dots", u".."_s, u"begin or end"_s);
    bad("leading dot", u".hidden"_s, u"begin or end"_s);
    bad("trailing dot", u"name."_s, u"begin or end"_s);
    bad("space", u" "_s, u"begin or end"_s);
    bad("leading space", u" name"_s, u"begin or end"_s);
    bad("trailing space", u"name "_s, u"begin or end"_s);
    bad("trailing no-break space", u"name\u00a0"_s, u"begin or end"_s);
    bad("half a surrogate pair", u"a"_s + QChar(0xD83D) + u'b', u"valid Unicode"_s);
    bad("other half of a pair", u"a"_s + QChar(0xDE00), u"valid Unicode"_s);
    bad("far too long", QString(5000, u'n'), u"too long"_s);
}

void tst_PipeName::badNames()
{
    QFETCH(QString, name);
    QFETCH(NamedPipe::Error, error);
    QFETCH(QString, said);
    const TransportError fault = checkPipeName(name, missing);
    QCOMPARE(fault.error, error);
    QVERIFY2(fault.text().contains(said), qPrintable(fault.text()));
}

void tst_PipeName::theLongestNameIsKnown()
{
    int longest = 1;
    while (!checkPipeName(QString(longest + 1, u'n'), missing))
        QVERIFY(++longest < 5000);
    QVERIFY2(longest >= 32, qPrintable(QString::number(longest)));
    QCOMPARE(checkPipeName(QString(longest + 1, u'n'), missing).error, NamedPipe::NameInvalid);
    QCOMPARE(checkPipeName(QString(longest + 100, u'n'), missing).error, NamedPipe::NameInvalid);
}

void tst_PipeName::thePathContainsTheName()
{
    const QString path = platformPipePath(u"MyPipe"_s);
    QVERIFY2(path.endsWith(u"MyPipe"_s) && path.size() > 6, qPrintable(path));
}

QTEST_GUILESS_MAIN(tst_PipeName)
#include "tst_pipe_name.moc"
