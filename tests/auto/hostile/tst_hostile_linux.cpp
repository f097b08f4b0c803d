// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "processfacts.h"
#include "siege.h"
#include "skipping.h"
#include "stress.h"

#include <QtCore/qfile.h>
#include <QtCore/qscopeguard.h>
#include <QtTest/QtTest>

#include <atomic>

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace Qt::StringLiterals;

/// What other users and other programs can do to a name that is a file.
class tst_HostileLinux : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void strangersAreTurnedAway_data();
    void strangersAreTurnedAway();
    void nameIsTakenAwayFromARunningServer_data();
    void nameIsTakenAwayFromARunningServer();
};

void tst_HostileLinux::strangersAreTurnedAway_data()
{
    Siege::addModes();
}

// Of those whom the mode of the file keeps out the server never hears. These get past it.
void tst_HostileLinux::strangersAreTurnedAway()
{
    if (::geteuid() != 0)
        SKIP_BECAUSE("only root can become another user");
    QFETCH(bool, freeThreaded);
    constexpr int count = 20;
    std::atomic<quint64> refused { 0 };
    Siege siege(freeThreaded);
    QVERIFY2(siege.begin(), siege.fault());
    const QByteArray path = QFile::encodeName(siege.ts.server.fullPipeName());
    QCOMPARE(::chmod(path.constData(), 0666), 0);
    const auto knock = [&](int round) -> QByteArray {
        // The system call changes the user of this thread only, which ends with the attack.
        if (round == 0 && ::syscall(SYS_setresuid, -1, 65534, -1) != 0)
            return "cannot become another user";
        std::vector<RawPeer> peers(count);
        for (RawPeer &peer : peers) {
            if (!peer.connectTo(siege.ts.name()))
                return "a stranger could not knock";
            peer.sendMessage("let me in"_ba, RawPeer::Milliseconds(0));
        }
        for (RawPeer &peer : peers) {
            if (!peer.atEnd())
                return "a stranger got in";
            ++refused;
        }
        return {};
    };
    QVERIFY2(siege.attack("strangers", count, scaled(50, 5), knock), siege.fault());
    QVERIFY(siege.isPrompt());
    QVERIFY2(siege.growth() < 32 * 1024 * 1024, QByteArray::number(siege.growth()));
    QCOMPARE(siege.ts.server.statistics().connectionsRefused, refused.load());
    QCOMPARE(siege.ts.server.statistics().connectionsAccepted, quint64(Siege::goodClients));
    QCOMPARE(siege.ts.recorder.count(ServerEvent::ServerError), 0);
    QVERIFY(siege.servesANewcomer());
}

void tst_HostileLinux::nameIsTakenAwayFromARunningServer_data()
{
    QTest::addColumn<QString>("what");
    for (const char *what : { "nothing", "file", "folder", "dangling link", "link to a file" })
        QTest::newRow(what) << QString::fromLatin1(what);
}

// By somebody who may remove the socket: the clients that are connected do not notice, and what is
// there instead is left alone. The name stays claimed.
void tst_HostileLinux::nameIsTakenAwayFromARunningServer()
{
    QFETCH(QString, what);
    Siege siege(false);
    QVERIFY2(siege.begin(), siege.fault());
    const QByteArray path = QFile::encodeName(siege.ts.server.fullPipeName());
    const QByteArray target = path + "-target";
    const auto cleanUp = qScopeGuard([&] {
        ::rmdir(path.constData());
        ::unlink(path.constData());
        ::unlink(target.constData());
    });
    const auto write = [](const QByteArray &name) {
        QFile file(QFile::decodeName(name));
        return file.open(QIODevice::WriteOnly) && file.write("precious") == 8;
    };
    const auto take = [&](int) -> QByteArray {
        if (::rmdir(path.constData()) != 0)
            ::unlink(path.constData());
        bool ok = true;
        if (what == u"file")
            ok = write(path);
        else if (what == u"folder")
            ok = ::mkdir(path.constData(), 0700) == 0;
        else if (what.contains(u"link"))
            ok = ::symlink(target.constData(), path.constData()) == 0;
        if (what == u"link to a file")
            ok = ok && write(target);
        NamedPipeServer other(siege.ts.name());
        if (!ok || other.start() || other.error() != NamedPipe::NameInUse)
            return "the name is not claimed any more, or nothing could be put there";
        return {};
    };
    const QByteArray name = "in place of the socket: " + what.toLatin1();
    QVERIFY2(siege.attack(name, 1, scaled(50, 5), take), siege.fault());
    QVERIFY(siege.isPrompt());
    siege.ts.server.stop();
    struct stat info = {};
    QCOMPARE(::lstat(path.constData(), &info), what == u"nothing" ? -1 : 0);
    if (what.contains(u"file"))
        QCOMPARE(QFile(QFile::decodeName(path)).size(), 8);
    QCOMPARE(::lstat(target.constData(), &info), what == u"link to a file" ? 0 : -1);
}

QTEST_GUILESS_MAIN(tst_HostileLinux)
#include "tst_hostile_linux.moc"
