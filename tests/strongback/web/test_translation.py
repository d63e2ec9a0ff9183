from __future__ import annotations

import pkgutil
import shutil
from collections.abc import Iterator
from http import HTTPStatus
from importlib import import_module
from pathlib import Path
from typing import get_args

import pytest
from pydantic_core._pydantic_core import list_all_errors
from pydantic_core.core_schema import ErrorType
from werkzeug.datastructures import LanguageAccept
from werkzeug.exceptions import default_exceptions
from werkzeug.http import parse_accept_header

import strongback
from strongback.web.error_response import _BY_STATUS
from strongback.web.translation import FOLDER, Translations
from tests.support.catalogue import (
    catalogue,
    compiled,
    declared_messages,
    placeholders,
    raised_messages,
)

PACKAGE = Path(str(strongback.__file__)).parent
TRANSLATED = sorted(path.name for path in FOLDER.iterdir())
ERRORS = {error["type"]: error for error in list_all_errors()}
for module in pkgutil.walk_packages(strongback.__path__, "strongback."):
    if module.name.endswith("exceptions"):
        import_module(module.name)  # with it its errors are declared
# What a translation may leave out: English grammar, Python's name for a type, and a length that
# pydantic does not always know.
OMITTED = {"expected_plural", "field_type"}
OMITTED_BY_TYPE = {"too_long": {"actual_length"}}


def phrases() -> Iterator[str]:
    """What Werkzeug can raise and no class of ours stands for is answered by its phrase."""
    for code in default_exceptions:
        if code not in _BY_STATUS:
            yield HTTPStatus(code).phrase


@pytest.fixture(params=TRANSLATED)
def locale(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestCatalogue:
    def test_has_every_message_of_the_exception_tree(self, locale):
        assert set() == declared_messages("strongback.") - catalogue(FOLDER, locale).keys()

    def test_has_every_message_that_the_code_raises(self, locale):
        messages = set(raised_messages(PACKAGE))
        assert "The body is not valid JSON: {reason}." in messages
        assert set() == messages - catalogue(FOLDER, locale).keys()

    def test_has_every_phrase_of_other_statuses(self, locale):
        assert set() == set(phrases()) - catalogue(FOLDER, locale).keys()

    def test_has_every_error_type_of_pydantic_and_no_other(self, locale):
        types = {f"pydantic.{kind}" for kind in (*get_args(ErrorType), "invisible_character")}
        assert types == {name for name in catalogue(FOLDER, locale) if name.startswith("pydantic.")}

    def test_uses_the_placeholders_of_its_messages(self, locale):
        for message, translation in catalogue(FOLDER, locale).items():
            if not message.startswith("pydantic."):
                assert placeholders(message) == placeholders(translation), message

    @pytest.mark.parametrize("kind", get_args(ErrorType))
    def test_uses_the_placeholders_of_pydantic(self, locale, kind):
        python = ERRORS[kind]["message_template_python"]
        json = ERRORS[kind].get("message_template_json") or python
        used = placeholders(catalogue(FOLDER, locale)[f"pydantic.{kind}"])
        needed = placeholders(json) - OMITTED - OMITTED_BY_TYPE.get(kind, set())
        assert needed <= used <= placeholders(python)

    def test_is_compiled(self, locale):
        assert catalogue(FOLDER, locale) == compiled(FOLDER, locale)


class TestTranslate:
    @pytest.fixture
    def translate(self):
        return Translations(FOLDER).translate

    def test_leaves_english_as_written(self, translate):
        assert translate("Too many requests.", "en") == "Too many requests."

    def test_gives_the_translation(self, translate):
        assert translate("Too many requests.", "zh") == "请求过于频繁。"

    def test_leaves_what_nobody_has_translated(self, translate):
        assert translate("Nobody knows this.", "zh") == "Nobody knows this."

    def test_leaves_nothing_as_nothing(self, translate):
        """Without this, gettext would answer with the catalogue's header."""
        assert translate("", "zh") == ""


class TestFurtherCatalogues:
    def test_a_language_of_an_application_is_chosen(self, tmp_path):
        shutil.copytree(FOLDER / "zh", tmp_path / "de")
        accepted = parse_accept_header("de-AT,zh;q=0.5", LanguageAccept)
        assert Translations(FOLDER).choose(accepted) == "zh"
        assert Translations(FOLDER, tmp_path).choose(accepted) == "de"

    def test_a_slice_needs_no_catalogue(self, tmp_path):
        accepted = parse_accept_header("zh", LanguageAccept)
        assert Translations(tmp_path / "translation").choose(accepted) == "en"


@pytest.mark.parametrize(
    "header, expected",
    [
        ("", "en"),
        ("zh", "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("zh-Hans-CN", "zh"),
        ("en-GB,zh;q=0.5", "en"),
        ("zh-CN,en;q=0.5", "zh"),
        ("en;q=0.3,zh;q=0.7", "zh"),
        ("fr,zh;q=0.1", "zh"),
        ("fr", "en"),
        ("*", "en"),
        ("zh;q=0", "en"),
    ],
)
def test_chooses_the_locale_by_accept_language(header, expected):
    accepted = parse_accept_header(header, LanguageAccept)
    assert expected == Translations(FOLDER).choose(accepted)
