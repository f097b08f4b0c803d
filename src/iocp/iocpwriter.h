// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_IOCPWRITER_H
#define QTNAMEDPIPES_IOCPWRITER_H

#include "iocp/iocpdirection.h"

namespace QtNamedPipes {

/// Sends the messages of one startWrite(), one WriteFile() each and one at a time: the system
/// copies what the peer has not read yet into memory that cannot be paged out, so it shall not be
/// much.
///
/// What is accepted at once is reported together, before the message that is not, whose packet another
/// worker may have by then: m_turn decides which of the two threads goes on.
class IocpWriter final : public IocpDirection
{
public:
    explicit IocpWriter(IocpEndpoint &endpoint) : IocpDirection(endpoint) { }

    /// Any thread.
    WriteProgress start(const OutgoingMessage *messages, int count);

private:
    enum class Turn {
        Free, ///< the packet's worker goes on
        Held, ///< the thread that has begun the operation has something to report before
        Arrived, ///< and finds that the packet has come meanwhile: it goes on
    };

    WriteProgress send(int accepted);
    Submission submitWrite();
    void messageWent();
    void completed(DWORD error, DWORD bytes) override;
    void tryAgain() override;
    WriteProgress failure(DWORD error);
    void reportAccepted(int messages);
    void report(const WriteProgress &progress);

    const OutgoingMessage *m_next = nullptr;
    int m_left = 0;
    std::atomic<Turn> m_turn { Turn::Free };
    DWORD m_arrived = ERROR_SUCCESS; ///< what the packet has brought
    QByteArray m_data; ///< of the message in flight: stays even if the system never gives it back
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_IOCPWRITER_H
