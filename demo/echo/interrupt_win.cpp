// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "interrupt.h"

#include <windows.h>

static std::function<void()> interruptHandler;

void onInterrupt(std::function<void()> handler)
{
    interruptHandler = std::move(handler);
    SetConsoleCtrlHandler(
            [](DWORD) -> BOOL { // on a thread that Windows makes for it
                interruptHandler();
                return TRUE;
            },
            TRUE);
}
