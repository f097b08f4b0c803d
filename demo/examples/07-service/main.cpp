// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// A service: a program without a window that runs until it is told to stop, and then stops in an
// orderly way.

#include "service.h"
#include "stopsignal.h"

#include <QtCore/qcommandlineparser.h>
#include <QtCore/qcoreapplication.h>
#include <QtCore/qhash.h>

#include <optional>

using namespace Qt::StringLiterals;

/// The settings that the command line asks for; nothing when they make no sense, which is told.
static std::optional<Settings> parse(const QCoreApplication &app)
{
    QCommandLineParser parser;
    parser.setApplicationDescription(u"Tells the time to its clients until Ctrl+C or SIGTERM."_s);
    parser.addHelpOption();
    const QCommandLineOption pipe(u"pipe"_s, u"Name of the pipe."_s, u"NAME"_s, u"service"_s);
    const QCommandLineOption access(u"access"_s, u"Who may connect: user, group or everyone."_s,
                                    u"WHO"_s, u"user"_s);
    const QCommandLineOption maxClients(u"max-clients"_s, u"Clients at a time; 0: no limit."_s,
                                        u"N"_s, u"100"_s);
    const QCommandLineOption stopTimeout(u"stop-timeout"_s,
                                         u"What the end may take for clients that do not read."_s,
                                         u"MSECS"_s, u"3000"_s);
    const QCommandLineOption verbose(u"verbose"_s, u"Log every step."_s);
    parser.addOptions({ pipe, access, maxClients, stopTimeout, verbose });
    parser.process(app);

    const QHash<QString, NamedPipe::AccessOptions> whos {
        { u"user"_s, NamedPipe::UserAccess },
        { u"group"_s, NamedPipe::UserAccess | NamedPipe::GroupAccess },
        { u"everyone"_s, NamedPipe::WorldAccess },
    };
    if (!whos.contains(parser.value(access))) {
        qCCritical(lcService, "--access must be user, group or everyone");
        return {};
    }
    for (const QCommandLineOption &option : { maxClients, stopTimeout }) {
        bool isNumber = false;
        if (parser.value(option).toInt(&isNumber) < 0 || !isNumber) {
            qCCritical(lcService, "--%s must be a number, 0 or more",
                       qPrintable(option.names().constFirst()));
            return {};
        }
    }
    if (parser.isSet(verbose))
        QLoggingCategory::setFilterRules(u"example.service.debug=true\nqtnamedpipes.*=true"_s);
    return Settings { parser.value(pipe), whos.value(parser.value(access)),
                      parser.value(maxClients).toInt(),
                      std::chrono::milliseconds(parser.value(stopTimeout).toInt()) };
}

int main(int argc, char *argv[])
{
    QCoreApplication app(argc, argv);
    const StopSignal stopSignal;
    qSetMessagePattern(u"%{time yyyy-MM-dd hh:mm:ss.zzz} %{type} %{category}: %{message}"_s);
    const std::optional<Settings> settings = parse(app);
    if (!settings)
        return 2;
    Service service(*settings);
    if (!service.start())
        return 1;
    const int code = app.exec(); // until StopSignal
    service.stop();
    return code;
}
