// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "iocp/iocpwriter.h"

#include "iocp/iocpendpoint.h"
#include "iocp/winerror.h"

#include <utility>

namespace QtNamedPipes {

// Messages that are accepted at once before others have their turn.
static constexpr int WritesPerTurn = 64;

WriteProgress IocpWriter::start(const OutgoingMessage *messages, int count)
{
    m_next = messages;
    m_left = count;
    return send(0);
}

/// Sends what is left; \a accepted messages are accepted and not reported yet. Returns how it ended; or
/// Pending with nothing accepted, and then the rest of the operation belongs to the workers.
WriteProgress IocpWriter::send(int accepted)
{
    WriteProgress pending;
    pending.status = WriteProgress::Pending;
    while (m_left > 0) {
        if (accepted >= WritesPerTurn) {
            reportAccepted(accepted);
            goOnLater();
            return pending;
        }
        m_data = m_next->data;
        m_turn.store(accepted > 0 ? Turn::Held : Turn::Free);
        const Submission write = submitWrite();
        if (write.kind == Submission::Pending) {
            if (accepted == 0)
                return pending;
            reportAccepted(std::exchange(accepted, 0));
            if (m_turn.exchange(Turn::Free) != Turn::Arrived)
                return pending;
            if (m_arrived != ERROR_SUCCESS)
                return failure(m_arrived);
        } else {
            m_turn.store(Turn::Free);
            if (write.kind == Submission::Failed) {
                reportAccepted(accepted); // the next try may come before this has returned
                return failure(write.error);
            }
        }
        messageWent();
        ++accepted;
    }
    WriteProgress done;
    done.accepted = accepted;
    return done;
}

Submission IocpWriter::submitWrite()
{
    const char *data = m_data.constData();
    const DWORD size = DWORD(m_data.size());
    return endpoint().gate().submit(*this, owner(), [&](HANDLE pipe, OVERLAPPED *overlapped) {
        return winApi().writeFile(pipe, data, size, nullptr, overlapped);
    });
}

void IocpWriter::messageWent()
{
    succeeded();
    m_data = QByteArray();
    ++m_next;
    --m_left;
}

/// Worker.
void IocpWriter::completed(DWORD error, DWORD)
{
    if (endpoint().isClosed())
        return; // late: the messages are no longer ours to look at
    m_arrived = error;
    Turn held = Turn::Held;
    if (m_turn.compare_exchange_strong(held, Turn::Arrived))
        return;
    if (error != ERROR_SUCCESS)
        return report(failure(error));
    messageWent();
    report(send(1)); // after Done the next start() may have come already
}

void IocpWriter::tryAgain()
{
    if (!endpoint().isClosed())
        report(send(0));
}

WriteProgress IocpWriter::failure(DWORD error)
{
    WriteProgress progress;
    if (error == ERROR_OPERATION_ABORTED && endpoint().gate().isCancelled()) {
        progress.status = WriteProgress::Cancelled;
    } else if (isPeerGone(error)) {
        progress.status = WriteProgress::PeerGone;
    } else if (isShortage(error) && tryLater()) {
        progress.status = WriteProgress::Pending;
        return progress;
    } else {
        progress.status = WriteProgress::Failed;
        progress.error = winError(error, "WriteFile");
    }
    m_data = QByteArray();
    return progress;
}

void IocpWriter::reportAccepted(int messages)
{
    WriteProgress progress;
    progress.status = WriteProgress::Pending;
    progress.accepted = messages;
    report(progress);
}

void IocpWriter::report(const WriteProgress &progress)
{
    const bool saysNothing = progress.status == WriteProgress::Pending && progress.accepted == 0;
    if (!saysNothing && !endpoint().isClosed())
        endpoint().sink().writeProgressed(progress);
}

} // namespace QtNamedPipes
