// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "clientsview.h"

#include "clientsmodel.h"
#include "colors.h"
#include "tablewithemptytext.h"
#include "texts.h"

#include <QtCore/qcoreevent.h>
#include <QtCore/qsortfilterproxymodel.h>
#include <QtGui/qaction.h>
#include <QtGui/qclipboard.h>
#include <QtWidgets/qapplication.h>
#include <QtWidgets/qboxlayout.h>
#include <QtWidgets/qheaderview.h>
#include <QtWidgets/qlabel.h>
#include <QtWidgets/qlineedit.h>
#include <QtWidgets/qproxystyle.h>
#include <QtWidgets/qstyleoption.h>

#include <algorithm>
#include <utility>

using namespace Qt::StringLiterals;

/// Space on both sides of a text, so that a number and the word that follows it stay apart.
class RoomyStyle : public QProxyStyle
{
public:
    using QProxyStyle::QProxyStyle;

    int pixelMetric(PixelMetric metric, const QStyleOption *option,
                    const QWidget *widget) const override
    {
        const int usual = QProxyStyle::pixelMetric(metric, option, widget);
        // What item views put to the left and right of a text, but for one pixel.
        return metric == PM_FocusFrameHMargin ? std::max(usual, Padding - 1) : usual;
    }

    void drawControl(ControlElement element, const QStyleOption *option, QPainter *painter,
                     const QWidget *widget) const override
    {
        const auto header = qstyleoption_cast<const QStyleOptionHeader *>(option);
        if (element != CE_HeaderLabel || !header) {
            QProxyStyle::drawControl(element, option, painter, widget);
            return;
        }
        // In line with the cells. The room for an arrow, on the right, is taken off already.
        QStyleOptionHeader title = *header;
        title.version = QStyleOptionHeader::Version; // newer ones have more members
        const bool isSorted = title.sortIndicator != QStyleOptionHeader::None;
        title.rect.adjust(extra(widget), 0, isSorted ? 0 : -extra(widget), 0);
        QProxyStyle::drawControl(element, &title, painter, widget);
    }

    QSize sizeFromContents(ContentsType type, const QStyleOption *option, const QSize &size,
                           const QWidget *widget) const override
    {
        const QSize usual = QProxyStyle::sizeFromContents(type, option, size, widget);
        return type == CT_HeaderSection ? usual + QSize(2 * extra(widget), 2 * extra(widget))
                                        : usual;
    }

    static constexpr int Padding = 6;

private:
    int extra(const QWidget *widget) const
    {
        return std::max(Padding - pixelMetric(PM_HeaderMargin, nullptr, widget), 0);
    }
};

ClientsView::ClientsView(ClientsModel *model, QWidget *parent)
    : QWidget(parent),
      m_model(model),
      m_shown(new QSortFilterProxyModel(this)),
      m_filter(new QLineEdit(this)),
      m_summary(new QLabel(this)),
      m_table(new TableWithEmptyText(this)),
      m_send(new QAction(tr("&Send…"), this)),
      m_close(new QAction(tr("&Close"), this)),
      m_closeAfterSending(new QAction(tr("Close &after sending"), this)),
      m_copy(new QAction(tr("C&opy"), this)),
      m_selectAll(new QAction(tr("Select a&ll"), this))
{
    m_filter->setObjectName(u"clientFilter"_s);
    m_filter->setPlaceholderText(tr("Filter clients"));
    m_filter->setAccessibleName(tr("Filter clients"));
    m_filter->setToolTip(tr("Shows the clients that have this text in one of the columns"));
    m_filter->setClearButtonEnabled(true);
    m_filter->setMaximumWidth(m_filter->fontMetrics().averageCharWidth() * 50);
    connect(m_filter, &QLineEdit::textChanged, this, &ClientsView::setFilter);

    m_summary->setObjectName(u"clientSummary"_s);

    makeTable();
    makeActions();

    const auto line = new QHBoxLayout;
    line->addWidget(m_filter, 1);
    line->addStretch();
    line->addWidget(m_summary);
    const auto layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->addLayout(line);
    layout->addWidget(m_table, 1);
    setTabOrder(m_filter, m_table);

    // A crowd that comes or goes is many changes and one new state.
    m_stateChange.setSingleShot(true);
    m_stateChange.setInterval(0);
    connect(&m_stateChange, &QTimer::timeout, this, &ClientsView::updateState);
    const auto later = [this] { m_stateChange.start(); };
    connect(m_shown, &QAbstractItemModel::rowsInserted, this, later);
    connect(m_shown, &QAbstractItemModel::rowsRemoved, this, later);
    connect(m_shown, &QAbstractItemModel::modelReset, this, later);
    connect(m_model, &QAbstractItemModel::dataChanged, this, later);
    connect(m_model, &QAbstractItemModel::rowsInserted, this, later); // the filter may hide them
    connect(m_model, &QAbstractItemModel::rowsRemoved, this, [this, later] {
        m_removing = false;
        later();
    });

    setColors();
    updateState();
}

