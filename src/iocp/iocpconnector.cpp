// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "iocp/iocpconnector.h"

#include "core/logging.h"
#include "core/text.h"
#include "iocp/iocpendpoint.h"
#include "iocp/iocpengine.h"
#include "iocp/winerror.h"
#include "iocp/winsecurity.h"

#include <memory>
#include <utility>

namespace QtNamedPipes {

// Not GENERIC_WRITE, which asks for the right to create instances, too. FILE_WRITE_ATTRIBUTES is
// for SetNamedPipeHandleState().
static constexpr DWORD NeededAccess = FILE_READ_DATA | FILE_WRITE_DATA | FILE_READ_ATTRIBUTES
        | FILE_WRITE_ATTRIBUTES | SYNCHRONIZE;
// The server may learn who the client is, but not act in the client's name: by default it could,
// and anybody may have got hold of the name.
static constexpr DWORD Flags =
        FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION;

/// WaitNamedPipe() is not asked: it would block the worker, cannot be cancelled and promises
/// nothing.
static TransportError openPipe(const DialTarget &target, WinHandle *opened)
{
    const QString path = platformPipePath(target.name);
    const bool asksForOwner = target.access == NamedPipe::CurrentUser;
    const DWORD access = asksForOwner ? NeededAccess | READ_CONTROL : NeededAccess;
    WinHandle pipe(winApi().createFile(reinterpret_cast<LPCWSTR>(path.utf16()), access, 0, nullptr,
                                       OPEN_EXISTING, Flags, nullptr));
    const DWORD code = pipe ? ERROR_SUCCESS : GetLastError();
    TransportError error = winError(code, "CreateFile");
    if (code == ERROR_PIPE_BUSY)
        error.error = NamedPipe::ResourceExhausted;
    else if (error.error == NamedPipe::NotFound)
        error.detail = Text::tr("no server runs at %1").arg(path);
    *opened = std::move(pipe);
    return error;
}

/// Every client begins by reading bytes, and would get messages run together. They keep their
/// boundaries while they wait in the pipe, so those that the server has sent already are safe.
static TransportError readMessages(HANDLE pipe)
{
    DWORD mode = PIPE_READMODE_MESSAGE;
    const BOOL ok = winApi().setNamedPipeHandleState(pipe, &mode, nullptr, nullptr);
    const DWORD code = ok ? ERROR_SUCCESS : GetLastError();
    TransportError error = winError(code, "SetNamedPipeHandleState");
    if (code == ERROR_INVALID_PARAMETER) {
        error.error = NamedPipe::Unsupported;
        error.detail = Text::tr("the pipe of the server carries bytes, not messages");
    }
    return error;
}

DialResult connectPipe(const std::shared_ptr<IocpEngine> &engine, const DialTarget &target)
{
    WinHandle pipe;
    TransportError error = openPipe(target, &pipe);
    if (!error && target.access == NamedPipe::CurrentUser)
        error = checkPipeOwner(pipe.get());
    if (!error)
        error = readMessages(pipe.get());
    if (!error)
        error = winError(engine->bind(pipe.get()), "CreateIoCompletionPort");
    if (error) {
        // Where a server has gone after the pipe was opened, the next try tells whether there is
        // another one.
        const bool isBusy =
                error.nativeCode == ERROR_PIPE_BUSY || error.error == NamedPipe::ConnectionBroken;
        return { nullptr, error, isBusy };
    }
    PeerIdentity peer = pipeServer(pipe.get());
    return { std::make_shared<IocpEndpoint>(engine, std::move(pipe), std::move(peer)), {}, false };
}

namespace {

struct FindCloser
{
    void operator()(HANDLE search) const { winApi().findClose(search); }
};

} // namespace

QStringList platformPipeNames()
{
    const WinApi &api = winApi();
    const auto failed = [](DWORD code, const char *operation) {
        qCDebug(lcEngine, "cannot list the pipes: %ls",
                qUtf16Printable(winError(code, operation).text()));
    };
    QStringList names;
    WIN32_FIND_DATAW found;
    const HANDLE first = api.findFirstFile(L"\\\\.\\pipe\\*", &found);
    if (first == INVALID_HANDLE_VALUE) {
        failed(GetLastError(), "FindFirstFile");
        return names;
    }
    const std::unique_ptr<void, FindCloser> search(first);
    do {
        names += QString::fromWCharArray(found.cFileName);
    } while (api.findNextFile(search.get(), &found));
    const DWORD code = GetLastError();
    if (code != ERROR_NO_MORE_FILES)
        failed(code, "FindNextFile");
    return names;
}

Qt::CaseSensitivity platformNameCase()
{
    return Qt::CaseInsensitive;
}

} // namespace QtNamedPipes
