// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "core/ranges.h"
#include "epoll/epollendpoint.h"
#include "epoll/epollengine.h"
#include "epoll/unixerror.h"
#include "faultycalls.h"
#include "platformflags.h"
#include "skipping.h"
#include "socketfiles.h"

#include <QtNamedPipes/NamedPipeClientManager>

#include <QtCore/qdir.h>
#include <QtCore/qfile.h>
#include <QtCore/qscopeguard.h>
#include <QtTest/QtTest>

#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

using namespace QtNamedPipes;
using namespace Qt::StringLiterals;

/// What only an odd state of the system, or two threads at the same moment, bring about on Linux.
class tst_SeldomPaths : public FaultySuite
{
    Q_OBJECT

private Q_SLOTS:
    void everyCodeOfTheSystemHasItsError_data();
    void everyCodeOfTheSystemHasItsError();
    void rangesIncludeTheirEnds();
    void nameThatCannotBeMadeReadyIsToldAndLeftFree_data();
    void nameThatCannotBeMadeReadyIsToldAndLeftFree();
    void staleSocketThatStaysIsTold_data();
    void staleSocketThatStaysIsTold();
    void socketThatIsSwappedBeforeItsModeIsSetIsLeftAlone();
    void missingFolderForTemporaryFilesIsNotTheRootFolder();
    void workersThatCannotBeStartedAreTold();
    void engineThatIsShutDownForgetsTasks();
    void engineMayBeShutDownByItsOwnWorker();
    void serverThatCannotBeIdentifiedIsNotUsed();
    void clientThatCannotBeIdentifiedIsTurnedAway();
    void groupsOfAClientAreLookedThrough_data();
    void groupsOfAClientAreLookedThrough();
    void listWithoutADescriptorIsEmpty();
    void placeThatGetsFreeDuringTheLookIsTaken();
    void writeThatIsCancelledAsItBeginsToWaitEnds_data();
    void writeThatIsCancelledAsItBeginsToWaitEnds();
    void callerOfAWriteLeavesToAWorkerWhatIsNotTakenAtOnce();
    void longQueueIsSentInTurns();
    void threadMaySendWhileWhatItHasIsDestroyed();
    void messageThatTheMemoryHasNoRoomForEndsItsConnectionOnly();
    void readThatTheMemoryHasNoRoomForGoesOnLater();
};

