// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "processfacts.h"
#include "rawlink.h"

#include <QtCore/qcoreapplication.h>
#include <QtCore/qmetaobject.h>
#include <QtTest/QtTest>

#include <limits>

using namespace Qt::StringLiterals;

class tst_ClientProperties : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void propertiesHaveTheDocumentedDefaults();
    void setterNotifiesOncePerChange_data();
    void setterNotifiesOncePerChange();
    void numberOutOfRangeIsAnInvalidConfiguration_data();
    void numberOutOfRangeIsAnInvalidConfiguration();
    void reconnectDelaysOutOfRangeAreAnInvalidConfiguration_data();
    void reconnectDelaysOutOfRangeAreAnInvalidConfiguration();
    void numberAtTheEdgeIsAccepted_data();
    void numberAtTheEdgeIsAccepted();
    void managerRecoversFromAnInvalidConfiguration();
    void badNameFailsWithAReason_data();
    void badNameFailsWithAReason();
    void oddButLegalNameWorks_data();
    void oddButLegalNameWorks();
    void newConnectionKnowsOnlyItsName();
    void openConnectionKnowsItsServer();
    void customDataIsTheUsersOwn();
    void statisticsCountWhatTravels();
    void typesTravelThroughQueuedConnectionsAndSpies();
};

void tst_ClientProperties::propertiesHaveTheDocumentedDefaults()
{
    const NamedPipeClientManager manager;
    QCOMPARE(manager.continuouslyReadFromPipe(), true);
    QCOMPARE(manager.freeThreadingEvents(), false);
    QCOMPARE(manager.messageBufferSize(), 131072);
    QCOMPARE(manager.numThreadsIOCP(), 1);
    QCOMPARE(manager.maximumMessageSize(), 0);
    QCOMPARE(manager.maximumPendingReadBytes(), 1024 * 1024);
    QCOMPARE(manager.maximumPendingWriteBytes(), 64 * 1024 * 1024);
    QCOMPARE(manager.connectTimeout(), 5000);
    QCOMPARE(manager.waitForServer(), false);
    QCOMPARE(manager.serverAccess(), NamedPipe::AnyUser);
    QCOMPARE(manager.autoReconnect(), false);
    QVERIFY(manager.minimumReconnectDelay() > 0);
    QVERIFY(manager.minimumReconnectDelay() <= manager.maximumReconnectDelay());
    QVERIFY(manager.connections().isEmpty());
    QCOMPARE(manager.connectionCount(), 0);
    QCOMPARE(manager.statistics().messagesSent, 0u);
}

