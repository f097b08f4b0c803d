// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "fakeserver.h"
#include "payload.h"

#include <QtTest/QtTest>

using namespace QtNamedPipes;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

/// How a connection of a client is made, with answers and a clock that the test decides on.
class tst_PipeDialer : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void nothingIsDialedOnTheCallersThread();
    void connectionOpensAndCarriesMessages();
    void theTargetIsPassedOn();
    void missingServerFailsAtOnce();
    void missingServerIsWaitedFor();
    void busyServerIsTriedAgainUntilItHasRoom();
    void busyServerTimesOut();
    void timeOutOfZeroTriesOnce();
    void withoutTimeOutItIsTriedForEver();
    void pausesAreShortAndNotAllTheSame();
    void otherErrorsEndTheDial();
    void closeWhileDialingEndsItInSilence();
    void closeDuringTheTryDropsTheEndpoint();
    void writesAreRefusedWhileDialing();
    void requestsAreKeptWhileDialing();
    void stopEndsTheDialInSilence();
    void abandonedManagerForgetsTheDial();
    void serverThatHungUpAtOnceIsReadToTheEnd();
    void serverThatHangsUpBeforeItIsToldIsReadToTheEnd();
    void dialOfAForgottenConnectionDoesNothing();
    void persistentDialerTellsEachKindOfFailureOnce();
    void persistentDialerWaitsLongerEachTime();
    void unsentMessagesAreToldInOrder_data();
    void unsentMessagesAreToldInOrder();
    void unsentMessagesOfAbandonedOperationsAreTold();
    void reasonsAreNamedFromTheClientsSide_data();
    void reasonsAreNamedFromTheClientsSide();
    void nothingIsDialedOnceTheManagerStops();
    void freeThreadedFailureIsToldOnTheWorker();
    void failuresOfTheDialComeBeforeOpened();
    void closeBeforeOpenedWasToldLeavesNoTrace();
    void unsentMessagesAreNotToldWithoutOpened();
    void cookieMayBeTheLastToHoldTheConnection_data();
    void cookieMayBeTheLastToHoldTheConnection();
    void cookiesAreLetGoWithTheManager();
    void cookieMayCallWhenItIsCopied();
    void delaysGoOnWhereTheDialerHasLeftThem();
};

static DialResult busy()
{
    return { nullptr, { NamedPipe::ResourceExhausted, 11, "connect", {} }, true };
}

static DialResult missing()
{
    return { nullptr, { NamedPipe::NotFound, 2, "connect", {} }, false };
}

static DialResult failure(NamedPipe::Error error)
{
    return { nullptr, { error, 5, "connect", {} }, false };
}

static DialSettings persistent(BackOff::Time shortest, BackOff::Time longest)
{
    DialSettings settings;
    settings.isPersistent = true;
    settings.delays = std::make_shared<BackOff>(shortest, longest);
    return settings;
}

namespace {

/// A client manager whose engine answers each try with what the test has put down last.
struct Client
{
    explicit Client(bool freeThreaded = false) : manager(settings(freeThreaded))
    {
        manager.engine->onConnect = [this](const DialTarget &target) {
            ++tries;
            lastTarget = target;
            if (answer)
                return answer();
            endpoint = manager.engine->makeEndpoint();
            return DialResult { endpoint, {}, false };
        };
        if (!manager.start())
            qFatal("the fake manager does not start");
    }
    static HubSettings settings(bool freeThreaded)
    {
        HubSettings settings;
        settings.side = Side::Client;
        settings.freeThreaded = freeThreaded;
        return settings;
    }
    /// A connection that is open and reads.
    std::shared_ptr<PipeConnection> open()
    {
        const auto connection = manager.dial();
        manager.deliver();
        return connection;
    }
    /// Lets time pass until there is a try.
    int millisecondsToNextTry()
    {
        const int before = tries;
        int passed = 0;
        while (tries == before && passed < 10000) {
            manager.engine->advance(1ms);
            ++passed;
        }
        return passed;
    }
    QStringList lines(const std::shared_ptr<PipeConnection> &connection) const
    {
        return manager.log->lines(connection->id());
    }

