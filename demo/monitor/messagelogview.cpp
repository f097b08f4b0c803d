// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "messagelogview.h"

#include "colors.h"
#include "messagetext.h"
#include "tablewithemptytext.h"
#include "texts.h"

#include <QtCore/qdatetime.h>
#include <QtCore/qdir.h>
#include <QtCore/qsortfilterproxymodel.h>
#include <QtGui/qaction.h>
#include <QtGui/qclipboard.h>
#include <QtGui/qevent.h>
#include <QtGui/qguiapplication.h>
#include <QtGui/qpainter.h>
#include <QtGui/qshortcut.h>
#include <QtWidgets/qboxlayout.h>
#include <QtWidgets/qfiledialog.h>
#include <QtWidgets/qheaderview.h>
#include <QtWidgets/qlabel.h>
#include <QtWidgets/qlineedit.h>
#include <QtWidgets/qplaintextedit.h>
#include <QtWidgets/qscrollbar.h>
#include <QtWidgets/qsplitter.h>
#include <QtWidgets/qstyleditemdelegate.h>
#include <QtWidgets/qtoolbutton.h>

#include <algorithm>

static constexpr int NoticeMilliseconds = 8000;

// --- Parts ---

namespace {

/// Takes the width that there is, whatever it says: numbers that change must not move its
/// neighbours.
class ElidedLabel : public QLabel
{
public:
    using QLabel::QLabel;

    QSize minimumSizeHint() const override { return { 0, QLabel::minimumSizeHint().height() }; }
    QSize sizeHint() const override
    {
        return { fontMetrics().averageCharWidth() * 20, QLabel::sizeHint().height() };
    }

protected:
    void paintEvent(QPaintEvent *) override
    {
        QPainter painter(this);
        painter.setPen(palette().color(foregroundRole()));
        painter.drawText(contentsRect(), int(alignment()),
                         fontMetrics().elidedText(text(), Qt::ElideRight, contentsRect().width()));
    }
};

} // namespace

/// What is aligned to the right keeps a distance from the column that begins there.
static QString withGap(const QString &number)
{
    return number + QString(2, QChar(QChar::Nbsp));
}

static bool isNumber(int column)
{
    return column == MessageLog::ClientColumn || column == MessageLog::SizeColumn;
}

/// Messages of one client, or with a text in their preview.
class LogFilter : public QSortFilterProxyModel
{
public:
    explicit LogFilter(MessageLog *log, QObject *parent) : QSortFilterProxyModel(parent), m_log(log)
    {
        setSourceModel(log);
    }

    QVariant headerData(int section, Qt::Orientation orientation,
                        int role = Qt::DisplayRole) const override
    {
        const QVariant data = QSortFilterProxyModel::headerData(section, orientation, role);
        return role == Qt::DisplayRole && isNumber(section) ? withGap(data.toString()) : data;
    }

    const QString &text() const { return m_text; }
    void setText(const QString &text)
    {
        m_text = text;
        m_client = text.toULongLong(&m_isNumber);
        invalidateFilter();
    }
    const MessageLog::Message &message(const QModelIndex &index) const
    {
        return m_log->message(mapToSource(index).row());
    }

protected:
    bool filterAcceptsRow(int row, const QModelIndex &) const override
    {
        if (m_text.isEmpty())
            return true;
        const MessageLog::Message &message = m_log->message(row);
        return (m_isNumber && message.client == m_client)
                || MessageLog::previewText(message).contains(m_text, Qt::CaseInsensitive);
    }

private:
    MessageLog *const m_log;
    QString m_text;
    quint64 m_client = 0;
    bool m_isNumber = false;
};

class LogTable : public TableWithEmptyText
{
public:
    using TableWithEmptyText::TableWithEmptyText;

protected:
    void rowsAboutToBeRemoved(const QModelIndex &parent, int first, int last) override
    {
        // Otherwise a neighbour would be selected instead, and the table would scroll to it.
        const int current = currentIndex().row();
        if (current >= first && current <= last)
            selectionModel()->clear();
        TableWithEmptyText::rowsAboutToBeRemoved(parent, first, last);
    }
};

