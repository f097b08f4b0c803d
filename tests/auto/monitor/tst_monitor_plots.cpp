// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "latencymeter.h"
#include "plotscale.h"
#include "timeplot.h"

#include <QtCore/qelapsedtimer.h>
#include <QtCore/qeventloop.h>
#include <QtCore/qset.h>
#include <QtCore/qtimer.h>
#include <QtGui/qevent.h>
#include <QtGui/qimage.h>
#include <QtTest/qtest.h>
#include <QtWidgets/qapplication.h>

#include <cmath>
#include <limits>

using namespace Qt::StringLiterals;

/// The plots of the monitor: scales, what is painted where, and the latency that one of them shows.
class tst_MonitorPlots : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void scales_data();
    void scales();
    void scalesHaveRoundSteps();
    void labels_data();
    void labels();
    void labelsOfAnAxis_data();
    void labelsOfAnAxis();

    void scaleGrowsAtOnceAndShrinksLate();
    void scaleHoldsWhenAPeakComesBack();
    void minimumTopHolds();
    void ringKeepsTheLastSamples_data();
    void ringKeepsTheLastSamples();
    void valuesAreTakenAsTheyCome();
    void textTellsTheNewestValues();
    void unitsWithAFactorTakeNoOther();
    void clearForgetsEverything();

    void linesAreWhereTheValuesAre_data();
    void linesAreWhereTheValuesAre();
    void stepIsAtItsTime_data();
    void stepIsAtItsTime();
    void oneSampleIsVisible();
    void linesStayInThePlot_data();
    void linesStayInThePlot();
    void gridIsCrisp_data();
    void gridIsCrisp();
    void thresholdIsDashedAndCrisp_data();
    void thresholdIsDashedAndCrisp();
    void thresholdIsAlwaysOnTheScale();
    void legendShowsTheNewestValues();
    void emptyPlotSaysSo();
    void colorsContrast_data();
    void colorsContrast();
    void smallPlotsKeepTheirParts_data();
    void smallPlotsKeepTheirParts();
    void narrowPlotsLookAlike();
    void hoverTellsOneMoment();
    void hoverIsPainted();

    void latencySeesABlock();
    void latencySeesABlockThatIsNotOver();
    void latencyTellsABlockOnce();
    void latencyIsSmallOtherwise();
    void latencyStartsAnew();
    void latencyStops();
};

namespace {

QPalette lightPalette()
{
    QPalette palette(QColor(0xf0, 0xf0, 0xf0));
    palette.setColor(QPalette::Base, Qt::white);
    palette.setColor(QPalette::Text, Qt::black);
    palette.setColor(QPalette::WindowText, Qt::black);
    return palette;
}

QPalette darkPalette()
{
    QPalette palette(QColor(0x2b, 0x2c, 0x30));
    palette.setColor(QPalette::Base, QColor(0x1e, 0x1f, 0x22));
    palette.setColor(QPalette::Text, QColor(0xe6, 0xe6, 0xe6));
    palette.setColor(QPalette::WindowText, QColor(0xe6, 0xe6, 0xe6));
    return palette;
}

/// A plot like that of the messages in the monitor.
class MessagePlot : public TimePlot
{
public:
    explicit MessagePlot(const QSize &size = QSize(400, 220))
        : TimePlot(u"Messages"_s, u"msg/s"_s, { u"in"_s, u"out"_s })
    {
        setPalette(lightPalette());
        resize(size);
    }

    void append(double in, double out, int times = 1)
    {
        for (int i = 0; i < times; ++i)
            TimePlot::append({ in, out });
    }

