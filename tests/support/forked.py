"""
Python in a process of its own, begun in a hundredth of the time: forked from a helper that has the modules loaded.

A new interpreter takes most of a second of the processor to import what dualgauge needs. The helper has imported it,
opened nothing and started no thread; each child begins there, gets its own arguments, environment, folder and streams,
and is killed, waited for and read like any other. What depends on how an interpreter begins or ends is not for this.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from typing import IO, TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MODULES: Final = (
    "dualgauge", "dualgauge.cli", "dualgauge.commands.log", "dualgauge.commands.views", "dualgauge.commands.compare",
    "dualgauge.eventlog.imports.run", "dualgauge.eventlog.append.appender", "dualgauge.replay.run",
    "dualgauge.comparison.runs.run", "dualgauge.stores.sqlite.store", "dualgauge.ledger.ledger", "deltalake", "duckdb",
    "alembic.command", "pyarrow.parquet", "sqlglot", "rich.console", "typer.main", "email.message",
)  # fmt: skip

_STREAMS: Final = 3
_MOST: Final = 1 << 20


class Process:
    """A forked child, as `subprocess.Popen` shows one whose streams are pipes of text."""

    def __init__(self, helper: _Helper, pid: int, streams: Sequence[IO[str]]) -> None:
        self._helper, self.pid = helper, pid
        self.stdin, self.stdout, self.stderr = streams
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, or minus the signal; None while it runs."""
        if self.returncode is None:
            self.returncode = self._helper.ended(self.pid, wait=False)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises TimeoutExpired."""
        if self.returncode is None:
            self.returncode = self._helper.ended(self.pid, wait=True, timeout=timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("a forked child", timeout or 0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def communicate(self, given: str | None = None, timeout: float | None = None) -> tuple[str, str]:
        """Give it its input, if any, and read its output to the end."""
        said = ["", ""]
        readers = [
            threading.Thread(target=lambda at, stream: said.__setitem__(at, stream.read()), args=(at, stream))
            for at, stream in enumerate((self.stdout, self.stderr))
            if not stream.closed
        ]
        for reader in readers:
            reader.start()
        if not self.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                if given:
                    self.stdin.write(given)
                self.stdin.close()
        try:
            self.wait(timeout)
        finally:
            if self.returncode is not None:
                for reader in readers:
                    reader.join()
                self.stdout.close()
                self.stderr.close()
        return said[0], said[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self.stdout, self.stderr, self.stdin):
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        self.wait()


class _Helper:
    """The helper of this process, begun when it is asked for the first time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended: dict[int, int] = {}
        self.cpu = 0.0
        mine, other = socket.socketpair()
        self._socket = mine
        program = f"import sys; sys.path[:] = {sys.path!r}; from support.forked import serve; serve({other.fileno():d})"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(one for one in sys.path if one)}
        self._process = subprocess.Popen([sys.executable, "-c", program], pass_fds=[other.fileno()], env=environment)
        other.close()
        self._said = b""
        atexit.register(self.close)

    def start(self, asked: Mapping[str, Any], streams: Sequence[int]) -> int:
        """Begin a child whose streams are these; gives its number."""
        with self._lock:
            socket.send_fds(self._socket, [json.dumps(asked).encode() + b"\n"], list(streams))
            while True:
                said = self._next(None)
                if said is not None and "begun" in said:
                    # An earlier child, ended long ago, may have had its number.
                    self._ended.pop(said["begun"], None)
                    return int(said["begun"])

    def ended(self, pid: int, *, wait: bool, timeout: float | None = None) -> int | None:
        """How a child ended; None where it has not, or not in time."""
        with self._lock:
            while pid not in self._ended:
                if self._next(timeout if wait else 0) is None:
                    return None
            return self._ended[pid]

    def close(self) -> None:
        """Let it end."""
        self._socket.close()
        self._process.wait()

    def _next(self, timeout: float | None) -> dict[str, Any] | None:
        """The next thing that it says; None where it says nothing in time."""
        while b"\n" not in self._said:
            self._socket.settimeout(timeout)
            try:
                found = self._socket.recv(_MOST)
            except (TimeoutError, BlockingIOError):
                return None
            if not found:
                raise AssertionError("the helper that forks children has ended")
            self._said += found
        line, _, self._said = self._said.partition(b"\n")
        said: dict[str, Any] = json.loads(line)
        if "ended" in said:
            self._ended[said["ended"]] = said["code"]
            self.cpu += said["cpu"]
        return said


