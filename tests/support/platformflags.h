// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_PLATFORMFLAGS_H
#define QTNAMEDPIPES_TESTS_PLATFORMFLAGS_H

/// What the platform below the library can do. A test that needs a missing capability says so with
/// QEXPECT_FAIL or QSKIP and the reason found here.
namespace PlatformFlags {

struct Capability
{
    bool present;
    const char *reason; ///< why it is missing
    explicit operator bool() const { return present; }
};

bool runningOnWindows();
bool runningUnderWine();
bool runningUnderSanitizer();

/// A second server of the same name, in another process, is refused by the system.
Capability firstInstanceIsEnforced();
/// The access list of a pipe decides who may connect.
Capability accessListIsEnforced();
/// The system tells which pipes there are.
Capability pipesCanBeListed();
/// A timer of the event loop is only late because of the program, not because of the platform.
Capability timingIsMeaningful();

} // namespace PlatformFlags

#endif // QTNAMEDPIPES_TESTS_PLATFORMFLAGS_H