void tst_ClientProperties::setterNotifiesOncePerChange_data()
{
    QTest::addColumn<QByteArray>("property");
    QTest::addColumn<QVariant>("value");
    const auto row = [](const char *property, const QVariant &value) {
        QTest::newRow(property) << QByteArray(property) << value;
    };
    row("continuouslyReadFromPipe", false);
    row("freeThreadingEvents", true);
    row("messageBufferSize", 4096);
    row("numThreadsIOCP", 4);
    row("maximumMessageSize", qint64(5'000'000'000));
    row("maximumPendingReadBytes", qint64(4096));
    row("maximumPendingWriteBytes", qint64(8192));
    row("connectTimeout", 1234);
    row("waitForServer", true);
    row("serverAccess", QVariant::fromValue(NamedPipe::CurrentUser));
    row("autoReconnect", true);
    row("minimumReconnectDelay", 17);
    row("maximumReconnectDelay", 71'717);
}

void tst_ClientProperties::setterNotifiesOncePerChange()
{
    QFETCH(QByteArray, property);
    QFETCH(QVariant, value);
    NamedPipeClientManager manager;
    const QMetaObject *meta = manager.metaObject();
    const QMetaProperty metaProperty = meta->property(meta->indexOfProperty(property.constData()));
    QVERIFY(metaProperty.hasNotifySignal());
    QSignalSpy spy(&manager, metaProperty.notifySignal());
    QVERIFY(manager.setProperty(property.constData(), value));
    QCOMPARE(manager.property(property.constData()), value);
    QCOMPARE(spy.size(), 1);
    QVERIFY(manager.setProperty(property.constData(), value));
    QCOMPARE(spy.size(), 1); // nothing changed
}

void tst_ClientProperties::numberOutOfRangeIsAnInvalidConfiguration_data()
{
    QTest::addColumn<QByteArray>("property");
    QTest::addColumn<qint64>("value");
    QTest::addColumn<bool>("freeThreaded");
    const auto row = [](const char *property, qint64 value) {
        for (const bool freeThreaded : { false, true }) {
            QTest::addRow("%s %lld, %s", property, static_cast<long long>(value),
                          freeThreaded ? "free-threaded" : "marshalled")
                    << QByteArray(property) << value << freeThreaded;
        }
    };
    const qint64 lowest = std::numeric_limits<int>::min();
    for (const qint64 value : { lowest, qint64(-1), qint64(0) }) {
        row("messageBufferSize", value);
        row("numThreadsIOCP", value);
        row("maximumPendingReadBytes", value);
        row("maximumPendingWriteBytes", value);
    }
    row("numThreadsIOCP", 257);
    row("numThreadsIOCP", std::numeric_limits<int>::max());
    row("maximumMessageSize", -1);
    row("maximumMessageSize", std::numeric_limits<qint64>::min());
    row("connectTimeout", -2);
    row("connectTimeout", lowest);
}

void tst_ClientProperties::numberOutOfRangeIsAnInvalidConfiguration()
{
    QFETCH(QByteArray, property);
    QFETCH(qint64, value);
    QFETCH(bool, freeThreaded);
    const QString name = scratchName();
    RawServer server;
    QVERIFY(server.listen(name));
    std::atomic<int> errorsElsewhere { 0 }; // these are told from the manager's event loop always
    TestClient client;
    client.recorder.onError() = [&](auto &, NamedPipe::Error) {
        errorsElsewhere += QThread::currentThread() != qApp->thread();
    };
    client.manager.setFreeThreadingEvents(freeThreaded);
    QVERIFY(client.manager.setProperty(property.constData(), value));
    QCOMPARE(client.manager.property(property.constData()).toLongLong(), value);
    const NamedPipeClientConnectionPtr connection = client.dial(name);
    QVERIFY(connection);
    QCOMPARE(client.recorder.count(), 0);
    QVERIFY(client.recorder.waitFor(ClientEvent::Error));
    QCOMPARE(client.recorder.errors(), QList { NamedPipe::InvalidConfiguration });
    QCOMPARE(errorsElsewhere, 0);
    QVERIFY(!connection->isOpening());
    QVERIFY(!connection->isConnected());
    QCOMPARE(connection->closeReason(), NamedPipe::Failed);
    watchFor(std::chrono::milliseconds(10));
    QCOMPARE(client.recorder.count(), 1);
    QVERIFY(!server.accept(RawPeer::Milliseconds(0)).isOpen()); // nobody came
}

void tst_ClientProperties::reconnectDelaysOutOfRangeAreAnInvalidConfiguration_data()
{
    QTest::addColumn<int>("minimum");
    QTest::addColumn<int>("maximum");
    QTest::newRow("negative minimum") << -1 << 1000;
    QTest::newRow("negative maximum") << 10 << -1;
    QTest::newRow("minimum over maximum") << 1001 << 1000;
}

void tst_ClientProperties::reconnectDelaysOutOfRangeAreAnInvalidConfiguration()
{
    QFETCH(int, minimum);
    QFETCH(int, maximum);
    const QString name = scratchName();
    RawServer server;
    QVERIFY(server.listen(name));
    TestClient client;
    client.manager.setAutoReconnect(true);
    client.manager.setMinimumReconnectDelay(minimum);
    client.manager.setMaximumReconnectDelay(maximum);
    const NamedPipeClientConnectionPtr connection = client.dial(name);
    QVERIFY(client.recorder.waitFor(ClientEvent::Error));
    QCOMPARE(client.recorder.errors(), QList { NamedPipe::InvalidConfiguration });
    QCOMPARE(connection->closeReason(), NamedPipe::Failed);
    QVERIFY(!connection->isOpening());
}

void tst_ClientProperties::numberAtTheEdgeIsAccepted_data()
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
    row("maximumMessageSize", 0);
    row("maximumMessageSize", 100);
    row("maximumMessageSize", std::numeric_limits<qint64>::max());
    row("maximumPendingReadBytes", 1);
    row("maximumPendingReadBytes", std::numeric_limits<qint64>::max());
    row("maximumPendingWriteBytes", 1);
    row("maximumPendingWriteBytes", std::numeric_limits<qint64>::max());
    row("connectTimeout", -1);
    row("connectTimeout", 0);
    row("connectTimeout", std::numeric_limits<int>::max());
}

void tst_ClientProperties::numberAtTheEdgeIsAccepted()
{
    QFETCH(QByteArray, property);
    QFETCH(qint64, value);
    RawLink link;
    link.client.recorder.onMessage() = [](NamedPipeClientConnection &connection, const QVariant &,
                                          const QByteArray &data) { connection.asyncWrite(data); };
    QVERIFY(link.client.manager.setProperty(property.constData(), value));
    QVERIFY2(link.open(), qPrintable(link.client.recorder.texts().join(u'\n')));
    for (int number = 0; number < 3; ++number) { // and it works
        QVERIFY(link.peer.sendMessage(numbered(number)));
        QVERIFY(link.client.recorder.waitFor(ClientEvent::Sent, number + 1));
        QCOMPARE(link.peer.receiveMessage(), numbered(number));
    }
    QCOMPARE(link.client.recorder.errors(), QList<NamedPipe::Error>());
}

void tst_ClientProperties::managerRecoversFromAnInvalidConfiguration()
{
    RawLink link;
    link.client.manager.setNumThreadsIOCP(0);
    const NamedPipeClientConnectionPtr failed = link.client.dial(link.name);
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Error));
    link.client.manager.setNumThreadsIOCP(2);
    QVERIFY(link.open());
    QCOMPARE(failed->closeReason(), NamedPipe::Failed);
}

