from __future__ import annotations

import ast
import gettext
import re
import string
from collections.abc import Iterator
from http import HTTPStatus
from typing import get_args

import pytest
from pydantic_core._pydantic_core import list_all_errors
from pydantic_core.core_schema import ErrorType
from werkzeug.datastructures import LanguageAccept
from werkzeug.exceptions import default_exceptions
from werkzeug.http import parse_accept_header

import app.main  # noqa: F401  with it every slice has declared its errors
from app.article.importing import FAILED, NO_TEXT
from app.article.metadata import REMEDIES
from app.article.source import HIDDEN, INSTALLED, Refusal
from app.core.config import ROOT
from strongback.exceptions import CATALOGUE, APIException
from strongback.web.error_response import _BY_STATUS
from strongback.web.translation import DEFAULT_LOCALE, FOLDER, LOCALES, choose_locale, translate

TRANSLATED = [locale for locale in LOCALES if locale != DEFAULT_LOCALE]
ERRORS = {error["type"]: error for error in list_all_errors()}
# What a translation may leave out: English grammar, Python's name for a type, and a length that
# pydantic does not always know.
OMITTED = {"expected_plural", "field_type"}
OMITTED_BY_TYPE = {"too_long": {"actual_length"}}


def _is_ours(error: type[APIException]) -> bool:
    return error.__module__.startswith(("strongback.", "app."))  # and not a test's


def placeholders(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def catalogue(locale: str) -> dict[str, str]:
    """Read a `.po` as `pybabel` does; Babel itself belongs to another group of packages."""
    entries: dict[str, str] = {}
    text = (FOLDER / locale / "LC_MESSAGES" / "messages.po").read_text()
    for entry in re.split(r"\n{2,}", text.strip()):
        strings = {"msgid": "", "msgstr": ""}
        keyword = ""
        for line in entry.splitlines():
            if not line.startswith("#"):
                keyword, quoted = (
                    (keyword, line) if line.startswith('"') else line.split(" ", maxsplit=1)
                )
                strings[keyword] += ast.literal_eval(quoted)
        assert "#, fuzzy" not in entry
        entries[strings["msgid"]] = strings["msgstr"]
    assert not [message for message, translation in entries.items() if not translation]
    entries.pop("")
    return entries


def raised_messages() -> Iterator[str]:
    """Every text in the code of the application that is given to an error of the catalogue."""
    names = {cls.__name__ for cls in CATALOGUE.values() if _is_ours(cls)} | {Refusal.__name__}
    for path in sorted((*(ROOT / "src").rglob("*.py"), *(ROOT / "app").rglob("*.py"))):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _messages_of(function, names)


def _messages_of(function: ast.AST, names: set[str]) -> Iterator[str]:
    texts = {
        target.id: node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(function):
        found: list[ast.expr] = []
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) in names:
            found = node.args[:1]
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            found = [
                value for key, value in pairs if getattr(key, "value", None) == "message"
            ]  # a FieldError written by hand
        for expression in found:
            value = texts.get(expression.id) if isinstance(expression, ast.Name) else expression
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.value


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
        messages = {cls.message for cls in CATALOGUE.values() if _is_ours(cls)}
        assert set() == messages - catalogue(locale).keys()

    def test_has_every_message_that_the_code_raises(self, locale):
        messages = set(raised_messages())
        assert "The body is not valid JSON: {reason}." in messages
        assert set() == messages - catalogue(locale).keys()

    def test_has_every_other_reason_why_a_file_is_not_imported(self, locale):
        reasons = {*REMEDIES.values(), HIDDEN, INSTALLED, NO_TEXT, FAILED}
        assert set() == reasons - catalogue(locale).keys()

    def test_has_every_phrase_of_other_statuses(self, locale):
        assert set() == set(phrases()) - catalogue(locale).keys()

    def test_has_every_error_type_of_pydantic_and_no_other(self, locale):
        types = {f"pydantic.{kind}" for kind in (*get_args(ErrorType), "invisible_character")}
        assert types == {name for name in catalogue(locale) if name.startswith("pydantic.")}

    def test_uses_the_placeholders_of_its_messages(self, locale):
        for message, translation in catalogue(locale).items():
            if not message.startswith("pydantic."):
                assert placeholders(message) == placeholders(translation), message

    @pytest.mark.parametrize("kind", get_args(ErrorType))
    def test_uses_the_placeholders_of_pydantic(self, locale, kind):
        python = ERRORS[kind]["message_template_python"]
        json = ERRORS[kind].get("message_template_json") or python
        used = placeholders(catalogue(locale)[f"pydantic.{kind}"])
        needed = placeholders(json) - OMITTED - OMITTED_BY_TYPE.get(kind, set())
        assert needed <= used <= placeholders(python)

    def test_is_compiled(self, locale):
        """After a change: `pybabel compile -d src/strongback/translation`."""
        with (FOLDER / locale / "LC_MESSAGES" / "messages.mo").open("rb") as file:
            compiled = gettext.GNUTranslations(file)
        expected = catalogue(locale)
        assert expected == {message: compiled.gettext(message) for message in expected}
        known = compiled._catalog  # type: ignore[attr-defined]  # gettext has no other way
        assert len(expected) + 1 == len(known), "the .mo has entries that the .po has lost"


class TestTranslate:
    def test_leaves_english_as_written(self):
        assert translate("Too many requests.", "en") == "Too many requests."

    def test_gives_the_translation(self):
        assert translate("Too many requests.", "zh") == "请求过于频繁。"

    def test_leaves_what_nobody_has_translated(self):
        assert translate("Nobody knows this.", "zh") == "Nobody knows this."

    def test_leaves_nothing_as_nothing(self):
        """Without this, gettext would answer with the catalogue's header."""
        assert translate("", "zh") == ""


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
    assert expected == choose_locale(parse_accept_header(header, LanguageAccept))
