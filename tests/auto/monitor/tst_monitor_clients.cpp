// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "clientsmodel.h"
#include "clientsview.h"
#include "processinfo.h"
#include "texts.h"

#include "eventlooppulse.h"
#include "scratchname.h"
#include "waiting.h"

#include <QtNamedPipes/NamedPipeClientManager>
#include <QtNamedPipes/NamedPipeServer>

#include <QtCore/qfileinfo.h>
#include <QtGui/qclipboard.h>
#include <QtTest/QAbstractItemModelTester>
#include <QtTest/QtTest>
#include <QtWidgets/qapplication.h>
#include <QtWidgets/qheaderview.h>
#include <QtWidgets/qlabel.h>
#include <QtWidgets/qlineedit.h>
#include <QtWidgets/qmenu.h>
#include <QtWidgets/qpushbutton.h>
#include <QtWidgets/qtableview.h>

#include <algorithm>
#include <cmath>
#include <limits>

#ifdef Q_OS_UNIX
#    include <sys/resource.h>
#endif

using namespace std::chrono_literals;
using namespace Qt::StringLiterals;

/// The clients table of the monitor, with real clients.
class tst_MonitorClients : public QObject
{
    Q_OBJECT

public:
    static void initMain();

private Q_SLOTS:
    void numbersAreReadable_data();
    void numbersAreReadable();
    void processesAndUsersHaveNames();
    void clientsThatComeTogetherAreOneInsertion();
    void rowTellsWhoTheClientIs();
    void refreshReadsTheCounters();
    void rateFollowsTheTraffic();
    void refreshIsOneChange();
    void goneClientIsGreyedThenRemoved();
    void removalLeavesTheOthersAlone();
    void clientThatLeavesBeforeItIsShown();
    void stateTellsTheReason_data();
    void stateTellsTheReason();
    void closingClientSaysSo();
    void strangersAndDuplicatesAreIgnored();
    void clearForgetsEverything();
    void sortingIsByValue();
    void filterLooksAtAllColumns();
    void emptyTableSaysWhy();
    void selectionSurvivesRefreshAndSorting();
    void selectionChangesAreTold();
    void deleteClosesTheSelected();
    void deleteElsewhereClosesNothing();
    void closeAfterSendingSendsFirst();
    void copyGivesTheSelectedRows();
    void menuKeyOpensTheMenu();
    void actionsFollowTheSelection();
    void keyboardAndScreenReaderFindEverything();
    void darkPaletteStaysReadable();
    void thousandClientsComeAndGo();
};

void tst_MonitorClients::initMain()
{
#ifdef Q_OS_UNIX
    if (!qEnvironmentVariableIsSet("QT_QPA_PLATFORM"))
        qputenv("QT_QPA_PLATFORM", "offscreen");
    // Both ends of a thousand connections are in this process.
    rlimit limit = {};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 4096);
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
#endif
}

/// How many clients this process can hold both ends of, up to \a wanted.
static int affordable(int wanted)
{
#ifdef Q_OS_UNIX
    rlimit limit = {};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0)
        return int(std::min<rlim_t>(rlim_t(wanted), (limit.rlim_cur - 100) / 2));
#endif
    return wanted;
}

/// A server, clients, and a model that is told of them as the monitor's window would tell it.
struct Site
{
    NamedPipeServer server { scratchName() };
    NamedPipeClientManager manager;
    ClientsModel model;
    QList<NamedPipeClientConnectionPtr> clients;
    QList<NamedPipeServerConnectionPtr> arrived; ///< in the order of their arrival
    int left = 0;
    bool telling = true; ///< false: the test tells the model

    Site()
    {
        model.setKeepClosed(1h); // nothing leaves the table unless a test wants it
        QObject::connect(&server, &NamedPipeServer::clientConnected, &server,
                         [this](const NamedPipeServerConnectionPtr &client) {
                             arrived.append(client);
                             if (telling)
                                 model.add(client);
                         });
        QObject::connect(&server, &NamedPipeServer::clientDisconnected, &server,
                         [this](const NamedPipeServerConnectionPtr &client) {
                             ++left;
                             model.setClosed(client);
                         });
        QObject::connect(&server, &NamedPipeServer::clientErrorOccurred, &server,
                         [this](const NamedPipeServerConnectionPtr &client, NamedPipe::Error,
                                const QString &message) { model.setError(client, message); });
    }

    /// Connects \a count clients, one after the other, and waits for their rows.
    bool connectClients(int count)
    {
        if (!server.isRunning() && !server.start())
            return false;
        for (int i = 0; i < count; ++i) {
            clients.append(manager.connectToServer(server.pipeName()));
            if (!waitUntil([&] { return arrived.size() == clients.size(); }))
                return false;
        }
        return !telling || waitUntil([&] { return model.rowCount() == arrived.size(); });
    }

    bool disconnect(int index)
    {
        const int before = left;
        clients.at(index)->asyncClose();
        return waitUntil([&] { return left > before; });
    }

    /// Sends from the client to the server, and waits until it is there.
    bool send(int index, int messages, int size)
    {
        const quint64 before = arrived.at(index)->statistics().messagesReceived;
        for (int i = 0; i < messages; ++i)
            clients.at(index)->asyncWrite(QByteArray(size, 'x'));
        return waitUntil([&] {
            return arrived.at(index)->statistics().messagesReceived == before + quint64(messages);
        });
    }

