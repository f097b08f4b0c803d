// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "epoll/epolllistener.h"

#include "core/logging.h"
#include "epoll/epollendpoint.h"
#include "epoll/unixcalls.h"
#include "epoll/unixerror.h"

#include <QtCore/qcoreapplication.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace QtNamedPipes {

using namespace std::chrono_literals;

// Clients let in before other events have a turn.
static constexpr int AcceptBatch = 16;
// One-shot: one worker at a time lets clients in.
static constexpr quint32 AcceptEvents = EPOLLIN | EPOLLONESHOT;

EpollListener::EpollListener(EpollEngine &engine, std::shared_ptr<ListenerSink> sink,
                             NamedPipe::AccessOptions access)
    : m_engine(engine),
      m_access(access),
      m_sink(std::move(sink))
{
}

TransportError EpollListener::claim(const ListenSettings &settings)
{
    if (!settings.securityDescriptor.isEmpty())
        qCWarning(lcServer, "securityDescriptor is for Windows only; accessOptions are in force");
    return m_name.claim(settings.name, settings.backlog, settings.access);
}

void EpollListener::start()
{
    const std::lock_guard<std::mutex> lock(m_mutex);
    if (m_key == 0)
        rearm();
}

void EpollListener::stop()
{
    std::shared_ptr<ListenerSink> sink; // let go of unlocked
    const std::lock_guard<std::mutex> lock(m_mutex);
    sink.swap(m_sink);
    m_engine.unwatch(m_name.socket(), m_key);
    m_key = 0;
    // A client that came now would believe that it is connected, until the connections have ended.
    m_name.closeSocket();
}

void EpollListener::close()
{
    stop();
    m_name.release();
}

void EpollListener::placeFreed()
{
    // Cheap when nobody waits: this is called for each connection that ends.
    if (!m_waitsForPlace.exchange(false))
        return;
    const std::lock_guard<std::mutex> lock(m_mutex);
    rearm();
}

void EpollListener::rearm()
{
    if (!m_sink)
        return;
    const bool isArmed = m_key == 0
            ? m_engine.watch(m_name.socket(), AcceptEvents, shared_from_this(), &m_key)
            : m_engine.rewatch(m_name.socket(), AcceptEvents, m_key);
    if (!isArmed)
        trouble(errno, "epoll_ctl");
}

void EpollListener::handle(quint32)
{
    std::vector<PeerIdentity> refused; // told unlocked: the log's handler may be the user's
    std::unique_lock<std::mutex> lock(m_mutex);
    const std::shared_ptr<ListenerSink> sink = m_sink;
    auto outcome = Outcome::Accepted;
    for (int i = 0; m_sink && outcome == Outcome::Accepted && i < AcceptBatch; ++i)
        outcome = acceptOne(refused);
    if (outcome == Outcome::Accepted || outcome == Outcome::NothingThere)
        rearm(); // else placeFreed() or the back-off goes on
    lock.unlock();
    for (const PeerIdentity &peer : refused)
        sink->refused(peer);
}

EpollListener::Outcome EpollListener::acceptOne(std::vector<PeerIdentity> &refused)
{
    if (!m_sink->reservePlace()) {
        m_waitsForPlace = true; // and once more: a place may have become free just before
        if (!m_sink->reservePlace())
            return Outcome::NoPlace;
        m_waitsForPlace = false;
    }
    UnixFd fd(unixCalls().accept4(m_name.socket(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    const int code = errno;
    if (!fd) {
        m_sink->releasePlace();
        if (code == EAGAIN)
            return Outcome::NothingThere;
        if (code == EINTR || code == ECONNABORTED || code == EPROTO)
            return Outcome::Accepted; // that one has gone; on to the next
        return trouble(code, "accept4");
    }
    m_inTrouble = false;
    m_backOff.reset();
    PeerIdentity peer;
    if (!isWelcome(fd.get(), &peer)) {
        m_sink->releasePlace();
        refused.push_back(peer);
        return Outcome::Accepted;
    }
    m_sink->accepted(
            std::make_shared<EpollEndpoint>(m_engine.shared_from_this(), std::move(fd), peer));
    return Outcome::Accepted;
}

/// Accepting has failed. The client still waits in the backlog, so that listening on would spin:
/// the next try is after a while, or when a descriptor has become free.
EpollListener::Outcome EpollListener::trouble(int code, const char *operation)
{
    class Retry final : public EngineTask
    {
    public:
        explicit Retry(std::weak_ptr<EpollListener> listener) : m_listener(std::move(listener)) { }
        void run() override
        {
            if (const auto listener = m_listener.lock()) {
                const std::lock_guard<std::mutex> lock(listener->m_mutex);
                listener->m_waitsForPlace = false;
                listener->rearm();
            }
        }

    private:
        const std::weak_ptr<EpollListener> m_listener;
    };

    if (!m_inTrouble)
        m_sink->listenerFailed(unixError(code, operation));
    m_inTrouble = true;
    m_waitsForPlace = true;
    m_engine.postAt(Clock::now() + m_backOff.next(), std::make_shared<Retry>(weak_from_this()));
    return Outcome::Trouble;
}

/// The file's mode has let the client through; this is the second look, at who it is.
bool EpollListener::isWelcome(int fd, PeerIdentity *peer) const
{
    ucred credentials = {};
    if (!peerCredentials(fd, peer, &credentials))
        return false;
    if (credentials.uid == ::geteuid() || m_access.testFlag(NamedPipe::OtherAccess))
        return true;
    if (!m_access.testFlag(NamedPipe::GroupAccess))
        return false;
    if (credentials.gid == ::getegid())
        return true;
    std::vector<gid_t> groups(64);
    socklen_t length = 0;
    for (;;) {
        length = socklen_t(groups.size() * sizeof(gid_t));
        if (unixCalls().getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length) == 0)
            break;
        if (errno != ERANGE)
            return false;
        groups.resize(length / sizeof(gid_t));
    }
    const auto end = groups.begin() + length / sizeof(gid_t);
    return std::find(groups.begin(), end, ::getegid()) != end;
}

} // namespace QtNamedPipes
