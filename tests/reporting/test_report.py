"""`dualgauge report`: what it says, of what, when it counts, and that its three files hold the same."""

from __future__ import annotations

import html
import itertools
import json
import re
import shutil
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

import dualgauge
from dualgauge.comparison.values import Comparison
from dualgauge.model import Outcome
from dualgauge.reporting import charts
from dualgauge.reporting.errors import BadEvidence
from dualgauge.reporting.from_json import read_as
from dualgauge.reporting.html import of_comparison
from dualgauge.reporting.markdown import markdown
from dualgauge.reporting.report import json_text
from dualgauge.reporting.visible_text import MOST, pieces, plain, window
from dualgauge.reporting.words import share
from support import report_sample
from support.inside import ledger_of
from support.report_values import AT, HOSTILE, comparison, report
from support.shop import Said, add_order, build, call, lay_out

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with a diff of each of its comparators."""
    folder = build(tmp_path_factory.mktemp("reports") / "shop")
    assert call("diff", folder=folder).exit_code == 4
    return folder


@pytest.fixture
def shop(compared: Path, tmp_path: Path) -> Path:
    shutil.copytree(compared, tmp_path / "shop")
    return tmp_path / "shop"


def reported(folder: Path, *arguments: str) -> tuple[Said, dict[str, Any]]:
    """The command's answer, and the JSON file that it wrote."""
    said = call("report", *arguments, "--output", "out", folder=folder)
    assert said.exit_code == 0, said.err
    document: dict[str, Any] = json.loads((folder / "out" / "report.json").read_text(encoding="utf-8"))
    return said, document


def section(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in document["sections"] if one["name"] == name)
    return found


def newest(folder: Path, name: str) -> Path:
    return max((folder / "reports").glob(f"*-{name}-*"))


def test_a_report_says_the_verdict_of_every_comparator_and_the_worst_over_all(shop: Path) -> None:
    said, document = reported(shop)

    assert said.out.splitlines()[0] == "FAIL"
    assert {one["name"]: one["verdict"] for one in document["sections"]} == {
        "customers": "pass",
        "empty": "inconclusive",
        "unlike": "fail",
    }
    assert document["verdict"] == "fail"
    assert "unlike: 3 of 3 keys are mismatched" in document["why"]
    page = (shop / "out" / "report.html").read_text(encoding="utf-8")
    assert page.index("3 of 3 keys are mismatched") < page.index("<h2 id=")


def test_the_folder_of_a_report_is_named_by_its_time_and_holds_three_files(shop: Path) -> None:
    said = call("report", "customers", "--format", "json", folder=shop)

    assert said.exit_code == 0
    result = said.json["result"]
    assert re.fullmatch(r"reports/\d{8}T\d{6}Z-report-[0-9a-f]{6}", result["folder"])
    assert sorted(file.name for file in (shop / result["folder"]).iterdir()) == [
        "report.html", "report.json", "report.md",
    ]  # fmt: skip
    assert result["verdict"] == "pass"
    assert [(one["comparator"], one["verdict"]) for one in result["comparators"]] == [("customers", "pass")]
    assert said.json["schema"] == "dualgauge.report/1"
    # Another comparator failed, so its gate would refuse a switch.
    steps = [one["command"] for one in said.json["next_steps"]]
    assert steps[0].startswith("dualgauge evidence show ")
    assert not [one for one in steps if "switch" in one]


def test_evidence_is_shown_with_its_position_its_builds_and_its_hashes(shop: Path) -> None:
    _, document = reported(shop, "customers")
    run = section(document, "customers")["run"]

    assert (document["head"], run["position"], run["behind"]) == (5, 5, 0)
    assert [(one["side"], one["view"], one["build"], one["now"]) for one in run["builds"]] == [
        ("v1", "customers", 1, 1),
        ("v2", "customers", 1, 1),
    ]
    assert all(re.fullmatch("[0-9a-f]{64}", one["definition_hash"]) for one in run["builds"])
    for name in ("comparator_hash", "configuration_hash", "evidence_key"):
        assert re.fullmatch("[0-9a-f]{64}", run[name])
    assert run["standing"] == {"counts": True, "why": []}
    page = (shop / "out" / "report.html").read_text(encoding="utf-8")
    assert run["configuration_hash"] in page
    assert "The diff still counts." in page