namespace {

class LogDelegate : public QStyledItemDelegate
{
public:
    LogDelegate(const LogFilter *filter, QObject *parent)
        : QStyledItemDelegate(parent),
          m_filter(filter),
          m_fixedFont(fixedFont())
    {
    }

protected:
    void initStyleOption(QStyleOptionViewItem *option, const QModelIndex &index) const override
    {
        QStyledItemDelegate::initStyleOption(option, index);
        option->state &= ~QStyle::State_HasFocus; // rows are selected, not cells
        if (isNumber(index.column()))
            option->text = withGap(option->text);
        const MessageLog::Direction direction = m_filter->message(index).direction;
        if (index.column() == MessageLog::MessageColumn && direction != MessageLog::Event)
            option->font = m_fixedFont;
        if (index.column() == MessageLog::DirectionColumn && direction != MessageLog::Event)
            option->palette.setColor(QPalette::Text,
                                     direction == MessageLog::In ? inColor(option->palette)
                                                                 : outColor(option->palette));
        else if (direction == MessageLog::Event || index.column() == MessageLog::TimeColumn)
            option->palette.setColor(QPalette::Text, quietColor(option->palette));
    }

private:
    const LogFilter *const m_filter;
    const QFont m_fixedFont;
};

} // namespace

static QPlainTextEdit *makeReader(const QString &name, const QString &objectName, QWidget *parent)
{
    auto *reader = new QPlainTextEdit(parent);
    reader->setObjectName(objectName);
    reader->setReadOnly(true);
    reader->setUndoRedoEnabled(false);
    reader->setFont(fixedFont());
    reader->setLineWrapMode(QPlainTextEdit::NoWrap);
    reader->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    reader->setTabChangesFocus(true);
    reader->setAccessibleName(name);
    return reader;
}

static int widthOf(const QPlainTextEdit *editor, int characters)
{
    const int text = editor->fontMetrics().horizontalAdvance(QString(characters, u'0'));
    return text + 2 * (int(editor->document()->documentMargin()) + editor->frameWidth()) + 2;
}

static bool hasLongWord(const QString &text)
{
    static constexpr qsizetype Long = 1000;
    qsizetype length = 0;
    return std::any_of(text.cbegin(), text.cend(), [&length](QChar c) {
        length = c.isSpace() ? 0 : length + 1;
        return length > Long;
    });
}

// --- The view ---

MessageLogView::MessageLogView(MessageLog *log, QWidget *parent)
    : QWidget(parent),
      m_log(log),
      m_filter(new LogFilter(log, this))
{
    makeActions();
    auto *column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->addWidget(makeBar());
    auto *splitter = new QSplitter(Qt::Vertical, this);
    splitter->addWidget(makeTable());
    splitter->addWidget(makeDetails());
    splitter->setStretchFactor(0, 3);
    splitter->setStretchFactor(1, 2);
    splitter->setCollapsible(0, false);
    splitter->setSizes({ 300, 200 });
    column->addWidget(splitter, 1);

    m_notice.setSingleShot(true);
    m_notice.setInterval(NoticeMilliseconds);
    connect(&m_notice, &QTimer::timeout, this, &MessageLogView::showStatus);
    connect(m_log, &MessageLog::statusChanged, this, &MessageLogView::showStatus);
    connect(m_log, &QAbstractItemModel::rowsRemoved, this, [this] {
        if (m_hasShown && !m_log->contains(m_shown.number))
            showDetails();
    });
    connect(m_log, &MessageLog::pausedChanged, m_pause, &QAction::setChecked);
    m_pause->setChecked(m_log->isPaused());
    showStatus();
    showFilter();
    showDetails();
}

