"""The guide's page that deletes this application, executed in a copy of the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from app.core.config import ROOT
from tests.support.example import Checkout, apply, blocks, commands, translation

PAGE = ROOT / "docs" / "guide" / "replace.md"
IGNORED = (".git", ".venv", "var", "site", ".*_cache", ".hypothesis")
CHANGED = {block.title for block in blocks(PAGE) if block.title and block.title.endswith(".py")}
SEEING = "test_docs or test_main or test_migration or test_page or test_translation or test_view"
"""Tests that see what has gone. All that are left are collected, and imported by it."""
TESTS = ("-m", "not process", "--deselect=tests/strongback", "-k", SEEING)
CHECKS = (
    ("ruff", "check", "--quiet", "."),
    ("black", "--check", "--quiet", *sorted(CHANGED)),
    ("lint-imports", "--no-logo"),
    ("python", "-m", "pytest", "-q", *TESTS),
)
"""The short form of `make check` and `make test`."""


def test_what_is_left_passes_its_checks_and_tests(starts_processes, is_long, tmp_path):
    checkout = Checkout(tmp_path / "checkout", source=tmp_path / "checkout")
    ignored = shutil.ignore_patterns(*IGNORED)
    shutil.copytree(ROOT, checkout.folder, ignore=ignored, dirs_exist_ok=True)
    for block in blocks(PAGE):
        apply(block, checkout.folder)
    checkout.run(commands(PAGE))
    own_environment(checkout.folder / ".venv")  # its stamps are newer than what the page changes
    todo = [("make", "check"), ("make", "test")] if is_long else CHECKS
    for command in todo:
        run(command, checkout.folder)


def own_environment(folder: Path) -> None:
    """Make what stands for `.venv`: the one that runs, with stamps of its own for `make`."""
    folder.unlink()
    (folder / ".done").mkdir(parents=True)
    for path in Path(sys.prefix).iterdir():
        if path.name != ".done":
            (folder / path.name).symlink_to(path)
        else:
            for stamp in path.iterdir():
                (folder / ".done" / stamp.name).touch()


def run(command: tuple[str, ...], folder: Path) -> None:
    binaries = folder / ".venv" / "bin"
    program = binaries / command[0] if (binaries / command[0]).exists() else command[0]
    done = subprocess.run(
        [program, *command[1:]],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "var"),
            "PYTHONPATH": f"{folder}:{folder / 'src'}",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_is_the_same_in_both_languages():
    assert blocks(PAGE) == blocks(translation(PAGE))
