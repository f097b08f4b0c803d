// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "skipping.h"
#include "stress.h"
#include "testserver.h"

#include <QtCore/qfile.h>
#include <QtCore/qhash.h>
#include <QtCore/qprocess.h>
#include <QtCore/qregularexpression.h>
#include <QtCore/qscopeguard.h>
#include <QtCore/qstandardpaths.h>
#include <QtCore/qtemporarydir.h>
#include <QtCore/qversionnumber.h>
#include <QtNetwork/qlocalserver.h>
#include <QtNetwork/qlocalsocket.h>
#include <QtTest/QtTest>

#include <memory>
#include <utility>
#include <vector>

using namespace Qt::StringLiterals;

/// A program in another language, for instance one of demo/clients. It ends with this object,
/// however the test goes.
class ForeignClient
{
public:
    ForeignClient(const QString &interpreter, const QStringList &arguments,
                  const QString &folder = {})
    {
        QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
        environment.insert(u"PYTHONDONTWRITEBYTECODE"_s, u"1"_s); // the sources stay as they are
        m_process.setProcessEnvironment(environment);
        m_process.setWorkingDirectory(folder);
        m_process.start(interpreter, arguments);
    }
    ~ForeignClient()
    {
        if (m_process.state() != QProcess::NotRunning) {
            m_process.kill();
            m_process.waitForFinished(int(patience.count()));
        }
    }
    ForeignClient(const ForeignClient &) = delete;
    ForeignClient &operator=(const ForeignClient &) = delete;

    bool waitForStarted() { return m_process.waitForStarted(int(patience.count())); }
    bool isRunning() const { return m_process.state() == QProcess::Running; }

    /// Its exit code; -1 when it crashed or did not end.
    int exitCode()
    {
        if (!waitUntil([&] { return m_process.state() == QProcess::NotRunning; }, 2 * patience))
            return -1;
        m_output += m_process.readAllStandardOutput();
        m_errors += m_process.readAllStandardError();
        return m_process.exitStatus() == QProcess::NormalExit ? m_process.exitCode() : -1;
    }
    // Known when exitCode() has returned.
    QByteArray output() const { return m_output; }
    QByteArray errors() const { return m_errors; }

private:
    QProcess m_process;
    QByteArray m_output;
    QByteArray m_errors;
};

/// A server that sends bytes as they are to whoever connects, and may close then.
class RawServer
{
public:
    enum AtTheEnd { StayOpen, Close };

    /// Each of \a pieces goes out in a write of its own.
    RawServer(const QList<QByteArray> &pieces, AtTheEnd atTheEnd)
    {
        QObject::connect(&m_server, &QLocalServer::newConnection, &m_server, [=] {
            QLocalSocket *const client = m_server.nextPendingConnection();
            for (const QByteArray &piece : pieces) {
                client->write(piece);
                client->flush();
            }
            if (atTheEnd == Close)
                client->disconnectFromServer();
        });
        m_listens = m_server.listen(scratchName());
    }

    bool listens() const { return m_listens; }
    QString name() const { return m_server.serverName(); }

private:
    QLocalServer m_server;
    bool m_listens = false;
};

/// The clients of demo/clients, which are written in other languages, against this server and
/// against one that sends what this one never does.
class tst_ForeignClients : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void echoedMessagesComeBackWhole_data();
    void echoedMessagesComeBackWhole();
    void emptyMessageIsAMessage_data() { languages(); }
    void emptyMessageIsAMessage();
    void textArrivesAsItWasGiven_data() { languages(); }
    void textArrivesAsItWasGiven();
    void pipelinedMessagesKeepTheirOrder_data() { languages(); }
    void pipelinedMessagesKeepTheirOrder();
    void unaskedMessagesAreReceived_data() { languages(); }
    void unaskedMessagesAreReceived();
    void messagesBeforeTheEndAreReceived_data() { languages(); }
    void messagesBeforeTheEndAreReceived();
    void endInsteadOfAMessageIsReported_data() { languages(); }
    void endInsteadOfAMessageIsReported();
    void endInsteadOfAnAnswerIsReported_data() { languages(); }
    void endInsteadOfAnAnswerIsReported();
    void wrongAnswerIsReported_data() { languages(); }
    void wrongAnswerIsReported();
    void silenceIsReportedWhenTimeIsOver_data() { languages(); }
    void silenceIsReportedWhenTimeIsOver();
    void absentServerIsReported_data() { languages(); }
    void absentServerIsReported();
    void absentServerIsWaitedForIfWanted_data() { languages(); }
    void absentServerIsWaitedForIfWanted();
    void busyServerIsTriedAgain_data() { languages(); }
    void busyServerIsTriedAgain();
    void framesAreDecodedHoweverTheyCome_data();
    void framesAreDecodedHoweverTheyCome();
    void frameCutByTheEndIsReported_data();
    void frameCutByTheEndIsReported();
    void codeOfTheDocumentationRuns_data();
    void codeOfTheDocumentationRuns();

