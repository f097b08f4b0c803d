// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "iocpfixture.h"

#include "payload.h"

#include <QtCore/qelapsedtimer.h>
#include <QtTest/QtTest>

#include <algorithm>
#include <optional>
#include <thread>

using namespace QtNamedPipes;

/// One connected pipe below the connection: what comes out of every answer that Windows can give to
/// a read or a write, among them those that Wine never gives.
class tst_IocpEndpoint : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void messagesOfAllSizesArriveWhole_data();
    void messagesOfAllSizesArriveWhole();
    void messagesOfAllSizesAreSent_data();
    void messagesOfAllSizesAreSent();
    void fragmentsBecomeOneMessage_data();
    void fragmentsBecomeOneMessage();
    void packetMayBeHandledBeforeTheCallReturns();
    void readThatIsDoneAtOnceIsReceivedOnAWorker();
    void readsThatAreDoneAtOnceTakeTurns();
    void writesThatAreDoneAtOnceAreReportedTogether();
    void writeThatPendsBehindThoseDoneAtOnceIsReportedBehindThem_data();
    void writeThatPendsBehindThoseDoneAtOnceIsReportedBehindThem();
    void writesThatAreDoneAtOnceTakeTurns();
    void writeThatFailsBehindThoseDoneAtOnceTellsOfThem_data();
    void writeThatFailsBehindThoseDoneAtOnceTellsOfThem();
    void cancelFindsAWriteThatWaitsForItsTurn();
    void packetsOfBothDirectionsMayComeInAnyOrder();
    void startingAgainFromInsideAReportWorks();
    void shortageIsWaitedFor_data();
    void shortageIsWaitedFor();
    void shortageMayComeInThePacket();
    void shortageThatStaysIsAnError();
    void cancelEndsTheWaitForMemory();
    void cancelMayComeBeforeTheShortage();
    void readBufferThatCannotBeHadIsWaitedFor();
    void deadClientEndsReading_data();
    void deadClientEndsReading();
    void deadClientInTheMiddleOfAMessageIsAnError();
    void deadClientEndsWritingButNotReading_data();
    void deadClientEndsWritingButNotReading();
    void readCancelledByOthersIsDoneAgain();
    void tooLargeMessageEndsReading_data();
    void tooLargeMessageEndsReading();
    void cancelEndsEverythingOnce();
    void cancelThatFindsNothingIsFine();
    void cancelMayComeAtAnyMoment();
    void nothingIsStartedAfterCancel();
    void hangUpIsSeenWhileNobodyReads();
    void watchingTakesNothingAway();
    void watchFindsAReadInFlight();
    void failedWatchDoesNoHarm_data();
    void failedWatchDoesNoHarm();
    void failedWatchBeginsAgain_data();
    void failedWatchBeginsAgain();
    void closeFindsAReadThatWaitsForTheWatch();
    void closeKeepsWhatWasSent();
    void latePacketAfterCloseIsHarmless_data();
    void latePacketAfterCloseIsHarmless();
    void operationThatNeverComesBackKeepsItsMemory();

private:
    // A pipe: an endpoint at the server's end, a plain handle, which blocks, at the client's.
    struct Pair
    {
        explicit Pair(const RunningEngine &running)
        {
            const QString path = platformPipePath(scratchName());
            const auto *name = reinterpret_cast<const wchar_t *>(path.utf16());
            WinHandle server(::CreateNamedPipeW(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED,
                                                PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE, 1, 65536,
                                                65536, 0, nullptr));
            client = WinHandle(::CreateFileW(name, GENERIC_READ | GENERIC_WRITE, 0, nullptr,
                                             OPEN_EXISTING, 0, nullptr));
            DWORD mode = PIPE_READMODE_MESSAGE;
            isGood = server && client && running->bind(server.get()) == ERROR_SUCCESS
                    && ::SetNamedPipeHandleState(client.get(), &mode, nullptr, nullptr);
            sink->engine = running.engine.get();
            endpoint = std::make_shared<IocpEndpoint>(running.engine, std::move(server),
                                                      PeerIdentity());
            endpoint->attach(sink);
        }
        ~Pair()
        {
            if (endpoint)
                endpoint->close();
        }

        bool send(const QByteArray &message) const
        {
            DWORD count = 0;
            return ::WriteFile(client.get(), message.constData(), DWORD(message.size()), &count,
                               nullptr);
        }
        std::optional<QByteArray> receive() const
        {
            QByteArray message(1 << 20, Qt::Uninitialized);
            DWORD count = 0;
            if (!::ReadFile(client.get(), message.data(), DWORD(message.size()), &count, nullptr))
                return std::nullopt;
            message.truncate(count);
            return message;
        }
        // What it returns is among the reports, too, if it is the end.
        WriteProgress write(const QByteArrayList &messages)
        {
            outgoing.clear();
            for (const QByteArray &message : messages)
                outgoing.append({ message, {}, false });
            const WriteProgress progress =
                    endpoint->startWrite(outgoing.constData(), int(outgoing.size()));
            if (progress.status != WriteProgress::Pending)
                sink->writeProgressed(progress);
            return progress;
        }
        bool hasMessages(int count) const
        {
            return waitWithoutEvents([&] { return sink->messages().size() >= count; });
        }
        bool hasReadEnd() const
        {
            return waitWithoutEvents([&] { return !sink->ends().isEmpty(); });
        }
        // Whether the write has ended, and how.
        std::optional<WriteProgress> writeEnd() const
        {
            const auto last = [this] {
                const QList<WriteProgress> progress = sink->progress();
                return progress.isEmpty() ? WriteProgress { WriteProgress::Pending, 0, {} }
                                          : progress.constLast();
            };
            if (!waitWithoutEvents([&] { return last().status != WriteProgress::Pending; }))
                return std::nullopt;
            return last();
        }
        int accepted() const
        {
            int sum = 0;
            for (const WriteProgress &progress : sink->progress())
                sum += progress.accepted;
            return sum;
        }

        std::shared_ptr<RecordingSink> sink = std::make_shared<RecordingSink>();
        std::shared_ptr<IocpEndpoint> endpoint;
        WinHandle client;
        QList<OutgoingMessage> outgoing;
        bool isGood = false;
    };

    static constexpr qint64 AnyNumber = 65536;
    static constexpr qsizetype BufferSize = 4096;

    static void addSizeRows()
    {
        QTest::addColumn<qsizetype>("size");
        for (const qsizetype size : { qsizetype(0), qsizetype(1), BufferSize - 1, BufferSize,
                                      BufferSize + 1, 10 * BufferSize, qsizetype(65537) }) {
            QTest::addRow("%lld bytes", static_cast<long long>(size)) << size;
        }
    }
    static void addShortageRows(bool ofWrites)
    {
        QTest::addColumn<quint32>("code");
        QTest::newRow("ERROR_INVALID_USER_BUFFER") << quint32(ERROR_INVALID_USER_BUFFER);
        QTest::newRow("ERROR_NOT_ENOUGH_MEMORY") << quint32(ERROR_NOT_ENOUGH_MEMORY);
        QTest::newRow("ERROR_NO_SYSTEM_RESOURCES") << quint32(ERROR_NO_SYSTEM_RESOURCES);
        if (ofWrites)
            QTest::newRow("ERROR_NOT_ENOUGH_QUOTA") << quint32(ERROR_NOT_ENOUGH_QUOTA);
    }
    static void addDeadClientRows()
    {
        QTest::addColumn<quint32>("code");
        QTest::newRow("ERROR_BROKEN_PIPE") << quint32(ERROR_BROKEN_PIPE);
        QTest::newRow("ERROR_NO_DATA") << quint32(ERROR_NO_DATA);
        QTest::newRow("ERROR_PIPE_NOT_CONNECTED") << quint32(ERROR_PIPE_NOT_CONNECTED);
        QTest::newRow("ERROR_HANDLE_EOF") << quint32(ERROR_HANDLE_EOF);
    }
};

