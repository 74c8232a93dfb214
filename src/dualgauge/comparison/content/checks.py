"""
Checks: rules that a side must keep by itself, whatever the other answers. Great Expectations judges them.

A `Check` is a light value: content files need not import great_expectations, which takes seconds. It is resolved
when the checks are run (`comparison/checking/gx.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from dualgauge.comparison.errors import BadComparator, NotRead, UnclearView
from dualgauge.model import Side, as_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

On = Literal["v1", "v2", "both"]
"""Which sides a check is asked of."""

BOTH: Final = "both"


@dataclass(frozen=True, slots=True, init=False)
class Check:
    """
    One expectation, asked of a view of one side or of both.

    Args:
        expectation: its name, as Great Expectations has it (`expect_column_values_to_not_be_null`), or an Expectation
            or ExpectationSuite object.
        on: `v1`, `v2` or `both`.
        view: which view of those sides, where the comparator's query reads several; by default the one that is named
            like the comparator, else the only one.
        arguments: the expectation's own, such as `column` and `mostly`. None beside an object, which has them.

    Raises:
        BadComparator: a field is empty or of another type.
    """

    expectation: Any
    on: On
    view: str | None
    arguments: Mapping[str, Any] = field(hash=False)

    def __init__(self, expectation: object, /, *, on: On = BOTH, view: str | None = None, **arguments: object) -> None:
        if isinstance(expectation, str):
            if not expectation.strip():
                raise BadComparator("Check", "needs the name of an expectation; it is empty")
        elif not is_foreign(expectation):
            raise BadComparator(
                "Check", f"needs the name of an expectation, or an Expectation object; got {expectation!r}"
            )
        elif not own(type(expectation)):
            raise BadComparator("Check", DERIVED.format(name=type(expectation).__name__))
        elif arguments:
            raise BadComparator("Check", f"takes no {next(iter(arguments))!r} beside an object; give it to the object")
        given: object = on
        if given not in (BOTH, *Side):
            raise BadComparator("Check: on", f"must be 'v1', 'v2' or 'both', got {on!r}")
        named: object = view
        if named is not None and (not isinstance(named, str) or not named.strip()):
            raise BadComparator("Check: view", f"must be the name of a view, got {view!r}")
        object.__setattr__(self, "expectation", expectation)
        object.__setattr__(self, "on", str(on))
        object.__setattr__(self, "view", view)
        object.__setattr__(self, "arguments", MappingProxyType(dict(arguments)))

    @classmethod
    def suite(cls, file: str | PathLike[str], /, *, on: On = BOTH, view: str | None = None) -> list[Self]:
        """
        Read the expectations of a suite that Great Expectations keeps in a JSON file; the library is not imported.

        Args:
            file: with its whole path, such as `Path(__file__).with_name("orders.json")`.
            on: `v1`, `v2` or `both`, for each of them.
            view: which view of those sides; see `Check`.

        Raises:
            BadComparator: it cannot be read, is no suite, or an expectation in it has what only a run gives it.
        """
        where = f"Check.suite({str(file)!r})"
        if not Path(file).is_absolute():
            raise BadComparator(where, "needs the whole path; write Path(__file__).with_name(...) for a file beside it")
        try:
            found = json.loads(Path(file).read_text(encoding="utf-8-sig"))
        except OSError as fault:
            raise BadComparator(where, f"cannot be read: {fault.strerror or fault}") from fault
        except ValueError as fault:
            raise BadComparator(where, f"is no JSON: {fault}") from fault
        suite = found.get("expectations") if isinstance(found, dict) else None
        if not isinstance(suite, list) or not suite:
            raise BadComparator(where, "is no suite of Great Expectations: it has no `expectations` with any in them")
        made = []
        for at, one in enumerate(suite):
            # Before version 1 it was called expectation_type.
            name = one.get("type", one.get("expectation_type")) if isinstance(one, dict) else None
            arguments = one.get("kwargs", {}) if isinstance(one, dict) else None
            if not isinstance(name, str) or not isinstance(arguments, dict):
                raise BadComparator(f"{where}: expectations[{at}]", "must have a `type` and `kwargs`")
            for unknown in (key for key, value in arguments.items() if key in _NOT_OURS or _is_parameter(value)):
                raise BadComparator(
                    f"{where}: expectations[{at}]: {unknown}", "is not known here: write the value itself in its place"
                )
            given = {key: value for key, value in arguments.items() if key != "batch_id"}
            made.append(cls(name, on=on, view=view, **given))
        return made

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides that it is asked of."""
        return tuple(Side) if self.on == BOTH else (Side(self.on),)

    @property
    def name(self) -> str:
        """The expectation's name."""
        return self.expectation if isinstance(self.expectation, str) else str(self.expectation.expectation_type)

    @property
    def written(self) -> dict[str, object]:
        """The expectation's arguments as they were written, as JSON holds them."""
        plain = isinstance(self.expectation, str)
        given = self.arguments if plain else self.expectation.configuration.kwargs
        return {name: as_json(_ordered(value)) for name, value in given.items() if name != "batch_id"}

    def as_json(self) -> dict[str, object]:
        """Give what the hash of a comparator's checks is taken from."""
        return {"expectation": self.name, "arguments": self.written, "on": self.on, "view": self.view}


