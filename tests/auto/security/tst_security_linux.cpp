// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "childprocess.h"
#include "payload.h"
#include "processfacts.h"
#include "rawserver.h"
#include "skipping.h"
#include "testclient.h"
#include "testserver.h"

#include <QtCore/qdir.h>
#include <QtCore/qfile.h>
#include <QtCore/qregularexpression.h>
#include <QtCore/qscopeguard.h>
#include <QtCore/qset.h>
#include <QtTest/QtTest>

#include <csignal>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace Qt::StringLiterals;

/// Who may connect, and what the process gives away to others.
class tst_SecurityLinux : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void modeOfTheSocketFollowsTheAccessOptions_data();
    void modeOfTheSocketFollowsTheAccessOptions();
    void accessOptionsSetWhileRunningWaitForTheNextStart();
    void securityDescriptorChangesNothing();
    void socketBelongsToTheUser();
    void umaskIsLeftAlone_data();
    void umaskIsLeftAlone();
    void signalDispositionsAreLeftAlone();
    void everyDescriptorIsCloseOnExec();
    void childProcessInheritsNothing();
    void strangersConnectOnlyWhereTheyMay_data();
    void strangersConnectOnlyWhereTheyMay();
    void strangerWhoGetsPastTheFileModeIsRefused();
    void serverOfAnotherUserIsRefusedOnRequest_data();
    void serverOfAnotherUserIsRefusedOnRequest();
    void descriptorsOfAClientAreCloseOnExec();

private:
    static struct stat statOf(const QString &path)
    {
        struct stat result = {};
        ::lstat(QFile::encodeName(path).constData(), &result);
        return result;
    }
    static QSet<int> openFiles()
    {
        QSet<int> files;
        for (int fd = 0; fd < 1024; ++fd) {
            if (::fcntl(fd, F_GETFD) != -1)
                files.insert(fd);
        }
        return files;
    }
};

void tst_SecurityLinux::modeOfTheSocketFollowsTheAccessOptions_data()
{
    QTest::addColumn<NamedPipe::AccessOptions>("options");
    QTest::addColumn<uint>("mode");
    using NamedPipe::AccessOptions;
    QTest::newRow("user") << AccessOptions(NamedPipe::UserAccess) << 0600u;
    QTest::newRow("user and group") << (NamedPipe::UserAccess | NamedPipe::GroupAccess) << 0660u;
    QTest::newRow("world") << AccessOptions(NamedPipe::WorldAccess) << 0666u;
}

void tst_SecurityLinux::modeOfTheSocketFollowsTheAccessOptions()
{
    QFETCH(NamedPipe::AccessOptions, options);
    QFETCH(uint, mode);
    TestServer ts;
    ts.server.setAccessOptions(options);
    QVERIFY(ts.start());
    const struct stat info = statOf(ts.server.fullPipeName());
    QVERIFY(S_ISSOCK(info.st_mode));
    QCOMPARE(QString::number(info.st_mode & 07777, 8), QString::number(mode, 8));
    QVERIFY(ts.connectPeer().isOpen());
}

void tst_SecurityLinux::accessOptionsSetWhileRunningWaitForTheNextStart()
{
    TestServer ts;
    const auto mode = [&ts] { return uint(statOf(ts.server.fullPipeName()).st_mode & 07777); };
    QVERIFY(ts.start());
    ts.server.setAccessOptions(NamedPipe::WorldAccess);
    QVERIFY(ts.connectPeer().isOpen());
    QCOMPARE(mode(), 0600u);
    ts.server.stop();
    QVERIFY(ts.start());
    QCOMPARE(mode(), 0666u);
}

// Or a program that was written for Windows would be open to everybody without knowing it.
void tst_SecurityLinux::securityDescriptorChangesNothing()
{
    TestServer ts;
    ts.server.setSecurityDescriptor(u"D:(A;;GA;;;WD)"_s);
    QTest::ignoreMessage(QtWarningMsg, QRegularExpression(u"^securityDescriptor is for Windows"_s));
    QVERIFY(ts.start());
    QCOMPARE(uint(statOf(ts.server.fullPipeName()).st_mode & 07777), 0600u);
}

