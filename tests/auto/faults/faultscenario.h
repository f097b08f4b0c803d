// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_FAULTSCENARIO_H
#define QTNAMEDPIPES_TESTS_FAULTSCENARIO_H

#include "clientrecorder.h"
#include "faultinjector.h"
#include "serverrecorder.h"

#include <mutex>

struct Mode
{
    bool isFreeThreaded;
    int workers;
    bool asksToRead = false; ///< each message is asked for; so a time comes when nobody reads
    bool hasAllPackets = false; ///< Windows: what is done at once has a packet, too
};

/// A server whose predecessor has crashed, and two clients, who start, exchange messages, close, stop
/// and start again while calls fail as \a plan says. Empty when everything was as promised, else
/// what was not.
QString runScenario(const Mode &mode, const Faults::Plan &plan);

/// One run of it.
class FaultScenario
{
public:
    explicit FaultScenario(const Mode &mode);

    bool play(); ///< with faults
    bool isBalanced(); ///< afterwards: nothing was lost without being told
    QString wrong() const { return m_wrong; }
    /// Of all connections: null when this is gone.
    QList<QWeakPointer<QObject>> objects() const;

private:
    bool fail(const QString &what);
    bool start();
    bool isListed();
    bool exchange();
    bool stopInTheMiddle();
    bool serves();
    bool leavesNothing();
    void dial();
    bool isComplete(int attempt) const;
    bool isOver(int attempt) const;
    bool isBalanced(int attempt);
    bool isBalanced(const NamedPipeServerConnectionPtr &connection);

    QString m_wrong;
    int m_failures = 0; ///< starts, attempts and connections that came to nothing
    std::mutex m_mutex;
    QList<QList<int>> m_taken; ///< cookies of what asyncWrite() took, for each attempt
    QList<NamedPipeClientConnectionPtr> m_attempts;
    ClientRecorder m_clientEvents;
    NamedPipeServer m_server;
    ServerRecorder m_serverEvents;
    NamedPipeClientManager m_manager;
};

#endif // QTNAMEDPIPES_TESTS_FAULTSCENARIO_H
