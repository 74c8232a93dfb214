"""Slots in the ledger: each is run once, by processes that race, are killed, and are stopped past their lease."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dualgauge.ledger.errors import ClaimLost, NoSlot, SlotHeld
from dualgauge.ledger.ledger import Ledger
from dualgauge.ledger.slot_values import Pause, SlotState
from dualgauge.ledger.values import EvidenceKind
from dualgauge.model import holder_name
from dualgauge.schedules.laying import laid
from dualgauge.schedules.settings import ScheduleSettings
from support.forked import Process, python
from support.ledgers import dead_holder, downgrade

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualgauge.ledger.slots import Slots

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
NIGHTLY = ScheduleSettings(name="nightly", every="1h", catch_up="all", catch_up_most=1_000)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        found: str = request.getfixturevalue("postgres_url")
        return found
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with Ledger.open(url) as opened:
        yield opened


def lay(slots: Slots, now: datetime, settings: ScheduleSettings = NIGHTLY, since: datetime = AT) -> list[datetime]:
    waiting = slots.lay(settings.name, settings.timetable.text, since, partial(laid, settings, now=now))
    return [one.due for one in waiting]


def test_a_slot_is_claimed_once_and_ends_in_what_its_runner_found(ledger: Ledger) -> None:
    slots = ledger.slots_of("m")
    assert lay(slots, AT + HOUR) == [AT + HOUR]
    claim = slots.claim("nightly", AT + HOUR, holder_name("ada"))
    with pytest.raises(SlotHeld, match="2026-05-01T13:00Z of schedule 'nightly' is being run by ada"):
        slots.claim("nightly", AT + HOUR, holder_name("bob"))
    assert lay(slots, AT + HOUR) == []
    assert slots.is_running("nightly")
    slots.renew(claim)
    slots.finish(claim, 4, "diff (4): 3 mismatched")
    found = slots.slot("nightly", AT + HOUR)
    assert found is not None
    assert (found.state, found.exit_code, found.why, found.deaths) == (SlotState.DONE, 4, "diff (4): 3 mismatched", 0)
    with pytest.raises(NoSlot):
        slots.claim("nightly", AT + HOUR, holder_name("bob"))
    with pytest.raises(ClaimLost):
        slots.finish(claim, 0, "")


def test_one_slot_of_a_schedule_runs_at_a_time(ledger: Ledger) -> None:
    slots = ledger.slots_of("m")
    lay(slots, AT + 2 * HOUR)
    slots.claim("nightly", AT + HOUR, holder_name("ada"))
    with pytest.raises(SlotHeld, match="13:00Z"):
        slots.claim("nightly", AT + 2 * HOUR, holder_name("bob"))


def test_a_slot_whose_runner_dies_is_run_again_once(ledger: Ledger) -> None:
    slots = ledger.slots_of("m")
    lay(slots, AT + HOUR)
    for deaths in (1, 2):
        slots.claim("nightly", AT + HOUR, dead_holder())
        waiting = lay(slots, AT + HOUR)
        found = slots.slot("nightly", AT + HOUR)
        assert found is not None
        assert (waiting, found.deaths) == ([AT + HOUR] if deaths == 1 else [], deaths)
    assert (found.state, found.exit_code) == (SlotState.FAILED, 1)
    assert "its runner died, as the one before it" in found.why


def test_whoever_loses_a_claim_writes_nothing_more(ledger: Ledger) -> None:
    slots = ledger.slots_of("m")
    lay(slots, AT + HOUR)
    lost = slots.claim("nightly", AT + HOUR, dead_holder())
    lay(slots, AT + HOUR)
    claim = slots.claim("nightly", AT + HOUR, holder_name("ada"))
    fenced = ledger.fenced(lost)
    tries: list[Any] = [
        partial(slots.renew, lost), partial(slots.finish, lost, 0, ""), partial(slots.give_back, lost),
        partial(fenced.throttle_of("m").set, 7),
        partial(
            fenced.start_evidence, run_id="r", kind=EvidenceKind.DIFF, name="n", bound={}, position=None, folder=None,
            started_at=AT,
        ),
    ]  # fmt: skip
    for one in tries:
        with pytest.raises(ClaimLost, match="taken by another runner"):
            one()
    assert (fenced.throttle_of("m").limit(), fenced.evidence().strays) == (None, ())
    ledger.fenced(claim).throttle_of("m").set(7)
    assert fenced.throttle_of("m").limit() == 7
    slots.finish(claim, 0, "")
    with pytest.raises(ClaimLost):
        ledger.fenced(claim).throttle_of("m").set(8)


def test_what_is_given_back_waits_again_and_counts_as_no_death(ledger: Ledger) -> None:
    slots = ledger.slots_of("m")
    lay(slots, AT + HOUR)
    slots.give_back(slots.claim("nightly", AT + HOUR, holder_name("ada")))
    assert lay(slots, AT + HOUR) == [AT + HOUR]
    found = slots.slot("nightly", AT + HOUR)
    assert found is not None
    assert found.deaths == 0


def test_a_schedule_that_is_changed_starts_from_then(ledger: Ledger) -> None:
    slots = ledger.slots_of("m")
    assert lay(slots, AT + HOUR) == [AT + HOUR]
    other = NIGHTLY.model_copy(update={"every": "30m"})
    now = AT + HOUR + timedelta(minutes=50)
    assert lay(slots, now, other, since=now) == []
    found = slots.slot("nightly", AT + HOUR)
    assert found is not None
    assert (found.state, found.why) == (SlotState.SKIPPED, "the schedule was changed to every 30m")
    assert lay(slots, now + timedelta(minutes=20), other, since=now) == [AT + 2 * HOUR]


def test_a_paused_schedule_lays_nothing_and_resumed_it_goes_on_from_then(ledger: Ledger) -> None:
    slots = ledger.slots_of("m")
    assert lay(slots, AT + HOUR) == [AT + HOUR]
    pause = Pause("ada", AT + HOUR, "the shop moves house")
    slots.pause("nightly", pause, AT + HOUR)
    assert (slots.paused("nightly"), lay(slots, AT + 30 * HOUR)) == (pause, [])
    slots.pause("nightly", None, AT + 40 * HOUR)
    assert (slots.paused("nightly"), lay(slots, AT + 40 * HOUR)) == (None, [])
    assert [one.state for one in slots.newest("nightly", 100)] == [SlotState.SKIPPED]
    assert lay(slots, AT + 41 * HOUR) == [AT + 41 * HOUR]


def test_one_may_be_paused_before_anybody_saw_it(ledger: Ledger) -> None:
    slots = ledger.slots_of("m")
    slots.pause("nightly", Pause("ada", AT, "not yet"), AT)
    assert lay(slots, AT + 30 * HOUR, since=AT + 30 * HOUR) == []
    slots.pause("nightly", None, AT + 31 * HOUR)
    assert lay(slots, AT + 32 * HOUR, since=AT + 32 * HOUR) == [AT + 32 * HOUR]


def test_a_ledger_that_has_no_slots_yet_can_be_looked_at(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    Ledger.open(url).close()
    downgrade(url, "0009")
    with Ledger.look(url) as ledger:
        slots = ledger.slots_of("m")
        assert (slots.newest("nightly", 5), slots.slot("nightly", AT), slots.paused("nightly")) == ((), None, None)


RUNS = """\
import datetime as dt, random, sys, time
from functools import partial
from dualgauge.errors import ConflictError
from dualgauge.ledger import slots as room
from dualgauge.ledger.ledger import Ledger
from dualgauge.model import holder_name
from dualgauge.schedules.laying import laid
from dualgauge.schedules.settings import ScheduleSettings

