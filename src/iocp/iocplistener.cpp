// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "iocp/iocplistener.h"

#include "core/logging.h"
#include "core/text.h"
#include "iocp/iocpendpoint.h"
#include "iocp/iocpengine.h"
#include "iocp/winerror.h"

#include <algorithm>
#include <utility>

namespace QtNamedPipes {

// What the system takes before a write waits for the reader, each way; no limit for a message. With
// room for one message of 64 KiB only, sender and receiver would take turns.
static constexpr DWORD KernelQuota = 128 * 1024;

/// One end of the pipe before it has a client, and the ConnectNamedPipe() that waits for one.
class IocpListener::Instance final : public IoOperation,
                                     public std::enable_shared_from_this<Instance>
{
public:
    Instance(std::shared_ptr<IocpListener> listener, WinHandle handle)
        : IoOperation(listener->m_engine.inFlight()),
          pipe(std::move(handle)),
          claim(listener->m_claim),
          m_listener(std::move(listener))
    {
    }

    // Guarded by the listener's mutex.
    WinHandle pipe;
    std::shared_ptr<const void> claim; ///< as long as the pipe is open
    bool hasPlace = false;
    bool isConnecting = false; ///< ConnectNamedPipe() is under way

private:
    void completed(DWORD error, DWORD) override
    {
        m_listener->connected(shared_from_this(), error);
    }

    const std::shared_ptr<IocpListener> m_listener;
};

/// A member function of the listener as a task.
class IocpListener::Step final : public EngineTask
{
public:
    Step(std::shared_ptr<IocpListener> listener, void (IocpListener::*step)())
        : m_listener(std::move(listener)),
          m_step(step)
    {
    }
    void run() override { ((*m_listener).*m_step)(); }

private:
    const std::shared_ptr<IocpListener> m_listener;
    void (IocpListener::*const m_step)();
};

IocpListener::IocpListener(IocpEngine &engine, const ListenSettings &settings,
                           std::shared_ptr<ListenerSink> sink)
    : m_engine(engine),
      m_settings(settings),
      m_path(platformPipePath(settings.name).toStdWString()),
      m_sink(std::move(sink))
{
}

IocpListener::~IocpListener() = default;

// --- The name and its instances ---

TransportError IocpListener::listen()
{
    if (const TransportError error = m_security.set(m_settings))
        return error;
    InstancePtr first;
    if (const TransportError error = claimName(&first))
        return error;
    const bool hasPlace = m_sink->reservePlace();
    {
        const Lock lock(m_mutex);
        first->hasPlace = hasPlace;
        m_waiting.push_back(std::move(first));
    }
    refill(); // if it fails: again when accepting begins
    return {};
}

static TransportError inUse(DWORD code, const char *operation)
{
    return { NamedPipe::NameInUse, qint64(code), operation,
             Text::tr("the name is already served") };
}

/// Creates the first instance, which must be the only one of its name.
TransportError IocpListener::claimName(InstancePtr *instance)
{
    // FILE_FLAG_FIRST_PIPE_INSTANCE settles it on Windows, and says ERROR_ACCESS_DENIED or, when
    // the other server has as many instances as it allows, ERROR_PIPE_BUSY. Wine ignores the flag.
    // So ask before, without disturbing the other server, whether an instance waits there, and
    // count the instances afterwards. A time-out in asking means nothing: the name may only live on
    // in a client that has not closed its end.
    if (winApi().waitNamedPipe(m_path.c_str(), 1))
        return inUse(0, "WaitNamedPipe");

    if (const TransportError error = createInstance(instance))
        return error;

    DWORD instances = 0;
    const bool isCounted =
            winApi().getNamedPipeHandleState((*instance)->pipe.get(), nullptr, &instances, nullptr,
                                             nullptr, nullptr, 0);
    if (isCounted && instances > 1)
        return inUse(0, "GetNamedPipeHandleState");
    return {};
}

/// An instance of the pipe. When there is none of this server any more, the name must not be another
/// one's meanwhile: clients would come to this server or to that one.
TransportError IocpListener::createInstance(InstancePtr *instance)
{
    const bool isOnly = m_claim.use_count() == 1;
    // The security descriptor counts for the first instance only, refusing remote clients for each.
    SECURITY_ATTRIBUTES attributes = m_security.attributes();
    WinHandle pipe(winApi().createNamedPipe(m_path.c_str(),
                                            PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED
                                                    | (isOnly ? FILE_FLAG_FIRST_PIPE_INSTANCE : 0),
                                            PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE | PIPE_WAIT
                                                    | PIPE_REJECT_REMOTE_CLIENTS,
                                            PIPE_UNLIMITED_INSTANCES, KernelQuota, KernelQuota, 0,
                                            &attributes));
    DWORD code = pipe ? ERROR_SUCCESS : GetLastError();
    if (isOnly && (code == ERROR_ACCESS_DENIED || code == ERROR_PIPE_BUSY))
        return inUse(code, "CreateNamedPipe");
    if (code != ERROR_SUCCESS)
        return winError(code, "CreateNamedPipe");
    code = m_engine.bind(pipe.get());
    if (code != ERROR_SUCCESS)
        return winError(code, "CreateIoCompletionPort");
    *instance = std::make_shared<Instance>(shared_from_this(), std::move(pipe));
    return {};
}

/// Creates what instances are missing. In listen(), then on workers; by one thread at a time.
void IocpListener::refill()
{
    Lock lock(m_mutex);
    m_refillAgain = true;
    if (std::exchange(m_isRefilling, true))
        return;
    while (std::exchange(m_refillAgain, false)) {
        while (addOne(lock)) { }
    }
    m_isRefilling = false;
}

/// One step of refill(): a new instance, or a place for the doorstop. False when there is nothing
/// more to do now.
bool IocpListener::addOne(Lock &lock)
{
    const auto found = std::find_if(m_waiting.begin(), m_waiting.end(),
                                    [](const InstancePtr &waiting) { return !waiting->hasPlace; });
    InstancePtr instance = found == m_waiting.end() ? nullptr : *found; // the doorstop
    if (m_isClosed || (!instance && usable() >= size_t(m_settings.backlog)))
        return settled();

    // Set before the question, so that a place which becomes free after the answer is heard of.
    m_wantsPlace = true;
    const std::shared_ptr<ListenerSink> sink = m_sink;
    lock.unlock();
    const bool hasPlace = sink->reservePlace();
    lock.lock();
    if (hasPlace)
        m_wantsPlace = false;
    else if (!m_waiting.empty())
        return settled();

    TransportError error;
    if (!instance) {
        lock.unlock();
        error = createInstance(&instance);
        lock.lock();
        if (!error && !m_isClosed)
            m_waiting.push_back(instance);
    }
    if (error || m_isClosed) {
        if (hasPlace) {
            lock.unlock();
            sink->releasePlace();
            lock.lock();
        }
    } else {
        instance->hasPlace = hasPlace;
        error = takeClient(lock, instance);
    }
    if (error)
        failed(lock, error);
    return !error;
}

/// How many instances wait for a client, or will. Not one that only keeps the name: see
/// cannotConnect().
size_t IocpListener::usable() const
{
    return size_t(std::count_if(m_waiting.begin(), m_waiting.end(), [this](const auto &instance) {
        return instance->isConnecting || !instance->hasPlace || !m_isAccepting;
    }));
}

/// All instances are there that can be: the next trouble is a new one, unless it is that no client
/// can connect to them.
bool IocpListener::settled()
{
    if (!m_isConnectFailing && usable() == m_waiting.size()) {
        m_isFailing = false;
        m_backOff.reset();
    }
    return false;
}

// --- Clients ---

void IocpListener::startAccepting()
{
    Lock lock(m_mutex);
    m_isAccepting = true;
    takeClients(lock);
    lock.unlock();
    post(&IocpListener::refill);
}

/// Lets clients in where that has not begun. The oldest instance has the first client.
void IocpListener::takeClients(Lock &lock)
{
    const std::vector<InstancePtr> instances = m_waiting;
    for (const InstancePtr &instance : instances) {
        if (instance->isConnecting)
            continue;
        if (const TransportError error = takeClient(lock, instance))
            failed(lock, error);
    }
}

void IocpListener::stopAccepting()
{
    const Lock lock(m_mutex);
    m_isAccepting = false;
}

void IocpListener::placeFreed()
{
    {
        const Lock lock(m_mutex);
        if (!std::exchange(m_wantsPlace, false))
            return;
    }
    post(&IocpListener::refill);
}

/// Lets the client of \a instance in, the one that is there or the next.
TransportError IocpListener::takeClient(Lock &lock, const InstancePtr &instance)
{
    if (!m_isAccepting || !instance->hasPlace)
        return {}; // later
    instance->isConnecting = true;
    const Submission connect = submit(*instance, instance, false, [&](OVERLAPPED *overlapped) {
        return winApi().connectNamedPipe(instance->pipe.get(), overlapped);
    });
    const DWORD code = connect.error;
    if (connect.kind == Submission::Pending)
        return {};
    if (code == ERROR_PIPE_CONNECTED || code == ERROR_NO_DATA) {
        // It is here already, and may have gone again. No packet tells: a task does.
        m_waiting.erase(std::find(m_waiting.begin(), m_waiting.end(), instance));
        m_arrived.push_back(instance);
        post(&IocpListener::handOver);
        return {};
    }
    return cannotConnect(lock, instance, code);
}

/// ConnectNamedPipe() has failed. Such an instance is dropped, and replaced; but the last one stays
/// until there is another, for the name would go with it.
TransportError IocpListener::cannotConnect(Lock &lock, const InstancePtr &instance, DWORD code)
{
    instance->isConnecting = false;
    if (m_waiting.size() > 1)
        drop(lock, instance);
    return winError(code, "ConnectNamedPipe");
}

/// Worker: ConnectNamedPipe() has come back.
void IocpListener::connected(const InstancePtr &instance, DWORD error)
{
    Lock lock(m_mutex);
    if (m_isClosed)
        return;
    if (error != ERROR_SUCCESS && error != ERROR_PIPE_CONNECTED && error != ERROR_NO_DATA) {
        m_isConnectFailing = true;
        failed(lock, cannotConnect(lock, instance, error));
        return;
    }
    m_isConnectFailing = false;
    m_waiting.erase(std::find(m_waiting.begin(), m_waiting.end(), instance));
    m_arrived.push_back(instance);
    lock.unlock();
    handOver();
}

/// Worker, once for each client that has arrived: hands the oldest one over.
void IocpListener::handOver()
{
    Lock lock(m_mutex);
    if (!m_isAccepting || m_arrived.empty())
        return; // close() takes care of it
    const InstancePtr instance = std::move(m_arrived.front());
    m_arrived.pop_front();
    const std::shared_ptr<ListenerSink> sink = m_sink;
    WinHandle pipe = std::move(instance->pipe);
    std::shared_ptr<const void> claim = std::move(instance->claim);
    lock.unlock();

    refill(); // the next client finds an instance before a slot is called for this one
    PeerIdentity peer = pipeClient(pipe.get());
    const auto endpoint =
            std::make_shared<IocpEndpoint>(m_engine.shared_from_this(), std::move(pipe),
                                           std::move(peer), std::move(claim));

    // The last look is here, so that what stopAccepting() promises holds.
    lock.lock();
    const bool isStopped = !m_isAccepting;
    lock.unlock();
    if (isStopped) {
        endpoint->close();
        sink->releasePlace();
        return;
    }
    sink->accepted(endpoint);
}

// --- Trouble and the end ---

void IocpListener::drop(Lock &lock, const InstancePtr &instance)
{
    m_waiting.erase(std::remove(m_waiting.begin(), m_waiting.end(), instance), m_waiting.end());
    instance->pipe.close();
    instance->claim.reset();
    if (std::exchange(instance->hasPlace, false)) {
        const std::shared_ptr<ListenerSink> sink = m_sink;
        lock.unlock();
        sink->releasePlace();
        lock.lock();
    }
}

/// Tries again after a while, and tells the first time.
void IocpListener::failed(Lock &lock, const TransportError &error)
{
    if (!m_isAccepting || m_isClosed)
        return; // startAccepting() tries again
    const bool isNew = !std::exchange(m_isFailing, true);
    if (!std::exchange(m_isRetryPosted, true))
        m_engine.postAt(Clock::now() + m_backOff.next(),
                        std::make_shared<Step>(shared_from_this(), &IocpListener::retry));
    const std::shared_ptr<ListenerSink> sink = m_sink;
    lock.unlock();
    qCDebug(lcEngine, "%ls", qUtf16Printable(error.text()));
    if (isNew)
        sink->listenerFailed(error);
    lock.lock();
}

void IocpListener::retry()
{
    {
        Lock lock(m_mutex);
        m_isRetryPosted = false;
        takeClients(lock);
    }
    refill();
}

void IocpListener::post(void (IocpListener::*step)())
{
    m_engine.post(std::make_shared<Step>(shared_from_this(), step));
}

void IocpListener::close()
{
    std::vector<InstancePtr> instances;
    std::shared_ptr<ListenerSink> sink;
    {
        const Lock lock(m_mutex);
        m_isAccepting = false;
        m_isClosed = true;
        instances = std::exchange(m_waiting, {});
        instances.insert(instances.end(), m_arrived.begin(), m_arrived.end());
        m_arrived.clear();
        for (const InstancePtr &instance : instances) {
            // Cancelling ConnectNamedPipe() is said to be unreliable; closing always ends it.
            winApi().cancelIoEx(instance->pipe.get(), nullptr);
            instance->pipe.close();
        }
        sink = m_sink;
    }
    for (const InstancePtr &instance : instances) {
        if (instance->hasPlace)
            sink->releasePlace();
    }
}

void IocpListener::forgetSink()
{
    std::shared_ptr<ListenerSink> sink; // let go of unlocked
    const Lock lock(m_mutex);
    sink.swap(m_sink);
}

} // namespace QtNamedPipes
