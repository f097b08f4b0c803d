// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// Sends messages to the echo server, and checks that each comes back whole and in its place.

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
    const QCommandLineOption pipe(u"pipe"_s, u"Name of the pipe."_s, u"NAME"_s, u"echo"_s);
    parser.addOption(pipe);
    parser.addPositionalArgument(u"message"_s, u"What to send."_s, u"[message...]"_s);
    parser.process(app);
    QStringList messages = parser.positionalArguments();
    messages.removeAll(QString()); // asyncWrite() sends no empty ones
    if (messages.isEmpty())
        messages = { u"one"_s, u"two"_s, u"three"_s };

    NamedPipeClientManager manager;
    manager.setWaitForServer(true); // it may be started after this client, within connectTimeout
    const auto connection = manager.connectToServer(parser.value(pipe));
    qsizetype answers = 0;

    QObject::connect(connection.get(), &NamedPipeClientConnection::connected, &app, [&] {
        for (const QString &message : messages) // all at once: order and boundaries are kept
            connection->asyncWrite(message.toUtf8());
    });
    QObject::connect(connection.get(), &NamedPipeClientConnection::messageReceived, &app,
                     [&](const QVariant &, const QByteArray &answer) {
                         qInfo().noquote() << "answer:" << answer;
                         if (answer != messages.at(answers).toUtf8()) {
                             qCritical("This is not what was sent.");
                             connection->asyncClose();
                         } else if (++answers == messages.size()) {
                             connection->asyncClose();
                         }
                     });
    // Every connection that was made ends here, whoever closed it.
    QObject::connect(connection.get(), &NamedPipeClientConnection::disconnected, &app, [&] {
        qInfo("%lld of %lld messages came back.", qlonglong(answers), qlonglong(messages.size()));
        QCoreApplication::exit(answers == messages.size() ? 0 : 1);
    });
    // One that could not be made ends here.
    QObject::connect(connection.get(), &NamedPipeClientConnection::errorOccurred, &app,
                     [](NamedPipe::Error, const QString &text) {
                         qCritical().noquote() << text;
                         QCoreApplication::exit(1);
                     });
    return app.exec();
}
