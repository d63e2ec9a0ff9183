"""Runs what the documentation shows, and compares what comes out with what is shown.

In a block of ```console, a line that begins with `$ ` is a command and what follows is its output,
in which `…` stands for anything. All commands of a page run in one shell, in an empty folder that
stands for the checkout. Only `make` is left out: it would install and start things of its own.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from app.core.config import ROOT
from strongback.testing.port import free_port
from tests.support import forked

START_TIMEOUT = 60
SHELL_TIMEOUT = 240
SHOWN_ADDRESS = "127.0.0.1:8000"
FLASK = ".venv/bin/flask"
SERVE = ("-m", "strongback.server.serve", "app.main:create_app")
MODULES = (
    "app.main",
    "rjieba",
    "strongback.file.object_store",
    "strongback.realtime.server",
    "strongback.search.tantivy",
    "strongback.server.gunicorn_worker",
)
"""What a command or a server imports, some of it not before it is needed."""
_FENCE = re.compile(
    r"^(?P<run><!-- run -->\n)?```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n"
    r"(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_ENDED = "__ended_with__"


@dataclass(frozen=True)
class Block:
    """A block of code on a page."""

    language: str
    title: str | None
    text: str
    is_run: bool


@dataclass
class Command:
    """A command of a ```console block, and what the page says that it prints."""

    text: str
    expected: list[str] = field(default_factory=list)

    def fits(self, output: str) -> bool:
        """Whether this output is the one that the page shows."""
        shown = [re.escape(part) for part in "\n".join(self.expected).strip().split("…")]
        return re.fullmatch(".*".join(shown), output.strip(), re.DOTALL) is not None


def blocks(page: Path) -> list[Block]:
    """The blocks of code on a page."""
    return [
        Block(match["language"], match["title"], match["text"], match["run"] is not None)
        for match in _FENCE.finditer(page.read_text())
    ]


def commands(page: Path) -> list[Command]:
    """The commands of all ```console blocks of a page."""
    found: list[Command] = []
    for block in blocks(page):
        if block.language == "console":
            found.extend(_commands(block.text.splitlines()))
    return [command for command in found if not command.text.startswith("make ")]


def _commands(lines: list[str]) -> Iterator[Command]:
    command: Command | None = None
    for line in lines:
        if command and _goes_on(command.text):
            command.text += "\n" + line
        elif line.startswith("$ "):
            if command:
                yield command
            command = Command(line.removeprefix("$ "))
        else:
            assert command, f"output without a command: {line}"
            command.expected.append(line)
    if command:
        yield command


def _goes_on(command: str) -> bool:
    """Whether the next line belongs to the command: after a backslash, or in a here-document."""
    return command.endswith("\\") or ("<<'END'" in command and not command.endswith("\nEND"))


def translation(page: Path) -> Path:
    """The Chinese page of an English one."""
    return page.with_suffix(".zh.md")


def apply(block: Block, folder: Path) -> None:
    """Write a block with a file's name: a new file, or a change of one that is there."""
    if block.title is None:
        return
    path = folder / block.title
    if block.language != "diff":
        assert not path.exists(), path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)
        return
    lines = block.text.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if not line.startswith("+"))
    after = "".join(line[1:] for line in lines if not line.startswith("-"))
    text = path.read_text()
    assert text.count(before) == 1, f"{block.title} does not hold these lines once:\n{before}"
    path.write_text(text.replace(before, after))


@dataclass
class Checkout:
    """A folder in which the pages' commands run as in the root of a checkout.

    Args:
        folder: Where `var/` and everything that the commands write comes to be.
        source: The application's code.
    """

    folder: Path
    source: Path = ROOT
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        (self.folder / "var").mkdir(parents=True)
        (self.folder / ".venv").symlink_to(sys.prefix)
        # Without a terminal curl would write its progress among the output.
        (self.folder / "var" / ".curlrc").write_text("silent\nshow-error\n")

    @property
    def python(self) -> list[str]:
        """What runs Python with the application's code."""
        return forked.command(self.source, *MODULES)

    @property
    def address(self) -> str:
        """What stands in for the address that the pages show."""
        return f"127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of the developer's own, `.env` included."""
        var = self.folder / "var"
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(var),
            "CURL_HOME": str(var),
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": str(self.source),
            "APP_ENV": "development",
            "APP_VAR_DIR": str(var),
            "DATABASE_URL": f"sqlite:///{var / 'app.db'}",
            "WEB_HOST": "127.0.0.1",
            "WEB_PORT": str(self.port),
            "LOG_LEVEL": "WARNING",
        }

    @contextmanager
    def served(self) -> Iterator[None]:
        """Run the server with the samples of `make run`, and stop it by its own id."""
        shutil.copytree(_samples(), self.folder / "var", dirs_exist_ok=True)
        with self.running(*SERVE):
            yield

    @contextmanager
    def running(self, *arguments: str) -> Iterator[None]:
        """Run a server by Python with arguments, and stop it by its own id."""
        command = [*self.python, *arguments]
        log = self.folder / "var" / "server.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=output, stderr=output
            )
        try:
            self._wait(process, log)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(START_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _wait(self, process: subprocess.Popen[bytes], log: Path) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                with urllib.request.urlopen(f"http://{self.address}/livez", timeout=5):
                    return
            except OSError:  # refused, or taken by a server that is still starting
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)

    def run(self, todo: list[Command]) -> None:
        """Run commands in one shell and see that each succeeds and prints what is shown."""
        script = "\n".join(
            f'{command.text}\nprintf "\\n{_ENDED}%d\\n" "$?"'
            for command in todo
        )  # fmt: skip
        script = script.replace(SHOWN_ADDRESS, self.address)
        script = script.replace(f"{FLASK} ", f"{shlex.join(self.python)} {FLASK} ")
        output = self._shell(f"exec 2>&1\n{script}")
        text = output.replace("\r", "").replace(self.address, SHOWN_ADDRESS)
        results = re.findall(rf"(.*?)\n{_ENDED}(\d+)\n", text, re.DOTALL)
        assert len(todo) == len(results), text
        for command, (output, status) in zip(todo, results, strict=True):
            shown = "\n".join(command.expected)
            report = f"$ {command.text}\nshown:\n{shown}\n\nprinted:\n{output}\n\nstatus {status}"
            assert command.fits(output), report
            assert status == "0", report

    def run_python(self, code: str) -> None:
        """Run a page's Python in a process of its own and see that it succeeds.

        A part that is shown alone must not find that the application has been imported.
        """
        python = self.python if "from app." in code else [sys.executable]
        strict = "import warnings\nwarnings.simplefilter('error')\n"
        (self.folder / "page.py").write_text(strict + code)
        done = subprocess.run(
            [*python, "page.py"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SHELL_TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def flask(self, *arguments: str) -> None:
        """Run a command of the application."""
        command = [*self.python, FLASK, "--app", "app.main", *arguments]
        environment = self.environment
        subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, check=True)

    def _shell(self, script: str) -> str:
        process = subprocess.Popen(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            return process.communicate(timeout=SHELL_TIMEOUT)[0]
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # this shell's own group, made above
                process.communicate()


@cache
def _samples() -> Path:
    """The data of a fresh application with samples, made once: it takes as long as a server."""
    kept = tempfile.TemporaryDirectory(prefix="samples")
    _kept.append(kept)
    checkout = Checkout(Path(kept.name) / "checkout")
    checkout.flask("db", "upgrade")
    checkout.flask("demo")
    return checkout.folder / "var"


_kept: list[tempfile.TemporaryDirectory[str]] = []
"""A folder is removed with its object."""