void ClientsView::makeTable()
{
    // Connected before the proxy is, which makes the table deselect what is about to go.
    connect(m_model, &QAbstractItemModel::rowsAboutToBeRemoved, this,
            [this] { m_removing = true; });
    m_shown->setSourceModel(m_model);
    m_shown->setSortRole(ClientsModel::SortRole);
    m_shown->setSortCaseSensitivity(Qt::CaseInsensitive);
    m_shown->setFilterKeyColumn(-1);
    m_shown->setFilterCaseSensitivity(Qt::CaseInsensitive);

    m_table->setObjectName(u"clientTable"_s);
    m_table->setAccessibleName(tr("Clients"));
    m_table->setModel(m_shown);
    m_table->setSortingEnabled(true);
    m_table->sortByColumn(ClientsModel::Id, Qt::AscendingOrder);
    m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_table->setSelectionMode(QAbstractItemView::ExtendedSelection);
    m_table->setEditTriggers(QAbstractItemView::NoEditTriggers);
    m_table->setAlternatingRowColors(true);
    m_table->setShowGrid(false);
    m_table->setWordWrap(false);
    m_table->setTextElideMode(Qt::ElideRight);
    m_table->setTabKeyNavigation(false); // Tab leaves the table; the arrows move in it
    m_table->setHorizontalScrollMode(QAbstractItemView::ScrollPerPixel);
    m_table->setVerticalScrollMode(QAbstractItemView::ScrollPerPixel);
    m_table->setCornerButtonEnabled(false);
    m_table->verticalHeader()->hide();
    m_table->verticalHeader()->setSectionResizeMode(QHeaderView::Fixed);
    m_table->horizontalHeader()->setHighlightSections(false);
    m_table->horizontalHeader()->setStretchLastSection(true);
    setMetrics();
    connect(m_table, &QTableView::doubleClicked, m_send, &QAction::trigger);
    connect(m_table->selectionModel(), &QItemSelectionModel::selectionChanged, this,
            &ClientsView::updateSelection);
}

void ClientsView::makeActions()
{
    m_send->setToolTip(tr("Send a message to the selected clients"));
    m_close->setToolTip(tr("Close the selected connections; what is queued is dropped"));
    m_closeAfterSending->setToolTip(
            tr("Close the selected connections when what is queued is sent"));
    m_copy->setToolTip(tr("Copy the selected rows, separated by tabs"));
    m_close->setShortcut(QKeySequence::Delete);
    m_copy->setShortcut(QKeySequence::Copy);
    m_selectAll->setShortcut(QKeySequence::SelectAll);
    connect(m_send, &QAction::triggered, this, &ClientsView::sendRequested);
    connect(m_close, &QAction::triggered, this,
            [this] { closeSelected(NamedPipe::CancelPending); });
    connect(m_closeAfterSending, &QAction::triggered, this,
            [this] { closeSelected(NamedPipe::SendPending); });
    connect(m_copy, &QAction::triggered, this, &ClientsView::copySelected);
    connect(m_selectAll, &QAction::triggered, m_table, &QTableView::selectAll);

    const auto separator = [this] {
        const auto action = new QAction(this);
        action->setSeparator(true);
        return action;
    };
    m_table->addActions({ m_send, separator(), m_close, m_closeAfterSending, separator(), m_copy,
                          m_selectAll });
    // The keys are for the table only: the filter, and the rest of the window, have their own.
    for (QAction *action : m_table->actions())
        action->setShortcutContext(Qt::WidgetWithChildrenShortcut);
    m_table->setContextMenuPolicy(Qt::ActionsContextMenu);
}

/// Room for what is usual in each column, and for its title.
void ClientsView::setMetrics()
{
    const auto roomy = new RoomyStyle(QApplication::style()->name());
    roomy->setParent(m_table);
    m_table->setStyle(roomy);
    m_table->horizontalHeader()->setStyle(roomy);
    delete std::exchange(m_style, roomy);

    static const QString Usual[ClientsModel::ColumnCount] = {
        u"10000"_s,       u"1000000"_s, u"pipe-client"_s, u"username"_s,
        u"59 min 59 s"_s, u"999 999"_s, u"999 999"_s,     u"999.9 MiB"_s,
        u"999.9 MiB"_s,   u"999 999"_s, u"999.9 MiB"_s,   u"Closed by server"_s,
    };
    const QFontMetrics metrics = m_table->fontMetrics();
    const QFontMetrics ofTitles = m_table->horizontalHeader()->fontMetrics();
    const int arrow = roomy->pixelMetric(QStyle::PM_HeaderMarkSize, nullptr, m_table);
    for (int column = 0; column < ClientsModel::ColumnCount; ++column) {
        const QString title = m_model->headerData(column, Qt::Horizontal).toString();
        m_table->setColumnWidth(column,
                                std::max(metrics.horizontalAdvance(Usual[column]) + 2,
                                         ofTitles.horizontalAdvance(title) + arrow)
                                        + 2 * RoomyStyle::Padding);
    }
    m_table->verticalHeader()->setDefaultSectionSize(metrics.height() + 8);
}

