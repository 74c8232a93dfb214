"""
The stages of a migration, and every move between them.

Two rules. All that decides where a move leads is in `MOVES`: no other code compares stages to choose the
next one. And this file knows no ledger, no share and no reason why: it answers "from here, by this, where to?".

A verb is what happens to a migration, done by a person, by `replay`, or by an autopilot. Verbs that raise the
share on v2 are held to readiness (and, later, to gates) before they come here; verbs that lower it never are.
v1 is fed from the log until `complete`, so every stage with reads on v2 before it has its way back to shadow.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from dualgauge.cutover.errors import IllegalMove
from dualgauge.model import PPM

if TYPE_CHECKING:
    from collections.abc import Mapping


class Stage(StrEnum):
    """Where a migration is."""

    OFF = "off"
    BACKFILL = "backfill"
    CATCHUP = "catchup"
    SHADOW = "shadow"
    CANARY = "canary"
    LIVE = "live"
    RAMPDOWN = "rampdown"
    COMPLETE = "complete"
    CANCELLED = "cancelled"

    @property
    def reads(self) -> str:
        """Which side answers reads."""
        return _STAGES[self][0]

    @property
    def fed(self) -> str:
        """What is kept current from the log."""
        return _STAGES[self][1]

    @property
    def compared(self) -> str:
        """How the sides are compared."""
        return _STAGES[self][2]


class Verb(StrEnum):
    """What may happen to a migration."""

    REPLAY = "replay"
    HYDRATED = "hydrated"
    CAUGHT_UP = "caught_up"
    SHARE_NONE = "share_none"
    SHARE_SOME = "share_some"
    SHARE_ALL = "share_all"
    ROLL_BACK = "roll_back"
    RAMP_DOWN = "ramp_down"
    COMPLETE = "complete"
    CANCEL = "cancel"

    @property
    def meaning(self) -> str:
        """What the verb does, as a phrase for sentences."""
        return _MEANINGS[self]


_STAGES: Final[Mapping[Stage, tuple[str, str, str]]] = MappingProxyType(
    {
        Stage.OFF: ("v1", "v1", "-"),
        Stage.BACKFILL: ("v1", "v1; v2 replaying", "-"),
        Stage.CATCHUP: ("v1", "both, v2 over the lag limit", "-"),
        Stage.SHADOW: ("v1", "both", "shadow reads and diffs"),
        Stage.CANARY: ("share on v2", "both", "both ways"),
        Stage.LIVE: ("v2", "both; rollback window open", "v1 is the shadow"),
        Stage.RAMPDOWN: ("v2", "both; the window runs out", "diffs only"),
        Stage.COMPLETE: ("v2", "v2; v1 retired", "-"),
        Stage.CANCELLED: ("v1", "v1; v2 removed", "-"),
    }
)

_MEANINGS: Final[Mapping[Verb, str]] = MappingProxyType(
    {
        Verb.REPLAY: "start building v2 from the log",
        Verb.HYDRATED: "note that every v2 view has a build",
        Verb.CAUGHT_UP: "note that v2 is as far as v1",
        Verb.SHARE_NONE: "send no reads to v2",
        Verb.SHARE_SOME: "send a part of the reads to v2",
        Verb.SHARE_ALL: "send all reads to v2",
        Verb.ROLL_BACK: "take all reads back to v1",
        Verb.RAMP_DOWN: "let the rollback window run out",
        Verb.COMPLETE: "retire v1 for good",
        Verb.CANCEL: "give the migration up and remove v2",
    }
)

MOVES: Final[Mapping[tuple[Stage, Verb], Stage]] = MappingProxyType(
    {
        (Stage.OFF, Verb.REPLAY): Stage.BACKFILL,
        (Stage.BACKFILL, Verb.HYDRATED): Stage.CATCHUP,
        (Stage.CATCHUP, Verb.CAUGHT_UP): Stage.SHADOW,
        # Forward.
        (Stage.SHADOW, Verb.SHARE_SOME): Stage.CANARY,
        (Stage.SHADOW, Verb.SHARE_ALL): Stage.LIVE,
        (Stage.CANARY, Verb.SHARE_SOME): Stage.CANARY,
        (Stage.CANARY, Verb.SHARE_ALL): Stage.LIVE,
        (Stage.LIVE, Verb.RAMP_DOWN): Stage.RAMPDOWN,
        (Stage.RAMPDOWN, Verb.COMPLETE): Stage.COMPLETE,  # the only move without a way back
        # Back. `roll_back` is `share_none` done in haste: the journal tells them apart.
        (Stage.CANARY, Verb.SHARE_NONE): Stage.SHADOW,
        (Stage.CANARY, Verb.ROLL_BACK): Stage.SHADOW,
        (Stage.LIVE, Verb.SHARE_SOME): Stage.CANARY,
        (Stage.LIVE, Verb.SHARE_NONE): Stage.SHADOW,
        (Stage.LIVE, Verb.ROLL_BACK): Stage.SHADOW,
        (Stage.RAMPDOWN, Verb.SHARE_SOME): Stage.CANARY,
        (Stage.RAMPDOWN, Verb.SHARE_NONE): Stage.SHADOW,
        (Stage.RAMPDOWN, Verb.ROLL_BACK): Stage.SHADOW,
        # Given up, from before live. Later, `roll_back` comes first.
        (Stage.OFF, Verb.CANCEL): Stage.CANCELLED,
        (Stage.BACKFILL, Verb.CANCEL): Stage.CANCELLED,
        (Stage.CATCHUP, Verb.CANCEL): Stage.CANCELLED,
        (Stage.SHADOW, Verb.CANCEL): Stage.CANCELLED,
        (Stage.CANARY, Verb.CANCEL): Stage.CANCELLED,
    }
)


def allowed(stage: Stage) -> tuple[Verb, ...]:
    """What may happen in a stage, in the order of the table; nothing in an end."""
    return tuple(verb for at, verb in MOVES if at is stage)


def target(stage: Stage, verb: Verb) -> Stage:
    """
    Where a verb leads from a stage.

    Raises:
        IllegalMove: nowhere.
    """
    try:
        return MOVES[stage, verb]
    except KeyError:
        raise IllegalMove(stage, verb, allowed(stage)) from None


def verb_of_share(share_ppm: int) -> Verb:
    """What setting a share (0 to 1,000,000 ppm) means."""
    if share_ppm == 0:
        return Verb.SHARE_NONE
    return Verb.SHARE_ALL if share_ppm == PPM else Verb.SHARE_SOME


def stages_page() -> str:
    """The documentation's page of stages and moves, in Markdown: written from the tables above, never by hand."""
    lines = [
        "# Stages",
        "",
        "This page is written from the tables in `dualgauge.cutover.moves.stages`.",
        "",
        "| stage | reads | fed from the log | compared |",
        "|---|---|---|---|",
        *(f"| {stage} | {stage.reads} | {stage.fed} | {stage.compared} |" for stage in Stage),
        "",
        "## Moves",
        "",
        "| from | by | that is, to | to |",
        "|---|---|---|---|",
        *(f"| {stage} | {verb} | {verb.meaning} | {to} |" for (stage, verb), to in MOVES.items()),
        "",
        "```mermaid",
        "stateDiagram-v2",
        f"    [*] --> {Stage.OFF}",
        *(f"    {stage} --> {to}: {verb}" for (stage, verb), to in MOVES.items()),
        *(f"    {stage} --> [*]" for stage in Stage if not allowed(stage)),
        "```",
    ]
    return "\n".join(lines) + "\n"
