// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "iocpfixture.h"

#include "rawpeer.h"

#include <QtCore/qcoreapplication.h>
#include <QtCore/qelapsedtimer.h>
#include <QtTest/QtTest>

#include <algorithm>
#include <optional>

using namespace QtNamedPipes;

namespace {

/// A hub in small: counts places, keeps the clients that came.
class Hub final : public ListenerSink
{
public:
    explicit Hub(int maximum = 0) : maximumPlaces(maximum) { }

    bool reservePlace() override
    {
        const std::lock_guard<std::mutex> lock(m_mutex);
        ++m_questions;
        if (maximumPlaces > 0 && m_places >= maximumPlaces)
            return false;
        ++m_places;
        return true;
    }
    void releasePlace() override
    {
        const std::lock_guard<std::mutex> lock(m_mutex);
        --m_places;
    }
    void accepted(std::shared_ptr<PipeEndpoint> endpoint) override
    {
        if (onAccepted)
            onAccepted();
        auto sink = std::make_shared<RecordingSink>();
        endpoint->attach(sink);
        endpoint->watch(); // as a connection does
        const std::lock_guard<std::mutex> lock(m_mutex);
        m_onWorkers = m_onWorkers && engine->isWorkerThread();
        m_clients.push_back({ std::move(endpoint), std::move(sink) });
    }
    void refused(const PeerIdentity &) override { }
    void listenerFailed(const TransportError &error) override
    {
        const std::lock_guard<std::mutex> lock(m_mutex);
        m_errors.append(error);
    }

    struct Client
    {
        std::shared_ptr<PipeEndpoint> endpoint;
        std::shared_ptr<RecordingSink> sink;
    };

    Client client(int index) const
    {
        const std::lock_guard<std::mutex> lock(m_mutex);
        return m_clients.at(size_t(index));
    }
    int count() const
    {
        const std::lock_guard<std::mutex> lock(m_mutex);
        return int(m_clients.size());
    }
    bool hasClients(int number) const
    {
        return waitWithoutEvents([&] { return count() >= number; });
    }
    /// What the client at \a index has sent first; its connection must not have been read before.
    std::optional<QByteArray> firstMessage(int index) const
    {
        const Client from = client(index);
        from.endpoint->startRead(1);
        if (!waitWithoutEvents([&] { return from.sink->reports() > 0; }))
            return std::nullopt;
        return from.sink->messages().value(0);
    }
    void dropClient(int index)
    {
        const Client gone = client(index);
        gone.endpoint->cancel();
        gone.endpoint->close();
        releasePlace();
        engine->placeFreed();
    }
    int places() const
    {
        const std::lock_guard<std::mutex> lock(m_mutex);
        return m_places;
    }
    int questions() const
    {
        const std::lock_guard<std::mutex> lock(m_mutex);
        return m_questions;
    }
    QList<TransportError> errors() const
    {
        const std::lock_guard<std::mutex> lock(m_mutex);
        return m_errors;
    }
    bool wasOnWorkers() const
    {
        const std::lock_guard<std::mutex> lock(m_mutex);
        return m_onWorkers;
    }

    const int maximumPlaces;
    std::function<void()> onAccepted;
    PipeEngine *engine = nullptr;

private:
    mutable std::mutex m_mutex;
    std::vector<Client> m_clients;
    QList<TransportError> m_errors;
    int m_places = 0;
    int m_questions = 0;
    bool m_onWorkers = true;
};

} // namespace

