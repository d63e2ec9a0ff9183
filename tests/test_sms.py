"""Codes by SMS through the application: asking, proving a number, signing in."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from app.core.config import Settings, load_settings
from app.core.permission import Role
from app.main import create_app
from app.user.model import User
from strongback.config import Environment, LogFormat
from strongback.exceptions import ConfigurationError
from strongback.outbox import Outbox
from strongback.outbox.relay import Batch, Relay
from strongback.task import Runner
from strongback.testing.redis import RedisServer
from tests.support.kept import Kept
from tests.support.sign_in import PASSWORD, Client
from tests.support.sms import OTHER, PHONE, another
from tests.support.tencent import Tencent, run_tencent
from tests.support.thread import run_together

GRANT = "urn:strongback:params:oauth:grant-type:sms-code"
SAFE = {"app_env": Environment.PRODUCTION, "app_secret_key": secrets.token_urlsafe(48)}


class SmsClient:
    """The application, its worker, and the provider that it sends through."""

    def __init__(self, settings: Settings) -> None:
        self._running = ExitStack()
        self.tencent = self._running.enter_context(run_tencent())
        self.client = Client(settings.model_copy(update=self.tencent.settings))
        self.handle = "0" * 32
        """What the last request for a code was answered."""
        self._published: list[tuple[str, list[int]]] = []
        self._relay = Relay(self.client.app.services[Outbox], self)

    def empty(self) -> None:
        """Let nothing have happened."""
        self.client.empty()
        self.tencent.messages.clear()

    def close(self) -> None:
        """Close what is open."""
        self.client.close()
        self._running.close()

    # The broker

    def publish(self, batches: Sequence[Batch]) -> None:
        """Keep what is to be run."""
        self._published += [(each.consumer, list(each.ids)) for each in batches]

    def work(self) -> None:
        """Run what is due."""
        runner: Runner = self.client.app.services[Runner]
        with self.client.app.app_context():
            while self._relay.deliver():
                while self._published:
                    runner.run(*self._published.pop(0))

    # What people do

    def ask(self, phone: object = PHONE) -> Any:
        """Ask for a code."""
        return self._ask({"phone": phone})

    def _ask(self, body: dict[str, object]) -> Any:
        answer = self.client.call("POST", "/auth/sms-codes", json=body)
        if answer.status_code == 202:
            self.handle = answer.json["handle"]
        self.work()
        return answer

    def code(self, phone: str = PHONE, purpose: str = "sign-in") -> str:
        """Ask for a code and read it."""
        assert self._ask({"phone": phone, "purpose": purpose}).status_code == 202
        assert self.tencent.messages[-1]["PhoneNumberSet"] == [phone]
        return self.tencent.codes[-1]

    def prove(self, token: str, phone: str, code: str, password: str = PASSWORD) -> Any:
        """Prove a number to be one's own."""
        body = {
            "phone": phone,
            "code": code,
            "handle": self.handle,
            "current_password": password,
        }
        return self.client.call("PUT", "/users/me/phone", token, json=body)

    def sign_in(self, phone: str, code: str, **form: str) -> Any:
        """Ask for tokens by a code."""
        form = {"handle": self.handle} | form
        return self.client.ask_token(grant_type=GRANT, phone=phone, code=code, **form)

    def resident(self, username: str, phone: str = PHONE, *roles: Role) -> str:
        """Make an account that has proven a number, and return a token of it."""
        token = self.client.signed_in(username, *roles)
        proven = update(User).where(User.username == username)
        proven = proven.values(phone=phone, proven_phone=phone)
        self.client.database.transact(lambda session: session.execute(proven))
        return token

    def forget(self) -> None:
        """Let a minute pass for every number, by letting nothing have happened."""
        with self.client.database.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM sb_sms_code")


@pytest.fixture
def sms(kept: Kept, settings: Settings, database_url: str) -> SmsClient:
    """The application on each back end, sending through Tencent Cloud; these tests share it."""
    return kept.emptied(SmsClient, settings, database_url)


@pytest.fixture
def sqlite_sms(kept: Kept, settings: Settings) -> SmsClient:
    """The same on SQLite, for what no back end has a part in."""
    return kept.emptied(SmsClient, settings)


