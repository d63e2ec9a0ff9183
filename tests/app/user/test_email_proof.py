"""An address is verified by a link, and belongs to one account."""

from __future__ import annotations

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from app.user.service import UserService
from strongback.database import utc_now
from strongback.mail import MailService
from tests.support.mail_client import ADDRESS, MailClient, mail, sqlite_mail
from tests.support.sign_in import PASSWORD

__all__ = ["mail", "sqlite_mail"]

pytestmark = pytest.mark.speaks_sql


def ask(client: MailClient, username: str = "ada"):
    token = client.sign_in(username)["access_token"]
    answer = client.call("POST", "/users/me/email/verification", token)
    client.work()
    return answer


def confirm(client: MailClient, token: str):
    return client.call("POST", "/users/me/email/verification/confirmation", json={"token": token})


def profile(client: MailClient, username: str = "ada"):
    return client.call("GET", "/users/me", client.sign_in(username)["access_token"]).json


def register(client: MailClient, username: str = "ada", address: str = ADDRESS) -> None:
    client.account(username)
    client.change(username, email=address)


def test_link_proves_the_address_without_signing_in(mail):
    register(mail)
    assert profile(mail)["email_proven"] is False
    assert (ask(mail).status_code, mail.server.recipients) == (202, [ADDRESS])
    assert profile(mail)["email_proven"] is False
    token = mail.token()
    assert [confirm(mail, token).status_code for _ in range(2)] == [204, 422]
    assert profile(mail)["email_proven"] is True


def test_nothing_is_sent_to_a_verified_address(sqlite_mail):
    sqlite_mail.resident()
    assert ask(sqlite_mail).status_code == 202
    assert sqlite_mail.links() == []


def test_account_without_an_address_is_told(sqlite_mail):
    sqlite_mail.account("ada")
    assert (ask(sqlite_mail).status_code, ask(sqlite_mail).json["error_code"]) == (409, 20006)


def test_another_address_has_to_be_proven_anew(mail):
    register(mail)
    ask(mail)
    first = mail.token()
    token = mail.open_session("ada")["access_token"]
    mail.call("PATCH", "/users/me", token, json={"email": "new@example.org"})
    assert confirm(mail, first).status_code == 422
    mail.change("ada", proven_email="new@example.org")
    answer = mail.call("PATCH", "/users/me", token, json={"email": "other@example.org"})
    assert answer.json["email_proven"] is False


def test_same_address_stays_proven(sqlite_mail):
    sqlite_mail.resident()
    token = sqlite_mail.open_session("ada")["access_token"]
    for address in (ADDRESS, ADDRESS.title()):
        answer = sqlite_mail.call("PATCH", "/users/me", token, json={"email": address})
        assert answer.json["email_proven"] is True


def test_address_belongs_to_whom_the_link_went_last(mail):
    mail.resident("bob", "ADA@example.org")
    register(mail)
    ask(mail)
    assert confirm(mail, mail.token()).status_code == 204
    assert profile(mail)["email_proven"] is True
    assert profile(mail, "bob")["email_proven"] is False


def test_token_of_another_purpose_is_refused(sqlite_mail):
    sqlite_mail.resident()
    sqlite_mail.forget()
    assert confirm(sqlite_mail, sqlite_mail.token()).status_code == 422


def test_stranger_is_mailed_only_so_often(sqlite_mail, monkeypatch):
    monkeypatch.setattr(sqlite_mail.app.services[MailService].quotas, "_limit", 2)
    names = ["bob", "eve", "mallory"]
    for name in names:
        register(sqlite_mail, name, "victim@example.org")
    answers = [ask(sqlite_mail, name).status_code for name in names]
    assert answers == [202, 202, 429]
    assert len(sqlite_mail.server.taken) == 2


def test_mail_is_in_the_language_of_the_person(sqlite_mail):
    body = {"username": "ada", "password": PASSWORD, "email": ADDRESS}
    chinese = {"Accept-Language": "zh-CN,en;q=0.5"}
    answer = sqlite_mail.call("POST", "/users", json=body, headers=chinese)
    assert answer.json["locale"] == "zh"
    ask(sqlite_mail)
    assert sqlite_mail.server.taken[-1]["Subject"] == "验证您在 Strongback 的电子邮箱地址"
    assert "链接 24 小时内有效" in sqlite_mail.server.text()
    token = sqlite_mail.open_session("ada")["access_token"]
    assert sqlite_mail.call("PATCH", "/users/me", token, json={"locale": None}).status_code == 422
    sqlite_mail.change_sessions(created_at=utc_now() - timedelta(days=1))  # needs no password
    sqlite_mail.call("PATCH", "/users/me", token, json={"locale": "en"})
    ask(sqlite_mail)
    assert "valid for 24 hours" in sqlite_mail.server.text()


def test_contacts_have_what_is_proven_alone(mail):
    ada = mail.resident("ada", phone="+8613800138000")
    register(mail, "bob", "bob@example.org")
    gone = mail.resident("eve", "eve@example.org", disabled=True)
    users = mail.app.services[UserService]
    with mail.database.scope():
        bob = users.ids_of(["bob"])["bob"]
        found = users.contacts([ada, bob, gone, 999])
    assert set(found) == {ada, bob}
    assert (found[ada].email, found[ada].phone, found[ada].locale) == (ADDRESS, None, "en")
    assert found[bob].email is None


def test_without_a_server_production_says_so(sqlite_mail, monkeypatch):
    monkeypatch.setattr(sqlite_mail.app.services[MailService], "is_sending", False)
    register(sqlite_mail)
    assert ask(sqlite_mail).status_code == 503
    assert sqlite_mail.forget().status_code == 503


def test_log_has_neither_address_nor_token(sqlite_mail):
    register(sqlite_mail)
    with capture_logs() as logs:
        ask(sqlite_mail)
        token = sqlite_mail.token()
        confirm(sqlite_mail, token)
    assert token not in str(logs)
    assert ADDRESS not in str(logs)
