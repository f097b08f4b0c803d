// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_IOCPWRITER_H
#define QTNAMEDPIPES_IOCPWRITER_H

#include "iocp/iocpdirection.h"

namespace QtNamedPipes {

/// Sends the messages of one startWrite(), one WriteFile() each and one at a time: the system
/// copies what the peer has not read yet into memory that cannot be paged out, so it shall not be
/// much.
class IocpWriter final : public IocpDirection
{
public:
    explicit IocpWriter(IocpEndpoint &endpoint) : IocpDirection(endpoint) { }

    /// Any thread.
    WriteProgress start(const OutgoingMessage *messages, int count);

private:
    WriteProgress send();
    void completed(DWORD error, DWORD bytes) override;
    void tryAgain() override;
    WriteProgress failure(DWORD error);
    void report(const WriteProgress &progress);

    const OutgoingMessage *m_next = nullptr;
    int m_left = 0;
    QByteArray m_data; ///< of the message in flight: stays even if the system never gives it back
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_IOCPWRITER_H
