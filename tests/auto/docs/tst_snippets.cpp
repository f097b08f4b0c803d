// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "fragments.h"
#include "platformflags.h"
#include "processfacts.h"
#include "program.h"
#include "requests.h"
#include "testclient.h"
#include "testserver.h"
#include "wordcounter.h"

#include <QtCore/qbuffer.h>
#include <QtCore/qregularexpression.h>
#include <QtCore/qtemporarydir.h>
#include <QtTest/QtTest>

#include <algorithm>
#include <atomic>

using namespace Qt::StringLiterals;

static QList<QByteArray> stored;

void store(quint64, QByteArrayView message)
{
    stored.append(message.toByteArray());
}

/// One of the programs of docs/snippets.
class Snippet : public Program
{
public:
    explicit Snippet(const char *name) : Program(u"snippet_"_s + QLatin1String(name)) { }
};

/// A server whose pipe has the name that a snippet has.
class NamedServer
{
public:
    explicit NamedServer(const QString &name) : server(name), recorder(&server) { }

    NamedPipeServer server;
    ServerRecorder recorder;
};

/// The code of the documentation does what the documentation says.
class tst_Snippets : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void programsUnderstandEachOther_data();
    void programsUnderstandEachOther();
    void clientWithoutAServerSaysSo_data();
    void clientWithoutAServerSaysSo();
    void basicServerCounts();
    void serviceStopsWhenAsked();
    void freeThreadedServerAnswersOnWorkers();
    void manualReadsCountMessages();
    void batchesAreStored();
    void customDataBelongsToAClient();
    void clientsAreWelcome();
    void messageLoopIsLeft();
    void goodbyeArrives();
    void errorsAreTold();
    void clientGreetsTheServer();
    void clientSubscribesEachTime();
    void workerTellsMessages_data();
    void workerTellsMessages();
    void unsentIsRepeated();
    void sensorsAreFound();
    void fileIsSentWhole();
    void answersFindTheirRequests();
    void requestsEndWithTheConnection();
    void wordsOfAllClientsAreCounted();
    void accessIsSet_data();
    void accessIsSet();
    void descriptorLetsTheUserIn();

private:
    /// The programs have fixed names for their pipes: on Linux they get a folder of their own.
    QTemporaryDir m_folder;

    /// True when somebody listens there. The other end may be no server of this library.
    static bool isListening(const QString &name)
    {
        NamedPipeClientManager manager;
        manager.setWaitForServer(true);
        manager.setConnectTimeout(int(patience.count()));
        NamedPipe::Error error = NamedPipe::NoError;
        const auto connection = manager.connectToServer(name);
        connect(connection.get(), &NamedPipeClientConnection::errorOccurred, connection.get(),
                [&error](NamedPipe::Error what) { error = what; });
        return waitUntil([&] { return connection->isConnected() || error != NamedPipe::NoError; })
                && error != NamedPipe::ConnectTimeout;
    }
    static QList<QByteArray> answers(TestClient &client, const NamedPipeClientConnectionPtr &to,
                                     const QList<QByteArray> &questions)
    {
        const qsizetype before = client.recorder.messages().size();
        for (const QByteArray &question : questions)
            to->asyncWrite(question);
        waitUntil([&] { return client.recorder.messages().size() >= before + questions.size(); });
        return client.recorder.messages().mid(before);
    }
};

void tst_Snippets::initTestCase()
{
    QVERIFY(m_folder.isValid());
#ifndef Q_OS_WIN
    qputenv("TMPDIR", m_folder.path().toUtf8());
#endif
}