void MessageLogView::makeActions()
{
    m_pause = new QAction(tr("&Pause"), this);
    m_pause->setCheckable(true);
    m_pause->setShortcut(Qt::Key_Space);
    m_pause->setShortcutContext(Qt::WidgetShortcut); // in the table; elsewhere Space is a space
    m_pause->setToolTip(tr("Nothing is added while it is paused; messages are counted only. "
                           "(Space in the table)"));
    connect(m_pause, &QAction::toggled, m_log, &MessageLog::setPaused);

    m_clear = new QAction(tr("&Clear"), this);
    m_clear->setToolTip(tr("Removes all messages from the list."));
    connect(m_clear, &QAction::triggered, m_log, &MessageLog::clear);

    m_save = new QAction(tr("&Save…"), this);
    m_save->setToolTip(tr("Writes all messages of the list to a file, separated by tabs."));
    connect(m_save, &QAction::triggered, this, &MessageLogView::askForFile);
}

QWidget *MessageLogView::makeBar()
{
    auto *bar = new QWidget(this);
    auto *row = new QHBoxLayout(bar);
    row->setContentsMargins(0, 0, 0, 0);

    m_filterEdit = new QLineEdit(bar);
    m_filterEdit->setObjectName(QStringLiteral("filter"));
    m_filterEdit->setPlaceholderText(tr("Filter messages: client number or text"));
    m_filterEdit->setToolTip(tr("Shows only the messages of the client with this number, and those "
                                "with this text. (Ctrl+F)"));
    m_filterEdit->setAccessibleName(tr("Filter messages"));
    m_filterEdit->setClearButtonEnabled(true);
    m_filterEdit->setMinimumWidth(120);
    m_filterEdit->setMaximumWidth(420);
    m_filterEdit->installEventFilter(this);
    connect(m_filterEdit, &QLineEdit::textChanged, this, &MessageLogView::showFilter);
    row->addWidget(m_filterEdit, 2);
    auto *find = new QShortcut(QKeySequence::Find, this);
    find->setContext(Qt::WidgetWithChildrenShortcut);
    connect(find, &QShortcut::activated, m_filterEdit, [this] {
        m_filterEdit->setFocus(Qt::ShortcutFocusReason);
        m_filterEdit->selectAll();
    });

    for (QAction *action : logActions()) {
        auto *button = new QToolButton(bar);
        button->setDefaultAction(action);
        button->setToolButtonStyle(Qt::ToolButtonTextOnly);
        button->setFocusPolicy(Qt::StrongFocus);
        button->setAccessibleName(action->text().remove(u'&'));
        row->addWidget(button);
        const int height = m_filterEdit->sizeHint().height();
        button->setMinimumSize(0, height);
    }

    m_status = new ElidedLabel(bar);
    m_status->setObjectName(QStringLiteral("status"));
    m_status->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
    m_status->setAccessibleName(tr("Status of the message list"));
    m_status->setContentsMargins(6, 0, 4, 0);
    row->addWidget(m_status, 3);
    return bar;
}

QWidget *MessageLogView::makeTable()
{
    m_table = new LogTable(this);
    m_table->setObjectName(QStringLiteral("messages"));
    m_table->setAccessibleName(tr("Messages"));
    m_table->setModel(m_filter);
    m_table->setItemDelegate(new LogDelegate(m_filter, m_table));
    m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_table->setSelectionMode(QAbstractItemView::SingleSelection);
    m_table->setEditTriggers(QAbstractItemView::NoEditTriggers);
    m_table->setVerticalScrollMode(QAbstractItemView::ScrollPerItem);
    m_table->setTabKeyNavigation(false);
    m_table->setAlternatingRowColors(true);
    m_table->setShowGrid(false);
    m_table->setWordWrap(false);
    m_table->setCornerButtonEnabled(false);
    m_table->verticalHeader()->hide();
    m_table->verticalHeader()->setSectionResizeMode(QHeaderView::Fixed);
    m_table->horizontalHeader()->setStretchLastSection(true);
    m_table->horizontalHeader()->setHighlightSections(false);
    m_table->horizontalHeader()->setSectionsClickable(false);
    m_table->addAction(m_pause);
    m_table->installEventFilter(this);
    fitColumns();

    connect(m_table->selectionModel(), &QItemSelectionModel::selectionChanged, this,
            &MessageLogView::showSelected);
    // After the table's own slots, which were connected by setModel().
    connect(m_filter, &QAbstractItemModel::rowsRemoved, this,
            [this](const QModelIndex &, int first, int last) { rowsDropped(first, last); });
    connect(m_filter, &QAbstractItemModel::modelReset, this, [this] {
        m_isFollowing = true;
        m_hasShown = false;
        showDetails();
    });
    auto *bar = m_table->verticalScrollBar();
    connect(bar, &QScrollBar::valueChanged, this,
            [this, bar](int value) { m_isFollowing = value >= bar->maximum(); });
    connect(bar, &QScrollBar::rangeChanged, this, [this, bar](int, int maximum) {
        if (m_isFollowing)
            bar->setValue(maximum);
    });
    return m_table;
}

