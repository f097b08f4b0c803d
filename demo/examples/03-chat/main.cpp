// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// A chat: a window for each name, in as many processes as you like. Who finds no room opens one;
// when the process that has it ends, another one opens it again.

#include "chatroom.h"
#include "chatwindow.h"

#include <QtCore/qcommandlineparser.h>
#include <QtWidgets/qapplication.h>

#include <memory>
#include <vector>

using namespace Qt::StringLiterals;

int main(int argc, char *argv[])
{
    QApplication app(argc, argv);
    QCommandLineParser parser;
    parser.addHelpOption();
    const QCommandLineOption pipe(u"pipe"_s, u"Name of the pipe."_s, u"NAME"_s, u"chat"_s);
    const QCommandLineOption name(u"name"_s, u"A person; may be given several times."_s, u"NAME"_s,
                                  u"Ada"_s);
    const QCommandLineOption sayOption(u"say"_s, u"What each of them says at first."_s, u"TEXT"_s);
    const QCommandLineOption exitAfter(u"exit-after-messages"_s,
                                       u"Close a window when so much has been said."_s, u"N"_s);
    const QCommandLineOption screenshot(
            u"screenshot"_s, u"Save a picture of the first window when it is closed so."_s,
            u"FILE"_s);
    parser.addOptions({ pipe, name, sayOption, exitAfter, screenshot });
    parser.process(app);

    ChatRoom room(parser.value(pipe));
    NamedPipeClientManager manager;
    manager.setAutoReconnect(true);
    manager.setMaximumReconnectDelay(1000);

    std::vector<std::unique_ptr<ChatWindow>> windows;
    for (const QString &person : parser.values(name)) {
        const QString picture = windows.empty() ? parser.value(screenshot) : QString();
        windows.push_back(std::make_unique<ChatWindow>(manager, parser.value(pipe), person));
        ChatWindow *const window = windows.back().get();
        QObject::connect(window, &ChatWindow::roomMissing, &app, [&room] { room.open(); });
        QObject::connect(window, &ChatWindow::entered, &app,
                         [&, window] { window->say(parser.value(sayOption)); });
        QObject::connect(window, &ChatWindow::heard, &app, [&, window, picture](int count) {
            if (count != parser.value(exitAfter).toInt())
                return;
            if (!picture.isEmpty() && !window->grab().save(picture))
                qCritical().noquote() << "cannot write" << picture;
            window->close(); // with the last one the program ends
        });
        window->show();
    }
    const int code = app.exec();
    room.close();
    return code;
}
