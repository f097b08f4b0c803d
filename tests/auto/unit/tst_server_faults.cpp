// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "epoll/unixcalls.h"
#include "payload.h"
#include "processfacts.h"
#include "rawpeer.h"
#include "scratchname.h"
#include "skipping.h"
#include "waiting.h"

#include <QtNamedPipes/NamedPipeServer>
#include <QtNamedPipes/NamedPipeServerConnection>

#include <QtCore/qdir.h>
#include <QtCore/qelapsedtimer.h>
#include <QtTest/QtTest>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <sys/un.h>
#include <unistd.h>

using namespace QtNamedPipes;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

// --- System calls that fail when the test says so ---

static UnixCalls real;

/// Of one system call: the next times it fails, with this code.
struct Fault
{
    std::atomic<int> times { 0 };
    std::atomic<int> code { 0 };
    std::atomic<int> calls { 0 }; ///< all of them, whether they fail or not

    void set(int newCode, int newTimes)
    {
        code = newCode;
        times = newTimes;
        calls = 0;
    }
    /// True when this call fails; errno is set then.
    bool strikes()
    {
        ++calls;
        for (int left = times; left > 0;) {
            if (times.compare_exchange_weak(left, left - 1)) {
                errno = code;
                return true;
            }
        }
        return false;
    }
};

static constexpr int always = 1 << 30;
static Fault createFault, controlFault, waitFault, eventFault, socketFault, bindFault, listenFault,
        acceptFault, readFault, sendFault;
static std::atomic<int> controlOperation { EPOLL_CTL_ADD }; ///< that controlFault strikes
static std::atomic<quint32> controlEvents { 0 }; ///< and only with one of these, when there are any
static std::atomic<int> longestRead { 0 }; ///< bytes that a read returns at most; 0: what it wants
static std::atomic<int> longestSend { 0 };

static int faultyControl(int epoll, int operation, int fd, epoll_event *event)
{
    if (operation == controlOperation && (!controlEvents || (event->events & controlEvents))
        && controlFault.strikes())
        return -1;
    return real.epoll_ctl(epoll, operation, fd, event);
}

static ssize_t faultySend(int fd, const msghdr *message, int flags)
{
    if (sendFault.strikes())
        return -1;
    if (longestSend == 0)
        return real.sendmsg(fd, message, flags);
    iovec first = message->msg_iov[0];
    first.iov_len = qMin(first.iov_len, size_t(longestSend));
    msghdr less = *message;
    less.msg_iov = &first;
    less.msg_iovlen = 1;
    return real.sendmsg(fd, &less, flags);
}

static ssize_t faultyRead(int fd, const iovec *vectors, int count)
{
    if (readFault.strikes())
        return -1;
    return real.readv(fd, vectors, count);
}

static void replaceCalls()
{
    UnixCalls &calls = unixCalls();
    real = calls;
    calls.epoll_create1 = [](int flags) {
        return createFault.strikes() ? -1 : real.epoll_create1(flags);
    };
    calls.epoll_ctl = faultyControl;
    calls.epoll_wait = [](int epoll, epoll_event *events, int maximum, int timeout) {
        return waitFault.strikes() ? -1 : real.epoll_wait(epoll, events, maximum, timeout);
    };
    calls.eventfd = [](unsigned value, int flags) {
        return eventFault.strikes() ? -1 : real.eventfd(value, flags);
    };
    calls.socket = [](int domain, int type, int protocol) {
        return socketFault.strikes() ? -1 : real.socket(domain, type, protocol);
    };
    calls.bind = [](int fd, const sockaddr *address, socklen_t length) {
        return bindFault.strikes() ? -1 : real.bind(fd, address, length);
    };
    calls.listen = [](int fd, int backlog) {
        return listenFault.strikes() ? -1 : real.listen(fd, backlog);
    };
    calls.accept4 = [](int fd, sockaddr *address, socklen_t *length, int flags) {
        return acceptFault.strikes() ? -1 : real.accept4(fd, address, length, flags);
    };
    calls.readv = faultyRead;
    calls.sendmsg = faultySend;
}

static void clearFaults()
{
    for (Fault *fault : { &createFault, &controlFault, &waitFault, &eventFault, &socketFault,
                          &bindFault, &listenFault, &acceptFault, &readFault, &sendFault })
        fault->set(0, 0);
    controlOperation = EPOLL_CTL_ADD;
    controlEvents = 0;
    longestRead = 0;
    longestSend = 0;
}

