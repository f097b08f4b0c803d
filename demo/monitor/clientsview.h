// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef CLIENTSVIEW_H
#define CLIENTSVIEW_H

#include <QtNamedPipes/NamedPipeServerConnection>

#include <QtCore/qlist.h>
#include <QtCore/qtimer.h>
#include <QtWidgets/qwidget.h>

class ClientsModel;
class TableWithEmptyText;
QT_BEGIN_NAMESPACE
class QAction;
class QLabel;
class QLineEdit;
class QSortFilterProxyModel;
class QStyle;
QT_END_NAMESPACE

/// The table of clients with its filter, and what can be done with the selected ones.
class ClientsView : public QWidget
{
    Q_OBJECT

public:
    explicit ClientsView(ClientsModel *model, QWidget *parent = nullptr);

    /// The selected clients that are connected, in the order of the table.
    QList<NamedPipeServerConnectionPtr> selectedClients() const;

    QAction *sendAction() const { return m_send; }
    QAction *closeAction() const { return m_close; }
    QAction *closeAfterSendingAction() const { return m_closeAfterSending; }
    QAction *copyAction() const { return m_copy; }
    QAction *selectAllAction() const { return m_selectAll; }

Q_SIGNALS:
    void sendRequested();
    /// Other rows are selected, or a selected client is not connected any more.
    void selectionChanged();

protected:
    void changeEvent(QEvent *event) override;

private:
    void makeTable();
    void makeActions();
    void setMetrics();
    void setColors();
    void setFilter(const QString &text);
    void updateState();
    void updateSelection();
    void closeSelected(NamedPipe::CloseMode mode);
    void copySelected() const;
    QList<int> selectedRows() const;

    ClientsModel *const m_model;
    QSortFilterProxyModel *const m_shown;
    QLineEdit *const m_filter;
    QLabel *const m_summary;
    TableWithEmptyText *const m_table;
    QAction *const m_send;
    QAction *const m_close;
    QAction *const m_closeAfterSending;
    QAction *const m_copy;
    QAction *const m_selectAll;
    QStyle *m_style = nullptr; ///< of the table; the table's child
    QTimer m_stateChange;
    qsizetype m_connectedSelected = 0;
    bool m_removing = false;
};

#endif // CLIENTSVIEW_H
