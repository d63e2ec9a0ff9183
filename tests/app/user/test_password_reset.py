"""A forgotten password is replaced by a mailed link, and by nothing else."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import event, select, update
from structlog.testing import capture_logs

from app.core.permission import Role
from strongback.database import utc_now
from strongback.mail import MailService
from strongback.mail.mail_model import MailToken
from strongback.outbox import OutboxMessage
from strongback.web import init_limits
from tests.support.mail_client import ADDRESS, MailClient, mail, sqlite_mail
from tests.support.sign_in import PASSWORD
from tests.support.thread import run_together

__all__ = ["mail", "sqlite_mail"]

pytestmark = pytest.mark.speaks_sql

NEW = "a good new password"


def rows(client: MailClient, query):
    with client.database.scope():
        found = client.database.session.scalars(query).all()
        client.database.session.expunge_all()
    return found


class TestAsking:
    def test_name_or_address_brings_a_link(self, sqlite_mail):
        sqlite_mail.resident()
        for account in ("ada", "ADA", ADDRESS, "ADA@example.ORG", " ada "):
            assert sqlite_mail.forget(account).status_code == 202
            assert "?token=" in sqlite_mail.server.text()
        assert sqlite_mail.server.recipients == [ADDRESS] * 5

    def test_unknown_unproven_and_disabled_get_the_same_response_and_no_mail(self, mail):
        mail.resident()
        mail.account("bob")
        mail.change("bob", email="bob@example.org")
        mail.resident("eve", "eve@example.org", disabled=True)
        known = mail.call("POST", "/auth/password/forgotten", json={"account": "ada"})
        for account in ("nobody", "nobody@example.org", "bob", "bob@example.org", "eve", "é@x"):
            other = mail.call("POST", "/auth/password/forgotten", json={"account": account})
            assert (known.status_code, known.json) == (other.status_code, other.json)
            assert set(known.headers.keys()) == set(other.headers.keys())
        mail.work()
        assert mail.server.recipients == [ADDRESS]

    def test_request_looks_up_nothing(self, sqlite_mail):
        """The time is the same because the work is: no statement names an account."""
        sqlite_mail.resident()
        engine, statements = sqlite_mail.database.engine, []
        event.listen(engine, "before_cursor_execute", lambda *it: statements.append(it[2]))
        counts = []
        for account in ("ada", "nobody"):
            statements.clear()
            sqlite_mail.call("POST", "/auth/password/forgotten", json={"account": account})
            counts.append([each.split()[0] for each in statements])
            assert not any('"user"' in each or "FROM user" in each for each in statements)
        assert counts[0] == counts[1]

    def test_nothing_changes_until_the_link_is_used(self, sqlite_mail):
        sqlite_mail.resident()
        tokens = sqlite_mail.open_session("ada")
        sqlite_mail.forget()
        assert sqlite_mail.status(tokens["access_token"]) == 200
        assert sqlite_mail.sign_in("ada")

    def test_account_is_asked_for_only_so_often(self, sqlite_mail):
        sqlite_mail.resident()
        for account in ("ada", "nobody"):
            answers = [sqlite_mail.forget(account).status_code for _ in range(7)]
            assert answers == [202] * 5 + [429] * 2
        assert 0 < int(sqlite_mail.forget("ada").headers["Retry-After"]) <= 3600
        assert sqlite_mail.forget("bob").status_code == 202

    def test_strangers_who_claim_the_address_use_up_no_link_of_its_owner(
        self, sqlite_mail, monkeypatch
    ):
        sqlite_mail.resident()
        monkeypatch.setattr(sqlite_mail.app.services[MailService].quotas, "_limit", 1)
        for name in ("bob", "eve"):
            sqlite_mail.account(name)
            sqlite_mail.change(name, email=ADDRESS)
            token = sqlite_mail.sign_in(name)["access_token"]
            sqlite_mail.call("POST", "/users/me/email/verification", token)
        sqlite_mail.forget()
        subjects = [each["Subject"] for each in sqlite_mail.server.taken]
        assert any(each.startswith("Choose a new password") for each in subjects)

    def test_what_is_no_account_is_refused(self, sqlite_mail):
        for body in ({}, {"account": ""}, {"account": "x" * 300}, {"account": 1}):
            answer = sqlite_mail.call("POST", "/auth/password/forgotten", json=body)
            assert answer.status_code == 422

    def test_token_is_stored_nowhere(self, sqlite_mail):
        sqlite_mail.resident()
        sqlite_mail.server.replies = ["451 later"]
        with capture_logs() as logs:
            sqlite_mail.forget()
        (message,) = rows(sqlite_mail, select(OutboxMessage))
        (row,) = rows(sqlite_mail, select(MailToken))
        with sqlite_mail.database.scope():
            sqlite_mail.database.transact(
                lambda session: session.execute(
                    update(OutboxMessage).values(available_at=utc_now())
                )
            )
        sqlite_mail.work()
        token = sqlite_mail.token()
        assert token not in f"{message.payload}{message.error}{vars(row)}{logs}"


class TestReplacing:
    def test_new_password_works_and_all_sessions_end(self, mail):
        mail.resident()
        tokens = [mail.open_session("ada") for _ in range(2)]
        mail.forget()
        assert mail.reset(mail.token(), NEW).status_code == 204
        assert [mail.status(each["access_token"]) for each in tokens] == [401, 401]
        assert mail.refresh(tokens[0]["refresh_token"]).status_code == 400
        form = {"grant_type": "password", "username": "ada", "password": PASSWORD}
        assert mail.ask_token(**form).status_code == 400
        assert mail.sign_in("ada", NEW)

    def test_link_is_good_for_one_use(self, mail):
        mail.resident()
        mail.forget()
        token = mail.token()
        assert mail.reset(token, NEW).status_code == 204
        answer = mail.reset(token, "another good password")
        assert (answer.status_code, answer.json["error_code"]) == (422, 15005)
        assert mail.sign_in("ada", NEW)

    def test_of_parallel_uses_one_wins(self, mail):
        mail.resident()
        mail.forget()
        token = mail.token()
        passwords = [f"{NEW} {number}" for number in range(4)]
        uses = [partial(mail.reset, token, password) for password in passwords]
        statuses = [answer.status_code for answer in run_together(*uses)]
        assert sorted(statuses) == [204, 422, 422, 422]
        assert mail.sign_in("ada", passwords[statuses.index(204)])

    def test_later_request_leaves_the_earlier_link_valid_until_one_is_used(self, mail):
        mail.resident()
        mail.forget()
        mail.forget()
        first, second = mail.token(0), mail.token(1)
        assert mail.reset(first, NEW).status_code == 204
        assert mail.reset(second, NEW).status_code == 422

    def test_easy_password_is_refused_and_the_link_stays_valid(self, sqlite_mail):
        sqlite_mail.resident()
        sqlite_mail.forget()
        for password in ("short", "password", "ada", "Strongback", "x" * 129):
            answer = sqlite_mail.reset(sqlite_mail.token(), password)
            assert answer.status_code == 422
            assert answer.json["errors"][0]["field"] == "body.new_password"
        assert sqlite_mail.reset(sqlite_mail.token(), NEW).status_code == 204

    def test_link_expires(self, sqlite_mail):
        sqlite_mail.resident()
        sqlite_mail.forget()
        (row,) = rows(sqlite_mail, select(MailToken))
        assert timedelta(minutes=29) < row.expires_at - utc_now() <= timedelta(minutes=30)
        with sqlite_mail.database.scope():
            query = update(MailToken).values(expires_at=utc_now())
            sqlite_mail.database.transact(lambda session: session.execute(query))
        assert sqlite_mail.reset(sqlite_mail.token(), NEW).status_code == 422

    def test_changed_password_voids_the_link(self, sqlite_mail):
        sqlite_mail.resident()
        sqlite_mail.forget()
        token = sqlite_mail.open_session("ada")["access_token"]
        body = {"current_password": PASSWORD, "new_password": "another good password"}
        assert sqlite_mail.call("PUT", "/users/me/password", token, json=body).status_code == 204
        assert sqlite_mail.reset(sqlite_mail.token(), NEW).status_code == 422

    def test_changed_address_voids_the_link(self, sqlite_mail):
        sqlite_mail.resident()
        sqlite_mail.forget()
        token = sqlite_mail.open_session("ada")["access_token"]
        sqlite_mail.call("PATCH", "/users/me", token, json={"email": "new@example.org"})
        assert sqlite_mail.reset(sqlite_mail.token(), NEW).status_code == 422

    def test_disabled_account_stays_as_it_is(self, sqlite_mail):
        sqlite_mail.resident()
        sqlite_mail.forget()
        sqlite_mail.change("ada", disabled=True)
        assert sqlite_mail.reset(sqlite_mail.token(), NEW).status_code == 422
        sqlite_mail.change("ada", disabled=False)
        assert sqlite_mail.sign_in("ada")

    def test_other_token_is_refused(self, sqlite_mail):
        for token in ("", "x", "x" * 128, "x" * 129, "é", "\0"):
            assert sqlite_mail.reset(token).status_code == 422

    def test_network_that_guesses_is_stopped(self, sqlite_mail, settings):
        init_limits(sqlite_mail.app, settings, None)
        answers = [sqlite_mail.reset("x").status_code for _ in range(62)]
        assert answers == [422] * 60 + [429] * 2

    def test_account_without_a_password_gets_its_first(self, sqlite_mail):
        sqlite_mail.resident()
        sqlite_mail.change("ada", password_hash=None, roles=[Role.USER.value])
        sqlite_mail.forget()
        assert sqlite_mail.reset(sqlite_mail.token(), NEW).status_code == 204
        assert sqlite_mail.sign_in("ada", NEW)
