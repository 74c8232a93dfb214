"""Each kind of channel against a receiver that is really there, and that fails in every way it can."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import hmac
import socket
import ssl
import time
from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.controller import Controller
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dualgauge.ledger.outbox.values import Message, Notice, NoticeKind, SubjectState
from dualgauge.notifications.channels import send
from dualgauge.notifications.settings import ChannelSettings
from support.receivers import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT = dt.datetime(2027, 3, 26, 1, 30, tzinfo=dt.UTC)
SECRET, TOKEN = "a key of the shop", "T0KEN-of-the-room"
SAID = Message(
    "schedule nightly: differences were found (exit code 4)", where="migration customers, slot 2027-03-26T01:30Z",
    found="diff (4): customers: fail, 3 mismatched", next="dualgauge evidence list", owner="ada",
)  # fmt: skip
NOTICE = Notice(
    "0123456789abcdef0123456789abcdef", "customers", "schedule:nightly", 1, NoticeKind.FIRING, AT, SubjectState.FIRING,
    AT, SAID,
)  # fmt: skip


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)


def hook(url: str, **more: Any) -> ChannelSettings:
    return ChannelSettings(name="hook", kind="webhook", url=url, secret="${HOOK_SECRET}", timeout=1, **more)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def test_a_webhook_gets_the_notice_signed_over_time_and_body(receiver: Receiver) -> None:
    receipt = send(hook(f"{receiver.url}/in?room=1"), NOTICE)
    assert (receipt.delivered, receipt.code, receipt.answer) == (True, 200, "200 OK")
    [got] = receiver.got
    stamp = got.headers["dualgauge-timestamp"]
    signed = hmac.new(SECRET.encode(), stamp.encode() + b"." + got.body, hashlib.sha256).hexdigest()
    assert (got.path, got.headers["dualgauge-signature"]) == ("/in?room=1", f"sha256={signed}")
    assert abs(time.time() - int(stamp)) < 60
    assert got.headers["dualgauge-id"] == got.json["id"] == NOTICE.id
    assert got.json == {
        "schema": "dualgauge.notify/1", "id": NOTICE.id, "migration": "customers", "subject": "schedule:nightly",
        "number": 1, "kind": "firing", "state": "firing", "at": "2027-03-26T01:30:00.000+00:00",
        "since": "2027-03-26T01:30:00.000+00:00", "what": SAID.what, "where": SAID.where, "found": SAID.found,
        "done": "", "next": "dualgauge evidence list", "owner": "ada", "acknowledged": None, "test": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "code", "says"),
    [
        (500, 500, "500 Internal Server Error"),
        (404, 404, "404 Not Found"),
        ("redirect", 302, "302 Found: it leads elsewhere, and no redirect is followed"),
        ("hang", None, "no whole answer in 1 s"),
        ("drip", None, "no whole answer in 1 s"),
        ("close", None, "the connection was closed without an answer"),
    ],
)
def test_what_a_receiver_does_wrong_is_a_receipt_in_time(
    receiver: Receiver, mode: int | str, code: int | None, says: str
) -> None:
    receiver.mode = mode
    receipt = send(hook(receiver.url), NOTICE)
    assert (receipt.delivered, receipt.code, receipt.answer) == (False, code, says)
    assert receipt.seconds < 2.5
    # A redirect was not followed.
    assert [got.path for got in receiver.got] == ["/"]


def test_a_receiver_may_say_how_long_it_wants_to_be_left_alone(receiver: Receiver) -> None:
    receiver.mode = 503
    assert send(hook(receiver.url), NOTICE).wait == 120


def test_a_receiver_that_is_not_there_is_a_receipt() -> None:
    with socket.socket() as deaf:
        # Bound, it is nobody else's; and it does not listen.
        deaf.bind(("127.0.0.1", 0))
        answer = send(hook(f"http://127.0.0.1:{deaf.getsockname()[1]}"), NOTICE).answer
    assert answer == "the connection was refused"
    assert send(hook("https://nowhere.invalid"), NOTICE).answer == "its host has no address"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://example.org/in", "for this machine and, with allow_private"),
        ("https://10.1.2.3/in", "in a private network; write allow_private"),
        ("https://169.254.169.254/latest", "in a private network"),
        ("https://[::ffff:10.0.0.1]/", "in a private network"),
        ("https://[fd00::1]/", "in a private network"),
        # This machine, by a name that does not say so.
        ("https://127.1/in", "in a private network"),
        ("https://0.0.0.0/in", "in a private network"),
        ("https://224.0.0.1/in", "in a private network"),
    ],
)
def test_a_url_that_leads_where_it_may_not_is_not_called(url: str, says: str) -> None:
    receipt = send(hook(url), NOTICE)
    assert says in receipt.answer
    assert receipt.seconds < 1


def test_without_encryption_a_private_network_is_called_where_that_is_meant_and_no_other(receiver: Receiver) -> None:
    # This machine, by a name that does not say so.
    url = f"http://127.1:{receiver.port}/in"
    assert "allow_private = true" in send(hook(url), NOTICE).answer
    assert receiver.got == []
    assert send(hook(url, allow_private=True), NOTICE).delivered
    assert len(receiver.got) == 1
    for public in ("http://8.8.8.8/in", "http://[2001:4860:4860::8888]/in"):
        receipt = send(hook(public, allow_private=True), NOTICE)
        assert (receipt.delivered, receipt.seconds < 1) == (False, True)
        assert "write https://" in receipt.answer


def test_tls_is_believed_only_where_the_certificate_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Receiver(context=context) as receiver:
        url = f"https://localhost:{receiver.port}"
        assert send(hook(url), NOTICE).answer == "its certificate is not one that is trusted here"
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert send(hook(url), NOTICE).delivered
        # Another name than the certificate's, in a network that is allowed.
        assert "certificate" in send(hook(f"https://127.1:{receiver.port}", allow_private=True), NOTICE).answer
        receiver.mode = "drip"
        assert send(hook(url), NOTICE).answer == "no whole answer in 1 s"
    assert len(receiver.got) == 2


def self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "localhost.pem"
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


def test_slack_gets_the_text_with_its_signs_escaped(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_URL", f"{receiver.url}/services/{TOKEN}")
    channel = ChannelSettings(name="room", kind="slack", url="${SLACK_URL}")
    notice = Notice(
        NOTICE.id, "customers", "moves", 1, NoticeKind.EVENT, AT, None, None, Message("a < b & c", found="x" * 9_000)
    )
    assert send(channel, notice).delivered
    said = receiver.got[0].json["text"]
    assert said.startswith("[event] customers: a &lt; b &amp; c\nfound: xxx")
    assert said.endswith(f"id: {NOTICE.id}")
    assert len(said) < 3_000


def test_apprise_sends_to_all_others(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHERS", f"json://127.0.0.1:{receiver.port}/{TOKEN}?rto=1&cto=1")
    channel = ChannelSettings(name="others", kind="apprise", url="${OTHERS}", timeout=3)
    assert send(channel, NOTICE).delivered
    assert receiver.got[0].json["title"] == "[firing] customers: schedule nightly: differences were found (exit code 4)"
    receiver.mode = 500
    receipt = send(channel, NOTICE)
    assert (receipt.delivered, receipt.answer) == (False, "apprise could not deliver it")
    monkeypatch.setenv("OTHERS", f"nosuch://{TOKEN}")
    assert send(channel, NOTICE).answer == "apprise knows no service of this URL"


class Mailbox:
    """A mail server's opinion of what it gets."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.refused: set[str] = set()
        self.answer = "250 OK"
        self.over = asyncio.Event()

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address in self.refused:
            return "550 there is nobody of this name, ada's key is 1234"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append(envelope.content)
        if self.answer == "hang":
            await self.over.wait()
        return self.answer


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    box = Mailbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, port
    controller.loop.call_soon_threadsafe(box.over.set)
    controller.stop()


