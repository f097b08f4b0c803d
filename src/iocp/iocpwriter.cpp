// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "iocp/iocpwriter.h"

#include "iocp/iocpendpoint.h"
#include "iocp/winerror.h"

namespace QtNamedPipes {

WriteProgress IocpWriter::start(const OutgoingMessage *messages, int count)
{
    m_next = messages;
    m_left = count;
    return m_left > 0 ? send() : WriteProgress();
}

/// Pending, or how it ended. Once it is pending the rest of the operation belongs to the workers.
WriteProgress IocpWriter::send()
{
    m_data = m_next->data;
    const char *data = m_data.constData();
    const DWORD size = DWORD(m_data.size());
    const DWORD error =
            endpoint().gate().submit(*this, owner(), [&](HANDLE pipe, OVERLAPPED *overlapped) {
                return winApi().writeFile(pipe, data, size, nullptr, overlapped);
            });
    if (error != ERROR_SUCCESS)
        return failure(error);
    WriteProgress progress;
    progress.status = WriteProgress::Pending;
    return progress;
}

/// Worker.
void IocpWriter::completed(DWORD error, DWORD)
{
    if (endpoint().isClosed())
        return; // late: the messages are no longer ours to look at
    if (error != ERROR_SUCCESS)
        return report(failure(error));
    succeeded();
    m_data = QByteArray();
    ++m_next;
    WriteProgress progress;
    progress.accepted = 1;
    progress.status = --m_left > 0 ? WriteProgress::Pending : WriteProgress::Done;
    // Reported before the next one is sent, whose packet may be handled by another worker: the
    // reports keep their order. After Done the next start() may have come already.
    const bool goesOn = m_left > 0;
    report(progress);
    if (goesOn)
        report(send());
}

void IocpWriter::tryAgain()
{
    if (!endpoint().isClosed())
        report(send());
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

void IocpWriter::report(const WriteProgress &progress)
{
    const bool saysNothing = progress.status == WriteProgress::Pending && progress.accepted == 0;
    if (!saysNothing && !endpoint().isClosed())
        endpoint().sink().writeProgressed(progress);
}

} // namespace QtNamedPipes
