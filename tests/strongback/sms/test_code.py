from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select
from structlog.testing import capture_logs

from strongback.config import Settings
from strongback.database import Base, Database, DatabaseMisuse
from strongback.sms import SmsCodes
from strongback.sms.code import ATTEMPTS, Purpose
from strongback.sms.exceptions import (
    PhoneNotServed,
    SmsBudgetSpent,
    SmsLimitReached,
    SmsUnavailable,
)
from strongback.sms.sms_model import SmsQuota
from strongback.testing import empty
from tests.support.sms import ADDRESS, OTHER, PHONE, Desk, another
from tests.support.thread import run_together

pytestmark = pytest.mark.speaks_sql

A_MINUTE = timedelta(seconds=61)
FIVE_MINUTES = timedelta(seconds=301)


@pytest.fixture
def desk(database: Database, settings: Settings) -> Desk:
    return Desk(database, settings)


@pytest.fixture
def crowded(settings: Settings, database_url: str) -> Iterator[Desk]:
    """A desk on each back end whose database has patience for a crowd."""
    patient = {
        "database_url": database_url,
        "database_pool_size": 50,
        "database_timeout": 60,
        "database_query_timeout": 60,
    }
    patient_settings = settings.model_copy(update=patient)
    database = Database(patient_settings)
    empty(database, Base.metadata)
    yield Desk(database, patient_settings)
    database.close()


def desk_with(desk: Desk, settings: Settings, **changes: object) -> Desk:
    """Another process on the same database, with other settings."""
    other = Desk(desk.database, settings.model_copy(update=changes))
    other.handles = desk.handles
    return other


class TestCode:
    def test_has_six_digits_and_is_right_once(self, desk):
        code = desk.ask()
        assert len(code) == 6
        assert code.isdigit()
        assert [desk.is_right(PHONE, code) for _ in range(3)] == [True, False, False]

    def test_differs_from_number_to_number_and_from_time_to_time(self, desk):
        codes = [desk.ask(phone) for phone in (PHONE, OTHER)]
        desk.wait(A_MINUTE)
        codes += [desk.ask(phone) for phone in (PHONE, OTHER)]
        # One accident in four is a matter of a millionth: two are none.
        assert len(set(codes)) >= 3

    def test_is_nowhere_in_the_database(self, desk):
        desk.request(PHONE, ADDRESS)
        (message,) = desk.house.messages()
        desk.house.work()
        code, row = desk.telephones.code(), desk.row()
        assert row is not None
        assert not [value for value in map(str, vars(row).values()) if code in value]
        text = json.dumps(message.payload)
        assert code not in text
        assert PHONE.removeprefix("+86") not in f"{text} {message.key}"

    def test_of_one_number_is_worth_nothing_for_another(self, desk):
        code, other = desk.ask(PHONE), desk.ask(OTHER)
        assert not desk.is_right(OTHER, code if code != other else another(code))
        assert desk.is_right(PHONE, code)

    def test_expires_after_five_minutes(self, desk):
        code = desk.ask()
        desk.wait(timedelta(seconds=290))
        assert desk.is_right(PHONE, code)
        desk.wait(A_MINUTE)
        code = desk.ask()
        desk.wait(FIVE_MINUTES)
        assert not desk.is_right(PHONE, code)

    def test_stays_good_while_others_ask_and_guess(self, desk):
        code, mine = desk.ask(), desk.handles[PHONE]
        for _ in range(ATTEMPTS):
            assert not desk.codes.is_right("0" * 32, PHONE, Purpose.SIGN_IN, code)
        desk.wait(A_MINUTE)
        theirs = desk.ask()
        for _ in range(ATTEMPTS):
            assert not desk.is_right(PHONE, another(theirs))
        assert desk.codes.is_right(mine, PHONE, Purpose.SIGN_IN, code)

    def test_is_good_for_its_own_request_purpose_and_number_alone(self, desk):
        first, handle = desk.ask(), desk.handles[PHONE]
        desk.wait(A_MINUTE)
        second = desk.ask()
        if first == second:  # one accident in a million
            return
        assert not desk.codes.is_right(handle, PHONE, Purpose.SIGN_IN, second)
        assert not desk.codes.is_right(handle, PHONE, Purpose.PHONE, first)
        assert not desk.codes.is_right(handle, OTHER, Purpose.SIGN_IN, first)
        assert desk.codes.is_right(handle, PHONE, Purpose.SIGN_IN, first)

    def test_bears_a_clock_that_was_set_back(self, desk):
        code = desk.ask()
        desk.wait(timedelta(hours=-1))
        assert not desk.is_right(PHONE, code), "it would be good for longer than its life"
        assert len(desk.ask()) == 6, "nobody waits an hour for a minute to pass"

    def test_makes_nobody_wait_longer_than_the_interval(self, desk):
        desk.ask()
        desk.wait(timedelta(seconds=-30))
        with pytest.raises(SmsLimitReached) as caught:
            desk.ask()
        assert 1 <= int(caught.value.headers["Retry-After"]) <= 60

    def test_of_nobody_is_wrong(self, desk):
        assert not desk.is_right(PHONE, "123456")

    def test_bears_five_wrong_tries(self, desk):
        code = desk.ask()
        tries = [desk.is_right(PHONE, another(code)) for _ in range(ATTEMPTS - 1)]
        assert not any(tries)
        assert desk.is_right(PHONE, code)

    def test_is_worth_nothing_after_the_fifth(self, desk):
        code = desk.ask()
        for _ in range(ATTEMPTS):
            desk.is_right(PHONE, another(code))
        assert not desk.is_right(PHONE, code)

    @pytest.mark.parametrize("text", ["", "12345", "1234567", "12345x", "１２３４５６", "٠١٢٣٤٥"])
    def test_slip_costs_no_try(self, desk, text):
        desk.ask()
        assert not desk.is_right(PHONE, text)
        assert desk.row().attempts == 0

    def test_is_not_tried_in_a_transaction_that_could_undo_the_try(self, desk):
        code = desk.ask()
        with pytest.raises(DatabaseMisuse, match="must not be rolled back"):
            desk.database.transact(lambda _: desk.is_right(PHONE, code))

    def test_outlives_a_change_of_the_secret(self, desk, settings):
        code = desk.ask()
        old = settings.app_secret_key.get_secret_value()
        changes = {
            "app_secret_key": SecretStr("n" * 40),
            "app_secret_keys_old": SecretStr(old),
        }
        assert desk_with(desk, settings, **changes).is_right(PHONE, code)

    def test_is_lost_with_the_secret(self, desk, settings):
        code = desk.ask()
        changed = desk_with(desk, settings, app_secret_key=SecretStr("n" * 40))
        assert not changed.is_right(PHONE, code)


