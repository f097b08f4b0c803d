// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "skipping.h"
#include "testserver.h"

#include <QtCore/qdir.h>
#include <QtCore/qfile.h>
#include <QtCore/qscopeguard.h>
#include <QtTest/QtTest>

#include <cstring>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

using namespace Qt::StringLiterals;

/// The file behind a name: stale ones are taken over, all others are left as they are.
class tst_SocketNameLinux : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void staleSocketIsTakenOver_data();
    void staleSocketIsTakenOver();
    void liveSocketOfAnotherProgramIsNotStolen_data();
    void liveSocketOfAnotherProgramIsNotStolen();
    void whatIsInTheWayStaysThere_data();
    void whatIsInTheWayStaysThere();
    void staleSocketOfAnotherUserStaysThere();
    void linkInPlaceOfTheLockFileIsNotFollowed();
    void whatIsInPlaceOfTheLockFileIsAnErrorAtOnce_data();
    void whatIsInPlaceOfTheLockFileIsAnErrorAtOnce();
    void socketIsGoneAfterStop();
    void socketOfASuccessorSurvivesStop();
    void longNamesAreRefusedOrWhole();

private:
    static QByteArray pathOf(const QString &name)
    {
        return QFile::encodeName(QDir::tempPath() + u'/' + name);
    }
    // A socket of another program; -1 when that does not work.
    static int bindSocket(const QByteArray &path)
    {
        sockaddr_un address {};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.constData(), size_t(path.size()));
        const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (::bind(fd, reinterpret_cast<sockaddr *>(&address), sizeof(address)) == 0)
            return fd;
        ::close(fd);
        return -1;
    }
};

void tst_SocketNameLinux::staleSocketIsTakenOver_data()
{
    QTest::addColumn<uint>("mode");
    QTest::newRow("0600") << 0600u;
    QTest::newRow("0777") << 0777u;
}

void tst_SocketNameLinux::staleSocketIsTakenOver()
{
    QFETCH(uint, mode);
    TestServer ts;
    const QByteArray path = pathOf(ts.name());
    const int fd = bindSocket(path);
    QVERIFY(fd != -1);
    ::chmod(path.constData(), mode);
    ::close(fd); // the file stays, as after a crash
    QVERIFY(QFile::exists(QFile::decodeName(path)));
    QVERIFY2(ts.start(), qPrintable(ts.server.errorString()));
    QVERIFY(ts.connectPeer().isOpen());
}

void tst_SocketNameLinux::liveSocketOfAnotherProgramIsNotStolen_data()
{
    QTest::addColumn<int>("backlog");
    QTest::addColumn<int>("waiting"); // clients that nobody has accepted
    QTest::newRow("listening") << 5 << 0;
    QTest::newRow("with a full backlog") << 0 << 1;
}

void tst_SocketNameLinux::liveSocketOfAnotherProgramIsNotStolen()
{
    QFETCH(int, backlog);
    QFETCH(int, waiting);
    NamedPipeServer server(scratchName());
    const QByteArray path = pathOf(server.pipeName());
    const int fd = bindSocket(path);
    const auto cleanUp = qScopeGuard([&] {
        ::close(fd);
        ::unlink(path.constData());
    });
    QVERIFY(fd != -1);
    QCOMPARE(::listen(fd, backlog), 0);
    std::vector<RawPeer> clients(size_t(waiting + 1));
    for (int client = 0; client < waiting; ++client)
        QVERIFY(clients[size_t(client)].connectTo(server.pipeName()));
    QVERIFY(!server.start());
    QCOMPARE(server.error(), NamedPipe::NameInUse);
    struct stat info = {};
    QCOMPARE(::lstat(path.constData(), &info), 0);
    if (waiting == 0)
        QVERIFY(clients.back().connectTo(server.pipeName())); // still the other program's
}

void tst_SocketNameLinux::whatIsInTheWayStaysThere_data()
{
    QTest::addColumn<QString>("what");
    for (const char *what : { "file", "empty file", "folder", "fifo", "link to a file",
                              "link to a socket", "link to a stale socket", "dangling link" })
        QTest::newRow(what) << QString::fromLatin1(what);
}

