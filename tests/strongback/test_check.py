from __future__ import annotations

import pytest

from strongback.check import Checks, Use
from strongback.exceptions import ConfigurationError


def test_each_asks_its_own_in_the_order_in_which_they_were_added():
    checks = Checks()
    for name, use in {"b": Use.REQUIRED, "a": Use.OPTIONAL, "c": Use.REQUIRED}.items():
        checks.add(name, lambda: None, use=use)
    assert [check.name for check in checks.used_by(Use.REQUIRED)] == ["b", "c"]
    assert [check.name for check in checks] == ["b", "a", "c"]


def test_two_of_one_name_are_refused():
    checks = Checks()
    checks.add("redis", lambda: None)
    with pytest.raises(ConfigurationError, match=r"^check redis: "):
        checks.add("redis", lambda: None)
