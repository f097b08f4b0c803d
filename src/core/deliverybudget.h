// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_DELIVERYBUDGET_H
#define QTNAMEDPIPES_DELIVERYBUDGET_H

#include "core/pipetransport.h"

namespace QtNamedPipes {

/// How long a delivery may keep its thread: to a deadline, with the clock looked at as
/// often as the slots are slow.
class DeliveryBudget
{
public:
    explicit DeliveryBudget(Clock::duration time);
    /// To be asked after each event.
    bool isSpent() { return m_spent || (--m_untilLook <= 0 && lookAtClock()); }

private:
    bool lookAtClock();

    const Clock::time_point m_deadline;
    Clock::time_point m_lastLook;
    int m_stride = 1;
    int m_untilLook = 1;
    bool m_spent = false;
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_DELIVERYBUDGET_H
