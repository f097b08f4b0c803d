// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_STANDIN_FAKEPIPE_H
#define QTNAMEDPIPES_STANDIN_FAKEPIPE_H

// What IocpReader has around it, without Windows: a message-mode pipe, its gate, its engine. Only as
// much as the reader uses; src/iocp/iocpreader.cpp is compiled with this folder before src.

#include "core/pipetransport.h"

#ifdef Q_OS_WIN
#    include <QtCore/qt_windows.h>
#else
using BOOL = int;
using DWORD = quint32;
using LONG = qint32;
using HANDLE = void *;
struct OVERLAPPED
{
};
constexpr DWORD ERROR_SUCCESS = 0;
constexpr DWORD ERROR_NOT_ENOUGH_MEMORY = 8;
constexpr DWORD ERROR_BROKEN_PIPE = 109;
constexpr DWORD ERROR_MORE_DATA = 234;
constexpr DWORD ERROR_OPERATION_ABORTED = 995;
constexpr DWORD ERROR_IO_PENDING = 997;
constexpr DWORD ERROR_NO_SYSTEM_RESOURCES = 1450;
#endif

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <optional>

namespace QtNamedPipes {

class IocpDirection;

constexpr int StatusSuccess = 0;
constexpr int StatusCancelled = 1;
constexpr int StatusBufferOverflow = 2;

inline bool isPeerGone(DWORD code)
{
    return code == ERROR_BROKEN_PIPE;
}
inline bool isShortage(DWORD code)
{
    return code == ERROR_NO_SYSTEM_RESOURCES || code == ERROR_NOT_ENOUGH_MEMORY;
}
inline TransportError winError(DWORD code, const char *operation)
{
    const auto error = isShortage(code) ? NamedPipe::ResourceExhausted : NamedPipe::SystemError;
    return { error, qint64(code), operation, {} };
}

/// The pipe, and all that is between it and the reader. One operation at a time.
struct Submission
{
    enum Kind { Pending, Done, Failed };
    Kind kind;
    DWORD error;
    DWORD bytes;
};

class IocpEndpoint
{
public:
    IocpEndpoint(EndpointSink &sink, qsizetype blockSize, qint64 maximumMessageSize)
        : m_sink(sink),
          m_maximum(maximumMessageSize),
          m_pool(blockSize)
    {
    }

    // For the reader. The endpoint is its own gate and its own engine.
    IocpEndpoint &engine() { return *this; }
    IocpEndpoint &gate() { return *this; }
    EndpointSink &sink() { return m_sink; }
    BatchPool &pool() { return m_pool; }
    qint64 maximumMessageSize() const { return m_maximum; }
    bool isClosed() const { return false; }
    bool isCancelled() const { return cancelled; }
    void complete(IocpDirection &, const std::shared_ptr<void> &, int status, DWORD bytes = 0)
    {
        static constexpr DWORD errors[] = { ERROR_SUCCESS, ERROR_OPERATION_ABORTED,
                                            ERROR_MORE_DATA };
        packet = errors[status];
        packetBytes = bytes;
    }
    void postAt(Clock::time_point, std::shared_ptr<EngineTask> task) { later = std::move(task); }
    template<typename SystemCall>
    Submission submit(IocpDirection &, const std::shared_ptr<void> &, SystemCall call)
    {
        if (cancelled)
            return { Submission::Failed, ERROR_OPERATION_ABORTED, 0 };
        OVERLAPPED overlapped {};
        if (!call(HANDLE(this), &overlapped))
            return { Submission::Failed, std::exchange(submitError, ERROR_SUCCESS), 0 };
        DWORD bytes = 0;
        const DWORD error = answersAtOnce ? takeBytes(&bytes) : NoAnswer;
        if (error == NoAnswer)
            return { Submission::Pending, ERROR_IO_PENDING, 0 };
        place = nullptr;
        const bool isDone = error == ERROR_SUCCESS || error == ERROR_MORE_DATA;
        return { isDone ? Submission::Done : Submission::Failed, error, bytes };
    }
    template<typename Use>
    bool use(Use use)
    {
        if (cancelled)
            return false;
        use(HANDLE(this));
        return true;
    }

