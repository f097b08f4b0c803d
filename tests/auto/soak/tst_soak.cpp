// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "childprocess.h"
#include "payload.h"
#include "platformflags.h"
#include "processfacts.h"
#include "rawpeer.h"
#include "scratchname.h"

#include <QtNamedPipes/NamedPipeClientManager>
#include <QtNamedPipes/NamedPipeServer>

#include <QtCore/qdeadlinetimer.h>
#include <QtCore/qelapsedtimer.h>
#include <QtCore/qendian.h>
#include <QtCore/qeventloop.h>
#include <QtCore/qhash.h>
#include <QtCore/qrandom.h>
#include <QtTest/QtTest>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <optional>

#ifdef __GLIBC__
#    include <malloc.h>
#endif

using namespace Qt::StringLiterals;
using std::chrono::milliseconds;

// A message says who sends it and its number; the bytes that follow depend on both. So whoever gets
// it, the server or the client that hears its echo, can tell what it has to be to the last byte.
namespace Stamp {

constexpr quint32 magic = 0x51A4'50CC;
constexpr int headerSize = 12;
constexpr int largest = 300'000;
constexpr quint32 broadcaster = 0; // sessions count from 1

static const QByteArray &bytes()
{
    static const QByteArray all = payload(2 * largest);
    return all;
}

static const char *bodyOf(quint32 session, quint32 number)
{
    return bytes().constData() + (session * 7919u + number * 104'729u) % quint32(largest);
}

static QByteArray make(quint32 session, quint32 number, int bodySize)
{
    QByteArray message(headerSize + bodySize, Qt::Uninitialized);
    char *const data = message.data();
    qToBigEndian(magic, data);
    qToBigEndian(session, data + 4);
    qToBigEndian(number, data + 8);
    std::memcpy(data + headerSize, bodyOf(session, number), size_t(bodySize));
    return message;
}

struct Read
{
    quint32 session;
    quint32 number;
};

/// Nothing when a byte of it is wrong.
static std::optional<Read> read(const QByteArray &message)
{
    const qsizetype bodySize = message.size() - headerSize;
    if (bodySize < 0 || bodySize > largest || qFromBigEndian<quint32>(message.constData()) != magic)
        return std::nullopt;
    const Read result { qFromBigEndian<quint32>(message.constData() + 4),
                        qFromBigEndian<quint32>(message.constData() + 8) };
    if (std::memcmp(message.constData() + headerSize, bodyOf(result.session, result.number),
                    size_t(bodySize)))
        return std::nullopt;
    return result;
}

} // namespace Stamp

/// What all threads of a soak add to, and what they find wrong.
struct Tally
{
    std::atomic<quint64> messages { 0 }; ///< that the server and the clients have received
    std::atomic<quint64> bytes { 0 };
    std::atomic<quint64> connects { 0 }; ///< that the server has seen
    std::atomic<quint64> ends { 0 };
    std::atomic<int> sessions { 0 };
    std::atomic<int> undisturbed {
        0
    }; ///< sessions without a stop of the server: all has to arrive
    std::atomic<int> kills { 0 };
    std::atomic<quint64> lost { 0 };

    void fault(const QString &text)
    {
        const std::lock_guard lock(m_mutex);
        if (m_faults.size() < 20)
            m_faults.append(text);
    }
    QStringList faults() const
    {
        const std::lock_guard lock(m_mutex);
        return m_faults;
    }

    void arrived(const QByteArray &message)
    {
        ++messages;
        bytes += quint64(message.size());
    }
    /// The server has seen the end of a session, and has got so many of its messages.
    void settle(quint32 session, int received)
    {
        const std::lock_guard lock(m_mutex);
        m_received.insert(session, received);
    }
    std::optional<int> receivedOf(quint32 session)
    {
        const std::lock_guard lock(m_mutex);
        const auto found = m_received.constFind(session);
        return found == m_received.cend() ? std::nullopt : std::optional<int>(*found);
    }
    void forgetSessions()
    {
        const std::lock_guard lock(m_mutex);
        m_received.clear();
    }

private:
    mutable std::mutex m_mutex;
    QStringList m_faults;
    QHash<quint32, int> m_received;
};

/// The server of a lap, which comes and goes. Lives on the thread of the test.
class SoakServer
{
public:
    SoakServer(const QString &name, Tally &tally) : m_name(name), m_tally(tally) { }

    /// Odd while the server is not there or is about to go.
    int generation() const { return m_generation; }

