// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef MONITORWINDOW_H
#define MONITORWINDOW_H

#include "latencymeter.h"
#include "messagetap.h"

#include <QtNamedPipes/NamedPipeServer>

#include <QtCore/qelapsedtimer.h>
#include <QtCore/qtimer.h>
#include <QtWidgets/qmainwindow.h>

class ClientsModel;
class ClientsView;
class MessageLog;
class MessageLogView;
class QLabel;
class QSettings;
class QSplitter;
class SendBox;
class ServerPanel;
class SimulationPanel;
class TimePlot;

/// A server and everything that can be seen of it.
///
/// This is how an application uses NamedPipeServer in marshalled mode: the signals are connected to
/// this object and come on its thread, so that the slots may touch widgets and models; nothing
/// happens for a single message but counting and, some of them, noting. What is shown is refreshed
/// by timers. In free-threaded mode the messages are answered on the workers, see
/// connectMessages().
class MonitorWindow : public QMainWindow
{
    Q_OBJECT

public:
    explicit MonitorWindow(QWidget *parent = nullptr);
    ~MonitorWindow() override;

    NamedPipeServer &server() { return m_server; }
    ServerPanel &serverPanel() { return *m_serverPanel; }
    SimulationPanel &simulation() { return *m_simulation; }
    ClientsModel &clients() { return *m_clients; }
    MessageLog &log() { return *m_log; }
    LatencyMeter &latency() { return m_latency; }

    void save(QSettings &settings) const;
    void restore(const QSettings &settings);

    /// What the window shows, in one line.
    QString summary() const;

private:
    QWidget *makeLeftSide();
    QWidget *makePlots();
    void makeMenus();
    void connectServer();
    void connectMessages();
    void refresh();
    void send(const QByteArray &message, const QVariant &cookie, bool everyone);
    void showCounts();

    NamedPipeServer m_server;
    NamedPipe::ServerStatistics m_last;
    QElapsedTimer m_sinceLast;
    double m_messagesIn = 0; ///< a second
    double m_messagesOut = 0;
    double m_bytesIn = 0;
    double m_bytesOut = 0;
    double m_late = 0; ///< milliseconds, the worst since the last refresh

    LatencyMeter m_latency;
    MessageTap m_tap;
    QMetaObject::Connection m_messages;
    QMetaObject::Connection m_sent;
    std::atomic<bool> m_echoes { true }; ///< read on workers

    ClientsModel *m_clients;
    MessageLog *m_log;
    ServerPanel *m_serverPanel;
    SimulationPanel *m_simulation;
    SendBox *m_sendBox;
    ClientsView *m_clientsView;
    MessageLogView *m_logView;
    TimePlot *m_messagePlot;
    TimePlot *m_bytePlot;
    TimePlot *m_latencyPlot;
    QSplitter *m_splitter;
    QLabel *m_total;
    QTimer m_refresh;
    QTimer m_tapTimer;
};

#endif // MONITORWINDOW_H
