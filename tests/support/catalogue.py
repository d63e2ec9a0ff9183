"""Catalogues of messages, and the messages in the code that they have to translate."""

from __future__ import annotations

import ast
import gettext
import re
import string
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from strongback.exceptions import CATALOGUE


@cache
def catalogue(folder: Path, locale: str) -> dict[str, str]:
    """Read a `.po` as `pybabel` does; Babel itself belongs to another group of packages."""
    entries: dict[str, str] = {}
    text = (folder / locale / "LC_MESSAGES" / "messages.po").read_text()
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


def compiled(folder: Path, locale: str) -> dict[str, str]:
    """Read a `.mo`, which is made anew by `pybabel compile -d` and its folder."""
    with (folder / locale / "LC_MESSAGES" / "messages.mo").open("rb") as file:
        translations = gettext.GNUTranslations(file)
    known = translations._catalog  # type: ignore[attr-defined]  # gettext has no other way
    return {message: known[message] for message in known if message}


def declared_messages(package: str) -> set[str]:
    """The messages of the error classes of a package."""
    return {cls.message for cls in CATALOGUE.values() if f"{cls.__module__}.".startswith(package)}


def raised_messages(folder: Path, *others: str) -> Iterator[str]:
    """Every text in the code of a folder that is given to an error of the catalogue.

    Args:
        folder: A package.
        others: Further classes that take a message, by name.
    """
    names = {cls.__name__ for cls in CATALOGUE.values()} | {*others}
    for path in sorted(folder.rglob("*.py")):
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


def placeholders(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
