"""What no linter checks of how the code is written."""

from __future__ import annotations

import re
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