class TestAsking:
    def test_is_answered_before_anything_is_sent(self, sqlite_sms: SmsClient):
        answer = sqlite_sms.client.call("POST", "/auth/sms-codes", json={"phone": PHONE})
        handle = answer.json["handle"]
        assert (answer.status_code, len(handle)) == (202, 32)
        assert answer.json == {"handle": handle, "expires_in": 300, "retry_after": 60}
        assert sqlite_sms.tencent.messages == []
        sqlite_sms.work()
        assert [each["PhoneNumberSet"] for each in sqlite_sms.tencent.messages] == [[PHONE]]

    def test_answers_the_same_for_a_stranger_as_for_a_resident(self, sms: SmsClient):
        sms.resident("ada")
        known, unknown = sms.ask(PHONE), sms.ask(OTHER)
        varying = {"X-Request-ID", "RateLimit"}
        for answer in (known, unknown):
            for name in varying:
                answer.headers.pop(name, None)
        bodies = [answer.json | {"handle": "its own"} for answer in (known, unknown)]
        assert (known.status_code, bodies[0]) == (unknown.status_code, bodies[1])
        assert dict(known.headers) == dict(unknown.headers)

    def test_looks_at_no_account(self, sqlite_sms: SmsClient):
        """What is not looked up takes no time that could tell."""
        with sqlite_sms.client.database.engine.begin() as connection:
            connection.exec_driver_sql('DROP TABLE "user"')
        assert sqlite_sms.ask().status_code == 202

    def test_a_second_time_within_a_minute_is_refused(self, sms: SmsClient):
        sms.ask()
        answer = sms.ask()
        assert (answer.status_code, answer.json["error_code"]) == (429, 12006)
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert len(sms.tencent.messages) == 1

    def test_by_strangers_leaves_as_many_to_the_owners_network(self, settings):
        settings.app_var_dir.mkdir(parents=True, exist_ok=True)
        sms = SmsClient(settings.model_copy(update={"sms_daily_per_number": 1}))
        sms.empty()
        sms.resident("ada")
        sms.code()  # which took the number's only message
        sms.forget()
        ask = partial(sms.client.call, "POST", "/auth/sms-codes", json={"phone": PHONE})
        stranger = ask(environ_overrides={"REMOTE_ADDR": "203.0.113.9"})
        owner = ask()
        sms.forget()
        again = ask()
        sms.close()
        assert [each.status_code for each in (stranger, owner, again)] == [429, 202, 429]

    def test_by_a_hundred_at_once_sends_one(self, sqlite_sms: SmsClient):
        call = partial(sqlite_sms.client.call, "POST", "/auth/sms-codes", json={"phone": PHONE})
        answers = run_together(*[call] * 100)
        sqlite_sms.work()
        statuses = [answer.status_code for answer in answers]
        assert (statuses.count(202), len(sqlite_sms.tencent.messages)) == (1, 1)
        assert set(statuses) <= {202, 429, 503}  # 503: four connections, and two seconds to wait

    @pytest.mark.parametrize(
        "phone", ["", "13800138000", "+86 13800138000", "+86013800138000", None, 1]
    )
    def test_needs_a_number_in_its_one_spelling(self, sqlite_sms: SmsClient, phone: object):
        answer = sqlite_sms.ask(phone)
        assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "body.phone")
        assert sqlite_sms.tencent.messages == []

    def test_serves_the_countries_that_are_listed(self, sqlite_sms: SmsClient):
        answer = sqlite_sms.ask("+85291234567")
        assert (answer.status_code, answer.json["error_code"]) == (422, 12007)

    def test_fails_closed_without_redis(self, settings: Settings, redis_server: RedisServer):
        app = create_app(settings.model_copy(update={"redis_url": redis_server.url}))
        redis_server.kill()
        answer = app.test_client().post("/api/v1/auth/sms-codes", json={"phone": PHONE})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        app.close()