class TestLimit:
    def test_a_number_gets_a_code_a_minute(self, desk):
        desk.ask()
        desk.wait(timedelta(seconds=50))
        with pytest.raises(SmsLimitReached) as error:
            desk.ask()
        assert 1 <= int(error.value.headers["Retry-After"]) <= 10
        desk.wait(timedelta(seconds=11))
        desk.ask()
        assert len(desk.telephones.received) == 2

    def test_a_code_that_was_used_gives_no_earlier_one(self, desk):
        desk.is_right(PHONE, desk.ask())
        with pytest.raises(SmsLimitReached):
            desk.ask()

    def test_a_number_gets_so_many_a_day(self, desk, settings):
        desk = desk_with(desk, settings, sms_daily_per_number=2)
        for _ in range(2):
            desk.ask()
            desk.wait(A_MINUTE)
        with pytest.raises(SmsLimitReached) as error:
            desk.ask(address="192.0.2.9")
        assert 1 <= int(error.value.headers["Retry-After"]) <= 86_400
        desk.ask(OTHER)
        desk.wait_a_day()
        desk.ask()

    def test_an_address_asks_for_so_many_a_day(self, desk, settings):
        desk = desk_with(desk, settings, sms_daily_per_address=2)
        desk.ask("+8613800138001")
        desk.ask("+8613800138002")
        with pytest.raises(SmsLimitReached):
            desk.ask("+8613800138003")
        desk.ask("+8613800138003", address="2001:db8::/64")

    def test_everybody_together_gets_so_many_a_day(self, desk, settings):
        desk = desk_with(desk, settings, sms_daily_budget=2)
        desk.ask("+8613800138001", "192.0.2.1")
        desk.ask("+8613800138002", "192.0.2.2")
        with pytest.raises(SmsBudgetSpent):
            desk.ask("+8613800138003", "192.0.2.3")
        desk.wait_a_day()
        desk.ask("+8613800138003", "192.0.2.3")

    def test_what_is_refused_is_not_counted(self, desk, settings):
        desk = desk_with(desk, settings, sms_daily_per_number=2)
        desk.ask()
        for _ in range(5):
            with pytest.raises(SmsLimitReached):
                desk.ask()
        desk.wait(A_MINUTE)
        desk.ask()

    def test_a_refused_request_leaves_the_code_as_it_is(self, desk, settings):
        code = desk.ask()
        poor = desk_with(desk, settings, sms_daily_budget=1)
        desk.wait(A_MINUTE)
        with pytest.raises(SmsBudgetSpent):
            poor.ask()
        assert desk.is_right(PHONE, code)

    def test_countries_are_those_that_are_listed(self, desk, settings):
        with pytest.raises(PhoneNotServed):
            desk.ask("+85291234567")
        desk_with(desk, settings, sms_prefixes=("+86", "+852")).ask("+85291234567")

    def test_counts_name_nobody(self, desk):
        desk.ask()
        with desk.database.scope():
            keys = desk.database.session.scalars(select(SmsQuota.key)).all()
        assert len(keys) == 3
        assert not [key for key in keys if ADDRESS in key or PHONE.removeprefix("+") in key]

    def test_nobody_to_send_it_is_said_before_anything_is_counted(self, desk, settings):
        codes = SmsCodes(desk.database, desk.house.outbox, None, settings)
        with pytest.raises(SmsUnavailable):
            codes.request(PHONE, Purpose.SIGN_IN, ADDRESS)
        assert desk.row() is None


