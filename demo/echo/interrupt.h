// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef INTERRUPT_H
#define INTERRUPT_H

#include <functional>

/// Calls \a handler, on a thread of its own, when the program is asked to end: Ctrl-C, or SIGTERM.
/// To be called first in main(), before there are other threads.
void onInterrupt(std::function<void()> handler);

#endif // INTERRUPT_H
