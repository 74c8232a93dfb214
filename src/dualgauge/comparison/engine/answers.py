"""
Pairs of answers that applications got from both sides and that differ: judged as a diff judges their rows.

A router knows the rules of columns alone; whether a difference was expected hangs on both rows, and is said in SQL.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from dualgauge.comparison.content.json_content import content_of
from dualgauge.comparison.engine.diff import compare_relations
from dualgauge.engines.files.column_types import is_number, kept_whole
from dualgauge.engines.scratch import scratch
from dualgauge.errors import DualgaugeError
from dualgauge.ledger.reads import PairVerdict
from dualgauge.model import Side, literal, quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from dualgauge.comparison.content.comparator import Comparator
    from dualgauge.engines.duck import Engine

    Value = str | list[str] | None
    Rows = Sequence[Mapping[str, Value]]

_PAIR: Final = "pair of answers"
"""A column of a pair's place, which is a part of the key; no view has one of this name, or its pairs are not judged."""


_NOT_WHOLE: Final = "it is no value of its column's type"


def judge_answers(
    engine: Engine,
    comparator: Comparator,
    pairs: Sequence[tuple[str, str]],
    columns: Mapping[Side, Mapping[str, str]],
    today: date,
) -> list[PairVerdict]:
    """
    What each pair comes to.

    Args:
        engine: compares them.
        comparator: the view's, with its expected differences.
        pairs: v1's and v2's answer, as `dualgauge_router.evidence.whole` writes them.
        columns: of the view on each side, with their types.
        today: the day by which expected differences expire.
    """
    found = [PairVerdict.COMPARATOR_ERROR] * len(pairs)
    read: dict[int, dict[Side, Rows]] = {}
    for at, answers in enumerate(pairs):
        rows = dict(zip(Side, map(_rows, answers), strict=True))
        named = all(set(row) == set(columns[side]) for side in Side for row in rows[side])
        if named and all(_alike(rows, columns, name) for name in set.intersection(*map(set, columns.values()))):
            read[at] = rows
    for at, verdict in _judged(engine, comparator, read, columns, today).items():
        found[at] = verdict
    return found


def _alike(rows: Mapping[Side, Rows], columns: Mapping[Side, Mapping[str, str]], name: str) -> bool:
    """
    Whether a column's values can be told apart: callers of one side get no texts where those of the other get numbers.

    In JSON both are what they are. There two texts that say the same otherwise may be JSON, or texts in JSON: one
    value, or two.
    """
    values = [[row[name] for row in rows[side] if row[name] is not None] for side in Side]
    if any(columns[side][name] != "JSON" for side in Side):
        kinds = [{type(one) for one in some} for some in values]
        return not all(kinds) or kinds[0] == kinds[1] or any(_is_nested(columns[side][name]) for side in Side)
    texts = [sorted(one for one in some if isinstance(one, str) and _is_container(one)) for some in values]
    return texts[0] == texts[1] or sorted(map(str, map(content_of, texts[0]))) != sorted(
        map(str, map(content_of, texts[1]))
    )


def _is_container(text: str) -> bool:
    """Whether a text is JSON of a list or an object."""
    try:
        return isinstance(json.loads(text, parse_float=str, parse_int=str), list | dict)
    except (ValueError, RecursionError):
        return False


def _judged(
    engine: Engine,
    comparator: Comparator,
    pairs: Mapping[int, Mapping[Side, Rows]],
    columns: Mapping[Side, Mapping[str, str]],
    today: date,
) -> dict[int, PairVerdict]:
    """The pairs that can be judged; where that fails for all together, each by itself."""
    if not pairs:
        return {}
    try:
        wrong = _wrong(engine, comparator, pairs, columns, today)
    except DualgaugeError:
        wrong = None
    if wrong is not None:
        return {at: PairVerdict.MISMATCHED if at in wrong else PairVerdict.EXPECTED for at in pairs}
    if len(pairs) == 1:
        return {}
    places = list(pairs)
    half = len(places) // 2
    return {
        at: verdict
        for some in (places[:half], places[half:])
        for at, verdict in _judged(engine, comparator, {at: pairs[at] for at in some}, columns, today).items()
    }


def _wrong(
    engine: Engine,
    comparator: Comparator,
    pairs: Mapping[int, Mapping[Side, Rows]],
    columns: Mapping[Side, Mapping[str, str]],
    today: date,
) -> set[int] | None:
    """The pairs with a row that is mismatched; None where a key is NULL or doubled, or the sides cannot be paired."""
    names = {side: f"_answers_{side.value}" for side in Side}
    with scratch("answers") as folder:
        try:
            for side, name in names.items():
                engine.register(
                    name, _table([(at, row) for at, one in pairs.items() for row in one[side]], columns[side])
                )
            v1, v2 = (_typed(names[side], columns[side]) for side in Side)
            keyed = replace(comparator, key=(_PAIR, *comparator.keys), v1=None, v2=None, checks=(), affected_by=None)
            keys = folder / "keys.parquet"
            done = compare_relations(engine, v1, v2, keyed, today=today, samples=0, keep=keys, stable=True)
            if done.key_problems or not keys.exists():
                return None
            return {at for (at,) in engine.rows(f"SELECT DISTINCT {quote(_PAIR)} FROM {literal(str(keys))}")}
        finally:
            for name in names.values():
                engine.unregister(name)


def _table(rows: Sequence[tuple[int, Mapping[str, Value]]], columns: Mapping[str, str]) -> pa.Table:
    texts: dict[str, Any] = {
        name: pa.array([_exact(row[name], kind) for _, row in rows], pa.string()) for name, kind in columns.items()
    }
    return pa.table({_PAIR: pa.array([at for at, _ in rows], pa.int64()), **texts})


def _typed(name: str, columns: Mapping[str, str]) -> str:
    typed = (f"{_value(quote(column), kind)} AS {quote(column)}" for column, kind in columns.items())
    return f"SELECT {quote(_PAIR)}, {', '.join(typed)} FROM {name}"


def _is_nested(kind: str) -> bool:
    return kind.endswith("]") or kind.startswith(("STRUCT", "MAP"))


def _exact(value: Value, kind: str) -> str | None:
    """
    The text of a value that the engine reads.

    Of a list or a struct, numbers are texts: the engine takes those of JSON through DOUBLE. A text in a JSON column is
    JSON where that is a list or an object, as readers that decode nothing get it; else it is a text in JSON.
    """
    text = value[0] if isinstance(value, list) else value
    if text is None:
        return None
    if kind == "JSON" and isinstance(value, str) and not _is_container(value):
        return json.dumps(value)
    return json.dumps(json.loads(text, parse_float=str, parse_int=str)) if _is_nested(kind) else text


def _value(text: str, kind: str) -> str:
    if kind == "BLOB":
        return f"unhex({text})"
    if _is_nested(kind):
        return f"CAST(CAST({text} AS JSON) AS {kind})"
    # What an application's own function gives may be no value of the view's type: 1.504, or a time with an offset.
    return f"CASE WHEN {_whole(text, kind)} IS false THEN error({literal(_NOT_WHOLE)}) ELSE CAST({text} AS {kind}) END"


def _whole(text: str, kind: str) -> str:
    if kind == "BOOLEAN":
        return f"regexp_full_match({text}, '(?i:true|false)')"
    whole = "BIGINT" if is_number(kind) and kind.partition("(")[0] not in ("DECIMAL", "DOUBLE", "FLOAT") else kind
    return kept_whole(text, whole.replace(" WITH TIME ZONE", "TZ"))


def _rows(text: str) -> Rows:
    rows: Rows = json.loads(text)
    return rows
