// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_WINAPI_H
#define QTNAMEDPIPES_WINAPI_H

#include <QtCore/qt_windows.h>

#include <aclapi.h>
#include <sddl.h>

namespace QtNamedPipes {

/// The system calls whose results decide what the engine does next. Tests replace entries to bring
/// about what Windows does rarely and Wine never; nothing else in this room calls them directly.
struct WinApi
{
    decltype(&::CreateIoCompletionPort) createIoCompletionPort = &::CreateIoCompletionPort;
    decltype(&::GetQueuedCompletionStatusEx) getQueuedCompletionStatusEx =
            &::GetQueuedCompletionStatusEx;
    decltype(&::PostQueuedCompletionStatus) postQueuedCompletionStatus =
            &::PostQueuedCompletionStatus;
    decltype(&::SetFileCompletionNotificationModes) setFileCompletionNotificationModes =
            &::SetFileCompletionNotificationModes;
    decltype(&::CreateNamedPipeW) createNamedPipe = &::CreateNamedPipeW;
    decltype(&::WaitNamedPipeW) waitNamedPipe = &::WaitNamedPipeW;
    decltype(&::GetNamedPipeHandleStateW) getNamedPipeHandleState = &::GetNamedPipeHandleStateW;
    decltype(&::ConnectNamedPipe) connectNamedPipe = &::ConnectNamedPipe;
    decltype(&::CreateFileW) createFile = &::CreateFileW;
    decltype(&::SetNamedPipeHandleState) setNamedPipeHandleState = &::SetNamedPipeHandleState;
    decltype(&::GetNamedPipeServerProcessId) getNamedPipeServerProcessId =
            &::GetNamedPipeServerProcessId;
    decltype(&::GetNamedPipeClientProcessId) getNamedPipeClientProcessId =
            &::GetNamedPipeClientProcessId;
    decltype(&::OpenProcess) openProcess = &::OpenProcess;
    decltype(&::OpenProcessToken) openProcessToken = &::OpenProcessToken;
    decltype(&::GetTokenInformation) getTokenInformation = &::GetTokenInformation;
    decltype(&::ConvertSidToStringSidW) convertSidToStringSid = &::ConvertSidToStringSidW;
    decltype(&::ConvertStringSecurityDescriptorToSecurityDescriptorW) convertSecurityDescriptor =
            &::ConvertStringSecurityDescriptorToSecurityDescriptorW;
    decltype(&::GetSecurityInfo) getSecurityInfo = &::GetSecurityInfo;
    decltype(&::FindFirstFileW) findFirstFile = &::FindFirstFileW;
    decltype(&::FindNextFileW) findNextFile = &::FindNextFileW;
    decltype(&::FindClose) findClose = &::FindClose;
    decltype(&::PeekNamedPipe) peekNamedPipe = &::PeekNamedPipe;
    decltype(&::ReadFile) readFile = &::ReadFile;
    decltype(&::WriteFile) writeFile = &::WriteFile;
    decltype(&::CancelIoEx) cancelIoEx = &::CancelIoEx;
    decltype(&::CloseHandle) closeHandle = &::CloseHandle;
};

/// The table that is in force.
WinApi &winApi();

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_WINAPI_H
