// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_IOCPFIXTURE_H
#define QTNAMEDPIPES_TESTS_IOCPFIXTURE_H

#include "iocp/iocpendpoint.h"
#include "iocp/iocpengine.h"
#include "iocp/winapi.h"
#include "iocp/winerror.h"
#include "scratchname.h"
#include "waiting.h"

#include <QtCore/qlist.h>
#include <QtCore/qstringlist.h>

#include <atomic>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

namespace QtNamedPipes {

// What a packet can carry besides success; <ntstatus.h> and <windows.h> cannot both be had.
constexpr LONG StatusInsufficientResources = LONG(0xC000009A);
constexpr LONG StatusPipeBroken = LONG(0xC000014B);

/// Replaces system calls for the life of a test: each entry is asked for its next step and goes to
/// the system when there is none. Steps run on whatever thread makes the call.
class ScriptedApi
{
public:
    ScriptedApi() : m_saved(winApi())
    {
        s_current = this;
        WinApi &api = winApi();
        api.createIoCompletionPort = &createIoCompletionPort;
        api.createNamedPipe = &createNamedPipe;
        api.connectNamedPipe = &connectNamedPipe;
        api.peekNamedPipe = &peekNamedPipe;
        api.readFile = &readFile;
        api.writeFile = &writeFile;
        api.setFileCompletionNotificationModes = &setFileCompletionNotificationModes;
        api.cancelIoEx = &cancelIoEx;
        api.closeHandle = &closeHandle;
        api.postQueuedCompletionStatus = &postQueuedCompletionStatus;
        api.getQueuedCompletionStatusEx = &getQueuedCompletionStatusEx;
        // It would see the real pipe, and not what the script says about it.
        watches.always(
                [](HANDLE, char *, DWORD, OVERLAPPED *) { return fail(ERROR_NOT_SUPPORTED); });
    }
    ~ScriptedApi()
    {
        winApi() = m_saved;
        s_current = nullptr;
    }
    ScriptedApi(const ScriptedApi &) = delete;
    ScriptedApi &operator=(const ScriptedApi &) = delete;

    /// The steps of one system call, one for each call; then the same step always, if there is one.
    template<typename Function>
    class Steps
    {
    public:
        Steps &operator<<(std::function<Function> step)
        {
            const std::lock_guard<std::mutex> lock(m_mutex);
            m_steps.push_back(std::move(step));
            return *this;
        }
        void always(std::function<Function> step)
        {
            const std::lock_guard<std::mutex> lock(m_mutex);
            m_always = std::move(step);
        }
        std::function<Function> take()
        {
            const std::lock_guard<std::mutex> lock(m_mutex);
            ++m_calls;
            if (m_steps.empty())
                return m_always;
            const auto step = std::move(m_steps.front());
            m_steps.pop_front();
            return step;
        }
        int calls() const
        {
            const std::lock_guard<std::mutex> lock(m_mutex);
            return m_calls;
        }

    private:
        mutable std::mutex m_mutex;
        std::deque<std::function<Function>> m_steps;
        std::function<Function> m_always;
        int m_calls = 0;
    };

    Steps<BOOL(HANDLE pipe, char *data, DWORD size, OVERLAPPED *overlapped)> reads;
    /// Reads of no bytes, which watch for the hang-up: refused unless a test says otherwise.
    Steps<BOOL(HANDLE pipe, char *data, DWORD size, OVERLAPPED *overlapped)> watches;
    Steps<BOOL(HANDLE pipe, const char *data, DWORD size, OVERLAPPED *overlapped)> writes;
    Steps<BOOL(HANDLE pipe, OVERLAPPED *overlapped)> connects;
    Steps<BOOL(HANDLE pipe, OVERLAPPED *overlapped)> cancels;
    Steps<HANDLE(DWORD openMode, DWORD pipeMode, SECURITY_ATTRIBUTES *attributes)> creations;
    Steps<void(HANDLE)> closes; ///< of pipes; to watch, they are closed all the same
    Steps<BOOL(DWORD *left)> peeks;
    Steps<BOOL()> posts;
    Steps<BOOL()> takes; ///< of packets out of the port
    Steps<HANDLE()> ports;
    Steps<HANDLE()> binds; ///< of a handle to the port
    /// What is done at once has no packet. Otherwise as if the system could not do without.
    bool skipsPackets = false;
    std::atomic<int> waits { 0 }; ///< how often a worker began to wait, with a time that is fixed

