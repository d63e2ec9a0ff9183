"""Threads whose errors reach the test."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

R = TypeVar("R")


def run_together(*functions: Callable[[], R], timeout: float = 60) -> list[R]:
    """Run each function in a thread of its own and return their results in the same order."""
    with ThreadPoolExecutor(len(functions)) as pool:
        futures = [pool.submit(function) for function in functions]
        return [future.result(timeout) for future in futures]
