// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TEXT_H
#define QTNAMEDPIPES_TEXT_H

#include <QtCore/qcoreapplication.h>

namespace QtNamedPipes {

/// tr() for what is no QObject: the texts that users see.
class Text
{
    Q_DECLARE_TR_FUNCTIONS(NamedPipe)
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_TEXT_H
