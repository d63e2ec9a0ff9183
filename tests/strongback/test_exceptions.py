from __future__ import annotations

import importlib
import re
from types import ModuleType

import pytest

import app.main  # noqa: F401  loads every module that has errors
from strongback import exceptions
from strongback.exceptions import (
    CATALOGUE,
    APIException,
    ConfigurationError,
    NotFound,
    StrongbackError,
)

LINE = re.compile(
    r"^ *(?P<bars>[│├└─ ]*)(?P<name>[A-Z]\w+) +(?P<code>\d{3}) (?P<number>\d{5})"
    r"(?: +\w+(?: \(RFC \d+\))?)?$"
)

OURS = ("strongback.", "app.")


def own() -> list[type[APIException]]:
    """The catalogue without what tests may have added."""
    return [error for error in CATALOGUE.values() if error.__module__.startswith(OURS)]


# A capability's errors sit beside its interface, so not only in files of that name.
MODULES = [importlib.import_module(name) for name in sorted({kind.__module__ for kind in own()})]


def documented(module: ModuleType) -> list[tuple[str, int, int]]:
    """Name, status and number of each error in the module's docstring."""
    found = map(LINE.match, (module.__doc__ or "").splitlines())
    return [(m["name"], int(m["code"]), int(m["number"])) for m in found if m]


class TestCatalogue:
    def test_numbers_are_unique(self):
        assert len({error.error_code for error in own()}) == len(own())

    def test_every_class_is_in_it(self):
        def below(kind: type[APIException]) -> set[type[APIException]]:
            return {kind}.union(*map(below, kind.__subclasses__()))

        classes = {kind for kind in below(APIException) if kind.__module__.startswith(OURS)}
        assert classes == set(own())

    @pytest.mark.parametrize("error", own(), ids=lambda error: error.__name__)
    def test_each_has_a_status_a_message_and_a_reason(self, error):
        assert 400 <= error.code <= 599
        assert error.message.endswith(".")
        assert error.__doc__

    @pytest.mark.parametrize("error", own(), ids=lambda error: error.__name__)
    def test_each_keeps_its_family_of_numbers(self, error):
        families = {"user": 2, "article": 3, "comment": 4}
        package, part, *_ = error.__module__.split(".")
        family = 1 if package == "strongback" else families[part]
        assert error.error_code // 10000 == family

    def test_second_use_of_a_number_is_an_error(self):
        with pytest.raises(
            ConfigurationError,
            match=r"10004: strongback\.exceptions\.NotFound has it, and .*Lost claims it",
        ):
            type("Lost", (NotFound,), {"error_code": 10004})

    def test_second_use_by_another_modules_class_of_that_name_is_an_error(self):
        with pytest.raises(
            ConfigurationError, match=r"NotFound has it, and shop\.NotFound claims it too"
        ):
            type("NotFound", (APIException,), {"error_code": 10004, "__module__": "shop"})

    def test_class_without_a_number_is_an_error(self):
        with pytest.raises(ConfigurationError, match=r"error_code 10004: .*NotFound has it"):
            type("Lost", (NotFound,), {})


class TestTree:
    @pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
    def test_docstring_shows_what_is_there(self, module):
        real = {
            (error.__name__, error.code, error.error_code)
            for error in own()
            if error.__module__ == module.__name__
        }
        shown = documented(module)
        assert len(shown) == len(set(shown))
        parents = {error.__name__ for error in own() if error.__module__ != module.__name__}
        assert {entry for entry in shown if entry[0] not in parents} == real

    def test_docstring_of_the_core_nests_as_the_classes_do(self):
        parents = ["StrongbackError"]
        for line in (exceptions.__doc__ or "").splitlines():
            if match := re.match(r"^    ([│ ]*)[├└]── (\w+)", line):
                depth, name = len(match[1]) // 4 + 1, match[2]
                parents[depth:] = [name]
                assert getattr(exceptions, name).__base__.__name__ == parents[depth - 1]


class TestException:
    def test_message_is_the_classs_own(self):
        assert str(NotFound()) == "The requested resource was not found."

    def test_message_may_be_another(self):
        assert str(NotFound("No such page.")) == "No such page."

    def test_parameters_are_put_into_the_message(self):
        error = NotFound("No page {name}.", params={"name": "a{b}"})
        assert str(error) == "No page a{b}."

    def test_braces_without_parameters_stay(self):
        assert str(NotFound("No {page}.")) == "No {page}."

    def test_is_of_the_one_root(self):
        assert issubclass(APIException, StrongbackError)

    def test_one_errors_fields_are_not_anothers(self):
        first, second = NotFound(), NotFound()
        first.headers["X-Mark"] = "1"
        assert second.headers == {}
