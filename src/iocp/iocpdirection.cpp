// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "iocp/iocpdirection.h"

#include "iocp/iocpendpoint.h"
#include "iocp/iocpengine.h"
#include "iocp/winerror.h"

namespace QtNamedPipes {

// Some six seconds.
static constexpr int MaximumTries = 12;

class IocpDirection::Retry final : public EngineTask
{
public:
    Retry(std::shared_ptr<void> owner, IocpDirection &direction)
        : m_owner(std::move(owner)),
          m_direction(direction)
    {
    }
    void run() override
    {
        if (m_direction.m_isWaiting.exchange(false))
            m_direction.tryAgain();
    }

private:
    const std::shared_ptr<void> m_owner;
    IocpDirection &m_direction;
};

IocpDirection::IocpDirection(IocpEndpoint &endpoint)
    : IoOperation(endpoint.engine().inFlight()),
      m_endpoint(endpoint)
{
}

std::shared_ptr<void> IocpDirection::owner()
{
    return m_endpoint.shared_from_this();
}

bool IocpDirection::tryLater()
{
    if (m_backOff.tries() == MaximumTries)
        return false;
    // Inside the gate: a cancel() that comes later finds the flag.
    if (m_endpoint.gate().use([this](HANDLE) { m_isWaiting.store(true); }))
        m_endpoint.engine().postAt(Clock::now() + m_backOff.next(),
                                   std::make_shared<Retry>(owner(), *this));
    else
        m_endpoint.engine().complete(*this, owner(), StatusCancelled);
    return true;
}

void IocpDirection::cancelWaiting()
{
    if (m_isWaiting.exchange(false))
        m_endpoint.engine().complete(*this, owner(), StatusCancelled);
}

} // namespace QtNamedPipes
