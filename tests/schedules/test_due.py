"""When a schedule is due, held to an oracle that walks the clock minute by minute, and to the days that are odd."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from dualgauge.schedules.due import Timetable, cron_text, minutes, zone_text

ZONES = (
    "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut", "America/Havana", "Pacific/Chatham",
    "UTC",
)  # fmt: skip
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(cron: str, zone: str, day: str, days: int = 1) -> list[str]:
    """What is due on the day of a zone, by its clock."""
    begin = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    end = (datetime.fromisoformat(day) + days * DAY).replace(tzinfo=ZoneInfo(zone))
    found = Timetable(cron, None, zone).between(begin.astimezone(UTC) - timedelta(seconds=1), end.astimezone(UTC))
    return [one.astimezone(ZoneInfo(zone)).strftime("%d %H:%M %z") for one in found if one < end.astimezone(UTC)]


@pytest.mark.parametrize(
    ("cron", "zone", "day", "due"),
    [
        ("30 2 * * *", "Europe/Berlin", "2026-03-29", ["29 03:00 +0200"]),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25", ["25 02:30 +0200"]),
        ("30 2 * * *", "America/New_York", "2026-03-08", ["08 03:00 -0400"]),
        ("30 1 * * *", "America/New_York", "2026-11-01", ["01 01:30 -0400"]),
        ("*/15 2 * * *", "Europe/Berlin", "2026-03-29", []),
        ("0 0 * * 0", "Europe/Berlin", "2026-11-29", ["29 00:00 +0100"]),
        ("@daily", "Europe/Berlin", "2026-11-29", ["29 00:00 +0100"]),
        # Half an hour is missing there, and another comes twice.
        ("*/30 23 * * *", "Australia/Lord_Howe", "2027-10-03", ["03 23:00 +1100", "03 23:30 +1100"]),
        ("*/20 2 * * *", "Australia/Lord_Howe", "2027-04-04", [f"04 02:{at} +1030" for at in ("00", "20", "40")]),
        (
            "*/20 1 * * *",
            "Australia/Lord_Howe",
            "2027-04-04",
            [
                "04 01:00 +1100",
                "04 01:20 +1100",
                "04 01:40 +1100",
                "04 01:40 +1030",
            ],
        ),
        ("15 2 * * *", "Australia/Lord_Howe", "2027-10-03", ["03 02:30 +1100"]),
    ],
)
def test_a_day_on_which_clocks_change_has_the_slots_that_cron_has(
    cron: str, zone: str, day: str, due: list[str]
) -> None:
    assert local(cron_text(cron), zone, day) == due


def test_an_hour_that_comes_twice_has_every_real_quarter_of_it() -> None:
    found = local("*/15 2 * * *", "Europe/Berlin", "2026-10-25")
    assert found == [f"25 02:{at:02} +0{zone}00" for zone in (2, 1) for at in (0, 15, 30, 45)]
    assert len(local("*/30 * * * *", "Europe/Berlin", "2026-10-25")) == 50


def test_the_first_of_a_month_or_a_monday_is_either() -> None:
    found = local("0 0 1 * 1", "Europe/Berlin", "2026-11-28", days=5)
    assert [one[:2] for one in found] == ["30", "01"]


def oracle(cron: str, zone: str, first: datetime, last: datetime) -> list[datetime]:
    """Cron by walking: fixed times by the calendar, what has a star by every real minute."""
    place = ZoneInfo(zone)
    parts = cron.split()
    sets = [values(part, low, high) for part, (low, high) in zip(parts, RANGES, strict=True)]
    both = parts[2].startswith("*") or parts[4].startswith("*")

    def is_day(at: datetime) -> bool:
        by_day, by_weekday = at.day in sets[2], at.isoweekday() % 7 in {one % 7 for one in sets[4]}
        return at.month in sets[3] and ((by_day and by_weekday) if both else (by_day or by_weekday))

    found = set()
    if parts[0].startswith("*") or parts[1].startswith("*"):
        at = first
        while at <= last:
            shown = at.astimezone(place)
            if is_day(shown) and shown.hour in sets[1] and shown.minute in sets[0]:
                found.add(at)
            at += MINUTE
        return sorted(found)
    day = datetime(first.year, first.month, first.day) - 2 * DAY  # noqa: DTZ001  (a clock on a wall)
    while day <= last.replace(tzinfo=None) + 2 * DAY:
        for clock in (day + timedelta(hours=h, minutes=m) for h in sets[1] for m in sets[0]):
            shown = clock
            if not is_day(clock):
                continue
            # An hour that no clock shows ends where one shows what it says again.
            while shown.replace(tzinfo=place).astimezone(UTC).astimezone(place).replace(tzinfo=None) != shown:
                shown += MINUTE
            found.add(shown.replace(tzinfo=place).astimezone(UTC))
        day += DAY
    return sorted(one for one in found if first <= one <= last)


RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def values(part: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for one in part.split(","):
        span, _, step = one.partition("/")
        start, _, end = span.partition("-")
        first, last = (low, high) if span == "*" else (int(start), int(end or start))
        found |= set(range(first, last + 1, int(step or 1)))
    return found


def any_field(chance: random.Random, low: int, high: int) -> str:
    first = chance.randint(low, high)
    last = chance.randint(first, high)
    return chance.choice(("*", "*", str(first), f"{first}-{last}", f"*/{chance.randint(2, 9)}", f"{first},{last}"))


def test_random_timetables_are_due_when_an_oracle_says() -> None:
    seed = random.randrange(10**9)
    chance = random.Random(seed)
    for _ in range(120):
        cron = " ".join(
            any_field(chance, low, min(high, 28 if high == 31 else 6 if high == 7 else high)) for low, high in RANGES
        )
        zone = chance.choice(ZONES)
        # Around a change of clocks, more often than not.
        first = chance.choice(
            (
                "2026-03-27",
                "2026-10-23",
                "2026-03-06",
                "2026-10-30",
                "2026-04-03",
                "2026-10-02",
                "2026-03-28",
                "2026-10-24",
            )
        )
        begin = utc(f"{first}T00:00") + chance.randrange(3 * 24 * 60) * MINUTE
        end = begin + 3 * DAY
        found = list(Timetable(cron_text(cron), None, zone).between(begin - timedelta(seconds=1), end))
        assert found == oracle(cron, zone, begin, end), (seed, cron, zone, begin)


def test_what_is_due_rests_on_no_instant_that_it_is_asked_at() -> None:
    seed = random.randrange(10**9)
    chance = random.Random(seed)
    for cron in ("30 2 * * *", "*/20 1-3 * * *", "15,45 2 * * *", "0 */2 * * *"):
        for zone in ZONES:
            table = Timetable(cron, None, zone)
            begin, end = utc("2026-10-23T00:00"), utc("2026-11-03T00:00")
            whole = list(table.between(begin, end))
            for _ in range(20):
                cut = begin + chance.randrange(11 * 24 * 3600) * timedelta(seconds=1)
                assert [*table.between(begin, cut), *table.between(cut, end)] == whole, (seed, cron, zone, cut)
            assert all(before < after for before, after in pairwise(whole))


def test_asked_within_the_hour_that_comes_twice_nothing_lies_in_the_past() -> None:
    at = utc("2026-10-25T01:15")
    assert Timetable("30 2 * * *", None, "Europe/Berlin").following(at, 1) == [utc("2026-10-26T01:30")]


def test_every_so_often_is_counted_from_1970_in_utc() -> None:
    table = Timetable(None, "6h", "UTC")
    assert table.following(utc("2026-10-25T00:30"), 3) == [
        utc("2026-10-25T06:00"), utc("2026-10-25T12:00"), utc("2026-10-25T18:00")
    ]  # fmt: skip
    assert list(table.between(utc("2026-10-25T06:00"), utc("2026-10-25T12:00"))) == [utc("2026-10-25T12:00")]
    assert table.has(utc("2026-10-25T12:00"))
    assert not table.has(utc("2026-10-25T12:01"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("* * * * * *", "has 6 fields"),
        ("0 2", "has 2 fields"),
        ("@reboot", "is not known"),
        ("0 2 30 2 *", "no timetable of cron"),
        ("61 2 * * *", "no timetable of cron"),
        ("0 2 L * *", "is not what cron reads"),
        ("0 2 * * MON#1", "is not what cron reads"),
        ("0 2 * * FOO", "is not what cron reads"),
        ("", "has 1 fields"),
    ],
)
def test_what_cron_does_not_read_is_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        cron_text(text)


@pytest.mark.parametrize("text", ["", "0m", "1", "90s", "-5m", "1.5h", "5 m"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="such as 15m, 6h or 1d"):
        minutes(text)


def test_a_zone_that_is_not_there_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ValueError, match="Europe/Berlin"):
        zone_text("Europe/Berlln")
    for text in ("", "../etc/passwd", "Europe"):
        with pytest.raises(ValueError, match="there is no time zone"):
            zone_text(text)


def test_a_day_on_which_the_clocks_change_is_told_from_others() -> None:
    table = Timetable("30 2 * * *", None, "Europe/Berlin")
    assert [table.is_odd(utc(f"2026-{day}T12:00")) for day in ("03-28", "03-29", "10-24", "10-25")] == [
        False, True, False, True
    ]  # fmt: skip