void tst_SocketNameLinux::whatIsInTheWayStaysThere()
{
    QFETCH(QString, what);
    NamedPipeServer server(scratchName());
    const QByteArray path = pathOf(server.pipeName());
    const QByteArray target = pathOf(scratchName());
    int fd = -1;
    const auto cleanUp = qScopeGuard([&] {
        if (fd != -1)
            ::close(fd);
        ::rmdir(path.constData());
        ::unlink(path.constData());
        ::unlink(target.constData());
    });
    const auto write = [](const QByteArray &name, const QByteArray &content) {
        QFile file(QFile::decodeName(name));
        return file.open(QIODevice::WriteOnly) && file.write(content) == content.size();
    };
    if (what == u"file")
        QVERIFY(write(path, "precious"));
    else if (what == u"empty file")
        QVERIFY(write(path, {}));
    else if (what == u"folder")
        QCOMPARE(::mkdir(path.constData(), 0700), 0);
    else if (what == u"fifo")
        QCOMPARE(::mkfifo(path.constData(), 0600), 0);
    else
        QCOMPARE(::symlink(target.constData(), path.constData()), 0);
    if (what == u"link to a file")
        QVERIFY(write(target, "precious"));
    if (what.contains(u"socket"))
        QVERIFY((fd = bindSocket(target)) != -1);
    if (what == u"link to a socket")
        QCOMPARE(::listen(fd, 5), 0);
    if (what == u"link to a stale socket")
        ::close(std::exchange(fd, -1));

    struct stat before = {};
    struct stat targetBefore = {};
    QCOMPARE(::lstat(path.constData(), &before), 0);
    const int targetExists = ::lstat(target.constData(), &targetBefore);

    QVERIFY(!server.start());
    QCOMPARE(server.error(), NamedPipe::NameInUse);
    QVERIFY(!server.errorString().isEmpty());

    struct stat after = {};
    struct stat targetAfter = {};
    QCOMPARE(::lstat(path.constData(), &after), 0);
    QCOMPARE(after.st_ino, before.st_ino);
    QCOMPARE(after.st_mode, before.st_mode);
    QCOMPARE(after.st_size, before.st_size);
    QCOMPARE(::lstat(target.constData(), &targetAfter), targetExists);
    QCOMPARE(targetAfter.st_ino, targetBefore.st_ino);
    QCOMPARE(targetAfter.st_size, targetBefore.st_size);
}

void tst_SocketNameLinux::staleSocketOfAnotherUserStaysThere()
{
    if (::geteuid() != 0)
        SKIP_BECAUSE("only root can give a file away");
    NamedPipeServer server(scratchName());
    const QByteArray path = pathOf(server.pipeName());
    const int fd = bindSocket(path);
    const auto cleanUp = qScopeGuard([&path] { ::unlink(path.constData()); });
    QVERIFY(fd != -1);
    ::close(fd);
    QCOMPARE(::chown(path.constData(), 65534, 65534), 0);
    struct stat before = {};
    QCOMPARE(::lstat(path.constData(), &before), 0);
    QVERIFY(!server.start());
    QCOMPARE(server.error(), NamedPipe::NameInUse);
    struct stat after = {};
    QCOMPARE(::lstat(path.constData(), &after), 0);
    QCOMPARE(after.st_ino, before.st_ino);
    QCOMPARE(after.st_uid, before.st_uid);
}

void tst_SocketNameLinux::linkInPlaceOfTheLockFileIsNotFollowed()
{
    NamedPipeServer server(scratchName());
    const QByteArray lock = pathOf(u'.' + server.pipeName() + u".lock"_s);
    const QByteArray target = pathOf(scratchName());
    const auto cleanUp = qScopeGuard([&] {
        ::unlink(lock.constData());
        ::unlink(target.constData());
    });
    QCOMPARE(::symlink(target.constData(), lock.constData()), 0);
    QVERIFY(!server.start());
    QVERIFY2(server.errorString().contains(QFile::decodeName(lock)),
             qPrintable(server.errorString()));
    struct stat info = {};
    QCOMPARE(::lstat(target.constData(), &info), -1); // nothing was made there
    QCOMPARE(::lstat(lock.constData(), &info), 0);
    QVERIFY(S_ISLNK(info.st_mode));
    QCOMPARE(::unlink(lock.constData()), 0);
    QVERIFY2(server.start(), qPrintable(server.errorString()));
}

