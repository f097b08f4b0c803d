// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "scratchname.h"

#include <QtCore/qcoreapplication.h>
#include <QtCore/qrandom.h>

#include <atomic>

QString scratchName()
{
    static std::atomic<int> counter { 0 };
    // The id of a process comes again, and what a process left that was killed is still there then.
    static const quint32 run = QRandomGenerator::system()->generate();
    return QStringLiteral("qnp-test-%1-%2-%3")
            .arg(QCoreApplication::applicationPid())
            .arg(run, 0, 36)
            .arg(++counter);
}
