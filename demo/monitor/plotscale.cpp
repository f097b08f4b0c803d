// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "plotscale.h"

#include <QtCore/qglobal.h>

#include <cmath>

using namespace Qt::StringLiterals;

static constexpr double LargestValue = 1e18;

PlotScale PlotScale::forMaximum(double maximum, double minimumTop)
{
    const double wanted = qMax(1.0, qMax(plottable(maximum), plottable(minimumTop)));
    double decade = 1;
    while (decade * 10 <= wanted)
        decade *= 10;

    PlotScale scale;
    if (wanted <= decade) {
        scale.top = decade;
        scale.step = decade / 4;
    } else if (wanted <= 2 * decade) {
        scale.top = 2 * decade;
        scale.step = decade / 2;
    } else if (wanted <= 5 * decade) {
        scale.top = 5 * decade;
        scale.step = decade;
    } else {
        scale.top = 10 * decade;
        scale.step = 10 * decade / 4;
    }
    return scale;
}

double PlotScale::plottable(double value)
{
    return std::isfinite(value) && value > 0 ? qMin(value, LargestValue) : 0;
}

QString PlotScale::label(double value, Numbers numbers)
{
    static constexpr char16_t Factors[] = u"\0kMGTPE";

    double shown = plottable(value);
    int factor = 0;
    // 999.5 is "1 k" and not "1000".
    while (numbers == Numbers::Factor && shown >= 999.5 && factor < 6) {
        shown /= 1000;
        ++factor;
    }

    const int decimals = shown < 0.0995 ? 3 : shown < 9.995 ? 2 : shown < 99.95 ? 1 : 0;
    QString text = QString::number(shown, 'f', decimals);
    if (decimals > 0) {
        while (text.endsWith(u'0'))
            text.chop(1);
        if (text.endsWith(u'.'))
            text.chop(1);
    }
    if (factor > 0)
        text += u' ' + QChar(Factors[factor]);
    return text;
}

int PlotScale::lines() const
{
    return qRound(top / step);
}

QStringList PlotScale::labels(Numbers numbers) const
{
    QStringList texts;
    for (int line = 0; line <= lines(); ++line)
        texts.append(label(line * step, numbers));
    return texts;
}
