// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "interrupt.h"

#include <windows.h>

#include <utility>

// Never freed: it may be called until the very end of the program.
static std::function<void()> *interruptHandler = nullptr;

void onInterrupt(std::function<void()> handler)
{
    interruptHandler = new std::function<void()>(std::move(handler));
    SetConsoleCtrlHandler(
            [](DWORD event) -> BOOL { // on a thread that Windows makes for it
                (*interruptHandler)();
                // The end of a closed console's program, unless it ends by itself.
                if (event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT)
                    Sleep(INFINITE);
                return TRUE;
            },
            TRUE);
}
