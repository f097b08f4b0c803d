// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_FAKESERVER_H
#define QTNAMEDPIPES_TESTS_FAKESERVER_H

#include "core/connectionhub.h"
#include "core/pipedialer.h"
#include "faketransport.h"

#include <functional>

namespace QtNamedPipes {

/// One call of a face, or of the hub's owner.
struct FakeEvent
{
    enum Kind { Ready, ServerError, Opened, Message, InBatch, Sent, NotSent, Error, Closed };
    Kind kind = Ready;
    quint64 id = 0; ///< of the connection; 0: the server's own
    QVariant cookie;
    QByteArray data;
    NamedPipe::Error error = NamedPipe::NoError;
    QString text;

    QString line() const;
};

/// What was delivered; checks what holds for every sequence of events: opened first and once,
/// closed last and once, nothing else outside. Of a connection that is dialed, errors and closed
/// may come without opened.
class FakeLog
{
public:
    ~FakeLog();

    void add(const FakeEvent &event);

    QList<FakeEvent> events() const;
    /// "opened", "batched data", "message data" or "message data #cookie", "sent #cookie", "notSent #cookie", "error Code", "closed";
    /// of one connection, or of all and the server.
    QStringList lines(quint64 id) const;
    QStringList lines() const;
    int count(FakeEvent::Kind kind, quint64 id = 0) const; ///< id 0: of all
    QList<QByteArray> messages(quint64 id) const;
    ConnectionFace::Listeners listeners; ///< as if signals were connected
    void clear(); ///< the past still counts for the checks

    /// The connection \a id is not there yet.
    void expectDial(quint64 id);
    /// Called for each event, as a slot is. Set before events come.
    std::function<void(const FakeEvent &)> hook;
    /// Nothing may come from now on.
    void expectSilence();

private:
    mutable std::mutex m_mutex;
    QList<FakeEvent> m_events;
    QList<quint64> m_opened;
    QList<quint64> m_closed;
    QList<quint64> m_dialed;
    QStringList m_wrong;
    bool m_silent = false;
};

/// What NamedPipeServer is to the hub, with everything recorded; with Side::Client in the settings
/// what NamedPipeClientManager is.
class FakeServer final : public QObject, public HubOwner
{
public:
    explicit FakeServer(const HubSettings &settings = {}, bool continuous = true, int threads = 0);
    ~FakeServer() override; ///< as NamedPipeServer's: abandons the hub when it was not stopped

    /// Starts, and with threads 0 delivers ready().
    bool start();
    /// Delivers everything there is, as the event loop and the workers would.
    void deliver();
    /// One turn of the event loop; false when no event was posted for it.
    bool deliverOnce();
    void stop();

    /// Client side: a connection that is being made.
    std::shared_ptr<PipeConnection> dial(const DialSettings &dial = {});

    std::shared_ptr<FakeEndpoint> connectClient();
    /// A client whose opened() has been delivered, and that a read is waiting for.
    std::shared_ptr<FakeEndpoint> openClient();
    std::shared_ptr<PipeConnection> connection(int index = 0) const;
    /// Lets go of the pointers that connection() returns.
    void forgetConnections();

    int drainEvents() const { return m_drains; }

    bool listensToSent = true; ///< read by start()

    // HubOwner
    std::unique_ptr<ConnectionFace> makeFace(
            const std::shared_ptr<PipeConnection> &connection) override;
    void ready() override;
    void errorOccurred(const TransportError &error) override;

    const std::shared_ptr<FakeLog> log = std::make_shared<FakeLog>();
    const std::shared_ptr<FakeEngine> engine;
    std::shared_ptr<ConnectionHub> hub;

protected:
    bool event(QEvent *event) override;

private:
    int m_drains = 0;
    mutable std::mutex m_mutex;
    QList<std::shared_ptr<PipeConnection>> m_connections;
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_TESTS_FAKESERVER_H
