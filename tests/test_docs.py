from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from app.core.config import ROOT
from tests.support.example import (
    SERVE,
    SHOWN_ADDRESS,
    Checkout,
    Command,
    apply,
    blocks,
    commands,
    translation,
)
from tests.support.process import long_only

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
RESOURCE = DOCS / "guide" / "resource.md"
CHANGING = ("resource.", "replace.")
"""Pages whose blocks change the application."""
LINT_IMPORTS = Path(sys.prefix) / "bin" / "lint-imports"
TIMEOUT = 100


def is_worth_running(page: Path) -> bool:
    """Whether it shows other code than the English page, which is run in any case."""
    english = page.with_name(page.name.replace(".zh.md", ".md"))
    return page == english or blocks(page) != blocks(english)


SHELL = [
    page
    for page in PAGES
    if commands(page) and is_worth_running(page) and not page.name.startswith(CHANGING)
]
PROMISING = [
    page
    for page in PAGES
    if re.search(r"^## (What is guaranteed|保证什么)$", page.read_text(), re.MULTILINE)
]
PYTHON = [page for page in PAGES if any(b.is_run for b in blocks(page)) and is_worth_running(page)]


def by_language(pages: list[Path]) -> list[Any]:
    """The English pages, and for the long form the Chinese ones that show something else."""
    chinese = [page for page in pages if page.name.endswith(".zh.md")]
    return [page for page in pages if page not in chinese] + long_only(*chinese)


def name(page: Path) -> str:
    return str(page.relative_to(DOCS))


