// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// A notice board: "wait KEY" is answered when somebody says "set KEY VALUE", which is answered at
// once. So answers come in another order than requests, and each begins with the number of its
// request.

#include <QtNamedPipes/NamedPipeServer>

#include <QtCore/QCommandLineParser>
#include <QtCore/QCoreApplication>
#include <QtCore/QDebug>

using namespace Qt::StringLiterals;

class NoticeBoard
{
public:
    /// \a request is "NUMBER wait KEY" or "NUMBER set KEY VALUE".
    void handle(const NamedPipeServerConnectionPtr &client, const QByteArray &request)
    {
        const QList<QByteArray> words = request.split(' ');
        const QByteArray &number = words.constFirst();
        const QByteArray what = words.value(1);
        const QByteArray key = words.value(2);
        if (what == "wait" && words.size() == 3) {
            m_waiting.append({ client, number, key });
        } else if (what == "set" && words.size() >= 4) {
            answer(client, number, "ok");
            announce(key, words.mid(3).join(' '));
        } else {
            answer(client, number, "error: neither wait KEY nor set KEY VALUE");
        }
    }

    /// \a client has left: nobody is to be answered.
    void forget(const NamedPipeServerConnectionPtr &client)
    {
        m_waiting.removeIf([&](const Waiting &waiting) { return waiting.client == client; });
    }

private:
    struct Waiting
    {
        NamedPipeServerConnectionPtr client;
        QByteArray number;
        QByteArray key;
    };

    void announce(const QByteArray &key, const QByteArray &value)
    {
        m_waiting.removeIf([&](const Waiting &waiting) {
            if (waiting.key != key)
                return false;
            answer(waiting.client, waiting.number, value);
            return true;
        });
    }

    static void answer(const NamedPipeServerConnectionPtr &client, const QByteArray &number,
                       const QByteArray &text)
    {
        client->asyncWrite(number + ' ' + text);
    }

    QList<Waiting> m_waiting;
};

int main(int argc, char *argv[])
{
    QCoreApplication app(argc, argv);
    QCommandLineParser parser;
    parser.addHelpOption();
    const QCommandLineOption pipe(u"pipe"_s, u"Name of the pipe."_s, u"NAME"_s, u"board"_s);
    const QCommandLineOption once(u"once"_s, u"End when the first client has left."_s);
    parser.addOptions({ pipe, once });
    parser.process(app);

    NoticeBoard board;
    NamedPipeServer server(parser.value(pipe));
    server.setMaximumMessageSize(64 * 1024); // whoever sends more than a notice is disconnected
    QObject::connect(&server, &NamedPipeServer::clientMessageReceived, &app,
                     [&board](const NamedPipeServerConnectionPtr &client, const QVariant &,
                              const QByteArray &message) { board.handle(client, message); });
    QObject::connect(&server, &NamedPipeServer::clientDisconnected, &app,
                     [&board](const NamedPipeServerConnectionPtr &client) {
                         board.forget(client);
                     });
    QObject::connect(&server, &NamedPipeServer::clientErrorOccurred, &app,
                     [](const NamedPipeServerConnectionPtr &client, NamedPipe::Error,
                        const QString &text) {
                         qWarning("client %llu: %s", client->id(), qPrintable(text));
                     });
    if (parser.isSet(once))
        QObject::connect(&server, &NamedPipeServer::clientDisconnected, &app,
                         &QCoreApplication::quit);

    if (!server.start()) {
        qCritical().noquote() << server.errorString();
        return 1;
    }
    qInfo().noquote() << "Listening on" << server.fullPipeName();
    return app.exec();
}
