// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "timeplot.h"

#include "colors.h"

#include <QtGui/qevent.h>
#include <QtGui/qfontmetrics.h>
#include <QtGui/qpainter.h>

#include <cmath>

using namespace Qt::StringLiterals;

static constexpr int SamplesBeforeShrinking = 6;
static constexpr int TimeTicks = 6;
static constexpr qreal Margin = 6;
static constexpr qreal Gap = 5;
static constexpr qreal SampleWidth = 18;
static constexpr qreal LineWidth = 1.75;

/// What is where, in coordinates of the widget.
struct TimePlot::Layout
{
    QFont titleFont;
    QFont smallFont;
    QRectF title;
    QRectF legend;
    QRectF area;
};

/// A unit with a factor of its own takes no second one.
static PlotScale::Numbers numbersFor(const QString &unit)
{
    static const QStringList withFactor { u"ms"_s, u"µs"_s, u"kB/s"_s, u"MB/s"_s, u"GB/s"_s };
    return withFactor.contains(unit) ? PlotScale::Numbers::Plain : PlotScale::Numbers::Factor;
}

static QColor blend(const QColor &from, const QColor &to, double part)
{
    const auto mix = [part](float a, float b) { return float(a + (b - a) * part); };
    return QColor::fromRgbF(mix(from.redF(), to.redF()), mix(from.greenF(), to.greenF()),
                            mix(from.blueF(), to.blueF()));
}

static QColor mutedText(const QPalette &palette)
{
    return blend(palette.color(QPalette::WindowText), palette.color(QPalette::Window), 0.3);
}

/// The lines differ by more than their colour: the first one is filled, the next ones are dashed.
static bool isFilled(int series)
{
    return series == 0;
}

/// The length of a dash and of the gap behind it; no gap: a solid line.
static QSizeF dashes(int series)
{
    static constexpr QSizeF Patterns[] { { 1, 0 }, { 5.5, 3.5 }, { 2, 2.5 } };
    return Patterns[series % 3];
}

static QColor fillColor(QColor color)
{
    color.setAlphaF(0.18f);
    return color;
}

/// \a point moved to the corner of a pixel of the device, whatever the scale factor of the screen.
static QPointF onPixel(const QPainter &painter, const QPointF &point)
{
    const QTransform toDevice = painter.deviceTransform();
    const QPointF device = toDevice.map(point);
    return toDevice.inverted().map(QPointF(std::round(device.x()), std::round(device.y())));
}

/// The width of a thin line that covers whole pixels.
static qreal thinLine(const QPainter &painter)
{
    const qreal ratio = painter.deviceTransform().m11();
    return qMax(1.0, std::floor(ratio)) / ratio;
}

static void drawHorizontal(QPainter &painter, const QRectF &area, qreal y, const QColor &color)
{
    const qreal thickness = thinLine(painter);
    const QPointF from = onPixel(painter, QPointF(area.left(), y - thickness / 2));
    const QPointF to = onPixel(painter, QPointF(area.right(), y));
    painter.fillRect(QRectF(from, QSizeF(to.x() - from.x(), thickness)), color);
}

static void drawVertical(QPainter &painter, const QRectF &area, qreal x, const QColor &color)
{
    const qreal thickness = thinLine(painter);
    const QPointF from = onPixel(painter, QPointF(x - thickness / 2, area.top()));
    const QPointF to = onPixel(painter, QPointF(x, area.bottom()));
    painter.fillRect(QRectF(from, QSizeF(thickness, to.y() - from.y())), color);
}

TimePlot::TimePlot(const QString &title, const QString &unit, const QStringList &series,
                   QWidget *parent)
    : QWidget(parent),
      m_title(title),
      m_unit(unit),
      m_series(series),
      m_numbers(numbersFor(unit)),
      m_samples(SampleCount * series.size(), 0)
{
    m_points.reserve(SampleCount + 2);
    setMouseTracking(true);
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Expanding);
    setAccessibleName(title);
    describe();
}

void TimePlot::setSampleInterval(int milliseconds)
{
    m_sampleInterval = qMax(1, milliseconds);
    update();
}

void TimePlot::setMinimumTop(double top)
{
    m_minimumTop = top;
    resetScale();
}

void TimePlot::setThreshold(double value, const QString &label)
{
    m_threshold = PlotScale::plottable(value);
    m_thresholdLabel = label;
    resetScale();
}

