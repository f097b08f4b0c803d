// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "serverpanel.h"

#include "colors.h"

#include <QtNamedPipes/NamedPipeServer>

#include <QtCore/qsettings.h>
#include <QtGui/qclipboard.h>
#include <QtGui/qguiapplication.h>
#include <QtWidgets/qboxlayout.h>
#include <QtWidgets/qcheckbox.h>
#include <QtWidgets/qcombobox.h>
#include <QtWidgets/qformlayout.h>
#include <QtWidgets/qlabel.h>
#include <QtWidgets/qlineedit.h>
#include <QtWidgets/qpushbutton.h>
#include <QtWidgets/qspinbox.h>
#include <QtWidgets/qstyle.h>
#include <QtWidgets/qtoolbutton.h>

static constexpr int KiB = 1024;
static constexpr int MiB = 1024 * 1024;

ServerPanel::ServerPanel(NamedPipeServer &server, QWidget *parent)
    : QWidget(parent),
      m_server(server)
{
    auto *form = new QFormLayout(this);
    form->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
    form->setLabelAlignment(Qt::AlignLeft);

    addNameField(form);
    m_echo = addSwitch(form, QStringLiteral("echo"), tr("Send messages &back"),
                       tr("Answers every message with itself. Can be changed at any time."), true,
                       [](bool) {});
    connect(m_echo, &QCheckBox::toggled, this, &ServerPanel::echoChanged);
    auto *continuous = addSwitch(
            form, QStringLiteral("continuouslyReadFromPipe"), tr("&Read continuously"),
            tr("Messages are read without being asked for. While it is off, clients that go on "
               "sending find that nobody reads. Can be changed at any time."),
            true, [this](bool on) { m_server.setContinuouslyReadFromPipe(on); });
    connect(continuous, &QCheckBox::toggled, this,
            [this](bool on) { m_server.setContinuouslyReadFromPipe(on); });
    m_freeThreaded =
            addSwitch(form, QStringLiteral("freeThreadingEvents"), tr("&Free-threaded"),
                      tr("Messages are answered on the worker threads, not on the window's."),
                      false, [this](bool on) { m_server.setFreeThreadingEvents(on); });
    addNumber(form, QStringLiteral("numThreadsIOCP"), tr("&Worker threads"),
              tr("Threads that wait at the completion port. Default: 1"), 1, 64, 1,
              [this](int threads) { m_server.setNumThreadsIOCP(threads); });
    addNumber(form, QStringLiteral("listenBacklogSize"), tr("Back&log"),
              tr("Clients that can connect at the same moment. Default: 16"), 1, 4096, 16,
              [this](int clients) { m_server.setListenBacklogSize(clients); });
    auto *most =
            addNumber(form, QStringLiteral("maxConnections"), tr("&Most clients"),
                      tr("Further clients wait until one leaves. Default: no limit"), 0, 100'000, 0,
                      [this](int clients) { m_server.setMaxConnections(clients); });
    most->setSpecialValueText(tr("no limit"));
    auto *buffer = addNumber(form, QStringLiteral("messageBufferSize"), tr("Read b&uffer"),
                             tr("Size of the buffers that messages are read into; a message may be "
                                "larger. Default: 128 KiB"),
                             1, 1024 * KiB, 128,
                             [this](int size) { m_server.setMessageBufferSize(size * KiB); });
    buffer->setSuffix(tr(" KiB"));
    auto *largest = addNumber(form, QStringLiteral("maximumMessageSize"), tr("Largest messa&ge"),
                              tr("A client that sends a larger one is disconnected. Default: no "
                                 "limit"),
                              0, 1024 * MiB, 0, [this](int size) {
                                  m_server.setMaximumMessageSize(qint64(size) * KiB);
                              });
    largest->setSpecialValueText(tr("no limit"));
    largest->setSuffix(tr(" KiB"));
    auto *reads = addNumber(form, QStringLiteral("maximumPendingReadBytes"), tr("&Pending reads"),
                            tr("So much of one client is received before it is delivered; then "
                               "reading pauses. Default: 1024 KiB"),
                            1, 1024 * MiB, 1024, [this](int size) {
                                m_server.setMaximumPendingReadBytes(qint64(size) * KiB);
                            });
    reads->setSuffix(tr(" KiB"));
    auto *writes =
            addNumber(form, QStringLiteral("maximumPendingWriteBytes"), tr("Pending wr&ites"),
                      tr("So much is queued for one client that does not read; further "
                         "messages are refused. Default: 64 MiB"),
                      1, 1024 * KiB, 64, [this](int size) {
                          m_server.setMaximumPendingWriteBytes(qint64(size) * MiB);
                      });
    writes->setSuffix(tr(" MiB"));
    addAccess(form);

    m_reset = new QPushButton(tr("Defaul&ts"), this);
    m_reset->setToolTip(tr("Sets all properties but the name to their defaults."));
    m_reset->setAutoDefault(false);
    connect(m_reset, &QPushButton::clicked, this, &ServerPanel::resetToDefaults);
    form->addRow(QString(), m_reset);

    connect(&m_server, &NamedPipeServer::runningChanged, this, &ServerPanel::showState);
    connect(&m_server, &NamedPipeServer::errorOccurred, this,
            [this](NamedPipe::Error, const QString &text) { showError(text); });
    showState();
}

