// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef TIMEPLOT_H
#define TIMEPLOT_H

#include "plotscale.h"

#include <QtCore/qline.h>
#include <QtCore/qlist.h>
#include <QtCore/qstringlist.h>
#include <QtGui/qpolygon.h>
#include <QtWidgets/qwidget.h>

#include <optional>

class QPainter;

/// A few values over the last minute, the newest at the right.
class TimePlot : public QWidget
{
    Q_OBJECT

public:
    static constexpr int SampleCount = 120; ///< samples from the left edge to the right one

    TimePlot(const QString &title, const QString &unit, const QStringList &series,
             QWidget *parent = nullptr);

    /// The time between two calls of append() in ms: 500 unless set, so that 60 s are visible.
    int sampleInterval() const { return m_sampleInterval; }
    void setSampleInterval(int milliseconds);
    /// The value axis never ends below \a top: 1 unless set.
    void setMinimumTop(double top);
    /// A dashed line at \a value, which the scale always includes. 0 takes it away.
    void setThreshold(double value, const QString &label);

    /// Adds one value for each series. What is missing, negative or not a number counts as 0.
    void append(const QList<double> &values);
    void clear();

    int sampleCount() const { return m_count; }
    /// The value that was appended \a age samples before the newest one.
    double value(int series, int age = 0) const;
    /// The newest values with series and unit.
    QString currentText() const;
    /// What is told of the moment under the mouse, empty if there is none.
    QString hoverText() const;

    PlotScale scale() const { return m_scale; }
    /// Where the lines are, in coordinates of the widget.
    QRectF plotArea() const;
    QColor seriesColor(int series) const;
    QColor thresholdColor() const;

    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

protected:
    void paintEvent(QPaintEvent *event) override;
    void changeEvent(QEvent *event) override;
    void mouseMoveEvent(QMouseEvent *event) override;
    void leaveEvent(QEvent *event) override;

private:
    struct Layout;
    Layout layOut() const;
    QFont smallFont() const;
    QString valueText(double value) const;
    QString valueWithUnit(int series, int age) const;
    QString ageText(int age) const;
    qreal legendItemWidth(int series, const QFontMetricsF &metrics) const;
    QPointF position(const QRectF &area, int series, int age) const;
    std::optional<int> hoveredAge(const QRectF &area) const;
    PlotScale wantedScale() const;
    void updateScale();
    void resetScale();
    void describe();

    void drawHeader(QPainter &painter, const Layout &layout) const;
    void drawGrid(QPainter &painter, const Layout &layout) const;
    void drawTimeAxis(QPainter &painter, const Layout &layout) const;
    void drawSeries(QPainter &painter, const Layout &layout) const;
    void drawLine(QPainter &painter, int series) const;
    void addSegments() const;
    void addDashes(qreal dash, qreal gap) const;
    void drawSample(QPainter &painter, const QRectF &rect, int series) const;
    void drawThreshold(QPainter &painter, const Layout &layout) const;
    void drawHover(QPainter &painter, const Layout &layout, int age) const;

    const QString m_title;
    const QString m_unit;
    const QStringList m_series;
    const PlotScale::Numbers m_numbers;
    int m_sampleInterval = 500;
    double m_minimumTop = 1;
    double m_threshold = 0;
    QString m_thresholdLabel;

    QList<double> m_samples; // a ring: SampleCount times one value for each series
    int m_next = 0;
    int m_count = 0;
    PlotScale m_scale;
    int m_lowerFor = 0; // samples since which a smaller scale would do
    std::optional<QPointF> m_mouse;
    // Kept, so that painting does not allocate.
    mutable QPolygonF m_points;
    mutable QList<QLineF> m_lines;
};

#endif // TIMEPLOT_H
