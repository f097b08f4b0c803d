// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "faultinjector.h"

#include <algorithm>
#include <array>
#include <atomic>

namespace Faults {

static constexpr int MaximumKinds = 32;
static constexpr int MaximumFaults = 12; // of one kind
// Of the harmful faults that a seed chooses, one in so many strikes: connections have to come
// about before they can break.
static constexpr quint64 HarmfulShare = 8;

static Plan plan; // changes only while no engine runs
static std::atomic<bool> isPaused { true };
static std::array<std::atomic<int>, MaximumKinds> calls;
static std::array<std::array<std::atomic<int>, MaximumFaults>, MaximumKinds> total;
static std::atomic<int> struck { 0 };
static std::atomic<int> harmful { 0 };
static std::atomic<bool> isTraceLeft { false };

QString Plan::text() const
{
    if (nth == 0)
        return QStringLiteral("seed %1, %2 of 1000").arg(seed).arg(perMille);
    const Kind &what = kinds()[size_t(kind)];
    return QStringLiteral("%1 of %2 no. %3")
            .arg(QLatin1String(what.faults[size_t(fault)].name), QLatin1String(what.name))
            .arg(nth);
}

void arm(const Plan &newPlan)
{
    plan = newPlan;
    for (std::atomic<int> &count : calls)
        count = 0;
    struck = 0;
    harmful = 0;
    isTraceLeft = false;
    isPaused = false;
}

void pause(bool on)
{
    isPaused = on;
}

/// Well mixed bits that depend on the seed and on which call it is, not on what other threads do.
static quint64 chance(int kind, int nth)
{
    quint64 bits = (quint64(plan.seed) << 32 | quint64(kind) << 24) + quint64(nth);
    for (int i = 0; i < 2; ++i) {
        bits = (bits ^ (bits >> 31)) * 0x9E3779B97F4A7C15u;
        bits = (bits ^ (bits >> 29)) * 0xBF58476D1CE4E5B9u;
    }
    return bits ^ (bits >> 32);
}

const Fault *strike(int kind)
{
    if (isPaused)
        return nullptr;
    const int nth = ++calls[size_t(kind)];
    const std::vector<Fault> &faults = kinds()[size_t(kind)].faults;
    size_t chosen = size_t(plan.fault);
    if (plan.nth > 0) {
        if (kind != plan.kind || nth != plan.nth)
            return nullptr;
    } else {
        const quint64 bits = chance(kind, nth);
        chosen = size_t(bits / 1000 % faults.size());
        if (int(bits % 1000) >= plan.perMille
            || (faults[chosen].isHarmful && (bits >> 32) % HarmfulShare != 0))
            return nullptr;
    }
    ++struck;
    ++total[size_t(kind)][chosen];
    if (faults[chosen].isHarmful)
        ++harmful;
    if (faults[chosen].leavesTraces)
        isTraceLeft = true;
    return &faults[chosen];
}

int callsMade()
{
    int sum = 0;
    for (const std::atomic<int> &count : calls)
        sum += count;
    return sum;
}

int strikes()
{
    return struck;
}

int harmfulStrikes()
{
    return harmful;
}

bool mayHaveLeftTraces()
{
    return isTraceLeft;
}

int totalStrikes()
{
    int sum = 0;
    for (const auto &counts : total) {
        for (const std::atomic<int> &count : counts)
            sum += count;
    }
    return sum;
}

QStringList neverStruck()
{
    QStringList names;
    for (size_t kind = 0; kind < kinds().size(); ++kind) {
        const Kind &what = kinds()[kind];
        for (size_t fault = 0; !what.neverBecause && fault < what.faults.size(); ++fault) {
            if (total[kind][fault] == 0)
                names += QStringLiteral("%1: %2").arg(QLatin1String(what.name),
                                                      QLatin1String(what.faults[fault].name));
        }
    }
    return names;
}

bool fitsTheTables()
{
    return kinds().size() <= MaximumKinds
            && std::all_of(kinds().begin(), kinds().end(),
                           [](const Kind &kind) { return kind.faults.size() <= MaximumFaults; });
}

QString summary()
{
    QString table;
    for (size_t kind = 0; kind < kinds().size(); ++kind) {
        table += QStringLiteral("%1:").arg(QLatin1String(kinds()[kind].name), -30);
        const std::vector<Fault> &faults = kinds()[kind].faults;
        for (size_t fault = 0; fault < faults.size(); ++fault)
            table += QStringLiteral(" %1 %2")
                             .arg(QLatin1String(faults[fault].name))
                             .arg(total[kind][fault].load());
        if (kinds()[kind].neverBecause)
            table += QStringLiteral(" (%1)").arg(QLatin1String(kinds()[kind].neverBecause));
        table += QLatin1Char('\n');
    }
    return table;
}

} // namespace Faults
