"""An object of JSON that an expression takes whole: a later field of it is a row that does not fit, and never lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dualgauge.engines.duck import Engine, open_engine
from dualgauge.engines.files.json_shapes import CLOSED
from dualgauge.eventlog.errors import BadMapping, BadRow
from dualgauge.eventlog.settings import SourceSettings
from dualgauge.eventlog.sources.whole_objects import closed
from support.log_project import LogProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHAPES = {
    "v": '{"a":"BIGINT","s":{"x":"BIGINT","t":{"z":"BIGINT"}}}',
    "items": '[{"p":"BIGINT","parts":[{"n":"BIGINT"}]}]',
    "tags": '["VARCHAR"]',
    "id": "VARCHAR",
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine() as found:
        yield found


def taken(shape: Any, path: str) -> set[str]:
    """The paths of a shape's closed objects."""
    if isinstance(shape, list):
        return taken(shape[0], path)
    if not isinstance(shape, dict):
        return set()
    inner = [taken(one, f"{path}.{name}") for name, one in shape.items() if name != CLOSED]
    return set().union(*inner, {path} if CLOSED in shape else set())


def found_in(engine: Engine, **given: Any) -> set[str]:
    settings = SourceSettings.model_validate({"name": "s", "path": "d/*", **given})
    kinds = closed(engine, settings, SHAPES, ["v", "items", "tags", "id", "seen"])
    assert kinds["id"] == "VARCHAR"
    return set().union(*(taken(json.loads(kind), name) for name, kind in kinds.items() if name != "id"))


V, ITEMS = {"v", "v.s", "v.s.t"}, {"items", "items.parts"}


@pytest.mark.parametrize(
    ("expression", "whole"),
    [
        ("v", set()), ('"V"', set()), ("v.a", set()), ("v.s", {"v.s", "v.s.t"}), ("v.s.x + v.a", set()),
        ("coalesce(v, NULL)", V), ("to_json(v)", V), ("V::JSON", V), ("{'k': v}", V), ("v['s']", {"v.s", "v.s.t"}),
        ("v['s']['t'].z", set()), ("(v).s.t", {"v.s.t"}), ("struct_extract(v, 'a')", set()),
        ("v->>'b'", {"v"}), ("v::JSON->>'$.b'", {"v"}), ("(v::JSON).b", {"v"}), ("v.s->>'y'", {"v.s"}),
        ("v->>'a'", set()), ("v->'s'", {"v.s", "v.s.t"}), ("v::JSON->>'$.a'", set()), ("v->>'$.s.t'", V),
        ("json_extract_string(v, 'a')", set()), ("v IS NULL", set()), ("v.s IS NOT NULL AND v.a = 1", set()),
        ("v = NULL", V), ("CASE WHEN v.a = 1 THEN v.s END", {"v.s", "v.s.t"}),
        ("items[1].p", set()), ("items[1]", ITEMS), ("items[1:2]", ITEMS), ("len(items)", set()), ("md5(items)", ITEMS),
        ("items[1].parts", {"items.parts"}), ("items->0", ITEMS), ("list_transform(items, lambda i: i.p)", set()),
        ("[i.parts for i in items]", {"items.parts"}), ("[i for i in items]", ITEMS),
        ("[i.p for i in items if i.p > 1]", set()), ("[i for i in items if i.p > 1]", ITEMS),
        ("list_transform(items, lambda i, n: i.p + n)", set()), ("list_filter(items, lambda i: i.p > 1)", ITEMS),
        ("list_transform(items, lambda v: v.p) || v", V | ITEMS),
        ("tags", set()), ("tags[1] || 'x'", set()), ("len(tags)", set()),
        ("to_json(source)", V | ITEMS), ("to_json(COLUMNS(*))", V | ITEMS), ("(SELECT v)", V), ("(SELECT v.a)", set()),
    ],
)  # fmt: skip
def test_an_expression_takes_whole_what_it_does_not_name_a_field_of(
    engine: Engine, expression: str, whole: set[str]
) -> None:
    given = {"event_id": "id", "type": "'t'", "occurred_at": "seen", "select": {"w": expression}}
    assert found_in(engine, **given) == whole


