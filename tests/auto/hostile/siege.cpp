// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "siege.h"

#include "payload.h"
#include "platformflags.h"
#include "processfacts.h"
#include "stress.h"

#include <QtCore/qdebug.h>
#include <QtCore/qthread.h>
#include <QtTest/qtest.h>

#include <algorithm>
#include <atomic>
#include <memory>

using namespace Qt::StringLiterals;
using Clock = std::chrono::steady_clock;

Siege::Siege(bool freeThreaded)
{
    ts.server.setFreeThreadingEvents(freeThreaded);
    ts.recorder.onMessage() = [](const NamedPipeServerConnectionPtr &connection, const QVariant &,
                                 const QByteArray &data) { connection->asyncWrite(data); };
}

void Siege::addModes()
{
    QTest::addColumn<bool>("freeThreaded");
    QTest::newRow("marshalled") << false;
    QTest::newRow("free-threaded") << true;
}

/// Round trips of the good clients in turns, a thousand and as long as goOn() says.
QByteArray Siege::talk(Durations *durations, const std::function<bool()> &goOn)
{
    const int enough = scaled(1000, 50);
    for (int trip = 0; trip < enough || goOn(); ++trip) {
        RawPeer &client = m_good.at(size_t(trip % goodClients));
        const QByteArray message = numbered(trip).leftJustified(goodSize, '.');
        const Clock::time_point begin = Clock::now();
        bool answered = client.sendMessage(message);
        while (answered) { // what comes before the answer is a broadcast
            const std::optional<QByteArray> answer = client.receiveMessage();
            answered = answer.has_value();
            if (answered && *answer == message)
                break;
        }
        if (!answered)
            return "a good client got no answer to message " + QByteArray::number(trip);
        durations->push_back(Clock::now() - begin);
    }
    return {};
}

bool Siege::begin()
{
    if (!ts.start())
        return false;
    for (int client = 0; client < goodClients; ++client)
        m_good.push_back(ts.connectPeer());
    auto talking = runClient([this] { return talk(&m_peace, [] { return false; }); });
    if (!waitForTask(talking))
        return false;
    m_fault = talking.get();
    return m_fault.isEmpty();
}

bool Siege::attack(const char *name, int attackers, int rounds, const Round &round)
{
    const qint64 residentBefore = ProcessFacts::residentBytes();
    const qint64 reservedBefore = ProcessFacts::reservedBytes();
    std::atomic<int> done { 0 };
    std::atomic<bool> over { false };
    QByteArray attackFault;
    // A thread of Qt's, so that a round may have child processes and clients of the library.
    const std::unique_ptr<QThread> attacking(QThread::create([&] {
        do {
            attackFault = round(done);
            if (!attackFault.isEmpty())
                break;
            ++done;
        } while (!over);
        over = true;
    }));
    attacking->start();
    auto talking = runClient([&] {
        const QByteArray fault = talk(&m_war, [&] { return done < rounds && !over; });
        over = true;
        return fault;
    });
    // The tasks end, since each call of a raw client has a deadline; without that nothing would.
    waitUntil([&] { return attacking->isFinished() && isFinished(talking); },
              std::chrono::hours(1));
    attacking->wait();
    m_fault = talking.get();
    if (!attackFault.isEmpty())
        m_fault = "round " + QByteArray::number(done) + ": " + attackFault;
    if (!PlatformFlags::runningUnderSanitizer()) {
        m_growth = ProcessFacts::residentBytes() - residentBefore;
        m_reserve = ProcessFacts::reservedBytes() - reservedBefore;
    }
    qInfo("hostile: %s | %s | %d | %s | %s | %.1f MiB | %lld ms", name,
          ts.server.freeThreadingEvents() ? "free-threaded" : "marshalled", attackers,
          text(m_peace).constData(), text(m_war).constData(), double(growth()) / 1024 / 1024,
          qlonglong(bound().count()));
    return m_fault.isEmpty();
}

bool Siege::servesANewcomer()
{
    auto newcomer = runClient([name = ts.name()] {
        RawPeer peer;
        return peer.connectTo(name) && peer.sendMessage("new here"_ba)
                && peer.receiveMessage() == "new here"_ba;
    });
    return waitForTask(newcomer) && newcomer.get();
}

bool Siege::isPrompt() const
{
    return !m_war.empty() && at(1, m_war) < bound() && at(0.99, m_war) < bound() / 5;
}

std::chrono::milliseconds Siege::bound()
{
    return std::chrono::milliseconds(PlatformFlags::timingIsMeaningful() ? 500 : 10'000);
}

Siege::Durations::value_type Siege::at(double part, Durations durations)
{
    const auto index = std::ptrdiff_t(part * double(durations.size() - 1));
    std::nth_element(durations.begin(), durations.begin() + index, durations.end());
    return durations[size_t(index)];
}

/// Median, 99th percentile and worst, in milliseconds.
QByteArray Siege::text(const Durations &durations)
{
    if (durations.empty())
        return "-";
    const auto number = [&durations](double part) {
        return QByteArray::number(double(at(part, durations).count()) / 1e6, 'f', 2);
    };
    return number(0.5) + " / " + number(0.99) + " / " + number(1) + " ms";
}
