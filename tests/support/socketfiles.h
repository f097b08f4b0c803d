// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_SOCKETFILES_H
#define QTNAMEDPIPES_TESTS_SOCKETFILES_H

#include <QtCore/qdir.h>

/// Linux: what there is of a pipe in the folder of the sockets, the lock file for instance.
inline QStringList socketFilesOf(const QString &pipeName)
{
    return QDir(QDir::tempPath())
            .entryList({ QLatin1Char('*') + pipeName + QLatin1Char('*') },
                       QDir::AllEntries | QDir::System | QDir::Hidden);
}

#endif // QTNAMEDPIPES_TESTS_SOCKETFILES_H
