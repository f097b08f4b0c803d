# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT

# Toolchain: Windows x86-64 from a Debian or Ubuntu host, MinGW-w64 with POSIX threads (std::mutex and friends need them).
#
#   QTNAMEDPIPES_WINDOWS_QT  (-D, or in the environment) the Qt for Windows to build against; made by
#                            cmake/build-qt.sh. Not needed to build Qt itself.

set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)

set(CMAKE_C_COMPILER x86_64-w64-mingw32-gcc-posix)
set(CMAKE_CXX_COMPILER x86_64-w64-mingw32-g++-posix)
set(CMAKE_RC_COMPILER x86_64-w64-mingw32-windres)

# A build tree keeps the path: a later re-configure may run without the environment.
if(NOT QTNAMEDPIPES_WINDOWS_QT AND DEFINED ENV{QTNAMEDPIPES_WINDOWS_QT})
    set(QTNAMEDPIPES_WINDOWS_QT "$ENV{QTNAMEDPIPES_WINDOWS_QT}" CACHE PATH "Qt for Windows")
endif()
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES QTNAMEDPIPES_WINDOWS_QT)

# Headers, libraries and packages of the target only; programs of the host only.
list(APPEND CMAKE_FIND_ROOT_PATH /usr/x86_64-w64-mingw32 ${QTNAMEDPIPES_WINDOWS_QT})
list(REMOVE_DUPLICATES CMAKE_FIND_ROOT_PATH)
list(APPEND CMAKE_PREFIX_PATH ${QTNAMEDPIPES_WINDOWS_QT})
list(REMOVE_DUPLICATES CMAKE_PREFIX_PATH)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# moc and the other Qt tools are programs of the host. Debian keeps their packages below the host's architecture.
if(NOT QT_HOST_PATH)
    set(QT_HOST_PATH /usr)
endif()
if(NOT QT_HOST_PATH_CMAKE_DIR)
    file(GLOB qtnamedpipes_host_info "${QT_HOST_PATH}/lib/*/cmake/Qt6HostInfo" "${QT_HOST_PATH}/lib/cmake/Qt6HostInfo")
    if(qtnamedpipes_host_info)
        list(GET qtnamedpipes_host_info 0 qtnamedpipes_host_info)
        get_filename_component(QT_HOST_PATH_CMAKE_DIR "${qtnamedpipes_host_info}" DIRECTORY)
    endif()
    unset(qtnamedpipes_host_info)
endif()
