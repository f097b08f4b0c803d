// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "program.h"
#include "skipping.h"
#include "testclient.h"
#include "testserver.h"

#include <QtCore/qdatetime.h>
#include <QtCore/qfile.h>
#include <QtCore/qregularexpression.h>
#include <QtCore/qtemporarydir.h>
#include <QtTest/QtTest>

#include <algorithm>

using namespace Qt::StringLiterals;

/// One of the programs of demo/examples.
class Example : public Program
{
public:
    explicit Example(const QString &name, const QStringList &arguments = {})
        : Program(u"example-"_s + name, arguments)
    {
    }
    /// A server is ready when it says so.
    bool isListening() { return waitForOutput("istening on "); }
};

/// The examples as a newcomer runs them: programs that talk with each other.
class tst_Examples : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void helloIsSaid();
    void helloWithoutAServerIsAnError();
    void echoBringsEveryMessageBack();
    void echoClientMayBeFirst();
    void echoClientNoticesAWrongAnswer();
    void chatIsHeardInEveryWindow();
    void chatOutlivesTheProcessThatHasTheRoom();
    void answersFindTheirRequests();
    void requestsEndWithTheConnection();
    void slowConsumerHasNoMoreInHandThanItWants();
    void poolAnswersEveryRequest();
    void serviceStopsWhenAsked_data();
    void serviceStopsWhenAsked();
    void serviceRefusesSettingsThatMakeNoSense_data();
    void serviceRefusesSettingsThatMakeNoSense();
    void impossibleNameIsReported_data();
    void impossibleNameIsReported();

private:
    static bool hasChat() { return WITH_CHAT != 0; }
    /// The people in the room, as the last notice of \a messages says.
    static QStringList peopleOf(const QList<QByteArray> &messages)
    {
        QStringList people;
        for (const QByteArray &message : messages) {
            if (message.startsWith('\n'))
                people = QString::fromUtf8(message).section(u'\n', 2).split(u", "_s);
        }
        people.sort();
        return people;
    }
    /// Somebody in a chat.
    static NamedPipeClientConnectionPtr enter(TestClient &person, const QString &pipe,
                                              const QByteArray &name)
    {
        person.recorder.allowRepeatedCookies();
        person.recorder.onConnected() = [name](NamedPipeClientConnection &connection) {
            connection.asyncWrite(name);
        };
        person.manager.setAutoReconnect(true); // the room may not be open yet, or not any more
        return person.dial(pipe);
    }
};

void tst_Examples::helloIsSaid()
{
    const QString pipe = scratchName();
    Example server(u"hello-server"_s, { pipe });
    QVERIFY(server.isListening());
    Example client(u"hello-client"_s, { pipe });
    QVERIFY(client.endsWith(0));
    QCOMPARE(client.output(), "The server says: Hello, client!\n"_ba);
    QVERIFY(server.endsWith(0));
}

void tst_Examples::helloWithoutAServerIsAnError()
{
    Example client(u"hello-client"_s, { scratchName() });
    QVERIFY(client.endsWith(1));
    QVERIFY(!client.output().isEmpty());
}

void tst_Examples::echoBringsEveryMessageBack()
{
    const QStringList pipe { u"--pipe"_s, scratchName() };
    Example server(u"echo-server"_s, pipe + QStringList { u"--once"_s });
    QVERIFY(server.isListening());
    Example client(u"echo-client"_s,
                   pipe + QStringList { u"two words"_s, u"x"_s, QString(8000, u'y') });
    QVERIFY(client.endsWith(0));
    QCOMPARE(client.output(),
             "answer: two words\nanswer: x\nanswer: "_ba + QByteArray(8000, 'y')
                     + "\n3 of 3 messages came back.\n");
    QVERIFY(server.endsWith(0));
    QVERIFY2(server.output().contains("client 1 left after 3 messages: NamedPipe::ClosedByClient"),
             server.output());
}

