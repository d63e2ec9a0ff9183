from __future__ import annotations

from datetime import timedelta

import pytest
from structlog.contextvars import bound_contextvars
from structlog.testing import capture_logs

from strongback.config import Settings
from strongback.database import Database
from strongback.outbox import MessageState
from strongback.sms.code import CodePurpose
from strongback.sms.exceptions import SmsFailed, SmsRefused, SmsTimeout
from tests.support.sms import ADDRESS, PHONE, CodesHarness

pytestmark = pytest.mark.speaks_sql

BUSY = SmsFailed(params={"reason": "busy"})


@pytest.fixture
def harness(kept_database: Database, settings: Settings) -> CodesHarness:
    return CodesHarness(kept_database, settings)


@pytest.mark.parametrize("failure", [BUSY, SmsTimeout()])
def test_message_that_may_be_taken_later_is_tried_again(harness, failure):
    harness.telephones.failures = [failure, failure]
    harness.request(PHONE, ADDRESS)
    for _ in range(3):
        harness.tasks.work()
        harness.tasks.wait()
    assert [phone for phone, _ in harness.telephones.received] == [PHONE]
    assert harness.is_right(PHONE, harness.telephones.code())
    assert harness.tasks.messages() == []


def test_message_that_is_refused_is_not_tried_again(harness):
    harness.telephones.failures = [SmsRefused(params={"reason": "number, wrong"})]
    harness.request(PHONE, ADDRESS)
    for _ in range(3):
        harness.tasks.work()
        harness.tasks.wait()
    (message,) = harness.tasks.messages()
    assert (message.state, message.attempts) == (MessageState.DEAD, 1)
    assert "number, wrong" in (message.error or "")
    assert harness.telephones.received == []


def test_message_whose_receipt_was_lost_is_sent_again_with_the_same_code(harness):
    harness.telephones.lost_receipts = 1
    harness.request(PHONE, ADDRESS)
    for _ in range(2):
        harness.tasks.work()
        harness.tasks.wait()
    first, second = harness.telephones.received
    assert first == second
    assert harness.is_right(PHONE, harness.telephones.code())


def test_message_that_was_sent_is_not_sent_by_a_second_delivery(harness):
    harness.ask()
    with harness.database.scope():
        harness.codes.send(harness.row().nonce)
    assert len(harness.telephones.received) == 1


def test_code_that_is_late_is_sent_although_another_was_asked_for(harness):
    harness.telephones.failures = [BUSY]
    harness.request(PHONE, ADDRESS)
    harness.tasks.work()
    handle = harness.handles[PHONE]
    harness.wait(timedelta(seconds=61))
    harness.ask()
    harness.tasks.wait()
    harness.tasks.work()
    # The first to be due is the first to be sent, and on a busy machine both are due by now.
    codes = [code for _, code in harness.telephones.received]
    assert len(codes) == 2
    assert any(harness.codes.is_right(handle, PHONE, CodePurpose.SIGN_IN, code) for code in codes)


def test_code_that_is_too_late_is_not_sent(harness):
    harness.telephones.failures = [BUSY]
    harness.request(PHONE, ADDRESS)
    harness.tasks.work()
    harness.wait(timedelta(seconds=301))
    harness.tasks.wait()
    harness.tasks.work()
    assert harness.telephones.received == []
    assert harness.tasks.messages() == []


def test_request_that_asked_is_named_at_the_provider(harness):
    with bound_contextvars(request_id="request-7"):
        harness.request(PHONE, ADDRESS)
    harness.tasks.work()
    assert harness.telephones.references == ["request-7"]


def test_dead_letter_and_log_name_neither_number_nor_code(harness):
    harness.telephones.failures = [SmsRefused(params={"reason": "number, wrong"})]
    with capture_logs() as logs:
        harness.request(PHONE, ADDRESS)
        harness.tasks.work()
    (message,) = harness.tasks.messages()
    kept = f"{message.payload} {message.error} {logs}"
    row = harness.row()
    code = harness.codes._code_of(row)
    assert code is not None
    assert code not in kept
    assert PHONE.removeprefix("+86") not in kept


def test_periodic_task_cleans(harness):
    harness.ask()
    harness.wait(timedelta(seconds=301))
    harness.tasks.runner.run_periodic("sms:clean")
    assert harness.row() is None
