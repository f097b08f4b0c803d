// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "sendbox.h"

#include "colors.h"
#include "messagetext.h"
#include "texts.h"

#include <QtGui/qevent.h>
#include <QtGui/qshortcut.h>
#include <QtWidgets/qboxlayout.h>
#include <QtWidgets/qcombobox.h>
#include <QtWidgets/qgridlayout.h>
#include <QtWidgets/qlabel.h>
#include <QtWidgets/qlineedit.h>
#include <QtWidgets/qplaintextedit.h>
#include <QtWidgets/qpushbutton.h>
#include <QtWidgets/qradiobutton.h>

#include <cctype>

static constexpr int VisibleLines = 3;
static constexpr int MaximumEntry = 64 * 1024;

static QString hexMark()
{
    return QStringLiteral("hex:");
}

static QString textMark()
{
    return QStringLiteral("text:");
}

static QString clientsText(int count)
{
    return count == 1 ? SendBox::tr("1 client") : SendBox::tr("%1 clients").arg(formatCount(count));
}

namespace {

/// As high as its lines; the default is meant for documents.
class MessageEdit : public QPlainTextEdit
{
public:
    using QPlainTextEdit::QPlainTextEdit;

    QSize sizeHint() const override
    {
        const int margins = 2 * (int(document()->documentMargin()) + frameWidth());
        return { fontMetrics().averageCharWidth() * 24,
                 fontMetrics().lineSpacing() * VisibleLines + margins };
    }
    QSize minimumSizeHint() const override
    {
        return { fontMetrics().averageCharWidth() * 12, sizeHint().height() };
    }
};

} // namespace

SendBox::SendBox(QWidget *parent) : QWidget(parent)
{
    makeFields();
    layOut();

    connect(m_target, &QComboBox::currentIndexChanged, this, &SendBox::check);
    connect(m_asHex, &QRadioButton::toggled, this, &SendBox::check);
    connect(m_message, &QPlainTextEdit::textChanged, this, &SendBox::check);
    connect(m_send, &QPushButton::clicked, this, &SendBox::send);
    for (const Qt::Key key : { Qt::Key_Return, Qt::Key_Enter }) {
        auto *shortcut = new QShortcut(Qt::CTRL | key, this);
        shortcut->setContext(Qt::WidgetWithChildrenShortcut);
        connect(shortcut, &QShortcut::activated, this, &SendBox::send);
    }
    setCounts(0, 0);
}

void SendBox::makeFields()
{
    m_target = new QComboBox(this);
    m_target->setObjectName(QStringLiteral("target"));
    m_target->addItems({ QString(), QString() });
    m_target->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
    m_target->setMinimumContentsLength(18);
    m_target->setAccessibleName(tr("Recipients"));
    m_target->setToolTip(tr("The clients that are selected in the list, or all of them."));

    m_asText = new QRadioButton(tr("Text"), this);
    m_asText->setObjectName(QStringLiteral("asText"));
    m_asText->setToolTip(tr("The text is sent as UTF-8."));
    m_asHex = new QRadioButton(tr("Hex"), this);
    m_asHex->setObjectName(QStringLiteral("asHex"));
    m_asHex->setToolTip(tr("Bytes of two digits: de ad be ef, or 0xdeadbeef"));
    m_asText->setChecked(true);

    m_message = new MessageEdit(this);
    m_message->setObjectName(QStringLiteral("message"));
    m_message->setFont(fixedFont());
    m_message->setTabChangesFocus(true);
    m_message->setAccessibleName(tr("Message"));
    m_message->setToolTip(tr("Ctrl+Return sends it. Ctrl+Up and Ctrl+Down go through what was sent "
                             "before."));
    m_message->installEventFilter(this);

    m_hint = new QLabel(this);
    m_hint->setObjectName(QStringLiteral("hint"));
    m_hint->setWordWrap(true);
    m_hint->setAccessibleName(tr("Hint about the message"));

    m_cookie = new QLineEdit(this);
    m_cookie->setObjectName(QStringLiteral("cookie"));
    m_cookie->setPlaceholderText(tr("optional"));
    m_cookie->setAccessibleName(tr("Cookie"));
    m_cookie->setToolTip(tr("Comes back with the signal that says that the message was sent."));
    m_cookie->setMinimumWidth(60);

    m_send = new QPushButton(tr("Send"), this);
    m_send->setObjectName(QStringLiteral("send"));
    m_send->setAutoDefault(false);

    m_result = new QLabel(this);
    m_result->setObjectName(QStringLiteral("result"));
    m_result->setWordWrap(true);
    m_result->setTextFormat(Qt::PlainText);
    m_result->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_result->setAccessibleName(tr("What became of the message"));
    // Lines that come and go must not move what is below.
    for (QLabel *label : { m_hint, m_result })
        label->setMinimumHeight(label->fontMetrics().height());

    setTabOrder(m_target, m_asText);
    setTabOrder(m_asText, m_asHex);
    setTabOrder(m_asHex, m_message);
    setTabOrder(m_message, m_cookie);
    setTabOrder(m_cookie, m_send);
}

