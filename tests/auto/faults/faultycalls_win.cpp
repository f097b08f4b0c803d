// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "faultinjector.h"

#include "iocp/winapi.h"
#include "iocp/winerror.h"
#include "platformflags.h"

#include <QtCore/qcoreapplication.h>
#include <QtCore/qthread.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>

namespace Faults {

using QtNamedPipes::StatusCancelled;
using QtNamedPipes::WinApi;

// Answers that are no errors.
static constexpr int Short = -1; ///< one byte goes, or less is told than there is
static constexpr int Other = -2; ///< there is another server
static constexpr int Late = -3; ///< a packet comes after the next one, or a while later
static constexpr int Swapped = -4; ///< of packets that come together, the first comes last
static constexpr int Pending = -5; ///< what is done at once is told by a packet all the same
static constexpr int ShortPending = -6; ///< likewise, and one byte goes

// What a packet can carry; <ntstatus.h> and <windows.h> cannot both be had. The call has answered
// ERROR_IO_PENDING then.
static constexpr int StatusNoResources = int(0xC000009A);
static constexpr int StatusNoMemory = int(0xC0000017);
static constexpr int StatusBroken = int(0xC000014B);
static constexpr int StatusDisconnected = int(0xC00000B0);
static constexpr int StatusClosing = int(0xC00000B1);

// What the system never says, or not of a pipe that works, is not here. A port that is open gives
// packets or WAIT_TIMEOUT. CancelIoEx(), CloseHandle() and the like fail only where the program is
// wrong. Where a call says that the other side has gone, this is made true: the pipe is broken from
// then on, for this side. CreateThread() is Qt's, and not behind the table.
//
// "IO_PENDING, MORE_DATA" is what Windows has answered to a read of a part since 8; "MORE_DATA" is
// the answer of Windows before, and of Wine.
enum {
    Port,
    Bind,
    Skip,
    Post,
    Wait,
    Packet,
    Packets,
    WaitPipe,
    First,
    Another,
    Count,
    Connect,
    Open,
    Mode,
    Owner,
    Server,
    Client,
    Process,
    Token,
    Facts,
    SidText,
    Descriptor,
    ListFirst,
    ListNext,
    Peek,
    Read,
    Watch,
    Write
};

const std::vector<Kind> &kinds()
{
    static const Fault noResources = { "NO_SYSTEM_RESOURCES", ERROR_NO_SYSTEM_RESOURCES };
    static const Fault noMemory = { "NOT_ENOUGH_MEMORY", ERROR_NOT_ENOUGH_MEMORY };
    static const Fault noResourcesLater = { "IO_PENDING, NO_SYSTEM_RESOURCES", StatusNoResources };
    static const Fault noMemoryLater = { "IO_PENDING, NOT_ENOUGH_MEMORY", StatusNoMemory };
    const auto harmful = [](Fault fault) {
        fault.isHarmful = true;
        return fault;
    };
    static const std::vector<Kind> table = {
        { "CreateIoCompletionPort", { harmful(noResources), harmful(noMemory) } },
        { "CreateIoCompletionPort(pipe)", { harmful(noResources), harmful(noMemory) } },
        { "SetFileCompletionNotificationModes", { { "NOT_SUPPORTED", ERROR_NOT_SUPPORTED } } },
        { "PostQueuedCompletionStatus", { noResources, noMemory } },
        { "GetQueuedCompletionStatusEx", { { "WAIT_TIMEOUT", WAIT_TIMEOUT } } },
        { "a packet", { { "late", Late } } },
        { "several packets", { { "swapped", Swapped } } },
        { "WaitNamedPipe",
          { { "SEM_TIMEOUT", ERROR_SEM_TIMEOUT }, { "another server", Other, true } } },
        { "CreateNamedPipe(FIRST)",
          { harmful(noResources),
            harmful(noMemory),
            { "ACCESS_DENIED", ERROR_ACCESS_DENIED, true },
            { "PIPE_BUSY", ERROR_PIPE_BUSY, true } } },
        { "CreateNamedPipe", { harmful(noResources), harmful(noMemory) } },
        { "GetNamedPipeHandleState", { noResources, { "another server", Other, true } } },
        { "ConnectNamedPipe", { harmful(noResources), harmful(noResourcesLater) } },
        { "CreateFile",
          { { "PIPE_BUSY", ERROR_PIPE_BUSY },
            { "FILE_NOT_FOUND", ERROR_FILE_NOT_FOUND, true },
            { "ACCESS_DENIED", ERROR_ACCESS_DENIED, true },
            harmful(noResources),
            harmful(noMemory) } },
        { "SetNamedPipeHandleState",
          { { "PIPE_NOT_CONNECTED", ERROR_PIPE_NOT_CONNECTED, true }, harmful(noResources) } },
        { "GetSecurityInfo",
          { { "ACCESS_DENIED", ERROR_ACCESS_DENIED, true }, harmful(noMemory) } },
        { "GetNamedPipeServerProcessId", { noResources } },
        { "GetNamedPipeClientProcessId", { noResources, { "NOT_FOUND", ERROR_NOT_FOUND } } },
        { "OpenProcess",
          { { "ACCESS_DENIED", ERROR_ACCESS_DENIED },
            { "INVALID_PARAMETER", ERROR_INVALID_PARAMETER }, // it has ended
            noMemory } },
        { "OpenProcessToken",
          { { "ACCESS_DENIED", ERROR_ACCESS_DENIED, true }, harmful(noResources) } },
        { "GetTokenInformation", { harmful(noMemory) } },
        { "ConvertSidToStringSid", { harmful(noMemory) } },
        { "ConvertStringSecurityDescriptorToSecurityDescriptor", { harmful(noMemory) } },
        { "FindFirstFile", { { "ACCESS_DENIED", ERROR_ACCESS_DENIED }, noMemory } },
        { "FindNextFile",
          { { "ACCESS_DENIED", ERROR_ACCESS_DENIED }, noMemory },
          PlatformFlags::pipesCanBeListed() ? nullptr : PlatformFlags::pipesCanBeListed().reason },
        { "PeekNamedPipe", { noResources, { "less", Short } } },
        { "ReadFile",
          { noResources,
            noMemory,
            { "INVALID_USER_BUFFER", ERROR_INVALID_USER_BUFFER },
            { "MORE_DATA", Short },
            { "IO_PENDING", Pending },
            { "IO_PENDING, MORE_DATA", ShortPending },
            noResourcesLater,
            { "IO_PENDING, OPERATION_ABORTED", int(StatusCancelled) },
            { "BROKEN_PIPE", ERROR_BROKEN_PIPE, true },
            { "IO_PENDING, PIPE_NOT_CONNECTED", StatusDisconnected, true } } },
        { "ReadFile of no bytes",
          { noResources,
            { "IO_PENDING", Pending },
            noResourcesLater,
            { "IO_PENDING, BROKEN_PIPE", StatusBroken, true } } },
        { "WriteFile",
          { noResources,
            noMemory,
            { "INVALID_USER_BUFFER", ERROR_INVALID_USER_BUFFER },
            { "IO_PENDING", Pending },
            noResourcesLater,
            noMemoryLater,
            { "NO_DATA", ERROR_NO_DATA, true },
            { "PIPE_NOT_CONNECTED", ERROR_PIPE_NOT_CONNECTED, true },
            { "IO_PENDING, NO_DATA", StatusClosing, true } } },
    };
    return table;
}

static WinApi real;
static std::atomic<bool> keepsAllPackets { false };

/// In the key of packets that the engine itself posts: those of one thread keep their order.
static constexpr ULONG_PTR PostedBit = 1 << 16;
static constexpr DWORD LongestHold = 5;

static std::mutex mutex; // guards the rest, and that a pipe does not break inside a call
static std::set<HANDLE> opened; ///< ports, pipes, processes and tokens that are not closed
static std::map<HANDLE, HANDLE> ports; ///< of pipes
static std::set<HANDLE> skipping; ///< pipes that have no packet for what is done at once
static std::set<HANDLE> broken; ///< pipes
static std::map<OVERLAPPED *, HANDLE> outstanding; ///< reads and writes, and their pipes

static BOOL fail(DWORD error)
{
    SetLastError(error);
    return FALSE;
}

static HANDLE open(HANDLE handle)
{
    if (handle && handle != INVALID_HANDLE_VALUE) {
        const std::lock_guard lock(mutex);
        opened.insert(handle);
    }
    return handle;
}

/// What has begun on \a pipe comes back, nothing goes through it any more. With the mutex.
static void breakPipe(HANDLE pipe)
{
    broken.insert(pipe);
    real.cancelIoEx(pipe, nullptr);
}

/// The answer of a call that fails with \a code: at once, or by a packet.
static BOOL answer(HANDLE pipe, int code, OVERLAPPED *overlapped)
{
    if (code > 0)
        return fail(DWORD(code));
    overlapped->Internal = ULONG_PTR(LONG(code));
    real.postQueuedCompletionStatus(ports[pipe], 0, 0, overlapped);
    return fail(ERROR_IO_PENDING);
}

// --- The port ---

static HANDLE WINAPI createPort(HANDLE file, HANDLE port, ULONG_PTR key, DWORD threads)
{
    const bool isNew = file == INVALID_HANDLE_VALUE;
    if (const Fault *const fault = strike(isNew ? Port : Bind)) {
        fail(DWORD(fault->code));
        return nullptr;
    }
    if (isNew)
        return open(real.createIoCompletionPort(file, port, key, threads));
    const std::lock_guard lock(mutex);
    ports[file] = port;
    return real.createIoCompletionPort(file, port, key, threads);
}

static BOOL WINAPI skip(HANDLE pipe, UCHAR modes)
{
    const Fault *const fault = strike(Skip);
    if (fault || keepsAllPackets)
        return fail(DWORD(ERROR_NOT_SUPPORTED));
    if (!real.setFileCompletionNotificationModes(pipe, modes))
        return FALSE;
    const std::lock_guard lock(mutex);
    skipping.insert(pipe);
    return TRUE;
}

static BOOL WINAPI post(HANDLE port, DWORD bytes, ULONG_PTR key, LPOVERLAPPED overlapped)
{
    if (const Fault *const fault = strike(Post))
        return fail(DWORD(fault->code));
    return real.postQueuedCompletionStatus(port, bytes, key | PostedBit, overlapped);
}

static bool isOfTheSystem(const OVERLAPPED_ENTRY &packet)
{
    return !(packet.lpCompletionKey & PostedBit);
}

/// \a packet goes to the end of the port's queue, and the next one is there instead; if there is
/// none, it is only later.
static void holdBack(HANDLE port, OVERLAPPED_ENTRY *packet)
{
    OVERLAPPED_ENTRY next;
    ULONG count = 0;
    if (!real.getQueuedCompletionStatusEx(port, &next, 1, &count, LongestHold, FALSE))
        return;
    real.postQueuedCompletionStatus(port, packet->dwNumberOfBytesTransferred,
                                    packet->lpCompletionKey, packet->lpOverlapped);
    *packet = next;
}

/// An operation may be completed before or after any other. What is posted keeps its order.
static void disturb(HANDLE port, OVERLAPPED_ENTRY *packets, ULONG count)
{
    const auto end = packets + count;
    const auto first = std::find_if(packets, end, isOfTheSystem);
    if (count == 1 && first != end && strike(Packet))
        holdBack(port, first);
    else if (count > 1 && first != end && strike(Packets))
        std::rotate(first, first + 1, end);
}

static BOOL WINAPI wait(HANDLE port, LPOVERLAPPED_ENTRY packets, ULONG maximum, PULONG count,
                        DWORD timeout, BOOL isAlertable)
{
    // Not the thread that collects what has been cancelled, and would give up.
    const bool isWorker = QThread::currentThread() != QCoreApplication::instance()->thread();
    if (isWorker && timeout != INFINITE && strike(Wait))
        return fail(WAIT_TIMEOUT);
    if (!real.getQueuedCompletionStatusEx(port, packets, maximum, count, timeout, isAlertable))
        return FALSE;
    if (isWorker)
        disturb(port, packets, *count);
    const std::lock_guard lock(mutex);
    for (ULONG i = 0; i < *count; ++i) {
        OVERLAPPED *const overlapped = packets[i].lpOverlapped;
        const auto found =
                isOfTheSystem(packets[i]) ? outstanding.find(overlapped) : outstanding.end();
        packets[i].lpCompletionKey &= ~PostedBit;
        if (found == outstanding.end())
            continue;
        if (LONG(overlapped->Internal) == StatusCancelled && broken.count(found->second) > 0)
            overlapped->Internal = ULONG_PTR(LONG(StatusBroken));
        outstanding.erase(found);
    }
    return TRUE;
}

// --- Servers ---

static BOOL WINAPI waitPipe(LPCWSTR name, DWORD timeout)
{
    const Fault *const fault = strike(WaitPipe);
    if (!fault)
        return real.waitNamedPipe(name, timeout);
    return fault->code == Other ? TRUE : fail(DWORD(fault->code));
}

static HANDLE WINAPI createPipe(LPCWSTR name, DWORD openMode, DWORD pipeMode, DWORD instances,
                                DWORD out, DWORD in, DWORD timeout, LPSECURITY_ATTRIBUTES security)
{
    const bool isFirst = (openMode & FILE_FLAG_FIRST_PIPE_INSTANCE) != 0;
    if (const Fault *const fault = strike(isFirst ? First : Another)) {
        fail(DWORD(fault->code));
        return INVALID_HANDLE_VALUE;
    }
    return open(
            real.createNamedPipe(name, openMode, pipeMode, instances, out, in, timeout, security));
}

static BOOL WINAPI countInstances(HANDLE pipe, LPDWORD state, LPDWORD instances,
                                  LPDWORD collections, LPDWORD timeout, LPWSTR user, DWORD size)
{
    const Fault *const fault = strike(Count);
    if (!fault)
        return real.getNamedPipeHandleState(pipe, state, instances, collections, timeout, user,
                                            size);
    if (fault->code != Other)
        return fail(DWORD(fault->code));
    *instances = 2;
    return TRUE;
}

static BOOL WINAPI connectPipe(HANDLE pipe, LPOVERLAPPED overlapped)
{
    const Fault *const fault = strike(Connect);
    if (!fault)
        return real.connectNamedPipe(pipe, overlapped);
    const std::lock_guard lock(mutex);
    return answer(pipe, fault->code, overlapped);
}

// --- Clients ---

static HANDLE WINAPI openPipe(LPCWSTR name, DWORD access, DWORD share,
                              LPSECURITY_ATTRIBUTES security, DWORD creation, DWORD flags,
                              HANDLE like)
{
    if (const Fault *const fault = strike(Open)) {
        fail(DWORD(fault->code));
        return INVALID_HANDLE_VALUE;
    }
    return open(real.createFile(name, access, share, security, creation, flags, like));
}

static BOOL WINAPI setMode(HANDLE pipe, LPDWORD mode, LPDWORD collections, LPDWORD timeout)
{
    if (const Fault *const fault = strike(Mode))
        return fail(DWORD(fault->code));
    return real.setNamedPipeHandleState(pipe, mode, collections, timeout);
}

static DWORD WINAPI securityInfo(HANDLE pipe, SE_OBJECT_TYPE type, SECURITY_INFORMATION what,
                                 PSID *owner, PSID *group, PACL *access, PACL *audit,
                                 PSECURITY_DESCRIPTOR *descriptor)
{
    if (const Fault *const fault = strike(Owner))
        return DWORD(fault->code);
    return real.getSecurityInfo(pipe, type, what, owner, group, access, audit, descriptor);
}

static BOOL WINAPI serverProcess(HANDLE pipe, PULONG process)
{
    if (const Fault *const fault = strike(Server))
        return fail(DWORD(fault->code));
    return real.getNamedPipeServerProcessId(pipe, process);
}

static HANDLE WINAPI findFirst(LPCWSTR pattern, LPWIN32_FIND_DATAW found)
{
    if (const Fault *const fault = strike(ListFirst)) {
        fail(DWORD(fault->code));
        return INVALID_HANDLE_VALUE;
    }
    return real.findFirstFile(pattern, found);
}

static BOOL WINAPI findNext(HANDLE search, LPWIN32_FIND_DATAW found)
{
    if (const Fault *const fault = strike(ListNext))
        return fail(DWORD(fault->code));
    return real.findNextFile(search, found);
}

// --- Who is there? ---

static BOOL WINAPI clientProcess(HANDLE pipe, PULONG process)
{
    if (const Fault *const fault = strike(Client))
        return fail(DWORD(fault->code));
    return real.getNamedPipeClientProcessId(pipe, process);
}

static HANDLE WINAPI openProcess(DWORD access, BOOL inherits, DWORD id)
{
    if (const Fault *const fault = strike(Process)) {
        fail(DWORD(fault->code));
        return nullptr;
    }
    return open(real.openProcess(access, inherits, id));
}

static BOOL WINAPI openToken(HANDLE process, DWORD access, PHANDLE token)
{
    if (const Fault *const fault = strike(Token))
        return fail(DWORD(fault->code));
    if (!real.openProcessToken(process, access, token))
        return FALSE;
    open(*token);
    return TRUE;
}

static BOOL WINAPI tokenFacts(HANDLE token, TOKEN_INFORMATION_CLASS which, LPVOID facts, DWORD size,
                              PDWORD needed)
{
    if (const Fault *const fault = strike(Facts))
        return fail(DWORD(fault->code));
    return real.getTokenInformation(token, which, facts, size, needed);
}

static BOOL WINAPI sidText(PSID sid, LPWSTR *text)
{
    if (const Fault *const fault = strike(SidText))
        return fail(DWORD(fault->code));
    return real.convertSidToStringSid(sid, text);
}

static BOOL WINAPI descriptor(LPCWSTR sddl, DWORD revision, PSECURITY_DESCRIPTOR *made, PULONG size)
{
    if (const Fault *const fault = strike(Descriptor))
        return fail(DWORD(fault->code));
    return real.convertSecurityDescriptor(sddl, revision, made, size);
}

// --- Both ---

static BOOL WINAPI peek(HANDLE pipe, LPVOID data, DWORD size, LPDWORD read, LPDWORD available,
                        LPDWORD left)
{
    const Fault *const fault = strike(Peek);
    if (!fault)
        return real.peekNamedPipe(pipe, data, size, read, available, left);
    if (fault->code != Short)
        return fail(DWORD(fault->code));
    *left = 1;
    return TRUE;
}

/// \a call reads or writes: it is struck by a fault, or finds the pipe broken, or is made.
template<typename Call>
static BOOL transfer(int kind, HANDLE pipe, OVERLAPPED *overlapped, DWORD whenBroken, Call call)
{
    const Fault *const fault = strike(kind);
    const std::lock_guard lock(mutex);
    if (fault && fault->isHarmful)
        breakPipe(pipe);
    else if (broken.count(pipe) > 0)
        return fail(whenBroken);
    const int code = fault ? fault->code : 0;
    const bool isShort = code == Short || code == ShortPending;
    const bool isPending = code == Pending || code == ShortPending;
    if (fault && !isShort && !isPending)
        return answer(pipe, code, overlapped);
    outstanding[overlapped] = pipe; // its packet may come before the call has returned
    const BOOL ok = call(isShort);
    const DWORD error = ok ? ERROR_SUCCESS : GetLastError();
    const bool isDone = error == ERROR_SUCCESS || error == ERROR_MORE_DATA;
    const bool hasPacket = error == ERROR_IO_PENDING || (isDone && skipping.count(pipe) == 0);
    if (isDone && isPending) {
        if (!hasPacket)
            real.postQueuedCompletionStatus(ports[pipe], DWORD(overlapped->InternalHigh), 0,
                                            overlapped);
        return fail(ERROR_IO_PENDING);
    }
    if (!hasPacket)
        outstanding.erase(overlapped);
    SetLastError(error);
    return ok;
}

static BOOL WINAPI readFile(HANDLE pipe, LPVOID data, DWORD size, LPDWORD count,
                            LPOVERLAPPED overlapped)
{
    return transfer(size > 0 ? Read : Watch, pipe, overlapped, ERROR_BROKEN_PIPE,
                    [&](bool isShort) {
                        return real.readFile(pipe, data, isShort ? 1 : size, count, overlapped);
                    });
}

static BOOL WINAPI writeFile(HANDLE pipe, LPCVOID data, DWORD size, LPDWORD count,
                             LPOVERLAPPED overlapped)
{
    return transfer(Write, pipe, overlapped, ERROR_NO_DATA,
                    [&](bool) { return real.writeFile(pipe, data, size, count, overlapped); });
}

static BOOL WINAPI closeHandle(HANDLE handle)
{
    {
        const std::lock_guard lock(mutex);
        opened.erase(handle);
        ports.erase(handle);
        skipping.erase(handle);
        broken.erase(handle);
    }
    return real.closeHandle(handle);
}

int openHandles()
{
    const std::lock_guard lock(mutex);
    return int(opened.size());
}

void keepAllPackets(bool on)
{
    keepsAllPackets = on;
}

void litter(const QString &) { } // a pipe ends with its process

QStringList tracesOf(const QString &pipeName)
{
    const QString path = QStringLiteral("\\\\.\\pipe\\") + pipeName;
    const bool isThere = real.waitNamedPipe(reinterpret_cast<LPCWSTR>(path.utf16()), 1)
            || GetLastError() != ERROR_FILE_NOT_FOUND;
    return isThere ? QStringList(path) : QStringList();
}

void replaceCalls()
{
    WinApi &api = QtNamedPipes::winApi();
    real = api;
    api.createIoCompletionPort = createPort;
    api.getQueuedCompletionStatusEx = wait;
    api.postQueuedCompletionStatus = post;
    api.setFileCompletionNotificationModes = skip;
    api.createNamedPipe = createPipe;
    api.waitNamedPipe = waitPipe;
    api.getNamedPipeHandleState = countInstances;
    api.connectNamedPipe = connectPipe;
    api.createFile = openPipe;
    api.setNamedPipeHandleState = setMode;
    api.getNamedPipeServerProcessId = serverProcess;
    api.getNamedPipeClientProcessId = clientProcess;
    api.openProcess = openProcess;
    api.openProcessToken = openToken;
    api.getTokenInformation = tokenFacts;
    api.convertSidToStringSid = sidText;
    api.convertSecurityDescriptor = descriptor;
    api.getSecurityInfo = securityInfo;
    api.findFirstFile = findFirst;
    api.findNextFile = findNext;
    api.peekNamedPipe = peek;
    api.readFile = readFile;
    api.writeFile = writeFile;
    api.closeHandle = closeHandle;
}

} // namespace Faults