void TimePlot::append(const QList<double> &values)
{
    for (qsizetype i = 0; i < m_series.size(); ++i)
        m_samples[m_next * m_series.size() + i] = PlotScale::plottable(values.value(i));
    m_next = (m_next + 1) % SampleCount;
    m_count = qMin(m_count + 1, SampleCount);
    updateScale();
    describe();
    update();
}

void TimePlot::clear()
{
    m_next = 0;
    m_count = 0;
    resetScale();
    describe();
}

double TimePlot::value(int series, int age) const
{
    if (series < 0 || series >= m_series.size() || age < 0 || age >= m_count)
        return 0;
    const int slot = (m_next - 1 - age + SampleCount) % SampleCount;
    return m_samples.at(slot * m_series.size() + series);
}

QString TimePlot::currentText() const
{
    if (m_count == 0)
        return tr("no data yet");
    QStringList texts;
    for (int series = 0; series < m_series.size(); ++series)
        texts.append(valueWithUnit(series, 0));
    return texts.join(", "_L1);
}

QString TimePlot::hoverText() const
{
    const auto age = hoveredAge(plotArea());
    if (!age)
        return {};
    QStringList texts { ageText(*age) };
    for (int series = 0; series < m_series.size(); ++series)
        texts.append(valueWithUnit(series, *age));
    return texts.join(u'\n');
}

QString TimePlot::valueText(double value) const
{
    return PlotScale::label(value, m_numbers);
}

QString TimePlot::valueWithUnit(int series, int age) const
{
    return tr("%1 %2 %3").arg(m_series.at(series), valueText(value(series, age)), m_unit).trimmed();
}

QString TimePlot::ageText(int age) const
{
    return age == 0 ? tr("now") : tr("%1 s ago").arg(age * m_sampleInterval / 1000.0);
}

/// The smallest scale for all that is visible.
PlotScale TimePlot::wantedScale() const
{
    double maximum = 0;
    // Until the ring is full, the samples are at its beginning.
    for (qsizetype i = 0; i < m_count * m_series.size(); ++i)
        maximum = qMax(maximum, m_samples.at(i));
    return PlotScale::forMaximum(qMax(maximum, m_threshold), m_minimumTop);
}

/// Grows at once. Shrinks late, so that a value near a round number does not make the plot jump.
void TimePlot::updateScale()
{
    const PlotScale wanted = wantedScale();
    if (wanted.top < m_scale.top && ++m_lowerFor < SamplesBeforeShrinking)
        return;
    m_scale = wanted;
    m_lowerFor = 0;
}

void TimePlot::resetScale()
{
    m_scale = wantedScale();
    m_lowerFor = 0;
    update();
}

/// For screen readers, which are told of every change.
void TimePlot::describe()
{
    const QString text = currentText();
    if (text != accessibleDescription())
        setAccessibleDescription(text);
}

QColor TimePlot::seriesColor(int series) const
{
    // By Okabe and Ito, whom colour-blind people can thank for colours that they can tell apart;
    // a bit darker or lighter where the background asks for it.
    static constexpr QRgb OnLight[] { 0xff0072b2, 0xffc24f00, 0xff00805c, 0xffa34f83 };
    static constexpr QRgb OnDark[] { 0xff56b4e9, 0xfff0a830, 0xff2fc49a, 0xffe39cc3 };
    return QColor(isDark(palette()) ? OnDark[qMax(0, series) % 4] : OnLight[qMax(0, series) % 4]);
}

QColor TimePlot::thresholdColor() const
{
    return isDark(palette()) ? QColor(0xff, 0x85, 0x7a) : QColor(0xb3, 0x1d, 0x1d);
}

QFont TimePlot::smallFont() const
{
    QFont small = font();
    if (small.pointSizeF() > 0)
        small.setPointSizeF(small.pointSizeF() * 0.9);
    else
        small.setPixelSize(qMax(1, qRound(small.pixelSize() * 0.9)));
    return small;
}

/// With room for every value, so that nothing moves when the value changes.
qreal TimePlot::legendItemWidth(int series, const QFontMetricsF &metrics) const
{
    const QString &name = m_series.at(series);
    const qreal nameWidth = name.isEmpty() ? 0 : metrics.horizontalAdvance(name) + Gap;
    const bool plain = m_numbers == PlotScale::Numbers::Plain;
    return SampleWidth + Gap + nameWidth
            + qMax(metrics.horizontalAdvance(plain ? u"0.888"_s : u"88.8 M"_s),
                   metrics.horizontalAdvance(valueText(value(series))));
}

