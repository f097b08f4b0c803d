// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_FAULTINJECTOR_H
#define QTNAMEDPIPES_TESTS_FAULTINJECTOR_H

#include <QtCore/qstringlist.h>

#include <vector>

/// System calls that fail as planned: the same on each system, above a table of its calls.
namespace Faults {

/// An answer that the system may give to a call.
struct Fault
{
    const char *name;
    int code; ///< of errno or GetLastError(); below 0: something else than an error
    bool isHarmful = false; ///< it may end a start, an attempt to connect or a connection
    bool leavesTraces = false; ///< stop() may leave behind what the next start() takes over
};

/// System calls of one kind, and what may become of each.
struct Kind
{
    const char *name;
    std::vector<Fault> faults;
    const char *neverBecause = nullptr; ///< why this system does not make such a call
};

/// Those of the engine of this system.
const std::vector<Kind> &kinds();
/// There is room to count them all.
bool fitsTheTables();
/// Puts calls that ask strike() in the place of the real ones. Once, before an engine runs.
void replaceCalls();
/// Windows: each pipe keeps the packets of what is done at once. Elsewhere nothing. While no engine
/// runs.
void keepAllPackets(bool on);
/// Handles of the engine (Windows) or file descriptors of the process (Linux).
int openHandles();
/// Leaves of a pipe what a crashed server would: on Windows nothing.
void litter(const QString &pipeName);
/// What there is of a pipe: its files (Linux), or itself.
QStringList tracesOf(const QString &pipeName);

/// Which calls fail.
struct Plan
{
    int kind = 0; ///< this one,
    int fault = 0; ///< with this answer,
    int nth = 0; ///< when it is made for the n-th time. 0: those that the seed chooses,
    quint32 seed = 0;
    int perMille = 0; ///< so many of a thousand, of each kind

    QString text() const;
};

/// Counts from 0, and strikes from now on. While no engine runs.
void arm(const Plan &plan);
/// Calls are neither counted nor struck meanwhile. At any time.
void pause(bool on);

/// Of the call that is made now: the fault that strikes it; null when none does. Any thread.
const Fault *strike(int kind);

// Since arm().
int callsMade();
int strikes();
int harmfulStrikes();
bool mayHaveLeftTraces();

// Since the program has begun.
int totalStrikes();
/// Faults that have not struck once, although there are such calls.
QStringList neverStruck();
/// How often each fault has struck, as a table.
QString summary();

} // namespace Faults

#endif // QTNAMEDPIPES_TESTS_FAULTINJECTOR_H