void tst_Snippets::programsUnderstandEachOther_data()
{
    QTest::addColumn<QByteArray>("server");
    QTest::addColumn<QByteArray>("client");
    QTest::addColumn<QString>("pipe");
    QTest::addColumn<QByteArray>("output");
    const auto row = [](const char *server, const char *client, const QString &pipe,
                        const char *output) {
        QTest::addRow("%s, %s", server, client)
                << QByteArray(server) << QByteArray(client) << pipe << QByteArray(output);
    };
    row("echo_server", "echo_client", u"echo"_s, "\"hello\"\n");
    row("basic_server", "basic_client", u"MyService"_s, "\"hello\"\n");
    row("upper_server", "upper_client", u"upper"_s, "\"HELLO\"\n");
    row("upper_qlocalserver", "upper_qlocalsocket", u"upper"_s, "\"HELLO\"\n");
#ifndef Q_OS_WIN // "Old and new ends together"
    row("upper_qlocalserver", "upper_client", u"upper"_s, "\"HELLO\"\n");
    row("upper_server", "upper_qlocalsocket", u"upper"_s, "\"HELLO\"\n");
#endif
}

void tst_Snippets::programsUnderstandEachOther()
{
    QFETCH(QByteArray, server);
    QFETCH(QByteArray, client);
    QFETCH(QString, pipe);
    QFETCH(QByteArray, output);
    Snippet serverProgram(server);
    QVERIFY(isListening(pipe));
    Snippet clientProgram(client);
    QVERIFY(clientProgram.endsWith(0));
    QCOMPARE(clientProgram.output(), output);
}

void tst_Snippets::clientWithoutAServerSaysSo_data()
{
    QTest::addColumn<QByteArray>("client");
    for (const char *client :
         { "echo_client", "upper_client", "basic_client", "upper_qlocalsocket" })
        QTest::newRow(client) << QByteArray(client);
}

void tst_Snippets::clientWithoutAServerSaysSo()
{
    QFETCH(QByteArray, client);
    Snippet program(client);
    QVERIFY(program.endsWith(1));
    QVERIFY(!program.output().isEmpty());
}

void tst_Snippets::basicServerCounts()
{
    Snippet server("basic_server");
    QVERIFY(isListening(u"MyService"_s));
    TestClient client;
    const auto connection = client.connectTo(u"MyService"_s);
    QVERIFY(connection);
    QCOMPARE(answers(client, connection, { "a", "b" }), QList({ "a"_ba, "b"_ba }));
    QVERIFY(waitUntil([&server] { return server.output() == "sent 1\nsent 2\n"; }));
}

void tst_Snippets::serviceStopsWhenAsked()
{
#ifdef Q_OS_WIN
    Snippet service("service_windows");
#else
    Snippet service("service_linux");
#endif
    QVERIFY(isListening(u"service"_s));
    TestClient client;
    const auto connection = client.connectTo(u"service"_s);
    QVERIFY(connection);
    QCOMPARE(answers(client, connection, { "hello" }), QList { "hello"_ba });
    QVERIFY(service.interrupt());
    QVERIFY(client.recorder.waitFor(ClientEvent::Disconnected));
    QCOMPARE(connection->closeReason(), NamedPipe::ClosedByServer);
    QVERIFY(service.endsWith(0));
}

void tst_Snippets::freeThreadedServerAnswersOnWorkers()
{
    NamedPipeServer server(scratchName());
    answerOnWorkers(server);
    QThread *thread = nullptr;
    connect(&server, &NamedPipeServer::clientConnected,
            [&thread] { thread = QThread::currentThread(); });
    QVERIFY(server.start());
    TestClient client;
    const auto connection = client.connectTo(server.pipeName());
    QVERIFY(connection);
    QCOMPARE(answers(client, connection, { "hello" }), QList { "HELLO"_ba });
    server.stop();
    QVERIFY(thread && thread != QThread::currentThread());
}

void tst_Snippets::manualReadsCountMessages()
{
    TestServer ts;
    readOneByOne(ts.server);
    QVERIFY(ts.start());
    QTest::ignoreMessage(QtInfoMsg, "message 1 \"a\"");
    QTest::ignoreMessage(QtInfoMsg, "message 2 \"b\"");
    TestClient client;
    const auto connection = client.connectTo(ts.name());
    QVERIFY(connection && connection->asyncWrite("a") && connection->asyncWrite("b"));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 2));
}

