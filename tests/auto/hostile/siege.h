// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_SIEGE_H
#define QTNAMEDPIPES_TESTS_SIEGE_H

#include "testserver.h"

#include <functional>
#include <vector>

/// A server that echoes, two good clients that talk with it without a pause, and what an attack
/// costs them: the time of a round trip with and without it, and the memory that it takes.
class Siege
{
public:
    /// One round of the attack, on a thread of its own. Says what went wrong; empty: nothing.
    using Round = std::function<QByteArray(int round)>;

    explicit Siege(bool freeThreaded);
    /// The rows of a test that is the same in both modes: a column "freeThreaded".
    static void addModes();

    /// Starts the server, lets the good clients in, and measures them in peace.
    bool begin();
    /// Measures them during the attack: for as many round trips as in peace, and \a rounds rounds at
    /// least. Prints one line, which begins with "hostile:". What the rounds refer to has to live on
    /// until the end of the test: the attackers are still there when this returns.
    bool attack(const char *name, int attackers, int rounds, const Round &round);
    /// Somebody new is served, and in time.
    bool servesANewcomer();

    /// No round trip took longer than bound(), and one in a hundred longer than a fifth of it.
    bool isPrompt() const;
    static std::chrono::milliseconds bound();
    /// What the process has grown by while it was attacked, and what it has asked for beyond that;
    /// 0 where a sanitizer takes memory, too.
    qint64 growth() const { return m_growth; }
    qint64 reserve() const { return m_reserve; }
    QByteArray fault() const { return m_fault; }

    static constexpr int goodClients = 2;
    static constexpr int goodSize = 64;

    TestServer ts { ServerRecorder::CountOnly };

private:
    using Durations = std::vector<std::chrono::nanoseconds>;

    QByteArray talk(Durations *durations, const std::function<bool()> &goOn);
    static Durations::value_type at(double part, Durations durations);
    static QByteArray text(const Durations &durations);

    std::vector<RawPeer> m_good;
    Durations m_peace;
    Durations m_war;
    qint64 m_growth = 0;
    qint64 m_reserve = 0;
    QByteArray m_fault;
};

#endif // QTNAMEDPIPES_TESTS_SIEGE_H
