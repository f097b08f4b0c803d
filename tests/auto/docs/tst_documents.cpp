// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include <QtNamedPipes/QtNamedPipes>

#include <QtCore/qdir.h>
#include <QtCore/qdiriterator.h>
#include <QtCore/qfile.h>
#include <QtCore/qmap.h>
#include <QtCore/qmetaobject.h>
#include <QtCore/qregularexpression.h>
#include <QtCore/qversionnumber.h>
#include <QtTest/QtTest>

#include <algorithm>
#include <functional>

using namespace Qt::StringLiterals;

static QString textOf(const QString &path)
{
    QFile file(u"" SOURCE_DIR "/"_s + path);
    if (!file.open(QIODevice::ReadOnly | QIODevice::Text))
        qWarning("%s: %s", qPrintable(file.fileName()), qPrintable(file.errorString()));
    return QString::fromUtf8(file.readAll());
}

/// \a code as it looks at the left margin.
static QString unindented(const QString &code)
{
    QStringList lines = code.split(u'\n');
    qsizetype indent = code.size();
    for (const QString &line : std::as_const(lines)) {
        const auto text =
                std::find_if(line.cbegin(), line.cend(), [](QChar c) { return c != u' '; });
        if (text != line.cend())
            indent = std::min(indent, qsizetype(text - line.cbegin()));
    }
    for (QString &line : lines)
        line.remove(0, indent);
    return lines.join(u'\n').trimmed();
}

/// What stands between the markers in docs/snippets, and in the monitor, which has a page of its
/// own, by the names of file and marker.
static QMap<QString, QString> snippets()
{
    QMap<QString, QString> all;
    static const QRegularExpression snippet(
            u"^ *//! \\[(.+)\\]\n(.*?)^ *//! \\[\\1\\]$"_s,
            QRegularExpression::MultilineOption | QRegularExpression::DotMatchesEverythingOption);
    for (const QString &folder : { u"docs/snippets"_s, u"demo/monitor"_s }) {
        const QDir dir(u"" SOURCE_DIR "/"_s + folder);
        for (const QString &file : dir.entryList({ u"*.cpp"_s, u"*.h"_s }, QDir::Files)) {
            auto matches = snippet.globalMatch(textOf(folder + u'/' + file));
            while (matches.hasNext()) {
                const auto match = matches.next();
                all.insert(file + u' ' + match.captured(1), unindented(match.captured(2)));
            }
        }
    }
    return all;
}

/// The pages in Markdown.
static QStringList pages()
{
    const QDir root(u"" SOURCE_DIR ""_s);
    QStringList all = root.entryList({ u"*.md"_s }, QDir::Files);
    for (const QString &folder : { u"docs"_s, u"demo"_s, u"tests"_s }) {
        QDirIterator files(root.filePath(folder), { u"*.md"_s }, QDir::Files,
                           QDirIterator::Subdirectories);
        while (files.hasNext())
            all += root.relativeFilePath(files.next());
    }
    all.sort();
    return all;
}

/// A block of code in Markdown.
struct CodeBlock
{
    QString language;
    QString text;
};

static QList<CodeBlock> codeBlocks(const QString &page)
{
    static const QRegularExpression block(u"^ *```(.*)\n((?:.*\n)*?) *```$"_s,
                                          QRegularExpression::MultilineOption);
    QList<CodeBlock> all;
    auto matches = block.globalMatch(textOf(page));
    while (matches.hasNext()) {
        const auto match = matches.next();
        all.append({ match.captured(1), unindented(match.captured(2)) });
    }
    return all;
}

/// What the documentation says, where a program can check it.
class tst_Documents : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void codeIsCompiled_data();
    void codeIsCompiled();
    void everyBlockOfCodeIsAccountedFor_data();
    void everyBlockOfCodeIsAccountedFor();
    void everySnippetIsShown();
    void limitsAreTheDefaults_data();
    void limitsAreTheDefaults();
    void changelogHasItsForm();
    void versionIsTheSameEverywhere();
};

void tst_Documents::codeIsCompiled_data()
{
    QTest::addColumn<QString>("code");
    for (const QString &page : pages()) {
        int number = 0;
        for (const CodeBlock &block : codeBlocks(page)) {
            if (block.language == u"cpp")
                QTest::addRow("%s, %d", qPrintable(page), ++number) << block.text;
        }
    }
}

/// Each piece of C++ in Markdown is one of the snippets, word for word.
void tst_Documents::codeIsCompiled()
{
    QFETCH(QString, code);
    const QStringList compiled = snippets().values();
    QVERIFY2(compiled.contains(code), qPrintable(code));
}