TimePlot::Layout TimePlot::layOut() const
{
    Layout layout;
    layout.titleFont = font();
    layout.titleFont.setBold(true);
    layout.smallFont = smallFont();
    const QFontMetricsF titleMetrics(layout.titleFont, this);
    const QFontMetricsF smallMetrics(layout.smallFont, this);

    const QRectF inside = QRectF(rect()).adjusted(Margin, Margin / 2, -Margin, -Margin / 2);
    const qreal titleWidth =
            titleMetrics.horizontalAdvance(m_title) + Gap + smallMetrics.horizontalAdvance(m_unit);
    qreal legendWidth = 0;
    for (int series = 0; series < m_series.size(); ++series)
        legendWidth += legendItemWidth(series, smallMetrics) + (series > 0 ? 2 * Gap : 0);

    const qreal titleHeight = std::ceil(titleMetrics.height());
    const qreal smallHeight = std::ceil(smallMetrics.height());
    // Narrow plots have the legend below the title, all of them: side by side they look alike.
    const bool narrow = inside.width() < 56 * smallMetrics.averageCharWidth()
            || titleWidth + 3 * Gap + legendWidth > inside.width();
    layout.title = QRectF(inside.left(), inside.top(), inside.width(), titleHeight);
    layout.legend = QRectF(inside.right() - legendWidth, inside.top(), legendWidth, titleHeight);
    if (narrow)
        layout.legend = QRectF(inside.right() - legendWidth, layout.title.bottom(), legendWidth,
                               smallHeight);
    else
        layout.title.setRight(layout.legend.left() - Gap);

    qreal labelWidth = smallMetrics.horizontalAdvance(u"888 k"_s);
    const QStringList labels = m_scale.labels(m_numbers);
    for (const QString &label : labels)
        labelWidth = qMax(labelWidth, smallMetrics.horizontalAdvance(label));
    layout.area = QRectF(QPointF(inside.left() + std::ceil(labelWidth) + Gap,
                                 layout.legend.bottom() + std::ceil(smallHeight / 2) + 1),
                         QPointF(inside.right(), inside.bottom() - smallHeight - Gap));
    if (layout.area.width() < 1 || layout.area.height() < 1)
        layout.area = QRectF();
    return layout;
}

QRectF TimePlot::plotArea() const
{
    return layOut().area;
}

QSize TimePlot::sizeHint() const
{
    return QSize(380, 200).expandedTo(minimumSizeHint());
}

QSize TimePlot::minimumSizeHint() const
{
    const QFontMetrics metrics = fontMetrics();
    return QSize(qMax(220, 30 * metrics.averageCharWidth()), qMax(120, 7 * metrics.height()));
}

void TimePlot::changeEvent(QEvent *event)
{
    QWidget::changeEvent(event);
    if (event->type() == QEvent::FontChange)
        updateGeometry();
    update();
}

void TimePlot::mouseMoveEvent(QMouseEvent *event)
{
    m_mouse = event->position();
    update();
}

void TimePlot::leaveEvent(QEvent *event)
{
    QWidget::leaveEvent(event);
    m_mouse.reset();
    update();
}

QPointF TimePlot::position(const QRectF &area, int series, int age) const
{
    return QPointF(area.right() - age * area.width() / SampleCount,
                   area.bottom() - value(series, age) / m_scale.top * area.height());
}

std::optional<int> TimePlot::hoveredAge(const QRectF &area) const
{
    if (!m_mouse || !area.contains(*m_mouse))
        return {};
    const int age = qRound((area.right() - m_mouse->x()) * SampleCount / area.width());
    return age < m_count ? std::optional(age) : std::nullopt;
}

void TimePlot::paintEvent(QPaintEvent *)
{
    QPainter painter(this);
    const Layout layout = layOut();
    drawHeader(painter, layout);
    if (layout.area.isEmpty())
        return;

    painter.setFont(layout.smallFont);
    painter.fillRect(layout.area, palette().base());
    drawGrid(painter, layout);
    drawTimeAxis(painter, layout);
    if (m_count == 0) {
        const QString text = tr("no data yet");
        QRectF patch = QFontMetricsF(layout.smallFont, this).boundingRect(text);
        patch.moveCenter(layout.area.center());
        painter.fillRect(patch.adjusted(-Gap, -2, Gap, 2), palette().base());
        painter.setPen(mutedText(palette()));
        painter.drawText(layout.area, Qt::AlignCenter, text);
    }
    drawSeries(painter, layout);
    drawThreshold(painter, layout);
    if (const auto age = hoveredAge(layout.area))
        drawHover(painter, layout, *age);
}

