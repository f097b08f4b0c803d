// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_IOCPCONNECTOR_H
#define QTNAMEDPIPES_IOCPCONNECTOR_H

#include "core/pipetransport.h"

namespace QtNamedPipes {

class IocpEngine;

/// One attempt to connect to the pipe of a server; returns at once.
DialResult connectPipe(const std::shared_ptr<IocpEngine> &engine, const DialTarget &target);

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_IOCPCONNECTOR_H
