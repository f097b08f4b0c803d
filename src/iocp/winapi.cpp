// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "iocp/winapi.h"

namespace QtNamedPipes {

WinApi &winApi()
{
    static WinApi api;
    return api;
}

} // namespace QtNamedPipes
