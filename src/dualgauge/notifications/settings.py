"""The notifications' part of the project settings: `[[tool.dualgauge.channels]]`."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from dualgauge.errors import keep_secret_value
from dualgauge.project.environment import NAMED, expand
from dualgauge.project.settings import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["webhook", "smtp", "slack", "alertmanager", "apprise"]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", re.ASCII)
_SECRET_URLS: Final = frozenset(("slack", "apprise"))
_SCHEMES: Final[dict[str, tuple[str, ...]]] = {
    "webhook": ("https", "http"), "slack": ("https", "http"), "alertmanager": ("https", "http"),
    "smtp": ("smtp", "smtps"),
}  # fmt: skip


class ChannelSettings(Section):
    """One of `[[tool.dualgauge.channels]]`: a way by which people are told."""

    name: str = Field(description="the channel's name: letters, digits, `_` and `-`")
    kind: Kind = Field(description="`webhook`, `smtp`, `slack`, `alertmanager`, or `apprise` for all others")
    url: str = Field(
        description="where it leads; `${NAME}` is an environment variable. For `slack` and `apprise`, whose URLs are "
        "secrets, it names one; of Alertmanager it is the address alone"
    )
    secret: str | None = Field(
        default=None, description="what a webhook's messages are signed with: a variable, as `${NAME}`"
    )
    sender: str | None = Field(default=None, description="the address that mail comes from")
    to: list[str] = Field(default_factory=list, description="the addresses that get mail")
    moves: bool = Field(default=False, description="whether it is told each move of reads: switches, rollbacks, kills")
    allow_private: bool = Field(
        default=False, description="whether it may lead into a private network; this machine itself always may"
    )
    timeout: int = Field(default=10, ge=1, le=60, strict=True, description="seconds that a try may take, as a whole")

    @field_validator("name")
    @classmethod
    def _named(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            message = f"{name!r} is not a valid name of a channel; write at most 63 letters, digits, `_` and `-`"
            raise ValueError(message)
        return name

    @field_validator("secret")
    @classmethod
    def _a_variable(cls, text: str | None) -> str | None:
        # It is not shown: it may be the secret itself.
        if text is not None and not NAMED.fullmatch(text):
            message = "a secret stands in no file; name an environment variable, as ${NAME}"
            raise ValueError(message)
        return text

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for name, kind, given in (
            ("secret", "webhook", self.secret), ("sender", "smtp", self.sender), ("to", "smtp", self.to),
        ):  # fmt: skip
            if (self.kind == kind) != bool(given):
                wants = f"a {kind} needs {name}" if self.kind == kind else f"{name} is of a {kind} alone; leave it out"
                message = f"channel {self.name!r}: {wants}"
                raise ValueError(message)
        if self.kind in _SECRET_URLS and not NAMED.search(self.url):
            message = f"channel {self.name!r}: the URL of {self.kind} is a secret; name a variable for it, as ${{NAME}}"
            raise ValueError(message)
        if not self.url.startswith("${"):
            self._plain(self.url)
        return self

    def _plain(self, url: str) -> None:
        try:
            parts = urlsplit(url)
        except ValueError:
            # From nothing: the parser's message may hold a password.
            message = f"channel {self.name!r}: url is not a valid one"
            raise ValueError(message) from None
        if parts.password and not NAMED.search(parts.password):
            message = f"channel {self.name!r}: a password stands in no file; name a variable for it, as ${{NAME}}"
            raise ValueError(message)
        schemes = _SCHEMES.get(self.kind)
        if schemes and parts.scheme not in schemes:
            message = f"channel {self.name!r}: the URL of {self.kind} begins with {schemes[0]}://"
            raise ValueError(message)

    def address(self, environment: Mapping[str, str] = os.environ) -> str:
        """
        The URL with its variables, each of which is hidden from now on in whatever this process says.

        Raises:
            NoVariable: one is not set.
        """
        return with_secrets(self.url, f"tool.dualgauge.channels, {self.name!r}: url", environment)

    def key(self, environment: Mapping[str, str] = os.environ) -> bytes:
        """
        What a webhook's messages are signed with.

        Raises:
            NoVariable: it is not set.
        """
        return with_secrets(self.secret or "", f"tool.dualgauge.channels, {self.name!r}: secret", environment).encode()


def with_secrets(text: str, key: str, environment: Mapping[str, str] = os.environ) -> str:
    """
    A setting with its variables, each of which is hidden from now on in whatever this process says.

    Raises:
        NoVariable: one is not set.
    """
    opened = expand(text, key, environment)
    for name in NAMED.findall(text):
        keep_secret_value(environment[name])
    return opened
