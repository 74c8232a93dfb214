"""Ways onto v2 without valid evidence: each is refused, by the gate or where the file is read, and says why."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

import dualgauge
from dualgauge.comparison.errors import BadComparator
from dualgauge.cutover.errors import GateRefused
from dualgauge.ledger.errors import GroundShifted
from dualgauge.project.settings import EVIDENCE, evidence_settings
from dualgauge.settings import Settings
from dualgauge.stores.errors import BadKey
from support.inside import ledger_of
from support.shop import VIEW, build, call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WRONG = VIEW.replace("sum(cents)", "sum(cents) + 1")
PASSING = 'from dualgauge import Comparator\ncustomers = Comparator(key="customer")\n'


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop whose diff passed: a switch would move."""
    folder = build(tmp_path_factory.mktemp("ways") / "shop")
    (folder / "comparators" / "customers.py").write_text(PASSING, encoding="utf-8")
    assert call("diff", folder=folder).exit_code == 0
    assert call("switch", "--percent", "50", "--dry-run", folder=folder).exit_code == 0
    return folder


@pytest.fixture
def shop(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "shop")


def failing(shop: Path) -> None:
    """v2 answers otherwise than v1, and its diff has failed."""
    (shop / "views_v2" / "customers.sql").write_text(WRONG, encoding="utf-8")
    assert call("replay", folder=shop).exit_code == 0
    assert call("diff", folder=shop).exit_code == 4


def refused(shop: Path) -> str:
    said = call("switch", "--percent", "50", folder=shop)
    assert said.exit_code == 3, said.out + said.err
    assert dualgauge.open(shop).cutover.state().share_ppm == 0
    return said.err


# What is served counts, not what files are there.


def the_file_of_a_failed_view_removed(shop: Path) -> None:
    failing(shop)
    (shop / "views_v2" / "orders.sql").write_text(
        "-- key: position\nSELECT position, cents FROM events\n", encoding="utf-8"
    )
    shutil.copy(shop / "views_v2" / "orders.sql", shop / "views_v1" / "orders.sql")
    (shop / "comparators" / "customers.py").unlink()
    (shop / "views_v2" / "customers.sql").unlink()
    call("replay", folder=shop)
    call("diff", folder=shop)


def the_file_of_a_failed_view_renamed(shop: Path) -> None:
    failing(shop)
    (shop / "comparators" / "customers.py").unlink()
    for side in ("views_v1", "views_v2"):
        (shop / side / "buyers.sql").write_text(VIEW, encoding="utf-8")
    (shop / "views_v2" / "customers.sql").unlink()
    call("replay", folder=shop)
    call("diff", folder=shop)


def both_files_of_a_failed_view_removed(shop: Path) -> None:
    failing(shop)
    (shop / "comparators" / "customers.py").unlink()
    for side in ("views_v1", "views_v2"):
        (shop / side / "buyers.sql").write_text(VIEW, encoding="utf-8")
        (shop / side / "customers.sql").unlink()
    call("replay", folder=shop)
    call("diff", folder=shop)


# A build is what its token says.


def the_store_of_v2_removed_and_replayed(shop: Path) -> None:
    for file in (shop / ".dualgauge").glob("views_v2.db*"):
        file.unlink()
    assert call("replay", folder=shop).exit_code == 0


def the_stores_of_both_sides_removed_and_replayed(shop: Path) -> None:
    for file in (shop / ".dualgauge").glob("views_v*.db*"):
        file.unlink()
    assert call("replay", folder=shop).exit_code == 0


def a_build_of_an_older_version(shop: Path) -> None:
    with sqlite3.connect(shop / ".dualgauge" / "views_v2.db") as store:
        store.execute("ALTER TABLE _dualgauge_checkpoint DROP COLUMN token")


# Files of a run, and comparators.


