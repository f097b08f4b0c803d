// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef PLOTSCALE_H
#define PLOTSCALE_H

#include <QtCore/qstring.h>
#include <QtCore/qstringlist.h>

/// The value axis of a plot: from 0 to a round number, with a few grid lines.
struct PlotScale
{
    enum class Numbers {
        Factor, ///< 12500 is "12.5 k"
        Plain ///< 12500 is "12500", for units that have a factor already: MB/s, ms
    };

    /// The smallest scale that shows \a maximum and ends at \a minimumTop (1 or more) or later.
    static PlotScale forMaximum(double maximum, double minimumTop = 1);
    /// What is plotted for \a value: nothing below 0, nothing without end.
    static double plottable(double value);
    /// \a value in three digits.
    static QString label(double value, Numbers numbers = Numbers::Factor);

    /// The number of grid lines, without the one at 0.
    int lines() const;
    /// The labels of the grid lines, beginning with the one at 0.
    QStringList labels(Numbers numbers = Numbers::Factor) const;

    bool operator==(const PlotScale &other) const { return top == other.top && step == other.step; }
    bool operator!=(const PlotScale &other) const { return !(*this == other); }

    double top = 1;
    double step = 0.25;
};

#endif // PLOTSCALE_H
