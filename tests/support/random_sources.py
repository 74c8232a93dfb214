"""Random files as sources: what an import of them puts into the log or sets aside, against the files' own text."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from support.log_project import LogProject
from support.text_files import number, string, value

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

DECLARED = {"dec": "DECIMAL(38,10)", "whole": "BIGINT", "text": "VARCHAR", "dbl": "DOUBLE"}
NAMES = (*DECLARED, "odd name", "é", "q\"'", "p")
"""Fields beside the id and the time; those that are not declared are selected into the payload."""

ALONE = {
    "instants": ("2026-01-01T00:00:00+05:30", "2026-01-05 10:00:00Z", "2026-01-05 10:00:00.120 +01", ""),
    "times": ("2026-01-05T10:00:00", "2026-01-01 10:00:00.120", "2026-01-05", ""),
    "days": ("2026-01-05", "2025-12-31", "0001-01-01", ""),
    "clocks": ("10:00:00.500", "23:59", ""),
    "others": ("2026-01-05", "10:00", "5", "true", "x", ""),
    "truths": ("true", "false", "True", "FALSE", ""),
    "prices": (*(f"{10**whole}.{'1' * places}" for whole in range(9) for places in range(1, 30)), ""),
    "sums": (
        "5", "1.5", "1.25", "1.50", "-0", ".5", "-.25", "1e-05", "1.5E5", "1e-400", "9007199254740993", "nan", "",
        "-9223372036854775808", "9223372036854775808", "123456789012345678901234567890123456789",
        "0.1000000000000000000000000000000000000000001",
    ),
}  # fmt: skip
"""Columns of CSV files that the payload alone needs, whose values are all of one kind."""


def json_file(random: Random, file: int) -> list[tuple[str, dict[str, Any] | None]]:
    """Lines of a file, each with the texts of its fields as the standard library has them; None where it is no row."""
    found: list[tuple[str, dict[str, Any] | None]] = []
    for row in range(random.randrange(1, 9)):
        if random.random() < 0.04:
            broken = random.choice(('{"id": ', "[1]", "7", '{"dec": 1, "dec": 2}', '{"a": 1,}', '"x"'))
            found.append((broken, None))
            continue
        names = random.sample(NAMES, k=random.randrange(len(NAMES) + 1))
        fields = [f"{json.dumps(name)}: {_likely(random, name)}" for name in names]
        text = ", ".join([f'"id": "{file}-{row}"', f'"seen": "{_when(file, row)}"', *fields])
        found.append((f"{{{text}}}", json.loads(f"{{{text}}}", parse_float=_Number, parse_int=_Number)))
    return found


def csv_file(random: Random, file: int) -> list[tuple[str, dict[str, Any] | None]]:
    """The same of a CSV file, whose first line is its names."""
    every = [*NAMES, *ALONE]
    names = ["id", "seen", *random.sample(every, k=len(every))]
    found: list[tuple[str, dict[str, Any] | None]] = [(_csv_line(names), {})]
    for row in range(random.randrange(1, 9)):
        values = [f"{file}-{row}", _when(file, row), *(_text(random, name) for name in names[2:])]
        if random.random() < 0.04:
            found.append((_csv_line(values[:-1] if random.random() < 0.5 else [*values, "x"]), None))
        else:
            found.append((_csv_line(values), {name: one or None for name, one in zip(names, values, strict=True)}))
    return found


class _Number(str):
    """A number of JSON as it is written."""

    __slots__ = ()


def _when(file: int, row: int) -> str:
    return f"2026-01-01T{file // 3600:02d}:{file // 60 % 60:02d}:{file % 60:02d}.{row:03d}Z"


def _csv_line(values: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(values)
    return out.getvalue().removesuffix("\n")


def _likely(random: Random, name: str) -> str:
    """A value of JSON that often fits its field."""
    if name == "text" or random.random() < 0.1:
        return value(random)
    if name not in DECLARED:
        return random.choice((number, string, value))(random)
    return random.choice((number(random), str(random.randrange(10**9)), f"{random.randrange(10**7) / 100:.2f}", "null"))


def _text(random: Random, name: str) -> str:
    if name in ALONE:
        return random.choice(ALONE[name])
    written = _likely(random, name) if name in DECLARED else string(random)
    found = json.loads(written, parse_float=str, parse_int=str)
    # What a CSV file does not hold, and what ends a line in another way than the file's others do.
    text = found if isinstance(found, str) else "" if found is None else written
    return text.replace("\x00", "").replace("\r", "")


def text_of(found: Any) -> str | None:
    """The text of a field, as a declared column gets it."""
    if found is None or isinstance(found, str):
        return found
    if isinstance(found, bool):
        return "true" if found else "false"
    return _compact(found)


def _compact(found: Any) -> str:
    """JSON as it is written, without blanks and escapes."""
    match found:
        case _Number():
            return str(found)
        case dict():
            return "{" + ",".join(f"{json.dumps(k)}:{_compact(one)}" for k, one in found.items()) + "}"
        case list():
            return "[" + ",".join(map(_compact, found)) + "]"
        case _:
            return json.dumps(found)


def same(kind: str, text: str | None, found: Any) -> bool:
    """Whether a column of the log holds what a text says, and no less."""
    if text is None or found is None:
        return text is None and found is None
    if kind == "VARCHAR":
        return bool(found == text) or (text[:1] in "[{" and _loaded(found) == _loaded(text))
    try:
        exact = Decimal(text.strip())
    except InvalidOperation:
        return kind == "DOUBLE" and str(found) in ("nan", "inf", "-inf") and text.strip().lower().lstrip("+")[:3] in (
            "nan", "inf", "-in",
        )  # fmt: skip
    if kind == "DOUBLE":
        return bool(found == float(exact))
    return bool(Decimal(found) == exact)


def surely_fits(fields: dict[str, Any]) -> bool:
    """Whether no value of a row is of a kind that may be refused."""
    return all(_plain(kind, text_of(fields.get(name))) for name, kind in DECLARED.items())


def _plain(kind: str, text: str | None) -> bool:
    if text is None or kind == "VARCHAR":
        return True
    digits = text.removeprefix("-")
    if not digits.replace(".", "", 1).isdigit() or not digits.isascii() or digits[0] == "." or digits[-1] == ".":
        return False
    exact = Decimal(text)
    if kind == "BIGINT":
        return exact == exact.to_integral_value() and -(2**63) <= exact < 2**63
    if kind == "DOUBLE":
        return len(digits) <= 15
    return len(digits) < 28 and exact.as_tuple().exponent >= -10


def _loaded(text: str) -> Any:
    return json.loads(text, parse_float=_Number, parse_int=_Number)


Made = list[list[tuple[str, dict[str, Any] | None]]]


def written(project: LogProject, made: Made, suffix: str, pieces: int = 1) -> None:
    """Write files and import them, some more in each of several imports."""
    project.columns = DECLARED
    select = {f"x{at}": f'"{name.replace(chr(34), 2 * chr(34))}"' for at, name in enumerate(NAMES[len(DECLARED) :])}
    select |= {name: name for name in ALONE} if suffix == "csv" else {}
    project.source("s", path=f"d/*.{suffix}", select=select)
    for piece in range(pieces):
        for at in range(piece * len(made) // pieces, (piece + 1) * len(made) // pieces):
            project.write(f"d/{at:05d}.{suffix}", "".join(f"{line}\n" for line, _ in made[at]))
        project.take(max_bad_rows=1_000_000)


def findings(root: Path, made: Made, suffix: str) -> list[str]:
    """What an import of such files did otherwise than their texts say; nothing where it is right."""
    project = LogProject(root)
    written(project, made, suffix)
    first = 1 if suffix == "csv" else 0
    names = [*DECLARED, "payload"]
    events = {row[0]: row[1:] for row in project.events("event_id", *names)}
    aside = {(one.misfit.place, one.misfit.row): one.misfit for one in project.open().quarantine.list()}
    wrong = []
    for at, rows in enumerate(made):
        for row, (line, fields) in enumerate(rows[first:], 1):
            kept = aside.pop((f"d/{at:05d}.{suffix}", row), None)
            event = None if fields is None else events.pop(fields["id"], None)
            where = f"{at:05d} row {row}: {line!r}"
            if (kept is None) is (event is None):
                wrong.append(f"{where} is {'nowhere' if kept is None else 'set aside, and an event'}")
            elif kept is not None and (not kept.reason or kept.raw != line or (fields and surely_fits(fields))):
                wrong.append(f"{where} is set aside: {kept.reason}, with the text {kept.raw!r}")
            elif event is not None and fields is not None:
                wrong += [f"{where}: {one}" for one in _differences(fields, event, json_=suffix != "csv")]
    return wrong + [f"event {one} is of no row" for one in events] + [f"row {one} is in no file" for one in aside]


def _differences(fields: dict[str, Any], event: tuple[Any, ...], *, json_: bool) -> list[str]:
    found = [
        f"{name} is {one!r}" for (name, kind), one in zip(DECLARED.items(), event, strict=False)
        if not same(kind, text_of(fields.get(name)), one)
    ]  # fmt: skip
    payload = _loaded(event[-1])
    for at, name in enumerate(NAMES[len(DECLARED) :]):
        given, kept = fields.get(name), payload[f"x{at}"]
        if json_ and (kept != given or isinstance(kept, _Number) is not isinstance(given, _Number)):
            found.append(f"{name} is {kept!r} in the payload")
        if not json_ and str(given) != str(kept):
            found.append(f"{name} is {kept!r} in the payload")
    for name in () if json_ else ALONE:
        wanted, kept = _alone(name, fields[name]), payload[name]
        if kept != wanted or type(kept) is not type(wanted):
            found.append(f"{name} is {kept!r} in the payload")
    return found


def _alone(name: str, text: str | None) -> Any:
    """What a text of a column of `ALONE` is in the payload: as it stands, and of JSON where its column says so."""
    if name == "truths" and text in ("true", "false"):
        return text == "true"
    if name in ("prices", "sums") and text not in (None, "nan"):
        return _Number(text.replace(".", "0.", 1) if text.lstrip("-")[0] == "." else text)
    return text