void tst_SocketNameLinux::whatIsInPlaceOfTheLockFileIsAnErrorAtOnce_data()
{
    QTest::addColumn<uint>("type");
    QTest::newRow("folder") << uint(S_IFDIR);
    QTest::newRow("fifo") << uint(S_IFIFO);
    QTest::newRow("socket") << uint(S_IFSOCK);
}

void tst_SocketNameLinux::whatIsInPlaceOfTheLockFileIsAnErrorAtOnce()
{
    QFETCH(uint, type);
    NamedPipeServer server(scratchName());
    const QByteArray lock = pathOf(u'.' + server.pipeName() + u".lock"_s);
    QCOMPARE(type == S_IFDIR ? ::mkdir(lock.constData(), 0700)
                             : ::mknod(lock.constData(), type | 0600, 0),
             0);
    const auto remove = [&lock] { ::remove(lock.constData()); };
    const auto cleanUp = qScopeGuard(remove);
    QVERIFY(!server.start()); // or run-suite.sh says that it hangs
    QVERIFY2(server.errorString().contains(QFile::decodeName(lock)),
             qPrintable(server.errorString()));
    struct stat info = {};
    QCOMPARE(::lstat(lock.constData(), &info), 0);
    QCOMPARE(uint(info.st_mode & S_IFMT), type);
    QVERIFY(!QFile::exists(server.fullPipeName()));
    remove();
    QVERIFY2(server.start(), qPrintable(server.errorString()));
}

void tst_SocketNameLinux::socketIsGoneAfterStop()
{
    TestServer ts;
    const QString path = ts.server.fullPipeName();
    QVERIFY(ts.start());
    QVERIFY(QFile::exists(path));
    ts.server.stop();
    QVERIFY(!QFile::exists(path));
    {
        NamedPipeServer other(ts.name());
        QVERIFY(other.start());
        QVERIFY(QFile::exists(path));
    }
    QVERIFY(!QFile::exists(path));
}

void tst_SocketNameLinux::socketOfASuccessorSurvivesStop()
{
    TestServer ts;
    QVERIFY(ts.start());
    const QByteArray path = pathOf(ts.name());
    QCOMPARE(::unlink(path.constData()), 0); // by somebody who knows no better
    const int fd = bindSocket(path);
    const auto cleanUp = qScopeGuard([&] {
        ::close(fd);
        ::unlink(path.constData());
    });
    QVERIFY(fd != -1);
    QCOMPARE(::listen(fd, 5), 0);
    ts.server.stop();
    RawPeer peer;
    QVERIFY(peer.connectTo(ts.name()));
}

void tst_SocketNameLinux::longNamesAreRefusedOrWhole()
{
    // sun_path holds 107 bytes: on the way there a name may become too long, never shorter.
    const int room = 107 - int(QFile::encodeName(QDir::tempPath()).size()) - 1;
    bool refused = false;
    const QString base = scratchName();
    for (int length = room - 24; length <= room + 24; ++length) {
        const QString name = base + QString(length - base.size(), u'x');
        TestServer ts;
        ts.server.setPipeName(name);
        if (ts.start()) {
            QVERIFY2(!refused, "a longer name works");
            QVERIFY(ts.connectPeer().isOpen());
            QVERIFY(QFile::exists(QDir::tempPath() + u'/' + name));
        } else {
            QCOMPARE(ts.server.error(), NamedPipe::NameInvalid);
            refused = true;
        }
    }
    QVERIFY(refused);
    TestServer ts;
    ts.server.setPipeName(QString(room / 2, QChar(0x20AC))); // three bytes each
    QVERIFY(!ts.start());
    QCOMPARE(ts.server.error(), NamedPipe::NameInvalid);
}

QTEST_GUILESS_MAIN(tst_SocketNameLinux)
#include "tst_socketname_linux.moc"