    std::function<DialResult()> answer; ///< not set: connected
    std::shared_ptr<FakeEndpoint> endpoint; ///< the last that was made
    DialTarget lastTarget;
    int tries = 0;
    FakeServer manager;
};

} // namespace

void tst_PipeDialer::nothingIsDialedOnTheCallersThread()
{
    Client client;
    const auto connection = client.manager.dial();
    QCOMPARE(client.tries, 0);
    QVERIFY(connection->isOpening());
    QVERIFY(!connection->isConnected());
    QCOMPARE(connection->handle(), qintptr(-1));
    QCOMPARE(client.manager.hub->connectionCount(), 0);
    client.manager.engine->runTasks();
    QCOMPARE(client.tries, 1);
    QVERIFY(client.lines(connection).isEmpty()); // told from the event loop only
    QVERIFY(connection->isOpening());
    QVERIFY(connection->isConnected());
    client.manager.deliver();
    QVERIFY(!connection->isOpening());
    QCOMPARE(client.lines(connection), QStringList(u"opened"_s));
}

void tst_PipeDialer::connectionOpensAndCarriesMessages()
{
    Client client;
    const auto connection = client.open();
    QCOMPARE(connection->peer().processId, 4711);
    QCOMPARE(connection->peer().userId, u"me"_s);
    QCOMPARE(client.manager.hub->connectionCount(), 1);
    QCOMPARE(int(client.manager.hub->connections().size()), 1);
    QVERIFY(client.endpoint->isReading());
    QVERIFY(client.endpoint->receive({ "one"_ba, "two"_ba }));
    QVERIFY(connection->write("three"_ba, 3, false));
    client.manager.deliver();
    QCOMPARE(client.endpoint->written(), QList<QByteArray>({ "three"_ba }));
    QCOMPARE(client.lines(connection),
             QStringList({ u"opened"_s, u"sent #3"_s, u"message one"_s, u"message two"_s }));
}

void tst_PipeDialer::theTargetIsPassedOn()
{
    Client client;
    DialSettings settings;
    settings.target.name = u"a name"_s;
    settings.target.access = NamedPipe::CurrentUser;
    client.manager.dial(settings);
    client.manager.deliver();
    QCOMPARE(client.lastTarget.name, u"a name"_s);
    QCOMPARE(client.lastTarget.access, NamedPipe::CurrentUser);
}

void tst_PipeDialer::missingServerFailsAtOnce()
{
    Client client;
    client.answer = missing;
    const auto connection = client.manager.dial();
    client.manager.deliver();
    QCOMPARE(client.lines(connection), QStringList({ u"error NotFound"_s, u"closed"_s }));
    QCOMPARE(client.tries, 1);
    QCOMPARE(client.manager.engine->timerCount(), 0);
    QCOMPARE(connection->closeReason(), NamedPipe::Failed);
    QVERIFY(!connection->isOpening());
    QVERIFY(client.manager.hub->connections().empty());
}

void tst_PipeDialer::missingServerIsWaitedFor()
{
    Client client;
    client.answer = missing;
    DialSettings settings;
    settings.waitForServer = true;
    const auto connection = client.manager.dial(settings);
    client.manager.deliver();
    for (int i = 0; i < 10; ++i)
        client.manager.engine->advance(50ms);
    QVERIFY2(client.tries >= 10, qPrintable(QString::number(client.tries)));
    QVERIFY(client.lines(connection).isEmpty());
    client.answer = nullptr; // the server has come
    client.manager.engine->advance(50ms);
    client.manager.deliver();
    QCOMPARE(client.lines(connection), QStringList(u"opened"_s));
}

void tst_PipeDialer::busyServerIsTriedAgainUntilItHasRoom()
{
    Client client;
    client.answer = busy;
    const auto connection = client.manager.dial();
    client.manager.deliver();
    client.manager.engine->advance(50ms);
    client.manager.engine->advance(50ms);
    QVERIFY(client.tries >= 3);
    QVERIFY(client.lines(connection).isEmpty());
    client.answer = nullptr;
    client.manager.engine->advance(50ms);
    client.manager.deliver();
    QCOMPARE(client.lines(connection), QStringList(u"opened"_s));
}