// --- Messages ---

void tst_IocpEndpoint::messagesOfAllSizesArriveWhole_data()
{
    addSizeRows();
}

void tst_IocpEndpoint::messagesOfAllSizesArriveWhole()
{
    QFETCH(qsizetype, size);
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);
    const QByteArrayList sent { payload(size, 1), payload(size, 2), payload(3, 3) };
    auto client = runClient([&] {
        bool ok = true;
        for (const QByteArray &message : sent)
            ok = ok && pair.send(message);
        return ok;
    });
    for (int i = 1; i <= sent.size(); ++i) {
        pair.endpoint->startRead(AnyNumber);
        QVERIFY(pair.hasMessages(i));
    }
    QVERIFY(client.get());
    QCOMPARE(pair.sink->messages(), sent);
    QVERIFY(pair.sink->wasOnWorkers());
}

void tst_IocpEndpoint::messagesOfAllSizesAreSent_data()
{
    addSizeRows();
}

void tst_IocpEndpoint::messagesOfAllSizesAreSent()
{
    QFETCH(qsizetype, size);
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);
    const QByteArrayList sent { payload(size, 1), payload(size, 2), payload(3, 3) };
    pair.write(sent);
    for (const QByteArray &message : sent)
        QCOMPARE(pair.receive(), message);
    const auto end = pair.writeEnd();
    QVERIFY(end);
    QCOMPARE(end->status, WriteProgress::Done);
    QCOMPARE(pair.accepted(), 3);
}

// Since Windows 8 a read that is shorter than the message is answered with ERROR_IO_PENDING even
// when the data is there, and a packet follows. Before, and on Wine, it is answered with
// ERROR_MORE_DATA, and a packet follows only where the handle does not do without.
void tst_IocpEndpoint::fragmentsBecomeOneMessage_data()
{
    QTest::addColumn<quint32>("answer");
    QTest::addColumn<bool>("leftIsKnown");
    QTest::addColumn<bool>("skipsPackets");
    for (const bool skips : { false, true }) {
        const char *const how = skips ? ", packets skipped" : "";
        const auto add = [&](const char *name, DWORD answer, bool leftIsKnown) {
            QTest::addRow("%s%s", name, how) << quint32(answer) << leftIsKnown << skips;
        };
        add("pending", ERROR_IO_PENDING, true);
        add("pending, size unknown", ERROR_IO_PENDING, false);
        add("at once", ERROR_MORE_DATA, true);
        add("at once, size unknown", ERROR_MORE_DATA, false);
    }
}

void tst_IocpEndpoint::fragmentsBecomeOneMessage()
{
    QFETCH(quint32, answer);
    QFETCH(bool, leftIsKnown);
    QFETCH(bool, skipsPackets);
    ScriptedApi api;
    api.skipsPackets = skipsPackets;
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);

    const QByteArray message = payload(5 * BufferSize);
    std::atomic<qsizetype> at { 0 };
    api.peeks.always([&](DWORD *left) {
        *left = DWORD(message.size() - at);
        return leftIsKnown ? TRUE : ScriptedApi::fail(ERROR_BAD_PIPE);
    });
    const auto part = [&](qsizetype count) {
        return [&, count](HANDLE, char *data, DWORD size, OVERLAPPED *overlapped) -> BOOL {
            const qsizetype bytes = qMin(qMin(count, qsizetype(size)), message.size() - at);
            std::memcpy(data, message.constData() + at, size_t(bytes));
            at += bytes;
            const bool isLast = at == message.size();
            const LONG status = isLast ? StatusSuccess : StatusBufferOverflow;
            if (skipsPackets && (isLast || answer == ERROR_MORE_DATA))
                return ScriptedApi::doneAtOnce(overlapped, status, DWORD(bytes));
            api.queuePacket(overlapped, status, DWORD(bytes));
            return isLast ? TRUE : ScriptedApi::fail(answer);
        };
    };
    api.reads << part(BufferSize) << part(1) << part(BufferSize);
    api.reads.always(part(message.size()));
    pair.endpoint->startRead(AnyNumber);
    QVERIFY(pair.hasMessages(1));
    const QByteArrayList messages = pair.sink->messages();
    QCOMPARE(messages, QByteArrayList { message });
    QCOMPARE(pair.sink->reports(), 1);
    if (leftIsKnown) // no more memory than it has bytes
        QVERIFY(messages.constFirst().capacity() - message.size() < 64);
}

