// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_GLOBAL_H
#define QTNAMEDPIPES_GLOBAL_H

#include <QtCore/qglobal.h>

#if defined(QTNAMEDPIPES_STATIC)
#    define QTNAMEDPIPES_EXPORT
#elif defined(QTNAMEDPIPES_BUILDING)
#    define QTNAMEDPIPES_EXPORT Q_DECL_EXPORT
#else
#    define QTNAMEDPIPES_EXPORT Q_DECL_IMPORT
#endif

#endif // QTNAMEDPIPES_GLOBAL_H