// --- A server that sends back what it gets ---

namespace {

class EchoServer
{
public:
    EchoServer()
    {
        QObject::connect(&server, &NamedPipeServer::clientConnected, &server,
                         [this](const NamedPipeServerConnectionPtr &) { ++connected; });
        QObject::connect(&server, &NamedPipeServer::clientDisconnected, &server,
                         [this](const NamedPipeServerConnectionPtr &c) {
                             ++disconnected;
                             lastReason = c->closeReason();
                         });
        QObject::connect(&server, &NamedPipeServer::clientMessageReceived, &server,
                         [this](const NamedPipeServerConnectionPtr &c, const QVariant &,
                                const QByteArray &data) {
                             ++messages;
                             c->asyncWrite(data);
                         });
        QObject::connect(&server, &NamedPipeServer::clientErrorOccurred, &server,
                         [this](const NamedPipeServerConnectionPtr &, NamedPipe::Error error,
                                const QString &text) {
                             clientErrors.append(error);
                             lastText = text;
                         });
        QObject::connect(&server, &NamedPipeServer::errorOccurred, &server,
                         [this](NamedPipe::Error error, const QString &text) {
                             errors.append(error);
                             lastText = text;
                         });
    }

    /// Sends messages and compares what comes back.
    bool echoes(RawPeer &peer, const QList<QByteArray> &sent)
    {
        auto client = runClient([&peer, &sent] {
            for (const QByteArray &message : sent) {
                if (!peer.sendMessage(message) || peer.receiveMessage() != message)
                    return false;
            }
            return true;
        });
        return waitForTask(client) && client.get();
    }
    /// The same with everything sent before anything is read.
    bool echoesTogether(RawPeer &peer, const QList<QByteArray> &sent)
    {
        auto client = runClient([&peer, &sent] {
            for (const QByteArray &message : sent) {
                if (!peer.sendMessage(message))
                    return false;
            }
            for (const QByteArray &message : sent) {
                if (peer.receiveMessage() != message)
                    return false;
            }
            return true;
        });
        return waitForTask(client) && client.get();
    }
    bool connects(RawPeer &peer)
    {
        const int before = connected;
        return peer.connectTo(server.pipeName())
                && waitUntil([this, before] { return connected > before; });
    }

    NamedPipeServer server { scratchName() };
    int connected = 0;
    int disconnected = 0;
    int messages = 0;
    NamedPipe::CloseReason lastReason = NamedPipe::StillOpen;
    QList<NamedPipe::Error> errors;
    QList<NamedPipe::Error> clientErrors;
    QString lastText;
};

} // namespace

/// The server on the engine of this system, when system calls fail that hardly ever do.
class tst_ServerFaults : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void init();
    void cleanup();

    void startReportsWhatFailed_data();
    void startReportsWhatFailed();
    void acceptSurvives_data();
    void acceptSurvives();
    void acceptBacksOffInsteadOfSpinning_data();
    void acceptBacksOffInsteadOfSpinning();
    void acceptTroubleIsReportedOncePerEpisode();
    void listenerSurvivesEpollFailures_data();
    void listenerSurvivesEpollFailures();
    void clientThatCannotBeWatchedIsDroppedAndTold();
    void interruptedWaitsAreHarmless();
    void readsSurvive_data();
    void readsSurvive();
    void connectionResetByTheClientIsADisconnect();
    void failedReadEndsTheConnection();
    void shortReadsLoseNothing();
    void bytesBehindAPassedDescriptorAreRead();
    void sendsSurvive_data();
    void sendsSurvive();
    void shortSendsLoseNothing_data();
    void shortSendsLoseNothing();
    void sendThatCannotBeWatchedGoesOn();
    void brokenPipeIsADisconnect();
    void failedSendEndsTheConnection();
    void everythingAtOnce();

private:
    int m_handles = 0;
};

void tst_ServerFaults::initTestCase()
{
    replaceCalls();
    {
        EchoServer warmUp; // what is opened once for the process
        RawPeer peer;
        QVERIFY(warmUp.server.start());
        QVERIFY(warmUp.connects(peer));
        QVERIFY(warmUp.echoes(peer, { "hello"_ba }));
    }
}

void tst_ServerFaults::init()
{
    clearFaults();
    m_handles = ProcessFacts::openHandles();
}

