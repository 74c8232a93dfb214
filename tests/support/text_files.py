"""Random files of CSV and JSON, and what the standard library reads in them."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

NUMBERS = (
    *("0", "-0", "1", "1.0", "1.10", "-5", "10", "1e5", "1E5", "1e+5", "1e-5", "0.1", "0.10000000000000001"),
    *("1e400", "1e401", "1e-400", "9007199254740993", "9007199254740992", "90071992547409.93", "0.30000000000000004"),
    *("12345678901234567890123", "12345678901234567890123456789012345678901", "9223372036854775807"),
    *("-9223372036854775808", "9223372036854775808", "1.7976931348623157e308", "5e-324", "4e-324"),
    "1.00000000000000000000000000000000000000000001",
)
LETTERS = tuple("aZ0 \"\\/~.',\n\t\x00\x1féß漢😀\u2028")
NAMES = ("a", "A", "b", "", "a.b", "a/b", "a~1", 'q"', "'", "$", "c0", "_row", "_file", "é", "É", "\x00", "long" * 30)


def number(random: Random) -> str:
    """A number as JSON writes it, often one of those that a DOUBLE bends."""
    if random.random() < 0.5:
        return random.choice(NUMBERS)
    digits = str(random.randrange(10 ** random.choice((1, 5, 15, 16, 17, 18, 25, 40))))
    point = f".{random.randrange(10**9)}" if random.random() < 0.4 else ""
    power = f"{random.choice('eE')}{random.choice(('', '+', '-'))}{random.randrange(420)}"
    return random.choice(("", "-")) + digits + point + (power if random.random() < 0.3 else "")


def string(random: Random) -> str:
    """A string of JSON, in quotes, its escapes written in one way or another."""
    text = "".join(random.choices(LETTERS, k=random.randrange(6)))
    if random.random() < 0.5:
        return json.dumps(text, ensure_ascii=random.random() < 0.5)
    return '"' + "".join(f"\\u{ord(one):04x}" if ord(one) < 2**16 else one for one in text) + '"'


def value(random: Random, depth: int = 0) -> str:
    """A value of JSON."""
    blank = random.choice(("", "", " ", "\t"))
    match random.randrange(8 if depth < 4 else 6):
        case 0 | 1 | 2:
            return number(random)
        case 3 | 4:
            return string(random)
        case 5:
            return random.choice(("true", "false", "null"))
        case 6:
            return f"[{blank}" + f",{blank}".join(value(random, depth + 1) for _ in range(random.randrange(4))) + "]"
        case _:
            return json_object(random, depth + 1)


def json_object(random: Random, depth: int = 0) -> str:
    """An object of JSON, each of whose names is there once."""
    blank = random.choice(("", "", " ", "\t"))
    names = random.sample(NAMES, k=random.randrange(5))
    return "{" + ",".join(f"{json.dumps(name)}{blank}:{blank}{value(random, depth)}" for name in names) + f"{blank}}}"


def exactly(text: str) -> Any:
    """What a text of JSON says, its numbers as texts: each a list of its own, so that no string is the same."""
    return json.loads(text, parse_float=lambda one: ["number", one], parse_int=lambda one: ["number", one])


def by_value(text: str) -> Any:
    """What a text of JSON says, its numbers to their last digit, and no number the same as a text or a truth."""

    def number_of(digits: str) -> tuple[str, Decimal]:
        return ("number", Decimal(digits))

    return json.loads(text, parse_float=number_of, parse_int=number_of)


def csv_rows(text: str) -> list[list[str]]:
    """The rows of a CSV file as the standard library reads them, without empty lines."""
    return [row for row in csv.reader(io.StringIO(text, newline="")) if row]
