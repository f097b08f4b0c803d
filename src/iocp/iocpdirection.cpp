// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "iocp/iocpdirection.h"

#include "iocp/iocpendpoint.h"
#include "iocp/iocpengine.h"
#include "iocp/winerror.h"

#include <utility>

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
    callLater(m_backOff.next());
    return true;
}

void IocpDirection::callLater(Clock::duration time)
{
    IocpEngine &engine = m_endpoint.engine();
    const auto retry = std::make_shared<Retry>(owner(), *this);
    // Inside the gate: a cancel() that comes later finds the flag.
    if (!m_endpoint.gate().use([this](HANDLE) { m_isWaiting.store(true); }))
        engine.complete(*this, owner(), StatusCancelled);
    else if (time > Clock::duration::zero())
        engine.postAt(Clock::now() + time, retry);
    else
        engine.post(retry);
}

void IocpDirection::cancelWaiting()
{
    if (m_isWaiting.exchange(false))
        m_endpoint.engine().complete(*this, owner(), StatusCancelled);
}

} // namespace QtNamedPipes
