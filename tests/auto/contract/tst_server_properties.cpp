// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "rawpeer.h"
#include "payload.h"
#include "scratchname.h"
#include "testserver.h"

#include <QtCore/qdir.h>
#include <QtCore/qmetaobject.h>
#include <QtCore/qpointer.h>
#include <QtTest/QtTest>

#include <limits>

using namespace Qt::StringLiterals;

class tst_ServerProperties : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void propertiesHaveTheDocumentedDefaults();
    void constructorTakesTheName();
    void setterNotifiesOncePerChange_data();
    void setterNotifiesOncePerChange();
    void numberOutOfRangeIsAnInvalidConfiguration_data();
    void numberOutOfRangeIsAnInvalidConfiguration();
    void accessForNobodyIsAnInvalidConfiguration_data();
    void accessForNobodyIsAnInvalidConfiguration();
    void numberAtTheEdgeIsAccepted_data();
    void numberAtTheEdgeIsAccepted();
    void badNameIsRefusedWithAReason_data();
    void badNameIsRefusedWithAReason();
    void oddButLegalNameWorks_data();
    void oddButLegalNameWorks();
    void startErrorIsSignalledOnceAndLater();
    void everyFailedStartIsReported();
    void fullPipeNameIsWhereClientsConnect();
    void fullPipeNameFollowsTheNameWhileStopped();
    void fullPipeNameStaysWhileRunning();
    void failedStartMovesNothing();
    void renamingSlotMayDeleteTheServer();
    void valuesSetWhileRunningWaitForTheNextStart();
    void typesTravelThroughQueuedConnectionsAndSpies();
};

void tst_ServerProperties::propertiesHaveTheDocumentedDefaults()
{
    const NamedPipeServer server;
    QCOMPARE(server.pipeName(), QString());
    QCOMPARE(server.continuouslyReadFromPipe(), true);
    QCOMPARE(server.freeThreadingEvents(), false);
    QCOMPARE(server.messageBufferSize(), 131072);
    QCOMPARE(server.numThreadsIOCP(), 1);
    QCOMPARE(server.listenBacklogSize(), 16);
    QCOMPARE(server.maxConnections(), 0);
    QCOMPARE(server.maximumMessageSize(), 0);
    QCOMPARE(server.maximumPendingReadBytes(), 1024 * 1024);
    QCOMPARE(server.maximumPendingWriteBytes(), 64 * 1024 * 1024);
    QCOMPARE(server.accessOptions(), NamedPipe::AccessOptions(NamedPipe::UserAccess));
    QCOMPARE(server.securityDescriptor(), QString());
    QVERIFY(!server.isRunning());
    QCOMPARE(server.error(), NamedPipe::NoError);
    QVERIFY(server.connections().isEmpty());
    QCOMPARE(server.connectionCount(), 0);
    QCOMPARE(server.statistics().connectionsAccepted, 0u);
}

void tst_ServerProperties::constructorTakesTheName()
{
    QObject parent;
    const auto *server = new NamedPipeServer(u"Name"_s, &parent);
    QCOMPARE(server->pipeName(), u"Name"_s);
    QCOMPARE(server->parent(), &parent);
}

