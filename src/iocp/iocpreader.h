// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_IOCPREADER_H
#define QTNAMEDPIPES_IOCPREADER_H

#include "iocp/incomingmessage.h"
#include "iocp/iocpdirection.h"

namespace QtNamedPipes {

/// Receives one message for each start(). What belongs to the read is touched by one thread at a
/// time: the one that has taken m_stage to Reading, then the workers that handle its packets, one
/// after the other.
///
/// While nobody reads, a read of no bytes keeps watch. It takes nothing from the queue, comes back
/// with ERROR_MORE_DATA when there is a message, and with ERROR_BROKEN_PIPE when the peer has
/// gone; without it a peer could go unnoticed. The one thing it does take is an empty
/// message, which start() then delivers (Stage::EmptyMessage). With unread messages in the pipe
/// there is no watching; whoever reads them finds the end behind them. A watch for which there was
/// no memory begins again after a while.
class IocpReader final : public IocpDirection
{
public:
    explicit IocpReader(IocpEndpoint &endpoint);

    /// Any thread.
    void start();
    /// Worker. Does nothing unless the reader is idle.
    void watch() { proceed(beginWatch()); }

private:
    class WatchAgain;
    enum class Stage {
        Idle,
        Watching, ///< the read of no bytes is in flight
        WatchingWanted, ///< likewise, and start() waits for it
        EmptyMessage, ///< it has taken an empty message that nobody has asked for yet
        Reading, ///< between start() and its answer
        Ended, ///< readEnded() was called
    };

    /// What a worker has to do for the reader now.
    enum class Next {
        Nothing,
        Read,
        EmptyMessage, ///< to deliver the one that the watch has taken
    };

    Submission submitRead();
    void toWorker(const Submission &read);
    void proceed(Next next);
    void completed(DWORD error, DWORD bytes) override;
    void tryAgain() override { proceed(Next::Read); }
    Next cameBack(DWORD error, DWORD bytes);
    Next beginWatch();
    Next watched(DWORD error);
    void watchLater();
    Next messageEnded(qsizetype size);
    Next fragmentCame(qsizetype size);
    qint64 bytesLeft();
    bool isTooLarge(qint64 size);
    void failed(DWORD error);
    void end(ReadEnd end, const TransportError &error = {});

    std::atomic<Stage> m_stage { Stage::Idle };
    std::atomic<bool> m_watchesLater { false };
    MessageBatch m_batch; ///< the block of the read in flight
    IncomingMessage m_message; ///< one that is larger than a block
    qsizetype m_largestRead; ///< made smaller when the system is short of memory
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_IOCPREADER_H