@pytest.mark.parametrize(
    ("query", "whole"),
    [
        ("SELECT id, v.a FROM source", set()), ("SELECT id, v FROM source", V), ("SELECT * FROM source", V | ITEMS),
        ("SELECT source.v.a FROM source", set()), ("SELECT s.v.s FROM source AS s", {"v.s", "v.s.t"}),
        ("SELECT s FROM source AS s", V | ITEMS), ("FROM source", V | ITEMS), ("SELECT count(*) FROM source", set()),
        ("SELECT id, i.p FROM source, unnest(items) AS t(i)", set()),
        ("SELECT id, i FROM source, unnest(items) AS t(i)", ITEMS),
        ("SELECT id, t FROM source, unnest(items) AS t(i)", V | ITEMS),
        ("SELECT id, t.i.p FROM source, unnest(source.items) AS t(i)", set()),
        ("SELECT n.n FROM source, unnest(items) AS t(i), unnest(i.parts) AS u(n)", set()),
        ("SELECT n FROM source, unnest(items) AS t(i), unnest(t.i.parts) AS u(n)", {"items.parts"}),
        ("SELECT id, unnest(items) AS i FROM source", ITEMS), ("SELECT unnest(items).p FROM source", set()),
        ("SELECT i.p FROM (SELECT unnest(items) AS i FROM source)", set()),
        ("SELECT i FROM (SELECT unnest(items) AS i FROM source)", ITEMS),
        ("SELECT unnest(items, recursive := true) FROM source", ITEMS),
        ("WITH a AS (SELECT v AS w FROM source) SELECT w.a FROM a", set()),
        ("WITH a AS (SELECT v AS w FROM source) SELECT w FROM a", V),
        ("WITH a AS (SELECT v.s FROM source) SELECT s.x FROM a", set()),
        ("WITH a(w) AS (SELECT v FROM source) SELECT w FROM a", V | ITEMS),
        ("SELECT w FROM (SELECT v FROM source) AS a(w)", V | ITEMS), ("SELECT a FROM source AS q(a, b, c)", V | ITEMS),
        ("SELECT y FROM (SELECT v.s AS y FROM source UNION ALL SELECT v FROM source)", V),
        ("SELECT v.a FROM source UNION ALL SELECT v.s.x FROM source", set()),
        ("SELECT v.a FROM source ORDER BY v", V), ("SELECT v.a FROM source GROUP BY ALL HAVING max(v) IS NULL", V),
        ("SELECT (SELECT v) AS w FROM source", V),
        ("SELECT unnamed_subquery.v AS w FROM (SELECT v FROM source)", V), ("SELECT nobody.v.a FROM source", set()),
        ("SELECT unnamed_subquery AS w FROM (SELECT v FROM source)", V | ITEMS),
        ("SELECT id FROM source JOIN (SELECT v, id AS i FROM source) USING (v)", V),
        ("SELECT id FROM source NATURAL JOIN (SELECT v FROM source)", V | ITEMS),
        ("SELECT id FROM source WHERE EXISTS (SELECT v.s)", {"v.s", "v.s.t"}),
    ],
)  # fmt: skip
def test_a_query_takes_whole_what_reaches_what_it_gives(engine: Engine, query: str, whole: set[str]) -> None:
    assert found_in(engine, query=query) == whole


def objects(project: LogProject, number: int, value: str) -> None:
    project.write(f"d/{number}.jsonl", f'{{"id":"{number}","seen":"2026-01-01","v":{value}}}\n')


def test_a_new_field_of_what_is_taken_whole_is_a_row_that_does_not_fit_until_it_is_said_to_be_json(
    tmp_path: Path,
) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="d/*", select={"w": "to_json(v)", "a": "v.a"})
    objects(project, 1, '{"a":1,"l":[{"p":1}]}')
    project.take()
    objects(project, 2, '{"a":1,"l":[{"p":1},{"p":2,"q":7.25}]}')
    with pytest.raises(BadRow, match=r"v.l\[2\]: no object had its field 'q' before"):
        project.take()
    assert project.take(max_bad_rows=1).added == 0

    project.sources[0]["read"] = {"types": {"v": "JSON"}}
    project.take()
    assert '{"w":{"a":1,"l":[{"p":1},{"p":2,"q":7.25}]},"a":1}' in project.events("payload")


def test_a_new_field_beside_those_that_are_named_changes_nothing(tmp_path: Path) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="d/*", select={"w": "v.a"})
    for number, value in enumerate(('{"a":1}', '{"a":2,"b":3}', '{"b":{"c":1},"a":3}')):
        objects(project, number, value)
        project.take()
    assert project.events("payload") == [f'{{"w":{one}}}' for one in (1, 2, 3)]


def test_a_field_without_a_value_is_a_text_however_files_fall_into_imports(tmp_path: Path) -> None:
    found = []
    for apart in (False, True):
        project = LogProject(tmp_path / str(apart))
        project.source("s", path="d/*", select={"w": "v.d || '!'", "x": "v.l[1] || '!'", "y": "to_json(v)"})
        for number, value in enumerate(('{"d":null,"l":[],"e":{}}', '{"d":"x","l":["abc"]}')):
            objects(project, number, value)
            if apart:
                project.take()
        project.take()
        found.append(project.events("payload"))
    assert found[0] == found[1]
    assert json.loads(found[0][1])["x"] == "abc!"

    objects(project, 2, '{"d":5}')
    with pytest.raises(BadRow, match=r"v\.d = 5 is no VARCHAR"):
        project.take()


