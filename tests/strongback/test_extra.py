from __future__ import annotations

import re
import sys
import tomllib

import pytest

import strongback
from app.core.config import ROOT
from strongback.exceptions import ConfigurationError
from strongback.extra import PACKAGES, missing_extra, require_extra


def test_every_extra_that_something_asks_for_is_declared():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(PACKAGES) <= set(declared["optional-dependencies"])


def test_nothing_is_said_of_an_extra_that_is_installed():
    assert missing_extra("redis", "REDIS_URL") is None
    require_extra("redis", "REDIS_URL")


@pytest.mark.parametrize("name", ["websockets", "google.protobuf"])
def test_what_is_missing_is_said_in_one_line(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    expected = f'It needs {name}, not installed: pip install "strongback[realtime]"'
    with pytest.raises(ConfigurationError, match=f"^{re.escape(expected)}$"):
        require_extra("realtime", "It")


def test_the_public_names_are_found_when_they_are_asked_for():
    assert {name for name in strongback.__all__ if getattr(strongback, name).__name__ == name} == {
        "Settings",
        "Strongback",
        "load_settings",
    }


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'strongback' has no attribute 'Nothing'"):
        strongback.Nothing  # type: ignore[attr-defined]  # noqa: B018  it is the test
