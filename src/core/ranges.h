// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_RANGES_H
#define QTNAMEDPIPES_RANGES_H

#include "core/pipetransport.h"

#include <initializer_list>

namespace QtNamedPipes {

/// A number that a property holds, and what it may be.
struct PropertyRange
{
    const char *name;
    qint64 value;
    qint64 minimum;
    qint64 maximum;
};

/// InvalidConfiguration for the first that is out of its range.
TransportError checkRanges(std::initializer_list<PropertyRange> ranges);

// What both sides allow.
constexpr qint64 LargestBuffer = 1024 * 1024 * 1024;
constexpr qint64 MostThreads = 256;

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_RANGES_H
