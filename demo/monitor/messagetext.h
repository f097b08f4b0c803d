// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef MESSAGETEXT_H
#define MESSAGETEXT_H

#include <QtCore/qbytearray.h>
#include <QtCore/qstring.h>

#include <optional>

// How the bytes of a message are written for people.

/// Valid UTF-8 without control characters, but for those of lines, tabs and colours, and one NUL at
/// the end, as C programs send it. An empty message is text.
bool isText(const QByteArray &data);

/// \a data without the half character that cutting may have left at its end.
QByteArray withoutHalfCharacter(const QByteArray &data);

/// One line of at most \a maxLength characters: text, or hex when the part that it shows is no
/// text. Costs the same for a message of any size.
QString preview(const QByteArray &data, int maxLength);

/// With symbols for what would not be seen, or would rearrange the text around it.
QString visibleText(const QString &text);
/// The same, but lines and tabs stay what they are.
QString visibleLines(const QString &text);

/// Lines of an offset and 16 bytes; of more than \a limit bytes only the first, and a line "…".
QString hexDump(const QByteArray &data, qsizetype limit);
/// The same bytes as characters, line by line.
QString asciiColumn(const QByteArray &data, qsizetype limit);

/// Indented when it is a JSON object or array, otherwise empty. The tokens are those of the
/// message: nothing is sorted, no number is rounded.
QString prettyJson(const QByteArray &data);

/// Bytes of "de ad 0xbeef"; nothing when a digit is wrong or missing.
std::optional<QByteArray> parseHex(const QString &text);

/// For a line of a file: text, with \\t, \\n, \\r and \\\\ as in C, or "0xdeadbeef".
QString savedText(const QByteArray &data);

#endif // MESSAGETEXT_H