def test_a_pass_of_other_builds_is_no_pass_any_more(shop: Path) -> None:
    add_order(shop)
    call("log", "import", "--all", folder=shop)
    call("replay", folder=shop)
    _, document = reported(shop, "customers")

    run = section(document, "customers")["run"]
    assert section(document, "customers")["verdict"] == "pass"
    assert run["standing"]["counts"] is False
    assert run["behind"] == 1
    assert "the evidence is of build 1 of v1.customers, readers get build 2" in run["standing"]["why"]
    assert [one["now"] for one in run["builds"]] == [2, 2]
    assert document["verdict"] == "inconclusive"
    assert document["why"][0].startswith("customers: the diff does not count any more: ")
    assert "dualgauge diff customers" in [one["command"] for one in document["next_steps"]]


@pytest.mark.parametrize(("limit", "counts"), [("", True), ("max_evidence_events = 0", False)])
def test_events_after_the_evidence_are_shown_and_make_it_old_where_a_limit_says_so(
    limit: str, counts: bool, shop: Path
) -> None:
    with (shop / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n[tool.dualgauge.gates]\n{limit}\n")
    add_order(shop)
    call("log", "import", "--all", folder=shop)
    _, document = reported(shop, "customers")

    run = section(document, "customers")["run"]
    assert (run["position"], document["head"], run["behind"]) == (5, 6, 1)
    assert run["standing"]["counts"] is counts
    assert "1 event behind" in (shop / "out" / "report.html").read_text(encoding="utf-8")


def test_an_edited_comparator_is_told(shop: Path) -> None:
    file = shop / "comparators" / "customers.py"
    text = file.read_text().replace("import Comparator", "import Absolute, Comparator")
    file.write_text(
        text.replace('Comparator(key="customer")', 'Comparator(key="customer", rules={"cents": Absolute(1)})')
    )
    _, document = reported(shop, "customers")

    assert section(document, "customers")["run"]["standing"]["why"] == [
        "the comparator was edited since the evidence was made"
    ]


def test_an_edited_view_is_told(shop: Path) -> None:
    file = shop / "views_v2" / "customers.sql"
    file.write_text(file.read_text().replace("sum(cents)", "max(cents)"))
    _, document = reported(shop, "customers")

    assert section(document, "customers")["run"]["standing"]["counts"] is False
    assert "v2.customers was edited" in " ".join(section(document, "customers")["run"]["standing"]["why"])


def test_a_project_that_cannot_be_read_has_its_evidence_shown_and_no_pass(shop: Path) -> None:
    (shop / "views_v2" / "customers.sql").write_text("-- key: customer\nSELECT nonsense FROM events\n")
    _, document = reported(shop, "customers")

    assert section(document, "customers")["comparison"]["matched"] == 3
    assert section(document, "customers")["run"]["standing"]["counts"] is None
    assert document["verdict"] == "inconclusive"
    assert document["notes"][0].startswith("the project cannot be read now: ")


@pytest.mark.parametrize(
    ("how", "said"), [("changed", "was changed since the run"), ("removed", "was removed since the run")]
)
def test_a_file_that_was_changed_or_removed_is_no_evidence(how: str, said: str, shop: Path) -> None:
    file = newest(shop, "customers") / "diff.json"
    if how == "changed":
        file.write_text(file.read_text().replace('"matched": 3', '"matched": 4'))
    else:
        file.unlink()
    _, document = reported(shop, "customers")

    found = section(document, "customers")
    assert (found["verdict"], found["comparison"]) == ("inconclusive", None)
    assert found["why"][0]["text"] == f"no evidence any more: diff.json {said}; the verdict was pass"
    assert document["verdict"] == "inconclusive"
    page = (shop / "out" / "report.html").read_text(encoding="utf-8")
    assert said in page
    assert "<h3>Keys</h3>" not in page
    assert "<h3>Columns</h3>" not in page


def test_a_run_that_was_cut_off_is_shown_as_such(shop: Path) -> None:
    from dualgauge.ledger.values import EvidenceKind

    migration = dualgauge.open(shop)
    with ledger_of(migration) as ledger:
        ledger.start_evidence(
            "20990101T000000Z-customers-ffffff", kind=EvidenceKind.DIFF, name="customers", bound={"v1": {}},
            started_at=datetime.now(UTC), position=None,
        )  # fmt: skip
    _, document = reported(shop, "customers")

    found = section(document, "customers")
    assert found["verdict"] == "pass"
    assert found["notes"] == [
        "begun after the diff shown, and not finished (still running, or cut off): 20990101T000000Z-customers-ffffff"
    ]
    _, alone = reported(shop, "--run", "20990101T000000Z-customers-ffffff")
    assert alone["sections"][0]["why"][0]["text"] == "the run is not finished: it is still running, or was cut off"
    assert alone["verdict"] == "inconclusive"


def test_a_run_that_could_not_look_is_shown_with_its_error(shop: Path) -> None:
    file = shop / "comparators" / "customers.py"
    queries = 'v1="SELECT * FROM v1.customers", v2="SELECT * FROM v2.customers"'
    file.write_text(file.read_text() + f'lost = Comparator(key="nobody", {queries})\n')
    assert call("diff", "lost", folder=shop).exit_code == 2
    _, document = reported(shop, "lost")

    found = section(document, "lost")
    assert (found["verdict"], found["comparison"]) == ("inconclusive", None)
    assert found["why"][0]["text"].startswith("the run could not look: key column 'nobody' is missing from v1")


def test_a_comparator_that_was_never_compared_keeps_the_report_from_passing(shop: Path) -> None:
    file = shop / "comparators" / "customers.py"
    file.write_text(
        "from dualgauge import Comparator\n\n"
        'customers = Comparator(key="customer")\n'
        'more = Comparator(key="customer", v1="SELECT * FROM v1.customers", v2="SELECT * FROM v2.customers")\n'
    )
    _, document = reported(shop)

    assert {one["name"]: one["verdict"] for one in document["sections"]} == {
        "customers": "pass",
        "more": "inconclusive",
    }
    assert document["verdict"] == "inconclusive"
    assert "more: it was never compared" in document["why"]


def test_an_older_run_is_reported_by_its_id(shop: Path) -> None:
    first = newest(shop, "customers").name
    call("diff", "customers", folder=shop)
    _, document = reported(shop, "--run", first)

    assert document["sections"][0]["run"]["run"] == first
    assert [one["shown"] for one in document["sections"][0]["history"]] == [True, False]
    assert document["sections"][0]["run"]["standing"] == {"counts": False, "why": ["a newer run decides"]}


def test_the_history_of_a_comparator_is_there_oldest_first(shop: Path) -> None:
    call("diff", "unlike", folder=shop)
    _, document = reported(shop, "unlike")

    history = section(document, "unlike")["history"]
    assert [(one["verdict"], one["mismatched"], one["keys"]) for one in history] == [("fail", 3, 3), ("fail", 3, 3)]
    assert history[0]["at"] < history[1]["at"]
    assert "Runs of unlike over time" in (shop / "out" / "report.html").read_text(encoding="utf-8")


def test_checks_are_reported_beside_the_diff(shop: Path) -> None:
    file = shop / "comparators" / "customers.py"
    file.write_text(
        "from dualgauge import Check, Comparator\n\n"
        'customers = Comparator(key="customer", checks=[\n'
        '    Check("expect_column_values_to_not_be_null", column="customer"),\n'
        '    Check("expect_column_values_to_be_between", column="cents", max_value=5000, on="v2"),\n'
        "])\n"
    )
    call("diff", "customers", folder=shop)
    _, unchecked = reported(shop, "customers")
    assert (unchecked["verdict"], unchecked["why"]) == ("inconclusive", ["customers: its checks were never run"])
    assert "dualgauge check customers" in [one["command"] for one in unchecked["next_steps"]]

    assert call("check", folder=shop).exit_code == 4
    _, document = reported(shop)

    found = section(document, "customers")
    assert found["verdict"] == "pass"
    assert found["checked"]["verdict"] == "fail"
    assert [one["success"] for one in found["checked"]["results"]].count(False) == 1
    assert found["checked"]["run"]["standing"]["counts"] is True
    assert document["verdict"] == "fail"
    assert "customers: 1 of 3 checks failed" in document["why"]
    page = (shop / "out" / "report.html").read_text(encoding="utf-8")
    assert "expect_column_values_to_be_between" in page
    assert "2 of 3 hold" in page


def test_a_report_writes_no_ledger(shop: Path) -> None:
    def rows() -> list[str]:
        import sqlite3

        with sqlite3.connect(shop / ".dualgauge" / "ledger.db") as connection:
            return list(connection.iterdump())

    before = rows()
    reported(shop)

    assert rows() == before


def test_where_nothing_was_compared_the_next_step_is_told(tmp_path: Path) -> None:
    said = call("report", folder=build(tmp_path / "shop"))

    assert said.exit_code == 2
    assert said.err.splitlines()[0] == (
        "error: there is nothing to report of migration 'customers': no run was kept yet; compare the sides first"
    )
    assert "next: dualgauge diff" in said.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["custmers"], "there is no comparator 'custmers' (did you mean 'customers'?); those of this project are "),
        (["--run", "nothing"], "there is no evidence run 'nothing'"),
        (
            ["customers", "--run", "nothing"],
            "--run nothing says already what is reported; leave customers out, or --run",
        ),
    ],
)
def test_what_is_not_there_is_said_in_one_paragraph(arguments: list[str], sentence: str, compared: Path) -> None:
    said = call("report", *arguments, folder=compared)

    assert said.exit_code == 2
    assert said.err.startswith(f"error: {sentence}")