void tst_Documents::everyBlockOfCodeIsAccountedFor_data()
{
    QTest::addColumn<QString>("page");
    for (const QString &page : pages()) {
        if (!codeBlocks(page).isEmpty())
            QTest::newRow(qPrintable(page)) << page;
    }
}

/// C++ is compiled; for the rest this is the list of how it is tried, or why it is not. A block
/// that is new has to get its place here.
void tst_Documents::everyBlockOfCodeIsAccountedFor()
{
    static const char run[] = "run by tst_foreign_clients";
    static const char newcomer[] = "run by tests/packaging/newcomer.sh";
    static const char consumer[] = "part of tests/packaging/consumer, which has its own names";
    static const char byHand[] = "commands that the tests themselves are started with";
    static const char otherSystem[] = "for a shell of Windows: there is none here";
    static const char noCompiler[] = "no compiler for it is at hand";
    static const char bytes[] = "no code; tst_wire_linux and tst_message_framing check the format";
    static const char elsewhere[] = "for systemd, of a program that is installed";
    struct Known
    {
        QString page;
        QString language;
        int count;
        const char *how;
    };
    static const QList<Known> known {
        { u"CONTRIBUTING.md"_s, u"sh"_s, 1, "packs for a release; tests/packaging packs likewise" },
        { u"README.md"_s, u"sh"_s, 2, byHand }, // the scripts; the clients
        { u"README.md"_s, u"sh"_s, 3, newcomer },
        { u"README.md"_s, u"cmake"_s, 1, newcomer },
        { u"README.md"_s, u"cmake"_s, 2, consumer }, // FetchContent; the DLLs
        { u"README.md"_s, u"sh"_s, 1, "cpack; tests/packaging calls it" },
        { u"README.md"_s, u"bat"_s, 2, otherSystem },
        { u"demo/clients/README.md"_s, u"sh"_s, 1, byHand },
        { u"demo/clients/README.md"_s, u"python"_s, 1, run },
        { u"demo/clients/README.md"_s, u"js"_s, 1, run },
        { u"demo/examples/07-service/README.md"_s, u"sh"_s, 1, byHand },
        { u"demo/examples/07-service/README.md"_s, u"ini"_s, 1, elsewhere },
        { u"demo/examples/README.md"_s, u"sh"_s, 2, byHand },
        { u"docs/coming-from-twinbasic.md"_s, u"vb"_s, 2, noCompiler },
        { u"docs/performance.md"_s, u"sh"_s, 1, byHand },
        { u"docs/wire-format.md"_s, QString(), 1, bytes },
        { u"docs/wire-format.md"_s, u"python"_s, 1, run },
        { u"tests/README.md"_s, u"sh"_s, 1, byHand },
        { u"tests/benchmarks/README.md"_s, u"sh"_s, 1, byHand },
    };
    QFETCH(QString, page);
    QMap<QString, int> expected;
    for (const Known &entry : known) {
        if (entry.page == page)
            expected[entry.language] += entry.count;
    }
    QMap<QString, int> found;
    for (const CodeBlock &block : codeBlocks(page)) {
        if (block.language != u"cpp")
            ++found[block.language];
    }
    QCOMPARE(found, expected);
    // Nothing that looks like a block has escaped.
    QCOMPARE(textOf(page).count(u"```"_s), 2 * codeBlocks(page).size());
}

/// A snippet that no page shows is dead; a page that wants one that is not there, wrong.
void tst_Documents::everySnippetIsShown()
{
    QStringList shown;
    QString markdown;
    static const QRegularExpression command(u"\\\\snippet (\\S+) (.+)"_s);
    for (const QString &folder : { u"docs"_s, u"docs/pages"_s, u"src"_s, u"."_s }) {
        const QDir dir(u"" SOURCE_DIR "/"_s + folder);
        const QStringList files =
                dir.entryList({ u"*.qdoc"_s, u"*.cpp"_s, u"*.md"_s }, QDir::Files);
        for (const QString &file : files) {
            const QString text = textOf(folder + u'/' + file);
            auto matches = command.globalMatch(text);
            while (matches.hasNext()) {
                const auto match = matches.next();
                shown += match.captured(1) + u' ' + match.captured(2).trimmed();
            }
            if (file.endsWith(u".md"_s))
                markdown += text;
        }
    }
    const QMap<QString, QString> known = snippets();
    for (const QString &name : std::as_const(shown))
        QVERIFY2(known.contains(name), qPrintable(name));
    for (auto it = known.cbegin(); it != known.cend(); ++it)
        QVERIFY2(shown.contains(it.key()) || markdown.contains(it.value()), qPrintable(it.key()));
}

