"""A diff through the store: one position, evidence that is kept, and an answer for every way it can end."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import textwrap
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

import dualgauge
from dualgauge.cli import main
from dualgauge.comparison.errors import BadRelation, NothingToCompare, NoViewToCompare, UnequalPositions
from dualgauge.comparison.values import DifferenceKind
from dualgauge.cutover.errors import GateRefused
from dualgauge.errors import DualgaugeError
from dualgauge.ledger.ledger import Ledger
from dualgauge.ledger.values import EvidenceKind, EvidenceRun, RunState
from dualgauge.model import Outcome, Side
from dualgauge.scaffold.demo import content
from dualgauge.stores.errors import NotBuilt
from support.ledgers import kept_runs

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

SETTINGS = """[tool.dualgauge]
migration = "orders"
[tool.dualgauge.log.columns]
customer = "VARCHAR"
amount = "DECIMAL(12,2)"
[[tool.dualgauge.sources]]
name = "orders"
path = "orders.csv"
event_id = "id"
type = "kind"
occurred_at = "seen"
"""

HEAD = "id,kind,customer,amount,seen\n"
FOUR = """o-1,ordered,ann,10.00,2026-01-01T08:00:00Z
o-2,ordered,bob,20.00,2026-01-01T09:00:00Z
o-3,ordered,ann,5.50,2026-01-01T10:00:00Z
o-4,refunded,ann,-5.50,2026-01-01T11:00:00Z
"""
TWO_MORE = """o-5,ordered,cat,1.00,2026-01-02T08:00:00Z
o-6,ordered,cat,2.00,2026-01-02T09:00:00Z
"""

V1 = """-- key: customer
SELECT customer, count(*) AS orders, sum(amount) AS total FROM events GROUP BY customer
"""
# A rewrite that leaves refunds out of the total.
WRONG = """-- key: customer
SELECT customer, count(*) AS orders, sum(CASE WHEN type = 'ordered' THEN amount ELSE 0 END) AS total
FROM events GROUP BY customer
"""
# The same, in a form of which nobody can tell by the text which events touch a row.
UNTOLD = """-- key: customer
WITH kept AS (SELECT * FROM events WHERE type = 'ordered')
SELECT customer, count(*) AS orders, sum(amount) AS total FROM kept GROUP BY customer
"""


class Project:
    """A migration of orders in a folder of its own; what is written is seen by the next call."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def lay_out(self) -> None:
        root = self.root
        (root / "migrations" / "versions").mkdir(parents=True)
        for name in ("env.py", "script.py.mako"):
            shutil.copyfile(content() / "migrations" / name, root / "migrations" / name)
        self.write("pyproject.toml", SETTINGS)
        self.write("orders.csv", HEAD + FOUR)
        self.write("views_v1/customers.sql", V1)
        self.write("views_v2/customers.sql", V1)

    def write(self, name: str, text: str) -> None:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def comparator(self, fields: str, name: str = "customers") -> None:
        self.write(
            "comparators/rules.py",
            "from datetime import date\n\nfrom dualgauge import Absolute, Comparator, Expected\n\n"
            f"{name} = Comparator({fields})\n",
        )

    def open(self, at: datetime = NOW) -> dualgauge.Migration:
        return dualgauge.open(self.root, clock=lambda: at)

    def build(self) -> dualgauge.Migration:
        migration = self.open()
        migration.import_()
        migration.replay()
        return migration

    def evidence(self) -> tuple[EvidenceRun, ...]:
        """What the ledger holds, newest first."""
        with Ledger.open(self.open().ledger_url) as ledger:
            return tuple(run for run in kept_runs(ledger) if run.kind is EvidenceKind.DIFF)

    def reports(self) -> list[str]:
        folder = self.root / "reports"
        return sorted(one.name for one in folder.iterdir()) if folder.is_dir() else []


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Project(tmp_path_factory.mktemp("built"))
    made.lay_out()
    made.build()
    return made.root


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Project:
    """Imported and replayed once; each test has a copy, whose next `build` replays what the test changed."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    return Project(tmp_path)


class Told:
    """Calls a command as a shell would, in this process; gives its exit code and the one object on stdout."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.root, self.monkeypatch, self.capsys = root, monkeypatch, capsys

    def __call__(self, *words: str) -> tuple[int, dict[str, Any]]:
        line = ["dualgauge", *words, "--project", str(self.root), "--format", "json"]
        self.monkeypatch.setattr(sys, "argv", line)
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self.capsys.readouterr()
        assert err == ""
        said = json.loads(out)
        assert list(said) == ["schema", "exit_code", "result", "error", "next_steps"]
        assert said["schema"] == f"dualgauge.{words[0]}/1"
        assert said["exit_code"] == ended.value.code
        return said["exit_code"], said