def mail(port: int, host: str = "127.0.0.1", **more: Any) -> ChannelSettings:
    url = f"smtp://{host}:{port}"
    people = ["ada@shop.example", "bob@shop.example"]
    return ChannelSettings(name="mail", kind="smtp", url=url, sender="dg@shop.example", to=people, timeout=1, **more)


def test_mail_arrives_with_an_id_that_is_the_same_each_time(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    receipts = [send(mail(port), NOTICE) for _ in range(2)]
    assert [(one.delivered, one.code, one.answer) for one in receipts] == [(True, 250, "250 accepted for 2")] * 2
    first, second = (message_from_bytes(one, policy=default) for one in box.mails)
    assert first["Message-ID"] == second["Message-ID"] == f"<{NOTICE.id}@dualgauge.invalid>"
    assert first["Subject"].strip() == "[firing] customers: schedule nightly: differences were found (exit code 4)"
    assert first.get_content().splitlines()[-2:] == ["next: dualgauge evidence list", f"id: {NOTICE.id}"]
    assert "since: 2027-03-26 01:30:00Z" in first.get_content()


def test_what_a_mail_server_does_wrong_is_a_receipt_in_time(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    box.answer = "451 later, the disk of ada is full"
    assert send(mail(port), NOTICE).answer == "451: the mail server refused"
    box.answer = "hang"
    receipt = send(mail(port), NOTICE)
    assert (receipt.answer, receipt.seconds < 2.5) == ("no whole answer in 1 s", True)
    box.answer, box.refused = "250 OK", {"bob@shop.example"}
    receipt = send(mail(port), NOTICE)
    assert (receipt.delivered, receipt.code, receipt.answer) == (False, 550, "550: 1 of 2 recipients were refused")
    box.refused.add("ada@shop.example")
    assert send(mail(port), NOTICE).answer == "550: 2 of 2 recipients were refused"


def test_mail_leaves_this_machine_only_encrypted(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    # By a name that does not say that it is this machine.
    receipt = send(mail(port, "127.1", allow_private=True), NOTICE)
    assert "the mail server has no STARTTLS" in receipt.answer
    assert box.mails == []


def test_a_password_that_is_needed_is_sent_to_nobody_who_cannot_take_it(
    mailbox: tuple[Mailbox, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, port = mailbox
    monkeypatch.setenv("MAIL_PASSWORD", "p@ss/w:ord of mail")
    channel = mail(port).model_copy(update={"url": f"smtp://dg:${{MAIL_PASSWORD}}@127.0.0.1:{port}"})
    receipt = send(channel, NOTICE)
    assert (receipt.delivered, "no way to log in" in receipt.answer) == (False, True)
    assert box.mails == []


def test_an_answer_that_is_too_slow_to_resolve_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    # A resolver takes what time it likes, and no test can have one that is slow.
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(4))
    begun = time.monotonic()
    assert send(hook("https://shop.example"), NOTICE).answer == "no whole answer in 1 s"
    assert time.monotonic() - begun < 3


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOK_SECRET")
    answer = send(hook("https://shop.example"), NOTICE).answer
    assert "names the environment variable HOOK_SECRET, which is not set" in answer
