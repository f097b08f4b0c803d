// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// Asks for primes, everything at once. Small questions are answered before large ones that were
// asked earlier.

#include <QtNamedPipes/NamedPipeClientManager>

#include <QtCore/QCommandLineParser>
#include <QtCore/QCoreApplication>
#include <QtCore/QDebug>

using namespace Qt::StringLiterals;

int main(int argc, char *argv[])
{
    QCoreApplication app(argc, argv);
    QCommandLineParser parser;
    parser.addHelpOption();
    const QCommandLineOption pipe(u"pipe"_s, u"Name of the pipe."_s, u"NAME"_s, u"primes"_s);
    parser.addOption(pipe);
    parser.addPositionalArgument(u"limit"_s, u"Up to where primes are counted."_s, u"[limit...]"_s);
    parser.process(app);
    QStringList limits = parser.positionalArguments();
    limits.removeAll(QString());
    if (limits.isEmpty())
        limits = { u"1000000"_s, u"10"_s, u"100"_s, u"500000"_s, u"1000"_s, u"10000"_s };

    NamedPipeClientManager manager;
    manager.setWaitForServer(true);
    const auto connection = manager.connectToServer(parser.value(pipe));
    qsizetype answers = 0;
    QObject::connect(connection.get(), &NamedPipeClientConnection::connected, &app, [&] {
        for (const QString &limit : limits)
            connection->asyncWrite(limit.toUtf8());
    });
    QObject::connect(connection.get(), &NamedPipeClientConnection::messageReceived, &app,
                     [&](const QVariant &, const QByteArray &answer) {
                         qInfo().noquote() << answer;
                         if (++answers == limits.size())
                             connection->asyncClose();
                     });
    QObject::connect(connection.get(), &NamedPipeClientConnection::disconnected, &app,
                     [&] { QCoreApplication::exit(answers == limits.size() ? 0 : 1); });
    QObject::connect(connection.get(), &NamedPipeClientConnection::errorOccurred, &app,
                     [](NamedPipe::Error, const QString &text) {
                         qCritical().noquote() << text;
                         QCoreApplication::exit(1);
                     });
    return app.exec();
}