void tst_IocpEndpoint::packetMayBeHandledBeforeTheCallReturns()
{
    ScriptedApi api;
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);

    // The thread that called is held inside the system call until the worker has reported.
    api.reads << [&](HANDLE, char *data, DWORD, OVERLAPPED *overlapped) {
        *data = 'x';
        api.queuePacket(overlapped, StatusSuccess, 1);
        return BOOL(pair.hasMessages(1));
    };
    pair.endpoint->startRead(AnyNumber);
    QCOMPARE(pair.sink->messages(), QByteArrayList { QByteArray("x") });

    api.writes << [&](HANDLE, const char *, DWORD size, OVERLAPPED *overlapped) {
        api.queuePacket(overlapped, StatusSuccess, size);
        return BOOL(pair.writeEnd().has_value());
    };
    QCOMPARE(pair.write({ "y" }).status, WriteProgress::Pending);
    QCOMPARE(pair.accepted(), 1);

    // A fragment: the worker reads on while the first call has not returned yet.
    Gate secondRead;
    api.reads << [&](HANDLE, char *data, DWORD, OVERLAPPED *overlapped) {
        *data = 'a';
        api.queuePacket(overlapped, StatusBufferOverflow, 1);
        return secondRead.wait() ? ScriptedApi::fail(ERROR_IO_PENDING) : TRUE;
    } << [&](HANDLE, char *data, DWORD, OVERLAPPED *overlapped) {
        *data = 'b';
        api.queuePacket(overlapped, StatusSuccess, 1);
        secondRead.open();
        return TRUE;
    };
    pair.endpoint->startRead(AnyNumber);
    QVERIFY(pair.hasMessages(2));
    QCOMPARE(pair.sink->messages().constLast(), QByteArray("ab"));
}

// --- What is done at once, and has no packet ---

void tst_IocpEndpoint::readThatIsDoneAtOnceIsReceivedOnAWorker()
{
    ScriptedApi api;
    api.skipsPackets = true;
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);
    api.reads << [](HANDLE, char *data, DWORD, OVERLAPPED *overlapped) {
        *data = 'x';
        return ScriptedApi::doneAtOnce(overlapped, StatusSuccess, 1);
    } << [](HANDLE, char *, DWORD, OVERLAPPED *overlapped) {
        return ScriptedApi::doneAtOnce(overlapped, StatusSuccess, 0);
    };
    for (int i = 1; i <= 2; ++i) {
        pair.endpoint->startRead(AnyNumber);
        QVERIFY(pair.hasMessages(i));
    }
    QCOMPARE(pair.sink->messages(), QByteArrayList({ QByteArray("x"), QByteArray("") }));
    QVERIFY(pair.sink->wasOnWorkers());
    QCOMPARE(pair.sink->reports(), 2);
}

void tst_IocpEndpoint::readsThatAreDoneAtOnceTakeTurns()
{
    // Reads on as long as there is something, in the call that tells of it.
    class ReadingSink final : public EndpointSink
    {
    public:
        void received(MessageBatch &batch) override
        {
            isInOrder = isInOrder && numberOf(batch.block.left(batch.spans.at(0).size)) == count;
            char here;
            const auto depth = std::abs(&here - top);
            deepest = std::max<qint64>(deepest, top ? depth : 0);
            top = top ? top : &here;
            if (++count < 1000)
                endpoint->startRead(AnyNumber);
            else
                done.open();
        }
        void readEnded(ReadEnd, const TransportError &) override { }
        void writeProgressed(const WriteProgress &) override { }
        void hangUpSeen() override { }

        IocpEndpoint *endpoint = nullptr;
        int count = 0;
        bool isInOrder = true;
        char *top = nullptr;
        qint64 deepest = 0;
        Gate done;
    };

    ScriptedApi api;
    api.skipsPackets = true;
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);
    const auto sink = std::make_shared<ReadingSink>();
    sink->endpoint = pair.endpoint.get();
    pair.endpoint->attach(sink);
    int number = 0;
    api.reads.always([&](HANDLE, char *data, DWORD, OVERLAPPED *overlapped) {
        const QByteArray message = numbered(number++);
        std::memcpy(data, message.constData(), size_t(message.size()));
        return ScriptedApi::doneAtOnce(overlapped, StatusSuccess, DWORD(message.size()));
    });
    const int posted = api.posts.calls();
    std::atomic<int> atTask { -1 };
    Gate isRead;
    engine->post(makeTask([&] { // the worker waits here while the read begins
        isRead.wait();
    }));
    pair.endpoint->startRead(AnyNumber);
    engine->post(makeTask([&] { atTask = sink->count; })); // in line behind the first read
    isRead.open();
    QVERIFY(sink->done.wait());
    QVERIFY(sink->isInOrder);
    QVERIFY2(sink->deepest < 100'000, qPrintable(QString::number(sink->deepest)));
    QVERIFY2(atTask > 0 && atTask <= 200, qPrintable(QString::number(atTask)));
    QVERIFY2(api.posts.calls() - posted < 50, "there is a packet for each turn, not for each read");
}

void tst_IocpEndpoint::writesThatAreDoneAtOnceAreReportedTogether()
{
    ScriptedApi api;
    api.skipsPackets = true;
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);
    const WriteProgress progress = pair.write({ "a", "b", "", "d" });
    QCOMPARE(progress.status, WriteProgress::Done);
    QCOMPARE(progress.accepted, 4);
    for (const char *message : { "a", "b", "", "d" })
        QCOMPARE(pair.receive(), message);
    watchFor();
    QCOMPARE(pair.sink->progress().size(), 1);
}

void tst_IocpEndpoint::writeThatPendsBehindThoseDoneAtOnceIsReportedBehindThem_data()
{
    QTest::addColumn<bool>("comesEarly");
    QTest::newRow("its packet comes before the call returns") << true;
    QTest::newRow("its packet comes later") << false;
}

void tst_IocpEndpoint::writeThatPendsBehindThoseDoneAtOnceIsReportedBehindThem()
{
    QFETCH(bool, comesEarly);
    ScriptedApi api;
    api.skipsPackets = true;
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);
    const auto done = [](HANDLE, const char *, DWORD size, OVERLAPPED *overlapped) {
        return ScriptedApi::doneAtOnce(overlapped, StatusSuccess, size);
    };
    std::atomic<OVERLAPPED *> pending { nullptr };
    api.writes << done << done << [&](HANDLE, const char *, DWORD size, OVERLAPPED *overlapped) {
        pending = overlapped;
        if (comesEarly) {
            api.queuePacket(overlapped, StatusSuccess, size);
            engine.handlePackets();
        }
        return ScriptedApi::fail(ERROR_IO_PENDING);
    };
    api.writes.always(done);
    const WriteProgress progress = pair.write({ "1", "2", "3", "4", "5" });
    if (comesEarly) { // the calling thread goes on
        QCOMPARE(progress.status, WriteProgress::Done);
    } else {
        QCOMPARE(progress.status, WriteProgress::Pending);
        QCOMPARE(progress.accepted, 0);
        QCOMPARE(pair.accepted(), 2);
        api.queuePacket(pending, StatusSuccess, 1);
    }
    QVERIFY(pair.writeEnd());
    QCOMPARE(pair.writeEnd()->status, WriteProgress::Done);
    QList<int> accepted;
    for (const WriteProgress &report : pair.sink->progress())
        accepted.append(report.accepted);
    QCOMPARE(accepted, QList<int>({ 2, 3 }));
    QCOMPARE(api.writes.calls(), 5);
}

