// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "simulationpanel.h"

#include "colors.h"

#include <QtCore/qsettings.h>
#include <QtWidgets/qboxlayout.h>
#include <QtWidgets/qformlayout.h>
#include <QtWidgets/qlabel.h>
#include <QtWidgets/qprogressbar.h>
#include <QtWidgets/qpushbutton.h>
#include <QtWidgets/qspinbox.h>

static QSpinBox *addNumber(QFormLayout *form, const QString &label, const QString &tip, int minimum,
                           int maximum, int value)
{
    auto *box = new QSpinBox;
    box->setRange(minimum, maximum);
    box->setGroupSeparatorShown(true);
    box->setValue(value);
    box->setToolTip(tip);
    box->setAccessibleName(QString(label).remove(QLatin1Char('&')));
    form->addRow(label, box);
    return box;
}

SimulationPanel::SimulationPanel(QWidget *parent) : QWidget(parent)
{
    auto *form = new QFormLayout(this);
    form->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
    const SimulationSettings defaults;
    m_clients = addNumber(form, tr("Cli&ents"), tr("Connections to the server"), 1, 10'000,
                          defaults.clients);
    m_rate = addNumber(form, tr("R&ate"),
                       tr("Messages per second that each of them sends; 0: as many as the server "
                          "takes"),
                       0, 1'000'000, defaults.rate);
    m_rate->setSuffix(tr(" msg/s each"));
    m_rate->setSpecialValueText(tr("flood"));
    m_size = addNumber(form, tr("Si&ze"), tr("Bytes of a message"), 1, 16 * 1024 * 1024,
                       defaults.size);
    m_size->setSuffix(tr(" bytes"));

    m_start = new QPushButton(this);
    m_start->setAutoDefault(false);
    connect(m_start, &QPushButton::clicked, this, &SimulationPanel::startOrStop);
    m_progress = new QProgressBar(this);
    m_progress->setAccessibleName(tr("Simulated clients that are connected"));
    auto *row = new QHBoxLayout;
    row->addWidget(m_start);
    row->addWidget(m_progress, 1);
    form->addRow(row);
    m_trouble = new QLabel(this);
    m_trouble->setWordWrap(true);
    m_trouble->hide();
    form->addRow(m_trouble);

    connect(&m_simulation, &SimulatedClients::progressed, this, &SimulationPanel::showState);
    connect(&m_simulation, &SimulatedClients::started, this, &SimulationPanel::showState);
    connect(&m_simulation, &SimulatedClients::finished, this, [this](const QString &trouble) {
        m_trouble->setPalette(withText(palette(), errorColor(palette())));
        m_trouble->setText(trouble);
        m_trouble->setVisible(!trouble.isEmpty());
        showState();
    });
    showState();
}

void SimulationPanel::setNumbers(int clients, int rate, int size)
{
    m_clients->setValue(clients);
    m_rate->setValue(rate);
    m_size->setValue(size);
}

void SimulationPanel::setServer(const QString &pipeName)
{
    m_pipeName = pipeName;
    showState();
}

void SimulationPanel::startOrStop()
{
    if (m_simulation.isRunning()) {
        m_simulation.stop();
    } else if (!m_pipeName.isEmpty()) {
        m_trouble->hide();
        m_simulation.start({ m_pipeName, m_clients->value(), m_rate->value(), m_size->value() });
    }
    showState();
}

void SimulationPanel::showState()
{
    const bool runs = m_simulation.isRunning();
    m_start->setText(runs ? tr("St&op clients") : tr("Start cl&ients"));
    m_start->setEnabled(runs || !m_pipeName.isEmpty());
    m_start->setToolTip(m_start->isEnabled() ? tr("Clients in a process of their own")
                                             : tr("Start the server first"));
    m_progress->setVisible(runs);
    m_progress->setRange(0, m_simulation.totalCount());
    m_progress->setValue(m_simulation.connectedCount());
    m_progress->setFormat(tr("%v of %m"));
    for (QSpinBox *box : { m_clients, m_rate, m_size })
        box->setEnabled(!runs);
}

void SimulationPanel::save(QSettings &settings) const
{
    settings.setValue(QStringLiteral("simulation/clients"), m_clients->value());
    settings.setValue(QStringLiteral("simulation/rate"), m_rate->value());
    settings.setValue(QStringLiteral("simulation/size"), m_size->value());
}

void SimulationPanel::restore(const QSettings &settings)
{
    const auto number = [&](const char *name, QSpinBox *box) {
        return settings.value(QStringLiteral("simulation/") + QLatin1String(name), box->value())
                .toInt();
    };
    setNumbers(number("clients", m_clients), number("rate", m_rate), number("size", m_size));
}
