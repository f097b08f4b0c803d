// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef LOAD_H
#define LOAD_H

#include <QtCore/qstring.h>

/// Runs \a clients clients against the echo server until it stops: each keeps a few messages of \a
/// size bytes on their way and checks what comes back. The exit code of the process.
int runLoad(const QString &pipeName, int clients, int size);

#endif // LOAD_H
