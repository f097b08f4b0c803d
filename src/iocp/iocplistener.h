// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_IOCPLISTENER_H
#define QTNAMEDPIPES_IOCPLISTENER_H

#include "core/pipetransport.h"
#include "core/backoff.h"
#include "iocp/winhandle.h"
#include "iocp/winsecurity.h"

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace QtNamedPipes {

class IocpEngine;

/// Keeps instances of the pipe waiting for clients: a client can come to each from the moment it is
/// created, with or without a ConnectNamedPipe(). Each has a place of maxConnections, reserved
/// before it is created.
///
/// When no place is left and no instance waits, one is kept without a place, the doorstop: it holds
/// the name, which would be anybody's otherwise when the last client leaves. A client that comes to
/// it waits until there is a place.
///
/// Every client gets a fresh instance. One that is already gone again is handed over like any
/// other: what it has sent can still be read.
class IocpListener final : public std::enable_shared_from_this<IocpListener>
{
public:
    IocpListener(IocpEngine &engine, const ListenSettings &settings,
                 std::shared_ptr<ListenerSink> sink);
    ~IocpListener();

    /// Claims the name, and creates what instances there are places for.
    TransportError listen();
    void startAccepting();
    /// No client is handed over any more; the name is kept.
    void stopAccepting();
    /// Any thread; only posts a task.
    void placeFreed();
    /// Closes the instances and gives back their places. What is in flight comes back to nobody.
    void close();
    /// After close(), when no worker is left: ends the circle of hub, engine and listener.
    void forgetSink();

private:
    class Instance;
    class Step;
    using Lock = std::unique_lock<std::mutex>;
    using InstancePtr = std::shared_ptr<Instance>;

    TransportError createInstance(InstancePtr *instance);
    TransportError claimName(InstancePtr *instance);

    void refill();
    bool addOne(Lock &lock);
    size_t usable() const;
    bool settled();
    TransportError takeClient(Lock &lock, const InstancePtr &instance);
    TransportError cannotConnect(Lock &lock, const InstancePtr &instance, DWORD code);
    void takeClients(Lock &lock);
    void connected(const InstancePtr &instance, DWORD error);
    void handOver();
    void drop(Lock &lock, const InstancePtr &instance);
    void failed(Lock &lock, const TransportError &error);
    void retry();
    void post(void (IocpListener::*step)());

    IocpEngine &m_engine; // owns this; tasks and packets live no longer than its workers
    const ListenSettings m_settings;
    const std::wstring m_path;
    WinSecurity m_security;
    /// Each instance that is open has a part in it, those with a client too: as long as there is
    /// one, the name is this server's.
    const std::shared_ptr<const void> m_claim = std::make_shared<char>();

    std::mutex m_mutex; // never held while the sink is called
    std::shared_ptr<ListenerSink> m_sink;
    std::vector<InstancePtr> m_waiting; ///< without a client, as far as is known; oldest first
    std::deque<InstancePtr> m_arrived; ///< with a client, to be handed over; oldest first
    bool m_isAccepting = false;
    bool m_isClosed = false;
    bool m_isRefilling = false; ///< a thread is in refill() ...
    bool m_refillAgain = false; ///< ... and is to look once more
    bool m_wantsPlace = false; ///< placeFreed() matters
    bool m_isFailing = false; ///< an episode of trouble, which has been reported
    bool m_isConnectFailing = false; ///< ... in which ConnectNamedPipe() comes back with errors
    bool m_isRetryPosted = false;
    BackOff m_backOff;
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_IOCPLISTENER_H