@pytest.fixture
def told(project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Told:
    return Told(project.root, monkeypatch, capsys)


# --- what is compared -------------------------------------------------------------------------------------------


def test_without_a_comparator_views_of_one_name_are_compared_by_their_common_columns(project: Project) -> None:
    project.write("views_v1/customers.sql", V1.replace("customer,", "customer, 'v1' AS made_by,", 1))
    project.write("views_v2/customers.sql", V1.replace("customer,", "customer, max(occurred_at) AS last_at,", 1))

    (run,) = project.build().diff()

    assert run.name == "customers"
    assert run.comparison.verdict is Outcome.PASS
    assert [one.name for one in run.comparison.schema] == ["customer", "orders", "total"]
    assert [one.rule for one in run.comparison.columns] == ["exact", "exact"]
    assert (run.comparison.compared, run.comparison.matched, run.position) == (2, 2, 4)


def test_a_view_without_a_partner_is_legal_and_is_compared_with_nothing(project: Project) -> None:
    project.write("views_v1/retired.sql", V1)
    project.write("views_v2/refunds.sql", V1.replace("GROUP", "WHERE type = 'refunded' GROUP"))

    runs = project.build().diff()

    assert [(one.name, one.comparison.verdict) for one in runs] == [("customers", Outcome.PASS)]


def test_a_view_that_a_comparator_reads_is_not_compared_once_more_by_its_name(project: Project, told: Told) -> None:
    project.write("views_v2/customers.sql", V1.replace("count(*)", "2 * count(*)"))
    project.build()
    project.comparator(
        'key="customer", v1="SELECT customer, orders FROM v1.customers", '
        'v2="WITH c AS (FROM v2.customers) SELECT customer, orders // 2 AS orders FROM c"',
        name="same_orders",
    )

    code, said = told("diff")
    assert (code, [run["comparator"] for run in said["result"]["runs"]]) == (0, ["same_orders"])
    # By its name it is compared when somebody asks.
    code, said = told("diff", "customers")
    assert (code, [run["comparator"] for run in said["result"]["runs"]]) == (4, ["customers"])


def test_a_view_that_is_read_on_one_side_alone_is_still_compared_by_its_name(project: Project) -> None:
    project.write("views_v2/clients.sql", V1)
    project.build()
    project.comparator('key="customer", v1="SELECT * FROM v1.customers", v2="SELECT * FROM v2.clients"', name="renamed")

    assert [run.name for run in project.open().diff()] == ["renamed", "customers"]


def test_every_row_is_judged_by_value_where_it_is_asked_for(project: Project, told: Told) -> None:
    project.build()

    plans = [told("diff", *words)[1]["result"]["runs"][0]["plan"] for words in (("--paranoid",), ("--plan", "narrow"))]
    assert plans == ["wide: asked for", "narrow: asked for, and one of 500 was judged by value"]
    code, said = told("diff", "--plan", "narow")
    assert code == 2
    assert said["error"]["message"] == (
        "no plan is called 'narow' (did you mean 'narrow'?); there are wide, buckets, narrow; name one of them, or "
        "leave the choice to the tool"
    )


def test_two_sides_without_a_common_name_have_nothing_to_compare(project: Project, told: Told) -> None:
    (project.root / "views_v2" / "customers.sql").rename(project.root / "views_v2" / "clients.sql")
    migration = project.build()

    with pytest.raises(NothingToCompare, match="no view has the same name on both sides; add a view to both folders"):
        migration.diff()

    code, said = told("diff")
    assert (code, said["error"]["type"], said["result"]) == (2, "NothingToCompare", None)


def test_a_comparator_that_names_a_missing_view_is_refused_with_the_nearest_one(project: Project, told: Told) -> None:
    project.build()
    project.comparator('key="customer", v1="SELECT * FROM v1.customers", v2="SELECT * FROM v2.customer"')

    with pytest.raises(NoViewToCompare) as refused:
        project.open().diff()

    assert str(refused.value) == (
        "comparator 'customers' reads v2.customer, which is not there (did you mean 'customers'?); v2 has customers; "
        "correct the query or add the view's file to views_v2"
    )
    assert told("diff")[0] == 2
    assert (project.evidence(), project.reports()) == ((), [])


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT * FROM v1.customers WHERE random() < 2", "random(), which may give another answer each time"),
        ("SELECT * FROM v1.customers WHERE ago(INTERVAL 1 DAY) > '2020-01-01'", "ago(), which may give another answer"),
        ("SELECT * FROM v1.customers USING SAMPLE 2", "a sample, which may give another answer each time"),
        ("SELECT * FROM v1.customers ORDER BY -5 LIMIT 2", "LIMIT without a unique ORDER BY"),
        (
            "SELECT *, hash(orders) AS h FROM v1.customers",
            "hash(orders), which may give another answer each time: md5(",
        ),
        (
            "SELECT * FROM v1.customers LIMIT 2",
            "LIMIT without a unique ORDER BY, which may give another answer each time: add the key",
        ),
        ("SELECT DISTINCT ON (orders) * FROM v1.customers ORDER BY orders", "DISTINCT ON without a unique ORDER BY"),
        (
            "SELECT any_value(customer) AS customer FROM v1.customers",
            "any_value(customer), which may give another answer",
        ),
        (
            "SELECT *, row_number() OVER () AS n FROM v1.customers",
            "row_number() OVER (), which may give another answer",
        ),
    ],
)
def test_a_query_that_answers_otherwise_each_time_is_refused(project: Project, sql: str, said: str) -> None:
    project.build()
    project.comparator(f'key="customer", v1="{sql}", v2="SELECT * FROM v2.customers"')
    with pytest.raises(BadRelation) as refused:
        project.open().diff()
    assert str(refused.value).startswith("comparator 'customers': the query of v1 cannot be run: it has ")
    assert said in str(refused.value)
    assert project.evidence() == ()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM v1.customers ORDER BY customer LIMIT 99",
        "WITH user AS (SELECT *, orders AS current_user FROM v1.customers) SELECT * FROM user",
        "SELECT c.customer, any_value(c.orders) AS n FROM v1.customers AS c GROUP BY c.customer, c.orders",
        "SELECT *, row_number() OVER (ORDER BY orders, customer) AS n FROM v1.customers",
    ],
)
def test_a_query_whose_order_ends_with_the_key_of_its_view_is_taken(project: Project, sql: str) -> None:
    project.build()
    project.comparator(f'key="customer", v1="{sql}", v2="{sql.replace("v1.", "v2.")}"')
    [run] = project.open().diff()
    assert run.comparison.compared > 0


