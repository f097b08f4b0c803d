# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT

"""The Windows half of namedpipe.py: named pipes in message mode, by ctypes.

The handle is opened for overlapped operations: with a plain one a read that waits would hold up
every write, and nothing could have a time limit.
"""

import ctypes
from ctypes import wintypes

from namedpipe import Deadline, MessageTooLarge, NoServer, PipeError, ServerBusy, TimeOver

# What a server grants. Not GENERIC_WRITE, which asks for FILE_CREATE_PIPE_INSTANCE, too: only the
# server's own user has that.
CLIENT_RIGHTS = 0x0012019B
OPEN_EXISTING = 3
FILE_FLAG_OVERLAPPED = 0x40000000
SECURITY_SQOS_PRESENT = 0x00100000
SECURITY_IDENTIFICATION = 0x00010000  # the server may learn who we are, and cannot act as us
PIPE_READMODE_MESSAGE = 2

ERROR_FILE_NOT_FOUND = 2
ERROR_BROKEN_PIPE = 109
ERROR_PIPE_BUSY = 231
ERROR_PIPE_NOT_CONNECTED = 233
ERROR_MORE_DATA = 234
ERROR_OPERATION_ABORTED = 995
ERROR_IO_PENDING = 997

INVALID_HANDLE = ctypes.c_void_p(-1).value
INFINITE = 0xFFFFFFFF
LARGEST_WRITE = 0x7FFFFFFF
READ_SIZE = 128 * 1024


class OVERLAPPED(ctypes.Structure):
    _fields_ = [
        ("Internal", ctypes.c_size_t),
        ("InternalHigh", ctypes.c_size_t),
        ("Offset", wintypes.DWORD),
        ("OffsetHigh", wintypes.DWORD),
        ("hEvent", wintypes.HANDLE),
    ]


kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)


def declare(name, result, *arguments):
    function = getattr(kernel32, name)
    function.restype = result
    function.argtypes = arguments
    return function


CreateFile = declare(
    "CreateFileW",
    wintypes.HANDLE,
    wintypes.LPCWSTR,
    wintypes.DWORD,
    wintypes.DWORD,
    ctypes.c_void_p,
    wintypes.DWORD,
    wintypes.DWORD,
    wintypes.HANDLE,
)
SetNamedPipeHandleState = declare(
    "SetNamedPipeHandleState",
    wintypes.BOOL,
    wintypes.HANDLE,
    ctypes.POINTER(wintypes.DWORD),
    ctypes.c_void_p,
    ctypes.c_void_p,
)
CreateEvent = declare(
    "CreateEventW", wintypes.HANDLE, ctypes.c_void_p, wintypes.BOOL, wintypes.BOOL, wintypes.LPCWSTR
)
ReadFile = declare(
    "ReadFile",
    wintypes.BOOL,
    wintypes.HANDLE,
    ctypes.c_void_p,
    wintypes.DWORD,
    ctypes.c_void_p,
    ctypes.POINTER(OVERLAPPED),
)
WriteFile = declare(
    "WriteFile",
    wintypes.BOOL,
    wintypes.HANDLE,
    ctypes.c_void_p,
    wintypes.DWORD,
    ctypes.c_void_p,
    ctypes.POINTER(OVERLAPPED),
)
GetOverlappedResult = declare(
    "GetOverlappedResult",
    wintypes.BOOL,
    wintypes.HANDLE,
    ctypes.POINTER(OVERLAPPED),
    ctypes.POINTER(wintypes.DWORD),
    wintypes.BOOL,
)
WaitForSingleObject = declare("WaitForSingleObject", wintypes.DWORD, wintypes.HANDLE, wintypes.DWORD)
CancelIoEx = declare("CancelIoEx", wintypes.BOOL, wintypes.HANDLE, ctypes.POINTER(OVERLAPPED))
CloseHandle = declare("CloseHandle", wintypes.BOOL, wintypes.HANDLE)