    /// What there is goes to where the reader waits for it. Returns how the read ends.
    static constexpr DWORD NoAnswer = 0xFFFFFFFF;
    DWORD takeBytes(DWORD *bytes)
    {
        if (messages.empty())
            return peerGone ? ERROR_BROKEN_PIPE : NoAnswer;
        const QByteArray &message = messages.front();
        const qsizetype left = message.size() - firstRead;
        // The first read has the room of a block; the others follow what is left or has arrived.
        if (room > std::max({ m_pool.blockSize(), left, firstRead }))
            isTooLarge = true;
        const qsizetype size = std::min(room, left);
        if (size > 0)
            std::memcpy(place, message.constData() + firstRead, size_t(size));
        *bytes = DWORD(size);
        if (size < left) {
            firstRead += size;
            return ERROR_MORE_DATA;
        }
        messages.pop_front();
        firstRead = 0;
        return ERROR_SUCCESS;
    }

    // The pipe.
    std::deque<QByteArray> messages; ///< unread; the first may be read in part
    qsizetype firstRead = 0; ///< so much of it
    bool peerGone = false;
    bool cancelled = false;
    bool tellsWhatIsLeft = true; ///< peekNamedPipe() works
    DWORD submitError = ERROR_SUCCESS; ///< of the next readFile()
    bool answersAtOnce = false; ///< reads that find something have no packet
    bool isTooLarge = false; ///< a read has had more room than it may
    int triesLeft = 3; ///< of a reader that finds the system short of memory
    bool isWaiting = false; ///< tryAgain() is to be called
    std::shared_ptr<EngineTask> later; ///< to be run when time has passed

    // What the reader waits for: a read of room bytes at place, or a packet that is on its way.
    char *place = nullptr;
    qsizetype room = 0;
    std::optional<DWORD> packet;
    DWORD packetBytes = 0;

private:
    EndpointSink &m_sink;
    const qint64 m_maximum;
    BatchPool m_pool;
};

/// The two system calls of the reader.
struct FakeWinApi
{
    static BOOL readFile(HANDLE handle, char *data, DWORD length, void *, OVERLAPPED *)
    {
        auto &pipe = *static_cast<IocpEndpoint *>(handle);
        if (pipe.submitError != ERROR_SUCCESS)
            return false;
        pipe.place = data;
        pipe.room = length;
        return true;
    }
    static BOOL peekNamedPipe(HANDLE handle, void *, int, void *, void *, DWORD *left)
    {
        auto &pipe = *static_cast<IocpEndpoint *>(handle);
        if (!pipe.tellsWhatIsLeft || pipe.messages.empty())
            return false;
        *left = DWORD(pipe.messages.front().size() - pipe.firstRead);
        return true;
    }
};
inline FakeWinApi winApi()
{
    return {};
}

class IocpDirection
{
public:
    virtual ~IocpDirection() = default;
    virtual void completed(DWORD error, DWORD bytes) = 0;
    virtual void tryAgain() = 0;

protected:
    explicit IocpDirection(IocpEndpoint &endpoint) : m_endpoint(endpoint) { }

    IocpEndpoint &endpoint() { return m_endpoint; }
    std::shared_ptr<void> owner() { return nullptr; }
    bool tryLater()
    {
        if (m_endpoint.triesLeft-- <= 0)
            return false;
        if (m_endpoint.cancelled)
            m_endpoint.packet = ERROR_OPERATION_ABORTED;
        else
            m_endpoint.isWaiting = true;
        return true;
    }
    void succeeded() { m_endpoint.triesLeft = 3; }

private:
    IocpEndpoint &m_endpoint;
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_STANDIN_FAKEPIPE_H