void MessageLogView::fitColumns()
{
    const QFontMetrics metrics = m_table->fontMetrics();
    const int margin = 2 * m_table->style()->pixelMetric(QStyle::PM_FocusFrameHMargin) + 14;
    const auto fit = [&](int section, const QString &widest) {
        const QString title = m_filter->headerData(section, Qt::Horizontal).toString();
        const int width = qMax(metrics.horizontalAdvance(widest), metrics.horizontalAdvance(title));
        m_table->setColumnWidth(section, width + margin);
    };
    fit(MessageLog::TimeColumn, QStringLiteral("00:00:00.000"));
    fit(MessageLog::DirectionColumn, MessageLog::directionText(MessageLog::Event));
    fit(MessageLog::ClientColumn, withGap(QStringLiteral("000000")));
    fit(MessageLog::SizeColumn, withGap(QStringLiteral("1000.0 KiB")));
    const int height = qMax(metrics.height(), QFontMetrics(fixedFont()).height()) + 4;
    m_table->verticalHeader()->setMinimumSectionSize(height);
    m_table->verticalHeader()->setDefaultSectionSize(height);
}

QWidget *MessageLogView::makeDetails()
{
    auto *details = new QWidget(this);
    auto *column = new QVBoxLayout(details);
    column->setContentsMargins(0, 2, 0, 0);
    column->setSpacing(4);

    m_header = new ElidedLabel(details);
    m_header->setObjectName(QStringLiteral("header"));
    m_header->setAccessibleName(tr("Selected message"));
    m_header->setContentsMargins(4, 0, 0, 0);
    column->addWidget(m_header);

    m_hex = makeReader(tr("Bytes of the message, hexadecimal"), QStringLiteral("hex"), this);
    m_ascii = makeReader(tr("Bytes of the message, as characters"), QStringLiteral("ascii"), this);
    m_text = makeReader(tr("The message as text"), QStringLiteral("text"), this);
    m_text->setLineWrapMode(QPlainTextEdit::WidgetWidth);
    m_text->setMinimumWidth(widthOf(m_text, 18));
    // One scroll bar for the two.
    m_hex->setVerticalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    const int bar = m_ascii->verticalScrollBar()->sizeHint().width();
    m_hex->setMinimumWidth(widthOf(m_hex, 8 + 4));
    m_hex->setMaximumWidth(widthOf(m_hex, 8 + 1 + 1 + 16 * 3));
    m_ascii->setFixedWidth(widthOf(m_ascii, 16) + bar + 2);
    connect(m_hex->verticalScrollBar(), &QScrollBar::valueChanged, m_ascii->verticalScrollBar(),
            &QScrollBar::setValue);
    connect(m_ascii->verticalScrollBar(), &QScrollBar::valueChanged, m_hex->verticalScrollBar(),
            &QScrollBar::setValue);

    // And the same height, or the last lines would not stand side by side.
    m_ascii->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    connect(m_hex->horizontalScrollBar(), &QScrollBar::rangeChanged, this, [this](int, int most) {
        m_ascii->setHorizontalScrollBarPolicy(most > 0 ? Qt::ScrollBarAlwaysOn
                                                       : Qt::ScrollBarAlwaysOff);
    });

    m_bytes = new QWidget(details);
    auto *bytes = new QHBoxLayout(m_bytes);
    bytes->setContentsMargins(0, 0, 0, 0);
    bytes->setSpacing(0);
    bytes->addWidget(m_hex, 1);
    bytes->addWidget(m_ascii);
    m_bytes->setMaximumWidth(m_hex->maximumWidth() + m_ascii->maximumWidth());

    auto *panes = new QSplitter(Qt::Horizontal, details);
    panes->addWidget(m_bytes);
    panes->addWidget(m_text);
    panes->setStretchFactor(1, 1);
    panes->setChildrenCollapsible(false);
    panes->setSizes({ m_bytes->maximumWidth(), m_bytes->maximumWidth() });
    column->addWidget(panes, 1);
    m_panes = panes;
    details->setMinimumHeight(m_header->sizeHint().height() + 4 * m_hex->fontMetrics().height());
    return details;
}

