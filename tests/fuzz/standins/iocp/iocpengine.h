// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_STANDIN_IOCPENGINE_H
#define QTNAMEDPIPES_STANDIN_IOCPENGINE_H

#include "iocp/fakepipe.h"

#endif // QTNAMEDPIPES_STANDIN_IOCPENGINE_H
