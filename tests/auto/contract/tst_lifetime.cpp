// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "platformflags.h"
#include "processfacts.h"
#include "rawpeer.h"
#include "scratchname.h"
#include "stress.h"
#include "waiting.h"

#include <QtNamedPipes/NamedPipeClientManager>
#include <QtNamedPipes/NamedPipeServer>

#include <QtCore/qcoreapplication.h>
#include <QtCore/qmetaobject.h>
#include <QtCore/qpointer.h>
#include <QtCore/qthread.h>
#include <QtTest/QtTest>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

using namespace Qt::StringLiterals;

enum Face { Server, Manager, Connection }; // who has the signal

static const QMetaObject &typeOf(Face face)
{
    switch (face) {
    case Server:
        return NamedPipeServer::staticMetaObject;
    case Manager:
        return NamedPipeClientManager::staticMetaObject;
    case Connection:
        break;
    }
    return NamedPipeClientConnection::staticMetaObject;
}

static QList<QMetaMethod> signalsOf(const QMetaObject &type)
{
    QList<QMetaMethod> result;
    for (int index = type.methodOffset(); index < type.methodCount(); ++index) {
        if (type.method(index).methodType() == QMetaMethod::Signal)
            result.append(type.method(index));
    }
    return result;
}

/// The slot of any signal. It acts once; over is true when it has acted.
class Trap : public QObject
{
    Q_OBJECT

public:
    void setOn(const QObject *sender, const QMetaMethod &signal)
    {
        connect(sender, signal, this, staticMetaObject.method(staticMetaObject.methodOffset()),
                Qt::DirectConnection);
    }

    std::function<void()> action;
    std::atomic<bool> over { false };

public Q_SLOTS:
    void spring()
    {
        if (m_sprung.exchange(true))
            return;
        if (action)
            action();
        over = true;
    }

private:
    std::atomic<bool> m_sprung { false };
};

/// A server and a client in one process, and all that can happen to them: run() makes every signal
/// of both come.
class Life
{
public:
    explicit Life(bool freeThreaded)
    {
        makeServer();
        manager = new NamedPipeClientManager;
        server->setFreeThreadingEvents(freeThreaded);
        server->setNumThreadsIOCP(2);
        manager->setFreeThreadingEvents(freeThreaded);
    }
    ~Life()
    {
        delete server;
        delete manager;
    }
    Life(const Life &) = delete;
    Life &operator=(const Life &) = delete;

    void setTrap(Trap *trap, Face face, const QMetaMethod &signal);
    void run(const std::function<bool()> &isOver);
    void dial();
    bool serves();
    bool nothingIsLeft() const;

    /// May be called on any thread.
    NamedPipeClientConnectionPtr takeClient(bool keep)
    {
        const std::lock_guard lock(m_mutex);
        return keep ? m_client : std::exchange(m_client, {});
    }

    QPointer<NamedPipeServer> server;
    QPointer<NamedPipeClientManager> manager;
    std::atomic<int> greetings { 0 }; ///< that came to the client

private:
    void makeServer();
    void change(QObject *object, const std::function<bool()> &isOver);

    const QString m_name = scratchName();
    std::vector<std::pair<Trap *, QMetaMethod>> m_clientTraps;
    std::atomic<int> m_errors { 0 };
    std::atomic<int> m_serverEnds { 0 };
    std::atomic<int> m_clientEnds { 0 };
    mutable std::mutex m_mutex;
    NamedPipeClientConnectionPtr m_client;
    std::vector<QWeakPointer<QObject>> m_connections; // all that there ever were
};

void Life::makeServer()
{
    server = new NamedPipeServer(m_name);
    server->setMaximumMessageSize(1000);
    NamedPipeServer *const it = server;
    QObject::connect(it, &NamedPipeServer::clientConnected,
                     [this](const NamedPipeServerConnectionPtr &connection) {
                         {
                             const std::lock_guard lock(m_mutex);
                             m_connections.push_back(connection.toWeakRef());
                         }
                         connection->asyncWrite("welcome"_ba);
                     });
    QObject::connect(it, &NamedPipeServer::clientDisconnected, [this] { ++m_serverEnds; });
    QObject::connect(it, &NamedPipeServer::errorOccurred, [this] { ++m_errors; });
}