void TimePlot::drawHeader(QPainter &painter, const Layout &layout) const
{
    const QColor text = palette().color(QPalette::WindowText);
    const QFontMetricsF titleMetrics(layout.titleFont, this);
    const QFontMetricsF smallMetrics(layout.smallFont, this);

    // The unit stands on the base line of the title.
    const qreal baseLine = layout.title.top() + titleMetrics.ascent();
    const qreal unitWidth = smallMetrics.horizontalAdvance(m_unit);
    const QString title = titleMetrics.elidedText(m_title, Qt::ElideRight,
                                                  layout.title.width() - Gap - unitWidth);
    painter.setFont(layout.titleFont);
    painter.setPen(text);
    painter.drawText(QPointF(layout.title.left(), baseLine), title);
    painter.setFont(layout.smallFont);
    painter.setPen(mutedText(palette()));
    painter.drawText(QPointF(layout.title.left() + titleMetrics.horizontalAdvance(title) + Gap,
                             baseLine),
                     m_unit);

    qreal x = layout.legend.left();
    for (int series = 0; series < m_series.size(); ++series) {
        QRectF item(x, layout.legend.top(), legendItemWidth(series, smallMetrics),
                    layout.legend.height());
        x = item.right() + 2 * Gap;
        drawSample(painter, QRectF(item.topLeft(), QSizeF(SampleWidth, item.height())), series);
        item.setLeft(item.left() + SampleWidth + Gap);
        painter.setPen(mutedText(palette()));
        painter.drawText(item, Qt::AlignLeft | Qt::AlignVCenter, m_series.at(series));
        painter.setPen(text);
        painter.drawText(item, Qt::AlignRight | Qt::AlignVCenter,
                         m_count > 0 ? valueText(value(series)) : u"–"_s);
    }
}

void TimePlot::drawGrid(QPainter &painter, const Layout &layout) const
{
    const QRectF &area = layout.area;
    const QColor base = palette().color(QPalette::Base);
    const QColor text = palette().color(QPalette::Text);
    const QColor grid = blend(base, text, 0.14);
    const QFontMetricsF metrics(layout.smallFont, this);
    const QStringList labels = m_scale.labels(m_numbers);
    const int lines = m_scale.lines();

    // Every label, every second one, or only the first and the last.
    int stride = 1;
    while (stride < lines
           && (lines % stride != 0 || area.height() * stride / lines < metrics.height() * 0.95))
        ++stride;

    painter.setPen(mutedText(palette()));
    for (int line = 0; line <= lines; ++line) {
        const qreal y = area.bottom() - line * area.height() / lines;
        if (line > 0)
            drawHorizontal(painter, area, y, grid);
        if (line % stride == 0)
            painter.drawText(QRectF(0, y - metrics.height() / 2, area.left() - Gap,
                                    metrics.height()),
                             Qt::AlignRight | Qt::AlignVCenter, labels.at(line));
    }
    for (int tick = 1; tick < TimeTicks; ++tick)
        drawVertical(painter, area, area.left() + tick * area.width() / TimeTicks, grid);
    drawHorizontal(painter, area, area.bottom(), blend(base, text, 0.45));
}

