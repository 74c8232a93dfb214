"""What to do about an expression of a source that fails: phrases that follow the engine's reason."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from dualgauge.engines.files.json_types import is_shape
from dualgauge.engines.lexer import pieces
from dualgauge.eventlog.sources.needed import words_of
from dualgauge.eventlog.sources.source import ANY_TYPE, keywords
from dualgauge.model import fold, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.engines.duck import Engine
    from dualgauge.engines.errors import EngineError
    from dualgauge.eventlog.sources.source import Source


def word_of_sql(engine: Engine, fault: EngineError, expression: str, known: Sequence[str]) -> str:
    """Advice for a syntax error where a column has the name of a word that SQL takes for its own."""
    if "syntax error" not in fault.reason:
        return ""
    said = set(map(fold, pieces(expression))) & set(map(fold, known))
    words = sorted(said & keywords(engine))
    if not words:
        return ""
    return f"; {words[0]!r} is a word of SQL: where it means the column, write it in double quotes"


def only_text(source: Source, fault: EngineError, expression: str, known: Sequence[str]) -> str:
    """Advice where an expression wants a type of a column that is text, for one value perhaps, or without any yet."""
    first = fault.reason.partition("\n")[0]
    if not source.settings.path or fault.unknown_column(known) or "VARCHAR" not in first:
        return ""
    said = [name for name in known if fold(name) in words_of([expression])]
    if source.own:
        valueless = [one for one in said if ANY_TYPE in {columns.get(one) for columns in source.own.values()}]
        texts = []
    else:
        valueless = [one for one in said if fold(one) not in source.kinds]
        texts = [one for one in said if source.kinds.get(fold(one)) == "VARCHAR"]
    if valueless:
        return (
            f"; no row has a value of {listed(valueless)} yet: say of which type it will be, "
            f"{type_said(valueless[0], _beside_text(first, objects=source.objects is not None))}"
        )
    nested = [one for one in said if is_shape(source.kinds.get(fold(one), ""))]
    if nested and not texts:
        return (
            f"; a field of {nested[0]} has texts, or no value yet: say {type_said(nested[0], 'JSON')}, and take it as "
            f"text, {nested[0]}->>'FIELD'"
        )
    if not texts:
        return ""
    return (
        f"; {listed(texts)} {'is' if len(texts) == 1 else 'are'} text, since not all values are written in one other "
        f"type: say which it is to be, such as {type_said(texts[-1], 'BIGINT')} or DECIMAL(18,2), and rows that do not "
        "fit it are named"
    )


def _beside_text(reason: str, *, objects: bool) -> str:
    """The type that an expression mixes with text, as the engine says it, where it is one that may be said."""
    if objects and (nested := re.search(r"\b(?:(list|array|unnest|flatten)|struct)\w*\(|\[\]", reason)):
        return "JSON" if nested[0].startswith("struct") else "JSON[]"
    found = re.search(r"\b(BIGINT|INTEGER_LITERAL|DECIMAL\([0-9]+,[0-9]+\)|DATE|TIMESTAMP|BOOLEAN)\b", reason)
    return {"INTEGER_LITERAL": "BIGINT"}.get(found[0], found[0]) if found else "DOUBLE"


def in_no_row(source: Source, fault: EngineError, known: Sequence[str]) -> str:
    """Advice where an expression wants a field that no row of a JSON file has."""
    if source.objects is not None and "Could not find key" in fault.reason:
        return '; of objects whose fields come later say that they are JSON, read = {types = {NAME = "JSON"}}'
    name = fault.unknown_name
    if not name or source.objects is None or fault.unknown_column(known):
        return ""
    return f"; of a field that no row has yet say the type, {type_said(name, 'VARCHAR')}"


def type_said(name: str, kind: str) -> str:
    """How a column's type is said in the settings."""
    return f'read = {{types = {{{_toml_key(name)} = "{kind}"}}}}'


def _toml_key(name: str) -> str:
    """A name as a key of TOML: bare where it can be, else as a basic string, whose escapes are those of JSON."""
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)