    QString text(int row, ClientsModel::Column column) const
    {
        return model.index(row, column).data().toString();
    }
    QVariant value(int row, ClientsModel::Column column) const
    {
        return model.index(row, column).data(ClientsModel::SortRole);
    }
};

/// Where \a image has another color than in its corner.
static QRect inkIn(const QImage &image)
{
    QRect ink;
    for (int y = 0; y < image.height(); ++y) {
        for (int x = 0; x < image.width(); ++x) {
            if (image.pixel(x, y) != image.pixel(0, 0))
                ink |= QRect(x, y, 1, 1);
        }
    }
    return ink;
}

/// A site with a view on it.
struct ViewSite : Site
{
    ClientsView view { &model };
    QTableView *const table = view.findChild<QTableView *>(u"clientTable"_s);
    QLineEdit *const filter = view.findChild<QLineEdit *>(u"clientFilter"_s);
    QLabel *const summary = view.findChild<QLabel *>(u"clientSummary"_s);

    /// What the table shows where its rows would be.
    QString textInstead() const { return table->accessibleDescription(); }
    bool show()
    {
        view.resize(1100, 400);
        view.show();
        view.activateWindow();
        return QTest::qWaitForWindowActive(&view);
    }

    QList<int> idsShown() const
    {
        QList<int> ids;
        for (int row = 0; row < table->model()->rowCount(); ++row)
            ids.append(table->model()->index(row, ClientsModel::Id).data().toInt());
        return ids;
    }

    void select(const QList<int> &ids)
    {
        table->clearSelection();
        const QList<int> shown = idsShown();
        for (const int id : ids) {
            table->selectionModel()->select(table->model()->index(int(shown.indexOf(id)), 0),
                                            QItemSelectionModel::Select
                                                    | QItemSelectionModel::Rows);
        }
    }

    QList<int> selectedIds() const
    {
        QList<int> ids;
        for (const NamedPipeServerConnectionPtr &client : view.selectedClients())
            ids.append(int(client->id()));
        return ids;
    }
};