void tst_Snippets::batchesAreStored()
{
    NamedPipeServer server(scratchName());
    storeBatches(server);
    QVERIFY(server.start());
    stored.clear();
    TestClient client;
    const auto connection = client.connectTo(server.pipeName());
    QVERIFY(connection && connection->asyncWrite("a") && connection->asyncWrite("b"));
    QVERIFY(waitUntil([] { return stored.size() == 2; }));
    QCOMPARE(stored, QList({ "a"_ba, "b"_ba }));
}

void tst_Snippets::customDataBelongsToAClient()
{
    NamedPipeServer server(scratchName());
    countMessages(server);
    QVERIFY(server.start());
    TestClient first;
    TestClient second;
    const auto one = first.connectTo(server.pipeName());
    const auto other = second.connectTo(server.pipeName());
    QVERIFY(one && other);
    QCOMPARE(answers(first, one, { "a", "b" }), QList({ "1 a"_ba, "2 b"_ba }));
    QCOMPARE(answers(second, other, { "c" }), QList { "1 c"_ba });
}

void tst_Snippets::clientsAreWelcome()
{
    NamedPipeServer server(scratchName());
    welcome(server);
    QVERIFY(server.start());
    TestClient client;
    const auto connection = client.dial(server.pipeName()); // dropping it would close it
    QVERIFY(client.recorder.waitFor(ClientEvent::Message));
    QCOMPARE(client.recorder.messages(), QList { "welcome"_ba });
}

void tst_Snippets::messageLoopIsLeft()
{
    TestClient client;
    client.manager.setWaitForServer(true);
    client.manager.setConnectTimeout(-1);
    client.recorder.onConnected() = [](NamedPipeClientConnection &connection) {
        connection.asyncWrite("quit");
    };
    const auto connection = client.dial(u"service"_s);
    runMessageLoop(); // the client's events come in it, too
    QVERIFY(client.recorder.waitFor(ClientEvent::Disconnected));
}

void tst_Snippets::goodbyeArrives()
{
    TestServer ts;
    QVERIFY(ts.start());
    TestClient client;
    const auto connection = client.connectTo(ts.name());
    QVERIFY(connection && ts.recorder.waitFor(ServerEvent::Connected));
    sayGoodbye(ts.server);
    QVERIFY(client.recorder.waitFor(ClientEvent::Disconnected));
    QCOMPARE(client.recorder.messages(), QList { "goodbye"_ba });
    QCOMPARE(connection->closeReason(), NamedPipe::ClosedByServer);
}

void tst_Snippets::errorsAreTold()
{
    NamedPipeServer server;
    tellErrors(server);
    QTest::ignoreMessage(QtWarningMsg, "\"cannot start without specifying a pipe name\"");
    QVERIFY(!server.start());
    QCoreApplication::processEvents(); // QTest sees to it that the message has come

    server.setPipeName(scratchName());
    server.setMaximumMessageSize(4);
    QTest::ignoreMessage(QtWarningMsg, QRegularExpression(u"^1 NamedPipe::MessageTooLarge "_s));
    QVERIFY(server.start());
    TestClient client;
    const auto connection = client.connectTo(server.pipeName());
    QVERIFY(connection && connection->asyncWrite("hello"));
    QVERIFY(client.recorder.waitFor(ClientEvent::Disconnected));
    server.stop(); // delivers what there is
}

void tst_Snippets::clientGreetsTheServer()
{
    NamedServer echo(u"echo"_s);
    connect(&echo.server, &NamedPipeServer::clientMessageReceived, &echo.server,
            [](const NamedPipeServerConnectionPtr &client, const QVariant &,
               const QByteArray &message) { client->asyncWrite(message); });
    QVERIFY(echo.server.start());
    QTest::ignoreMessage(QtInfoMsg, "\"hello\"");
    NamedPipeClientManager manager;
    QObject window;
    bool isAnswered = false;
    const auto connection = greet(manager, window);
    connect(connection.get(), &NamedPipeClientConnection::messageReceived, &window,
            [&isAnswered] { isAnswered = true; });
    QVERIFY(waitUntil([&isAnswered] { return isAnswered; }));
}

