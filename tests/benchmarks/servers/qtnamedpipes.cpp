// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// This library, as its users use it. --variant:
//   marshalled        signals on the main thread, one for each message: the default of the library
//   free-threaded     signals on the worker
//   batch             free-threaded, one signal for many messages
//   batch-marshalled  the same on the main thread

#include "common/process.h"
#include "common/service.h"
#include "servers/ticker.h"

#include <QtNamedPipes/NamedPipeServer>

#include <QtCore/qcoreapplication.h>

#include <cstdio>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

using namespace bench;

/// The states of the clients, which several workers ask for.
class Clients
{
public:
    explicit Clients(Service &service) : m_service(service) { }

    void add(const NamedPipeServerConnection *connection)
    {
        auto state = std::make_unique<ClientState>();
        m_service.added(*state);
        const std::lock_guard lock(m_mutex);
        m_states.emplace(connection->id(), std::move(state));
    }

    void remove(const NamedPipeServerConnection *connection)
    {
        const std::lock_guard lock(m_mutex);
        const auto it = m_states.find(connection->id());
        m_service.removed(*it->second);
        m_states.erase(it);
    }

    /// Messages come in runs: most are of the client that the last one was of.
    ClientState &of(const NamedPipeServerConnection *connection)
    {
        thread_local quint64 lastId = 0;
        thread_local ClientState *last = nullptr;
        const quint64 id = connection->id();
        if (id != lastId) {
            const std::lock_guard lock(m_mutex);
            last = m_states.at(id).get();
            lastId = id;
        }
        return *last;
    }

private:
    Service &m_service;
    std::mutex m_mutex;
    std::unordered_map<quint64, std::unique_ptr<ClientState>> m_states;
};

int main(int argc, char **argv)
{
    const auto options = ServerOptions::parse(argc, argv);
    const bool isBatch = options.variant == "batch" || options.variant == "batch-marshalled";
    const bool isFreeThreaded = options.variant == "free-threaded" || options.variant == "batch";
    if (!isBatch && !isFreeThreaded && options.variant != "marshalled") {
        std::fprintf(stderr, "what is --variant %s?\n", options.variant.c_str());
        return 2;
    }
    raiseDescriptorLimit();
    QCoreApplication app(argc, argv);
    Service service(options);
    Clients clients(service);
    std::optional<Ticker> ticker;
    if (options.ticks) {
        ticker.emplace();
        service.onReport([&ticker] { return ticker->report(); });
    }

    NamedPipeServer server(QString::fromStdString(options.name));
    server.setFreeThreadingEvents(isFreeThreaded);
    server.setNumThreadsIOCP(options.threads);

    const auto answer = [&](Service::Answer kind, const NamedPipeServerConnectionPtr &connection,
                            const auto &message) {
        switch (kind) {
        case Service::Answer::None:
            break;
        case Service::Answer::SameBack:
            if constexpr (std::is_same_v<std::decay_t<decltype(message)>, QByteArray>)
                connection->asyncWrite(message);
            else
                connection->asyncWrite(message.toByteArray());
            break;
        case Service::Answer::Report:
            connection->asyncWrite(QByteArray::fromStdString(service.report()));
            break;
        case Service::Answer::Broadcast:
            service.broadcast(message.data(), [&](const char *data, std::size_t size) {
                server.asyncBroadcast(QByteArray(data, qsizetype(size)));
            });
            break;
        }
    };
    const auto received = [&](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                              const QByteArray &message) {
        ClientState &client = clients.of(connection.get());
        answer(service.handle(client, message.constData(), std::size_t(message.size())), connection,
               message);
    };
    const auto batchReceived = [&](const NamedPipeServerConnectionPtr &connection,
                                   const NamedPipeMessageBatch &messages) {
        ClientState &client = clients.of(connection.get());
        for (const QByteArrayView message : messages) {
            answer(service.handle(client, message.data(), std::size_t(message.size())), connection,
                   message);
        }
    };

    const auto direct =
            Qt::DirectConnection; // the server's thread, or in free-threaded mode the worker
    const auto connected = [&](const NamedPipeServerConnectionPtr &connection) {
        clients.add(connection.get());
    };
    const auto disconnected = [&](const NamedPipeServerConnectionPtr &connection) {
        clients.remove(connection.get());
    };
    QObject::connect(&server, &NamedPipeServer::clientConnected, &server, connected, direct);
    QObject::connect(&server, &NamedPipeServer::clientDisconnected, &server, disconnected, direct);
    if (isBatch) {
        QObject::connect(&server, &NamedPipeServer::clientMessageBatchReceived, &server,
                         batchReceived, direct);
    } else {
        QObject::connect(&server, &NamedPipeServer::clientMessageReceived, &server, received,
                         direct);
    }
    if (!server.start()) {
        std::fprintf(stderr, "cannot start: %s\n", qPrintable(server.errorString()));
        return 1;
    }
    sayReady();
    return QCoreApplication::exec();
}