void tst_Examples::echoClientMayBeFirst()
{
    const QStringList pipe { u"--pipe"_s, scratchName() };
    Example client(u"echo-client"_s, pipe);
    Example server(u"echo-server"_s, pipe + QStringList { u"--once"_s });
    QVERIFY(client.endsWith(0));
    QVERIFY(server.endsWith(0));
}

void tst_Examples::echoClientNoticesAWrongAnswer()
{
    TestServer ts;
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &data) {
        connection->asyncWrite(data.toUpper());
    };
    QVERIFY(ts.start());
    Example client(u"echo-client"_s, { u"--pipe"_s, ts.name(), u"ONE"_s, u"two"_s });
    QVERIFY(client.endsWith(1));
    QCOMPARE(client.output(),
             "answer: ONE\nanswer: TWO\nThis is not what was sent.\n"
             "1 of 2 messages came back.\n"_ba);
}

void tst_Examples::chatIsHeardInEveryWindow()
{
    if (!hasChat())
        SKIP_BECAUSE("the chat is not built, or not instrumented");
    const QStringList chat { u"-platform"_s, u"offscreen"_s, u"--pipe"_s, scratchName() };
    const QTemporaryDir folder;
    const QString picture = folder.filePath(u"chat.png"_s);
    Example two(u"chat"_s,
                chat
                        + QStringList { u"--name"_s, u"Ada"_s, u"--name"_s, u"Grace"_s,
                                        u"--exit-after-messages"_s, u"2"_s, u"--screenshot"_s,
                                        picture });
    TestClient eve;
    const auto connection = enter(eve, chat.last(), "Eve");
    QVERIFY(waitUntil([&] {
        return peopleOf(eve.recorder.messages()) == QStringList { u"Ada"_s, u"Eve"_s, u"Grace"_s };
    }));
    QVERIFY(connection->asyncWrite("Good  morning\n"));
    Example another(u"chat"_s,
                    chat
                            + QStringList { u"--name"_s, u"Zo\u00eb"_s, u"--say"_s, u"Hi!"_s,
                                            u"--exit-after-messages"_s, u"1"_s });
    QVERIFY(waitUntil([&] { return eve.recorder.messages().contains("Zo\u00eb\nHi!"); }));
    QVERIFY(eve.recorder.messages().contains("Eve\nGood morning"));
    QVERIFY(two.endsWith(0)); // both of its windows have heard both
    QVERIFY(another.endsWith(0));
    QFile file(picture);
    QVERIFY(file.open(QFile::ReadOnly));
    QCOMPARE(file.read(4), "\x89PNG"_ba);
}

void tst_Examples::chatOutlivesTheProcessThatHasTheRoom()
{
    if (!hasChat())
        SKIP_BECAUSE("the chat is not built, or not instrumented");
    const QStringList chat { u"-platform"_s, u"offscreen"_s, u"--pipe"_s, scratchName() };
    TestClient eve;
    const auto connection = enter(eve, chat.last(), "Eve");
    Example first(u"chat"_s, chat + QStringList { u"--name"_s, u"Ada"_s });
    QVERIFY(waitUntil([&] {
        return peopleOf(eve.recorder.messages()) == QStringList { u"Ada"_s, u"Eve"_s };
    }));
    Example second(u"chat"_s,
                   chat
                           + QStringList { u"--name"_s, u"Bob"_s, u"--exit-after-messages"_s,
                                           u"1"_s });
    QVERIFY(waitUntil([&] {
        return peopleOf(eve.recorder.messages()) == QStringList { u"Ada"_s, u"Bob"_s, u"Eve"_s };
    }));
    QVERIFY(first.kill());
    QVERIFY(waitUntil([&] {
        return peopleOf(eve.recorder.messages()) == QStringList { u"Bob"_s, u"Eve"_s };
    }));
    QVERIFY(connection->asyncWrite("Who is here?"));
    QVERIFY(second.endsWith(0));
}

