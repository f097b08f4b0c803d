// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "monitorwindow.h"

#include "clientsmodel.h"
#include "clientsview.h"
#include "messagelog.h"
#include "messagelogview.h"
#include "sendbox.h"
#include "serverpanel.h"
#include "simulationpanel.h"
#include "texts.h"
#include "timeplot.h"

#include <QtCore/qcoreevent.h>
#include <QtCore/qsettings.h>
#include <QtWidgets/qboxlayout.h>
#include <QtWidgets/qgroupbox.h>
#include <QtWidgets/qlabel.h>
#include <QtWidgets/qmenubar.h>
#include <QtWidgets/qpushbutton.h>
#include <QtWidgets/qscrollarea.h>
#include <QtWidgets/qscrollbar.h>
#include <QtWidgets/qsplitter.h>
#include <QtWidgets/qstatusbar.h>

#include <algorithm>

static constexpr int RefreshMilliseconds = 500;
static constexpr int TapMilliseconds = 100;
static constexpr double MB = 1e6;
// Of the left side, in characters.
static constexpr int NarrowestSide = 48;
// Later than this a person notices.
static constexpr double NoticeableMilliseconds = 100;

MonitorWindow::MonitorWindow(QWidget *parent)
    : QMainWindow(parent),
      m_clients(new ClientsModel(this)),
      m_log(new MessageLog(this)),
      m_serverPanel(new ServerPanel(m_server)),
      m_simulation(new SimulationPanel),
      m_sendBox(new SendBox),
      m_clientsView(new ClientsView(m_clients)),
      m_logView(new MessageLogView(m_log)),
      m_messagePlot(new TimePlot(tr("Messages"), tr("messages/s"), { tr("in"), tr("out") })),
      m_bytePlot(new TimePlot(tr("Data"), tr("MB/s"), { tr("in"), tr("out") })),
      m_latencyPlot(new TimePlot(tr("Lateness of the window"), tr("ms"), { tr("worst") })),
      m_splitter(new QSplitter(Qt::Vertical)),
      m_total(new QLabel)
{
    setWindowTitle(tr("Pipe monitor"));
    m_bytePlot->setMinimumTop(0.1);
    m_latencyPlot->setThreshold(NoticeableMilliseconds, tr("noticeable"));

    m_splitter->addWidget(m_clientsView);
    m_splitter->addWidget(m_logView);
    m_splitter->setChildrenCollapsible(false);
    auto *right = new QVBoxLayout;
    right->addWidget(makePlots());
    right->addWidget(m_splitter, 1);

    auto *all = new QWidget;
    auto *sides = new QHBoxLayout(all);
    sides->addWidget(makeLeftSide());
    sides->addLayout(right, 1);
    setCentralWidget(all);
    statusBar()->addWidget(m_total, 1);
    makeMenus();
    connectServer();
    resize(1400, 900);

    connect(&m_refresh, &QTimer::timeout, this, &MonitorWindow::refresh);
    m_refresh.start(RefreshMilliseconds);
    m_sinceLast.start();
    m_latency.start();
    refresh();
}

MonitorWindow::~MonitorWindow()
{
    // Free-threaded slots use members of this class, and the widgets are gone before the server is.
    m_server.disconnect(this);
    m_server.stop();
}

// --- Making ---

static QGroupBox *group(const QString &title, QWidget *content)
{
    auto *box = new QGroupBox(title);
    auto *layout = new QVBoxLayout(box);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->addWidget(content);
    return box;
}

namespace {

/// As wide as its content needs to be, whatever font and style that gets.
class SideArea : public QScrollArea
{
public:
    explicit SideArea(QWidget *content)
    {
        setWidget(content);
        setWidgetResizable(true);
        setFrameShape(QFrame::NoFrame);
        setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
        fit();
    }

protected:
    bool eventFilter(QObject *watched, QEvent *event) override
    {
        if (watched == widget() && event->type() == QEvent::LayoutRequest)
            fit();
        return QScrollArea::eventFilter(watched, event);
    }

private:
    void fit()
    {
        const int content = std::max(widget()->minimumSizeHint().width(),
                                     fontMetrics().averageCharWidth() * NarrowestSide);
        setFixedWidth(content + verticalScrollBar()->sizeHint().width());
    }
};

} // namespace

QWidget *MonitorWindow::makeLeftSide()
{
    auto *content = new QWidget;
    auto *column = new QVBoxLayout(content);
    column->setContentsMargins(0, 0, 0, 0);
    column->addWidget(group(tr("Server"), m_serverPanel));
    column->addWidget(group(tr("Simulated clients"), m_simulation));
    column->addWidget(group(tr("Send"), m_sendBox));
    column->addStretch(1);

    return new SideArea(content);
}

