// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_PROCESSFACTS_H
#define QTNAMEDPIPES_TESTS_PROCESSFACTS_H

#include <QtCore/qglobal.h>
#include <QtCore/qstring.h>

/// What the system says about the test process itself.
namespace ProcessFacts {

/// Open handles (Windows) or file descriptors (Linux).
int openHandles();
/// Asks the system for so many at a time; false when it allows fewer.
bool allowHandles(int count);
int threads();
/// Bytes of physical memory in use now.
qint64 residentBytes();
/// Bytes that the process has asked for, used or not: address space (Linux), committed memory
/// (Windows).
qint64 reservedBytes();
/// The user id (Linux) or SID (Windows) of the process, as text.
QString userId();
bool hasWineVersion();
/// Ends the calling process at once, without any clean-up: kill -9 or TerminateProcess.
[[noreturn]] void dieNow();

} // namespace ProcessFacts

#endif // QTNAMEDPIPES_TESTS_PROCESSFACTS_H
