"""What no linter checks of how the code is written."""

from __future__ import annotations

import ast
import re
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from app.core.config import ROOT

IGNORED = re.compile(
    r"# (noqa: [A-Z0-9]+(, [A-Z0-9]+)*|type: ignore\[[a-z, -]+\]|pyright: ignore\[\w+\])"
)


def sources() -> list[Path]:
    return sorted(path for part in ("src", "app") for path in (ROOT / part).rglob("*.py"))


def test_whoever_ignores_a_linter_says_why_on_the_line():
    silent = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sources()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (first := IGNORED.search(line))
        and not IGNORED.sub("", line[first.start() :]).strip(" #")
    ]
    assert silent == []


def is_there(module: str, name: str) -> bool:
    if hasattr(import_module(module), name):
        return True
    with suppress(ModuleNotFoundError):
        import_module(f"{module}.{name}")
        return True
    return False


def test_the_benchmarks_find_what_they_import():
    """No test runs them, and mypy does not know the libraries that they are compared with."""
    missing = [
        f"{path.relative_to(ROOT)}: {node.module}.{alias.name}"
        for path in sorted((ROOT / "benchmarks").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module
        if node.module.partition(".")[0] in {"app", "strongback", "tests"}
        for alias in node.names
        if not is_there(node.module, alias.name)
    ]
    assert missing == []