    /// A packet as the system would queue it.
    void queuePacket(OVERLAPPED *overlapped, LONG status, DWORD bytes) const
    {
        overlapped->Internal = ULONG_PTR(status);
        ::PostQueuedCompletionStatus(m_port, bytes, 0, overlapped);
    }

    /// What the system does instead, with skipsPackets, when it is done at once.
    static BOOL doneAtOnce(OVERLAPPED *overlapped, LONG status, DWORD bytes)
    {
        overlapped->Internal = ULONG_PTR(status);
        overlapped->InternalHigh = bytes;
        return status == StatusSuccess ? TRUE : fail(winErrorFromStatus(status));
    }

    static BOOL fail(DWORD error)
    {
        SetLastError(error);
        return FALSE;
    }

    /// A read or write whose packet is for the test to queue, with what \a operation is then.
    static auto pending(OVERLAPPED *&operation)
    {
        return [&operation](HANDLE, const char *, DWORD, OVERLAPPED *overlapped) {
            operation = overlapped;
            return fail(ERROR_IO_PENDING);
        };
    }

private:
    static HANDLE WINAPI createIoCompletionPort(HANDLE file, HANDLE port, ULONG_PTR key,
                                                DWORD threads)
    {
        const bool isNew = file == INVALID_HANDLE_VALUE;
        if (const auto step = isNew ? s_current->ports.take() : s_current->binds.take())
            return step();
        const HANDLE result = ::CreateIoCompletionPort(file, port, key, threads);
        if (isNew)
            s_current->m_port = result;
        return result;
    }
    static BOOL WINAPI setFileCompletionNotificationModes(HANDLE pipe, UCHAR modes)
    {
        return s_current->skipsPackets ? ::SetFileCompletionNotificationModes(pipe, modes)
                                       : fail(ERROR_NOT_SUPPORTED);
    }
    static HANDLE WINAPI createNamedPipe(LPCWSTR name, DWORD openMode, DWORD pipeMode,
                                         DWORD instances, DWORD out, DWORD in, DWORD timeout,
                                         LPSECURITY_ATTRIBUTES attributes)
    {
        if (const auto step = s_current->creations.take()) {
            const HANDLE result = step(openMode, pipeMode, attributes);
            if (result) // null: the step has only watched
                return result;
        }
        return ::CreateNamedPipeW(name, openMode, pipeMode, instances, out, in, timeout,
                                  attributes);
    }
    static BOOL WINAPI connectNamedPipe(HANDLE pipe, LPOVERLAPPED overlapped)
    {
        const auto step = s_current->connects.take();
        return step ? step(pipe, overlapped) : ::ConnectNamedPipe(pipe, overlapped);
    }
    static BOOL WINAPI peekNamedPipe(HANDLE pipe, LPVOID buffer, DWORD size, LPDWORD read,
                                     LPDWORD available, LPDWORD left)
    {
        const auto step = s_current->peeks.take();
        return step ? step(left) : ::PeekNamedPipe(pipe, buffer, size, read, available, left);
    }
    static BOOL WINAPI readFile(HANDLE pipe, LPVOID data, DWORD size, LPDWORD count,
                                LPOVERLAPPED overlapped)
    {
        const auto step = size > 0 ? s_current->reads.take() : s_current->watches.take();
        return step ? step(pipe, static_cast<char *>(data), size, overlapped)
                    : ::ReadFile(pipe, data, size, count, overlapped);
    }
    static BOOL WINAPI writeFile(HANDLE pipe, LPCVOID data, DWORD size, LPDWORD count,
                                 LPOVERLAPPED overlapped)
    {
        const auto step = s_current->writes.take();
        return step ? step(pipe, static_cast<const char *>(data), size, overlapped)
                    : ::WriteFile(pipe, data, size, count, overlapped);
    }
    static BOOL WINAPI cancelIoEx(HANDLE pipe, LPOVERLAPPED overlapped)
    {
        const auto step = s_current->cancels.take();
        return step ? step(pipe, overlapped) : ::CancelIoEx(pipe, overlapped);
    }
    static BOOL WINAPI closeHandle(HANDLE handle)
    {
        const auto step =
                ::GetFileType(handle) == FILE_TYPE_PIPE ? s_current->closes.take() : nullptr;
        if (step)
            step(handle);
        return ::CloseHandle(handle);
    }
    static BOOL WINAPI postQueuedCompletionStatus(HANDLE port, DWORD bytes, ULONG_PTR key,
                                                  LPOVERLAPPED overlapped)
    {
        const auto step = s_current->posts.take();
        return step ? step() : ::PostQueuedCompletionStatus(port, bytes, key, overlapped);
    }
    static BOOL WINAPI getQueuedCompletionStatusEx(HANDLE port, LPOVERLAPPED_ENTRY packets,
                                                   ULONG maximum, PULONG count, DWORD timeout,
                                                   BOOL isAlertable)
    {
        ++s_current->waits;
        if (const auto step = s_current->takes.take())
            return step();
        return ::GetQueuedCompletionStatusEx(port, packets, maximum, count, timeout, isAlertable);
    }

