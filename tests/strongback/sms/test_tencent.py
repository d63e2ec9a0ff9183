from __future__ import annotations

import logging
import subprocess
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from tencentcloud.sms.v20210111 import errorcodes

from strongback.config import Settings
from strongback.sms import TencentSender, tencent
from strongback.sms.exceptions import SmsFailed, SmsRefused, SmsTimeout
from strongback.sms.tencent_error import CAUSES, Cause, cause_of
from tests.support.tencent import Tencent, run_tencent, tc3_signature

PHONE = "+8613800138000"
PASSING = {
    "InternalError.OtherError",
    "InternalError.ParseBackendResponseFail",
    "InternalError.SendAndRecvFail",
    "InternalError.Timeout",
    "InternalError.UnknownError",
    "LimitExceeded.DeliveryFrequencyLimit",
    "LimitExceeded.GlobalSmsSendingRateLimit",
    "LimitExceeded.PhoneNumberThirtySecondLimit",
}
"""Of the codes that the provider publishes for messages, those that pass by themselves."""
PUBLISHED = sorted(value for name, value in vars(errorcodes).items() if name.isupper())


@pytest.fixture
def server() -> Iterator[Tencent]:
    with run_tencent() as server:
        yield server


@pytest.fixture
def sender(settings: Settings, server: Tencent) -> TencentSender:
    return sender_of(settings, server)


def sender_of(settings: Settings, server: Tencent, **changes: Any) -> TencentSender:
    values = settings.model_dump(exclude={"database_url"}) | server.settings | changes
    return TencentSender(Settings(_env_file=None, **values))


@pytest.mark.parametrize(
    "key, names, signature",
    [
        (
            "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE",
            "content-type;host",
            "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168",
        ),
        (
            "*" * 32,
            "content-type;host;x-tc-action",
            "10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f",
        ),
    ],
)
def test_server_of_these_tests_signs_the_published_examples_as_published(key, names, signature):
    headers = {
        "content-type": "application/json; charset=utf-8",
        "host": "cvm.tencentcloudapi.com",
        "x-tc-action": "DescribeInstances",
        "x-tc-timestamp": "1551113065",
    }
    body = (
        rb'{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}'
    )
    assert signature == tc3_signature(key, "cvm", headers, names, body)


class TestSending:
    def test_message_is_signed_and_taken(self, sender, server):
        receipt = sender.send(PHONE, ["123456"], reference="request-1")
        assert receipt.id == "2019:1"
        assert server.messages == [
            {
                "PhoneNumberSet": [PHONE],
                "SmsSdkAppId": "1400006666",
                "SignName": "测试签名",
                "TemplateId": "1110",
                "TemplateParamSet": ["123456"],
                "SessionContext": "request-1",
            }
        ]

    def test_reference_is_cut_to_what_the_provider_takes(self, sender, server):
        sender.send(PHONE, ["123456"], reference="r" * 600)
        assert len(server.messages[0]["SessionContext"]) < 512

    @pytest.mark.parametrize(
        "change, code",
        [
            ({"sms_secret_key": "another key"}, "AuthFailure.SignatureFailure"),
            ({"sms_secret_id": "another id"}, "AuthFailure.SecretIdNotFound"),
        ],
    )
    def test_wrong_credentials_are_refused_for_good(self, settings, server, change, code):
        with pytest.raises(SmsRefused, match=f"setup, {code}"):
            sender_of(settings, server, **change).send(PHONE, ["123456"])
        assert server.messages == []


def failure(sender: TencentSender) -> Exception | None:
    """What a message fails with."""
    try:
        sender.send(PHONE, ["123456"])
    except (SmsFailed, SmsRefused) as error:
        return error
    return None


