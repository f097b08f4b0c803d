// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "processinfo.h"

#include <QtCore/qfile.h>
#include <QtCore/qfileinfo.h>

#include <cerrno>
#include <vector>

#include <pwd.h>
#include <sys/types.h>

using namespace Qt::StringLiterals;

QString processName(qint64 pid)
{
    if (pid <= 0)
        return {};
    const QString directory = u"/proc/"_s + QString::number(pid);
    QFile file(directory + u"/comm"_s);
    if (!file.open(QIODevice::ReadOnly))
        return {};
    const QString name = QString::fromLocal8Bit(file.readAll()).simplified();
    static constexpr qsizetype Kept = 15; // longer names are cut by the kernel
    if (name.size() < Kept)
        return name;
    // The link can be read for processes of the same user only.
    QString program = QFileInfo(QFile::symLinkTarget(directory + u"/exe"_s)).fileName();
    static const QString deleted = u" (deleted)"_s;
    if (program.endsWith(deleted))
        program.chop(deleted.size());
    return program.startsWith(name) ? program : name;
}

QString userName(const QString &userId)
{
    bool isNumber = false;
    const uint uid = userId.toUInt(&isNumber);
    if (!isNumber)
        return userId;
    passwd entry = {};
    passwd *found = nullptr;
    std::vector<char> buffer(1024);
    while (::getpwuid_r(uid_t(uid), &entry, buffer.data(), buffer.size(), &found) == ERANGE
           && buffer.size() < 1024 * 1024)
        buffer.resize(2 * buffer.size());
    return found ? QString::fromLocal8Bit(found->pw_name) : userId;
}
