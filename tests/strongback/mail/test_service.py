from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from strongback.exceptions import ConfigurationError
from strongback.mail import Subscription
from strongback.mail.exceptions import MailFailed, MailRefused
from strongback.mail.mail_task import MAX_ATTEMPTS
from strongback.outbox import MessageState
from tests.support.mail import MailHarness

pytestmark = pytest.mark.speaks_sql

HALF_AN_HOUR = timedelta(minutes=30)
BUSY = MailFailed(params={"reason": "451 busy"})


@pytest.fixture
def harness(kept_database, settings, tmp_path) -> MailHarness:
    return MailHarness(kept_database, settings, tmp_path / "mail")


def test_message_is_sent_after_the_commit_in_text_and_html(harness):
    with harness.database.scope(), pytest.raises(ZeroDivisionError):
        harness.database.transact(lambda _: (harness.emit("never"), 1 / 0))
    harness.emit("<ada>")
    assert harness.box.received == []
    harness.tasks.work()
    (mail,) = harness.box.received
    assert (mail.to, mail.subject) == ("ada@example.org", "For <ada>")
    assert "Hello <ada>" in mail.text
    assert "Hello &lt;ada&gt;" in mail.html


def test_message_that_may_be_taken_later_is_tried_again_under_the_same_id(harness):
    harness.box.failures = [BUSY]
    harness.box.lost_replies = [BUSY]
    harness.emit()
    harness.try_again(3)
    first, second = (mail.message_id for mail in harness.box.received)
    assert first == second
    assert first.startswith("<")
    assert first.endswith("@localhost>")
    assert harness.tasks.messages() == []
    harness.emit()
    harness.tasks.work()
    assert harness.box.received[-1].message_id != first


def test_attempts_are_bounded(harness):
    harness.box.failures = [BUSY] * (MAX_ATTEMPTS + 1)
    harness.emit()
    harness.try_again(MAX_ATTEMPTS + 2)
    (message,) = harness.tasks.messages()
    assert (message.state, message.attempts) == (MessageState.DEAD, MAX_ATTEMPTS)


def test_refused_message_is_not_tried_again(harness):
    harness.box.failures = [MailRefused(params={"reason": "550 nobody"})]
    harness.emit()
    harness.try_again(3)
    (message,) = harness.tasks.messages()
    assert (message.state, message.attempts) == (MessageState.DEAD, 1)
    assert "550 nobody" in (message.error or "")
    assert harness.box.received == []


def test_mail_that_waits_holds_up_nothing_else(harness: MailHarness) -> None:
    done: list[int] = []

    @harness.tasks.group.consumer("other", on="test:other")
    def other(_: object) -> None:
        done.append(1)

    harness.tasks.open()
    harness.box.failures = [BUSY] * 20
    for _ in range(10):
        harness.emit()
    with harness.database.scope():
        harness.database.transact(lambda _: harness.tasks.outbox.emit("test:other", {}))
    harness.tasks.work()
    assert done == [1]
    assert harness.box.received == []


@pytest.mark.parametrize("name", ["a\r\nBcc: eve", "\u202eada", "x" * 10_000, "a\0\ud800b"])
def test_texts_in_a_message_are_one_line(harness, name):
    harness.emit(name)
    harness.tasks.work()
    (mail,) = harness.box.received
    assert "\n" not in mail.subject
    assert not {"\u202e", "\0", "\r"} & set(mail.text)
    assert len(mail.text) < 1000


def test_log_shows_no_whole_address(harness):
    with capture_logs() as logs:
        harness.emit()
        harness.tasks.work()
    assert "ada@" not in str(logs)


class TestBound:
    def test_an_address_has_a_share_for_each_hour(self, harness):
        harness.mails.quotas._limit = 2
        assert [harness.emit() for _ in range(3)] == [True, True, False]
        assert harness.emit(to="ADA@example.org") is False
        assert harness.emit(to="bob@example.org") is True

    def test_notifications_take_nothing_from_messages_about_the_account(self, harness):
        harness.mails.quotas._limit = 1
        notice = {"subscription": Subscription(1, "comment")}
        assert [harness.emit(**notice) for _ in range(2)] == [True, False]
        assert harness.emit() is True

    def test_counts_are_forgotten(self, harness):
        harness.mails.quotas._limit = 1
        harness.emit()
        with harness.database.scope():
            assert harness.mails.quotas.clean() == 0
        assert harness.emit() is False


class TestLink:
    def test_begins_with_the_public_address(self, harness):
        with harness.database.scope():
            nonce = harness.tokens.issue("test", 1, "", HALF_AN_HOUR)
        harness.emit(path="/account/x", nonce=nonce)
        (message,) = harness.tasks.messages()
        with harness.database.scope():
            token = harness.tokens.token(nonce)
        assert token not in str(message.payload)
        harness.tasks.work()
        assert f"https://shop.example.org/account/x?token={token}" in harness.box.received[0].text

    def test_that_has_expired_is_not_sent(self, harness):
        with harness.database.scope():
            nonce = harness.tokens.issue("test", 1, "", HALF_AN_HOUR)
        harness.emit(path="/account/x", nonce=nonce)
        harness.expire_tokens()
        harness.tasks.work()
        assert harness.box.received == []
        assert harness.tasks.messages() == []


class TestUnsubscribing:
    def test_notification_has_the_headers_and_the_link(self, harness):
        harness.emit(subscription=Subscription(7, "comment"))
        harness.tasks.work()
        (mail,) = harness.box.received
        link = mail.headers["List-Unsubscribe"]
        assert link.startswith("<https://shop.example.org/api/off?token=")
        assert mail.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert "https://shop.example.org/off?token=" in mail.text
        assert "https://shop.example.org/off?token=" in mail.html
        token = link.partition("token=")[2].rstrip(">")
        assert harness.unsubscriptions.find(token) == Subscription(7, "comment")

    def test_message_about_the_account_has_none(self, harness):
        harness.emit()
        harness.tasks.work()
        (mail,) = harness.box.received
        assert mail.headers == {}
        assert "/off" not in mail.text


class TestTemplates:
    def test_missing_one_is_refused_where_it_is_named(self, harness):
        with harness.database.scope(), pytest.raises(ConfigurationError, match=r"nothing\.txt"):
            harness.mails.emit("nothing", "ada@example.org", "en", {})

    def test_two_of_one_name_are_refused(self, harness, tmp_path):
        (tmp_path / "more").mkdir()
        (tmp_path / "more" / "hello.txt").write_text("")
        with pytest.raises(ConfigurationError, match=r"hello\.txt"):
            harness.templates.add(tmp_path / "more")

    @pytest.mark.parametrize(
        "locale, subject",
        [("en", "Mail of Shop works"), ("zh", "Shop 的邮件功能正常"), ("xx", "Mail of Shop works")],
    )
    def test_language_is_the_persons(self, harness, locale, subject):
        data = {"at": "2026-03-01T12:30:00+02:00", "link": "", "unsubscribe_link": ""}
        parts = harness.templates.render("test", locale, data)
        assert parts.subject == subject
        assert "2026-03-01 10:30 UTC" in parts.text
        assert "2026-03-01 10:30 UTC" in parts.html

    def test_times_are_in_utc(self, harness):
        moment = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
        data = {"at": moment, "link": "", "unsubscribe_link": ""}
        assert "12:30 UTC" in harness.templates.render("test", "en", data).text
