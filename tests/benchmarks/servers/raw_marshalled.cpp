// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// The practical limit for a library that reads on a thread of its own and emits one Qt signal for
// each message on the main thread: system calls, a queue between the two threads, one event for what
// has gathered in it, and the signal. Without limits that hold, orderly ends, or errors of a client.

#include "common/process.h"
#include "servers/rawloop.h"

#include <QtCore/qbytearray.h>
#include <QtCore/qcoreapplication.h>
#include <QtCore/qsharedpointer.h>
#include <QtCore/qvariant.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

constexpr qsizetype BlockSize = bench::BufferSize;
constexpr qsizetype LengthSize = bench::LengthSize;
/// Messages from here on are put together in an array of their own.
constexpr qsizetype BigMessage = bench::BigFrame;
/// While more than this waits for the main thread nothing is read.
constexpr qsizetype MostWaiting = 1024 * 1024;

qsizetype lengthAt(const char *frame)
{
    return qsizetype(bench::frameSize(frame)) - LengthSize;
}

struct Client
{
    int fd = -1;
    bench::ClientState state; ///< the main thread's

    // The reader's: what is there of a message that has not arrived completely.
    QByteArray part; ///< with its length in front, or without when it is big
    qsizetype have = 0;
    bool isBig = false;
};

/// From the reader to the main thread.
struct Delivery
{
    enum Kind { Added, Frames, Message, Gone };
    Kind kind;
    Client *client;
    QByteArray data;
    qsizetype size = 0; ///< of the frames
};

/// The thread that reads.
class Reader
{
public:
    Reader(const bench::ServerOptions &options, QObject *target)
        : m_target(target),
          m_listener(bench::listenAt(options))
    {
        m_epoll = epoll_create1(EPOLL_CLOEXEC);
        watch(m_listener, nullptr);
        std::thread([this] { run(); }).detach(); // until the program ends
    }

    /// Main thread: what has come.
    std::vector<Delivery> take()
    {
        std::vector<Delivery> taken;
        const std::lock_guard lock(m_mutex);
        taken.swap(m_deliveries);
        m_isPosted = false;
        return taken;
    }

    /// Main thread: \a delivery has been worked off.
    void done(Delivery &delivery)
    {
        const std::lock_guard lock(m_mutex);
        if (m_waiting > MostWaiting)
            m_changed.notify_one();
        m_waiting -= delivery.data.size();
        auto &spares = delivery.kind == Delivery::Frames ? m_blocks : m_messages;
        if (delivery.data.isDetached() && spares.size() < 8)
            spares.push_back(std::move(delivery.data));
    }

private:
    void watch(int fd, Client *client)
    {
        epoll_event event {};
        event.events = EPOLLIN;
        event.data.ptr = client;
        if (epoll_ctl(m_epoll, EPOLL_CTL_ADD, fd, &event) != 0)
            bench::fail("epoll_ctl");
    }

    void run()
    {
        for (;;) {
            std::array<epoll_event, 64> events;
            const int count = epoll_wait(m_epoll, events.data(), int(events.size()), -1);
            for (int i = 0; i < count; ++i) {
                if (auto *client = static_cast<Client *>(events[std::size_t(i)].data.ptr))
                    read(*client);
                else
                    accept();
            }
        }
    }

    void accept()
    {
        for (;;) {
            const int fd = accept4(m_listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0)
                return;
            auto *client = new Client;
            client->fd = fd;
            deliver({ Delivery::Added, client, {} });
            watch(fd, client);
        }
    }

