// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "faultinjector.h"
#include "faultscenario.h"
#include "skipping.h"
#include "stress.h"

#include <QtCore/qelapsedtimer.h>
#include <QtCore/qloggingcategory.h>
#include <QtTest/QtTest>

Q_DECLARE_METATYPE(Mode)

/// The library as a whole, servers and clients, when system calls fail: each in turn with each
/// answer that it may give, and several at random.
class tst_FaultSweeps : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void cleanupTestCase();
    void eachCallFailsOnce_data();
    void eachCallFailsOnce();
    void callsFailAtRandom_data();
    void callsFailAtRandom();
    void everyFaultHasStruck();

private:
    int m_runs = 0;
    int m_rows = 0; ///< of the two sweeps, that have run
};

static const struct
{
    const char *name;
    Mode mode;
} modes[] = {
    { "marshalled, 1 worker", { false, 1, false, true } },
    { "marshalled, 2 workers, asking to read", { false, 2, true, false } },
    { "free-threaded, 1 worker", { true, 1, false, false } },
    { "free-threaded, 2 workers", { true, 2, false, true } },
};
// A full run injects so many faults at least; the seeds go on until it has.
static constexpr int FullCount = 10'000;
static constexpr int FirstSeed = 20'000;

void tst_FaultSweeps::initTestCase()
{
    // What is said about faults would be thousands of lines.
    QLoggingCategory::setFilterRules(QStringLiteral("qtnamedpipes.*=false"));
    QVERIFY(Faults::fitsTheTables());
    Faults::replaceCalls();
    for (const auto &each : modes) { // what is opened once for the process; and no fault, no harm
        for (int i = 0; i < 2; ++i) {
            const QString wrong = runScenario(each.mode, { 0, 0, 1 << 30, 0, 0 });
            QVERIFY2(i == 0 || wrong.isEmpty(), qPrintable(wrong));
            QCOMPARE(Faults::strikes(), 0);
        }
        qInfo("%s: %d calls", each.name, Faults::callsMade());
    }
}

void tst_FaultSweeps::cleanupTestCase()
{
    qInfo("%d faults in %d runs\n%s", Faults::totalStrikes(), m_runs,
          qPrintable(Faults::summary()));
}

void tst_FaultSweeps::eachCallFailsOnce_data()
{
    QTest::addColumn<Mode>("mode");
    QTest::addColumn<int>("kind");
    for (const auto &each : modes) {
        for (size_t kind = 0; kind < Faults::kinds().size(); ++kind)
            QTest::addRow("%s: %s", each.name, Faults::kinds()[kind].name)
                    << each.mode << int(kind);
    }
}

void tst_FaultSweeps::eachCallFailsOnce()
{
    QFETCH(Mode, mode);
    QFETCH(int, kind);
    const int step = qMax(1, 100 / stressPercent());
    const int faults = int(Faults::kinds()[size_t(kind)].faults.size());
    for (int fault = 0; fault < faults; ++fault) {
        // The first ones always: there are calls that are made a few times only.
        for (int nth = 1;; nth += nth < 4 ? 1 : step) {
            const QString wrong = runScenario(mode, { kind, fault, nth, 0, 0 });
            ++m_runs;
            QVERIFY2(wrong.isEmpty(), qPrintable(wrong));
            if (Faults::strikes() == 0)
                break; // there is no such call any more
        }
    }
    ++m_rows;
}

void tst_FaultSweeps::callsFailAtRandom_data()
{
    QTest::addColumn<Mode>("mode");
    for (const auto &each : modes)
        QTest::newRow(each.name) << each.mode;
}

void tst_FaultSweeps::callsFailAtRandom()
{
    QFETCH(Mode, mode);
    static int row = 0;
    static const int bySweeps = Faults::totalStrikes();
    ++row;
    // Each row has its share of what is missing.
    const int wanted = bySweeps + (scaled(FullCount) - bySweeps) * row / int(std::size(modes));
    const int least = scaled(20);
    quint32 seed = quint32(row * FirstSeed);
    for (int runs = 0; runs < least || Faults::totalStrikes() < wanted; ++runs, ++seed) {
        const int perMille = runs % 3 == 0 ? 10 : runs % 3 == 1 ? 30 : 100;
        const QString wrong = runScenario(mode, { 0, 0, 0, seed, perMille });
        ++m_runs;
        QVERIFY2(wrong.isEmpty(), qPrintable(wrong));
        QVERIFY2(runs < 10 * FullCount, "no fault strikes");
    }
    QVERIFY(Faults::totalStrikes() >= wanted);
    ++m_rows;
}

void tst_FaultSweeps::everyFaultHasStruck()
{
    if (m_rows < int(std::size(modes) * (Faults::kinds().size() + 1)))
        SKIP_BECAUSE("not everything above has run");
    const QStringList never = Faults::neverStruck();
    QVERIFY2(never.isEmpty(), qPrintable(never.join(QLatin1String("; "))));
}

QTEST_GUILESS_MAIN(tst_FaultSweeps)
#include "tst_fault_sweeps.moc"