private:
    struct Language
    {
        const char *name;
        QStringList interpreters; ///< the first one that is installed
        QVersionNumber oldest;
        QString script;
    };
    static const QList<Language> &known()
    {
        static const QList<Language> list {
            { "python", { u"python3"_s }, { 3, 9 }, u"" CLIENTS_DIR "/python/echo.py"_s },
            { "node", { u"node"_s, u"nodejs"_s }, { 18 }, u"" CLIENTS_DIR "/node/echo.js"_s },
        };
        return list;
    }
    /// A row for each language.
    static void languages()
    {
        QTest::addColumn<int>("language");
        for (int i = 0; i < known().size(); ++i)
            QTest::newRow(known()[i].name) << i;
    }
    /// The interpreter of a language; empty when it is not installed.
    static QString interpreter(int language)
    {
        for (const QString &name : known()[language].interpreters) {
            const QString path = QStandardPaths::findExecutable(name);
            if (!path.isEmpty())
                return path;
        }
        return {};
    }
    static QVersionNumber version(int language)
    {
        static QHash<int, QVersionNumber> versions;
        if (!versions.contains(language)) {
            QProcess process; // "Python 3.11.2", "v18.20.4"
            process.start(interpreter(language), { u"--version"_s });
            process.waitForFinished(int(patience.count()));
            QByteArray text = process.readAllStandardOutput().trimmed();
            text = text.mid(text.lastIndexOf(' ') + 1);
            if (text.startsWith('v'))
                text.remove(0, 1);
            versions[language] = QVersionNumber::fromString(QString::fromLatin1(text));
        }
        return versions[language];
    }
    /// What keeps the clients of a language from running here; empty when nothing does.
    static QString missing(int language)
    {
        const Language &known = tst_ForeignClients::known()[language];
        const QString &name = known.interpreters.first();
        if (interpreter(language).isEmpty())
            return name + u" is not installed"_s;
        if (version(language) < known.oldest)
            return name + u" is older than "_s + known.oldest.toString();
        return {};
    }
    static std::unique_ptr<ForeignClient> startClient(int language, const QString &pipe,
                                                      const QStringList &arguments)
    {
        const QStringList all { known()[language].script, u"--pipe"_s, pipe };
        return std::make_unique<ForeignClient>(interpreter(language), all + arguments);
    }
    static void answerEverything(TestServer &ts)
    {
        ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection,
                                     const QVariant &,
                                     const QByteArray &data) { connection->asyncWrite(data); };
    }
};

/// Sets language to that of the row, and skips the row when it cannot be run here.
#define FETCH_LANGUAGE() \
    QFETCH(int, language); \
    if (!missing(language).isEmpty()) \
    SKIP_BECAUSE(qPrintable(missing(language)))

void tst_ForeignClients::echoedMessagesComeBackWhole_data()
{
    QTest::addColumn<int>("language");
    QTest::addColumn<int>("size");
    QTest::addColumn<int>("count");
    for (int i = 0; i < known().size(); ++i) {
        const char *const name = known()[i].name;
        QTest::addRow("%s, 1 byte", name) << i << 1 << 10;
        QTest::addRow("%s, 64 KiB", name) << i << 64 * 1024 << 50;
        QTest::addRow("%s, 1 MiB", name) << i << 1024 * 1024 << 10;
        QTest::addRow("%s, 16 MiB", name) << i << 16 * 1024 * 1024 << 2;
    }
}

void tst_ForeignClients::echoedMessagesComeBackWhole()
{
    FETCH_LANGUAGE();
    QFETCH(int, size);
    QFETCH(int, count);
    TestServer ts;
    answerEverything(ts);
    QVERIFY(ts.start());
    const auto client = startClient(language, ts.name(),
                                    { u"--timeout"_s, u"30"_s, u"--size"_s, QString::number(size),
                                      u"--count"_s, QString::number(count) });
    QVERIFY2(client->exitCode() == 0, client->errors()); // it has compared every byte
    QVERIFY(client->output().contains(QByteArray::number(count) + " answers right"));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    const QList<QByteArray> messages = ts.recorder.messages();
    QCOMPARE(messages.size(), count);
    for (const QByteArray &message : messages)
        QCOMPARE(message.size(), size);
    QVERIFY(ts.recorder.errors(ServerEvent::ClientError).isEmpty());
}

