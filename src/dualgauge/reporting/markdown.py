"""
The report as Markdown: the same findings for a pull request or a terminal, without charts.

What comes from data stands in code spans, where nothing is interpreted; with characters that could end one it is
written as character references inside `<code>`. Sentences that hold names are written so that no character starts
anything: no link, no mention, no heading, no HTML.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from dualgauge.reporting import charts
from dualgauge.reporting.sections import drifts_of
from dualgauge.reporting.visible_text import MOST_OF_A_SENTENCE, plain, text_of, window
from dualgauge.reporting.words import (
    SIGNS,
    behind_text,
    columns_of,
    percent,
    schema_differences,
    share,
    standing_text,
    when,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dualgauge.comparison.values import Comparison, Mismatch
    from dualgauge.model import Outcome
    from dualgauge.reporting.values import Checked, Report, ReportSection, Run

MOST_SAMPLES: Final = 10
_SAFE_IN_CODE: Final = re.compile(r"[^`|<>&\\\r\n]+")
_SIGN: Final = re.compile(r"[^\w ]")
_ACTIVE: Final = re.compile(r"[!#$&*<>@\[\\\]^`{|}~]|(?<!\w)_|_(?!\w)|://|(?<=www)\.|(?<=\w):(?=\w)")


def markdown(report: Report) -> str:
    """The whole file."""
    lines = [*_head(report)]
    for section in report.sections:
        lines += [f"## {code(section.name)}: {_verdict(section.verdict)}", "", *_section(section, report.head)]
    if report.next_steps:
        lines += ["## What to do next", ""]
        lines += _table(("Command", "Why"), ((code(one.command), text(one.why)) for one in report.next_steps))
    lines += [
        f"Written by dualgauge {report.version} from kept evidence; `report.json` beside it holds every value whole."
    ]
    return "\n".join(lines) + "\n"


def code(value: object) -> str:
    """A text from data, cut where it is very long, as code."""
    seen = window(str(value))
    shown = plain(seen.text)
    if not shown:
        return "*empty*"
    made = f"`{shown}`" if _SAFE_IN_CODE.fullmatch(shown) else f"<code>{_references(shown, _SIGN)}</code>"
    return f"{made} *(… {seen.before + seen.after:,} characters more)*" if seen.before or seen.after else made


def text(sentence: str) -> str:
    """A sentence that may hold names from data."""
    seen = window(sentence, most=MOST_OF_A_SENTENCE)
    cut = f" (… {seen.after:,} characters more)" if seen.after else ""
    return _references(plain(seen.text), _ACTIVE) + cut


def _references(shown: str, what: re.Pattern[str]) -> str:
    return what.sub(lambda found: "".join(f"&#{ord(one)};" for one in found[0]), shown)


def _cell(row: Mapping[str, object] | None, column: str) -> str:
    if row is None:
        return "*no row*"
    if column not in row:
        return "*no column*"
    return "*NULL*" if row[column] is None else code(text_of(row[column]))


def _key(values: Mapping[str, object]) -> str:
    return ", ".join(f"{code(name)} = {_cell(values, name)}" for name in values)


def _verdict(outcome: Outcome | None) -> str:
    return f"{SIGNS[outcome]} **{outcome.value.upper() if outcome else 'NOT FINISHED'}**"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[str] = ()) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join('---:' if one in right else '---' for one in head)}|"
    for row in rows:
        yield f"| {' | '.join(str(one) for one in row)} |"
    yield ""


def _head(report: Report) -> Iterator[str]:
    yield from (f"# {_verdict(report.verdict)}", "")
    if report.migration is not None and report.share_ppm is not None:
        where = f"stage {text(str(report.stage))} with {percent(report.share_ppm)} of reads on v2"
        yield from (f"Migration {code(report.migration)}, {where}; written {when(report.made_at)}.", "")
    else:
        yield from (f"Written {when(report.made_at)}.", "")
    for line in (*report.why, *report.notes):
        yield f"- {text(line)}"
    if report.why or report.notes:
        yield ""
    rows = (
        (
            code(one.name),
            _verdict(one.verdict),
            _part(one.comparison.mismatched, one.keys, "of") if one.comparison else "-",
            _part(one.comparison.expected, one.keys) if one.comparison else "-",
            text(one.why[0].text) if one.why else "-",
            _verdict(one.checked.verdict) if one.checked else "none run",
        )
        for one in report.sections
    )
    yield from _table(("Comparator", "Verdict", "Mismatched", "Expected", "Decided by", "Checks"), rows)


def _part(part: int, whole: int, of: str = "") -> str:
    return f"{part:,} of {whole:,} keys ({share(part, whole)})" if of else f"{part:,} ({share(part, whole)})"


def _section(section: ReportSection, head: int | None) -> Iterator[str]:
    found = section.comparison
    for note in section.notes:
        yield from (f"> {text(note)}", "")
    yield from _why(section)
    if section.run:
        yield from _run(section.run, head)
    elif section.sources:
        yield from ("### What was compared", "")
        yield from _table(("Side", "Is"), (("v1", code(section.sources[0])), ("v2", code(section.sources[1]))))
    if found:
        yield from _findings(section, found)
    yield from _checks(section.checked, head, alone=section.run is None)
    if found:
        yield from _drifts(section)
    yield from _history(section)


def _why(section: ReportSection) -> Iterator[str]:
    told = [f"- {text(one.text)}" for one in section.why if not one.what]
    if told:
        yield from (*told, "")
    bounded = [one for one in section.why if one.what]
    if bounded:
        yield from ("### Why", "")
        rows = (
            (text(one.what), one.value, one.limit, "yes" if one.within else "**no**", one.sample) for one in bounded
        )
        head = ("Count of", "Value", "Limit", "Within", "Keys compared")
        yield from _table(head, rows, right=("Value", "Limit", "Keys compared"))


def _run(run: Run, head: int | None) -> Iterator[str]:
    yield from ("### Where it stands, and what it is evidence of", "")
    took = "not finished" if run.seconds is None else f"took {run.seconds:.1f} s"
    facts = [("Run", code(run.run)), ("Began", f"{when(run.started_at)}, {took}")]
    if run.position is not None and run.behind is not None:
        facts.insert(0, ("Position", f"{run.position:,}, {behind_text(run.behind)}"))
    if head is not None:
        facts.insert(1, ("Head of the log", f"{head:,}"))
    hashes = (
        ("Comparator hash", run.comparator_hash), ("Checks hash", run.checks_hash),
        ("Configuration hash", run.configuration_hash), ("Evidence key", run.evidence_key), ("Kept in", run.folder),
    )  # fmt: skip
    yield from _table(("Fact", "Is"), [*facts, *((name, code(one)) for name, one in hashes if one)])
    if run.builds:
        rows = (
            (code(f"{one.side}.{one.view}"), _number(one.build), _number(one.now), code(one.definition_hash or "-"))
            for one in run.builds
        )
        yield from _table(("View", "Build", "Readers get now", "Definition hash"), rows)
    yield from (f"**It {standing_text(run.standing)}.**", "")
    if run.standing.counts is not True:
        yield from (*(f"- {text(one)}" for one in run.standing.why), "")


def _number(found: object) -> str:
    return "-" if found is None else text(str(found))


def _findings(section: ReportSection, found: Comparison) -> Iterator[str]:
    yield from ("### Schema", "")
    odd = schema_differences(found)
    if odd:
        rows = ((code(one.name), code(one.v1_type or "-"), code(one.v2_type or "-"), text(words)) for one, words in odd)
        yield from _table(("Column", "v1", "v2", "What that means"), rows)
    else:
        yield from (f"All {len(found.schema)} columns have the same name and type on both sides.", "")
    yield from ("### Keys", "")
    if found.partly:
        yield from (f"**Not all keys were compared:** {found.partly}.", "")
    yield from (f"{found.rows_v1:,} rows in v1, {found.rows_v2:,} in v2; {found.compared:,} keys on both sides.", "")
    keys = [(words, f"{count:,}", share(count, section.keys)) for _, words, count in charts.outcomes(found)]
    keys.append(("**mismatched in all**", f"{found.mismatched:,}", share(found.mismatched, section.keys)))
    if found.in_flight:
        keys.append(("left out, in flight", f"{found.in_flight:,}", "-"))
    yield from _table(("Outcome", "Keys", f"Of {section.keys:,}"), keys, right=("Keys", f"Of {section.keys:,}"))
    if found.columns:
        yield from ("### Columns", "")
        counted = ("Compared", "Equal", "Within rule", "Expected", "Differ")
        cells = (
            (
                code(one.name), text(one.rule), f"{one.compared:,}",
                *(_part(count, one.compared) for count in (one.equal, one.within_rule, one.expected, one.differ)),
            )
            for one in found.columns
        )  # fmt: skip
        yield from _table(("Column", "Rule", *counted), cells, right=counted)
    if found.expected_by:
        yield from ("### Expected differences", "")
        excused = (
            (
                text(one.reason),
                text(one.owner),
                f"{text(one.until)}{' (expired)' if one.expired else ''}",
                f"{one.rows:,}",
            )
            for one in found.expected_by
        )
        yield from _table(("Reason", "Owner", "Until", "Rows"), excused, right=("Rows",))
    if found.clusters:
        yield from ("### Clusters", "")
        causes = (
            (code(one.name), f"{one.rows:,}", share(one.rows, found.mismatched), _key(one.example))
            for one in found.clusters
        )
        yield from _table(("Cluster", "Keys", "Share", "For example"), causes, right=("Keys", "Share"))
    yield from _samples(section, found)
    if found.key_problems:
        yield from ("### Key problems", "")
        broken = (
            (
                one.side,
                f"{one.null_keys:,}",
                f"{one.duplicate_keys:,}",
                f"{one.duplicate_rows:,}",
                "; ".join(map(_key, one.samples[:5])),
            )
            for one in found.key_problems
        )
        yield from _table(("Side", "Rows with NULL", "Repeated keys", "On rows", "For example"), broken)


def _samples(section: ReportSection, found: Comparison) -> Iterator[str]:
    if not found.mismatches:
        return
    shown = found.mismatches[:MOST_SAMPLES]
    yield from (f"### Sampled rows: {len(shown):,} of {found.mismatched:,} mismatched", "")
    if section.untraced:
        yield from (f"Events are not shown: {text(section.untraced)}", "")
    for one in shown:
        yield from _sample(one)


def _sample(one: Mismatch) -> Iterator[str]:
    note = f", {text(one.note.replace('_', ' '))}" if one.note else ""
    yield from (f"#### {_key(one.key)}: {one.kind.value.replace('_', ' ')}{note}", "")
    rows = (
        (
            f"**≠** {code(column)}" if column in one.columns else code(column),
            _cell(one.v1, column),
            _cell(one.v2, column),
        )
        for column in columns_of(one)
    )
    yield from _table(("Column", "v1", "v2"), rows)
    if one.events_total is not None:
        latest = ", ".join(f"{event.position:,} {code(event.event_id)}" for event in one.events)
        yield from (f"Touched by {one.events_total:,} events, the latest: {latest or 'none'}", "")


def _checks(checked: Checked | None, head: int | None, *, alone: bool) -> Iterator[str]:
    yield from ("### Checks", "")
    if checked is None:
        yield from ("No check was run.", "")
        return
    yield from (
        f"{_verdict(checked.verdict)}, run {code(checked.run.run)}: it {standing_text(checked.run.standing)}.",
        "",
    )
    if checked.results is None or checked.run.standing.counts is not True:
        told = [*(one.text for one in checked.why if not one.what), *checked.run.standing.why]
        yield from (*(f"- {text(one)}" for one in dict.fromkeys(told)), "")
    rows = (
        (
            code(one.view),
            "<br>".join(
                (code(one.expectation), *(f"{code(name)}: {_cell(one.arguments, name)}" for name in one.arguments))
            ),
            "not told" if one.success is None else "yes" if one.success else "**no**",
            "-" if one.unexpected is None else f"{one.unexpected:,}",
            "-" if one.checked is None else f"{one.checked:,}",
            text(one.error) if one.error else "; ".join(_sampled(value) for value in one.samples[:5]) or "-",
        )
        for one in checked.results or ()
    )
    if checked.results:
        head_row = ("View", "Rule", "Holds", "Unexpected", "Of rows", "Observed")
        yield from _table(head_row, rows, right=("Unexpected", "Of rows"))
    if alone:
        yield from _run(checked.run, head)


def _sampled(value: object) -> str:
    return _key(value) if isinstance(value, dict) else _cell({"": value}, "")


def _drifts(section: ReportSection) -> Iterator[str]:
    moved = drifts_of(section)
    if not section.drifts:
        return
    yield from ("### Drifts", "")
    if not moved:
        yield from (f"None of {len(section.drifts)} columns drifted.", "")
        return
    rows = ((code(one.column), "; ".join(text(note) for note in one.notes)) for one in moved)
    yield from _table(("Column", "What drifted"), rows)


def _history(section: ReportSection) -> Iterator[str]:
    if not section.history:
        return
    yield from ("### Earlier runs", "")
    rows = (
        (
            f"{when(one.at)}{' (this one)' if one.shown else ''}",
            _verdict(one.verdict),
            "-" if one.position is None else f"{one.position:,}",
            "-" if one.mismatched is None or one.keys is None else _part(one.mismatched, one.keys, "of"),
            "-" if one.expected is None else f"{one.expected:,}",
            code(one.run),
        )
        for one in reversed(section.history)
    )
    head = ("Began", "Verdict", "Position", "Mismatched", "Expected", "Run")
    yield from _table(head, rows, right=("Position", "Mismatched", "Expected"))
