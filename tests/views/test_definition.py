"""View files: what is a view, what is refused and in which words, and the hash that evidence is bound to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualgauge.engines.duck import Engine, open_engine
from dualgauge.eventlog.columns import ENVELOPE
from dualgauge.model import Side
from dualgauge.views.definition import ViewDefinition, define, from_text, read_folder
from dualgauge.views.errors import BadColumn, BadName, BadSelect, NoKey, NotDeterministic, OtherRelation, ViewError

if TYPE_CHECKING:
    from collections.abc import Iterator

GOLDEN = Path(__file__).parents[1] / "golden"
COLUMNS = {**ENVELOPE, "carrier": "VARCHAR", "origin": "VARCHAR", "delay": "BIGINT", "fare": "DECIMAL(8,2)"}
FILE = Path("views_v1/orders.sql")
HAS = (
    "mend the file: a view reads the relation `events`, whose columns are position, event_id, type, occurred_at, "
    "recorded_at, payload, carrier, origin, delay, fare"
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine(memory_limit="200MB", threads=1) as opened:
        yield opened


def view(engine: Engine, text: str) -> ViewDefinition:
    return from_text(engine, text, "orders", Side.V1, FILE, COLUMNS)


def refused(engine: Engine, select: str, kind: type[ViewError] = ViewError, header: str = "-- key: k") -> str:
    with pytest.raises(kind) as caught:
        view(engine, f"{header}\n\n{select}")
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith("views_v1/orders.sql: ")
    return str(caught.value).removeprefix("views_v1/orders.sql: ")


# The hash.


def test_definition_hashes_of_scheme_1_never_change(engine: Engine) -> None:
    """A hash that changed makes every build stale and all evidence worthless: never mend this file to fit the code."""
    golden = json.loads((GOLDEN / "definition_hashes.json").read_text(encoding="utf-8"))

    found = {
        file.stem: define(engine, file, Side.V1, COLUMNS).hash for file in sorted((GOLDEN / "views").glob("*.sql"))
    }
    assert found == golden


GAPS = st.sampled_from([" ", "\n", "  \t", "\n-- a remark: it's\n", " /* a -- remark */ "])


@given(st.data())
def test_comments_and_blanks_never_change_the_definition_hash(engine: Engine, data: st.DataObject) -> None:
    pieces = ["SELECT", "carrier", "AS", "k,", "count(*)", "AS", "n", "FROM", "events", "GROUP", "BY", "carrier"]
    text = "".join(piece + data.draw(GAPS) for piece in pieces)

    assert view(engine, f"-- key: k\n\n{text}").hash == view(engine, f"-- key: k\n\n{' '.join(pieces)}").hash


SAMPLE = "-- key: k\n-- index: n\n\nSELECT carrier AS k, count(*) AS n FROM events WHERE type = 'a' GROUP BY carrier"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SELECT", "select"),
        ("-- key: k\n", "-- description: said anew\n--   key:  k\n"),
        ("FROM", "-- a comment\nFROM"),
        ("\n\n", "\n\n-- remark: not a header\n"),
    ],
)
def test_what_does_not_change_a_view_does_not_change_its_hash(engine: Engine, old: str, new: str) -> None:
    assert view(engine, SAMPLE.replace(old, new)).hash == view(engine, SAMPLE).hash


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("'a'", "'A'"),
        ("count(*)", "count(delay)"),
        ("FROM events", "FROM Events"),
        ("-- index: n\n", ""),
        ("-- index: n\n", "-- index: n\n-- affected_by: carrier\n"),
        ("-- index: n\n", "-- index: n\n-- unique: delay\n"),
        ("-- index: n\n", "-- index: n\n-- allow: full\n"),
        ("-- key: k\n", "-- key: k, n\n"),
    ],
)
def test_what_may_change_a_view_changes_its_hash(engine: Engine, old: str, new: str) -> None:
    assert view(engine, SAMPLE.replace(old, new)).hash != view(engine, SAMPLE).hash


def test_the_hash_follows_the_types_of_the_log(engine: Engine) -> None:
    text = "-- key: carrier\n\nSELECT carrier, max(delay) AS most FROM events GROUP BY carrier"
    wider = from_text(engine, text, "orders", Side.V1, FILE, {**COLUMNS, "delay": "DECIMAL(8,2)"})

    assert view(engine, text).columns == {"carrier": "VARCHAR", "most": "BIGINT"}
    assert wider.columns == {"carrier": "VARCHAR", "most": "DECIMAL(8,2)"}
    assert wider.hash != view(engine, text).hash


def test_both_sides_give_one_text_one_hash(engine: Engine) -> None:
    other = from_text(engine, SAMPLE, "another", Side.V2, Path("elsewhere.sql"), COLUMNS)

    assert other.hash == view(engine, SAMPLE).hash
    assert other.label == "v2.another"


# What a view may be.


@pytest.mark.parametrize(
    "select",
    [
        "WITH late AS (SELECT * FROM events WHERE delay > 1) SELECT carrier AS k, count(*) AS n FROM late GROUP BY ALL",
        "SELECT carrier AS k, count(*) AS n FROM (SELECT * FROM events WHERE delay > 10) GROUP BY carrier",
        "SELECT carrier AS k, (SELECT count(*) FROM events) AS n FROM events GROUP BY ALL",
        (
            "SELECT e.position AS k, w.delay FROM events AS e "
            "ASOF LEFT JOIN (SELECT position, origin, delay FROM events) AS w "
            "ON e.origin = w.origin AND e.position >= w.position"
        ),
        "FROM events SELECT carrier AS k, count(*) AS n GROUP BY ALL",
        "SELECT carrier AS k FROM events UNION SELECT origin FROM events",
        "SELECT DISTINCT carrier AS k FROM EVENTS",
        "SELECT carrier AS k FROM events QUALIFY row_number() OVER (PARTITION BY carrier ORDER BY position DESC) = 1",
        "SELECT position * 10 + r AS k FROM events, range(3) AS t(r)",
        "SELECT position * 10 + r AS k FROM events, unnest([1, 2]) AS t(r)",
        "SELECT n AS k FROM (VALUES (1), (2)) AS t(n)",
        "SELECT carrier AS k, list_transform([1, 2], lambda x: x + 1) AS l FROM events",
        "SELECT carrier AS k, age(recorded_at, occurred_at) AS took FROM events",
        "SELECT carrier AS k FROM events; -- the end",
        "SELECT e'it\\'s' || carrier AS k FROM events",
        "SELECT 'now() read_csv()' || carrier AS k FROM events",
    ],
)
def test_a_select_over_the_log_alone_is_a_view(engine: Engine, select: str) -> None:
    assert "k" in view(engine, f"-- key: k\n\n{select}").columns


@pytest.mark.parametrize(
    ("select", "named"),
    [
        ("SELECT carrier AS k FROM airports", "airports"),
        ("SELECT carrier AS k FROM events JOIN airports USING (origin)", "airports"),
        ("SELECT carrier AS k FROM events WHERE origin IN (SELECT code FROM airports)", "airports"),
        ("SELECT carrier AS k FROM main.events", "main.events"),
        ("SELECT name AS k FROM read_csv('carriers.csv')", "read_csv()"),
        ("SELECT name AS k FROM 'carriers.parquet'", "carriers.parquet"),
        ("SELECT name AS k FROM duckdb_settings()", "duckdb_settings()"),
        ("SELECT table_name AS k FROM information_schema.tables", "information_schema.tables"),
        ("SELECT x AS k FROM query('SELECT 1 AS x')", "query()"),
        ("SELECT carrier AS k FROM events, LATERAL read_text('/etc/hosts') f", "read_text()"),
        ("SELECT carrier AS k FROM events, LATERAL query('SELECT 1 AS x')", "query()"),
        ("SELECT carrier AS k FROM events WHERE EXISTS (FROM glob('/etc/*'))", "glob()"),
        ("SELECT carrier AS k, $t1$ -- $t1$ AS n FROM events, read_text('/etc/hosts')", "read_text()"),
        ("WITH a AS (SELECT 1 AS k) SELECT k FROM (WITH b AS (FROM a) FROM b) JOIN b USING (k)", "b"),
        ("WITH a AS (SELECT * FROM a) SELECT 1 AS k FROM a", "a"),
        (
            'WITH x AS (SELECT (WITH "f.csv" AS (SELECT 1 AS k) SELECT k FROM "f.csv") AS k) SELECT k FROM "f.csv"',
            "f.csv",
        ),
        ("SELECT column_name AS k FROM (DESCRIBE events)", "show()"),
        ("SELECT json_serialize_plan('FROM range(1)') AS k FROM events", "json_serialize_plan()"),
    ],
)
def test_a_view_that_reads_anything_but_the_log_is_refused(engine: Engine, select: str, named: str) -> None:
    assert refused(engine, select, OtherRelation) == (
        f"it reads {named}, but a view reads only `events`: what is not in the log cannot be replayed; "
        "import that data as events"
    )


@pytest.mark.parametrize(
    ("call", "named"),
    [
        ("now()", "now()"),
        ("NOW()", "now()"),
        ("ago(INTERVAL 1 DAY)", "ago()"),
        ("INTERVAL 1 DAY.ago()", "ago()"),
        ("pg_postmaster_start_time()", "pg_postmaster_start_time()"),
        ("format_type(23, NULL)", "format_type()"),
        ("current_date", "current_date()"),
        ("current_timestamp", "current_timestamp()"),
        ("current_time", "current_time()"),
        ("localtimestamp", "localtimestamp()"),
        ("today()", "current_date()"),
        ("random()", "rand()"),
        ("uuid()", "uuid()"),
        ("gen_random_uuid()", "uuid()"),
        ("getenv('HOME')", "getenv()"),
        ("current_setting('threads')", "current_setting()"),
        ("age(occurred_at)", "age() of one time"),
        ("occurred_at.age()", "age() of one time"),
    ],
)
def test_a_view_that_would_answer_otherwise_at_the_next_replay_is_refused(
    engine: Engine, call: str, named: str
) -> None:
    assert refused(engine, f"SELECT carrier AS k, {call} AS x FROM events", NotDeterministic) == (
        f"{named} would give another answer at every replay; a view is a function of the log alone: "
        "use a column of the events instead, such as occurred_at"
    )


def test_a_sample_of_the_log_is_refused(engine: Engine) -> None:
    for select in ("SELECT carrier AS k FROM events TABLESAMPLE 10%", "SELECT carrier AS k FROM events USING SAMPLE 5"):
        assert refused(engine, select, NotDeterministic).startswith(
            "a sample would give another answer at every replay"
        )


def test_no_function_that_duckdb_itself_calls_volatile_is_let_through(engine: Engine) -> None:
    # `error` gives no answer at all, so it cannot give another one.
    found = engine.rows(
        "SELECT DISTINCT function_name, length(parameter_types) FROM duckdb_functions() "
        "WHERE stability <> 'CONSISTENT' AND function_type = 'scalar' AND function_name <> 'error'"
    )
    accepted = []
    for name, count in found:
        arguments = ", ".join(["'x'"] * count)
        try:
            view(engine, f"-- key: k\n\nSELECT carrier AS k, {name}({arguments}) AS x FROM events")
        except NotDeterministic:
            continue
        except ViewError:
            # It does not take these arguments; what it is called with instead makes no difference to the refusal.
            pass
        accepted.append(name)
    assert accepted == []


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO events VALUES (1)",
        "DELETE FROM events",
        "CREATE TABLE x AS SELECT 1 AS k",
        "DROP VIEW events",
        "COPY events TO 'x.csv'",
        "PRAGMA version",
        "SUMMARIZE events",
        "DESCRIBE events",
    ],
)
def test_a_statement_that_is_no_select_is_refused(engine: Engine, statement: str) -> None:
    assert refused(engine, statement) == "it is no SELECT; a view is one SELECT over `events`"


def test_two_statements_are_refused(engine: Engine) -> None:
    said = refused(engine, "SELECT carrier AS k FROM events; SELECT origin AS k FROM events")
    assert said == "it holds 2 statements; a view is one SELECT"


def test_a_file_with_a_header_alone_is_refused(engine: Engine) -> None:
    assert refused(engine, "") == "it holds 0 statements; a view is one SELECT"


def test_a_view_without_a_key_is_refused_and_its_columns_are_offered(engine: Engine) -> None:
    assert refused(engine, "SELECT carrier, origin FROM events", NoKey, header="-- description: none") == (
        "the view has no key; begin the file with `-- key: COLUMN`, naming what identifies a row out of carrier, origin"
    )


def test_a_key_that_the_select_does_not_give_is_refused_with_the_nearest(engine: Engine) -> None:
    assert refused(engine, "SELECT carrier, delay FROM events", header="-- key: carier") == (
        "`-- key:` names 'carier', which the SELECT does not give (did you mean 'carrier'?); "
        "its columns are carrier, delay"
    )


def test_an_index_that_the_select_does_not_give_is_refused(engine: Engine) -> None:
    assert refused(engine, "SELECT carrier AS k FROM events", header="-- key: k\n-- index: k, when") == (
        "`-- index:` names 'when', which the SELECT does not give; its columns are k"
    )


def test_affected_by_needs_one_expression_for_each_key_column(engine: Engine) -> None:
    said = refused(engine, "SELECT carrier AS k FROM events", header="-- key: k\n-- affected_by: carrier, origin")
    assert said == (
        "`-- affected_by:` has 2 expressions and the key 1 column; give one each, or name the columns that it gives "
        "(`column = expression`)"
    )


def test_affected_by_must_be_something_that_an_event_has(engine: Engine) -> None:
    said = refused(engine, "SELECT carrier AS k FROM events", BadSelect, header="-- key: k\n-- affected_by: k")
    assert said.startswith('`-- affected_by:` Binder Error: Referenced column "k" not found')
    assert said.endswith(HAS)


@pytest.mark.parametrize(
    "line",
    [
        "carrier, delay", "k = carrier", "d = delay + 1, k = carrier", "carrier, (delay > 1)::BIGINT",
        "SELECT carrier AS k, delay AS d FROM batch",
        "SELECT carrier AS k FROM events WHERE origin IN (SELECT origin FROM batch)",
        "WITH a AS (SELECT origin FROM batch) SELECT e.delay AS d FROM events AS e JOIN a USING (origin)",
    ],
)  # fmt: skip
def test_each_form_of_affected_by_may_stand_once_or_with_others(engine: Engine, line: str) -> None:
    select = "\n\nSELECT carrier AS k, delay AS d, count(*) AS n FROM events GROUP BY ALL"
    once = view(engine, f"-- key: k, d\n-- affected_by: {line}{select}")
    more = view(engine, f"-- key: k, d\n-- affected_by: {line}\n-- affected_by: origin, position{select}")

    assert (len(once.header.affected_by), len(more.header.affected_by)) == (1, 2)
    assert once.hash != more.hash


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("SELECT carrier AS k FROM events", "its SELECT reads events; it must read `batch`, the new events, and may"),
        ("SELECT 1 AS k", "its SELECT reads nothing; it must read `batch`"),
        ("SELECT k FROM batch, 'x.parquet'", "`-- affected_by:` IO Error"),
        ("SELECT carrier FROM batch", "it gives 'carrier', which is not a column of the key; the key is k"),
        ("SELECT carrier AS kk FROM batch", "not a column of the key (did you mean 'k'?); the key is k: name"),
        ("(SELECT max(carrier) FROM batch)", "an expression reads batch; write a SELECT over `batch`, the new events"),
        ("kk = carrier", "`-- affected_by:` Binder Error"),
        ("origin = carrier", "it gives 'origin', which is not a column of the key; the key is k: name its columns"),
        ("SELECT carrier AS k FROM batch WHERE occurred_at < now()", "now() would give another answer"),
        ("SELECT carrier AS k FROM batch; SELECT 1", "it holds 2 statements"),
    ],
)
def test_an_affected_by_that_gives_no_rows_is_refused(engine: Engine, line: str, reason: str) -> None:
    said = refused(engine, "SELECT carrier AS k FROM events", header=f"-- key: k\n-- affected_by: {line}")
    assert reason in said


def test_what_is_said_to_be_unique_must_be_columns_of_the_events(engine: Engine) -> None:
    said = refused(engine, "SELECT carrier AS k FROM events", header="-- key: k\n-- unique: carrier, delai")
    assert said.startswith("`-- unique:` names 'delai', which the events do not have (did you mean 'delay'?); their")


def test_an_order_that_is_said_to_be_unique_is_one(engine: Engine) -> None:
    select = "\nSELECT carrier AS k, arg_max(origin, delay) AS o FROM events GROUP BY carrier"
    assert "arg_max(origin, delay) may give another answer" in refused(engine, select, header="-- key: k")

    for names in ("delay", "carrier, delay"):
        assert view(engine, f"-- key: k\n-- unique: {names}{select}").header.unique
    assert "arg_max(origin, delay)" in refused(engine, select, header="-- key: k\n-- unique: origin, delay, type")


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (
            "delay AS _hidden",
            "column '_hidden' begins with an underscore; such names belong to dualgauge: rename it with AS",
        ),
        ("NULL AS nothing", "column 'nothing' is a bare NULL without a type; write CAST(NULL AS a type)"),
        ("delay AS k", "column 'k' is given twice; give each column a name of its own with AS"),
        ("delay AS K", "column 'K' differs from 'k' only in case; give each column a name of its own with AS"),
    ],
)
def test_a_column_that_no_store_can_hold_is_refused(engine: Engine, column: str, said: str) -> None:
    assert refused(engine, f"SELECT carrier AS k, {column} FROM events", BadColumn) == said


def test_a_syntax_error_is_told_in_duckdbs_words(engine: Engine) -> None:
    said = refused(engine, "SELECT carrier AS k FROM events GRUOP BY carrier", BadSelect)
    assert said == f'line 3: Parser Error: syntax error at or near "BY"; {HAS}'


def test_a_column_that_no_event_has_is_refused_with_those_there_are(engine: Engine) -> None:
    said = refused(engine, "SELECT carrier AS k, dely FROM events", BadSelect)
    missing = 'Binder Error: Referenced column "dely" not found in FROM clause'
    assert said == f"line 3: {missing} (did you mean 'delay'?); {HAS}"


def test_an_open_quote_is_named_by_its_line(engine: Engine) -> None:
    assert refused(engine, "SELECT carrier AS k,\n 'open FROM events") == "line 4: a quote (') is not closed; close it"
    assert refused(engine, "SELECT 1 AS k /* open") == "line 3: a comment (/*) is not closed; close it"


# Files and folders.


@pytest.mark.parametrize(
    "name", ["Orders", "orders-2", "2orders", "orders__2", "_orders", "orders_", "o" * 41, "größe"]
)
def test_a_file_name_that_cannot_name_a_view_is_refused(engine: Engine, tmp_path: Path, name: str) -> None:
    file = tmp_path / f"{name}.sql"
    file.write_text("-- key: k\nSELECT carrier AS k FROM events")
    with pytest.raises(BadName) as caught:
        define(engine, file, Side.V1, COLUMNS)
    assert str(caught.value) == (
        f"{file}: a view is named by its file: lower-case letters, digits and single underscores, beginning with a "
        "letter, at most 40 characters; rename the file"
    )


def test_a_python_file_among_the_views_is_refused(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "orders.py").write_text("")
    with pytest.raises(ViewError) as caught:
        read_folder(engine, tmp_path, Side.V1, COLUMNS)
    assert str(caught.value) == (
        f"{tmp_path / 'orders.py'}: views are .sql files in this version; folds in Python are not supported yet; "
        "move the file away"
    )


def test_a_file_that_is_not_utf_8_is_refused(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "orders.sql"
    file.write_bytes("-- key: k\n-- description: Größe\nSELECT 1 AS k".encode("latin-1"))
    with pytest.raises(ViewError) as caught:
        define(engine, file, Side.V1, COLUMNS)
    assert str(caught.value) == f"{file}: it is not UTF-8 text (invalid start byte at byte 28); save it as UTF-8"


def test_a_byte_order_mark_and_foreign_line_ends_change_nothing(engine: Engine, tmp_path: Path) -> None:
    text = "-- key: k\n-- index: n\n\nSELECT carrier AS k, count(*) AS n -- counted\nFROM events GROUP BY ALL\n"
    (tmp_path / "plain.sql").write_bytes(text.encode())
    (tmp_path / "marked.sql").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())

    marked, plain = read_folder(engine, tmp_path, Side.V1, COLUMNS)
    assert (marked.name, plain.name) == ("marked", "plain")
    assert marked.hash == plain.hash
    assert marked.header == plain.header


def test_a_folder_that_is_not_there_holds_no_views(engine: Engine, tmp_path: Path) -> None:
    assert read_folder(engine, tmp_path / "views_v1", Side.V1, COLUMNS) == []
