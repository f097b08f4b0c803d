// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "stopsignal.h"

#include <QtCore/qcoreapplication.h>
#include <QtCore/qmutex.h>

#include <windows.h>

#include <mutex>

static QBasicMutex mutex; // guards the next line
static QObject *context = nullptr; ///< of the StopSignal, while there is one

/// Called on a thread that Windows makes for it.
static BOOL WINAPI stopProgram(DWORD event)
{
    {
        const std::lock_guard<QBasicMutex> lock(mutex);
        if (context)
            QMetaObject::invokeMethod(context, &QCoreApplication::quit, Qt::QueuedConnection);
    }
    // When the console is closed, Windows ends the program as soon as this returns, or after some
    // seconds: leave it the time to end by itself.
    if (event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT)
        Sleep(INFINITE);
    return TRUE;
}

StopSignal::StopSignal()
{
    const std::lock_guard<QBasicMutex> lock(mutex);
    context = &m_context;
    // For good: to remove it would mean to wait for a call that waits for the end of the program.
    SetConsoleCtrlHandler(stopProgram, TRUE);
}

StopSignal::~StopSignal()
{
    const std::lock_guard<QBasicMutex> lock(mutex);
    context = nullptr;
}