void SendBox::layOut()
{
    const auto label = [this](const QString &text, QWidget *buddy) {
        auto *made = new QLabel(text, this);
        made->setBuddy(buddy);
        return made;
    };
    auto *kinds = new QHBoxLayout;
    kinds->addWidget(m_asText);
    kinds->addWidget(m_asHex);
    kinds->addStretch(1);
    auto *last = new QHBoxLayout;
    last->addWidget(m_cookie, 1);
    last->addWidget(m_send);

    auto *grid = new QGridLayout(this);
    grid->setColumnStretch(1, 1);
    grid->addWidget(label(tr("To"), m_target), 0, 0);
    grid->addWidget(m_target, 0, 1);
    grid->addWidget(label(tr("As"), m_asText), 1, 0);
    grid->addLayout(kinds, 1, 1);
    grid->addWidget(m_message, 2, 0, 1, 2);
    grid->addWidget(m_hint, 3, 0, 1, 2);
    grid->addWidget(label(tr("Cookie"), m_cookie), 4, 0);
    grid->addLayout(last, 4, 1);
    grid->addWidget(m_result, 5, 0, 1, 2);
    grid->setRowStretch(2, 1);
}

// --- What can be sent ---

void SendBox::setCounts(int selected, int everyone)
{
    m_selected = selected;
    m_everyone = everyone;
    m_target->setItemText(0, tr("Selected clients (%1)").arg(formatCount(selected)));
    m_target->setItemText(1, tr("Everyone (%1)").arg(formatCount(everyone)));
    check();
}

bool SendBox::isHex() const
{
    return m_asHex->isChecked();
}

QString SendBox::noTargetReason() const
{
    if (m_everyone == 0)
        return tr("No client is connected.");
    if (m_target->currentIndex() == 0 && m_selected == 0)
        return tr("No client is selected in the list.");
    return {};
}

/// What is wrong with the digits, in words.
QString SendBox::hexMistake() const
{
    const QString text = m_message->toPlainText();
    if (parseHex(text))
        return {};
    const QStringList words = text.simplified().split(u' ');
    for (const QString &word : words) {
        const bool hasPrefix = word.startsWith(QLatin1String("0x"), Qt::CaseInsensitive);
        const QString digits = hasPrefix ? word.mid(2) : word;
        for (const QChar c : digits) {
            if (c >= QChar(0x80) || !std::isxdigit(uchar(c.toLatin1())))
                return tr("“%1” is not a hexadecimal digit.").arg(visibleText(c));
        }
        if (digits.size() % 2 != 0)
            return tr("A byte has two digits: one is missing in “%1”.")
                    .arg(word.size() <= 12 ? word : u'…' + word.right(11));
    }
    return tr("There are no digits after “0x”.");
}

void SendBox::check()
{
    const QString reason = noTargetReason();
    const QString mistake = isHex() ? hexMistake() : QString();
    const QString text = m_message->toPlainText();
    const qsizetype size = !mistake.isEmpty() ? 0
            : isHex()                         ? parseHex(text)->size()
                                              : text.toUtf8().size();
    const QString hint = !mistake.isEmpty() ? mistake
            : !reason.isEmpty()             ? reason
            : size == 0                     ? tr("Nothing to send yet.")
                                            : formatBytes(double(size));
    m_message->setPlaceholderText(isHex() ? tr("de ad be ef") : tr("Message"));
    m_hint->setText(hint);
    m_hint->setPalette(
            withText(palette(), mistake.isEmpty() ? quietColor(palette()) : errorColor(palette())));
    // An empty message would not be sent: asyncWrite() takes it for nothing.
    const QString obstacle = !reason.isEmpty() ? reason : size == 0 ? hint : QString();
    m_send->setEnabled(obstacle.isEmpty());
    m_send->setToolTip(obstacle.isEmpty() ? tr("Sends the message. (Ctrl+Return)") : obstacle);
}

