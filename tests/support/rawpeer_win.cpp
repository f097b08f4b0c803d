// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "rawpeer.h"

#include <QtCore/qdeadlinetimer.h>
#include <QtCore/qt_windows.h>

#include <thread>
#include <utility>

namespace {

// One overlapped operation with the event that signals it; the event's low bit keeps nothing else
// informed, so the thread that started the operation waits for it here.
struct Operation
{
    OVERLAPPED overlapped {};
    HANDLE event = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    bool pending = false;

    Operation() = default;
    Operation(const Operation &) = delete;
    Operation &operator=(const Operation &) = delete;
    ~Operation() { CloseHandle(event); }

    OVERLAPPED *prepare()
    {
        overlapped = OVERLAPPED {};
        overlapped.hEvent = event;
        ResetEvent(event);
        pending = true;
        return &overlapped;
    }

    bool wait(const QDeadlineTimer &deadline) const
    {
        return WaitForSingleObject(event, DWORD(deadline.remainingTime())) == WAIT_OBJECT_0;
    }
};

} // namespace

struct RawPeer::Private
{
    explicit Private(ReadMode readMode) : mode(readMode) { }

    ReadMode mode;
    HANDLE pipe = INVALID_HANDLE_VALUE;
    long lastError = 0;
    Operation writing;
    QByteArray outgoing; // belongs to the write that is in flight
    Operation reading;
    QByteArray fragment; // belongs to the read that is in flight
    QByteArray partial; // the message so far
    bool ended = false;
    std::optional<QByteArray> early; // seen by atEnd()

    bool fail(DWORD error)
    {
        lastError = long(error);
        return false;
    }

    enum class ReadResult { Whole, Part, Nothing };

    // One read of at most size bytes into fragment.
    ReadResult read(int size, const QDeadlineTimer &deadline)
    {
        if (pipe == INVALID_HANDLE_VALUE || ended)
            return ReadResult::Nothing;
        fragment.resize(size);
        OVERLAPPED *overlapped = reading.prepare();
        DWORD error = ERROR_SUCCESS;
        if (!ReadFile(pipe, fragment.data(), DWORD(size), nullptr, overlapped))
            error = GetLastError();
        if (error == ERROR_SUCCESS || error == ERROR_MORE_DATA || error == ERROR_IO_PENDING) {
            if (!reading.wait(deadline))
                CancelIoEx(pipe, overlapped);
            DWORD count = 0;
            error = GetOverlappedResult(pipe, overlapped, &count, TRUE) ? ERROR_SUCCESS
                                                                        : GetLastError();
            if (error == ERROR_SUCCESS || error == ERROR_MORE_DATA)
                fragment.resize(int(count));
        }
        reading.pending = false;
        switch (error) {
        case ERROR_SUCCESS:
            return ReadResult::Whole;
        case ERROR_MORE_DATA:
            return ReadResult::Part;
        case ERROR_BROKEN_PIPE:
        case ERROR_PIPE_NOT_CONNECTED:
        case ERROR_NO_DATA:
            ended = true;
            break;
        default:
            break;
        }
        fail(error);
        return ReadResult::Nothing;
    }

    bool finishWrite(const QDeadlineTimer &deadline)
    {
        if (!writing.pending)
            return true;
        if (!writing.wait(deadline))
            return fail(WAIT_TIMEOUT);
        DWORD count = 0;
        writing.pending = false;
        return GetOverlappedResult(pipe, &writing.overlapped, &count, TRUE) || fail(GetLastError());
    }
};

RawPeer::RawPeer(ReadMode mode) : d(std::make_unique<Private>(mode)) { }
RawPeer::RawPeer(RawPeer &&) noexcept = default;

RawPeer &RawPeer::operator=(RawPeer &&other) noexcept
{
    close();
    d = std::move(other.d);
    return *this;
}

RawPeer::~RawPeer()
{
    close();
}

RawPeer RawPeer::adopt(qintptr handle, ReadMode mode)
{
    RawPeer peer(mode);
    peer.d->pipe = reinterpret_cast<HANDLE>(handle);
    return peer;
}