void tst_Examples::answersFindTheirRequests()
{
    const QStringList pipe { u"--pipe"_s, scratchName() };
    Example server(u"requests-server"_s, pipe + QStringList { u"--once"_s });
    QVERIFY(server.isListening());
    Example client(u"requests-client"_s, pipe);
    QVERIFY(client.endsWith(0));
    QList<QByteArray> lines = client.output().trimmed().split('\n');
    QVERIFY2(lines.removeOne("wait miracle -> nothing in time"), client.output()); // any time
    QCOMPARE(lines,
             (QList<QByteArray> { "set size 42 -> ok", "wait size -> 42",
                                  "set colour light blue -> ok", "wait colour -> light blue" }));
    QVERIFY(server.endsWith(0));
}

void tst_Examples::requestsEndWithTheConnection()
{
    TestServer ts;
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &data) {
        if (data.startsWith("5 ")) { // the last one
            connection->asyncWrite("99 nobody has asked"_ba);
            connection->asyncWrite("nonsense"_ba);
            connection->asyncWrite("2 large"_ba);
            connection->asyncClose(NamedPipe::SendPending);
        }
    };
    QVERIFY(ts.start());
    Example client(u"requests-client"_s, { u"--pipe"_s, ts.name() });
    QVERIFY(client.endsWith(1));
    const QList<QByteArray> lines = client.output().trimmed().split('\n');
    QCOMPARE(lines.size(), 5);
    QVERIFY2(lines.contains("wait size -> large"), client.output());
    for (const QByteArray &request :
         { "wait colour"_ba, "set size 42"_ba, "set colour light blue"_ba })
        QVERIFY2(lines.contains(request + " -> the connection has ended"), client.output());
}

void tst_Examples::slowConsumerHasNoMoreInHandThanItWants()
{
    const QStringList pipe { u"--pipe"_s, scratchName() };
    Example consumer(u"consumer"_s,
                     pipe
                             + QStringList { u"--once"_s, u"--hold"_s, u"3"_s, u"--work-time"_s,
                                             u"20"_s });
    QVERIFY(consumer.isListening());
    Example producer(u"producer"_s, pipe + QStringList { u"--messages"_s, u"40"_s });
    QVERIFY(producer.endsWith(0));
    // It has nothing else to do than to make messages, and is faster than one each 20 milliseconds.
    const QRegularExpression sent(u"40 of 40 messages sent, paused [1-9][0-9]* times\\n$"_s);
    QVERIFY2(sent.match(QString::fromUtf8(producer.output())).hasMatch(), producer.output());
    QVERIFY(consumer.endsWith(0));
    const QRegularExpression done(u"40 messages done, never more than [1-3] in hand\\n$"_s);
    QVERIFY2(done.match(QString::fromUtf8(consumer.output())).hasMatch(), consumer.output());
}

void tst_Examples::poolAnswersEveryRequest()
{
    const QStringList pipe { u"--pipe"_s, scratchName() };
    Example server(u"pool-server"_s, pipe + QStringList { u"--once"_s });
    QVERIFY(server.isListening());
    Example client(u"pool-client"_s,
                   pipe
                           + QStringList { u"100000"_s, u"1000"_s, u"many"_s, u"10"_s, u"1"_s,
                                           u"99999999"_s });
    QVERIFY(client.endsWith(0));
    QList<QByteArray> lines = client.output().trimmed().split('\n');
    std::sort(lines.begin(), lines.end());
    QCOMPARE(lines,
             (QList<QByteArray> { "100000: 9592 primes", "1000: 168 primes", "10: 4 primes",
                                  "1: 0 primes", "99999999: not a number from 0 to 10000000",
                                  "many: not a number from 0 to 10000000" }));
    QVERIFY(server.endsWith(0));
    QVERIFY2(server.output().contains("6 jobs done"), server.output());
}

