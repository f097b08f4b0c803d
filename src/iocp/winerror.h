// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_WINERROR_H
#define QTNAMEDPIPES_WINERROR_H

#include "core/pipetransport.h"

#include <QtCore/qt_windows.h>

namespace QtNamedPipes {

// What a packet carries in OVERLAPPED::Internal; <ntstatus.h> and <windows.h> cannot both be had.
constexpr LONG StatusSuccess = 0;
constexpr LONG StatusBufferOverflow = LONG(0x80000005); ///< ERROR_MORE_DATA
constexpr LONG StatusCancelled = LONG(0xC0000120);

/// What a code of GetLastError() means.
NamedPipe::Error translateWinError(DWORD code);
/// The code that GetLastError() would give for an NTSTATUS.
DWORD winErrorFromStatus(LONG status);

/// The error as a value. \a code: from GetLastError() on the line after the call.
TransportError winError(DWORD code, const char *operation);

/// The peer has closed its end: for reading that is the end of the stream, and no fault of
/// anybody.
inline bool isPeerGone(DWORD code)
{
    return translateWinError(code) == NamedPipe::ConnectionBroken;
}

/// The system is short of memory or quota for now. The pipe is not broken.
inline bool isShortage(DWORD code)
{
    return translateWinError(code) == NamedPipe::ResourceExhausted;
}

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_WINERROR_H