def test_a_place_that_cannot_be_written_is_named(shop: Path) -> None:
    (shop / "taken").write_text("a file")
    said = call("report", "--output", "taken", folder=shop)

    assert said.exit_code == 1
    assert said.err.startswith("error: the report cannot be written to ")
    assert "give another place with --output" in said.err


def test_the_three_files_hold_the_same_findings(shop: Path) -> None:
    _, document = reported(shop, "unlike")
    found = section(document, "unlike")["comparison"]
    page = html.unescape((shop / "out" / "report.html").read_text(encoding="utf-8"))
    text = (shop / "out" / "report.md").read_text(encoding="utf-8")

    kept = json.loads((newest(shop, "unlike") / "diff.json").read_text(encoding="utf-8"))
    assert found == {key: kept[key] for key in found}
    for mismatch in found["mismatches"]:
        for side in ("v1", "v2"):
            assert f">{mismatch[side]['cents']}<" in page
            assert f"`{mismatch[side]['cents']}`" in text
        for event in mismatch["events"]:
            assert event["event_id"] in page
            assert f"`{event['event_id']}`" in text
    assert found["clusters"][0]["name"] in page
    assert f"`{found['clusters'][0]['name']}`" in text


def test_a_bare_comparison_has_the_same_page_without_a_project() -> None:
    numbers = itertools.count()
    page = of_comparison(
        comparison(lambda: f"word {next(numbers)}"), name="orders", v1="old.csv", v2="new.csv", made_at=AT
    )

    assert "<h3>What was compared</h3>" in page
    assert "old.csv" in page
    assert "6 of 20 keys" in page
    for absent in ("migration", "Evidence key", "Earlier runs", "What to do next"):
        assert absent not in page


