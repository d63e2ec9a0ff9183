"""One contract for every way to an SMTP server: what is taken, retried, refused."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from structlog.testing import capture_logs

from strongback.config import Settings
from strongback.mail import Mail, Mailer, SmtpMailer
from strongback.mail.exceptions import MailFailed, MailRefused
from tests.support.cache import eventually
from tests.support.certificate import Certificate, make_certificate
from tests.support.smtp import LOGIN, USER, SmtpServer, authenticate, run_smtp

MAIL = Mail("ada@example.org", "Tea", "Leaves.\n", "<p>Leaves.</p>", message_id="<1@example.org>")
Make = Callable[..., Mailer]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate") / "smtp", "localhost")


@pytest.fixture
def make(settings: Settings, certificate: Certificate) -> Iterator[Make]:
    """Makes the mailer for a server."""
    made: list[Mailer] = []

    def mailer(server: SmtpServer, scheme: str = "smtp", login: str = "", **more: object) -> Mailer:
        values = {"mail_ssl_ca": certificate.authority} | server.settings(scheme, login, **more)
        made.append(SmtpMailer(settings.model_copy(update=values)))
        return made[-1]

    yield mailer
    for each in made:
        each.close()


def tls_of(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.certificate, certificate.key)
    return context


@pytest.fixture(params=["smtp", "smtps", "smtp+starttls", "login"])
def pair(
    request: pytest.FixtureRequest, make: Make, certificate: Certificate
) -> Iterator[tuple[SmtpServer, Mailer]]:
    """A server, and the mailer for it: without TLS, with it, by STARTTLS, with a password too."""
    tls = tls_of(certificate)
    kind = request.param
    scheme: str = kind
    options: dict[str, Any] = {}
    if kind == "smtps":
        options = {"ssl_context": tls}
    elif kind == "smtp+starttls":
        options = {"tls_context": tls, "require_starttls": True}
    elif kind == "login":
        scheme = "smtp+starttls"
        options = {"tls_context": tls, "authenticator": authenticate, "auth_required": True}
    with run_smtp(**options) as server:
        yield server, make(server, scheme, LOGIN if kind == "login" else "")


class TestContract:
    def test_message_arrives_whole(self, pair):
        server, mailer = pair
        mailer.send(MAIL)
        (message,) = server.taken
        assert server.recipients == ["ada@example.org"]
        assert (message["Subject"], message["From"]) == ("Tea", "Shop <no-reply@example.org>")
        assert (message["Message-ID"], message["Date"][-5:]) == ("<1@example.org>", "+0000")
        assert message["Auto-Submitted"] == "auto-generated"
        assert (server.text(), server.html()) == ("Leaves.\n", "<p>Leaves.</p>\n")

    def test_4xx_is_worth_another_attempt(self, pair):
        server, mailer = pair
        for sent, code in enumerate(("421", "450", "451", "452")):
            server.replies = [f"{code} not now, <ada@example.org>"]
            with pytest.raises(MailFailed, match=code):
                mailer.send(MAIL)
            server.data_replies = [f"{code} not now"]
            with pytest.raises(MailFailed, match=code):
                mailer.send(MAIL)
            mailer.send(MAIL)
            assert len(server.taken) == sent + 1

    def test_5xx_is_for_good(self, pair):
        server, mailer = pair
        for code in ("550", "552", "554"):
            server.replies = [f"{code} no such person, <ada@example.org>"]
            with pytest.raises(MailRefused, match=f"{code} .*a\\*\\*\\*@example.org") as caught:
                mailer.send(MAIL)
            assert "ada" not in str(caught.value)
            server.data_replies = [f"{code} spam"]
            with pytest.raises(MailRefused, match=f"{code} spam"):
                mailer.send(MAIL)

    def test_connection_that_is_lost_in_the_middle_is_worth_another_attempt(self, pair):
        server, mailer = pair
        server.losses = 1
        with pytest.raises(MailFailed):
            mailer.send(MAIL)
        mailer.send(MAIL)
        # Nobody can know that the first was taken: the id tells the recipient's program.
        assert {each["Message-ID"] for each in server.taken} == {"<1@example.org>"}

    def test_check_says_that_it_answers(self, pair):
        server, mailer = pair
        assert mailer.check() == f"The mail server {mailer.host}:{server.port} answers"


def test_log_shows_no_whole_address(make):
    with run_smtp() as server, capture_logs() as logs:
        make(server).send(MAIL)
    assert "ada@" not in str(logs)
    assert ("mail_sent", "a***@example.org") in [(it["event"], it["recipient"]) for it in logs]


def test_password_is_sent_by_tls_alone(make, certificate):
    options: dict[str, Any] = {"authenticator": authenticate, "auth_required": True}
    with run_smtp(tls_context=tls_of(certificate), **options) as server:
        make(server, "smtp+starttls", LOGIN).send(MAIL)
        assert (server.users, server.secured) == ([USER], [True])


def test_wrong_password_is_refused(make, certificate):
    with run_smtp(tls_context=tls_of(certificate), authenticator=authenticate) as server:
        with pytest.raises(MailRefused, match="535"):
            make(server, "smtp+starttls", "shop:wrong").send(MAIL)
        assert server.taken == []


def test_server_without_starttls_gets_nothing(make):
    with run_smtp() as server:
        with pytest.raises(MailFailed, match="STARTTLS"):
            make(server, "smtp+starttls").send(MAIL)
        assert server.taken == []


@pytest.mark.parametrize(
    "scheme, option", [("smtps", "ssl_context"), ("smtp+starttls", "tls_context")]
)
def test_certificate_of_an_unknown_authority_is_not_trusted(make, certificate, scheme, option):
    options: dict[str, Any] = {option: tls_of(certificate)}
    with run_smtp(**options) as server:
        with pytest.raises(MailFailed, match="CERTIFICATE_VERIFY_FAILED"):
            make(server, scheme, mail_ssl_ca=None).send(MAIL)
        assert server.taken == []


def test_certificate_of_another_host_is_not_trusted(make, certificate):
    with run_smtp(ssl_context=tls_of(certificate)) as server:
        url = f"smtps://127.0.0.1:{server.port}"
        with pytest.raises(MailFailed, match="CERTIFICATE_VERIFY_FAILED"):
            make(server, "smtps", mail_url=url).send(MAIL)


def test_address_in_another_script_needs_a_server_that_takes_it(make):
    mail = Mail("阿达@example.org", "茶", "叶子。\n")
    with run_smtp() as server:
        make(server).send(mail)
        assert server.recipients == ["阿达@example.org"]
    with run_smtp(enable_SMTPUTF8=False) as server, pytest.raises(MailRefused):
        make(server).send(mail)


def test_domain_in_another_script_needs_no_such_server(make):
    with run_smtp(enable_SMTPUTF8=False) as server:
        make(server).send(Mail("ada@例子.example", "Tea", "Leaves.\n"))
        assert server.recipients == ["ada@xn--fsqu00a.example"]


def test_server_that_is_not_there_costs_nobody_a_wait(make):
    server = SmtpServer()
    mailer = make(server)
    for _ in range(3):
        with pytest.raises(MailFailed, match="refused"):
            mailer.send(MAIL)
    with pytest.raises(MailFailed, match="does not answer"):
        mailer.send(MAIL)


def test_server_that_hangs_is_left_after_the_time_out(make):
    with closing(socket.create_server(("127.0.0.1", 0))) as deaf:
        server = SmtpServer(port=deaf.getsockname()[1])
        mailer = make(server, mail_timeout=0.1)
        with pytest.raises(MailFailed, match="timed out"):
            mailer.send(MAIL)
        with pytest.raises(MailFailed):
            mailer.check()


def test_server_that_hangs_in_the_middle_is_left_after_the_time_out(make):
    with run_smtp() as server:
        mailer = make(server, mail_timeout=0.2)
        server.stalls = 1
        with pytest.raises(MailFailed, match="timed out"):
            mailer.send(MAIL)
        mailer.send(MAIL)
        assert len(server.taken) == 1


def test_server_that_is_back_is_asked_again(settings):
    server = SmtpServer()
    mailer = SmtpMailer(settings.model_copy(update=server.settings()), pause=0.01)
    for _ in range(4):
        with pytest.raises(MailFailed):
            mailer.send(MAIL)
    with run_smtp(server):
        assert eventually(lambda: _is_sent(mailer))
    mailer.close()
    assert len(server.taken) == 1


def _is_sent(mailer: Mailer) -> bool:
    try:
        mailer.send(MAIL)
    except MailFailed:
        return False
    return True