void tst_ServerProperties::setterNotifiesOncePerChange_data()
{
    QTest::addColumn<QByteArray>("property");
    QTest::addColumn<QVariant>("value");
    const auto row = [](const char *property, const QVariant &value) {
        QTest::newRow(property) << QByteArray(property) << value;
    };
    row("pipeName", u"AnotherName"_s);
    row("continuouslyReadFromPipe", false);
    row("freeThreadingEvents", true);
    row("messageBufferSize", 4096);
    row("numThreadsIOCP", 4);
    row("listenBacklogSize", 3);
    row("maxConnections", 7);
    row("maximumMessageSize", qint64(5'000'000'000));
    row("maximumPendingReadBytes", qint64(4096));
    row("maximumPendingWriteBytes", qint64(8192));
    row("accessOptions", QVariant::fromValue(NamedPipe::AccessOptions(NamedPipe::WorldAccess)));
    row("securityDescriptor", u"D:(A;;GA;;;WD)"_s);
}

void tst_ServerProperties::setterNotifiesOncePerChange()
{
    QFETCH(QByteArray, property);
    QFETCH(QVariant, value);
    NamedPipeServer server;
    const QMetaObject *meta = server.metaObject();
    const QMetaProperty metaProperty = meta->property(meta->indexOfProperty(property.constData()));
    QVERIFY(metaProperty.hasNotifySignal());
    QSignalSpy spy(&server, metaProperty.notifySignal());
    QVERIFY(server.setProperty(property.constData(), value));
    QCOMPARE(server.property(property.constData()), value);
    QCOMPARE(spy.size(), 1);
    QVERIFY(server.setProperty(property.constData(), value));
    QCOMPARE(spy.size(), 1); // nothing changed
}

void tst_ServerProperties::numberOutOfRangeIsAnInvalidConfiguration_data()
{
    QTest::addColumn<QByteArray>("property");
    QTest::addColumn<qint64>("value");
    const auto row = [](const char *property, qint64 value) {
        QTest::addRow("%s %lld", property, static_cast<long long>(value))
                << QByteArray(property) << value;
    };
    const qint64 lowest = std::numeric_limits<int>::min();
    for (const qint64 value : { lowest, qint64(-1), qint64(0) }) {
        row("messageBufferSize", value);
        row("numThreadsIOCP", value);
        row("listenBacklogSize", value);
        row("maximumPendingReadBytes", value);
        row("maximumPendingWriteBytes", value);
    }
    row("numThreadsIOCP", 257);
    row("numThreadsIOCP", std::numeric_limits<int>::max());
    row("maxConnections", -1);
    row("maximumMessageSize", -1);
    row("maximumMessageSize", std::numeric_limits<qint64>::min());
}

void tst_ServerProperties::numberOutOfRangeIsAnInvalidConfiguration()
{
    QFETCH(QByteArray, property);
    QFETCH(qint64, value);
    NamedPipeServer server(scratchName());
    ServerRecorder recorder(&server);
    QVERIFY(server.setProperty(property.constData(), value));
    QCOMPARE(server.property(property.constData()).toLongLong(), value);
    QVERIFY(!server.start());
    QVERIFY(!server.isRunning());
    QCOMPARE(server.error(), NamedPipe::InvalidConfiguration);
    QVERIFY(!server.errorString().isEmpty());
    QVERIFY(recorder.waitFor(ServerEvent::ServerError));
    QCOMPARE(recorder.count(ServerEvent::Ready), 0);
}

void tst_ServerProperties::accessForNobodyIsAnInvalidConfiguration_data()
{
    QTest::addColumn<int>("options");
    QTest::newRow("nobody") << 0;
    QTest::newRow("somebody unknown") << 0x8;
    QTest::newRow("everybody and somebody unknown") << 0xf;
}

void tst_ServerProperties::accessForNobodyIsAnInvalidConfiguration()
{
    QFETCH(int, options);
    NamedPipeServer server(scratchName());
    ServerRecorder recorder(&server);
    server.setAccessOptions(NamedPipe::AccessOptions(options));
    QVERIFY(!server.start());
    QCOMPARE(server.error(), NamedPipe::InvalidConfiguration);
    QVERIFY2(server.errorString().contains(u"accessOptions"_s), qPrintable(server.errorString()));
    QVERIFY(recorder.waitFor(ServerEvent::ServerError));
    server.setAccessOptions(NamedPipe::UserAccess);
    QVERIFY(server.start());
}

void tst_ServerProperties::numberAtTheEdgeIsAccepted_data()
{
    QTest::addColumn<QByteArray>("property");
    QTest::addColumn<qint64>("value");
    const auto row = [](const char *property, qint64 value) {
        QTest::addRow("%s %lld", property, static_cast<long long>(value))
                << QByteArray(property) << value;
    };
    row("messageBufferSize", 1);
    row("numThreadsIOCP", 1);
    row("numThreadsIOCP", 64);
    row("listenBacklogSize", 1);
    row("maxConnections", 0);
    row("maxConnections", 1);
    row("maximumMessageSize", 0);
    row("maximumMessageSize", 100);
    row("maximumMessageSize", std::numeric_limits<qint64>::max());
    row("maximumPendingReadBytes", 1);
    row("maximumPendingReadBytes", std::numeric_limits<qint64>::max());
    row("maximumPendingWriteBytes", 1);
    row("maximumPendingWriteBytes", std::numeric_limits<qint64>::max());
}

void tst_ServerProperties::numberAtTheEdgeIsAccepted()
{
    QFETCH(QByteArray, property);
    QFETCH(qint64, value);
    TestServer ts;
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &data) { connection->asyncWrite(data); };
    QVERIFY(ts.server.setProperty(property.constData(), value));
    QVERIFY2(ts.start(), qPrintable(ts.server.errorString()));
    RawPeer peer = ts.connectPeer();
    QVERIFY(peer.isOpen());
    for (int number = 0; number < 3; ++number) { // and it works
        QVERIFY(peer.sendMessage(numbered(number)));
        QVERIFY(ts.recorder.waitFor(ServerEvent::Sent, number + 1));
        QCOMPARE(peer.receiveMessage(), numbered(number));
    }
}

void tst_ServerProperties::badNameIsRefusedWithAReason_data()
{
    QTest::addColumn<QString>("name");
    QTest::addColumn<NamedPipe::Error>("error");
    QTest::addColumn<QString>("hint"); // what the text must mention
    const auto invalid = [](const char *row, const QString &name, const QString &hint = {}) {
        QTest::newRow(row) << name << NamedPipe::NameInvalid << hint;
    };
    QTest::newRow("empty") << QString() << NamedPipe::NameMissing
                           << u"cannot start without specifying a pipe name"_s;
    invalid("backslash", u"a\\b"_s);
    invalid("slash", u"a/b"_s);
    invalid("leading slash", u"/tmp/name"_s);
    invalid("nul", QString::fromUtf16(u"a\0b", 3));
    invalid("control character", u"a\tb"_s);
    invalid("delete character", u"a\x7f"_s);
    invalid("leading dot", u".name"_s);
    invalid("trailing dot", u"name."_s);
    invalid("leading space", u" name"_s);
    invalid("trailing space", u"name "_s);
    invalid("only dots", u".."_s);
    invalid("full path", u"\\\\.\\pipe\\name"_s, u"leaf"_s);
    invalid("path of another machine", u"\\\\host\\pipe\\name"_s);
    invalid("too long", QString(300, u'x'));
    invalid("far too long", QString(100'000, u'x'));
}

void tst_ServerProperties::badNameIsRefusedWithAReason()
{
    QFETCH(QString, name);
    QFETCH(NamedPipe::Error, error);
    QFETCH(QString, hint);
    NamedPipeServer server(name);
    ServerRecorder recorder(&server);
    QVERIFY(!server.start());
    QVERIFY(!server.isRunning());
    QCOMPARE(server.error(), error);
    QVERIFY(!server.errorString().isEmpty());
    QVERIFY2(server.errorString().contains(hint), qPrintable(server.errorString()));
    if (error == NamedPipe::NameMissing)
        QCOMPARE(server.errorString(), hint);
    QVERIFY(recorder.waitFor(ServerEvent::ServerError));
    QCOMPARE(recorder.events().constFirst().error, error);
    QCOMPARE(recorder.events().constFirst().text, server.errorString());
}

void tst_ServerProperties::oddButLegalNameWorks_data()
{
    QTest::addColumn<QString>("name");
    QTest::newRow("dot and space inside") << u"a. b"_s;
    QTest::newRow("umlauts") << u"gr\u00fc\u00dfe"_s;
    QTest::newRow("beyond the basic plane") << u"pipe-\U0001F600"_s;
    QTest::newRow("punctuation") << u"{a}+(b)=[c],;'#%&!@$~^_-"_s;
    QTest::newRow("one character") << u"q"_s;
}

void tst_ServerProperties::oddButLegalNameWorks()
{
    QFETCH(QString, name);
    TestServer ts;
    ts.server.setPipeName(name.size() == 1 ? name : scratchName() + name);
    QVERIFY2(ts.start(), qPrintable(ts.server.errorString()));
    RawPeer peer = ts.connectPeer();
    QVERIFY(peer.isOpen());
    QVERIFY(peer.sendMessage("hello"_ba));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message));
}

void tst_ServerProperties::startErrorIsSignalledOnceAndLater()
{
    NamedPipeServer server;
    ServerRecorder recorder(&server);
    QVERIFY(!server.start());
    QCOMPARE(server.error(), NamedPipe::NameMissing); // known at once
    QCOMPARE(recorder.count(ServerEvent::ServerError), 0); // told from the event loop
    QVERIFY(recorder.waitFor(ServerEvent::ServerError));
    watchFor();
    QCOMPARE(recorder.count(ServerEvent::ServerError), 1);
    QCOMPARE(recorder.events().size(), 1);
}

void tst_ServerProperties::everyFailedStartIsReported()
{
    NamedPipeServer server;
    ServerRecorder recorder(&server);
    QVERIFY(!server.start());
    QVERIFY(recorder.waitFor(ServerEvent::ServerError));
    server.setPipeName(u"a/b"_s);
    QVERIFY(!server.start());
    QCOMPARE(server.error(), NamedPipe::NameInvalid);
    QVERIFY(recorder.waitFor(ServerEvent::ServerError, 2));
    server.setPipeName(scratchName());
    QVERIFY(server.start()); // a refused start leaves nothing behind
}

void tst_ServerProperties::fullPipeNameIsWhereClientsConnect()
{
    const NamedPipeServer server(u"Leaf"_s);
#ifdef Q_OS_WIN
    QCOMPARE(server.fullPipeName(), u"\\\\.\\pipe\\Leaf"_s);
#else
    QCOMPARE(server.fullPipeName(), QDir::tempPath() + u"/Leaf"_s);
#endif
}

void tst_ServerProperties::fullPipeNameFollowsTheNameWhileStopped()
{
    NamedPipeServer server;
    QSignalSpy moved(&server, &NamedPipeServer::fullPipeNameChanged);
    QString told;
    connect(&server, &NamedPipeServer::fullPipeNameChanged, &server,
            [&] { told = server.fullPipeName(); });
    QCOMPARE(server.fullPipeName(), QString());
    server.setPipeName(u"one"_s);
    QCOMPARE(moved.size(), 1);
    QVERIFY2(told.endsWith(u"one"_s), qPrintable(told));
    server.setPipeName(u"one"_s); // nothing changed
    QCOMPARE(moved.size(), 1);
    server.setPipeName({});
    QCOMPARE(moved.size(), 2);
    QCOMPARE(told, QString());
}

void tst_ServerProperties::fullPipeNameStaysWhileRunning()
{
    QString duringStop;
    TestServer ts;
    const QString name = ts.name();
    const QString served = ts.server.fullPipeName();
    QSignalSpy moved(&ts.server, &NamedPipeServer::fullPipeNameChanged);
    QSignalSpy renamed(&ts.server, &NamedPipeServer::pipeNameChanged);
    QVERIFY(ts.start());
    QCOMPARE(moved.size(), 0); // it is where it was said to be
    ts.server.setPipeName(scratchName());
    QCOMPARE(renamed.size(), 1);
    QCOMPARE(moved.size(), 0);
    QCOMPARE(ts.server.fullPipeName(), served);

    ts.recorder.onDisconnected() = [&](const NamedPipeServerConnectionPtr &) {
        duringStop = ts.server.fullPipeName();
    };
    RawPeer peer;
    QVERIFY(peer.connectTo(name));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Connected));
    bool isToldBefore = false; // a slot of runningChanged() finds the new one
    connect(&ts.server, &NamedPipeServer::runningChanged, &ts.server,
            [&] { isToldBefore = moved.size() == 1; });
    ts.server.stop();
    QCOMPARE(duringStop, served); // the place is the server's until the end
    QCOMPARE(moved.size(), 1);
    QVERIFY(isToldBefore);
    const QString next = ts.server.fullPipeName();
    QVERIFY(next != served);
    QVERIFY(ts.start());
    QCOMPARE(ts.server.fullPipeName(), next);
    ts.server.stop();
    QCOMPARE(moved.size(), 1); // this time nobody has renamed it
}

