// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_IOCPDIRECTION_H
#define QTNAMEDPIPES_IOCPDIRECTION_H

#include "core/pipetransport.h"
#include "core/backoff.h"
#include "iocp/iooperation.h"

#include <atomic>

namespace QtNamedPipes {

class IocpEndpoint;

/// What reading and writing have in common: one operation, and patience with a system that is short
/// of memory. ERROR_NO_SYSTEM_RESOURCES and its like say nothing about the pipe, and pass.
class IocpDirection : public IoOperation
{
public:
    /// After PipeGate::cancel(): what waits for its next try ends like an operation that was
    /// cancelled.
    void cancelWaiting();

protected:
    explicit IocpDirection(IocpEndpoint &endpoint);

    IocpEndpoint &endpoint() { return m_endpoint; }
    std::shared_ptr<void> owner();

    /// Calls tryAgain() on a worker after a while; false when that was done too often in a row.
    bool tryLater();
    /// Calls tryAgain() on a worker when others have had their turn.
    void goOnLater() { callLater(Clock::duration::zero()); }
    /// The system has memory again.
    void succeeded() { m_backOff.reset(); }

    virtual void tryAgain() = 0;

private:
    class Retry;
    void callLater(Clock::duration time);

    IocpEndpoint &m_endpoint; // this is a part of it
    BackOff m_backOff;
    std::atomic<bool> m_isWaiting {
        false
    }; ///< whoever sets it to false goes on with the operation
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_IOCPDIRECTION_H
