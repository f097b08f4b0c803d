// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_EPOLLENDPOINT_H
#define QTNAMEDPIPES_EPOLLENDPOINT_H

#include "core/messageframing.h"
#include "core/pipetransport.h"
#include "epoll/epollengine.h"
#include "epoll/unixfd.h"

#include <atomic>
#include <memory>

namespace QtNamedPipes {

/// One connected socket. Watched edge-triggered, once and for all: what an edge has told is kept in
/// m_read until a read is wanted, so that a paused connection costs nothing, not even when its
/// client hangs up.
class EpollEndpoint final : public PipeEndpoint,
                            public EpollHandler,
                            public EngineTask,
                            public std::enable_shared_from_this<EpollEndpoint>
{
public:
    EpollEndpoint(std::shared_ptr<EpollEngine> engine, UnixFd fd, const PeerIdentity &peer);

    // PipeEndpoint
    void attach(std::shared_ptr<EndpointSink> sink) override;
    void watch() override { } // since attach()
    qintptr handle() const override { return m_fd.get(); }
    PeerIdentity peer() const override { return m_peer; }
    void startRead(qint64 roughly) override;
    WriteProgress startWrite(const OutgoingMessage *messages, int count) override;
    void cancel() override;
    void close() override;

    void handle(quint32 events) override;
    /// A worker's turn for a read that was asked for, or was interrupted, elsewhere.
    void run() override { tryReadOnWorker(); }

private:
    /// Bits of m_read. One thread reads at a time: the one that has set Running.
    enum ReadBit : quint32 {
        Wanted = 0x01, ///< startRead() was called and not answered yet
        Ready = 0x02, ///< there may be something to read
        HungUp = 0x04, ///< the client has closed: the end comes after what is there
        Cancelled = 0x08,
        Running = 0x10,
        HangUpTold = 0x20,
    };
    /// A write that the socket did not take whole. The handler goes on with it when it is Waiting;
    /// while the other thread is still Arming the watch it leaves word instead.
    enum class Room { Idle, Arming, Signalled, Waiting };
    class SendBatch;
    class WriteRetry;

    bool beginReading();
    bool endReading();
    void tryReadOnWorker();
    bool readOnce(MessageBatch &batch);
    void decode(MessageBatch &batch, qsizetype size);
    void foundEnd(ReadEnd end, const TransportError &error);
    void endRead(ReadEnd end, const TransportError &error = {});
    void tellHangUp();

    WriteProgress send();
    void continueWrite();
    Room waitForRoom();
    bool takeWaiting();
    bool watchForRoom(bool on);

    const std::shared_ptr<EpollEngine> m_engine;
    const PeerIdentity m_peer;
    UnixFd m_fd;
    quint64 m_key = 0;
    int m_watchError = 0;
    std::shared_ptr<EndpointSink> m_sink;

    std::atomic<quint32> m_read { 0 };
    std::atomic<qint64> m_roughly { 0 };
    // Of the thread that has set Running.
    FrameDecoder m_decoder;
    bool m_hasEnd = false; ///< found behind messages; told to the next startRead()
    ReadEnd m_end = ReadEnd::PeerClosed;
    TransportError m_endError;

    // Of the write that is outstanding, and of the one thread that is at it.
    const OutgoingMessage *m_messages = nullptr;
    int m_count = 0;
    int m_index = 0; ///< the first message that is not accepted whole
    qsizetype m_offset = 0; ///< what is accepted of its frame
    bool m_watchesForRoom = false;
    bool m_isExhausted = false; ///< it was memory that was missing, not room
    std::atomic<Room> m_room { Room::Idle };
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_EPOLLENDPOINT_H
