"""An environment for cacheme 0.3 alone, which needs pydantic 1 and an old redis-py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from app.core.config import ROOT

FOLDER = ROOT / "var" / "bench" / "cacheme"
# The last releases that fit together; cacheme has none after 0.3.0.
REQUIREMENTS = ("cacheme[redis]==0.3.0", "pydantic==1.10.*", "redis==4.6.*")
PATIENCE = 300
"""Seconds for the installation."""


class EnvironmentMissing(Exception):
    """cacheme cannot be measured here; the text says why."""


def python() -> Path:
    """The interpreter that has cacheme, installed now where it is not yet.

    Raises:
        EnvironmentMissing: It could not be installed.
    """
    interpreter, stamp = FOLDER / "bin" / "python", FOLDER / ".done"
    if not stamp.exists() or stamp.read_text() != "\n".join(REQUIREMENTS):
        FOLDER.parent.mkdir(parents=True, exist_ok=True)
        _run([sys.executable, "-m", "venv", "--clear", str(FOLDER)])
        options = ["--quiet", "--disable-pip-version-check"]
        _run([str(interpreter), "-m", "pip", "install", *options, *REQUIREMENTS])
        _run([str(interpreter), "-c", "import cacheme"])
        stamp.write_text("\n".join(REQUIREMENTS))
    return interpreter


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or error.stdout or str(error)).strip().splitlines()
        raise EnvironmentMissing(lines[-1] if lines else str(error)) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentMissing(str(error)) from error
