// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_PIPEGATE_H
#define QTNAMEDPIPES_PIPEGATE_H

#include "iocp/iooperation.h"
#include "iocp/winhandle.h"
#include "iocp/winsharedmutex.h"

#include <mutex>
#include <shared_mutex>

namespace QtNamedPipes {

/// The handle of a connected pipe, and the right to use it: many may at a time until cancel(),
/// nobody after that.
///
/// CancelIoEx() knows only what has been submitted, and a handle's value belongs to somebody else
/// as soon as it is closed. So calls that use the handle are shared, cancelling and closing are
/// exclusive: what was submitted before is cancelled, nothing is submitted after. None of the calls
/// blocks; a large WriteFile() takes the time of a copy.
class PipeGate
{
public:
    explicit PipeGate(WinHandle handle)
        : m_handle(std::move(handle)),
          m_skipsPackets(winApi().setFileCompletionNotificationModes(
                  m_handle.get(),
                  FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | FILE_SKIP_SET_EVENT_ON_HANDLE))
    {
    }
    ~PipeGate() { close(); }

    /// See QtNamedPipes::submit(); \a call takes the handle first. Fails with
    /// ERROR_OPERATION_ABORTED after cancel().
    template<typename SystemCall>
    Submission submit(IoOperation &operation, std::shared_ptr<void> owner, SystemCall call)
    {
        const std::shared_lock<WinSharedMutex> lock(m_mutex);
        if (m_isCancelled)
            return { Submission::Failed, ERROR_OPERATION_ABORTED, 0 };
        return QtNamedPipes::submit(operation, std::move(owner), m_skipsPackets,
                                    [&](OVERLAPPED *overlapped) {
                                        return call(m_handle.get(), overlapped);
                                    });
    }

    /// Calls \a use with the handle, and cancel() does not happen meanwhile; false after cancel().
    template<typename Use>
    bool use(Use use) const
    {
        const std::shared_lock<WinSharedMutex> lock(m_mutex);
        if (m_isCancelled)
            return false;
        use(m_handle.get());
        return true;
    }

    void cancel()
    {
        const std::unique_lock<WinSharedMutex> lock(m_mutex);
        cancelLocked();
    }

    /// Lets go of the handle. What the system has accepted for the peer stays readable there:
    /// DisconnectNamedPipe() would throw it away, FlushFileBuffers() would wait for the peer.
    void close()
    {
        const std::unique_lock<WinSharedMutex> lock(m_mutex);
        cancelLocked(); // closing alone would leave a write that waits for the peer in the system
        m_handle.close();
    }

    bool isCancelled() const
    {
        const std::shared_lock<WinSharedMutex> lock(m_mutex);
        return m_isCancelled;
    }

    /// Null after close().
    HANDLE handle() const
    {
        const std::shared_lock<WinSharedMutex> lock(m_mutex);
        return m_handle.get();
    }

private:
    void cancelLocked()
    {
        // ERROR_NOT_FOUND says that nothing is in flight, or that it is on its way back already.
        if (!m_isCancelled && m_handle)
            winApi().cancelIoEx(m_handle.get(), nullptr);
        m_isCancelled = true;
    }

    mutable WinSharedMutex m_mutex;
    WinHandle m_handle;
    const bool m_skipsPackets;
    bool m_isCancelled = false;
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_PIPEGATE_H
