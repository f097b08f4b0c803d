// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include <QtNamedPipes/QtNamedPipes>

#include <QtCore/qdir.h>
#include <QtCore/qfile.h>
#include <QtCore/qmetaobject.h>
#include <QtCore/qregularexpression.h>
#include <QtCore/qversionnumber.h>
#include <QtTest/QtTest>

#include <algorithm>

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

/// What stands between the markers in docs/snippets, by the names of file and marker.
static QMap<QString, QString> snippets()
{
    QMap<QString, QString> all;
    const QDir folder(u"" SOURCE_DIR "/docs/snippets"_s);
    static const QRegularExpression snippet(
            u"^ *//! \\[(.+)\\]\n(.*?)^ *//! \\[\\1\\]$"_s,
            QRegularExpression::MultilineOption | QRegularExpression::DotMatchesEverythingOption);
    for (const QString &file : folder.entryList({ u"*.cpp"_s, u"*.h"_s }, QDir::Files)) {
        auto matches = snippet.globalMatch(textOf(u"docs/snippets/"_s + file));
        while (matches.hasNext()) {
            const auto match = matches.next();
            all.insert(file + u' ' + match.captured(1), unindented(match.captured(2)));
        }
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
    void everySnippetIsShown();
    void limitsAreTheDefaults_data();
    void limitsAreTheDefaults();
    void changelogHasItsForm();
};

void tst_Documents::codeIsCompiled_data()
{
    QTest::addColumn<QString>("code");
    static const QRegularExpression block(u"^```cpp\n(.*?)^```$"_s,
                                          QRegularExpression::MultilineOption
                                                  | QRegularExpression::DotMatchesEverythingOption);
    for (const QString &page : { u"README.md"_s, u"docs/coming-from-qlocalsocket.md"_s,
                                 u"docs/coming-from-twinbasic.md"_s }) {
        auto matches = block.globalMatch(textOf(page));
        QVERIFY2(matches.hasNext(), qPrintable(page));
        for (int i = 1; matches.hasNext(); ++i)
            QTest::addRow("%s, %d", qPrintable(page), i) << unindented(matches.next().captured(1));
    }
}

/// Each piece of C++ in Markdown is one of the snippets, word for word.
void tst_Documents::codeIsCompiled()
{
    QFETCH(QString, code);
    const QStringList compiled = snippets().values();
    QVERIFY2(compiled.contains(code), qPrintable(code));
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
    const QStringList lines = textOf(u"CHANGELOG.md"_s).split(u'\n');
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

QTEST_GUILESS_MAIN(tst_Documents)
#include "tst_documents.moc"
