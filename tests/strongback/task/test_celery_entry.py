"""Refusals of `celery -A module` to start; `tests/test_worker.py` starts it as an operator does."""

from __future__ import annotations

import sys

import pytest

from strongback.app import Strongback
from strongback.config import Settings, load_settings
from strongback.task.celery_entry import make_celery

LOGIN = {"redis_url": "redis://127.0.0.1:1/0", "flower_password": "sesame-opens-the-cave"}


def never_built(_: Settings) -> Strongback:
    raise AssertionError


@pytest.mark.parametrize(
    "setting, value",
    [
        ("flower_password", ""),
        ("flower_password", "half,half-of-a-long-password"),
        ("flower_password", "密码-of-sufficient-length"),
        ("flower_user", "a:b"),
        ("flower_user", "a,b"),
        ("flower_user", "管理员"),
    ],
)
def test_flower_refuses_a_login_that_it_cannot_check(
    setting: str, value: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "argv", ["celery", "flower"])
    values = LOGIN | {setting: value}
    with pytest.raises(SystemExit, match=f"^{setting.upper()}: "):
        make_celery(lambda: load_settings(Settings, _env_file=None, **values), never_built)
