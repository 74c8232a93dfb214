"""canary.yaml on the command line: a ramp by its steps, a kill, and who reads which side."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from dualgauge_router.router import Router
from support.shop import build, call

if TYPE_CHECKING:
    from pathlib import Path

RAMP = """\
cohorts:
  staff: {attr: email, ends_with: "@shop.example"}
overrides:
  pin_v1: {units: [bank]}
steps:
  - {name: staff, share: 0%, cohorts: [staff]}
  - {share: 10%, soak: 1h}
  - {share: 100%}
"""
ADA = ("--attr", "email=ada@shop.example")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = build(tmp_path / "shop")
    (folder / "comparators" / "customers.py").write_text(
        'from dualgauge import Comparator\n\ncustomers = Comparator(key="customer")\n'
    )
    (folder / "canary.yaml").write_text(RAMP)
    return folder


def test_a_ramp_goes_by_its_file_and_a_kill_takes_it_back(shop: Path) -> None:
    assert call("canary", "validate", folder=shop).exit_code == 0
    assert call("diff", folder=shop).exit_code == 0
    assert call("canary", "apply", folder=shop).out.startswith("applied\n")
    assert call("canary", "apply", folder=shop).out.startswith("nothing to do")
    assert "no read is on v2 in this stage" in call("canary", "who", "ada", *ADA, folder=shop).out
    before = datetime.now(UTC).isoformat()

    assert call("switch", "--percent", "0", "--cohorts", folder=shop).exit_code == 0
    assert call("canary", "who", "ada", *ADA, folder=shop).out.startswith("ada reads v2: it is in a cohort")
    assert call("canary", "who", "bank", *ADA, folder=shop).out.startswith("bank reads v1: it is pinned to v1")
    assert call("canary", "who", "ada", *ADA, "--at", before, folder=shop).out.startswith(
        "ada read v1: no read is on v2"
    )
    assert "canary.yaml: step staff" in call("status", folder=shop).out
    read = call("read", "customers", "ada", "--unit", "ada", *ADA, folder=shop).out
    assert read.startswith("v2 answered: it is in a cohort that is on v2")

    refused = call("switch", "--percent", "100", folder=shop)
    assert (refused.exit_code, "Gate soak:10%: the move would pass this step" in refused.err) == (3, True)
    assert call("switch", "--percent", "10", folder=shop).exit_code == 0
    refused = call("switch", "--percent", "100", "--format", "json", folder=shop)
    (closed,) = [one for one in refused.json["error"]["gates"] if one["outcome"] != "pass"]
    assert (refused.exit_code, closed["name"], closed["limit"]) == (3, "soak:10%", "3,600 s at this step")

    with Router(f"sqlite:///{shop / '.dualgauge' / 'ledger.db'}", "customers", refresh=0.05) as router:
        assert router.decide("ada", {"email": "ada@shop.example"}).side.value == "v2"
        assert call("canary", "kill", "--reason", "slow", folder=shop).exit_code == 0
        assert router.refresh()
        assert router.decide("ada", {"email": "ada@shop.example"}).reason.value == "kill"
    assert "killed: all reads go to v1" in call("canary", "show", folder=shop).out
    assert call("status", "--format", "json", folder=shop).json["result"]["killed"] is True
    refused = call("switch", "--percent", "50", folder=shop)
    assert (refused.exit_code, "Gate kill" in refused.err) == (3, True)
    assert call("rollback", folder=shop).exit_code == 0
    assert call("canary", "unkill", folder=shop).out.startswith("unkilled")
    assert call("journal", "--verify", folder=shop).exit_code == 0


def test_a_change_that_sends_reads_to_v2_asks_for_evidence_of_what_readers_get_now(shop: Path) -> None:
    call("canary", "apply", folder=shop)
    call("diff", folder=shop)
    assert call("switch", "--percent", "0", "--cohorts", folder=shop).exit_code == 0
    wider = RAMP.replace("[bank]", "[]").replace("overrides:", "overrides:\n  pin_v2: {units: [ada]}")
    (shop / "canary.yaml").write_text(wider)
    assert call("canary", "apply", "--dry-run", folder=shop).out.startswith("would be applied\n")
    assert call("replay", "--force", folder=shop).exit_code == 0
    refused = call("canary", "apply", folder=shop)
    assert (refused.exit_code, "diff:customers" in refused.err) == (3, True)
    assert call("diff", folder=shop).exit_code == 0
    done = call("canary", "apply", folder=shop)
    assert (done.exit_code, '  overrides.pin_v2.units: [] -> ["ada"]' in done.out) == (0, True)


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (None, 2, "canary.yaml cannot be read (No such file or directory)"),
        (b"\xff\xfe", 2, "it is not UTF-8, from byte 0 on"),
        (b"steps: [{share: 5}]", 2, "canary.yaml cannot work. line 1, column 17: 5 is not a share of reads"),
        (
            b"gates: {a: {bad: mismatch, limit: 1%}}\nsteps: [{share: 1%, gates: [a]}]",
            2,
            "its step 1% asks the gate 'a', and no gate of this version goes by reads yet",
        ),
    ],
)
def test_what_cannot_be_applied_changes_nothing(shop: Path, text: bytes | None, code: int, said: str) -> None:
    (shop / "canary.yaml").unlink()
    if text is not None:
        (shop / "canary.yaml").write_bytes(text)
    found = call("canary", "apply", folder=shop)
    assert (found.exit_code, said in found.err) == (code, True)
    assert call("canary", "show", "--format", "json", folder=shop).json["result"]["configuration"] is None


@pytest.mark.parametrize("given", ["email", "=x", "n:=x"])
def test_an_attribute_that_is_none_is_refused(shop: Path, given: str) -> None:
    found = call("canary", "who", "ada", "--attr", given, folder=shop)
    assert (found.exit_code, "is not NAME" in found.err) == (2, True)


def test_an_attribute_may_be_what_is_no_text(shop: Path) -> None:
    (shop / "canary.yaml").write_text(
        "cohorts: {vip: {attr: level, in: [5]}}\nsteps: [{share: 0%, cohorts: [vip]}, {share: 100%}]\n"
    )
    call("canary", "apply", folder=shop)
    call("diff", folder=shop)
    call("switch", "--percent", "0", "--cohorts", folder=shop)
    reasons = [
        call("canary", "who", "ada", "--attr", given, "--format", "json", folder=shop).json["result"]["reason"]
        for given in ("level:=5", "level:=[1, 5]", "level=5")
    ]
    assert reasons == ["cohort", "cohort", "hash"]


def test_reads_have_a_shadow_that_is_compared_by_the_comparator_s_rules(shop: Path) -> None:
    (shop / "comparators" / "customers.py").write_text(
        "from dualgauge import Absolute, Comparator\n\n"
        'customers = Comparator(key="customer", rules={"cents": Absolute(5)})\n'
    )
    (shop / "canary.yaml").write_text(RAMP + "shadow: {settle: 10ms}\n")
    assert call("diff", folder=shop).exit_code == 0
    assert "no shadow" not in call("canary", "apply", folder=shop).out
    places = f"sqlite:///{shop}/.dualgauge/"
    with (
        Router(f"{places}ledger.db", "customers", refresh=60) as router,
        closing(router.reader(f"{places}views_{{side}}.db")) as reader,
    ):

        def judged(count: int) -> dict[str, int]:
            until = time.monotonic() + 30
            while sum(router.shadow_counts().get("customers", {}).values()) < count and time.monotonic() < until:
                time.sleep(0.01)
            return router.shadow_counts()["customers"]

        assert reader.get("customers", "ada", unit="a") == {"customer": "ada", "orders": 2, "cents": 3300}
        reader.page("customers", unit="a")
        assert judged(2) == {"matched": 2}
        with closing(sqlite3.connect(shop / ".dualgauge" / "views_v2.db")) as v2:
            [(table,)] = v2.execute("SELECT name FROM sqlite_master WHERE name LIKE 'customers__b%'").fetchall()
            for cents, found in ((3305, {"matched": 3}), (3306, {"matched": 3, "mismatched": 1})):
                v2.execute(f"UPDATE {table} SET cents = ? WHERE customer = 'ada'", (cents,))
                v2.commit()
                reader.get("customers", "ada", unit="a")
                assert judged(sum(found.values())) == found
        [one] = router.mismatches()
        row = {"customer": "ada", "orders": 2}
        assert (one.columns, one.v1, one.v2) == (("cents",), row | {"cents": 3300}, row | {"cents": 3306})


def test_a_view_whose_rows_have_no_comparator_is_told(shop: Path) -> None:
    (shop / "comparators" / "customers.py").write_text(
        "from dualgauge import Comparator\n\n"
        "ask = 'SELECT customer FROM customers'\n"
        'customers = Comparator(key="customer", v1=ask, v2=ask)\n'
    )
    (shop / "canary.yaml").write_text(RAMP + "shadow: {}\n")
    said = call("canary", "apply", folder=shop).out
    assert "without a comparator of its rows, a view's reads have no shadow: customers" in said


EXPECTED = """\
from datetime import date