    inline static ScriptedApi *s_current = nullptr;
    const WinApi m_saved;
    HANDLE m_port = nullptr;
};

/// Keeps what an endpoint reports. Any thread.
class RecordingSink final : public EndpointSink
{
public:
    void received(MessageBatch &batch) override
    {
        const std::lock_guard<std::mutex> lock(m_mutex);
        for (const QByteArray &whole : batch.wholes)
            m_messages.append(whole);
        for (const MessageSpan &span : batch.spans)
            m_messages.append(QByteArray(batch.block.constData() + span.offset, span.size));
        m_onWorkers = m_onWorkers && (!engine || engine->isWorkerThread());
    }
    void readEnded(ReadEnd end, const TransportError &error) override
    {
        const std::lock_guard<std::mutex> lock(m_mutex);
        m_ends.append(end);
        m_readError = error;
    }
    void writeProgressed(const WriteProgress &progress) override
    {
        const std::lock_guard<std::mutex> lock(m_mutex);
        m_progress.append(progress);
    }
    void hangUpSeen() override
    {
        const std::lock_guard<std::mutex> lock(m_mutex);
        ++m_hangUps;
    }

    QByteArrayList messages() const { return get(m_messages); }
    QList<ReadEnd> ends() const { return get(m_ends); }
    TransportError readError() const { return get(m_readError); }
    QList<WriteProgress> progress() const { return get(m_progress); }
    int hangUps() const { return get(m_hangUps); }
    bool wasOnWorkers() const { return get(m_onWorkers); }
    int reports() const
    {
        const std::lock_guard<std::mutex> lock(m_mutex);
        return int(m_messages.size() + m_ends.size() + m_progress.size()) + m_hangUps;
    }

    PipeEngine *engine = nullptr;

private:
    template<typename T>
    T get(const T &value) const
    {
        const std::lock_guard<std::mutex> lock(m_mutex);
        return value;
    }

    mutable std::mutex m_mutex;
    QByteArrayList m_messages;
    QList<ReadEnd> m_ends;
    TransportError m_readError;
    QList<WriteProgress> m_progress;
    int m_hangUps = 0;
    bool m_onWorkers = true;
};

/// A task made of a function.
class FunctionTask final : public EngineTask
{
public:
    explicit FunctionTask(std::function<void()> function) : m_function(std::move(function)) { }
    void run() override { m_function(); }

private:
    const std::function<void()> m_function;
};

inline std::shared_ptr<EngineTask> makeTask(std::function<void()> function)
{
    return std::make_shared<FunctionTask>(std::move(function));
}

/// An engine that ends with its test.
class RunningEngine
{
public:
    explicit RunningEngine(int threads = 1, qint64 maximumMessageSize = 0,
                           qsizetype bufferSize = 4096)
        : engine(std::make_shared<IocpEngine>(EngineSettings { threads, maximumMessageSize },
                                              bufferSize)),
          startError(engine->start())
    {
    }
    ~RunningEngine() { engine->shutdown(); }
    IocpEngine *operator->() const { return engine.get(); }

    /// Waits until the only worker is through with all packets that have come.
    void handlePackets() const
    {
        Gate isHandled;
        engine->post(makeTask([&] { isHandled.open(); }));
        isHandled.wait();
    }

    const std::shared_ptr<IocpEngine> engine;
    const TransportError startError;
};

inline bool operator==(const TransportError &error, NamedPipe::Error code)
{
    return error.error == code;
}

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_TESTS_IOCPFIXTURE_H