void tst_Snippets::clientSubscribesEachTime()
{
    NamedServer log(u"log"_s);
    NamedPipeClientManager manager;
    manager.setMinimumReconnectDelay(1);
    manager.setMaximumReconnectDelay(20);
    QObject window;
    const auto connection = subscribe(manager, window);
    for (int times = 1; times <= 2; ++times) {
        QVERIFY(log.server.start());
        QVERIFY(log.recorder.waitFor(ServerEvent::Message, times));
        log.server.stop();
    }
    QCOMPARE(log.recorder.messages(), QList({ "subscribe"_ba, "subscribe"_ba }));
}

void tst_Snippets::workerTellsMessages_data()
{
    QTest::addColumn<QString>("pipe");
    QTest::newRow("class page") << u"echo"_s;
    QTest::newRow("twinBASIC") << u"MyService"_s;
}

void tst_Snippets::workerTellsMessages()
{
    QFETCH(QString, pipe);
    NamedPipeServer server(pipe);
    welcome(server);
    QVERIFY(server.start());
    static QtMessageHandler previous = nullptr;
    static std::atomic<QThread *> thread;
    thread = nullptr;
    previous = qInstallMessageHandler(
            [](QtMsgType type, const QMessageLogContext &context, const QString &text) {
                if (type == QtInfoMsg && text == u"\"welcome\"")
                    thread = QThread::currentThread();
                else
                    previous(type, context, text);
            });
    NamedPipeClientManager manager;
    const auto connection = pipe == u"echo" ? listenOnWorker(manager) : listenToBasic(manager);
    const bool isTold = waitUntil([] { return thread != nullptr; });
    manager.stop();
    qInstallMessageHandler(previous);
    QVERIFY(isTold && thread != QThread::currentThread());
}

void tst_Snippets::unsentIsRepeated()
{
    TestServer ts;
    ts.server.setContinuouslyReadFromPipe(false); // until a message has to wait at the client
    QVERIFY(ts.start());
    NamedPipeClientManager manager;
    manager.setAutoReconnect(true);
    manager.setMinimumReconnectDelay(1);
    manager.setMaximumReconnectDelay(20);
    const auto connection = manager.connectToServer(ts.name());
    QObject window;
    QList<QByteArray> unsent;
    repeatUnsent(connection.get(), window, unsent);
    QVERIFY(ts.recorder.waitFor(ServerEvent::Connected) && connection->isConnected());

    const QByteArray large(16 * 1024 * 1024, 'x');
    QVERIFY(connection->asyncWrite(large, large) && connection->asyncWrite("last", "last"_ba));
    ts.server.stop();
    QVERIFY(waitUntil([&unsent] { return unsent.size() == 2; }));
    ts.server.setContinuouslyReadFromPipe(true);
    QVERIFY(ts.start());
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 2));
    QCOMPARE(ts.recorder.messages(), QList({ large, "last"_ba }));
    QVERIFY(unsent.isEmpty());
}

void tst_Snippets::sensorsAreFound()
{
    NamedServer one(u"sensor-1"_s);
    NamedServer other(u"other"_s);
    QVERIFY(one.server.start() && other.server.start());
    NamedPipeClientManager manager;
    const auto connections = connectToSensors(manager);
    if (const auto listed = PlatformFlags::pipesCanBeListed(); !listed)
        QSKIP(listed.reason);
    QCOMPARE(connections.size(), 1);
    QCOMPARE(connections.constFirst()->pipeName(), u"sensor-1"_s);
    QVERIFY(one.recorder.waitFor(ServerEvent::Connected));
}

void tst_Snippets::fileIsSentWhole()
{
    TestServer ts;
    QVERIFY(ts.start());
    QByteArray content;
    for (int i = 0; content.size() < 5'000'000; ++i)
        content += QByteArray::number(i);
    QBuffer file(&content);
    QVERIFY(file.open(QIODevice::ReadOnly));
    NamedPipeClientManager manager;
    const auto connection = manager.connectToServer(ts.name());
    qint64 mostQueued = 0;
    connect(connection.get(), &NamedPipeClientConnection::messageSent, this,
            [&] { mostQueued = std::max(mostQueued, connection->bytesToWrite()); });
    sendFile(connection.get(), file);
    QVERIFY(waitUntil([&] { return ts.recorder.messages().join().size() == content.size(); }));
    QVERIFY(ts.recorder.messages().join() == content);
    QVERIFY(mostQueued < 2 * 1024 * 1024);
}

