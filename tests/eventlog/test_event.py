"""Events of applications: every value comes back as it was given, and what would lose something is refused by name."""

from __future__ import annotations

import itertools
import json
import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dualgauge import Event
from dualgauge.eventlog.append.event import Call, parse, row_of
from dualgauge.eventlog.append.payload import canonical, same_payload
from dualgauge.eventlog.errors import BadEvent, ChangedEvent
from support.log_project import LogProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dualgauge.eventlog.append.appender import Appender

WHEN = datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=UTC)
COLUMNS = {
    "whole": "BIGINT", "part": "DOUBLE", "name": "VARCHAR", "truth": "BOOLEAN", "day": "DATE", "local": "TIMESTAMP",
    "moment": "TIMESTAMPTZ", "raw": "BLOB", "money": "DECIMAL(12,2)", "wide": "DECIMAL(38,9)", "caused_by": "VARCHAR",
}  # fmt: skip

TZ = "is no TIMESTAMPTZ: a time with its zone, to the microsecond"
NO_TIME = "is no time (ISO 8601, as 2026-01-31T12:00:00Z, to the microsecond)"
WHOLE = "is no BIGINT: a whole number of 64 bits"
HALF = "holds half of a character (a lone surrogate), which has no UTF-8"
EXACT = "is no DECIMAL(12,2): a Decimal or an int (a float has no exact digits)"
CENTS = "does not fit into DECIMAL(12,2) without loss"
NOON = "2026-01-31 12:00:00.000005+00:00"
TOP = "event_id, type, occurred_at, caused_by, fields"

numbers = itertools.count(1)
zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=zones)  # noqa: DTZ001  (zones are drawn)
values = st.fixed_dictionaries({}, optional={
    "whole": st.integers(-(2**63), 2**63 - 1), "part": st.floats(), "name": texts, "truth": st.booleans(),
    "day": st.dates(), "local": st.datetimes(), "moment": moments, "raw": st.binary(max_size=12),
    "money": st.integers(-(10**12) + 1, 10**12 - 1).map(lambda cents: Decimal(cents).scaleb(-2)),
    "wide": st.integers(-(10**38) + 1, 10**38 - 1).map(lambda cents: Decimal((cents < 0, digits(cents), -9))),
})  # fmt: skip
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
trees = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
names = texts.filter(lambda name: name.lower() not in COLUMNS)


def digits(number: int) -> tuple[int, ...]:
    return tuple(int(one) for one in str(abs(number)))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> LogProject:
    return LogProject(tmp_path_factory.mktemp("events"), columns=COLUMNS)


@pytest.fixture(scope="module")
def log(project: LogProject) -> Iterator[Appender]:
    with project.open().appender() as made:
        yield made


def event(event_id: str = "e-1", kind: str = "seen", at: Any = WHEN, caused_by: Any = None, **fields: Any) -> Event:
    return Event(event_id, kind, at, fields, caused_by)


def line(**given: Any) -> bytes:
    return json.dumps({"event_id": "e-1", "type": "seen", "occurred_at": WHEN.isoformat(), **given}).encode()


def refused(made: Event | bytes) -> str:
    """What is wrong with an event, or with a line."""
    with pytest.raises(BadEvent) as fault:
        row_of(parse(made, COLUMNS, 0, Call()) if isinstance(made, bytes) else made, COLUMNS, 0, Call())
    head, tail = "event 1 of this call ", "; nothing of this call was appended: mend it, and append them all again"
    said = str(fault.value)
    assert said.startswith(head.rstrip())
    assert said.endswith(tail)
    return said.removeprefix(head).removeprefix("('e-1')").removeprefix(head.rstrip()).removesuffix(tail).lstrip(": ")


def plain(value: Any) -> Any:
    """Numbers as their digits' value, so that nothing is compared after rounding; true is not 1."""
    match value:
        case bool():
            return str(value)
        case int() | float() | Decimal():
            return Decimal(str(value))
        case dict():
            return {name: plain(one) for name, one in value.items()}
        case list():
            return [plain(one) for one in value]
    return value


def as_json(value: Any) -> Any:
    match value:
        case bytes():
            return value.hex()
        case date():
            return value.isoformat()
        case Decimal():
            return str(value)
    return value


