// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "core/pipename.h"

#include "core/text.h"

#include <algorithm>

namespace QtNamedPipes {

static bool isDotOrSpace(QChar c)
{
    return c == QLatin1Char('.') || c.isSpace();
}

static QString nameFault(const QString &name)
{
    if (name.startsWith(QLatin1String("\\\\.\\pipe\\"), Qt::CaseInsensitive))
        return Text::tr("pass the leaf name only, without \\\\.\\pipe\\");
    if (name.contains(QLatin1Char('\\')) || name.contains(QLatin1Char('/')))
        return Text::tr("a pipe name cannot contain \\ or /");
    if (std::any_of(name.cbegin(), name.cend(),
                    [](QChar c) { return c.category() == QChar::Other_Control; }))
        return Text::tr("a pipe name cannot contain NUL or another control character");
    if (!name.isValidUtf16())
        return Text::tr("a pipe name must be valid Unicode text");
    if (isDotOrSpace(name.front()) || isDotOrSpace(name.back()))
        return Text::tr("a pipe name cannot begin or end with a dot or a space");
    return platformNameFault(name);
}

TransportError checkPipeName(const QString &name)
{
    TransportError error;
    if (name.isEmpty()) {
        error.error = NamedPipe::NameMissing;
        error.detail = Text::tr("cannot start without specifying a pipe name");
    } else if (const QString fault = nameFault(name); !fault.isEmpty()) {
        error.error = NamedPipe::NameInvalid;
        error.detail = fault;
    }
    return error;
}

} // namespace QtNamedPipes