def prose(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def promises(page: Path) -> list[str]:
    """The rows of a page's table of guarantees."""
    _, *sections = re.split(
        r"^## (?:What is guaranteed|保证什么)$", page.read_text(), flags=re.MULTILINE
    )
    rows = [re.findall(r"^\|.*\|$", each.split("\n## ")[0], re.MULTILINE) for each in sections]
    return [row for table in rows for row in table[2:]]


def named_tests(text: str) -> list[str]:
    return re.findall(r"`(tests/[\w/]+\.py::[\w:]+)`", text)


@cache
def parsed(path: str) -> list[ast.stmt]:
    return ast.parse((ROOT / path).read_text()).body if (ROOT / path).is_file() else []


def is_there(test: str) -> bool:
    """Whether a module of tests defines `path::name`, or `path::Class::name`."""
    path, *names = test.split("::")
    body = parsed(path)
    for each in names:
        found = [node for node in body if each in defined_by(node)]
        if not found:
            return False
        body = getattr(found[0], "body", [])
    return names[-1].lower().startswith("test")


def defined_by(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestPromises:
    """What a page guarantees, a test keeps."""

    def test_are_made_by_the_pages_that_are_known_to(self):
        assert [name(page) for page in PROMISING] == [
            "guide/cache.md",
            "guide/cache.zh.md",
            "guide/mail.md",
            "guide/mail.zh.md",
            "guide/search.md",
            "guide/search.zh.md",
            "guide/static.md",
            "guide/static.zh.md",
            "guide/task.md",
            "guide/task.zh.md",
        ]

    @pytest.mark.parametrize("page", PROMISING, ids=name)
    def test_name_a_test_that_exists(self, page):
        rows = promises(page)
        assert rows
        for row in rows:
            tests = named_tests(row)
            assert tests, f"no test is named in: {row}"
            assert [test for test in tests if not is_there(test)] == []

    @pytest.mark.parametrize("page", [p for p in PROMISING if ".zh." not in p.name], ids=name)
    def test_are_the_same_in_both_languages(self, page):
        english, chinese = promises(page), promises(translation(page))

        assert list(map(named_tests, english)) == list(map(named_tests, chinese))


class TestPages:
    @pytest.mark.parametrize("page", [p for p in PAGES if not p.name.endswith(".zh.md")], ids=name)
    def test_are_there_in_both_languages_with_the_same_structure(self, page):
        """Headings of the same levels and blocks of the same kinds, in the same order."""
        outlines = [
            (
                re.findall(r"^#+(?= )", prose(text), re.MULTILINE),
                re.findall(r"^```(\w+)", text, re.MULTILINE),
                re.findall(r"^\|", prose(text), re.MULTILINE),
            )
            for text in (page.read_text(), translation(page).read_text())
        ]
        assert outlines[0] == outlines[1]

    @pytest.mark.parametrize("page", PAGES, ids=name)
    def test_begin_with_their_only_title(self, page):
        """An imported article takes its title from it."""
        text = page.read_text()
        assert len(re.findall(r"^# ", prose(text), re.MULTILINE)) == 1
        assert text.startswith("# ")

    @pytest.mark.parametrize("page", PAGES, ids=name)
    def test_lead_to_files_that_exist(self, page):
        links = re.findall(r"\]\(([^)#:\s]+\.md)(?:#[^)]*)?\)", prose(page.read_text()))
        assert [each for each in links if not (page.parent / each).is_file()] == []

    @pytest.mark.parametrize("page", PAGES, ids=name)
    def test_name_make_targets_that_exist(self, page):
        makefile = (ROOT / "Makefile").read_text()
        shown = re.findall(r"(?:^|`|\$ )make ([a-z-]+)", page.read_text(), re.MULTILINE)
        assert [target for target in shown if f".PHONY: {target}\n" not in makefile] == []

    def test_show_code_of_the_application_as_it_is(self):
        """A Python block with a file's name is an excerpt of it."""
        wrong = [
            f"{name(page)}: {block.title}"
            for page in PAGES
            if not page.name.startswith(CHANGING)
            for block in blocks(page)
            if block.title and block.text not in (ROOT / block.title).read_text()
        ]
        assert wrong == []


class TestGeneratedPages:
    def test_are_what_the_generator_writes(self):
        """After a change of settings, errors or modules: `python docs/generate.py`."""
        pages: dict[Path, str] = load_generator().pages()
        stale = [name(path) for path, text in pages.items() if path.read_text() != text]
        assert stale == []
        assert set((DOCS / "reference").glob("*.md")) <= pages.keys()


class TestExamples:
    @pytest.mark.parametrize("page", by_language(SHELL), ids=name)
    @pytest.mark.usefixtures("starts_processes")
    def test_commands_print_what_is_shown(self, page, tmp_path):
        checkout, todo = Checkout(tmp_path / "checkout"), commands(page)
        if any(SHOWN_ADDRESS in command.text for command in todo):
            with checkout.served():
                checkout.run(todo)
        else:
            checkout.run(todo)

    @pytest.mark.parametrize("page", by_language(PYTHON), ids=name)
    @pytest.mark.usefixtures("starts_processes")
    def test_python_runs(self, page, tmp_path):
        """All marked blocks of a page, one after the other, in one process."""
        code = "\n".join(block.text for block in blocks(page) if block.is_run)
        Checkout(tmp_path / "checkout").run_python(code)


class TestResource:
    """The slice that the guide builds, in a copy of the application."""

    @pytest.mark.usefixtures("starts_processes")
    def test_works_as_the_guide_says(self, tmp_path):
        copy = tmp_path / "copy"
        checkout = Checkout(copy, source=copy)
        copy_application(copy)
        for block in blocks(RESOURCE):
            apply(block, copy)
        before, after = split(commands(RESOURCE))
        checkout.run(before)
        with checkout.running(*SERVE):
            checkout.run(after)
        options = ["-q", "-p", "no:cacheprovider"]
        tested = run([sys.executable, "-m", "pytest", *options, "tests/bookmark"], checkout)
        assert tested.returncode == 0, tested.stdout
        if LINT_IMPORTS.exists():  # it comes with the tools of `make check`
            assert "bookmark" not in run([str(LINT_IMPORTS), "--no-logo"], checkout).stdout

    def test_is_the_same_in_both_languages(self):
        assert blocks(RESOURCE) == blocks(translation(RESOURCE))


def copy_application(folder: Path) -> None:
    for part in ("app", "src", "migrations", "tests/support"):
        shutil.copytree(ROOT / part, folder / part)  # with what has been compiled
    for file in ("pyproject.toml", "tests/conftest.py"):
        shutil.copy(ROOT / file, folder / file)


def split(todo: list[Command]) -> tuple[list[Command], list[Command]]:
    """The commands before the first that needs the server, and the rest."""
    first = next(i for i, command in enumerate(todo) if SHOWN_ADDRESS in command.text)
    return todo[:first], todo[first:]


def run(command: list[str], checkout: Checkout) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=checkout.folder,
        env=checkout.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