void tst_IocpEndpoint::writesThatAreDoneAtOnceTakeTurns()
{
    ScriptedApi api;
    api.skipsPackets = true;
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);
    const Qt::HANDLE caller = QThread::currentThreadId();
    std::atomic<int> byCaller { 0 };
    api.writes.always([&](HANDLE, const char *, DWORD size, OVERLAPPED *overlapped) {
        byCaller += QThread::currentThreadId() == caller ? 1 : 0;
        return ScriptedApi::doneAtOnce(overlapped, StatusSuccess, size);
    });
    QByteArrayList messages;
    for (int i = 0; i < 1000; ++i)
        messages.append(numbered(i));
    QCOMPARE(pair.write(messages).status, WriteProgress::Pending);
    QVERIFY(pair.writeEnd());
    QCOMPARE(pair.writeEnd()->status, WriteProgress::Done);
    QCOMPARE(pair.accepted(), 1000);
    QCOMPARE(api.writes.calls(), 1000);
    QVERIFY2(byCaller <= 100, qPrintable(QString::number(byCaller)));
}

void tst_IocpEndpoint::writeThatFailsBehindThoseDoneAtOnceTellsOfThem_data()
{
    QTest::addColumn<bool>("isAtOnce");
    QTest::addColumn<bool>("comesEarly");
    QTest::addColumn<qint32>("status");
    QTest::addColumn<int>("end");
    const auto add = [](const char *name, LONG status, WriteProgress::Status end) {
        QTest::addRow("%s, at once", name) << true << false << qint32(status) << int(end);
        QTest::addRow("%s, in an early packet", name)
                << false << true << qint32(status) << int(end);
        QTest::addRow("%s, in a packet", name) << false << false << qint32(status) << int(end);
    };
    add("client gone", StatusPipeBroken, WriteProgress::PeerGone);
    add("no memory for now", StatusInsufficientResources, WriteProgress::Done);
    add("anything else", LONG(0xC00000BB), WriteProgress::Failed); // STATUS_NOT_SUPPORTED
}

void tst_IocpEndpoint::writeThatFailsBehindThoseDoneAtOnceTellsOfThem()
{
    QFETCH(bool, isAtOnce);
    QFETCH(bool, comesEarly);
    QFETCH(qint32, status);
    QFETCH(int, end);
    ScriptedApi api;
    api.skipsPackets = true;
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);
    const auto done = [](HANDLE, const char *, DWORD size, OVERLAPPED *overlapped) {
        return ScriptedApi::doneAtOnce(overlapped, StatusSuccess, size);
    };
    OVERLAPPED *pending = nullptr;
    api.writes << done << done << [&](HANDLE, const char *, DWORD, OVERLAPPED *overlapped) {
        if (isAtOnce)
            return ScriptedApi::fail(winErrorFromStatus(status));
        if (comesEarly) {
            api.queuePacket(overlapped, status, 0);
            engine.handlePackets();
        } else {
            pending = overlapped;
        }
        return ScriptedApi::fail(ERROR_IO_PENDING);
    };
    api.writes.always(done);
    pair.write({ "1", "2", "3", "4" });
    if (pending)
        api.queuePacket(pending, status, 0);
    QVERIFY(pair.writeEnd());
    QCOMPARE(int(pair.writeEnd()->status), end);
    QCOMPARE(pair.accepted(), end == WriteProgress::Done ? 4 : 2);
    QCOMPARE(pair.sink->progress().constFirst().accepted, 2);
}

void tst_IocpEndpoint::cancelFindsAWriteThatWaitsForItsTurn()
{
    ScriptedApi api;
    api.skipsPackets = true;
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);
    api.writes.always([](HANDLE, const char *, DWORD size, OVERLAPPED *overlapped) {
        return ScriptedApi::doneAtOnce(overlapped, StatusSuccess, size);
    });
    Gate isCancelled;
    engine->post(makeTask([&] { isCancelled.wait(); })); // the only worker is busy
    QCOMPARE(pair.write(QByteArrayList(1000, "x")).status, WriteProgress::Pending);
    pair.endpoint->cancel();
    isCancelled.open();
    QVERIFY(pair.writeEnd());
    QCOMPARE(pair.writeEnd()->status, WriteProgress::Cancelled);
    QVERIFY(pair.accepted() < 1000);
    QCOMPARE(pair.accepted(), api.writes.calls());
}

void tst_IocpEndpoint::packetsOfBothDirectionsMayComeInAnyOrder()
{
    ScriptedApi api;
    const RunningEngine engine(2);
    Pair pair(engine);
    QVERIFY(pair.isGood);
    OVERLAPPED *read = nullptr;
    OVERLAPPED *write = nullptr;
    api.reads << [&](HANDLE, char *data, DWORD, OVERLAPPED *overlapped) {
        std::memcpy(data, "first", 5);
        read = overlapped;
        return ScriptedApi::fail(ERROR_IO_PENDING);
    };
    api.writes << ScriptedApi::pending(write);
    pair.endpoint->startRead(AnyNumber);
    QCOMPARE(pair.write({ "second" }).status, WriteProgress::Pending);
    QVERIFY(read && write && read != write);
    api.queuePacket(write, StatusSuccess, 6);
    QVERIFY(pair.writeEnd());
    QVERIFY(pair.sink->messages().isEmpty());
    api.queuePacket(read, StatusSuccess, 5);
    QVERIFY(pair.hasMessages(1));
    QCOMPARE(pair.sink->messages(), QByteArrayList { QByteArray("first") });
}

