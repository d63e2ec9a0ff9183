from __future__ import annotations

import pytest

from strongback.exceptions import ConfigurationError
from strongback.services import Services


class Kettle:
    def __init__(self, closed: list[str] | None = None) -> None:
        self.closed = [] if closed is None else closed

    def close(self) -> None:
        self.closed.append("kettle")


class Cup:
    def __init__(self, closed: list[str] | None = None) -> None:
        self.closed = [] if closed is None else closed

    def close(self) -> None:
        self.closed.append("cup")


def test_a_service_is_found_by_its_class():
    services, kettle = Services(), Kettle()
    services.add(kettle)
    assert services[Kettle] is kettle
    assert services.find(Kettle) is kettle


def test_a_missing_one_is_said_with_its_name():
    services = Services()
    with pytest.raises(ConfigurationError, match=r"test_services\.Kettle is not provided"):
        services[Kettle]
    assert services.find(Kettle) is None


def test_two_of_one_class_are_refused():
    services = Services()
    services.add(Kettle())
    with pytest.raises(ConfigurationError, match=r"test_services\.Kettle is provided twice"):
        services.add(Kettle())


def test_what_can_be_closed_is_closed_the_last_one_first():
    services, closed = Services(), list[str]()
    services.add(Kettle(closed), object(), Cup(closed))
    services.close()
    assert closed == ["cup", "kettle"]
