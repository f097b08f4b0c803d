// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"
#include "rawlink.h"
#include "scratchname.h"
#include "testserver.h"

#include <QtCore/qeventloop.h>
#include <QtCore/qtimer.h>
#include <QtTest/QtTest>

#include <algorithm>
#include <mutex>
#include <optional>
#include <thread>

using namespace Qt::StringLiterals;

/// What the batches of a test brought, on whatever thread.
class Received
{
public:
    void add(const NamedPipeMessageBatch &messages)
    {
        const std::lock_guard lock(m_mutex);
        m_sizes.append(messages.size());
        for (const QByteArrayView message : messages)
            m_messages.append(message.toByteArray());
    }
    void add(const QByteArray &message)
    {
        const std::lock_guard lock(m_mutex);
        m_messages.append(message);
    }
    QList<QByteArray> messages() const { return copyOf(m_messages); }
    QList<qsizetype> sizes() const { return copyOf(m_sizes); }
    bool waitFor(qsizetype count) const
    {
        return waitUntil([&] { return messages().size() >= count; });
    }

private:
    /// Shares nothing with \a list: a list that this thread lets go unlocked must not be one that a
    /// slot appends to.
    template<typename T>
    QList<T> copyOf(const QList<T> &list) const
    {
        const std::lock_guard lock(m_mutex);
        return QList<T>(list.begin(), list.end());
    }

    mutable std::mutex m_mutex;
    QList<QByteArray> m_messages;
    QList<qsizetype> m_sizes;
};

/// clientMessageBatchReceived() and messageBatchReceived(): the same messages, many in one emission.
class tst_BatchSignal : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void messagesAreWholeAndInOrder_data();
    void messagesAreWholeAndInOrder();
    void clientsGetBatchesToo_data();
    void clientsGetBatchesToo();
    void manySmallMessagesAreFewEmissions_data() { addModes(); }
    void manySmallMessagesAreFewEmissions();
    void bothSignalsTellOfTheSameMessages_data() { addModes(); }
    void bothSignalsTellOfTheSameMessages();
    void slowBatchSlotDoesNotHoldBackSingleMessages_data() { addModes(); }
    void slowBatchSlotDoesNotHoldBackSingleMessages();
    void whatIsWrittenGoesOutWhenTheSlotRunsAnEventLoop();
    void messagesThatWereAskedForComeOneByOne_data() { addModes(); }
    void messagesThatWereAskedForComeOneByOne();
    void answersGoOutInOrder_data() { addModes(); }
    void answersGoOutInOrder();
    void closingInASlotEndsTheBatches_data() { addModes(); }
    void closingInASlotEndsTheBatches();
    void viewsOutliveANestedEventLoop();
    void copiesOutliveTheEmission_data() { addModes(); }
    void copiesOutliveTheEmission();
    void queuedSlotsGetCopies_data() { addModes(); }
    void queuedSlotsGetCopies();
    void serverMayBeDeletedInASlot();
    void slowSlotsGetSmallBatches();
    void connectingLaterWorks();
    void emptyBatchIsWellBehaved();

private:
    static void addModes();
    static void addSizes();
    static QList<QByteArray> numberedMessages(int count);
    static bool sendAll(RawPeer &peer, const QList<QByteArray> &messages);
};

void tst_BatchSignal::addModes()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::newRow("marshalled") << false;
    QTest::newRow("free-threaded") << true;
}

void tst_BatchSignal::addSizes()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::addColumn<QList<qsizetype>>("sizes");
    const QList<qsizetype> small { 1, 0, 64, 5, 0, 4095, 4096, 4097, 1 };
    const QList<qsizetype> large { 100, 128 * 1024 - 1, 128 * 1024, 7, 1024 * 1024, 0, 64 };
    QTest::newRow("small, marshalled") << false << small;
    QTest::newRow("small, free-threaded") << true << small;
    QTest::newRow("large, marshalled") << false << large;
    QTest::newRow("large, free-threaded") << true << large;
}

QList<QByteArray> tst_BatchSignal::numberedMessages(int count)
{
    QList<QByteArray> messages;
    for (int i = 0; i < count; ++i)
        messages.append(numbered(i));
    return messages;
}

