// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "platformflags.h"

#include "processfacts.h"

#include <QtCore/qglobal.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define QTNAMEDPIPES_TESTS_SANITIZED 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#        define QTNAMEDPIPES_TESTS_SANITIZED 1
#    endif
#endif

namespace PlatformFlags {

bool runningOnWindows()
{
#ifdef Q_OS_WIN
    return true;
#else
    return false;
#endif
}

bool runningUnderWine()
{
    static const bool wine = ProcessFacts::hasWineVersion();
    return wine;
}

bool runningUnderSanitizer()
{
#ifdef QTNAMEDPIPES_TESTS_SANITIZED
    return true;
#else
    return false;
#endif
}

Capability firstInstanceIsEnforced()
{
    return { !runningUnderWine(), "Wine ignores FILE_FLAG_FIRST_PIPE_INSTANCE" };
}

Capability accessListIsEnforced()
{
    return { !runningUnderWine(), "Wine never checks the access list of a pipe" };
}

Capability pipesCanBeListed()
{
    return { !runningUnderWine(),
             "Wine 8 cannot list pipes: FindFirstFile on \\\\.\\pipe\\ fails" };
}

Capability timingIsMeaningful()
{
    if (runningUnderWine())
        return { false, "every pipe operation is a round trip to the wineserver" };
    return { !runningUnderSanitizer(), "a sanitizer slows the program down" };
}

} // namespace PlatformFlags