def a_result_file_changed(shop: Path) -> None:
    (file,) = (shop / "reports").glob("*/diff.json")
    file.write_text(file.read_text(encoding="utf-8").replace('"matched": 3', '"matched": 4'), encoding="utf-8")


def a_result_file_removed(shop: Path) -> None:
    (file,) = (shop / "reports").glob("*/diff.json")
    file.unlink()


def the_keys_of_a_run_removed(shop: Path) -> None:
    (file,) = (shop / "reports").glob("*/mismatches.parquet")
    file.unlink()


def all_reports_removed(shop: Path) -> None:
    shutil.rmtree(shop / "reports")


def a_comparator_that_failed_made_trivial_and_removed(shop: Path) -> None:
    failing(shop)
    file = shop / "comparators" / "customers.py"
    strict = PASSING.replace(
        'key="customer"', 'key="customer", v1="SELECT * FROM v1.customers", v2="SELECT * FROM v2.customers"'
    )
    file.write_text(strict.replace("customers = ", "money = "), encoding="utf-8")
    assert call("diff", "money", folder=shop).exit_code == 4
    trivial = "SELECT customer, 1 AS one FROM {}.customers"
    file.write_text(
        f'from dualgauge import Comparator\nmoney = Comparator(key="customer", v1="{trivial.format("v1")}", '
        f'v2="{trivial.format("v2")}")\n',
        encoding="utf-8",
    )
    assert call("diff", "money", folder=shop).exit_code == 0
    file.write_text(
        PASSING.replace("customers = ", "names = ").replace(
            'key="customer"', f'key="customer", v1="{trivial.format("v1")}", v2="{trivial.format("v2")}"'
        ),
        encoding="utf-8",
    )
    assert call("diff", "names", folder=shop).exit_code == 0


# The log is what its table's id says.


def another_log_under_the_same_ledger(shop: Path) -> None:
    shutil.rmtree(shop / ".dualgauge" / "log")
    with sqlite3.connect(shop / ".dualgauge" / "ledger.db") as ledger:
        ledger.execute("DELETE FROM log_link")
    assert call("log", "import", "--all", folder=shop).exit_code == 0


WAYS: dict[Callable[[Path], None], str] = {
    the_file_of_a_failed_view_removed: "readers get v2.customers, whose file is gone",
    the_file_of_a_failed_view_renamed: "readers get v2.customers, whose file is gone",
    both_files_of_a_failed_view_removed: "readers get v1.customers, v2.customers, whose file is gone",
    the_store_of_v2_removed_and_replayed: "the evidence is of another build 1 of v2.customers: the store was made anew",
    the_stores_of_both_sides_removed_and_replayed: "the store was made anew since",
    a_build_of_an_older_version: "of an older dualgauge, which gave builds no token",
    a_result_file_changed: "the file diff.json was changed by hand, so nobody can see any more what it found",
    a_result_file_removed: "the file diff.json is gone, so nobody can see any more what it found",
    the_keys_of_a_run_removed: "the file mismatches.parquet is gone",
    all_reports_removed: "is gone, so nobody can see any more what it found",
    a_comparator_that_failed_made_trivial_and_removed: "nothing asks for it any more",
    another_log_under_the_same_ledger: "the evidence is of another event log",
}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_way_onto_v2_without_valid_evidence_is_refused(way: Callable[[Path], None], shop: Path) -> None:
    way(shop)

    assert WAYS[way] in refused(shop)
    assert call("rollback", folder=shop).exit_code == 0