class TestFailure:
    def test_published_code_means_the_same_for_a_request_and_for_a_number(self, sender, server):
        for code in (*PUBLISHED, "RequestLimitExceeded.IPLimitExceeded"):
            is_passing = code in PASSING or code.startswith("RequestLimitExceeded")
            server.number_errors, server.request_error = [code], None
            of_number = failure(sender)
            server.request_error = code
            for error in (of_number, failure(sender)):
                assert type(error) is (SmsFailed if is_passing else SmsRefused), code
                assert code in str(error)

    def test_unknown_code_is_for_a_person(self, sender, server):
        server.request_error = "SomethingNew.Altogether"
        with pytest.raises(SmsRefused, match=r"setup, SomethingNew\.Altogether"):
            sender.send(PHONE, ["123456"])

    @pytest.mark.parametrize(
        "code, cause",
        [
            ("InvalidParameterValue.IncorrectPhoneNumber", Cause.NUMBER),
            ("FailedOperation.PhoneNumberInBlacklist", Cause.NUMBER),
            ("UnsupportedOperation.UnsupportedRegion", Cause.NUMBER),
            ("LimitExceeded.PhoneNumberDailyLimit", Cause.LIMIT),
            ("LimitExceeded.AppDailyLimit", Cause.LIMIT),
            ("FailedOperation.InsufficientBalanceInSmsPackage", Cause.SETUP),
            ("FailedOperation.SignatureIncorrectOrUnapproved", Cause.SETUP),
            ("UnauthorizedOperation.ServiceSuspendDueToArrears", Cause.SETUP),
            ("InternalError.RequestTimeException", Cause.SETUP),
            ("InternalError.Timeout", Cause.BUSY),
            ("LimitExceeded.DeliveryFrequencyLimit", Cause.BUSY),
        ],
    )
    def test_code_tells_who_has_to_do_something(self, code, cause):
        assert cause is cause_of(code)

    def test_every_listed_code_is_a_published_one_or_a_family(self):
        assert {code for code in CAUSES if "." in code} <= set(PUBLISHED)

    @pytest.mark.parametrize("status", [500, 502, 404])
    def test_answer_that_is_not_the_apis_is_worth_another_try(self, sender, server, status):
        server.status, server.text = status, b"<html>A proxy is speaking</html>"
        with pytest.raises(SmsFailed):
            sender.send(PHONE, ["123456"])

    @pytest.mark.parametrize("text", [b"{", b"[]", b"{}", b'{"Response": {"RequestId": "r"}}'])
    def test_broken_answer_is_worth_another_try(self, sender, server, text):
        server.text = text
        with pytest.raises(SmsFailed):
            sender.send(PHONE, ["123456"])

    def test_unreachable_provider_is_worth_another_try(self, settings, server):
        with pytest.raises(SmsFailed):
            sender_of(settings, server, sms_endpoint="http://127.0.0.1:1").send(PHONE, ["123456"])

    def test_silent_provider_is_given_up(self, sender, server, monkeypatch):
        monkeypatch.setattr(tencent, "TIMEOUT", 0.1)
        server.delay = 0.5
        with pytest.raises(SmsTimeout):
            sender.send(PHONE, ["123456"])

    @pytest.mark.parametrize("level", ["number", "request"])
    def test_error_names_no_number(self, sender, server, level):
        """The provider repeats the number in what it says, and tracebacks are kept."""
        if level == "number":
            server.number_errors = ["LimitExceeded.PhoneNumberDailyLimit"]
        else:
            server.request_error = "LimitExceeded.PhoneNumberDailyLimit"
        with pytest.raises(SmsRefused) as error:
            sender.send(PHONE, ["123456"])
        assert "13800138000" not in "".join(traceback.format_exception(error.value))


def test_sdk_writes_no_message_to_the_log(sender, caplog):
    """At DEBUG it formats whole requests, code and number included."""
    with caplog.at_level(logging.DEBUG):
        sender.send(PHONE, ["654321"])
    assert "654321" not in caplog.text
    assert "13800138000" not in caplog.text


@pytest.mark.usefixtures("starts_processes")
def test_sdk_is_not_imported_before_a_message_is_sent():
    program = "import sys, app.main; sys.exit('tencentcloud' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