void tst_ClientProperties::badNameFailsWithAReason_data()
{
    QTest::addColumn<QString>("name");
    QTest::addColumn<NamedPipe::Error>("error");
    QTest::addColumn<QString>("hint"); // what the text must mention
    QTest::addColumn<bool>("freeThreaded");
    const auto row = [](const char *title, const QString &name, NamedPipe::Error error,
                        const QString &hint) {
        QTest::addRow("%s, marshalled", title) << name << error << hint << false;
        QTest::addRow("%s, free-threaded", title) << name << error << hint << true;
    };
    const auto invalid = [&row](const char *title, const QString &name, const QString &hint = {}) {
        row(title, name, NamedPipe::NameInvalid, hint);
    };
    row("empty", QString(), NamedPipe::NameMissing,
        u"cannot connect without specifying a pipe name"_s);
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

void tst_ClientProperties::badNameFailsWithAReason()
{
    QFETCH(QString, name);
    QFETCH(NamedPipe::Error, error);
    QFETCH(QString, hint);
    QFETCH(bool, freeThreaded);
    std::atomic<int> errorsElsewhere { 0 };
    TestClient client;
    client.recorder.onError() = [&](auto &, NamedPipe::Error) {
        errorsElsewhere += QThread::currentThread() != qApp->thread();
    };
    client.manager.setFreeThreadingEvents(freeThreaded);
    client.manager.setWaitForServer(true); // waiting would not help
    const NamedPipeClientConnectionPtr connection = client.dial(name);
    QVERIFY(connection);
    QCOMPARE(connection->pipeName(), name);
    QCOMPARE(client.recorder.count(), 0); // told from the event loop
    QVERIFY(client.recorder.waitFor(ClientEvent::Error));
    QCOMPARE(client.recorder.errors(), QList { error });
    QVERIFY2(client.recorder.texts().constFirst().contains(hint),
             qPrintable(client.recorder.texts().constFirst()));
    if (error == NamedPipe::NameMissing)
        QCOMPARE(client.recorder.texts(), QStringList { hint });
    QCOMPARE(errorsElsewhere, 0);
    QVERIFY(!connection->isOpening());
    QCOMPARE(connection->closeReason(), NamedPipe::Failed);
    watchFor(std::chrono::milliseconds(10));
    QCOMPARE(client.recorder.count(), 1);
}

void tst_ClientProperties::oddButLegalNameWorks_data()
{
    QTest::addColumn<QString>("name");
    QTest::newRow("dot and space inside") << u"a. b"_s;
    QTest::newRow("umlauts") << u"gr\u00fc\u00dfe"_s;
    QTest::newRow("beyond the basic plane") << u"pipe-\U0001F600"_s;
    QTest::newRow("punctuation") << u"{a}+(b)=[c],;'#%&!@$~^_-"_s;
}

void tst_ClientProperties::oddButLegalNameWorks()
{
    QFETCH(QString, name);
    const QString fullName = scratchName() + name;
    RawServer server;
    QVERIFY(server.listen(fullName));
    TestClient client;
    const NamedPipeClientConnectionPtr connection = client.connectTo(fullName);
    QVERIFY2(connection, qPrintable(client.recorder.texts().join(u'\n')));
    QCOMPARE(connection->pipeName(), fullName);
    RawPeer peer = server.accept();
    QVERIFY(peer.sendMessage("hello"_ba));
    QVERIFY(client.recorder.waitFor(ClientEvent::Message));
}

void tst_ClientProperties::newConnectionKnowsOnlyItsName()
{
    const QString name = scratchName();
    TestClient client;
    client.manager.setWaitForServer(true); // so that it stays new for as long as the test looks
    const NamedPipeClientConnectionPtr connection = client.dial(name);
    QVERIFY(connection);
    QCOMPARE(connection->pipeName(), name);
    QVERIFY(connection->isOpening());
    QVERIFY(!connection->isConnected());
    QCOMPARE(connection->closeReason(), NamedPipe::StillOpen);
    QCOMPARE(connection->handle(), qintptr(-1));
    QCOMPARE(connection->serverProcessId(), 0);
    QCOMPARE(connection->serverUserId(), QString());
    QCOMPARE(connection->bytesToWrite(), 0);
    QCOMPARE(connection->statistics().messagesReceived, 0u);
    QVERIFY(!connection->customData().isValid());
    QVERIFY(!client.manager.connections().contains(connection)); // not connected
    QCOMPARE(client.manager.connectionCount(), 0);
}

void tst_ClientProperties::openConnectionKnowsItsServer()
{
    RawLink link;
    QVERIFY(link.open());
    QVERIFY(link.connection->isConnected());
    QVERIFY(!link.connection->isOpening());
    QVERIFY(link.connection->handle() != qintptr(-1));
    QCOMPARE(link.connection->serverProcessId(), QCoreApplication::applicationPid());
    QCOMPARE(link.connection->serverUserId(), ProcessFacts::userId());
    QCOMPARE(link.client.manager.connections(), QList { link.connection });
    QCOMPARE(link.client.manager.connectionCount(), 1);
    link.connection->asyncClose();
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Disconnected));
    QCOMPARE(link.connection->handle(), qintptr(-1));
    QCOMPARE(link.client.manager.connectionCount(), 0);
    QVERIFY(link.client.manager.connections().isEmpty());
}

