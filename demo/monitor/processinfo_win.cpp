// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "processinfo.h"

#include <QtCore/qfileinfo.h>

#include <windows.h>

#include <sddl.h>

#include <iterator>
#include <vector>

QString processName(qint64 pid)
{
    if (pid <= 0)
        return {};
    const HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, DWORD(pid));
    if (!process)
        return {};
    std::vector<wchar_t> path(32768); // the longest path there can be
    DWORD length = DWORD(path.size());
    const bool known = QueryFullProcessImageNameW(process, 0, path.data(), &length);
    CloseHandle(process);
    return known ? QFileInfo(QString::fromWCharArray(path.data(), int(length))).fileName()
                 : QString();
}

QString userName(const QString &userId)
{
    PSID sid = nullptr;
    if (userId.isEmpty()
        || !ConvertStringSidToSidW(reinterpret_cast<const wchar_t *>(userId.utf16()), &sid))
        return userId;
    wchar_t name[256] = {};
    wchar_t domain[256] = {};
    DWORD nameLength = DWORD(std::size(name));
    DWORD domainLength = DWORD(std::size(domain));
    SID_NAME_USE use = SidTypeUnknown;
    const bool known =
            LookupAccountSidW(nullptr, sid, name, &nameLength, domain, &domainLength, &use);
    LocalFree(sid);
    return known ? QString::fromWCharArray(name, int(nameLength)) : userId;
}
