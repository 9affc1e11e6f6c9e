"""Encryption, certificates and logins."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from matcher.database import Database
from matcher.outbox import Outbox
from tests.mail.conftest import Send
from tests.mail.sink import Session, Sink
from tests.mail.support import FakeClock, fill

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 127.0.0.1, signed by itself, with its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sink.example")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "sink.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def sink(certificate: Path) -> Iterator[Sink]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Sink(tls=context, login=("platform", PASSWORD)).running() as running:
        yield running


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mails_go_encrypted_and_logged_in(security: str, send: Send, sink: Sink, database: Database) -> None:
    fill(database, 3)
    sink.implicit = security == "tls"
    report = send(smtp_security=security, smtp_user="platform", smtp_password=PASSWORD)
    assert (report.sent, report.stopped) == (3, None)
    assert {(one.encrypted, one.user) for one in sink.taken} == {(True, "platform")}
    assert sink.connections == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_that_nobody_vouches_for_is_not_trusted(
    security: str, send: Send, sink: Sink, outbox: Outbox, database: Database, clock: FakeClock
) -> None:
    fill(database, 1)
    sink.implicit = security == "tls"
    report = send(smtp_security=security, smtp_user="platform", smtp_password=PASSWORD)
    assert report.stopped and "证书不可信" in report.stopped and "SSL_CERT_FILE" in report.stopped
    assert "auth" not in sink.stages() and "mail" not in sink.stages()
    assert clock.passed < 1, "waiting would not help"
    assert outbox.counts()["waiting"] == 1


@pytest.mark.usefixtures("trusted")
def test_a_certificate_of_another_name_is_not_trusted(send: Send, sink: Sink, database: Database) -> None:
    fill(database, 1)
    report = send(smtp_security="starttls", smtp_host="localhost")
    assert report.stopped and "证书不可信" in report.stopped


def test_without_starttls_nothing_is_sent_in_clear(send: Send, sink: Sink, database: Database) -> None:
    fill(database, 1)
    sink.tls = None
    report = send(smtp_security="starttls", smtp_user="platform", smtp_password=PASSWORD)
    assert report.stopped and "不支持 STARTTLS" in report.stopped
    assert "auth" not in sink.stages() and "mail" not in sink.stages()


def test_tls_on_a_port_without_it_is_told_at_once(send: Send, sink: Sink, database: Database, clock: FakeClock) -> None:
    fill(database, 1)
    report = send(smtp_security="tls")
    assert report.stopped and "MATCHER_SMTP_SECURITY" in report.stopped and "不用 TLS" in report.stopped
    assert clock.passed < 1


def test_a_wrong_password_is_told_at_once(
    send: Send, sink: Sink, outbox: Outbox, database: Database, clock: FakeClock
) -> None:
    fill(database, 2)
    report = send(smtp_user="platform", smtp_password="wrong one")
    assert report.stopped and "拒绝登录" in report.stopped and "MATCHER_SMTP_PASSWORD" in report.stopped
    assert "wrong one" not in report.stopped
    assert clock.passed < 1
    assert outbox.counts()["waiting"] == 2


def test_a_login_that_fails_for_now_is_tried_again(send: Send, sink: Sink, database: Database) -> None:
    fill(database, 1)

    def script(session: Session, stage: str, _: str) -> str | None:
        return "454 4.7.0 temporary failure" if stage == "auth" and session.number < 3 else None

    sink.script = script
    assert send(smtp_user="platform", smtp_password=PASSWORD).sent == 1


def test_a_server_without_logins_is_told_of(send: Send, sink: Sink, database: Database) -> None:
    fill(database, 1)
    sink.login = None
    report = send(smtp_user="platform", smtp_password=PASSWORD)
    assert report.stopped and "不支持登录" in report.stopped and "MATCHER_SMTP_USER" in report.stopped


def test_ways_to_log_in_that_nobody_knows_are_told_of(send: Send, sink: Sink, database: Database) -> None:
    fill(database, 1)
    sink.login, sink.extensions = None, ("AUTH GSSAPI",)
    report = send(smtp_user="platform", smtp_password=PASSWORD)
    assert report.stopped and "不支持登录" in report.stopped


def test_a_password_beyond_ascii_is_told_of(send: Send, database: Database) -> None:
    fill(database, 1)
    report = send(smtp_user="platform", smtp_password="密码")
    assert report.stopped and "拒绝登录" in report.stopped


def test_a_server_that_turns_us_away_for_good_is_told_at_once(
    send: Send, sink: Sink, database: Database, clock: FakeClock
) -> None:
    fill(database, 1)
    sink.script = lambda _, stage, __: "554 5.7.1 your address is on a list" if stage == "connect" else None
    report = send()
    assert report.stopped and "拒绝本机连接" in report.stopped and "5.7.1" in report.stopped
    assert clock.passed < 1


def test_the_server_is_greeted_by_the_sender_s_domain(send: Send, sink: Sink, database: Database) -> None:
    fill(database, 1)
    send()
    assert next(line for _, stage, line in sink.seen if stage == "ehlo") == "ehlo sender.example"
