// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "common/process.h"

#include <ctime>
#include <cstdio>

#include <sys/resource.h>
#include <unistd.h>

namespace bench {

std::uint64_t processCpuNanoseconds()
{
    timespec time {};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return std::uint64_t(time.tv_sec) * 1'000'000'000 + std::uint64_t(time.tv_nsec);
}

std::uint64_t residentKibibytes()
{
    unsigned long size = 0;
    unsigned long resident = 0;
    if (std::FILE *file = std::fopen("/proc/self/statm", "r")) {
        if (std::fscanf(file, "%lu %lu", &size, &resident) != 2)
            resident = 0;
        std::fclose(file);
    }
    return resident * (std::uint64_t(sysconf(_SC_PAGESIZE)) / 1024);
}

/// Not ru_maxrss of getrusage(): that begins with what the parent had when it started this program.
std::uint64_t peakResidentKibibytes()
{
    unsigned long peak = 0;
    if (std::FILE *file = std::fopen("/proc/self/status", "r")) {
        char line[128];
        while (std::fgets(line, sizeof line, file)
               && std::sscanf(line, "VmHWM: %lu kB", &peak) != 1) { }
        std::fclose(file);
    }
    return peak;
}

void raiseDescriptorLimit()
{
    rlimit limit {};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

} // namespace bench
