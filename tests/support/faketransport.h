// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_FAKETRANSPORT_H
#define QTNAMEDPIPES_TESTS_FAKETRANSPORT_H

// The other side of the seam without an operating system: nothing completes until the test says so,
// and every rule that pipetransport.h sets for the core is checked. A broken rule fails the test.

#include "core/pipetransport.h"

#include <QtCore/qlist.h>
#include <QtCore/qstringlist.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace QtNamedPipes {

class FakeEngine;

/// One end of no pipe.
class FakeEndpoint final : public PipeEndpoint
{
public:
    enum CancelAnswer {
        AtOnce, ///< cancel() answers what is outstanding before it returns
        Later, ///< answerCancel() does, or a completion that was on its way already
        Never, ///< the system loses the operations: close() comes while they are outstanding
    };

    FakeEndpoint(std::shared_ptr<FakeEngine> engine, const PeerIdentity &peer);
    ~FakeEndpoint() override;

    // PipeEndpoint
    void attach(std::shared_ptr<EndpointSink> sink) override;
    void watch() override;
    qintptr handle() const override { return 42; }
    PeerIdentity peer() const override { return m_peer; }
    void startRead(qint64 roughly) override;
    WriteProgress startWrite(const OutgoingMessage *messages, int count) override;
    void cancel() override;
    void close() override;

    // To be set before they matter.
    CancelAnswer cancelAnswer = AtOnce;
    bool acceptsAtOnce =
            true; ///< startWrite() is Done at once; else Pending until the test goes on
    bool mayStartLate = false; ///< with several threads a start may overtake a cancel()
    std::function<void()> onStartWrite; ///< on the caller's thread, before startWrite() answers
    std::function<void()> onStartRead;

    // What was asked for.
    bool isReading() const;
    int readsStarted() const;
    qint64 roughly() const; ///< of the last startRead()
    bool isWriting() const;
    QList<int> writes() const; ///< the number of messages of each startWrite()
    QList<QByteArray> written() const; ///< the messages that were accepted
    bool isCancelled() const;
    bool isClosed() const;

    // The steps: each is a completion on a worker. False when nothing was outstanding that it could
    // complete.
    bool receive(const QList<QByteArray> &messages);
    /// As receive(), with a first message that was assembled on its own.
    bool receiveWhole(const QByteArray &whole, const QList<QByteArray> &messages = {})
    {
        return receiveWholes({ whole }, messages);
    }
    bool receiveWholes(const QList<QByteArray> &wholes, const QList<QByteArray> &messages);
    bool endReading(ReadEnd end, const TransportError &error = {});
    bool accept(int messages); ///< some are accepted, the write stays pending
    bool finishWrite(WriteProgress::Status status = WriteProgress::Done,
                     const TransportError &error = {});
    void hangUp();
    void answerCancel();

private:
    void require(bool holds, const char *rule) const;
    bool complete(MessageBatch &batch);
    void checkMessages() const;

    const PeerIdentity m_peer;
    const std::shared_ptr<FakeEngine> m_engine;
    std::shared_ptr<EndpointSink> m_sink;

    mutable std::mutex m_mutex; // guards the rest; not held while the sink is called
    int m_calls = 0;
    bool m_watched = false;
    bool m_reading = false;
    bool m_writing = false;
    bool m_cancelled = false;
    bool m_closed = false;
    int m_readsStarted = 0;
    qint64 m_roughly = 0;
    const OutgoingMessage *m_messages = nullptr;
    int m_accepted = 0;
    QList<QByteArray> m_copies; ///< of the messages of the write that is outstanding
    QList<int> m_writes;
    QList<QByteArray> m_written;
};

/// Workers and time under the test's control.
class FakeEngine final : public PipeEngine, public std::enable_shared_from_this<FakeEngine>
{
public:
    static constexpr qsizetype BlockSize = 8192;

    /// \a threads 0: tasks run when the test says so; else that many workers run them.
    explicit FakeEngine(int threads = 0);
    ~FakeEngine() override;

    // PipeEngine
    qint64 maximumWriteSize() const override { return maximumWrite; }
    BatchPool &pool() override { return m_pool; }
    TransportError start() override;
    TransportError listen(const ListenSettings &settings,
                          std::shared_ptr<ListenerSink> sink) override;
    void startAccepting() override;
    void stopAccepting() override;
    void placeFreed() override;
    DialResult connect(const DialTarget &target) override;
    void post(std::shared_ptr<EngineTask> task) override;
    void postAt(Clock::time_point when, std::shared_ptr<EngineTask> task) override;
    bool isWorkerThread() const override;
    void shutdown() override;

    // To be set before they matter.
    qint64 maximumWrite = 1 << 30;
    TransportError startError;
    TransportError listenError;
    /// What connect() answers, without a lock held; NotFound when it is not set.
    std::function<DialResult(const DialTarget &)> onConnect;

    /// What was called, in order: "start", "listen", "startAccepting", "stopAccepting", "shutdown".
    QStringList calls() const;
    int placesFreed() const;
    bool isAccepting() const;

    /// Runs the tasks that wait, and those that they post; returns how many. Leaves them alone
    /// where there are workers.
    int runTasks(int atMost = 10000);
    int taskCount() const;
    int timerCount() const;
    /// Time passes for postAt(): runs what is due.
    void advance(Clock::duration time);

    /// A client that is let in; null when there is no place, or the listener does not listen.
    std::shared_ptr<FakeEndpoint> connectClient(const PeerIdentity &peer = {
                                                        4711, QStringLiteral("me") });
    /// An endpoint for onConnect to answer with.
    std::shared_ptr<FakeEndpoint> makeEndpoint(const PeerIdentity &peer = { 4711,
                                                                            QStringLiteral("me") });
    /// What the listener reports to; null before listen() and after shutdown().
    std::shared_ptr<ListenerSink> sink() const;

    /// While it lives, the calling thread is a worker.
    class AsWorker
    {
    public:
        explicit AsWorker(const FakeEngine *engine);
        ~AsWorker();

    private:
        const FakeEngine *const m_before;
    };

private:
    void work();

    const int m_threadCount;
    BatchPool m_pool { BlockSize };
    mutable std::mutex m_mutex; // guards the rest
    std::condition_variable m_changed;
    QStringList m_calls;
    int m_placesFreed = 0;
    bool m_accepting = false;
    bool m_stopped = false;
    bool m_shutDown = false;
    std::shared_ptr<ListenerSink> m_sink;
    std::deque<std::shared_ptr<EngineTask>> m_tasks;
    std::multimap<Clock::time_point, std::shared_ptr<EngineTask>> m_timers;
    Clock::duration m_passed { 0 };
    std::vector<std::thread> m_workers;
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_TESTS_FAKETRANSPORT_H
