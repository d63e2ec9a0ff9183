"""Each way: what comes, to whom, and that the failure of one does not touch the others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.core.config import Settings
from strongback.exceptions import ConfigurationError
from strongback.notification import Kind, Kinds, Way
from tests.strongback.notification.conftest import (
    BREWED,
    PEOPLE,
    SERVED,
    SPILLED,
    Teahouse,
    open_teahouse,
)
from tests.support.smtp import SmtpServer, run_smtp
from tests.support.tencent import Tencent, run_tencent
from tests.support.work import make_due, messages

EVE = "eve@example.org"


class TestRealtime:
    def test_tells_of_a_new_one_with_the_number_of_the_unread(self, teahouse):
        for number in range(2):
            teahouse.send(subject=f"tea:{number}")
            teahouse.deliver()
        first, second = teahouse.received("eve")
        assert (first["type"], first["unread"], second["unread"]) == ("notification", 1, 2)
        shown = second["notification"]
        assert shown["texts"]["en"] == "ada brewed 2 cups of “Oolong”."
        assert (shown["kind"], shown["subject"], shown["read_at"]) == (BREWED.name, "tea:1", None)
        assert shown["created_at"].endswith("Z")

    def test_tells_of_what_was_read(self, teahouse):
        for number in range(2):
            teahouse.send(subject=f"tea:{number}")
        teahouse.deliver()
        ids = [each["notification"]["id"] for each in teahouse.received("eve")]
        teahouse.read("eve", ids[0])
        teahouse.deliver()
        event = teahouse.received("eve")[-1]
        assert event == {"type": "notification:read", "ids": ids[:1], "unread": 1}

    def test_reading_what_is_read_tells_nothing(self, teahouse):
        teahouse.send()
        teahouse.deliver()
        number = teahouse.received("eve")[0]["notification"]["id"]
        for _ in range(2):
            teahouse.read("eve", number)
            teahouse.deliver()
        assert len(teahouse.received("eve")) == 2

    def test_is_silent_when_it_is_switched_off(self, teahouse):
        teahouse.switch("eve", BREWED, realtime=False)
        teahouse.send(to=["eve", "bob"])
        teahouse.deliver()
        assert (teahouse.received("eve"), len(teahouse.received("bob"))) == ([], 1)
        assert teahouse.told(listed=True) == [(2, "tea:1"), (3, "tea:1")]

    def test_arrives_without_the_inbox(self, teahouse):
        teahouse.switch("eve", BREWED, inbox=False)
        teahouse.send()
        teahouse.deliver()
        assert [each["unread"] for each in teahouse.received("eve")] == [0]


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with run_smtp() as server:
        yield server


@pytest.fixture
def tencent() -> Iterator[Tencent]:
    with run_tencent() as server:
        yield server


@pytest.fixture
def post(settings: Settings, smtp: SmtpServer, tencent: Tencent) -> Iterator[Teahouse]:
    """A teahouse with a real SMTP server and a provider of text messages."""
    options = smtp.settings() | tencent.settings | {"sms_daily_per_number": 3}
    teahouse = open_teahouse(settings, **options)
    yield teahouse
    teahouse.app.close()


class TestMail:
    def test_goes_to_proven_addresses_alone(self, post, smtp):
        post.send(SERVED, to=["eve", "bob"])
        post.deliver()
        assert smtp.recipients == [EVE]
        (mail,) = smtp.taken
        assert mail["Subject"] == "Tea from ada"
        assert "ada served you “Oolong”. Drink it while it is hot." in smtp.text()
        assert "https://shop.example.org/teas/Oolong" in smtp.text()

    def test_can_be_ended_by_one_click_and_by_nobody_else(self, post, smtp):
        post.send()
        post.deliver()
        header = str(smtp.taken[0]["List-Unsubscribe"])
        path = header.strip("<>").removeprefix("https://shop.example.org")
        client = post.app.test_client()
        form = {"List-Unsubscribe": "One-Click"}
        assert client.get(path).status_code == 303
        assert client.post(path, data=form).status_code == 204
        assert client.post(path, data=form).status_code == 204
        post.send(subject="tea:2")
        post.send(SERVED)
        post.deliver()
        assert [mail["Subject"] for mail in smtp.taken[1:]] == ["Tea from ada"]
        assert len(post.told(listed=True)) == 3

    def test_about_security_has_no_way_out(self, post, smtp):
        post.send(SPILLED, actor=None)
        post.deliver()
        assert smtp.taken[0]["List-Unsubscribe"] is None

    def test_is_silent_when_it_is_switched_off(self, post, smtp):
        post.switch("eve", BREWED, mail=False)
        post.send()
        post.deliver()
        assert (smtp.taken, post.told()) == ([], [(3, "tea:1")])


class TestSms:
    def test_is_off_until_it_is_switched_on(self, post, tencent):
        post.send(SERVED)
        post.deliver()
        assert tencent.messages == []
        post.switch("eve", SERVED, sms=True)
        post.send(SERVED, "tea:2", to=["eve", "bob"])
        post.deliver()
        (message,) = tencent.messages
        assert message["PhoneNumberSet"] == ["+8613800138003"]
        assert (message["TemplateId"], message["TemplateParamSet"]) == ("2002", ["ada", "Oolong"])

    def test_that_may_have_been_sent_is_not_sent_again(self, post, tencent, monkeypatch):
        monkeypatch.setattr("strongback.sms.tencent.TIMEOUT", 0.1)
        tencent.delay = 0.3
        post.switch("eve", SERVED, sms=True)
        post.send(SERVED)
        post.deliver()
        (message,) = messages(post.app, "notification:sms")
        assert message.state == "dead"

    def test_has_a_limit_of_its_own_for_a_number(self, post, tencent):
        post.switch("eve", SERVED, sms=True)
        limit = post.app.settings.sms_daily_per_number
        for number in range(limit + 2):
            post.send(SERVED, f"tea:{number}")
        post.deliver()
        assert len(tencent.messages) == limit

    @pytest.mark.parametrize(
        "templates, lacking",
        [(None, "en, zh"), ({}, "en, zh"), ({"zh": "2"}, "en"), ({"en": "1"}, "zh")],
    )
    def test_needs_an_approved_template_for_each_language(self, templates, lacking):
        kinds, chinese = Kinds(), {"Tea is cold.": "茶凉了。"}
        kinds.add(
            Kind(
                "tea:cold",
                about="-",
                text="Tea is cold.",
                ways=(Way.SMS,),
                sms_templates=templates,
            )
        )

        def translate(text: str, locale: str) -> str:
            return chinese.get(text, text) if locale == "zh" else text

        with pytest.raises(ConfigurationError, match=f"no approved template for {lacking}$"):
            kinds.check(["en", "zh"], translate)


class TestOutage:
    """A provider that is down delays its own way only."""

    def arrived(self, post: Teahouse, smtp: SmtpServer, tencent: Tencent) -> dict[str, int]:
        return {
            "inbox": len(post.told(listed=True)),
            "realtime": len(post.received("eve")),
            "mail": len(smtp.taken),
            "sms": len(tencent.messages),
        }

    def send(self, post: Teahouse) -> None:
        post.switch("eve", SERVED, sms=True)
        post.send(SERVED)
        post.deliver()

    def test_of_mail(self, post, smtp, tencent):
        smtp.replies = ["451 Later"]
        self.send(post)
        assert self.arrived(post, smtp, tencent) == {"inbox": 1, "realtime": 1, "mail": 0, "sms": 1}
        make_due(post.app)
        post.deliver()
        assert self.arrived(post, smtp, tencent) == {"inbox": 1, "realtime": 1, "mail": 1, "sms": 1}

    def test_of_text_messages(self, post, smtp, tencent):
        tencent.request_error = "InternalError"
        self.send(post)
        assert self.arrived(post, smtp, tencent) == {"inbox": 1, "realtime": 1, "mail": 1, "sms": 0}
        tencent.request_error = None
        make_due(post.app)
        post.deliver()
        assert self.arrived(post, smtp, tencent) == {"inbox": 1, "realtime": 1, "mail": 1, "sms": 1}

    def test_of_redis(self, settings, smtp, tencent, redis_server):
        options = smtp.settings() | tencent.settings
        post = open_teahouse(settings, redis_url=redis_server.url, **options)
        redis_server.kill()
        self.send(post)
        assert [mail["To"] for mail in smtp.taken] == [EVE]
        assert (post.told(), len(tencent.messages)) == ([(PEOPLE["eve"], "tea:1")], 1)
        redis_server.start()
        make_due(post.app)
        post.deliver()
        assert [each["unread"] for each in post.received("eve")] == [1]
        post.app.close()
