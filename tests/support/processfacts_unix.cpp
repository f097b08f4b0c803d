// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "processfacts.h"

#include <QtCore/qdir.h>
#include <QtCore/qfile.h>

#include <csignal>
#include <cstdlib>

#include <sys/resource.h>
#include <unistd.h>

namespace ProcessFacts {

static int entriesOf(const QString &folder)
{
    return int(
            QDir(folder).entryList(QDir::AllEntries | QDir::System | QDir::NoDotAndDotDot).size());
}

int openHandles()
{
    return entriesOf(QStringLiteral("/proc/self/fd")) - 1; // the one that reads the folder
}

bool allowHandles(int count)
{
    rlimit limit = {};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return false;
    if (limit.rlim_cur >= rlim_t(count))
        return true;
    limit.rlim_cur = rlim_t(count);
    return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

int threads()
{
    return entriesOf(QStringLiteral("/proc/self/task"));
}

static qint64 fieldOfStatm(int number)
{
    QFile statm(QStringLiteral("/proc/self/statm"));
    if (!statm.open(QIODevice::ReadOnly))
        return -1;
    const QList<QByteArray> pages = statm.readAll().split(' ');
    return pages.size() > number ? pages.at(number).toLongLong() * ::sysconf(_SC_PAGESIZE) : -1;
}

qint64 residentBytes()
{
    return fieldOfStatm(1);
}

qint64 reservedBytes()
{
    return fieldOfStatm(0);
}

QString userId()
{
    return QString::number(::getuid());
}

bool hasWineVersion()
{
    return false;
}

void dieNow()
{
    ::kill(::getpid(), SIGKILL);
    for (;;) // the signal is on its way
        ::pause();
}

} // namespace ProcessFacts
