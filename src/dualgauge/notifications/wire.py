"""
Connections to receivers: each ends by its time, none goes where it may not, and no redirect is followed.

A socket's own time-out counts from each byte, so one that sends a byte a second would be listened to for ever: a
`Wire` is cut at its time. The address that was looked at is the one that is connected to, so a name that leads
elsewhere the second time leads nowhere else.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from dualgauge.notifications.errors import NotSent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

CONNECT: Final = 5.0
"""Seconds for a connection at most."""

_REDIRECTS: Final = range(300, 400)
_FINE: Final = range(200, 300)
_LONGEST_WAIT: Final = 3600.0
_UNENCRYPTED: Final = (
    "its URL is one of http://, which is for this machine and, with allow_private = true, for a private network; write "
    "https://"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered: its code, and what that means."""

    code: int
    words: str


class Wire:
    """A connection that is cut when its seconds are over, whatever the other end does."""

    def __init__(self, host: str, port: int, seconds: float, *, allow_private: bool, allow_public: bool = True) -> None:
        """
        Connect.

        Raises:
            NotSent: it leads where it may not, or nobody answers.
        """
        self.host, self._end, self._seconds = host, time.monotonic() + seconds, seconds
        self.socket = self._connected(_addresses(host, port, allow_private=allow_private, allow_public=allow_public))
        self._timer = threading.Timer(max(0.0, self._end - time.monotonic()), self._cut)
        self._timer.daemon = True
        self._timer.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self._timer.cancel()
        self.socket.close()

    def encrypt(self) -> None:
        """Speak TLS from here on. Raises OSError where the other end is not who it should be."""
        context = ssl.create_default_context()
        self.socket = context.wrap_socket(self.socket, server_hostname=self.host, do_handshake_on_connect=False)
        self.socket.do_handshake()

    def check(self) -> None:
        """Raise TimeoutError where its time is over."""
        if time.monotonic() >= self._end:
            raise TimeoutError

    def reason(self, fault: BaseException) -> str:
        """Why nothing came of it, in words of our own: a receiver's may hold anything."""
        if time.monotonic() >= self._end or isinstance(fault, TimeoutError):
            return f"no whole answer in {self._seconds:g} s"
        return _reason(fault)

    def _connected(self, addresses: list[tuple[int, Any]]) -> socket.socket:
        last: OSError | None = None
        for family, address in addresses:
            left = self._end - time.monotonic()
            if left <= 0:
                break
            made = socket.socket(family, socket.SOCK_STREAM)
            try:
                made.settimeout(min(CONNECT, left))
                made.connect(address)
            except OSError as fault:
                made.close()
                last = fault
            else:
                made.settimeout(self._seconds)
                return made
        if last is None or isinstance(last, TimeoutError):
            raise NotSent(f"no connection in {min(CONNECT, self._seconds):g} s")
        raise NotSent(_reason(last))

    def _cut(self) -> None:
        with contextlib.suppress(OSError):
            # Past TLS, which belongs to the thread that reads.
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)


def post(url: str, body: bytes, headers: Mapping[str, str], *, allow_private: bool, seconds: float) -> Answer:
    """
    Send a body by HTTP, and give the answer, if it is one of success.

    Raises:
        NotSent: it leads where it may not, nobody answered in time, or the answer is no success.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise NotSent("its URL is not a valid one") from None
    encrypted = parts.scheme == "https"
    if parts.scheme not in {"http", "https"} or not host:
        raise NotSent("its URL is not one of https://")
    if not encrypted and not is_here(host) and not allow_private:
        raise NotSent(_UNENCRYPTED)
    at = port or (443 if encrypted else 80)
    with Wire(host, at, seconds, allow_private=allow_private, allow_public=encrypted) as wire:
        try:
            if encrypted:
                wire.encrypt()
            connection = http.client.HTTPConnection(host, port)
            connection.sock = wire.socket
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", path, body, {**headers, "Connection": "close"})
            answer = connection.getresponse()
            # What it says beside its code is not read: nobody here would believe it.
            answer.close()
            # Cut in the middle, it may look whole: the parser takes an end for the end of the headers.
            wire.check()
        except (OSError, http.client.HTTPException, ValueError) as fault:
            raise NotSent(wire.reason(fault)) from None
    return _judged(answer.status, answer.headers.get("Retry-After", ""))


def is_here(host: str) -> bool:
    """Whether a host is this machine by its very name."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _judged(code: int, wait: str) -> Answer:
    words = f"{code} {http.client.responses.get(code, '')}".strip()
    if code in _FINE:
        return Answer(code, words)
    if code in _REDIRECTS:
        raise NotSent(f"{words}: it leads elsewhere, and no redirect is followed", code=code)
    asked = min(float(wait), _LONGEST_WAIT) if wait.isascii() and wait.isdigit() else 0.0
    raise NotSent(words, code=code, wait=asked)


def _addresses(host: str, port: int, *, allow_private: bool, allow_public: bool) -> list[tuple[int, Any]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NotSent("its host has no address") from None
    for _, _, _, _, address in found:
        ip = ipaddress.ip_address(str(address[0]).partition("%")[0])
        plain = getattr(ip, "ipv4_mapped", None) or ip
        public = plain.is_global and not plain.is_multicast
        if not (plain.is_loopback if is_here(host) else allow_private or public):
            raise NotSent("its host is in a private network; write allow_private = true where that is meant")
        if public and not allow_public:
            raise NotSent(_UNENCRYPTED)
    return [(int(family), address) for family, _, _, _, address in found]


def _reason(fault: BaseException) -> str:  # noqa: PLR0911  (one row a fault reads best)
    match fault:
        case ssl.SSLCertVerificationError():
            return "its certificate is not one that is trusted here"
        case ssl.SSLError():
            return "TLS could not be agreed on"
        case ConnectionRefusedError():
            return "the connection was refused"
        case ConnectionError():
            return "the connection was closed without an answer"
        case http.client.HTTPException() | ValueError():
            return "the answer is not one of HTTP"
        case OSError() if fault.strerror:
            return fault.strerror.lower()
        case _:
            return "the connection failed"