void tst_ServerProperties::failedStartMovesNothing()
{
    TestServer other;
    QVERIFY(other.start());
    NamedPipeServer server(other.name());
    QSignalSpy moved(&server, &NamedPipeServer::fullPipeNameChanged);
    QSignalSpy running(&server, &NamedPipeServer::runningChanged);
    QVERIFY(!server.start());
    QCOMPARE(server.error(), NamedPipe::NameInUse);
    QCOMPARE(server.fullPipeName(), other.server.fullPipeName());
    QCOMPARE(moved.size(), 0);
    QCOMPARE(running.size(), 0);
}

void tst_ServerProperties::renamingSlotMayDeleteTheServer()
{
    for (const bool isRunning : { false, true }) {
        QPointer<NamedPipeServer> server = new NamedPipeServer(scratchName());
        if (isRunning) {
            QVERIFY(server->start());
            server->setPipeName(scratchName());
            connect(server, &NamedPipeServer::fullPipeNameChanged, [server] { delete server; });
            server->stop();
        } else {
            connect(server, &NamedPipeServer::pipeNameChanged, [server] { delete server; });
            server->setPipeName(scratchName());
        }
        QVERIFY(!server);
    }
}

void tst_ServerProperties::valuesSetWhileRunningWaitForTheNextStart()
{
    TestServer ts;
    const QString first = ts.name();
    QVERIFY(ts.start());
    ts.server.setPipeName(scratchName());
    ts.server.setMaximumMessageSize(2);
    RawPeer peer;
    QVERIFY(peer.connectTo(first));
    QVERIFY(peer.sendMessage("longer than two bytes"_ba));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message));
    ts.server.stop();
    QVERIFY(ts.start());
    QVERIFY(!RawPeer().connectTo(first, RawPeer::Milliseconds(0)));
    QVERIFY(peer.connectTo(ts.name()));
    QVERIFY(peer.sendMessage("longer than two bytes"_ba));
    QVERIFY(ts.recorder.waitFor(ServerEvent::ClientError));
    QCOMPARE(ts.recorder.count(ServerEvent::Message), 1);
}

