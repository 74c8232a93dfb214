"""`dualgauge notify list`."""

from __future__ import annotations

from rich.console import Console

from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.terminal.output import answering
from dualgauge.ledger.outbox.values import SubjectState
from dualgauge.model import NextStep, as_json


def notify_list(project: ProjectDir = HERE, form: FormatOption = Format.TEXT, debug: Debug = False) -> None:
    """
    Show what fires or did, who has taken it on, and what became of the last twenty messages.

    Example: dualgauge notify list
    """
    with answering("notify-list", project, form, debug=debug) as answer:
        told = answer.migration.notify.list()

        def text(screen: Console) -> None:
            for one in told.subjects:
                screen.print(
                    f"{one.subject}: {one.state.value} since {one.since:%Y-%m-%d %H:%M:%SZ}",
                    style="bold",
                )
                screen.print(f"  {one.message.what}", soft_wrap=True)
                if one.message.found:
                    screen.print(f"  found: {one.message.found}", soft_wrap=True)
                if one.ack_until is not None:
                    until = f"{one.ack_until:%Y-%m-%d %H:%M:%SZ}"
                    screen.print(
                        f"  acknowledged by {one.ack_by} until {until}: {one.ack_reason}",
                        soft_wrap=True,
                    )
            for sent in told.deliveries:
                answered = f": {sent.answer}" if sent.answer else ""
                screen.print(
                    f"{sent.at:%Y-%m-%d %H:%M:%SZ}  {sent.channel}  {sent.kind.value} {sent.subject}: "
                    f"{sent.state.value}{answered}",
                    soft_wrap=True,
                )
            if not told.subjects and not told.deliveries:
                screen.print("nothing was ever told")

        result = {
            "subjects": [
                {
                    "subject": one.subject, "state": one.state.value, "cause": one.cause, "since": one.since,
                    "what": one.message.what, "found": one.message.found, "next": one.message.next,
                    "channels": list(one.channels), "remind_at": one.remind_at, "ack_by": one.ack_by,
                    "ack_reason": one.ack_reason, "ack_until": one.ack_until,
                }
                for one in told.subjects
            ],
            "deliveries": [as_json(one) for one in told.deliveries],
        }  # fmt: skip
        fires = [one.subject for one in told.subjects if one.state is SubjectState.FIRING]
        steps = [
            NextStep(f'dualgauge notify ack {name} --reason "..." --until TIME', "take it on") for name in fires[:1]
        ]
        if told.given_up:
            steps.append(NextStep("dualgauge notify send --again", "try once more what was given up"))
        answer.give(result, text, next_steps=steps)
