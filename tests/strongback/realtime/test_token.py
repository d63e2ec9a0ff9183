import base64
import json

import pytest

from strongback.auth.permission import Permission
from strongback.auth.principal import Principal
from strongback.auth.signature import Signer
from strongback.auth.token import InvalidToken
from strongback.database import utc_now
from strongback.realtime.token import LIFETIME, ExpiredToken, RealtimeTokens

SECRET, OLD = "a" * 40, "b" * 40
NOW = 1_800_000_000.0


class Reading(Permission):
    READ = ("probe:read", "Read.")
    WRITE = ("probe:write", "Write.")


def principal(*, withheld: frozenset[Permission] = frozenset()) -> Principal:
    return Principal(7, "carol", frozenset({Reading.READ}), withheld, "s" * 22, utc_now())


def claims_of(token: str) -> dict[str, object]:
    body = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))


def test_a_token_says_who_connects_and_until_when():
    tokens = RealtimeTokens([SECRET], clock=lambda: NOW)
    token = tokens.issue(principal())
    claims, found = claims_of(token), tokens.verify(token)

    assert (claims["sub"], claims["sid"]) == ("7", "s" * 22)
    assert found.user_id == 7
    assert found.expires_at is not None
    assert found.expires_at - NOW <= LIFETIME.total_seconds() == 600
    assert found.info == {"username": "carol"}
    assert found.scope is None


def test_a_token_is_limited_as_the_one_that_asked_for_it():
    tokens = RealtimeTokens([SECRET])
    token = tokens.issue(principal(withheld=frozenset({Reading.WRITE})))

    assert tokens.verify(token).scope == frozenset({"probe:read"})


def test_a_token_that_has_expired_is_told_from_one_that_never_was_good():
    now = [NOW]
    tokens = RealtimeTokens([SECRET], clock=lambda: now[0])
    token = tokens.issue(principal())
    now[0] += 600

    with pytest.raises(ExpiredToken):
        tokens.verify(token)
    with pytest.raises(InvalidToken) as caught:
        tokens.verify(token[:-4] + "AAAA")
    assert caught.type is InvalidToken


@pytest.mark.parametrize("token", ["", "a.b.c", "x" * 5000])
def test_what_is_no_token_is_invalid(token):
    with pytest.raises(InvalidToken):
        RealtimeTokens([SECRET]).verify(token)


def test_other_tokens_of_ours_open_no_connection():
    tokens = RealtimeTokens([SECRET])
    access = Signer([SECRET]).sign({"sub": "7", "aud": "realtime", "sid": "s", "exp": NOW * 2})

    with pytest.raises(InvalidToken):
        tokens.verify(access)
    with pytest.raises(InvalidToken):
        tokens.verify(tokens.issue_for(principal(), "article:7"))


def test_a_token_from_a_clock_that_was_set_back_is_refused():
    now = [NOW]
    tokens = RealtimeTokens([SECRET], clock=lambda: now[0])
    token = tokens.issue(principal())
    now[0] -= 61

    with pytest.raises(InvalidToken, match="future"):
        tokens.verify(token)


def test_keys_are_texts_and_the_earlier_one_stays_good():
    before, after = RealtimeTokens([OLD]), RealtimeTokens([SECRET, OLD])

    assert after.verify(before.issue(principal())).user_id == 7
    assert before.keys == after.keys[1:]
    assert all(len(base64.urlsafe_b64decode(key + "=")) == 32 for key in after.keys)
    assert not {*after.keys} & {*after.proxy_keys}
