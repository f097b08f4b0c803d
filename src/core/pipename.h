// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_PIPENAME_H
#define QTNAMEDPIPES_PIPENAME_H

#include "core/pipetransport.h"

namespace QtNamedPipes {

/// What is wrong with \a name as the name of a pipe, as the error that start() reports; NoError
/// when it is good.
TransportError checkPipeName(const QString &name);

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_PIPENAME_H