void tst_IocpEndpoint::startingAgainFromInsideAReportWorks()
{
    // A sink that reads on and answers as it is told, on workers that take turns.
    class EchoSink final : public EndpointSink
    {
    public:
        void received(MessageBatch &batch) override
        {
            outgoing = {
                { QByteArray(batch.block.constData(), batch.spans.at(0).size), {}, false }
            };
            writeProgressed(endpoint->startWrite(&outgoing[0], 1));
        }
        void writeProgressed(const WriteProgress &progress) override
        {
            if (progress.status == WriteProgress::Done)
                endpoint->startRead(AnyNumber);
        }
        void readEnded(ReadEnd, const TransportError &) override { ended.open(); }
        void hangUpSeen() override { endpoint->startRead(AnyNumber); }

        IocpEndpoint *endpoint = nullptr;
        QList<OutgoingMessage> outgoing;
        Gate ended;
    };

    const RunningEngine engine(3);
    Pair pair(engine);
    QVERIFY(pair.isGood);
    const auto sink = std::make_shared<EchoSink>();
    sink->endpoint = pair.endpoint.get();
    pair.endpoint->attach(sink);
    pair.endpoint->startRead(AnyNumber);
    for (int i = 0; i < 500; ++i) {
        QVERIFY(pair.send(numbered(i)));
        QCOMPARE(pair.receive(), numbered(i));
    }
    pair.client.close();
    QVERIFY(sink->ended.wait());
}

// --- Shortage ---

void tst_IocpEndpoint::shortageIsWaitedFor_data()
{
    addShortageRows(true);
}

void tst_IocpEndpoint::shortageIsWaitedFor()
{
    QFETCH(quint32, code);
    ScriptedApi api;
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);
    const auto refuseRead = [&](HANDLE, char *, DWORD, OVERLAPPED *) {
        return ScriptedApi::fail(code);
    };
    const auto refuseWrite = [&](HANDLE, const char *, DWORD, OVERLAPPED *) {
        return ScriptedApi::fail(code);
    };

    QVERIFY(pair.send("in"));
    api.reads << refuseRead << refuseRead << refuseRead;
    pair.endpoint->startRead(AnyNumber);
    QVERIFY(pair.hasMessages(1));
    QCOMPARE(pair.sink->messages(), QByteArrayList { QByteArray("in") });

    api.writes << refuseWrite << refuseWrite << nullptr << refuseWrite;
    QCOMPARE(pair.write({ "one", "two" }).status, WriteProgress::Pending);
    QCOMPARE(pair.receive(), "one");
    QCOMPARE(pair.receive(), "two");
    const auto end = pair.writeEnd();
    QVERIFY(end);
    QCOMPARE(end->status, WriteProgress::Done);
    QCOMPARE(pair.accepted(), 2);
    QVERIFY(pair.sink->ends().isEmpty());
}

void tst_IocpEndpoint::shortageMayComeInThePacket()
{
    ScriptedApi api;
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);
    QList<DWORD> sizes;
    api.reads << [&](HANDLE, char *, DWORD size, OVERLAPPED *overlapped) {
        sizes.append(size);
        api.queuePacket(overlapped, StatusInsufficientResources, 0);
        return ScriptedApi::fail(ERROR_IO_PENDING);
    };
    api.writes << [&](HANDLE, const char *, DWORD, OVERLAPPED *overlapped) {
        api.queuePacket(overlapped, StatusInsufficientResources, 0);
        return ScriptedApi::fail(ERROR_IO_PENDING);
    };
    QVERIFY(pair.send("in"));
    pair.endpoint->startRead(AnyNumber);
    QCOMPARE(pair.write({ "out" }).status, WriteProgress::Pending);
    QVERIFY(pair.hasMessages(1));
    QCOMPARE(pair.receive(), "out");
    QVERIFY(pair.writeEnd());
    QCOMPARE(pair.writeEnd()->status, WriteProgress::Done);
    QVERIFY(pair.sink->ends().isEmpty());
}

void tst_IocpEndpoint::shortageThatStaysIsAnError()
{
    ScriptedApi api;
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);
    api.reads.always([](HANDLE, char *, DWORD, OVERLAPPED *) {
        return ScriptedApi::fail(ERROR_NO_SYSTEM_RESOURCES);
    });
    api.writes.always([](HANDLE, const char *, DWORD, OVERLAPPED *) {
        return ScriptedApi::fail(ERROR_NO_SYSTEM_RESOURCES);
    });
    pair.endpoint->startRead(AnyNumber);
    QCOMPARE(pair.write({ "out" }).status, WriteProgress::Pending);
    QVERIFY(pair.hasReadEnd());
    QCOMPARE(pair.sink->ends(), QList<ReadEnd> { ReadEnd::Failed });
    QCOMPARE(pair.sink->readError().error, NamedPipe::ResourceExhausted);
    QCOMPARE(pair.sink->readError().nativeCode, qint64(ERROR_NO_SYSTEM_RESOURCES));
    const auto end = pair.writeEnd();
    QVERIFY(end);
    QCOMPARE(end->status, WriteProgress::Failed);
    QCOMPARE(end->error.error, NamedPipe::ResourceExhausted);
    QVERIFY2(api.reads.calls() < 20, "the tries are spaced out");
}

void tst_IocpEndpoint::cancelEndsTheWaitForMemory()
{
    ScriptedApi api;
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);
    api.reads.always([](HANDLE, char *, DWORD, OVERLAPPED *) {
        return ScriptedApi::fail(ERROR_NO_SYSTEM_RESOURCES);
    });
    api.writes.always([](HANDLE, const char *, DWORD, OVERLAPPED *) {
        return ScriptedApi::fail(ERROR_NO_SYSTEM_RESOURCES);
    });
    pair.endpoint->startRead(AnyNumber);
    QCOMPARE(pair.write({ "out" }).status, WriteProgress::Pending);
    // Until the pauses are so long that a cancel which only waited for their end would show.
    QVERIFY(waitWithoutEvents([&] { return api.reads.calls() >= 7 && api.writes.calls() >= 7; }));
    QElapsedTimer timer;
    timer.start();
    pair.endpoint->cancel();
    QVERIFY(pair.hasReadEnd());
    QVERIFY(pair.writeEnd());
    QVERIFY2(timer.elapsed() < 500, qPrintable(QString::number(timer.elapsed())));
    QCOMPARE(pair.sink->ends(), QList<ReadEnd> { ReadEnd::Cancelled });
    QCOMPARE(pair.writeEnd()->status, WriteProgress::Cancelled);
}