void ClientsView::setColors()
{
    const QColor text = palette().color(QPalette::Active, QPalette::Text);
    const QColor base = palette().color(QPalette::Active, QPalette::Base);
    QPalette ofTable;
    ofTable.setColor(QPalette::AlternateBase, mixedColor(text, base, 4));
    m_table->setPalette(ofTable);
    QPalette ofFilter;
    ofFilter.setColor(QPalette::PlaceholderText, mixedColor(text, base, 65));
    m_filter->setPalette(ofFilter);
}

QList<NamedPipeServerConnectionPtr> ClientsView::selectedClients() const
{
    QList<NamedPipeServerConnectionPtr> clients;
    for (const int row : selectedRows()) {
        const int sourceRow = m_shown->mapToSource(m_shown->index(row, 0)).row();
        const NamedPipeServerConnectionPtr client = m_model->client(sourceRow);
        if (client && client->isConnected())
            clients.append(client);
    }
    return clients;
}

void ClientsView::changeEvent(QEvent *event)
{
    if (event->type() == QEvent::PaletteChange)
        setColors();
    else if (event->type() == QEvent::FontChange || event->type() == QEvent::StyleChange)
        setMetrics();
    QWidget::changeEvent(event);
}

void ClientsView::setFilter(const QString &text)
{
    m_shown->setFilterFixedString(text);
    m_stateChange.start();
}

void ClientsView::updateState()
{
    const int open = m_model->openCount();
    const int shown = m_shown->rowCount();
    const int closed = m_model->closedCount();
    const qsizetype selected = selectedClients().size();

    QStringList parts { open == 1 ? tr("1 client") : tr("%1 clients").arg(formatWhole(open)) };
    if (closed > 0)
        parts += tr("%1 closed").arg(formatWhole(closed));
    if (!m_filter->text().isEmpty())
        parts += tr("%1 shown").arg(formatWhole(shown));
    if (selected > 0)
        parts += tr("%1 selected").arg(formatWhole(selected));
    m_summary->setText(parts.join(u", "_s));
    m_summary->setAccessibleName(m_summary->text());

    m_table->setEmptyText(
            m_model->rowCount() > 0
                    ? tr("No client matches the filter.")
                    : tr("No clients yet. Start the server, then connect or simulate some."));
    m_table->setAccessibleDescription(shown == 0 ? m_table->emptyText() : QString());

    m_send->setEnabled(selected > 0);
    m_close->setEnabled(selected > 0);
    m_closeAfterSending->setEnabled(selected > 0);
    m_copy->setEnabled(m_table->selectionModel()->hasSelection());
    m_selectAll->setEnabled(shown > 0);

    if (std::exchange(m_connectedSelected, selected) != selected)
        Q_EMIT selectionChanged();
}

void ClientsView::updateSelection()
{
    m_connectedSelected = -1; // other ones, even if they are as many
    if (m_removing) // nobody should look at the model now
        m_stateChange.start();
    else
        updateState();
}

void ClientsView::closeSelected(NamedPipe::CloseMode mode)
{
    for (const NamedPipeServerConnectionPtr &client : selectedClients())
        client->asyncClose(mode);
    m_stateChange.start();
}

/// With the titles, so that it can be pasted into a spreadsheet.
void ClientsView::copySelected() const
{
    QStringList cells;
    for (int column = 0; column < ClientsModel::ColumnCount; ++column)
        cells += m_shown->headerData(column, Qt::Horizontal).toString();
    QStringList lines { cells.join(u'\t') };
    for (const int row : selectedRows()) {
        cells.clear();
        for (int column = 0; column < ClientsModel::ColumnCount; ++column) {
            const QModelIndex cell = m_shown->index(row, column);
            cells += cell.data(ClientsModel::CopyRole).toString().simplified(); // no tabs in it
        }
        lines += cells.join(u'\t');
    }
    QApplication::clipboard()->setText(lines.join(u'\n') + u'\n');
}

QList<int> ClientsView::selectedRows() const
{
    QList<int> rows;
    for (const QItemSelectionRange &range : m_table->selectionModel()->selection()) {
        for (int row = range.top(); row <= range.bottom(); ++row)
            rows.append(row);
    }
    std::sort(rows.begin(), rows.end());
    rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
    return rows;
}