    /// Where \a value is, worked out from the scale.
    double yOf(double value) const
    {
        return plotArea().bottom() - value / scale().top * plotArea().height();
    }
    /// Where the sample is that was appended \a age samples before the newest one.
    double xOf(double age) const
    {
        return plotArea().right() - age * plotArea().width() / SampleCount;
    }
    void moveMouse(const QPointF &position)
    {
        QMouseEvent event(QEvent::MouseMove, position, mapToGlobal(position), Qt::NoButton,
                          Qt::NoButton, Qt::NoModifier);
        QCoreApplication::sendEvent(this, &event);
    }
};

/// What \a widget looks like on a screen with \a ratio pixels for one.
QImage painted(QWidget &widget, double ratio = 1)
{
    QImage image(QSize(int(std::ceil(widget.width() * ratio)),
                       int(std::ceil(widget.height() * ratio))),
                 QImage::Format_ARGB32_Premultiplied);
    image.setDevicePixelRatio(ratio);
    image.fill(Qt::magenta);
    widget.render(&image);
    return image;
}

bool isLike(const QColor &color, const QColor &other)
{
    return qAbs(color.red() - other.red()) < 60 && qAbs(color.green() - other.green()) < 60
            && qAbs(color.blue() - other.blue()) < 60;
}

/// The middle of what has about \a color in column \a x of the plot, in coordinates of the widget;
/// NaN if nothing has.
double rowOf(const QImage &image, const MessagePlot &plot, double x, const QColor &color)
{
    const double ratio = image.devicePixelRatio();
    const QRectF area = plot.plotArea();
    double sum = 0;
    int count = 0;
    for (int y = int((area.top() - 3) * ratio); y < int((area.bottom() + 3) * ratio); ++y) {
        if (isLike(image.pixelColor(int(x * ratio), y), color)) {
            sum += y + 0.5;
            ++count;
        }
    }
    return count > 0 ? sum / count / ratio : qQNaN();
}

double luminance(const QColor &color)
{
    const auto linear = [](double part) {
        return part <= 0.04045 ? part / 12.92 : std::pow((part + 0.055) / 1.055, 2.4);
    };
    return 0.2126 * linear(color.redF()) + 0.7152 * linear(color.greenF())
            + 0.0722 * linear(color.blueF());
}

/// As WCAG defines it: 1 to 21.
double contrast(const QColor &color, const QColor &other)
{
    const double a = luminance(color);
    const double b = luminance(other);
    return (qMax(a, b) + 0.05) / (qMin(a, b) + 0.05);
}

/// Keeps the event loop from running.
void block(int milliseconds)
{
    QElapsedTimer timer;
    timer.start();
    while (timer.nsecsElapsed() < milliseconds * qint64(1'000'000)) { }
}

/// Runs the event loop until the timer of a LatencyMeter must have fired a few times.
void runEventLoop()
{
    QEventLoop loop;
    QTimer timer;
    timer.setTimerType(Qt::PreciseTimer);
    int left = 5;
    QObject::connect(&timer, &QTimer::timeout, &loop, [&] {
        if (--left == 0)
            loop.quit();
    });
    timer.start(LatencyMeter::Interval);
    loop.exec();
}

void addRatios()
{
    QTest::addColumn<double>("ratio");
    QTest::newRow("1") << 1.0;
    QTest::newRow("1.25") << 1.25;
    QTest::newRow("1.5") << 1.5;
    QTest::newRow("2") << 2.0;
}

} // namespace

void tst_MonitorPlots::scales_data()
{
    QTest::addColumn<double>("maximum");
    QTest::addColumn<double>("top");
    QTest::addColumn<double>("step");

    QTest::newRow("0") << 0.0 << 1.0 << 0.25;
    QTest::newRow("0.4") << 0.4 << 1.0 << 0.25;
    QTest::newRow("1") << 1.0 << 1.0 << 0.25;
    QTest::newRow("1.01") << 1.01 << 2.0 << 0.5;
    QTest::newRow("2") << 2.0 << 2.0 << 0.5;
    QTest::newRow("4.9") << 4.9 << 5.0 << 1.0;
    QTest::newRow("7") << 7.0 << 10.0 << 2.5;
    QTest::newRow("10") << 10.0 << 10.0 << 2.5;
    QTest::newRow("12345") << 12345.0 << 20000.0 << 5000.0;
    QTest::newRow("999999") << 999999.0 << 1e6 << 250000.0;
    QTest::newRow("1000001") << 1000001.0 << 2e6 << 500000.0;
    QTest::newRow("1e9") << 1e9 << 1e9 << 2.5e8;
    QTest::newRow("not a number") << qQNaN() << 1.0 << 0.25;
    QTest::newRow("infinite") << qInf() << 1.0 << 0.25;
    QTest::newRow("negative") << -5000.0 << 1.0 << 0.25;
    QTest::newRow("enormous") << std::numeric_limits<double>::max() << 1e18 << 2.5e17;
}

void tst_MonitorPlots::scales()
{
    QFETCH(double, maximum);
    const PlotScale scale = PlotScale::forMaximum(maximum);
    QTEST(scale.top, "top");
    QTEST(scale.step, "step");
}

void tst_MonitorPlots::scalesHaveRoundSteps()
{
    for (double maximum = 0.1; maximum < 1e12; maximum *= 1.07) {
        const PlotScale scale = PlotScale::forMaximum(maximum);
        QVERIFY2(scale.top >= maximum, qPrintable(QString::number(maximum)));
        QVERIFY2(maximum < 1 || scale.top <= 2.5 * maximum, qPrintable(QString::number(maximum)));
        QVERIFY(scale.lines() >= 3 && scale.lines() <= 5);
        QCOMPARE(scale.lines() * scale.step, scale.top);
    }
    QCOMPARE(PlotScale::forMaximum(3, 60).top, 100.0);
    QCOMPARE(PlotScale::forMaximum(300, 60).top, 500.0);
    QCOMPARE(PlotScale::forMaximum(0, qQNaN()).top, 1.0);
}

