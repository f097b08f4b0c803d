// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "messagetext.h"

#include <QtCore/qjsondocument.h>
#include <QtCore/qstringlist.h>

#include <algorithm>
#include <cctype>

static constexpr qsizetype BytesPerLine = 16;
static constexpr QChar Ellipsis(0x2026);

// --- Text ---

static bool isTextControl(char32_t c)
{
    return (c >= '\t' && c <= '\r') || c == 0x1b; // Escape begins a colour
}

static bool isTextCharacter(char32_t c)
{
    if (c < 0x20)
        return isTextControl(c);
    return !(c >= 0x7f && c < 0xa0) && !QChar::isNonCharacter(c);
}

bool isText(const QByteArray &data)
{
    const auto isAscii = [](char c) { return c >= 0x20 && c < 0x7f; };
    if (std::all_of(data.cbegin(), data.cend(), isAscii))
        return true;
    if (!data.isValidUtf8())
        return false;
    const QByteArray text = data.endsWith('\0') ? data.chopped(1) : data;
    const auto characters = QString::fromUtf8(text).toUcs4();
    return (!text.isEmpty() || data.isEmpty())
            && std::all_of(characters.cbegin(), characters.cend(), isTextCharacter);
}

QByteArray withoutHalfCharacter(const QByteArray &data)
{
    // The last byte that begins a character is one of the last four.
    for (qsizetype back = 1; back <= qMin(data.size(), qsizetype(4)); ++back) {
        const uchar byte = uchar(data[data.size() - back]);
        if ((byte & 0xc0) == 0x80)
            continue;
        const int length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
        return length > back ? data.chopped(back) : data;
    }
    return data;
}

static QChar symbol(QChar character)
{
    const char16_t c = character.unicode();
    // These three are in every font, the symbols made for control characters are not.
    if (c == u'\n')
        return QChar(0x21b5);
    if (c == u'\t')
        return QChar(0x21e5);
    if (c == u'\r')
        return QChar(0x21e4);
    if (c < 0x20)
        return QChar(0x2400 + c);
    if (c == 0x7f)
        return QChar(0x2421);
    if (c == 0x2028 || c == 0x2029)
        return QChar(0x21b5);
    const bool ordersText = c == 0x200e || c == 0x200f || c == 0x061c
            || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
    return (c >= 0x80 && c < 0xa0) || ordersText ? QChar(QChar::ReplacementCharacter) : character;
}

QString visibleText(const QString &text)
{
    QString visible = text;
    std::transform(visible.cbegin(), visible.cend(), visible.begin(), symbol);
    return visible;
}

QString visibleLines(const QString &text)
{
    QString visible = text;
    visible.replace(QLatin1String("\r\n"), QLatin1String("\n"));
    std::transform(visible.cbegin(), visible.cend(), visible.begin(),
                   [](QChar c) { return c == u'\n' || c == u'\t' ? c : symbol(c); });
    return visible;
}

QString preview(const QByteArray &data, int maxLength)
{
    if (maxLength <= 0)
        return {};
    // A character of UTF-16 has at most three bytes in UTF-8; one more tells that the text goes on.
    QByteArray start = data.left(3 * (qsizetype(maxLength) + 1));
    const bool goesOn = start.size() < data.size();
    if (goesOn)
        start = withoutHalfCharacter(start);
    if (isText(start)) {
        QString text = visibleText(QString::fromUtf8(start));
        if (text.size() <= maxLength && !goesOn)
            return text;
        text.truncate(maxLength - 1);
        if (text.endsWith(QChar(QChar::ReplacementCharacter)) || text.isEmpty())
            return text + Ellipsis;
        return (text.back().isHighSurrogate() ? text.chopped(1) : text) + Ellipsis;
    }
    const qsizetype fits = (qsizetype(maxLength) + 1) / 3;
    if (data.size() <= fits)
        return QString::fromLatin1(data.toHex(' '));
    const QString bytes = QString::fromLatin1(data.left((maxLength - 1) / 3).toHex(' '));
    return bytes.isEmpty() ? QString(Ellipsis) : bytes + u' ' + Ellipsis;
}

QString savedText(const QByteArray &data)
{
    if (!isText(data))
        return QLatin1String("0x") + QString::fromLatin1(data.toHex());
    QString text = QString::fromUtf8(data);
    text.replace(QLatin1String("\\"), QLatin1String("\\\\"));
    text.replace(QLatin1String("\t"), QLatin1String("\\t"));
    text.replace(QLatin1String("\n"), QLatin1String("\\n"));
    text.replace(QLatin1String("\r"), QLatin1String("\\r"));
    return visibleText(text);
}

