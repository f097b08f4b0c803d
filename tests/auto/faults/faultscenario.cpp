// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "faultscenario.h"

#include "payload.h"
#include "platformflags.h"
#include "processfacts.h"
#include "scratchname.h"

#include <QtTest/qtestcase.h>

#include <algorithm>

using namespace Qt::StringLiterals;

// A start or an attempt that fails is done again. So often in a row only when it always fails.
static constexpr int MostTries = 200;
// Some thirty times what a run makes: who spins makes as many in a moment.
static constexpr int MostCalls = 20'000;
static constexpr int BroadcastCookie = -1;

/// What a client sends, and gets back: one byte, several buffers, more than a socket takes.
static QList<QByteArray> script(int attempt)
{
    QList<QByteArray> messages;
    for (int size : { 1, 9'000, 300'000, 40 })
        messages.append(payload(size, quint32(attempt * 4 + messages.size())));
    return messages;
}
static const qsizetype ScriptLength = 4;
static const QByteArray BroadcastData("to all");

static bool isPrefix(const QList<QByteArray> &part, const QList<QByteArray> &whole)
{
    return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
}

FaultScenario::FaultScenario(const Mode &mode) : m_server(scratchName()), m_serverEvents(&m_server)
{
    m_server.setMessageBufferSize(4096);
    m_server.setListenBacklogSize(2);
    m_server.setFreeThreadingEvents(mode.isFreeThreaded);
    m_server.setNumThreadsIOCP(mode.workers);
    m_server.setContinuouslyReadFromPipe(!mode.asksToRead);
    m_server.setAccessOptions(mode.isFreeThreaded ? NamedPipe::UserAccess : NamedPipe::WorldAccess);
    m_manager.setMessageBufferSize(4096);
    m_manager.setFreeThreadingEvents(mode.isFreeThreaded);
    m_manager.setNumThreadsIOCP(mode.workers);
    m_manager.setContinuouslyReadFromPipe(!mode.asksToRead);
    m_manager.setServerAccess(mode.isFreeThreaded ? NamedPipe::CurrentUser : NamedPipe::AnyUser);
    m_manager.setConnectTimeout(-1); // who is busy is tried again until it is not
    Faults::litter(m_server.pipeName());
    const bool asks = mode.asksToRead;
    m_serverEvents.onConnected() = [asks](const NamedPipeServerConnectionPtr &connection) {
        if (asks)
            connection->asyncRead();
    };
    m_serverEvents.onMessage() = [asks](const NamedPipeServerConnectionPtr &connection,
                                        const QVariant &, const QByteArray &data) {
        const int taken = connection->customData().toInt();
        if (connection->asyncWrite(data, taken))
            connection->setCustomData(taken + 1);
        if (asks)
            connection->asyncRead();
    };
    m_clientEvents.onMessage() = [asks](NamedPipeClientConnection &connection, const QVariant &,
                                        const QByteArray &) {
        if (asks)
            connection.asyncRead();
    };
    m_clientEvents.onConnected() = [this, asks](NamedPipeClientConnection &connection) {
        if (asks)
            connection.asyncRead();
        const int attempt = connection.customData().toInt();
        int cookie = attempt * 100;
        for (const QByteArray &message : script(attempt)) {
            if (connection.asyncWrite(message, cookie)) {
                const std::lock_guard lock(m_mutex);
                m_taken[attempt].append(cookie);
            }
            ++cookie;
        }
    };
}

QList<QWeakPointer<QObject>> FaultScenario::objects() const
{
    QList<QWeakPointer<QObject>> all;
    for (const NamedPipeClientConnectionPtr &connection : m_attempts)
        all.append(connection);
    for (int i = 0; i < m_serverEvents.count(ServerEvent::Connected); ++i)
        all.append(m_serverEvents.connection(i));
    return all;
}

bool FaultScenario::fail(const QString &what)
{
    m_wrong = what;
    return false;
}

// --- What happens ---