void tst_MonitorPlots::labels_data()
{
    QTest::addColumn<double>("value");
    QTest::addColumn<QString>("withFactor");
    QTest::addColumn<QString>("plain");

    QTest::newRow("0") << 0.0 << u"0"_s << u"0"_s;
    QTest::newRow("tiny") << 0.0042 << u"0.004"_s << u"0.004"_s;
    QTest::newRow("0.4") << 0.4 << u"0.4"_s << u"0.4"_s;
    QTest::newRow("7") << 7.0 << u"7"_s << u"7"_s;
    QTest::newRow("7.257") << 7.257 << u"7.26"_s << u"7.26"_s;
    QTest::newRow("16.66") << 16.66 << u"16.7"_s << u"16.7"_s;
    QTest::newRow("100") << 100.0 << u"100"_s << u"100"_s;
    QTest::newRow("999.4") << 999.4 << u"999"_s << u"999"_s;
    QTest::newRow("999.6") << 999.6 << u"1 k"_s << u"1000"_s;
    QTest::newRow("12500") << 12500.0 << u"12.5 k"_s << u"12500"_s;
    QTest::newRow("999999") << 999999.0 << u"1 M"_s << u"999999"_s;
    QTest::newRow("3200000") << 3200000.0 << u"3.2 M"_s << u"3200000"_s;
    QTest::newRow("1e9") << 1e9 << u"1 G"_s << u"1000000000"_s;
    QTest::newRow("2e12") << 2e12 << u"2 T"_s << u"2000000000000"_s;
    QTest::newRow("not a number") << qQNaN() << u"0"_s << u"0"_s;
    QTest::newRow("infinite") << qInf() << u"0"_s << u"0"_s;
    QTest::newRow("negative") << -3.0 << u"0"_s << u"0"_s;
    QTest::newRow("enormous") << 1e300 << u"1 E"_s << u"1000000000000000000"_s;
}

void tst_MonitorPlots::labels()
{
    QFETCH(double, value);
    QTEST(PlotScale::label(value), "withFactor");
    QTEST(PlotScale::label(value, PlotScale::Numbers::Plain), "plain");
}

void tst_MonitorPlots::labelsOfAnAxis_data()
{
    QTest::addColumn<double>("maximum");
    QTest::addColumn<QString>("labels");

    QTest::newRow("0.5") << 0.5 << u"0|0.25|0.5|0.75|1"_s;
    QTest::newRow("4") << 4.0 << u"0|1|2|3|4|5"_s;
    QTest::newRow("1000") << 1000.0 << u"0|250|500|750|1 k"_s;
    QTest::newRow("12345") << 12345.0 << u"0|5 k|10 k|15 k|20 k"_s;
    QTest::newRow("3e6") << 3e6 << u"0|1 M|2 M|3 M|4 M|5 M"_s;
}

void tst_MonitorPlots::labelsOfAnAxis()
{
    QFETCH(double, maximum);
    QTEST(PlotScale::forMaximum(maximum).labels().join(u'|'), "labels");
}

void tst_MonitorPlots::scaleGrowsAtOnceAndShrinksLate()
{
    MessagePlot plot;
    plot.append(0, 1000);
    QCOMPARE(plot.scale().top, 1000.0);
    plot.append(1, 1, TimePlot::SampleCount - 1);
    QCOMPARE(plot.value(1, TimePlot::SampleCount - 1), 1000.0); // visible still
    QCOMPARE(plot.scale().top, 1000.0);
    plot.append(1, 1, 5);
    QCOMPARE(plot.scale().top, 1000.0);
    plot.append(1, 1);
    QCOMPARE(plot.scale().top, 1.0);
    plot.append(1300, 0);
    QCOMPARE(plot.scale().top, 2000.0);
}

void tst_MonitorPlots::scaleHoldsWhenAPeakComesBack()
{
    MessagePlot plot;
    plot.append(1000, 0);
    plot.append(1, 1, TimePlot::SampleCount + 3);
    QCOMPARE(plot.scale().top, 1000.0);
    plot.append(900, 0); // the samples without a peak are counted from 0 after this one
    plot.append(1, 1, TimePlot::SampleCount + 4);
    QCOMPARE(plot.scale().top, 1000.0);
    plot.append(1, 1);
    QCOMPARE(plot.scale().top, 1.0);
}

void tst_MonitorPlots::minimumTopHolds()
{
    MessagePlot plot;
    plot.setMinimumTop(30);
    QCOMPARE(plot.scale().top, 50.0);
    plot.append(1, 2);
    QCOMPARE(plot.scale().top, 50.0);
    plot.append(51, 2);
    QCOMPARE(plot.scale().top, 100.0);
}

void tst_MonitorPlots::ringKeepsTheLastSamples_data()
{
    QTest::addColumn<int>("appended");
    QTest::addColumn<int>("kept");
    QTest::newRow("1") << 1 << 1;
    QTest::newRow("119") << 119 << 119;
    QTest::newRow("120") << 120 << 120;
    QTest::newRow("121") << 121 << 120;
    QTest::newRow("500") << 500 << 120;
}

