// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_BENCHMARK_LINKS_H
#define QTNAMEDPIPES_BENCHMARK_LINKS_H

#include "common/protocol.h"

#include <chrono>
#include <memory>
#include <string>

namespace bench {

using Clock = std::chrono::steady_clock;

/// The connections of the load generator to one server, over one kind of transport. One thread.
/// What goes wrong is thrown as std::runtime_error: a benchmark with an error has no result.
class Links
{
public:
    virtual ~Links() = default;

    /// Gets what has arrived.
    class Receiver
    {
    public:
        /// One whole message; \a data is valid during the call, which may send.
        virtual void received(int link, const char *data, std::size_t size) = 0;

    protected:
        ~Receiver() = default;
    };

    /// Connects one more client; tries again while the server is busy. Returns its number: 0, 1, 2,
    /// ...; that of a closed one may be given again.
    virtual int open() = 0;
    virtual void close(int link) = 0;

    /// Takes up to \a count messages from \a maker and sends them in order, many at once where the
    /// transport can: as many as it takes without waiting. Returns how many it took (what it has
    /// taken and not yet handed on is sent by later calls of poll()).
    virtual int send(int link, MessageMaker &maker, int count) = 0;

    /// Waits until something has arrived, or until a link that took less than \a count takes more,
    /// or until \a deadline; hands over what has arrived.
    virtual void poll(Receiver &receiver, Clock::time_point deadline) = 0;
};

/// For servers with the wire of QtNamedPipes, \a name as in ServerOptions: a stream socket with
/// 32-bit big-endian lengths on Linux.
std::unique_ptr<Links> makeStreamLinks(const std::string &name);
std::unique_ptr<Links> makeZeroMqLinks(const std::string &name);
std::unique_ptr<Links> makeNngLinks(const std::string &name);
/// On Windows: the named pipe `\\.\pipe\name`, one message for each write.
std::unique_ptr<Links> makePipeLinks(const std::string &name);
/// The same as a stream of bytes, with 32-bit big-endian lengths: what QLocalServer needs there.
std::unique_ptr<Links> makeByteLinks(const std::string &name);

} // namespace bench

#endif // QTNAMEDPIPES_BENCHMARK_LINKS_H