@settings(max_examples=40)
@given(given_=st.lists(st.tuples(moments, values), min_size=1, max_size=20))
def test_every_declared_value_comes_back_as_it_was_given(
    given_: list[tuple[datetime, dict[str, Any]]], log: Appender, project: LogProject
) -> None:
    events = [event(f"v-{next(numbers)}", at=at, **fields) for at, fields in given_]
    positions = log.append(events)
    found = project.open().log.show(positions[0], limit=len(events)).events

    assert [row["position"] for row in found] == positions
    for row, one in zip(found, events, strict=True):
        assert (row["event_id"], row["type"], row["payload"]) == (one.event_id, "seen", None)
        assert row["occurred_at"] == one.occurred_at
        for name in COLUMNS:
            want = one.fields.get(name)
            both_nan = isinstance(want, float) and math.isnan(want) and math.isnan(row[name])
            assert both_nan or row[name] == want
            assert type(row[name]) is type(want)
    assert log.append(events) == positions


@given(at=moments, fields=values.filter(lambda one: math.isfinite(one.get("part", 0.0))))
def test_a_line_of_json_is_the_same_event_as_in_python(at: datetime, fields: dict[str, Any]) -> None:
    told = {name: as_json(value) for name, value in fields.items()}
    written = line(occurred_at=at.isoformat(), fields=told)

    assert row_of(parse(written, COLUMNS, 0, Call()), COLUMNS, 0, Call()) == row_of(
        event(at=at, **fields), COLUMNS, 0, Call()
    )


@given(rest=st.dictionaries(names, trees, max_size=4))
@example(rest={"a": 10**400, "b": Decimal("0.1000000000000000000000000000000000000001"), "c": [True, 1, 1.0, -0.0]})
def test_what_is_not_declared_keeps_every_digit_in_the_payload(rest: dict[str, Any]) -> None:
    payload = row_of(Event("e-1", "seen", WHEN, rest), COLUMNS, 0, Call()).payload

    if not rest:
        assert payload is None
        return
    assert payload is not None
    assert plain(json.loads(payload, parse_float=Decimal)) == plain(rest)
    again = row_of(
        parse(b'{"event_id":"e-1","type":"seen","occurred_at":"2026-01-31T12:00:00.000005Z","fields":%s}'
              % payload.encode(), COLUMNS, 0, Call()), COLUMNS, 0, Call(),
    )  # fmt: skip
    assert same_payload(again.payload, payload)


