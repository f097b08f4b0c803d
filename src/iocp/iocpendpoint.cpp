// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "iocp/iocpendpoint.h"

#include "iocp/iocpengine.h"

#include <utility>

namespace QtNamedPipes {

IocpEndpoint::IocpEndpoint(std::shared_ptr<IocpEngine> engine, WinHandle pipe, PeerIdentity peer,
                           std::shared_ptr<const void> claim)
    : m_engine(std::move(engine)),
      m_peer(std::move(peer)),
      m_gate(std::move(pipe)),
      m_claim(std::move(claim)),
      m_reader(*this),
      m_writer(*this)
{
}

qintptr IocpEndpoint::handle() const
{
    const HANDLE handle = m_gate.handle();
    return handle ? qintptr(handle) : -1;
}

void IocpEndpoint::watch()
{
    m_reader.watch();
}

void IocpEndpoint::startRead(qint64)
{
    // One read takes one message, whatever is welcome.
    m_reader.start();
}

WriteProgress IocpEndpoint::startWrite(const OutgoingMessage *messages, int count)
{
    return m_writer.start(messages, count);
}

void IocpEndpoint::cancel()
{
    m_gate.cancel();
    m_reader.cancelWaiting();
    m_writer.cancelWaiting();
}

void IocpEndpoint::close()
{
    m_isClosed.store(true, std::memory_order_release);
    m_gate.close();
    m_claim.reset();
}

} // namespace QtNamedPipes