void Life::setTrap(Trap *trap, Face face, const QMetaMethod &signal)
{
    if (face == Server)
        trap->setOn(server, signal);
    else if (face == Manager)
        trap->setOn(manager, signal);
    else
        m_clientTraps.emplace_back(trap, signal);
}

// The client answers the server's welcome, and then sends more than that one takes.
void Life::dial()
{
    manager->connectToServer(m_name, [this](const NamedPipeClientConnectionPtr &made) {
        NamedPipeClientConnection *const client = made.get();
        QObject::connect(client, &NamedPipeClientConnection::messageReceived, [this, client] {
            ++greetings;
            client->asyncWrite("thanks"_ba);
            client->asyncWrite(QByteArray(moreThanTheSystemBuffers, 'x'));
        });
        QObject::connect(client, &NamedPipeClientConnection::disconnected,
                         [this] { ++m_clientEnds; });
        for (const auto &[trap, signal] : m_clientTraps)
            trap->setOn(client, signal);
        const std::lock_guard lock(m_mutex);
        m_connections.push_back(made.toWeakRef());
        m_client = made;
    });
}

// Every property that can be changed, and back again.
void Life::change(QObject *object, const std::function<bool()> &isOver)
{
    const QPointer<QObject> alive(object);
    const QMetaObject &type = *object->metaObject();
    for (int index = type.propertyOffset(); index < type.propertyCount(); ++index) {
        const QMetaProperty property = type.property(index);
        if (!property.isWritable() || isOver() || !alive)
            continue;
        const QVariant before = property.read(object);
        QVariant other;
        if (property.isEnumType())
            other = QString::fromLatin1(
                    property.enumerator().key(property.enumerator().keyCount() - 1));
        else if (before.typeId() == QMetaType::Bool)
            other = !before.toBool();
        else if (before.typeId() == QMetaType::QString)
            other = QString(before.toString() + u'x');
        else
            other = before.toLongLong() + 3;
        property.write(object, other);
        if (alive)
            property.write(object, before);
    }
}

// A slot may have ended anything: whoever is used again is looked at first.
void Life::run(const std::function<bool()> &isOver)
{
    const auto waitFor = [&isOver](const std::atomic<int> &count) {
        return waitUntil([&] { return isOver() || count > 0; });
    };
    const std::function<bool()> steps[] = {
        [&] { return server->setMaxConnections(-1), true; },
        [&] { return !server->start(); },
        [&] { return waitFor(m_errors); },
        [&] { return server->setMaxConnections(0), true; },
        [&] { return server->start() || isOver(); },
        [&] { return change(server, isOver), true; },
        [&] { return change(manager, isOver), true; },
        [&] { return dial(), true; },
        [&] { return waitFor(m_serverEnds); },
        [&] { return waitFor(m_clientEnds); },
        [&] { return server->setPipeName(m_name + u'x'), true; }, // fullPipeName follows in stop()
        [&] { return server->stop(), true; },
    };
    for (const auto &step : steps) {
        if (isOver() || !server || !manager)
            break;
        QVERIFY(step());
    }
}

// A server of this name, a new one if need be, takes clients: a raw one and the manager's.
bool Life::serves()
{
    if (!server)
        makeServer();
    server->setMaxConnections(0); // run() leaves both as they are wherever it ends
    server->setPipeName(m_name);
    if (!server->isRunning() && !server->start())
        return false;
    RawPeer peer;
    const int before = greetings;
    if (manager)
        dial();
    // The server's thread is this one: the welcome is written while the event loop runs.
    auto greeted = runClient([&] { return peer.connectTo(m_name) && peer.receiveMessage(); });
    return waitForTask(greeted) && greeted.get()
            && (!manager || waitUntil([&] { return greetings > before; }));
}

bool Life::nothingIsLeft() const
{
    const std::lock_guard lock(m_mutex);
    return std::all_of(m_connections.cbegin(), m_connections.cend(),
                       [](const QWeakPointer<QObject> &object) { return object.isNull(); });
}

/// Who goes when, and that nothing stays behind.
class tst_Lifetime : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void cleanup();
    void everySignalComesInALife_data();
    void everySignalComesInALife();
    void whateverASlotEnds_data();
    void whateverASlotEnds();
    void oneServerStartsAndStopsAThousandTimes();
    void eventsStillQueuedGoWithTheirOwner_data();
    void eventsStillQueuedGoWithTheirOwner();

