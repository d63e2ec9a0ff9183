"""Tables of what was measured, and how it stands to the aims."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.cache.contender import CACHEME, CONTENDERS, DOGPILE, FLOOR, OURS
from benchmarks.cache.measure import CROWD, PROCESSES, THREADS
from benchmarks.cache.source import SLOW
from benchmarks.http.report import Aim, ratio, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.cache.measure import Samples


class Table(NamedTuple):
    """Figures, for the terminal or for a page."""

    head: list[str]
    rows: list[list[str]]

    def __str__(self) -> str:
        return table(self.head, self.rows)


COLUMNS = {
    "local_get": ("get, ns", 1),
    "local_call": ("decorated, ns", 1),
    "threads": (f"{THREADS} threads, M/s", 1e6),
    "redis_get": ("Redis hit, µs", 1000),
    "redis_call": ("miss + load, µs", 1000),
    "redis_many": ("50 at once, µs", 1000),
}


def versions() -> str:
    found = [item.versions for item in CONTENDERS.values() if item.versions]
    return ", ".join(dict.fromkeys(", ".join(found).split(", ")))


def engines(found: dict[str, dict[str, Any]]) -> Table:
    head = ["engine", "get, ns", "set, ns", "replace, ns", "MB", "scans", "drift"]
    head += ["popular kept", "8 threads, M/s", "errors", "fork"]
    rows = []
    for name, each in found.items():
        times = [median(each[kind]) for kind in ("get", "set", "evict")]
        fork = "hangs" if each["fork"]["hung"] else "fails" if each["fork"]["failed"] else "goes on"
        rows.append(
            [name, *(f"{spent:,.0f}" for spent in times), f"{each['memory']:.0f}"]
            + [f"{each[trace]:.3f}" for trace in ("scans", "drift")]
            + [f"{each['lifetimes']['popular_kept']:.0%}"]
            + [f"{each['threads']['rate'] / 1e6:.2f}", str(len(each["threads"]["errors"])), fork]
        )
    return Table(head, rows)


def speed(samples: Samples) -> Table:
    head = ["hits and misses", *(title for title, _ in COLUMNS.values())]
    rows = []
    for name, found in samples.items():
        row = [CONTENDERS[name].title]
        for method, (_, unit) in COLUMNS.items():
            row.append(_figure(median(found[method]) / unit) if method in found else "")
        rows.append(row)
    return Table(head, rows)


def ours_to_peers(samples: Samples) -> Table:
    head = ["Strongback's time, × of", *(title.split(",")[0] for title, _ in COLUMNS.values())]
    rows = []
    for name, found in samples.items():
        if name == OURS:
            continue
        row = [CONTENDERS[name].title]
        for method in COLUMNS:
            ours = samples[OURS].get(method)
            if not ours or method not in found:
                row.append("")
                continue
            pair = (found[method], ours) if method == "threads" else (ours, found[method])
            row.append(f"{ratio(*pair):.2f}")
        rows.append(row)
    return Table(head, rows)


def memory(found: dict[str, float]) -> Table:
    rows = [[CONTENDERS[name].title, f"{each:.0f}"] for name, each in found.items()]
    return Table(["100,000 entries", "MB"], rows)


STAMPEDES = {
    "slow_local": f"{CROWD} callers, memory",
    "slow_redis": f"{CROWD} callers, Redis",
    "cluster": f"{PROCESSES} processes × {CROWD // PROCESSES}, Redis",
}


def stampede(found: dict[str, dict[str, list[dict[str, Any]]]]) -> Table:
    head = [f"one key, load of {SLOW * 1000:.0f} ms"]
    for title in STAMPEDES.values():
        head += [f"{title}: loads", "× load", "errors"]
    rows = []
    for name, cases in found.items():
        row = [CONTENDERS[name].title]
        for case in STAMPEDES:
            runs = cases.get(case)
            row += ["", "", ""] if not runs else [
                _range(run["loads"] for run in runs),
                f"{median(run['seconds'] for run in runs) / SLOW:.2f}",
                str(sum(run["errors"] for run in runs)),
            ]  # fmt: skip
        rows.append(row)
    return Table(head, rows)


def _range(values: Iterable[int]) -> str:
    found = sorted(values)
    return str(found[0]) if found[0] == found[-1] else f"{found[0]}-{found[-1]}"


def trace(found: dict[str, dict[str, Any]], least: float, unique: int, title: str) -> Table:
    head = [title, "s", "× limit", "CPU s", "loads", "keys read in Redis", "errors"]
    rows = [["(the limit)", f"{least:.1f}", "1.00", "", f"{unique:,}", f"{unique:,}", ""]]
    for name, run in found.items():
        rows.append(
            [name, f"{run['seconds']:.1f}", f"{run['seconds'] / least:.2f}", f"{run['cpu']:.1f}"]
            + [f"{run[kind]:,}" for kind in ("loads", "reads", "errors")]
        )
    return Table(head, rows)


def speed_aims(samples: Samples) -> list[Aim]:
    found: list[Aim] = []
    ours = samples.get(OURS, {})

    def against(method: str, peer: str, of: str, limit: float, text: str) -> None:
        other = samples.get(peer, {}).get(of)
        if method in ours and other:
            found.append(Aim(text, ratio(ours[method], other), limit, ""))

    against("local_get", DOGPILE, "local_get", 0.25, "local hit, get(node), × dogpile's memory")
    against("local_get", CACHEME, "local_get", 1.0, "local hit, get(node), × cacheme's local")
    if "local_call" in ours:
        found.append(Aim("local hit, cached", median(ours["local_call"]), 400, " ns"))
    if "threads" in ours:
        rate = median(ours["threads"]) / 1e6
        found.append(Aim(f"cached on {THREADS} threads", rate, 2, " M/s", is_most=False))
    against("redis_get", FLOOR, "redis_get", 1.15, "Redis hit, × redis-py GET + decode")
    against("redis_typed", FLOOR, "redis_typed", 1.15, "the same hit, into a model")
    against("redis_call", FLOOR, "redis_call", 1.5, "miss + load, × GET + SET")
    against("redis_many", FLOOR, "redis_many", 1.3, "get_all of 50, × one MGET + decode")
    against("redis_many_typed", FLOOR, "redis_many_typed", 1.3, "the same 50, into models")
    return found


def stampede_aims(found: dict[str, dict[str, list[dict[str, Any]]]]) -> list[Aim]:
    aims = []
    for case, limit in (("slow_local", 1.15), ("slow_redis", 1.15), ("cluster", 1.2)):
        if runs := found.get(OURS, {}).get(case):
            loads, slowest = max(run["loads"] for run in runs), median(
                run["seconds"] for run in runs
            )
            aims.append(Aim(f"{STAMPEDES[case]}: loads", loads, 1, ""))
            aims.append(Aim(f"{STAMPEDES[case]}: time, × load", slowest / SLOW, limit, ""))
    return aims


def trace_aims(
    found: dict[str, dict[str, Any]], least: float, unique: int, *, is_timed: bool
) -> list[Aim]:
    aims = []
    for name, run in found.items():
        if not name.startswith(CONTENDERS[OURS].title):
            continue
        is_chain = "local" in name
        aims.append(
            Aim(f"trace, {name}: loads above the unique keys", run["loads"] - unique, 0, "")
        )
        if is_chain:
            share = run["reads"] / unique
            aims.append(Aim(f"trace, {name}: keys read in Redis, × unique", share, 1, ""))
        if is_timed:
            aims.append(Aim(f"trace, {name}: time, × limit", run["seconds"] / least, 1.15, ""))
    return aims


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"