/// How clients are let in, whatever Windows answers on the way.
class tst_IocpListener : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void refusedFirstInstanceHasItsReason_data();
    void refusedFirstInstanceHasItsReason();
    void nameOfALiveServerIsInUse_data();
    void nameOfALiveServerIsInUse();
    void nameIsFreeWhileAClientStillHoldsItsEnd();
    void badSecurityDescriptorIsRefused();
    void securityDescriptorThatCannotBeMadeIsTold_data();
    void securityDescriptorThatCannotBeMadeIsTold();
    void instancesAreCreatedAsTheyMustBe();
    void clientThatIsThereAlreadyIsLetIn();
    void clientThatHasGoneAlreadyIsLetIn_data();
    void clientThatHasGoneAlreadyIsLetIn();
    void oldestClientIsFirst();
    void connectPacketsMayComeInAnyOrder();
    void nextInstanceIsThereBeforeTheClientIsHandedOver();
    void troubleIsToldOnceAndOvercome_data();
    void troubleIsToldOnceAndOvercome();
    void instanceThatCannotConnectIsReplaced_data();
    void instanceThatCannotConnectIsReplaced();
    void nameIsKeptWhileNoClientCanConnect_data();
    void nameIsKeptWhileNoClientCanConnect();
    void nameThatWasLostIsClaimedAnew();
    void failingListenDoesNotSpin();
    void troubleBeforeAcceptingIsNotTold_data();
    void troubleBeforeAcceptingIsNotTold();
    void moreThanOneInstanceNeedsPlaces();
    void nameIsKeptWhenAllPlacesAreTaken();
    void waitingForAPlaceDoesNotSpin();
    void nobodyIsLetInAfterStopAccepting();
    void stopAcceptingMayComeWhileAClientIsHandedOver();
    void placesAreGivenBack();
    void shutdownIsPromptWhenCancellingDoesNotWork();
    void shutdownOnAWorker();

private:
    // An engine that listens under a name of its own.
    struct Server
    {
        explicit Server(std::shared_ptr<Hub> sink, int backlog = 4, int threads = 1)
            : hub(std::move(sink)),
              running(threads)
        {
            hub->engine = running.engine.get();
            settings.name = scratchName();
            settings.backlog = backlog;
        }
        explicit Server(int backlog = 4, int threads = 1)
            : Server(std::make_shared<Hub>(), backlog, threads)
        {
        }
        ~Server()
        {
            for (int i = 0; i < hub->count(); ++i) {
                hub->client(i).endpoint->cancel();
                hub->client(i).endpoint->close();
            }
        }
        TransportError listen() { return running->listen(settings, hub); }
        bool start()
        {
            const bool ok = !listen();
            running->startAccepting();
            return ok;
        }
        QString path() const { return platformPipePath(settings.name); }
        // Whether the name exists, whoever keeps it, and without connecting to it.
        bool nameExists() const
        {
            return ::WaitNamedPipeW(path().toStdWString().c_str(), 1)
                    || GetLastError() != ERROR_FILE_NOT_FOUND;
        }

        const std::shared_ptr<Hub> hub;
        const RunningEngine running;
        ListenSettings settings;
    };
};

// --- The name ---

void tst_IocpListener::refusedFirstInstanceHasItsReason_data()
{
    QTest::addColumn<quint32>("code");
    QTest::addColumn<NamedPipe::Error>("error");
    QTest::newRow("another server has it") << quint32(ERROR_ACCESS_DENIED) << NamedPipe::NameInUse;
    QTest::newRow("another server is full") << quint32(ERROR_PIPE_BUSY) << NamedPipe::NameInUse;
    QTest::newRow("bad name") << quint32(ERROR_INVALID_NAME) << NamedPipe::NameInvalid;
    QTest::newRow("no memory") << quint32(ERROR_NO_SYSTEM_RESOURCES)
                               << NamedPipe::ResourceExhausted;
    QTest::newRow("anything else") << quint32(ERROR_GEN_FAILURE) << NamedPipe::SystemError;
}

void tst_IocpListener::refusedFirstInstanceHasItsReason()
{
    QFETCH(quint32, code);
    QFETCH(NamedPipe::Error, error);
    ScriptedApi api;
    Server server;
    api.creations << [&](DWORD, DWORD, SECURITY_ATTRIBUTES *) {
        SetLastError(code);
        return INVALID_HANDLE_VALUE;
    };
    const TransportError result = server.listen();
    QCOMPARE(result.error, error);
    QCOMPARE(result.nativeCode, qint64(code));
    QVERIFY(result.text().contains(QLatin1String("CreateNamedPipe")));
    QCOMPARE(api.creations.calls(), 1);
    QCOMPARE(server.hub->places(), 0);
    QVERIFY(!server.nameExists());
}

