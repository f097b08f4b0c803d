// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_WINSECURITY_H
#define QTNAMEDPIPES_WINSECURITY_H

#include "core/pipetransport.h"
#include "iocp/winhandle.h"

namespace QtNamedPipes {

/// Who may connect, in the form that CreateNamedPipe() takes. The first instance of a name decides;
/// later ones share what it was created with.
class WinSecurity
{
public:
    /// From an SDDL string, or from access options when that is empty.
    TransportError set(const ListenSettings &settings);
    /// Never inheritable: a child process that holds a server handle would keep the name alive.
    SECURITY_ATTRIBUTES attributes() const;

    /// The SDDL text for \a access.
    static TransportError describe(NamedPipe::AccessOptions access, QString *sddl);

private:
    LocalMemory m_descriptor;
};

/// Who opened the other end of a server's \a pipe: a hint. The process may have gone meanwhile, and
/// its number may belong to another one; then there is no user.
PeerIdentity pipeClient(HANDLE pipe);
/// Who runs the server at the other end of a client's \a pipe: the same kind of hint.
PeerIdentity pipeServer(HANDLE pipe);

/// AccessDenied unless the server at the other end of \a pipe is run by the user of this process.
/// Decided by the owner of the pipe, which a user cannot choose freely. Needs READ_CONTROL.
TransportError checkPipeOwner(HANDLE pipe);

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_WINSECURITY_H
