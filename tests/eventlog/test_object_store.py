"""A log in an object store: the same log, secrets from the environment, and copies of its files on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from deltalake import DeltaTable

import dualgauge
from dualgauge import Event
from dualgauge.engines.duck import open_engine
from dualgauge.errors import DualgaugeError
from dualgauge.eventlog.settings import LogSettings
from dualgauge.project.errors import BadSettings, NoVariable
from support.inside import log_of
from support.object_store import REGION, SECRET, Bucket, new_bucket, object_store, project_in
from support.shop import ROOT, call

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT = datetime(2026, 1, 1, tzinfo=UTC)
HEAD = "id,seen,x\n"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with object_store() as address:
        yield address


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    made = new_bucket(endpoint)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def root(bucket: Bucket, tmp_path: Path) -> Path:
    made = project_in(bucket, tmp_path / "project")
    (made / "s.csv").write_text(HEAD + "".join(f"i{n},2026-01-01T00:00:{n:02d}Z,{n}\n" for n in range(5)))
    return made


def append(root: Path, *ids: str) -> list[int]:
    with dualgauge.open(root).appender() as log:
        return list(log.append([Event(one, "added", AT, {"x": 1, "more": one}) for one in ids]))


def ids(root: Path) -> list[str]:
    return [event["event_id"] for event in dualgauge.open(root).log.show(1, 1_000).events]


def test_import_append_show_compact_and_verify_work_in_an_object_store(root: Path, bucket: Bucket) -> None:
    assert call("log", "import", folder=root).out.startswith("added 5 events at positions 1 to 5 from s\n")
    assert append(root, "a", "b") == [6, 7]
    assert append(root, "b", "c") == [7, 8]
    assert call("log", "import", folder=root).out.startswith("added 0 events")
    before = [key for key in bucket.names() if key.endswith(".parquet")]
    assert call("log", "verify", folder=root).exit_code == 0
    assert "3 files before, 1 after" in call("log", "compact", folder=root).out

    assert ids(root) == ["i0", "i1", "i2", "i3", "i4", "a", "b", "c"]
    assert call("log", "verify", folder=root).out.startswith("verified: ")
    assert len(before) == 3
    assert set(before) < set(bucket.names())
    call("log", "compact", "--keep", "0", folder=root)
    assert not set(before) & set(bucket.names())
    assert append(root, "a", "d") == [6, 9]
    assert call("log", "verify", folder=root).exit_code == 0


def test_another_machine_sees_the_same_log_through_copies_of_its_own(
    root: Path, bucket: Bucket, tmp_path: Path
) -> None:
    append(root, "a", "b")
    other = tmp_path / "other"
    shutil.copytree(root, other, ignore=shutil.ignore_patterns(".dualgauge"))

    assert ids(other) == ["a", "b"]
    assert append(other, "b", "c") == [2, 3]
    assert ids(root) == ["a", "b", "c"]
    (copies,) = (other / ".dualgauge" / "copies").iterdir()
    assert {file.name for file in copies.glob("*.parquet")} == {
        key.rpartition("/")[2] for key in bucket.names() if key.endswith(".parquet")
    }


def test_the_log_opens_with_the_delta_library_alone(root: Path, bucket: Bucket) -> None:
    append(root, "a", "b")
    options = {"AWS_ENDPOINT_URL": bucket.endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": REGION}
    table = DeltaTable(f"s3://{bucket.name}/some/log", storage_options=options)

    assert table.to_pyarrow_table()["event_id"].to_pylist() == ["a", "b"]


def test_two_writers_at_once_number_densely(root: Path, bucket: Bucket) -> None:
    code = (
        "import sys, dualgauge\nfrom datetime import UTC, datetime\n"
        "with dualgauge.open(sys.argv[1]).appender() as log:\n"
        "    for batch in range(6):\n"
        "        log.append([dualgauge.Event(f'{sys.argv[2]}-{batch}-{n}', 't', datetime(2026, 1, 1, tzinfo=UTC),"
        " {'x': n}) for n in range(5)])\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    children = [subprocess.Popen([sys.executable, "-c", code, str(root), name], env=environment) for name in "ab"]
    assert [child.wait(timeout=120) for child in children] == [0, 0]

    events = dualgauge.open(root).log.show(1, 1_000).events
    assert [one["position"] for one in events] == list(range(1, 61))
    assert len({one["event_id"] for one in events}) == 60
    for name in "ab":
        own = [one["event_id"] for one in events if one["event_id"].startswith(name)]
        assert own == [f"{name}-{batch}-{n}" for batch in range(6) for n in range(5)]
    assert dualgauge.open(root).log.verify().sound


def test_verify_reads_the_store_and_not_the_copies(root: Path, bucket: Bucket) -> None:
    append(root, "a", "b")
    append(root, "c")
    first, second = sorted(key for key in bucket.names() if key.endswith(".parquet"))
    kept = bucket.read(second)
    bucket.write(second, kept[:100] + b"\0" + kept[101:])
    found = dualgauge.open(root).log.verify()
    assert [(one.fault.value, one.first, one.last) for one in found.problems] == [("file changed", 3, 3)]
    bucket.write(second, kept)
    assert dualgauge.open(root).log.verify().sound
    bucket.remove(first)

    found = dualgauge.open(root).log.verify()

    assert [(one.fault.value, one.first, one.last) for one in found.problems] == [("file missing", 1, 2)]


def test_a_copy_that_was_cut_off_is_fetched_again(root: Path) -> None:
    append(root, "a", "b")
    (copy,) = (root / ".dualgauge" / "copies").glob("*/*.parquet")
    copy.write_bytes(copy.read_bytes()[:50])

    assert ids(root) == ["a", "b"]


def test_a_view_is_replayed_from_a_log_in_an_object_store(root: Path) -> None:
    call("log", "import", folder=root)
    with open_engine() as engine:
        log = log_of(dualgauge.open(root))
        assert engine.row(f"SELECT count(*), sum(x) FROM ({log.relation(log.head().last)})") == (5, 10)


def test_a_store_that_does_not_answer_is_named_without_a_secret(bucket: Bucket, tmp_path: Path) -> None:
    away = Bucket("http://127.0.0.1:1", bucket.name)
    root = project_in(away, tmp_path / "away")
    text = (root / "pyproject.toml").read_text()
    (root / "pyproject.toml").write_text(text.replace("AWS_ALLOW_HTTP", "max_retries = 0, AWS_ALLOW_HTTP"))

    said = call("log", "show", "--head", folder=root)

    assert said.exit_code == 1
    assert said.err.startswith(f"error: the log at s3://{bucket.name}/some/log cannot be reached: ")
    assert SECRET not in said.err


@pytest.mark.parametrize(
    "name", ["AWS_SECRET_ACCESS_KEY", "aws_session_token", "azure_storage_account_key", "azure_storage_sas_key",
             "google_service_account_key", "access_key"],
)  # fmt: skip
def test_a_secret_in_the_settings_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.dualgauge]\nmigration = "m"\n[tool.dualgauge.log]\npath = "s3://bucket/log"\n'
        f'storage_options = {{{name} = "hunter2-hunter2"}}\n'
    )
    with pytest.raises(BadSettings) as refused:
        dualgauge.open(tmp_path)

    assert f'{name!r} holds a secret, which belongs into no file: write "${{NAME}}"' in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_secret_comes_from_a_variable_and_is_never_shown(
    root: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (root / "pyproject.toml").read_text()
    named = 'AWS_SECRET_ACCESS_KEY = "${LOG_SECRET}", AWS_ALLOW_HTTP'
    (root / "pyproject.toml").write_text(text.replace("AWS_ALLOW_HTTP", named))
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(NoVariable, match=r"LOG_SECRET"):
        ids(root)
    monkeypatch.setenv("LOG_SECRET", SECRET)
    append(root, "a")

    assert ids(root) == ["a"]
    assert str(DualgaugeError(f"it said {SECRET}")) == "it said ***"


def test_options_without_an_object_store_are_refused() -> None:
    with pytest.raises(ValueError, match=r'storage_options are for an object store \(path = "s3://bucket/log"\)'):
        LogSettings(path="here", storage_options={"AWS_REGION": "x"})