bool tst_BatchSignal::sendAll(RawPeer &peer, const QList<QByteArray> &messages)
{
    auto sending = runClient([&] {
        return std::all_of(messages.begin(), messages.end(),
                           [&](const QByteArray &message) { return peer.sendMessage(message); });
    });
    return waitForTask(sending) && sending.get();
}

void tst_BatchSignal::messagesAreWholeAndInOrder_data()
{
    addSizes();
}

void tst_BatchSignal::messagesAreWholeAndInOrder()
{
    QFETCH(bool, freeThreaded);
    QFETCH(QList<qsizetype>, sizes);
    Received received;
    NamedPipeServer server(scratchName());
    server.setFreeThreadingEvents(freeThreaded);
    QObject::connect(
            &server, &NamedPipeServer::clientMessageBatchReceived, &server,
            [&](const NamedPipeServerConnectionPtr &, const NamedPipeMessageBatch &messages) {
                received.add(messages);
            },
            Qt::DirectConnection);
    QVERIFY(server.start());
    RawPeer peer;
    QVERIFY(peer.connectTo(server.pipeName()));
    QList<QByteArray> expected;
    for (int round = 0; round < 20; ++round) {
        for (const qsizetype size : sizes)
            expected.append(payload(size, quint32(expected.size())));
    }
    QVERIFY(sendAll(peer, expected));
    QVERIFY(received.waitFor(expected.size()));
    QVERIFY(received.messages() == expected);
    QVERIFY(!received.sizes().contains(0));
    QCOMPARE(server.statistics().messagesReceived, quint64(expected.size()));
    server.stop();
}

void tst_BatchSignal::clientsGetBatchesToo_data()
{
    addSizes();
}

void tst_BatchSignal::clientsGetBatchesToo()
{
    QFETCH(bool, freeThreaded);
    QFETCH(QList<qsizetype>, sizes);
    Received received;
    RawServer server;
    const QString name = scratchName();
    QVERIFY(server.listen(name));
    NamedPipeClientManager manager;
    manager.setFreeThreadingEvents(freeThreaded);
    const auto connection =
            manager.connectToServer(name, [&](const NamedPipeClientConnectionPtr &client) {
                QObject::connect(
                        client.get(), &NamedPipeClientConnection::messageBatchReceived,
                        client.get(),
                        [&](const NamedPipeMessageBatch &batch) { received.add(batch); },
                        Qt::DirectConnection);
            });
    RawPeer peer = server.accept();
    QVERIFY(peer.isOpen());
    QList<QByteArray> expected;
    for (int round = 0; round < 20; ++round) {
        for (const qsizetype size : sizes)
            expected.append(payload(size, quint32(expected.size())));
    }
    QVERIFY(sendAll(peer, expected));
    QVERIFY(received.waitFor(expected.size()));
    QVERIFY(received.messages() == expected);
    manager.stop();
}

void tst_BatchSignal::manySmallMessagesAreFewEmissions()
{
    QFETCH(bool, freeThreaded);
    Received received;
    std::optional<NamedPipeServer> server(std::in_place, scratchName());
    server->setFreeThreadingEvents(freeThreaded);
    Gate gate; // what comes while a slot waits comes together
    QObject::connect(
            &*server, &NamedPipeServer::clientMessageBatchReceived, &*server,
            [&](const NamedPipeServerConnectionPtr &, const NamedPipeMessageBatch &messages) {
                gate.wait();
                received.add(messages);
            },
            Qt::DirectConnection);
    QVERIFY(server->start());
    RawPeer peer;
    QVERIFY(peer.connectTo(server->pipeName()));
    const auto expected = numberedMessages(1000);
    auto sending = runClient([&] {
        for (const QByteArray &message : expected) {
            if (!peer.sendMessage(message))
                return false;
            if (numberOf(message) == 100) // any socket buffer has room for so many
                gate.open();
        }
        return true;
    });
    QVERIFY(waitForTask(sending));
    QVERIFY(sending.get());
    QVERIFY(received.waitFor(expected.size()));
    QVERIFY(received.messages() == expected);
#ifdef Q_OS_WIN // there each read is one message: batches form only on the way to another thread
    if (freeThreaded)
        return;
#endif
    const auto sizes = received.sizes();
    QVERIFY2(*std::max_element(sizes.begin(), sizes.end()) > 10, "nothing came together");
}