void tst_ClientProperties::customDataIsTheUsersOwn()
{
    RawLink link;
    const NamedPipeClientConnectionPtr connection = link.client.dial(link.name);
    connection->setCustomData(u"before"_s); // also while it is opening
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Error));
    QCOMPARE(connection->customData(), QVariant(u"before"_s));
    QVERIFY(link.open());
    auto other = runClient([&] { link.connection->setCustomData(QVariantList { 1, 2 }); });
    other.get();
    QCOMPARE(link.connection->customData(), QVariant(QVariantList { 1, 2 }));
    link.connection->asyncClose();
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Disconnected));
    QCOMPARE(link.connection->customData(), QVariant(QVariantList { 1, 2 }));
}

void tst_ClientProperties::statisticsCountWhatTravels()
{
    RawLink link;
    QVERIFY(link.open());
    QVERIFY(link.peer.sendMessage("12345"_ba));
    QVERIFY(link.peer.sendMessage(""_ba));
    QVERIFY(link.connection->asyncWrite("1234567"_ba));
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Message, 2));
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Sent));
    const auto check = [](const NamedPipe::Statistics &statistics) {
        return statistics.messagesReceived == 2 && statistics.bytesReceived == 5
                && statistics.messagesSent == 1 && statistics.bytesSent == 7;
    };
    QVERIFY(check(link.connection->statistics()));
    QVERIFY(check(link.client.manager.statistics()));
    link.connection->asyncClose();
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Disconnected));
    QVERIFY(check(link.connection->statistics()));
    QVERIFY(check(link.client.manager.statistics())); // of all connections, also ended ones
    QVERIFY(link.open());
    QVERIFY(link.connection->asyncWrite("abc"_ba));
    QVERIFY(link.client.recorder.waitFor(ClientEvent::Sent, 2));
    QCOMPARE(link.connection->statistics().bytesSent, 3u);
    QCOMPARE(link.client.manager.statistics().bytesSent, 10u);
}