void tst_MonitorPlots::ringKeepsTheLastSamples()
{
    QFETCH(int, appended);
    QFETCH(int, kept);
    MessagePlot plot;
    QCOMPARE(plot.sampleCount(), 0);
    for (int i = 1; i <= appended; ++i)
        plot.append(i, 10000 + i);
    QCOMPARE(plot.sampleCount(), kept);
    for (int age = 0; age < kept; ++age) {
        QCOMPARE(plot.value(0, age), double(appended - age));
        QCOMPARE(plot.value(1, age), double(10000 + appended - age));
    }
    QCOMPARE(plot.value(0, kept), 0.0);
    QCOMPARE(plot.value(0, -1), 0.0);
    QCOMPARE(plot.value(2, 0), 0.0);
    QCOMPARE(plot.value(-1, 0), 0.0);
}

void tst_MonitorPlots::valuesAreTakenAsTheyCome()
{
    TimePlot plot(u"Messages"_s, u"msg/s"_s, { u"in"_s, u"out"_s });
    plot.append({ 5 });
    QCOMPARE(plot.value(0), 5.0);
    QCOMPARE(plot.value(1), 0.0);
    plot.append({ 6, 7, 8 });
    QCOMPARE(plot.value(0), 6.0);
    QCOMPARE(plot.value(1), 7.0);
    QCOMPARE(plot.value(0, 1), 5.0);
    plot.append({ qQNaN(), -1 });
    QCOMPARE(plot.value(0), 0.0);
    QCOMPARE(plot.value(1), 0.0);
    plot.append({ qInf(), 3 });
    QCOMPARE(plot.value(0), 0.0);
    QCOMPARE(plot.value(1), 3.0);
    QCOMPARE(plot.scale().top, 10.0);
    plot.append({});
    QCOMPARE(plot.value(1), 0.0);
    QCOMPARE(plot.sampleCount(), 5);
}

void tst_MonitorPlots::textTellsTheNewestValues()
{
    MessagePlot plot;
    QCOMPARE(plot.accessibleName(), u"Messages"_s);
    QCOMPARE(plot.currentText(), u"no data yet"_s);
    QCOMPARE(plot.accessibleDescription(), plot.currentText());
    plot.append(12500, 3.2e6);
    QCOMPARE(plot.currentText(), u"in 12.5 k msg/s, out 3.2 M msg/s"_s);
    QCOMPARE(plot.accessibleDescription(), plot.currentText());
    plot.append(0, 7);
    QCOMPARE(plot.currentText(), u"in 0 msg/s, out 7 msg/s"_s);
    QCOMPARE(plot.accessibleDescription(), plot.currentText());
}

void tst_MonitorPlots::unitsWithAFactorTakeNoOther()
{
    TimePlot latency(u"Latency"_s, u"ms"_s, { u"worst"_s });
    latency.append({ 1500 });
    QCOMPARE(latency.currentText(), u"worst 1500 ms"_s);
    TimePlot data(u"Data"_s, u"MB/s"_s, { u"in"_s });
    data.append({ 1234.5 });
    QCOMPARE(data.currentText(), u"in 1235 MB/s"_s);
}

void tst_MonitorPlots::clearForgetsEverything()
{
    MessagePlot plot;
    const QImage empty = painted(plot);
    plot.append(5000, 300, 200);
    QVERIFY(painted(plot) != empty);
    plot.clear();
    QCOMPARE(plot.sampleCount(), 0);
    QCOMPARE(plot.value(0), 0.0);
    QCOMPARE(plot.scale().top, 1.0);
    QCOMPARE(plot.currentText(), u"no data yet"_s);
    QCOMPARE(plot.accessibleDescription(), plot.currentText());
    QVERIFY(painted(plot) == empty);

    plot.append(3, 4);
    QCOMPARE(plot.sampleCount(), 1);
    QCOMPARE(plot.value(1), 4.0);
    QCOMPARE(plot.scale().top, 5.0); // and nothing of the samples before
}

void tst_MonitorPlots::linesAreWhereTheValuesAre_data()
{
    addRatios();
}

void tst_MonitorPlots::linesAreWhereTheValuesAre()
{
    QFETCH(double, ratio);
    MessagePlot plot;
    plot.append(80, 30, TimePlot::SampleCount);
    QCOMPARE(plot.scale().top, 100.0);
    const QImage image = painted(plot, ratio);

    int withDash = 0;
    int columns = 0;
    const double end = plot.xOf(1);
    for (double x = plot.xOf(TimePlot::SampleCount - 2); x < end; ++x) {
        ++columns;
        const double solid = rowOf(image, plot, x, plot.seriesColor(0));
        QVERIFY2(qAbs(solid - plot.yOf(80)) < 1, qPrintable(u"%1 at %2"_s.arg(solid).arg(x)));
        const double dashed = rowOf(image, plot, x, plot.seriesColor(1));
        if (std::isnan(dashed))
            continue;
        ++withDash;
        QVERIFY2(qAbs(dashed - plot.yOf(30)) < 1, qPrintable(u"%1 at %2"_s.arg(dashed).arg(x)));
    }
    // The second line has dashes: it is there in some of the columns.
    QVERIFY2(withDash > columns * 0.4, qPrintable(QString::number(withDash)));
    QVERIFY2(withDash < columns * 0.8, qPrintable(QString::number(withDash)));

    // A straight line shows nothing of the samples that it is made of.
    QSet<QRgb> colors;
    for (int x = int(plot.xOf(110) * ratio); x < int(end * ratio); ++x)
        colors.insert(image.pixel(x, int(plot.yOf(80) * ratio)));
    QVERIFY2(colors.size() <= 2, qPrintable(QString::number(colors.size()))); // the grid is below

    // Below the first line it is filled, above it is not.
    const int x = int((plot.xOf(30) + 3) * ratio);
    QVERIFY(image.pixelColor(x, int(plot.yOf(60) * ratio)) != QColor(Qt::white));
    QCOMPARE(image.pixelColor(x, int(plot.yOf(90) * ratio)), QColor(Qt::white));
}

