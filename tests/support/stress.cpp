// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "stress.h"

#include <QtCore/qglobal.h>

#include <algorithm>

int stressPercent()
{
    bool ok = false;
    const int percent = qEnvironmentVariableIntValue("QTNAMEDPIPES_STRESS", &ok);
    return ok && percent > 0 ? percent : 100;
}

int scaled(int full, int least)
{
    return std::max(least, int(qint64(full) * stressPercent() / 100));
}
