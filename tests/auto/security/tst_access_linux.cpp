// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "rawpeer.h"
#include "skipping.h"
#include "waiting.h"

#include <QtNamedPipes/NamedPipeServer>

#include <QtCore/qdir.h>
#include <QtCore/qfile.h>
#include <QtCore/qloggingcategory.h>
#include <QtCore/qprocess.h>
#include <QtCore/qtemporarydir.h>
#include <QtTest/QtTest>

#include <cstdio>

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace Qt::StringLiterals;

// --- The processes: this program, started again as somebody else ---
//
//   serve WHO FOLDER NAME OPTIONS  says "ready" or "failed ERROR TEXT", echoes until its input ends
//   knock WHO FOLDER NAME          says "answered", "dropped" or "refused"
//
// WHO is user:group:further group, or "myself"; FOLDER is where temporary files are.

static constexpr auto myself = "myself";

static bool become(const QByteArray &who)
{
    if (who == myself)
        return true;
    const QList<QByteArray> ids = who.split(':');
    const gid_t group = ids.at(1).toUInt();
    const gid_t further = ids.at(2).toUInt();
    const uid_t user = ids.at(0).toUInt();
    return ::setgroups(1, &further) == 0 && ::setresgid(group, group, group) == 0
            && ::setresuid(user, user, user) == 0;
}

static void say(const QByteArray &line)
{
    std::fputs((line + '\n').constData(), stdout);
    std::fflush(stdout);
}

static int serve(const QString &name, int options)
{
    NamedPipeServer server(name);
    server.setAccessOptions(NamedPipe::AccessOptions(options));
    server.setFreeThreadingEvents(true);
    QObject::connect(&server, &NamedPipeServer::clientMessageReceived,
                     [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                        const QByteArray &data) { connection->asyncWrite(data); });
    if (!server.start()) {
        say("failed " + QByteArray::number(server.error()) + ' ' + server.errorString().toUtf8());
        return 1;
    }
    say("ready");
    char byte;
    while (::read(STDIN_FILENO, &byte, 1) > 0) { }
    server.stop();
    return 0;
}

static int knock(const QString &name)
{
    RawPeer peer;
    if (!peer.connectTo(name))
        say("refused");
    else
        say(peer.sendMessage("hello") && peer.receiveMessage() ? "answered" : "dropped");
    return 0;
}

/// Such a process.
class Other
{
public:
    explicit Other(const QStringList &arguments)
    {
        m_process.setProcessChannelMode(QProcess::ForwardedErrorChannel);
        m_process.start(QCoreApplication::applicationFilePath(), arguments);
    }
    ~Other()
    {
        m_process.closeWriteChannel();
        if (!m_process.waitForFinished(int(patience.count())))
            m_process.kill();
        m_process.waitForFinished();
    }
    Other(const Other &) = delete;
    Other &operator=(const Other &) = delete;

    /// Its first line; empty when none came.
    QByteArray answer()
    {
        waitUntil([this] {
            return m_process.canReadLine() || m_process.state() == QProcess::NotRunning;
        });
        return m_process.readLine().trimmed();
    }

private:
    QProcess m_process;
};

// --- The tests ---

/// Who gets in, when nobody is root; and the folder that the socket is in.
class tst_AccessLinux : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void whoGetsIn_data();
    void whoGetsIn();
    void folderOfTheSocket_data();
    void folderOfTheSocket();

private:
    QString folder(const char *name) const { return m_folder.filePath(QLatin1String(name)); }

    QTemporaryDir m_folder;
};

void tst_AccessLinux::initTestCase()
{
    QVERIFY(m_folder.isValid());
    QCOMPARE(::chmod(QFile::encodeName(m_folder.path()).constData(), 0755), 0);
    const auto make = [this](const char *name, mode_t mode) {
        const QByteArray path = QFile::encodeName(folder(name));
        return ::mkdir(path.constData(), 0700) == 0 && ::chmod(path.constData(), mode) == 0;
    };
    QVERIFY(make("shared", 01777)); // as /tmp is
    QVERIFY(make("read-only", 0555));
    QVERIFY(make("closed", 0));
    QVERIFY(QFile::link(folder("shared"), folder("link")));
    QVERIFY(QFile::link(folder("missing"), folder("dangling")));
    QFile file(folder("file"));
    QVERIFY(file.open(QIODevice::WriteOnly));
}

void tst_AccessLinux::whoGetsIn_data()
{
    // The server is run by user 4001 of group 5001, who is in group 5002 as well.
    QTest::addColumn<QString>("who");
    QTest::addColumn<QString>("expected"); // for the options 1 to 7: Y(es) or n(o)
    //                                              options: 1234567; user 1, group 2, other 4
    QTest::newRow("the same user") << u"4001:5001:5002"_s << u"YYYYYYY"_s;
    QTest::newRow("the same user, in other groups") << u"4001:5009:5009"_s << u"YYYYYYY"_s;
    QTest::newRow("a member of the primary group") << u"4002:5001:5009"_s << u"nYYYYYY"_s;
    QTest::newRow("one who has it as a further group") << u"4002:5009:5001"_s << u"nYYYYYY"_s;
    QTest::newRow("a member of the further group") << u"4002:5002:5002"_s << u"nnnYYYY"_s;
    QTest::newRow("a stranger") << u"4002:5009:5009"_s << u"nnnYYYY"_s;
    // No mode of a file keeps root out, but the server asks who it is.
    QTest::newRow("root") << u"0:0:0"_s << u"nnnYYYY"_s;
    QTest::newRow("root, in the primary group") << u"0:5001:0"_s << u"nYYYYYY"_s;
}

