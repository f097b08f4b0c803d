// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_EPOLLLISTENER_H
#define QTNAMEDPIPES_EPOLLLISTENER_H

#include "core/backoff.h"
#include "core/pipetransport.h"
#include "epoll/epollengine.h"
#include "epoll/socketname.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace QtNamedPipes {

/// Lets clients in, for as long as there are places; never ends by itself.
class EpollListener final : public EpollHandler, public std::enable_shared_from_this<EpollListener>
{
public:
    EpollListener(EpollEngine &engine, std::shared_ptr<ListenerSink> sink,
                  NamedPipe::AccessOptions access);

    TransportError claim(const ListenSettings &settings);
    void start();
    void stop(); ///< waits for a client that is being let in, on another thread
    void placeFreed();
    void close();

    void handle(quint32 events) override;

private:
    enum class Outcome { Accepted, NothingThere, NoPlace, Trouble };
    Outcome acceptOne(std::vector<PeerIdentity> &refused);
    Outcome trouble(int code, const char *operation);
    bool isWelcome(int fd, PeerIdentity *peer) const;
    void rearm();

    EpollEngine &m_engine;
    const NamedPipe::AccessOptions m_access;
    SocketName m_name;
    std::atomic<bool> m_waitsForPlace { false };

    std::mutex m_mutex; // guards the rest; held while a client is let in, which runs no slot
    std::shared_ptr<ListenerSink> m_sink; ///< null: stopped
    quint64 m_key = 0;
    bool m_inTrouble = false;
    BackOff m_backOff;
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_EPOLLLISTENER_H
