"""Pictures of what was measured, for the docs."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.cache.contender import CONTENDERS
from benchmarks.cache.engine import OURS as ENGINE
from benchmarks.cache.report import STAMPEDES
from benchmarks.cache.source import SLOW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

OUR_COLOUR, OTHER_COLOUR, LIMIT_COLOUR = "#3f51b5", "#9e9e9e", "#e65100"


def draw(found: dict[str, Any], folder: Path) -> Iterator[Path]:
    """Write each picture as PNG and SVG; gives the files."""
    import matplotlib as mpl  # noqa: PLC0415  half a second that only pictures need
    from matplotlib.figure import Figure  # noqa: PLC0415  of the group bench

    mpl.rcParams["svg.hashsalt"] = "strongback"  # the same figures give the same file
    folder.mkdir(parents=True, exist_ok=True)
    for part, (name, picture) in PICTURES.items():
        if part not in found:
            continue
        figure = Figure(layout="constrained")
        picture(figure, found[part])
        for suffix in ("png", "svg"):
            file = folder / f"cache-{name}.{suffix}"
            metadata = {"Date": None} if suffix == "svg" else {"Software": None}
            figure.savefig(file, dpi=110, bbox_inches="tight", metadata=metadata)
            yield file


def _bars(axes: Any, title: str, values: dict[str, float], unit: str) -> None:
    names = sorted(values, key=lambda name: values[name], reverse=True)
    colours = [OUR_COLOUR if name.startswith("Strongback") else OTHER_COLOUR for name in names]
    bars = axes.barh(names, [values[name] for name in names], color=colours)
    labels = [f"{values[name]:,.0f}" if values[name] >= 10 else f"{values[name]:.2f}"
              for name in names]  # fmt: skip
    axes.bar_label(bars, labels, padding=3, fontsize=8)
    axes.set_title(f"{title}, {unit}", fontsize=10, loc="left")
    axes.margins(x=0.18)
    axes.tick_params(labelsize=8)
    axes.xaxis.set_visible(False)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)


def _speed(figure: Any, samples: dict[str, Any]) -> None:
    panels = (
        ("local_get", "Local hit, get", "ns", 1),
        ("local_call", "Local hit, decorated", "ns", 1),
        ("redis_get", "Redis hit", "µs", 1000),
        ("redis_call", "Miss + load", "µs", 1000),
        ("redis_many", "50 values at once", "µs", 1000),
        ("threads", "8 threads", "M calls/s", 1e6),
    )
    figure.set_size_inches(11, 9)
    axes = figure.subplots(3, 2)
    for (method, title, unit, scale), place in zip(panels, axes.flat, strict=True):
        values = {
            CONTENDERS[name].title: median(found[method]) / scale
            for name, found in samples.items()
            if method in found
        }
        _bars(place, title, values, unit)


def _engine(figure: Any, found: dict[str, Any]) -> None:
    figure.set_size_inches(8, 4.5)
    axes = figure.subplots()
    for name, each in found.items():
        ratio = (each["scans"] + each["drift"]) / 2
        axes.scatter(
            median(each["get"]),
            ratio,
            color=OUR_COLOUR if name == ENGINE else OTHER_COLOUR,
            s=10 * each["memory"],
        )
        axes.annotate(name, (median(each["get"]), ratio), fontsize=8, xytext=(6, 6),
                      textcoords="offset points")  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlabel("get, ns (area: memory)")
    axes.set_ylabel("hit ratio, mean of both traces")
    axes.grid(alpha=0.3)


def _stampede(figure: Any, found: dict[str, Any]) -> None:
    figure.set_size_inches(13, 3.6)
    axes = figure.subplots(1, 3)
    for (case, title), place in zip(STAMPEDES.items(), axes, strict=True):
        values = {
            f"{CONTENDERS[name].title}: {max(run['loads'] for run in cases[case])} loads": median(
                run["seconds"] for run in cases[case]
            )
            / SLOW
            for name, cases in found.items()
            if case in cases
        }
        _bars(place, title, values, "× load")
        place.axvline(1, color=LIMIT_COLOUR, linewidth=1)


def _trace(figure: Any, found: dict[str, Any]) -> None:
    figure.set_size_inches(12, 4)
    axes = figure.subplots(1, 2)
    runs = found["runs"]
    _bars(axes[0], "Time", {name: run["seconds"] for name, run in runs.items()}, "s")
    axes[0].axvline(found["limit"], color=LIMIT_COLOUR, linewidth=1)
    _bars(axes[1], "Keys read in Redis", {name: run["reads"] for name, run in runs.items()}, "keys")
    axes[1].axvline(found["unique"], color=LIMIT_COLOUR, linewidth=1)


PICTURES: dict[str, tuple[str, Callable[[Any, Any], None]]] = {
    "engine": ("engine", _engine),
    "speed_ns": ("speed", _speed),
    "stampede": ("stampede", _stampede),
    "trace_20000": ("trace-20000", _trace),
    "trace_200000": ("trace-200000", _trace),
}