/// Every property that is a number has its row in the table of limits, with its default.
void tst_Documents::limitsAreTheDefaults_data()
{
    QTest::addColumn<QString>("name");
    QTest::addColumn<qint64>("value");
    const NamedPipeServer server;
    const NamedPipeClientManager manager;
    for (const QObject *object :
         { static_cast<const QObject *>(&server), static_cast<const QObject *>(&manager) }) {
        const QMetaObject *meta = object->metaObject();
        for (int i = meta->propertyOffset(); i < meta->propertyCount(); ++i) {
            const QMetaProperty property = meta->property(i);
            const int type = property.typeId();
            if (type != QMetaType::Int && type != QMetaType::LongLong)
                continue;
            const QString name =
                    QLatin1String(meta->className()) + u"::"_s + QLatin1String(property.name());
            QTest::newRow(qPrintable(name)) << name << property.read(object).toLongLong();
        }
    }
}

void tst_Documents::limitsAreTheDefaults()
{
    QFETCH(QString, name);
    QFETCH(qint64, value);
    // \row \li NamedPipeServer::maxConnections \li 0 (unit) ...
    const QRegularExpression row(u"\\\\row \\\\li "_s + name + u"\\s+\\\\li (-?\\d+)\\b"_s);
    const auto match = row.match(textOf(u"docs/pages/limits.qdoc"_s));
    QVERIFY2(match.hasMatch(), qPrintable(name));
    QCOMPARE(match.captured(1).toLongLong(), value);
}

/// https://keepachangelog.com/en/1.1.0/
void tst_Documents::changelogHasItsForm()
{
    const QString text = textOf(u"CHANGELOG.md"_s);
    const QStringList lines = text.split(u'\n');
    QCOMPARE(lines.constFirst(), u"# Changelog"_s);
    static const QRegularExpression version(
            u"^## \\[(Unreleased|\\d+\\.\\d+\\.\\d+)\\](?: - (Unreleased|\\d{4}-\\d\\d-\\d\\d))?$"_s);
    static const QStringList kinds { u"Added"_s,   u"Changed"_s, u"Deprecated"_s,
                                     u"Removed"_s, u"Fixed"_s,   u"Security"_s };
    QList<QVersionNumber> versions;
    QStringList seen; // kinds of change of the version at hand
    bool isInVersion = false;
    bool isInKind = false;
    for (const QString &line : lines) {
        if (line.startsWith(u"## ")) {
            const auto match = version.match(line);
            QVERIFY2(match.hasMatch(), qPrintable(line));
            const QString link = u"\n["_s + match.captured(1) + u"]: https://"_s;
            QCOMPARE(text.count(link), 1);
            if (match.captured(1) == u"Unreleased") {
                QVERIFY2(!isInVersion && match.captured(2).isEmpty(), qPrintable(line));
            } else {
                QVERIFY2(!match.captured(2).isEmpty(), qPrintable(line));
                versions += QVersionNumber::fromString(match.captured(1));
            }
            isInVersion = true;
            isInKind = false;
            seen.clear();
        } else if (line.startsWith(u"### ")) {
            const QString kind = line.mid(4);
            QVERIFY2(isInVersion && kinds.contains(kind) && !seen.contains(kind), qPrintable(line));
            seen += kind;
            isInKind = true;
        } else if (line.startsWith(u"- ")) {
            QVERIFY2(isInKind, qPrintable(line));
        }
    }
    QVERIFY(!versions.isEmpty());
    QVERIFY(std::is_sorted(versions.cbegin(), versions.cend(), std::greater<>()));
    QCOMPARE(versions.constFirst(), QVersionNumber::fromString(u"" PROJECT_VERSION ""_s));
}

/// In CMake, in the header, and for the library that was built from both.
void tst_Documents::versionIsTheSameEverywhere()
{
    QCOMPARE(QString::fromLatin1(QTNAMEDPIPES_VERSION_STR), u"" PROJECT_VERSION ""_s);
    const auto version = QVersionNumber::fromString(u"" PROJECT_VERSION ""_s);
    QCOMPARE(QVersionNumber(QTNAMEDPIPES_VERSION_MAJOR, QTNAMEDPIPES_VERSION_MINOR,
                            QTNAMEDPIPES_VERSION_PATCH),
             version);
    QCOMPARE(QTNAMEDPIPES_VERSION,
             QTNAMEDPIPES_VERSION_CHECK(version.majorVersion(), version.minorVersion(),
                                        version.microVersion()));
    static_assert(QTNAMEDPIPES_VERSION_CHECK(1, 2, 3) > QTNAMEDPIPES_VERSION_CHECK(1, 1, 255));
    static_assert(QTNAMEDPIPES_VERSION_CHECK(2, 0, 0) > QTNAMEDPIPES_VERSION_CHECK(1, 255, 255));
}

QTEST_GUILESS_MAIN(tst_Documents)
#include "tst_documents.moc"
