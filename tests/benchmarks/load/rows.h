// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_BENCHMARK_ROWS_H
#define QTNAMEDPIPES_BENCHMARK_ROWS_H

#include "load/links.h"

#include <cstddef>
#include <string>

namespace bench {

/// What is measured: see runRow() for the rows.
struct RowOptions
{
    std::string row;
    int clients = 1;
    std::size_t size = 64; ///< of each message
    int window = 1; ///< echo: how many messages of each client are on their way
    double seconds = 2;
    std::uint64_t most = 0; ///< oneway: messages that are sent at most, in less time then; 0: any
    int idle = 0; ///< idle: how many connections do nothing
};

/// Measures one row of the table; returns a line of JSON. A fault is thrown as std::runtime_error.
///
/// oneway     All clients send as fast as they can. The clock stops when all is handled.
/// flood      The same for servers that cannot keep up: counts what they have handled in the time.
/// echo       All that is sent comes back.
/// broadcast  The server sends to all clients.
/// churn      Connect, one echo, close; one connection after the other.
/// idle       Echo of one client beside many that do nothing, and what those cost.
std::string runRow(Links &links, const RowOptions &options);

} // namespace bench

#endif // QTNAMEDPIPES_BENCHMARK_ROWS_H
