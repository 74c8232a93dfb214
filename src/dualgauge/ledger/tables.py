"""
The ledger's tables, as SQLAlchemy sees them.

A new ledger is made from them, an older one is brought here by the revisions; a test holds the two equal.

Times are ISO text in UTC with microseconds, so SQLite and PostgreSQL keep and sort them alike. JSON is
canonical text, not a JSON column: what is hashed must come back byte for byte.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, MetaData, String, Table, Text

METADATA: Final = MetaData()

MIGRATION: Final = Table(
    "migration",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("stage", Text, nullable=False),
    Column("share_ppm", BigInteger, nullable=False),
    Column("rollout", Text, nullable=False, server_default="v2"),
    Column("revision", BigInteger, nullable=False),
    Column("changed_at", Text, nullable=False),
)

JOURNAL: Final = Table(
    "journal",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("operation_id", Text, nullable=False, unique=True),
    Column("previous", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("row", Text, nullable=False),
)

EVIDENCE: Final = Table(
    "evidence",
    METADATA,
    Column("run_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("evidence_key", String(64), nullable=False, index=True),
    Column("bound", Text, nullable=False),
    Column("position", BigInteger),
    Column("verdict", Text),
    Column("state", Text, nullable=False),
    Column("started_at", Text, nullable=False),
    Column("finished_at", Text),
    Column("summary", Text),
    Column("folder", Text),
)

LOG_LINK: Final = Table(
    "log_link",
    METADATA,
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("chain", String(64), nullable=False),
)

QUARANTINE: Final = Table(
    "quarantine",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("row", BigInteger),
    Column("reason", Text, nullable=False),
    Column("raw", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("found_at", Text, nullable=False),
    Column("changed_at", Text),
    Column("line", BigInteger),
    Column("read_as", Text),
)

QUARANTINE_SEAL: Final = Table(
    "quarantine_seal",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("seal", String(64), nullable=False),
)

BARRIER: Final = Table(
    "barrier",
    METADATA,
    Column("migration", Text, primary_key=True),
    Column("side", Text, primary_key=True),
    Column("asker", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("expires", Text, nullable=False),
)

THROTTLE: Final = Table(
    "throttle",
    METADATA,
    Column("migration", Text, primary_key=True),
    Column("events_per_second", BigInteger, nullable=False),
)

CANARY: Final = Table(
    "canary",
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("text", Text, nullable=False),
)
"""Every canary.yaml that was ever applied, as canonical JSON, by the SHA-256 of that text."""

ROUTING: Final = Table(
    "routing",
    METADATA,
    Column("migration", Text, primary_key=True),
    Column("killed", BigInteger, nullable=False),
    Column("canary", String(64), nullable=False),
)
"""What routing goes by beside stage and share: `killed` is 0 or 1, `canary` the digest in force; empty for none."""

READ_BASIS: Final = Table(
    "read_basis",
    METADATA,
    Column("migration", Text, primary_key=True),
    Column("view", Text, primary_key=True),
    Column("evidence_key", String(64), nullable=False),
    Column("bound", Text, nullable=False),
)
"""For each view what its reads are evidence for now; routers count under this key."""

READ_COUNT: Final = Table(
    "read_count",
    METADATA,
    *(Column(name, Text, primary_key=True) for name in ("migration", "evidence_key", "view")),
    Column("share_ppm", BigInteger, primary_key=True, autoincrement=False),
    *(Column(name, Text, primary_key=True) for name in ("kind", "side", "outcome", "since")),
    Column("reads", BigInteger, nullable=False),
)
"""How many reads of a `kind` (read, shadow) came to what, in the minutes from `since` on; `side` is what answered."""

READ_KEY: Final = Table(
    "read_key",
    METADATA,
    *(Column(name, Text, primary_key=True) for name in ("migration", "evidence_key", "view")),
    Column("share_ppm", BigInteger, primary_key=True, autoincrement=False),
    Column("read_hash", String(64), primary_key=True),
    Column("bad", BigInteger, nullable=False),
    Column("bad_later", BigInteger, nullable=False),
)
"""The different reads that were judged: `bad` is 1 where the first was, `bad_later` where a later one was."""

READ_SAMPLE: Final = Table(
    "read_sample",
    METADATA,
    *(Column(name, Text, primary_key=True) for name in ("migration", "evidence_key", "view")),
    Column("share_ppm", BigInteger, primary_key=True, autoincrement=False),
    Column("read_hash", String(64), primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("outcome", "at", "columns", "v1", "v2")),
)
"""Reads whose answers differed, with both of them, as JSON."""

READ_PAIR: Final = Table(
    "read_pair",
    METADATA,
    *(Column(name, Text, primary_key=True) for name in ("migration", "evidence_key", "view")),
    Column("share_ppm", BigInteger, primary_key=True, autoincrement=False),
    Column("read_hash", String(64), primary_key=True),
    Column("answers", String(64), primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("at", "v1", "v2", "verdict")),
)
"""Answers that differ where that may be expected, whole, by a digest of both; `verdict` is empty while they wait."""

READ_WRITER: Final = Table(
    "read_writer",
    METADATA,
    Column("writer", String(32), primary_key=True),
    Column("batch", BigInteger, nullable=False),
    Column("at", Text, nullable=False),
)
"""The last batch that each process wrote of its counts, so that none is added twice."""

SCHEDULE: Final = Table(
    "schedule",
    METADATA,
    *(Column(name, Text, primary_key=True) for name in ("migration", "schedule")),
    *(Column(name, Text, nullable=False) for name in ("timetable", "laid_until")),
    *(Column(name, Text) for name in ("paused_by", "paused_at", "pause_reason")),
)
"""Schedules once seen: slots up to `laid_until` have rows, by this timetable; `paused_at` is NULL unless paused."""

SLOT: Final = Table(
    "slot",
    METADATA,
    *(Column(name, Text, primary_key=True) for name in ("migration", "schedule", "due")),
    *(Column(name, Text, nullable=False) for name in ("state", "holder", "why")),
    *(Column(name, BigInteger, nullable=False) for name in ("epoch", "deaths")),
    Column("exit_code", BigInteger),
    *(Column(name, Text) for name in ("lease_until", "began", "ended")),
)
"""A row for each time at which a schedule was due; see `slot_values.Slot`."""

SUBJECT: Final = Table(
    "subject",
    METADATA,
    *(Column(name, Text, primary_key=True) for name in ("migration", "subject")),
    *(Column(name, Text, nullable=False) for name in ("state", "cause", "since", "changed", "message", "channels")),
    *(Column(name, BigInteger, nullable=False) for name in ("number", "base", "wait")),
    *(Column(name, Text) for name in ("remind_at", "ack_by", "ack_reason", "ack_until")),
)
"""What news is told of, each with its state; see `outbox.values.Subject`."""

NOTICE: Final = Table(
    "notice",
    METADATA,
    Column("id", String(32), primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("migration", "subject")),
    Column("number", BigInteger, nullable=False),
    *(Column(name, Text, nullable=False) for name in ("kind", "at", "message")),
)
"""Each piece of news, by the id that its receivers know it by; `message` is canonical JSON."""

DELIVERY: Final = Table(
    "delivery",
    METADATA,
    Column("notice", String(32), primary_key=True),
    Column("channel", Text, primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("migration", "state", "holder", "answer", "next_try")),
    *(Column(name, BigInteger, nullable=False) for name in ("tries", "epoch")),
    Column("code", BigInteger),
    *(Column(name, Text) for name in ("lease_until", "ended")),
)
"""The outbox: a row for each channel that is to get a notice; see `outbox.values.Delivery`."""

PROGRESS: Final = Table(
    "progress",
    METADATA,
    *(Column(name, Text, primary_key=True) for name in ("migration", "schedule")),
    *(Column(name, BigInteger, nullable=False) for name in ("position", "head")),
)
"""Where the views and the log were when a schedule last ended a slot."""

READABLE_FROM: Final = Table(
    "readable_from",
    METADATA,
    Column("revision", String(32), primary_key=True),
    Column("reader", String(32), nullable=False),
)
"""A row for each revision from 0005 on: who knows the revision `reader` can read a ledger at `revision`."""

VERSION_TABLE: Final = "dualgauge_version"

REVISIONS: Final = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011")
"""Every revision of these tables, oldest first. Stated here so that opening a ledger needs no alembic; a test
holds it equal to the files."""

HEAD: Final = REVISIONS[-1]
"""The revision that is written."""

READERS: Final = (
    ("0005", "0005"), ("0006", "0005"), ("0007", "0005"), ("0008", "0008"), ("0009", "0008"), ("0010", "0008"),
    ("0011", "0008"),
)  # fmt: skip
"""The rows of `READABLE_FROM` in a ledger at `HEAD`: revision, and the one that a reader must know."""

OLDEST_READ: Final = "0004"
"""The first revision that is read as it is. What a later one added is missing there, and asked for by nobody."""
