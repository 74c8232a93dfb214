"""
When two values are one value, and which hash may choose candidates: by type.

Seen in DuckDB 2.0: a month equals thirty days, a map's order counts, and `hash()` forgets: the halves of 128 bits
cancel (0 and -1 are one), NULL is an empty list, and no list says where it ends. So equality is spelled by type, and
what is hashed is a text or a number that tells apart every two values that are not equal. It may tell apart more: such
rows are judged by value, and found equal. A type that is in no table here is judged by value alone, or refused.
"""

from __future__ import annotations

from typing import Final

from dualgauge.comparison.engine.kinds import NULL, Kind, kind_of, listed_kind, struct_kind
from dualgauge.model import literal, unquoted

CONTENT: Final = "dualgauge_json_content"
"""Name in SQL of `json_content.content_of`."""

_WORDS: Final = frozenset(
    (
        "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
        "FLOAT", "DOUBLE", "DATE", "TIME", "TIME_NS", "TIME WITH TIME ZONE", "TIMESTAMP", "TIMESTAMP_S",
        "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS", "VARCHAR", "BLOB", "BIT", "ENUM",
        NULL,
    )
)  # fmt: skip
"""Of at most 64 bits, or bytes: the engine's equality is ours, and `hash()` forgets nothing."""

_PLAIN: Final = _WORDS | {"HUGEINT", "UHUGEINT", "BIGNUM", "UUID", "DECIMAL"}
"""The engine's equality is ours."""

_BY_FORM: Final = frozenset(("INTERVAL", "GEOMETRY", "JSON"))
_NESTED: Final = frozenset(("LIST", "ARRAY", "STRUCT", "TUPLE", "MAP", "UNION"))
_TEXT: Final = kind_of("VARCHAR")
_WORD_DIGITS: Final = 18


def unknown(kind: Kind) -> str | None:
    """The first type in it that has no equality of ours."""
    known = _PLAIN | _BY_FORM | _NESTED
    return next((one.name for one in kind.walk() if one.family not in known), None)


def is_plain(kind: Kind) -> bool:
    """Whether the engine's equality is ours: equal values are equal to both, and so are unequal ones."""
    # Seen: a join takes no union whose member is NULL for itself, as it does a struct with a NULL in it. A text inside
    # of something may have a collation, by which 'a' is 'A'; one that is a column has lost it before.
    by_form = kind.family in ("MAP", "UNION") or any(part.family == "VARCHAR" for part in kind.parts)
    return not by_form and (kind.family in _PLAIN or kind.family in _NESTED) and all(map(is_plain, kind.parts))


def form(  # noqa: PLR0911  (one row a type reads best)
    value: str, kind: Kind, depth: int = 0, *, inside: bool = False
) -> tuple[str, Kind]:
    """
    An expression that is equal to the engine for two values that are equal to us, and for no others; and its type.

    Args:
        value: an expression of the type, without side effects: it may be written several times.
        kind: a type that has an equality.
        depth: how many lists are around it.
        inside: whether it is a part of another value.
    """
    if inside and kind.family == "VARCHAR":
        # Seen: COLLATE "binary" in a lambda changes nothing.
        return f"decode(encode({value}))", kind
    if is_plain(kind):
        return value, kind
    match kind.family:
        case "INTERVAL":
            # By parts: months, days, microseconds.
            return f"CAST({value} AS VARCHAR)", _TEXT
        case "GEOMETRY":
            return f"CAST({value} AS BLOB)", kind_of("BLOB")
        case "JSON":
            return f"{CONTENT}(CAST({value} AS VARCHAR))", _TEXT
        case "LIST" | "ARRAY":
            # A name that no column bears: the columns in reach are ours, or qualified.
            element = f"dualgauge_element_{depth}"
            inner, part = form(element, kind.parts[0], depth + 1, inside=True)
            return f"list_transform({value}, lambda {element}: {inner})", listed_kind(part)
        case "MAP":
            entry = struct_kind(('"key"', '"value"'), kind.parts)
            entries, listed = form(f"map_entries({value})", listed_kind(entry), depth)
            return f"list_sort({entries})", listed
        case "UNION":
            members = [f"union_extract({value}, {literal(unquoted(field))})" for field in kind.fields]
            made = [(f"CAST(union_tag({value}) AS VARCHAR)", _TEXT)]
            made += [form(member, part, depth, inside=True) for member, part in zip(members, kind.parts, strict=True)]
            return _packed(value, made)
        case _:
            made = [
                form(f"struct_extract_at({value}, {at})", part, depth, inside=True)
                for at, part in enumerate(kind.parts, 1)
            ]
            return _packed(value, made)


