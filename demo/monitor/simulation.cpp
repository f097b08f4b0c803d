// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "simulation.h"

#include <QtNamedPipes/NamedPipeClientManager>

#include <QtCore/qcoreapplication.h>
#include <QtCore/qelapsedtimer.h>
#include <QtCore/qfile.h>
#include <QtCore/qrandom.h>
#include <QtCore/qtimer.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

static constexpr int TickMilliseconds = 20;
// With a rate of 0: so many bytes of a client wait to be sent at most, and so many messages of it
// are written before the next has its turn.
static constexpr qint64 QueuedWhenFlooding = 64 * 1024;
static constexpr int MessagesInATurn = 100;
// More than this is not made up for when the process could not keep up.
static constexpr double LongestArrears = 0.2;

namespace {

/// One client: sends at its rate, and lets the answers go by. The manager is free-threaded, so that
/// the workers take the answers off the pipe whatever this thread does.
class SimulatedClient
{
public:
    SimulatedClient(NamedPipeClientManager &manager, const SimulationSettings &settings, int number,
                    const NamedPipeClientManager::Preparation &connectSignals)
        : m_settings(settings),
          m_number(number),
          m_connection(manager.connectToServer(settings.pipeName, connectSignals)),
          m_due(QRandomGenerator::global()->generateDouble()) // not all in the same moment
    {
    }

    /// Sends what is due after \a seconds more.
    void send(double seconds)
    {
        if (!m_connection->isConnected())
            return;
        if (m_settings.rate == 0) {
            for (int i = 0; i < MessagesInATurn && m_connection->bytesToWrite() < QueuedWhenFlooding
                 && m_connection->asyncWrite(nextMessage());
                 ++i) { }
            return;
        }
        m_due += std::min(seconds, LongestArrears) * m_settings.rate;
        while (m_due >= 1) {
            m_due -= 1;
            m_connection->asyncWrite(nextMessage());
        }
    }

private:
    /// JSON when there is room for it, so that a reader has something to look at.
    QByteArray nextMessage()
    {
        ++m_sent;
        QByteArray message = "{\"client\":" + QByteArray::number(m_number)
                + ",\"message\":" + QByteArray::number(m_sent) + ",\"celsius\":"
                + QByteArray::number(20 + 5 * std::sin(double(m_sent) / 50 + m_number), 'f', 1)
                + ",\"fill\":\"";
        const QByteArray end = "\"}";
        const qsizetype fill = m_settings.size - message.size() - end.size();
        if (fill < 0)
            return message.left(m_settings.size);
        return message.append(fill, '.') + end;
    }

    const SimulationSettings m_settings;
    const int m_number;
    const NamedPipeClientConnectionPtr m_connection;
    qint64 m_sent = 0;
    double m_due; ///< messages that should have been sent by now
};

} // namespace

/// Ends the program when the process that has started it closes the channel, or is no more.
static void quitWithStandardInput()
{
    std::thread([] {
        // Not std::getchar(): it holds the lock of stdin, for which a newer C library waits in exit().
        QFile input;
        char byte;
        if (input.open(0, QIODevice::ReadOnly | QIODevice::Unbuffered))
            while (input.read(&byte, 1) > 0) { }
        QMetaObject::invokeMethod(qApp, &QCoreApplication::quit, Qt::QueuedConnection);
    }).detach(); // it waits in a system call that cannot be cancelled
}

int runSimulation(const SimulationSettings &settings)
{
    NamedPipeClientManager manager;
    manager.setConnectTimeout(30'000);
    manager.setFreeThreadingEvents(true);
    std::vector<std::unique_ptr<SimulatedClient>> clients;
    int connected = 0;
    int ended = 0;
    const auto progress = [&] {
        std::printf("connected %d\n", connected);
        std::fflush(stdout);
    };
    const auto end = [&] {
        progress();
        if (++ended == settings.clients)
            QCoreApplication::quit();
    };
    // Called before anything happens with a connection. The context object brings the signals to
    // this thread.
    const auto connectSignals = [&](const NamedPipeClientConnectionPtr &made) {
        const auto *connection = made.get();
        QObject::connect(connection, &NamedPipeClientConnection::connected, &manager, [&] {
            ++connected;
            progress();
        });
        QObject::connect(connection, &NamedPipeClientConnection::disconnected, &manager, [&] {
            --connected;
            end();
        });
        QObject::connect(connection, &NamedPipeClientConnection::errorOccurred, &manager,
                         [&, connection](NamedPipe::Error, const QString &text) {
                             if (connection->closeReason() != NamedPipe::Failed)
                                 return; // the server has gone; disconnected() follows
                             std::fprintf(stderr, "%s\n", qPrintable(text));
                             end();
                         });
    };
    for (int number = 1; number <= settings.clients; ++number)
        clients.push_back(
                std::make_unique<SimulatedClient>(manager, settings, number, connectSignals));
    QElapsedTimer sinceLast;
    sinceLast.start();
    QTimer tick;
    tick.setTimerType(Qt::PreciseTimer);
    QObject::connect(&tick, &QTimer::timeout, &manager, [&] {
        const double seconds = double(sinceLast.nsecsElapsed()) / 1e9;
        sinceLast.restart();
        for (const auto &client : clients)
            client->send(seconds);
    });
    tick.start(settings.rate == 0 ? 1 : TickMilliseconds);
    quitWithStandardInput();
    return QCoreApplication::exec();
}