class Operation:
    """One direction of a pipe: one overlapped call at a time."""

    def __init__(self):
        self._overlapped = OVERLAPPED()
        self._overlapped.hEvent = CreateEvent(None, True, False, None)
        if not self._overlapped.hEvent:
            raise PipeError("CreateEvent: " + error_text(ctypes.get_last_error()))

    def run(self, function, handle, buffer, size, deadline):
        """Returns the error code, 0 for success, and the number of bytes."""
        reference = ctypes.byref(self._overlapped)
        if not function(handle, buffer, size, None, reference):
            code = ctypes.get_last_error()
            if code not in (ERROR_IO_PENDING, ERROR_MORE_DATA):
                return code, 0
        left = deadline.milliseconds_left()
        if WaitForSingleObject(self._overlapped.hEvent, INFINITE if left is None else left) != 0:
            CancelIoEx(handle, reference)  # it may have ended meanwhile; the result says so
        done = wintypes.DWORD()
        if GetOverlappedResult(handle, reference, ctypes.byref(done), True):
            return 0, done.value
        return ctypes.get_last_error(), done.value

    def close(self):
        if self._overlapped.hEvent:
            CloseHandle(self._overlapped.hEvent)
            self._overlapped.hEvent = None


def error_text(code):
    return f"{ctypes.FormatError(code).strip()} ({code})"


class WindowsConnection:
    """A connection over a named pipe. Made by namedpipe.connect()."""

    def __init__(self, name, largest_message):
        path = "\\\\.\\pipe\\" + name
        self._largest = largest_message
        self._received = bytearray()  # of a message whose rest is still to come
        self._handle = CreateFile(
            path,
            CLIENT_RIGHTS,
            0,
            None,
            OPEN_EXISTING,
            FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION,
            None,
        )
        if self._handle == INVALID_HANDLE:
            code = ctypes.get_last_error()
            self._handle = None
            if code == ERROR_PIPE_BUSY:
                raise ServerBusy("the server is busy: " + path)
            if code == ERROR_FILE_NOT_FOUND:
                raise NoServer("no server runs at " + path)
            raise PipeError(f"cannot connect to {path}: {error_text(code)}")
        self._reading = Operation()
        self._writing = Operation()
        self._buffer = ctypes.create_string_buffer(READ_SIZE)
        # A client begins in byte mode, which would run messages together.
        mode = wintypes.DWORD(PIPE_READMODE_MESSAGE)
        if not SetNamedPipeHandleState(self._handle, ctypes.byref(mode), None, None):
            code = ctypes.get_last_error()
            self.close()
            raise PipeError("this is not a pipe in message mode: " + error_text(code))

    def send(self, message, timeout=None):
        """Sends one message, bytes or alike. After an error the connection is of no use any more."""
        message = bytes(message)
        if len(message) > LARGEST_WRITE:
            raise MessageTooLarge(f"a message cannot have {len(message)} bytes")
        code, done = self._writing.run(WriteFile, self._handle, message, len(message), Deadline(timeout))
        if code == ERROR_OPERATION_ABORTED:
            raise TimeOver("the server did not read in time")
        if code != 0 or done != len(message):
            raise PipeError("the server has gone: " + error_text(code))

    def receive(self, timeout=None):
        """Returns the next message as bytes, or None when the server has closed.

        After TimeOver it may be called again: nothing is lost.
        """
        deadline = Deadline(timeout)
        while True:
            code, done = self._reading.run(ReadFile, self._handle, self._buffer, READ_SIZE, deadline)
            if code in (0, ERROR_MORE_DATA):
                self._received += ctypes.string_at(self._buffer, done)
                if len(self._received) > self._largest:
                    raise MessageTooLarge(f"the server sends more than {self._largest} bytes")
                if code == 0:
                    message = bytes(self._received)
                    self._received.clear()
                    return message
            elif code in (ERROR_BROKEN_PIPE, ERROR_PIPE_NOT_CONNECTED):
                return None
            elif code == ERROR_OPERATION_ABORTED:
                raise TimeOver("the server did not answer in time")
            else:
                raise PipeError("cannot read: " + error_text(code))

    def close(self):
        if self._handle is not None:
            CloseHandle(self._handle)
            self._handle = None
            self._reading.close()
            self._writing.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()