void tst_IocpListener::nameOfALiveServerIsInUse_data()
{
    QTest::addColumn<bool>("isBusy");
    QTest::newRow("that waits for clients") << false;
    QTest::newRow("that is busy with its only one") << true;
}

void tst_IocpListener::nameOfALiveServerIsInUse()
{
    QFETCH(bool, isBusy);
    Server second;
    const std::wstring path = second.path().toStdWString();
    const WinHandle first(::CreateNamedPipeW(path.c_str(), PIPE_ACCESS_DUPLEX,
                                             PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE,
                                             PIPE_UNLIMITED_INSTANCES, 0, 0, 0, nullptr));
    QVERIFY(first);
    RawPeer client;
    if (isBusy)
        QVERIFY(client.connectTo(second.settings.name));
    QCOMPARE(second.listen().error, NamedPipe::NameInUse);
    QCOMPARE(second.hub->places(), 0);
    if (!isBusy)
        QVERIFY2(client.connectTo(second.settings.name), "the live server was not disturbed");
}

void tst_IocpListener::nameIsFreeWhileAClientStillHoldsItsEnd()
{
    RawPeer client;
    QString name;
    {
        Server first;
        name = first.settings.name;
        QVERIFY(first.start());
        QVERIFY(client.connectTo(name));
        QVERIFY(first.hub->hasClients(1));
    }
    Server second;
    second.settings.name = name;
    QVERIFY(second.start());
    QVERIFY(client.isOpen());
    RawPeer next;
    QVERIFY(next.connectTo(name));
    QVERIFY(second.hub->hasClients(1));
}

void tst_IocpListener::badSecurityDescriptorIsRefused()
{
    Server server;
    server.settings.securityDescriptor = QStringLiteral("D:(A;;nonsense");
    const TransportError error = server.listen();
    QCOMPARE(error.error, NamedPipe::InvalidConfiguration);
    QVERIFY(error.text().contains(QLatin1String("nonsense")));
    QVERIFY(!server.nameExists());
}

void tst_IocpListener::securityDescriptorThatCannotBeMadeIsTold_data()
{
    QTest::addColumn<QString>("call");
    QTest::addColumn<NamedPipe::Error>("error");
    QTest::addColumn<QString>("text");
    const auto add = [](const char *call, NamedPipe::Error error, const char *text) {
        QTest::newRow(call) << QString::fromLatin1(call) << error << QString::fromLatin1(text);
    };
    add("OpenProcessToken", NamedPipe::ResourceExhausted, "(OpenProcessToken: 1450)");
    add("GetTokenInformation", NamedPipe::SystemError, "which user runs the server");
    add("ConvertSidToStringSid", NamedPipe::SystemError, "which user runs the server");
    // Short of memory, and not a mistake in the descriptor.
    add("ConvertStringSecurityDescriptorToSecurityDescriptor", NamedPipe::ResourceExhausted,
        "(ConvertStringSecurityDescriptorToSecurityDescriptor: 1450)");
}

void tst_IocpListener::securityDescriptorThatCannotBeMadeIsTold()
{
    QFETCH(QString, call);
    QFETCH(NamedPipe::Error, error);
    QFETCH(QString, text);
    Server server;
    {
        const ScriptedApi api; // puts back what is replaced here
        if (call == QLatin1String("OpenProcessToken")) {
            winApi().openProcessToken = [](HANDLE, DWORD, PHANDLE) {
                return ScriptedApi::fail(ERROR_NO_SYSTEM_RESOURCES);
            };
        } else if (call == QLatin1String("GetTokenInformation")) {
            winApi().getTokenInformation = [](HANDLE, TOKEN_INFORMATION_CLASS, LPVOID, DWORD,
                                              PDWORD) {
                return ScriptedApi::fail(ERROR_NO_SYSTEM_RESOURCES);
            };
        } else if (call == QLatin1String("ConvertSidToStringSid")) {
            winApi().convertSidToStringSid = [](PSID, LPWSTR *) {
                return ScriptedApi::fail(ERROR_NO_SYSTEM_RESOURCES);
            };
        } else {
            winApi().convertSecurityDescriptor = [](LPCWSTR, DWORD, PSECURITY_DESCRIPTOR *,
                                                    PULONG) {
                return ScriptedApi::fail(ERROR_NO_SYSTEM_RESOURCES);
            };
        }
        const TransportError told = server.listen();
        QCOMPARE(told.error, error);
        QVERIFY2(told.text().contains(text), qPrintable(told.text()));
        QVERIFY(!server.nameExists());
        QCOMPARE(server.hub->places(), 0);
    }
    QVERIFY(server.start()); // when the trouble is over
    RawPeer client;
    QVERIFY(client.connectTo(server.settings.name));
    QVERIFY(server.hub->hasClients(1));
}

