"""Part one: the CPU time of one request without a server."""

from __future__ import annotations

import base64
from contextlib import ExitStack
from typing import TYPE_CHECKING

from benchmarks.http.case import CASES, REFUSED, refuse_lenient, refuse_wrong
from benchmarks.http.child import Child, environment
from benchmarks.http.contender import CONTENDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

COUNTS = {"small": 1000, "post": 800, "list": 150}
Samples = dict[str, dict[str, list[float]]]
"""Microseconds by contender, then by case, one for each round."""


def measure(names: Iterable[str], rounds: int, folder: Path, tick: Callable[[], None]) -> Samples:
    """Check every answer, then measure in turns, so that a disturbance meets all alike."""
    with ExitStack() as stack:
        children = {
            name: stack.enter_context(
                Child("benchmarks.http.worker", name, env=environment(folder / name))
            )
            for name in names
        }
        for name, child in children.items():
            check(name, child)
            for case in CASES:
                child.ask(kind="warm", case=case, count=100)
            tick()
        samples: Samples = {name: {case: [] for case in CASES} for name in children}
        for _ in range(rounds):
            for case, count in COUNTS.items():
                for name, child in children.items():
                    spent = child.ask(kind="many", case=case, count=count)
                    samples[name][case].append(spent / count / 1000)
            tick()
    return samples


def check(name: str, child: Child) -> None:
    """Nobody is measured on a wrong answer."""
    title = CONTENDERS[name].title
    for case in CASES.values():
        found = child.ask(kind="once", case=case.name, body=case.body.decode())
        refuse_wrong(title, case, found["status"], base64.b64decode(found["body"]))
    post = CASES["post"]
    for fields in REFUSED:
        found = child.ask(kind="once", case="post", body=post.changed(fields).decode())
        refuse_lenient(title, fields, found["status"])
