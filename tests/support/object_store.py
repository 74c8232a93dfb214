"""A local S3 server, and a project whose log is kept in it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY, SECRET = "test-key-id", "test-secret-key-of-the-store"
REGION = "us-east-1"

_SERVE = """
import sys
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
run_simple("127.0.0.1", int(sys.argv[1]), DomainDispatcherApplication(create_backend_app), threaded=False)
"""


@dataclass(frozen=True)
class Bucket:
    """A bucket of a server on this machine."""

    endpoint: str
    name: str

    @property
    def client(self) -> Any:
        """A plain S3 client, to look at objects behind dualgauge's back."""
        return boto3.client(
            "s3", endpoint_url=self.endpoint, region_name=REGION, aws_access_key_id=KEY, aws_secret_access_key=SECRET,
            config=Config(retries={"max_attempts": 1}),
        )  # fmt: skip

    def names(self, prefix: str = "") -> list[str]:
        """The names of all objects below a prefix."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return [one["Key"] for page in pages for one in page.get("Contents", ())]

    def read(self, key: str) -> bytes:
        """An object's bytes."""
        return bytes(self.client.get_object(Bucket=self.name, Key=key)["Body"].read())

    def write(self, key: str, data: bytes) -> None:
        """Put other bytes in an object's place."""
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def remove(self, key: str) -> None:
        """Delete an object."""
        self.client.delete_object(Bucket=self.name, Key=key)

    @property
    def settings(self) -> str:
        """What the settings say of a log that is kept here."""
        options = f'AWS_ENDPOINT_URL = "{self.endpoint}", AWS_ALLOW_HTTP = true, AWS_REGION = "{REGION}"'
        return f'[tool.dualgauge.log]\npath = "s3://{self.name}/some/log"\nstorage_options = {{{options}}}\n'

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment: secrets stand nowhere else."""
        return {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_EC2_METADATA_DISABLED": "true"}


@contextlib.contextmanager
def object_store() -> Iterator[str]:
    """
    Run a server of its own on a free port of the loopback address; gives its address.

    It is a process of its own: the Delta library waits for answers with Python's lock held. It answers one request at a
    time, because it looks whether an object is there and then writes it: two at once would both be let through.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", _SERVE, str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _await(port, server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


def _await(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert server.poll() is None, "the object store's server did not start"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise TimeoutError


def new_bucket(endpoint: str) -> Bucket:
    """An empty bucket."""
    bucket = Bucket(endpoint, f"logs-{uuid.uuid4().hex[:12]}")
    bucket.client.create_bucket(Bucket=bucket.name)
    return bucket


def project_in(bucket: Bucket, root: Path, *, columns: str = 'x = "BIGINT"') -> Path:
    """Lay out a project whose log is in a bucket; its source is `s.csv`."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "pyproject.toml").write_text(
        f"""[tool.dualgauge]
migration = "far"
{bucket.settings}\
[tool.dualgauge.log.columns]
{columns}
[[tool.dualgauge.sources]]
name = "s"
path = "s.csv"
event_id = "id"
type = "'seen'"
occurred_at = "seen"
""",
        encoding="utf-8",
    )
    return root
