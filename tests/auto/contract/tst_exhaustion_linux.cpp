// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "platformflags.h"
#include "skipping.h"
#include "socketfiles.h"
#include "testclient.h"
#include "testserver.h"

#include <QtCore/qscopeguard.h>
#include <QtTest/QtTest>

#include <algorithm>
#include <ctime>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

using namespace Qt::StringLiterals;

/// No file descriptor is left: the listener waits for better times, and neither dies nor spins.
class tst_ExhaustionLinux : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void acceptWithoutDescriptorsIsRetried_data();
    void acceptWithoutDescriptorsIsRetried();
    void openConnectionsGoOnMeanwhile();
    void stopWorksMeanwhile();
    void startWithoutDescriptorsFailsCleanly();
    void clientWithoutDescriptorsIsToldSo();

private:
    // Takes every descriptor that the process may still open.
    class Hog
    {
    public:
        Hog() { takeAll(); }
        ~Hog() { release(int(m_taken.size())); }
        Hog(const Hog &) = delete;
        Hog &operator=(const Hog &) = delete;
        void takeAll()
        {
            for (int fd; (fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) != -1;)
                m_taken.push_back(fd);
        }
        void release(int count)
        {
            for (; count > 0 && !m_taken.empty(); --count) {
                ::close(m_taken.back());
                m_taken.pop_back();
            }
        }

    private:
        std::vector<int> m_taken;
    };

    static qint64 processorMilliseconds()
    {
        timespec used = {};
        ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
        return used.tv_sec * 1000 + used.tv_nsec / 1'000'000;
    }
};

void tst_ExhaustionLinux::initTestCase()
{
    if (PlatformFlags::runningUnderSanitizer())
        SKIP_BECAUSE("the sanitizers look at memory through descriptors of their own");
    rlimit limit = {};
    QCOMPARE(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 200);
    QCOMPARE(::setrlimit(RLIMIT_NOFILE, &limit), 0);
}

void tst_ExhaustionLinux::acceptWithoutDescriptorsIsRetried_data()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::newRow("marshalled") << false;
    QTest::newRow("free-threaded") << true;
}

void tst_ExhaustionLinux::acceptWithoutDescriptorsIsRetried()
{
    QFETCH(bool, freeThreaded);
    TestServer ts;
    ts.server.setFreeThreadingEvents(freeThreaded);
    QVERIFY(ts.start());
    RawPeer peer;
    {
        Hog hog;
        hog.release(1);
        QVERIFY(peer.connectTo(ts.name())); // takes the last one: the server has none
        QVERIFY(peer.sendMessage("patience"_ba));
        QVERIFY(ts.recorder.waitFor(ServerEvent::ServerError));
        QCOMPARE(ts.recorder.errors(ServerEvent::ServerError).constFirst(),
                 NamedPipe::ResourceExhausted);
        const qint64 before = processorMilliseconds();
        watchFor(std::chrono::milliseconds(500));
        const qint64 used = processorMilliseconds() - before;
        QVERIFY2(used < 250, qPrintable(u"%1 of 500 ms"_s.arg(used))); // it does not spin
        QVERIFY(ts.recorder.count(ServerEvent::ServerError) < 20); // nor does it repeat itself
        QCOMPARE(ts.recorder.count(ServerEvent::Connected), 0);
        QVERIFY(ts.server.isRunning());
    }
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message));
    QCOMPARE(ts.recorder.messages(), QList { "patience"_ba });
    QVERIFY(ts.connectPeer().isOpen());
    ts.server.stop();
}

void tst_ExhaustionLinux::openConnectionsGoOnMeanwhile()
{
    TestServer ts;
    ts.server.setFreeThreadingEvents(true);
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &data) { connection->asyncWrite(data); };
    QVERIFY(ts.start());
    RawPeer open = ts.connectPeer();
    RawPeer waiting;
    Hog hog;
    hog.release(1);
    QVERIFY(waiting.connectTo(ts.name()));
    QVERIFY(ts.recorder.waitFor(ServerEvent::ServerError));
    for (int number = 0; number < 100; ++number) {
        QVERIFY(open.sendMessage(numbered(number)));
        QCOMPARE(open.receiveMessage(), numbered(number));
    }
    open.close(); // two descriptors: ours and the server's
    QVERIFY(ts.recorder.waitFor(ServerEvent::Connected, 2)); // and the next one gets in
    ts.server.stop();
}

void tst_ExhaustionLinux::stopWorksMeanwhile()
{
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer;
    {
        Hog hog;
        hog.release(1);
        QVERIFY(peer.connectTo(ts.name()));
        QVERIFY(ts.recorder.waitFor(ServerEvent::ServerError));
        ts.server.stop();
        QCOMPARE(ts.recorder.count(ServerEvent::Stopped), 1);
        QVERIFY(peer.atEnd());
    }
    QVERIFY(ts.start());
}

void tst_ExhaustionLinux::startWithoutDescriptorsFailsCleanly()
{
    TestServer ts;
    for (int free = 0; free < 12; ++free) { // every step of start() fails once
        Hog hog;
        hog.release(free);
        if (ts.start()) {
            ts.server.stop();
            continue;
        }
        QVERIFY(ts.server.error() == NamedPipe::ResourceExhausted
                || ts.server.error() == NamedPipe::CompletionPortFailed);
        QVERIFY(!ts.server.errorString().isEmpty());
        QVERIFY(!ts.server.isRunning());
        hog.release(100); // to look with
        QCOMPARE(socketFilesOf(ts.name()), QStringList());
    }
    QVERIFY2(ts.start(), qPrintable(ts.server.errorString()));
    QVERIFY(ts.connectPeer().isOpen());
}

void tst_ExhaustionLinux::clientWithoutDescriptorsIsToldSo()
{
    TestServer ts;
    QVERIFY(ts.start());
    for (int free = 0; free < 6; ++free) { // every step of the first dial fails once
        TestClient client;
        {
            Hog hog;
            hog.release(free);
            const auto connection = client.dial(ts.name());
            QVERIFY(waitUntil([&] { return client.recorder.count() > 0; }));
            QVERIFY(free > 0 || client.recorder.count(ClientEvent::Error) == 1);
            for (const NamedPipe::Error error : client.recorder.errors())
                QVERIFY(error == NamedPipe::ResourceExhausted
                        || error == NamedPipe::CompletionPortFailed);
            if (client.recorder.count(ClientEvent::Error) > 0)
                QCOMPARE(connection->closeReason(), NamedPipe::Failed);
        }
        const auto connection = client.connectTo(ts.name()); // when there are some again
        QVERIFY2(connection, qPrintable(client.recorder.texts().join(u'\n')));
    }
}

QTEST_GUILESS_MAIN(tst_ExhaustionLinux)
#include "tst_exhaustion_linux.moc"