// What fails for want of memory is not tried again when it was cancelled meanwhile.
void tst_IocpEndpoint::cancelMayComeBeforeTheShortage()
{
    ScriptedApi api;
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);
    OVERLAPPED *read = nullptr;
    OVERLAPPED *write = nullptr;
    api.reads << ScriptedApi::pending(read);
    api.writes << ScriptedApi::pending(write);
    pair.endpoint->startRead(AnyNumber);
    QCOMPARE(pair.write({ "out" }).status, WriteProgress::Pending);
    pair.endpoint->cancel();
    api.queuePacket(read, StatusInsufficientResources, 0);
    api.queuePacket(write, StatusInsufficientResources, 0);
    QVERIFY(pair.hasReadEnd());
    QVERIFY(pair.writeEnd());
    QCOMPARE(pair.sink->ends(), QList<ReadEnd> { ReadEnd::Cancelled });
    QCOMPARE(pair.writeEnd()->status, WriteProgress::Cancelled);
    QCOMPARE(api.reads.calls(), 1);
    QCOMPARE(api.writes.calls(), 1);
}

void tst_IocpEndpoint::readBufferThatCannotBeHadIsWaitedFor()
{
    ScriptedApi api;
    const RunningEngine engine(1, 0, qsizetype(1) << 60);
    Pair pair(engine);
    QVERIFY(pair.isGood);
    QVERIFY(pair.send("in"));
    pair.endpoint->startRead(AnyNumber);
    watchFor();
    QCOMPARE(api.reads.calls(), 0);
    QCOMPARE(pair.sink->reports(), 0);
    pair.endpoint->cancel();
    QVERIFY(pair.hasReadEnd());
    QCOMPARE(pair.sink->ends(), QList<ReadEnd> { ReadEnd::Cancelled });
}

// --- The client goes ---

void tst_IocpEndpoint::deadClientEndsReading_data()
{
    addDeadClientRows();
}

void tst_IocpEndpoint::deadClientEndsReading()
{
    QFETCH(quint32, code);
    ScriptedApi api;
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);
    api.reads << [&](HANDLE, char *, DWORD, OVERLAPPED *) { return ScriptedApi::fail(code); };
    pair.endpoint->startRead(AnyNumber);
    QVERIFY(pair.hasReadEnd());
    QCOMPARE(pair.sink->ends(), QList<ReadEnd> { ReadEnd::PeerClosed });
    QVERIFY(!pair.sink->readError());
}

void tst_IocpEndpoint::deadClientInTheMiddleOfAMessageIsAnError()
{
    ScriptedApi api;
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);
    api.reads << [&](HANDLE, char *data, DWORD, OVERLAPPED *overlapped) {
        *data = 'x';
        api.queuePacket(overlapped, StatusBufferOverflow, 1);
        return ScriptedApi::fail(ERROR_IO_PENDING);
    } << [&](HANDLE, char *, DWORD, OVERLAPPED *overlapped) {
        api.queuePacket(overlapped, StatusPipeBroken, 0);
        return ScriptedApi::fail(ERROR_IO_PENDING);
    };
    pair.endpoint->startRead(AnyNumber);
    QVERIFY(pair.hasReadEnd());
    QCOMPARE(pair.sink->ends(), QList<ReadEnd> { ReadEnd::Failed });
    QCOMPARE(pair.sink->readError().error, NamedPipe::TruncatedMessage);
    QVERIFY(pair.sink->messages().isEmpty());
}

void tst_IocpEndpoint::deadClientEndsWritingButNotReading_data()
{
    addDeadClientRows();
}

void tst_IocpEndpoint::deadClientEndsWritingButNotReading()
{
    QFETCH(quint32, code);
    ScriptedApi api;
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);
    QVERIFY(pair.send("last words"));
    pair.client.close();
    api.writes <<
            [&](HANDLE, const char *, DWORD, OVERLAPPED *) { return ScriptedApi::fail(code); };
    QCOMPARE(pair.write({ "too late" }).status, WriteProgress::PeerGone);
    pair.endpoint->startRead(AnyNumber);
    QVERIFY(pair.hasMessages(1));
    QCOMPARE(pair.sink->messages(), QByteArrayList { QByteArray("last words") });
    pair.endpoint->startRead(AnyNumber);
    QVERIFY(pair.hasReadEnd());
    QCOMPARE(pair.sink->ends(), QList<ReadEnd> { ReadEnd::PeerClosed });
}

// --- Cancelling ---

void tst_IocpEndpoint::readCancelledByOthersIsDoneAgain()
{
    ScriptedApi api;
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);
    api.reads << [&](HANDLE, char *, DWORD, OVERLAPPED *overlapped) {
        api.queuePacket(overlapped, StatusCancelled, 0);
        return ScriptedApi::fail(ERROR_IO_PENDING);
    };
    pair.endpoint->startRead(AnyNumber);
    QVERIFY(pair.send("still there"));
    QVERIFY(pair.hasMessages(1));
    QVERIFY(pair.sink->ends().isEmpty());
}

void tst_IocpEndpoint::tooLargeMessageEndsReading_data()
{
    QTest::addColumn<qsizetype>("size");
    QTest::newRow("fits the buffer") << qsizetype(1001);
    QTest::newRow("larger than the buffer") << BufferSize + 1;
    QTest::newRow("much larger") << qsizetype(60000);
}

void tst_IocpEndpoint::tooLargeMessageEndsReading()
{
    QFETCH(qsizetype, size);
    const qint64 limit = qMin<qint64>(size - 1, 50000);
    const RunningEngine engine(1, limit);
    Pair pair(engine);
    QVERIFY(pair.isGood);
    QVERIFY(pair.send(payload(limit)));
    pair.endpoint->startRead(AnyNumber);
    QVERIFY(pair.hasMessages(1));
    QVERIFY(pair.send(payload(size)));
    pair.endpoint->startRead(AnyNumber);
    QVERIFY(pair.hasReadEnd());
    QCOMPARE(pair.sink->messages(), QByteArrayList { payload(limit) });
    QCOMPARE(pair.sink->ends(), QList<ReadEnd> { ReadEnd::Failed });
    QCOMPARE(pair.sink->readError().error, NamedPipe::MessageTooLarge);
    QCOMPARE(pair.sink->reports(), 2);
}

void tst_IocpEndpoint::cancelEndsEverythingOnce()
{
    const RunningEngine engine(2);
    Pair pair(engine);
    QVERIFY(pair.isGood);
    pair.endpoint->startRead(AnyNumber);
    QCOMPARE(pair.write({ payload(1 << 20) }).status,
             WriteProgress::Pending); // the client does not read
    pair.endpoint->cancel();
    pair.endpoint->cancel();
    QVERIFY(pair.hasReadEnd());
    QVERIFY(pair.writeEnd());
    watchFor();
    QCOMPARE(pair.sink->ends(), QList<ReadEnd> { ReadEnd::Cancelled });
    QCOMPARE(pair.writeEnd()->status, WriteProgress::Cancelled);
    QCOMPARE(pair.sink->reports(), 2);
}

