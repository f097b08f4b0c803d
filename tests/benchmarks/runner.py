# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT

"""Starts a server and the load generator, once, and returns what was measured."""

import atexit
import contextlib
import itertools
import json
import os
import pathlib
import select
import shlex
import signal
import subprocess
import tempfile

WINE = pathlib.Path(__file__).resolve().parent.parent / "support" / "wine-run.sh"
READY_TIMEOUT = 30  # seconds, for a server to start or to end
LOAD_TIMEOUT = 90  # beyond the seconds of the row; the load generator gives up before


class RunFailed(Exception):
    pass


class Runner:
    """Runs the programs of one folder."""

    def __init__(self, programs, windows=False, keep_awake=None):
        self._programs = pathlib.Path(programs)
        self._windows = windows
        self._keep_awake = keep_awake
        self._cores = sorted(os.sched_getaffinity(0))
        self._numbers = itertools.count()
        self._environment = dict(os.environ)
        if windows:
            self._environment["QTNAMEDPIPES_WINE_TIMEOUT"] = str(READY_TIMEOUT + LOAD_TIMEOUT)

    def has(self, candidate):
        return self._path(f"bench-server-{candidate.server}").exists()

    def run(self, row, candidate, seconds):
        """The line of JSON of the load generator. Raises RunFailed."""
        name = f"bench-{os.getpid()}-{next(self._numbers)}"
        server = self._command(f"bench-server-{candidate.server}", "--name", name, *shlex.split(row.server))
        if candidate.variant:
            server += ["--variant", candidate.variant]
        links = candidate.windows_links if self._windows else candidate.links
        load = self._command("bench-load", "--links", links, "--name", name, *shlex.split(row.load))
        load += ["--seconds", str(seconds)]

        one_core = row.placement == "one core"
        with contextlib.ExitStack() as stack:
            # Sockets are in a folder of their own: nothing that was left by others is in the way.
            self._environment["TMPDIR"] = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
            stack.enter_context(_on_cores(self._cores[-1:] if one_core else self._cores))
            if self._keep_awake and not one_core:
                stack.enter_context(self._keep_awake)
            stack.enter_context(self._served(server))
            output = self._finished(load, seconds + LOAD_TIMEOUT)
        try:
            return json.loads(output)
        except ValueError:
            raise RunFailed(f"no JSON from the load generator: {output[:200]!r}") from None

    def _path(self, program):
        return self._programs / (program + (".exe" if self._windows else ""))

    def _command(self, program, *arguments):
        return ([str(WINE)] if self._windows else []) + [str(self._path(program)), *arguments]

    def _start(self, command, **options):
        # A session of its own: all of it can be ended, whatever starts what.
        return subprocess.Popen(
            command, env=self._environment, stdout=subprocess.PIPE, start_new_session=True, **options
        )

    @contextlib.contextmanager
    def _served(self, command):
        with tempfile.TemporaryFile() as errors:
            process = self._start(command, stdin=subprocess.PIPE, stderr=errors)
            try:
                ready, _, _ = select.select([process.stdout], [], [], READY_TIMEOUT)
                if not ready or process.stdout.readline().strip() != b"ready":
                    raise RunFailed("the server does not get ready")
                yield
                process.stdin.close()  # it ends with its standard input
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(READY_TIMEOUT)
                if process.returncode != 0:
                    raise RunFailed("the server does not end as it should")
            except RunFailed as failure:
                status = process.poll()
                errors.seek(0)
                said = errors.read().decode(errors="replace").strip()
                server = "runs" if status is None else f"exit code {status}"
                raise RunFailed(f"{failure} (server: {server}{said and ', ' + said})") from None
            finally:
                _end(process)

    def _finished(self, command, timeout):
        process = self._start(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise RunFailed(f"the load generator was not done after {timeout:g} s") from None
        finally:
            _end(process)
        if process.returncode != 0:
            said = errors.decode(errors="replace").strip()
            raise RunFailed(said or f"the load generator ended with exit code {process.returncode}")
        return output.decode(errors="replace")


def _end(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            with contextlib.suppress(BrokenPipeError):
                stream.close()


@contextlib.contextmanager
def _on_cores(cores):
    """What is started meanwhile runs on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class KeepAwake:
    """A context that keeps the cores from halting, by loops that run only when nothing else wants to.

    A virtual core that has halted takes the host some 30 µs to wake up, more than most of what is measured here."""

    def __init__(self):
        self._loops = [_start_loop(core) for core in os.sched_getaffinity(0)]
        for loop in self._loops:
            atexit.register(os.kill, loop, signal.SIGKILL)

    # They are stopped, not ended and awaited: on a busy machine their end takes long, too.
    def __enter__(self):
        for loop in self._loops:
            os.kill(loop, signal.SIGCONT)

    def __exit__(self, *_):
        for loop in self._loops:
            os.kill(loop, signal.SIGSTOP)


def _start_loop(core):
    parent = os.getpid()
    loop = os.fork()
    if loop == 0:
        try:
            os.sched_setaffinity(0, {core})
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            os.kill(os.getpid(), signal.SIGSTOP)
            while os.getppid() == parent:  # it does not outlive this program, however that ends
                for _ in range(100_000):
                    pass
        finally:
            os._exit(0)
    os.waitpid(loop, os.WUNTRACED)  # until it has stopped
    return loop
