// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "chatwindow.h"

#include <QtCore/qdatetime.h>
#include <QtGui/qtextcursor.h>
#include <QtWidgets/qboxlayout.h>

using namespace Qt::StringLiterals;

ChatWindow::ChatWindow(NamedPipeClientManager &manager, const QString &pipe, const QString &name)
    : m_name(name),
      m_connection(manager.connectToServer(pipe))
{
    setUpWidgets();
    setUpConnection();
    setWindowTitle(u"%1 \u2013 %2"_s.arg(m_name, pipe));
    resize(400, 480);
}

void ChatWindow::say(const QString &text)
{
    m_connection->asyncWrite(text.toUtf8()); // it is shown when it comes back from the room
}

void ChatWindow::setUpWidgets()
{
    m_log.setFocusPolicy(Qt::NoFocus);
    m_log.document()->setDocumentMargin(12);
    m_input.setPlaceholderText(tr("Say something as %1").arg(m_name));
    m_send.setText(tr("Send"));
    m_status.setWordWrap(true);
    setStatus(tr("Looking for the room"), false);

    auto *bottom = new QHBoxLayout;
    bottom->addWidget(&m_input, 1);
    bottom->addWidget(&m_send);
    auto *layout = new QVBoxLayout(this);
    layout->addWidget(&m_status);
    layout->addWidget(&m_log, 1);
    layout->addLayout(bottom);

    connect(&m_send, &QPushButton::clicked, &m_input, &QLineEdit::returnPressed);
    connect(&m_input, &QLineEdit::returnPressed, this, [this] {
        if (!m_connection->isConnected() || m_input.text().trimmed().isEmpty())
            return; // what was typed stays until it can be sent
        say(m_input.text());
        m_input.clear();
    });
}

void ChatWindow::setUpConnection()
{
    // With autoReconnect these come again and again.
    NamedPipeClientConnection *const connection = m_connection.get();
    connect(connection, &NamedPipeClientConnection::connected, this, [this] {
        setStatus(tr("In the room"), true);
        say(m_name);
        Q_EMIT entered();
    });
    connect(connection, &NamedPipeClientConnection::disconnected, this,
            [this] { setStatus(tr("The room has closed"), false); });
    connect(connection, &NamedPipeClientConnection::errorOccurred, this,
            [this](NamedPipe::Error error, const QString &text) {
                if (error == NamedPipe::NotFound)
                    Q_EMIT roomMissing();
                else
                    setStatus(text, false);
            });
    connect(connection, &NamedPipeClientConnection::messageReceived, this,
            [this](const QVariant &, const QByteArray &message) {
                receive(QString::fromUtf8(message));
            });
}

void ChatWindow::setStatus(const QString &text, bool isConnected)
{
    m_status.setText(u"<span style='color:%1'>\u25cf</span> %2"_s.arg(isConnected ? u"#2e9e5b"_s
                                                                                  : u"#c98a1b"_s,
                                                                      text.toHtmlEscaped()));
    m_send.setEnabled(isConnected);
}

void ChatWindow::receive(const QString &message)
{
    const QStringList lines = message.split(u'\n'); // see ChatRoom
    if (!lines.constFirst().isEmpty()) {
        showMessage(lines.constFirst(), lines.value(1));
        Q_EMIT heard(++m_heard);
    } else {
        showNotice(lines.value(1));
        setStatus(tr("In the room: %1").arg(lines.value(2)), true);
    }
}

void ChatWindow::showNotice(const QString &text)
{
    m_log.append(
            u"<p style='color:%1; margin:5px 0'><small>%2</small></p>"_s.arg(grey(),
                                                                             text.toHtmlEscaped()));
}

void ChatWindow::showMessage(const QString &speaker, const QString &text)
{
    // The same colour for a name in every window, readable on light and on dark.
    const bool isDark = palette().color(QPalette::Base).lightness() < 128;
    const QColor colour =
            QColor::fromHsl(qChecksum(speaker.toUtf8()) % 360, 160, isDark ? 170 : 90);
    m_log.append(u"<p style='margin:5px 0'><b style='color:%1'>%2</b> "
                 "<small style='color:%3'>%4</small><br>%5</p>"_s
                         .arg(colour.name(), speaker.toHtmlEscaped(), grey(),
                              QTime::currentTime().toString(u"hh:mm"_s), text.toHtmlEscaped()));
}

/// For what is less important: between the text and its background.
QString ChatWindow::grey() const
{
    const QColor text = palette().color(QPalette::Text);
    const QColor base = palette().color(QPalette::Base);
    const auto mixed = [](int a, int b) { return (3 * a + 2 * b) / 5; };
    return QColor(mixed(text.red(), base.red()), mixed(text.green(), base.green()),
                  mixed(text.blue(), base.blue()))
            .name();
}
