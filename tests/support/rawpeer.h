// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_RAWPEER_H
#define QTNAMEDPIPES_TESTS_RAWPEER_H

#include <QtCore/qbytearray.h>
#include <QtCore/qstring.h>

#include <chrono>
#include <memory>
#include <optional>

/// A client made of plain system calls, without a line of the library; or the other end of one, see
/// RawServer. Every call is bounded by a deadline and works on any thread without an event loop; one
/// thread may send while another one receives.
class RawPeer
{
public:
    using Milliseconds = std::chrono::milliseconds;
    static constexpr Milliseconds defaultTimeout { 20000 };

    /// What one receiveRaw() returns: on Windows the read mode of the pipe handle.
    enum class ReadMode { Messages, Bytes };

    explicit RawPeer(ReadMode mode = ReadMode::Messages);
    ~RawPeer();
    RawPeer(RawPeer &&) noexcept;
    RawPeer &operator=(RawPeer &&) noexcept;

    /// Takes over one end of a connection that was made elsewhere: a socket, or a pipe instance that
    /// was opened for overlapped operations. It reads as \a mode says already.
    static RawPeer adopt(qintptr handle, ReadMode mode = ReadMode::Messages);

    /// Tries again while the server is there but busy (PIPE_BUSY, EAGAIN), until \a timeout.
    bool connectTo(const QString &name, Milliseconds timeout = defaultTimeout);
    bool isOpen() const;
    /// The native code of the last failure, for messages of tests.
    long lastError() const;

    /// Sends one message. False when the server is gone or time ran out; after a time-out the
    /// message is still on its way: finishSending() waits for the rest of it.
    bool sendMessage(const QByteArray &message, Milliseconds timeout = defaultTimeout);
    bool finishSending(Milliseconds timeout = defaultTimeout);
    bool isSending() const;
    /// Sends bytes as they are: on Linux without a frame, on Windows the same as sendMessage().
    bool sendRaw(const QByteArray &bytes, Milliseconds timeout = defaultTimeout);

    /// The next whole message; nothing when time ran out or the server closed.
    std::optional<QByteArray> receiveMessage(Milliseconds timeout = defaultTimeout);
    /// What one read of at most \a size bytes returned: knows no boundaries on Linux and in byte
    /// mode.
    std::optional<QByteArray> receiveRaw(int size, Milliseconds timeout = defaultTimeout);

    /// True when the server has closed and everything it sent was received; false when a message
    /// comes first (receiveMessage() returns it later) or time ran out.
    bool atEnd(Milliseconds timeout = defaultTimeout);

    void close();
    /// Cancels what is in flight, then closes.
    void abort();

private:
    struct Private;
    std::unique_ptr<Private> d;
};

/// Writes of this many bytes fill the buffers of any engine when the other side does not read.
inline constexpr int moreThanTheSystemBuffers = 8 * 1024 * 1024;

#endif // QTNAMEDPIPES_TESTS_RAWPEER_H