QWidget *MonitorWindow::makePlots()
{
    auto *plots = new QWidget;
    auto *row = new QHBoxLayout(plots);
    row->setContentsMargins(0, 0, 0, 0);
    for (TimePlot *plot : { m_messagePlot, m_bytePlot, m_latencyPlot })
        row->addWidget(plot, 1);
    plots->setFixedHeight(190);
    return plots;
}

void MonitorWindow::makeMenus()
{
    auto *serverMenu = menuBar()->addMenu(tr("&Server"));
    auto *start =
            serverMenu->addAction(tr("&Start or stop"), m_serverPanel, &ServerPanel::startOrStop);
    start->setShortcut(Qt::CTRL | Qt::Key_R);
    auto *simulate = serverMenu->addAction(tr("Start or stop simulated &clients"), m_simulation,
                                           &SimulationPanel::startOrStop);
    simulate->setShortcut(Qt::CTRL | Qt::Key_L);
    serverMenu->addSeparator();
    serverMenu->addAction(tr("&Quit"), QKeySequence::Quit, this, &QWidget::close);

    auto *clientMenu = menuBar()->addMenu(tr("&Clients"));
    clientMenu->addActions({ m_clientsView->sendAction(), m_clientsView->closeAction(),
                             m_clientsView->closeAfterSendingAction(), m_clientsView->copyAction(),
                             m_clientsView->selectAllAction() });

    auto *logMenu = menuBar()->addMenu(tr("&Messages"));
    logMenu->addActions(m_logView->logActions());
}

// --- The server's signals ---

void MonitorWindow::connectServer()
{
    connect(m_serverPanel, &ServerPanel::echoChanged, this, [this](bool on) { m_echoes = on; });
    connect(m_serverPanel, &ServerPanel::aboutToStart, this, &MonitorWindow::connectMessages);
    connect(&m_server, &NamedPipeServer::runningChanged, this, [this] {
        const bool runs = m_server.isRunning();
        m_simulation->setServer(runs ? m_server.pipeName() : QString());
        m_log->addEvent(0, runs ? tr("started at %1").arg(m_server.fullPipeName()) : tr("stopped"));
        if (runs)
            m_last = {};
        showCounts();
    });
    connect(&m_server, &NamedPipeServer::clientConnected, this,
            [this](const NamedPipeServerConnectionPtr &client) {
                m_clients->add(client);
                m_log->addEvent(client->id(),
                                tr("connected: process %1").arg(client->clientProcessId()));
            });
    connect(&m_server, &NamedPipeServer::clientDisconnected, this,
            [this](const NamedPipeServerConnectionPtr &client) {
                m_clients->setClosed(client);
                m_log->addEvent(client->id(), tr("disconnected"));
            });
    connect(&m_server, &NamedPipeServer::clientErrorOccurred, this,
            [this](const NamedPipeServerConnectionPtr &client, NamedPipe::Error,
                   const QString &text) {
                m_clients->setError(client, text);
                m_log->addEvent(client->id(), text);
            });
    connect(&m_server, &NamedPipeServer::errorOccurred, this,
            [this](NamedPipe::Error, const QString &text) { m_log->addEvent(0, text); });

    connect(m_sendBox, &SendBox::sendRequested, this, &MonitorWindow::send);
    connect(m_clientsView, &ClientsView::selectionChanged, this, &MonitorWindow::showCounts);
    connect(m_clientsView, &ClientsView::sendRequested, m_sendBox, &SendBox::focusMessage);
    connect(&m_tapTimer, &QTimer::timeout, this, [this] {
        qint64 passed = 0;
        for (const MessageTap::Message &message : m_tap.take(&passed))
            m_log->addMessage(message.isIncoming ? MessageLog::In : MessageLog::Out, message.client,
                              message.data);
        m_log->addUnseen(passed);
    });
}