void tst_PipeDialer::busyServerTimesOut()
{
    Client client;
    client.answer = busy;
    DialSettings settings;
    settings.timeout = 60s; // of the fake clock, far more than the test takes
    const auto connection = client.manager.dial(settings);
    client.manager.deliver();
    // The dialer looks at the real clock: with none of it gone, it goes on.
    client.manager.engine->advance(1h);
    client.manager.deliver();
    QVERIFY(client.lines(connection).isEmpty());

    settings.timeout = 30ms;
    const auto impatient = client.manager.dial(settings);
    QElapsedTimer passed;
    passed.start();
    while (client.lines(impatient).isEmpty() && passed.elapsed() < 10000) {
        client.manager.engine->advance(1ms);
        client.manager.deliver();
    }
    QVERIFY(passed.elapsed() >= 30);
    QCOMPARE(client.lines(impatient), QStringList({ u"error ConnectTimeout"_s, u"closed"_s }));
    const QList<FakeEvent> events = client.manager.log->events();
    const QString text = events.first().text;
    QVERIFY2(text.contains(u"30 ms"_s) && text.contains(u"connect"_s), qPrintable(text));
}

void tst_PipeDialer::timeOutOfZeroTriesOnce()
{
    Client client;
    client.answer = busy;
    DialSettings settings;
    settings.timeout = 0ms;
    const auto connection = client.manager.dial(settings);
    client.manager.deliver();
    QCOMPARE(client.tries, 1);
    QCOMPARE(client.lines(connection), QStringList({ u"error ConnectTimeout"_s, u"closed"_s }));
}

void tst_PipeDialer::withoutTimeOutItIsTriedForEver()
{
    Client client;
    client.answer = busy;
    DialSettings settings;
    settings.timeout = -1ms;
    const auto connection = client.manager.dial(settings);
    client.manager.deliver();
    for (int i = 0; i < 1000; ++i)
        client.manager.engine->advance(50ms);
    QVERIFY(client.tries >= 1000);
    QVERIFY(client.lines(connection).isEmpty());
}

void tst_PipeDialer::pausesAreShortAndNotAllTheSame()
{
    Client client;
    client.answer = busy;
    DialSettings settings;
    settings.timeout = -1ms;
    client.manager.dial(settings);
    client.manager.deliver();
    QSet<int> pauses;
    for (int i = 0; i < 100; ++i) {
        const int pause = client.millisecondsToNextTry();
        QVERIFY2(pause <= 51, qPrintable(QString::number(pause)));
        pauses.insert(pause);
    }
    QVERIFY2(pauses.size() >= 5, qPrintable(QString::number(pauses.size())));
}

void tst_PipeDialer::otherErrorsEndTheDial()
{
    for (const auto error : { NamedPipe::AccessDenied, NamedPipe::Unsupported,
                              NamedPipe::ResourceExhausted, NamedPipe::SystemError }) {
        Client client;
        client.answer = [error] { return failure(error); };
        DialSettings settings;
        settings.waitForServer = true; // for its coming, not for its pleasure
        const auto connection = client.manager.dial(settings);
        client.manager.deliver();
        QCOMPARE(client.tries, 1);
        QCOMPARE(client.manager.log->events().first().error, error);
        QCOMPARE(client.lines(connection).size(), 2);
    }
}

void tst_PipeDialer::closeWhileDialingEndsItInSilence()
{
    Client client;
    client.answer = busy;
    const auto connection = client.manager.dial();
    client.manager.deliver();
    connection->close(NamedPipe::SendPending);
    QVERIFY(!connection->isOpening());
    QCOMPARE(connection->closeReason(), NamedPipe::ClosedByClient);
    const int tries = client.tries;
    client.manager.engine->advance(1h);
    client.manager.deliver();
    QCOMPARE(client.tries, tries);
    QCOMPARE(client.manager.engine->timerCount(), 0);
    QCOMPARE(client.lines(connection), QStringList(u"closed"_s));
}

void tst_PipeDialer::closeDuringTheTryDropsTheEndpoint()
{
    Client client;
    std::shared_ptr<PipeConnection> connection;
    client.answer = [&] {
        client.endpoint = client.manager.engine->makeEndpoint();
        connection->close(NamedPipe::CancelPending);
        return DialResult { client.endpoint, {}, false };
    };
    connection = client.manager.dial();
    client.manager.deliver();
    QVERIFY(client.endpoint->isClosed());
    QCOMPARE(client.lines(connection), QStringList(u"closed"_s));
    QCOMPARE(client.manager.hub->connectionCount(), 0);
    client.manager.stop(); // and no handle is waited for
}

