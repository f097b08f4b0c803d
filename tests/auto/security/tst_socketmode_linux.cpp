// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "epoll/unixcalls.h"
#include "scratchname.h"

#include <QtNamedPipes/NamedPipeServer>

#include <QtCore/qdir.h>
#include <QtCore/qfile.h>
#include <QtCore/qscopeguard.h>
#include <QtCore/qtemporarydir.h>
#include <QtTest/QtTest>

#include <functional>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace Qt::StringLiterals;

static QtNamedPipes::UnixCalls real;
static std::function<void()> afterBind; // what somebody else does right then

/// A folder in which others may rename and remove what is not theirs: what they put in place of the
/// socket, between bind() and the next step, is none of the server's business.
class tst_SocketModeLinux : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void cleanup();
    void whatReplacesTheNewSocketIsLeftAlone_data();
    void whatReplacesTheNewSocketIsLeftAlone();
    void removedSocketIsAnError();
    void modeIsSetWhateverTheUmask_data();
    void modeIsSetWhateverTheUmask();

private:
    QTemporaryDir m_folder;
};

void tst_SocketModeLinux::initTestCase()
{
    QVERIFY(m_folder.isValid());
    real = QtNamedPipes::unixCalls();
    QtNamedPipes::unixCalls().bind = [](int fd, const sockaddr *address, socklen_t length) {
        const int result = real.bind(fd, address, length);
        if (result == 0 && afterBind)
            afterBind();
        return result;
    };
}

void tst_SocketModeLinux::cleanup()
{
    afterBind = nullptr;
}

void tst_SocketModeLinux::whatReplacesTheNewSocketIsLeftAlone_data()
{
    QTest::addColumn<QString>("what");
    for (const char *what : { "link to a file", "link to a folder", "link to a socket",
                              "link to nothing", "file", "folder", "fifo" })
        QTest::newRow(what) << QString::fromLatin1(what);
}

void tst_SocketModeLinux::whatReplacesTheNewSocketIsLeftAlone()
{
    QFETCH(QString, what);
    NamedPipeServer server(scratchName());
    server.setAccessOptions(NamedPipe::WorldAccess);
    const QByteArray path = QFile::encodeName(server.fullPipeName());
    const QByteArray target = QFile::encodeName(m_folder.filePath(server.pipeName()));
    const auto put = [](const QString &kind, const QByteArray &place) {
        if (kind == u"folder")
            return ::mkdir(place.constData(), 0700);
        if (kind == u"nothing")
            return 0;
        const mode_t type = kind == u"fifo" ? S_IFIFO : kind == u"socket" ? S_IFSOCK : S_IFREG;
        return ::mknod(place.constData(), type | 0600, 0);
    };
    const bool isLink = what.startsWith(u"link"_s);
    if (isLink)
        QCOMPARE(put(what.section(u' ', -1), target), 0);
    const auto tidyUp = qScopeGuard([&path] {
        ::unlink(path.constData());
        ::rmdir(path.constData());
    });
    bool replaced = false;
    afterBind = [&] {
        replaced = ::unlink(path.constData()) == 0
                && (isLink ? ::symlink(target.constData(), path.constData()) : put(what, path))
                        == 0;
    };

    QVERIFY(!server.start());
    QVERIFY(replaced);
    QCOMPARE(server.error(), NamedPipe::NameInUse);
    QVERIFY2(server.errorString().contains(server.fullPipeName()),
             qPrintable(server.errorString()));
    struct stat info = {};
    QCOMPARE(::lstat(path.constData(), &info), 0); // still there
    QCOMPARE(bool(S_ISLNK(info.st_mode)), isLink);
    if (!what.contains(u"nothing"_s)) {
        QCOMPARE(::stat(path.constData(), &info), 0);
        QVERIFY2(!(info.st_mode & 0077), QByteArray::number(info.st_mode, 8).constData());
    }
}

void tst_SocketModeLinux::removedSocketIsAnError()
{
    NamedPipeServer server(scratchName());
    afterBind = [path = QFile::encodeName(server.fullPipeName())] { ::unlink(path.constData()); };
    QVERIFY(!server.start());
    QVERIFY(!server.errorString().isEmpty());
    afterBind = nullptr;
    QVERIFY2(server.start(), qPrintable(server.errorString()));
}

void tst_SocketModeLinux::modeIsSetWhateverTheUmask_data()
{
    QTest::addColumn<uint>("mask");
    QTest::addColumn<int>("options");
    for (const uint mask : { 0u, 022u, 077u, 0777u }) {
        for (int options = 1; options <= NamedPipe::WorldAccess; ++options)
            QTest::addRow("umask %03o, options %d", mask, options) << mask << options;
    }
}

void tst_SocketModeLinux::modeIsSetWhateverTheUmask()
{
    QFETCH(uint, mask);
    QFETCH(int, options);
    NamedPipeServer server(scratchName());
    server.setAccessOptions(NamedPipe::AccessOptions(options));
    const QByteArray path = QFile::encodeName(server.fullPipeName());
    uint atFirst = 0;
    afterBind = [&] {
        struct stat info = {};
        if (::lstat(path.constData(), &info) == 0)
            atFirst = info.st_mode & 07777;
    };
    const mode_t original = ::umask(mode_t(mask));
    const bool started = server.start();
    const mode_t now = ::umask(original);
    QVERIFY2(started, qPrintable(server.errorString()));
    QCOMPARE(uint(now), mask);
    const uint wanted = (options & NamedPipe::OtherAccess) ? 0666
            : (options & NamedPipe::GroupAccess)           ? 0660
                                                           : 0600;
    struct stat info = {};
    QCOMPARE(::lstat(path.constData(), &info), 0);
    QCOMPARE(QString::number(info.st_mode & 07777, 8), QString::number(wanted, 8));
    QCOMPARE(atFirst & ~wanted, 0u); // never wider, not for a moment
}

QTEST_GUILESS_MAIN(tst_SocketModeLinux)
#include "tst_socketmode_linux.moc"
