// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_WINSECURITY_H
#define QTNAMEDPIPES_WINSECURITY_H

#include "core/pipetransport.h"

#include <QtCore/qt_windows.h>

#include <memory>

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
    struct LocalFreeDeleter
    {
        void operator()(void *memory) const { LocalFree(memory); }
    };
    std::unique_ptr<void, LocalFreeDeleter> m_descriptor;
};

/// Who opened the other end of a server's \a pipe: a hint. The process may have gone meanwhile, and
/// its number may belong to another one; then there is no user.
PeerIdentity pipeClient(HANDLE pipe);

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_WINSECURITY_H