def test_a_comparator_that_has_no_name_of_ours_is_refused_with_those_there_are(project: Project, told: Told) -> None:
    project.build()

    code, said = told("diff", "custmers")

    assert code == 2
    assert said["error"]["message"] == (
        "no comparator is called 'custmers' (did you mean 'customers'?); there are customers; "
        "name one of them, or none for all"
    )


# --- one position -----------------------------------------------------------------------------------------------


def test_unequal_positions_are_refused_with_both_of_them(project: Project, told: Told) -> None:
    migration = project.build()
    project.write("orders.csv", HEAD + FOUR + TWO_MORE)
    assert migration.import_().added == 2
    migration.replay(side=Side.V1)

    with pytest.raises(UnequalPositions) as refused:
        migration.diff()

    assert refused.value.positions == {"v1.customers": 6, "v2.customers": 4}
    assert str(refused.value) == (
        "the views are at different positions (v1.customers at 6, v2.customers at 4), "
        "and answers can only be compared at one"
    )
    code, said = told("diff")
    assert (code, said["error"]["type"]) == (5, "UnequalPositions")
    assert said["next_steps"] == [
        {"command": "dualgauge replay", "why": "bring every view to the log's head"},
        {"command": "dualgauge status", "why": "see how far each view is, and who keeps it"},
    ]
    assert (project.evidence(), project.reports()) == ((), [])