private:
    enum Action {
        DeleteServer,
        DeleteServerLater,
        StopServer,
        DeleteManager,
        DeleteManagerLater,
        StopManager,
        DropClient,
        CloseClient,
        CloseServerEnd,
    };
    static void act(Action action, NamedPipeServer *server, NamedPipeClientManager *manager,
                    Life &life);
    bool isClean(QString *text) const;

    int m_handles = 0;
    int m_threads = 0;
};

// What is opened once for the process is open then; a leak of any test shows in the next one at the
// latest.
void tst_Lifetime::initTestCase()
{
    qRegisterMetaType<NamedPipeServerConnectionPtr>();
    for (int warmUp = 0; warmUp < 3; ++warmUp) {
        Life life(warmUp % 2);
        life.run([] { return false; });
        QVERIFY(life.serves());
    }
    // More than once, for the system's list of threads lags a little.
    int looks = 0;
    QVERIFY(waitUntil([&] {
        m_handles = ProcessFacts::openHandles();
        m_threads = ProcessFacts::threads();
        return ++looks == 20;
    }));
}

bool tst_Lifetime::isClean(QString *text) const
{
    // Windows itself keeps a few for its thread pools.
    const int tolerance = PlatformFlags::runningOnWindows() ? 8 : 0;
    const int handles = ProcessFacts::openHandles();
    const int threads = ProcessFacts::threads();
    *text = u"%1 handles and %2 threads at first, %3 and %4 now"_s.arg(m_handles)
                    .arg(m_threads)
                    .arg(handles)
                    .arg(threads);
    return handles <= m_handles + tolerance && threads <= m_threads + tolerance / 2;
}

void tst_Lifetime::cleanup()
{
    QString text;
    QVERIFY2(waitUntil([&] { return isClean(&text); }), qPrintable(text));
}

void tst_Lifetime::everySignalComesInALife_data()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::newRow("marshalled") << false;
    QTest::newRow("free-threaded") << true;
}

// So that whateverASlotEnds() waits for none in vain, and a new one has to be made to come.
void tst_Lifetime::everySignalComesInALife()
{
    QFETCH(bool, freeThreaded);
    QVERIFY(signalsOf(NamedPipeServerConnection::staticMetaObject).isEmpty());
    std::vector<std::unique_ptr<Trap>> traps;
    Life life(freeThreaded);
    QStringList missing;
    for (const Face face : { Server, Manager, Connection }) {
        for (const QMetaMethod &signal : signalsOf(typeOf(face))) {
            traps.push_back(std::make_unique<Trap>());
            traps.back()->setObjectName(QString::fromLatin1(signal.methodSignature()));
            life.setTrap(traps.back().get(), face, signal);
        }
    }
    life.run([] { return false; });
    delete life.server;
    delete life.manager;
    for (const auto &trap : traps) {
        if (!trap->over)
            missing.append(trap->objectName());
    }
    QCOMPARE(missing, QStringList());
    life.takeClient(false);
    QVERIFY(life.nothingIsLeft());
}

void tst_Lifetime::whateverASlotEnds_data()
{
    QTest::addColumn<int>("face");
    QTest::addColumn<QMetaMethod>("signal");
    QTest::addColumn<int>("action");
    QTest::addColumn<bool>("freeThreaded");
    const std::pair<Action, const char *> actions[] = {
        { DeleteServer, "delete the server" },
        { DeleteServerLater, "deleteLater() of the server" },
        { StopServer, "stop() of the server" },
        { DeleteManager, "delete the manager" },
        { DeleteManagerLater, "deleteLater() of the manager" },
        { StopManager, "stop() of the manager" },
        { DropClient, "drop the client's pointer" },
        { CloseClient, "close the client's end" },
        { CloseServerEnd, "close the server's end" },
    };
    // Slow surroundings take some: five has no divisor in common with the rows of a signal.
    const int step = stressPercent() < 20 ? 5 : 1;
    int count = 0;
    const auto row = [&](Face face, const QMetaMethod &signal, Action action, const char *name,
                         bool freeThreaded) {
        if (count++ % step == 0) {
            QTest::addRow("%s::%s, %s, %s", typeOf(face).className(), signal.name().constData(),
                          name, freeThreaded ? "free-threaded" : "marshalled")
                    << int(face) << signal << int(action) << freeThreaded;
        }
    };
    for (const Face face : { Server, Manager, Connection }) {
        for (const QMetaMethod &signal : signalsOf(typeOf(face))) {
            // Signals of properties, and stopped(), come on the object's own thread always.
            const bool onWorker = !signal.name().endsWith("Changed") && signal.name() != "stopped";
            for (const auto &[action, name] : actions) {
                row(face, signal, action, name, false);
                // Who lives on another thread than the slot cannot be deleted there.
                if (onWorker && action != DeleteServer && action != DeleteManager)
                    row(face, signal, action, name, true);
            }
        }
    }
}