// --- Bytes ---

QString hexDump(const QByteArray &data, qsizetype limit)
{
    static constexpr char Digits[] = "0123456789abcdef";
    const qsizetype size = qBound(qsizetype(0), limit, data.size());
    QString dump;
    dump.reserve((size / BytesPerLine + 2) * 60);
    for (qsizetype offset = 0; offset < size; offset += BytesPerLine) {
        if (offset > 0)
            dump += u'\n';
        for (int shift = 28; shift >= 0; shift -= 4)
            dump += QLatin1Char(Digits[(offset >> shift) & 0xf]);
        dump += u' ';
        for (qsizetype i = offset; i < qMin(offset + BytesPerLine, size); ++i) {
            const uchar byte = uchar(data[i]);
            dump += i % BytesPerLine == BytesPerLine / 2 ? QLatin1String("  ") : QLatin1String(" ");
            dump += QLatin1Char(Digits[byte >> 4]);
            dump += QLatin1Char(Digits[byte & 0xf]);
        }
    }
    if (size < data.size())
        dump += (size > 0 ? QLatin1String("\n") : QLatin1String()) + Ellipsis;
    return dump;
}

QString asciiColumn(const QByteArray &data, qsizetype limit)
{
    const qsizetype size = qBound(qsizetype(0), limit, data.size());
    QString column;
    column.reserve(size + size / BytesPerLine + 2);
    for (qsizetype i = 0; i < size; ++i) {
        if (i > 0 && i % BytesPerLine == 0)
            column += u'\n';
        const bool isPrintable = data[i] >= 0x20 && data[i] < 0x7f;
        column += isPrintable ? QChar(QLatin1Char(data[i])) : QChar(0xb7);
    }
    if (size < data.size())
        column += (size > 0 ? QLatin1String("\n") : QLatin1String()) + Ellipsis;
    return column;
}

static bool isHexSpace(QChar c)
{
    return c.isSpace();
}

std::optional<QByteArray> parseHex(const QString &text)
{
    QString words = text;
    std::replace_if(words.begin(), words.end(), isHexSpace, QChar(u' '));
    QByteArray bytes;
    for (QStringView word : QStringView(words).split(u' ', Qt::SkipEmptyParts)) {
        const bool hasPrefix = word.startsWith(QLatin1String("0x"), Qt::CaseInsensitive);
        if (hasPrefix)
            word = word.sliced(2);
        const auto isDigit = [](QChar c) {
            return c < QChar(0x80) && std::isxdigit(uchar(c.toLatin1()));
        };
        if (word.isEmpty() || word.size() % 2 != 0
            || !std::all_of(word.cbegin(), word.cend(), isDigit))
            return std::nullopt;
        bytes += QByteArray::fromHex(word.toLatin1());
    }
    return bytes;
}

// --- JSON ---

namespace {

/// Writes the tokens of a valid document on lines of their own.
class JsonWriter
{
public:
    QString write(const QString &json)
    {
        for (qsizetype i = 0; i < json.size(); ++i) {
            const QChar c = json[i];
            if (m_isInString) {
                m_text += c;
                if (c == u'\\' && i + 1 < json.size())
                    m_text += json[++i];
                else if (c == u'"')
                    m_isInString = false;
            } else if (!c.isSpace()) {
                token(c);
            }
        }
        return m_text;
    }

private:
    void token(QChar c)
    {
        const bool closes = c == u'}' || c == u']';
        if (closes)
            --m_depth;
        if (m_isOpened != closes && (m_isOpened || closes))
            newLine();
        m_isOpened = false;
        m_text += c;
        if (c == u'{' || c == u'[') {
            ++m_depth;
            m_isOpened = true; // "{}" stays together
        } else if (c == u',') {
            newLine();
        } else if (c == u':') {
            m_text += u' ';
        } else if (c == u'"') {
            m_isInString = true;
        }
    }
    void newLine()
    {
        // Limited: a thousand brackets must not become a megabyte of spaces.
        m_text += u'\n' + QString(2 * qMin(m_depth, 20), u' ');
    }

    QString m_text;
    int m_depth = 0;
    bool m_isOpened = false;
    bool m_isInString = false;
};

} // namespace

QString prettyJson(const QByteArray &data)
{
    const QByteArray json = data.trimmed();
    if (!json.startsWith('{') && !json.startsWith('['))
        return {};
    QJsonParseError error;
    QJsonDocument::fromJson(json, &error);
    if (error.error != QJsonParseError::NoError)
        return {};
    return JsonWriter().write(QString::fromUtf8(json));
}
