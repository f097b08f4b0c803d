// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef CHATWINDOW_H
#define CHATWINDOW_H

#include <QtNamedPipes/NamedPipeClientManager>

#include <QtWidgets/qlabel.h>
#include <QtWidgets/qlineedit.h>
#include <QtWidgets/qpushbutton.h>
#include <QtWidgets/qtextbrowser.h>
#include <QtWidgets/qwidget.h>

/// One person in the room, with a connection of its own.
class ChatWindow : public QWidget
{
    Q_OBJECT

public:
    ChatWindow(NamedPipeClientManager &manager, const QString &pipe, const QString &name);

    void say(const QString &text);

Q_SIGNALS:
    /// The window is in the room.
    void entered();
    /// There is no room to be in.
    void roomMissing();
    /// Somebody has said something; \a count times by now.
    void heard(int count);

private:
    void setUpWidgets();
    void setUpConnection();
    void setStatus(const QString &text, bool isConnected);
    void receive(const QString &message);
    void showNotice(const QString &text);
    void showMessage(const QString &speaker, const QString &text);
    QString grey() const;

    const QString m_name;
    int m_heard = 0;
    QLabel m_status;
    QTextBrowser m_log;
    QLineEdit m_input;
    QPushButton m_send;
    const NamedPipeClientConnectionPtr m_connection;
};

#endif // CHATWINDOW_H
