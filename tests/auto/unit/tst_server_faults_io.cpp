// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "faultycalls.h"
#include "payload.h"

#include <QtCore/qfile.h>
#include <QtTest/QtTest>

#include <cstring>
#include <sys/un.h>
#include <unistd.h>

using namespace QtNamedPipes;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

/// Reads and writes of the engine of this system, when system calls fail that hardly ever do.
class tst_ServerFaultsIo : public FaultySuite
{
    Q_OBJECT

private Q_SLOTS:
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
};

// --- Reads ---

static QList<QByteArray> variedMessages()
{
    QList<QByteArray> messages;
    quint32 seed = 0;
    for (int size : { 1, 0, 7, 4095, 4096, 4097, 131'068, 131'072, 300'000, 2 })
        messages.append(payload(size, ++seed));
    messages.removeAll(
            QByteArray()); // (an empty message is not echoed: writing nothing is a no-op)
    return messages;
}

void tst_ServerFaultsIo::readsSurvive_data()
{
    QTest::addColumn<int>("code");
    QTest::addColumn<int>("times");
    QTest::newRow("EINTR") << EINTR << 200;
    QTest::newRow("ENOMEM") << ENOMEM << 5;
    QTest::newRow("ENOBUFS") << ENOBUFS << 5;
}

void tst_ServerFaultsIo::readsSurvive()
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

void tst_ServerFaultsIo::connectionResetByTheClientIsADisconnect()
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

void tst_ServerFaultsIo::failedReadEndsTheConnection()
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
    QVERIFY2(echo.lastText.contains(u"recvmsg: %1"_s.arg(EIO)), qPrintable(echo.lastText));
    QVERIFY(echo.echoes(other, { "hello"_ba }));
}

void tst_ServerFaultsIo::shortReadsLoseNothing()
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
    auto client = runClient([&] {
        int paced = 60; // bytes that are read one by one; of the others a read finds one or a few
        for (char byte : std::as_const(stream)) {
            const int reads = readFault.calls;
            if (!peer.sendRaw(QByteArray(1, byte)))
                return false;
            if (paced-- > 0 && !waitWithoutEvents([&] { return readFault.calls > reads; }))
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

void tst_ServerFaultsIo::bytesBehindAPassedDescriptorAreRead()
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
    readFault.set(ENOMEM, 1); // the engine looks again later, and then both messages are there
    QCOMPARE(::sendmsg(fd, &message, MSG_NOSIGNAL), ssize_t(sizeof one));
    QCOMPARE(::send(fd, one, sizeof one, MSG_NOSIGNAL), ssize_t(sizeof one));
    const bool both = waitUntil([&] { return echo.messages == 2; }, 3s);
    ::close(fd);
    QVERIFY(waitUntil([&] { return echo.disconnected == 1; }));
    QVERIFY2(both, "the second message came only when the client closed");
}

// --- Writes ---

void tst_ServerFaultsIo::sendsSurvive_data()
{
    QTest::addColumn<int>("code");
    QTest::addColumn<int>("times");
    QTest::newRow("EINTR") << EINTR << 200;
    QTest::newRow("EAGAIN") << EAGAIN << 200;
    QTest::newRow("ENOBUFS") << ENOBUFS << 5;
    QTest::newRow("ENOMEM") << ENOMEM << 5;
}

void tst_ServerFaultsIo::sendsSurvive()
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

void tst_ServerFaultsIo::shortSendsLoseNothing_data()
{
    QTest::addColumn<int>("bytes");
    for (int bytes = 1; bytes <= 7; ++bytes)
        QTest::addRow("%d bytes", bytes) << bytes;
    QTest::newRow("4096 bytes") << 4096;
}

void tst_ServerFaultsIo::shortSendsLoseNothing()
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

void tst_ServerFaultsIo::sendThatCannotBeWatchedGoesOn()
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

void tst_ServerFaultsIo::brokenPipeIsADisconnect()
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

void tst_ServerFaultsIo::failedSendEndsTheConnection()
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

void tst_ServerFaultsIo::everythingAtOnce()
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

QTEST_GUILESS_MAIN(tst_ServerFaultsIo)
#include "tst_server_faults_io.moc"