/// The signal that comes for every message, in the way of the mode that the server will run in.
void MonitorWindow::connectMessages()
{
    disconnect(m_messages);
    m_echoes = m_serverPanel->echoes();
    if (!m_server.freeThreadingEvents()) {
        // Marshalled: with a context object, on its thread. The models may be used.
        //! [marshalled]
        m_messages = connect(&m_server, &NamedPipeServer::clientMessageReceived, this,
                             [this](const NamedPipeServerConnectionPtr &client, const QVariant &,
                                    const QByteArray &message) {
                                 m_log->addMessage(MessageLog::In, client->id(), message);
                                 if (m_echoes && client->asyncWrite(message))
                                     m_log->addMessage(MessageLog::Out, client->id(), message);
                             });
        //! [marshalled]
        m_tapTimer.stop();
        return;
    }
    // Free-threaded: without a context object, on the worker. Only what is thread-safe may be used;
    // the tap takes a sample over to this thread.
    //! [free-threaded]
    m_messages = connect(&m_server, &NamedPipeServer::clientMessageReceived,
                         [this](const NamedPipeServerConnectionPtr &client, const QVariant &,
                                const QByteArray &message) {
                             m_tap.offer(true, client->id(), message);
                             if (m_echoes && client->asyncWrite(message))
                                 m_tap.offer(false, client->id(), message);
                         });
    //! [free-threaded]
    m_tapTimer.start(TapMilliseconds);
}

void MonitorWindow::send(const QByteArray &message, const QVariant &cookie, bool everyone)
{
    // Connected when it is needed: from then on the server tells of every message that was sent.
    if (!m_sent) {
        m_sent = connect(&m_server, &NamedPipeServer::clientMessageSent, m_sendBox,
                         [this](const NamedPipeServerConnectionPtr &, const QVariant &sent) {
                             if (sent.isValid())
                                 m_sendBox->showSent(sent);
                         });
    }
    int count = 0;
    if (everyone) {
        count = m_server.asyncBroadcast(message, cookie);
    } else {
        for (const NamedPipeServerConnectionPtr &client : m_clientsView->selectedClients()) {
            if (client->asyncWrite(message, cookie)) {
                m_log->addMessage(MessageLog::Out, client->id(), message);
                ++count;
            }
        }
    }
    if (count == 0)
        m_sendBox->showRefused(tr("Not sent: there is no client any more."));
    else if (everyone)
        m_log->addEvent(0,
                        tr("broadcast of %1 to %n clients", nullptr, count)
                                .arg(formatBytes(double(message.size()))));
}

// --- What is shown ---

void MonitorWindow::refresh()
{
    const NamedPipe::ServerStatistics now = m_server.statistics();
    const double seconds = std::max(double(m_sinceLast.nsecsElapsed()) / 1e9, 1e-3);
    m_sinceLast.restart();
    const auto rate = [seconds](quint64 count, quint64 before) {
        return count > before ? double(count - before) / seconds : 0.0; // a new run begins at 0
    };
    m_messagesIn = rate(now.messagesReceived, m_last.messagesReceived);
    m_messagesOut = rate(now.messagesSent, m_last.messagesSent);
    m_bytesIn = rate(now.bytesReceived, m_last.bytesReceived);
    m_bytesOut = rate(now.bytesSent, m_last.bytesSent);
    m_late = m_latency.takeWorst();
    m_last = now;

    m_messagePlot->append({ m_messagesIn, m_messagesOut });
    m_bytePlot->append({ m_bytesIn / MB, m_bytesOut / MB });
    m_latencyPlot->append({ m_late });
    m_clients->refresh();
    showCounts();
    m_total->setText(summary());
}

void MonitorWindow::showCounts()
{
    m_sendBox->setCounts(int(m_clientsView->selectedClients().size()), m_server.connectionCount());
}

QString MonitorWindow::summary() const
{
    return tr("%n clients", nullptr, m_server.connectionCount())
            + tr("   in %1 msg/s, %2/s   out %3 msg/s, %4/s   total %5 in, %6 out   window at most "
                 "%7 ms late")
                      .arg(formatCount(m_messagesIn), formatBytes(m_bytesIn),
                           formatCount(m_messagesOut), formatBytes(m_bytesOut),
                           formatCount(double(m_last.messagesReceived)),
                           formatCount(double(m_last.messagesSent)))
                      .arg(m_late, 0, 'f', 1);
}

// --- Settings ---

void MonitorWindow::save(QSettings &settings) const
{
    settings.setValue(QStringLiteral("window/geometry"), saveGeometry());
    settings.setValue(QStringLiteral("window/splitter"), m_splitter->saveState());
    settings.setValue(QStringLiteral("send/history"), m_sendBox->history());
    m_serverPanel->save(settings);
    m_simulation->save(settings);
}

void MonitorWindow::restore(const QSettings &settings)
{
    restoreGeometry(settings.value(QStringLiteral("window/geometry")).toByteArray());
    m_splitter->restoreState(settings.value(QStringLiteral("window/splitter")).toByteArray());
    m_sendBox->setHistory(settings.value(QStringLiteral("send/history")).toStringList());
    m_serverPanel->restore(settings);
    m_simulation->restore(settings);
}
