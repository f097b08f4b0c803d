// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// The pipe monitor: a window on a server, its clients and their messages. The same program, started
// with --simulate-against, is the process that simulates clients.

#include "monitorwindow.h"
#include "serverpanel.h"
#include "simulationpanel.h"

#include <QtCore/qcommandlineparser.h>
#include <QtCore/qsettings.h>
#include <QtCore/qtimer.h>
#include <QtWidgets/qapplication.h>
#include <QtWidgets/qtableview.h>

#include <cstdio>
#include <cstring>

namespace {

struct Options
{
    QString pipe;
    bool isStarted = false;
    int clients = 0; ///< simulated ones; 0: none
    int rate = 10;
    int size = 256;
    bool isFreeThreaded = false;
    int seconds = 0;
    QString screenshot;
    bool isOffscreen = false;
    QString simulateAgainst; ///< set: this process simulates clients
};

Options parse(const QCoreApplication &app)
{
    QCommandLineParser parser;
    parser.setApplicationDescription(QStringLiteral(
            "Hosts a named pipe and shows its clients, their messages and how fast they are."));
    parser.addHelpOption();
    const auto option = [&parser](const char *name, const char *text, const char *value = nullptr,
                                  const char *byDefault = nullptr) {
        QCommandLineOption made(QString::fromLatin1(name), QString::fromLatin1(text),
                                QString::fromLatin1(value), QString::fromLatin1(byDefault));
        parser.addOption(made);
        return made;
    };
    const auto pipe = option("pipe", "Name of the pipe.", "NAME");
    const auto start = option("start", "Starts the server at once.");
    const auto simulate =
            option("simulate", "Simulates clients; starts the server, too.", "N", "0");
    const auto rate = option("rate", "Messages per second of each of them; 0: a flood.", "N", "10");
    const auto size = option("size", "Bytes of their messages.", "BYTES", "256");
    const auto freeThreaded = option("free-threaded", "Answers on the worker thread.");
    const auto duration = option("duration", "Ends after this time; 0: never.", "SECONDS", "0");
    const auto screenshot =
            option("screenshot", "Saves a picture of the window at the end.", "FILE");
    const auto offscreen = option("offscreen", "Needs no display; prints a line each second.");
    QCommandLineOption against(QStringLiteral("simulate-against"), {}, QStringLiteral("PIPE"));
    against.setFlags(QCommandLineOption::HiddenFromHelp);
    parser.addOption(against);
    parser.process(app);

    const auto number = [&parser](const QCommandLineOption &which, int minimum) {
        bool isNumber = false;
        const int value = parser.value(which).toInt(&isNumber);
        if (isNumber && value >= minimum)
            return value;
        std::fprintf(stderr, "--%s must be a number, %d or more\n",
                     qPrintable(which.names().constFirst()), minimum);
        std::exit(2);
    };
    Options options;
    options.pipe = parser.value(pipe);
    options.clients = number(simulate, 0);
    options.isStarted = parser.isSet(start) || options.clients > 0;
    options.rate = number(rate, 0);
    options.size = number(size, 1);
    options.isFreeThreaded = parser.isSet(freeThreaded);
    options.seconds = number(duration, 0);
    options.screenshot = parser.value(screenshot);
    options.isOffscreen = parser.isSet(offscreen);
    options.simulateAgainst = parser.value(against);
    return options;
}

bool hasArgument(int argc, char *argv[], const char *wanted)
{
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], wanted) == 0)
            return true;
    }
    return false;
}

/// Saves a picture; with something selected it shows more.
bool takePicture(MonitorWindow &window, const QString &fileName)
{
    for (auto *table : window.findChildren<QTableView *>()) {
        if (!table->selectionModel()->hasSelection())
            table->selectRow(table->model()->rowCount() - 1);
    }
    return window.grab().save(fileName);
}

/// Does what the command line asks for, and what nobody does by hand without a display.
void run(MonitorWindow &window, const Options &options)
{
    if (options.isStarted)
        window.serverPanel().startOrStop();
    if (options.clients > 0) {
        window.simulation().setNumbers(options.clients, options.rate, options.size);
        window.simulation().startOrStop();
    }
    if (options.isOffscreen) {
        auto *everySecond = new QTimer(&window);
        QObject::connect(everySecond, &QTimer::timeout, &window, [&window] {
            std::printf("%s\n", qPrintable(window.summary()));
            std::fflush(stdout);
        });
        everySecond->start(1000);
    }
    if (options.seconds > 0) {
        QTimer::singleShot(options.seconds * 1000, &window, [&window, options] {
            int code = window.serverPanel().errorText().isEmpty() ? 0 : 1;
            if (!options.screenshot.isEmpty() && !takePicture(window, options.screenshot)) {
                std::fprintf(stderr, "cannot write %s\n", qPrintable(options.screenshot));
                code = 1;
            }
            QCoreApplication::exit(code);
        });
    }
}

} // namespace

int main(int argc, char *argv[])
{
    QCoreApplication::setOrganizationName(QStringLiteral("QtNamedPipes"));
    QCoreApplication::setApplicationName(QStringLiteral("pipe-monitor"));
    if (hasArgument(argc, argv, "--simulate-against")) { // needs no window
        QCoreApplication app(argc, argv);
        const Options options = parse(app);
        return runSimulation(
                { options.simulateAgainst, options.clients, options.rate, options.size });
    }
    if (hasArgument(argc, argv, "--offscreen"))
        qputenv("QT_QPA_PLATFORM", "offscreen");
    QApplication app(argc, argv);
    const Options options = parse(app);

    MonitorWindow window;
    QSettings settings;
    if (!options.isOffscreen) // what a script does shall not depend on what somebody did before
        window.restore(settings);
    if (!options.pipe.isEmpty() || options.isOffscreen)
        window.serverPanel().setPipeName(
                options.pipe.isEmpty() ? QStringLiteral("monitor-%1").arg(app.applicationPid())
                                       : options.pipe);
    if (options.isFreeThreaded)
        window.serverPanel().setFreeThreaded(true);
    window.show();
    run(window, options);
    const int code = app.exec();
    if (!options.isOffscreen)
        window.save(settings);
    return code;
}
