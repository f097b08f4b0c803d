// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "clientsmodel.h"
#include "messagelog.h"
#include "monitorwindow.h"
#include "platformflags.h"
#include "scratchname.h"
#include "serverpanel.h"
#include "simulationpanel.h"
#include "stress.h"
#include "testclient.h"
#include "waiting.h"

#include <QtCore/qprocess.h>
#include <QtCore/qsettings.h>
#include <QtCore/qtemporarydir.h>
#include <QtTest/QtTest>
#include <QtWidgets/qapplication.h>
#include <QtWidgets/qlabel.h>
#include <QtWidgets/qlineedit.h>
#include <QtWidgets/qpushbutton.h>
#include <QtWidgets/qspinbox.h>

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

/// The window of the pipe monitor with a real server in it.
class tst_MonitorWindow : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void itStartsAndStops();
    void errorsAreToldInWordsWhereTheyHappened_data();
    void errorsAreToldInWordsWhereTheyHappened();
    void propertiesReachTheServer();
    void propertiesAreFixedWhileItRuns();
    void settingsAreKept();
    void clientsAndMessagesAreShown_data();
    void clientsAndMessagesAreShown();
    void manySimulatedClientsConnect();
    void windowStaysResponsiveUnderAFlood_data();
    void windowStaysResponsiveUnderAFlood();
    void simulatedClientsEndWithTheServer();
    void programRunsWithoutADisplay();
    void programSaysWhatIsWrongWithItsArguments();

private:
    static bool start(MonitorWindow &window)
    {
        window.serverPanel().setPipeName(scratchName());
        window.serverPanel().startOrStop();
        return window.server().isRunning();
    }
    static QString program() { return QStringLiteral(TESTS_BINARY_DIR "/pipe-monitor"); }
};

void tst_MonitorWindow::itStartsAndStops()
{
    MonitorWindow window;
    QPushButton *button = window.serverPanel().startButton();
    const QString startText = button->text();
    for (int round = 0; round < 3; ++round) {
        window.serverPanel().setPipeName(scratchName());
        QTest::mouseClick(button, Qt::LeftButton);
        QVERIFY(window.server().isRunning());
        QVERIFY(button->text() != startText);
        QTest::mouseClick(button, Qt::LeftButton);
        QVERIFY(!window.server().isRunning());
        QCOMPARE(button->text(), startText);
    }
}

void tst_MonitorWindow::errorsAreToldInWordsWhereTheyHappened_data()
{
    QTest::addColumn<QString>("name");
    QTest::addColumn<QString>("said");
    QTest::newRow("no name") << QString() << u"without specifying a pipe name"_s;
    QTest::newRow("slash") << u"a/b"_s << u"cannot contain"_s;
    QTest::newRow("full name") << u"\\\\.\\pipe\\Name"_s << u"leaf name"_s;
}

void tst_MonitorWindow::errorsAreToldInWordsWhereTheyHappened()
{
    QFETCH(QString, name);
    QFETCH(QString, said);
    MonitorWindow window;
    window.serverPanel().setPipeName(name);
    window.serverPanel().startOrStop();
    QVERIFY(waitUntil([&] { return window.serverPanel().errorText().contains(said); }));
    QVERIFY(!QApplication::activeModalWidget());
    QVERIFY(start(window)); // and the next try clears it
    QCOMPARE(window.serverPanel().errorText(), QString());
}

void tst_MonitorWindow::propertiesReachTheServer()
{
    MonitorWindow window;
    const NamedPipeServer defaults;
    QVERIFY(start(window));
    const NamedPipeServer &server = window.server();
    QCOMPARE(server.messageBufferSize(), defaults.messageBufferSize());
    QCOMPARE(server.numThreadsIOCP(), defaults.numThreadsIOCP());
    QCOMPARE(server.listenBacklogSize(), defaults.listenBacklogSize());
    QCOMPARE(server.maxConnections(), defaults.maxConnections());
    QCOMPARE(server.maximumMessageSize(), defaults.maximumMessageSize());
    QCOMPARE(server.maximumPendingReadBytes(), defaults.maximumPendingReadBytes());
    QCOMPARE(server.maximumPendingWriteBytes(), defaults.maximumPendingWriteBytes());
    QCOMPARE(server.accessOptions(), defaults.accessOptions());
    QCOMPARE(server.freeThreadingEvents(), defaults.freeThreadingEvents());
    QCOMPARE(server.continuouslyReadFromPipe(), defaults.continuouslyReadFromPipe());
    window.serverPanel().startOrStop();
    for (auto *box : window.serverPanel().findChildren<QSpinBox *>())
        box->setValue(7);
    QVERIFY(start(window));
    QCOMPARE(server.messageBufferSize(), 7 * 1024);
    QCOMPARE(server.numThreadsIOCP(), 7);
    QCOMPARE(server.listenBacklogSize(), 7);
    QCOMPARE(server.maxConnections(), 7);
    QCOMPARE(server.maximumMessageSize(), 7 * 1024);
    QCOMPARE(server.maximumPendingReadBytes(), 7 * 1024);
    QCOMPARE(server.maximumPendingWriteBytes(), 7 * 1024 * 1024);
}

