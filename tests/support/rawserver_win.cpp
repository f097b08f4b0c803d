// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "rawserver.h"

#include "processfacts.h"

#include <QtCore/qdeadlinetimer.h>
#include <QtCore/qt_windows.h>

#include <sddl.h>

#include <deque>
#include <utility>

namespace {

// An instance that waits for its client. What the system writes to must not move.
struct Instance
{
    HANDLE pipe = INVALID_HANDLE_VALUE;
    HANDLE event = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    OVERLAPPED connecting {};
    bool pending = false;
    bool connected = false;

    Instance() = default;
    Instance(const Instance &) = delete;
    Instance &operator=(const Instance &) = delete;
    ~Instance()
    {
        if (pipe != INVALID_HANDLE_VALUE) {
            if (pending) {
                DWORD count = 0;
                CancelIoEx(pipe, &connecting);
                GetOverlappedResult(pipe, &connecting, &count, TRUE);
            }
            CloseHandle(pipe);
        }
        CloseHandle(event);
    }

    bool open(const std::wstring &path, bool messages, SECURITY_ATTRIBUTES *security)
    {
        const DWORD type = messages ? PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE
                                    : PIPE_TYPE_BYTE | PIPE_READMODE_BYTE;
        pipe = CreateNamedPipeW(path.c_str(), PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED,
                                type | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS,
                                PIPE_UNLIMITED_INSTANCES, 65536, 65536, 0, security);
        if (pipe == INVALID_HANDLE_VALUE)
            return false;
        return arm();
    }

    bool arm()
    {
        connecting = OVERLAPPED {};
        connecting.hEvent = event;
        ConnectNamedPipe(pipe, &connecting); // never succeeds at once
        const DWORD error = GetLastError();
        pending = error == ERROR_IO_PENDING;
        // ERROR_NO_DATA: came and went; what it wrote can still be read.
        connected = error == ERROR_PIPE_CONNECTED || error == ERROR_NO_DATA;
        return pending || connected;
    }

    bool wait(const QDeadlineTimer &deadline)
    {
        while (pending
               && WaitForSingleObject(event, DWORD(deadline.remainingTime())) == WAIT_OBJECT_0) {
            DWORD count = 0;
            pending = false;
            connected = GetOverlappedResult(pipe, &connecting, &count, TRUE)
                    || GetLastError() == ERROR_NO_DATA;
            // The thread that began it has ended, and the system cancels what such threads began.
            if (!connected && GetLastError() == ERROR_OPERATION_ABORTED)
                arm();
        }
        return connected;
    }
};

} // namespace

struct RawServer::Private
{
    QString name;
    std::wstring path;
    bool messages = true;
    PSECURITY_DESCRIPTOR descriptor = nullptr;
    SECURITY_ATTRIBUTES security {};
    std::deque<std::unique_ptr<Instance>> waiting; // clients get the oldest one first

    // The pipe belongs to the user, which is what Windows does by itself, but not Wine.
    Private()
    {
        const std::wstring text =
                QStringLiteral("O:%1D:P(A;;FA;;;%1)").arg(ProcessFacts::userId()).toStdWString();
        if (ConvertStringSecurityDescriptorToSecurityDescriptorW(text.c_str(), SDDL_REVISION_1,
                                                                 &descriptor, nullptr))
            security = { sizeof(SECURITY_ATTRIBUTES), descriptor, FALSE };
    }
    Private(const Private &) = delete;
    Private &operator=(const Private &) = delete;
    ~Private() { LocalFree(descriptor); }

    bool addInstance()
    {
        auto instance = std::make_unique<Instance>();
        if (!instance->open(path, messages, descriptor ? &security : nullptr))
            return false;
        waiting.push_back(std::move(instance));
        return true;
    }
};

RawServer::RawServer() : d(std::make_unique<Private>()) { }

RawServer::~RawServer()
{
    close();
}

bool RawServer::listen(const QString &name, int places, Kind kind)
{
    close();
    d->name = name;
    d->path = (QStringLiteral("\\\\.\\pipe\\") + name).toStdWString();
    d->messages = kind == Kind::Messages;
    for (int place = 0; place < places; ++place) {
        if (!d->addInstance()) {
            close();
            return false;
        }
    }
    return true;
}

bool RawServer::isListening() const
{
    return !d->waiting.empty();
}

RawPeer RawServer::accept(Milliseconds timeout)
{
    const QDeadlineTimer deadline(timeout);
    if (!isListening() || !d->waiting.front()->wait(deadline))
        return RawPeer();
    const std::unique_ptr<Instance> first = std::move(d->waiting.front());
    d->waiting.pop_front();
    d->addInstance(); // its place is free again
    return RawPeer::adopt(qintptr(std::exchange(first->pipe, INVALID_HANDLE_VALUE)),
                          d->messages ? RawPeer::ReadMode::Messages : RawPeer::ReadMode::Bytes);
}

std::vector<RawPeer> RawServer::fill()
{
    std::vector<RawPeer> clients;
    RawPeer client(d->messages ? RawPeer::ReadMode::Messages : RawPeer::ReadMode::Bytes);
    while (client.connectTo(d->name, Milliseconds(0)))
        clients.push_back(std::exchange(client, RawPeer()));
    return clients;
}

void RawServer::close()
{
    d->waiting.clear();
}

void RawServer::die()
{
    close();
}
