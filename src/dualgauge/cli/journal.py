"""`dualgauge journal`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from dualgauge.cli.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.output import answering, table
from dualgauge.cutover.percent import percent_text
from dualgauge.model import plural


def journal(
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the hash chain, and the ledger's state against it.")
    ] = False,
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Show every move of the migration: when, who, from where to where, and why.

    The journal is append-only and hash-chained; `--verify` finds a row that was changed, removed or put in, and exits
    with 1 where it does.
    """
    with answering("journal", project, form, debug=debug) as answer:
        rows = answer.migration.journal()
        bad = answer.migration.verify_journal() if verify else None

        def text(screen: Console) -> None:
            made = table("seq", "when", "who", "verb", "from", "to", "reason", right=["seq"])
            for row in rows:
                one = row.entry
                made.add_row(
                    str(row.seq), f"{one.at:%Y-%m-%d %H:%M:%SZ}", one.who, one.verb,
                    f"{one.from_stage} {percent_text(one.from_share_ppm)} %",
                    f"{one.to_stage} {percent_text(one.to_share_ppm)} %",
                    one.reason or "",
                )  # fmt: skip
            screen.print(made if rows else "no moves yet")
            if bad is not None:
                screen.print(f"the journal is not what was written: row {bad.seq}: {bad.problem}", soft_wrap=True)
            elif verify:
                screen.print(f"verified: {plural(len(rows), 'row')}, the chain is whole and the ledger agrees with it")

        answer.give(
            {
                "rows": [
                    {
                        "seq": row.seq, "at": row.entry.at, "who": row.entry.who, "verb": row.entry.verb,
                        "from": {"stage": row.entry.from_stage, "share_ppm": row.entry.from_share_ppm},
                        "to": {"stage": row.entry.to_stage, "share_ppm": row.entry.to_share_ppm},
                        "reason": row.entry.reason, "evidence": list(row.entry.evidence),
                        "operation_id": row.operation_id, "digest": row.digest,
                    }
                    for row in rows
                ],
                "verified": None if not verify else bad is None,
                "problem": None if bad is None else {"seq": bad.seq, "problem": bad.problem},
            },
            text,
            exit_code=1 if bad is not None else 0,
        )  # fmt: skip
