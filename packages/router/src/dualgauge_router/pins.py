"""Decisions that are kept for a request: in a thread or task, and those that begin in it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from dualgauge_router.hashing import fault_of, written
from dualgauge_router.model import Side

if TYPE_CHECKING:
    from dualgauge_router.decision import Decision


class Pin:
    """
    A decision that is kept for a unit of a router, in front of those kept around it.

    `text` is what the unit is hashed as, so that 7 and "7" are one. A block may end in another order than it began, as
    those of generators do, or in another task: what is `over` holds no more, wherever it is still known.
    """

    __slots__ = ("cuts", "decision", "outer", "over", "router", "text")

    def __init__(self, router: object, text: str, decision: Decision, cuts: int, outer: Pin | None) -> None:
        self.router, self.text, self.decision, self.cuts = router, text, decision, cuts
        self.outer, self.over = outer, False

    def find(self, router: object, text: str | None, cuts: int) -> Decision | None:
        """
        The decision that is kept for the text of a unit, if one is.

        `cuts` is how often one decision held for all units, as when all was killed: one for v2 from before that does
        not come back.
        """
        pin: Pin | None = self
        while pin is not None:
            if pin.router is router and pin.text == text and not pin.over:
                return pin.decision if pin.decision.side is Side.V1 or pin.cuts == cuts else None
            pin = pin.outer
        return None

    def end(self) -> None:
        """Let the decision hold no more, and be known no longer here."""
        self.over, pin = True, PIN.get()
        while pin is not None and pin.over:
            pin = pin.outer
        PIN.set(pin)


def text_of(unit: object) -> str | None:
    """What a unit is hashed as; None where it has no such text."""
    try:
        return None if unit is None or fault_of(unit) is not None else written(unit)  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001  (the application's own values; no read may fail for them)
        return None


PIN: Final[ContextVar[Pin | None]] = ContextVar("dualgauge_router_pin", default=None)
