"""The engine in which several files of tests compare."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dualgauge.engines.duck import Engine, open_engine

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine(threads=2) as opened:
        yield opened
