// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef TEXTS_H
#define TEXTS_H

#include <QtCore/qstring.h>

// How the monitor writes numbers: the same on every system, with spaces between groups of digits.

/// "512 B", "1.5 MiB"
QString formatBytes(double bytes);
/// "0.4", "12 345", and from a million on "1.2 M": for rates and counters that are looked at.
QString formatCount(double count);
/// "12 345 678", whatever the size.
QString formatWhole(qint64 number);
/// "45 s", "3 min 05 s", "2 h 07 min", "3 d 04 h"
QString formatDuration(qint64 msecs);

#endif // TEXTS_H