// --- The rows ---

void ServerPanel::addNameField(QFormLayout *form)
{
    m_name = new QLineEdit(this);
    m_name->setPlaceholderText(tr("name of the pipe"));
    m_name->setToolTip(tr("The last part only: Name, not \\\\.\\pipe\\Name"));
    m_name->setAccessibleName(tr("Pipe name"));
    connect(m_name, &QLineEdit::returnPressed, this, &ServerPanel::startOrStop);
    connect(m_name, &QLineEdit::textEdited, this, [this] { showError({}); });
    form->addRow(tr("Pipe &name"), m_name);
    m_fields.push_back({ QStringLiteral("pipeName"), m_name, [this] { return m_name->text(); },
                         [this](const QVariant &name) { m_name->setText(name.toString()); },
                         [this] { m_server.setPipeName(m_name->text()); }, QVariant() });

    m_start = new QPushButton(this);
    m_start->setAutoDefault(false);
    connect(m_start, &QPushButton::clicked, this, &ServerPanel::startOrStop);
    m_state = new QLabel(this);
    auto *row = new QHBoxLayout;
    row->addWidget(m_start);
    row->addWidget(m_state, 1);
    form->addRow(row);

    m_error = new QLabel(this);
    m_error->setWordWrap(true);
    m_error->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    m_error->setAccessibleName(tr("Error of the server"));
    m_error->hide();
    form->addRow(m_error);

    m_fullName = new QLineEdit(this);
    m_fullName->setReadOnly(true);
    m_fullName->setPlaceholderText(tr("not served"));
    m_fullName->setAccessibleName(tr("Full pipe name"));
    m_copy = new QToolButton(this);
    m_copy->setText(tr("Copy"));
    m_copy->setToolTip(tr("Copies the full pipe name"));
    connect(m_copy, &QToolButton::clicked, this,
            [this] { QGuiApplication::clipboard()->setText(m_fullName->text()); });
    auto *full = new QHBoxLayout;
    full->addWidget(m_fullName, 1);
    full->addWidget(m_copy);
    form->addRow(tr("Served at"), full);
}

QSpinBox *ServerPanel::addNumber(QFormLayout *form, const QString &name, const QString &label,
                                 const QString &tip, int minimum, int maximum, int value,
                                 const std::function<void(int)> &apply)
{
    auto *box = new QSpinBox(this);
    box->setRange(minimum, maximum);
    box->setGroupSeparatorShown(true);
    box->setValue(value);
    box->setToolTip(tip);
    box->setAccessibleName(QString(label).remove(QLatin1Char('&')));
    form->addRow(label, box);
    m_fields.push_back({ name, box, [box] { return box->value(); },
                         [box](const QVariant &number) { box->setValue(number.toInt()); },
                         [box, apply] { apply(box->value()); }, value });
    return box;
}

QCheckBox *ServerPanel::addSwitch(QFormLayout *form, const QString &name, const QString &label,
                                  const QString &tip, bool value,
                                  const std::function<void(bool)> &apply)
{
    auto *box = new QCheckBox(label, this);
    box->setChecked(value);
    box->setToolTip(tip);
    form->addRow(QString(), box);
    m_fields.push_back({ name, box, [box] { return box->isChecked(); },
                         [box](const QVariant &on) { box->setChecked(on.toBool()); },
                         [box, apply] { apply(box->isChecked()); }, value });
    return box;
}