void tst_IocpListener::instancesAreCreatedAsTheyMustBe()
{
    ScriptedApi api;
    Server server(3);
    QList<DWORD> openModes, pipeModes;
    bool isInheritable = false;
    bool hasDescriptor = true;
    api.creations.always([&](DWORD openMode, DWORD pipeMode, SECURITY_ATTRIBUTES *attributes) {
        openModes.append(openMode);
        pipeModes.append(pipeMode);
        isInheritable = isInheritable || attributes->bInheritHandle;
        hasDescriptor = hasDescriptor && attributes->lpSecurityDescriptor;
        return HANDLE();
    });
    QVERIFY(!server.listen());
    const DWORD openMode = PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED;
    const DWORD pipeMode = PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE | PIPE_REJECT_REMOTE_CLIENTS;
    QCOMPARE(openModes,
             (QList<DWORD> { openMode | FILE_FLAG_FIRST_PIPE_INSTANCE, openMode, openMode }));
    QCOMPARE(pipeModes, (QList<DWORD> { pipeMode, pipeMode, pipeMode }));
    QVERIFY(!isInheritable);
    QVERIFY(hasDescriptor);
}

// --- Clients ---

void tst_IocpListener::clientThatIsThereAlreadyIsLetIn()
{
    Server server; // ERROR_PIPE_CONNECTED, and no packet
    QVERIFY(!server.listen());
    RawPeer client;
    QVERIFY(client.connectTo(server.settings.name));
    QVERIFY(client.sendMessage("early"));
    watchFor();
    QCOMPARE(server.hub->count(), 0);
    server.running->startAccepting();
    QVERIFY(server.hub->hasClients(1));
    QVERIFY(server.hub->wasOnWorkers());
    QCOMPARE(server.hub->firstMessage(0), "early");
    QCOMPARE(server.hub->client(0).endpoint->peer().processId, QCoreApplication::applicationPid());
    QVERIFY(server.hub->client(0).endpoint->peer().userId.startsWith(QLatin1String("S-1-")));
}

void tst_IocpListener::clientThatHasGoneAlreadyIsLetIn_data()
{
    QTest::addColumn<bool>("whileAccepting");
    QTest::newRow("before accepting") << false; // ERROR_NO_DATA, and no packet
    QTest::newRow("while accepting") << true;
}

void tst_IocpListener::clientThatHasGoneAlreadyIsLetIn()
{
    QFETCH(bool, whileAccepting);
    Server server;
    QVERIFY(!server.listen());
    if (whileAccepting)
        server.running->startAccepting();
    RawPeer client;
    QVERIFY(client.connectTo(server.settings.name));
    QVERIFY(client.sendMessage("last words"));
    client.close();
    if (!whileAccepting)
        server.running->startAccepting();
    QVERIFY(server.hub->hasClients(1));
    QCOMPARE(server.hub->firstMessage(0), "last words");
    const Hub::Client gone = server.hub->client(0);
    if (gone.sink->hangUps() == 0)
        QVERIFY(waitWithoutEvents([&] { return gone.sink->hangUps() == 1; }));
    gone.endpoint->startRead(1);
    QVERIFY(waitWithoutEvents([&] { return !gone.sink->ends().isEmpty(); }));
    QCOMPARE(gone.sink->ends(), QList<ReadEnd> { ReadEnd::PeerClosed });
    QVERIFY(server.hub->errors().isEmpty());
}

