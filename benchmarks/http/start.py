"""How long `app.main` takes to import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from app.core.config import ROOT
from benchmarks.http.child import environment


def import_seconds(statement: str, folder: Path, repetitions: int) -> list[float]:
    """User and system time of an interpreter that runs the statement and ends."""
    env = environment(folder)
    found = []
    for _ in range(repetitions):
        process = subprocess.Popen([sys.executable, "-c", statement], cwd=ROOT, env=env)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if status:
            raise SystemExit(f"{statement!r} failed")
        found.append(usage.ru_utime + usage.ru_stime)
    return found
