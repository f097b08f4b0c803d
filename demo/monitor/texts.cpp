// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "texts.h"

#include <cmath>

using namespace Qt::StringLiterals;

static QString oneDecimal(double value)
{
    return QString::number(value, 'f', 1);
}

/// \a value in the largest of \a units that keeps it at 1 or more, with one decimal.
template<size_t N>
static QString scaled(double value, double step, const char16_t *const (&units)[N])
{
    size_t unit = 0;
    // What would be rounded up to a whole step is one of the next unit: 1.0 MiB, not 1024.0 KiB.
    while (unit + 1 < N && std::abs(value) >= step - 0.05) {
        value /= step;
        ++unit;
    }
    return oneDecimal(value).append(QStringView(units[unit]));
}

QString formatBytes(double bytes)
{
    if (!std::isfinite(bytes))
        return u"–"_s;
    if (std::round(std::abs(bytes)) < 1024)
        return QString::number(std::llround(bytes)) + u" B"_s;
    static constexpr const char16_t *Units[] = { u" KiB", u" MiB", u" GiB", u" TiB", u" PiB" };
    return scaled(bytes / 1024, 1024, Units);
}

QString formatCount(double count)
{
    if (!std::isfinite(count))
        return u"–"_s;
    if (std::round(std::abs(count)) >= 1e6) {
        static constexpr const char16_t *Units[] = { u" M", u" G", u" T" };
        return scaled(count / 1e6, 1000, Units);
    }
    // A slow rate is not nothing.
    if (std::abs(count) < 9.95 && oneDecimal(count) != oneDecimal(std::round(count)))
        return oneDecimal(count);
    return formatWhole(std::llround(count));
}

QString formatWhole(qint64 number)
{
    QString text = QString::number(number);
    const qsizetype first = number < 0 ? 1 : 0;
    for (qsizetype i = text.size() - 3; i > first; i -= 3)
        text.insert(i, u' ');
    return text;
}

QString formatDuration(qint64 msecs)
{
    const qint64 seconds = qMax(msecs, qint64(0)) / 1000;
    const auto twoUnits = [](qint64 large, QStringView largeUnit, qint64 small,
                             QStringView smallUnit) {
        return u"%1 %2 %3 %4"_s.arg(QString::number(large), largeUnit,
                                    QString::number(small).rightJustified(2, u'0'), smallUnit);
    };
    if (seconds < 60)
        return QString::number(seconds) + u" s"_s;
    if (seconds < 60 * 60)
        return twoUnits(seconds / 60, u"min", seconds % 60, u"s");
    if (seconds < 24 * 60 * 60)
        return twoUnits(seconds / 3600, u"h", seconds / 60 % 60, u"min");
    return twoUnits(seconds / 86400, u"d", seconds / 3600 % 24, u"h");
}
