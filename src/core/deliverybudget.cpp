// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "core/deliverybudget.h"

namespace QtNamedPipes {

DeliveryBudget::DeliveryBudget(Clock::duration time)
    : m_deadline(Clock::now() + time),
      m_lastLook(m_deadline - time)
{
}

bool DeliveryBudget::lookAtClock()
{
    using namespace std::chrono_literals;
    const auto now = Clock::now();
    const auto passed = now - m_lastLook;
    if (passed > 100us)
        m_stride = 1;
    else if (passed < 25us)
        m_stride = qMin(2 * m_stride, 64);
    m_lastLook = now;
    m_untilLook = m_stride;
    m_spent = now >= m_deadline;
    return m_spent;
}

} // namespace QtNamedPipes