void tst_MonitorPlots::stepIsAtItsTime_data()
{
    addRatios();
}

void tst_MonitorPlots::stepIsAtItsTime()
{
    QFETCH(double, ratio);
    MessagePlot plot;
    plot.append(0, 0, 300);
    plot.append(100, 0, 45);
    const QImage image = painted(plot, ratio);

    const int y = int(plot.yOf(60) * ratio);
    double sum = 0;
    int count = 0;
    for (int x = 0; x < image.width(); ++x) {
        if (isLike(image.pixelColor(x, y), plot.seriesColor(0))) {
            sum += x + 0.5;
            ++count;
        }
    }
    QVERIFY(count > 0);
    // From the last low sample, 45 samples ago, it rises to the first high one.
    const double expected = plot.xOf(44.4);
    QVERIFY2(qAbs(sum / count / ratio - expected) < 1,
             qPrintable(u"%1, expected %2"_s.arg(sum / count / ratio).arg(expected)));
}

void tst_MonitorPlots::oneSampleIsVisible()
{
    MessagePlot plot;
    plot.append(70, 0);
    const QImage image = painted(plot);
    QVERIFY(qAbs(rowOf(image, plot, plot.xOf(0) - 1, plot.seriesColor(0)) - plot.yOf(70)) < 1);
    QVERIFY(std::isnan(rowOf(image, plot, plot.xOf(3), plot.seriesColor(0))));
}

void tst_MonitorPlots::linesStayInThePlot_data()
{
    addRatios();
}

void tst_MonitorPlots::linesStayInThePlot()
{
    QFETCH(double, ratio);
    MessagePlot plot;
    // As wild as it can be: from 0 to the top of the scale and back.
    for (int i = 0; i < TimePlot::SampleCount; ++i)
        plot.append(i % 2 * 1000, (i + 1) % 2 * 1000);
    QCOMPARE(plot.scale().top, 1000.0);

    const QImage image = painted(plot, ratio);
    const QRectF allowed = plot.plotArea().adjusted(-2, -3, 2.5, 3);
    const double header = plot.plotArea().top() - 8; // the legend has these colours, too
    int inside = 0;
    for (int y = 0; y < image.height(); ++y) {
        for (int x = 0; x < image.width(); ++x) {
            const QPointF at(x / ratio, y / ratio);
            const QColor color = image.pixelColor(x, y);
            if (!isLike(color, plot.seriesColor(0)) && !isLike(color, plot.seriesColor(1)))
                continue;
            if (allowed.contains(at))
                ++inside;
            else
                QVERIFY2(at.y() < header, qPrintable(u"%1,%2"_s.arg(at.x()).arg(at.y())));
        }
    }
    QVERIFY(inside > 5000);
}

void tst_MonitorPlots::gridIsCrisp_data()
{
    addRatios();
}

void tst_MonitorPlots::gridIsCrisp()
{
    QFETCH(double, ratio);
    MessagePlot plot(QSize(397, 211)); // so that few lines are on whole pixels by themselves
    QCOMPARE(plot.scale().lines(), 4);
    const QImage image = painted(plot, ratio);

    // Down a column that no vertical line and no text crosses.
    const QRectF area = plot.plotArea();
    const int x = int((area.left() + area.width() / 12) * ratio);
    const int thickness = qMax(1, int(ratio));
    QSet<QRgb> colors;
    QList<int> runs;
    bool inLine = false;
    for (int y = int((area.top() + 3) * ratio); y < int((area.bottom() - 3) * ratio); ++y) {
        const QRgb color = image.pixel(x, y);
        if (color == QColor(Qt::white).rgb()) {
            inLine = false;
            continue;
        }
        colors.insert(color);
        if (!inLine)
            runs.append(0);
        inLine = true;
        ++runs.last();
    }
    QCOMPARE(runs, QList<int>(3, thickness)); // the lines at the top and at 0 are not in between
    QCOMPARE(colors.size(), 1); // nothing is half covered
}