namespace {

/// Another answer of one system call while this lives. To be made before the engine that calls it.
template<typename Call>
class Instead
{
public:
    Instead(Call UnixCalls::*call, std::common_type_t<Call> answer)
        : m_call(call),
          m_before(std::exchange(unixCalls().*call, answer))
    {
    }
    ~Instead() { unixCalls().*m_call = m_before; }
    Instead(const Instead &) = delete;
    Instead &operator=(const Instead &) = delete;

private:
    Call UnixCalls::*const m_call;
    const Call m_before;
};

/// Puts a descriptor in the place of \a fd that is no socket.
int spoil(int fd)
{
    const UnixFd other(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    return ::dup3(other.get(), fd, O_CLOEXEC) == fd ? 0 : -1;
}

const char *pathOf(const sockaddr *address)
{
    return reinterpret_cast<const sockaddr_un *>(address)->sun_path;
}

/// What a sendmsg() is given.
ssize_t bytesOf(const msghdr &message)
{
    return std::accumulate(message.msg_iov, message.msg_iov + message.msg_iovlen, ssize_t(0),
                           [](ssize_t sum, const iovec &piece) {
                               return sum + ssize_t(piece.iov_len);
                           });
}

/// Lowers a limit of the process while this lives.
class Limit
{
public:
    Limit(decltype(RLIMIT_AS) resource, rlim_t value) : m_resource(resource)
    {
        ::getrlimit(m_resource, &m_before);
        const rlimit less { value, m_before.rlim_max };
        ::setrlimit(m_resource, &less);
    }
    ~Limit() { ::setrlimit(m_resource, &m_before); }
    Limit(const Limit &) = delete;
    Limit &operator=(const Limit &) = delete;

private:
    const decltype(RLIMIT_AS) m_resource;
    rlimit m_before {};
};

} // namespace

void tst_SeldomPaths::everyCodeOfTheSystemHasItsError_data()
{
    QTest::addColumn<int>("code");
    QTest::addColumn<NamedPipe::Error>("error");
    const auto add = [](NamedPipe::Error error, std::initializer_list<int> codes) {
        for (const int code : codes)
            QTest::addRow("%s", ::strerrorname_np(code)) << code << error;
    };
    add(NamedPipe::NameInUse, { EADDRINUSE, EEXIST });
    add(NamedPipe::AccessDenied, { EACCES, EPERM });
    add(NamedPipe::NotFound, { ENOENT, ENOTDIR, ECONNREFUSED });
    add(NamedPipe::NameInvalid, { ENAMETOOLONG, EILSEQ });
    add(NamedPipe::ConnectionBroken, { EPIPE, ECONNRESET, ENOTCONN });
    add(NamedPipe::ResourceExhausted, { EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC });
    add(NamedPipe::Unsupported, { EOPNOTSUPP, EPROTONOSUPPORT });
    add(NamedPipe::SystemError, { EDOM, EIO, EBADF });
}

void tst_SeldomPaths::everyCodeOfTheSystemHasItsError()
{
    QFETCH(int, code);
    QFETCH(NamedPipe::Error, error);
    const TransportError told = unixError(code, "call", {});
    QCOMPARE(told.error, error);
    QCOMPARE(told.nativeCode, qint64(code));
    QVERIFY2(told.text().endsWith(u"(call: %1)"_s.arg(code)), qPrintable(told.text()));
    QCOMPARE(isExhaustion(code), error == NamedPipe::ResourceExhausted);
}

void tst_SeldomPaths::rangesIncludeTheirEnds()
{
    QVERIFY(!checkRanges({ { "least", 1, 1, 3 }, { "most", 3, 1, 3 } }));
    for (const qint64 value : { 0, 4 }) {
        const TransportError error = checkRanges({ { "good", 1, 1, 3 }, { "bad", value, 1, 3 } });
        QCOMPARE(error.error, NamedPipe::InvalidConfiguration);
        QCOMPARE(error.text(), u"bad is %1; it must be from 1 to 3"_s.arg(value));
    }
}

// --- The name ---

void tst_SeldomPaths::nameThatCannotBeMadeReadyIsToldAndLeftFree_data()
{
    QTest::addColumn<bool>("isBound");
    QTest::addColumn<int>("code");
    QTest::newRow("mode cannot be set") << false << EBADF;
    QTest::newRow("file has gone again") << true << ENOENT;
}

void tst_SeldomPaths::nameThatCannotBeMadeReadyIsToldAndLeftFree()
{
    QFETCH(bool, isBound);
    QFETCH(int, code);
    EchoServer echo;
    if (isBound) {
        const Instead bind(&UnixCalls::bind, [](int, const sockaddr *, socklen_t) { return 0; });
        QVERIFY(!echo.server.start());
    } else { // a descriptor that says where a file is, and no more
        const Instead socket(&UnixCalls::socket,
                             [](int, int, int) { return ::open("/dev/null", O_PATH | O_CLOEXEC); });
        QVERIFY(!echo.server.start());
    }
    const QString said = echo.server.errorString();
    QVERIFY2(said.endsWith(u": %1)"_s.arg(code)), qPrintable(said));
    QCOMPARE(socketFilesOf(echo.server.pipeName()), QStringList());
    QVERIFY2(echo.server.start(), qPrintable(echo.server.errorString()));
    RawPeer peer;
    QVERIFY(echo.connects(peer));
}

void tst_SeldomPaths::staleSocketThatStaysIsTold_data()
{
    QTest::addColumn<QString>("call");
    QTest::addColumn<int>("code");
    QTest::newRow("socket") << u"socket"_s << EMFILE;
    QTest::newRow("connect") << u"connect"_s << ENOMEM;
    QTest::newRow("unlink") << u"unlink"_s << EISDIR;
}

void tst_SeldomPaths::staleSocketThatStaysIsTold()
{
    QFETCH(QString, call);
    QFETCH(int, code);
    EchoServer echo;
    const QByteArray path = QFile::encodeName(QDir::tempPath() + u'/' + echo.server.pipeName());
    {
        sockaddr_un address {};
        address.sun_family = AF_UNIX;
        std::copy(path.cbegin(), path.cend(), address.sun_path);
        const UnixFd crashed(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        QCOMPARE(::bind(crashed.get(), reinterpret_cast<const sockaddr *>(&address),
                        sizeof address),
                 0);
    }
    const auto tidy = qScopeGuard([&] {
        ::rmdir(path.constData());
        ::unlink(path.constData());
    });
    if (call == u"socket") { // the one that looks whether the file is served
        socketFault.set(code, 1);
        QVERIFY(!echo.server.start());
    } else if (call == u"connect") { // likewise
        connectFault.set(code, 1);
        QVERIFY(!echo.server.start());
        QCOMPARE(echo.server.error(), NamedPipe::ResourceExhausted); // not "in use"
    } else { // after the look the file is another one
        const Instead connect(&UnixCalls::connect, [](int, const sockaddr *address, socklen_t) {
            ::unlink(pathOf(address));
            ::mkdir(pathOf(address), 0700);
            errno = ECONNREFUSED;
            return -1;
        });
        QVERIFY(!echo.server.start());
    }
    const QString said = echo.server.errorString();
    QVERIFY2(said.contains(u"%1: %2"_s.arg(call).arg(code)), qPrintable(said));
    ::rmdir(path.constData());
    QVERIFY2(echo.server.start(), qPrintable(echo.server.errorString()));
}

// By who may write to the folder, between the look at the new socket and the change of its mode.
void tst_SeldomPaths::socketThatIsSwappedBeforeItsModeIsSetIsLeftAlone()
{
    EchoServer echo;
    echo.server.setAccessOptions(NamedPipe::WorldAccess);
    const QByteArray path = QFile::encodeName(echo.server.fullPipeName());
    const auto tidy = qScopeGuard([&] { ::unlink(path.constData()); });
    const mode_t before = ::umask(0077); // so that the mode is to be widened
    const auto restore = qScopeGuard([before] { ::umask(before); });
    const Instead open(&UnixCalls::open, [](const char *file, int flags, mode_t mode) {
        if (flags & O_PATH) {
            ::unlink(file);
            ::mknod(file, S_IFSOCK | 0600, 0);
        }
        return ::open(file, flags, mode);
    });
    QVERIFY(!echo.server.start());
    QCOMPARE(echo.server.error(), NamedPipe::NameInUse);
    struct stat info = {};
    QCOMPARE(::lstat(path.constData(), &info), 0);
    QCOMPARE(info.st_mode & ALLPERMS, mode_t(0600));
}

void tst_SeldomPaths::missingFolderForTemporaryFilesIsNotTheRootFolder()
{
    const QByteArray before = qgetenv("TMPDIR");
    const auto restore =
            qScopeGuard([&] { before.isNull() ? qunsetenv("TMPDIR") : qputenv("TMPDIR", before); });
    EchoServer echo;
    QVERIFY(qputenv("TMPDIR", "/nowhere/at all"));
    QCOMPARE(echo.server.fullPipeName(), u"/nowhere/at all/"_s + echo.server.pipeName());
    QVERIFY(!echo.server.start());
    QVERIFY(!echo.server.errorString().isEmpty());
}

// --- The workers ---

void tst_SeldomPaths::workersThatCannotBeStartedAreTold()
{
    EchoServer echo;
    {
        pthread_attr_t usual, huge;
        QCOMPARE(::pthread_getattr_default_np(&usual), 0);
        ::pthread_attr_init(&huge);
        ::pthread_attr_setstacksize(&huge, size_t(1) << 50); // more than there are addresses
        QCOMPARE(::pthread_setattr_default_np(&huge), 0);
        const bool started = echo.server.start();
        QCOMPARE(::pthread_setattr_default_np(&usual), 0);
        ::pthread_attr_destroy(&huge);
        ::pthread_attr_destroy(&usual);
        QVERIFY(!started);
    }
    QCOMPARE(echo.server.error(), NamedPipe::ResourceExhausted);
    const QString said = echo.server.errorString();
    QVERIFY2(said.contains(u"pthread_create: %1"_s.arg(EAGAIN)), qPrintable(said));
    QCOMPARE(socketFilesOf(echo.server.pipeName()), QStringList());
    QVERIFY(echo.server.start());
    RawPeer peer;
    QVERIFY(echo.connects(peer));
    QVERIFY(echo.echoes(peer, { "hello"_ba }));
}

namespace {

class Task final : public EngineTask
{
public:
    explicit Task(std::function<void()> function) : m_function(std::move(function)) { }
    void run() override { m_function(); }

private:
    const std::function<void()> m_function;
};

} // namespace

void tst_SeldomPaths::engineThatIsShutDownForgetsTasks()
{
    const auto engine = std::make_shared<EpollEngine>(EngineSettings(), 8192);
    QVERIFY(!engine->start());
    engine->shutdown();
    auto task = std::make_shared<Task>([] {});
    const std::weak_ptr<Task> watched = task;
    engine->post(task);
    engine->postAt(Clock::now(), std::move(task));
    QVERIFY(watched.expired());
    engine->placeFreed();
}

void tst_SeldomPaths::engineMayBeShutDownByItsOwnWorker()
{
    EngineSettings settings;
    settings.threads = 2;
    auto engine = std::make_shared<EpollEngine>(settings, 8192);
    QVERIFY(!engine->start());
    const std::weak_ptr<EpollEngine> watched = engine;
    const auto done = std::make_shared<Gate>(); // the worker may be the last to hold it
    engine->post(std::make_shared<Task>([watched, done] {
        watched.lock()->shutdown();
        done->open();
    }));
    QVERIFY(done->wait());
    engine.reset();
    QVERIFY(waitUntil([&] { return watched.expired(); })); // when the worker has ended
}

// --- Who is there? ---

void tst_SeldomPaths::serverThatCannotBeIdentifiedIsNotUsed()
{
    const Instead connect(&UnixCalls::connect,
                          [](int fd, const sockaddr *, socklen_t) { return spoil(fd); });
    NamedPipeClientManager manager;
    const auto connection = manager.connectToServer(scratchName());
    QList<NamedPipe::Error> errors;
    QString text;
    QObject::connect(connection.get(), &NamedPipeClientConnection::errorOccurred, &manager,
                     [&](NamedPipe::Error error, const QString &told) {
                         errors.append(error);
                         text = told;
                     });
    QVERIFY(waitUntil([&] { return !errors.isEmpty(); }));
    QCOMPARE(errors, QList { NamedPipe::SystemError });
    QVERIFY2(text.contains(u"getsockopt: %1"_s.arg(ENOTSOCK)), qPrintable(text));
    QVERIFY(!connection->isConnected());
}

static std::atomic<bool> isNextUnknown { false };

void tst_SeldomPaths::clientThatCannotBeIdentifiedIsTurnedAway()
{
    isNextUnknown = true;
    const Instead accept(&UnixCalls::accept4,
                         [](int fd, sockaddr *address, socklen_t *length, int flags) {
                             const int client = real.accept4(fd, address, length, flags);
                             if (client >= 0 && isNextUnknown.exchange(false))
                                 spoil(client);
                             return client;
                         });
    EchoServer echo;
    QVERIFY(echo.server.start());
    RawPeer unknown;
    QVERIFY(unknown.connectTo(echo.server.pipeName()));
    QVERIFY(waitUntil([&] { return echo.server.statistics().connectionsRefused == 1; }));
    QVERIFY(unknown.atEnd());
    RawPeer peer;
    QVERIFY(echo.connects(peer));
    QVERIFY(echo.echoes(peer, { "hello"_ba }));
    QCOMPARE(echo.server.statistics().connectionsAccepted, 1u);
}

void tst_SeldomPaths::groupsOfAClientAreLookedThrough_data()
{
    QTest::addColumn<int>("others"); // groups that are not the server's
    QTest::addColumn<bool>("isMember");
    for (const int others : { 0, 1, 63, 64, 200 }) {
        QTest::addRow("member, and of %d others", others) << others << true;
        QTest::addRow("of %d others only", others) << others << false;
    }
}

void tst_SeldomPaths::groupsOfAClientAreLookedThrough()
{
    if (::geteuid() != 0)
        SKIP_BECAUSE("only root can become another user");
    QFETCH(int, others);
    QFETCH(bool, isMember);
    EchoServer echo;
    echo.server.setAccessOptions(NamedPipe::UserAccess | NamedPipe::GroupAccess);
    QVERIFY(echo.server.start());
    // Those whom the mode of the file keeps out are not looked at.
    const QByteArray path = QFile::encodeName(echo.server.fullPipeName());
    QCOMPARE(::chmod(path.constData(), 0666), 0);
    std::vector<gid_t> groups(static_cast<size_t>(others));
    std::iota(groups.begin(), groups.end(), ::getegid() + 1000);
    if (isMember)
        groups.push_back(::getegid());
    auto client = runClient([&] {
        // The system calls change this thread only, which ends with the client.
        if (::syscall(SYS_setgroups, groups.size(), groups.data()) != 0
            || ::syscall(SYS_setresgid, -1, 65534, -1) != 0
            || ::syscall(SYS_setresuid, -1, 65534, -1) != 0)
            return false;
        RawPeer peer;
        if (!peer.connectTo(echo.server.pipeName()))
            return false;
        if (!isMember)
            return peer.atEnd();
        return peer.sendMessage("hello"_ba) && peer.receiveMessage() == "hello"_ba;
    });
    QVERIFY(waitForTask(client));
    QVERIFY(client.get());
    QCOMPARE(echo.server.statistics().connectionsRefused, isMember ? 0u : 1u);
}

void tst_SeldomPaths::listWithoutADescriptorIsEmpty()
{
    EchoServer echo;
    QVERIFY(echo.server.start());
    const NamedPipeClientManager manager;
    const QString pattern = echo.server.pipeName();
    QCOMPARE(manager.findNamedPipes(pattern), QStringList { pattern });
    {
        const Limit descriptors(RLIMIT_NOFILE, 0);
        QCOMPARE(manager.findNamedPipes(pattern), QStringList());
    }
    QCOMPARE(manager.findNamedPipes(pattern), QStringList { pattern });
}

// --- Two threads at the same moment ---

namespace {

/// All places are taken at the first look, and one is free at the second. Nobody tells of it.
class Places final : public ListenerSink
{
public:
    bool reservePlace() override { return ++looks > 1; }
    void releasePlace() override { }
    void accepted(std::shared_ptr<PipeEndpoint> endpoint) override
    {
        endpoint->close();
        ++clients;
    }
    void refused(const PeerIdentity &) override { }
    void listenerFailed(const TransportError &) override { }

    std::atomic<int> looks { 0 };
    std::atomic<int> clients { 0 };
};

/// Keeps how a write goes on.
class Writes final : public EndpointSink
{
public:
    void received(MessageBatch &) override { }
    void readEnded(ReadEnd, const TransportError &) override { }
    void writeProgressed(const WriteProgress &progress) override
    {
        ++reports;
        last = progress.status;
    }
    void hangUpSeen() override { }

    std::atomic<int> reports { 0 };
    std::atomic<WriteProgress::Status> last { WriteProgress::Pending };
};

/// An endpoint whose other end is the test's, without a server.
struct Alone
{
    Alone()
    {
        if (engine->start())
            qFatal("no engine");
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
            qFatal("no sockets");
        peer.reset(ends[1]);
        endpoint = std::make_shared<EpollEndpoint>(engine, UnixFd(ends[0]), PeerIdentity());
        endpoint->attach(writes);
    }
    ~Alone()
    {
        endpoint->close();
        engine->shutdown();
    }
    Alone(const Alone &) = delete;
    Alone &operator=(const Alone &) = delete;

    const std::shared_ptr<EpollEngine> engine =
            std::make_shared<EpollEngine>(EngineSettings(), 8192);
    const std::shared_ptr<Writes> writes = std::make_shared<Writes>();
    UnixFd peer;
    std::shared_ptr<EpollEndpoint> endpoint;
};

EpollEndpoint *victim = nullptr;
std::atomic<int> waitsUntilCancel { 0 };

/// Cancels while a write makes known that it waits.
int cancellingControl(int epoll, int operation, int fd, epoll_event *event)
{
    if (operation == EPOLL_CTL_MOD && (event->events & EPOLLOUT) && --waitsUntilCancel == 0)
        victim->cancel();
    return real.epoll_ctl(epoll, operation, fd, event);
}

} // namespace

void tst_SeldomPaths::placeThatGetsFreeDuringTheLookIsTaken()
{
    const auto places = std::make_shared<Places>();
    const auto engine = std::make_shared<EpollEngine>(EngineSettings(), 8192);
    const auto end = qScopeGuard([&] {
        engine->stopAccepting();
        engine->shutdown();
    });
    QVERIFY(!engine->start());
    ListenSettings settings;
    settings.name = scratchName();
    QVERIFY(!engine->listen(settings, places));
    engine->startAccepting();
    RawPeer peer;
    QVERIFY(peer.connectTo(settings.name));
    QVERIFY(waitUntil([&] { return places->clients == 1; }));
}

void tst_SeldomPaths::writeThatIsCancelledAsItBeginsToWaitEnds_data()
{
    QTest::addColumn<int>("waits");
    QTest::newRow("on the caller's thread") << 1;
    QTest::newRow("on a worker") << 2;
}

void tst_SeldomPaths::writeThatIsCancelledAsItBeginsToWaitEnds()
{
    QFETCH(int, waits);
    const OutgoingMessage message(QByteArray(moreThanTheSystemBuffers, 'x'), {}, false);
    const Instead control(&UnixCalls::epoll_ctl, cancellingControl);
    const Alone alone;
    victim = alone.endpoint.get();
    waitsUntilCancel = waits;

    const WriteProgress progress = alone.endpoint->startWrite(&message, 1);
    QCOMPARE(progress.accepted, 0);
    if (waits == 1) {
        QCOMPARE(progress.status, WriteProgress::Cancelled);
        QCOMPARE(alone.writes->reports.load(), 0);
    } else {
        QCOMPARE(progress.status, WriteProgress::Pending);
        // Makes room, and less than the rest of the message needs.
        std::vector<char> room(1024 * 1024);
        for (ssize_t left = ssize_t(room.size()); left > 0;) {
            const ssize_t size = ::recv(alone.peer.get(), room.data(), size_t(left), 0);
            if (size <= 0)
                break;
            left -= size;
        }
        QVERIFY(waitUntil([&] { return alone.writes->last == WriteProgress::Cancelled; }));
        QCOMPARE(alone.writes->reports.load(), 1);
    }
}

// Although there is room again at once.
void tst_SeldomPaths::callerOfAWriteLeavesToAWorkerWhatIsNotTakenAtOnce()
{
    static std::atomic<qint64> sentByCaller;
    static QThread *caller;
    sentByCaller = 0;
    caller = QThread::currentThread();
    const Instead sendmsg(&UnixCalls::sendmsg, [](int, const msghdr *message, int) {
        const ssize_t taken = qMin<ssize_t>(bytesOf(*message), 100'000);
        if (QThread::currentThread() == caller)
            sentByCaller += taken;
        return taken;
    });
    EchoServer echo;
    QVERIFY(echo.server.start());
    RawPeer peer;
    QVERIFY(echo.connects(peer));
    const NamedPipeServerConnectionPtr connection = echo.server.connections().constFirst();
    constexpr qint64 size = 16 * 1024 * 1024;
    QVERIFY(connection->asyncWrite(QByteArray(size, 'x')));
    QCOMPARE(sentByCaller.load(), qint64(100'000));
    QVERIFY(waitUntil([&] { return connection->bytesToWrite() == 0; }));
    QCOMPARE(connection->statistics().bytesSent, quint64(size));
    QCOMPARE(sentByCaller.load(), qint64(100'000));
}

// However fast the client reads: a worker looks for others in between.
void tst_SeldomPaths::longQueueIsSentInTurns()
{
    static std::atomic<bool> isFull;
    static std::atomic<qint64> mostInATurn;
    static thread_local qint64 sentInTurn = 0;
    isFull = true;
    mostInATurn = 0;
    const Instead wait(&UnixCalls::epoll_wait,
                       [](int epoll, epoll_event *events, int maximum, int timeout) {
                           sentInTurn = 0;
                           return ::epoll_wait(epoll, events, maximum, timeout);
                       });
    const Instead sendmsg(&UnixCalls::sendmsg, [](int, const msghdr *message, int) -> ssize_t {
        if (isFull) {
            errno = EAGAIN;
            return -1;
        }
        const ssize_t taken = bytesOf(*message);
        sentInTurn += taken;
        mostInATurn = qMax<qint64>(mostInATurn, sentInTurn);
        return taken;
    });
    EchoServer echo;
    QVERIFY(echo.server.start());
    RawPeer peer;
    QVERIFY(echo.connects(peer));
    const NamedPipeServerConnectionPtr connection = echo.server.connections().constFirst();
    constexpr qint64 size = 16 * 1024;
    constexpr qint64 count = 1024;
    for (qint64 i = 0; i < count; ++i)
        QVERIFY(connection->asyncWrite(QByteArray(size, 'x')));
    isFull = false;
    QVERIFY(waitUntil([&] { return connection->bytesToWrite() == 0; }));
    QCOMPARE(connection->statistics().bytesSent, quint64(size * count));
    QVERIFY2(mostInATurn > 0 && mostInATurn <= size * count / 4,
             QByteArray::number(mostInATurn.load()));
}

// --- Memory ---

/// The memory in which a thread puts messages together goes with the thread, and what was there before
/// goes later.
void tst_SeldomPaths::threadMaySendWhileWhatItHasIsDestroyed()
{
    const Alone alone;
    int accepted = 0;
    const auto send = [&](const char *bytes) {
        const OutgoingMessage message(bytes, {}, false);
        accepted += alone.endpoint->startWrite(&message, 1).accepted;
    };
    std::thread([&] {
        static thread_local std::shared_ptr<void> atEnd;
        atEnd = std::shared_ptr<void>(nullptr, [&send](void *) { send("late"); });
        send("early");
    }).join();
    QCOMPARE(accepted, 2);
    QByteArray received(100, '\0');
    received.resize(::recv(alone.peer.get(), received.data(), size_t(received.size()), 0));
    QCOMPARE(received, "\0\0\0\5early\0\0\0\4late"_ba);
}

void tst_SeldomPaths::messageThatTheMemoryHasNoRoomForEndsItsConnectionOnly()
{
    if (PlatformFlags::runningUnderSanitizer())
        SKIP_BECAUSE("sanitizers take all addresses for themselves");
    EchoServer echo;
    QVERIFY(echo.server.start());
    RawPeer greedy;
    RawPeer modest;
    QVERIFY(echo.connects(greedy));
    QVERIFY(echo.connects(modest));
    const QByteArray chunk(1024 * 1024, 'x');

    const Limit addresses(RLIMIT_AS, rlim_t(ProcessFacts::reservedBytes()) + 96 * 1024 * 1024);
    auto client = runClient([&] {
        int sent = 0;
        if (greedy.sendRaw(QByteArray("\x40\x00\x00\x00", 4))) { // 1 GiB
            while (sent < 1024 && greedy.sendRaw(chunk))
                ++sent;
        }
        return sent;
    });
    QVERIFY(waitForTask(client));
    const int sent = client.get();
    QVERIFY2(sent > 0 && sent < 1024, qPrintable(QString::number(sent)));
    QVERIFY(waitUntil([&] { return echo.disconnected == 1; }));
    QCOMPARE(echo.clientErrors, QList { NamedPipe::ResourceExhausted });
    QVERIFY2(echo.lastText.contains(u"no memory for a message of 1073741824 bytes"_s),
             qPrintable(echo.lastText));
    QVERIFY(echo.echoes(modest, { "hello"_ba }));
}

void tst_SeldomPaths::readThatTheMemoryHasNoRoomForGoesOnLater()
{
    if (PlatformFlags::runningUnderSanitizer())
        SKIP_BECAUSE("sanitizers take all addresses for themselves");
    EchoServer echo;
    echo.server.setMessageBufferSize(512 * 1024 * 1024);
    QVERIFY(echo.server.start());
    RawPeer peer;
    QVERIFY(echo.connects(peer));
    {
        const Limit addresses(RLIMIT_AS, rlim_t(ProcessFacts::reservedBytes()) + 96 * 1024 * 1024);
        QVERIFY(peer.sendMessage("hello"));
        watchFor();
        QCOMPARE(echo.messages, 0);
        QCOMPARE(echo.disconnected, 0);
    }
    QVERIFY(waitUntil([&] { return echo.messages == 1; }));
    QCOMPARE(peer.receiveMessage(), "hello"_ba);
    QCOMPARE(echo.clientErrors, QList<NamedPipe::Error>());
}

QTEST_GUILESS_MAIN(tst_SeldomPaths)
#include "tst_seldom_paths.moc"
