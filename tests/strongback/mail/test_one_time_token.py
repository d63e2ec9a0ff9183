from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import select

from strongback.mail import OneTimeTokens
from strongback.mail.exceptions import WrongToken
from strongback.mail.mail_model import MailToken
from tests.support.thread import run_together

pytestmark = pytest.mark.speaks_sql

HALF_AN_HOUR = timedelta(minutes=30)


@pytest.fixture
def tokens(database, settings) -> OneTimeTokens:
    return OneTimeTokens(database, settings)


def issue(tokens, account_id=7, state="a", lifetime=HALF_AN_HOUR, purpose="test") -> str:
    with tokens.database.scope():
        token: str | None = tokens.token(tokens.issue(purpose, account_id, state, lifetime))
    assert token is not None
    return token


def is_redeemed(tokens, token, state="a", purpose="test") -> bool:
    with tokens.database.scope():
        try:
            tokens.redeem(purpose, token, state)
        except WrongToken:
            return False
    return True


def test_is_good_for_one_use(tokens):
    token = issue(tokens)
    with tokens.database.scope():
        assert tokens.find("test", token) == 7
        assert tokens.find("test", token) == 7
    assert [is_redeemed(tokens, token) for _ in range(2)] == [True, False]
    with tokens.database.scope(), pytest.raises(WrongToken):
        tokens.find("test", token)


def test_of_parallel_uses_one_wins(tokens):
    token = issue(tokens)
    uses = run_together(*[partial(is_redeemed, tokens, token)] * 6)
    assert uses.count(True) == 1


def test_failed_effect_leaves_it_unused(tokens):
    token = issue(tokens)

    def fail(_: object) -> None:
        tokens.redeem("test", token, "a")
        raise ZeroDivisionError

    with tokens.database.scope(), pytest.raises(ZeroDivisionError):
        tokens.database.transact(fail)
    assert is_redeemed(tokens, token)


def test_is_void_once_the_state_is_another_or_the_purpose(tokens):
    token = issue(tokens)
    assert not is_redeemed(tokens, token, state="b")
    assert not is_redeemed(tokens, token, purpose="other")
    assert is_redeemed(tokens, token)


def test_expires(tokens):
    assert issue(tokens)
    with tokens.database.scope():
        assert tokens.token(tokens.issue("test", 7, "a", -timedelta(seconds=1))) is None


def test_earlier_ones_stay_valid_until_one_is_used(tokens):
    first, second, other = issue(tokens), issue(tokens), issue(tokens, account_id=8)
    assert is_redeemed(tokens, first)
    assert not is_redeemed(tokens, second)
    assert is_redeemed(tokens, other)


def test_is_stored_as_a_hash(tokens, settings):
    token = issue(tokens, state="secret state")
    with tokens.database.scope():
        row = tokens.database.session.scalars(select(MailToken)).one()
        stored = str(vars(row))
    assert token not in stored
    assert "secret state" not in stored


def test_survives_a_change_of_the_secret(tokens, settings):
    token = issue(tokens)
    old = settings.app_secret_key
    changed = {"app_secret_key": type(old)("x" * 40), "app_secret_keys_old": old}
    assert is_redeemed(OneTimeTokens(tokens.database, settings.model_copy(update=changed)), token)


@pytest.mark.parametrize("token", ["", "x", "x" * 10_000, "\ud800", "'; DROP TABLE"])
def test_any_text_may_be_tried(tokens, token):
    assert not is_redeemed(tokens, token)


def test_expired_ones_are_deleted(tokens):
    issue(tokens)
    with tokens.database.scope():
        tokens.issue("test", 7, "a", -timedelta(seconds=1))
        assert tokens.clean() == 1
