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
from strongback.sms.code import ATTEMPTS, CodePurpose
from strongback.sms.exceptions import (
    PhoneNotServed,
    SmsBudgetSpent,
    SmsLimitReached,
    SmsUnavailable,
)
from strongback.sms.sms_model import SmsQuota
from strongback.testing import empty
from tests.support.sms import ADDRESS, OTHER, PHONE, CodesHarness, another
from tests.support.thread import run_together

pytestmark = pytest.mark.speaks_sql

A_MINUTE = timedelta(seconds=61)
FIVE_MINUTES = timedelta(seconds=301)


@pytest.fixture
def harness(kept_database: Database, settings: Settings) -> CodesHarness:
    return CodesHarness(kept_database, settings)


@pytest.fixture
def crowded(settings: Settings, database_url: str) -> Iterator[CodesHarness]:
    """A harness on each back end whose database has patience for a crowd."""
    patient = {
        "database_url": database_url,
        "database_pool_size": 50,
        "database_timeout": 60,
        "database_query_timeout": 60,
    }
    patient_settings = settings.model_copy(update=patient)
    database = Database(patient_settings)
    empty(database, Base.metadata)
    yield CodesHarness(database, patient_settings)
    database.close()


def harness_with(harness: CodesHarness, settings: Settings, **changes: object) -> CodesHarness:
    """Another process on the same database, with other settings."""
    other = CodesHarness(harness.database, settings.model_copy(update=changes))
    other.handles = harness.handles
    return other


class TestCode:
    def test_has_six_digits_and_is_right_once(self, harness):
        code = harness.ask()
        assert len(code) == 6
        assert code.isdigit()
        assert [harness.is_right(PHONE, code) for _ in range(3)] == [True, False, False]

    def test_differs_from_number_to_number_and_from_time_to_time(self, harness):
        codes = [harness.ask(phone) for phone in (PHONE, OTHER)]
        harness.wait(A_MINUTE)
        codes += [harness.ask(phone) for phone in (PHONE, OTHER)]
        # One accident in four is a matter of a millionth: two are none.
        assert len(set(codes)) >= 3

    def test_is_nowhere_in_the_database(self, harness):
        harness.request(PHONE, ADDRESS)
        (message,) = harness.tasks.messages()
        harness.tasks.work()
        code, row = harness.telephones.code(), harness.row()
        assert row is not None
        assert not [value for value in map(str, vars(row).values()) if code in value]
        text = json.dumps(message.payload)
        assert code not in text
        assert PHONE.removeprefix("+86") not in f"{text} {message.key}"

    def test_of_one_number_is_worth_nothing_for_another(self, harness):
        code, other = harness.ask(PHONE), harness.ask(OTHER)
        assert not harness.is_right(OTHER, code if code != other else another(code))
        assert harness.is_right(PHONE, code)

    def test_expires_after_five_minutes(self, harness):
        code = harness.ask()
        harness.wait(timedelta(seconds=290))
        assert harness.is_right(PHONE, code)
        harness.wait(A_MINUTE)
        code = harness.ask()
        harness.wait(FIVE_MINUTES)
        assert not harness.is_right(PHONE, code)

    def test_stays_good_while_others_ask_and_guess(self, harness):
        code, mine = harness.ask(), harness.handles[PHONE]
        for _ in range(ATTEMPTS):
            assert not harness.codes.is_right("0" * 32, PHONE, CodePurpose.SIGN_IN, code)
        harness.wait(A_MINUTE)
        theirs = harness.ask()
        for _ in range(ATTEMPTS):
            assert not harness.is_right(PHONE, another(theirs))
        assert harness.codes.is_right(mine, PHONE, CodePurpose.SIGN_IN, code)

    def test_is_good_for_its_own_request_purpose_and_number_alone(self, harness):
        first, handle = harness.ask(), harness.handles[PHONE]
        harness.wait(A_MINUTE)
        second = harness.ask()
        if first == second:  # one accident in a million
            return
        assert not harness.codes.is_right(handle, PHONE, CodePurpose.SIGN_IN, second)
        assert not harness.codes.is_right(handle, PHONE, CodePurpose.PHONE, first)
        assert not harness.codes.is_right(handle, OTHER, CodePurpose.SIGN_IN, first)
        assert harness.codes.is_right(handle, PHONE, CodePurpose.SIGN_IN, first)

    def test_bears_a_clock_that_was_set_back(self, harness):
        code = harness.ask()
        harness.wait(timedelta(hours=-1))
        assert not harness.is_right(PHONE, code), "it would be good for longer than its life"
        assert len(harness.ask()) == 6, "nobody waits an hour for a minute to pass"

    def test_makes_nobody_wait_longer_than_the_interval(self, harness):
        harness.ask()
        harness.wait(timedelta(seconds=-30))
        with pytest.raises(SmsLimitReached) as caught:
            harness.ask()
        assert 1 <= int(caught.value.headers["Retry-After"]) <= 60

    def test_of_nobody_is_wrong(self, harness):
        assert not harness.is_right(PHONE, "123456")

    def test_bears_five_wrong_tries(self, harness):
        code = harness.ask()
        tries = [harness.is_right(PHONE, another(code)) for _ in range(ATTEMPTS - 1)]
        assert not any(tries)
        assert harness.is_right(PHONE, code)

    def test_is_worth_nothing_after_the_fifth(self, harness):
        code = harness.ask()
        for _ in range(ATTEMPTS):
            harness.is_right(PHONE, another(code))
        assert not harness.is_right(PHONE, code)

    def test_slip_costs_no_try(self, harness):
        harness.ask()
        for text in ("", "12345", "1234567", "12345x", "１２３４５６", "٠١٢٣٤٥"):
            assert not harness.is_right(PHONE, text)
            assert harness.row().attempts == 0, text

    def test_is_not_tried_in_a_transaction_that_could_undo_the_try(self, harness):
        code = harness.ask()
        with pytest.raises(DatabaseMisuse, match="must not be rolled back"):
            harness.database.transact(lambda _: harness.is_right(PHONE, code))

    def test_outlives_a_change_of_the_secret(self, harness, settings):
        code = harness.ask()
        old = settings.app_secret_key.get_secret_value()
        changes = {
            "app_secret_key": SecretStr("n" * 40),
            "app_secret_keys_old": SecretStr(old),
        }
        assert harness_with(harness, settings, **changes).is_right(PHONE, code)

    def test_is_lost_with_the_secret(self, harness, settings):
        code = harness.ask()
        changed = harness_with(harness, settings, app_secret_key=SecretStr("n" * 40))
        assert not changed.is_right(PHONE, code)