bool MessageLogView::eventFilter(QObject *watched, QEvent *event)
{
    if (event->type() == QEvent::KeyPress) {
        const auto *key = static_cast<QKeyEvent *>(event);
        if (watched == m_table && key->matches(QKeySequence::Copy)) {
            copySelected();
            return true;
        }
        if (watched == m_filterEdit && key->key() == Qt::Key_Escape
            && !m_filterEdit->text().isEmpty()) {
            m_filterEdit->clear();
            return true;
        }
    }
    return QWidget::eventFilter(watched, event);
}

void MessageLogView::changeEvent(QEvent *event)
{
    QWidget::changeEvent(event);
    if (event->type() == QEvent::FontChange)
        fitColumns();
    else if (event->type() == QEvent::PaletteChange && !m_notice.isActive())
        showStatus();
}

// --- Filter, file, status ---

QString MessageLogView::filter() const
{
    return m_filterEdit->text();
}

void MessageLogView::setFilter(const QString &filter)
{
    m_filterEdit->setText(filter);
}

void MessageLogView::showFilter()
{
    const QString text = m_filterEdit->text().trimmed();
    m_table->setEmptyText(text.isEmpty() ? tr("No messages yet.")
                                         : tr("No message matches the filter."));
    if (text == m_filter->text())
        return;
    const bool wasFollowing = m_isFollowing;
    m_filter->setText(text);
    const QModelIndexList selected = m_table->selectionModel()->selectedRows();
    if (!wasFollowing && !selected.isEmpty())
        m_table->scrollTo(selected.constFirst());
    else
        m_table->scrollToBottom();
}

void MessageLogView::askForFile()
{
    auto *dialog = new QFileDialog(this, tr("Save messages"));
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setAcceptMode(QFileDialog::AcceptSave);
    dialog->setNameFilters({ tr("Tab-separated values (*.tsv)"), tr("All files (*)") });
    dialog->setDefaultSuffix(QStringLiteral("tsv"));
    dialog->selectFile(QDateTime::currentDateTime().toString(
            QStringLiteral("'messages-'yyyyMMdd-hhmmss'.tsv'")));
    connect(dialog, &QFileDialog::fileSelected, this, &MessageLogView::saveTo);
    dialog->open();
}

bool MessageLogView::saveTo(const QString &fileName)
{
    QString error;
    const bool isSaved = m_log->save(fileName, &error);
    const int rows = m_log->rowCount();
    const QString name = QDir::toNativeSeparators(fileName);
    if (!isSaved)
        showNotice(tr("Not saved: %1 (%2)").arg(error, name), true);
    else if (rows == 1)
        showNotice(tr("Saved 1 entry to %1").arg(name), false);
    else
        showNotice(tr("Saved %1 entries to %2").arg(formatCount(rows), name), false);
    return isSaved;
}

