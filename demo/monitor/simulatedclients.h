// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef SIMULATEDCLIENTS_H
#define SIMULATEDCLIENTS_H

#include "simulation.h"

#include <QtCore/qprocess.h>

/// Clients in a process of their own, so that they do not use the time of the window's.
class SimulatedClients : public QObject
{
    Q_OBJECT

public:
    explicit SimulatedClients(QObject *parent = nullptr);
    ~SimulatedClients() override;

    void start(const SimulationSettings &settings);
    void stop();
    bool isRunning() const { return m_process.state() != QProcess::NotRunning; }
    int connectedCount() const { return m_connected; }
    int totalCount() const { return m_total; }

    /// The program that knows \c --simulate-against; this one, if it is not set.
    void setProgram(const QString &program) { m_program = program; }

Q_SIGNALS:
    void progressed(); ///< connectedCount() has changed
    void started();
    void finished(const QString &trouble); ///< in words; empty when there was none

private:
    void read();
    void ended();

    QString m_program;
    QProcess m_process;
    int m_connected = 0;
    int m_total = 0;
};

#endif // SIMULATEDCLIENTS_H
