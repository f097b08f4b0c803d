// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_UNIXERROR_H
#define QTNAMEDPIPES_UNIXERROR_H

#include "core/pipetransport.h"

namespace QtNamedPipes {

/// The only translation of errno: \a code as \a operation left it.
TransportError unixError(int code, const char *operation, const QString &detail = {});

/// True when a call failed for want of something that may be there again soon.
bool isExhaustion(int code);

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_UNIXERROR_H