void tst_IocpEndpoint::cancelThatFindsNothingIsFine()
{
    ScriptedApi api;
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);
    // Completed, but its packet has not been handled: the system has nothing to cancel.
    OVERLAPPED *read = nullptr;
    api.reads << [&](HANDLE, char *data, DWORD, OVERLAPPED *overlapped) {
        *data = 'x';
        read = overlapped;
        return ScriptedApi::fail(ERROR_IO_PENDING);
    };
    api.cancels << [](HANDLE, OVERLAPPED *) { return ScriptedApi::fail(ERROR_NOT_FOUND); };
    pair.endpoint->startRead(AnyNumber);
    pair.endpoint->cancel();
    QCOMPARE(pair.sink->reports(), 0);
    api.queuePacket(read, StatusSuccess, 1);
    QVERIFY(pair.hasMessages(1));
    QCOMPARE(pair.sink->reports(), 1);
}

void tst_IocpEndpoint::cancelMayComeAtAnyMoment()
{
    for (int i = 0; i < 200; ++i) {
        const RunningEngine engine(2);
        Pair pair(engine);
        QVERIFY(pair.isGood);
        std::atomic<int> ready { 0 };
        const auto together = [&ready] {
            for (++ready; ready < 2;) { }
        };
        std::thread canceller([&] {
            together();
            pair.endpoint->cancel();
        });
        together();
        pair.endpoint->startRead(AnyNumber);
        const WriteProgress progress = pair.write({ "1", "2", payload(1 << 20) });
        canceller.join();
        QVERIFY(pair.hasReadEnd());
        QCOMPARE(pair.sink->ends(), QList<ReadEnd> { ReadEnd::Cancelled });
        if (progress.status == WriteProgress::Pending)
            QVERIFY(pair.writeEnd());
        const auto status = progress.status == WriteProgress::Pending ? pair.writeEnd()->status
                                                                      : progress.status;
        QCOMPARE(status, WriteProgress::Cancelled);
    }
}

void tst_IocpEndpoint::nothingIsStartedAfterCancel()
{
    ScriptedApi api;
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);
    pair.endpoint->cancel();
    pair.endpoint->startRead(AnyNumber);
    QCOMPARE(pair.sink->ends(), QList<ReadEnd> { ReadEnd::Cancelled });
    QCOMPARE(pair.write({ "no" }).status, WriteProgress::Cancelled);
    pair.endpoint->watch();
    QCOMPARE(api.reads.calls() + api.watches.calls(), 0);
    QCOMPARE(api.writes.calls(), 0);
}

// --- Watching for the hang-up ---

void tst_IocpEndpoint::hangUpIsSeenWhileNobodyReads()
{
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);
    pair.endpoint->watch();
    watchFor();
    QCOMPARE(pair.sink->reports(), 0);
    pair.client.close();
    QVERIFY(waitWithoutEvents([&] { return pair.sink->hangUps() == 1; }));
    pair.endpoint->startRead(AnyNumber);
    QVERIFY(pair.hasReadEnd());
    QCOMPARE(pair.sink->ends(), QList<ReadEnd> { ReadEnd::PeerClosed });
}

void tst_IocpEndpoint::watchingTakesNothingAway()
{
    const RunningEngine engine(2);
    Pair pair(engine);
    QVERIFY(pair.isGood);
    const QByteArrayList sent { "", "", "a", "", payload(3 * BufferSize), "b", "", "", "c" };
    for (int i = 0; i < sent.size(); ++i) {
        pair.endpoint->watch(); // as after each message
        if (i % 3 == 0)
            watchFor(std::chrono::milliseconds(5)); // a message finds it watching, or not yet
        if (i % 2 == 0) {
            QVERIFY(pair.send(sent.at(i)));
            pair.endpoint->startRead(AnyNumber);
        } else {
            pair.endpoint->startRead(AnyNumber);
            QVERIFY(pair.send(sent.at(i)));
        }
        QVERIFY(pair.hasMessages(i + 1));
    }
    QCOMPARE(pair.sink->messages(), sent);
    QVERIFY(pair.sink->wasOnWorkers());

    // Several that nobody asks for: they wait in their order.
    for (const QByteArray &message : sent)
        QVERIFY(pair.send(message));
    watchFor();
    QCOMPARE(pair.sink->reports(), int(sent.size()));
    for (int i = 1; i <= sent.size(); ++i) {
        pair.endpoint->startRead(AnyNumber);
        QVERIFY(pair.hasMessages(int(sent.size()) + i));
    }
    QCOMPARE(pair.sink->messages(), sent + sent);
    QCOMPARE(pair.sink->hangUps(), 0);
}

// A connection watches when its first read is on its way.
void tst_IocpEndpoint::watchFindsAReadInFlight()
{
    ScriptedApi api;
    const RunningEngine engine(2);
    Pair pair(engine);
    QVERIFY(pair.isGood);
    pair.endpoint->startRead(AnyNumber);
    pair.endpoint->watch();
    QCOMPARE(api.watches.calls(), 0);
    QVERIFY(pair.send("read"));
    QVERIFY(pair.hasMessages(1));
    pair.endpoint->startRead(AnyNumber);
    pair.client.close();
    QVERIFY(pair.hasReadEnd());
    const int watches = api.watches.calls();
    pair.endpoint->watch();
    QCOMPARE(api.watches.calls(), watches);
    QCOMPARE(pair.sink->messages(), QByteArrayList { QByteArray("read") });
    QCOMPARE(pair.sink->ends(), QList<ReadEnd> { ReadEnd::PeerClosed });
    QCOMPARE(pair.sink->hangUps(), 0);
}

void tst_IocpEndpoint::failedWatchDoesNoHarm_data()
{
    QTest::addColumn<qint32>("status");
    QTest::newRow("no memory") << qint32(StatusInsufficientResources);
    QTest::newRow("cancelled by others") << qint32(StatusCancelled);
    QTest::newRow("anything else") << qint32(0xC00000BB); // STATUS_NOT_SUPPORTED
}

