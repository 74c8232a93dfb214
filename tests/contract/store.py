"""
What every serving store must show: subclass `StoreContract` and give it a fixture `store` that is empty.

    class TestSqliteStore(StoreContract):
        @pytest.fixture
        def store(self, tmp_path): ...
"""

from __future__ import annotations

import random
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from dualgauge.ledger.ledger import Ledger
from dualgauge.model import Position, Side
from dualgauge.stores.errors import BadKeys, Fenced, MissingShape, NotBuilt
from dualgauge.stores.serving.port import Only
from dualgauge.stores.serving.shapes import Shape
from dualgauge_router.stores.errors import BadKey, ReaderClosed
from support.builds import batch, stored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualgauge.stores.serving.port import BuildStore, Loading, Snapshot

    Row = tuple[Any, ...]

ROOT = Path(__file__).resolve().parents[2]

TOTALS = Shape(Side.V1, "totals", {"customer": "VARCHAR", "orders": "BIGINT"}, ("customer",), (("orders",),))
PAIRS = Shape(Side.V1, "pairs", {"n": "BIGINT", "b": "VARCHAR", "a": "BIGINT"}, ("a", "b"))


def rows(count: int, orders: int, position: int = 1) -> list[Row]:
    """As many customers, each with so many orders."""
    return [(f"c{number:03d}", orders, position) for number in range(count)]


def build(store: BuildStore, shape: Shape, given: Sequence[Row], target: int, text: str = "SELECT 1") -> int:
    """Load a build whole and serve it."""
    with store.load(shape, f"hash of {text}", text, Position(target), "chain") as loading:
        loading.append(batch(given))
        loading.finish()
        return loading.build


def seen(snapshot: Snapshot, view: str = "totals", columns: Mapping[str, str] = TOTALS.columns) -> list[Row]:
    return sorted(stored(snapshot, view, columns))


