"""How long `app.main` takes to import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from app.core.config import ROOT
from benchmarks.http.child import environment

# From the start of the process, so with the interpreter's own start; without its end, when it frees
# every object, which is as long again as a third of the import and which no server waits for.
ASK = "; import time; print(time.process_time())"


def import_seconds(statement: str, folder: Path, repetitions: int) -> list[float]:
    """CPU time from the start of an interpreter until it has run the statement."""
    command = [sys.executable, "-c", statement + ASK]
    return [
        float(subprocess.check_output(command, cwd=ROOT, env=environment(folder), text=True))
        for _ in range(repetitions)
    ]