def _packed(value: str, made: list[tuple[str, Kind]]) -> tuple[str, Kind]:
    fields = tuple(f"f{at}" for at in range(len(made)))
    inner = ", ".join(f"{field} := {expression}" for field, (expression, _) in zip(fields, made, strict=True))
    # A struct of NULLs is not NULL.
    packed = f"CASE WHEN {value} IS NULL THEN NULL ELSE struct_pack({inner}) END"
    return packed, struct_kind(fields, tuple(kind for _, kind in made))


def equal(a: str, b: str, kind: Kind) -> str:
    """A condition that two expressions of a type are one value, never NULL: NULL is equal to NULL alone."""
    (x, _), (y, _) = form(a, kind), form(b, kind)
    same = f"(({x}) IS NOT DISTINCT FROM ({y}))"
    if kind.family == "JSON":
        # Two parsings and a half of a microsecond each are saved where nothing was written anew.
        return f"(CASE WHEN ({a}) IS NOT DISTINCT FROM ({b}) THEN true ELSE {same} END)"
    return same


def hashable(value: str, kind: Kind) -> str | None:  # noqa: PLR0911  (one row a type reads best)
    """
    An expression whose `hash()`, beside the mask of NULLs, is another one for every two values that are not equal.

    None where none is proven: such a column is judged by value alone.
    """
    if kind.family in _WORDS or kind.family == "JSON":
        return value
    match kind.family:
        case "HUGEINT":
            return _either(value, "BETWEEN -9223372036854775808 AND 9223372036854775807", "BIGINT")
        case "UHUGEINT":
            return _either(value, "<= 18446744073709551615", "UBIGINT")
        case "DECIMAL":
            return _decimal(value, kind)
        case "UUID" | "INTERVAL" | "BIGNUM":
            return f"CAST({value} AS VARCHAR)"
        case "GEOMETRY":
            return f"CAST({value} AS BLOB)"
    if kind.family not in _NESTED or unknown(kind) or kind.holds("GEOMETRY"):
        return None
    # Keys of a map are texts in JSON, and a union's text does not say which member it is.
    if any(one.family == "MAP" and one.parts[0].holds("UNION") for one in kind.walk()):
        return None
    if not kind.holds("JSON"):
        return f"CAST(to_json({value}) AS VARCHAR)"
    # to_json makes one of NULL and of JSON's null; the text does not say which member of a union it is.
    return None if kind.holds("UNION") else f"CAST({value} AS VARCHAR)"


def _either(value: str, fits: str, word: str) -> str:
    return f"CASE WHEN {value} {fits} THEN hash(CAST({value} AS {word})) ELSE hash(CAST({value} AS VARCHAR)) END"


def _decimal(value: str, kind: Kind) -> str:
    digits, scale = (int(part) for part in kind.name[len("DECIMAL(") : -1].split(","))
    if digits <= _WORD_DIGITS:
        return value
    if scale > _WORD_DIGITS:
        return f"CAST({value} AS VARCHAR)"
    word = f"TRY_CAST({value} AS DECIMAL({_WORD_DIGITS},{scale}))"
    return f"CASE WHEN {word} IS NOT NULL THEN hash({word}) ELSE hash(CAST({value} AS VARCHAR)) END"
