// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "core/ranges.h"

#include "core/text.h"

namespace QtNamedPipes {

TransportError checkRanges(std::initializer_list<PropertyRange> ranges)
{
    for (const PropertyRange &range : ranges) {
        if (range.value < range.minimum || range.value > range.maximum) {
            return { NamedPipe::InvalidConfiguration, 0, "",
                     Text::tr("%1 is %2; it must be from %3 to %4")
                             .arg(QLatin1String(range.name))
                             .arg(range.value)
                             .arg(range.minimum)
                             .arg(range.maximum) };
        }
    }
    return {};
}

} // namespace QtNamedPipes