void tst_MonitorPlots::thresholdIsDashedAndCrisp_data()
{
    addRatios();
}

void tst_MonitorPlots::thresholdIsDashedAndCrisp()
{
    QFETCH(double, ratio);
    MessagePlot plot;
    plot.append(100, 10, TimePlot::SampleCount);
    const QImage before = painted(plot, ratio);
    plot.setThreshold(61, u"too many"_s);
    const QImage image = painted(plot, ratio);

    QSet<int> rows;
    QSet<int> columns;
    const int begin = int(plot.xOf(60) * ratio); // right of the text
    const int end = int(plot.xOf(1) * ratio);
    for (int y = 0; y < image.height(); ++y) {
        for (int x = begin; x < end; ++x) {
            if (image.pixel(x, y) == before.pixel(x, y))
                continue;
            rows.insert(y);
            if (image.pixelColor(x, y) == plot.thresholdColor())
                columns.insert(x);
        }
    }
    QCOMPARE(rows.size(), qMax(1, int(ratio)));
    for (const int row : std::as_const(rows))
        QVERIFY(qAbs(row / ratio - plot.yOf(61)) <= 1.5);
    const double share = double(columns.size()) / (end - begin);
    QVERIFY2(share > 0.4 && share < 0.8, qPrintable(QString::number(share)));

    plot.setThreshold(0, {});
    QVERIFY(painted(plot, ratio) == before);
}

void tst_MonitorPlots::thresholdIsAlwaysOnTheScale()
{
    MessagePlot plot;
    plot.setThreshold(50, u"limit"_s);
    QCOMPARE(plot.scale().top, 50.0);
    plot.append(1, 1);
    QCOMPARE(plot.scale().top, 50.0);
    plot.append(51, 1);
    QCOMPARE(plot.scale().top, 100.0);
    plot.setThreshold(qQNaN(), {});
    plot.clear();
    QCOMPARE(plot.scale().top, 1.0);
}

void tst_MonitorPlots::legendShowsTheNewestValues()
{
    MessagePlot plot;
    plot.resize(800, plot.height()); // room for any font
    plot.append(1000, 600, 2);
    const QImage before = painted(plot);
    const QRect header(0, 0, plot.width(), int(plot.plotArea().top()) - 8);

    // Samples of both lines, in the right half.
    int found[2] = { 0, 0 };
    for (int y = 0; y < header.height(); ++y) {
        for (int x = 0; x < header.width(); ++x) {
            for (int series = 0; series < 2; ++series) {
                if (isLike(before.pixelColor(x, y), plot.seriesColor(series))) {
                    QVERIFY(x > header.width() / 2);
                    ++found[series];
                }
            }
        }
    }
    QVERIFY(found[0] >= 15);
    QVERIFY(found[1] >= 8);

    // A new value changes the text, and moves nothing else.
    plot.append(1000, 789);
    const QImage after = painted(plot);
    QRect changed;
    for (int y = 0; y < header.height(); ++y) {
        for (int x = 0; x < header.width(); ++x) {
            if (before.pixel(x, y) != after.pixel(x, y))
                changed |= QRect(x, y, 1, 1);
        }
    }
    QVERIFY(!changed.isEmpty());
    QVERIFY(changed.left() > plot.width() * 3 / 4);
    QVERIFY(changed.right() <= plot.plotArea().right());
}

void tst_MonitorPlots::emptyPlotSaysSo()
{
    MessagePlot plot;
    // How much there is in the middle that is darker than the grid.
    const auto text = [&plot] {
        const QImage image = painted(plot);
        QRect rect(0, 0, 80, 20);
        rect.moveCenter(plot.plotArea().center().toPoint());
        int dark = 0;
        for (int y = rect.top(); y <= rect.bottom(); ++y) {
            for (int x = rect.left(); x <= rect.right(); ++x)
                dark += qGray(image.pixel(x, y)) < 150 ? 1 : 0;
        }
        return dark;
    };
    QVERIFY(text() > 30);
    plot.append(0, 0);
    QCOMPARE(text(), 0);
}

void tst_MonitorPlots::colorsContrast_data()
{
    QTest::addColumn<QPalette>("palette");
    QTest::newRow("light") << lightPalette();
    QTest::newRow("dark") << darkPalette();
}

void tst_MonitorPlots::colorsContrast()
{
    QFETCH(QPalette, palette);
    TimePlot plot(u"Many"_s, u"x/s"_s, { u"a"_s, u"b"_s, u"c"_s, u"d"_s });
    plot.setPalette(palette);
    const QColor base = palette.color(QPalette::Base);
    for (int series = 0; series < 4; ++series) {
        QVERIFY2(contrast(plot.seriesColor(series), base) >= 4,
                 qPrintable(u"series %1"_s.arg(series)));
        for (int other = 0; other < series; ++other)
            QVERIFY(plot.seriesColor(series) != plot.seriesColor(other));
    }
    QVERIFY(contrast(plot.thresholdColor(), base) >= 4.5); // it is the colour of a text, too
}

