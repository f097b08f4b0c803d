// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "payload.h"

#include <algorithm>
#include <cstring>

QByteArray payload(qsizetype size, quint32 seed)
{
    QByteArray bytes(size, Qt::Uninitialized);
    char *const data = bytes.data();
    quint64 state = 0x9E3779B97F4A7C15u ^ (quint64(seed) << 17) ^ quint64(size);
    for (qsizetype at = 0; at < size; at += qsizetype(sizeof(state))) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        std::memcpy(data + at, &state,
                    size_t(std::min<qsizetype>(qsizetype(sizeof(state)), size - at)));
    }
    return bytes;
}

QByteArray numbered(int number, int sender)
{
    return "m:" + QByteArray::number(sender) + ':' + QByteArray::number(number);
}

static int partOf(const QByteArray &message, int part)
{
    if (!message.startsWith("m:"))
        return -1;
    const qsizetype separator = message.indexOf(':', 2);
    bool ok = false;
    const int value =
            (part == 0 ? message.mid(2, separator - 2) : message.mid(separator + 1)).toInt(&ok);
    return separator > 0 && ok ? value : -1;
}

int numberOf(const QByteArray &message)
{
    return partOf(message, 1);
}

int senderOf(const QByteArray &message)
{
    return partOf(message, 0);
}
