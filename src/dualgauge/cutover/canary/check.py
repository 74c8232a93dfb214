"""Whether a canary.yaml can work: every mistake at once, each with its line and column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from dualgauge.cutover.canary.model import (
    BreakerSection,
    CanaryFile,
    CohortSection,
    GateSection,
    OverrideSection,
    PinSection,
    ServeSection,
    ShadowSection,
    StepSection,
    share_of,
)
from dualgauge.cutover.canary.yaml_text import YamlText, parse, unknown
from dualgauge.cutover.errors import BadCanary
from dualgauge.ledger.values import percent_text
from dualgauge.model import listed
from dualgauge_router.hashing import BadUnit, unit_text

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

LATER: Final = ("apiVersion", "from", "guards", "kill", "rollback", "to", "view")
"""Keys that a file of another version may have: nothing acts on them in this one."""

_SCALARS: Final = ("string_type", "bool_type", "int_type")

_SECTIONS: Final[dict[tuple[str, ...], type[BaseModel]]] = {
    (): CanaryFile, ("cohorts", "*"): CohortSection, ("gates", "*"): GateSection, ("steps", "*"): StepSection,
    ("serve",): ServeSection, ("shadow",): ShadowSection, ("shadow", "breaker"): BreakerSection,
    ("overrides",): OverrideSection, ("overrides", "*"): PinSection,
}  # fmt: skip


def read(text: str, shown: str) -> CanaryFile:
    """
    The canary.yaml of a text.

    Args:
        text: the file's.
        shown: its name, for messages.

    Raises:
        BadCanary: it has mistakes, which are all in it.
    """
    found = parse(text)
    if not found.mistakes and not isinstance(found.value, dict):
        found.mistake((), "a canary.yaml is a mapping, with `steps` in it")
    made: CanaryFile | None = None
    if isinstance(found.value, dict):
        try:
            made = CanaryFile.model_validate(found.value)
        except ValidationError as fault:
            several: set[tuple[str | int, ...]] = set()
            for each in fault.errors():
                if each["type"] in _SCALARS and each["loc"][-1] in ("str", "bool", "int"):
                    # Of a union, each type says that the value is none of it.
                    if (path := _path(each, found)) not in several:
                        found.mistake(path, "give a text, a whole number, or true or false")
                    several.add(path)
                    continue
                found.mistake(_path(each, found), _told(each), key=each["type"] == "extra_forbidden")
        _look_across(found, found.value)
    if found.mistakes or made is None:
        raise BadCanary(shown, tuple(sorted(set(found.mistakes))))
    return made


def _path(fault: ErrorDetails, found: YamlText) -> tuple[str | int, ...]:
    path: tuple[str | int, ...] = ()
    for step in fault["loc"]:
        # Beside keys, pydantic names the types of a union.
        if (*path, step) in found.places:
            path = (*path, step)
    return path


def _told(fault: ErrorDetails) -> str:
    place = tuple(map(str, fault["loc"]))
    shape = tuple("*" if at == 1 and place[0] in ("cohorts", "gates", "steps", "overrides") else step
                  for at, step in enumerate(place))  # fmt: skip
    name = place[-1] if place else ""
    match fault["type"]:
        case "extra_forbidden":
            known = [one.alias or key for key, one in _SECTIONS[shape[:-1]].model_fields.items()]
            if len(place) == 1 and name in LATER:
                return f"`{name}` is not acted on by this version: leave it out"
            return unknown(name, known)
        case "missing":
            return f"`{name}` is missing"
        case "literal_error":
            return f"`{name}` is {fault['input']!r}; allowed: {fault['ctx']['expected']}"
        case "value_error":
            return str(fault["ctx"]["error"])
        case _:
            return f"`{name}`: {fault['msg'][:1].lower()}{fault['msg'][1:]}"


def _look_across(found: YamlText, value: dict[str, Any]) -> None:
    """What no part tells by itself. The value may be anything: what is no such part was told before."""
    cohorts, gates = (_mapping(value.get(name)) for name in ("cohorts", "gates"))
    steps = value.get("steps")
    for at, step in enumerate(steps if isinstance(steps, list) else []):
        _look_up(found, step, ("steps", at, "cohorts"), cohorts)
        _look_up(found, step, ("steps", at, "gates"), gates)
    _look_at_shares(found, steps if isinstance(steps, list) else [])
    overrides = _mapping(value.get("overrides"))
    pinned: dict[str, str] = {}
    sides = [_mapping(overrides.get(side)).get("cohorts") for side in ("pin_v1", "pin_v2")]
    first, second = (one if isinstance(one, list) else [] for one in sides)
    for at, name in enumerate(second):
        if name in first:
            found.mistake(("overrides", "pin_v2", "cohorts", at), f"the cohort {name!r} is pinned by pin_v1 too")
    for side in ("pin_v1", "pin_v2"):
        _look_up(found, overrides.get(side), ("overrides", side, "cohorts"), cohorts)
        units = _mapping(overrides.get(side)).get("units")
        for at, unit in enumerate(units if isinstance(units, list) else []):
            try:
                text = unit_text(unit)
            except BadUnit:
                continue
            if (other := pinned.setdefault(text, side)) != side:
                found.mistake(("overrides", side, "units", at), f"the unit {text!r} is pinned by {other} too")
    _look_at_gates(found, gates, value.get("alpha", CanaryFile.model_fields["alpha"].default))


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _look_up(found: YamlText, part: object, path: tuple[str | int, ...], known: dict[str, Any]) -> None:
    """Names in a list of cohorts or gates, which is the last of the path."""
    kind = str(path[-1])
    names = _mapping(part).get(kind)
    for at, name in enumerate(names if isinstance(names, list) else []):
        if isinstance(name, str) and name not in known:
            there = f"there are {listed(list(known), len(known))}" if known else f"`{kind}` declares none"
            found.mistake((*path, at), f"there is no {kind.removesuffix('s')} {name!r}; {there}")


def _look_at_shares(found: YamlText, steps: list[Any]) -> None:
    last, had_cohorts = -1, True
    for at, step in enumerate(steps):
        try:
            share = share_of(_mapping(step).get("share"))
        except ValueError:
            continue
        cohorts = bool(_mapping(step).get("cohorts"))
        # Stage shadow first, and then its cohorts on v2.
        if share < last or (share == last and not (share == 0 and cohorts and not had_cohorts)):
            before = percent_text(last)
            found.mistake(("steps", at, "share"), f"shares rise from step to step, and {before}% stands before this")
        last, had_cohorts = max(last, share), cohorts


def _look_at_gates(found: YamlText, gates: dict[str, Any], alpha: object) -> None:
    for name, gate in gates.items():
        said = _mapping(gate)
        if said.get("advance") == "ignored" and said.get("alarm") == "ignored":
            found.mistake(("gates", name), f"the gate {name!r} could neither open nor close: take one `ignored` out")
        own = said.get("alpha")
        if isinstance(own, float) and isinstance(alpha, float) and own > alpha:
            found.mistake(("gates", name, "alpha"), f"alpha {own} is over the file's {alpha}")