void MessageLogView::copySelected()
{
    const QModelIndexList selected = m_table->selectionModel()->selectedRows();
    if (!selected.isEmpty())
        QGuiApplication::clipboard()->setText(
                m_log->line(m_filter->mapToSource(selected.constFirst()).row()));
}

void MessageLogView::showStatus()
{
    if (m_notice.isActive())
        return;
    m_status->setPalette({});
    m_status->setText(m_log->status());
    m_status->setToolTip(m_log->status());
}

void MessageLogView::showNotice(const QString &text, bool isError)
{
    m_status->setPalette(isError ? withText(palette(), errorColor(palette())) : palette());
    m_status->setText(text);
    m_status->setToolTip(text);
    m_notice.start();
}

// --- The selected message ---

void MessageLogView::rowsDropped(int first, int last)
{
    // The rows that are seen keep their place on the screen.
    if (first == 0 && !m_isFollowing) {
        auto *bar = m_table->verticalScrollBar();
        bar->setValue(qMax(0, bar->value() - (last - first + 1)));
        m_isFollowing = false;
    }
}

void MessageLogView::showSelected()
{
    const QModelIndexList selected = m_table->selectionModel()->selectedRows();
    // When the selected row is dropped or filtered out, its message stays to be read.
    if (selected.isEmpty()
        || (m_hasShown && m_filter->message(selected[0]).number == m_shown.number))
        return;
    m_shown = m_filter->message(selected.constFirst());
    m_hasShown = true;
    showDetails();

    const bool isEvent = m_shown.direction == MessageLog::Event;
    const QByteArray bytes = m_shown.isCut() ? withoutHalfCharacter(m_shown.data) : m_shown.data;
    m_bytes->setVisible(!isEvent);
    m_hex->setPlainText(isEvent ? QString() : hexDump(m_shown.data, MessageLog::KeptBytes));
    m_ascii->setPlainText(isEvent ? QString() : asciiColumn(m_shown.data, MessageLog::KeptBytes));
    QString text;
    const QString json = isEvent || m_shown.isCut() ? QString() : prettyJson(bytes);
    if (!json.isEmpty())
        text = visibleLines(json);
    else if (isEvent || isText(bytes))
        text = visibleLines(QString::fromUtf8(bytes));
    // Looking for the ends of words takes half a second when there are none.
    m_text->setWordWrapMode(hasLongWord(text) ? QTextOption::WrapAnywhere
                                              : QTextOption::WrapAtWordBoundaryOrAnywhere);
    m_text->setPlainText(text);
    m_text->setPlaceholderText(bytes.isEmpty() ? tr("empty") : tr("not text"));
}

/// The line above the details; without a message, nothing below it.
void MessageLogView::showDetails()
{
    if (!m_hasShown) {
        m_header->setText(tr("Select a message to see all of it."));
        m_header->setToolTip({});
        m_header->setAlignment(Qt::AlignCenter);
        m_header->setForegroundRole(QPalette::PlaceholderText);
        m_panes->hide();
        for (QPlainTextEdit *reader : { m_hex, m_ascii, m_text })
            reader->clear();
        return;
    }
    QStringList parts { MessageLog::timeText(m_shown),
                        MessageLog::directionText(m_shown.direction) };
    if (m_shown.client > 0)
        parts += tr("client %1").arg(m_shown.client);
    if (m_shown.direction != MessageLog::Event) {
        if (m_shown.isCut())
            parts += tr("first %1 of %2")
                             .arg(formatBytes(double(m_shown.data.size())),
                                  formatBytes(double(m_shown.size)));
        else
            parts += formatBytes(double(m_shown.size));
    }
    if (!m_log->contains(m_shown.number))
        parts += tr("no longer in the list");
    m_panes->show();
    m_header->setAlignment(Qt::AlignLeft | Qt::AlignVCenter);
    m_header->setForegroundRole(QPalette::WindowText);
    m_header->setText(parts.join(QStringLiteral("   ")));
    m_header->setToolTip(m_header->text());
}