from dualgauge import Comparator, Expected

customers = Comparator(
    key="customer",
    expected=[
        Expected(
            when="v1.cents > 1000", v2_equals={"cents": "v1.cents * 2"}, reason="doubled", owner="ana",
            until=date(2999, 1, 1),
        )
    ],
)
"""


def test_what_reads_came_to_is_shown_for_what_is_there_now(shop: Path) -> None:
    (shop / "canary.yaml").write_text("shadow: {settle: 10ms, redact: [orders]}\nsteps: [{share: 1%}, {share: 100%}]\n")
    assert "not counted" in call("canary", "reads", folder=shop).out
    assert call("canary", "apply", folder=shop).exit_code == 0
    assert "no read yet" in call("canary", "reads", folder=shop).out
    url = f"sqlite:///{shop / '.dualgauge' / 'ledger.db'}"
    stores = f"sqlite:///{shop / '.dualgauge' / 'views_{side}.db'}"
    with Router(url, "customers", refresh=60) as router:
        reader = router.reader(stores)
        for name in ("ada", "bob", "cyd", "ada"):
            reader.get("customers", name, unit=name)
        wrong = {"customer": "bob", "orders": 1, "cents": 7}
        router.read("customers", unit="bob", v1=reader.v1.get, v2=lambda *_: wrong, args=("customers", "bob"))
        deadline = time.monotonic() + 30
        while sum(router.shadow_counts().get("customers", {}).values()) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)

    shown = call("canary", "reads", folder=shop).out
    assert "at 0 %: 4 different reads judged, 1 bad" in shown
    assert ("(redacted)" in shown, '"cents":1200' in shown, '"cents":7' in shown) == (True, True, True)
    (view,) = call("canary", "reads", "--format", "json", folder=shop).json["result"]["views"]
    assert {one["outcome"]: one["reads"] for one in view["counts"]} == {"v1": 5, "matched": 4, "mismatched": 1}
    assert (view["stale"], view["judged"][0]["ever_bad"]) == (False, 1)

    # Another comparator, and it is evidence of something else.
    (shop / "comparators" / "customers.py").write_text(EXPECTED)
    stale = call("canary", "reads", "--format", "json", folder=shop).json
    assert (stale["result"]["views"][0]["stale"], stale["next_steps"][0]["command"]) == (True, "dualgauge canary apply")
    # New builds begin anew, without being told.
    assert call("replay", "--force", folder=shop).exit_code == 0
    (view,) = call("canary", "reads", "--format", "json", folder=shop).json["result"]["views"]
    assert (view["stale"], view["counts"]) == (False, [])


def test_answers_that_differ_as_expected_are_judged_as_a_diff_judges_them(shop: Path) -> None:
    (shop / "comparators" / "customers.py").write_text(EXPECTED)
    (shop / "canary.yaml").write_text("shadow: {settle: 10ms}\nsteps: [{share: 1%}, {share: 100%}]\n")
    assert call("canary", "apply", folder=shop).exit_code == 0
    url = f"sqlite:///{shop / '.dualgauge' / 'ledger.db'}"

    def row(name: str, value: int) -> dict[str, object]:
        return {"customer": name, "orders": 1, "cents": value}

    answers = {
        # As expected, not doubled, wrong where nothing is expected, no row of the view, two rows as expected, the same
        # where it should have doubled, and where it should not.
        "ada": ([row("ada", 3300)], [row("ada", 6600)]), "bob": (row("bob", 1200), row("bob", 2401)),
        "dan": (row("dan", 500), row("dan", 501)), "cyd": ({"name": "cyd", "sum": 1}, {"name": "cyd", "sum": 2}),
        "eve": ([row("eve", 2000), row("ada", 3300)], [row("ada", 6600), row("eve", 4000)]),
        "fay": (row("fay", 1200), row("fay", 1200)), "gil": (row("gil", 500), row("gil", 500)),
    }  # fmt: skip
    with Router(url, "customers", refresh=60) as router:
        for name, (v1, v2) in answers.items():
            router.read("customers", unit=name, v1=lambda *_, v=v1: v, v2=lambda *_, v=v2: v, args=(name,))
        deadline = time.monotonic() + 30
        while sum(router.shadow_counts().get("customers", {}).values()) < 7 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert router.shadow_counts() == {"customers": {"pending": 7}}
    shown = call("canary", "reads", folder=shop)
    assert "7 pairs of answers wait to be judged" in shown.out
    assert "0 different reads judged, 0 bad, 7 not judged, which count as bad" in shown.out
    (before,) = call("canary", "reads", "--format", "json", folder=shop).json["result"]["views"]
    assert before["judged"][0]["rate_below"] == 1
    (judged,) = call("canary", "judge", "--format", "json", folder=shop).json["result"]["views"]
    assert judged == {"view": "customers", "expected": 3, "mismatched": 3, "comparator_error": 1}
    assert "no pair of answers waits" in call("canary", "judge", folder=shop).out
    (view,) = call("canary", "reads", "--format", "json", folder=shop).json["result"]["views"]
    # Of the row that no comparator could judge nobody says that it is good.
    assert (view["judged"][0]["reads"], view["judged"][0]["ever_bad"], view["waiting"]) == (7, 4, 0)
    assert view["judged"][0]["unjudged"] == 0
    assert sorted(one["columns"] for one in view["samples"]) == [["(unexpected same)"], ["cents"], ["cents"]]