void tst_SecurityLinux::socketBelongsToTheUser()
{
    TestServer ts;
    QVERIFY(ts.start());
    const struct stat info = statOf(ts.server.fullPipeName());
    QCOMPARE(info.st_uid, ::geteuid());
    QCOMPARE(info.st_gid, ::getegid());
}

void tst_SecurityLinux::umaskIsLeftAlone_data()
{
    QTest::addColumn<uint>("mask");
    for (const uint mask : { 0u, 022u, 077u, 0777u })
        QTest::addRow("%03o", mask) << mask;
}

void tst_SecurityLinux::umaskIsLeftAlone()
{
    QFETCH(uint, mask);
    const mode_t original = ::umask(mode_t(mask));
    const auto restore = qScopeGuard([original] { ::umask(original); });
    for (const auto &[options, mode] :
         { std::pair(NamedPipe::AccessOptions(NamedPipe::UserAccess), 0600u),
           std::pair(NamedPipe::AccessOptions(NamedPipe::WorldAccess), 0666u) }) {
        TestServer ts;
        ts.server.setAccessOptions(options);
        // Somebody else makes files all the time: a umask changed for a moment would show in them.
        std::atomic<bool> over { false };
        auto witness = runClient([&over, path = QDir::tempPath() + u'/' + scratchName()] {
            const QByteArray file = QFile::encodeName(path);
            QSet<uint> modes;
            do {
                const int fd =
                        ::open(file.constData(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
                struct stat info = {};
                if (fd != -1 && ::fstat(fd, &info) == 0)
                    modes.insert(info.st_mode & 0777);
                ::close(fd);
                ::unlink(file.constData());
            } while (!over);
            return modes;
        });
        bool ok = true;
        for (int round = 0; ok && round < 20; ++round) {
            ok = ts.start() && (statOf(ts.server.fullPipeName()).st_mode & 0777) == mode;
            ts.server.stop();
        }
        over = true;
        const QSet<uint> modes = witness.get();
        QVERIFY2(ok, qPrintable(ts.server.errorString()));
        QCOMPARE(modes, QSet<uint> { 0666 & ~mask });
        const mode_t now = ::umask(mode_t(mask));
        QCOMPARE(uint(now), mask);
    }
}

void tst_SecurityLinux::signalDispositionsAreLeftAlone()
{
    struct sigaction before = {};
    struct sigaction deadly = {}; // a SIGPIPE would end this test
    deadly.sa_handler = SIG_DFL;
    QCOMPARE(::sigaction(SIGPIPE, &deadly, &before), 0);
    const auto restore = qScopeGuard([&before] { ::sigaction(SIGPIPE, &before, nullptr); });
    TestServer ts;
    QVERIFY(ts.start());
    for (int round = 0; round < 20; ++round) {
        RawPeer peer = ts.connectPeer();
        const NamedPipeServerConnectionPtr connection = ts.connection();
        connection->asyncWrite(payload(1'000'000));
        peer.close();
        while (connection->asyncWrite("into the broken pipe"_ba)) { }
        QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
        ts.recorder.clear();
    }
    ts.server.stop();
    struct sigaction now = {};
    QCOMPARE(::sigaction(SIGPIPE, nullptr, &now), 0);
    QVERIFY(now.sa_handler == SIG_DFL);
}

void tst_SecurityLinux::everyDescriptorIsCloseOnExec()
{
    const QSet<int> before = openFiles();
    TestServer ts;
    ts.server.setNumThreadsIOCP(3);
    QVERIFY(ts.start());
    const RawPeer peer = ts.connectPeer(); // close-on-exec itself
    const QSet<int> opened = openFiles() - before;
    QVERIFY(opened.size() >= 3); // a listener, an epoll, a connection at the least
    for (const int fd : opened) {
        const QString target = QFile::symLinkTarget(u"/proc/self/fd/%1"_s.arg(fd));
        QVERIFY2(::fcntl(fd, F_GETFD) & FD_CLOEXEC, qPrintable(target));
    }
}

void tst_SecurityLinux::childProcessInheritsNothing()
{
    TestServer ts;
    const auto openInChild = [] {
        ChildProcess child({ u"files"_s });
        if (!child.waitForEnd())
            return "hangs"_ba;
        return child.output();
    };
    const QByteArray before = openInChild();
    QVERIFY(before.contains("end"));
    QVERIFY(ts.start());
    const RawPeer peer = ts.connectPeer();
    const QByteArray after = openInChild();
    const auto withoutNumbers = [](const QByteArray &lines) {
        QList<QByteArray> kinds; // "socket:[12345]" differs from run to run
        for (const QByteArray &line : lines.split('\n'))
            kinds.append(line.left(line.indexOf('[') + 1) + line.mid(line.indexOf(']') + 1));
        return kinds;
    };
    QCOMPARE(withoutNumbers(after), withoutNumbers(before));
}

void tst_SecurityLinux::strangersConnectOnlyWhereTheyMay_data()
{
    QTest::addColumn<NamedPipe::AccessOptions>("options");
    QTest::addColumn<uint>("uid");
    QTest::addColumn<uint>("gid");
    QTest::addColumn<bool>("allowed");
    using NamedPipe::AccessOptions;
    const AccessOptions user = NamedPipe::UserAccess;
    const AccessOptions group = NamedPipe::UserAccess | NamedPipe::GroupAccess;
    const AccessOptions world = NamedPipe::WorldAccess;
    const uint nobody = 65534;
    QTest::newRow("user: a stranger") << user << nobody << nobody << false;
    QTest::newRow("user: a stranger of the same group")
            << user << nobody << uint(::getegid()) << false;
    QTest::newRow("group: a stranger") << group << nobody << nobody << false;
    QTest::newRow("group: a stranger of the same group")
            << group << nobody << uint(::getegid()) << true;
    QTest::newRow("world: a stranger") << world << nobody << nobody << true;
}

void tst_SecurityLinux::strangersConnectOnlyWhereTheyMay()
{
    if (::geteuid() != 0)
        SKIP_BECAUSE("only root can become another user");
    QFETCH(NamedPipe::AccessOptions, options);
    QFETCH(uint, uid);
    QFETCH(uint, gid);
    QFETCH(bool, allowed);
    TestServer ts;
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &data) { connection->asyncWrite(data); };
    ts.server.setAccessOptions(options);
    QVERIFY(ts.start());
    ChildProcess child({ u"stranger"_s, ts.name(), QString::number(uid), QString::number(gid) });
    QVERIFY(child.waitForEnd());
    if (allowed) {
        QVERIFY2(child.output().contains("answered"), child.output().constData());
        QCOMPARE(ts.recorder.messages(), QList { "stranger"_ba });
        QCOMPARE(ts.connection()->clientUserId(), QString::number(uid));
    } else {
        QVERIFY2(!child.output().contains("answered"), child.output().constData());
        QVERIFY(child.output().contains("refused") || child.output().contains("dropped"));
        watchFor(std::chrono::milliseconds(30));
        QCOMPARE(ts.recorder.count(ServerEvent::Connected), 0);
        QCOMPARE(ts.recorder.count(ServerEvent::Message), 0);
    }
    QVERIFY(ts.connectPeer().isOpen()); // its own user always may
}

void tst_SecurityLinux::strangerWhoGetsPastTheFileModeIsRefused()
{
    if (::geteuid() != 0)
        SKIP_BECAUSE("only root can become another user");
    TestServer ts;
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &data) { connection->asyncWrite(data); };
    QVERIFY(ts.start());
    // As if the mode had been changed by somebody: the uid of the peer still counts.
    QCOMPARE(::chmod(QFile::encodeName(ts.server.fullPipeName()).constData(), 0666), 0);
    ChildProcess child({ u"stranger"_s, ts.name(), u"65534"_s, u"65534"_s });
    QVERIFY(child.waitForEnd());
    QVERIFY2(child.output().contains("dropped"), child.output().constData());
    QVERIFY(waitUntil([&] { return ts.server.statistics().connectionsRefused == 1; }));
    QCOMPARE(ts.server.statistics().connectionsAccepted, 0u);
    QCOMPARE(ts.recorder.count(ServerEvent::Connected), 0);
    QCOMPARE(ts.recorder.count(ServerEvent::Message), 0);
    QVERIFY(ts.connectPeer().isOpen());
}

