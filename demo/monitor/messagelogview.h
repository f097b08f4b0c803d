// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef MESSAGELOGVIEW_H
#define MESSAGELOGVIEW_H

#include "messagelog.h"

#include <QtWidgets/qwidget.h>

class LogFilter;
class LogTable;
class QAction;
class QLabel;
class QLineEdit;
class QPlainTextEdit;

/// A MessageLog as a table, and the selected message in full.
///
/// The table follows the newest row while it is scrolled to its end; anywhere else it stands still,
/// also when rows above are dropped.
class MessageLogView : public QWidget
{
    Q_OBJECT

public:
    explicit MessageLogView(MessageLog *log, QWidget *parent = nullptr);

    /// Pause, Clear and Save…, for a menu.
    QList<QAction *> logActions() const { return { m_pause, m_clear, m_save }; }

    QString filter() const;
    void setFilter(const QString &filter);

    /// Says in the status line how it went.
    bool saveTo(const QString &fileName);

protected:
    bool eventFilter(QObject *watched, QEvent *event) override;
    void changeEvent(QEvent *event) override;

private:
    QWidget *makeBar();
    QWidget *makeTable();
    QWidget *makeDetails();
    void makeActions();
    void fitColumns();
    void askForFile();
    void copySelected();
    void showFilter();
    void showStatus();
    void showNotice(const QString &text, bool isError);
    void showSelected();
    void showDetails();
    void rowsDropped(int first, int last);

    MessageLog *const m_log;
    LogFilter *m_filter;
    QAction *m_pause;
    QAction *m_clear;
    QAction *m_save;
    QLineEdit *m_filterEdit;
    QLabel *m_status;
    LogTable *m_table;
    QLabel *m_header;
    QWidget *m_panes;
    QWidget *m_bytes;
    QPlainTextEdit *m_hex;
    QPlainTextEdit *m_ascii;
    QPlainTextEdit *m_text;

    MessageLog::Message m_shown; ///< a copy: it stays when the log drops the message
    bool m_hasShown = false;
    bool m_isFollowing = true;
    QTimer m_notice; ///< runs while the status line says something else than the log's status
};

#endif // MESSAGELOGVIEW_H