void tst_IocpListener::oldestClientIsFirst()
{
    Server server(5);
    QVERIFY(!server.listen());
    std::vector<RawPeer> clients(5);
    for (int i = 0; i < 5; ++i) {
        QVERIFY(clients[size_t(i)].connectTo(server.settings.name));
        QVERIFY(clients[size_t(i)].sendMessage(QByteArray::number(i)));
    }
    server.running->startAccepting();
    QVERIFY(server.hub->hasClients(5));
    for (int i = 0; i < 5; ++i)
        QCOMPARE(server.hub->firstMessage(i), QByteArray::number(i));
}

void tst_IocpListener::connectPacketsMayComeInAnyOrder()
{
    ScriptedApi api;
    Server server(3, 2);
    QVERIFY(!server.listen());
    QList<OVERLAPPED *> waiting;
    const auto pend = [&](HANDLE, OVERLAPPED *overlapped) {
        waiting.append(overlapped);
        return ScriptedApi::fail(ERROR_IO_PENDING);
    };
    api.connects << pend << pend << pend;
    server.running->startAccepting();
    QCOMPARE(waiting.size(), 3);
    api.queuePacket(waiting.at(2), StatusSuccess, 0);
    api.queuePacket(waiting.at(0), StatusSuccess, 0);
    api.queuePacket(waiting.at(1), StatusSuccess, 0);
    QVERIFY(server.hub->hasClients(3));
    QVERIFY(server.hub->errors().isEmpty());
}

void tst_IocpListener::nextInstanceIsThereBeforeTheClientIsHandedOver()
{
    Server server(1);
    std::atomic<bool> isThere { false };
    server.hub->onAccepted = [&] {
        isThere = ::WaitNamedPipeW(server.path().toStdWString().c_str(), 1);
    };
    QVERIFY(server.start());
    for (int i = 1; i <= 20; ++i) {
        RawPeer client;
        QVERIFY(client.connectTo(server.settings.name, RawPeer::Milliseconds(0)));
        QVERIFY(server.hub->hasClients(i));
        QVERIFY(isThere);
    }
}

// --- Trouble ---

void tst_IocpListener::troubleIsToldOnceAndOvercome_data()
{
    QTest::addColumn<quint32>("code");
    QTest::newRow("no pool") << quint32(ERROR_NO_SYSTEM_RESOURCES);
    QTest::newRow("no memory") << quint32(ERROR_NOT_ENOUGH_MEMORY);
    QTest::newRow("no quota") << quint32(ERROR_NOT_ENOUGH_QUOTA);
}

void tst_IocpListener::troubleIsToldOnceAndOvercome()
{
    QFETCH(quint32, code);
    ScriptedApi api;
    Server server(2);
    QVERIFY(server.start());
    for (int episode = 1; episode <= 2; ++episode) {
        for (int i = 0; i < 4; ++i) {
            api.creations << [&](DWORD, DWORD, SECURITY_ATTRIBUTES *) {
                SetLastError(code);
                return INVALID_HANDLE_VALUE;
            };
        }
        const int before = api.creations.calls();
        const int clientsBefore = server.hub->count();
        RawPeer one, two, three; // the two that wait, and the one that must be created
        QVERIFY(one.connectTo(server.settings.name));
        QVERIFY(two.connectTo(server.settings.name));
        QVERIFY(three.connectTo(server.settings.name));
        QVERIFY(server.hub->hasClients(clientsBefore + 3));
        QVERIFY(waitWithoutEvents([&] { return api.creations.calls() >= before + 4 + 3; }));
        QCOMPARE(server.hub->errors().size(), episode);
        QCOMPARE(server.hub->errors().constLast().error, NamedPipe::ResourceExhausted);
        QCOMPARE(server.hub->errors().constLast().nativeCode, qint64(code));
        QVERIFY(server.hub->places() == 2 + server.hub->count());
    }
}