void tst_PipeDialer::writesAreRefusedWhileDialing()
{
    Client client;
    client.answer = busy;
    const auto connection = client.manager.dial();
    QVERIFY(!connection->write("early"_ba, 1, false));
    client.manager.deliver();
    QCOMPARE(client.lines(connection), QStringList(u"error NotConnected"_s));
    client.answer = nullptr;
    client.manager.engine->advance(50ms);
    client.manager.deliver();
    QCOMPARE(client.lines(connection), QStringList({ u"error NotConnected"_s, u"opened"_s }));
    QVERIFY(client.endpoint->written().isEmpty());
}

void tst_PipeDialer::requestsAreKeptWhileDialing()
{
    Client client;
    const auto connection = client.manager.dial();
    connection->read(7);
    client.manager.deliver();
    QVERIFY(client.endpoint->receive({ "one"_ba, "two"_ba }));
    client.manager.deliver();
    QCOMPARE(client.lines(connection),
             QStringList({ u"opened"_s, u"message one #7"_s, u"message two"_s }));
}

void tst_PipeDialer::stopEndsTheDialInSilence()
{
    for (const bool freeThreaded : { false, true }) {
        Client client(freeThreaded);
        client.answer = busy;
        const auto connection = client.manager.dial();
        client.manager.deliver();
        if (freeThreaded) { // its workers deliver while stop() waits, and there are none here
            connection->close(NamedPipe::CancelPending);
            client.manager.deliver();
        }
        client.manager.stop();
        QCOMPARE(client.lines(connection), QStringList(u"closed"_s));
        QCOMPARE(connection->closeReason(), NamedPipe::ClosedByClient);
    }
}

void tst_PipeDialer::abandonedManagerForgetsTheDial()
{
    std::weak_ptr<PipeConnection> left;
    {
        Client client;
        client.answer = busy;
        left = client.manager.dial();
        client.manager.forgetConnections();
        client.manager.deliver();
        client.manager.log->expectSilence();
    }
    QVERIFY(left.expired());
}

void tst_PipeDialer::serverThatHungUpAtOnceIsReadToTheEnd()
{
    Client client;
    const auto connection = client.manager.dial();
    client.manager.engine->runTasks();
    QVERIFY(client.endpoint->receive({ "farewell"_ba }));
    QVERIFY(client.endpoint->endReading(ReadEnd::PeerClosed));
    client.manager.deliver();
    QCOMPARE(client.lines(connection),
             QStringList({ u"opened"_s, u"message farewell"_s, u"closed"_s }));
    QCOMPARE(connection->closeReason(), NamedPipe::ClosedByServer);
}

void tst_PipeDialer::serverThatHangsUpBeforeItIsToldIsReadToTheEnd()
{
    Client client;
    const auto connection = client.manager.dial();
    connection->hangUpSeen(); // by another worker, while this one says that it is made
    client.manager.engine->runTasks();
    QVERIFY(!connection->isConnected());
    QVERIFY(client.endpoint->receive({ "last words"_ba }));
    QVERIFY(client.endpoint->endReading(ReadEnd::PeerClosed));
    client.manager.deliver();
    QCOMPARE(client.lines(connection),
             QStringList({ u"opened"_s, u"message last words"_s, u"closed"_s }));
}

void tst_PipeDialer::dialOfAForgottenConnectionDoesNothing()
{
    Client client;
    const auto connection = client.manager.hub->newConnection();
    connection->forget();
    client.manager.hub->dial(connection, client.manager.makeFace(connection), {});
    client.manager.deliver();
    QCOMPARE(client.tries, 0);
    QVERIFY(!connection->object()); // or it would hold itself
    client.manager.log->expectSilence();
    connection->close(NamedPipe::CancelPending);
    client.manager.deliver();
}