def test_a_view_that_was_never_built_is_refused_with_the_command_that_builds_it(project: Project, told: Told) -> None:
    for side in ("v1", "v2"):
        project.write(f"views_{side}/added.sql", V1)
    migration = project.open()
    migration.replay(side=Side.V1)

    with pytest.raises(NotBuilt) as refused:
        migration.diff(["added"])

    assert str(refused.value) == "view v2.added has no build yet; replay it first"

    code, said = told("diff")
    assert (code, said["next_steps"][0]["command"]) == (5, "dualgauge replay")
    assert project.evidence() == ()


def test_a_build_is_compared_by_the_text_it_was_made_from(project: Project) -> None:
    migration = project.build()
    project.write("views_v2/customers.sql", WRONG)

    (run,) = migration.diff()

    # The edited file was not replayed: readers still get the old build, and so does the diff.
    assert run.comparison.verdict is Outcome.PASS


# --- evidence ---------------------------------------------------------------------------------------------------


def test_a_run_is_kept_as_evidence_that_says_what_it_is_bound_to(project: Project) -> None:
    (run,) = project.build().diff()
    (kept,) = project.evidence()

    assert (kept.run_id, kept.name, kept.state, kept.verdict) == (
        run.run_id,
        "customers",
        RunState.FINISHED,
        Outcome.PASS,
    )
    assert (kept.position, kept.started_at, kept.finished_at) == (4, NOW, NOW)
    assert (kept.evidence_key, kept.folder) == (run.evidence_key, f"reports/{run.run_id}")
    assert set(kept.bound) == {"v1", "v2", "comparator", "comparator_hash", "configuration_hash", "log"}
    for side in ("v1", "v2"):
        (one,) = [kept.bound[side]["customers"]]  # type: ignore[index]
        assert one["build"] == 1
        assert len(one["definition_hash"]) == 64
    assert kept.summary is not None
    assert (kept.summary["compared"], kept.summary["matched"], kept.summary["mismatched"]) == (2, 2, 0)


def test_two_runs_of_the_same_have_one_evidence_key_and_two_ids(project: Project) -> None:
    migration = project.build()
    (first,), (second,) = migration.diff(), migration.diff()

    assert first.evidence_key == second.evidence_key
    assert first.run_id != second.run_id
    assert {one.run_id for one in project.evidence()} == {first.run_id, second.run_id}
    assert project.reports() == sorted([first.run_id, second.run_id])


