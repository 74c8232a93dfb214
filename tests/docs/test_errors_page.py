"""The page of refusals says the exit codes that there are, and quotes words that messages really have."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re

import dualgauge
import dualgauge_router
from dualgauge.cli.terminal.output import INTERRUPTED
from dualgauge.errors import DualgaugeError
from support.shop import ROOT

PAGE = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")

# Words of DuckDB: its messages are passed on.
DUCKDB = {"syntax error at or near", "This file is not utf-8 encoded"}


def classes(base: type[DualgaugeError] = DualgaugeError) -> set[type[DualgaugeError]]:
    return {base}.union(*(classes(one) for one in base.__subclasses__()))


def modules() -> list[str]:
    """Every module but those that Alembic loads by path; the router's too."""
    packages = (dualgauge, dualgauge_router)
    found = (one for package in packages for one in pkgutil.walk_packages(package.__path__, f"{package.__name__}."))
    return [one.name for one in found if ".revisions" not in one.name and not one.name.endswith("__main__")]


def test_the_page_has_every_exit_code_and_no_other() -> None:
    for name in modules():
        importlib.import_module(name)
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}

    assert told == {one.exit_code for one in classes()} | {0, 3, INTERRUPTED}


def test_the_quoted_words_stand_in_messages_of_the_code() -> None:
    table = PAGE.split("## Common refusals")[1].split("## Passwords")[0]
    quoted = set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE))
    texts = [inspect.getsource(importlib.import_module(name)) for name in modules()]
    # A sentence is written over several lines and with values in it; what is quoted is a part without one.
    joined = [re.sub(r'"\s*\n\s*f?"', "", text).replace("{kind}", "BIGINT") for text in texts]

    assert len(quoted) >= 20
    assert {one for one in quoted if not any(one in text for text in joined)} == DUCKDB


def test_every_class_of_error_says_what_it_is_for() -> None:
    for name in modules():
        importlib.import_module(name)

    assert {one.__name__ for one in classes() if not (one.__doc__ or "").strip()} == set()