def test_a_payload_is_canonical_json() -> None:
    made = {"z": Decimal("1.50"), "a": [1, None, True, 0.1], "é": {"y": "ü\n", "x": {}}, "i": 2**70, "n": ()}
    assert (
        canonical(made) == '{"a":[1,null,true,0.1],"i":1180591620717411303424,"n":[],"z":1.50,"é":{"x":{},"y":"ü\\n"}}'
    )
    kinds = [WHEN, date(2026, 1, 31), time(1, 2), b"\xff", UUID(int=7)]
    assert json.loads(canonical(kinds)) == [
        "2026-01-31T12:00:00.000005+00:00", "2026-01-31", "01:02:00", "ff", "00000000-0000-0000-0000-000000000007",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ('{"a":1,"b":[1.5,{"c":null}]}', '{"b": [1.50, {"c": null}], "a": 1.0}'),
        ('{"a":1e3}', '{"a":1000}'),
        ('{"a":NaN}', '{ "a":NaN}'),
        ("{}", None),
        ('{"Late":1,"a":2}', '{"a":2}'),
        ("no json", "no json"),
        ('{"a":1e99999999999999999999}', '{"a":1e99999999999999999999}'),
    ],
)
def test_payloads_are_the_same_however_they_are_written(mine: str, theirs: str | None) -> None:
    assert same_payload(mine, theirs, ["late"])
    assert same_payload(theirs, mine, ["late"])


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ('{"a":true}', '{"a":1}'),
        ('{"a":[0]}', '{"a":[false]}'),
        ('{"a":null}', '{"a":false}'),
        ('{"a":"1"}', '{"a":1}'),
        ('{"a":1}', '{"a":1,"b":null}'),
        ('{"a":[1,2]}', '{"a":[2,1]}'),
        ('{"a":[1]}', '{"a":[1,1]}'),
        ('{"a":0.1}', '{"a":0.1000000000000000055511151231257827}'),
        ("[1]", '{"a":1}'),
        ("no json", "no jso"),
        ("no json", None),
    ],
)
def test_payloads_differ_where_they_say_something_else(mine: str, theirs: str | None) -> None:
    assert not same_payload(mine, theirs)
    assert not same_payload(theirs, mine)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"whole": 2**63}, "field 'whole' = 9223372036854775808 " + WHOLE),
        ({"whole": True}, "field 'whole' = True " + WHOLE),
        ({"whole": 5.0}, "field 'whole' = 5.0 " + WHOLE),
        ({"whole": "5"}, "field 'whole' = '5' " + WHOLE),
        ({"part": True}, "field 'part' = True is no DOUBLE: a float of 64 bits"),
        ({"part": 2**53 + 1}, "field 'part' = 9007199254740993 does not fit into DOUBLE without loss"),
        ({"part": 10**400}, f"field 'part' = {10**59}... does not fit into DOUBLE without loss"),
        ({"part": Decimal("0.5")}, "field 'part' = 0.5 is no DOUBLE: a float of 64 bits"),
        ({"name": 5}, "field 'name' = 5 is no VARCHAR: a text"),
        (
            {"name": "a\ud800"},
            r"field 'name' = 'a\ud800' " + HALF,
        ),
        ({"truth": 1}, "field 'truth' = 1 is no BOOLEAN: true or false"),
        ({"day": WHEN}, "field 'day' = 2026-01-31 12:00:00.000005+00:00 is no DATE"),
        ({"day": "2026-01-31"}, "field 'day' = '2026-01-31' is no DATE"),
        (
            {"local": WHEN},
            f"field 'local' = {NOON} is no TIMESTAMP: a time without a zone, to the microsecond",
        ),
        (
            {"moment": WHEN.replace(tzinfo=None)},
            "field 'moment' = 2026-01-31 12:00:00.000005 " + TZ,
        ),
        (
            {"moment": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))},
            "field 'moment' = 0001-01-01 00:00:00+01:00 is not in the years 1 to 9999, told in UTC",
        ),
        ({"raw": "ff"}, "field 'raw' = 'ff' is no BLOB: bytes"),
        ({"money": 0.5}, "field 'money' = 0.5 " + EXACT),
        ({"money": Decimal("0.001")}, "field 'money' = 0.001 " + CENTS),
        ({"money": 10**10}, "field 'money' = 10000000000 " + CENTS),
        ({"money": Decimal("NaN")}, "field 'money' = NaN " + CENTS),
        ({"money": Decimal("Infinity")}, "field 'money' = Infinity " + CENTS),
        ({"money": Decimal("1e999999")}, "field 'money' = 1E+999999 " + CENTS),
        ({"wide": 10**29}, f"field 'wide' = {10**29} does not fit into DECIMAL(38,9) without loss"),
        ({"more": math.nan}, "field 'more' = nan holds nan, which is no JSON number"),
        ({"more": [math.inf]}, "field 'more' = [inf] holds inf, which is no JSON number"),
        ({"more": {1: 2}}, "field 'more' = {1: 2} holds the name 1, which is no text"),
        ({"more": {"b"}}, "field 'more' = {'b'} holds a value of set, which JSON has not: give it as a text"),
        ({"\udc00": 1}, r"the field name = '\udc00' " + HALF),
        ({7: 1}, "the field name 7 is no text"),
        ({"whole": 1, "WHOLE": 1}, "field 'WHOLE' is there twice: column names are compared without case"),
    ],
)
def test_a_value_that_would_lose_something_is_refused_with_its_name(fields: dict[Any, Any], said: str) -> None:
    assert refused(Event("e-1", "seen", WHEN, fields)) == said


def test_what_is_nested_too_deep_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert refused(event(more=deep)) == "field 'more' = (list) is nested too deep"
    assert refused(event(more=10**5_000)) == "field 'more' = (int) has more digits than Python writes and reads"
    assert refused(b"[" * 100_000 + b"]" * 100_000).endswith("it is nested too deep")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (event(""), "its event_id is empty"),
        (event(kind=""), "its type is empty"),
        (event(kind=None), "its type = None is no VARCHAR: a text"),  # type: ignore[arg-type]
        (event(at=WHEN.replace(tzinfo=None)), "its occurred_at = 2026-01-31 12:00:00.000005 " + TZ),
        (event(at="2026-01-31"), "its occurred_at = '2026-01-31' " + TZ),
        (
            event(at=datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))),
            "its occurred_at = 9999-12-31 23:59:59.999999-01:00 is not in the years 1 to 9999, told in UTC",
        ),
        (event(caused_by=5), "field 'caused_by' = 5 is no VARCHAR: a text"),
        (
            Event("e-1", "seen", WHEN, {"caused_by": "a"}, "b"),
            "caused_by is there twice: among the fields, and by itself",
        ),
    ],
)
def test_an_envelope_that_does_not_fit_is_refused(made: Event, said: str) -> None:
    assert refused(made) == said


