// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// Sends five requests at once. The answers come in another order, and one of them does not come.

#include "requests.h"

#include <QtNamedPipes/NamedPipeClientManager>

#include <QtCore/QCommandLineParser>
#include <QtCore/QCoreApplication>
#include <QtCore/QDebug>

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

int main(int argc, char *argv[])
{
    QCoreApplication app(argc, argv);
    QCommandLineParser parser;
    parser.addHelpOption();
    const QCommandLineOption pipe(u"pipe"_s, u"Name of the pipe."_s, u"NAME"_s, u"board"_s);
    parser.addOption(pipe);
    parser.process(app);

    NamedPipeClientManager manager;
    manager.setWaitForServer(true);
    const auto connection = manager.connectToServer(parser.value(pipe));
    Requests requests(connection);
    int open = 0;
    int answered = 0;

    const auto ask = [&](const QByteArray &text, std::chrono::milliseconds timeout) {
        ++open;
        requests.send(text, timeout,
                      [&, text](Requests::Outcome outcome, const QByteArray &answer) {
                          switch (outcome) {
                          case Requests::Answered:
                              ++answered;
                              qInfo().noquote() << text << "->" << answer;
                              break;
                          case Requests::TimedOut:
                              qInfo().noquote() << text << "-> nothing in time";
                              break;
                          case Requests::NotSent:
                          case Requests::Disconnected:
                              qWarning().noquote() << text << "-> the connection has ended";
                              break;
                          }
                          if (--open == 0)
                              connection->asyncClose();
                      });
    };
    QObject::connect(connection.get(), &NamedPipeClientConnection::connected, &app, [&] {
        ask("wait colour", 30s);
        ask("wait size", 30s);
        ask("set size 42", 30s);
        ask("set colour light blue", 30s);
        ask("wait miracle", 200ms); // nobody will set it
    });
    QObject::connect(connection.get(), &NamedPipeClientConnection::disconnected, &app,
                     [&] { QCoreApplication::exit(answered == 4 ? 0 : 1); });
    QObject::connect(connection.get(), &NamedPipeClientConnection::errorOccurred, &app,
                     [](NamedPipe::Error, const QString &text) {
                         qCritical().noquote() << text;
                         QCoreApplication::exit(1);
                     });
    return app.exec();
}
