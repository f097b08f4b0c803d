// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "stopsignal.h"

#include <QtCore/qcoreapplication.h>

#include <windows.h>

/// Called on a thread that Windows makes for it.
static BOOL WINAPI stopProgram(DWORD event)
{
    QMetaObject::invokeMethod(qApp, &QCoreApplication::quit, Qt::QueuedConnection);
    if (event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT)
        Sleep(INFINITE); // Windows ends the program when this returns: leave it its 5 seconds
    return TRUE;
}

StopSignal::StopSignal()
{
    SetConsoleCtrlHandler(stopProgram, TRUE);
}

StopSignal::~StopSignal()
{
    SetConsoleCtrlHandler(stopProgram, FALSE);
}