bool FaultScenario::play()
{
    if (!start() || !exchange())
        return false;
    m_server.stop();
    if (!start() || !stopInTheMiddle() || !start() || !serves())
        return false;
    m_server.stop();
    m_manager.stop();
    if (!leavesNothing())
        return false;
    // One fault ends one thing at most, which both sides may notice.
    if (m_failures > Faults::harmfulStrikes())
        return fail(u"%1 failures"_s.arg(m_failures));
    if (Faults::callsMade() > MostCalls)
        return fail(u"%1 calls"_s.arg(Faults::callsMade()));
    return true;
}

/// What a stop could not remove, for it was refused, is no harm: the next start takes it over.
bool FaultScenario::leavesNothing()
{
    const auto traces = [this] { return Faults::tracesOf(m_server.pipeName()); };
    Faults::pause(true);
    if (!traces().isEmpty() && Faults::mayHaveLeftTraces()) {
        if (!m_server.start())
            return fail(u"start() after everything: %1"_s.arg(m_server.errorString()));
        m_server.stop();
    }
    Faults::pause(false);
    return traces().isEmpty() || fail(u"there is still %1"_s.arg(traces().join(u' ')));
}

bool FaultScenario::start()
{
    for (int i = 0; i < MostTries; ++i) {
        if (m_server.start())
            return isListed();
        ++m_failures;
        if (m_server.isRunning() || m_server.error() == NamedPipe::NoError
            || m_server.errorString().isEmpty())
            return fail(u"start() has failed and did not say so"_s);
    }
    return fail(u"start(): %1"_s.arg(m_server.errorString()));
}

/// Clients find the name; unless the system does not tell, or a fault has kept it from telling.
bool FaultScenario::isListed()
{
    const QStringList names = m_manager.findNamedPipes(m_server.pipeName());
    const bool mayBeMissing = !PlatformFlags::pipesCanBeListed() || Faults::strikes() > 0;
    return names == QStringList(m_server.pipeName()) || (names.isEmpty() && mayBeMissing)
            || fail(u"listed are: %1"_s.arg(names.join(u' ')));
}

void FaultScenario::dial()
{
    {
        const std::lock_guard lock(m_mutex);
        m_taken.append(QList<int>());
    }
    m_attempts.append(
            m_manager.connectToServer(m_server.pipeName(),
                                      [this](const NamedPipeClientConnectionPtr &connection) {
                                          connection->setCustomData(
                                                  m_clientEvents.watch(connection, m_manager));
                                      }));
}

/// Every message has come back.
bool FaultScenario::isComplete(int attempt) const
{
    return m_clientEvents.count(ClientEvent::Message, attempt) >= ScriptLength;
}

/// Nothing more can happen to it.
bool FaultScenario::isOver(int attempt) const
{
    return m_clientEvents.count(ClientEvent::Disconnected, attempt) > 0
            || (m_clientEvents.count(ClientEvent::Connected, attempt) == 0
                && m_clientEvents.count(ClientEvent::Error, attempt) > 0
                && !m_attempts[attempt]->isOpening());
}

