// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_IOOPERATION_H
#define QTNAMEDPIPES_IOOPERATION_H

#include "iocp/winapi.h"

#include <atomic>
#include <memory>
#include <utility>

namespace QtNamedPipes {

/// Something that comes out of the completion port: the OVERLAPPED of a system call, with what
/// belongs to it. One operation is in flight at most once, and may be begun anew in completed().
///
/// While it is in flight it holds its owner, the object whose memory (this operation, buffers) the
/// system uses. If the system never gives the operation back, that memory is never freed; this is
/// the only thing to do with it.
///
/// hEvent stays null: with an event, the system may cancel the operation when the thread that began
/// it ends.
class IoOperation : public OVERLAPPED
{
public:
    /// \a inFlight counts the operations of the engine that have not come back.
    explicit IoOperation(std::atomic<qint64> &inFlight) : OVERLAPPED(), m_inFlight(inFlight) { }
    IoOperation(const IoOperation &) = delete;
    IoOperation &operator=(const IoOperation &) = delete;
    virtual ~IoOperation() = default;

    /// Before the system call: its packet may be handled by another worker before the call returns.
    /// After the call, nothing here may be touched.
    OVERLAPPED *begin(std::shared_ptr<void> owner)
    {
        static_cast<OVERLAPPED &>(*this) = OVERLAPPED();
        m_owner = std::move(owner);
        m_inFlight.fetch_add(1, std::memory_order_relaxed);
        return this;
    }

    /// Instead of finish(): the call has failed, so that no packet comes.
    void revoke()
    {
        m_inFlight.fetch_sub(1, std::memory_order_relaxed);
        m_owner.reset(); // the caller has a reference of its own
    }

    /// On the thread that took the packet out of the port.
    void finish(DWORD error, DWORD bytes)
    {
        const std::shared_ptr<void> owner = std::move(m_owner);
        m_inFlight.fetch_sub(1, std::memory_order_relaxed);
        completed(error, bytes);
    }

protected:
    /// \a error is a code of GetLastError(); ERROR_MORE_DATA comes with valid \a bytes.
    virtual void completed(DWORD error, DWORD bytes) = 0;

private:
    std::atomic<qint64> &m_inFlight;
    std::shared_ptr<void> m_owner;
};

/// How an operation that was begun goes on.
struct Submission
{
    enum Kind {
        Pending, ///< exactly one packet follows, or has followed already
        Done, ///< it is over, and no packet follows
        Failed, ///< likewise: it has not begun, for the reason in error
    };
    Kind kind;
    DWORD error; ///< Done: ERROR_SUCCESS or ERROR_MORE_DATA
    DWORD bytes; ///< Done
};

/// Begins \a operation with the system call \a call, which takes its OVERLAPPED and returns a BOOL.
///
/// What is done at once has a packet all the same, unless its handle has
/// FILE_SKIP_COMPLETION_PORT_ON_SUCCESS (\a skipsPackets): then there is one if, and only if, the call
/// has said ERROR_IO_PENDING. That holds for a partial read, too, which says ERROR_MORE_DATA at once
/// (Wine, and Windows before 8), or ERROR_IO_PENDING although its data was there (since 8).
template<typename SystemCall>
Submission submit(IoOperation &operation, std::shared_ptr<void> owner, bool skipsPackets,
                  SystemCall call)
{
    const BOOL ok = call(operation.begin(std::move(owner)));
    const DWORD error = ok ? ERROR_SUCCESS : GetLastError();
    const bool isDone = error == ERROR_SUCCESS || error == ERROR_MORE_DATA;
    if (error == ERROR_IO_PENDING || (isDone && !skipsPackets))
        return { Submission::Pending, ERROR_IO_PENDING, 0 };
    const auto bytes = DWORD(operation.InternalHigh);
    operation.revoke();
    return { isDone ? Submission::Done : Submission::Failed, error, bytes };
}

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_IOOPERATION_H
