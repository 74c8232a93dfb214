"""Decisions that are kept for a request: in a thread or task, and those that begin in it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from dualgauge_router.decision import Decision


class Pin(NamedTuple):
    """A decision that is kept for a unit of a router, in front of those kept around it."""

    router: object
    unit: object
    decision: Decision
    outer: Pin | None

    def find(self, router: object, unit: object) -> Decision | None:
        """The decision that is kept for a unit, if one is; nothing is raised."""
        pin: Pin | None = self
        while pin is not None:
            # Of one type: to Python True is 1.
            if pin.router is router and type(pin.unit) is type(unit) and _alike(pin.unit, unit):
                return pin.decision
            pin = pin.outer
        return None


def _alike(a: object, b: object) -> bool:
    try:
        return bool(a == b)
    except Exception:  # noqa: BLE001  (the application's own values; no read may fail for them)
        return False


PIN: Final[ContextVar[Pin | None]] = ContextVar("dualgauge_router_pin", default=None)
