// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_SCRATCHNAME_H
#define QTNAMEDPIPES_TESTS_SCRATCHNAME_H

#include <QtCore/qstring.h>

/// A pipe name that no other test, process or earlier call uses.
QString scratchName();

#endif // QTNAMEDPIPES_TESTS_SCRATCHNAME_H