/// Two clients send and receive, get a broadcast, and are closed: one by itself, one by the server.
bool FaultScenario::exchange()
{
    QList<int> clients;
    for (int tries = 0; clients.size() < 2; ++tries) {
        if (tries > MostTries)
            return fail(u"no client comes through"_s);
        QList<int> open;
        while (clients.size() + open.size() < 2) {
            open.append(int(m_attempts.size()));
            dial();
        }
        const auto isSettled = [this](int attempt) {
            return isComplete(attempt) || isOver(attempt);
        };
        if (!waitUntil([&] { return std::all_of(open.cbegin(), open.cend(), isSettled); }))
            return fail(u"a client waits for ever"_s);
        for (int attempt : std::as_const(open)) {
            if (isComplete(attempt))
                clients.append(attempt);
            else
                ++m_failures;
        }
    }

    const int recipients = m_server.asyncBroadcast(BroadcastData, BroadcastCookie);
    const auto hasBroadcast = [this](int attempt) {
        return m_clientEvents.count(ClientEvent::Message, attempt) > ScriptLength;
    };
    // A client that one of the last faults has hit gets none.
    if (!waitUntil([&] {
            return std::all_of(clients.cbegin(), clients.cend(), [&](int attempt) {
                return hasBroadcast(attempt) || isOver(attempt)
                        || (recipients < 2 && Faults::harmfulStrikes() > 0);
            });
        }))
        return fail(u"the broadcast to %1 clients did not arrive"_s.arg(recipients));

    m_attempts[clients[0]]->asyncClose(NamedPipe::SendPending);
    if (!waitUntil([&] { return isOver(clients[0]); }))
        return fail(u"asyncClose() of a client has no end"_s);
    if (!serves())
        return false;
    const auto connections = m_server.connections();
    for (const NamedPipeServerConnectionPtr &connection : connections)
        connection->asyncClose(NamedPipe::SendPending);
    if (!waitUntil([&] { return isOver(clients[1]); }))
        return fail(u"asyncClose() of the server has no end"_s);
    return true;
}

/// The server stops while its clients are connected and write.
bool FaultScenario::stopInTheMiddle()
{
    const int first = int(m_attempts.size());
    dial();
    dial();
    const auto hasBegun = [this](int attempt) {
        return m_clientEvents.count(ClientEvent::Connected, attempt) > 0 || isOver(attempt);
    };
    if (!waitUntil([&] { return hasBegun(first) && hasBegun(first + 1); }))
        return fail(u"a client does not connect"_s);
    m_server.stop();
    if (!waitUntil([&] { return isOver(first) && isOver(first + 1); }))
        return fail(u"a client does not notice that the server has stopped"_s);
    return true;
}

/// Without faults a new client comes through at once, whatever was before.
bool FaultScenario::serves()
{
    Faults::pause(true);
    const int fresh = int(m_attempts.size());
    dial();
    const bool comesBack =
            waitUntil([&] { return isComplete(fresh) || isOver(fresh); }) && isComplete(fresh);
    m_attempts[fresh]->asyncClose();
    const bool ends = comesBack && waitUntil([&] { return isOver(fresh); });
    Faults::pause(false);
    return ends
            || fail(u"the server does not serve a new client: %1"_s.arg(
                    m_clientEvents.texts().join(u"; "_s)));
}

// --- What must have happened ---

bool FaultScenario::isBalanced()
{
    for (int attempt = 0; attempt < m_attempts.size(); ++attempt) {
        if (!isBalanced(attempt))
            return false;
    }
    const int connected = m_serverEvents.count(ServerEvent::Connected);
    for (int i = 0; i < connected; ++i) {
        if (!isBalanced(m_serverEvents.connection(i)))
            return false;
    }
    const NamedPipe::ServerStatistics statistics = m_server.statistics();
    if (statistics.connectionsAccepted != statistics.connectionsClosed
        || m_server.connectionCount() != 0 || m_manager.connectionCount() != 0
        || connected != m_serverEvents.count(ServerEvent::Disconnected)
        || m_clientEvents.count(ClientEvent::Connected)
                != m_clientEvents.count(ClientEvent::Disconnected))
        return fail(u"the counters do not balance"_s);
    return true;
}

/// A client: each write has one answer; what came is what was sent, from the beginning.
bool FaultScenario::isBalanced(int attempt)
{
    const QString who = u"client %1: "_s.arg(attempt);
    const auto cookies = [this, attempt](ClientEvent::Kind kind) {
        QList<int> numbers;
        for (const QVariant &cookie : m_clientEvents.cookiesOf(kind, attempt))
            numbers.append(cookie.toInt());
        return numbers;
    };
    const QList<int> sent = cookies(ClientEvent::Sent);
    const QList<int> unsent = cookies(ClientEvent::NotSent);
    const QList<int> taken = m_taken[attempt]; // nobody writes any more
    if (sent + unsent != taken)
        return fail(who
                    + u"%1 writes were taken, %2 sent, %3 not sent"_s.arg(taken.size())
                              .arg(sent.size())
                              .arg(unsent.size()));
    if (isComplete(attempt) && !unsent.isEmpty())
        return fail(who + u"what came back was told as not sent"_s);
    QList<QByteArray> received = m_clientEvents.messagesOf(attempt);
    received.removeOne(BroadcastData);
    if (!isPrefix(received, script(attempt)))
        return fail(who + u"something else came back than was sent"_s);
    if (m_attempts[attempt]->bytesToWrite() != 0 || !isOver(attempt))
        return fail(who + u"has not ended"_s);
    return true;
}

