// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// Names of pipes and patterns for them, against the rules written down in the simplest way.

#include "core/pipename.h"
#include "fuzzing.h"

#include <vector>

using namespace QtNamedPipes;
using Fuzzing::check;
using Fuzzing::Input;

/// Few letters, or a pattern would hardly ever match; and those that the rules are about.
static QString makeText(Input &input, bool isPattern)
{
    static constexpr char16_t letters[] = { u'a', u'b', u'A',  u'1', 0xE4, u'[',   u'.',
                                            u' ', u'/', u'\\', 0x1F, 0x85, 0xD83D, 0xDE00 };
    QString text;
    for (quint32 count = input.byte() % 24; count > 0; --count) {
        const quint32 kind = input.byte();
        if (isPattern && kind % 4 == 0)
            text += u'*';
        else if (isPattern && kind % 4 == 1)
            text += u'?';
        else if (kind == 255)
            text += QChar(char16_t(input.twoBytes()));
        else
            text += QChar(letters[kind / 4 % (kind & 2 ? 3 : std::size(letters))]);
    }
    return text;
}

/// match[n][p]: whether the first n of the name match the first p of the pattern.
static bool matches(const QString &name, const QString &pattern, Qt::CaseSensitivity sensitivity)
{
    std::vector<std::vector<bool>> match(size_t(name.size() + 1),
                                         std::vector<bool>(size_t(pattern.size() + 1)));
    for (size_t n = 0; n <= size_t(name.size()); ++n) {
        for (size_t p = 0; p <= size_t(pattern.size()); ++p) {
            if (p == 0) {
                match[n][p] = n == 0;
                continue;
            }
            const QChar wanted = pattern[qsizetype(p - 1)];
            if (wanted == u'*')
                match[n][p] = match[n][p - 1] || (n > 0 && match[n - 1][p]);
            else
                match[n][p] = n > 0 && match[n - 1][p - 1]
                        && (wanted == u'?'
                            || QString(wanted).compare(QString(name[qsizetype(n - 1)]), sensitivity)
                                    == 0);
        }
    }
    return match.back().back();
}

static bool isGood(const QString &name)
{
    for (const QChar c : name) {
        if (c == u'/' || c == u'\\' || c.unicode() < 0x20
            || (c.unicode() >= 0x7F && c.unicode() < 0xA0))
            return false;
    }
    for (const QChar c : { name.front(), name.back() }) {
        if (c == u'.' || c.isSpace())
            return false;
    }
    for (qsizetype i = 0; i < name.size(); ++i) {
        if (name[i].isHighSurrogate() && i + 1 < name.size() && name[i + 1].isLowSurrogate())
            ++i;
        else if (name[i].isSurrogate())
            return false;
    }
    return true;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input(data, size);
    const auto sensitivity = input.flag() ? Qt::CaseSensitive : Qt::CaseInsensitive;
    const QString name = makeText(input, false);
    const QString pattern = makeText(input, true);
    check(matchesPattern(name, pattern, sensitivity) == matches(name, pattern, sensitivity),
          "* stands for anything, ? for one");

    const TransportError error = checkPipeName(name, QStringLiteral("missing"));
    if (name.isEmpty())
        check(error.error == NamedPipe::NameMissing && error.detail == u"missing",
              "a missing name is told as such");
    else if (isGood(name))
        check(!error, "a good name is good");
    else
        check(error.error == NamedPipe::NameInvalid && !error.detail.isEmpty(),
              "a bad name is refused, with a reason");
    return 0;
}
