from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.core.config import ROOT
from tests.support.example import Checkout, blocks, commands
from tests.support.process import long_only

README = ROOT / "README.md"
README_ZH = ROOT / "README.zh-CN.md"
PAGES = [pytest.param(README, id="en"), pytest.param(README_ZH, id="zh")]
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
TARGET = re.compile(r"\bmake ([a-z-]+)")


@pytest.mark.parametrize("page", [README, *long_only(README_ZH)], ids=lambda page: page.name)
@pytest.mark.usefixtures("starts_processes")
def test_the_tour_prints_what_it_shows(page, tmp_path):
    checkout = Checkout(tmp_path / "checkout")
    with checkout.running("-m", "flask", "--app", "app.main", "serve", "--demo"):
        checkout.run(commands(page))


def test_both_languages_show_the_same_commands():
    english, chinese = commands(README), commands(README_ZH)
    assert [command.text for command in english] == [command.text for command in chinese]


def test_both_languages_have_the_same_headings():
    levels = [
        re.findall(r"^#+(?= )", page.read_text(), re.MULTILINE) for page in (README, README_ZH)
    ]
    assert levels[0] == levels[1]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page):
    missing = [link for link in LINK.findall(page.read_text()) if not (ROOT / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_shown_make_targets_exist(page):
    makefile = (ROOT / "Makefile").read_text()
    shown = {
        target
        for block in blocks(page)
        if block.language == "sh"
        for target in TARGET.findall(block.text)
    }
    assert {"run", "test"} <= shown
    assert [target for target in shown if f".PHONY: {target}\n" not in makefile] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_tree_of_the_layout_exists(page):
    """Each line of the layout begins with a path, indented below its folder's."""
    (tree,) = (block.text for block in blocks(page) if block.title == "layout")
    folders: list[Path] = []
    for line in tree.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        del folders[depth:]
        path = Path(*folders, name)
        assert (ROOT / path).exists(), path
        folders.append(Path(name))