void tst_MonitorWindow::propertiesAreFixedWhileItRuns()
{
    MonitorWindow window;
    QVERIFY(start(window));
    for (const auto *box : window.serverPanel().findChildren<QSpinBox *>())
        QVERIFY2(!box->isEnabled(), qPrintable(box->accessibleName()));
    window.serverPanel().startOrStop();
    for (const auto *box : window.serverPanel().findChildren<QSpinBox *>())
        QVERIFY2(box->isEnabled(), qPrintable(box->accessibleName()));
}

void tst_MonitorWindow::settingsAreKept()
{
    const QTemporaryDir folder;
    QSettings settings(folder.filePath(u"monitor.ini"_s), QSettings::IniFormat);
    const QString name = scratchName();
    {
        MonitorWindow window;
        window.serverPanel().setPipeName(name);
        window.serverPanel().setEchoes(false);
        window.simulation().setNumbers(33, 44, 55);
        window.resize(799, 770);
        window.save(settings);
    }
    MonitorWindow window;
    window.restore(settings);
    QCOMPARE(window.serverPanel().echoes(), false);
    QCOMPARE(window.size(), QSize(799, 770));
    window.serverPanel().startOrStop();
    QCOMPARE(window.server().pipeName(), name);
    QList<int> numbers;
    for (const auto *box : window.simulation().findChildren<QSpinBox *>())
        numbers.append(box->value());
    QCOMPARE(numbers, QList({ 33, 44, 55 }));
}

void tst_MonitorWindow::clientsAndMessagesAreShown_data()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::newRow("marshalled") << false;
    QTest::newRow("free-threaded") << true;
}

void tst_MonitorWindow::clientsAndMessagesAreShown()
{
    QFETCH(bool, freeThreaded);
    MonitorWindow window;
    window.serverPanel().setFreeThreaded(freeThreaded);
    QVERIFY(start(window));
    TestClient client;
    const auto connection = client.connectTo(window.server().pipeName());
    QVERIFY(connection);
    QVERIFY(connection->asyncWrite("shown in the log"_ba));
    QVERIFY(client.recorder.waitFor(ClientEvent::Message)); // the echo
    QCOMPARE(client.recorder.messages(), QList { "shown in the log"_ba });
    QVERIFY(waitUntil([&] { return window.clients().openCount() == 1; }));
    QVERIFY(waitUntil([&] { return window.clients().rowCount() == 1; }));
    const auto shown = [&] {
        int count = 0;
        const QAbstractItemModel &log = window.log();
        for (int row = 0; row < log.rowCount(); ++row) {
            for (int column = 0; column < log.columnCount(); ++column) {
                if (log.index(row, column).data().toString().contains(u"shown in the log"_s))
                    ++count;
            }
        }
        return count;
    };
    QVERIFY(waitUntil([&] { return shown() == 2; })); // in and out
    window.serverPanel().setEchoes(false);
    QVERIFY(connection->asyncWrite("not answered"_ba));
    QVERIFY(waitUntil([&] { return window.server().statistics().messagesReceived == 2; }));
    connection->asyncClose();
    QVERIFY(waitUntil([&] { return window.clients().openCount() == 0; }));
    QCOMPARE(client.recorder.count(ClientEvent::Message), 1);
}

