// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

//! [program]
#include <QtNamedPipes/NamedPipeServer>
#include <QtCore/QCoreApplication>
#include <QtCore/QDebug>

#include <csignal>
#include <thread>

int main(int argc, char *argv[])
{
    // Blocked here, and so in every thread that is made later: a thread waits for them.
    sigset_t stopSignals;
    sigemptyset(&stopSignals);
    sigaddset(&stopSignals, SIGINT);
    sigaddset(&stopSignals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stopSignals, nullptr);

    QCoreApplication app(argc, argv);
    NamedPipeServer server(QStringLiteral("service"));
    QObject::connect(&server, &NamedPipeServer::clientMessageReceived, &server,
                     [](const NamedPipeServerConnectionPtr &client, const QVariant &,
                        const QByteArray &message) { client->asyncWrite(message); });
    if (!server.start()) {
        qCritical() << server.errorString();
        return 1;
    }
    std::thread waiter([&server, stopSignals] {
        int signal = 0;
        sigwait(&stopSignals, &signal);
        server.manualMessageLoopLeave(); // may be called on any thread
    });
    server.manualMessageLoopEnter();
    waiter.join();
    return server.stopWhenSent(3000) ? 0 : 1; // clients get what is queued, if they read it
}
//! [program]