void tst_MonitorPlots::smallPlotsKeepTheirParts_data()
{
    QTest::addColumn<QSize>("size");
    QTest::addColumn<bool>("usable");
    QTest::newRow("hint") << QSize() << true;
    QTest::newRow("220x120") << QSize(220, 120) << true;
    QTest::newRow("400x120") << QSize(400, 120) << true;
    QTest::newRow("tiny") << QSize(60, 40) << false;
    QTest::newRow("one pixel") << QSize(1, 1) << false;
}

void tst_MonitorPlots::smallPlotsKeepTheirParts()
{
    QFETCH(QSize, size);
    QFETCH(bool, usable);
    MessagePlot plot;
    plot.resize(size.isValid() ? size : plot.minimumSizeHint());
    plot.append(123456, 7, TimePlot::SampleCount);
    plot.setThreshold(5000, u"limit"_s);
    plot.moveMouse(plot.rect().center());
    const QImage image = painted(plot);
    QVERIFY(QRectF(plot.rect()).contains(plot.plotArea()) || plot.plotArea().isEmpty());
    QVERIFY(image.pixelColor(0, 0) != QColor(Qt::magenta));
    const QSize least = plot.minimumSizeHint(); // more than 220x120 where the font is large
    if (!usable || plot.width() < least.width() || plot.height() < least.height())
        return;
    QVERIFY(plot.plotArea().width() >= 150);
    QVERIFY(plot.plotArea().height() >= 40);

    // The legend is beside the title or below it, not on it.
    MessagePlot wide;
    wide.resize(800, wide.height()); // beside it, whatever the font
    const bool isBelow = plot.plotArea().top() > wide.plotArea().top() + 8;
    QVERIFY(isBelow || plot.plotArea().top() == wide.plotArea().top());
    if (least == QSize(220, 120)) // an ordinary font
        QCOMPARE(isBelow, plot.width() < 300);
}

void tst_MonitorPlots::narrowPlotsLookAlike()
{
    TimePlot brief(u"A"_s, u"ms"_s, { u"b"_s });
    for (const int width : { 220, 260, 300, 320, 500, 700 }) {
        // Whether or not there is room for the legend beside the title.
        const MessagePlot plot(QSize(width, 160));
        brief.resize(plot.size());
        QCOMPARE(brief.plotArea().top(), plot.plotArea().top());
    }
}

void tst_MonitorPlots::hoverTellsOneMoment()
{
    MessagePlot plot;
    for (int i = 0; i < 60; ++i)
        plot.append(i, 1000 * i);
    const double y = plot.plotArea().center().y();
    QCOMPARE(plot.hoverText(), QString());
    plot.moveMouse(QPointF(plot.xOf(21), y));
    QCOMPARE(plot.hoverText(), u"10.5 s ago\nin 38 msg/s\nout 38 k msg/s"_s);
    plot.moveMouse(QPointF(plot.xOf(0) - 0.1, y));
    QCOMPARE(plot.hoverText(), u"now\nin 59 msg/s\nout 59 k msg/s"_s);
    plot.append(70, 80); // time goes on below the mouse
    QCOMPARE(plot.hoverText(), u"now\nin 70 msg/s\nout 80 msg/s"_s);
    plot.setSampleInterval(250);
    plot.moveMouse(QPointF(plot.xOf(20), y));
    QCOMPARE(plot.hoverText().section(u'\n', 0, 0), u"5 s ago"_s);

    plot.moveMouse(QPointF(plot.xOf(80), y)); // older than anything
    QCOMPARE(plot.hoverText(), QString());
    plot.moveMouse(QPointF(plot.xOf(20), plot.plotArea().top() - 5));
    QCOMPARE(plot.hoverText(), QString());
    plot.moveMouse(QPointF(plot.xOf(20), y));
    QVERIFY(!plot.hoverText().isEmpty());
    QEvent leave(QEvent::Leave);
    QCoreApplication::sendEvent(&plot, &leave);
    QCOMPARE(plot.hoverText(), QString());
}

void tst_MonitorPlots::hoverIsPainted()
{
    MessagePlot plot;
    plot.append(10, 20, TimePlot::SampleCount);
    const QImage before = painted(plot);
    plot.moveMouse(QPointF(plot.xOf(70), plot.plotArea().center().y()));
    const QImage image = painted(plot);

    QRect changed;
    for (int y = 0; y < image.height(); ++y) {
        for (int x = 0; x < image.width(); ++x) {
            if (image.pixel(x, y) != before.pixel(x, y))
                changed |= QRect(x, y, 1, 1);
        }
    }
    // From the cursor, over the whole height, to the label at its right.
    QVERIFY(qAbs(changed.left() - plot.xOf(70)) <= 1);
    QVERIFY(changed.right() > plot.xOf(70) + 60);
    QVERIFY(changed.right() < plot.width() - 1);
    // The edges of the area are rounded and smoothed, each by up to a pixel.
    QVERIFY2(qAbs(changed.top() - plot.plotArea().top()) <= 2,
             qPrintable(QString::number(changed.top())));
    QVERIFY2(qAbs(changed.bottom() - plot.plotArea().bottom()) <= 2,
             qPrintable(QString::number(changed.bottom())));
}

