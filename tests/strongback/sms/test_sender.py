from __future__ import annotations

import pytest

from strongback.config import Environment, Settings
from strongback.sms import ConsoleSender, TencentSender, build_sender
from tests.support.tencent import Tencent


def test_console_shows_the_code_and_not_the_whole_number(capsys):
    ConsoleSender().send("+8613800138000", ["123456"])
    assert capsys.readouterr().out == "SMS to +86138****8000: 123456\n"


@pytest.mark.parametrize(
    "environment, account, kind",
    [
        (Environment.DEVELOPMENT, {}, ConsoleSender),
        (Environment.TEST, {}, ConsoleSender),
        (Environment.PRODUCTION, {}, type(None)),
        (Environment.DEVELOPMENT, Tencent().settings, TencentSender),
        (Environment.PRODUCTION, Tencent().settings, TencentSender),
    ],
)
def test_settings_choose_who_sends(settings: Settings, environment, account, kind):
    chosen = settings.model_copy(update={"app_env": environment, **account})
    assert type(build_sender(chosen)) is kind
