// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// What many programs have today: a thread reads, and hands each message to the main thread by a
// queued call with a QByteArray; answers are written there.
//
// There is no back pressure by nature: a main thread that is slower than the clients queues what
// they send, without a limit. Here only the duration of the benchmark is one.

#include "common/process.h"
#include "common/service.h"
#include "servers/ticker.h"

#include <QtCore/qbytearray.h>
#include <QtCore/qcoreapplication.h>
#include <QtCore/qendian.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <unordered_set>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

constexpr qsizetype LengthSize = sizeof(quint32);
constexpr qsizetype ReadSize = 256 * 1024;

struct Client
{
    explicit Client(int descriptor) : socket(descriptor) { }
    ~Client() { ::close(socket); }

    const int socket;
    QByteArray input; ///< of the reading thread: what is not handed over yet
    bench::ClientState state; ///< of the main thread
};
/// Held by each call that is queued, too.
using ClientPtr = std::shared_ptr<Client>;

qsizetype lengthAt(const char *data)
{
    const quint32 length = qFromBigEndian<quint32>(data);
    return length == 0xffffffff ? 0 : qsizetype(length);
}

/// On the main thread.
class Receiver : public QObject
{
public:
    explicit Receiver(const bench::ServerOptions &options) : service(options) { }

    void connected(const ClientPtr &client)
    {
        service.added(client->state);
        m_clients.insert(client);
    }

    void disconnected(const ClientPtr &client)
    {
        m_clients.erase(client);
        service.removed(client->state);
    }

    void received(const ClientPtr &client, const QByteArray &message)
    {
        switch (service.handle(client->state, message.constData(), std::size_t(message.size()))) {
        case bench::Service::Answer::None:
            break;
        case bench::Service::Answer::SameBack:
            send(*client, message.constData(), std::size_t(message.size()));
            break;
        case bench::Service::Answer::Report: {
            const std::string report = service.report();
            send(*client, report.data(), report.size());
            break;
        }
        case bench::Service::Answer::Broadcast:
            service.broadcast(message.constData(), [this](const char *data, std::size_t size) {
                for (const ClientPtr &each : m_clients)
                    send(*each, data, size);
            });
            break;
        }
    }

    bench::Service service;

private:
    /// Waits until the socket has taken all of it. If the client has gone, reading finds it out.
    static void send(const Client &client, const char *data, std::size_t size)
    {
        quint32 length = qToBigEndian(quint32(size));
        iovec parts[] = { { &length, sizeof length }, { const_cast<char *>(data), size } };
        msghdr message {};
        message.msg_iov = parts;
        message.msg_iovlen = 2;
        ::sendmsg(client.socket, &message, MSG_NOSIGNAL);
    }

    std::unordered_set<ClientPtr> m_clients;
};

/// Queues a call for each whole message, and keeps the rest.
void handOver(Receiver &receiver, const ClientPtr &client)
{
    const char *at = client->input.constData();
    const char *const end = at + client->input.size();
    while (end - at >= LengthSize && end - at - LengthSize >= lengthAt(at)) {
        const QByteArray message(at + LengthSize, lengthAt(at));
        QMetaObject::invokeMethod(
                &receiver, [&receiver, client, message] { receiver.received(client, message); },
                Qt::QueuedConnection);
        at += LengthSize + message.size();
    }
    // Not remove(0, n): that makes QByteArray take new memory when it grows again.
    const qsizetype rest = end - at;
    std::memmove(client->input.data(), at, std::size_t(rest));
    client->input.resize(rest);
}

/// Of the reading thread.
void readAll(Receiver &receiver, int listener)
{
    std::vector<pollfd> waiting { { listener, POLLIN, 0 } };
    std::vector<ClientPtr> clients { nullptr }; // of the same number in waiting
    while (::poll(waiting.data(), waiting.size(), -1) > 0) {
        for (std::size_t i = waiting.size() - 1; i > 0; --i) {
            if (waiting[i].revents == 0)
                continue;
            const ClientPtr client = clients[i];
            const qsizetype begun = client->input.size();
            client->input.resize(begun + ReadSize);
            const ssize_t arrived =
                    ::recv(client->socket, client->input.data() + begun, ReadSize, 0);
            client->input.resize(begun + qMax(ssize_t(0), arrived));
            handOver(receiver, client);
            if (arrived <= 0) {
                waiting.erase(waiting.begin() + std::ptrdiff_t(i));
                clients.erase(clients.begin() + std::ptrdiff_t(i));
                QMetaObject::invokeMethod(
                        &receiver, [&receiver, client] { receiver.disconnected(client); },
                        Qt::QueuedConnection);
            }
        }
        if (waiting[0].revents != 0) {
            const int socket = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
            if (socket < 0)
                break;
            const auto client = std::make_shared<Client>(socket);
            waiting.push_back({ socket, POLLIN, 0 });
            clients.push_back(client);
            QMetaObject::invokeMethod(
                    &receiver, [&receiver, client] { receiver.connected(client); },
                    Qt::QueuedConnection);
        }
    }
    std::perror("poll or accept");
    std::_Exit(1);
}

} // namespace

int main(int argc, char **argv)
{
    const bench::ServerOptions options = bench::ServerOptions::parse(argc, argv);
    bench::raiseDescriptorLimit();
    QCoreApplication app(argc, argv);

    const std::string path = options.socketPath();
    ::unlink(path.c_str());
    sockaddr_un address {};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::bind(listener, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0
        || ::listen(listener, SOMAXCONN) != 0) {
        std::perror(path.c_str());
        return 1;
    }

    Receiver receiver(options);
    std::unique_ptr<bench::Ticker> ticker;
    if (options.ticks) {
        ticker = std::make_unique<bench::Ticker>();
        receiver.service.onReport([&ticker] { return ticker->report(); });
    }
    std::thread([&receiver, listener] { readAll(receiver, listener); }).detach();
    bench::sayReady();
    return app.exec();
}
