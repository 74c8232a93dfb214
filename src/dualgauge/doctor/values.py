"""What an examination finds."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from dualgauge.errors import DualgaugeError, SystemRefused, UsageError, redact

if TYPE_CHECKING:
    from collections.abc import Iterator

CANNOT_LOOK, WRONG = 1, 2


class FindingState(StrEnum):
    """How one part is. Only `fail` decides the exit code."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One line: what was looked at, how it is, where it is, and a command or a step that mends it.

    `exit_code` is 0 but for a failure: 2 where the set-up is wrong, 1 where it could not be looked at.
    """

    check: str
    state: FindingState
    what: str
    where: str = ""
    mend: str = ""
    exit_code: int = 0

    def to_json(self) -> dict[str, object]:
        """Its fields."""
        return {
            "check": self.check, "state": self.state.value, "what": self.what, "where": self.where, "mend": self.mend,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Examination:
    """Every finding, in the order in which a set-up is made."""

    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """0 where nothing failed; 2 where the set-up is wrong, else 1 where something could not be looked at."""
        return max((one.exit_code for one in self.findings), default=0)

    def count(self, state: FindingState) -> int:
        """How many findings are in a state."""
        return sum(one.state is state for one in self.findings)


@dataclass
class Notes:
    """Findings as they come. A check that raises is a finding too, so one never hides the others."""

    findings: list[Finding] = field(default_factory=list)

    def ok(self, check: str, what: str, where: object = "") -> None:
        """In order."""
        self.findings.append(Finding(check, FindingState.OK, what, str(where)))

    def warn(self, check: str, what: str, where: object = "", mend: str = "") -> None:
        """Works, or will, but somebody should know."""
        self.findings.append(Finding(check, FindingState.WARN, what, str(where), mend))

    def fail(self, check: str, what: str, where: object = "", mend: str = "", *, exit_code: int = WRONG) -> None:
        """Does not work."""
        self.findings.append(Finding(check, FindingState.FAIL, what, str(where), mend, exit_code))

    @contextmanager
    def checking(self, check: str, where: object = "") -> Iterator[None]:
        """Note as a failure what a check raises, and go on."""
        try:
            yield
        except DualgaugeError as fault:
            self._failed(check, where, fault)
        except Exception as fault:  # noqa: BLE001  (the other checks are still wanted)
            known = SystemRefused.of(fault) or DualgaugeError(f"unexpected {type(fault).__name__}: {fault}")
            self._failed(check, where, known)

    def _failed(self, check: str, where: object, fault: DualgaugeError) -> None:
        # The sentence of an error ends in the next step; a command, where it has one, is more.
        what, _, step = " ".join(str(fault).split()).partition("; ")
        mend = fault.next_steps[0].command if fault.next_steps else step
        code = WRONG if isinstance(fault, UsageError) or fault.exit_code == UsageError.exit_code else CANNOT_LOOK
        self.fail(check, redact(what), where, redact(mend), exit_code=code)
