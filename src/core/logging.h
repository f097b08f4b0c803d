// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_LOGGING_H
#define QTNAMEDPIPES_LOGGING_H

#include <QtCore/qloggingcategory.h>

// Quiet by default (warnings only); QT_LOGGING_RULES="qtnamedpipes.*=true" shows every transition.
Q_DECLARE_LOGGING_CATEGORY(lcServer)
Q_DECLARE_LOGGING_CATEGORY(lcConnection)
Q_DECLARE_LOGGING_CATEGORY(lcEngine)

#endif // QTNAMEDPIPES_LOGGING_H