def test_hostile_events_come_through_a_whole_project_as_text(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "shop")
    with (folder / "data" / "orders.csv").open("a", encoding="utf-8") as file:
        for number, customer in enumerate(("<script>alert(1)</script>", "\u202etac", "a|b`c", "x" * 10_000)):
            file.write(f'<i>{number},2026-02-0{number + 1}T00:00:00Z,"{customer}",placed,100\n')
    migration = dualgauge.open(folder)
    migration.import_(every=True)
    migration.replay()
    migration.diff(["unlike"])
    _, document = reported(folder, "unlike")

    keys = [one["key"]["customer"] for one in section(document, "unlike")["comparison"]["mismatches"]]
    assert {"<script>alert(1)</script>", "\u202etac", "a|b`c", "x" * 10_000} <= set(keys)
    page = (folder / "out" / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&lt;i&gt;0/placed" in page
    assert "\u202e" not in page
    assert '<span class="unseen">U+202E</span>tac' in page


def sides_of(folder: Path) -> Path:
    (folder / "old.csv").write_text("id,name\n1,ada\n2,bob\n")
    (folder / "new.csv").write_text("id,name\n1,ada\n2,<b>bob</b>\n")
    return folder


def test_two_files_are_compared_into_a_page(tmp_path: Path) -> None:
    said = call("diff", "old.csv", "new.csv", "--key", "id", "--report", "out/page.html", folder=sides_of(tmp_path))

    assert said.exit_code == 4
    assert said.out.endswith("wrote out/page.html\n")
    page = (tmp_path / "out" / "page.html").read_text(encoding="utf-8")
    assert "1 of 2 keys" in page
    assert "&lt;b&gt;bob&lt;/b&gt;" in page


def test_a_page_of_two_files_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    said = call("diff", "old.csv", "new.csv", "--key", "id", "--report", "old.csv/x.html", folder=sides_of(tmp_path))

    assert said.exit_code == 1
    assert "give another place with --report" in said.err


def test_a_diff_of_comparators_points_to_the_command_that_reports(compared: Path) -> None:
    said = call("diff", "customers", "--report", "page.html", folder=compared)

    assert said.exit_code == 2
    assert "--report belongs to a diff of two files" in said.err


# The sample


def test_the_sample_report_is_what_the_code_writes_from_its_evidence(tmp_path: Path) -> None:
    from dualgauge.reporting.report import write

    write(report_sample.restore(tmp_path), tmp_path / "out")

    for name in ("report.html", "report.md", "report.json"):
        assert (tmp_path / "out" / name).read_text(encoding="utf-8") == (report_sample.SAMPLE / name).read_text(
            encoding="utf-8"
        ), f"{name} is not fresh: run python tests/support/report_sample.py"


def test_the_sample_report_names_no_machine() -> None:
    import getpass
    import socket

    words = {str(ROOT), str(Path.home()), socket.gethostname(), f"{getpass.getuser()}@"}
    for file in report_sample.SAMPLE.rglob("*"):
        if file.is_file():
            text = file.read_text(encoding="utf-8")
            assert {word for word in words if word in text} == set(), file.name
            assert re.search(r"(?<![\w.])/(home|root|tmp|work|Users)/", text) is None, file.name


def test_the_sample_shows_the_failing_diff_of_the_demo() -> None:
    document = json.loads((report_sample.SAMPLE / "report.json").read_text(encoding="utf-8"))

    assert document["verdict"] == "fail"
    assert document["why"][0] == "carrier_months: 143 of 185 keys are mismatched"


# Texts that cannot be seen


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x00a\x1b", "[NUL]a[ESC]"),
        ("a\nb", "a[LF]b"),
        ("\u202eevil", "[U+202E]evil"),
        ("a\u200bb\xa0c", "a[U+200B]b[U+00A0]c"),
        (" a b ", "·a b·"),
        ("   ", "···"),
        ("\ud800", "[U+D800]"),
        ("👩\u200d👧", "👩\u200d👧"),
        ("a\u200db", "a[U+200D]b"),
        ("é", "é"),
    ],
)
def test_what_cannot_be_seen_is_named(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_marks_are_not_piled_without_end() -> None:
    assert [one.named for one in pieces("Z" + "\u0301" * 6)] == [False, True, True]


def test_two_long_values_are_cut_where_they_begin_to_differ() -> None:
    one, two = "a" * 5_000 + "X" + "b" * 5_000, "a" * 5_000 + "Y" + "b" * 5_000

    shown = window(one, two)
    assert "X" in shown.text
    assert (shown.before, shown.before + len(shown.text) + shown.after) == (4_952, len(one))
    assert len(shown.text) == MOST


def test_a_long_value_is_whole_in_json_and_cut_on_the_pages() -> None:
    made = report(lambda: "x" * 10_000)

    assert "x" * 10_000 in json_text(made)
    assert "x" * 1_300 not in markdown(made)
    assert "9,680 characters more" in markdown(made)


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 10, "0 %"),
        (10, 10, "100 %"),
        (1, 100_000, "< 0.1 %"),
        (99_999, 100_000, "> 99.9 %"),
        (1, 3, "33.3 %"),
        (0, 0, "-"),
    ],
)
def test_a_share_is_never_rounded_to_all_or_nothing(part: int, whole: int, shown: str) -> None:
    assert share(part, whole) == shown


