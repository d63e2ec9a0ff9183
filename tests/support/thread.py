"""Threads whose errors reach the test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

R = TypeVar("R")


def run_together(*functions: Callable[[], R], timeout: float = 60) -> list[R]:
    """Run each function in a thread of its own and return their results in the same order."""
    with ThreadPoolExecutor(len(functions)) as pool:
        futures = [pool.submit(function) for function in functions]
        return [future.result(timeout) for future in futures]


def run_async(coroutine: Coroutine[Any, Any, R]) -> R:
    """Run a coroutine in a thread of its own: Playwright's fixture keeps a loop in the test's."""
    [result] = run_together(partial(asyncio.run, coroutine), timeout=300)
    return result
