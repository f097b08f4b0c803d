// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef COLORS_H
#define COLORS_H

#include <QtGui/qcolor.h>
#include <QtGui/qfont.h>
#include <QtGui/qfontdatabase.h>
#include <QtGui/qfontinfo.h>
#include <QtGui/qpalette.h>

// Colours and fonts for light and dark palettes.

/// \a percent of \a front, the rest of \a back: a quieter colour that suits any palette, dark ones
/// too. The palette's own roles for this are not always set.
inline QColor mixedColor(const QColor &front, const QColor &back, int percent)
{
    const auto mixed = [percent](int a, int b) {
        return (a * percent + b * (100 - percent)) / 100;
    };
    return QColor(mixed(front.red(), back.red()), mixed(front.green(), back.green()),
                  mixed(front.blue(), back.blue()));
}

inline bool isDark(const QPalette &palette)
{
    return palette.color(QPalette::Base).lightness() < 128;
}

inline QColor errorColor(const QPalette &palette)
{
    return isDark(palette) ? QColor(0xff, 0x8a, 0x80) : QColor(0xb0, 0x1e, 0x1e);
}

inline QColor inColor(const QPalette &palette)
{
    return isDark(palette) ? QColor(0x82, 0xb1, 0xff) : QColor(0x1a, 0x56, 0xb0);
}

inline QColor outColor(const QPalette &palette)
{
    return isDark(palette) ? QColor(0x9c, 0xcc, 0x65) : QColor(0x2e, 0x6b, 0x1f);
}

/// Readable, but behind everything else.
inline QColor quietColor(const QPalette &palette)
{
    return mixedColor(palette.color(QPalette::Text), palette.color(QPalette::Base), 70);
}

/// \a palette with text in \a color.
inline QPalette withText(QPalette palette, const QColor &color)
{
    palette.setColor(QPalette::WindowText, color);
    return palette;
}

inline QFont fixedFont()
{
    QFont font = QFontDatabase::systemFont(QFontDatabase::FixedFont);
    if (!QFontInfo(font).fixedPitch()) { // a platform without a theme may not know one
        font.setFamily(QStringLiteral("monospace"));
        font.setStyleHint(QFont::TypeWriter);
    }
    return font;
}

#endif // COLORS_H
