// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

//! [program]
#include <QtNamedPipes/NamedPipeServer>
#include <QtCore/QCoreApplication>
#include <QtCore/QDebug>

#include <windows.h>

#include <mutex>

static SERVICE_STATUS_HANDLE statusHandle = nullptr; // a console program has none
static std::mutex mutex; // guards the next line: Windows may still call when the server is gone
static NamedPipeServer *running = nullptr;

/// Tells Windows how the service is; only the thread of the server does.
static void report(DWORD state, DWORD exitCode = NO_ERROR)
{
    if (!statusHandle)
        return;
    SERVICE_STATUS status = {};
    status.dwServiceType = SERVICE_WIN32_OWN_PROCESS;
    status.dwCurrentState = state;
    if (state == SERVICE_RUNNING)
        status.dwControlsAccepted = SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_SHUTDOWN;
    else if (state != SERVICE_STOPPED)
        status.dwWaitHint = 5000; // milliseconds until the next report, at most
    status.dwWin32ExitCode = exitCode;
    SetServiceStatus(statusHandle, &status);
}

/// The server's whole life, until somebody calls leave().
static bool serve()
{
    NamedPipeServer server(QStringLiteral("service"));
    QObject::connect(&server, &NamedPipeServer::clientMessageReceived, &server,
                     [](const NamedPipeServerConnectionPtr &client, const QVariant &,
                        const QByteArray &message) { client->asyncWrite(message); });
    if (!server.start()) {
        qCritical() << server.errorString();
        return false;
    }
    const auto setRunning = [](NamedPipeServer *now) {
        const std::lock_guard<std::mutex> lock(mutex);
        running = now;
    };
    setRunning(&server);
    report(SERVICE_RUNNING);
    server.manualMessageLoopEnter();
    report(SERVICE_STOP_PENDING);
    setRunning(nullptr);
    return server.stopWhenSent(3000); // clients get what is queued, if they read it
}

static void leave()
{
    const std::lock_guard<std::mutex> lock(mutex);
    if (running)
        running->manualMessageLoopLeave(); // is not lost if it comes before the loop
}

/// Called by Windows on the thread of main().
static DWORD WINAPI control(DWORD what, DWORD, void *, void *)
{
    switch (what) {
    case SERVICE_CONTROL_STOP:
    case SERVICE_CONTROL_SHUTDOWN:
        leave();
        return NO_ERROR;
    case SERVICE_CONTROL_INTERROGATE:
        return NO_ERROR;
    }
    return ERROR_CALL_NOT_IMPLEMENTED;
}

/// Called by Windows on a thread of its own, which becomes the server's.
static void WINAPI serviceMain(DWORD, wchar_t **)
{
    statusHandle = RegisterServiceCtrlHandlerExW(L"service", control, nullptr);
    report(SERVICE_START_PENDING);
    const bool isGood = serve();
    report(SERVICE_STOPPED, isGood ? NO_ERROR : ERROR_GEN_FAILURE);
}

/// Called by Windows on a thread of its own: Ctrl+C, or the console is closed.
static BOOL WINAPI interrupt(DWORD event)
{
    leave();
    // When the console is closed, Windows ends the program as soon as this returns, or after some
    // seconds. It should end by itself, at the end of main().
    if (event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT)
        Sleep(INFINITE);
    return TRUE;
}

int main(int argc, char *argv[])
{
    QCoreApplication app(argc, argv);
    wchar_t name[] = L"service";
    const SERVICE_TABLE_ENTRYW services[] = { { name, serviceMain }, { nullptr, nullptr } };
    if (StartServiceCtrlDispatcherW(services))
        return 0; // it was a service, and has been stopped
    if (const DWORD error = GetLastError(); error != ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) {
        qCritical() << "cannot run as a service: error" << error;
        return 1;
    }

    // Nobody but Windows starts a service: this is a console.
    SetConsoleCtrlHandler(interrupt, TRUE); // for good: it may be waiting for the end
    return serve() ? 0 : 1;
}
//! [program]