void tst_MonitorPlots::latencySeesABlock()
{
    LatencyMeter meter;
    QElapsedTimer clock;
    clock.start();
    meter.start();
    QVERIFY(meter.isRunning());
    block(50 + LatencyMeter::Interval);
    runEventLoop();
    const double worst = meter.worst();
    const double taken = meter.takeWorst();
    const double possible = double(clock.nsecsElapsed()) / 1e6 - LatencyMeter::Interval;
    QVERIFY2(taken >= 50, qPrintable(QString::number(taken)));
    QVERIFY2(taken <= possible, qPrintable(u"%1 of %2"_s.arg(taken).arg(possible)));
    QVERIFY(worst >= 50 && worst <= taken);
}

void tst_MonitorPlots::latencySeesABlockThatIsNotOver()
{
    LatencyMeter meter;
    QElapsedTimer clock;
    clock.start();
    meter.start();
    block(50 + LatencyMeter::Interval);
    const double first = meter.takeWorst();
    QVERIFY2(first >= 50, qPrintable(QString::number(first)));
    block(60);
    // Much has been added to it since, so it is told again.
    const double second = meter.takeWorst();
    QVERIFY2(second >= first + 60, qPrintable(QString::number(second)));
    QVERIFY(second <= double(clock.nsecsElapsed()) / 1e6 - LatencyMeter::Interval);
    QVERIFY(meter.worst() >= second);
}

void tst_MonitorPlots::latencyTellsABlockOnce()
{
    // The machine may be busy with something else just now, but not always.
    double again = 0;
    for (int attempt = 0; attempt < 50; ++attempt) {
        LatencyMeter meter;
        meter.start();
        block(60 + LatencyMeter::Interval);
        QVERIFY(meter.takeWorst() >= 60);
        runEventLoop();
        again = meter.takeWorst();
        QVERIFY(meter.worst() >= 60);
        if (again < 40)
            return;
    }
    QFAIL(qPrintable(u"told again: %1"_s.arg(again)));
}

void tst_MonitorPlots::latencyIsSmallOtherwise()
{
    LatencyMeter meter;
    meter.start();
    block(100 + LatencyMeter::Interval);
    runEventLoop();
    QVERIFY(meter.takeWorst() >= 100);

    // The machine may be busy with something else just now, but not always.
    double taken = 0;
    for (int attempt = 0; attempt < 50; ++attempt) {
        runEventLoop();
        taken = meter.takeWorst();
        if (taken < 20)
            break;
    }
    QVERIFY2(taken < 20, qPrintable(QString::number(taken)));
    QVERIFY(meter.worst() >= 100);

    block(50 + LatencyMeter::Interval);
    runEventLoop();
    QVERIFY(meter.takeWorst() >= 50);
}

void tst_MonitorPlots::latencyStartsAnew()
{
    LatencyMeter meter;
    meter.start();
    block(200 + LatencyMeter::Interval);
    runEventLoop();
    QVERIFY(meter.worst() >= 200);

    QElapsedTimer clock;
    clock.start();
    meter.start();
    const double worst = meter.worst();
    const double taken = meter.takeWorst();
    const double possible = qMax(0.0, double(clock.nsecsElapsed()) / 1e6 - LatencyMeter::Interval);
    QVERIFY(worst <= possible);
    QVERIFY(taken <= possible);
}

void tst_MonitorPlots::latencyStops()
{
    LatencyMeter meter;
    QVERIFY(!meter.isRunning());
    QCOMPARE(meter.takeWorst(), 0.0);
    meter.start();
    block(50 + LatencyMeter::Interval);
    meter.stop();
    QVERIFY(!meter.isRunning());
    const double worst = meter.worst();
    QVERIFY(worst >= 50);
    block(LatencyMeter::Interval + 20);
    runEventLoop();
    QCOMPARE(meter.worst(), worst);
    QCOMPARE(meter.takeWorst(), worst);
    QCOMPARE(meter.takeWorst(), 0.0);
    QCOMPARE(meter.worst(), worst);
}

int main(int argc, char *argv[])
{
#ifdef Q_OS_UNIX // elsewhere there is always a screen, and without one no fonts
    // No screen is needed, and one with a scale factor of its own would be in the way.
    if (!qEnvironmentVariableIsSet("QT_QPA_PLATFORM"))
        qputenv("QT_QPA_PLATFORM", "offscreen");
#endif
    qunsetenv("QT_SCALE_FACTOR");
    QApplication app(argc, argv);
    QApplication::setStyle(u"Fusion"_s);
    tst_MonitorPlots test;
    return QTest::qExec(&test, argc, argv);
}

#include "tst_monitor_plots.moc"