void tst_IocpListener::instanceThatCannotConnectIsReplaced_data()
{
    QTest::addColumn<bool>("atOnce");
    QTest::newRow("at once") << true;
    QTest::newRow("in the packet") << false;
}

void tst_IocpListener::instanceThatCannotConnectIsReplaced()
{
    QFETCH(bool, atOnce);
    ScriptedApi api;
    Server server(1);
    const auto refuse = [&](HANDLE, OVERLAPPED *overlapped) {
        if (atOnce)
            return ScriptedApi::fail(ERROR_NO_SYSTEM_RESOURCES);
        api.queuePacket(overlapped, StatusInsufficientResources, 0);
        return ScriptedApi::fail(ERROR_IO_PENDING);
    };
    api.connects << refuse << refuse << refuse;
    QVERIFY(server.start());
    RawPeer client;
    QVERIFY(waitWithoutEvents([&] { return api.connects.calls() >= 4; }));
    QVERIFY(client.connectTo(server.settings.name));
    QVERIFY(server.hub->hasClients(1));
    QVERIFY(server.hub->errors().size() == 1);
    QCOMPARE(QByteArray(server.hub->errors().constFirst().operation),
             QByteArray("ConnectNamedPipe"));
}

void tst_IocpListener::nameIsKeptWhileNoClientCanConnect_data()
{
    instanceThatCannotConnectIsReplaced_data();
}

// The only instance fails, and so do those that shall replace it: one is there at any time.
void tst_IocpListener::nameIsKeptWhileNoClientCanConnect()
{
    QFETCH(bool, atOnce);
    ScriptedApi api;
    Server server(1);
    std::atomic<int> opened { 0 };
    std::atomic<int> fewest { 100 };
    api.creations.always([&](DWORD, DWORD, SECURITY_ATTRIBUTES *) {
        ++opened;
        return HANDLE(nullptr);
    });
    api.closes.always([&](HANDLE) { fewest = std::min(fewest.load(), --opened); });
    api.connects.always([&](HANDLE, OVERLAPPED *overlapped) {
        if (atOnce)
            return ScriptedApi::fail(ERROR_NO_SYSTEM_RESOURCES);
        api.queuePacket(overlapped, StatusInsufficientResources, 0);
        return ScriptedApi::fail(ERROR_IO_PENDING);
    });
    QVERIFY(server.start());
    QVERIFY(waitWithoutEvents([&] { return api.connects.calls() >= 6; }));
    QVERIFY(server.nameExists());
    QVERIFY2(fewest >= 1, qPrintable(QString::number(fewest)));
    QCOMPARE(server.hub->errors().size(), 1);
    api.connects.always(nullptr);
    RawPeer client;
    QVERIFY(client.connectTo(server.settings.name));
    QVERIFY(server.hub->hasClients(1));
    QCOMPARE(server.hub->errors().size(), 1);
}

// No instance could be created, and the last client has left: who comes to the name now owns it.
void tst_IocpListener::nameThatWasLostIsClaimedAnew()
{
    ScriptedApi api;
    Server server(1);
    QVERIFY(server.start());
    std::atomic<bool> mayCreate { false };
    std::atomic<bool> isClaimed { false };
    api.creations.always([&](DWORD openMode, DWORD, SECURITY_ATTRIBUTES *) {
        isClaimed = (openMode & FILE_FLAG_FIRST_PIPE_INSTANCE) != 0;
        if (mayCreate)
            return HANDLE(nullptr);
        SetLastError(isClaimed ? ERROR_ACCESS_DENIED : ERROR_NO_SYSTEM_RESOURCES);
        return INVALID_HANDLE_VALUE;
    });
    RawPeer client;
    QVERIFY(client.connectTo(server.settings.name));
    QVERIFY(server.hub->hasClients(1));
    QVERIFY(waitWithoutEvents([&] { return api.creations.calls() >= 3; }));
    QVERIFY(!isClaimed); // the client's instance keeps the name
    server.hub->dropClient(0);
    QVERIFY(waitWithoutEvents([&] { return isClaimed.load(); }));
    mayCreate = true;
    QVERIFY(waitWithoutEvents([&] { return server.nameExists(); }));
    QVERIFY(isClaimed);
    RawPeer next;
    QVERIFY(next.connectTo(server.settings.name));
    QVERIFY(server.hub->hasClients(2));
}

