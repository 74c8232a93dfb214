"""A receiver that is really there: an HTTP server that answers, fails, hangs or redirects, and keeps what it got."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Got:
    """A request: its headers have names in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """
    A server on this machine. `mode` says how it answers: a code, `hang`, `drip`, `close` or `redirect`.

    `meanwhile` is called with each request before it is answered, `after` once the sender has closed the connection.
    """

    mode: int | str = 200
    context: ssl.SSLContext | None = None
    meanwhile: Callable[[Got], object] = lambda _: None
    after: Callable[[], object] = lambda: None
    got: list[Got] = field(default_factory=list)

    def __enter__(self) -> Self:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                got = Got(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                receiver.got.append(got)
                receiver.meanwhile(got)
                with suppress(OSError):
                    receiver._answer(self)
                    receiver.after()

            def do_GET(self) -> None:
                receiver.got.append(Got(self.path, {}, b"followed"))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (as it is called)
                pass

        self._over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a sender that goes away
        if self.context is not None:
            self._server.socket = self.context.wrap_socket(self._server.socket, server_side=True)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        match self.mode:
            case "hang":
                self._over.wait(60)
            case "close":
                pass
            case "drip":
                # A byte at a time: no time-out of a socket ever comes.
                for one in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 600:
                    handler.wfile.write(bytes([one]))
                    if self._over.wait(0.05):
                        return
            case "redirect":
                handler.send_response(302)
                handler.send_header("Location", f"{self.url}/elsewhere")
                handler.end_headers()
            case code:
                handler.send_response(int(code))
                if code == 503:
                    handler.send_header("Retry-After", "120")
                handler.send_header("Content-Length", "0")
                handler.send_header("Connection", "close")
                handler.end_headers()
                handler.wfile.flush()
                # It ends once the sender has read the answer and closed.
                while handler.connection.recv(1024):
                    pass