class StoreContract:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """A migrations folder without revisions."""
        folder = tmp_path / "migrations"
        shutil.copytree(ROOT / "migrations", folder, ignore=shutil.ignore_patterns("versions", "__pycache__"))
        return folder

    @pytest.fixture
    def shaped(self, store: BuildStore, folder: Path) -> BuildStore:
        """The store with the shapes of the contract's views."""
        shapes = [TOTALS, PAIRS]
        assert store.revise(folder, shapes, "shapes") is not None
        store.upgrade(folder, shapes)
        return store

    # --- shapes ---------------------------------------------------------------------------------------------------

    def test_a_missing_shape_is_told_written_as_a_revision_and_then_no_longer_missing(
        self, store: BuildStore, folder: Path
    ) -> None:
        assert "CreateTable views_v1.totals__shape" in store.missing(folder, [TOTALS])
        written = store.revise(folder, [TOTALS], "first")
        assert written is not None
        assert (written.id, written.message, written.applied) == ("0001", "first", False)
        assert [one.id for one in store.upgrade(folder, [TOTALS])] == ["0001"]
        assert store.missing(folder, [TOTALS]) == []
        assert store.revise(folder, [TOTALS], "again") is None
        assert store.upgrade(folder, [TOTALS]) == []
        assert [(one.id, one.applied) for one in store.history(folder)] == [("0001", True)]

    def test_a_load_without_a_shape_is_refused(self, store: BuildStore) -> None:
        with pytest.raises(MissingShape, match=r"v1\.totals"), store.load(TOTALS, "h", "t", Position(1), "chain"):
            pass

    def test_builds_are_no_missing_shapes_and_no_shapes_too_many(self, shaped: BuildStore, folder: Path) -> None:
        build(shaped, TOTALS, rows(3, 1), target=5)
        assert shaped.missing(folder, [TOTALS, PAIRS]) == []
        assert shaped.revise(folder, [TOTALS, PAIRS], "nothing") is None

    # --- builds ---------------------------------------------------------------------------------------------------

    def test_a_side_without_builds_reads_as_empty(self, store: BuildStore) -> None:
        for side in Side:
            assert store.checkpoints(side) == []
            assert store.served(side) == {}
            with store.snapshot(side) as snapshot:
                assert snapshot.served("totals") is None

    def test_a_finished_build_is_served_with_its_checkpoint(self, shaped: BuildStore) -> None:
        number = build(shaped, TOTALS, rows(3, 2, position=4), target=9, text="SELECT 'x'")
        assert shaped.served(Side.V1) == {"totals": number}
        [one] = shaped.checkpoints(Side.V1)
        assert (one.view, one.build, one.position) == ("totals", number, 9)
        assert (one.definition_hash, one.text) == ("hash of SELECT 'x'", "SELECT 'x'")
        with shaped.snapshot(Side.V1) as snapshot:
            assert snapshot.served("totals") == one
            assert seen(snapshot, columns={**TOTALS.columns, "_position": "BIGINT"}) == rows(3, 2, position=4)

    def test_nothing_is_served_before_the_first_build_is_finished(self, shaped: BuildStore) -> None:
        with shaped.load(TOTALS, "h", "t", Position(9), "chain") as loading:
            loading.append(batch(rows(3, 1)))
            assert shaped.served(Side.V1) == {}
            with pytest.raises(NotBuilt, match=r"view v1\.totals has no build yet; replay it first"):
                shaped.point(Side.V1, "totals", ["c001"])

    def test_numbers_of_builds_are_unique_in_a_side_and_never_given_twice(self, shaped: BuildStore) -> None:
        given = [build(shaped, shape, [], target) for target in (1, 2, 3) for shape in (TOTALS, PAIRS)]
        with shaped.load(TOTALS, "left", "t", Position(8), "chain") as left:
            given.append(left.build)
        # Another definition: what was left is dropped, and its number with it.
        given.append(build(shaped, TOTALS, [], 9))
        assert given == [1, 2, 3, 4, 5, 6, 7, 8]
        assert 7 not in [one.build for one in shaped.checkpoints(Side.V1)]

    def test_the_build_before_is_kept_and_older_ones_are_dropped(self, shaped: BuildStore) -> None:
        numbers = [build(shaped, TOTALS, rows(2, target), target) for target in (1, 2, 3, 4)]
        assert [one.build for one in shaped.checkpoints(Side.V1)] == numbers[-2:]
        assert shaped.point(Side.V1, "totals", ["c000"]) == {"customer": "c000", "orders": 4}

    def test_an_empty_log_gives_a_build_that_is_served_until_the_next_one(self, shaped: BuildStore) -> None:
        build(shaped, TOTALS, [], target=0)
        with shaped.load(TOTALS, "h", "t", Position(5), "chain") as loading:
            assert shaped.point(Side.V1, "totals", ["c000"]) is None
            loading.append(batch(rows(1, 1)))
            loading.finish()
        assert shaped.point(Side.V1, "totals", ["c000"]) == {"customer": "c000", "orders": 1}

    # --- loading --------------------------------------------------------------------------------------------------

    def test_a_load_that_was_left_is_gone_on_with_after_its_last_rows(self, shaped: BuildStore) -> None:
        with shaped.load(TOTALS, "h", "t", Position(9), "chain") as loading:
            loading.append(batch(rows(5, 1)[:2]))
            loading.append(batch(rows(5, 1)[2:3]))
            first = loading.build
        with shaped.load(TOTALS, "h", "t", Position(9), "chain") as loading:
            assert (loading.build, loading.rows) == (first, 3)
            loading.append(batch(rows(5, 1)[3:]))
            assert loading.finish() is None
        with shaped.snapshot(Side.V1) as snapshot:
            assert seen(snapshot) == [row[:2] for row in rows(5, 1)]

    @pytest.mark.parametrize(("definition", "target"), [("other", 9), ("h", 10)])
    def test_a_load_of_another_definition_or_position_begins_anew(
        self, shaped: BuildStore, definition: str, target: int
    ) -> None:
        with shaped.load(TOTALS, "h", "t", Position(9), "chain") as loading:
            loading.append(batch(rows(5, 1)))
        with shaped.load(TOTALS, definition, "t", Position(target), "chain") as loading:
            assert loading.rows == 0
            loading.append(batch(rows(2, 7)))
            loading.finish()
        with shaped.snapshot(Side.V1) as snapshot:
            assert seen(snapshot) == [row[:2] for row in rows(2, 7)]

    def test_two_rows_with_one_key_are_refused_and_nothing_of_them_is_kept(self, shaped: BuildStore) -> None:
        with shaped.load(TOTALS, "h", "t", Position(9), "chain") as loading:
            loading.append(batch(rows(2, 1)))
            with pytest.raises(BadKeys, match="two keys are one once stored"):
                loading.append(batch([("new", 1, 1), ("c000", 1, 1)]))
            assert loading.rows == 2
            loading.finish()
        assert shaped.point(Side.V1, "totals", ["new"]) is None

    @pytest.mark.parametrize("same", [True, False], ids=["resumed", "begun anew"])
    def test_who_lost_a_build_to_another_process_writes_nothing_more(self, shaped: BuildStore, same: bool) -> None:
        before = build(shaped, TOTALS, rows(1, 1), target=1)
        with ExitStack() as stack:
            first: Loading = stack.enter_context(shaped.load(TOTALS, "h", "t", Position(9), "chain"))
            first.append(batch(rows(6, 2)[:3]))
            second = stack.enter_context(shaped.load(TOTALS, "h" if same else "other", "t", Position(9), "chain"))
            assert second.rows == (3 if same else 0)
            for move in (lambda: first.append(batch(rows(6, 2)[3:])), first.finish):
                with pytest.raises(Fenced, match="was taken over by another process") as caught:
                    move()
                assert caught.value.exit_code == 5
            assert shaped.served(Side.V1) == {"totals": before}
            second.append(batch(rows(6, 2)[second.rows :]))
            assert second.finish() == before
        with shaped.snapshot(Side.V1) as snapshot:
            assert seen(snapshot) == [row[:2] for row in rows(6, 2)]

    def test_a_load_begun_while_another_is_finished_is_not_dropped_by_it(self, shaped: BuildStore) -> None:
        with shaped.load(TOTALS, "h", "t", Position(9), "chain") as first:
            first.append(batch(rows(1, 1)))
            first.finish()
            with shaped.load(TOTALS, "h", "t", Position(10), "chain") as second:
                second.append(batch(rows(2, 2)))
                build(shaped, PAIRS, [], 9)
                second.finish()
        assert shaped.point(Side.V1, "totals", ["c001"]) == {"customer": "c001", "orders": 2}

    # --- reading --------------------------------------------------------------------------------------------------

    def test_a_snapshot_goes_on_seeing_the_build_that_was_served_when_it_was_opened(self, shaped: BuildStore) -> None:
        first = build(shaped, TOTALS, rows(30, 1), target=1)
        with shaped.snapshot(Side.V1) as old:
            for target in (2, 3, 4):
                build(shaped, TOTALS, rows(40, target), target)
            whole = seen(old)
            checkpoint: Any = old.served("totals")
            assert (checkpoint.build, checkpoint.position) == (first, 1)
            assert whole == [row[:2] for row in rows(30, 1)]
            assert seen(old) == whole
        with shaped.snapshot(Side.V1) as new:
            assert seen(new) == [row[:2] for row in rows(40, 4)]

    @pytest.mark.parametrize("seed", range(20))
    def test_some_rows_are_those_of_the_keys_and_a_stretch_each_once(self, shaped: BuildStore, seed: int) -> None:
        chance = random.Random(seed)
        keys = sorted({(chance.randrange(6), chance.choice("aÄzé'")) for _ in range(chance.randrange(20))})
        given = [(n, b, a, 1) for n, (a, b) in enumerate(keys)]
        build(shaped, PAIRS, given, target=1)
        asked = list({(chance.randrange(7), chance.choice("aÄzé'x")) for _ in range(chance.randrange(8))})
        wanted = pa.table({"a": pa.array([a for a, _ in asked], pa.int64()), "b": [b for _, b in asked]})
        with shaped.snapshot(Side.V1) as snapshot:
            after = snapshot.place("pairs", ("a", "b"), None, chance.randrange(1, 4)) if chance.random() < 0.7 else None
            upto = snapshot.place("pairs", ("a", "b"), after, chance.randrange(1, 4))
            only = Only(("a", "b"), wanted, after, upto)
            found = sorted(stored(snapshot, "pairs", PAIRS.columns, only))
            # All of it in turn is each row once, and the key of the last is no end of a stretch.
            turns, at = list[tuple[Any, ...]](), None
            for _ in range(len(keys) // 3 + 1):
                end = snapshot.place("pairs", ("a", "b"), at, 3)
                turns += stored(snapshot, "pairs", PAIRS.columns, Only(("a", "b"), wanted[:0], at, end))
                if (at := end) is None:
                    break
        stretch = [key for key in keys if (after is None or key > after) and (upto is None or key <= upto)]
        due = {*stretch, *(set(keys) & set(asked))}
        assert found == sorted((n, b, a) for n, b, a, _ in given if (a, b) in due)
        assert (sorted(turns), at) == (sorted((n, b, a) for n, b, a, _ in given), None)

    def test_a_column_that_the_build_lacks_is_an_error_and_not_its_name_as_a_value(self, shaped: BuildStore) -> None:
        build(shaped, TOTALS, rows(1, 1), target=1)
        with pytest.raises(Exception, match="no such column"), shaped.snapshot(Side.V1) as snapshot:
            seen(snapshot, columns={"nonsense": "VARCHAR"})

    def test_a_point_read_gives_the_public_columns_of_a_key_in_the_keys_order(self, shaped: BuildStore) -> None:
        build(shaped, PAIRS, [(1, "x", 10, 1), (2, "y", 10, 1)], target=1)
        assert shaped.point(Side.V1, "pairs", ["10", "y"]) == {"n": 2, "b": "y", "a": 10}
        assert shaped.point(Side.V1, "pairs", ["11", "y"]) is None

    def test_an_open_reader_sees_each_new_build(self, shaped: BuildStore) -> None:
        build(shaped, TOTALS, rows(2, 1), target=1)
        with shaped.reader(Side.V1) as reader:
            for target in (1, 2, 3):
                build(shaped, TOTALS, rows(2, target), target)
                assert reader.get("totals", ["c001"]) == {"customer": "c001", "orders": target}

    def test_threads_share_a_reader_and_the_store_while_new_builds_are_served(self, shaped: BuildStore) -> None:
        build(shaped, TOTALS, rows(50, 1), target=1)
        over = threading.Event()
        with shaped.reader(Side.V1) as reader, ThreadPoolExecutor(5) as pool:

            def read(number: int) -> int:
                last = 0
                while not over.is_set():
                    row = reader.get("totals", [f"c{number:03d}"])
                    assert row is not None
                    assert (row["customer"], row["orders"] >= last) == (f"c{number:03d}", True)
                    last = row["orders"]
                return last

            def look() -> int:
                while not over.is_set():
                    with shaped.snapshot(Side.V1) as snapshot:
                        assert len(seen(snapshot)) == 50
                    assert shaped.point(Side.V1, "totals", ["c001"]) is not None
                return len(shaped.checkpoints(Side.V1))

            readers = [pool.submit(read, number) for number in range(4)]
            looker = pool.submit(look)
            for target in range(2, 6):
                build(shaped, TOTALS, rows(50, target), target)
            over.set()
            assert all(1 <= one.result() <= 5 for one in readers)
            assert looker.result() >= 1

    def test_a_read_behind_the_end_of_its_reader_is_refused(self, shaped: BuildStore) -> None:
        build(shaped, TOTALS, rows(2, 1), target=1)
        with shaped.reader(Side.V1) as reader:
            assert reader.get("totals", ["c001"]) is not None
        with pytest.raises(ReaderClosed) as fault:
            reader.get("totals", ["c001"])
        assert str(fault.value) == (
            "the reader of v1 was closed; nothing was read: read inside the `with` that opened it, or open another one"
        )

    def test_threads_that_write_and_apply_revisions_of_different_stores_at_once_do_not_mix_them_up(
        self, store: BuildStore, folder: Path, tmp_path: Path
    ) -> None:
        begin = threading.Barrier(4)
        assert store.revise(folder, [TOTALS], "shapes") is not None

        def act(number: int) -> list[str]:
            if number == 0:
                begin.wait()
                return [one.id for one in store.upgrade(folder, [TOTALS])]
            begin.wait()
            with Ledger.open(f"sqlite:///{tmp_path}/{number}.db") as ledger:
                return [one.operation_id for one in ledger.journal()]

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(act, range(4))) == [["0001"], [], [], []]
        assert store.missing(folder, [TOTALS]) == []

    def test_an_open_reader_reads_by_the_new_key_when_a_build_with_another_key_is_served(
        self, shaped: BuildStore, folder: Path
    ) -> None:
        build(shaped, TOTALS, rows(2, 1), target=1)
        changed = Shape(Side.V1, "totals", {"customer": "VARCHAR", "orders": "BIGINT"}, ("orders", "customer"))
        with shaped.reader(Side.V1) as reader:
            assert reader.get("totals", ["c001"]) is not None
            assert shaped.revise(folder, [changed, PAIRS], "another key") is not None
            shaped.upgrade(folder, [changed, PAIRS])
            # The shape is ahead: readers still have the build before, and its key.
            assert reader.get("totals", ["c001"]) == {"customer": "c001", "orders": 1}
            assert shaped.point(Side.V1, "totals", ["c001"]) == {"customer": "c001", "orders": 1}
            build(shaped, changed, rows(2, 7), target=2, text="changed")
            assert reader.get("totals", ["7", "c001"]) == {"customer": "c001", "orders": 7}
            with pytest.raises(BadKey, match="1 key value was given; its key is orders, customer, so give 2"):
                reader.get("totals", ["c001"])

    @pytest.mark.parametrize(
        ("key", "message"),
        [
            (["1"], "view v1.pairs: 1 key value was given; its key is a, b, so give 2 in that order"),
            (["1", "x", "y"], "view v1.pairs: 3 key values were given; its key is a, b, so give 2 in that order"),
            (
                ["one", "x"],
                "view v1.pairs: 'one' is no value of 'a' (BIGINT); its key is a, b, so give 2 in that order",
            ),
            (
                [str(2**63), "x"],
                f"view v1.pairs: '{2**63}' is no value of 'a' (BIGINT); its key is a, b, so give 2 in that order",
            ),
            (
                ["1", "\udcff"],
                "view v1.pairs: '\\udcff' is no value of 'b' (VARCHAR); its key is a, b, so give 2 in that order",
            ),
        ],
    )
    def test_a_key_that_does_not_fit_is_refused_with_what_the_key_is(
        self, shaped: BuildStore, key: list[str], message: str
    ) -> None:
        build(shaped, PAIRS, [(1, "x", 10, 1)], target=1)
        with pytest.raises(BadKey) as caught:
            shaped.point(Side.V1, "pairs", key)
        assert str(caught.value) == message
        assert caught.value.exit_code == 2

    @pytest.mark.parametrize("name", ["nothing", "totals__shape", "it's", 'a"b'])
    def test_a_view_that_is_not_there_is_not_built(self, shaped: BuildStore, name: str) -> None:
        with pytest.raises(NotBuilt) as caught:
            shaped.point(Side.V1, name, ["c001"])
        assert caught.value.exit_code == 5

    def test_odd_names_of_columns_are_names_like_any_other(self, store: BuildStore, folder: Path) -> None:
        names = ["Order ID", 'say "hi"', "größe", "select", "100%", "a.b", "co:lon", "it's", "?"]
        shape = Shape(
            Side.V2, "odd", dict.fromkeys(names, "VARCHAR"), (names[1], names[0], names[4]),
            ((names[2],), (names[3], names[8]), (names[6], names[7])),
        )  # fmt: skip
        store.revise(folder, [shape], "odd % names")
        store.upgrade(folder, [shape])
        assert store.missing(folder, [shape]) == []
        build(store, shape, [(*(f"v{number}" for number in range(9)), 1)], target=1)
        assert store.point(Side.V2, "odd", ["v1", "v0", "v4"]) == dict(
            zip(names, [f"v{n}" for n in range(9)], strict=True)
        )
        with store.snapshot(Side.V2) as snapshot:
            assert seen(snapshot, "odd", {names[2]: "VARCHAR", names[5]: "VARCHAR"}) == [("v2", "v5")]
