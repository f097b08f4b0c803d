# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT

"""A blocking client for QtNamedPipes servers. Python 3.9 or newer, the standard library only.

    with namedpipe.connect("echo") as pipe:
        pipe.send(b"hello")
        print(pipe.receive())

One thread may send while another one receives.
"""

import errno
import os
import random
import select
import socket
import struct
import sys
import time

HEADER = struct.Struct(">I")
NULL_ARRAY = 0xFFFFFFFF  # what QDataStream writes for a null QByteArray: an empty message
LARGEST_MESSAGE = NULL_ARRAY - 1
READ_SIZE = 256 * 1024


class PipeError(Exception):
    """Something went wrong; the text says what."""


class NoServer(PipeError):
    """No server has this name."""


class ServerBusy(PipeError):
    """There is a server, but it let nobody in before the time was over."""


class TimeOver(PipeError):
    """A message was not sent or received in time."""


class TruncatedMessage(PipeError):
    """The server closed in the middle of a message."""


class MessageTooLarge(PipeError):
    """A message is larger than is allowed."""


class Deadline:
    """A moment until which things are tried; None: there is none."""

    def __init__(self, seconds):
        self._end = None if seconds is None else time.monotonic() + seconds

    def seconds_left(self):
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def milliseconds_left(self):
        left = self.seconds_left()
        return None if left is None else int(left * 1000 + 0.999)

    def is_over(self):
        return self._end is not None and time.monotonic() >= self._end


def check_name(name):
    if not name:
        raise PipeError("the pipe name is empty")
    if "/" in name or "\\" in name or "\0" in name:
        raise PipeError("a pipe name cannot contain / or \\: pass the last part only")


def connect(name, timeout=5.0, wait_for_server=False, largest_message=LARGEST_MESSAGE):
    """Connects to the pipe `name` and returns a connection.

    A server that is busy is tried again for `timeout` seconds (None: for ever). A name without a
    server fails at once, unless `wait_for_server` is true. A message from the server that is larger
    than `largest_message` fails in receive().
    """
    check_name(name)
    deadline = Deadline(timeout)
    if sys.platform == "win32":
        from namedpipe_windows import WindowsConnection as Connection
    else:
        Connection = SocketConnection
    pause = 0.002
    while True:
        try:
            return Connection(name, largest_message)
        except (NoServer, ServerBusy) as error:
            if isinstance(error, NoServer) and not wait_for_server:
                raise
            if deadline.is_over():
                raise
        # A little longer each time, and never in step with other clients.
        left = deadline.seconds_left()
        wait = pause * random.uniform(0.5, 1.0)
        time.sleep(wait if left is None else min(wait, left))
        pause = min(pause * 2, 0.05)


class SocketConnection:
    """A connection over an AF_UNIX socket. Made by connect()."""

    def __init__(self, name, largest_message):
        path = os.path.join(os.environ.get("TMPDIR") or "/tmp", name)
        if len(os.fsencode(path)) > 107:
            raise PipeError("the pipe name is too long: " + path)
        self._largest = largest_message
        self._received = bytearray()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            if error.errno == errno.EAGAIN:  # the backlog of the server is full
                raise ServerBusy("the server is busy: " + path) from error
            if error.errno in (errno.ENOENT, errno.ECONNREFUSED):
                raise NoServer("no server runs at " + path) from error
            raise PipeError(f"cannot connect to {path}: {error.strerror}") from error

    def send(self, message, timeout=None):
        """Sends one message, bytes or alike. After an error the connection is of no use any more."""
        deadline = Deadline(timeout)
        message = memoryview(message).cast("B")
        if len(message) > LARGEST_MESSAGE:
            raise MessageTooLarge(f"a message cannot have {len(message)} bytes")
        header = HEADER.pack(len(message))
        if len(message) <= READ_SIZE:
            self._send_all(header + bytes(message), deadline)
        else:
            self._send_all(header, deadline)
            self._send_all(message, deadline)

    def receive(self, timeout=None):
        """Returns the next message as bytes, or None when the server has closed.

        After TimeOver it may be called again: nothing is lost.
        """
        deadline = Deadline(timeout)
        while True:
            message = self._take_message()
            if message is not None:
                return message
            data = self._receive_some(deadline)
            if not data:
                if self._received:
                    raise TruncatedMessage("the server closed in the middle of a message")
                return None
            self._received += data

    def close(self):
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def _take_message(self):
        """The first message in what has arrived. Memory grows with that, never with what a header announces."""
        if len(self._received) < HEADER.size:
            return None
        (length,) = HEADER.unpack_from(self._received)
        if length == NULL_ARRAY:
            length = 0
        if length > self._largest:
            raise MessageTooLarge(f"the server announces {length} bytes, {self._largest} are allowed")
        end = HEADER.size + length
        if len(self._received) < end:
            return None
        with memoryview(self._received) as view:
            message = bytes(view[HEADER.size : end])
        del self._received[:end]
        return message

    def _send_all(self, data, deadline):
        data = memoryview(data)
        while data:
            try:
                data = data[self._socket.send(data) :]
            except BlockingIOError:
                self._wait(select.POLLOUT, deadline)
            except OSError as error:
                raise PipeError(f"the server has gone: {error.strerror}") from error

    def _receive_some(self, deadline):
        while True:
            try:
                return self._socket.recv(READ_SIZE)
            except BlockingIOError:
                self._wait(select.POLLIN, deadline)
            except ConnectionResetError:  # it closed without having read everything
                return b""
            except OSError as error:
                raise PipeError(f"cannot read: {error.strerror}") from error

    def _wait(self, event, deadline):
        poll = select.poll()
        poll.register(self._socket, event)
        if not poll.poll(deadline.milliseconds_left()):
            raise TimeOver("the server did not answer in time")
