"""The Chinese messages of the slices are complete."""

from __future__ import annotations

from pathlib import Path

import pytest

import app.main  # noqa: F401  with it every slice has declared its errors
from app.core.config import ROOT
from strongback.web.translation import FOLDER, Translations
from tests.support.catalogue import (
    catalogue,
    compiled,
    declared_messages,
    placeholders,
    raised_messages,
)

FRAMEWORK = catalogue(FOLDER, "zh")
SLICES = sorted(path.parent for path in (ROOT / "app").glob("*/translation"))


@pytest.fixture(params=SLICES, ids=lambda folder: folder.name)
def folder(request: pytest.FixtureRequest) -> Path:
    """The folder of each slice in turn."""
    path: Path = request.param
    return path


@pytest.fixture
def known(folder: Path) -> dict[str, str]:
    return catalogue(folder / "translation", "zh")


def test_has_every_message_of_the_exception_tree(folder, known):
    assert set() == declared_messages(f"app.{folder.name}.") - known.keys()


def test_has_every_message_that_the_code_raises(folder, known):
    assert set() == {*raised_messages(folder, "Refusal")} - known.keys() - FRAMEWORK.keys()


def test_repeats_none_of_the_framework(known):
    assert set() == known.keys() & FRAMEWORK.keys()


def test_uses_the_placeholders_of_its_messages(known):
    for message, translation in known.items():
        assert placeholders(message) == placeholders(translation), message


def test_is_found_beside_the_messages_of_the_framework(folder, known):
    translations = Translations(FOLDER, folder / "translation")
    for message, translation in (*known.items(), *FRAMEWORK.items()):
        assert translations.translate(message, "zh") == translation


def test_is_compiled(folder, known):
    assert known == compiled(folder / "translation", "zh")
