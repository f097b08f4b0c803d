// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_BENCHMARK_PROCESS_H
#define QTNAMEDPIPES_BENCHMARK_PROCESS_H

#include <cstdint>

namespace bench {

/// User and system time of this process so far.
std::uint64_t processCpuNanoseconds();
/// Memory of this process that is in RAM now.
std::uint64_t residentKibibytes();
/// The most it ever was.
std::uint64_t peakResidentKibibytes();
/// Lets this process have many files open.
void raiseDescriptorLimit();

} // namespace bench

#endif // QTNAMEDPIPES_BENCHMARK_PROCESS_H
