// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "simulatedclients.h"

#include <QtCore/qcoreapplication.h>
#include <QtCore/qtimer.h>

// How long the process may take to end by itself.
static constexpr int Patience = 2000;

SimulatedClients::SimulatedClients(QObject *parent)
    : QObject(parent),
      m_program(QCoreApplication::applicationFilePath())
{
    connect(&m_process, &QProcess::readyReadStandardOutput, this, &SimulatedClients::read);
    connect(&m_process, &QProcess::started, this, &SimulatedClients::started);
    connect(&m_process, &QProcess::finished, this, &SimulatedClients::ended);
    connect(&m_process, &QProcess::errorOccurred, this, [this](QProcess::ProcessError error) {
        if (error == QProcess::FailedToStart)
            Q_EMIT finished(
                    tr("The process of the clients cannot start: %1").arg(m_process.errorString()));
    });
}

SimulatedClients::~SimulatedClients()
{
    m_process.disconnect(this);
    m_process.closeWriteChannel();
    if (isRunning() && !m_process.waitForFinished(Patience)) {
        m_process.kill();
        m_process.waitForFinished(Patience);
    }
}

void SimulatedClients::start(const SimulationSettings &settings)
{
    if (isRunning())
        return;
    m_connected = 0;
    m_total = settings.clients;
    m_process.start(m_program,
                    { QStringLiteral("--simulate-against"), settings.pipeName,
                      QStringLiteral("--simulate"), QString::number(settings.clients),
                      QStringLiteral("--rate"), QString::number(settings.rate),
                      QStringLiteral("--size"), QString::number(settings.size) });
}

void SimulatedClients::stop()
{
    if (!isRunning())
        return;
    m_process.closeWriteChannel(); // it ends with its standard input
    QTimer::singleShot(Patience, &m_process, &QProcess::kill); // harmless when it has ended
}

void SimulatedClients::read()
{
    const int before = m_connected;
    while (m_process.canReadLine()) {
        const QByteArray line = m_process.readLine().trimmed();
        if (line.startsWith("connected "))
            m_connected = line.mid(10).toInt();
    }
    if (m_connected != before)
        Q_EMIT progressed();
}

void SimulatedClients::ended()
{
    m_connected = 0;
    const QString trouble = QString::fromLocal8Bit(m_process.readAllStandardError())
                                    .section(QLatin1Char('\n'), 0, 0);
    Q_EMIT progressed();
    Q_EMIT finished(trouble);
}
