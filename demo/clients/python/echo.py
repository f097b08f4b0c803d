#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT

"""Sends messages to an echo server and checks its answers; see ../README.md."""

import argparse
import collections
import os
import random
import sys
import time

import namedpipe

# So much may be sent and not yet answered: many small messages, or one large one.
WINDOW = 1024 * 1024


class WrongAnswer(Exception):
    pass


def parse_arguments():
    parser = argparse.ArgumentParser(
        description="Sends messages to an echo server and checks its answers. "
        "The exit code is 0 if all were right, else 1."
    )
    parser.add_argument("--pipe", default="echo", metavar="NAME", help="name of the pipe (default: echo)")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="send so many messages (default: 1)")
    parser.add_argument("--size", type=int, default=256, metavar="BYTES", help="of so many bytes (default: 256)")
    parser.add_argument("--listen", type=int, metavar="N", help="send nothing; wait for N messages and print them")
    parser.add_argument(
        "--timeout",
        type=float,
        default=5.0,
        metavar="SECONDS",
        help="for connecting, and for each answer (default: 5)",
    )
    parser.add_argument("--wait", action="store_true", help="wait for a server that does not run yet")
    parser.add_argument("message", nargs="*", help="text to send instead of --size bytes, each --count times")
    return parser.parse_args()


def messages_to_send(arguments):
    for number in range(arguments.count):
        if arguments.message:
            for text in arguments.message:
                yield os.fsencode(text)
        else:
            yield random.Random(number).randbytes(arguments.size)


def check_answer(pipe, expected, number, timeout):
    answer = pipe.receive(timeout)
    if answer is None:
        raise WrongAnswer(f"the server closed before answer {number}")
    if answer != expected:
        raise WrongAnswer(f"answer {number} is wrong: {len(answer)} bytes, {len(expected)} were sent")


def echo(pipe, arguments):
    unanswered = collections.deque()
    pending = sent = answered = size = 0

    def take_answer():
        nonlocal pending, answered
        expected = unanswered.popleft()
        answered += 1
        check_answer(pipe, expected, answered, arguments.timeout)
        pending -= len(expected)

    began = time.monotonic()
    for message in messages_to_send(arguments):
        while unanswered and pending + len(message) > WINDOW:
            take_answer()
        pipe.send(message, arguments.timeout)
        sent += 1
        size += len(message)
        if message:  # an empty message arrives, but asyncWrite() sends none back
            unanswered.append(message)
            pending += len(message)
    while unanswered:
        take_answer()
    seconds = time.monotonic() - began
    print(f"{sent} messages sent, {answered} answers right, {size} bytes each way, {seconds:.3f} s")


def listen(pipe, arguments):
    for number in range(1, arguments.listen + 1):
        message = pipe.receive(arguments.timeout)
        if message is None:
            raise WrongAnswer(f"the server closed before message {number}")
        print(f"{len(message)}: {message.decode(errors='backslashreplace')}", flush=True)


def main():
    arguments = parse_arguments()
    try:
        with namedpipe.connect(arguments.pipe, arguments.timeout, arguments.wait) as pipe:
            if arguments.listen is None:
                echo(pipe, arguments)
            else:
                listen(pipe, arguments)
    except (namedpipe.PipeError, WrongAnswer) as error:
        print(f"echo.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
