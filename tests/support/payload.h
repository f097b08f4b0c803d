// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_PAYLOAD_H
#define QTNAMEDPIPES_TESTS_PAYLOAD_H

#include <QtCore/qbytearray.h>

/// \a size bytes that depend on \a seed and on their place: a lost, doubled or moved byte shows.
QByteArray payload(qsizetype size, quint32 seed = 1);

/// A short message that carries a number: compare numberOf().
QByteArray numbered(int number, int sender = 0);
/// The number in a message made by numbered(); -1 for any other message.
int numberOf(const QByteArray &message);
int senderOf(const QByteArray &message);

#endif // QTNAMEDPIPES_TESTS_PAYLOAD_H