class TestLimit:
    def test_a_number_gets_a_code_a_minute(self, harness):
        harness.ask()
        harness.wait(timedelta(seconds=50))
        with pytest.raises(SmsLimitReached) as error:
            harness.ask()
        assert 1 <= int(error.value.headers["Retry-After"]) <= 10
        harness.wait(timedelta(seconds=11))
        harness.ask()
        assert len(harness.telephones.received) == 2

    def test_a_code_that_was_used_gives_no_earlier_one(self, harness):
        harness.is_right(PHONE, harness.ask())
        with pytest.raises(SmsLimitReached):
            harness.ask()

    def test_a_number_gets_so_many_a_day(self, harness, settings):
        harness = harness_with(harness, settings, sms_daily_per_number=2)
        for _ in range(2):
            harness.ask()
            harness.wait(A_MINUTE)
        with pytest.raises(SmsLimitReached) as error:
            harness.ask(address="192.0.2.9")
        assert 1 <= int(error.value.headers["Retry-After"]) <= 86_400
        harness.ask(OTHER)
        harness.wait_a_day()
        harness.ask()

    def test_an_address_asks_for_so_many_a_day(self, harness, settings):
        harness = harness_with(harness, settings, sms_daily_per_address=2)
        harness.ask("+8613800138001")
        harness.ask("+8613800138002")
        with pytest.raises(SmsLimitReached):
            harness.ask("+8613800138003")
        harness.ask("+8613800138003", address="2001:db8::/64")

    def test_everybody_together_gets_so_many_a_day(self, harness, settings):
        harness = harness_with(harness, settings, sms_daily_budget=2)
        harness.ask("+8613800138001", "192.0.2.1")
        harness.ask("+8613800138002", "192.0.2.2")
        with pytest.raises(SmsBudgetSpent):
            harness.ask("+8613800138003", "192.0.2.3")
        harness.wait_a_day()
        harness.ask("+8613800138003", "192.0.2.3")

    def test_what_is_refused_is_not_counted(self, harness, settings):
        harness = harness_with(harness, settings, sms_daily_per_number=2)
        harness.ask()
        for _ in range(5):
            with pytest.raises(SmsLimitReached):
                harness.ask()
        harness.wait(A_MINUTE)
        harness.ask()

    def test_a_refused_request_leaves_the_code_as_it_is(self, harness, settings):
        code = harness.ask()
        poor = harness_with(harness, settings, sms_daily_budget=1)
        harness.wait(A_MINUTE)
        with pytest.raises(SmsBudgetSpent):
            poor.ask()
        assert harness.is_right(PHONE, code)

    def test_countries_are_those_that_are_listed(self, harness, settings):
        with pytest.raises(PhoneNotServed):
            harness.ask("+85291234567")
        harness_with(harness, settings, sms_prefixes=("+86", "+852")).ask("+85291234567")

    def test_counts_name_nobody(self, harness):
        harness.ask()
        with harness.database.scope():
            keys = harness.database.session.scalars(select(SmsQuota.key)).all()
        assert len(keys) == 3
        assert not [key for key in keys if ADDRESS in key or PHONE.removeprefix("+") in key]

    def test_nobody_to_send_it_is_said_before_anything_is_counted(self, harness, settings):
        codes = SmsCodes(harness.database, harness.tasks.outbox, None, settings)
        with pytest.raises(SmsUnavailable):
            codes.request(PHONE, CodePurpose.SIGN_IN, ADDRESS)
        assert harness.row() is None


