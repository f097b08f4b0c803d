// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef SIMULATIONPANEL_H
#define SIMULATIONPANEL_H

#include "simulatedclients.h"

#include <QtWidgets/qwidget.h>

class QLabel;
class QProgressBar;
class QPushButton;
class QSettings;
class QSpinBox;

/// Starts and stops clients in a second process.
class SimulationPanel : public QWidget
{
    Q_OBJECT

public:
    explicit SimulationPanel(QWidget *parent = nullptr);

    SimulatedClients &clients() { return m_simulation; }
    void setNumbers(int clients, int rate, int size);
    /// The pipe to connect to; empty while there is no server.
    void setServer(const QString &pipeName);

    void save(QSettings &settings) const;
    void restore(const QSettings &settings);

public Q_SLOTS:
    void startOrStop();

private:
    void showState();

    SimulatedClients m_simulation;
    QString m_pipeName;
    QSpinBox *m_clients;
    QSpinBox *m_rate;
    QSpinBox *m_size;
    QPushButton *m_start;
    QProgressBar *m_progress;
    QLabel *m_trouble;
};

#endif // SIMULATIONPANEL_H
