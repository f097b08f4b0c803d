// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef STOPSIGNAL_H
#define STOPSIGNAL_H

#include <QtCore/qobject.h>

/// Calls QCoreApplication::quit() when the program is asked to end: SIGINT or SIGTERM, or on
/// Windows Ctrl+C, Ctrl+Break, a closed console or the end of the session. To be made right after
/// the application object, before there are other threads.
class StopSignal
{
public:
    StopSignal();
    ~StopSignal();

private:
    Q_DISABLE_COPY_MOVE(StopSignal)
    [[maybe_unused]] int m_descriptor = -1; ///< Linux only
    QObject m_context;
};

#endif // STOPSIGNAL_H