void tst_ForeignClients::emptyMessageIsAMessage()
{
    FETCH_LANGUAGE();
    TestServer ts;
    QVERIFY(ts.start());
    const auto client =
            startClient(language, ts.name(), { u"--size"_s, u"0"_s, u"--count"_s, u"3"_s });
    QVERIFY2(client->exitCode() == 0, client->errors());
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    QCOMPARE(ts.recorder.messages(), QList<QByteArray>(3, ""_ba));
}

void tst_ForeignClients::textArrivesAsItWasGiven()
{
    FETCH_LANGUAGE();
    TestServer ts;
    answerEverything(ts);
    QVERIFY(ts.start());
    const auto client = startClient(language, ts.name(), { u"two words"_s, u"Größe"_s, u"x"_s });
    QVERIFY2(client->exitCode() == 0, client->errors());
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    QCOMPARE(ts.recorder.messages(), (QList<QByteArray> { "two words", "Größe", "x" }));
}

void tst_ForeignClients::pipelinedMessagesKeepTheirOrder()
{
    FETCH_LANGUAGE();
    const int count = scaled(10000, 1000);
    TestServer ts;
    answerEverything(ts);
    QVERIFY(ts.start());
    const auto client = startClient(language, ts.name(),
                                    { u"--timeout"_s, u"30"_s, u"--size"_s, u"20"_s, u"--count"_s,
                                      QString::number(count) });
    QVERIFY2(client->exitCode() == 0, client->errors());
    QVERIFY(client->output().contains(QByteArray::number(count) + " answers right"));
    QCOMPARE(ts.recorder.count(ServerEvent::Message), count);
}

void tst_ForeignClients::unaskedMessagesAreReceived()
{
    FETCH_LANGUAGE();
    TestServer ts;
    ts.recorder.onConnected() = [](const NamedPipeServerConnectionPtr &connection) {
        connection->asyncWrite("welcome"_ba);
        connection->asyncWrite(QByteArray(300000, 'x'));
        connection->asyncWrite("Größe"_ba);
    };
    QVERIFY(ts.start());
    const auto client = startClient(language, ts.name(), { u"--listen"_s, u"3"_s });
    QVERIFY2(client->exitCode() == 0, client->errors());
    QCOMPARE(client->output(),
             "7: welcome\n300000: "_ba + QByteArray(300000, 'x') + "\n7: Größe\n"_ba);
}

void tst_ForeignClients::messagesBeforeTheEndAreReceived()
{
    FETCH_LANGUAGE();
    TestServer ts;
    ts.recorder.onConnected() = [](const NamedPipeServerConnectionPtr &connection) {
        connection->asyncWrite("hello"_ba);
        connection->asyncWrite("goodbye"_ba);
        connection->asyncClose(NamedPipe::SendPending);
    };
    QVERIFY(ts.start());
    const auto client = startClient(language, ts.name(), { u"--listen"_s, u"2"_s });
    QVERIFY2(client->exitCode() == 0, client->errors());
    QCOMPARE(client->output(), "5: hello\n7: goodbye\n"_ba);
}

void tst_ForeignClients::endInsteadOfAMessageIsReported()
{
    FETCH_LANGUAGE();
    TestServer ts;
    ts.recorder.onConnected() = [](const NamedPipeServerConnectionPtr &connection) {
        connection->asyncWrite("hello"_ba);
        connection->asyncClose(NamedPipe::SendPending);
    };
    QVERIFY(ts.start());
    const auto client = startClient(language, ts.name(), { u"--listen"_s, u"2"_s });
    QCOMPARE(client->exitCode(), 1);
    QCOMPARE(client->output(), "5: hello\n"_ba);
    QVERIFY2(client->errors().contains("the server closed before message 2"), client->errors());
}

void tst_ForeignClients::endInsteadOfAnAnswerIsReported()
{
    FETCH_LANGUAGE();
    TestServer ts;
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &) { connection->asyncClose(); };
    QVERIFY(ts.start());
    const auto client = startClient(language, ts.name(), { u"hello"_s });
    QCOMPARE(client->exitCode(), 1);
    QVERIFY2(client->errors().contains("the server closed before answer 1"), client->errors());
}