void tst_MonitorClients::numbersAreReadable_data()
{
    QTest::addColumn<QString>("text");
    QTest::addColumn<QString>("expected");
    const auto row = [](const char *name, const QString &text, const QString &expected) {
        QTest::newRow(name) << text << expected;
    };
    row("no bytes", formatBytes(0), u"0 B"_s);
    row("bytes", formatBytes(1023), u"1023 B"_s);
    row("a kibibyte", formatBytes(1024), u"1.0 KiB"_s);
    row("bytes that round up", formatBytes(1023.6), u"1.0 KiB"_s);
    row("mebibytes", formatBytes(1.5 * 1024 * 1024), u"1.5 MiB"_s);
    row("kibibytes that round up", formatBytes(1024 * 1023.96), u"1.0 MiB"_s);
    row("kibibytes that do not", formatBytes(1024 * 1023.9), u"1023.9 KiB"_s);
    row("gibibytes", formatBytes(3.0 * 1024 * 1024 * 1024), u"3.0 GiB"_s);
    row("more than there are units", formatBytes(std::pow(2.0, 61)), u"2048.0 PiB"_s);
    row("not a number of bytes", formatBytes(std::numeric_limits<double>::quiet_NaN()), u"–"_s);
    row("nothing", formatCount(0), u"0"_s);
    row("a slow rate", formatCount(0.44), u"0.4"_s);
    row("next to nothing", formatCount(0.01), u"0"_s);
    row("whole", formatCount(7), u"7"_s);
    row("nearly whole", formatCount(6.98), u"7"_s);
    row("fractions of large ones", formatCount(12.4), u"12"_s);
    row("three digits", formatCount(999), u"999"_s);
    row("four digits", formatCount(1000), u"1 000"_s);
    row("five digits", formatCount(12345), u"12 345"_s);
    row("six digits", formatCount(999999), u"999 999"_s);
    row("a million", formatCount(1e6), u"1.0 M"_s);
    row("millions", formatCount(1234567), u"1.2 M"_s);
    row("millions that round up", formatCount(999.96e6), u"1.0 G"_s);
    row("infinite", formatCount(std::numeric_limits<double>::infinity()), u"–"_s);
    row("in full", formatWhole(12345678), u"12 345 678"_s);
    row("in full, below zero", formatWhole(-123456), u"-123 456"_s);
    row("no time", formatDuration(999), u"0 s"_s);
    row("time that is not there yet", formatDuration(-5), u"0 s"_s);
    row("seconds", formatDuration(59'999), u"59 s"_s);
    row("minutes", formatDuration(185'000), u"3 min 05 s"_s);
    row("hours", formatDuration((2 * 60 + 7) * 60'000), u"2 h 07 min"_s);
    row("days", formatDuration(qint64(3 * 24 + 4) * 3'600'000), u"3 d 04 h"_s);
}

void tst_MonitorClients::numbersAreReadable()
{
    QFETCH(QString, text);
    QFETCH(QString, expected);
    QCOMPARE(text, expected);
}

void tst_MonitorClients::processesAndUsersHaveNames()
{
    const QString program = QFileInfo(QCoreApplication::applicationFilePath()).fileName();
    QCOMPARE(processName(QCoreApplication::applicationPid()), program);
    QCOMPARE(processName(0), QString());
    QCOMPARE(processName(-1), QString());
    QCOMPARE(processName(std::numeric_limits<int>::max()), QString());
#ifdef Q_OS_WIN
    QCOMPARE(userName(u"S-1-5-18"_s).isEmpty(), false);
    QVERIFY(userName(u"S-1-5-18"_s) != u"S-1-5-18"_s);
    QCOMPARE(userName(u"S-1-5-21-1-2-3-4"_s), u"S-1-5-21-1-2-3-4"_s);
#else
    QCOMPARE(userName(u"0"_s), u"root"_s);
    QCOMPARE(userName(u"4000000001"_s), u"4000000001"_s);
#endif
    QCOMPARE(userName(u"nobody's number"_s), u"nobody's number"_s);
    QCOMPARE(userName({}), QString());
}

void tst_MonitorClients::clientsThatComeTogetherAreOneInsertion()
{
    Site site;
    site.telling = false;
    QVERIFY(site.connectClients(5));
    QAbstractItemModelTester tester(&site.model);
    QSignalSpy inserted(&site.model, &QAbstractItemModel::rowsInserted);
    for (const NamedPipeServerConnectionPtr &client : site.arrived)
        site.model.add(client);
    QCOMPARE(site.model.openCount(), 5);
    QCOMPARE(site.model.rowCount(), 0); // nothing is shown from inside add()
    QTRY_COMPARE(site.model.rowCount(), 5);
    QCOMPARE(inserted.count(), 1);
    for (int row = 0; row < 5; ++row)
        QCOMPARE(site.model.client(row), site.arrived.at(row));
    QCOMPARE(site.model.client(5), NamedPipeServerConnectionPtr());
    QCOMPARE(site.model.client(-1), NamedPipeServerConnectionPtr());
}

void tst_MonitorClients::rowTellsWhoTheClientIs()
{
    Site site;
    QVERIFY(site.connectClients(1));
    const NamedPipeServerConnectionPtr client = site.arrived.constFirst();
    QCOMPARE(site.text(0, ClientsModel::Id), QString::number(client->id()));
    QCOMPARE(site.text(0, ClientsModel::Process),
             QString::number(QCoreApplication::applicationPid()));
    QCOMPARE(site.text(0, ClientsModel::Program),
             QFileInfo(QCoreApplication::applicationFilePath()).fileName());
    QCOMPARE(site.text(0, ClientsModel::User), userName(client->clientUserId()));
    QCOMPARE(site.text(0, ClientsModel::State), u"Connected"_s);
    QVERIFY(site.text(0, ClientsModel::ConnectedFor).endsWith(u" s"_s));
    for (int column = 0; column < site.model.columnCount(); ++column) {
        QVERIFY(!site.model.headerData(column, Qt::Horizontal).toString().isEmpty());
        QVERIFY(!site.model.headerData(column, Qt::Horizontal, Qt::ToolTipRole)
                         .toString()
                         .isEmpty());
        const QVariant alignment = site.model.index(0, column).data(Qt::TextAlignmentRole);
        const bool isNumber = column != ClientsModel::Program && column != ClientsModel::User
                && column != ClientsModel::State;
        QCOMPARE(bool(alignment.toInt() & Qt::AlignRight), isNumber);
        QCOMPARE(site.model.headerData(column, Qt::Horizontal, Qt::TextAlignmentRole), alignment);
    }
}

void tst_MonitorClients::refreshReadsTheCounters()
{
    Site site;
    QVERIFY(site.connectClients(2));
    QAbstractItemModelTester tester(&site.model);
    QVERIFY(site.send(1, 3, 700));
    QVERIFY(site.arrived.at(1)->asyncWrite(QByteArray(1536, 'y')));
    QVERIFY(waitUntil([&] { return site.arrived.at(1)->statistics().messagesSent == 1; }));
    QCOMPARE(site.text(1, ClientsModel::MessagesIn), u"0"_s); // nothing happens per message
    site.model.refresh();
    QCOMPARE(site.text(1, ClientsModel::MessagesIn), u"3"_s);
    QCOMPARE(site.text(1, ClientsModel::MessagesOut), u"1"_s);
    QCOMPARE(site.text(1, ClientsModel::BytesIn), u"2.1 KiB"_s);
    QCOMPARE(site.text(1, ClientsModel::BytesOut), u"1.5 KiB"_s);
    QCOMPARE(site.text(1, ClientsModel::Queued), u"0 B"_s);
    QCOMPARE(site.value(1, ClientsModel::BytesIn), QVariant(quint64(2100)));
    QCOMPARE(site.model.index(1, ClientsModel::BytesIn).data(Qt::ToolTipRole).toString(),
             u"2 100 bytes"_s);
    QCOMPARE(site.text(0, ClientsModel::MessagesIn), u"0"_s);
}

void tst_MonitorClients::rateFollowsTheTraffic()
{
    Site site;
    QElapsedTimer sinceBefore;
    sinceBefore.start();
    QVERIFY(site.connectClients(1));
    const auto rate = [&] { return site.value(0, ClientsModel::Rate).toDouble(); };
    const auto refreshed = [&] {
        site.model.refresh();
        return rate();
    };
    QVERIFY(site.send(0, 50, 10));
    QVERIFY(waitUntil([&] { return refreshed() > 0; }));
    // 50 messages in one interval, which is not shorter than 100 ms and not longer than the test.
    QVERIFY2(rate() <= 50 / 0.1, qPrintable(QString::number(rate())));
    QVERIFY2(rate() >= 50 * 1000 / double(sinceBefore.elapsed()),
             qPrintable(QString::number(rate())));
    QVERIFY(waitUntil([&] { return refreshed() == 0; })); // and then there was nothing
    QCOMPARE(site.text(0, ClientsModel::MessagesIn), u"50"_s);
}

void tst_MonitorClients::refreshIsOneChange()
{
    Site site;
    QVERIFY(site.connectClients(4));
    QSignalSpy changed(&site.model, &QAbstractItemModel::dataChanged);
    site.model.refresh();
    QCOMPARE(changed.count(), 1);
    QCOMPARE(changed.at(0).at(0).toModelIndex(), site.model.index(0, 0));
    QCOMPARE(changed.at(0).at(1).toModelIndex(), site.model.index(3, site.model.columnCount() - 1));
    site.model.clear();
    changed.clear();
    site.model.refresh();
    QCOMPARE(changed.count(), 0);
}

void tst_MonitorClients::goneClientIsGreyedThenRemoved()
{
    Site site;
    QVERIFY(site.connectClients(2));
    QAbstractItemModelTester tester(&site.model);
    QVERIFY(site.send(0, 2, 10));
    const auto isGreyed = [&](int row) {
        const QModelIndex cell = site.model.index(row, ClientsModel::State);
        return cell.data(ClientsModel::ClosedRole).toBool()
                && cell.data(Qt::ForegroundRole).isValid();
    };
    QSignalSpy changed(&site.model, &QAbstractItemModel::dataChanged);
    QVERIFY(site.disconnect(0));
    QTRY_COMPARE(changed.count(), 1); // without a refresh
    QVERIFY(isGreyed(0));
    QVERIFY(!isGreyed(1));
    QCOMPARE(site.text(0, ClientsModel::State), u"Closed by client"_s);
    QCOMPARE(site.text(0, ClientsModel::MessagesIn), u"2"_s); // the last word of the counters
    QCOMPARE(site.model.openCount(), 1);
    QCOMPARE(site.model.closedCount(), 1);
    const QVariant duration = site.value(0, ClientsModel::ConnectedFor);
    QVERIFY(waitUntil([&, before = site.value(1, ClientsModel::ConnectedFor).toInt()] {
        site.model.refresh();
        return site.value(1, ClientsModel::ConnectedFor).toInt() > before;
    }));
    QCOMPARE(site.model.rowCount(), 2);
    QCOMPARE(site.value(0, ClientsModel::ConnectedFor), duration);
    site.model.setKeepClosed(0ms);
    site.model.refresh();
    QCOMPARE(site.model.rowCount(), 1);
    QCOMPARE(site.model.client(0), site.arrived.at(1));
}

void tst_MonitorClients::removalLeavesTheOthersAlone()
{
    Site site;
    QVERIFY(site.connectClients(8));
    QAbstractItemModelTester tester(&site.model);
    for (const int leaver : { 0, 2, 3, 7 })
        QVERIFY(site.disconnect(leaver));
    QSignalSpy removed(&site.model, &QAbstractItemModel::rowsRemoved);
    site.model.setKeepClosed(0ms);
    site.model.refresh();
    QCOMPARE(removed.count(), 3); // neighbours together
    QCOMPARE(site.model.rowCount(), 4);
    int row = 0;
    for (const int stayer : { 1, 4, 5, 6 })
        QCOMPARE(site.model.client(row++), site.arrived.at(stayer));
    // The rows of the others are found after that.
    site.model.setKeepClosed(1h);
    QVERIFY(site.disconnect(5));
    QTRY_COMPARE(site.text(2, ClientsModel::State), u"Closed by client"_s);
    for (const int other : { 0, 1, 3 })
        QCOMPARE(site.text(other, ClientsModel::State), u"Connected"_s);
    site.clients.append(site.manager.connectToServer(site.server.pipeName()));
    QTRY_COMPARE(site.model.rowCount(), 5);
    QCOMPARE(site.model.client(4), site.arrived.constLast());
}

void tst_MonitorClients::clientThatLeavesBeforeItIsShown()
{
    Site site;
    site.telling = false;
    QVERIFY(site.connectClients(1));
    QVERIFY(site.disconnect(0));
    QAbstractItemModelTester tester(&site.model);
    site.model.add(site.arrived.constFirst());
    site.model.setClosed(site.arrived.constFirst());
    QCOMPARE(site.model.openCount(), 0);
    QTRY_COMPARE(site.model.rowCount(), 1);
    QCOMPARE(site.text(0, ClientsModel::State), u"Closed by client"_s);
    site.model.setKeepClosed(0ms);
    site.model.refresh();
    QCOMPARE(site.model.rowCount(), 0);
}

void tst_MonitorClients::stateTellsTheReason_data()
{
    QTest::addColumn<int>("reason");
    QTest::addColumn<QString>("expected");
    QTest::newRow("client") << int(NamedPipe::ClosedByClient) << u"Closed by client"_s;
    QTest::newRow("server") << int(NamedPipe::ClosedByServer) << u"Closed by server"_s;
    QTest::newRow("stop") << int(NamedPipe::ServerStopped) << u"Server stopped"_s;
    QTest::newRow("failure") << int(NamedPipe::Failed) << u"Failed: "_s;
}

void tst_MonitorClients::stateTellsTheReason()
{
    QFETCH(int, reason);
    QFETCH(QString, expected);
    Site site;
    site.server.setMaximumMessageSize(100);
    QVERIFY(site.connectClients(1));
    switch (reason) {
    case NamedPipe::ClosedByClient:
        site.clients.constFirst()->asyncClose();
        break;
    case NamedPipe::ClosedByServer:
        site.arrived.constFirst()->asyncClose();
        break;
    case NamedPipe::ServerStopped:
        site.server.stop();
        break;
    case NamedPipe::Failed:
        site.model.setError(site.arrived.constFirst(), u"an error that it survives"_s);
        site.clients.constFirst()->asyncWrite(QByteArray(101, 'x'));
        break;
    }
    QVERIFY(waitUntil([&] { return site.left == 1; }));
    QTRY_VERIFY(site.text(0, ClientsModel::State) != u"Connected"_s);
    const QString state = site.text(0, ClientsModel::State);
    if (reason == NamedPipe::Failed) {
        QVERIFY2(state.startsWith(expected), qPrintable(state));
        QVERIFY(state.size() > expected.size());
        QVERIFY(!state.contains(u"survives"_s));
        site.model.setError(site.arrived.constFirst(), u"an error after the end"_s);
        QCOMPARE(site.text(0, ClientsModel::State), state); // the first one is the reason
    } else {
        QCOMPARE(state, expected);
    }
}

void tst_MonitorClients::closingClientSaysSo()
{
    Site site;
    site.manager.setContinuouslyReadFromPipe(false); // it never reads
    QVERIFY(site.connectClients(1));
    QVERIFY(site.arrived.constFirst()->asyncWrite(QByteArray(8 * 1024 * 1024, 'x')));
    site.arrived.constFirst()->asyncClose(NamedPipe::SendPending);
    QVERIFY(!site.arrived.constFirst()->isConnected());
    site.model.refresh();
    QCOMPARE(site.text(0, ClientsModel::State), u"Closing"_s);
    QVERIFY(site.value(0, ClientsModel::Queued).toLongLong() > 0);
    QVERIFY(!site.model.index(0, 0).data(ClientsModel::ClosedRole).toBool());
    site.server.stop();
    QCOMPARE(site.left, 1);
    site.model.refresh();
    QVERIFY(site.model.index(0, 0).data(ClientsModel::ClosedRole).toBool());
    QCOMPARE(site.text(0, ClientsModel::Queued), u"0 B"_s);
}

void tst_MonitorClients::strangersAndDuplicatesAreIgnored()
{
    Site site;
    QVERIFY(site.connectClients(1));
    Site elsewhere;
    QVERIFY(elsewhere.connectClients(1));
    site.model.add({});
    site.model.setClosed({});
    site.model.setError({}, u"x"_s);
    site.model.add(site.arrived.constFirst());
    site.model.setClosed(elsewhere.arrived.constFirst());
    site.model.refresh();
    QCOMPARE(site.model.rowCount(), 1);
    QCOMPARE(site.model.openCount(), 1);
    QVERIFY(site.disconnect(0));
    site.model.setClosed(site.arrived.constFirst());
    QCOMPARE(site.model.openCount(), 0);
}

void tst_MonitorClients::clearForgetsEverything()
{
    Site site;
    QVERIFY(site.connectClients(3));
    QAbstractItemModelTester tester(&site.model);
    site.model.clear();
    QCOMPARE(site.model.rowCount(), 0);
    QCOMPARE(site.model.openCount(), 0);
    QVERIFY(site.disconnect(1)); // not known any more
    QCOMPARE(site.model.openCount(), 0);
    site.model.add(site.arrived.at(2));
    QTRY_COMPARE(site.model.rowCount(), 1);
    QWeakPointer<NamedPipeServerConnection> gone = site.arrived.at(1);
    site.arrived.clear();
    QTRY_VERIFY(gone.isNull()); // the model does not keep it alive
}

void tst_MonitorClients::sortingIsByValue()
{
    ViewSite site;
    QVERIFY(site.connectClients(11));
    QCOMPARE(site.idsShown(), QList({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 }));
    site.table->sortByColumn(ClientsModel::Id, Qt::DescendingOrder);
    QCOMPARE(site.idsShown(), QList({ 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1 }));
    // As texts these would be 1.0 KiB, 10.0 KiB, 900 B.
    QVERIFY(site.send(3, 1, 10 * 1024));
    QVERIFY(site.send(8, 1, 900));
    QVERIFY(site.send(5, 1, 1024));
    site.table->sortByColumn(ClientsModel::BytesIn, Qt::DescendingOrder);
    site.model.refresh(); // sorts again: the values have changed
    QCOMPARE(site.idsShown().mid(0, 3), QList({ 4, 6, 9 }));
    site.table->sortByColumn(ClientsModel::BytesIn, Qt::AscendingOrder);
    QCOMPARE(site.idsShown().mid(8), QList({ 9, 6, 4 }));
}

void tst_MonitorClients::filterLooksAtAllColumns()
{
    ViewSite site;
    QVERIFY(site.connectClients(4));
    QVERIFY(site.disconnect(2));
    site.model.refresh();
    QTRY_COMPARE(site.summary->text(), u"3 clients, 1 closed"_s);
    QVERIFY(site.show());
    site.filter->setFocus();
    QTest::keyClicks(site.filter, u"BY CLIENT"_s);
    QCOMPARE(site.idsShown(), QList({ 3 }));
    QTRY_COMPARE(site.summary->text(), u"3 clients, 1 closed, 1 shown"_s);
    QVERIFY(site.disconnect(0)); // appears without further typing
    QTRY_COMPARE(site.idsShown(), QList({ 1, 3 }));
    site.filter->setText(QString::number(QCoreApplication::applicationPid()));
    QCOMPARE(site.idsShown().size(), 4);
    site.filter->setText(u"TST_MONITOR"_s);
    QCOMPARE(site.idsShown().size(), 4);
    site.filter->setText(u".*"_s); // not a pattern
    QCOMPARE(site.idsShown(), QList<int>());
    QTRY_COMPARE(site.textInstead(), u"No client matches the filter."_s);
    site.filter->clear();
    QCOMPARE(site.idsShown().size(), 4);
    QTRY_COMPARE(site.textInstead(), QString());
}

void tst_MonitorClients::emptyTableSaysWhy()
{
    ViewSite site;
    QVERIFY(site.show());
    const QString why = u"No clients yet. Start the server, then connect or simulate some."_s;
    QCOMPARE(site.textInstead(), why);
    QWidget *const viewport = site.table->viewport();
    const QRect middle(0, viewport->height() / 4, viewport->width(), viewport->height() / 2);
    const QRect ink = inkIn(viewport->grab(middle).toImage());
    QVERIFY(ink.width() > site.table->fontMetrics().horizontalAdvance(why) / 2);
    QVERIFY(qAbs(ink.center().x() - viewport->rect().center().x()) <= 4);
    QCOMPARE(site.summary->text(), u"0 clients"_s);
    QVERIFY(site.connectClients(1));
    QTRY_COMPARE(site.textInstead(), QString());
    QTRY_COMPARE(site.summary->text(), u"1 client"_s);
    QVERIFY(inkIn(viewport->grab(middle).toImage()).isEmpty());
    site.model.clear();
    QTRY_COMPARE(site.textInstead(), why);
    QTRY_COMPARE(site.summary->text(), u"0 clients"_s);
}

void tst_MonitorClients::selectionSurvivesRefreshAndSorting()
{
    ViewSite site;
    QVERIFY(site.connectClients(6));
    site.select({ 2, 5 });
    QCOMPARE(site.selectedIds(), QList({ 2, 5 }));
    QTRY_COMPARE(site.summary->text(), u"6 clients, 2 selected"_s);
    site.model.refresh();
    QCOMPARE(site.selectedIds(), QList({ 2, 5 }));
    site.table->sortByColumn(ClientsModel::Id, Qt::DescendingOrder);
    QCOMPARE(site.selectedIds(), QList({ 5, 2 })); // in the order of the table
    QVERIFY(site.send(1, 2, 10));
    site.table->sortByColumn(ClientsModel::MessagesIn, Qt::AscendingOrder);
    site.model.refresh();
    QCOMPARE(site.idsShown().constLast(), 2); // it has moved
    QCOMPARE(site.selectedIds(), QList({ 5, 2 }));
    QVERIFY(site.connectClients(1));
    QVERIFY(site.disconnect(0));
    site.model.setKeepClosed(0ms);
    site.model.refresh();
    QCOMPARE(site.idsShown().size(), 6);
    QCOMPARE(site.selectedIds(), QList({ 5, 2 }));
}

void tst_MonitorClients::selectionChangesAreTold()
{
    ViewSite site;
    QVERIFY(site.connectClients(3));
    QSignalSpy told(&site.view, &ClientsView::selectionChanged);
    site.select({ 1 });
    QVERIFY(told.count() > 0);
    told.clear();
    site.table->selectRow(1);
    QCOMPARE(told.count(), 1); // as many as before, but not the same
    QCOMPARE(site.selectedIds(), QList({ 2 }));
    told.clear();
    site.model.refresh();
    QTest::qWait(0);
    QCOMPARE(told.count(), 0); // nothing else is selected now
    site.table->selectAll();
    QCOMPARE(told.count(), 1);
    QCOMPARE(site.selectedIds(), QList({ 1, 2, 3 }));
    told.clear();
    QVERIFY(site.disconnect(1));
    QTRY_COMPARE(told.count(), 1);
    QCOMPARE(site.selectedIds(), QList({ 1, 3 })); // the row is selected still, the client is gone
}

void tst_MonitorClients::deleteClosesTheSelected()
{
    ViewSite site;
    QVERIFY(site.connectClients(4));
    QVERIFY(site.show());
    site.table->setFocus();
    QTest::keyClick(site.table, Qt::Key_Delete);
    site.select({ 2, 3 });
    QTest::keyClick(site.table, Qt::Key_Delete);
    QVERIFY(waitUntil([&] { return site.left == 2; }));
    QTRY_COMPARE(site.text(1, ClientsModel::State), u"Closed by server"_s);
    QCOMPARE(site.text(2, ClientsModel::State), u"Closed by server"_s);
    QVERIFY(site.arrived.at(0)->isConnected()); // not by the first key: nothing was selected
    QVERIFY(site.arrived.at(3)->isConnected());
}

void tst_MonitorClients::deleteElsewhereClosesNothing()
{
    ViewSite site;
    QVERIFY(site.connectClients(2));
    QVERIFY(site.show());
    QGuiApplication::clipboard()->setText(u"kept"_s);
    site.table->selectAll();
    site.filter->setFocus();
    site.filter->setText(u"nected"_s);
    QCOMPARE(site.idsShown().size(), 2);
    site.filter->setCursorPosition(0);
    QTest::keyClick(site.filter, Qt::Key_Delete);
    QTest::keyClick(site.filter, Qt::Key_End);
    QTest::keyClick(site.filter, Qt::Key_Delete); // there is nothing to delete
    QCOMPARE(site.filter->text(), u"ected"_s);
    QPushButton elsewhere(&site.view); // has no use for the key
    elsewhere.show();
    elsewhere.setFocus();
    QVERIFY(elsewhere.hasFocus());
    QTest::keyClick(&elsewhere, Qt::Key_Delete);
    QTest::keyClick(&elsewhere, Qt::Key_C, Qt::ControlModifier);
    QCOMPARE(QGuiApplication::clipboard()->text(), u"kept"_s);
    QVERIFY(site.arrived.at(0)->isConnected());
    QVERIFY(site.arrived.at(1)->isConnected());
}

void tst_MonitorClients::closeAfterSendingSendsFirst()
{
    ViewSite site;
    QVERIFY(site.connectClients(2));
    qint64 received = 0;
    QObject::connect(site.clients.at(1).get(), &NamedPipeClientConnection::messageReceived,
                     &site.view,
                     [&](const QVariant &, const QByteArray &data) { received += data.size(); });
    const QByteArray large(4 * 1024 * 1024, 'x');
    QVERIFY(site.arrived.at(1)->asyncWrite(large));
    site.select({ 2 });
    site.view.closeAfterSendingAction()->trigger();
    QVERIFY(waitUntil([&] { return site.left == 1; }));
    QVERIFY(waitUntil([&] { return received == large.size(); }));
    QVERIFY(site.arrived.at(0)->isConnected());
}

void tst_MonitorClients::copyGivesTheSelectedRows()
{
    ViewSite site;
    QVERIFY(site.connectClients(3));
    QVERIFY(site.send(1, 2, 1'000'000)); // 1.9 MiB in the table
    site.model.refresh();
    QVERIFY(site.show());
    site.select({ 2, 3 });
    site.table->sortByColumn(ClientsModel::Id, Qt::DescendingOrder);
    site.table->setFocus();
    QGuiApplication::clipboard()->clear();
    QTest::keyClick(site.table, Qt::Key_C, Qt::ControlModifier);
    const QStringList lines = QGuiApplication::clipboard()->text().split(u'\n');
    QCOMPARE(lines.size(), 4); // the last one is empty
    QCOMPARE(lines.at(3), QString());
    const QStringList titles = lines.at(0).split(u'\t');
    QCOMPARE(titles.size(), int(ClientsModel::ColumnCount));
    QCOMPARE(titles.at(ClientsModel::Program), u"Program"_s);
    QCOMPARE(lines.at(1).section(u'\t', 0, 0), u"3"_s); // as the table is sorted
    const QStringList cells = lines.at(2).split(u'\t');
    QCOMPARE(cells.size(), int(ClientsModel::ColumnCount));
    QCOMPARE(cells.at(ClientsModel::Id), u"2"_s);
    QCOMPARE(cells.at(ClientsModel::Process), QString::number(QCoreApplication::applicationPid()));
    QCOMPARE(cells.at(ClientsModel::BytesIn), u"2000000"_s);
    QCOMPARE(cells.at(ClientsModel::State), u"Connected"_s);
    // Nothing selected, nothing copied.
    site.table->clearSelection();
    QGuiApplication::clipboard()->setText(u"kept"_s);
    site.view.copyAction()->trigger();
    QCOMPARE(QGuiApplication::clipboard()->text(), u"kept"_s);
}

void tst_MonitorClients::menuKeyOpensTheMenu()
{
    ViewSite site;
    QVERIFY(site.connectClients(1));
    QVERIFY(site.show());
    site.table->setFocus();
    site.select({ 1 });
    QStringList texts;
    QTimer watch; // the menu has an event loop of its own
    QObject::connect(&watch, &QTimer::timeout, &site.view, [&] {
        if (const auto menu = qobject_cast<QMenu *>(QApplication::activePopupWidget())) {
            for (const QAction *action : menu->actions()) {
                if (!action->isSeparator())
                    texts += action->text().remove(u'&');
            }
            menu->close();
        }
    });
    watch.start(10);
    QContextMenuEvent key(QContextMenuEvent::Keyboard, QPoint(10, 10),
                          site.table->mapToGlobal(QPoint(10, 10)));
    QCoreApplication::sendEvent(site.table, &key);
    QCOMPARE(texts,
             QStringList({ u"Send…"_s, u"Close"_s, u"Close after sending"_s, u"Copy"_s,
                           u"Select all"_s }));
}

void tst_MonitorClients::actionsFollowTheSelection()
{
    ViewSite site;
    QVERIFY(!site.view.selectAllAction()->isEnabled());
    QVERIFY(site.connectClients(2));
    const auto isEnabled = [&] {
        return QList<bool> { site.view.sendAction()->isEnabled(),
                             site.view.closeAction()->isEnabled(),
                             site.view.closeAfterSendingAction()->isEnabled(),
                             site.view.copyAction()->isEnabled(),
                             site.view.selectAllAction()->isEnabled() };
    };
    QTRY_COMPARE(isEnabled(), QList<bool>({ false, false, false, false, true }));
    site.view.selectAllAction()->trigger();
    QCOMPARE(isEnabled(), QList<bool>({ true, true, true, true, true }));
    QSignalSpy asked(&site.view, &ClientsView::sendRequested);
    site.view.sendAction()->trigger();
    QCOMPARE(asked.count(), 1);
    site.view.closeAction()->trigger();
    QVERIFY(waitUntil([&] { return site.left == 2; }));
    // What has gone can be copied, not closed.
    QTRY_COMPARE(isEnabled(), QList<bool>({ false, false, false, true, true }));
    QTRY_COMPARE(site.summary->text(), u"0 clients, 2 closed"_s);
}

void tst_MonitorClients::keyboardAndScreenReaderFindEverything()
{
    ViewSite site;
    QVERIFY(site.connectClients(2));
    QVERIFY(site.show());
    QVERIFY(!site.filter->accessibleName().isEmpty());
    QVERIFY(!site.table->accessibleName().isEmpty());
    QVERIFY(!site.summary->accessibleName().isEmpty());
    QVERIFY(site.filter->isClearButtonEnabled());
    site.filter->setFocus();
    QVERIFY(site.filter->hasFocus());
    QTest::keyClick(site.filter, Qt::Key_Tab);
    QVERIFY(site.table->hasFocus());
    QTest::keyClick(site.table, Qt::Key_A, Qt::ControlModifier);
    QCOMPARE(site.selectedIds(), QList({ 1, 2 }));
    QTest::keyClick(site.table, Qt::Key_Tab); // does not stay in the table
    QVERIFY(!site.table->hasFocus());
    QVERIFY(site.table->verticalHeader()->isHidden());
}

void tst_MonitorClients::darkPaletteStaysReadable()
{
    const QPalette before = QApplication::palette();
    QPalette dark;
    dark.setColor(QPalette::Base, QColor(0x1e, 0x1e, 0x1e));
    dark.setColor(QPalette::Text, QColor(0xf0, 0xf0, 0xf0)); // and no AlternateBase
    dark.setColor(QPalette::AlternateBase, Qt::white);
    QApplication::setPalette(dark);
    const auto restore = qScopeGuard([&] { QApplication::setPalette(before); });
    ViewSite site;
    QVERIFY(site.connectClients(1));
    QVERIFY(site.disconnect(0));
    site.model.refresh();
    const auto lightness = [&](QPalette::ColorRole role) {
        return site.table->palette().color(role).lightness();
    };
    QVERIFY(lightness(QPalette::AlternateBase) > lightness(QPalette::Base));
    QVERIFY(lightness(QPalette::AlternateBase) < 0x40);
    const int grey =
            site.model.index(0, 0).data(Qt::ForegroundRole).value<QBrush>().color().lightness();
    QVERIFY(grey > 0x70); // on what is nearly black
    QVERIFY(grey < 0xc0); // and unlike the others
    QApplication::setPalette(before);
    QTRY_VERIFY(lightness(QPalette::AlternateBase) > 0xe0); // follows a change
}

void tst_MonitorClients::thousandClientsComeAndGo()
{
    const int crowd = affordable(1000);
    ViewSite site;
    QVERIFY(site.show());
    QVERIFY(site.server.start());
    site.manager.setConnectTimeout(int(patience.count()));
    QSignalSpy inserted(&site.model, &QAbstractItemModel::rowsInserted);
    QElapsedTimer time;
    const auto report = [&](const char *what, const EventLoopPulse &pulse) {
        qInfo("%d clients %s: %lld ms, worst gap of the event loop %lld ms", crowd, what,
              static_cast<long long>(time.elapsed()), static_cast<long long>(pulse.worstGap()));
    };

    {
        const EventLoopPulse pulse;
        time.start();
        for (int i = 0; i < crowd; ++i)
            site.clients.append(site.manager.connectToServer(site.server.pipeName()));
        QVERIFY(waitUntil([&] { return site.model.rowCount() == crowd; }));
        report("connected", pulse);
        qInfo("in %d insertions", int(inserted.count()));
    }
    QCOMPARE(site.model.openCount(), crowd);
    QTRY_COMPARE(site.summary->text(), formatWhole(crowd) + u" clients"_s);

    site.table->sortByColumn(ClientsModel::Rate, Qt::DescendingOrder);
    site.filter->setText(u"c"_s); // the dearest state: every row is sorted and searched
    for (const NamedPipeClientConnectionPtr &client : site.clients) {
        client->asyncWrite("1");
        client->asyncWrite("2");
    }
    QVERIFY(waitUntil(
            [&] { return site.server.statistics().messagesReceived == quint64(crowd) * 2; }));
    site.table->selectAll();
    {
        const EventLoopPulse pulse;
        time.start();
        for (int i = 0; i < 10; ++i) {
            site.model.refresh();
            QCoreApplication::processEvents();
        }
        report("refreshed ten times", pulse);
    }
    for (int row = 0; row < crowd; ++row)
        QCOMPARE(site.value(row, ClientsModel::MessagesIn).toInt(), 2);
    QCOMPARE(site.view.selectedClients().size(), crowd);

    {
        const EventLoopPulse pulse;
        time.start();
        for (int i = 0; i < crowd; i += 2) // every other one: the worst case for blocks
            site.clients.at(i)->asyncClose();
        QVERIFY(waitUntil([&] { return site.model.closedCount() == (crowd + 1) / 2; }));
        report("of which half left", pulse);
    }
    {
        const EventLoopPulse pulse;
        time.start();
        site.model.setKeepClosed(0ms);
        site.model.refresh();
        QVERIFY(waitUntil([&] { return site.model.rowCount() == crowd / 2; }));
        report("of which half were removed", pulse);
    }
    QCOMPARE(site.view.selectedClients().size(), crowd / 2);
    for (int row = 0; row < site.model.rowCount(); ++row)
        QVERIFY(site.model.client(row)->isConnected());
    {
        const EventLoopPulse pulse;
        time.start();
        site.server.stop();
        site.model.refresh();
        QVERIFY(waitUntil([&] { return !site.textInstead().isEmpty(); }));
        report("of which the rest left with the server", pulse);
    }
    QCOMPARE(site.model.openCount(), 0);
    QCOMPARE(site.model.rowCount(), 0);
}

QTEST_MAIN(tst_MonitorClients)

#include "tst_monitor_clients.moc"
