"""Pictures of what was measured, for the docs."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.cache.plot import OTHER_COLOUR, OUR_COLOUR

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def draw(found: dict[str, Any], folder: Path) -> Iterator[Path]:
    """Write the picture as PNG and SVG; gives the files."""
    import matplotlib as mpl  # noqa: PLC0415  half a second that only pictures need
    from matplotlib.figure import Figure  # noqa: PLC0415  of the group bench

    if not found.get("last_delivery_ms"):
        return
    mpl.rcParams["svg.hashsalt"] = "strongback"  # the same figures give the same file
    folder.mkdir(parents=True, exist_ok=True)
    figure = Figure(layout="constrained", figsize=(8, 2.4))
    last = {name: median(times) for name, times in found["last_delivery_ms"].items() if times}
    left, right = figure.subplots(1, 2)
    _bars(left, "Memory of a client, KiB", found["memory_kib"])
    _bars(right, "Last of all deliveries, ms", last)
    for suffix in ("png", "svg"):
        file = folder / f"realtime.{suffix}"
        metadata = {"Date": None} if suffix == "svg" else {"Software": None}
        figure.savefig(file, dpi=110, bbox_inches="tight", metadata=metadata)
        yield file


def _bars(axes: Any, title: str, values: dict[str, float]) -> None:
    names = sorted(values, key=lambda name: values[name], reverse=True)
    colours = [OUR_COLOUR if name.startswith("strongback") else OTHER_COLOUR for name in names]
    bars = axes.barh(names, [values[name] for name in names], color=colours)
    axes.bar_label(bars, [f"{values[name]:.1f}" for name in names], padding=3, fontsize=8)
    axes.set_title(title, fontsize=10, loc="left")
    axes.margins(x=0.18)
    axes.tick_params(labelsize=8)
    axes.xaxis.set_visible(False)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
