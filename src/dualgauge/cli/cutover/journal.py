"""`dualgauge journal`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.terminal.output import answering, table
from dualgauge.cutover.moves.percent import percent_text
from dualgauge.ledger.journal import JournalRow, RowKind
from dualgauge.model import plural


def journal(
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the hash chain, and the ledger's state and evidence against it.")
    ] = False,
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Show every move of the migration, finished run of evidence and change of the quarantine: when, who, what, and why.

    The journal is append-only and hash-chained. A run's row seals what the ledger keeps of it, and so does that of a
    change of the quarantine. `--verify` finds a row of any that was changed, removed or put in, and a file below
    `reports` that is not what its run wrote; it exits with 1 where it does.
    """
    with answering("journal", project, form, debug=debug) as answer:
        found = answer.migration.cutover.journal(verify=verify)
        rows, bad = found.rows, found.tampered

        def text(screen: Console) -> None:
            made = table("seq", "when", "who", "what", "from", "to", "reason", right=["seq"])
            for row in rows:
                made.add_row(str(row.seq), *_cells(row))
            screen.print(made if rows else "no moves yet")
            if bad is not None:
                where = f"row {bad.seq}: " if bad.seq else ""
                screen.print(f"the journal is not what was written: {where}{bad.problem}", soft_wrap=True)
            elif verify:
                screen.print(f"verified: {plural(len(rows), 'row')}, the chain is whole and the ledger agrees with it")

        answer.give(
            {
                "rows": [_json(row) for row in rows],
                "verified": None if not verify else bad is None,
                "problem": None if bad is None else {"seq": bad.seq, "problem": bad.problem, "run": bad.run},
            },
            text,
            exit_code=1 if bad is not None else 0,
        )


def _cells(row: JournalRow) -> list[str]:
    """A row's when, who, what, from, to, reason; of evidence: what it found, the comparator, and the run."""
    if row.unreadable:
        return ["", "", "cannot be read", "", "", ""]
    if row.kind is RowKind.EVIDENCE:
        run = row.evidence
        return [f"{run.at:%Y-%m-%d %H:%M:%SZ}", run.who, f"{run.kind.value} {run.verdict.value}", run.name, "", run.run]
    if row.kind is RowKind.QUARANTINE:
        kept = row.quarantine
        left = f"{plural(kept.rows, 'row')}, {kept.waiting:,} waiting"
        return [f"{kept.at:%Y-%m-%d %H:%M:%SZ}", kept.who, f"quarantine: {kept.change}", "", left, ""]
    one = row.entry
    return [
        f"{one.at:%Y-%m-%d %H:%M:%SZ}", one.who, one.verb,
        f"{one.from_stage} {percent_text(one.from_share_ppm)} %", f"{one.to_stage} {percent_text(one.to_share_ppm)} %",
        one.reason or "",
    ]  # fmt: skip


def _json(row: JournalRow) -> dict[str, object]:
    """A row as `--format json` gives it; `row` says which of the three kinds it is, null of none."""
    sealed = {"operation_id": row.operation_id, "digest": row.digest}
    if row.unreadable:
        return {"seq": row.seq, "row": None, **sealed}
    if row.kind is RowKind.EVIDENCE:
        run = row.evidence
        return {
            "seq": row.seq, "row": row.kind.value, "at": run.at, "who": run.who, "run": run.run, "kind": run.kind.value,
            "comparator": run.name, "verdict": run.verdict.value, "evidence_key": run.evidence_key, "seal": run.seal,
            **sealed,
        }  # fmt: skip
    if row.kind is RowKind.QUARANTINE:
        kept = row.quarantine
        return {
            "seq": row.seq, "row": row.kind.value, "at": kept.at, "who": kept.who, "change": kept.change,
            "rows": kept.rows, "waiting": kept.waiting, "seal": kept.seal, **sealed,
        }  # fmt: skip
    one = row.entry
    return {
        "seq": row.seq, "row": row.kind.value, "at": one.at, "who": one.who, "verb": one.verb,
        "from": {"stage": one.from_stage, "share_ppm": one.from_share_ppm},
        "to": {"stage": one.to_stage, "share_ppm": one.to_share_ppm},
        "reason": one.reason, "evidence": list(one.evidence),
        **sealed,
    }  # fmt: skip