// What deleteLater() does. That itself writes, in Qt, beside flags that a worker reads when it emits
// a signal: harmless, but ThreadSanitizer says so.
static void later(QObject *object)
{
    if (QThread::currentThread() == object->thread())
        object->deleteLater();
    else
        QMetaObject::invokeMethod(
                qApp, [object] { delete object; }, Qt::QueuedConnection);
}

void tst_Lifetime::act(Action action, NamedPipeServer *server, NamedPipeClientManager *manager,
                       Life &life)
{
    switch (action) {
    case DeleteServer:
        delete server;
        break;
    case DeleteServerLater:
        later(server);
        break;
    case StopServer:
        server->stop();
        break;
    case DeleteManager:
        delete manager;
        break;
    case DeleteManagerLater:
        later(manager);
        break;
    case StopManager:
        manager->stop();
        break;
    case DropClient:
        life.takeClient(false);
        break;
    case CloseClient:
        if (const NamedPipeClientConnectionPtr client = life.takeClient(true))
            client->asyncClose();
        break;
    case CloseServerEnd:
        for (const NamedPipeServerConnectionPtr &connection : server->connections())
            connection->asyncClose();
        break;
    }
}

void tst_Lifetime::whateverASlotEnds()
{
    QFETCH(int, face);
    QFETCH(QMetaMethod, signal);
    QFETCH(int, action);
    QFETCH(bool, freeThreaded);
    Trap trap;
    Life life(freeThreaded);
    NamedPipeServer *const server = life.server; // a QPointer is not for other threads
    NamedPipeClientManager *const manager = life.manager;
    trap.action = [&] { act(Action(action), server, manager, life); };
    life.setTrap(&trap, Face(face), signal);
    life.run([&trap] { return trap.over.load(); });
    QVERIFY(waitUntil([&] { return trap.over.load(); })); // on a worker it may be about to be
    QCoreApplication::sendPostedEvents(); // stop() on a worker is for this thread to do

    switch (action) {
    case DeleteServer:
    case DeleteServerLater:
        QVERIFY(waitUntil([&] { return !life.server; }));
        break;
    case StopServer:
        QVERIFY(waitUntil([&] { return !life.server->isRunning(); }));
        break;
    case DeleteManager:
    case DeleteManagerLater:
        QVERIFY(waitUntil([&] { return !life.manager; }));
        break;
    case StopManager:
    case DropClient:
        QVERIFY(waitUntil([&] { return life.manager->connectionCount() == 0; }));
        break;
    default: // close the connection, if there is one already
        QVERIFY(waitUntil([&] { return life.server->connectionCount() == 0; }));
    }
    if (const NamedPipeClientConnectionPtr client = life.takeClient(true))
        QVERIFY(waitUntil([&] { return !client->isConnected() && !client->isOpening(); }));
    QVERIFY2(life.serves(), qPrintable(life.server->errorString())); // others, and again

    delete life.server;
    delete life.manager;
    if (const NamedPipeClientConnectionPtr client = life.takeClient(false)) {
        QVERIFY(!client->isConnected()); // it may outlive them all
        QVERIFY(!client->asyncWrite("late"_ba));
    }
    QVERIFY(waitUntil([&] { return life.nothingIsLeft(); }));
}

