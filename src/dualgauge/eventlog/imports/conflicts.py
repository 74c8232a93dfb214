"""
Whether two events of one id are the same: their type, their time, their declared columns and their payload.

A column may be declared after an event was taken in: then its value was in the payload, or nowhere. And the files of a
source need not have the same columns: a field that a row lacks is absent when it is read alone, and NULL beside others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualgauge.eventlog.append.payload import same_payload
from dualgauge.eventlog.errors import ChangedEvent
from dualgauge.model import canonical_json, literal, quote

if TYPE_CHECKING:
    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.table.event_log import EventLog

_ROUNDED: Final = "[0-9][0-9.]{15,}|[0-9][eE]"
"""What may be a number that the engine rounds."""


def different(engine: Engine, log: EventLog, old: str, new: str, *, in_log: bool) -> None:
    """
    Compare the events of two relations that have an id in common.

    Args:
        engine: compares.
        log: whose columns they have.
        old: the events that were there first, as SQL; `in_log`: those of the log, else of the same import.
        new: the events that came.
        in_log: see above.

    Raises:
        ChangedEvent: an id has one content in `old` and another in `new`.
    """
    columns = log.settings.columns
    content = {name: f"o.{quote(name)} IS DISTINCT FROM n.{quote(name)}" for name in ("type", "occurred_at", *columns)}
    first = log.since() if in_log else {}
    since = {name: first.get(name, log.head().last + 1) if in_log else 1 for name in columns}
    late = [name for name, position in since.items() if position > 1]
    for name in late:
        content[name] = f"(o.position >= {since[name]:d} AND {content[name]})"
    content["payload"] = f"CASE WHEN o.payload IS NOT DISTINCT FROM n.payload THEN false ELSE {_payloads(late)} END"
    differing = engine.batches(
        f"SELECT n.event_id, o.position, o.payload, n.payload, {', '.join(content.values())} "
        f"FROM ({new}) n JOIN ({old}) o USING (event_id) "
        f"WHERE {' OR '.join(content.values())} ORDER BY o.position, n.position"
    )
    for event_id, position, had, has, *flags in (row for batch in differing for row in batch):
        names = [name for name, flag in zip(content, flags, strict=True) if flag]
        absent = [name for name in late if position < since[name]]
        # An application writes a number in other ways than a file: 2.5, 2.50.
        if names[-1] == "payload" and same_payload(had, has, absent, nulls_count=False):
            names.pop()
        if names:
            one = f"position {position:,} of the log" if in_log else "one row of this import"
            other = "a row of this import" if in_log else "another row of it"
            raise ChangedEvent(event_id, one, other, names)


def _payloads(late: list[str]) -> str:
    """A condition: two payloads may say different things, in fields that are not NULL and that no column has now."""
    gone = literal(canonical_json(dict.fromkeys(late)))
    fields = [
        f"list_sort(map_entries(TRY(CAST(json_merge_patch(json_merge_patch('{{}}', coalesce({side}.payload, '{{}}')), "
        f"{gone}) AS MAP(VARCHAR, JSON)))))"
        for side in ("o", "n")
    ]
    objects = " AND ".join(
        f"({side}.payload IS NULL OR coalesce(TRY(json_type({side}.payload)) = 'OBJECT', false))" for side in ("o", "n")
    )
    # What is said here to be the same is: the engine reads numbers as DOUBLE, which tells those of 15 digits apart.
    rounded = f"regexp_matches(concat(o.payload, ' ', n.payload), {literal(_ROUNDED)})"
    return f"CASE WHEN {objects} AND NOT {rounded} THEN coalesce({fields[0]} <> {fields[1]}, true) ELSE true END"
