// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_PIPENAME_H
#define QTNAMEDPIPES_PIPENAME_H

#include "core/pipetransport.h"

namespace QtNamedPipes {

/// What is wrong with \a name as the name of a pipe: NameInvalid with a sentence, or NameMissing with
/// the text \a whenMissing; NoError when it is good.
TransportError checkPipeName(const QString &name, const QString &whenMissing);

/// Whether \a name matches \a pattern, in which * stands for any characters and ? for one.
bool matchesPattern(const QString &name, const QString &pattern,
                    Qt::CaseSensitivity caseSensitivity);

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_PIPENAME_H
