// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_IOCPENDPOINT_H
#define QTNAMEDPIPES_IOCPENDPOINT_H

#include "iocp/iocpreader.h"
#include "iocp/iocpwriter.h"
#include "iocp/pipegate.h"

#include <atomic>

namespace QtNamedPipes {

class IocpEngine;

/// One end of a connected named pipe: the handle behind its gate, and one class for each
/// direction.
///
/// Every operation in flight holds the endpoint. One that comes back after close() finds it closed,
/// tells nobody, and lets go.
class IocpEndpoint final : public PipeEndpoint, public std::enable_shared_from_this<IocpEndpoint>
{
public:
    /// \a pipe is bound to the port of \a engine. \a claim is let go of when it is closed.
    IocpEndpoint(std::shared_ptr<IocpEngine> engine, WinHandle pipe, PeerIdentity peer,
                 std::shared_ptr<const void> claim = {});

    void attach(std::shared_ptr<EndpointSink> sink) override { m_sink = std::move(sink); }
    void watch() override;
    qintptr handle() const override;
    PeerIdentity peer() const override { return m_peer; }
    void startRead(qint64 roughly) override;
    WriteProgress startWrite(const OutgoingMessage *messages, int count) override;
    void cancel() override;
    void close() override;

    // For the two directions.
    IocpEngine &engine() { return *m_engine; }
    PipeGate &gate() { return m_gate; }
    EndpointSink &sink() { return *m_sink; }
    bool isClosed() const { return m_isClosed.load(std::memory_order_acquire); }

private:
    const std::shared_ptr<IocpEngine> m_engine;
    const PeerIdentity m_peer;
    std::shared_ptr<EndpointSink> m_sink;
    PipeGate m_gate;
    std::shared_ptr<const void> m_claim;
    std::atomic<bool> m_isClosed { false };
    IocpReader m_reader;
    IocpWriter m_writer;
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_IOCPENDPOINT_H