void TimePlot::drawTimeAxis(QPainter &painter, const Layout &layout) const
{
    const QRectF &area = layout.area;
    const QFontMetricsF metrics(layout.smallFont, this);
    const QColor axis =
            blend(palette().color(QPalette::Base), palette().color(QPalette::Text), 0.45);
    const QRectF marks(area.left(), area.bottom(), area.width(), Gap - 2);
    const qreal top = area.bottom() + Gap - 1;
    const double seconds = SampleCount * m_sampleInterval / 1000.0;

    const QString first = tr("%1 s ago").arg(seconds);
    const QString last = tr("now");
    const qreal firstWidth = metrics.horizontalAdvance(first);
    const qreal firstLeft = qMax(layout.title.left(), area.left() - firstWidth / 2);
    const qreal lastLeft = area.right() - metrics.horizontalAdvance(last);

    QStringList labels;
    qreal widest = 0;
    for (int tick = 0; tick <= TimeTicks; ++tick) {
        labels.append(tr("%1 s").arg(seconds * (TimeTicks - tick) / TimeTicks));
        widest = qMax(widest, metrics.horizontalAdvance(labels.last()));
    }
    // Every label, or as many as have room between the first and the last.
    const qreal distance = area.width() / TimeTicks;
    const auto fits = [&](int every) {
        return distance * every > widest + Gap
                && area.left() + distance * every - widest / 2 > firstLeft + firstWidth + Gap
                && area.right() - distance * every + widest / 2 < lastLeft - Gap;
    };
    int stride = 1;
    while (stride < TimeTicks && (TimeTicks % stride != 0 || !fits(stride)))
        ++stride;

    painter.setPen(mutedText(palette()));
    painter.drawText(QRectF(firstLeft, top, area.width(), metrics.height()),
                     Qt::AlignLeft | Qt::AlignTop, first);
    painter.drawText(QRectF(area.left(), top, area.width(), metrics.height()),
                     Qt::AlignRight | Qt::AlignTop, last);
    for (int tick = 0; tick <= TimeTicks; ++tick) {
        const qreal x = area.left() + tick * distance;
        drawVertical(painter, marks, x, axis);
        if (tick > 0 && tick < TimeTicks && tick % stride == 0)
            painter.drawText(QRectF(x - distance * stride / 2, top, distance * stride,
                                    metrics.height()),
                             Qt::AlignHCenter | Qt::AlignTop, labels.at(tick));
    }
}

void TimePlot::drawSeries(QPainter &painter, const Layout &layout) const
{
    if (m_count == 0)
        return;
    const QRectF &area = layout.area;
    painter.save();
    for (int series = 0; series < m_series.size(); ++series) {
        m_points.clear();
        for (int age = m_count - 1; age >= 0; --age)
            m_points.append(position(area, series, age));
        // One sample is a short line, not nothing.
        if (m_count == 1)
            m_points.prepend(m_points.first() - QPointF(area.width() / SampleCount, 0));
        drawLine(painter, series);

        if (isFilled(series)) {
            m_points.append(QPointF(m_points.last().x(), area.bottom()));
            m_points.append(QPointF(m_points.first().x(), area.bottom()));
            painter.setPen(Qt::NoPen);
            painter.setBrush(fillColor(seriesColor(series)));
            painter.drawPolygon(m_points); // its edge is below the line and need not be smooth
        }
    }
    painter.restore();
}

/// Draws m_points as a line.
void TimePlot::drawLine(QPainter &painter, int series) const
{
    // Not drawPolyline(): for a wide line Qt works out the outline with all its corners, which
    // takes ten times as long as one segment after the other.
    m_lines.clear();
    const QSizeF dash = dashes(series);
    if (dash.height() > 0)
        addDashes(dash.width(), dash.height());
    else
        addSegments();

    painter.save();
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(QPen(seriesColor(series), LineWidth, Qt::SolidLine, Qt::FlatCap));
    painter.drawLines(m_lines);
    painter.restore();
}

/// Each segment from point to point, so much longer that the corners are closed.
void TimePlot::addSegments() const
{
    static constexpr qreal LeastOverlap = 0.4;
    static constexpr qreal Straight = 0.001;
    QPointF from = m_points.first();
    qreal before = 0;
    for (qsizetype i = 1; i < m_points.size(); ++i) {
        const QPointF to = m_points.at(i);
        const QPointF along = to - from;
        const qreal length = std::hypot(along.x(), along.y());
        qreal behind = 0;
        if (i + 1 < m_points.size()) {
            // The tangent of half the angle says where the outer edges meet.
            const QPointF next = m_points.at(i + 1) - to;
            const qreal cross = qAbs(along.x() * next.y() - along.y() * next.x());
            const qreal both =
                    length * std::hypot(next.x(), next.y()) + QPointF::dotProduct(along, next);
            if (cross <= both * Straight)
                continue; // no corner at all: one line for both
            behind = qMax(LeastOverlap, LineWidth / 2 * qMin(1.0, cross / both));
        }
        if (length == 0)
            continue;
        const QPointF direction = along / length;
        m_lines.append(QLineF(from - direction * before, to + direction * behind));
        from = to;
        before = behind;
    }
}

