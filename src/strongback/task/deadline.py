"""Time limits of threads: a task that takes too long gets an exception.

Celery stops a task by a signal to its process; a thread gets no signals. The interpreter can raise
an exception in it, at its next bytecode: a call that waits in C (for a socket, a lock,
`time.sleep`) returns first, and a thread that never returns from one ends with its process only.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from strongback.log.setup import get_logger

log = get_logger(__name__)

INTERVAL = 0.25
"""Seconds between two looks while a task runs; an exception is late by that at most."""


class SoftTimeLimitExceeded(Exception):
    """Raised in a task whose time is over."""


@dataclass(slots=True)
class _Watched:
    name: str
    ends: float
    is_over: bool = False


class Deadlines:
    """Raises `SoftTimeLimitExceeded` in the threads of a process whose time is over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: dict[int, _Watched] = {}
        self._needed = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="task-deadlines", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        with self._lock:  # or the watch might clear what wakes it to its end
            self._stopped.set()
            self._needed.set()
        self._thread.join()

    @contextmanager
    def within(self, name: str, seconds: float) -> Iterator[None]:
        """Raise the error in this thread if the block takes longer than this many seconds."""
        thread = threading.get_ident()
        with self._lock:
            self._watched[thread] = _Watched(name, time.monotonic() + seconds)
        self._needed.set()
        try:
            yield
        finally:
            with self._lock:
                is_over = self._watched.pop(thread).is_over
            if is_over:
                self._receive(thread)

    def _receive(self, thread: int) -> None:
        """Receive an exception that was sent and may not have arrived.

        It must not reach the next task. Clearing it would leave the interpreter looking for it at
        every call, and CPython 3.11 under a profiler or a tracer does nothing else then.
        """
        with suppress(SoftTimeLimitExceeded):
            _raise_in(thread)  # takes the place of the one that was sent
            while True:
                time.sleep(0)

    def _watch(self) -> None:
        while not self._stopped.wait(INTERVAL):
            with self._lock:
                self._interrupt_late()
                if not self._watched and not self._stopped.is_set():
                    self._needed.clear()
            self._needed.wait()

    def _interrupt_late(self) -> None:
        now = time.monotonic()
        for thread, watched in self._watched.items():
            if watched.ends <= now and not watched.is_over:
                watched.is_over = True
                log.warning("task_interrupted", task=watched.name)
                _raise_in(thread)


def _raise_in(thread: int) -> None:
    # Part of Python's documented C interface; no module of the standard library offers it.
    error = ctypes.py_object(SoftTimeLimitExceeded)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), error)
