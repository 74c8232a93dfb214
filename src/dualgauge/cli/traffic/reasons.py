"""Why a side was chosen, in words; and what a read says of itself on the command line."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from dualgauge.cutover.moves.percent import percent_text
from dualgauge_router.decision import Reason

Attributes = Annotated[
    list[str] | None,
    typer.Option(
        "--attr",
        metavar="NAME=TEXT",
        help="An attribute that cohorts are told by; NAME:=JSON for what is no text. Can be repeated.",
    ),
]

_WORDS = {
    Reason.COMPLETE: "the migration is complete",
    Reason.KILL: "a kill is in force",
    Reason.STALE: "the ledger could not be read",
    Reason.STAGE: "no read is on v2 in this stage",
    Reason.NO_UNIT: "a read without a unit reads v1",
    Reason.BAD_UNIT: "a unit that cannot be hashed reads v1",
    Reason.PIN_V1: "it is pinned to v1",
    Reason.PIN_V2: "it is pinned to v2",
    Reason.COHORT: "it is in a cohort that is on v2",
}


def why(reason: Reason, bucket: float | None, share_ppm: int) -> str:
    """A decision's reason as a phrase, with the share that held."""
    share = f"{percent_text(share_ppm)} % of reads are on v2"
    if reason is Reason.HASH:
        return f"the unit is in bucket {100 * (bucket or 0):.4f} %, and {share}"
    return _WORDS[reason] if reason is Reason.COMPLETE else f"{_WORDS[reason]} ({share})"


def attributes(given: list[str] | None) -> dict[str, object]:
    """The attributes of a call. Raises BadParameter where one is none."""
    found: dict[str, object] = {}
    for text in given or ():
        name, sign, value = text.partition("=")
        if not sign or not name.rstrip(":"):
            raise typer.BadParameter(f"{text!r} is not NAME=TEXT", param_hint="--attr")
        if not name.endswith(":"):
            found[name] = value
            continue
        try:
            found[name[:-1]] = json.loads(value)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not NAME:=JSON", param_hint="--attr") from None
    return found