@pytest.mark.parametrize("changed", ["view", "rebuild", "comparator", "configuration"])
def test_evidence_has_another_key_once_what_it_is_bound_to_has_changed(project: Project, changed: str) -> None:
    project.comparator('key="customer"')
    (before,) = project.build().diff()

    if changed == "view":
        project.write("views_v2/customers.sql", V1.replace("count(*)", "count(event_id)"))
        project.open().replay()
    elif changed == "rebuild":
        project.open().replay(["v2.customers"], force=True)
    elif changed == "comparator":
        project.comparator('key="customer", rules={"total": Absolute(0.01)}')
    else:
        head = "[tool.dualgauge.log.columns]\n"
        assert head in SETTINGS
        project.write("pyproject.toml", SETTINGS.replace(head, f'{head}extra = "BIGINT"\n'))
    (after,) = project.open().diff()

    assert after.comparison.verdict is before.comparison.verdict is Outcome.PASS
    assert after.evidence_key != before.evidence_key


def test_a_comment_in_a_view_changes_no_evidence(project: Project) -> None:
    (before,) = project.build().diff()
    project.write("views_v2/customers.sql", V1 + "-- summed to the cent\n")
    migration = project.open()
    assert [one.skipped for one in migration.replay().views] == [True, True]

    (after,) = migration.diff()

    assert after.evidence_key == before.evidence_key


KILLED = """
    import signal, sys
    import dualgauge

    def progress(step, done, total):
        if step == "customers: rows":
            print("comparing", flush=True)
            signal.pause()

    dualgauge.open(sys.argv[1], progress=progress).diff()
"""


def test_a_run_that_was_killed_stays_running_and_is_evidence_of_nothing(project: Project) -> None:
    migration = project.build()
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(project.root)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    with child, child.stdout:
        assert child.stdout.readline() == "comparing\n"
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL

    (killed,) = project.evidence()
    assert (killed.state, killed.verdict, killed.finished_at, killed.summary) == (RunState.RUNNING, None, None, None)
    assert killed.folder is not None
    assert not (project.root / killed.folder / "diff.json").exists()
    assert migration.status().last_diffs == ()

    (run,) = migration.diff()
    assert run.evidence_key == killed.evidence_key
    assert {one.run_id: one.state for one in project.evidence()} == {
        killed.run_id: RunState.RUNNING,
        run.run_id: RunState.FINISHED,
    }


# --- reports ----------------------------------------------------------------------------------------------------


def test_the_folder_of_a_run_holds_its_result_and_every_mismatching_key(project: Project) -> None:
    project.write("orders.csv", HEAD + FOUR + TWO_MORE)
    project.write("views_v2/customers.sql", WRONG + "HAVING customer <> 'cat'\n")

    (run,) = project.build().diff(samples=1)

    assert run.folder == project.root / "reports" / run.run_id
    assert sorted(one.name for one in run.folder.iterdir()) == ["diff.json", "mismatches.parquet"]
    said = json.loads((run.folder / "diff.json").read_text(encoding="utf-8"))
    assert said == json.loads(json.dumps(run.to_json()))
    assert (said["run"], said["comparator"], said["position"]) == (run.run_id, "customers", 6)
    assert (said["verdict"], said["mismatched"], len(said["mismatches"])) == ("fail", 2, 1)
    kept = pq.read_table(run.folder / "mismatches.parquet").to_pylist()
    assert [(one["customer"], one["_kind"], one["_columns"]) for one in kept] == [
        ("ann", "changed", ["total"]),
        ("cat", "only_in_v1", []),
    ]


def test_a_mismatch_shows_both_rows_and_the_events_that_touched_its_key(project: Project) -> None:
    project.write("views_v2/customers.sql", WRONG)

    (run,) = project.build().diff()

    (one,) = run.comparison.mismatches
    assert (one.key, one.kind, one.columns) == ({"customer": "ann"}, DifferenceKind.CHANGED, ("total",))
    assert one.v1 == {"customer": "ann", "orders": 3, "total": Decimal("10.00")}
    assert one.v2 == {"customer": "ann", "orders": 3, "total": Decimal("15.50")}
    assert (run.untraced, one.events_total) == ("", 3)
    assert [(event.position, event.event_id, event.type, event.occurred_at) for event in one.events] == [
        (1, "o-1", "ordered", "2026-01-01T08:00:00Z"),
        (3, "o-3", "ordered", "2026-01-01T10:00:00Z"),
        (4, "o-4", "refunded", "2026-01-01T11:00:00Z"),
    ]


