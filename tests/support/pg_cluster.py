"""
A throw-away PostgreSQL server for tests, in a folder of its own, also where the tests run as root.

The server's binaries are looked for in $PG_BIN_DIR, then where pg_config says, then in /usr/lib/postgresql.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

UP_WITHIN_SECONDS = 30


class NoServer(RuntimeError):
    """PostgreSQL's server binaries are not on this machine."""


def binaries() -> Path:
    """
    The folder that holds `initdb` and `postgres`.

    Raises:
        NoServer: there is none.
    """
    candidates = [Path(folder)] if (folder := os.environ.get("PG_BIN_DIR")) else []
    if config := shutil.which("pg_config"):
        told = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False).stdout.strip()
        candidates += [Path(told)] if told else []
    candidates += sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda path: (len(path.parent.name), path.parent.name),
        reverse=True,
    )
    for candidate in candidates:
        if (candidate / "initdb").exists() and (candidate / "postgres").exists():
            return candidate
    message = "PostgreSQL's server binaries are not here; install postgresql, or name their folder in PG_BIN_DIR"
    raise NoServer(message)


class Cluster:
    """A running server: enter it to start, leave it to stop and remove its files."""

    def __init__(self, **settings: str) -> None:
        self.bin = binaries()
        self.base = Path(tempfile.mkdtemp(prefix="dualgauge-pg-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
        self.data = self.base / "data"
        self.owner = _owner()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        # A power cut need not be survived; everything else is as it is in production.
        self.settings = {
            "fsync": "off",
            "full_page_writes": "off",
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            **settings,
        }
        self._databases = 0

    def url(self, database: str = "postgres") -> str:
        """A database's URL as SQLAlchemy reads it."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Make an empty database and give its URL."""
        import psycopg

        self._databases += 1
        name = f"test_{self._databases}"
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Remove a database, whoever is still connected to it."""
        import psycopg

        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            shutil.rmtree(self.base, ignore_errors=True)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.send_signal(signal.SIGINT)  # the fast shutdown: no waiting for clients
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(10)
        shutil.rmtree(self.base, ignore_errors=True)

    @property
    def _dsn(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"

    def _start(self) -> None:
        self.data.mkdir(mode=0o700)
        if self.owner:
            self.base.chmod(0o755)
            os.chown(self.data, self.owner["user"], self.owner["group"])
        subprocess.run(
            [self.bin / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            **self.owner,
        )
        command = [str(self.bin / "postgres"), "-D", str(self.data)]
        for name, value in self.settings.items():
            command += ["-c", f"{name}={value}"]
        log = self.base / "server.log"
        with log.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, cwd="/", **self.owner)
        give_up = time.monotonic() + UP_WITHIN_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > give_up:
                self.process.kill()
                self.process.wait()
                message = f"PostgreSQL did not start: {log.read_text(errors='replace')[-500:]}"
                raise RuntimeError(message)
            time.sleep(0.05)

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self._dsn, connect_timeout=1).close()
        except psycopg.OperationalError:
            return False
        return True


def _owner() -> dict[str, Any]:
    """Whom to start the server as: it refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    message = "PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as"
    raise NoServer(message)
