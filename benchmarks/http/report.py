"""Tables of what was measured, and how it stands to the aims."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.http.case import CASES
from benchmarks.http.contender import BARE, CONTENDERS, FASTAPI, OURS, PEERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.http.in_process import Samples
    from benchmarks.http.served import Entry


@dataclass(frozen=True, slots=True)
class Aim:
    """What we want, and what was found."""

    text: str
    found: float
    limit: float
    unit: str
    is_most: bool = True
    """The limit is the most allowed, not the least."""

    @property
    def is_reached(self) -> bool:
        return self.found <= self.limit if self.is_most else self.found >= self.limit

    def __str__(self) -> str:
        verdict = "reached" if self.is_reached else "NOT REACHED"
        sign = "≤" if self.is_most else "≥"
        return (
            f"{verdict:<11}  {self.text}: {self.found:.2f}{self.unit}"
            f" (aim {sign} {self.limit:g}{self.unit})"
        )


def ratio(samples: list[float], base: list[float]) -> float:
    """The median over the rounds: both of a pair met the same state of the machine."""
    return median(a / b for a, b in zip(samples, base, strict=True))


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    written = [
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    return "\n".join([written[0], "-" * len(written[0]), *written[1:]])


def machine() -> str:
    info = Path("/proc/cpuinfo").read_text()
    model = next((line.split(": ")[1] for line in info.splitlines() if "model name" in line), "?")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{os.cpu_count()} cores ({model}), {platform.python_implementation()}"
        f" {platform.python_version()}, {platform.system()} {platform.release()}, load {load}"
    )


def versions() -> str:
    packages = dict.fromkeys(
        [package for item in CONTENDERS.values() for package in item.packages]
        + ["gunicorn", "granian", "uvicorn"]
    )
    return ", ".join(f"{package} {version(package)}" for package in packages)


def in_process(samples: Samples) -> str:
    head = ["in process: CPU µs per request"]
    for case in CASES.values():
        head += [case.title, "best", "× bare"]
    rows = []
    for name, found in samples.items():
        row = [CONTENDERS[name].title]
        for case in CASES:
            times = found[case]
            row += [f"{median(times):.0f}", f"{min(times):.0f}"]
            row += [f"{ratio(times, samples[BARE][case]):.2f}" if BARE in samples else ""]
        rows.append(row)
    return table(head, rows)


def ours_to_peers(samples: Samples) -> str:
    head = ["Strongback's time, × of", *(case.title for case in CASES.values())]
    rows = [
        [CONTENDERS[name].title]
        + [f"{ratio(samples[OURS][case], found[case]):.2f}" for case in CASES]
        for name, found in samples.items()
        if name != OURS
    ]
    return table(head, rows)


def served(entries: list[Entry]) -> str:
    by_key = {entry.key: entry for entry in entries}
    bare, fast = by_key.get(f"{BARE}/gunicorn/16"), by_key.get(f"{FASTAPI}/uvicorn/1")
    head = ["requests per CPU second"]
    for case in CASES.values():
        head += [case.title, "× bare", "× FastAPI"]
    rows = []
    for entry in entries:
        row = [entry.title]
        for case in CASES:
            row += [f"{1e6 / median(entry.cpu[case]):,.0f}"]
            row += [f"{ratio(base.cpu[case], entry.cpu[case]):.2f}" if base else ""
                    for base in (bare, fast)]  # fmt: skip
        rows.append(row)
    memory = [
        [
            entry.title,
            f"{entry.worker_mb:.0f}",
            f"{entry.total_mb:.0f}",
        ]
        for entry in entries
    ]
    return (
        table(head, rows)
        + "\n\n"
        + table(["resident MB after 1,000 requests", "worker", "all processes"], memory)
    )


def aims(
    samples: Samples | None, entries: list[Entry] | None, start: list[float] | None
) -> list[Aim]:
    found: list[Aim] = []
    if samples and BARE in samples and OURS in samples:
        ours, bare = samples[OURS], samples[BARE]
        for case, limit in (("small", 1.5), ("post", 1.2)):
            text = f"{CASES[case].title}, in process, × bare Flask"
            found.append(Aim(text, ratio(ours[case], bare[case]), limit, ""))
        for name in PEERS:
            if name in samples:
                text = f"{CASES['list'].title}, in process, × {CONTENDERS[name].title}"
                found.append(Aim(text, ratio(ours["list"], samples[name]["list"]), 0.5, ""))
    by_key = {entry.key: entry for entry in entries or []}
    ours_served, fast = by_key.get(f"{OURS}/granian/16"), by_key.get(f"{FASTAPI}/uvicorn/1")
    if ours_served and fast:
        for case in CASES.values():
            share = ratio(fast.cpu[case.name], ours_served.cpu[case.name])
            text = f"{case.title}, on Granian, requests per CPU second, × FastAPI on Uvicorn"
            found.append(Aim(text, share, 0.7, "", is_most=False))
    for server in ("gunicorn", "granian"):
        if entry := by_key.get(f"{OURS}/{server}/16"):
            text = f"memory of a {server.capitalize()} worker after 1,000 requests"
            found.append(Aim(text, entry.worker_mb, 120, " MB"))
    if start:
        found.append(Aim("import of app.main, user + system", median(start), 1, " s"))
    return found