void tst_IocpEndpoint::failedWatchDoesNoHarm()
{
    QFETCH(qint32, status);
    ScriptedApi api;
    const RunningEngine engine(2);
    Pair pair(engine);
    QVERIFY(pair.isGood);
    OVERLAPPED *watch = nullptr;
    api.watches << ScriptedApi::pending(watch);
    pair.endpoint->watch();
    pair.endpoint->startRead(AnyNumber); // waits for the watch
    QCOMPARE(api.reads.calls(), 0);
    api.queuePacket(watch, status, 0);
    QVERIFY(pair.send("read"));
    QVERIFY(pair.hasMessages(1));
    QCOMPARE(pair.sink->messages(), QByteArrayList { QByteArray("read") });
    QVERIFY(pair.sink->ends().isEmpty());
}

void tst_IocpEndpoint::failedWatchBeginsAgain_data()
{
    QTest::addColumn<bool>("isAtOnce");
    QTest::addColumn<qint32>("status");
    QTest::newRow("no memory, at once") << true << qint32(StatusInsufficientResources);
    QTest::newRow("no memory, later") << false << qint32(StatusInsufficientResources);
    QTest::newRow("cancelled by others") << false << qint32(StatusCancelled);
}

void tst_IocpEndpoint::failedWatchBeginsAgain()
{
    QFETCH(bool, isAtOnce);
    QFETCH(qint32, status);
    ScriptedApi api;
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);
    api.watches.always(nullptr);
    for (int i = 0; i < 2; ++i) {
        api.watches << [&, isAtOnce, status](HANDLE, char *, DWORD, OVERLAPPED *overlapped) {
            if (isAtOnce)
                return ScriptedApi::fail(winErrorFromStatus(status));
            api.queuePacket(overlapped, status, 0);
            return ScriptedApi::fail(ERROR_IO_PENDING);
        };
    }
    pair.endpoint->watch();
    pair.client.close();
    QVERIFY(waitWithoutEvents([&] { return pair.sink->hangUps() == 1; }));
    QCOMPARE(api.watches.calls(), 3);
}

// --- The end ---

void tst_IocpEndpoint::closeFindsAReadThatWaitsForTheWatch()
{
    ScriptedApi api;
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);
    OVERLAPPED *watch = nullptr;
    api.watches << ScriptedApi::pending(watch);
    pair.endpoint->watch();
    pair.endpoint->startRead(AnyNumber);
    pair.endpoint->cancel();
    pair.endpoint->close();
    const std::weak_ptr<IocpEndpoint> alive = std::exchange(pair.endpoint, nullptr);
    api.queuePacket(watch, StatusCancelled, 0);
    QVERIFY(waitWithoutEvents([&] { return alive.expired(); }));
    QCOMPARE(pair.sink->reports(), 0);
    QCOMPARE(api.reads.calls(), 0);
}

void tst_IocpEndpoint::closeKeepsWhatWasSent()
{
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);
    pair.write({ "one", "", "three" });
    QVERIFY(pair.writeEnd());
    pair.endpoint->cancel();
    pair.endpoint->close();
    QCOMPARE(pair.endpoint->handle(), qintptr(-1));
    QCOMPARE(pair.receive(), "one");
    QCOMPARE(pair.receive(), "");
    QCOMPARE(pair.receive(), "three");
    QCOMPARE(pair.receive(), std::nullopt);
    QCOMPARE(GetLastError(), DWORD(ERROR_BROKEN_PIPE));
}

// An own write that waits for the client may outlive the handle on Windows.
void tst_IocpEndpoint::latePacketAfterCloseIsHarmless_data()
{
    QTest::addColumn<qint32>("status");
    QTest::newRow("accepted after all") << qint32(StatusSuccess);
    QTest::newRow("cancelled") << qint32(StatusCancelled);
    QTest::newRow("broken") << qint32(StatusPipeBroken);
    QTest::newRow("no memory") << qint32(StatusInsufficientResources);
}

void tst_IocpEndpoint::latePacketAfterCloseIsHarmless()
{
    QFETCH(qint32, status);
    ScriptedApi api;
    const RunningEngine engine;
    Pair pair(engine);
    QVERIFY(pair.isGood);
    OVERLAPPED *write = nullptr;
    OVERLAPPED *read = nullptr;
    api.writes << ScriptedApi::pending(write);
    api.reads << ScriptedApi::pending(read);
    api.cancels << [](HANDLE, OVERLAPPED *) { return ScriptedApi::fail(ERROR_NOT_FOUND); };
    QByteArray data = payload(100);
    const char *bytes = data.constData();
    QCOMPARE(pair.write({ data, "never" }).status, WriteProgress::Pending);
    pair.endpoint->startRead(AnyNumber);
    pair.endpoint->cancel();
    pair.endpoint->close();

    // Nobody else holds the endpoint or the data now.
    const std::weak_ptr<IocpEndpoint> alive = std::exchange(pair.endpoint, nullptr);
    pair.outgoing.clear();
    data = QByteArray();
    QVERIFY(!alive.expired());
    QCOMPARE(QByteArray(bytes, 100), payload(100));

    api.queuePacket(write, status, 0);
    api.queuePacket(read, status, 0);
    QVERIFY(waitWithoutEvents([&] { return alive.expired(); }));
    QCOMPARE(pair.sink->reports(), 0);
    QCOMPARE(api.writes.calls(), 1);
    QCOMPARE(api.reads.calls(), 1);
}

void tst_IocpEndpoint::operationThatNeverComesBackKeepsItsMemory()
{
    ScriptedApi api;
    std::weak_ptr<IocpEndpoint> endpoint;
    {
        const RunningEngine engine(2);
        Pair pair(engine);
        QVERIFY(pair.isGood);
        api.reads << [](HANDLE, char *, DWORD, OVERLAPPED *) {
            return ScriptedApi::fail(ERROR_IO_PENDING);
        };
        pair.endpoint->startRead(AnyNumber);
        pair.endpoint->cancel();
        pair.endpoint->close();
        endpoint = std::exchange(pair.endpoint, nullptr);
        QElapsedTimer timer;
        timer.start();
        QTest::ignoreMessage(QtWarningMsg,
                             "1 operations never came back; their memory is left to the system");
        engine->shutdown();
        QVERIFY2(timer.elapsed() < 2000, qPrintable(QString::number(timer.elapsed())));
        QCOMPARE(pair.sink->reports(), 0);
    }
    QVERIFY(!endpoint.expired());
}

QTEST_GUILESS_MAIN(tst_IocpEndpoint)

#include "tst_iocp_endpoint.moc"
