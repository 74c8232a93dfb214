"""`[tool.dualgauge.store]`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from dualgauge.model import Side
from dualgauge.project.environment import expand
from dualgauge.project.settings import EVIDENCE, Section
from dualgauge.stores.errors import BadStoreUrl

URL_KEY = "tool.dualgauge.store.url"
ADOPT_KEY = "tool.dualgauge.store.adopt_url"


class StoreSettings(Section):
    """The database that answers reads, and the one where adopted v1 tables are."""

    url: str = Field(
        default="sqlite:///.dualgauge/views_{side}.db",
        description="the serving store: SQLite, one file a side; `${NAME}` is an environment variable",
        json_schema_extra=EVIDENCE,
    )
    adopt_url: str = Field(
        default="",
        description="where adopted v1 tables are, only read; default: v1's side of `url`",
        json_schema_extra=EVIDENCE,
    )
    migrate: Literal["auto", "manual"] = Field(
        default="auto",
        description="`auto`: a replay writes and applies missing revisions; `manual`: you do, by `dualgauge migrate`",
    )

    @field_validator("url")
    @classmethod
    def _served_by_something(cls, url: str) -> str:
        # A URL that is a variable as a whole can only be looked at where it is opened.
        mistake = "" if url.startswith("${") else _mistake(url)
        if mistake:
            raise ValueError(mistake)
        return url

    @field_validator("adopt_url")
    @classmethod
    def _is_a_url(cls, url: str) -> str:
        if url and "://" not in url and not url.startswith("${"):
            message = f"{url!r} is no database URL; write one such as sqlite:///shop.db or postgresql://app@db/shop"
            raise ValueError(message)
        return url

    @property
    def named(self) -> dict[str, str]:
        """
        The URLs whose text names a variable, as they are now and without passwords: the text alone names no store.

        Raises:
            NoVariable: a variable is not set.
        """
        from dualgauge.stores.urls import shown_url

        urls = {URL_KEY: self.url, ADOPT_KEY: self.adopt_url}
        return {key: shown_url(expand(url, key)) for key, url in urls.items() if "${" in url}

    def opened_url(self, side: Side) -> str:
        """
        The store's URL for one side, with its environment variables: for opening, not for showing.

        Raises:
            NoVariable: a variable is not set.
            BadStoreUrl: with the variables in it, this is no URL of a store.
        """
        url = expand(self.url, URL_KEY)
        if mistake := _mistake(url):
            raise BadStoreUrl(URL_KEY, mistake)
        return url.replace("{side}", side.value)

    @property
    def adopted_url(self) -> str:
        """
        Where adopted v1 tables are, with its environment variables: for opening, not for showing.

        Raises:
            NoVariable: a variable is not set.
        """
        if not self.adopt_url:
            return self.opened_url(Side.V1)
        return expand(self.adopt_url, ADOPT_KEY).replace("{side}", Side.V1.value)


def _mistake(url: str) -> str:
    """What is wrong with a store's URL; empty where nothing is."""
    if not url.startswith("sqlite:///"):
        return (
            f"{url.partition(':')[0]!r} stores are not supported yet; this version serves from SQLite: "
            "sqlite:///PATH with {side} in it"
        )
    if "{side}" not in url:
        return (
            "a SQLite store is one file a side: the url needs {side} in it, as in sqlite:///.dualgauge/views_{side}.db"
        )
    return ""
