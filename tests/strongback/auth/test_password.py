from __future__ import annotations

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError
from sqlalchemy import select, update

from app.user.model import User
from strongback.auth.password import (
    COMMON,
    hash_password,
    needs_rehash,
    normalize_password,
    require_good,
    verify_password,
)
from strongback.exceptions import ValidationFailed
from strongback.migration.runner import upgrade
from tests.support.sign_in import PASSWORD, Client, client, sqlite_client

__all__ = ["client", "sqlite_client"]


def test_a_password_makes_its_own_hash_and_no_other():
    stored = hash_password("correct horse")
    assert verify_password(stored, "correct horse")
    assert not verify_password(stored, "correct client")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_one_password_typed_on_two_keyboards_is_one():
    assert verify_password(hash_password("Ａｄａ ﬁne é"), "Ada fine e\u0301")


def test_a_lone_surrogate_is_a_wrong_password_and_no_defect():
    assert not verify_password(hash_password("correct horse"), "\ud800")


def test_without_a_hash_a_check_fails_and_takes_as_long(monkeypatch):
    """The work of a check is its hash's parameters."""
    stored, checked = hash_password("correct horse"), []
    verify = PasswordHasher.verify

    def check(hasher: PasswordHasher, value: str, password: str) -> bool:
        with pytest.raises(VerifyMismatchError) as caught:  # compared, and not refused by its form
            verify(hasher, value, password)
        checked.append(extract_parameters(value))
        raise caught.value

    monkeypatch.setattr(PasswordHasher, "verify", check)
    assert not verify_password(stored, "wrong")
    assert not verify_password(None, "wrong")
    assert checked == [extract_parameters(stored)] * 2


def test_a_damaged_hash_is_a_wrong_password():
    assert not verify_password("not a hash", "correct horse")


def test_length_counts_characters_after_normalising():
    require_good("é" * 128, "body.password", ["ada"])
    require_good("e\u0301" * 128, "body.password", ["ada"])  # each pair becomes one
    for password in ("e\u0301" * 7, "x" * 129):
        with pytest.raises(ValidationFailed):
            require_good(password, "body.password", ["ada"])


WORDS = ("Strongback", "ada_lovelace", "countess.ada")


@pytest.mark.parametrize(
    "password",
    [
        "strongback",
        "Strongback2026!",
        "strongback strongback",
        "adalovelace",
        "Ada_Lovelace1815",
        "lovelace-strongback",
        "countessada",
        "ＳＴＲＯＮＧＢＡＣＫ",
        "strong\u200bback",
        "kcabgnorts",
        "ecalevol-ada!",
        "str0ngb@ck",
        "5tr0ngB4ck!2026",
        "@d@_l0ve1@ce",
        "kc4bgn0r7s",
    ],
)
def test_what_is_at_hand_for_whoever_guesses_is_refused(password: str):
    with pytest.raises(ValidationFailed):
        require_good(password, "body.password", WORDS)


@pytest.mark.parametrize(
    "password",
    [
        "strongback is laid",
        "difference engine 2",
        "str0ngback is la1d",
        "adamant lovelace",
        "20261126",
        "!" * 9,
    ],
)
def test_what_merely_holds_such_a_word_is_taken(password: str):
    require_good(password, "body.password", ("Strongback", "ada", "ada", ""))


@pytest.mark.parametrize(
    "password",
    [
        " " * 8,
        "\u3000" * 9,
        "\u200b" * 12,
        "\u2800" * 8,
        "\u3164" * 8,
        "\ufe0f" * 8,
        "\u00ad\u2060\ufeff\u200d" * 3,
        "\t\n\r\x00\x1b\u202e  ",
        "a" + "\u200b" * 10,
        "pass\u200bword",
        "x" + " " * 20 + "y",
        "\U000e0020" * 8,
    ],
)
def test_what_cannot_be_seen_is_refused(password: str):
    with pytest.raises(ValidationFailed):
        require_good(password, "body.password", ["ada"])


@pytest.mark.parametrize(
    "password", ["👩‍👩‍👧‍👦❤️🏠🌳🌞🎈🚀🍵", "四个字的密码不够长", "ünïcödé páss", "क्षत्रिय धर्म"]
)
def test_any_script_is_taken(password: str):
    require_good(password, "body.password", ["ada"])


def test_the_list_of_common_passwords_holds_what_length_alone_lets_through():
    lines = [line for line in COMMON.read_text().splitlines() if not line.startswith("#")]
    assert 3000 <= len(lines) == len(set(lines))
    assert {"password", "12345678", "qwertyuiop", "iloveyou", "woaini1314"} <= set(lines)
    assert [line for line in lines if len(line) < 8 or line != normalize_password(line)] == []
    assert [line for line in lines if line != line.casefold()] == []


@pytest.mark.speaks_sql
def test_signing_in_brings_an_old_hash_up_to_date(client: Client):
    client.account("ada")
    weak = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD)
    with client.database.scope():
        client.database.transact(
            lambda session: session.execute(update(User).values(password_hash=weak))
        )
    assert needs_rehash(weak)
    assert client.sign_in("ada")
    with client.database.scope():
        stored = client.database.session.scalars(select(User.password_hash)).one()
    assert stored is not None
    assert not needs_rehash(stored)
    assert client.sign_in("ada")


@pytest.mark.parametrize("password", ["password", "short"])
def test_the_command_line_has_the_same_rules(sqlite_client: Client, password: str):
    sqlite_client.database.close()
    (sqlite_client.settings.app_var_dir / "app.db").unlink()
    upgrade(sqlite_client.app)
    arguments = ["user", "create", "ada", "--password", password]
    result = sqlite_client.app.test_cli_runner().invoke(args=arguments)
    assert result.exit_code != 0
    assert "Use" in result.output
