// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_GLOBAL_H
#define QTNAMEDPIPES_GLOBAL_H

#include <QtCore/qglobal.h>

// The version of these headers, as in CMakeLists.txt.
#define QTNAMEDPIPES_VERSION_MAJOR 1
#define QTNAMEDPIPES_VERSION_MINOR 0
#define QTNAMEDPIPES_VERSION_PATCH 0
#define QTNAMEDPIPES_VERSION_STR "1.0.0"

// #if QTNAMEDPIPES_VERSION >= QTNAMEDPIPES_VERSION_CHECK(1, 1, 0)
#define QTNAMEDPIPES_VERSION_CHECK(major, minor, patch) (((major) << 16) | ((minor) << 8) | (patch))
#define QTNAMEDPIPES_VERSION \
    QTNAMEDPIPES_VERSION_CHECK(QTNAMEDPIPES_VERSION_MAJOR, QTNAMEDPIPES_VERSION_MINOR, \
                               QTNAMEDPIPES_VERSION_PATCH)

#if defined(QTNAMEDPIPES_STATIC)
#    define QTNAMEDPIPES_EXPORT
#elif defined(QTNAMEDPIPES_BUILDING)
#    define QTNAMEDPIPES_EXPORT Q_DECL_EXPORT
#else
#    define QTNAMEDPIPES_EXPORT Q_DECL_IMPORT
#endif

#endif // QTNAMEDPIPES_GLOBAL_H
