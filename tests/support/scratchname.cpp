// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "scratchname.h"

#include <QtCore/qcoreapplication.h>

#include <atomic>

QString scratchName()
{
    static std::atomic<int> counter { 0 };
    return QStringLiteral("qnp-test-%1-%2").arg(QCoreApplication::applicationPid()).arg(++counter);
}