def test_an_id_that_is_no_text_is_named_in_the_sentence() -> None:
    with pytest.raises(BadEvent, match=r"^event 1 of this call \(5\): its event_id = 5 is no VARCHAR: a text; "):
        row_of(Event(5, "seen", WHEN), COLUMNS, 0, Call())  # type: ignore[arg-type]


def test_a_cause_needs_its_column() -> None:
    with pytest.raises(BadEvent, match='caused_by needs a column: declare caused_by = "VARCHAR" in '):
        row_of(event(caused_by="e-0"), {}, 0, Call())


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (b"{", "it is no JSON (Expecting property name enclosed in double quotes at character 2)"),
        (b"[]", "the line holds no JSON object"),
        (b"\xff\xfe", "it is no UTF-8 (byte 1)"),
        (line(position=1, fields={}), f"position: what is no part of the envelope ({TOP}) belongs into fields"),
        (b'{"type":"seen"}', "event_id, occurred_at is missing"),
        (line(fields=[1]), "fields is no JSON object"),
        (line(occurred_at=20260131), "its occurred_at = 20260131 " + NO_TIME),
        (line(occurred_at="yesterday"), "its occurred_at = 'yesterday' " + NO_TIME),
        (
            line(occurred_at="2026-01-31T12:00:00.1234567Z"),
            "its occurred_at = '2026-01-31T12:00:00.1234567Z' " + NO_TIME,
        ),
        (line(fields={"part": 1}).replace(b"1}", b"NaN}"), "NaN is no JSON number"),
        (line(fields={"part": 1}).replace(b"1}", b"1e400}"), "field 'part' = 1E+400 is no DOUBLE: a float of 64 bits"),
        (
            line(fields={"a": 1}).replace(b"1}", b"1e99999999999999999999}"),
            "it holds a number that is out of all bounds",
        ),
        (line(fields={"a": 1}).replace(b"1}", b'1,"a":2}'), "'a' is there twice in one object"),
        (line(fields={"whole": 1}).replace(b"1}", b"1.0}"), "field 'whole' = 1.0 " + WHOLE),
        (
            line(fields={"moment": "2026-01-31T12:00:00.0000001Z"}),
            "field 'moment' = '2026-01-31T12:00:00.0000001Z' " + TZ,
        ),
        (line(fields={"raw": "xy"}), "field 'raw' = 'xy' is no BLOB: bytes"),
        (line(fields={"money": "1,5"}), "field 'money' = '1,5' " + EXACT),
        (line(fields={"name": "\ud800"}), r"field 'name' = '\ud800' " + HALF),
    ],
)
def test_a_line_that_is_no_event_is_refused(made: bytes, said: str) -> None:
    assert refused(made) == said


def test_a_line_says_times_without_a_zone_in_utc_and_more_zeros_than_needed() -> None:
    made = parse(line(occurred_at="2026-01-31T12:00:00.0000050", fields={"moment": "2026-01-31"}), COLUMNS, 0, Call())

    assert made.occurred_at == WHEN
    assert made.fields["moment"] == datetime(2026, 1, 31, tzinfo=UTC)


def test_a_field_may_be_called_as_the_envelope_is(log: Appender, project: LogProject) -> None:
    (position,) = log.append([event("same-names", type="x", position=9, payload={"event_id": 1}, Name="n")])
    (row,) = project.open().log.show(position, limit=1).events

    assert (row["type"], row["position"], row["name"]) == ("seen", position, "n")
    assert row["payload"] == '{"payload":{"event_id":1},"position":9,"type":"x"}'


def test_the_first_and_the_last_time_of_all_can_be_kept(log: Appender, project: LogProject) -> None:
    ends = [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
    first, _ = log.append([event(f"end-{number}", at=at) for number, at in enumerate(ends)])

    assert [row["occurred_at"] for row in project.open().log.show(first, limit=2).events] == ends


def test_an_event_from_before_a_column_was_declared_is_known_and_one_from_after_is_compared(tmp_path: Path) -> None:
    project = LogProject(tmp_path)
    old = event("old", Late=5, other=[1])
    with project.open().appender() as log:
        log.append([old])
    project.columns = {"late": "BIGINT", "later": "VARCHAR"}
    with project.open().appender() as log:
        assert log.append([old]) == [1]
        assert log.append([event("new", late=5)]) == [2]
        with pytest.raises(
            ChangedEvent, match=r"'new' .*: position 2 of the log and event 1 of this call differ in late;"
        ):
            log.append([event("new", late=6)])
        with pytest.raises(ChangedEvent, match=r"'old' .*: position 1 of the log and event 1 .* differ in payload;"):
            log.append([event("old", Late=5, other=[2])])
