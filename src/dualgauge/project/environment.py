"""
`${NAME}` in a setting that is a database's URL: the value of an environment variable.

So a password stands in no file. It is put in where the URL is opened, never before: what is hashed, shown or kept of
the settings has the name in it.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from dualgauge.errors import keep_secret
from dualgauge.project.errors import NoVariable

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMED: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def expand(url: str, key: str, environment: Mapping[str, str] = os.environ) -> str:
    """
    Put the variables that a URL names into it; every other URL stays as it is.

    In the user and the password a value is written as a URL needs it, so that a password may hold `@` or `/`;
    elsewhere (a host, a path, a whole URL) it stands as it is.

    Args:
        url: as it stands in the settings.
        key: the setting's name, for the message: `tool.dualgauge.store.url`.
        environment: the variables.

    Raises:
        NoVariable: a variable is not set.
    """
    start = url.find("://") + len("://") if "://" in url else len(url)
    path = url.find("/", start)
    end = url.rfind("@", start, path if path >= 0 else len(url))

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name not in environment:
            raise NoVariable(key, name)
        secret = start <= found.start() < end
        return quote(environment[name], safe="") if secret else environment[name]

    expanded = NAMED.sub(value, url)
    keep_secret(expanded)
    return expanded
