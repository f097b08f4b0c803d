// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef PROCESSINFO_H
#define PROCESSINFO_H

#include <QtCore/qstring.h>

/// The name of the program that process \a pid runs; empty when it has ended or may not be asked.
QString processName(qint64 pid);

/// The name of the user whom the library calls \a userId (a uid or a SID); \a userId itself when
/// there is no name. On Windows this can ask a domain controller: keep the answer.
QString userName(const QString &userId);

#endif // PROCESSINFO_H