void tst_Snippets::answersFindTheirRequests()
{
    TestServer ts;
    answerByNumber(ts.server);
    QVERIFY(ts.start());
    TestClient client;
    client.recorder.allowRepeatedCookies();
    const auto connection = client.connectTo(ts.name());
    QVERIFY(connection);
    Requests requests(connection);
    QList<QByteArray> got;
    const auto keep = [&got](const QByteArray &answer) { got.append(answer); };
    QVERIFY(requests.send("a", keep) && requests.send("b c", keep));
    QVERIFY(waitUntil([&got] { return got.size() == 2; }));
    QCOMPARE(got, QList({ "A"_ba, "B C"_ba }));
}

void tst_Snippets::requestsEndWithTheConnection()
{
    TestServer ts; // which does not answer
    QVERIFY(ts.start());
    TestClient client;
    client.recorder.allowRepeatedCookies();
    const auto connection = client.connectTo(ts.name());
    QVERIFY(connection);
    Requests requests(connection);
    QList<QByteArray> got;
    const auto keep = [&got](const QByteArray &answer) { got.append(answer); };
    QVERIFY(requests.send("a", keep) && requests.send("b", keep));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 2));
    ts.server.stop();
    QVERIFY(waitUntil([&got] { return got.size() == 2; }));
    QCOMPARE(got, QList({ QByteArray(), QByteArray() }));
    QVERIFY(!requests.send("c", keep));
}

void tst_Snippets::wordsOfAllClientsAreCounted()
{
    const QString pipe = scratchName();
    WordCounter counter(pipe);
    QVERIFY(counter.start());
    TestClient first;
    TestClient second;
    const auto one = first.connectTo(pipe);
    const auto other = second.connectTo(pipe);
    QVERIFY(one && other);
    QCOMPARE(answers(first, one, { "a", "b", "a" }), QList({ "1"_ba, "1"_ba, "2"_ba }));
    QCOMPARE(answers(second, other, { "a" }), QList { "3"_ba });
}

void tst_Snippets::accessIsSet_data()
{
    QTest::addColumn<bool>("everybody");
    QTest::newRow("group") << false;
    QTest::newRow("everybody") << true;
}

void tst_Snippets::accessIsSet()
{
    QFETCH(bool, everybody);
    NamedPipeServer server(scratchName());
    if (everybody)
        letEverybodyIn(server);
    else
        letGroupIn(server);
    greetByUser(server);
    QVERIFY(server.start());
#ifndef Q_OS_WIN
    const QFile::Permissions others =
            QFile::permissions(server.fullPipeName()) & (QFile::WriteGroup | QFile::WriteOther);
    QCOMPARE(others, everybody ? QFile::WriteGroup | QFile::WriteOther : QFile::WriteGroup);
#endif
    TestClient client;
    trustOwnUserOnly(client.manager);
    const auto connection = client.connectTo(server.pipeName());
    QVERIFY(connection);
    QVERIFY(client.recorder.waitFor(ClientEvent::Message));
    QCOMPARE(client.recorder.messages(),
             QList { "you are user " + ProcessFacts::userId().toUtf8() });
}

void tst_Snippets::descriptorLetsTheUserIn()
{
#ifndef Q_OS_WIN
    QTest::ignoreMessage(QtWarningMsg, QRegularExpression(u"securityDescriptor"_s));
#endif
    NamedPipeServer server(scratchName());
    letUserIn(server, ProcessFacts::userId(), u"S-1-5-21-1-2-3-1001"_s);
    QVERIFY2(server.start(), qPrintable(server.errorString()));
    TestClient client;
    QVERIFY(client.connectTo(server.pipeName()));
}

QTEST_GUILESS_MAIN(tst_Snippets)
#include "tst_snippets.moc"