    void read(Client &client)
    {
        if (m_block.isNull())
            m_block = takeSpare(m_blocks, BlockSize);
        const qsizetype carried = client.isBig ? 0 : client.have;
        std::memcpy(m_block.data(), client.part.constData(), std::size_t(carried));
        const qsizetype missing = client.isBig ? client.part.size() - client.have : 0;
        iovec parts[2] = { { client.part.data() + client.have, std::size_t(missing) },
                           { m_block.data() + carried, std::size_t(BlockSize - carried) } };
        const ssize_t result = readv(client.fd, parts, 2);
        if (result < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (result <= 0) {
            epoll_ctl(m_epoll, EPOLL_CTL_DEL, client.fd, nullptr);
            return deliver({ Delivery::Gone, &client, {} });
        }
        const qsizetype toPart = std::min<qsizetype>(result, missing);
        if (client.isBig) {
            client.have += toPart;
            if (client.have < client.part.size())
                return;
            deliver({ Delivery::Message, &client, std::exchange(client.part, QByteArray()) });
            client.isBig = false;
        }
        const qsizetype end = carried + (result - toPart);
        qsizetype at = 0;
        qsizetype length = 0;
        while (end - at >= LengthSize) {
            length = lengthAt(m_block.constData() + at);
            if (length > end - at - LengthSize)
                break;
            at += LengthSize + length;
            length = 0;
        }
        client.have = end - at;
        client.isBig = length >= BigMessage;
        const qsizetype skipped = client.isBig ? LengthSize : 0;
        client.have -= skipped;
        if (client.isBig)
            client.part = takeSpare(m_messages, length);
        else if (client.part.size() < client.have)
            client.part = QByteArray(client.have, Qt::Uninitialized);
        std::memcpy(client.part.data(), m_block.constData() + at + skipped,
                    std::size_t(client.have));
        if (at == 0)
            return;
        // The block itself when it is full, and a copy when it is not: as this library does.
        if (at > BlockSize / 4)
            deliver({ Delivery::Frames, &client, std::exchange(m_block, QByteArray()), at });
        else
            deliver({ Delivery::Frames, &client, m_block.first(at), at });
    }

    QByteArray takeSpare(std::vector<QByteArray> &spares, qsizetype size)
    {
        const std::lock_guard lock(m_mutex);
        if (!spares.empty() && spares.back().size() == size) {
            QByteArray spare = std::move(spares.back());
            spares.pop_back();
            return spare;
        }
        spares.clear();
        return QByteArray(size, Qt::Uninitialized);
    }

    void deliver(Delivery &&delivery)
    {
        std::unique_lock lock(m_mutex);
        m_changed.wait(lock, [this] { return m_waiting <= MostWaiting; });
        m_waiting += delivery.data.size();
        m_deliveries.push_back(std::move(delivery));
        const bool isPosted = std::exchange(m_isPosted, true);
        lock.unlock();
        if (!isPosted)
            QCoreApplication::postEvent(m_target, new QEvent(QEvent::User));
    }

    QObject *const m_target;
    const int m_listener;
    int m_epoll = -1;
    QByteArray m_block;

    std::mutex m_mutex; // guards the rest
    std::condition_variable m_changed;
    std::vector<Delivery> m_deliveries;
    qsizetype m_waiting = 0; ///< bytes
    bool m_isPosted = false;
    std::vector<QByteArray> m_blocks;
    std::vector<QByteArray> m_messages;
};

/// The main thread's side: a signal for each message, and the answers of one delivery sent at once.
class Server : public QObject
{
    Q_OBJECT

public:
    explicit Server(const bench::ServerOptions &options)
        : m_service(options),
          m_reader(options, this)
    {
        connect(
                this, &Server::messageReceived, this,
                [this](const QSharedPointer<QObject> &, const QVariant &,
                       const QByteArray &message) { handle(message); },
                Qt::DirectConnection);
    }

Q_SIGNALS:
    void messageReceived(const QSharedPointer<QObject> &connection, const QVariant &cookie,
                         const QByteArray &message);

protected:
    void customEvent(QEvent *) override
    {
        for (Delivery &delivery : m_reader.take()) {
            m_client = delivery.client;
            switch (delivery.kind) {
            case Delivery::Added:
                m_service.added(m_client->state);
                break;
            case Delivery::Frames:
                emitFrames(delivery.data.constData(), delivery.size);
                break;
            case Delivery::Message:
                Q_EMIT messageReceived(m_connection, m_cookie, delivery.data);
                break;
            case Delivery::Gone:
                m_service.removed(m_client->state);
                ::close(m_client->fd);
                delete m_client;
                break;
            }
            if (!m_answers.empty())
                send(m_client->fd);
            m_reader.done(delivery);
        }
    }

private:
    void emitFrames(const char *frames, qsizetype size)
    {
        for (const char *at = frames; at < frames + size;) {
            const qsizetype length = lengthAt(at);
            m_message.resize(length); // its memory is used again: no slot keeps it
            std::memcpy(m_message.data(), at + LengthSize, std::size_t(length));
            Q_EMIT messageReceived(m_connection, m_cookie, m_message);
            at += LengthSize + length;
        }
    }

    void handle(const QByteArray &message)
    {
        switch (m_service.handle(m_client->state, message.constData(),
                                 std::size_t(message.size()))) {
        case bench::Service::Answer::None:
            break;
        case bench::Service::Answer::SameBack:
            bench::appendMessage(m_answers, message.constData(), std::size_t(message.size()));
            break;
        case bench::Service::Answer::Report: {
            const std::string report = m_service.report();
            bench::appendMessage(m_answers, report.data(), report.size());
            break;
        }
        case bench::Service::Answer::Broadcast:
            std::fprintf(stderr, "bench-server-raw-marshalled: it does not broadcast\n");
            std::exit(1);
        }
    }

    void send(int fd)
    {
        for (std::size_t sent = 0; sent < m_answers.size();) {
            const ssize_t result =
                    ::send(fd, m_answers.data() + sent, m_answers.size() - sent, MSG_NOSIGNAL);
            if (result > 0) {
                sent += std::size_t(result);
            } else if (errno == EAGAIN) { // the load generator reads in any case
                pollfd room { fd, POLLOUT, 0 };
                poll(&room, 1, -1);
            } else {
                break;
            }
        }
        m_answers.clear();
    }

    bench::Service m_service;
    const QSharedPointer<QObject> m_connection { new QObject };
    const QVariant m_cookie;
    QByteArray m_message;
    Client *m_client = nullptr;
    std::vector<char> m_answers;
    Reader m_reader; // last: it begins at once
};

} // namespace

int main(int argc, char **argv)
{
    const auto options = bench::ServerOptions::parse(argc, argv);
    bench::raiseDescriptorLimit();
    QCoreApplication app(argc, argv);
    Server server(options);
    bench::sayReady();
    return QCoreApplication::exec();
}

#include "raw_marshalled.moc"