void tst_ClientProperties::typesTravelThroughQueuedConnectionsAndSpies()
{
    RawLink link;
    QVERIFY(link.server.listen(link.name));
    link.client.manager.setMaximumMessageSize(10);
    const NamedPipeClientConnectionPtr connection = link.client.dial(link.name);
    QSignalSpy received(connection.data(), &NamedPipeClientConnection::messageReceived);
    QSignalSpy failed(connection.data(), &NamedPipeClientConnection::errorOccurred);
    QVERIFY(received.isValid() && failed.isValid());
    QByteArray queued;
    NamedPipe::Error queuedError = NamedPipe::NoError;
    QObject context;
    connect(
            connection.data(), &NamedPipeClientConnection::messageReceived, &context,
            [&queued](const QVariant &, const QByteArray &data) { queued = data; },
            Qt::QueuedConnection);
    connect(
            connection.data(), &NamedPipeClientConnection::errorOccurred, &context,
            [&queuedError](NamedPipe::Error error) { queuedError = error; }, Qt::QueuedConnection);
    RawPeer peer = link.server.accept();
    QVERIFY(peer.sendMessage("hello"_ba));
    QTRY_COMPARE(queued, "hello"_ba);
    QCOMPARE(received.at(0).at(1).toByteArray(), "hello"_ba);
    peer.sendMessage("longer than ten"_ba);
    QTRY_COMPARE(queuedError, NamedPipe::MessageTooLarge);
    QCOMPARE(failed.at(0).at(0).value<NamedPipe::Error>(), NamedPipe::MessageTooLarge);
    const auto pointer = QVariant::fromValue(connection);
    QCOMPARE(pointer.value<NamedPipeClientConnectionPtr>(), connection);
    const auto statistics = QVariant::fromValue(connection->statistics());
    QCOMPARE(statistics.value<NamedPipe::Statistics>().messagesReceived, 1u);
}

QTEST_GUILESS_MAIN(tst_ClientProperties)
#include "tst_client_properties.moc"