void tst_Examples::serviceStopsWhenAsked_data()
{
    QTest::addColumn<int>("how");
#ifdef Q_OS_WIN
    QTest::newRow("Ctrl+C") << int(CTRL_C_EVENT);
#else
    QTest::newRow("SIGINT") << SIGINT;
    QTest::newRow("SIGTERM") << SIGTERM;
#endif
}

void tst_Examples::serviceStopsWhenAsked()
{
    QFETCH(int, how);
    const QString pipe = scratchName();
    Example service(u"service"_s, { u"--pipe"_s, pipe, u"--verbose"_s });
    QVERIFY(service.isListening());
    TestClient stays;
    stays.recorder.allowRepeatedCookies();
    const auto connection = stays.connectTo(pipe);
    QVERIFY(connection);
    QVERIFY(connection->asyncWrite("status") && connection->asyncWrite("time")
            && connection->asyncWrite("nonsense"));
    QVERIFY(stays.recorder.waitFor(ClientEvent::Message, 3));
    const QList<QByteArray> answers = stays.recorder.messages();
    QVERIFY2(answers[0].startsWith("clients: 1, seconds: "), answers[0]);
    QVERIFY2(QDateTime::fromString(QString::fromUtf8(answers[1]), Qt::ISODateWithMs).isValid(),
             answers[1]);
    QVERIFY2(answers[2].startsWith("error: "), answers[2]);

    TestClient leaves;
    const auto other = leaves.connectTo(pipe);
    QVERIFY(other && other->asyncWrite("bye"));
    QVERIFY(leaves.recorder.waitFor(ClientEvent::Disconnected));
    QCOMPARE(leaves.recorder.messages(), QList { "bye"_ba });
    QCOMPARE(other->closeReason(), NamedPipe::ClosedByServer);

    QVERIFY(service.interrupt(how));
    QVERIFY(stays.recorder.waitFor(ClientEvent::Disconnected));
    QCOMPARE(stays.recorder.messages().last(), "goodbye"_ba);
    QCOMPARE(stays.recorder.errors(), QList<NamedPipe::Error>());
    QVERIFY(service.endsWith(0));
    QVERIFY2(service.output().contains("info example.service: stopped; clients served: 2\n"),
             service.output());
}

void tst_Examples::serviceRefusesSettingsThatMakeNoSense_data()
{
    QTest::addColumn<QStringList>("arguments");
    QTest::addColumn<int>("code");
    QTest::newRow("access") << QStringList { u"--access"_s, u"nobody"_s } << 2;
    QTest::newRow("clients") << QStringList { u"--max-clients"_s, u"many"_s } << 2;
    QTest::newRow("time") << QStringList { u"--stop-timeout"_s, u"-1"_s } << 2;
    QTest::newRow("unknown") << QStringList { u"--colour"_s, u"blue"_s } << 1;
}

void tst_Examples::serviceRefusesSettingsThatMakeNoSense()
{
    QFETCH(QStringList, arguments);
    QFETCH(int, code);
    Example service(u"service"_s, arguments);
    QVERIFY(service.endsWith(code));
    const QByteArray option = arguments[0].mid(2).toUtf8();
    QVERIFY2(service.output().contains(option), service.output());
}

void tst_Examples::impossibleNameIsReported_data()
{
    QTest::addColumn<QString>("program");
    for (const char *program : { "echo-server", "echo-client", "requests-server", "requests-client",
                                 "consumer", "producer", "pool-server", "pool-client", "service" })
        QTest::newRow(program) << QString::fromLatin1(program);
}

void tst_Examples::impossibleNameIsReported()
{
    QFETCH(QString, program);
    Example example(program, { u"--pipe"_s, u"a/b"_s });
    QVERIFY(example.endsWith(1));
    QVERIFY2(example.output().contains("cannot contain"), example.output());
}

QTEST_GUILESS_MAIN(tst_Examples)
#include "tst_examples.moc"
