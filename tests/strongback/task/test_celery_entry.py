"""Refusals of `celery -A module` to start; `tests/test_worker.py` starts it as an operator does."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from strongback.app import Strongback
from strongback.config import Settings, load_settings
from strongback.task.celery_entry import make_celery

VALID = {"redis_url": "redis://127.0.0.1:1/0", "flower_password": "sesame-opens-the-cave"}


def never_built(_: Settings) -> Strongback:
    raise AssertionError


@pytest.mark.parametrize(
    "command, setting, value",
    [
        ("worker", "web_threads", "many"),
        ("beat", "web_threads", "many"),
        ("flower", "flower_password", ""),
        ("flower", "flower_password", "half,half-of-a-long-password"),
        ("flower", "flower_password", "密码-of-sufficient-length"),
        ("flower", "flower_user", "a:b"),
        ("flower", "flower_user", "a,b"),
        ("flower", "flower_user", "管理员"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(
    command: str, setting: str, value: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "argv", ["celery", command])
    values: dict[str, Any] = VALID | {setting: value}
    with pytest.raises(SystemExit, match=rf"\A{setting.upper()}: .*\Z"):
        make_celery(lambda: load_settings(Settings, _env_file=None, **values), never_built)