class TestProof:
    def test_makes_the_number_the_accounts_own(self, sms: SmsClient):
        token = sms.client.signed_in("ada")
        answer = sms.prove(token, PHONE, sms.code(PHONE, "phone"))
        assert answer.status_code == 200
        assert (answer.json["phone"], answer.json["phone_proven"]) == (PHONE, True)

    def test_needs_the_password_and_spends_no_code_without_it(self, sms: SmsClient):
        token = sms.client.signed_in("ada")
        code = sms.code(PHONE, "phone")
        answer = sms.prove(token, PHONE, code, "another password")
        assert (answer.status_code, answer.json["error_code"]) == (422, 20003)
        assert sms.prove(token, PHONE, code).status_code == 200

    def test_needs_the_right_code_and_counts_wrong_ones(self, sms: SmsClient):
        token = sms.client.signed_in("ada")
        code = sms.code(PHONE, "phone")
        for _ in range(5):
            answer = sms.prove(token, PHONE, another(code))
            assert (answer.status_code, answer.json["error_code"]) == (422, 12008)
        assert sms.prove(token, PHONE, code).status_code == 422

    def test_takes_the_number_from_whoever_had_it_before(self, sms: SmsClient):
        sms.resident("ada")
        eve = sms.client.signed_in("eve")
        assert sms.prove(eve, PHONE, sms.code(PHONE, "phone")).status_code == 200
        sms.forget()
        assert sms.sign_in(PHONE, sms.code()).json["scope"]
        with sms.client.database.scope():
            query = select(User.username).where(User.proven_phone == PHONE)
            assert sms.client.database.session.scalars(query).all() == ["eve"]

    def test_ends_when_the_owner_claims_another_number(self, sms: SmsClient):
        token = sms.resident("ada")
        answer = sms.client.call("PATCH", "/users/me", token, json={"phone": OTHER})
        assert (answer.json["phone"], answer.json["phone_proven"]) == (OTHER, False)
        assert sms.sign_in(PHONE, sms.code(PHONE)).status_code == 400
        assert sms.sign_in(OTHER, sms.code(OTHER)).status_code == 400

    def test_survives_a_change_of_something_else(self, sms: SmsClient):
        token = sms.resident("ada")
        body = {"email": "ada@example.org", "phone": PHONE}
        assert sms.client.call("PATCH", "/users/me", token, json=body).json["phone_proven"]


class TestSigningIn:
    def test_opens_a_session_of_the_account_that_has_proven_the_number(self, sms: SmsClient):
        sms.resident("ada", PHONE, Role.AUTHOR)
        answer = sms.sign_in(PHONE, sms.code())
        assert answer.status_code == 200
        me = sms.client.call("GET", "/users/me", answer.json["access_token"])
        assert me.json["username"] == "ada"
        assert sms.client.refresh(answer.json["refresh_token"]).status_code == 200

    def test_is_good_once(self, sms: SmsClient):
        sms.resident("ada")
        code = sms.code()
        assert sms.sign_in(PHONE, code).status_code == 200
        answer = sms.sign_in(PHONE, code)
        assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")

    def test_by_fifty_at_once_succeeds_once(self, sqlite_sms: SmsClient):
        sqlite_sms.resident("ada")
        call = partial(sqlite_sms.sign_in, PHONE, sqlite_sms.code())
        statuses = [answer.status_code for answer in run_together(*[call] * 50)]
        assert statuses.count(200) == 1
        assert set(statuses) <= {200, 400, 503}

    def test_with_a_claimed_number_is_refused(self, sms: SmsClient):
        """Neither does its owner get into the claimer's account, nor the claimer into theirs."""
        token = sms.client.signed_in("eve")
        sms.client.call("PATCH", "/users/me", token, json={"phone": PHONE})
        answer = sms.sign_in(PHONE, sms.code())
        assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")
        sms.forget()
        sms.resident("ada")
        answer = sms.sign_in(PHONE, sms.code())
        me = sms.client.call("GET", "/users/me", answer.json["access_token"])
        assert me.json["username"] == "ada"

    def test_to_a_closed_account_is_refused(self, sms: SmsClient):
        sms.resident("ada")
        admin = sms.client.signed_in("root", Role.ADMIN)
        sms.client.call("PATCH", "/users/ada", admin, json={"disabled": True})
        assert sms.sign_in(PHONE, sms.code()).json["error"] == "invalid_grant"

    def test_with_wrong_codes_ends_after_five(self, sms: SmsClient):
        sms.resident("ada")
        code = sms.code()
        for _ in range(5):
            assert sms.sign_in(PHONE, another(code)).json["error"] == "invalid_grant"
        assert sms.sign_in(PHONE, code).json["error"] == "invalid_grant"

    @pytest.mark.parametrize("phone", [" 8613800138000", "+86 138-0013-8000"])
    def test_bears_a_form_that_lost_its_plus(self, sqlite_sms: SmsClient, phone: str):
        sqlite_sms.resident("ada")
        assert sqlite_sms.sign_in(phone, sqlite_sms.code()).status_code == 200

    @pytest.mark.parametrize(
        "form, error",
        [
            ({"phone": PHONE}, "invalid_request"),
            ({"code": "123456"}, "invalid_request"),
            ({"phone": PHONE, "code": "123456", "handle": ""}, "invalid_request"),
            ({"phone": PHONE, "code": "12345"}, "invalid_grant"),
            ({"phone": "nobody", "code": "123456"}, "invalid_grant"),
            ({"phone": PHONE, "code": "123456", "client_id": "x"}, "invalid_client"),
            ({"phone": PHONE, "code": "123456", "scope": "x:y"}, "invalid_scope"),
        ],
    )
    def test_errors_are_those_of_rfc_6749(self, sqlite_sms: SmsClient, form: Any, error: str):
        answer = sqlite_sms.client.ask_token(grant_type=GRANT, **{"handle": "0" * 32} | form)
        assert answer.json["error"] == error
        assert answer.headers["Cache-Control"] == "no-store"

    def test_narrows_the_token_to_the_scope(self, sqlite_sms: SmsClient):
        sqlite_sms.resident("ada")
        answer = sqlite_sms.sign_in(PHONE, sqlite_sms.code(), scope="profile:read")
        assert answer.json["scope"] == "profile:read"

    def test_a_malformed_request_spends_no_code(self, sqlite_sms: SmsClient):
        sqlite_sms.resident("ada")
        code = sqlite_sms.code()
        assert sqlite_sms.sign_in(PHONE, code, scope="x:y").status_code == 400
        assert sqlite_sms.sign_in(PHONE, code).status_code == 200

    def test_is_announced_in_the_metadata(self, sqlite_sms: SmsClient):
        metadata = sqlite_sms.client.open("/.well-known/oauth-authorization-server").json
        assert GRANT in metadata["grant_types_supported"]