void tst_IocpListener::failingListenDoesNotSpin()
{
    ScriptedApi api;
    Server server(4);
    QVERIFY(server.start());
    api.creations.always([](DWORD, DWORD, SECURITY_ATTRIBUTES *) {
        SetLastError(ERROR_NO_SYSTEM_RESOURCES);
        return INVALID_HANDLE_VALUE;
    });
    RawPeer clients[4];
    for (RawPeer &client : clients)
        QVERIFY(client.connectTo(server.settings.name));
    QVERIFY(server.hub->hasClients(4));
    const int before = api.creations.calls();
    watchFor(std::chrono::milliseconds(1000));
    QVERIFY2(api.creations.calls() - before <= 10,
             qPrintable(QString::number(api.creations.calls() - before)));
    QCOMPARE(server.hub->errors().size(), 1);
}

void tst_IocpListener::troubleBeforeAcceptingIsNotTold_data()
{
    QTest::addColumn<bool>("isCreated");
    QTest::newRow("instance that cannot be created") << false;
    QTest::newRow("instance that cannot be bound") << true;
}

// The name is there, that is enough; the rest comes when it is needed.
void tst_IocpListener::troubleBeforeAcceptingIsNotTold()
{
    QFETCH(bool, isCreated);
    ScriptedApi api;
    Server server(2);
    const auto refuse = [] {
        SetLastError(ERROR_NO_SYSTEM_RESOURCES);
        return HANDLE(nullptr);
    };
    if (isCreated) {
        api.binds << nullptr << refuse;
    } else {
        api.creations << nullptr << [&](DWORD, DWORD, SECURITY_ATTRIBUTES *) {
            refuse();
            return INVALID_HANDLE_VALUE;
        };
    }
    QVERIFY(!server.listen());
    QCOMPARE(api.creations.calls(), 2);
    QCOMPARE(server.hub->places(), 1);
    server.running->startAccepting();
    QVERIFY(waitWithoutEvents([&] { return server.hub->places() == 2; }));
    RawPeer one, two;
    QVERIFY(one.connectTo(server.settings.name));
    QVERIFY(two.connectTo(server.settings.name));
    QVERIFY(server.hub->hasClients(2));
    QVERIFY(server.hub->errors().isEmpty());
}

// --- Places ---

void tst_IocpListener::moreThanOneInstanceNeedsPlaces()
{
    ScriptedApi api;
    Server server(std::make_shared<Hub>(2), 16);
    QVERIFY(server.start());
    QCOMPARE(server.hub->places(), 2);
    QCOMPARE(api.creations.calls(), 2);
}

void tst_IocpListener::nameIsKeptWhenAllPlacesAreTaken()
{
    Server server(std::make_shared<Hub>(1));
    QVERIFY(server.start());
    for (int i = 1; i <= 5; ++i) {
        RawPeer client;
        QVERIFY(client.connectTo(server.settings.name));
        QVERIFY(server.hub->hasClients(i));
        RawPeer next; // comes to the doorstop, and waits
        QVERIFY(next.connectTo(server.settings.name));
        QVERIFY(next.sendMessage("I wait"));
        watchFor(std::chrono::milliseconds(20));
        QCOMPARE(server.hub->count(), i);
        next.close();
        const Hub::Client gone = server.hub->client(i - 1);
        gone.endpoint->cancel();
        gone.endpoint->close();
        QVERIFY2(server.nameExists(), "before its place is free");
        server.hub->releasePlace();
        server.running->placeFreed();
        ++i; // the one that waited and left is handed over, too
        QVERIFY(server.hub->hasClients(i));
        QCOMPARE(server.hub->firstMessage(i - 1), "I wait");
        server.hub->dropClient(i - 1);
    }
}