def test_what_is_served_without_a_file_is_retired_by_prune_and_by_nothing_else(shop: Path) -> None:
    for side in ("views_v1", "views_v2"):
        (shop / side / "buyers.sql").write_text(VIEW, encoding="utf-8")
        (shop / side / "customers.sql").unlink()
    (shop / "comparators" / "customers.py").unlink()
    assert call("replay", folder=shop).exit_code == 0
    assert call("diff", folder=shop).exit_code == 0
    assert "dualgauge replay --prune" in refused(shop)

    told = call("replay", "--prune", "--dry-run", folder=shop).out
    assert "v1.customers: would be taken from readers, for its file is gone\n" in told
    assert call("read", "customers", "ada", folder=shop).exit_code == 0
    pruned = call("replay", "--prune", "--format", "json", folder=shop).json["result"]["pruned"]
    assert pruned == ["v1.customers", "v2.customers"]
    assert call("read", "customers", "ada", folder=shop).exit_code != 0
    assert call("switch", "--percent", "50", folder=shop).exit_code == 0


# Between the look and the move.


@pytest.mark.parametrize("between", ["a failing diff", "a replay of another text"])
def test_what_ends_between_the_look_and_the_move_is_seen_by_the_move(
    between: str, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dualgauge.cutover.gates import decide as gates

    real, other = gates.decide, dualgauge.open(shop)

    def decide(*given: Any) -> Any:
        found = real(*given)
        monkeypatch.setattr(gates, "decide", real)
        if between == "a failing diff":
            (shop / "views_v2" / "customers.sql").write_text(WRONG, encoding="utf-8")
            other.replay()
            other.diff()
        else:
            (shop / "views_v2" / "customers.sql").write_text(WRONG, encoding="utf-8")
            other.replay()
        return found

    monkeypatch.setattr(gates, "decide", decide)
    with pytest.raises(GateRefused):
        dualgauge.open(shop).switch(500_000)
    assert dualgauge.open(shop).cutover.state().share_ppm == 0


def test_a_move_whose_ground_never_rests_gives_up_and_says_so(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dualgauge.cutover.gates import decide as gates

    real, other = gates.decide, dualgauge.open(shop)

    def decide(*given: Any) -> Any:
        found = real(*given)
        other.diff()
        return found

    monkeypatch.setattr(gates, "decide", decide)
    with pytest.raises(GroundShifted, match="changed while its gates were looked at; nothing was written"):
        dualgauge.open(shop).switch(500_000)
    assert dualgauge.open(shop).cutover.state().share_ppm == 0


def test_a_switch_beside_failing_diffs_never_moves_on_old_evidence(shop: Path) -> None:
    """Threads: whatever comes first, a move is never behind a failing diff in the journal."""
    (shop / "comparators" / "customers.py").write_text(
        PASSING + 'unlike = Comparator(key="customer", v1="SELECT * FROM v1.customers", '
        'v2="SELECT customer, orders, cents + 1 AS cents FROM v2.customers")\n',
        encoding="utf-8",
    )
    stop = threading.Event()

    def diffs() -> None:
        while not stop.is_set():
            dualgauge.open(shop).diff(["unlike"])

    thread = threading.Thread(target=diffs)
    thread.start()
    try:
        for _ in range(3):
            with pytest.raises((GateRefused, GroundShifted)):
                dualgauge.open(shop).switch(500_000)
    finally:
        stop.set()
        thread.join()
    with ledger_of(dualgauge.open(shop)) as ledger:
        assert ledger.state("customers").share_ppm == 0


# Where a file is read.


@pytest.mark.parametrize("name", ["sqlite_orders", "sqlite_", "alembic_version"])
def test_a_view_called_like_a_table_of_the_stores_own_is_refused_when_it_is_read(name: str, shop: Path) -> None:
    (shop / "views_v2" / f"{name}.sql").write_text(VIEW, encoding="utf-8")

    for command in (["plan"], ["replay"]):
        said = call(*command, folder=shop)
        assert said.exit_code == 2
        assert said.err.count(f"{name}.sql")
    assert call("read", "customers", "ada", folder=shop).exit_code == 0


@pytest.mark.parametrize("name", ["../../escaped", "a" * 240, "with blank", "a/b", "ü"])
def test_a_comparator_has_a_name_that_a_folder_can_bear(name: str, shop: Path) -> None:
    file = shop / "comparators" / "customers.py"
    file.write_text(f"{PASSING}globals()[{name!r}] = Comparator(key='customer')\n", encoding="utf-8")

    said = call("diff", folder=shop)
    assert said.exit_code == 2
    assert "is no name for a Comparator: it becomes part of folders' names" in said.err
    assert not (shop.parent / "escaped").exists()


def test_a_rule_of_somebodys_own_is_refused_for_evidence_could_not_tell_what_it_does() -> None:
    class Blind(dualgauge.Exact):
        def sql(self, a: str, b: str) -> str:
            return "true"

    with pytest.raises(BadComparator, match=r"rules\['x'\].*must be a rule such as Exact"):
        dualgauge.Comparator(key="id", rules={"x": Blind()})


def test_a_read_by_something_else_than_text_says_what_a_key_is(shop: Path) -> None:
    given: Any = [1]
    with pytest.raises(BadKey, match="1 is no text; give each part of the key as it is written"):
        dualgauge.open(shop).read("customers", given)


def test_a_line_end_in_a_value_makes_no_line_of_its_own(shop: Path) -> None:
    with (shop / "data" / "orders.csv").open("a", encoding="utf-8") as file:
        file.write('9,2026-01-05T08:15:00Z,"eve\ngates: all 9 open",placed,1\n')
    assert call("log", "import", "--all", folder=shop).exit_code == 0

    lines = call("log", "show", "--limit", "1", folder=shop).out.splitlines()
    assert len(lines) == 2
    assert "eve\\ngates: all 9 open" in lines[1]


# What evidence depends on.

OTHERS: dict[str, object] = {
    "migration": "another", "log.path": "elsewhere", "log.storage_options": {"region": "x"},
    "log.columns": {"customer": "VARCHAR"}, "sources": [], "store.url": "sqlite:///other_{side}.db",
    "store.adopt_url": "sqlite:///shop.db", "store.migrate": "manual", "ledger.url": "sqlite:///other.db",
    "gates.max_age": "2d", "gates.max_events_behind": 7, "paths.migrations": "m", "paths.views_v1": "a",
    "paths.views_v2": "b", "paths.comparators": "c", "paths.reports": "d",
}  # fmt: skip
"""Another value for each setting."""

DEPENDS = {"migration", "log.columns", "store.url", "store.adopt_url"}


def leaves(model: type[BaseModel], before: str = "") -> Iterator[tuple[str, bool]]:
    """Every setting by its dotted name, and whether it is marked as one that evidence depends on."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from leaves(inner, f"{before}{name}.")
        else:
            yield f"{before}{name}", field.json_schema_extra == EVIDENCE


def test_evidence_depends_on_the_settings_that_say_so_and_on_no_other() -> None:
    settings = Settings(migration="shop")
    raw: dict[str, Any] = settings.model_dump()
    found = dict(leaves(Settings))

    assert found.keys() == OTHERS.keys()
    assert {name for name, marked in found.items() if marked} == DEPENDS
    for name, value in OTHERS.items():
        changed: dict[str, Any] = {key: dict(part) if isinstance(part, dict) else part for key, part in raw.items()}
        *path, last = name.split(".")
        part = changed
        for one in path:
            part = part[one]
        part[last] = value
        if name == "log.storage_options":
            changed["log"]["path"] = "s3://bucket/log"
        other = evidence_settings(Settings.model_validate(changed))
        assert (other != evidence_settings(settings)) == (name in DEPENDS), name


def test_an_edit_of_what_evidence_does_not_depend_on_leaves_it_valid(shop: Path) -> None:
    with (shop / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write('\n[tool.dualgauge.gates]\nmax_age = "48h"\n\n[[tool.dualgauge.sources]]\nname = "more"\n')
        file.write('path = "data/more-*.csv"\nevent_id = "id"\ntype = "what"\noccurred_at = "time"\n')

    assert call("switch", "--percent", "50", folder=shop).exit_code == 0
