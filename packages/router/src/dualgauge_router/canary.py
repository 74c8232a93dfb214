"""
What an applied canary.yaml says of routing: units and cohorts pinned to a side, and the cohorts that a step has on v2.

It stands in the ledger as JSON that dualgauge has checked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from dualgauge_router.hashing import written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualgauge_router.shadow_reads import ShadowRules

TESTS: Final = ("in", "starts_with", "ends_with")
"""What a cohort may ask of an attribute."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """
    The reads whose attribute is one of some values, or a text that starts or ends in a certain way.

    Of an attribute of several values, such as a list of groups, one is enough.
    """

    name: str
    attribute: str
    test: str
    values: tuple[tuple[str, object], ...]
    """Each with its type: to Python True is 1, and an id of 1 is no truth."""

    @classmethod
    def of(cls, name: str, said: Mapping[str, Any]) -> Cohort:
        """From the applied configuration. Raises KeyError, ValueError, TypeError where it is none."""
        (test,) = (one for one in TESTS if said.get(one) is not None)
        given = said[test]
        return cls(name, said["attr"], test, tuple(_plain(one) for one in (given if test == "in" else [given])))

    def has(self, attrs: Mapping[str, object] | None) -> bool:
        """Whether a read with these attributes is in the cohort. Raises what they raise: nobody can tell."""
        if attrs is None:
            return False
        given = attrs.get(self.attribute)
        several = list(given) if isinstance(given, list | tuple | set | frozenset) else [given]
        return any(self._fits(*_plain(one)) for one in several)

    def _fits(self, kind: str, value: object) -> bool:
        if self.test == "in":
            return (kind, value) in self.values
        ((_, part),) = self.values
        if not isinstance(value, str) or not isinstance(part, str):
            return False
        return value.startswith(part) if self.test == "starts_with" else value.endswith(part)


def _plain(value: object) -> tuple[str, object]:
    """A text, a whole number or a truth with its type; nothing of a class of the application's own is called."""
    if isinstance(value, bool):
        return "bool", value
    if isinstance(value, str):
        return "str", str.__str__(value)
    return ("int", int.__int__(value)) if isinstance(value, int) else ("", None)


@dataclass(frozen=True, slots=True)
class Pins:
    """Who reads one side whatever the share is: units, by the text that is hashed, and cohorts."""

    units: frozenset[str] = frozenset()
    cohorts: tuple[Cohort, ...] = ()

    def has(self, unit: str, attrs: Mapping[str, object] | None) -> bool:
        """Whether a read is pinned."""
        return unit in self.units or any(one.has(attrs) for one in self.cohorts)


@dataclass(frozen=True, slots=True)
class CanaryRules:
    """
    What routing needs of an applied canary.yaml; `steps` are shares in parts per million with their cohorts.

    `shadow` says which reads are read from the other side too; None for none. `timeout`: for how many seconds v2 is
    waited for where the application says nothing.
    """

    pin_v1: Pins = Pins()
    pin_v2: Pins = Pins()
    steps: tuple[tuple[int, tuple[Cohort, ...]], ...] = ()
    shadow: ShadowRules | None = None
    timeout: float | None = None

    @classmethod
    @lru_cache(maxsize=16)
    def of(cls, text: str) -> CanaryRules:
        """
        From the JSON of the ledger; the empty text says nothing. Kept, since each look at the ledger asks for it.

        Raises:
            ValueError, KeyError, TypeError: it is none that this version knows.
        """
        if not text:
            return cls()
        said = json.loads(text)
        cohorts = {name: Cohort.of(name, one) for name, one in said["cohorts"].items()}

        def pins(side: str) -> Pins:
            given = said["overrides"][side]
            units = frozenset(map(written, given["units"]))
            return Pins(units, tuple(cohorts[name] for name in given["cohorts"]))

        steps = tuple(
            (int(step["share_ppm"]), tuple(cohorts[name] for name in step["cohorts"])) for step in said["steps"]
        )
        shadow = None
        if said.get("shadow"):
            # Loaded where it is asked for: an application without shadow reads needs none of it.
            from dualgauge_router.shadow_reads import ShadowRules

            shadow = ShadowRules.of(said["shadow"], said.get("views", {}))
        timeout = said["serve"]["timeout_ms"] / 1000 if "serve" in said else None
        return cls(pins("pin_v1"), pins("pin_v2"), steps, shadow, timeout)

    def cohorts_at(self, share_ppm: int) -> Sequence[Cohort]:
        """The cohorts on v2 while the share is this one: those of every step up to it, for none is taken back."""
        return [one for share, cohorts in self.steps if share <= share_ppm for one in cohorts]