@pytest.mark.parametrize(
    "given",
    [
        {"select": {"w": "to_json(unnamed_subquery)"}},
        {"query": "SELECT id AS event_id, 't' AS type, seen AS occurred_at, source AS w FROM source"},
        {"query": "SELECT id AS event_id, 't' AS type, seen AS occurred_at, to_json(s) AS w FROM source AS s"},
        {
            "query": "SELECT id AS event_id, 't' AS type, seen AS occurred_at, to_json(a) AS w "
            "FROM (SELECT * FROM source) AS a"
        },
    ],
)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_row_as_a_whole_is_refused_for_it_has_columns_of_the_import_s_own(
    tmp_path: Path, given: dict[str, Any], kind: str
) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="d/*", **given)
    if kind == "csv":
        project.write("d/1.csv", "id,seen,n\n1,2026-01-01,5\n")
    else:
        objects(project, 1, "5")
    with pytest.raises(BadMapping, match=r"takes a row of \w+ as a whole, with columns that an import has of its own"):
        project.take()


def test_a_list_of_objects_that_is_taken_whole_may_be_said_to_be_one_of_json(tmp_path: Path) -> None:
    project = LogProject(tmp_path)
    project.source(
        "s", path="d/*", read={"types": {"v": "JSON[]"}},
        query="SELECT id || '-' || (one ->> 'p') AS event_id, 't' AS type, seen AS occurred_at, one "
        "FROM source, unnest(v) AS t(one)",
    )  # fmt: skip
    for number, value in enumerate(('[{"p":1}]', '[{"p":1,"q":7.25},{"p":2}]')):
        objects(project, number, value)
        project.take()
    assert project.events("event_id", "payload") == [
        ("0-1", '{"one":{"p":1}}'), ("1-1", '{"one":{"p":1,"q":7.25}}'), ("1-2", '{"one":{"p":2}}'),
    ]  # fmt: skip


def test_a_new_field_beneath_a_query_is_told_with_its_row(tmp_path: Path) -> None:
    project = LogProject(tmp_path)
    query = "SELECT id AS event_id, 't' AS type, seen AS occurred_at, w FROM (SELECT id, seen, v AS w FROM source)"
    project.source("s", path="d/*", query=query)
    objects(project, 1, '{"a":1}')
    project.take()
    objects(project, 2, '{"a":1,"b":2}')
    with pytest.raises(BadRow, match=r"d/2.jsonl row 1: v: no object had its field 'b'"):
        project.take()


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ("{}", '{"a":1}', "v: no object had its field 'a' before"),
        ("{}", '["x"]', "v = [...] is no object"),
        ('{"e":{}}', '{"e":{"a":1}}', "v.e: no object had its field 'a' before"),
    ],
)
def test_an_object_without_fields_stays_one(tmp_path: Path, first: str, second: str, told: str) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="d/*", select={"w": "to_json(v)"})
    objects(project, 1, first)
    project.take()
    objects(project, 2, second)
    with pytest.raises(BadRow) as refused:
        project.take()
    assert f"d/2.jsonl row 1: {told}" in str(refused.value)
    project.sources[0]["read"] = {"types": {"v": "JSON"}}
    project.take()
    assert project.events("payload") == [f'{{"w":{first}}}', f'{{"w":{second}}}']


@pytest.mark.parametrize("expression", ["coalesce(v, '{}')", "coalesce(v, '[]')"])
def test_a_text_in_place_of_an_object_that_may_come_is_refused(tmp_path: Path, expression: str) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="d/*", select={"w": expression})
    objects(project, 1, "null")
    with pytest.raises(BadMapping, match=r"no row has a value of v yet, and what its expressions.*\{v = .JSON.\}"):
        project.take()


EVENT = "SELECT id AS event_id, 't' AS type, seen AS occurred_at"


@pytest.mark.parametrize(
    "query",
    [
        f"WITH c AS (SELECT id, seen FROM source) {EVENT}, to_json(c) AS w FROM c",
        f"{EVENT}, to_json(c) AS w FROM (SELECT id, seen FROM source) AS c",
        f"{EVENT}, to_json(unnamed_subquery) AS w FROM (SELECT id, seen FROM source)",
    ],
)
def test_a_row_of_listed_columns_is_a_value(tmp_path: Path, query: str) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="d/*", query=query)
    objects(project, 1, '{"a":1}')
    project.take()
    assert [json.loads(one)["w"] for one in project.events("payload")] == [{"id": "1", "seen": "2026-01-01"}]


@pytest.mark.parametrize(
    ("value", "expression", "advice"),
    [
        ("null", "list_sort(v)", 'of v yet: say of which type it will be, read = {types = {v = "JSON['),
        ("null", "struct_extract(v, 'f')", 'read = {types = {v = "JSON"}}'),
        ('{"u":null}', "coalesce(v.u, 0)", 'v has texts, or no value yet: say read = {types = {v = "JSON"}}'),
    ],
)  # fmt: skip
def test_what_an_expression_needs_of_a_value_that_may_come_is_advised(
    tmp_path: Path, value: str, expression: str, advice: str
) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="d/*", select={"w": expression})
    objects(project, 1, value)
    with pytest.raises(BadMapping) as refused:
        project.take()
    assert advice in str(refused.value)
    kind = "JSON[]" if "JSON[" in advice else "JSON"
    taken = {"list_sort(v)": "v[1]"}.get(expression, "v->>'u'")
    project.sources[0] |= {"read": {"types": {"v": kind}}, "select": {"w": taken}}
    project.take()
