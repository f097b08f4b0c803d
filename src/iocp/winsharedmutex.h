// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_WINSHAREDMUTEX_H
#define QTNAMEDPIPES_WINSHAREDMUTEX_H

#include <QtCore/qt_windows.h>

namespace QtNamedPipes {

/// For std::shared_lock and std::unique_lock: a pointer in size, and nothing to free. MSVC's
/// std::shared_mutex is the same; MinGW's goes through a POSIX layer that sets its locks up on
/// first use.
class WinSharedMutex
{
public:
    WinSharedMutex() = default;
    WinSharedMutex(const WinSharedMutex &) = delete;
    WinSharedMutex &operator=(const WinSharedMutex &) = delete;

    void lock() { AcquireSRWLockExclusive(&m_lock); }
    void unlock() { ReleaseSRWLockExclusive(&m_lock); }
    void lock_shared() { AcquireSRWLockShared(&m_lock); }
    void unlock_shared() { ReleaseSRWLockShared(&m_lock); }

private:
    SRWLOCK m_lock = SRWLOCK_INIT;
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_WINSHAREDMUTEX_H