def test_no_log_and_no_row_of_the_outbox_names_number_or_code(sms):
    token = sms.client.signed_in("ada")
    with capture_logs() as logs:
        sms.client.call("POST", "/auth/sms-codes", json={"phone": PHONE})
        with sms.client.database.scope():
            messages = sms.client.app.services[Outbox].list(None, 9)
            rows = [(message.payload, message.key) for message in messages]
        sms.work()
        code = sms.tencent.codes[-1]
        sms.prove(token, PHONE, another(code))
        sms.prove(token, PHONE, code)
        sms.forget()
        sms.sign_in(PHONE, sms.code())
    text = f"{logs} {rows}"
    assert not [secret for secret in (*sms.tencent.codes, "13800138000") if secret in text]


class TestProduction:
    def test_without_a_provider_sends_nothing_and_says_so(self, settings: Settings):
        settings.app_var_dir.mkdir(parents=True, exist_ok=True)
        client = Client(
            settings.model_copy(
                update={"app_env": Environment.PRODUCTION, "log_format": LogFormat.CONSOLE}
            )
        )
        client.empty()
        answer = client.call("POST", "/auth/sms-codes", json={"phone": PHONE})
        assert (answer.status_code, answer.json["error_code"]) == (503, 12004)
        answer = client.ask_token(grant_type=GRANT, phone=PHONE, code="123456")
        assert answer.json["error"] == "unsupported_grant_type"
        metadata = client.open("/.well-known/oauth-authorization-server").json
        assert GRANT not in metadata["grant_types_supported"]
        client.close()

    @pytest.mark.parametrize("missing", ["sms_secret_key", "sms_sign_name", "sms_app_id"])
    def test_half_an_account_is_refused_at_start(self, missing: str):
        account = {name: value for name, value in Tencent().settings.items() if name != missing}
        with pytest.raises(ConfigurationError, match=f"{missing.upper()}: missing"):
            load_settings(_env_file=None, **account)

    def test_plain_http_is_for_this_machine(self):
        account = Tencent().settings | SAFE
        load_settings(_env_file=None, **account)
        with pytest.raises(ConfigurationError, match="SMS_ENDPOINT is http://"):
            load_settings(_env_file=None, **account | {"sms_endpoint": "http://sms.example.org"})

    def test_prefix_is_how_a_number_begins(self):
        with pytest.raises(ConfigurationError, match="SMS_PREFIXES: '86'"):
            load_settings(_env_file=None, sms_prefixes="86")
        assert load_settings(_env_file=None, sms_prefixes="+86, +852").sms_prefixes == (
            "+86",
            "+852",
        )