void tst_PipeDialer::persistentDialerTellsEachKindOfFailureOnce()
{
    Client client;
    client.answer = missing;
    const DialSettings settings = persistent(10ms, 100ms);
    const auto connection = client.manager.dial(settings);
    client.manager.deliver();
    for (int i = 0; i < 20; ++i)
        client.manager.engine->advance(100ms);
    client.answer = [] { return failure(NamedPipe::AccessDenied); };
    for (int i = 0; i < 20; ++i)
        client.manager.engine->advance(100ms);
    client.answer = missing; // again
    client.manager.engine->advance(100ms);
    client.manager.deliver();
    QVERIFY(client.tries >= 40);
    QVERIFY(connection->isOpening());
    QCOMPARE(client.lines(connection),
             QStringList({ u"error NotFound"_s, u"error AccessDenied"_s }));
    client.answer = nullptr;
    client.manager.engine->advance(100ms);
    client.manager.deliver();
    QCOMPARE(client.lines(connection).last(), u"opened"_s);
}

void tst_PipeDialer::persistentDialerWaitsLongerEachTime()
{
    Client client;
    client.answer = missing;
    DialSettings settings = persistent(100ms, 1000ms);
    settings.firstDelay = 100ms;
    client.manager.dial(settings);
    client.manager.deliver();
    QCOMPARE(client.tries, 0);
    QCOMPARE(client.millisecondsToNextTry() / 10, 10);
    for (const int longest : { 200, 400, 800, 1000, 1000, 1000 }) {
        const int delay = client.millisecondsToNextTry();
        const QByteArray text = QByteArray::number(delay) + " of " + QByteArray::number(longest);
        QVERIFY2(delay <= longest + 20 && delay >= longest / 2 - 1, text.constData());
    }
}

void tst_PipeDialer::unsentMessagesAreToldInOrder_data()
{
    QTest::addColumn<bool>("byServer");
    QTest::newRow("the server closes") << true;
    QTest::newRow("the client closes") << false;
}

void tst_PipeDialer::unsentMessagesAreToldInOrder()
{
    QFETCH(bool, byServer);
    Client client;
    const auto connection = client.open();
    client.endpoint->acceptsAtOnce = false;
    client.endpoint->cancelAnswer = FakeEndpoint::Later;
    for (int cookie = 1; cookie <= 5; ++cookie) // the first is in the endpoint's hands
        QVERIFY(connection->write("message"_ba, cookie, false));
    if (byServer)
        QVERIFY(client.endpoint->endReading(ReadEnd::PeerClosed));
    else
        connection->close(NamedPipe::CancelPending);
    client.manager.deliver();
    client.endpoint->answerCancel();
    client.manager.deliver();
    QStringList expected { u"opened"_s,     u"notSent #1"_s, u"notSent #2"_s,
                           u"notSent #3"_s, u"notSent #4"_s, u"notSent #5"_s };
    if (byServer)
        expected += u"error ConnectionBroken"_s;
    QCOMPARE(client.lines(connection), expected + QStringList(u"closed"_s));
    QCOMPARE(connection->bytesToWrite(), 0);
}

void tst_PipeDialer::unsentMessagesOfAbandonedOperationsAreTold()
{
    Client client;
    const auto connection = client.open();
    client.endpoint->acceptsAtOnce = false;
    client.endpoint->cancelAnswer = FakeEndpoint::Never;
    QVERIFY(connection->write("one"_ba, 1, false));
    QVERIFY(connection->write("two"_ba, 2, false));
    connection->close(NamedPipe::CancelPending);
    client.manager.deliver();
    QTest::ignoreMessage(QtWarningMsg, QRegularExpression(u"did not complete 2 operations"_s));
    connection->abandonOperations();
    QVERIFY(client.endpoint->finishWrite()); // after all
    client.manager.deliver();
    QCOMPARE(client.lines(connection),
             QStringList({ u"opened"_s, u"notSent #1"_s, u"notSent #2"_s, u"closed"_s }));
    QCOMPARE(connection->bytesToWrite(), 0);
}

void tst_PipeDialer::reasonsAreNamedFromTheClientsSide_data()
{
    QTest::addColumn<QString>("ending");
    QTest::addColumn<NamedPipe::CloseReason>("reason");
    QTest::newRow("own close") << u"close"_s << NamedPipe::ClosedByClient;
    QTest::newRow("the server's") << u"peer"_s << NamedPipe::ClosedByServer;
    QTest::newRow("stop") << u"stop"_s << NamedPipe::ClosedByClient;
    QTest::newRow("failure") << u"failure"_s << NamedPipe::Failed;
}