bool RawPeer::connectTo(const QString &name, Milliseconds timeout)
{
    const QDeadlineTimer deadline(timeout);
    const std::wstring path = (QStringLiteral("\\\\.\\pipe\\") + name).toStdWString();
    close();
    d = std::make_unique<Private>(d->mode);
    for (;;) {
        // Not GENERIC_WRITE: that asks for FILE_CREATE_PIPE_INSTANCE, too, which clients do not
        // get.
        d->pipe =
                CreateFileW(path.c_str(), GENERIC_READ | FILE_WRITE_DATA | FILE_WRITE_ATTRIBUTES, 0,
                            nullptr, OPEN_EXISTING,
                            FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION,
                            nullptr);
        if (d->pipe != INVALID_HANDLE_VALUE)
            break;
        d->fail(GetLastError());
        if (d->lastError != ERROR_PIPE_BUSY || deadline.hasExpired())
            return false;
        std::this_thread::sleep_for(Milliseconds(2)); // no instance is free: let the server run
    }
    if (d->mode == ReadMode::Messages) {
        DWORD mode = PIPE_READMODE_MESSAGE;
        if (!SetNamedPipeHandleState(d->pipe, &mode, nullptr, nullptr)) {
            d->fail(GetLastError());
            close();
            return false;
        }
    }
    return true;
}

bool RawPeer::isOpen() const
{
    return d && d->pipe != INVALID_HANDLE_VALUE;
}

long RawPeer::lastError() const
{
    return d->lastError;
}

bool RawPeer::sendMessage(const QByteArray &message, Milliseconds timeout)
{
    const QDeadlineTimer deadline(timeout);
    if (!isOpen() || !d->finishWrite(deadline))
        return false;
    d->outgoing = message;
    OVERLAPPED *overlapped = d->writing.prepare();
    if (!WriteFile(d->pipe, d->outgoing.constData(), DWORD(d->outgoing.size()), nullptr,
                   overlapped)) {
        const DWORD error = GetLastError();
        if (error != ERROR_IO_PENDING) {
            d->writing.pending = false;
            return d->fail(error);
        }
    }
    return d->finishWrite(deadline);
}

bool RawPeer::sendRaw(const QByteArray &bytes, Milliseconds timeout)
{
    return sendMessage(bytes, timeout);
}

bool RawPeer::finishSending(Milliseconds timeout)
{
    return isOpen() && d->finishWrite(QDeadlineTimer(timeout));
}

bool RawPeer::isSending() const
{
    return isOpen() && d->writing.pending;
}

std::optional<QByteArray> RawPeer::receiveMessage(Milliseconds timeout)
{
    if (d->early)
        return std::exchange(d->early, std::nullopt);
    const QDeadlineTimer deadline(timeout);
    int size = 65536;
    for (;;) {
        const Private::ReadResult result = d->read(size, deadline);
        if (result == Private::ReadResult::Nothing)
            return std::nullopt;
        d->partial += d->fragment;
        if (result == Private::ReadResult::Whole)
            return std::exchange(d->partial, QByteArray());
        size = 1 << 20;
    }
}

std::optional<QByteArray> RawPeer::receiveRaw(int size, Milliseconds timeout)
{
    if (d->read(size, QDeadlineTimer(timeout)) == Private::ReadResult::Nothing)
        return std::nullopt;
    return d->fragment;
}

bool RawPeer::atEnd(Milliseconds timeout)
{
    if (!d->early)
        d->early = receiveMessage(timeout);
    return !d->early && d->ended;
}

void RawPeer::close()
{
    if (!isOpen())
        return;
    abort(); // a write that is still in flight needs its buffer until it has come back
}

void RawPeer::abort()
{
    if (!isOpen())
        return;
    if (d->writing.pending) {
        DWORD count = 0;
        CancelIoEx(d->pipe, &d->writing.overlapped);
        GetOverlappedResult(d->pipe, &d->writing.overlapped, &count, TRUE);
        d->writing.pending = false;
    }
    CloseHandle(d->pipe);
    d->pipe = INVALID_HANDLE_VALUE;
}