_NOT_OURS: Final = ("on", "view")
"""Arguments of a check that no expectation has."""


def _is_parameter(value: object) -> bool:
    """Whether an argument stands for one that Great Expectations is given when a suite is run."""
    return isinstance(value, dict) and "$PARAMETER" in value


def _ordered(value: object) -> object:
    """A set as a list that is the same in every process."""
    return sorted(value, key=repr) if isinstance(value, set | frozenset) else value


def is_foreign(given: object) -> bool:
    """Whether a value is an Expectation or an ExpectationSuite; great_expectations is not imported for it."""
    names = {one.__name__ for one in type(given).__mro__ if one.__module__.partition(".")[0] == "great_expectations"}
    return bool(names & {"Expectation", "ExpectationSuite"})


DERIVED: Final = (
    "takes no {name}, a class of somebody's own: evidence is bound to an expectation's name and arguments, and could "
    "not tell that its code was edited; use an expectation of Great Expectations itself"
)


def own(kind: type) -> bool:
    """Whether a class is the library's own, and not derived from one."""
    return kind.__module__.partition(".")[0] == "great_expectations"


def taken(given: object) -> tuple[object, ...]:
    """
    A comparator's `checks` as it keeps them.

    Raises:
        BadComparator: something in it is no check.
    """
    if isinstance(given, str | Check) or not isinstance(given, Sequence):
        raise BadComparator("Comparator: checks", f"must be a list of Check(...), got {given!r}")
    for at, one in enumerate(given):
        if type(one) is not Check and not is_foreign(one):
            raise BadComparator(
                f"Comparator: checks[{at}]",
                f"must be Check(...), or an Expectation or ExpectationSuite of Great Expectations, got {one!r}",
            )
        if type(one) is not Check and not own(type(one)):
            raise BadComparator(f"Comparator: checks[{at}]", DERIVED.format(name=type(one).__name__))
    return tuple(given)


def single(checks: Sequence[object]) -> Iterator[Check]:
    """The checks one by one, suites taken apart."""
    for one in checks:
        check = one if isinstance(one, Check) else Check(one)
        inside = getattr(check.expectation, "expectations", None)
        if inside is None:
            yield check
        else:
            yield from (Check(expectation, on=check.on, view=check.view) for expectation in inside)


def placed(comparator: str, check: Check, views: Mapping[Side, Sequence[str]]) -> Iterator[tuple[Side, str]]:
    """
    The views that a check is asked of.

    Args:
        comparator: name of the comparator that has it.
        check: the check.
        views: those that the comparator's queries read, by side.

    Raises:
        NotRead: it names a view that the comparator does not read on a side.
        UnclearView: it names none, and the query of a side reads several, none named like the comparator.
    """
    for side in check.sides:
        names = views[side]
        if check.view is not None:
            if check.view not in names:
                raise NotRead(comparator, check.name, side, check.view, views)
            yield side, check.view
        elif comparator in names:
            yield side, comparator
        elif len(names) == 1:
            yield side, names[0]
        else:
            raise UnclearView(comparator, check.name, side, names)
