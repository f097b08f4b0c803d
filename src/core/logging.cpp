// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "core/logging.h"

Q_LOGGING_CATEGORY(lcServer, "qtnamedpipes.server", QtWarningMsg)
Q_LOGGING_CATEGORY(lcConnection, "qtnamedpipes.connection", QtWarningMsg)
Q_LOGGING_CATEGORY(lcEngine, "qtnamedpipes.engine", QtWarningMsg)
