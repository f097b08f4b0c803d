// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "common/process.h"

#include <windows.h>

#include <psapi.h>

namespace bench {

static std::uint64_t hundredNanoseconds(const FILETIME &time)
{
    return std::uint64_t(time.dwHighDateTime) << 32 | time.dwLowDateTime;
}

std::uint64_t processCpuNanoseconds()
{
    FILETIME created, ended, kernel, user;
    if (!GetProcessTimes(GetCurrentProcess(), &created, &ended, &kernel, &user))
        return 0;
    return (hundredNanoseconds(kernel) + hundredNanoseconds(user)) * 100;
}

static PROCESS_MEMORY_COUNTERS memory()
{
    PROCESS_MEMORY_COUNTERS counters {};
    GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters);
    return counters;
}

std::uint64_t residentKibibytes()
{
    return memory().WorkingSetSize / 1024;
}

std::uint64_t peakResidentKibibytes()
{
    return memory().PeakWorkingSetSize / 1024;
}

void raiseDescriptorLimit() { }

} // namespace bench
