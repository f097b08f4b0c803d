// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_CLIENTRECORDER_H
#define QTNAMEDPIPES_TESTS_CLIENTRECORDER_H

#include "waiting.h"

#include <QtNamedPipes/NamedPipeClientConnection>
#include <QtNamedPipes/NamedPipeClientManager>

#include <QtCore/qlist.h>
#include <QtCore/qstringlist.h>

#include <functional>
#include <memory>

/// One signal of a client's connection.
struct ClientEvent
{
    enum Kind { Connected, Message, Sent, NotSent, Error, Disconnected };
    Kind kind = Connected;
    int client = -1; ///< what watch() returned for the connection
    QVariant cookie;
    QByteArray data;
    NamedPipe::Error error = NamedPipe::NoError;
    QString text;
};

/// Listens to every signal of the connections that it watches, on whatever thread it comes, and
/// checks what the contract says about any sequence of events: connected and disconnected in turns,
/// messages and answers between them, nothing sent after something that was not, the right thread,
/// never two events of a connection at a time, and one answer for one cookie. What it finds wrong
/// fails the test when the recorder is destroyed. Hooks run inside the slot, as a user's code would.
/// It holds no reference to a connection: who drops the last one closes it.
class ClientRecorder
{
public:
    enum Keeping { KeepEverything, CountOnly };

    using ConnectionHook = std::function<void(NamedPipeClientConnection &)>;
    using MessageHook = std::function<void(NamedPipeClientConnection &, const QVariant &cookie,
                                           const QByteArray &data)>;
    using CookieHook = std::function<void(NamedPipeClientConnection &, const QVariant &cookie)>;
    using ErrorHook = std::function<void(NamedPipeClientConnection &, NamedPipe::Error)>;

    explicit ClientRecorder(Keeping keeping = KeepEverything);
    ~ClientRecorder();
    ClientRecorder(const ClientRecorder &) = delete;
    ClientRecorder &operator=(const ClientRecorder &) = delete;

    /// Listens to \a connection of \a manager from now on: to be called by the preparation of
    /// connectToServer(), on the manager's thread. The connections count from 0.
    int watch(const NamedPipeClientConnectionPtr &connection,
              const NamedPipeClientManager &manager);

    // Set before the first watch(): the slots read them without a lock.
    ConnectionHook &onConnected();
    ConnectionHook &onDisconnected();
    MessageHook &onMessage();
    CookieHook &onSent();
    CookieHook &onNotSent();
    ErrorHook &onError();
    /// Runs in every slot, before the hook of its own.
    std::function<void(NamedPipeClientConnection &, ClientEvent::Kind)> &onAny();

    QList<ClientEvent> events() const;
    QList<ClientEvent> eventsOf(int client) const;
    QList<ClientEvent::Kind> kinds() const;
    QList<ClientEvent::Kind> kindsOf(int client) const;
    int count() const;
    int count(ClientEvent::Kind kind) const;
    int count(ClientEvent::Kind kind, int client) const;
    /// The data of all messages, in the order of their arrival.
    QList<QByteArray> messages() const;
    QList<QByteArray> messagesOf(int client) const;
    QList<QVariant> cookies(ClientEvent::Kind kind) const;
    QList<QVariant> cookiesOf(ClientEvent::Kind kind, int client) const;
    QList<NamedPipe::Error> errors() const;
    /// The texts that came with errors.
    QStringList texts() const;
    void clear();

    bool waitFor(ClientEvent::Kind kind, int times = 1,
                 std::chrono::milliseconds timeout = patience) const;

    /// Cookies of writes are not all different in this test.
    void allowRepeatedCookies();
    QStringList violations() const;
    /// Reports nothing any more, for tests that break the rules on purpose.
    void ignoreViolations();

private:
    struct Private;
    std::shared_ptr<Private> d;
    QList<QMetaObject::Connection> m_links;
};

#endif // QTNAMEDPIPES_TESTS_CLIENTRECORDER_H
