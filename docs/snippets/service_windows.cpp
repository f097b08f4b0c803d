// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

//! [program]
#include <QtNamedPipes/NamedPipeServer>
#include <QtCore/QCoreApplication>
#include <QtCore/QDebug>

#include <windows.h>

/// The server's whole life, until somebody calls manualMessageLoopLeave().
static bool serve(NamedPipeServer &server)
{
    QObject::connect(&server, &NamedPipeServer::clientMessageReceived, &server,
                     [](const NamedPipeServerConnectionPtr &client, const QVariant &,
                        const QByteArray &message) { client->asyncWrite(message); });
    if (!server.start()) {
        qCritical() << server.errorString();
        return false;
    }
    server.manualMessageLoopEnter();
    return server.stopWhenSent(3000); // clients get what is queued, if they read it
}

static void report(SERVICE_STATUS_HANDLE handle, DWORD state, DWORD exitCode = NO_ERROR)
{
    SERVICE_STATUS status = {};
    status.dwServiceType = SERVICE_WIN32_OWN_PROCESS;
    status.dwCurrentState = state;
    status.dwControlsAccepted = SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_SHUTDOWN;
    status.dwWin32ExitCode = exitCode;
    SetServiceStatus(handle, &status);
}

/// Called by Windows on the thread of main().
static DWORD WINAPI control(DWORD what, DWORD, void *, void *server)
{
    if (what == SERVICE_CONTROL_STOP || what == SERVICE_CONTROL_SHUTDOWN)
        static_cast<NamedPipeServer *>(server)->manualMessageLoopLeave();
    return NO_ERROR;
}

/// Called by Windows on a thread of its own, which becomes the server's.
static void WINAPI serviceMain(DWORD, wchar_t **)
{
    NamedPipeServer server(QStringLiteral("service"));
    const SERVICE_STATUS_HANDLE handle =
            RegisterServiceCtrlHandlerExW(L"service", control, &server);
    report(handle, SERVICE_RUNNING);
    const bool isGood = serve(server);
    report(handle, SERVICE_STOPPED, isGood ? NO_ERROR : ERROR_GEN_FAILURE);
}

static NamedPipeServer *consoleServer = nullptr;

/// Called by Windows on a thread of its own: Ctrl+C, or the console is closed.
static BOOL WINAPI interrupt(DWORD)
{
    consoleServer->manualMessageLoopLeave();
    return TRUE;
}

int main(int argc, char *argv[])
{
    QCoreApplication app(argc, argv);
    wchar_t name[] = L"service";
    const SERVICE_TABLE_ENTRYW services[] = { { name, serviceMain }, { nullptr, nullptr } };
    if (StartServiceCtrlDispatcherW(services))
        return 0; // it was a service, and has been stopped

    // Nobody but Windows starts a service: this is a console.
    NamedPipeServer server(QStringLiteral("service"));
    consoleServer = &server;
    SetConsoleCtrlHandler(interrupt, TRUE);
    const bool isGood = serve(server);
    SetConsoleCtrlHandler(interrupt, FALSE);
    return isGood ? 0 : 1;
}
//! [program]