void SendBox::focusMessage()
{
    m_message->setFocus(Qt::OtherFocusReason);
}

void SendBox::send()
{
    if (!m_send->isEnabled())
        return;
    const QString text = m_message->toPlainText();
    const QByteArray bytes = isHex() ? *parseHex(text) : text.toUtf8();
    const QString entry = (isHex() ? hexMark() : textMark()) + text;
    if (!text.isEmpty() && text.size() <= MaximumEntry) {
        m_history.removeAll(entry);
        m_history.append(entry);
        while (m_history.size() > MaximumHistory)
            m_history.removeFirst();
    }
    m_place = m_history.size();

    const QString cookieText = m_cookie->text();
    const QVariant cookie = cookieText.isEmpty() ? QVariant() : QVariant(cookieText);
    const bool everyone = m_target->currentIndex() == 1;
    m_sentCookie = cookie;
    m_sentTimes = 0;
    const QString clients = clientsText(everyone ? m_everyone : m_selected);
    showResult(cookie.isValid() ? tr("queued: cookie %1 (%2)").arg(cookieText, clients)
                                : tr("queued (%1)").arg(clients),
               false);
    Q_EMIT sendRequested(bytes, cookie, everyone); // whoever is called may refuse it
}

// --- What was sent before ---

void SendBox::setHistory(const QStringList &history)
{
    m_history = history.mid(qMax(qsizetype(0), history.size() - MaximumHistory));
    for (QString &entry : m_history) {
        if (!entry.startsWith(hexMark()) && !entry.startsWith(textMark()))
            entry.prepend(textMark());
    }
    m_place = m_history.size();
}

void SendBox::walkHistory(int step)
{
    const QString current = (isHex() ? hexMark() : textMark()) + m_message->toPlainText();
    // An entry that was changed is the draft that Ctrl+Down comes back to.
    if (m_place == m_history.size() || m_history[m_place] != current) {
        m_draft = current;
        m_place = m_history.size();
    }
    qsizetype place = m_place + step;
    // What has just been sent is still there; once is enough.
    if (place >= 0 && place < m_history.size() && m_history[place] == current)
        place += step;
    if (place < 0 || place > m_history.size())
        return;
    m_place = place;
    showHistoryEntry(place == m_history.size() ? m_draft : m_history[place]);
}

void SendBox::showHistoryEntry(const QString &entry)
{
    const bool entryIsHex = entry.startsWith(hexMark());
    (entryIsHex ? m_asHex : m_asText)->setChecked(true);
    m_message->setPlainText(entry.mid((entryIsHex ? hexMark() : textMark()).size()));
    m_message->moveCursor(QTextCursor::End);
}

bool SendBox::eventFilter(QObject *watched, QEvent *event)
{
    if (watched == m_message && event->type() == QEvent::KeyPress) {
        const auto *key = static_cast<QKeyEvent *>(event);
        const bool isUpOrDown = key->key() == Qt::Key_Up || key->key() == Qt::Key_Down;
        if (isUpOrDown && (key->modifiers() & ~Qt::KeypadModifier) == Qt::ControlModifier) {
            walkHistory(key->key() == Qt::Key_Up ? -1 : 1);
            return true;
        }
    }
    return QWidget::eventFilter(watched, event);
}

// --- What became of it ---

void SendBox::showSent(const QVariant &cookie)
{
    m_sentTimes = m_sentTimes > 0 && cookie == m_sentCookie ? m_sentTimes + 1 : 1;
    m_sentCookie = cookie;
    const QString clients = clientsText(m_sentTimes);
    showResult(cookie.isValid() ? tr("sent: cookie %1 (%2)").arg(cookie.toString(), clients)
                                : tr("sent (%1)").arg(clients),
               false);
}

void SendBox::showRefused(const QString &text)
{
    m_sentTimes = 0;
    showResult(text, true);
}

void SendBox::showResult(const QString &text, bool isError)
{
    m_isRefused = isError;
    m_result->setPalette(isError ? withText(palette(), errorColor(palette())) : palette());
    m_result->setText(text);
}

void SendBox::changeEvent(QEvent *event)
{
    QWidget::changeEvent(event);
    if (event->type() == QEvent::PaletteChange) {
        check();
        showResult(m_result->text(), m_isRefused);
    }
}