void tst_PipeDialer::reasonsAreNamedFromTheClientsSide()
{
    QFETCH(QString, ending);
    QFETCH(NamedPipe::CloseReason, reason);
    Client client;
    const auto connection = client.open();
    if (ending == u"close")
        connection->close(NamedPipe::CancelPending);
    else if (ending == u"peer")
        QVERIFY(client.endpoint->endReading(ReadEnd::PeerClosed));
    else if (ending == u"failure")
        QVERIFY(client.endpoint->endReading(ReadEnd::Failed,
                                            failure(NamedPipe::SystemError).error));
    if (ending == u"stop")
        client.manager.stop();
    else
        client.manager.deliver();
    QCOMPARE(connection->closeReason(), reason);
    QCOMPARE(client.lines(connection).last(), u"closed"_s);
}

void tst_PipeDialer::nothingIsDialedOnceTheManagerStops()
{
    Client client;
    const auto connection = client.open();
    std::shared_ptr<PipeConnection> late;
    client.manager.log->hook = [&](const FakeEvent &event) {
        if (event.kind == FakeEvent::Closed && !late) {
            late = client.manager.dial();
            QVERIFY(!late->isOpening());
        }
    };
    client.manager.stop();
    QVERIFY(late);
    QCOMPARE(client.tries, 1);
    QVERIFY(client.lines(late).isEmpty());
    QCOMPARE(late->closeReason(), NamedPipe::ClosedByClient);
}

void tst_PipeDialer::freeThreadedFailureIsToldOnTheWorker()
{
    Client client(true);
    client.answer = missing;
    const auto connection = client.manager.dial();
    client.manager.engine->runTasks();
    QCOMPARE(client.lines(connection), QStringList({ u"error NotFound"_s, u"closed"_s }));
    QVERIFY(client.manager.hub->connections().empty());
}

void tst_PipeDialer::failuresOfTheDialComeBeforeOpened()
{
    Client client;
    client.answer = missing;
    DialSettings settings = persistent(10ms, 100ms);
    const auto connection = client.manager.dial(settings);
    client.manager.engine->runTasks(); // the event loop is late
    QVERIFY(!connection->write("early"_ba, 1, false));
    client.answer = nullptr;
    client.manager.engine->advance(100ms);
    QVERIFY(connection->write("in time"_ba, 2, false));
    client.manager.deliver();
    QCOMPARE(client.lines(connection),
             QStringList(
                     { u"error NotFound"_s, u"error NotConnected"_s, u"opened"_s, u"sent #2"_s }));
}

void tst_PipeDialer::closeBeforeOpenedWasToldLeavesNoTrace()
{
    Client client;
    const auto unused = client.manager.dial();
    const auto used = client.manager.dial();
    client.manager.engine->runTasks();
    QVERIFY(unused->isConnected());
    QVERIFY(used->write("message"_ba, 1, false));
    unused->close(NamedPipe::CancelPending);
    used->close(NamedPipe::CancelPending);
    client.manager.deliver();
    QCOMPARE(client.lines(unused), QStringList(u"closed"_s));
    QCOMPARE(client.lines(used), QStringList({ u"opened"_s, u"sent #1"_s, u"closed"_s }));
}

namespace {

/// A cookie that calls back into the connection when the last copy of it goes.
struct CallingCookie
{
    std::shared_ptr<void> guard;
};

/// A cookie that calls back into the connection whenever it is copied, moved or destroyed.
struct TouchyCookie
{
    TouchyCookie() = default;
    TouchyCookie(const TouchyCookie &other) : connection(other.connection) { touch(); }
    TouchyCookie &operator=(const TouchyCookie &) = default;
    ~TouchyCookie() { touch(); }
    void touch() const
    {
        if (connection)
            touches += connection->bytesToWrite() >= 0; // takes the lock
    }
    PipeConnection *connection = nullptr;
    static inline int touches = 0;
};

} // namespace
Q_DECLARE_TYPEINFO(TouchyCookie, Q_RELOCATABLE_TYPE); // a QVariant holds it, and no pointer to it
Q_DECLARE_METATYPE(TouchyCookie)
Q_DECLARE_METATYPE(CallingCookie)