void tst_SecurityLinux::serverOfAnotherUserIsRefusedOnRequest_data()
{
    QTest::addColumn<uint>("uid");
    QTest::addColumn<NamedPipe::ServerAccess>("access");
    QTest::addColumn<bool>("accepted");
    const uint nobody = 65534;
    QTest::newRow("own, any user") << uint(::geteuid()) << NamedPipe::AnyUser << true;
    QTest::newRow("own, current user") << uint(::geteuid()) << NamedPipe::CurrentUser << true;
    QTest::newRow("a stranger's, any user") << nobody << NamedPipe::AnyUser << true;
    QTest::newRow("a stranger's, current user") << nobody << NamedPipe::CurrentUser << false;
}

void tst_SecurityLinux::serverOfAnotherUserIsRefusedOnRequest()
{
    QFETCH(uint, uid);
    QFETCH(NamedPipe::ServerAccess, access);
    QFETCH(bool, accepted);
    if (::geteuid() != 0 && uid != ::geteuid())
        SKIP_BECAUSE("only root can become another user");
    RawServer server;
    const QString name = scratchName();
    auto listening = runClient([&] { // the system call changes the user of this thread only
        return ::syscall(SYS_setresuid, -1, uid, -1) == 0 && server.listen(name);
    });
    QVERIFY(waitForTask(listening) && listening.get());

    TestClient client;
    client.manager.setServerAccess(access);
    const auto connection = client.dial(name);
    if (accepted) {
        QVERIFY(client.recorder.waitFor(ClientEvent::Connected));
        QCOMPARE(connection->serverUserId(), QString::number(uid));
        QVERIFY(connection->asyncWrite("secret"_ba));
        QCOMPARE(server.accept().receiveMessage(), "secret"_ba);
        return;
    }
    QVERIFY(client.recorder.waitFor(ClientEvent::Error));
    QCOMPARE(client.recorder.errors(), QList { NamedPipe::AccessDenied });
    const QString text = client.recorder.texts().constFirst();
    QVERIFY2(text.contains(QString::number(uid)), qPrintable(text));
    QCOMPARE(client.recorder.count(), 1);
    QCOMPARE(connection->closeReason(), NamedPipe::Failed);
    RawPeer seen = server.accept();
    QVERIFY(seen.atEnd()); // and nothing was sent
}

void tst_SecurityLinux::descriptorsOfAClientAreCloseOnExec()
{
    TestServer ts;
    QVERIFY(ts.start());
    const QSet<int> before = openFiles();
    TestClient client;
    const auto connection = client.connectTo(ts.name());
    QVERIFY(connection);
    QVERIFY(ts.recorder.waitFor(ServerEvent::Connected));
    const QSet<int> opened = openFiles() - before;
    QVERIFY(opened.size() >= 4); // an epoll, an eventfd, both ends of the connection
    for (const int fd : opened)
        QVERIFY2(::fcntl(fd, F_GETFD) & FD_CLOEXEC, QByteArray::number(fd).constData());
}

QTEST_GUILESS_MAIN(tst_SecurityLinux)
#include "tst_security_linux.moc"
