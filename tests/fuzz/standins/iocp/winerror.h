// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_STANDIN_WINERROR_H
#define QTNAMEDPIPES_STANDIN_WINERROR_H

#include "iocp/fakepipe.h"

#endif // QTNAMEDPIPES_STANDIN_WINERROR_H
