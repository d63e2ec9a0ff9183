"""Sends messages through Tencent Cloud SMS (API version 2021-01-11)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from strongback.config import Settings
from strongback.exceptions import APIException
from strongback.log.mask import mask_text
from strongback.sms.exceptions import SmsFailed, SmsRefused, SmsTimeout
from strongback.sms.sender import Receipt
from strongback.sms.tencent_error import cause_of

TIMEOUT = 5
"""Time-out in seconds, for connecting and for reading."""
MAX_REFERENCE = 500
"""Bytes of `SessionContext` are below 512."""
MAX_REASON = 200
"""Characters of the provider's message that are kept."""


class TencentSender:
    """Sends messages by the provider's SDK: 10 MB, imported with the first message."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # At lower levels it logs whole requests, with number and code.
        logging.getLogger("tencentcloud_sdk_common").setLevel(logging.WARNING)

    def send(
        self, phone: str, params: Sequence[str], *, template: str | None = None, reference: str = ""
    ) -> Receipt:
        """Send a message."""
        # The SDK has no types.
        from tencentcloud.common.credential import Credential  # noqa: PLC0415  see the class
        from tencentcloud.common.exception import (  # noqa: PLC0415  the same
            TencentCloudSDKException,
        )
        from tencentcloud.common.profile.client_profile import ClientProfile  # noqa: PLC0415  so
        from tencentcloud.common.profile.http_profile import HttpProfile  # noqa: PLC0415  the same
        from tencentcloud.sms.v20210111.models import SendSmsRequest  # noqa: PLC0415  the same
        from tencentcloud.sms.v20210111.sms_client import SmsClient  # noqa: PLC0415  the same

        settings, address = self._settings, urlsplit(self._settings.sms_endpoint)
        request = SendSmsRequest()
        request.PhoneNumberSet = [phone]
        request.SmsSdkAppId = settings.sms_app_id
        request.SignName = settings.sms_sign_name
        request.TemplateId = template or settings.sms_template_id
        request.TemplateParamSet = list(params)
        request.SessionContext = reference[:MAX_REFERENCE]
        # A client for each message: its HTTP session is made for one thread, and costs 0.1 ms.
        http = HttpProfile(protocol=address.scheme, endpoint=address.netloc, reqTimeout=TIMEOUT)
        key = settings.sms_secret_key.get_secret_value()
        credential = Credential(settings.sms_secret_id, key)
        try:
            client = SmsClient(credential, settings.sms_region, ClientProfile(httpProfile=http))
            statuses = client.SendSms(request).SendStatusSet
        except TencentCloudSDKException as error:
            raise _failure_of(error) from None  # its text may contain the number
        if not statuses:
            raise SmsFailed(params={"reason": "a response without a status"})
        status = statuses[0]  # the one number may be refused although the request is fine
        if status.Code != "Ok":
            raise _failure(str(status.Code), str(status.Message))
        return Receipt(str(status.SerialNo))


def _failure_of(error: Any) -> APIException:  # noqa: ANN401  the SDK has no types
    code, message = str(error.get_code()), str(error.get_message())
    if error.get_request_id() is not None:
        return _failure(code, message)
    # Not from the API, but from the SDK: no connection, an invalid response, a page of a proxy.
    if "timed out" in message.lower():
        return SmsTimeout()
    return SmsFailed(params={"reason": _reason(code, message)})


def _failure(code: str, message: str) -> SmsFailed | SmsRefused:
    cause = cause_of(code)
    kind = SmsFailed if cause.is_passing else SmsRefused
    return kind(params={"reason": f"{cause}, {_reason(code, message)}"})


def _reason(code: str, message: str) -> str:
    return mask_text(f"{code} ({message[:MAX_REASON]})")