class TestCrowd:
    @pytest.fixture
    def size(self, is_long) -> int:
        return 50 if is_long else 20

    def test_of_many_wrong_tries_at_once_five_are_evaluated(self, crowded, size):
        code, each = crowded.ask(), size * 2 // 5
        wrong = itertools.cycle(f"{n:06}" for n in range(50_000, 900_000) if f"{n:06}" != code)
        tries = [
            partial(try_each, crowded, [next(wrong) for _ in range(each)]) for _ in range(size)
        ]
        assert sum(run_together(*tries)) == 0
        assert crowded.row().attempts == ATTEMPTS
        assert not crowded.is_right(PHONE, code)

    def test_of_many_right_ones_at_once_one_succeeds(self, crowded, size):
        code = crowded.ask()
        tries = [partial(crowded.is_right, PHONE, code)] * size
        assert sum(run_together(*tries)) == 1

    @pytest.mark.parametrize("is_known", [False, True], ids=["first", "later"])
    def test_of_many_requests_at_once_one_is_sent(self, crowded, size, is_known):
        if is_known:
            crowded.ask()
            crowded.wait(A_MINUTE)
            crowded.telephones.received.clear()
        answers = run_together(*[partial(granted, crowded, PHONE, ADDRESS)] * (2 * size))
        crowded.tasks.work()
        assert answers.count(True) == 1
        assert len(crowded.telephones.received) == 1
        assert crowded.is_right(PHONE, crowded.telephones.code())

    def test_a_crowd_does_not_pass_the_budget(self, settings, crowded, size):
        harness = harness_with(crowded, settings, sms_daily_budget=7)
        phones = [f"+861380013{number:04}" for number in range(size)]
        asks = [
            partial(granted, harness, phone, f"192.0.2.{number}")
            for number, phone in enumerate(phones)
        ]
        assert run_together(*asks).count(True) == 7
        harness.tasks.work()
        assert len(harness.telephones.received) == 7


def try_each(harness: CodesHarness, codes: list[str]) -> int:
    return sum(harness.is_right(PHONE, code) for code in codes)


def granted(harness: CodesHarness, phone: str, address: str) -> bool:
    try:
        harness.request(phone, address)
    except (SmsLimitReached, SmsBudgetSpent):
        return False
    return True


class TestCleaning:
    def test_deletes_what_has_expired_and_counts_of_earlier_days(self, harness):
        harness.ask(PHONE)
        harness.wait_a_day()
        harness.ask(OTHER)
        assert harness.codes.clean() == 4
        with harness.database.scope():
            left = harness.database.session.scalar(select(func.count()).select_from(SmsQuota))
        assert (harness.row(PHONE), left) == (None, 3)
        assert harness.is_right(OTHER, harness.telephones.code(OTHER))

    def test_forgets_no_limit(self, harness, settings):
        harness = harness_with(harness, settings, sms_daily_per_number=1)
        harness.ask()
        harness.wait(timedelta(hours=1))
        harness.codes.clean()
        with pytest.raises(SmsLimitReached):
            harness.ask()


def test_log_names_neither_number_nor_code(harness):
    with capture_logs() as logs:
        code = harness.ask()
        harness.is_right(PHONE, another(code))
        harness.is_right(PHONE, code)
    events = {entry["event"] for entry in logs}
    assert {"sms_code_requested", "sms_sent", "sms_code_tried", "task_done"} <= events
    text = str(logs)
    assert code not in text
    assert PHONE.removeprefix("+86") not in text
