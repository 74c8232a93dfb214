"""`dualgauge log verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, MemoryLimit, ProjectDir
from dualgauge.cli.terminal.output import answering
from dualgauge.model import plural

if TYPE_CHECKING:
    from dualgauge.eventlog.integrity.history import Problem
    from dualgauge.eventlog.integrity.verify import Verified
    from dualgauge.eventlog.integrity.verify_contents import Causes

_SHOWN = 10


def log_verify(
    first: Annotated[
        int,
        typer.Option(
            "--from",
            metavar="POSITION",
            min=1,
            help="Hash and read only files that hold this position or later ones; the chain is followed from 1.",
        ),
    ] = 1,
    memory_limit: MemoryLimit = "1GB",
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Look whether the log is what was written: every file's bytes, the chain of digests, positions and ids.

    Names the first bad file, its positions and what is wrong, and the others behind it. Events that come before their
    cause, or whose cause never came, are told too; they are no damage. Nothing is changed. Exit code 1 where something
    is wrong.

    Example: dualgauge log verify --from 1000000
    """  # fmt: skip
    with answering("log-verify", project, form, debug=debug, memory_limit=memory_limit) as answer:
        found = answer.migration.log.verify(first)

        def text(screen: Console) -> None:
            for one in found.problems[:_SHOWN]:
                screen.print(_line(one), soft_wrap=True)
            if len(found.problems) > _SHOWN:
                screen.print(f"and {len(found.problems) - _SHOWN:,} more")
            _causes(screen, found.causes)
            screen.print(_summary(found), soft_wrap=True)

        answer.give(_json(found), text, exit_code=0 if found.sound else 1)


def _line(one: Problem) -> str:
    places = f"positions {one.first:,} to {one.last:,}: " if 0 < one.first <= one.last else ""
    return f"{one.fault}: {places}{one.what}"


def _causes(screen: Console, found: Causes) -> None:
    if not found.counted:
        return
    screen.print(
        f"{plural(found.counted, 'event')} with a cause: {found.early_count:,} before it, "
        f"{found.absent_count:,} whose cause never came"
    )
    for position, event_id, cause in found.early:
        screen.print(f"  {position:,} {event_id} comes before its cause {cause}", soft_wrap=True)
    for position, event_id, cause in found.absent:
        screen.print(f"  {position:,} {event_id}: its cause {cause} never came", soft_wrap=True)


def _summary(found: Verified) -> str:
    where = f"positions {found.first:,} to {found.last:,}" if found.first <= found.last else "no events"
    looked = f"{plural(found.commits, 'commit')}, {plural(found.files, 'file')} of {found.size / 1e6:,.1f} MB, {where}"
    if found.sound:
        return f"verified: {looked}; chain {found.chain[:16]}"
    return (
        f"damaged: {plural(len(found.problems), 'problem')} in {looked}; append and compact nothing, and restore what "
        "is named from a backup (docs/guides/log.md says what each finding means)"
    )


def _json(found: Verified) -> dict[str, object]:
    causes = found.causes

    def named(rows: tuple[tuple[int, str, str], ...]) -> list[dict[str, object]]:
        return [{"position": position, "event_id": event_id, "cause": cause} for position, event_id, cause in rows]

    return {
        "sound": found.sound,
        "from": found.first,
        "last": found.last,
        "chain": found.chain,
        "commits": found.commits,
        "files": found.files,
        "bytes": found.size,
        "problems": [
            {"fault": one.fault.value, "first": one.first, "last": one.last, "file": one.file, "what": one.what}
            for one in found.problems
        ],
        "causes": {
            "counted": causes.counted, "early_count": causes.early_count, "absent_count": causes.absent_count,
            "early": named(causes.early), "absent": named(causes.absent),
        },
    }  # fmt: skip