class TestCrowd:
    def test_of_a_thousand_wrong_tries_at_once_five_are_evaluated(self, crowded):
        code = crowded.ask()
        wrong = itertools.cycle(f"{n:06}" for n in range(50_000, 900_000) if f"{n:06}" != code)
        tries = [partial(try_each, crowded, [next(wrong) for _ in range(20)]) for _ in range(50)]
        assert sum(run_together(*tries)) == 0
        assert crowded.row().attempts == ATTEMPTS
        assert not crowded.is_right(PHONE, code)

    def test_of_fifty_right_ones_at_once_one_succeeds(self, crowded):
        code = crowded.ask()
        tries = [partial(crowded.is_right, PHONE, code)] * 50
        assert sum(run_together(*tries)) == 1

    @pytest.mark.parametrize("is_known", [False, True], ids=["first", "later"])
    def test_of_a_hundred_requests_at_once_one_is_sent(self, crowded, is_known):
        if is_known:
            crowded.ask()
            crowded.wait(A_MINUTE)
            crowded.telephones.received.clear()
        answers = run_together(*[partial(granted, crowded, PHONE, ADDRESS)] * 100)
        crowded.house.work()
        assert answers.count(True) == 1
        assert len(crowded.telephones.received) == 1
        assert crowded.is_right(PHONE, crowded.telephones.code())

    def test_a_crowd_does_not_pass_the_budget(self, settings, crowded):
        desk = desk_with(crowded, settings, sms_daily_budget=7)
        phones = [f"+861380013{number:04}" for number in range(40)]
        asks = [
            partial(granted, desk, phone, f"192.0.2.{number}")
            for number, phone in enumerate(phones)
        ]
        assert run_together(*asks).count(True) == 7
        desk.house.work()
        assert len(desk.telephones.received) == 7


def try_each(desk: Desk, codes: list[str]) -> int:
    return sum(desk.is_right(PHONE, code) for code in codes)


def granted(desk: Desk, phone: str, address: str) -> bool:
    try:
        desk.request(phone, address)
    except (SmsLimitReached, SmsBudgetSpent):
        return False
    return True


class TestCleaning:
    def test_deletes_what_has_expired_and_counts_of_earlier_days(self, desk):
        desk.ask(PHONE)
        desk.wait_a_day()
        desk.ask(OTHER)
        assert desk.codes.clean() == 4
        with desk.database.scope():
            left = desk.database.session.scalar(select(func.count()).select_from(SmsQuota))
        assert (desk.row(PHONE), left) == (None, 3)
        assert desk.is_right(OTHER, desk.telephones.code(OTHER))

    def test_forgets_no_limit(self, desk, settings):
        desk = desk_with(desk, settings, sms_daily_per_number=1)
        desk.ask()
        desk.wait(timedelta(hours=1))
        desk.codes.clean()
        with pytest.raises(SmsLimitReached):
            desk.ask()


def test_log_names_neither_number_nor_code(desk):
    with capture_logs() as logs:
        code = desk.ask()
        desk.is_right(PHONE, another(code))
        desk.is_right(PHONE, code)
    events = {entry["event"] for entry in logs}
    assert {"sms_code_requested", "sms_sent", "sms_code_tried", "task_done"} <= events
    text = str(logs)
    assert code not in text
    assert PHONE.removeprefix("+86") not in text
