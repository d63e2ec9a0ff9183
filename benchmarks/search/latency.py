"""How long a search takes: alone, while somebody types, and while the index is built anew."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

from app.article.index import ARTICLE
from benchmarks.search.collection import Document, generate, with_typos
from benchmarks.search.contender import Contender, in_batches
from strongback.search import Query
from strongback.search.sqlite import SQLiteEngine

PAGE = 10
SUGGESTIONS = 5
PROBE = "language"


@dataclass
class Times:
    """Milliseconds of single calls, by the clock and of this process's CPU."""

    ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    @property
    def p50(self) -> float:
        return median(self.ms)

    @property
    def p99(self) -> float:
        return quantiles(self.ms, n=100)[98]


@dataclass
class Rebuild:
    """What happened to searches while the index was built anew."""

    seconds: float
    searches: Times
    failed: int
    half: int
    """Searches that saw another number of documents than there are."""


def questions(documents: list[Document], count: int, seed: int = 11) -> list[str]:
    """Pieces of titles: one word to three, of Chinese two characters to six, some with a typo."""
    chance = random.Random(seed)
    found = []
    for document in chance.choices(documents, k=count):
        title = document["title"].lower()
        words = title.split()
        if len(words) > 1:
            start = chance.randrange(len(words))
            text = " ".join(words[start : start + chance.randint(1, 3)])
        else:
            start = chance.randrange(max(1, len(title) - 1))
            text = title[start : start + chance.randint(2, 6)]
        wrong = with_typos(text)
        found.append(chance.choice(wrong) if wrong and chance.random() < 0.2 else text)
    return found


def beginnings(documents: list[Document], count: int, seed: int = 13) -> list[str]:
    """What somebody has typed of a title, letter by letter."""
    chance = random.Random(seed)
    typed: list[str] = []
    while len(typed) < count:
        title = chance.choice(documents)["title"].lower()
        typed += [title[:end] for end in range(1, min(len(title), 24) + 1)]
    return typed[:count]


def time_calls(call: Callable[[str], object], texts: list[str]) -> Times:
    times = Times()
    for text in texts:
        started, began = time.perf_counter(), time.thread_time()
        call(text)
        times.cpu_ms.append((time.thread_time() - began) * 1000)
        times.ms.append((time.perf_counter() - started) * 1000)
    return times


def time_contender(contender: Contender, texts: list[str]) -> Times:
    return time_calls(lambda text: contender.find(text, PAGE), texts)


def time_as_api(engine: SQLiteEngine, texts: list[str]) -> Times:
    """With all that a page of results shows: marked words, and documents counted by value."""
    facets = ("tags", "language")
    return time_calls(
        lambda text: engine.search(
            ARTICLE, Query(text, page_size=PAGE, highlight=("title", "body"), facets=facets)
        ),
        texts,
    )


def time_typing(engine: SQLiteEngine, texts: list[str]) -> Times:
    return time_calls(lambda text: engine.suggest(ARTICLE, text, SUGGESTIONS), texts)


def search_while_rebuilding(path: Path, count: int, texts: list[str]) -> Rebuild:
    """Build the index anew in another process, and search meanwhile."""
    context = multiprocessing.get_context("spawn")
    done = context.Event()
    builder = context.Process(target=_rebuild, args=(path, count, done), daemon=True)
    engine, times = SQLiteEngine(path), Times()
    failed = half = 0
    started = time.perf_counter()
    builder.start()
    for text in _round_and_round(texts):
        began = time.perf_counter()
        try:
            engine.search(ARTICLE, Query(text, page_size=PAGE))
            half += engine.search(ARTICLE, Query(page_size=1)).total != count
        except Exception:  # noqa: BLE001  whatever it is, it is counted
            failed += 1
        times.ms.append((time.perf_counter() - began) * 1000)
        if done.is_set() or not builder.is_alive():
            break
    builder.join()
    engine.close()
    if builder.exitcode:
        raise RuntimeError("The index could not be built anew.")
    return Rebuild(time.perf_counter() - started, times, failed, half)


def _round_and_round(texts: list[str]) -> Iterator[str]:
    while True:
        yield from texts


def _rebuild(path: Path, count: int, done: Callable[[], None]) -> None:
    engine = SQLiteEngine(path)
    engine.rebuild(ARTICLE, in_batches(generate(count, seed=8)))
    engine.close()
    done.set()  # type: ignore[attr-defined]  # an event of multiprocessing