    bool start(QRandomGenerator &random)
    {
        if (!m_server)
            make();
        m_server->setFreeThreadingEvents(random.bounded(2));
        m_server->setNumThreadsIOCP(random.bounded(1, 9));
        m_server->setListenBacklogSize(random.bounded(1, 33));
        m_server->setMaximumMessageSize(16 * 1024 * 1024);
        if (!m_server->start()) {
            m_tally.fault(u"start: "_s + m_server->errorString());
            return false;
        }
        ++m_generation;
        return true;
    }

    void end(QRandomGenerator &random)
    {
        ++m_generation;
        switch (random.bounded(3)) {
        case 0:
            m_server->stopWhenSent(200);
            break;
        case 1:
            m_server->stop();
            break;
        case 2: // without a word: nobody is told of the connections
            m_server.reset();
            m_tally.ends = m_tally.connects.load();
            return;
        }
        const NamedPipe::ServerStatistics statistics = m_server->statistics();
        if (statistics.connectionsAccepted != statistics.connectionsClosed)
            m_tally.fault(u"accepted %1, closed %2"_s.arg(statistics.connectionsAccepted)
                                  .arg(statistics.connectionsClosed));
        if (m_tally.connects != m_tally.ends)
            m_tally.fault(
                    u"%1 connected, %2 disconnected"_s.arg(m_tally.connects).arg(m_tally.ends));
    }

    void broadcast(quint32 number, int size)
    {
        m_server->asyncBroadcast(Stamp::make(Stamp::broadcaster, number, size));
    }

private:
    void make()
    {
        m_server = std::make_unique<NamedPipeServer>(m_name);
        NamedPipeServer *const server = m_server.get();
        // Directly: in free-threaded mode on the workers.
        QObject::connect(server, &NamedPipeServer::clientConnected, [this] { ++m_tally.connects; });
        QObject::connect(server, &NamedPipeServer::clientMessageReceived,
                         [this](const NamedPipeServerConnectionPtr &client, const QVariant &,
                                const QByteArray &message) { receive(*client, message); });
        QObject::connect(server, &NamedPipeServer::clientErrorOccurred,
                         [this](const auto &, NamedPipe::Error error, const QString &text) {
                             // Those who die in the middle of a message or while they are written to.
                             if (error != NamedPipe::TruncatedMessage
                                 && error != NamedPipe::ConnectionBroken
                                 && error != NamedPipe::NotConnected
                                 && error != NamedPipe::MessageTooLarge)
                                 m_tally.fault(u"clientErrorOccurred: "_s + text);
                         });
        QObject::connect(server, &NamedPipeServer::errorOccurred,
                         [this](NamedPipe::Error, const QString &text) {
                             m_tally.fault(u"errorOccurred: "_s + text);
                         });
        QObject::connect(server, &NamedPipeServer::clientDisconnected,
                         [this](const NamedPipeServerConnectionPtr &client) {
                             ++m_tally.ends;
                             const Progress progress = progressOf(*client);
                             if (progress.session)
                                 m_tally.settle(progress.session, int(progress.next));
                         });
    }

    /// What is known of a client lives with its connection.
    struct Progress
    {
        quint32 session;
        quint32 next;
    };
    static Progress progressOf(const NamedPipeServerConnection &client)
    {
        const quint64 both = client.customData().toULongLong();
        return { quint32(both >> 32), quint32(both) };
    }

    void receive(NamedPipeServerConnection &client, const QByteArray &message)
    {
        m_tally.arrived(message);
        const auto [session, next] = progressOf(client);
        client.setCustomData(quint64(session) << 32 | (next + 1));
        if (message == m_ofAFlood || (!session && numberOf(message) == int(next))
            || message == "hold" || message == m_ofTheEnd)
            return; // from a child that is going to be killed, or the last of a client
        const auto read = Stamp::read(message);
        if (!read || read->number != next || (session && read->session != session)) {
            m_tally.fault(u"the server got %1 bytes that are not message %2 of session %3"_s
                                  .arg(message.size())
                                  .arg(next)
                                  .arg(session));
            return;
        }
        client.setCustomData(quint64(read->session) << 32 | (next + 1));
        client.asyncWrite(message);
    }

    const QString m_name;
    Tally &m_tally;
    const QByteArray m_ofAFlood = payload(500); // see peerprocess
    const QByteArray m_ofTheEnd = payload(moreThanTheSystemBuffers);
    std::unique_ptr<NamedPipeServer> m_server;
    std::atomic<int> m_generation { 1 };
};

/// One thread that does one thing after the other to the server.
class Actor
{
public:
    Actor(const QString &name, const SoakServer &server, Tally &tally, quint32 seed)
        : m_name(name),
          m_server(server),
          m_tally(tally),
          m_random(seed)
    {
    }