void ServerPanel::addAccess(QFormLayout *form)
{
    auto *access = new QComboBox(this);
    access->addItem(tr("my user"), int(NamedPipe::UserAccess));
    access->addItem(tr("my group"), int(NamedPipe::UserAccess | NamedPipe::GroupAccess));
    access->addItem(tr("every local user"), int(NamedPipe::WorldAccess));
    access->setToolTip(
            tr("Who may connect. Clients on other machines never may. Default: my user"));
    access->setAccessibleName(tr("Who may connect"));
    form->addRow(tr("A&ccess"), access);
    m_fields.push_back(
            { QStringLiteral("accessOptions"), access, [access] { return access->currentIndex(); },
              [access](const QVariant &index) { access->setCurrentIndex(index.toInt()); },
              [this, access] {
                  m_server.setAccessOptions(
                          NamedPipe::AccessOptions(access->currentData().toInt()));
              },
              0 });

    auto *descriptor = new QLineEdit(this);
    descriptor->setPlaceholderText(tr("from the line above"));
    descriptor->setToolTip(tr("A security descriptor as SDDL text, for instance "
                              "D:P(A;;FA;;;OW). Windows only; wins over the line above."));
    descriptor->setAccessibleName(tr("Security descriptor"));
    form->addRow(tr("S&DDL"), descriptor);
#ifndef Q_OS_WIN
    form->labelForField(descriptor)->hide();
    descriptor->hide();
#endif
    m_fields.push_back(
            { QStringLiteral("securityDescriptor"), descriptor,
              [descriptor] { return descriptor->text(); },
              [descriptor](const QVariant &text) { descriptor->setText(text.toString()); },
              [this, descriptor] { m_server.setSecurityDescriptor(descriptor->text()); },
              QString() });
}

// --- Start and stop ---

void ServerPanel::startOrStop()
{
    if (m_server.isRunning()) {
        m_server.stop();
        return;
    }
    showError({});
    for (const Field &field : m_fields)
        field.apply();
    Q_EMIT aboutToStart();
    m_server.start(); // errorOccurred() tells of a failure
}

void ServerPanel::showState()
{
    const bool runs = m_server.isRunning();
    m_start->setText(runs ? tr("&Stop") : tr("&Start"));
    m_start->setToolTip(runs ? tr("Stops the server and closes all connections")
                             : tr("Starts the server"));
    m_state->setText(runs ? tr("<span style='color:#2e9e4f'>●</span> running")
                          : tr("<span style='color:#808080'>●</span> stopped"));
    m_fullName->setText(runs ? m_server.fullPipeName() : QString());
    m_fullName->setToolTip(m_fullName->text());
    m_fullName->setCursorPosition(0);
    m_copy->setEnabled(runs);
    for (const Field &field : m_fields) {
        const bool isLive = field.name == QLatin1String("echo")
                || field.name == QLatin1String("continuouslyReadFromPipe");
        field.editor->setEnabled(isLive || !runs);
    }
    m_reset->setEnabled(!runs);
}

void ServerPanel::showError(const QString &text)
{
    m_error->setText(text);
    m_error->setPalette(withText(palette(), errorColor(palette())));
    m_error->setVisible(!text.isEmpty());
}

QString ServerPanel::errorText() const
{
    return m_error->isHidden() ? QString() : m_error->text();
}

// --- Values ---

void ServerPanel::setPipeName(const QString &name)
{
    m_name->setText(name);
}

void ServerPanel::setFreeThreaded(bool on)
{
    m_freeThreaded->setChecked(on);
}

bool ServerPanel::echoes() const
{
    return m_echo->isChecked();
}

void ServerPanel::setEchoes(bool on)
{
    m_echo->setChecked(on);
}

void ServerPanel::resetToDefaults()
{
    for (const Field &field : m_fields) {
        if (field.defaultValue.isValid())
            field.setValue(field.defaultValue);
    }
}

void ServerPanel::save(QSettings &settings) const
{
    settings.beginGroup(QStringLiteral("server"));
    for (const Field &field : m_fields)
        settings.setValue(field.name, field.value());
    settings.endGroup();
}

void ServerPanel::restore(const QSettings &settings)
{
    for (const Field &field : m_fields) {
        const QVariant value = settings.value(QStringLiteral("server/") + field.name);
        if (value.isValid())
            field.setValue(value);
    }
}