void tst_ForeignClients::wrongAnswerIsReported()
{
    FETCH_LANGUAGE();
    TestServer ts;
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &data) {
        connection->asyncWrite(data.toUpper());
    };
    QVERIFY(ts.start());
    const auto client = startClient(language, ts.name(), { u"HELLO"_s, u"hello"_s });
    QCOMPARE(client->exitCode(), 1);
    QVERIFY2(client->errors().contains("answer 2 is wrong"), client->errors());
}

void tst_ForeignClients::silenceIsReportedWhenTimeIsOver()
{
    FETCH_LANGUAGE();
    TestServer ts;
    QVERIFY(ts.start());
    const auto client = startClient(language, ts.name(), { u"--timeout"_s, u"1"_s, u"hello"_s });
    QCOMPARE(client->exitCode(), 1);
    QVERIFY2(client->errors().contains("did not answer in time"), client->errors());
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message));
    QCOMPARE(ts.recorder.messages(), QList { "hello"_ba });
}

void tst_ForeignClients::absentServerIsReported()
{
    FETCH_LANGUAGE();
    const QString name = scratchName();
    // At once: with so much time this test would not wait for the end.
    const auto client = startClient(language, name, { u"--timeout"_s, u"3600"_s, u"hello"_s });
    QCOMPARE(client->exitCode(), 1);
    QVERIFY2(client->errors().contains("no server runs at "), client->errors());
    QVERIFY2(client->errors().contains(QFile::encodeName(name)), client->errors());
}

void tst_ForeignClients::absentServerIsWaitedForIfWanted()
{
    FETCH_LANGUAGE();
    TestServer ts;
    answerEverything(ts);
    const auto client =
            startClient(language, ts.name(), { u"--wait"_s, u"--timeout"_s, u"30"_s, u"hello"_s });
    QVERIFY(client->waitForStarted());
    watchFor();
    QVERIFY(client->isRunning());
    QVERIFY(ts.start());
    QVERIFY2(client->exitCode() == 0, client->errors());
}

void tst_ForeignClients::busyServerIsTriedAgain()
{
    FETCH_LANGUAGE();
    TestServer ts;
    ts.server.setMaxConnections(1);
    ts.server.setListenBacklogSize(1);
    answerEverything(ts);
    QVERIFY(ts.start());
    std::vector<RawPeer> others; // one is let in, the others fill the backlog
    others.push_back(ts.connectPeer());
    QVERIFY(others.back().isOpen());
    for (;;) {
        RawPeer peer;
        if (!peer.connectTo(ts.name(), quietTime))
            break;
        others.push_back(std::move(peer));
        QVERIFY(others.size() < 100);
    }
    const auto hasty = startClient(language, ts.name(), { u"--timeout"_s, u"0.2"_s, u"hello"_s });
    QCOMPARE(hasty->exitCode(), 1);
    QVERIFY2(hasty->errors().contains("the server is busy"), hasty->errors());

    const auto patient = startClient(language, ts.name(), { u"--timeout"_s, u"30"_s, u"hello"_s });
    QVERIFY(patient->waitForStarted());
    watchFor();
    QVERIFY(patient->isRunning());
    others.clear();
    QVERIFY2(patient->exitCode() == 0, patient->errors());
}

void tst_ForeignClients::framesAreDecodedHoweverTheyCome_data()
{
    QTest::addColumn<int>("language");
    QTest::addColumn<QList<QByteArray>>("pieces");
    QTest::addColumn<int>("count");
    QTest::addColumn<QByteArray>("output");
    const QByteArray two("\0\0\0\2ab\0\0\0\1c", 11);
    QList<QByteArray> bytes;
    for (const char byte : two)
        bytes.append(QByteArray(1, byte));
    for (int i = 0; i < known().size(); ++i) {
        const char *const name = known()[i].name;
        QTest::addRow("%s, null array", name)
                << i << QList { "\xff\xff\xff\xff"_ba } << 1 << "0: \n"_ba;
        QTest::addRow("%s, null array between", name)
                << i << QList { "\0\0\0\1a\xff\xff\xff\xff\0\0\0\1b"_ba } << 3
                << "1: a\n0: \n1: b\n"_ba;
        QTest::addRow("%s, empty", name)
                << i << QList { "\0\0\0\0\0\0\0\1a"_ba } << 2 << "0: \n1: a\n"_ba;
        QTest::addRow("%s, two in one write", name)
                << i << QList { two } << 2 << "2: ab\n1: c\n"_ba;
        QTest::addRow("%s, byte by byte", name) << i << bytes << 2 << "2: ab\n1: c\n"_ba;
        QTest::addRow("%s, length in the third byte", name)
                << i << QList { QByteArray("\0\0\1\2", 4) + QByteArray(258, 'y') } << 1
                << "258: "_ba + QByteArray(258, 'y') + '\n';
    }
}