_HELPERS: dict[int, _Helper] = {}


def cpu() -> float:
    """Seconds of the processor that the children took that this process knows to have ended."""
    helper = _HELPERS.get(os.getpid())
    return helper.cpu if helper else 0.0


def python(arguments: Sequence[str], *, folder: Path | None = None, environment: Mapping[str, str]) -> Process:
    """
    Begin Python with arguments: `-c TEXT ...`, `-m MODULE ...` or `FILE ...`. Its three streams are pipes of text.

    Args:
        arguments: as behind `python`.
        folder: where it works; here by default.
        environment: all of it. The search path is this process's.
    """
    sys.audit("support.forked")
    helper = _HELPERS.get(os.getpid())
    if helper is None:
        helper = _HELPERS[os.getpid()] = _Helper()
    pairs = [os.pipe() for _ in range(_STREAMS)]
    theirs = [pairs[0][0], pairs[1][1], pairs[2][1]]
    asked = {"arguments": list(arguments), "folder": str(folder or os.getcwd()), "environment": dict(environment)}  # noqa: PTH109
    try:
        pid = helper.start(asked, theirs)
    finally:
        for one in theirs:
            os.close(one)
    streams = [os.fdopen(pairs[at][int(at == 0)], mode, encoding="utf-8") for at, mode in enumerate("wrr")]
    return Process(helper, pid, streams)


def serve(number: int) -> None:
    """What the helper does: import, then fork a child for every line, and say which have ended."""
    import importlib

    for module in MODULES:
        importlib.import_module(module)
    channel = socket.socket(fileno=number)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    waking, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken)
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        selector.register(waking, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in selector.select()}
            if waking in ready:
                os.read(waking, _MOST)
                _tell_ended(channel)
            if channel.fileno() in ready:
                said, given, _, _ = socket.recv_fds(channel, _MOST, _STREAMS)
                if not said:
                    return
                while not said.endswith(b"\n"):
                    said += channel.recv(_MOST)
                pid = os.fork()
                if not pid:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    signal.signal(signal.SIGINT, signal.default_int_handler)
                    for one in (waking, woken, selector.fileno() if hasattr(selector, "fileno") else -1, number):
                        with contextlib.suppress(OSError):
                            os.close(one)
                    _run(json.loads(said), array.array("i", given))
                for one in given:
                    os.close(one)
                channel.sendall(json.dumps({"begun": pid}).encode() + b"\n")


def _tell_ended(channel: socket.socket) -> None:
    while True:
        try:
            pid, status, used = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        said = {"ended": pid, "code": os.waitstatus_to_exitcode(status), "cpu": used.ru_utime + used.ru_stime}
        channel.sendall(json.dumps(said).encode() + b"\n")


def _run(asked: Mapping[str, Any], streams: Sequence[int]) -> None:
    """Be the child: nothing comes back."""
    for at, one in enumerate(streams):
        os.dup2(one, at)
        os.close(one)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    # What was looked up in the helper's own environment is looked up anew.
    tempfile.tempdir = None
    time.tzset()
    option, *rest = asked["arguments"]
    code: object = 0
    try:
        sys.argv = [option, *rest[1:]] if option == "-c" else rest if option == "-m" else [option, *rest]
        if option == "-c":
            sys.path.insert(0, "")
            main = type(sys)("__main__")
            sys.modules["__main__"] = main
            exec(compile(rest[0], "<string>", "exec"), main.__dict__)
        elif option == "-m":
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(option, run_name="__main__")
    except SystemExit as ended:
        code = ended.code
    except BaseException:  # noqa: BLE001  (as the interpreter does)
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code if isinstance(code, int) else 0)