void tst_ServerFaults::cleanup()
{
    clearFaults();
    QVERIFY2(waitUntil([this] { return ProcessFacts::openHandles() == m_handles; }, 5s),
             qPrintable(u"%1 descriptors before, %2 after"_s.arg(m_handles)
                                .arg(ProcessFacts::openHandles())));
}

// --- start() ---

void tst_ServerFaults::startReportsWhatFailed_data()
{
    QTest::addColumn<QString>("call");
    QTest::addColumn<int>("code");
    QTest::addColumn<NamedPipe::Error>("error");
    QTest::addColumn<QString>("text");
    const QString port = u"unable to create an IOCP port"_s;
    QTest::newRow("epoll_create1") << u"epoll_create1"_s << EMFILE
                                   << NamedPipe::CompletionPortFailed << port;
    QTest::newRow("eventfd") << u"eventfd"_s << ENFILE << NamedPipe::CompletionPortFailed << port;
    QTest::newRow("epoll_ctl") << u"epoll_ctl"_s << ENOSPC << NamedPipe::CompletionPortFailed
                               << port;
    QTest::newRow("socket") << u"socket"_s << EMFILE << NamedPipe::ResourceExhausted << QString();
    QTest::newRow("bind, in use") << u"bind"_s << EADDRINUSE << NamedPipe::NameInUse << QString();
    QTest::newRow("bind, denied") << u"bind"_s << EACCES << NamedPipe::AccessDenied << QString();
    QTest::newRow("bind, no room") << u"bind"_s << ENOSPC << NamedPipe::ResourceExhausted
                                   << QString();
    QTest::newRow("listen, in use") << u"listen"_s << EADDRINUSE << NamedPipe::NameInUse
                                    << QString();
    QTest::newRow("listen, odd") << u"listen"_s << EDOM << NamedPipe::SystemError << QString();
}

void tst_ServerFaults::startReportsWhatFailed()
{
    QFETCH(QString, call);
    QFETCH(int, code);
    QFETCH(NamedPipe::Error, error);
    QFETCH(QString, text);
    Fault &fault = call == u"epoll_create1" ? createFault
            : call == u"eventfd"            ? eventFault
            : call == u"epoll_ctl"          ? controlFault
            : call == u"socket"             ? socketFault
            : call == u"bind"               ? bindFault
                                            : listenFault;
    EchoServer echo;
    const QDir folder(QDir::tempPath());
    const auto files = [&] {
        return folder.entryList({ u"*%1*"_s.arg(echo.server.pipeName()) },
                                QDir::AllEntries | QDir::System | QDir::Hidden);
    };
    fault.set(code, 1);
    QVERIFY(!echo.server.start());
    QVERIFY(!echo.server.isRunning());
    QCOMPARE(echo.server.error(), error);
    const QString said = echo.server.errorString();
    QVERIFY2(said.contains(text), qPrintable(said));
    QVERIFY2(said.contains(u"%1: %2"_s.arg(call).arg(code)), qPrintable(said));
    QCOMPARE(files(), QStringList());
    QCOMPARE(ProcessFacts::openHandles(), m_handles);
    QVERIFY(waitUntil([&] { return echo.errors.size() == 1; }));
    QCOMPARE(echo.errors.constFirst(), error);

    QVERIFY(echo.server.start()); // the same object, when the trouble is over
    RawPeer peer;
    QVERIFY(echo.connects(peer));
    QVERIFY(echo.echoes(peer, { "hello"_ba }));
}

// --- accept ---

void tst_ServerFaults::acceptSurvives_data()
{
    QTest::addColumn<int>("code");
    QTest::addColumn<int>("times");
    QTest::addColumn<bool>("isTrouble"); // told to the user
    QTest::newRow("EINTR") << EINTR << 40 << false;
    QTest::newRow("ECONNABORTED") << ECONNABORTED << 40 << false;
    QTest::newRow("EPROTO") << EPROTO << 1 << false;
    QTest::newRow("EMFILE") << EMFILE << 3 << true;
    QTest::newRow("ENFILE") << ENFILE << 3 << true;
    QTest::newRow("ENOBUFS") << ENOBUFS << 3 << true;
    QTest::newRow("ENOMEM") << ENOMEM << 3 << true;
}