void tst_ForeignClients::framesAreDecodedHoweverTheyCome()
{
    FETCH_LANGUAGE();
    QFETCH(QList<QByteArray>, pieces);
    QFETCH(int, count);
    QFETCH(QByteArray, output);
    const RawServer server(pieces, RawServer::StayOpen);
    QVERIFY(server.listens());
    const auto client =
            startClient(language, server.name(), { u"--listen"_s, QString::number(count) });
    QVERIFY2(client->exitCode() == 0, client->errors());
    QCOMPARE(client->output(), output);
}

void tst_ForeignClients::frameCutByTheEndIsReported_data()
{
    QTest::addColumn<int>("language");
    QTest::addColumn<QByteArray>("bytes");
    for (int i = 0; i < known().size(); ++i) {
        const char *const name = known()[i].name;
        QTest::addRow("%s, in the header", name) << i << "\0\0\0"_ba;
        QTest::addRow("%s, after the header", name) << i << "\0\0\0\5"_ba;
        QTest::addRow("%s, in the message", name) << i << "\0\0\0\5hell"_ba;
        QTest::addRow("%s, far from the announced size", name) << i << "\xff\xff\xff\xfehello"_ba;
    }
}

void tst_ForeignClients::frameCutByTheEndIsReported()
{
    FETCH_LANGUAGE();
    QFETCH(QByteArray, bytes);
    const RawServer server({ bytes }, RawServer::Close);
    QVERIFY(server.listens());
    const auto client = startClient(language, server.name(), { u"--listen"_s, u"1"_s });
    QCOMPARE(client->exitCode(), 1);
    QVERIFY2(client->errors().contains("in the middle of a message"), client->errors());
}

void tst_ForeignClients::codeOfTheDocumentationRuns_data()
{
    QTest::addColumn<int>("language");
    QTest::addColumn<QString>("page");
    QTest::addColumn<QString>("folder"); // where the modules are that it uses
    QTest::addColumn<QByteArray>("output");
    QTest::newRow("wire format") << 0 << u"docs/wire-format.md"_s << QString() << "b'hello'\n"_ba;
    QTest::newRow("python") << 0 << u"demo/clients/README.md"_s << u"python"_s << "b'hello'\n"_ba;
    QTest::newRow("node") << 1 << u"demo/clients/README.md"_s << u"node"_s
                          << "<Buffer 68 65 6c 6c 6f>\n"_ba;
}

/// The pages have a program each, which says hello to an echo server.
void tst_ForeignClients::codeOfTheDocumentationRuns()
{
    FETCH_LANGUAGE();
    QFETCH(QString, page);
    QFETCH(QString, folder);
    QFETCH(QByteArray, output);
    QFile file(u"" SOURCE_DIR "/"_s + page);
    QVERIFY2(file.open(QFile::ReadOnly | QFile::Text), qPrintable(page));
    const QRegularExpression block(language == 0 ? u"^```python\n(.*?)^```$"_s
                                                 : u"^```js\n(.*?)^```$"_s,
                                   QRegularExpression::MultilineOption
                                           | QRegularExpression::DotMatchesEverythingOption);
    const auto match = block.match(QString::fromUtf8(file.readAll()));
    QVERIFY2(match.hasMatch(), qPrintable(page));

    // Their server is called "echo": in a folder of its own.
    const QTemporaryDir temporary;
    const QByteArray before = qgetenv("TMPDIR");
    const auto restore = qScopeGuard(
            [&before] { before.isNull() ? qunsetenv("TMPDIR") : qputenv("TMPDIR", before); });
    QVERIFY(qputenv("TMPDIR", temporary.path().toUtf8()));
    TestServer ts;
    ts.server.setPipeName(u"echo"_s);
    answerEverything(ts);
    QVERIFY2(ts.start(), qPrintable(ts.server.errorString()));
    ForeignClient client(interpreter(language),
                         { language == 0 ? u"-c"_s : u"-e"_s, match.captured(1) },
                         u"" CLIENTS_DIR "/"_s + folder);
    QVERIFY2(client.exitCode() == 0, client.errors());
    QCOMPARE(client.output(), output);
}

QTEST_GUILESS_MAIN(tst_ForeignClients)
#include "tst_foreign_clients.moc"
