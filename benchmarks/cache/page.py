"""The figures in the docs: each table between two marks, in English and in Chinese."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from app.core.config import ROOT
from benchmarks.cache import plot, report
from benchmarks.cache.report import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from benchmarks.http.report import Aim

DOCS = ROOT / "docs"
IMAGES = DOCS / "image"
PAGES = tuple(
    DOCS / f"{name}{suffix}" for name in ("guide/cache", "benchmark/cache")
    for suffix in (".md", ".zh.md")
)  # fmt: skip
_SECTION = re.compile(
    r"(<!-- Written by the benchmark: (\w+)\. -->\n).*?(<!-- End\. -->)", re.DOTALL
)

CHINESE = {
    "engine": "引擎",
    "replace, ns": "替换，ns",
    "scans": "命中率：扫描",
    "drift": "命中率：漂移",
    "popular kept": "保住的热门",
    "8 threads, M/s": "8 线程，百万次/秒",
    "errors": "错误",
    "fork": "fork 之后",
    "goes on": "继续",
    "hangs": "挂起",
    "fails": "失败",
    "hits and misses": "命中与未命中",
    "decorated, ns": "装饰器，ns",
    "Redis hit, µs": "Redis 命中，µs",
    "miss + load, µs": "未命中 + 加载，µs",
    "50 at once, µs": "一次 50 个，µs",
    "Strongback's time, × of": "Strongback 的时间，相对于",
    "decorated": "装饰器",
    "8 threads": "8 线程",
    "Redis hit": "Redis 命中",
    "miss + load": "未命中 + 加载",
    "50 at once": "一次 50 个",
    "100,000 entries": "100,000 个条目",
    "one key, load of 100 ms": "一个键，加载 100 ms",
    "200 callers, memory: loads": "200 个调用者，内存：加载",
    "200 callers, Redis: loads": "200 个调用者，Redis：加载",
    "4 processes × 50, Redis: loads": "4 个进程 × 50，Redis：加载",
    "× load": "× 加载",
    "20,000 requests, 200 callers": "20,000 次请求，200 个调用者",
    "200,000 requests, 1,000 callers": "200,000 次请求，1,000 个调用者",
    "s": "秒",
    "× limit": "× 极限",
    "CPU s": "CPU 秒",
    "loads": "加载",
    "keys read in Redis": "从 Redis 读的键",
    "(the limit)": "（极限）",
    "aim": "目标",
    "found": "实测",
    "result": "结果",
    "reached": "达到",
    "NOT REACHED": "未达到",
    "time": "时间",
    "machine": "机器",
    "versions": "版本",
}
"""What cells say; what is not here is the same in both languages."""


def write(found: Mapping[str, Any], facts: Mapping[str, str], aims: list[Aim]) -> Iterator[Path]:
    """Renew every section for which there are figures; gives the pages that have changed."""
    tables = {name: make(found[part]) for part, (name, make) in SECTIONS.items() if part in found}
    if "speed_ns" in found and len(found["speed_ns"]) > 1:
        tables["ratio"] = report.ours_to_peers(found["speed_ns"])
    if len(found) >= len(SECTIONS):  # a part of the aims would look like all of them
        tables["aims"] = _aims(aims)
        tables["facts"] = Table(["", ""], [[name, value] for name, value in facts.items()])
    for page in PAGES:
        words = CHINESE if page.name.endswith(".zh.md") else {}
        old = page.read_text()
        new = _SECTION.sub(partial(_renewed, tables=tables, words=words), old)
        if new != old:
            page.write_text(new)
            yield page


def _renewed(match: re.Match[str], tables: dict[str, Table], words: dict[str, str]) -> str:
    table = tables.get(match[2])
    if table is None:
        return match[0]
    parts = [match[1].rstrip(), _markdown(table, words), *_picture(match[2]), match[3]]
    return "\n\n".join(parts)


def _picture(section: str) -> list[str]:
    part = next((part for part, (name, _) in SECTIONS.items() if name == section), "")
    if part not in plot.PICTURES:
        return []
    file = f"../image/cache-{plot.PICTURES[part][0]}"
    return [f"[![{section}]({file}.png)]({file}.svg)"]


def _markdown(table: Table, words: dict[str, str]) -> str:
    head, *rows = [
        f"| {' | '.join(words.get(cell, cell) for cell in row)} |"
        for row in (table.head, *table.rows)
    ]
    return "\n".join([head, "|---|" + "---:|" * (len(table.head) - 1), *rows])


def _aims(aims: list[Aim]) -> Table:
    rows = []
    for aim in aims:
        verdict = "reached" if aim.is_reached else "NOT REACHED"
        sign = "≤" if aim.is_most else "≥"
        text = f"{aim.text} {sign} {aim.limit:g}{aim.unit}"
        rows.append([text, f"{aim.found:.2f}{aim.unit}", verdict])
    return Table(["aim", "found", "result"], rows)


def _trace(title: str) -> Callable[[Any], Table]:
    return lambda each: report.trace(each["runs"], each["limit"], each["unique"], title)


SECTIONS: dict[str, tuple[str, Callable[[Any], Table]]] = {
    "engine": ("engine", report.engines),
    "speed_ns": ("speed", report.speed),
    "memory_mb": ("memory", report.memory),
    "stampede": ("stampede", report.stampede),
    "trace_20000": ("trace", _trace("20,000 requests, 200 callers")),
    "trace_200000": ("long_trace", _trace("200,000 requests, 1,000 callers")),
}
"""Part of what was found, name of its section, and how its table is made."""