void tst_Lifetime::oneServerStartsAndStopsAThousandTimes()
{
    const int rounds = scaled(1000, 50);
    NamedPipeServer server(scratchName());
    std::atomic<int> connected { 0 };
    std::atomic<int> disconnected { 0 };
    connect(&server, &NamedPipeServer::clientConnected, [&](const auto &connection) {
        ++connected;
        connection->asyncWrite("welcome"_ba);
    });
    connect(&server, &NamedPipeServer::clientDisconnected, [&] { ++disconnected; });
    const auto round = [&](int number) {
        server.setFreeThreadingEvents(number % 2);
        RawPeer peer;
        if (!server.start() || !peer.connectTo(server.pipeName())
            || !waitUntil([&] { return connected == number; })
            || peer.receiveMessage() != "welcome"_ba)
            return false;
        if (number % 3 == 0)
            peer.close(); // sometimes the client is first
        server.stop();
        return disconnected == number;
    };
    for (int number = 1; number <= rounds; ++number) {
        QVERIFY2(round(number), qPrintable(u"%1: %2"_s.arg(number).arg(server.errorString())));
        if (number % 100 == 0 || number == rounds) {
            QString text;
            QVERIFY2(waitUntil([&] { return isClean(&text); }), qPrintable(text));
        }
    }
}

void tst_Lifetime::eventsStillQueuedGoWithTheirOwner_data()
{
    QTest::addColumn<QString>("what");
    for (const char *what : { "server", "server's parent", "manager", "manager's parent",
                              "client's last pointer", "server and manager" })
        QTest::newRow(what) << QString::fromLatin1(what);
}

void tst_Lifetime::eventsStillQueuedGoWithTheirOwner()
{
    QFETCH(QString, what);
    static constexpr int messages = 500;
    auto serverParent = std::make_unique<QObject>();
    auto managerParent = std::make_unique<QObject>();
    auto *const server = new NamedPipeServer(scratchName(), serverParent.get());
    auto *const manager = new NamedPipeClientManager(managerParent.get());
    NamedPipeServerConnectionPtr served;
    int atServer = 0;
    int atClient = 0;
    bool serverTold = false;
    bool clientTold = false;
    connect(server, &NamedPipeServer::clientConnected, [&](const auto &made) { served = made; });
    connect(server, &NamedPipeServer::clientMessageReceived, [&] { ++atServer; });
    connect(server, &NamedPipeServer::clientDisconnected, [&] { serverTold = true; });
    QVERIFY2(server->start(), qPrintable(server->errorString()));
    NamedPipeClientConnectionPtr client = manager->connectToServer(server->pipeName());
    connect(client.get(), &NamedPipeClientConnection::messageReceived, [&] { ++atClient; });
    connect(client.get(), &NamedPipeClientConnection::disconnected, [&] { clientTold = true; });
    QVERIFY(waitUntil([&] { return served && client->isConnected(); }));
    const QWeakPointer<QObject> seenServed = served;
    const QWeakPointer<QObject> seenClient = client;

    // From here on the event loop stands still: the workers queue what they have.
    for (int number = 0; number < messages; ++number) {
        QVERIFY(client->asyncWrite(numbered(number)));
        QVERIFY(served->asyncWrite(numbered(number)));
    }
    QVERIFY(waitWithoutEvents([&] {
        return served->statistics().messagesReceived == messages
                && client->statistics().messagesReceived == messages;
    }));
    QCOMPARE(atServer + atClient, 0);
    if (what.startsWith(u"server"_s)) {
        if (what.endsWith(u"parent"_s))
            serverParent.reset();
        else
            delete server;
        QVERIFY(!served->isConnected()); // still an object
        QVERIFY(!served->asyncWrite("late"_ba));
    }
    if (what.contains(u"manager"_s)) {
        if (what.endsWith(u"parent"_s))
            managerParent.reset();
        else
            delete manager;
        QVERIFY(!client->isConnected());
        QVERIFY(!client->asyncWrite("late"_ba));
    }
    if (what.startsWith(u"client"_s))
        client.reset();

    // The other side, if there is one, gets everything, and then is told.
    const bool serverLives = !what.startsWith(u"server"_s);
    const bool clientLives = what == u"server"_s || what == u"server's parent"_s;
    QVERIFY(waitUntil([&] { return serverTold == serverLives && clientTold == clientLives; }));
    watchFor(std::chrono::milliseconds(20));
    QCOMPARE(atServer, serverLives ? messages : 0);
    QCOMPARE(atClient, clientLives ? messages : 0);
    QCOMPARE(serverTold, serverLives);
    QCOMPARE(clientTold, clientLives);
    served.reset();
    client.reset();
    serverParent.reset();
    managerParent.reset();
    QVERIFY(waitUntil([&] { return seenServed.isNull() && seenClient.isNull(); }));
}

QTEST_GUILESS_MAIN(tst_Lifetime)
#include "tst_lifetime.moc"
