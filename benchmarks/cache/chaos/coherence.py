"""Random readers and writers in four processes, with and without the invalidation channel."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from benchmarks.http.child import Child
from benchmarks.http.report import Aim

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROCESSES = 4
PROMPT = 0.1
"""Seconds after which another process must not serve what was removed, at the 99th percentile."""
SLACK = 0.1
"""Seconds that a thread of a busy machine may lie between two lines of this measurement."""


def run(port: int, folder: Path, seconds: float) -> Iterator[tuple[str, list[Aim]]]:
    """One whole run; then one in which the channel falls silent in its second third."""
    with ExitStack() as stack:
        crowds = _crowds(stack, port, folder / "whole", ttl=60)
        found = _together(crowds, seconds)
        yield _told(f"{seconds:.0f} s, channel whole", found), [
            *_never(found, "channel whole"),
            Aim("channel whole: staleness elsewhere, p99", _at(found["stale"], 0.99), PROMPT, " s"),
        ]
    with ExitStack() as stack:
        env = dict(os.environ)
        proxy = stack.enter_context(Child("benchmarks.cache.chaos.proxy", str(port), env=env))
        wire = proxy.ask(is_cut=False)["port"]
        ttl = 3.0
        crowds = _crowds(stack, wire, folder / "cut", ttl=ttl)
        _together(crowds, seconds / 6)
        proxy.ask(is_cut=True)
        cut = _together(crowds, seconds / 2)
        proxy.ask(is_cut=False)
        _together(crowds, 8)
        healed = _together(crowds, seconds / 3)
        yield _told(f"{seconds / 2:.0f} s, channel cut, local lifetime {ttl:g} s", cut), [
            *_never(cut, "channel cut"),
            Aim("channel cut: longest staleness", _at(cut["stale"], 1), ttl + SLACK, " s"),
        ]
        yield _told(f"{seconds / 3:.0f} s, channel mended", healed), [
            *_never(healed, "channel mended"),
            Aim("channel mended: staleness, p99", _at(healed["stale"], 0.99), PROMPT, " s"),
        ]


def _crowds(stack: ExitStack, port: int, path: Path, ttl: float) -> list[Child]:
    arguments = (str(port), str(path), str(ttl))
    module = "benchmarks.cache.chaos.crowd"
    first = stack.enter_context(Child(module, *arguments, env=dict(os.environ)))
    first.ask(seconds=0)  # it makes the ledger
    others = [
        stack.enter_context(Child(module, *arguments, env=dict(os.environ)))
        for _ in range(PROCESSES - 1)
    ]
    return [first, *others]


def _together(crowds: list[Child], seconds: float) -> dict[str, Any]:
    for crowd in crowds:
        crowd.tell(seconds=seconds)
    answers = [crowd.hear() for crowd in crowds]
    total: dict[str, Any] = {}
    for name in ("reads", "writes", "violations", "errors", "stale"):
        values = [answer[name] for answer in answers]
        total[name] = sum(values[1:], start=values[0])
    total["stale"].sort()
    return total


def _never(found: dict[str, Any], title: str) -> list[Aim]:
    return [
        Aim(f"{title}: reads that miss a write of their own process", found["violations"], 0, ""),
        Aim(f"{title}: errors", len(found["errors"]), 0, ""),
    ]


def _told(title: str, found: dict[str, Any]) -> str:
    stale, errors = found["stale"], set(found["errors"])
    told = (
        f"{title}: {found['reads']:,} reads, {found['writes']:,} writes, {found['violations']}"
        f" violations, {len(stale):,} stale reads (median {_at(stale, 0.5) * 1000:.1f} ms,"
        f" p99 {_at(stale, 0.99) * 1000:.1f} ms, longest {_at(stale, 1) * 1000:.1f} ms)"
    )
    return told + "".join(f"\n  {error}" for error in sorted(errors))


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
