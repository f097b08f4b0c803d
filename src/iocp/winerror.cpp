// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "iocp/winerror.h"

#include "core/text.h"

#include <iterator>

namespace QtNamedPipes {

namespace {

struct Translation
{
    DWORD code;
    NamedPipe::Error error;
};

// The only table of its kind in this engine. Where a call gives a code a meaning of its own (a
// denied first instance is a name in use), the place of the call says so.
constexpr Translation translations[] = {
    { ERROR_SUCCESS, NamedPipe::NoError },

    { ERROR_INVALID_NAME, NamedPipe::NameInvalid },
    { ERROR_BAD_PATHNAME, NamedPipe::NameInvalid },
    { ERROR_FILENAME_EXCED_RANGE, NamedPipe::NameInvalid },
    { ERROR_ALREADY_EXISTS, NamedPipe::NameInUse },
    { ERROR_PIPE_BUSY, NamedPipe::NameInUse },
    { ERROR_FILE_NOT_FOUND, NamedPipe::NotFound },
    { ERROR_PATH_NOT_FOUND, NamedPipe::NotFound },
    { ERROR_ACCESS_DENIED, NamedPipe::AccessDenied },
    { ERROR_SEM_TIMEOUT, NamedPipe::ConnectTimeout },

    // The ways in which Windows says that the other end has closed.
    { ERROR_HANDLE_EOF, NamedPipe::ConnectionBroken },
    { ERROR_BROKEN_PIPE, NamedPipe::ConnectionBroken },
    { ERROR_NO_DATA, NamedPipe::ConnectionBroken },
    { ERROR_PIPE_NOT_CONNECTED, NamedPipe::ConnectionBroken },

    // The ways in which it says that there is no memory left, most of them for pool and quota.
    { ERROR_TOO_MANY_OPEN_FILES, NamedPipe::ResourceExhausted },
    { ERROR_NOT_ENOUGH_MEMORY, NamedPipe::ResourceExhausted },
    { ERROR_OUTOFMEMORY, NamedPipe::ResourceExhausted },
    { ERROR_INVALID_USER_BUFFER, NamedPipe::ResourceExhausted }, // too many operations outstanding
    { ERROR_NO_SYSTEM_RESOURCES, NamedPipe::ResourceExhausted },
    { ERROR_NONPAGED_SYSTEM_RESOURCES, NamedPipe::ResourceExhausted },
    { ERROR_PAGED_SYSTEM_RESOURCES, NamedPipe::ResourceExhausted },
    { ERROR_WORKING_SET_QUOTA, NamedPipe::ResourceExhausted },
    { ERROR_PAGEFILE_QUOTA, NamedPipe::ResourceExhausted },
    { ERROR_COMMITMENT_LIMIT, NamedPipe::ResourceExhausted },
    { ERROR_NOT_ENOUGH_QUOTA, NamedPipe::ResourceExhausted },

    { ERROR_INVALID_SECURITY_DESCR, NamedPipe::InvalidConfiguration },
    { ERROR_INVALID_ACL, NamedPipe::InvalidConfiguration },
    { ERROR_INVALID_SID, NamedPipe::InvalidConfiguration },
    { ERROR_NOT_SUPPORTED, NamedPipe::Unsupported },
    { ERROR_CALL_NOT_IMPLEMENTED, NamedPipe::Unsupported },
};

using StatusToError = ULONG(WINAPI *)(LONG);

StatusToError findStatusToError()
{
    // Documented for <winternl.h> users, and without an import library everywhere but in the driver
    // kit.
    const FARPROC function =
            GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "RtlNtStatusToDosError");
    return reinterpret_cast<StatusToError>(reinterpret_cast<void *>(function));
}

} // namespace

NamedPipe::Error translateWinError(DWORD code)
{
    for (const Translation &translation : translations) {
        if (translation.code == code)
            return translation.error;
    }
    return NamedPipe::SystemError;
}

DWORD winErrorFromStatus(LONG status)
{
    if (status == StatusSuccess)
        return ERROR_SUCCESS;
    static const StatusToError convert = findStatusToError();
    return convert(status);
}

TransportError winError(DWORD code, const char *operation)
{
    return { translateWinError(code), qint64(code), operation, {} };
}

QString platformErrorText(qint64 nativeCode)
{
    wchar_t buffer[512];
    const DWORD length = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS
                                                | FORMAT_MESSAGE_MAX_WIDTH_MASK,
                                        nullptr, DWORD(nativeCode), 0, buffer,
                                        DWORD(std::size(buffer)), nullptr);
    QString text = QString::fromWCharArray(buffer, int(length)).trimmed();
    if (text.endsWith(QLatin1Char('.'))) // the operation and the code follow it
        text.chop(1);
    return text.isEmpty() ? Text::tr("unknown error") : text;
}

} // namespace QtNamedPipes
