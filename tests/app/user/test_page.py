"""The pages that links in mail lead to: GET changes nothing, POST does, errors are pages."""

from __future__ import annotations

import re
from html import unescape

import pytest

from strongback.mail import Subscription, Unsubscriptions
from tests.support.mail_client import ADDRESS, MailClient, mail, sqlite_mail

__all__ = ["mail", "sqlite_mail"]

NEW = "a good new password"


def shown(answer) -> str:
    """The text of a page."""
    (body,) = re.findall(r"<main.*</main>", answer.get_data(as_text=True), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def hidden_token(answer) -> str:
    (token,) = re.findall(r'name="token" value="([^"]*)"', answer.get_data(as_text=True))
    return str(token)


@pytest.fixture
def page(sqlite_mail: MailClient) -> MailClient:
    sqlite_mail.resident()
    return sqlite_mail


@pytest.fixture
def password_link(page: MailClient) -> str:
    page.forget()
    return page.server.link()


@pytest.fixture
def email_link(page: MailClient) -> str:
    page.change("ada", proven_email=None)
    token = page.open_session("ada")["access_token"]
    page.call("POST", "/users/me/email/verification", token)
    page.work()
    return page.server.link()


@pytest.fixture
def ended(page: MailClient, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    ended: list[tuple[int, str]] = []
    unsubscriptions = page.app.services[Unsubscriptions]
    monkeypatch.setattr(unsubscriptions, "switch_off", lambda *what: ended.append(what))
    return ended


@pytest.fixture
def unsubscribe_link(page: MailClient) -> str:
    unsubscriptions = page.app.services[Unsubscriptions]
    link = unsubscriptions.link(unsubscriptions.token(Subscription(7, "comment")))
    return str(link.removeprefix("https://shop.example.org"))


class TestPassword:
    def test_scanner_that_opens_the_link_changes_nothing(self, page, password_link):
        for method in ("GET", "HEAD", "GET"):
            assert page.open(password_link, method).status_code == 200
        assert page.sign_in("ada")
        assert page.open(password_link).status_code == 200

    def test_form_replaces_the_password(self, page, password_link):
        form = page.open(password_link)
        data = {"token": hidden_token(form), "password": NEW}
        answer = page.open("/account/password", "POST", data=data)
        assert (answer.status_code, "is changed" in shown(answer)) == (200, True)
        assert page.sign_in("ada", NEW)
        assert page.open(password_link).status_code == 422

    def test_link_whose_password_was_changed_since_shows_no_form(self, page, password_link):
        page.change("ada", password_hash="another")
        assert page.open(password_link).status_code == 422

    def test_easy_password_is_refused_beside_its_field(self, page, password_link):
        data = {"token": hidden_token(page.open(password_link)), "password": "password"}
        answer = page.open("/account/password", "POST", data=data)
        assert answer.status_code == 422
        assert "one of the first that are tried" in shown(answer)
        assert 'role="alert"' in answer.get_data(as_text=True)
        assert hidden_token(answer) == data["token"]
        data["password"] = NEW
        assert page.open("/account/password", "POST", data=data).status_code == 200


class TestForgotten:
    def test_form_sends_the_link_and_says_the_same_of_everybody(self, page):
        assert 'name="account"' in page.open("/account/forgotten").get_data(as_text=True)
        sent = {"account": "ada"}, {"account": "nobody"}
        answers = [page.open("/account/forgotten", "POST", data=each) for each in sent]
        page.work()
        assert [each.status_code for each in answers] == [200, 200]
        assert shown(answers[0]) == shown(answers[1])
        assert [page.open(each).status_code for each in page.links()] == [200]

    def test_form_without_a_name_is_shown_again(self, page):
        answer = page.open("/account/forgotten", "POST", data={"account": ""})
        assert 'name="account"' in answer.get_data(as_text=True)
        page.work()
        assert page.server.taken == []

    def test_void_link_leads_to_it(self, page):
        html = page.open("/account/password?token=wrong").get_data(as_text=True)
        assert '<a href="forgotten">' in html


class TestEmail:
    def test_get_shows_whose_it_becomes_and_changes_nothing(self, page, email_link):
        answer = page.open(email_link)
        assert f"{ADDRESS} will belong to the account ada" in shown(answer)
        token = page.open_session("ada")["access_token"]
        assert page.call("GET", "/users/me", token).json["email_proven"] is False

    def test_form_verifies(self, page, email_link):
        data = {"token": hidden_token(page.open(email_link))}
        assert "is verified" in shown(page.open("/account/email", "POST", data=data))
        token = page.open_session("ada")["access_token"]
        assert page.call("GET", "/users/me", token).json["email_proven"] is True
        assert page.open("/account/email", "POST", data=data).status_code == 422

    def test_link_to_an_earlier_address_does_not_show_the_present_one(self, page, email_link):
        page.change("ada", email="moved@example.org")
        answer = page.open(email_link)
        assert answer.status_code == 422
        assert "moved@" not in shown(answer)


class TestUnsubscribing:
    def test_get_changes_nothing_and_the_form_does(self, page, ended, unsubscribe_link):
        form = page.open(unsubscribe_link)
        assert (form.status_code, ended) == (200, [])
        data = {"token": hidden_token(form)}
        answer = page.open("/account/unsubscribe", "POST", data=data)
        assert "You are unsubscribed" in shown(answer)
        assert ended == [(7, "comment")]


class TestErrors:
    def test_are_pages(self, page):
        for path, method, status in (
            ("/account/password?token=wrong", "GET", 422),
            ("/account/password", "GET", 422),
            ("/account/email?token=%00%ff", "GET", 422),
            ("/account/unsubscribe?token=wrong", "POST", 422),
            ("/account/nothing", "GET", 404),
            ("/account/", "GET", 404),
            ("/account/password", "DELETE", 404),
        ):
            answer = page.open(path, method, headers={"Accept-Language": "zh"})
            assert (answer.status_code, answer.mimetype) == (status, "text/html")
            assert "操作未成功" in shown(answer)
            assert status != 404 or "不存在" in shown(answer)

    def test_are_pages_for_programs_too(self, page):
        accept = {"Accept": "application/problem+json"}
        answer = page.open("/account/password?token=wrong", headers=accept)
        assert (answer.status_code, answer.mimetype) == (422, "text/html")
        assert "no longer valid" in shown(answer)

    def test_too_large_form_is_a_page(self, page):
        answer = page.open("/account/password", "POST", data={"token": "x" * 2_000_000})
        assert (answer.status_code, answer.mimetype) == (413, "text/html")

    def test_unforeseen_one_is_a_page_without_its_cause(
        self, page, ended, unsubscribe_link, monkeypatch
    ):
        service = page.app.services[Unsubscriptions]
        monkeypatch.setattr(service, "switch_off", lambda *_: 1 / 0)
        data = {"token": hidden_token(page.open(unsubscribe_link))}
        answer = page.open("/account/unsubscribe", "POST", data=data)
        assert (answer.status_code, answer.mimetype) == (500, "text/html")
        assert "ZeroDivision" not in answer.get_data(as_text=True)


class TestSafety:
    def test_headers_are_those_of_pages_and_tell_nobody_the_address(self, page, password_link):
        headers = page.open(password_link).headers
        (policy,) = headers.getlist("Content-Security-Policy")
        assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'")
        assert "form-action 'self'" in policy
        assert "unsafe" not in policy
        assert headers.getlist("Referrer-Policy") == ["no-referrer"]
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Frame-Options"] == "DENY"

    def test_pages_have_no_address_of_another_host(self, page, password_link):
        html = page.open(password_link).get_data(as_text=True)
        assert re.findall(r'(?:src|href|action)="([^"]*)"', html)
        assert not re.findall(r'(?:src|href|action)="(?![/?#]|forgotten)([^"]*)"', html)

    def test_a_chosen_language_goes_on_with_the_form(self, page, password_link):
        answer = page.open(password_link + "&language=zh")
        assert "设置新密码" in shown(answer)
        assert 'action="?language=zh"' in answer.get_data(as_text=True)

    def test_token_is_never_markup(self, page):
        for token in ('"><script>alert(1)</script>', "{{ 7 * 7 }}", "\u202e"):
            for path in ("/account/password", "/account/unsubscribe"):
                shown_form = page.open(path, query_string={"token": token})
                sent_form = page.open(path, "POST", data={"token": token})
                for answer in (shown_form, sent_form):
                    assert answer.status_code == 422
                    assert "alert(1)" not in answer.get_data(as_text=True)

    def test_access_log_has_no_token(self, page, capfd):
        page.forget()
        token = page.token()
        page.open(f"/account/password?token={token}")
        page.open("/account/password", "POST", data={"token": token, "password": NEW})
        out, err = capfd.readouterr()
        assert "path=/account/password" in out
        assert token not in out + err

    def test_language_follows_the_browser(self, page, password_link):
        answer = page.open(password_link, headers={"Accept-Language": "zh-CN,en;q=0.5"})
        assert "设置新密码" in shown(answer)
        assert '<html lang="zh">' in answer.get_data(as_text=True)
        assert "Accept-Language" in answer.headers["Vary"]
        assert "Choose a new password" in shown(page.open(password_link))

    def test_link_never_follows_the_host_of_a_request(self, page):
        body = {"account": "ada"}
        evil = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
        page.call("POST", "/auth/password/forgotten", json=body, headers=evil)
        page.work()
        assert "https://shop.example.org/account/password?token=" in page.server.text()
        assert "evil" not in page.server.text() + page.server.html()
