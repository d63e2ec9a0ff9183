from __future__ import annotations

from datetime import timedelta

import pytest
from structlog.contextvars import bound_contextvars
from structlog.testing import capture_logs

from strongback.config import Settings
from strongback.database import Database
from strongback.outbox import MessageState
from strongback.sms.code import Purpose
from strongback.sms.exceptions import SmsFailed, SmsRefused, SmsTimeout
from tests.support.sms import ADDRESS, PHONE, Desk

pytestmark = pytest.mark.speaks_sql

BUSY = SmsFailed(params={"reason": "busy"})


@pytest.fixture
def desk(database: Database, settings: Settings) -> Desk:
    return Desk(database, settings)


@pytest.mark.parametrize("failure", [BUSY, SmsTimeout()])
def test_message_that_may_be_taken_later_is_tried_again(desk, failure):
    desk.telephones.failures = [failure, failure]
    desk.request(PHONE, ADDRESS)
    for _ in range(3):
        desk.house.work()
        desk.house.wait()
    assert [phone for phone, _ in desk.telephones.received] == [PHONE]
    assert desk.is_right(PHONE, desk.telephones.code())
    assert desk.house.messages() == []


def test_message_that_is_refused_is_not_tried_again(desk):
    desk.telephones.failures = [SmsRefused(params={"reason": "number, wrong"})]
    desk.request(PHONE, ADDRESS)
    for _ in range(3):
        desk.house.work()
        desk.house.wait()
    (message,) = desk.house.messages()
    assert (message.state, message.attempts) == (MessageState.DEAD, 1)
    assert "number, wrong" in (message.error or "")
    assert desk.telephones.received == []


def test_message_whose_receipt_was_lost_is_sent_again_with_the_same_code(desk):
    desk.telephones.lost_receipts = 1
    desk.request(PHONE, ADDRESS)
    for _ in range(2):
        desk.house.work()
        desk.house.wait()
    first, second = desk.telephones.received
    assert first == second
    assert desk.is_right(PHONE, desk.telephones.code())


def test_message_that_was_sent_is_not_sent_by_a_second_delivery(desk):
    desk.ask()
    with desk.database.scope():
        desk.codes.send(desk.row().nonce)
    assert len(desk.telephones.received) == 1


def test_code_that_is_late_is_sent_although_another_was_asked_for(desk):
    desk.telephones.failures = [BUSY]
    desk.request(PHONE, ADDRESS)
    desk.house.work()
    handle = desk.handles[PHONE]
    desk.wait(timedelta(seconds=61))
    desk.ask()
    desk.house.wait()
    desk.house.work()
    # The first to be due is the first to be sent, and on a busy machine both are due by now.
    codes = [code for _, code in desk.telephones.received]
    assert len(codes) == 2
    assert any(desk.codes.is_right(handle, PHONE, Purpose.SIGN_IN, code) for code in codes)


def test_code_that_is_too_late_is_not_sent(desk):
    desk.telephones.failures = [BUSY]
    desk.request(PHONE, ADDRESS)
    desk.house.work()
    desk.wait(timedelta(seconds=301))
    desk.house.wait()
    desk.house.work()
    assert desk.telephones.received == []
    assert desk.house.messages() == []


def test_request_that_asked_is_named_at_the_provider(desk):
    with bound_contextvars(request_id="request-7"):
        desk.request(PHONE, ADDRESS)
    desk.house.work()
    assert desk.telephones.references == ["request-7"]


def test_dead_letter_and_log_name_neither_number_nor_code(desk):
    desk.telephones.failures = [SmsRefused(params={"reason": "number, wrong"})]
    with capture_logs() as logs:
        desk.request(PHONE, ADDRESS)
        desk.house.work()
    (message,) = desk.house.messages()
    kept = f"{message.payload} {message.error} {logs}"
    row = desk.row()
    code = desk.codes._code_of(row)
    assert code is not None
    assert code not in kept
    assert PHONE.removeprefix("+86") not in kept


def test_periodic_task_cleans(desk):
    desk.ask()
    desk.wait(timedelta(seconds=301))
    desk.house.runner.run_periodic("sms:clean")
    assert desk.row() is None