static QVariant cookieThatCalls(const std::function<void()> &call)
{
    return QVariant::fromValue(
            CallingCookie { std::shared_ptr<void>(nullptr, [call](void *) { call(); }) });
}

void tst_PipeDialer::unsentMessagesAreNotToldWithoutOpened()
{
    Client client;
    const auto connection = client.manager.dial();
    client.manager.engine->runTasks(); // it is made, and the event loop has not told of it yet
    client.endpoint->acceptsAtOnce = false;
    QVERIFY(connection->write("lost"_ba, 1, false));
    QVERIFY(client.endpoint->finishWrite(WriteProgress::PeerGone));
    connection->close(NamedPipe::CancelPending);
    client.manager.deliver();
    QCOMPARE(client.lines(connection),
             QStringList(
                     { u"opened"_s, u"notSent #1"_s, u"error ConnectionBroken"_s, u"closed"_s }));
}

void tst_PipeDialer::cookieMayBeTheLastToHoldTheConnection_data()
{
    QTest::addColumn<bool>("isSent");
    QTest::newRow("sent") << true;
    QTest::newRow("not sent") << false;
}

void tst_PipeDialer::cookieMayBeTheLastToHoldTheConnection()
{
    QFETCH(bool, isSent);
    Client client;
    const auto connection = client.open();
    int calls = 0;
    client.endpoint->acceptsAtOnce = isSent;
    QVERIFY(connection->write("message"_ba, cookieThatCalls([&] {
                                  ++calls;
                                  QCOMPARE(connection->bytesToWrite(), 0); // takes the lock
                                  connection->close(NamedPipe::SendPending);
                              }),
                              false));
    if (!isSent)
        connection->close(NamedPipe::CancelPending);
    client.manager.log->clear();
    client.manager.deliver();
    client.manager.log->clear(); // the log keeps cookies, too
    QCOMPARE(calls, 1);
}

void tst_PipeDialer::cookiesAreLetGoWithTheManager()
{
    int calls = 0;
    std::shared_ptr<PipeConnection> connection;
    const auto cookie = [&calls] { return cookieThatCalls([&calls] { ++calls; }); };
    {
        Client client;
        connection = client.open();
        connection->read(cookie());
        QVERIFY(connection->write("sent and not told"_ba, cookie(), false));
        client.endpoint->acceptsAtOnce = false;
        QVERIFY(connection->write("in the endpoint's hands"_ba, cookie(), false));
        QVERIFY(connection->write("queued"_ba, cookie(), false));
    }
    QCOMPARE(calls, 4);
    QVERIFY(!connection->isConnected());
}

// No lock is held while a cookie is copied or goes.
void tst_PipeDialer::cookieMayCallWhenItIsCopied()
{
    Client client;
    const auto connection = client.open();
    TouchyCookie touchy;
    touchy.connection = connection.get();
    const QVariant cookie = QVariant::fromValue(touchy);
    TouchyCookie::touches = 0;
    connection->read(cookie);
    QVERIFY(client.endpoint->receive({ "asked for"_ba }));
    QVERIFY(connection->write("sent"_ba, cookie, false));
    client.endpoint->acceptsAtOnce = false;
    QVERIFY(connection->write("in the endpoint's hands"_ba, cookie, false));
    QVERIFY(connection->write("queued"_ba, cookie, false));
    connection->read(cookie);
    client.manager.deliver();
    connection->close(NamedPipe::CancelPending);
    QVERIFY(!connection->write("refused"_ba, cookie, false));
    client.manager.deliver();
    client.manager.log->clear();
    QVERIFY(TouchyCookie::touches > 5);
    QCOMPARE(client.endpoint->isClosed(), true);
}

void tst_PipeDialer::delaysGoOnWhereTheDialerHasLeftThem()
{
    Client client;
    client.answer = missing;
    const DialSettings settings = persistent(100ms, 10s);
    client.manager.dial(settings);
    client.manager.deliver();
    client.manager.engine->advance(2s);
    // For the connection that follows on one that was not good: no shortest delay.
    QVERIFY(settings.delays->next() >= 800ms);
}

QTEST_GUILESS_MAIN(tst_PipeDialer)
#include "tst_pipe_dialer.moc"
