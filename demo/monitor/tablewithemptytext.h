// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef TABLEWITHEMPTYTEXT_H
#define TABLEWITHEMPTYTEXT_H

#include "colors.h"

#include <QtGui/QPainter>
#include <QtWidgets/QTableView>

/// A table that says, where its rows would be, why it has none.
class TableWithEmptyText : public QTableView
{
public:
    using QTableView::QTableView;

    QString emptyText() const { return m_emptyText; }
    void setEmptyText(const QString &text)
    {
        m_emptyText = text;
        viewport()->update();
    }

protected:
    void paintEvent(QPaintEvent *event) override
    {
        QTableView::paintEvent(event);
        if (!model() || model()->rowCount() > 0)
            return;
        QPainter painter(viewport());
        painter.setPen(quietColor(palette()));
        painter.drawText(viewport()->rect().adjusted(Margin, Margin, -Margin, -Margin),
                         Qt::AlignCenter | Qt::TextWordWrap, m_emptyText);
    }

private:
    static constexpr int Margin = 12;

    QString m_emptyText;
};

#endif // TABLEWITHEMPTYTEXT_H
