"""Tables of what was found, and how it stands to the aims."""

from __future__ import annotations

from statistics import median, quantiles

from benchmarks.http.report import Aim, table
from benchmarks.search.latency import Rebuild, Times
from benchmarks.search.quality import FIRST, Quality, Share

LANGUAGES = {"en": "English", "zh": "Chinese"}


def quality(found: list[Quality]) -> str:
    languages = [name for name in LANGUAGES if any(name in one.exact for one in found)]
    head = [f"right document in the first {FIRST}, %"]
    for language in languages:
        head += [LANGUAGES[language], "with a typo"]
    head.append("words of two characters")
    rows = []
    for one in found:
        row = [one.title]
        for language in languages:
            row += [_percent(one.exact.get(language)), _percent(one.typos.get(language))]
        rows.append([*row, f"{one.short.hits} of {one.short.of}"])
    return table(head, rows)


def misses(found: Quality) -> str:
    shares = [*found.exact.values(), *found.typos.values(), found.short]
    return "\n".join(f"  {text}" for share in shares for text in share.missed)


def latency(found: dict[str, Times]) -> str:
    head = ["ms a search", "p50", "p99", "longest", "own CPU, p50", "p99"]
    rows = [
        [
            title,
            *(f"{value:.1f}" for value in (times.p50, times.p99, max(times.ms))),
            *map(_tenths, _percentiles(times.cpu_ms)),
        ]
        for title, times in found.items()
    ]
    return table(head, rows)


def _percentiles(samples: list[float]) -> tuple[float | None, float | None]:
    return (median(samples), quantiles(samples, n=100)[98]) if samples else (None, None)


def _tenths(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def quality_aims(found: Quality) -> list[Aim]:
    aims = []
    for language, name in LANGUAGES.items():
        if language in found.exact:
            text = f"right document in the first {FIRST}, {name}"
            aims.append(Aim(text, found.exact[language].percent, 95, " %", is_most=False))
        if language in found.typos and found.typos[language].of:
            aims.append(
                Aim(f"{text}, one typo", found.typos[language].percent, 90, " %", is_most=False)
            )
    if found.short.of:
        text = "Chinese words of two characters found"
        aims.append(Aim(text, found.short.percent, 100, " %", is_most=False))
    return aims


def latency_aims(times: dict[str, Times], rate: float, size: float, rebuild: Rebuild) -> list[Aim]:
    common = times["  common words, as the API answers"]
    typing = times["  as you type, as the API answers"]
    slower = rebuild.searches.p50 / times["  two searches"].p50
    return [
        Aim("common words, p50", common.p50, 20, " ms"),
        Aim("common words, p99", common.p99, 80, " ms"),
        Aim("search as you type, p50", typing.p50, 20, " ms"),
        Aim("search as you type, p99", typing.p99, 80, " ms"),
        Aim("100,000 documents indexed", 100_000 / rate, 90, " s"),
        Aim("index, of Markdown and HTML", 100 * size, 100, " %"),
        Aim("search during a rebuild, p50, of that without", 100 * slower, 200, " %"),
        Aim("searches that failed during a rebuild", rebuild.failed, 0, ""),
        Aim("searches that saw half an index", rebuild.half, 0, ""),
    ]


def _percent(share: Share | None) -> str:
    return f"{share.percent:.0f}" if share and share.of else "-"
