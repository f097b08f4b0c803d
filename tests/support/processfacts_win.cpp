// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "processfacts.h"

#include <QtCore/qbytearray.h>
#include <QtCore/qt_windows.h>

#include <psapi.h>
#include <sddl.h>
#include <tlhelp32.h>

#include <cstdlib>
#include <cstring>
#include <vector>

namespace ProcessFacts {

/// By the list of all handles of the system. GetProcessHandleCount() of Wine always says 0, and this
/// list Wine has.
static int listedHandles()
{
    // As SystemExtendedHandleInformation gives it.
    struct Entry
    {
        void *object;
        ULONG_PTR processId;
        ULONG_PTR handle;
        ULONG access;
        USHORT backTrace;
        USHORT type;
        ULONG attributes;
        ULONG reserved;
    };
    struct Header
    {
        ULONG_PTR count;
        ULONG_PTR reserved;
    };
    constexpr int extendedHandleInformation = 64;
    constexpr LONG infoLengthMismatch = LONG(0xC0000004);
    using Query = LONG(WINAPI *)(int, void *, ULONG, ULONG *);
    static const Query query = reinterpret_cast<Query>(reinterpret_cast<void *>(
            GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "NtQuerySystemInformation")));

    std::vector<Entry> buffer(4096); // its first bytes are the header
    LONG status = infoLengthMismatch;
    while (status == infoLengthMismatch) { // there may be more of them each time
        status = query(extendedHandleInformation, buffer.data(),
                       ULONG(buffer.size() * sizeof(Entry)), nullptr);
        if (status == infoLengthMismatch)
            buffer.resize(2 * buffer.size());
    }
    if (status != 0)
        return -1;
    const char *const data = reinterpret_cast<const char *>(buffer.data());
    Header header;
    std::memcpy(&header, data, sizeof header);
    int count = 0;
    for (ULONG_PTR i = 0; i < header.count; ++i) {
        Entry entry;
        std::memcpy(&entry, data + sizeof header + i * sizeof entry, sizeof entry);
        count += entry.processId == GetCurrentProcessId() ? 1 : 0;
    }
    return count;
}

int openHandles()
{
    static const bool isWine = hasWineVersion();
    if (isWine)
        return listedHandles();
    DWORD count = 0;
    return GetProcessHandleCount(GetCurrentProcess(), &count) ? int(count) : -1;
}

bool allowHandles(int)
{
    return true; // as many as there is memory for
}

int threads()
{
    const HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
    if (snapshot == INVALID_HANDLE_VALUE)
        return -1;
    int count = 0;
    THREADENTRY32 entry {};
    entry.dwSize = sizeof(entry);
    for (BOOL more = Thread32First(snapshot, &entry); more; more = Thread32Next(snapshot, &entry)) {
        if (entry.th32OwnerProcessID == GetCurrentProcessId())
            ++count;
    }
    CloseHandle(snapshot);
    return count;
}

qint64 residentBytes()
{
    PROCESS_MEMORY_COUNTERS counters {};
    if (!K32GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof(counters)))
        return -1;
    return qint64(counters.WorkingSetSize);
}

qint64 reservedBytes()
{
    PROCESS_MEMORY_COUNTERS counters {};
    if (!K32GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof(counters)))
        return -1;
    return qint64(counters.PagefileUsage);
}

QString userId()
{
    HANDLE token = nullptr;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
        return {};
    DWORD size = 0;
    GetTokenInformation(token, TokenUser, nullptr, 0, &size);
    QByteArray buffer(int(size), Qt::Uninitialized);
    QString result;
    if (GetTokenInformation(token, TokenUser, buffer.data(), size, &size)) {
        LPWSTR text = nullptr;
        if (ConvertSidToStringSidW(reinterpret_cast<TOKEN_USER *>(buffer.data())->User.Sid,
                                   &text)) {
            result = QString::fromWCharArray(text);
            LocalFree(text);
        }
    }
    CloseHandle(token);
    return result;
}

bool hasWineVersion()
{
    const HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");
    return ntdll && GetProcAddress(ntdll, "wine_get_version");
}

void dieNow()
{
    TerminateProcess(GetCurrentProcess(), 9);
    std::abort(); // not reached
}

} // namespace ProcessFacts