void tst_ServerFaults::acceptSurvives()
{
    QFETCH(int, code);
    QFETCH(int, times);
    QFETCH(bool, isTrouble);
    EchoServer echo;
    QVERIFY(echo.server.start());
    acceptFault.set(code, times);
    RawPeer peer;
    QVERIFY(echo.connects(peer)); // by the server's own efforts: there is one client only
    QCOMPARE(acceptFault.times.load(), 0);
    QVERIFY(echo.echoes(peer, { "hello"_ba, payload(100'000) }));
    RawPeer another;
    QVERIFY(echo.connects(another));
    QVERIFY(echo.echoes(another, { "hello"_ba }));
    QCOMPARE(echo.errors.size(), isTrouble ? 1 : 0);
    if (isTrouble) {
        QCOMPARE(echo.errors.constFirst(), NamedPipe::ResourceExhausted);
        QVERIFY2(echo.lastText.contains(u"accept4: %1"_s.arg(code)), qPrintable(echo.lastText));
    }
    peer.close();
    another.close();
    QVERIFY(waitUntil([&] { return echo.disconnected == 2; }));
    const NamedPipe::ServerStatistics statistics = echo.server.statistics();
    QCOMPARE(statistics.connectionsAccepted, 2u);
    QCOMPARE(statistics.connectionsClosed, 2u);
}

void tst_ServerFaults::acceptBacksOffInsteadOfSpinning_data()
{
    QTest::addColumn<int>("clients");
    QTest::newRow("one client waits") << 1;
    QTest::newRow("many clients wait") << 10;
}

void tst_ServerFaults::acceptBacksOffInsteadOfSpinning()
{
    QFETCH(int, clients);
    EchoServer echo;
    QVERIFY(echo.server.start());
    acceptFault.set(EMFILE, always);
    std::vector<RawPeer> peers(static_cast<size_t>(clients));
    for (RawPeer &peer : peers)
        QVERIFY(peer.connectTo(echo.server.pipeName())); // the backlog takes it
    QVERIFY(waitUntil([] { return acceptFault.calls >= 1; }));
    QElapsedTimer timer;
    timer.start();
    watchFor(500ms);
    const int calls = acceptFault.calls;
    // 10, 20, 40, ... ms: after half a second there were six.
    QVERIFY2(calls <= 20 + timer.elapsed() / 100, qPrintable(QString::number(calls)));
    QVERIFY2(calls >= 3, qPrintable(QString::number(calls)));
    QCOMPARE(echo.errors, QList<NamedPipe::Error>({ NamedPipe::ResourceExhausted }));
    acceptFault.set(0, 0);
    QVERIFY(waitUntil([&] { return echo.connected == clients; }));
}

void tst_ServerFaults::acceptTroubleIsReportedOncePerEpisode()
{
    EchoServer echo;
    echo.server.setMaxConnections(3);
    QVERIFY(echo.server.start());
    RawPeer peers[3];
    for (int episode = 1; episode <= 3; ++episode) {
        acceptFault.set(EMFILE, 4);
        QVERIFY(echo.connects(peers[episode - 1]));
        QCOMPARE(echo.errors.size(), episode);
    }
    RawPeer fourth; // places balance: exactly three were taken
    QVERIFY(fourth.connectTo(echo.server.pipeName()));
    watchFor();
    QCOMPARE(echo.connected, 3);
    peers[0].close();
    QVERIFY(waitUntil([&] { return echo.connected == 4; }));
}

void tst_ServerFaults::listenerSurvivesEpollFailures_data()
{
    QTest::addColumn<bool>("atStart");
    QTest::newRow("the listener cannot be watched at first") << true;
    QTest::newRow("the listener cannot be watched again") << false;
}

void tst_ServerFaults::listenerSurvivesEpollFailures()
{
    QFETCH(bool, atStart);
    EchoServer echo;
    RawPeer first;
    if (atStart) {
        echo.server.setFreeThreadingEvents(true); // accepting begins later than start()
        controlEvents = EPOLLONESHOT; // as only the listener asks for
        controlFault.set(ENOSPC, 2);
        QVERIFY(echo.server.start());
    } else {
        QVERIFY(echo.server.start());
        controlEvents = EPOLLONESHOT;
        controlOperation = EPOLL_CTL_MOD;
        controlFault.set(ENOMEM, 1);
        QVERIFY(echo.connects(first));
    }
    QVERIFY(waitUntil([] { return controlFault.times == 0; }));
    RawPeer peer;
    QVERIFY(echo.connects(peer));
}

void tst_ServerFaults::clientThatCannotBeWatchedIsDroppedAndTold()
{
    EchoServer echo;
    QVERIFY(echo.server.start());
    controlFault.set(ENOSPC, 1);
    RawPeer peer;
    QVERIFY(echo.connects(peer));
    QVERIFY(waitUntil([&] { return echo.disconnected == 1; }));
    QCOMPARE(echo.clientErrors, QList<NamedPipe::Error>({ NamedPipe::ResourceExhausted }));
    QVERIFY2(echo.lastText.contains(u"epoll_ctl: %1"_s.arg(ENOSPC)), qPrintable(echo.lastText));
    QCOMPARE(echo.lastReason, NamedPipe::Failed);
    QVERIFY(peer.atEnd());
    QVERIFY(echo.errors.isEmpty()); // not the server's
    RawPeer another;
    QVERIFY(echo.connects(another));
    QVERIFY(echo.echoes(another, { "hello"_ba }));
}

void tst_ServerFaults::interruptedWaitsAreHarmless()
{
    EchoServer echo;
    waitFault.set(EINTR, 1000);
    QVERIFY(echo.server.start());
    RawPeer peer;
    QVERIFY(echo.connects(peer));
    waitFault.set(EINTR, 1000);
    QVERIFY(echo.echoes(peer, { "hello"_ba, payload(1'000'000) }));
    QVERIFY(waitFault.times < 1000);
}

// --- Reads ---

static QList<QByteArray> variedMessages()
{
    QList<QByteArray> messages;
    quint32 seed = 0;
    for (int size : { 1, 0, 7, 4095, 4096, 4097, 131'068, 131'072, 300'000, 2 })
        messages.append(payload(size, ++seed));
    messages.removeAll(QByteArray()); // (an empty message is not echoed: writing nothing is a no-op)
    return messages;
}

void tst_ServerFaults::readsSurvive_data()
{
    QTest::addColumn<int>("code");
    QTest::addColumn<int>("times");
    QTest::newRow("EINTR") << EINTR << 200;
    QTest::newRow("ENOMEM") << ENOMEM << 5;
    QTest::newRow("ENOBUFS") << ENOBUFS << 5;
}

void tst_ServerFaults::readsSurvive()
{
    QFETCH(int, code);
    QFETCH(int, times);
    EchoServer echo;
    QVERIFY(echo.server.start());
    RawPeer peer;
    QVERIFY(echo.connects(peer));
    readFault.set(code, times);
    QVERIFY(echo.echoes(peer, variedMessages()));
    QCOMPARE(readFault.times.load(), 0);
    QVERIFY(echo.clientErrors.isEmpty());
    peer.close();
    QVERIFY(waitUntil([&] { return echo.disconnected == 1; }));
    QCOMPARE(echo.lastReason, NamedPipe::ClosedByClient);
}

void tst_ServerFaults::connectionResetByTheClientIsADisconnect()
{
    EchoServer echo;
    QVERIFY(echo.server.start());
    RawPeer peer;
    QVERIFY(echo.connects(peer));
    QVERIFY(echo.echoes(peer, { "hello"_ba }));
    readFault.set(ECONNRESET, 1);
    QVERIFY(peer.sendMessage("never read"_ba));
    QVERIFY(waitUntil([&] { return echo.disconnected == 1; }));
    QCOMPARE(echo.lastReason, NamedPipe::ClosedByClient);
    QVERIFY(echo.clientErrors.isEmpty());
}

void tst_ServerFaults::failedReadEndsTheConnection()
{
    EchoServer echo;
    QVERIFY(echo.server.start());
    RawPeer peer, other;
    QVERIFY(echo.connects(peer) && echo.connects(other));
    readFault.set(EIO, 1);
    QVERIFY(peer.sendMessage("never read"_ba));
    QVERIFY(waitUntil([&] { return echo.disconnected == 1; }));
    QCOMPARE(echo.lastReason, NamedPipe::Failed);
    QCOMPARE(echo.clientErrors, QList<NamedPipe::Error>({ NamedPipe::SystemError }));
    QVERIFY2(echo.lastText.contains(u"readv: %1"_s.arg(EIO)), qPrintable(echo.lastText));
    QVERIFY(echo.echoes(other, { "hello"_ba }));
}

void tst_ServerFaults::shortReadsLoseNothing()
{
    EchoServer echo;
    QVERIFY(echo.server.start());
    RawPeer peer;
    QVERIFY(echo.connects(peer));
    QList<QByteArray> messages { "a"_ba, "bc"_ba, payload(300, 1), payload(5000, 2) };
    QByteArray stream;
    for (const QByteArray &message : std::as_const(messages)) {
        char header[4];
        qToBigEndian(quint32(message.size()), header);
        stream += QByteArray(header, 4) + message;
    }
    readFault.set(0, 0);
    auto client = runClient([&] {
        for (char byte : std::as_const(stream)) { // a read finds one byte or a few
            if (!peer.sendRaw(QByteArray(1, byte)))
                return false;
        }
        for (const QByteArray &message : std::as_const(messages)) {
            if (peer.receiveMessage() != message)
                return false;
        }
        return true;
    });
    QVERIFY(waitForTask(client) && client.get());
    QVERIFY2(readFault.calls > 50, qPrintable(QString::number(readFault.calls)));
}

void tst_ServerFaults::bytesBehindAPassedDescriptorAreRead()
{
    // The system ends a read behind bytes that a descriptor came with, although there are more.
    EchoServer echo;
    QVERIFY(echo.server.start());
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    QVERIFY(fd >= 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    const QByteArray path = QFile::encodeName(echo.server.fullPipeName());
    std::memcpy(address.sun_path, path.constData(), size_t(path.size()));
    QCOMPARE(::connect(fd, reinterpret_cast<sockaddr *>(&address), sizeof address), 0);
    // Not connected for the event loop: nothing is read before everything was sent? The engine
    // reads at once, so the two halves are sent while a slot keeps the only worker busy.
    char one[] = { 0, 0, 0, 1, 'a' };
    iovec vector { one, sizeof one };
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message = {};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr *const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    for (int round = 0; round < 50; ++round) {
        readFault.set(ENOMEM, 1); // makes the engine look again later, when both are there
        QCOMPARE(::sendmsg(fd, &message, MSG_NOSIGNAL), ssize_t(sizeof one));
        QCOMPARE(::send(fd, one, sizeof one, MSG_NOSIGNAL), ssize_t(sizeof one));
        const int expected = 2 * (round + 1);
        if (!waitUntil([&] { return echo.messages >= expected; }, 3s))
            break;
    }
    ::close(fd);
    QVERIFY(waitUntil([&] { return echo.disconnected == 1; }));
    QCOMPARE(echo.messages, 100);
}

// --- Writes ---

void tst_ServerFaults::sendsSurvive_data()
{
    QTest::addColumn<int>("code");
    QTest::addColumn<int>("times");
    QTest::newRow("EINTR") << EINTR << 200;
    QTest::newRow("EAGAIN") << EAGAIN << 200;
    QTest::newRow("ENOBUFS") << ENOBUFS << 5;
    QTest::newRow("ENOMEM") << ENOMEM << 5;
}

void tst_ServerFaults::sendsSurvive()
{
    QFETCH(int, code);
    QFETCH(int, times);
    EchoServer echo;
    QVERIFY(echo.server.start());
    RawPeer peer;
    QVERIFY(echo.connects(peer));
    sendFault.set(code, times);
    QVERIFY(echo.echoes(peer, variedMessages()));
    QCOMPARE(sendFault.times.load(), 0);
    QVERIFY(echo.clientErrors.isEmpty());
}

void tst_ServerFaults::shortSendsLoseNothing_data()
{
    QTest::addColumn<int>("bytes");
    for (int bytes = 1; bytes <= 7; ++bytes)
        QTest::addRow("%d bytes", bytes) << bytes;
    QTest::newRow("4096 bytes") << 4096;
}

void tst_ServerFaults::shortSendsLoseNothing()
{
    QFETCH(int, bytes);
    EchoServer echo;
    QVERIFY(echo.server.start());
    RawPeer peer;
    QVERIFY(echo.connects(peer));
    longestSend = bytes;
    QList<QByteArray> messages;
    quint32 seed = 0;
    for (int size : { 1, 2, 3, 4, 5, 9, 100, 2047, 2048, 2049, 3000 })
        messages.append(payload(size, ++seed));
    QVERIFY(echo.echoesTogether(peer, messages));
    QVERIFY(waitUntil([&] { return echo.server.statistics().messagesSent == 11; }));
    QVERIFY(echo.clientErrors.isEmpty());
}

void tst_ServerFaults::sendThatCannotBeWatchedGoesOn()
{
    EchoServer echo;
    QVERIFY(echo.server.start());
    RawPeer peer;
    QVERIFY(echo.connects(peer));
    controlOperation = EPOLL_CTL_MOD;
    controlEvents = EPOLLOUT;
    controlFault.set(ENOMEM, 1);
    sendFault.set(EAGAIN, 1);
    QVERIFY(peer.sendMessage("hello"_ba));
    auto client = runClient([&peer] { return peer.receiveMessage(5s); });
    QVERIFY(waitForTask(client));
    QCOMPARE(client.get().value_or("nothing"_ba), "hello"_ba);
}

void tst_ServerFaults::brokenPipeIsADisconnect()
{
    EchoServer echo;
    QVERIFY(echo.server.start());
    RawPeer peer;
    QVERIFY(echo.connects(peer));
    sendFault.set(EPIPE, 1);
    QVERIFY(peer.sendMessage("one"_ba)); // the echo finds nobody
    QVERIFY(waitUntil([] { return sendFault.times == 0; }));
    QVERIFY(waitUntil([&] { return echo.server.connectionCount() == 0; }));
    QVERIFY(peer.sendMessage("two"_ba)); // what the client has sent is read to the end
    peer.close();
    QVERIFY(waitUntil([&] { return echo.disconnected == 1; }));
    QCOMPARE(echo.messages, 2);
    QCOMPARE(echo.lastReason, NamedPipe::ClosedByClient);
    QCOMPARE(echo.clientErrors.count(NamedPipe::ConnectionBroken), 1); // one message was lost
}

void tst_ServerFaults::failedSendEndsTheConnection()
{
    EchoServer echo;
    QVERIFY(echo.server.start());
    RawPeer peer, other;
    QVERIFY(echo.connects(peer) && echo.connects(other));
    sendFault.set(EIO, 1);
    QVERIFY(peer.sendMessage("one"_ba));
    QVERIFY(waitUntil([&] { return echo.disconnected == 1; }));
    QCOMPARE(echo.lastReason, NamedPipe::Failed);
    QCOMPARE(echo.clientErrors, QList<NamedPipe::Error>({ NamedPipe::SystemError }));
    QVERIFY2(echo.lastText.contains(u"sendmsg: %1"_s.arg(EIO)), qPrintable(echo.lastText));
    QVERIFY(peer.atEnd());
    QVERIFY(echo.echoes(other, { "hello"_ba }));
}

void tst_ServerFaults::everythingAtOnce()
{
    constexpr int clients = 4;
    EchoServer echo;
    echo.server.setNumThreadsIOCP(3);
    acceptFault.set(ENFILE, 3);
    waitFault.set(EINTR, 100);
    readFault.set(EINTR, 100);
    QVERIFY(echo.server.start());
    std::vector<RawPeer> peers(clients);
    for (RawPeer &peer : peers)
        QVERIFY(echo.connects(peer));
    longestSend = 1000;
    sendFault.set(EAGAIN, 100);
    std::vector<std::future<bool>> tasks;
    for (size_t i = 0; i < peers.size(); ++i) {
        tasks.push_back(runClient([&peer = peers[i], i] {
            for (quint32 round = 0; round < 50; ++round) {
                const QByteArray message = payload(qsizetype(round * 97 + 1), quint32(i));
                if (!peer.sendMessage(message) || peer.receiveMessage() != message)
                    return false;
            }
            return true;
        }));
    }
    for (auto &task : tasks)
        QVERIFY(waitForTask(task) && task.get());
    for (RawPeer &peer : peers)
        peer.close();
    QVERIFY(waitUntil([&] { return echo.disconnected == clients; }));
    const NamedPipe::ServerStatistics statistics = echo.server.statistics();
    QCOMPARE(statistics.messagesReceived, quint64(clients * 50));
    QCOMPARE(statistics.messagesSent, quint64(clients * 50));
    QCOMPARE(statistics.bytesReceived, statistics.bytesSent);
    QVERIFY(echo.clientErrors.isEmpty());
    echo.server.stop();
}

QTEST_GUILESS_MAIN(tst_ServerFaults)
#include "tst_server_faults.moc"