/// The server's side: what came is the script of one of the clients, from the beginning; sent is
/// what was written, from the beginning; when not everything was, there is a reason.
bool FaultScenario::isBalanced(const NamedPipeServerConnectionPtr &connection)
{
    QList<QByteArray> received;
    QList<int> sent, wanted;
    bool hasError = false;
    const QList<ServerEvent> events = m_serverEvents.events();
    for (const ServerEvent &event : events) {
        if (event.connection != connection)
            continue;
        if (event.kind == ServerEvent::Message)
            received.append(event.data);
        else if (event.kind == ServerEvent::Sent && event.cookie != BroadcastCookie)
            sent.append(event.cookie.toInt());
        hasError = hasError || event.kind == ServerEvent::ClientError;
    }
    for (int i = 0; i < sent.size(); ++i)
        wanted.append(i);
    const NamedPipe::CloseReason reason = connection->closeReason();
    const int taken = connection->customData().toInt();
    const bool isOwnDoing =
            reason == NamedPipe::ServerStopped || reason == NamedPipe::ClosedByServer;
    bool isOfAClient = received.isEmpty();
    for (int attempt = 0; attempt < m_attempts.size() && !isOfAClient; ++attempt)
        isOfAClient = isPrefix(received, script(attempt));
    if (!isOfAClient)
        return fail(u"the server has received what no client has sent"_s);
    if (sent != wanted || sent.size() > taken)
        return fail(u"the server was told that %1 of %2 were sent"_s.arg(sent.size()).arg(taken));
    if (sent.size() < taken && !hasError && !isOwnDoing)
        return fail(u"the server has lost %1 messages and was not told"_s.arg(taken - sent.size()));
    if (connection->bytesToWrite() != 0)
        return fail(u"the server's side has not ended"_s);
    return true;
}

QString runScenario(const Mode &mode, const Faults::Plan &plan)
{
    const int handles = Faults::openHandles();
    int threads = 0;
    waitUntil([&threads] { // on Windows, waiting takes a thread of its own
        threads = ProcessFacts::threads();
        return true;
    });
    QString wrong;
    QList<QWeakPointer<QObject>> objects;
    {
        Faults::keepAllPackets(mode.hasAllPackets);
        FaultScenario scenario(mode);
        Faults::arm(plan);
        if (scenario.play())
            scenario.isBalanced();
        wrong = scenario.wrong();
        objects = scenario.objects();
    }
    Faults::pause(true);
    const auto isNull = [](const QWeakPointer<QObject> &object) { return object.isNull(); };
    if (wrong.isEmpty() && !std::all_of(objects.cbegin(), objects.cend(), isNull))
        wrong = u"a connection is left"_s;
    const auto isClean = [handles, threads] {
        return Faults::openHandles() <= handles && ProcessFacts::threads() <= threads;
    };
    if (wrong.isEmpty() && !waitUntil(isClean, std::chrono::seconds(5)))
        wrong = u"%1 handles and %2 threads before, %3 and %4 after"_s.arg(handles)
                        .arg(threads)
                        .arg(Faults::openHandles())
                        .arg(ProcessFacts::threads());
    if (wrong.isEmpty() && QTest::currentTestFailed())
        wrong = u"see above"_s; // a recorder has seen something
    return wrong.isEmpty() ? QString() : u"%1: %2"_s.arg(plan.text(), wrong);
}
