"""The part in an application: settings, command, check, the route of mail programs."""

from __future__ import annotations

import pytest

from app.main import create_app
from strongback.config import Environment
from strongback.mail import LogMailer, Mail, SmtpMailer, Subscription, Unsubscriptions, build_mailer
from strongback.mail.cli import remedy_for
from tests.support.smtp import SmtpServer, run_smtp

ROUTE = "/api/v1/notifications/unsubscribe"
FORM = {"List-Unsubscribe": "One-Click"}


@pytest.mark.parametrize(
    "environment, values, kind",
    [
        (Environment.DEVELOPMENT, {}, LogMailer),
        (Environment.PRODUCTION, {}, LogMailer),
        (Environment.PRODUCTION, SmtpServer().settings(), SmtpMailer),
    ],
)
def test_settings_choose_who_sends(settings, environment, values, kind):
    mailer = build_mailer(settings.model_copy(update={"app_env": environment, **values}))
    assert type(mailer) is kind


@pytest.mark.parametrize("shows_text", [True, False])
def test_log_shows_the_text_outside_production_alone(capsys, shows_text):
    LogMailer(shows_text=shows_text).send(Mail("ada@example.org", "Tea", "Leaves.\n"))
    assert ("Leaves." in capsys.readouterr().out) is shows_text


@pytest.fixture
def server():
    with run_smtp() as server:
        yield server


@pytest.fixture
def app(settings, server):
    settings.app_var_dir.mkdir(parents=True)
    app = create_app(settings.model_copy(update=server.settings()))
    yield app
    app.close()


class TestCommand:
    def test_sends_a_message_and_says_so(self, app, server):
        result = app.test_cli_runner().invoke(args=["mail", "test", "ada@example.org"])
        assert result.exit_code == 0, result.output
        assert "answers, and has taken the message to ada@example.org" in result.output
        assert server.taken[0]["Subject"] == "Mail of Strongback works"

    def test_says_why_not_and_what_to_do(self, app, server):
        server.replies = ["550 sender not known"]
        result = app.test_cli_runner().invoke(args=["mail", "test", "ada@example.org"])
        assert result.exit_code == 1
        assert "550 sender not known" in result.output
        assert "MAIL_FROM" in result.output

    def test_refuses_what_is_no_address(self, app, server):
        result = app.test_cli_runner().invoke(args=["mail", "test", "ada@example.org\nBcc: x"])
        assert result.exit_code == 2
        assert server.taken == []

    @pytest.mark.parametrize(
        "reason, remedy",
        [
            ("535 5.7.8 Authentication failed", "user and password"),
            ("STARTTLS extension not supported by server.", "smtps://"),
            ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "smtp+starttls://"),
            ("CERTIFICATE_VERIFY_FAILED", "MAIL_SSL_CA"),
            ("timed out", "port 25"),
            ("[Errno 111] Connection refused", "that it runs"),
        ],
    )
    def test_remedy_fits_the_reason(self, reason, remedy):
        assert remedy in remedy_for(reason)


class TestCheck:
    def test_readyz_and_doctor_ask_the_server(self, app):
        report = app.test_client().get("/readyz").get_json()
        assert report["services"]["mail"]["status"] == "ok"
        assert "The mail server 127.0.0.1" in app.test_cli_runner().invoke(args=["doctor"]).output

    def test_a_server_that_is_gone_is_reported_and_optional(self, settings):
        app = create_app(settings.model_copy(update=SmtpServer().settings()))
        report = app.test_client().get("/readyz").get_json()
        assert report["services"]["mail"]["status"] == "unavailable"
        app.close()


class TestOneClick:
    @pytest.fixture
    def ended(self, app) -> list[tuple[int, str]]:
        ended: list[tuple[int, str]] = []
        app.services[Unsubscriptions].switch_off = lambda *what: ended.append(what)
        return ended

    @pytest.fixture
    def token(self, app) -> str:
        return str(app.services[Unsubscriptions].token(Subscription(7, "comment")))

    @pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data"])
    def test_works_without_signing_in_and_more_than_once(self, app, ended, token, kind):
        for _ in range(2):
            answer = app.test_client().post(f"{ROUTE}?token={token}", data=FORM, content_type=kind)
            assert answer.status_code == 204
        assert ended == [(7, "comment")] * 2

    def test_get_changes_nothing_and_leads_to_the_page(self, app, ended, token):
        answer = app.test_client().get(f"{ROUTE}?token={token}", headers={"Host": "evil.example"})
        assert answer.status_code == 303
        assert answer.location == f"https://shop.example.org/account/unsubscribe?token={token}"
        assert ended == []

    def test_forged_token_is_refused(self, app, ended):
        for forged in ("", "x", "WzcsImNvbW1lbnQiXQ.AAAA", "é" * 100, "\0", "x" * 513):
            answer = app.test_client().post(ROUTE, query_string={"token": forged}, data=FORM)
            assert answer.status_code == 422
            assert app.test_client().get(ROUTE, query_string={"token": forged}).status_code < 500
        assert ended == []

    def test_what_is_no_one_click_is_refused(self, app, ended, token):
        other = {"List-Unsubscribe": "Perhaps"}
        assert app.test_client().post(f"{ROUTE}?token={token}", data=other).status_code == 422
        assert app.test_client().post(f"{ROUTE}?token={token}").status_code == 415
        assert ended == []
