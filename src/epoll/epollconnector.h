// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_EPOLLCONNECTOR_H
#define QTNAMEDPIPES_EPOLLCONNECTOR_H

#include "core/pipetransport.h"

namespace QtNamedPipes {

class EpollEngine;

/// One attempt to connect to the socket of a server; returns at once.
DialResult connectSocket(const std::shared_ptr<EpollEngine> &engine, const DialTarget &target);

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_EPOLLCONNECTOR_H
