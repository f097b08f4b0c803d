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

TransportError checkPipeName(const QString &name, const QString &whenMissing)
{
    if (name.isEmpty())
        return { NamedPipe::NameMissing, 0, "", whenMissing };
    if (const QString fault = nameFault(name); !fault.isEmpty())
        return { NamedPipe::NameInvalid, 0, "", fault };
    return {};
}

// Not by QRegularExpression, for which [ and \ have a meaning that they do not have here.
bool matchesPattern(const QString &name, const QString &pattern,
                    Qt::CaseSensitivity caseSensitivity)
{
    qsizetype n = 0;
    qsizetype p = 0;
    qsizetype star = -1; // the last * that was passed, and what it stands for ends at starEnd
    qsizetype starEnd = 0;
    while (n < name.size()) {
        if (p < pattern.size() && pattern[p] == QLatin1Char('*')) {
            star = p++;
            starEnd = n;
        } else if (p < pattern.size()
                   && (pattern[p] == QLatin1Char('?')
                       || QStringView(pattern).mid(p, 1).compare(QStringView(name).mid(n, 1),
                                                                 caseSensitivity)
                               == 0)) {
            ++p;
            ++n;
        } else if (star >= 0) {
            p = star + 1;
            n = ++starEnd;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == QLatin1Char('*'))
        ++p;
    return p == pattern.size();
}

} // namespace QtNamedPipes