url, seconds, pause = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
room.LEASE = dt.timedelta(seconds=seconds)
since = dt.datetime(2026, 5, 1, tzinfo=dt.timezone.utc)
until = since + dt.timedelta(minutes=int(sys.argv[4]))
chance, me = random.Random(), holder_name("runner")
left = [ScheduleSettings(name=f"s{at}", every="1m", catch_up="all", catch_up_most=1000) for at in range(10)]
print("ready", flush=True)
with Ledger.open(url) as ledger:
    slots = ledger.slots_of("m")
    while left:
        one = chance.choice(left)
        waiting = slots.lay(one.name, one.timetable.text, since, partial(laid, one, now=until))
        if not waiting:
            if not slots.is_running(one.name):
                left.remove(one)
            time.sleep(0.01)
            continue
        try:
            claim = slots.claim(one.name, waiting[0].due, me)
            print("began", one.name, claim.due.isoformat(), claim.epoch, flush=True)
            time.sleep(chance.random() * pause)
            slots.finish(claim, 0, me)
            print("ended", one.name, claim.due.isoformat(), claim.epoch, flush=True)
        except ConflictError as fault:
            if type(fault).__name__ == "ClaimLost":
                print("lost", one.name, claim.due.isoformat(), claim.epoch, flush=True)
            time.sleep(0.01)
