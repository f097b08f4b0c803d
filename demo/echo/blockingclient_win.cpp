// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "blockingclient.h"

#include <windows.h>

struct BlockingClient::Handle
{
    HANDLE pipe = INVALID_HANDLE_VALUE;
};

BlockingClient::BlockingClient() : m_handle(std::make_unique<Handle>()) { }

BlockingClient::~BlockingClient()
{
    if (m_handle->pipe != INVALID_HANDLE_VALUE)
        CloseHandle(m_handle->pipe);
}

bool BlockingClient::open(const QString &fullPipeName)
{
    const auto *const name = reinterpret_cast<const wchar_t *>(fullPipeName.utf16());
    for (;;) {
        m_handle->pipe = CreateFileW(name, GENERIC_READ | GENERIC_WRITE, 0, nullptr, OPEN_EXISTING,
                                     SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION, nullptr);
        if (m_handle->pipe != INVALID_HANDLE_VALUE)
            break;
        if (GetLastError() != ERROR_PIPE_BUSY)
            return false;
        WaitNamedPipeW(name, 1000);
    }
    // A client begins in byte mode, which would run messages together.
    DWORD mode = PIPE_READMODE_MESSAGE;
    return SetNamedPipeHandleState(m_handle->pipe, &mode, nullptr, nullptr);
}

bool BlockingClient::send(const QByteArray &message)
{
    DWORD written = 0;
    return WriteFile(m_handle->pipe, message.constData(), DWORD(message.size()), &written, nullptr)
            && written == DWORD(message.size());
}

bool BlockingClient::receive(QByteArray &message)
{
    DWORD size = 0;
    if (!ReadFile(m_handle->pipe, message.data(), DWORD(message.size()), &size, nullptr))
        return false;
    message.resize(qsizetype(size));
    return true;
}
