// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_SKIPPING_H
#define QTNAMEDPIPES_TESTS_SKIPPING_H

#include <QtTest/qtestcase.h>

/// QSKIP(), whose optional second argument pedantic C++17 objects to.
#define SKIP_BECAUSE(reason) \
    do { \
        QTest::qSkip(reason, __FILE__, __LINE__); \
        return; \
    } while (false)

#endif // QTNAMEDPIPES_TESTS_SKIPPING_H