void tst_BatchSignal::bothSignalsTellOfTheSameMessages()
{
    QFETCH(bool, freeThreaded);
    Received batches;
    Received single;
    bool batchCameFirst = true;
    NamedPipeServer server(scratchName());
    server.setFreeThreadingEvents(freeThreaded);
    QObject::connect(
            &server, &NamedPipeServer::clientMessageBatchReceived, &server,
            [&](const NamedPipeServerConnectionPtr &, const NamedPipeMessageBatch &messages) {
                batches.add(messages);
            },
            Qt::DirectConnection);
    QObject::connect(
            &server, &NamedPipeServer::clientMessageReceived, &server,
            [&](const NamedPipeServerConnectionPtr &, const QVariant &, const QByteArray &data) {
                single.add(data);
                batchCameFirst =
                        batchCameFirst && batches.messages().size() >= single.messages().size();
            },
            Qt::DirectConnection);
    QVERIFY(server.start());
    RawPeer peer;
    QVERIFY(peer.connectTo(server.pipeName()));
    auto expected = numberedMessages(300);
    expected.insert(100, payload(300'000));
    QVERIFY(sendAll(peer, expected));
    QVERIFY(single.waitFor(expected.size()));
    server.stop();
    QVERIFY(single.messages() == expected);
    QVERIFY(batches.messages() == expected);
    QVERIFY(batchCameFirst);
}

// It takes longer than a slice of delivery: nothing of what is left then may be forgotten.
void tst_BatchSignal::slowBatchSlotDoesNotHoldBackSingleMessages()
{
    QFETCH(bool, freeThreaded);
    Received single;
    NamedPipeServer server(scratchName());
    server.setFreeThreadingEvents(freeThreaded);
    QObject::connect(
            &server, &NamedPipeServer::clientMessageBatchReceived, &server,
            [](const NamedPipeServerConnectionPtr &, const NamedPipeMessageBatch &) {
                const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(5);
                while (std::chrono::steady_clock::now() < end) { }
            },
            Qt::DirectConnection);
    QObject::connect(
            &server, &NamedPipeServer::clientMessageReceived, &server,
            [&](const NamedPipeServerConnectionPtr &, const QVariant &, const QByteArray &data) {
                single.add(data);
            },
            Qt::DirectConnection);
    QVERIFY(server.start());
    RawPeer peer;
    QVERIFY(peer.connectTo(server.pipeName()));
    const auto expected = numberedMessages(10);
    for (qsizetype i = 0; i < expected.size(); ++i) {
        QVERIFY(peer.sendMessage(expected[i]));
        if (i == 0)
            QVERIFY(single.waitFor(1)); // no other message comes to its help
    }
    QVERIFY(single.waitFor(expected.size()));
    QVERIFY(single.messages() == expected);
    server.stop();
}

void tst_BatchSignal::whatIsWrittenGoesOutWhenTheSlotRunsAnEventLoop()
{
    Received received;
    bool isAnswered = false;
    int depth = 0;
    NamedPipeServer server(scratchName());
    QObject::connect(&server, &NamedPipeServer::clientMessageBatchReceived, &server,
                     [&](const NamedPipeServerConnectionPtr &connection,
                         const NamedPipeMessageBatch &messages) {
                         received.add(messages);
                         if (depth++ == 0) {
                             connection->asyncWrite("a question");
                             isAnswered = waitUntil(
                                     [&] { return received.messages().contains("an answer"); });
                         }
                     });
    QVERIFY(server.start());
    RawPeer peer;
    QVERIFY(peer.connectTo(server.pipeName()));
    auto asking = runClient([&] {
        return peer.sendMessage("begin"_ba) && peer.receiveMessage() == "a question"_ba
                && peer.sendMessage("an answer"_ba);
    });
    QVERIFY(waitForTask(asking));
    QVERIFY(asking.get());
    QVERIFY(waitUntil([&] { return isAnswered; }));
}

void tst_BatchSignal::messagesThatWereAskedForComeOneByOne()
{
    QFETCH(bool, freeThreaded);
    Received batches;
    Received single;
    QList<QVariant> cookies;
    NamedPipeServer server(scratchName());
    server.setFreeThreadingEvents(freeThreaded);
    server.setContinuouslyReadFromPipe(false);
    QObject::connect(
            &server, &NamedPipeServer::clientConnected, &server,
            [](const NamedPipeServerConnectionPtr &connection) {
                connection->asyncRead(1);
                connection->asyncRead(2);
            },
            Qt::DirectConnection);
    QObject::connect(
            &server, &NamedPipeServer::clientMessageBatchReceived, &server,
            [&](const NamedPipeServerConnectionPtr &, const NamedPipeMessageBatch &messages) {
                batches.add(messages);
            },
            Qt::DirectConnection);
    QObject::connect(
            &server, &NamedPipeServer::clientMessageReceived, &server,
            [&](const NamedPipeServerConnectionPtr &, const QVariant &cookie,
                const QByteArray &data) {
                cookies.append(cookie);
                single.add(data);
            },
            Qt::DirectConnection);
    QVERIFY(server.start());
    RawPeer peer;
    QVERIFY(peer.connectTo(server.pipeName()));
    QVERIFY(sendAll(peer, { "a"_ba, "b"_ba, "c"_ba, "d"_ba }));
    QVERIFY(single.waitFor(2));
    watchFor();
    QCOMPARE(single.messages(), QList<QByteArray>({ "a", "b" }));
    QCOMPARE(batches.messages(), QList<QByteArray>());
    server.setContinuouslyReadFromPipe(true);
    QVERIFY(batches.waitFor(2));
    QVERIFY(single.waitFor(4));
    server.stop();
    QCOMPARE(batches.messages(), QList<QByteArray>({ "c", "d" }));
    QCOMPARE(single.messages(), QList<QByteArray>({ "a", "b", "c", "d" }));
    QCOMPARE(cookies, QList<QVariant>({ 1, 2, QVariant(), QVariant() }));
}

void tst_BatchSignal::answersGoOutInOrder()
{
    QFETCH(bool, freeThreaded);
    NamedPipeServer server(scratchName());
    server.setFreeThreadingEvents(freeThreaded);
    QObject::connect(
            &server, &NamedPipeServer::clientMessageBatchReceived, &server,
            [](const NamedPipeServerConnectionPtr &connection,
               const NamedPipeMessageBatch &messages) {
                for (const QByteArrayView message : messages)
                    connection->asyncWrite(message.toByteArray());
            },
            Qt::DirectConnection);
    QVERIFY(server.start());
    RawPeer peer;
    QVERIFY(peer.connectTo(server.pipeName()));
    const auto expected = numberedMessages(2000);
    auto answers = runClient([&] {
        QList<QByteArray> list;
        std::thread sender([&] {
            for (const QByteArray &message : expected)
                peer.sendMessage(message);
        });
        while (list.size() < expected.size()) {
            const auto answer = peer.receiveMessage();
            if (!answer)
                break;
            list.append(*answer);
        }
        sender.join();
        return list;
    });
    QVERIFY(waitForTask(answers));
    QVERIFY(answers.get() == expected);
    server.stop();
}

void tst_BatchSignal::closingInASlotEndsTheBatches()
{
    QFETCH(bool, freeThreaded);
    Received afterwards;
    int batches = 0;
    TestServer ts; // its recorder listens to single messages, too
    ts.server.setFreeThreadingEvents(freeThreaded);
    QObject::connect(
            &ts.server, &NamedPipeServer::clientMessageBatchReceived, &ts.server,
            [&](const NamedPipeServerConnectionPtr &connection, const NamedPipeMessageBatch &) {
                ++batches;
                connection->asyncClose();
            },
            Qt::DirectConnection);
    QVERIFY(ts.start());
    RawPeer peer;
    QVERIFY(peer.connectTo(ts.name()));
    peer.sendMessage("first"_ba);
    for (int i = 0; i < 100; ++i)
        peer.sendMessage(numbered(i)); // may fail: the server has closed
    QVERIFY(ts.recorder.waitFor(ServerEvent::Disconnected));
    ts.server.stop();
    QCOMPARE(batches, 1);
    QCOMPARE(ts.recorder.count(ServerEvent::Message), 0);
}

void tst_BatchSignal::viewsOutliveANestedEventLoop()
{
    Received received;
    int depth = 0;
    bool viewsChanged = false;
    NamedPipeServer server(scratchName());
    const auto expected = numberedMessages(5000);
    QObject::connect(&server, &NamedPipeServer::clientMessageBatchReceived, &server,
                     [&](const NamedPipeServerConnectionPtr &,
                         const NamedPipeMessageBatch &messages) {
                         received.add(messages);
                         const NamedPipeMessageBatch before = messages;
                         if (++depth == 1) {
                             // All that comes later is delivered inside this slot.
                             waitUntil(
                                     [&] { return received.messages().size() == expected.size(); });
                         }
                         --depth;
                         viewsChanged = viewsChanged
                                 || !std::equal(before.begin(), before.end(), messages.begin(),
                                                messages.end());
                     });
    QVERIFY(server.start());
    RawPeer peer;
    QVERIFY(peer.connectTo(server.pipeName()));
    QVERIFY(sendAll(peer, expected));
    QVERIFY(received.waitFor(expected.size()));
    QVERIFY(received.messages() == expected);
    QVERIFY(!viewsChanged);
}

void tst_BatchSignal::copiesOutliveTheEmission()
{
    QFETCH(bool, freeThreaded);
    QList<NamedPipeMessageBatch> kept;
    Received received;
    NamedPipeServer server(scratchName());
    server.setFreeThreadingEvents(freeThreaded);
    QObject::connect(
            &server, &NamedPipeServer::clientMessageBatchReceived, &server,
            [&](const NamedPipeServerConnectionPtr &, const NamedPipeMessageBatch &messages) {
                kept.append(messages);
                received.add(messages);
            },
            Qt::DirectConnection);
    QVERIFY(server.start());
    RawPeer peer;
    QVERIFY(peer.connectTo(server.pipeName()));
    auto expected = numberedMessages(3000);
    expected.insert(5, payload(500'000));
    expected.insert(6, QByteArray());
    QVERIFY(sendAll(peer, expected));
    QVERIFY(received.waitFor(expected.size()));
    server.stop();
    QList<QByteArray> fromCopies;
    const QList<NamedPipeMessageBatch> copiesOfCopies = kept;
    kept.clear();
    for (const NamedPipeMessageBatch &batch : copiesOfCopies) {
        NamedPipeMessageBatch assigned;
        assigned = batch;
        for (qsizetype i = 0; i < assigned.size(); ++i)
            fromCopies.append(assigned[i].toByteArray());
    }
    QVERIFY(fromCopies == expected);
}

void tst_BatchSignal::queuedSlotsGetCopies()
{
    QFETCH(bool, freeThreaded);
    Received received;
    NamedPipeServer server(scratchName());
    server.setFreeThreadingEvents(freeThreaded);
    QObject receiver;
    QObject::connect(
            &server, &NamedPipeServer::clientMessageBatchReceived, &receiver,
            [&](const NamedPipeServerConnectionPtr &connection,
                const NamedPipeMessageBatch &messages) {
                QVERIFY(connection);
                received.add(messages);
            },
            Qt::QueuedConnection);
    QVERIFY(server.start());
    RawPeer peer;
    QVERIFY(peer.connectTo(server.pipeName()));
    const auto expected = numberedMessages(1000);
    QVERIFY(sendAll(peer, expected));
    QVERIFY(received.waitFor(expected.size()));
    QVERIFY(received.messages() == expected);
    server.stop();
}

void tst_BatchSignal::serverMayBeDeletedInASlot()
{
    auto server = std::make_unique<NamedPipeServer>(scratchName());
    bool isDeleted = false;
    QByteArray seen;
    QObject::connect(
            server.get(), &NamedPipeServer::clientMessageBatchReceived, server.get(),
            [&](const NamedPipeServerConnectionPtr &, const NamedPipeMessageBatch &messages) {
                QVERIFY(!isDeleted);
                isDeleted = true;
                server.reset();
                seen = messages.at(0).toByteArray(); // the views are still valid
            },
            Qt::DirectConnection);
    QVERIFY(server->start());
    RawPeer peer;
    QVERIFY(peer.connectTo(server->pipeName()));
    for (int i = 0; i < 100; ++i)
        QVERIFY(peer.sendMessage(numbered(i)));
    QVERIFY(waitUntil([&] { return isDeleted; }));
    QCOMPARE(numberOf(seen), 0);
    watchFor();
}

void tst_BatchSignal::slowSlotsGetSmallBatches()
{
    Received received;
    NamedPipeServer server(scratchName());
    QObject::connect(&server, &NamedPipeServer::clientMessageBatchReceived, &server,
                     [&](const NamedPipeServerConnectionPtr &,
                         const NamedPipeMessageBatch &messages) {
                         received.add(messages);
                         for (qsizetype i = 0; i < messages.size(); ++i) {
                             const auto end = std::chrono::steady_clock::now()
                                     + std::chrono::milliseconds(1);
                             while (std::chrono::steady_clock::now() < end) { }
                         }
                     });
    QVERIFY(server.start());
    RawPeer peer;
    QVERIFY(peer.connectTo(server.pipeName()));
    const auto expected = numberedMessages(200);
    QVERIFY(sendAll(peer, expected));
    QVERIFY(received.waitFor(expected.size()));
    // The first may have been larger, before anything was known about the slot: half by half.
    const auto sizes = received.sizes();
    QVERIFY(sizes.first() <= 16);
    QCOMPARE(sizes.last(), 1);
    server.stop();
}

void tst_BatchSignal::connectingLaterWorks()
{
    Received received;
    TestServer ts;
    QVERIFY(ts.start());
    RawPeer peer = ts.connectPeer();
    QVERIFY(peer.isOpen());
    QVERIFY(peer.sendMessage("one"_ba));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message));
    const auto link =
            QObject::connect(&ts.server, &NamedPipeServer::clientMessageBatchReceived, &ts.server,
                             [&](const NamedPipeServerConnectionPtr &,
                                 const NamedPipeMessageBatch &messages) {
                                 received.add(messages);
                             });
    QVERIFY(peer.sendMessage("two"_ba));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 2));
    QCOMPARE(received.messages(), QList<QByteArray>({ "two" }));
    QObject::disconnect(link);
    QVERIFY(peer.sendMessage("three"_ba));
    QVERIFY(ts.recorder.waitFor(ServerEvent::Message, 3));
    QCOMPARE(received.messages(), QList<QByteArray>({ "two" }));
}

void tst_BatchSignal::emptyBatchIsWellBehaved()
{
    NamedPipeMessageBatch empty;
    QVERIFY(empty.isEmpty());
    QCOMPARE(empty.size(), 0);
    QVERIFY(empty.begin() == empty.end());
    NamedPipeMessageBatch copy(empty);
    const NamedPipeMessageBatch &itself = copy;
    copy = itself;
    QVERIFY(copy.isEmpty());
    const char data[] = "abcdef";
    const QtNamedPipes::MessageSpan spans[] = { { 2, 3 }, { 5, 0 }, { 5, 1 } };
    copy = NamedPipeMessageBatch(data, spans, 3);
    copy = itself;
    QCOMPARE(copy.size(), 3);
    QCOMPARE(copy.at(0), QByteArrayView("cde"));
    QCOMPARE(copy.at(1), QByteArrayView());
    QCOMPARE(copy[2], QByteArrayView("f"));
    copy = empty;
    QVERIFY(copy.isEmpty());
}

QTEST_GUILESS_MAIN(tst_BatchSignal)

#include "tst_batch_signal.moc"