void tst_ServerProperties::typesTravelThroughQueuedConnectionsAndSpies()
{
    TestServer ts;
    QSignalSpy connected(&ts.server, &NamedPipeServer::clientConnected);
    QSignalSpy received(&ts.server, &NamedPipeServer::clientMessageReceived);
    QSignalSpy failed(&ts.server, &NamedPipeServer::clientErrorOccurred);
    QSignalSpy serverFailed(&ts.server, &NamedPipeServer::errorOccurred);
    QVERIFY(connected.isValid() && received.isValid() && failed.isValid()
            && serverFailed.isValid());
    QByteArray queued;
    QObject context;
    connect(
            &ts.server, &NamedPipeServer::clientMessageReceived, &context,
            [&queued](const NamedPipeServerConnectionPtr &, const QVariant &,
                      const QByteArray &data) { queued = data; },
            Qt::QueuedConnection);
    ts.server.setMaximumMessageSize(10);
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    QVERIFY(peer.sendMessage("hello"_ba));
    QTRY_COMPARE(queued, "hello"_ba);
    const auto connection = connected.at(0).at(0).value<NamedPipeServerConnectionPtr>();
    QVERIFY(connection);
    QCOMPARE(received.at(0).at(0).value<NamedPipeServerConnectionPtr>(), connection);
    QCOMPARE(received.at(0).at(2).toByteArray(), "hello"_ba);
    QVERIFY(peer.sendMessage("longer than ten"_ba));
    QTRY_COMPARE(failed.size(), 1);
    QCOMPARE(failed.at(0).at(1).value<NamedPipe::Error>(), NamedPipe::MessageTooLarge);
    ts.server.stop();
    ts.server.setPipeName({});
    QVERIFY(!ts.start());
    QTRY_COMPARE(serverFailed.size(), 1);
    QCOMPARE(serverFailed.at(0).at(0).value<NamedPipe::Error>(), NamedPipe::NameMissing);
    const auto statistics = QVariant::fromValue(ts.server.statistics());
    QCOMPARE(statistics.value<NamedPipe::ServerStatistics>().messagesReceived, 1u);
}

QTEST_GUILESS_MAIN(tst_ServerProperties)
#include "tst_server_properties.moc"