void tst_AccessLinux::whoGetsIn()
{
    if (::geteuid() != 0)
        SKIP_BECAUSE("only root can become another user");
    QFETCH(QString, who);
    QFETCH(QString, expected);
    QString seen;
    for (int options = 1; options <= NamedPipe::WorldAccess; ++options) {
        Other server({ u"serve"_s, u"4001:5001:5002"_s, folder("shared"), u"pipe"_s,
                       QString::number(options) });
        QCOMPARE(server.answer(), "ready"_ba);
        Other client({ u"knock"_s, who, folder("shared"), u"pipe"_s });
        const QByteArray answer = client.answer();
        QVERIFY2(answer == "answered" || answer == "dropped" || answer == "refused",
                 answer.constData());
        seen += answer == "answered" ? u'Y' : u'n';
    }
    QCOMPARE(seen, expected);
}

void tst_AccessLinux::folderOfTheSocket_data()
{
    QTest::addColumn<QString>("path");
    QTest::addColumn<NamedPipe::Error>("error");
    QTest::newRow("shared") << folder("shared") << NamedPipe::NoError;
    QTest::newRow("link to a folder") << folder("link") << NamedPipe::NoError;
    QTest::newRow("path with dots") << folder("read-only/../shared/./") << NamedPipe::NoError;
    QTest::newRow("missing") << folder("missing") << NamedPipe::NotFound;
    QTest::newRow("dangling link") << folder("dangling") << NamedPipe::NotFound;
    QTest::newRow("no folder") << folder("file") << NamedPipe::NotFound;
    QTest::newRow("read-only") << folder("read-only") << NamedPipe::AccessDenied;
    QTest::newRow("closed") << folder("closed") << NamedPipe::AccessDenied;
    QTest::newRow("too long") << folder("long/") + QString(110, u'x') << NamedPipe::NameInvalid;
}

// A server that cannot have its socket there says so at once, and does not put it elsewhere.
void tst_AccessLinux::folderOfTheSocket()
{
    QFETCH(QString, path);
    QFETCH(NamedPipe::Error, error);
    const bool isRoot = ::geteuid() == 0;
    const QString who = isRoot ? u"4001:5001:5002"_s : QLatin1String(myself);
    if (path.size() > 110)
        QVERIFY(QDir().mkpath(path));
    Other server({ u"serve"_s, who, path, u"pipe"_s, u"1"_s });
    const QByteArray answer = server.answer();
    if (error == NamedPipe::NoError) {
        QCOMPARE(answer, "ready"_ba);
        struct stat info = {};
        QCOMPARE(::lstat(QFile::encodeName(folder("shared/pipe")).constData(), &info), 0);
        QVERIFY(S_ISSOCK(info.st_mode));
        Other client({ u"knock"_s, who, folder("shared"), u"pipe"_s }); // by any of its paths
        QCOMPARE(client.answer(), "answered"_ba);
        return;
    }
    const QByteArray begin = "failed " + QByteArray::number(error) + ' ';
    QVERIFY2(answer.startsWith(begin) && answer.size() > begin.size(), answer.constData());
    QVERIFY2(!QFile::exists(u"/pipe"_s) && !QFile::exists(u"/.pipe.lock"_s), answer.constData());
    Other client({ u"knock"_s, who, path, u"pipe"_s });
    QCOMPARE(client.answer(), "refused"_ba);
}

int main(int argc, char *argv[])
{
    const QList<QByteArray> arguments(argv + 1, argv + argc);
    const bool isOther =
            arguments.size() >= 4 && (arguments.first() == "serve" || arguments.first() == "knock");
    if (isOther) {
        // With the first category Qt looks for its own folder. Done by a user who may not look
        // there, because Qt is in somebody's home, that never ends (Qt 6.4, getRelocatablePrefix()).
        [[maybe_unused]] const QLoggingCategory first("tst_access_linux");
        if (!become(arguments.at(1)))
            return 2;
        qputenv("TMPDIR", arguments.at(2));
    }
    QCoreApplication app(argc, argv);
    if (!isOther) {
        tst_AccessLinux test;
        QTEST_SET_MAIN_SOURCE_PATH
        return QTest::qExec(&test, argc, argv);
    }
    const QString name = QFile::decodeName(arguments.at(3));
    return arguments.first() == "knock" ? knock(name) : serve(name, arguments.at(4).toInt());
}

#include "tst_access_linux.moc"
