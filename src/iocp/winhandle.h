// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_WINHANDLE_H
#define QTNAMEDPIPES_WINHANDLE_H

#include "iocp/winapi.h"

#include <memory>
#include <utility>

namespace QtNamedPipes {

/// A handle with its owner. Both of Windows' ideas of "no handle" are taken as none.
class WinHandle
{
public:
    WinHandle() = default;
    explicit WinHandle(HANDLE handle) : m_handle(handle == INVALID_HANDLE_VALUE ? nullptr : handle)
    {
    }
    WinHandle(WinHandle &&other) noexcept : m_handle(std::exchange(other.m_handle, nullptr)) { }
    WinHandle &operator=(WinHandle &&other) noexcept
    {
        WinHandle(std::move(other)).swap(*this);
        return *this;
    }
    ~WinHandle() { close(); }

    explicit operator bool() const { return m_handle != nullptr; }
    HANDLE get() const { return m_handle; }

    void close()
    {
        if (m_handle)
            winApi().closeHandle(std::exchange(m_handle, nullptr));
    }
    void swap(WinHandle &other) noexcept { std::swap(m_handle, other.m_handle); }

private:
    HANDLE m_handle = nullptr;
};

struct LocalFreeDeleter
{
    void operator()(void *memory) const { LocalFree(memory); }
};

/// Memory that the system has allocated for the caller.
using LocalMemory = std::unique_ptr<void, LocalFreeDeleter>;

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_WINHANDLE_H
