"""The figures as the documentation has them, in both of its languages."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles

from benchmarks.http.report import Aim
from benchmarks.search.latency import Times
from benchmarks.search.quality import Quality, Share

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
"""Between these a page is written by `--docs`."""
PAGES = {"en": "search.md", "zh": "search.zh.md"}
_CHINESE = {
    "{date}, {cores} cores, load {load} on average, CPython {python}, tantivy {tantivy}.": (
        "{date}，{cores} 核，平均负载 {load}，CPython {python}，tantivy {tantivy}。"
    ),
    "Quality: right document in the first three, %": "质量：正确文档在前三位的百分比",
    "Latency: milliseconds a search, {count} documents": "延迟：每次搜索的毫秒数，{count} 篇文档",
    "The aims": "目标",
    "English": "英文",
    "Chinese": "中文",
    "with a typo": "有拼写错误",
    "words of two characters": "两个字的词",
    "own CPU, p50": "自身 CPU，p50",
    "own CPU, p99": "自身 CPU，p99",
    "aim": "目标",
    "found": "实测",
    "result": "结果",
    "reached": "达到",
    "NOT reached": "未达到",
    "no ngram parser": "无 ngram 解析器",
    "Strongback on tantivy": "tantivy 上的 Strongback",
    "common words, as the API answers": "常见词，与 API 的响应相同",
    "as you type, as the API answers": "输入时搜索，与 API 的响应相同",
    "suggestions": "搜索建议",
    "two searches": "两次搜索",
    "the same during a rebuild": "重建期间的两次搜索",
    "right document in the first 3, English": "正确文档在前三位，英文",
    "right document in the first 3, English, one typo": "正确文档在前三位，英文，有一处拼写错误",
    "right document in the first 3, Chinese": "正确文档在前三位，中文",
    "right document in the first 3, Chinese, one typo": "正确文档在前三位，中文，有一处拼写错误",
    "Chinese words of two characters found": "能找到两个字的中文词",
    "common words, p50": "常见词，p50",
    "common words, p99": "常见词，p99",
    "search as you type, p50": "输入时搜索，p50",
    "search as you type, p99": "输入时搜索，p99",
    "100,000 documents indexed": "索引 100,000 篇文档",
    "index, of Markdown and HTML": "索引占 Markdown 与 HTML 的比例",
    "search during a rebuild, p50, of that without": "重建期间的搜索，p50，与平时之比",
    "searches that failed during a rebuild": "重建期间失败的搜索",
    "searches that saw half an index": "看到半个索引的搜索",
}


def write(
    folder: Path,
    quality: list[Quality],
    latency: dict[str, Times],
    count: int,
    aims: list[Aim],
) -> None:
    """Put the figures into the pages of a folder, in place of those that are there."""
    for language, name in PAGES.items():
        path = folder / name
        before, _, rest = path.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        figures = "\n\n".join(_figures(_Words(language), quality, latency, count, aims))
        path.write_text(f"{before}{BEGIN}\n{figures}\n{END}{after}")


class _Words:
    def __init__(self, language: str) -> None:
        self._chosen = _CHINESE if language == "zh" else {}

    def __call__(self, text: str, **values: object) -> str:
        return self._chosen.get(text, text).format(**values)

    def title(self, text: str) -> str:
        """Of a contender, whose name has the server's version in it."""
        text = text.strip()
        if self._chosen and text.endswith(")"):
            name, _, remark = text[:-1].partition(" (")
            return f"{name.replace(', ', '，')}（{self(remark)}）"
        return self(text) if text in self._chosen or not self._chosen else text.replace(", ", "，")


def _figures(
    words: _Words, quality: list[Quality], latency: dict[str, Times], count: int, aims: list[Aim]
) -> Iterable[str]:
    yield words(
        "{date}, {cores} cores, load {load} on average, CPython {python}, tantivy {tantivy}.",
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        cores=os.cpu_count(),
        load=f"{os.getloadavg()[1]:.1f}",
        python=platform.python_version(),
        tantivy=version("tantivy"),
    )
    if quality:
        yield "### " + words("Quality: right document in the first three, %")
        head = ["", "English", "with a typo", "Chinese", "with a typo", "words of two characters"]
        rows = [
            [
                words.title(one.title),
                *(_percent(part.get(at)) for at in ("en", "zh") for part in (one.exact, one.typos)),
                f"{one.short.hits} / {one.short.of}",
            ]
            for one in quality
        ]
        yield _table(map(words, head), rows)
    if latency:
        yield "### " + words(
            "Latency: milliseconds a search, {count} documents", count=f"{count:,}"
        )
        head = ["", "p50", "p99", "own CPU, p50", "own CPU, p99"]
        rows = [
            [
                words.title(title),
                *_tenths(times.ms),
                # What a server spends is not in this process's.
                *_tenths([] if title.startswith(("MySQL", "MariaDB")) else times.cpu_ms),
            ]
            for title, times in latency.items()
        ]
        yield _table(map(words, head), rows)
    yield "### " + words("The aims")
    rows = [
        [
            f"{words(aim.text)} {'≤' if aim.is_most else '≥'} {aim.limit:,g}{aim.unit}",
            f"{aim.found:,.1f}".removesuffix(".0") + aim.unit,
            words("reached" if aim.is_reached else "NOT reached"),
        ]
        for aim in aims
    ]
    yield _table(map(words, ("aim", "found", "result")), rows)


def _table(head: Iterable[str], rows: Iterable[list[str]]) -> str:
    first = list(head)
    lines = [first, ["---", *["---:"] * (len(first) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _percent(share: Share | None) -> str:
    return f"{share.percent:.0f}" if share and share.of else "-"


def _tenths(samples: list[float]) -> list[str]:
    if not samples:
        return ["", ""]
    return [f"{value:.1f}" for value in (median(samples), quantiles(samples, n=100)[98])]