print("all", flush=True)
"""


def begin(url: str, folder: Path, number: str, *, lease: float, pause: float, each: int = 100) -> tuple[Process, Path]:
    out = folder / f"{number}.out"
    script = f"import sys; sys.stdout = open({str(out)!r}, 'w', buffering=1)\n{RUNS}"
    return python(
        ["-c", script, url, str(lease), str(pause), str(each)], folder=folder, environment=dict(os.environ)
    ), out


def said(outs: list[Path]) -> dict[str, list[tuple[str, ...]]]:
    found: dict[str, list[tuple[str, ...]]] = {}
    for out in filter(Path.exists, outs):
        for line in out.read_text().splitlines():
            word, *rest = line.split()
            found.setdefault(word, []).append((out.stem, *rest))
    return found


@pytest.mark.parametrize(("each", "kills"), [(25, 15), pytest.param(100, 60, marks=pytest.mark.torture)])
def test_of_many_slots_run_by_eight_processes_that_are_killed_each_ends_once(
    url: str, ledger: Ledger, tmp_path: Path, each: int, kills: int
) -> None:
    seed = random.randrange(10**9)
    chance = random.Random(seed)
    runners = [begin(url, tmp_path, f"{at}-0", lease=60, pause=0.004, each=each) for at in range(8)]
    outs = [out for _, out in runners]
    for number in range(1, 1 + kills):
        time.sleep(0.05)
        at = chance.randrange(8)
        runners[at][0].kill()
        runners[at][0].communicate(timeout=60)
        runners[at] = begin(url, tmp_path, f"{at}-{number}", lease=60, pause=0.004, each=each)
        outs.append(runners[at][1])
    for process, _ in runners:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, (seed, err)

    found = said(outs)
    slots = ledger.slots_of("m")
    rows = [one for at in range(10) for one in slots.newest(f"s{at}", 2_000)]
    assert len(rows) == 10 * each
    assert {one.state for one in rows} <= {SlotState.DONE, SlotState.FAILED}, seed
    ended = [(name, due) for _, name, due, _ in found["ended"]]
    assert len(set(ended)) == len(ended)
    # One that was killed between its commit and its line has said nothing; nobody else ever ends that slot.
    done = {(one.schedule, one.due.isoformat()) for one in rows if one.state is SlotState.DONE}
    assert set(ended) <= done
    assert len(done - set(ended)) <= kills
    assert all(one.deaths == (2 if one.state is SlotState.FAILED else one.deaths) for one in rows)
    assert sum(one.deaths for one in rows) <= kills
    # So many claims as there were epochs, but for those whose line was not written any more.
    assert len({one[1:] for one in found["began"]}) == len(found["began"])
    assert "lost" not in found
    # Whoever came in the place of one that was killed counts with it.
    shares = Counter(stem.partition("-")[0] for stem, *_ in found["ended"])
    assert min(shares.values()) >= each // 2, (seed, shares)
    assert len(shares) == 8


def test_one_that_is_stopped_past_its_lease_and_woken_writes_nothing(url: str, ledger: Ledger, tmp_path: Path) -> None:
    runners = [begin(url, tmp_path, str(at), lease=0.6, pause=0.05, each=20) for at in range(4)]
    frozen = 0
    for process, _ in runners[:3]:
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(1.5)
        os.kill(process.pid, signal.SIGCONT)
        frozen += 1
    for process, _ in runners:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    found = said([out for _, out in runners])
    rows = [one for at in range(10) for one in ledger.slots_of("m").newest(f"s{at}", 2_000)]
    ended = [(name, due) for _, name, due, _ in found["ended"]]
    assert len(rows) == len(set(ended) | {(one.schedule, one.due.isoformat()) for one in rows if one.exit_code})
    assert len(set(ended)) == len(ended)
    for _, name, due, epoch in found.get("lost", []):
        row = ledger.slots_of("m").slot(name, datetime.fromisoformat(due))
        assert row is not None
        assert row.epoch > int(epoch)
    assert frozen == 3