class Tags(HTMLParser):
    """What a rendered Markdown page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert [name for name, _ in attrs if name != "style"] == []

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.mark.parametrize("text", [text for text in HOSTILE if len(text) < MOST], ids=lambda text: ascii(text)[:24])
def test_hostile_text_is_only_text_in_markdown(text: str) -> None:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    page = parser.render(markdown(report(lambda: text)))
    tags = Tags()
    tags.feed(page)

    assert tags.tags <= {
        "h1", "h2", "h3", "h4", "p", "strong", "em", "ul", "li", "blockquote", "br",
        "table", "thead", "tbody", "tr", "th", "td", "code",
    }  # fmt: skip
    assert plain(text) in "".join(tags.text)


def test_hostile_text_adds_no_rows_to_a_markdown_table() -> None:
    def form(text: str) -> list[int]:
        lines = markdown(report(lambda: text)).splitlines()
        return [len(re.sub(r"`[^`]*`", "", line).split("|")) for line in lines]

    harmless = form("word")
    assert [text for text in HOSTILE if form(text) != harmless] == []


def test_hostile_text_leaves_the_json_file_readable() -> None:
    texts = itertools.cycle(HOSTILE)
    made = json_text(report(lambda: next(texts)))

    document = json.loads(made.encode("utf-8", "backslashreplace"))
    assert document["schema"] == "dualgauge.report-file/1"
    assert document["migration"] in HOSTILE


# Charts


def test_a_chart_is_text_and_boxes_in_the_colours_of_the_page() -> None:
    numbers = itertools.count()
    drawn = charts.columns_chart(comparison(lambda: f"word {next(numbers)}").columns, charts.WIDE, "orders")

    assert re.findall(r"<(\w+)", drawn)[0] == "svg"
    assert set(re.findall(r"<(\w+)", drawn)) == {"svg", "title", "desc", "g", "rect", "text"}
    assert "var(--changed)" in drawn
    assert "#" not in drawn
    assert "<title>Cells of orders by column</title>" in drawn


def test_what_is_there_at_all_can_be_seen_in_a_chart() -> None:
    assert charts._spread([999_999, 1], 100) == [(0.0, 97.0), (97.0, 100.0)]


def test_a_chart_of_nothing_is_drawn() -> None:
    none = dict.fromkeys(("matched", "expected", "changed", "only_in_v1", "only_in_v2"), 0)
    empty = read_as(Comparison, {**comparison(lambda: "word").to_json(), **none})

    assert "Of 0 keys: none." in charts.outcome_chart(empty, charts.WIDE, "empty")


# Kept files


def test_a_comparison_is_read_back_as_it_was_written() -> None:
    numbers = itertools.count()
    found = comparison(lambda: f"word {next(numbers)}")

    assert read_as(Comparison, json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"matched": "3"}, "matched should be a whole number"),
        ({"verdict": "perhaps"}, "verdict is 'perhaps', and should be one of pass, fail, inconclusive"),
        ({"schema": {}}, "schema should be a list"),
        ({"clusters": [7]}, "clusters[0] should be an object"),
        ({"columns": [{"name": "a"}]}, "columns[0].rule is missing"),
    ],
)
def test_a_file_of_another_form_is_refused(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(BadEvidence) as refused:
        read_as(Comparison, {**comparison(lambda: "word").to_json(), **change})
    assert str(refused.value) == sentence


def test_a_file_of_an_older_version_lacks_what_came_later() -> None:
    document = comparison(lambda: "word").to_json()
    del document["in_flight"], document["drifts"]

    assert read_as(Comparison, document).in_flight == 0


def test_the_python_method_gives_the_report_and_its_files(shop: Path) -> None:
    files = dualgauge.open(shop).report(["customers"], output=shop / "out")

    assert files.report.verdict is Outcome.PASS
    assert [file.name for file in (files.html, files.markdown, files.json)] == [
        "report.html",
        "report.md",
        "report.json",
    ]
    assert files.shown_folder == "out"
