"""How long a search takes: alone, while somebody types, and while the index is built anew."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from statistics import median, quantiles

from app.article.index import ARTICLE
from benchmarks.search.collection import Document, with_typos
from benchmarks.search.contender import Contender, in_batches
from strongback.search import Query, parse_filter
from strongback.search.tantivy import TantivyEngine

PAGE = 20
SUGGESTIONS = 8
FILTER = "language IN [en, zh] AND tag NOT IN [async]"


@dataclass
class Times:
    """Milliseconds of single calls, by the clock and of this thread's CPU."""

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


def time_calls(call: Callable[[str], object], texts: Iterable[str]) -> Times:
    times = Times()
    for text in texts:
        started, began = time.perf_counter(), time.thread_time()
        call(text)
        times.cpu_ms.append((time.thread_time() - began) * 1000)
        times.ms.append((time.perf_counter() - started) * 1000)
    return times


def time_contender(contender: Contender, texts: list[str]) -> Times:
    return time_calls(lambda text: contender.find(text, PAGE), texts)


def time_as_api(engine: TantivyEngine, texts: list[str]) -> Times:
    """With a filter and all that a page of results shows: marked words, and facets."""
    condition = parse_filter(ARTICLE, FILTER)
    highlight, facets = ("title", "tags", "summary", "body"), ("tags", "language")
    return time_calls(
        lambda text: engine.search(
            ARTICLE,
            Query(text, condition, page_size=PAGE, highlight=highlight, facets=facets),
        ),
        texts,
    )


def time_suggesting(engine: TantivyEngine, texts: list[str]) -> Times:
    return time_calls(lambda text: engine.suggest(ARTICLE, text, SUGGESTIONS), texts)


def search_while_rebuilding(
    engine: TantivyEngine, documents: Iterable[Document], count: int, texts: list[str]
) -> Rebuild:
    """Build the index anew in a thread of this process, as a server does, and search meanwhile."""
    started = time.perf_counter()
    builder = threading.Thread(target=engine.rebuild, args=(ARTICLE, in_batches(documents)))
    builder.start()
    failed = half = 0

    def search(text: str) -> None:
        nonlocal failed, half
        try:
            engine.search(ARTICLE, Query(text, page_size=PAGE))
            half += engine.search(ARTICLE, Query(page_size=1)).total != count
        except Exception:  # noqa: BLE001  whatever it is, it is counted
            failed += 1

    times = time_calls(search, _while_alive(builder, texts))
    builder.join()
    return Rebuild(time.perf_counter() - started, times, failed, half)


def time_alone(engine: TantivyEngine, texts: list[str]) -> Times:
    """The same searches with nothing beside them."""

    def search(text: str) -> None:
        engine.search(ARTICLE, Query(text, page_size=PAGE))
        engine.search(ARTICLE, Query(page_size=1))

    return time_calls(search, texts)


def _while_alive(thread: threading.Thread, texts: list[str]) -> Iterator[str]:
    for text in cycle(texts):
        if not thread.is_alive():
            return
        yield text