def test_an_event_that_only_one_side_counts_is_among_those_shown(project: Project) -> None:
    text = "-- key: customer\nSELECT customer, sum(amount) AS total FROM events{} GROUP BY customer\n"
    project.write("views_v1/customers.sql", text.format(" WHERE type = 'ordered'"))
    project.write("views_v2/customers.sql", text.format(""))

    (run,) = project.build().diff()

    (one,) = run.comparison.mismatches
    assert one.key == {"customer": "ann"}
    assert [event.event_id for event in one.events] == ["o-1", "o-3", "o-4"]
    assert one.events_total == 3


def test_a_replay_of_v1_alone_begins_no_migration(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.lay_out()
    migration = project.open()
    migration.import_()

    migration.replay(side=Side.V1)
    before = migration.cutover.state().stage
    migration.replay(side=Side.V2)

    assert (before, migration.cutover.state().stage) == ("off", "shadow")


KEYS = {
    "day": "CAST(occurred_at AS DATE)",
    "instant": "occurred_at",
    "time": "CAST(CAST(occurred_at AS TIMESTAMP) AS TIME)",
    "decimal": "amount",
    "whole": "CAST(amount AS BIGINT)",
    "list": "['a', type]",
    "struct": "{'kind': type, 'at': occurred_at}",
    "blob": "CAST(type AS BLOB)",
}


def test_a_mismatch_is_traced_whatever_the_type_of_its_key(project: Project) -> None:
    for name, key in KEYS.items():
        for side, amount in (("v1", "amount"), ("v2", "abs(amount)")):
            text = f"-- key: id\nSELECT {key} AS id, sum({amount}) AS total FROM events GROUP BY {key}\n"
            project.write(f"views_{side}/by_{name}.sql", text)

    runs = project.build().diff([f"by_{name}" for name in KEYS])

    last = {run.name: [one.events[-1].event_id for one in run.comparison.mismatches if one.events] for run in runs}
    assert last == {f"by_{name}": ["o-4"] for name in KEYS}
    assert {run.untraced for run in runs} == {""}


@pytest.mark.parametrize("name", ["Order No", "position", "select"])
def test_a_mismatch_is_traced_whatever_its_key_is_called(project: Project, name: str) -> None:
    for side, amount in (("v1", "amount"), ("v2", "abs(amount)")):
        text = f'-- key: "{name}"\nSELECT event_id AS "{name}", sum({amount}) AS total FROM events GROUP BY event_id\n'
        project.write(f"views_{side}/named.sql", text)

    (run,) = project.build().diff(["named"])

    assert run.untraced == ""
    assert [(one.key, [event.position for event in one.events]) for one in run.comparison.mismatches] == [
        ({name: "o-4"}, [4])
    ]


def test_a_key_whose_events_nobody_can_tell_is_shown_without_them_and_with_the_reason(project: Project) -> None:
    for side in ("v1", "v2"):
        project.write(f"views_{side}/customers.sql", UNTOLD if side == "v2" else UNTOLD.replace("= 'ordered'", "<> ''"))

    (run,) = project.build().diff()

    assert run.untraced == "which events touch a key is not known; give the comparator an affected_by"
    assert [(one.key["customer"], one.events_total, one.events) for one in run.comparison.mismatches] == [
        ("ann", None, ())
    ]


def test_an_affected_by_that_cannot_be_computed_loses_no_finding(project: Project) -> None:
    project.comparator('key="customer", affected_by={"customer": "CAST(type AS BIGINT)"}')
    project.write("views_v2/customers.sql", WRONG)

    (run,) = project.build().diff()

    assert run.untraced.startswith("affected_by cannot be computed: ")
    assert "Could not convert string" in run.untraced
    assert [one.key for one in run.comparison.mismatches] == [{"customer": "ann"}]
    assert project.evidence()[0].verdict is Outcome.FAIL


# --- expected differences ---------------------------------------------------------------------------------------

EXPECTED = """key="customer", expected=[Expected(
    when="v1.total <> v2.total", v2_equals={"total": "v1.total + 5.50"},
    reason="refunds are booked elsewhere", owner="finance", until=date(2026, 3, 1),
)]"""


def test_an_expected_difference_passes_and_is_counted_apart(project: Project) -> None:
    project.comparator(EXPECTED)
    project.write("views_v2/customers.sql", WRONG)

    (run,) = project.build().diff()

    found = run.comparison
    assert (found.verdict, found.matched, found.expected, found.mismatched) == (Outcome.PASS, 1, 1, 0)
    assert [one.to_json() for one in found.expected_by] == [
        {
            "reason": "refunds are booked elsewhere",
            "owner": "finance",
            "until": "2026-03-01",
            "rows": 1,
            "expired": False,
        }
    ]


def test_an_expected_difference_that_has_expired_is_a_mismatch_the_day_after(project: Project) -> None:
    project.comparator(EXPECTED)
    project.write("views_v2/customers.sql", WRONG)
    project.build()

    (run,) = project.open(at=NOW.replace(day=2)).diff()

    found = run.comparison
    assert (found.verdict, found.expected, found.mismatched) == (Outcome.FAIL, 0, 1)
    assert found.mismatches[0].note == "expired: refunds are booked elsewhere (until 2026-03-01)"
    assert found.expected_by[0].expired
    assert date(2026, 3, 1) < NOW.replace(day=2).date()


# --- exit codes -------------------------------------------------------------------------------------------------


def test_a_diff_that_passes_exits_with_0(project: Project, told: Told) -> None:
    project.build()

    code, said = told("diff")

    assert (code, said["error"], said["result"]["verdict"]) == (0, None, "pass")
    assert [(one["comparator"], one["mismatched"]) for one in said["result"]["runs"]] == [("customers", 0)]


def test_a_diff_that_finds_a_difference_exits_with_4(project: Project, told: Told) -> None:
    project.write("views_v2/customers.sql", WRONG)
    project.build()

    code, said = told("diff")

    assert (code, said["error"], said["result"]["verdict"]) == (4, None, "fail")
    (one,) = said["result"]["runs"][0]["mismatches"]
    assert (one["key"], one["v1"]["total"], one["v2"]["total"]) == ({"customer": "ann"}, "10.00", "15.50")
    assert [event["position"] for event in one["events"]] == [1, 3, 4]


def test_a_diff_of_no_rows_could_not_tell_and_exits_with_1(project: Project, told: Told) -> None:
    for side in ("v1", "v2"):
        project.write(f"views_{side}/customers.sql", V1.replace("GROUP", "WHERE type = 'none' GROUP"))
    project.build()

    code, said = told("diff")

    assert (code, said["error"], said["result"]["verdict"]) == (1, None, "inconclusive")
    assert said["result"]["runs"][0]["why"][0] == (
        "no key is on both sides: 0 rows were compared, at least 1 is needed"
    )


@pytest.mark.parametrize(
    ("key", "nulls", "duplicates"),
    [("'all'", 0, 1), ("nullif(customer, 'ann')", 1, 0)],
)
def test_null_and_duplicate_keys_of_a_comparator_exit_with_4(
    project: Project, told: Told, key: str, nulls: int, duplicates: int
) -> None:
    query = f"SELECT {key} AS customer, orders, total FROM {{}}.customers"
    project.comparator(f'key="customer", v1="{query.format("v1")}", v2="{query.format("v2")}"')
    project.build()

    code, said = told("diff")

    (run,) = said["result"]["runs"]
    assert (code, run["verdict"], run["mismatched"]) == (4, "fail", 0)
    assert [(one["side"], one["null_keys"], one["duplicate_keys"]) for one in run["key_problems"]] == [
        ("v1", nulls, duplicates),
        ("v2", nulls, duplicates),
    ]
    assert run["why"][0].endswith("limit 0; those rows were left out")


def test_a_comparator_that_reads_no_view_is_refused(project: Project, told: Told) -> None:
    project.build()
    project.comparator('key="id", v1="SELECT 1 AS id", v2="SELECT 1 AS id"')

    code, said = told("diff")

    assert code == 2
    assert "reads no view" in said["error"]["message"]


def test_samples_bound_what_is_shown_and_never_what_is_counted(project: Project, told: Told) -> None:
    project.write("views_v2/customers.sql", V1.replace("sum(amount)", "sum(amount) + 1"))
    project.build()

    code, said = told("diff", "customers", "--samples", "1")

    (run,) = said["result"]["runs"]
    assert (code, run["changed"], len(run["mismatches"])) == (4, 2, 1)


def test_views_without_a_comparator_are_compared_as_they_were_built_though_their_files_were_edited(
    project: Project,
) -> None:
    for side in ("v1", "v2"):
        edited = V1.replace("count(*) AS orders", "count(*) AS orders, max(amount) AS top")
        project.write(f"views_{side}/customers.sql", edited)

    (run,) = project.open().diff()

    assert run.comparison.verdict is Outcome.PASS
    assert [column.name for column in run.comparison.columns] == ["orders", "total"]


def test_a_diff_that_could_not_look_is_inconclusive_and_leaves_no_folder(project: Project) -> None:
    project.comparator('key="nothing"')

    with pytest.raises(DualgaugeError):
        project.open().diff()

    (kept,) = project.evidence()
    assert (kept.state, kept.verdict) == ("finished", Outcome.INCONCLUSIVE)
    assert kept.summary is not None
    assert "nothing" in str(kept.summary["error"])
    assert not list((project.root / "reports").glob("*"))


def test_reads_wait_for_a_served_view_whose_file_is_gone_until_it_is_pruned(project: Project) -> None:
    project.write("views_v2/extra.sql", V1)
    migration = project.build()
    (project.root / "views_v2" / "extra.sql").unlink()
    project.write("orders.csv", HEAD + FOUR + TWO_MORE)
    migration.import_()
    migration.replay()
    migration.diff()

    with pytest.raises(GateRefused, match=r"readers get v2\.extra, whose file is gone"):
        migration.switch(500_000)
    assert migration.replay(prune=True).pruned == ("v2.extra",)
    assert migration.switch(500_000).after.share_ppm == 500_000


def test_v2_gets_no_more_reads_while_one_of_its_views_is_behind_one_of_v1(project: Project) -> None:
    for side in ("v1", "v2"):
        project.write(f"views_{side}/others.sql", V1)
    migration = project.build()
    project.write("orders.csv", HEAD + FOUR + TWO_MORE)
    migration.import_()
    migration.replay(["v1.others", "v2.customers"])

    with pytest.raises(GateRefused, match=r"v2\.others is 2 events and .* behind"):
        migration.switch(500_000)


def test_the_share_can_be_lowered_while_a_view_file_is_broken(project: Project) -> None:
    migration = project.open()
    migration.diff()
    migration.switch(100_000)
    project.write("views_v2/customers.sql", "SELEC")

    assert migration.switch(50_000).after.share_ppm == 50_000


def test_looking_at_a_project_makes_no_file(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.lay_out()
    migration = project.open()

    migration.status()
    migration.cutover.journal()
    migration.import_(dry_run=True)
    migration.replay(dry_run=True)

    assert not (tmp_path / ".dualgauge").exists()