void tst_MonitorWindow::manySimulatedClientsConnect()
{
    const int many = scaled(1000);
    MonitorWindow window;
    QVERIFY(start(window));
    window.show();
    window.simulation().clients().setProgram(program());
    window.simulation().setNumbers(many, 1, 100);
    window.simulation().startOrStop();
    QVERIFY(waitUntil([&] { return window.clients().openCount() == many; }, 60s));
    QVERIFY(waitUntil([&] { return window.simulation().clients().connectedCount() == many; }, 60s));
    QVERIFY(waitUntil([&] { return window.server().statistics().messagesReceived > quint64(many); },
                      60s));
    window.simulation().startOrStop();
    QVERIFY(waitUntil([&] { return window.clients().openCount() == 0; }, 60s));
    QVERIFY(waitUntil([&] { return !window.simulation().clients().isRunning(); }, 60s));
}

void tst_MonitorWindow::windowStaysResponsiveUnderAFlood_data()
{
    clientsAndMessagesAreShown_data();
}

void tst_MonitorWindow::windowStaysResponsiveUnderAFlood()
{
    QFETCH(bool, freeThreaded);
    MonitorWindow window;
    window.serverPanel().setFreeThreaded(freeThreaded);
    QVERIFY(start(window));
    window.show();
    window.simulation().clients().setProgram(program());
    window.simulation().setNumbers(4, 0, 64); // as many as go
    window.simulation().startOrStop();
    const quint64 flood = quint64(scaled(500'000));
    QVERIFY(waitUntil([&] { return window.clients().openCount() == 4; }, 60s));
    LatencyMeter meter;
    meter.start();
    QVERIFY(waitUntil([&] { return window.server().statistics().messagesReceived > flood; }, 60s));
    const double late = meter.takeWorst();
    qInfo("%.1f ms late at most", late);
    QVERIFY2(window.log().rowCount() > 0, "nothing is shown");
    QVERIFY2(window.log().rowCount() <= 10'000, "more is shown than the log keeps");
    if (PlatformFlags::timingIsMeaningful())
        QVERIFY2(late < 100, qPrintable(QString::number(late)));
}

void tst_MonitorWindow::simulatedClientsEndWithTheServer()
{
    MonitorWindow window;
    QVERIFY(start(window));
    window.simulation().clients().setProgram(program());
    window.simulation().setNumbers(5, 10, 100);
    window.simulation().startOrStop();
    QVERIFY(waitUntil([&] { return window.clients().openCount() == 5; }, 30s));
    window.serverPanel().startOrStop();
    QVERIFY(waitUntil([&] { return !window.simulation().clients().isRunning(); }, 30s));
}

void tst_MonitorWindow::programRunsWithoutADisplay()
{
    const QTemporaryDir folder;
    const QString picture = folder.filePath(u"monitor.png"_s);
    QProcess monitor;
    monitor.start(program(),
                  { u"--offscreen"_s, u"--simulate"_s, u"3"_s, u"--rate"_s, u"100"_s,
                    u"--duration"_s, u"4"_s, u"--screenshot"_s, picture });
    QVERIFY(monitor.waitForFinished(60'000));
    QCOMPARE(monitor.exitStatus(), QProcess::NormalExit);
    QCOMPARE(monitor.exitCode(), 0);
    const QList<QByteArray> lines = monitor.readAllStandardOutput().trimmed().split('\n');
    QVERIFY2(lines.size() >= 2, lines.join('|').constData());
    QVERIFY2(lines.constLast().contains("3 clients"), lines.constLast().constData());
    const QImage image(picture);
    QVERIFY(image.width() >= 800 && image.height() >= 500);
}

void tst_MonitorWindow::programSaysWhatIsWrongWithItsArguments()
{
    QProcess monitor;
    monitor.start(program(), { u"--offscreen"_s, u"--simulate"_s, u"many"_s });
    QVERIFY(monitor.waitForFinished(30'000));
    QCOMPARE(monitor.exitCode(), 2);
    QVERIFY(monitor.readAllStandardError().contains("--simulate must be a number"));
}

int main(int argc, char *argv[])
{
#ifdef Q_OS_UNIX // elsewhere there is always a screen
    if (qEnvironmentVariableIsEmpty("QT_QPA_PLATFORM"))
        qputenv("QT_QPA_PLATFORM", "offscreen");
#endif
    QApplication app(argc, argv);
    tst_MonitorWindow test;
    return QTest::qExec(&test, argc, argv);
}

#include "tst_monitor_window.moc"