void TimePlot::addDashes(qreal dash, qreal gap) const
{
    qreal phase = 0;
    for (qsizetype i = 1; i < m_points.size(); ++i) {
        const QLineF segment(m_points.at(i - 1), m_points.at(i));
        const qreal length = segment.length();
        for (qreal done = 0; done < length;) {
            const bool inDash = phase < dash;
            const qreal part = qMin(length - done, (inDash ? dash : dash + gap) - phase);
            if (inDash)
                m_lines.append(QLineF(segment.pointAt(done / length),
                                      segment.pointAt((done + part) / length)));
            done += part;
            phase += part;
            if (phase > dash + gap - 0.01)
                phase = 0;
        }
    }
}

/// The line of a series for a text beside it.
void TimePlot::drawSample(QPainter &painter, const QRectF &rect, int series) const
{
    const qreal y = onPixel(painter, rect.center()).y();
    if (isFilled(series))
        painter.fillRect(QRectF(rect.left(), y, rect.width(), 5), fillColor(seriesColor(series)));
    m_points.clear();
    m_points.append(QPointF(rect.left(), y));
    m_points.append(QPointF(rect.right(), y));
    drawLine(painter, series);
}

void TimePlot::drawThreshold(QPainter &painter, const Layout &layout) const
{
    if (m_threshold <= 0 || m_count == 0)
        return;
    const QRectF &area = layout.area;
    const qreal height = m_threshold / m_scale.top * area.height();
    const qreal thickness = thinLine(painter);
    // In the middle of a row of pixels, so that it is crisp.
    const QPointF from = onPixel(painter, QPointF(area.left(), area.bottom() - height))
            + QPointF(0, thickness / 2);
    QPen pen(thresholdColor(), thickness);
    pen.setCapStyle(Qt::FlatCap);
    pen.setDashPattern({ 6, 4 });
    painter.setPen(pen);
    painter.drawLine(from, QPointF(area.right(), from.y()));

    // On a patch, so that it can be read in front of the lines; below where there is no room above.
    const QFontMetricsF metrics(layout.smallFont, this);
    QRectF text(area.left() + Gap, from.y() - metrics.height() - 1,
                metrics.horizontalAdvance(m_thresholdLabel), metrics.height());
    if (text.top() < area.top())
        text.moveTop(from.y() + 2);
    QColor patch = palette().color(QPalette::Base);
    patch.setAlphaF(0.75f);
    painter.fillRect(text, patch);
    painter.drawText(text, Qt::AlignCenter, m_thresholdLabel);
}

void TimePlot::drawHover(QPainter &painter, const Layout &layout, int age) const
{
    const QRectF &area = layout.area;
    const QColor base = palette().color(QPalette::Base);
    const QColor text = palette().color(QPalette::Text);
    const QFontMetricsF metrics(layout.smallFont, this);
    const qreal x = position(area, 0, age).x();
    drawVertical(painter, area, x, blend(base, text, 0.6));

    const QString when = ageText(age);
    qreal width = metrics.horizontalAdvance(when);
    for (int series = 0; series < m_series.size(); ++series)
        width = qMax(width,
                     SampleWidth + Gap + metrics.horizontalAdvance(valueWithUnit(series, age)));
    const qreal lineHeight = metrics.height();
    QRectF box(x + 2 * Gap, area.top() + Gap, width + 2 * Gap,
               lineHeight * qreal(m_series.size() + 1) + Gap);
    if (box.right() > area.right())
        box.moveRight(x - 2 * Gap);
    // In a very small plot the label may cover the cursor, but it is never cut off.
    box.moveLeft(qBound(0.0, box.left(), qMax(0.0, this->width() - box.width() - 1)));
    box.moveTop(qBound(0.0, box.top(), qMax(0.0, height() - box.height() - 1)));

    painter.save();
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(QPen(blend(base, text, 0.35), 1));
    painter.setBrush(blend(base, text, 0.05));
    painter.drawRoundedRect(box, 3, 3);
    painter.restore();

    QRectF line(box.left() + Gap, box.top() + Gap / 2, width, lineHeight);
    painter.setPen(blend(text, base, 0.3));
    painter.drawText(line, Qt::AlignLeft | Qt::AlignVCenter, when);
    painter.setPen(text);
    for (int series = 0; series < m_series.size(); ++series) {
        line.translate(0, lineHeight);
        drawSample(painter, QRectF(line.topLeft(), QSizeF(SampleWidth, lineHeight)), series);
        painter.drawText(line.adjusted(SampleWidth + Gap, 0, 0, 0),
                         Qt::AlignLeft | Qt::AlignVCenter, valueWithUnit(series, age));
    }
}