    void run(const std::atomic<bool> &over)
    {
        const QEventLoop loop; // gives the thread its events
        NamedPipeClientManager manager;
        while (!over) {
            manager.stop(); // so that the settings count
            manager.setFreeThreadingEvents(m_random.bounded(2));
            manager.setNumThreadsIOCP(m_random.bounded(1, 9));
            for (int left = m_random.bounded(1, 12); left > 0 && !over; --left)
                act(manager);
        }
    }

private:
    void act(NamedPipeClientManager &manager)
    {
        const int dice = m_random.bounded(100);
        if (dice < 40)
            talk(manager, m_random.bounded(1, 50));
        else if (dice < 55)
            talk(manager, m_random.bounded(500, 3000)); // a flood
        else if (dice < 75)
            talkSlowly();
        else if (dice < 97)
            comeAndGo(manager);
        else
            kill();
    }

    int anySize()
    {
        const int dice = m_random.bounded(100);
        if (dice == 0)
            return m_random.bounded(Stamp::largest);
        return m_random.bounded(dice < 10 ? 20'000 : 300);
    }

    /// What a client's slots find out, on whatever thread.
    struct Talk
    {
        std::atomic<bool> connected { false };
        std::atomic<bool> over { false };
        std::atomic<int> echoes { 0 };
        std::atomic<int> answers { 0 }; ///< to its writes
    };

    std::function<void(const NamedPipeClientConnectionPtr &)> listener(
            const std::shared_ptr<Talk> &talk, quint32 session)
    {
        return [this, talk, session](const NamedPipeClientConnectionPtr &made) {
            NamedPipeClientConnection *const client = made.data();
            using Client = NamedPipeClientConnection;
            QObject::connect(client, &Client::connected, [talk] { talk->connected = true; });
            QObject::connect(client, &Client::messageReceived,
                             [this, talk, session](const QVariant &, const QByteArray &message) {
                                 talk->echoes += isEcho(message, session, talk->echoes);
                             });
            QObject::connect(client, &Client::messageSent, [talk] { ++talk->answers; });
            QObject::connect(client, &Client::messageNotSent, [talk] { ++talk->answers; });
            QObject::connect(client, &Client::disconnected, [talk] { talk->over = true; });
            QObject::connect(client, &Client::errorOccurred, [talk] {
                if (!talk->connected) // the end of a connection comes as disconnected()
                    talk->over = true;
            });
        };
    }

    /// False for a broadcast.
    bool isEcho(const QByteArray &message, quint32 session, int expected)
    {
        m_tally.arrived(message);
        const auto read = Stamp::read(message);
        if (read && read->session == Stamp::broadcaster)
            return false;
        if (!read || read->session != session || int(read->number) != expected)
            m_tally.fault(u"session %1 got %2 bytes that are not echo %3"_s.arg(session)
                                  .arg(message.size())
                                  .arg(expected));
        return true;
    }

    void talk(NamedPipeClientManager &manager, int count)
    {
        const int generation = m_server.generation();
        const quint32 session = quint32(++m_tally.sessions);
        const auto talk = std::make_shared<Talk>();
        NamedPipeClientConnectionPtr client =
                manager.connectToServer(m_name, listener(talk, session));
        await("the connection", [&] { return talk->connected || talk->over; });
        int written = 0;
        const auto write = [&](int more) {
            while (more-- > 0
                   && client->asyncWrite(Stamp::make(session, quint32(written), anySize())))
                ++written;
        };
        write(count);
        await("the echoes", [&] { return talk->echoes == written || talk->over; });
        const int echoes = talk->echoes;
        if (m_server.generation() == generation)
            missed(session, "echoes", count, echoes);
        const int extra = m_random.bounded(1, 20);
        switch (m_random.bounded(3)) {
        case 0:
            client->asyncClose();
            break;
        case 1: // what it says at last arrives, too
            write(extra);
            client->asyncClose(NamedPipe::SendPending);
            count += extra;
            break;
        case 2:
            write(extra);
            client.reset();
            count += extra;
            break;
        }
        if (client && talk->connected) {
            await("the end", [&] { return talk->over.load(); });
            if (talk->answers != written)
                m_tally.fault(u"session %1: %2 answers to %3 writes"_s.arg(session)
                                      .arg(talk->answers)
                                      .arg(written));
        }
        judge(session, generation, count);
    }

    /// Sends a lot before it reads any of it, and ends with half a message.
    void talkSlowly()
    {
        const int generation = m_server.generation();
        const quint32 session = quint32(++m_tally.sessions);
        RawPeer peer;
        if (!peer.connectTo(m_name)) {
            if (m_server.generation() == generation && generation % 2 == 0)
                m_tally.fault(
                        u"no connection, although the server runs: %1"_s.arg(peer.lastError()));
            return;
        }
        const int count = m_random.bounded(1, 200);
        bool ok = true;
        for (int number = 0; ok && number < count; ++number)
            ok = peer.sendMessage(Stamp::make(session, quint32(number), anySize()));
        const int pause = m_random.bounded(1, 20);
        int echoes = 0;
        while (ok && echoes < count) {
            if (echoes % pause == 0)
                watchFor(milliseconds(1));
            const auto message = peer.receiveMessage();
            ok = message.has_value();
            echoes += ok && isEcho(*message, session, echoes);
        }
        if (m_server.generation() == generation)
            missed(session, "echoes", count, echoes);
        if (m_random.bounded(2)) { // the system may take all of it, or a part
            peer.sendMessage(payload(moreThanTheSystemBuffers), milliseconds(0));
            peer.abort();
        } else if (!PlatformFlags::runningOnWindows() && m_random.bounded(2)) {
            peer.sendRaw(QByteArray("\0\0\x10\0half", 8));
        }
        peer.close();
        judge(session, generation, count);
    }

    void comeAndGo(NamedPipeClientManager &manager)
    {
        for (int left = m_random.bounded(1, 30); left > 0; --left) {
            if (m_random.bounded(2)) {
                manager.connectToServer(m_name); // and drops it
            } else {
                RawPeer peer;
                peer.connectTo(m_name);
            }
        }
        watchFor(milliseconds(0));
    }

    void kill()
    {
        static const QStringList modes { u"hold"_s, u"flood"_s, u"die-writing"_s, u"dial"_s };
        ChildProcess child({ modes.at(m_random.bounded(int(modes.size()))), m_name, u"20"_s });
        if (!child.waitForOutput("\n", 2 * patience)) // connected, dialing or refused
            m_tally.fault(u"a child process said nothing"_s);
        watchFor(milliseconds(m_random.bounded(30)));
        child.kill();
        ++m_tally.kills;
    }

    void await(const char *what, const std::function<bool()> &condition)
    {
        if (!waitUntil(condition, 2 * patience))
            m_tally.fault(u"waited in vain for %1"_s.arg(QLatin1String(what)));
    }

    /// The end of a session that has sent \a count messages, some of which a server that was stopped
    /// has not got.
    void judge(quint32 session, int generation, int count)
    {
        if (generation % 2)
            return;
        const auto disturbed = [&] { return m_server.generation() != generation; };
        await("the server to see the end of a session",
              [&] { return disturbed() || m_tally.receivedOf(session); });
        const std::optional<int> received = m_tally.receivedOf(session);
        if (disturbed() || !received)
            return;
        missed(session, "messages", count, *received);
        ++m_tally.undisturbed;
    }

    void missed(quint32 session, const char *what, int expected, int got)
    {
        if (got >= expected || m_server.generation() % 2)
            return;
        m_tally.lost += quint64(expected - got);
        m_tally.fault(u"session %1: %2 of %3 %4"_s.arg(session).arg(got).arg(expected).arg(
                QLatin1String(what)));
    }

    const QString m_name;
    const SoakServer &m_server;
    Tally &m_tally;
    QRandomGenerator m_random;
};

/// Everything at once, for QTNAMEDPIPES_SOAK_SECONDS, as QTNAMEDPIPES_SOAK_SEED decides.
class tst_Soak : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void everythingAtOnceForAWhile();

private:
    struct Resources
    {
        qint64 memory = 0;
        int handles = 0;
        int threads = 0;
    };
    static Resources resources();
    static int numberFrom(const char *variable, int otherwise);
};

int tst_Soak::numberFrom(const char *variable, int otherwise)
{
    bool ok = false;
    const int number = qEnvironmentVariableIntValue(variable, &ok);
    return ok && number > 0 ? number : otherwise;
}

tst_Soak::Resources tst_Soak::resources()
{
#ifdef __GLIBC__
    ::malloc_trim(0); // what is free does not count
#endif
    return { ProcessFacts::residentBytes(), ProcessFacts::openHandles(), ProcessFacts::threads() };
}

void tst_Soak::everythingAtOnceForAWhile()
{
    const int seconds = numberFrom("QTNAMEDPIPES_SOAK_SECONDS", 20);
    const int seed = numberFrom("QTNAMEDPIPES_SOAK_SEED", 20261123);
    qInfo("QTNAMEDPIPES_SOAK_SECONDS=%d QTNAMEDPIPES_SOAK_SEED=%d", seconds, seed);

    QRandomGenerator random { quint32(seed) };
    Tally tally;
    const QString name = scratchName();
    SoakServer server(name, tally);
    // Laps, between which nothing runs and everything can be counted.
    const milliseconds lapTime(std::clamp(seconds * 1000 / 12, 500, 10'000));
    const QDeadlineTimer end(milliseconds(seconds * 1000));
    QList<Resources> laps;
    int restarts = 0;
    while (tally.faults().isEmpty() && (laps.size() < 3 || !end.hasExpired())) {
        const QDeadlineTimer lapEnd(lapTime);
        std::atomic<bool> over { false };
        QVERIFY2(server.start(random), qPrintable(tally.faults().join(u'\n')));
        std::vector<std::future<void>> actors;
        for (int index = 0; index < 4; ++index) {
            actors.push_back(runClient([&, actorSeed = random.generate()] {
                Actor(name, server, tally, actorSeed).run(over);
            }));
        }
        while (!lapEnd.hasExpired()) {
            const QDeadlineTimer pace(random.bounded(10, 400));
            for (quint32 number = 0; !pace.hasExpired() && !lapEnd.hasExpired(); ++number) {
                watchFor(milliseconds(20));
                server.broadcast(number, random.bounded(1000));
            }
            server.end(random);
            ++restarts;
            if (!server.start(random))
                break;
        }
        over = true;
        for (const auto &actor : actors) {
            if (!waitForTask(actor, 4 * patience))
                qFatal("a client hangs; seed %d", seed); // its thread could not be left behind
        }
        server.end(random);
        actors.clear();
        tally.forgetSessions();
        laps.append(resources());
    }

    QVERIFY2(tally.faults().isEmpty(),
             qPrintable(u"seed %1, lap %2:\n"_s.arg(seed).arg(laps.size())
                        + tally.faults().join(u'\n')));

    // The first third is a warm-up: the worst of it is what the rest is compared with.
    const auto warmUp = laps.cbegin() + (laps.size() + 2) / 3;
    Resources before;
    for (auto lap = laps.cbegin(); lap != warmUp; ++lap) {
        before.memory = std::max(before.memory, lap->memory);
        before.handles = std::max(before.handles, lap->handles);
        before.threads = std::max(before.threads, lap->threads);
    }
    // Windows has some of its own, for its pools of threads.
    const int tolerance = PlatformFlags::runningOnWindows() ? 16 : 0;
    Resources after;
    const bool flat = waitUntil(
            [&] {
                after = resources();
                return after.handles <= before.handles + tolerance
                        && after.threads <= before.threads + tolerance;
            },
            milliseconds(10'000));
    constexpr double mebi = 1024 * 1024;
    qInfo("%d s, %d laps: %llu messages, %llu bytes, %llu connects, %d sessions (%d undisturbed), "
          "%d kills, %d restarts, %llu lost",
          seconds, int(laps.size()), tally.messages.load(), tally.bytes.load(),
          tally.connects.load(), tally.sessions.load(), tally.undisturbed.load(),
          tally.kills.load(), restarts, tally.lost.load());
    qInfo("after the warm-up and at the end: memory %.1f and %.1f MiB, handles %d and %d, "
          "threads %d and %d",
          double(before.memory) / mebi, double(after.memory) / mebi, before.handles, after.handles,
          before.threads, after.threads);
    QVERIFY(tally.undisturbed > 0);
    QVERIFY(tally.messages > 0);
    QVERIFY2(flat, "handles or threads are left behind");
    // What the allocator keeps differs from lap to lap by less than this. With a sanitizer nothing can
    // be said: what is freed stays in its quarantine, and what it remembers of each allocation grows.
    if (!PlatformFlags::runningUnderSanitizer())
        QVERIFY(after.memory <= before.memory + qint64(16 * mebi));
}

int main(int argc, char **argv)
{
#ifdef __GLIBC__
    // Each arena keeps the memory of the worst moment that it has had, and threads meet new ones for
    // minutes. With one of them, memory that grows is memory that is not given back.
    ::mallopt(M_ARENA_MAX, 1);
#endif
    // Qt Test ends a function after five minutes; run-suite.sh or the caller knows better.
    qputenv("QTEST_FUNCTION_TIMEOUT", "2000000000");
    QCoreApplication app(argc, argv);
    tst_Soak test;
    QTEST_SET_MAIN_SOURCE_PATH
    return QTest::qExec(&test, argc, argv);
}
#include "tst_soak.moc"