void tst_IocpListener::waitingForAPlaceDoesNotSpin()
{
    Server server(std::make_shared<Hub>(1), 8);
    QVERIFY(server.start());
    RawPeer client;
    QVERIFY(client.connectTo(server.settings.name));
    QVERIFY(server.hub->hasClients(1));
    watchFor();
    const int questions = server.hub->questions();
    watchFor(std::chrono::milliseconds(500));
    QCOMPARE(server.hub->questions(), questions);
}

// --- The end ---

void tst_IocpListener::nobodyIsLetInAfterStopAccepting()
{
    Server server(4, 2);
    QVERIFY(server.start());
    RawPeer before;
    QVERIFY(before.connectTo(server.settings.name));
    QVERIFY(server.hub->hasClients(1));
    server.running->stopAccepting();
    RawPeer after;
    QVERIFY(after.connectTo(server.settings.name));
    watchFor();
    QCOMPARE(server.hub->count(), 1);
    QVERIFY2(server.nameExists(), "the name is kept");
}

void tst_IocpListener::stopAcceptingMayComeWhileAClientIsHandedOver()
{
    ScriptedApi api;
    Server server(1);
    QVERIFY(server.start());
    api.creations << [&](DWORD, DWORD, SECURITY_ATTRIBUTES *) { // for the next client
        server.running->stopAccepting();
        return HANDLE(nullptr);
    };
    RawPeer client;
    QVERIFY(client.connectTo(server.settings.name));
    QVERIFY(client.atEnd());
    QCOMPARE(server.hub->count(), 0);
    QVERIFY(waitWithoutEvents([&] { return server.hub->places() == 1; })); // of the next one
    QVERIFY2(server.nameExists(), "the name is kept");
}

void tst_IocpListener::placesAreGivenBack()
{
    const auto hub = std::make_shared<Hub>(3);
    {
        Server server(hub, 8);
        QVERIFY(server.start());
        RawPeer one, two;
        QVERIFY(one.connectTo(server.settings.name));
        QVERIFY(hub->hasClients(1));
        server.running->stopAccepting();
        QVERIFY(two.connectTo(server.settings.name)); // arrives, and is not handed over
        watchFor();
        hub->client(0).endpoint->cancel();
        hub->client(0).endpoint->close();
        server.running->shutdown();
        QVERIFY(!server.nameExists() || GetLastError() == ERROR_SEM_TIMEOUT);
        QVERIFY(two.atEnd());
    }
    QCOMPARE(hub->places(), 1); // the client's, which is the hub's to give back
    QCOMPARE(hub.use_count(), 1);
}

void tst_IocpListener::shutdownIsPromptWhenCancellingDoesNotWork()
{
    ScriptedApi api;
    Server server(8, 2);
    api.cancels.always([](HANDLE, OVERLAPPED *) { return ScriptedApi::fail(ERROR_NOT_FOUND); });
    QVERIFY(server.start());
    QElapsedTimer timer;
    timer.start();
    server.running->shutdown();
    QVERIFY2(timer.elapsed() < 500, qPrintable(QString::number(timer.elapsed())));
    QVERIFY(!server.nameExists());
}

void tst_IocpListener::shutdownOnAWorker()
{
    for (const int threads : { 1, 3 }) {
        Gate done;
        const auto hub = std::make_shared<Hub>();
        std::weak_ptr<IocpEngine> engine;
        {
            Server server(hub, 4, threads);
            engine = server.running.engine;
            hub->onAccepted = [&] {
                server.running->stopAccepting();
                server.running->shutdown();
                done.open();
            };
            QVERIFY(server.start());
            RawPeer client;
            QVERIFY(client.connectTo(server.settings.name));
            QVERIFY(done.wait());
            QVERIFY(hub->hasClients(1));
            QVERIFY(!::WaitNamedPipeW(server.path().toStdWString().c_str(), 1));
        }
        hub->client(0).endpoint->attach(nullptr);
        // The worker that shut it down was the last to hold it, but for the client's endpoint.
        QVERIFY(waitUntil([&] { return engine.use_count() == 1; }));
    }
}

QTEST_GUILESS_MAIN(tst_IocpListener)

#include "tst_iocp_listener.moc"
