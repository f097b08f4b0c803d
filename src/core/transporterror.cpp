// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "core/pipetransport.h"
#include "core/text.h"

namespace QtNamedPipes {

QString TransportError::text() const
{
    QString text = detail;
    if (text.isEmpty())
        text = nativeCode != 0 ? platformErrorText(nativeCode) : Text::tr("unknown error");
    if (nativeCode != 0)
        text += QStringLiteral(" (%1: %2)").arg(QLatin1String(operation)).arg(nativeCode);
    return text;
}

} // namespace QtNamedPipes
