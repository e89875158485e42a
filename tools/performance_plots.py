"""The plots of docs/performance.md, made of the figures in ``bench/results/``.

Run by ``make docs``, as ``python tools/performance_plots.py``. Each plot carries the digest of its
figures, so that a test notices an old one without drawing it again.
"""  # noqa: INP001 - a script, not part of a package

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from performance import results

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIZE = (7.5, 3.2)
COLORS = {"before": "#9a9a9a", "now": "#1f6f8b"}

Recorded = Mapping[str, Any]


def digest(name: str) -> str:
    """Identifies the figures that a plot is made of."""
    return hashlib.sha256(json.dumps(results(name), sort_keys=True).encode()).hexdigest()


def image(name: str) -> Path:
    """The file of a plot."""
    return IMAGES / f"performance-{name}.svg"


def network(figure: Figure, recorded: Recorded) -> None:
    """The wall time of a warm full sync over the round trip to the database."""
    axes = figure.subplots()
    for label, entry in recorded.items():
        delays = entry["figures"]["delays"]
        xs = [each["round_trip_ms"] for each in delays]
        _line(axes, xs, [each["sync_full"]["seconds"] for each in delays], label)
    _words(axes, "One clinic's warm full sync", "round trip to the database, ms", "seconds")


def scale(figure: Figure, recorded: Recorded) -> None:
    """The CPU time of a clinic over the number of clinics."""
    axes = figure.subplots()
    for label, entry in recorded.items():
        sizes = entry["figures"]["sizes"]
        xs = [each["clinics"] for each in sizes]
        _line(axes, xs, [each["cpu_seconds"] for each in sizes], label)
    axes.set_xscale("log")
    ticks = {each["clinics"] for it in recorded.values() for each in it["figures"]["sizes"]}
    axes.set_xticks(sorted(ticks), [f"{tick:,}" for tick in sorted(ticks)])
    axes.minorticks_off()
    _words(axes, "A clinic's usual scheduled sync", "clinics", "CPU seconds per clinic")


def peers(figure: Figure, recorded: Recorded) -> None:
    """The rows per second of each program, by wall time and by CPU time, at the latest label."""
    loads = recorded[list(recorded)[-1]]["figures"]["loads"]
    names = list(reversed(loads))
    panels = figure.subplots(1, 2, sharey=True)
    kinds = (("rows_per_second", "rows per second"), ("rows_per_cpu_second", "per CPU second"))
    for axes, (kind, text) in zip(panels, kinds, strict=True):
        for shift, load, color in ((0.19, "first", "#1f6f8b"), (-0.19, "unchanged", "#8fc1d0")):
            values = [loads[name][load][kind] / 1000 for name in names]
            places = [place + shift for place in range(len(names))]
            axes.barh(places, values, 0.36, label=load, color=color)
        axes.set_yticks(range(len(names)), names)
        _words(axes, "", f"thousand {text}", "")
    figure.suptitle("50,000 appointments: the peers write one table, ours three", fontsize=11)


def _line(axes: Axes, xs: list[float], ys: list[float], label: str) -> None:
    axes.plot(xs, ys, "o-", label=label, color=COLORS[label])
    axes.annotate(f"{ys[-1]:.3g}", (xs[-1], ys[-1]), xytext=(6, -3), textcoords="offset points")


def _words(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_ylim(bottom=None if y == "" else 0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


PLOTS: Mapping[str, Callable[[Figure, Recorded], None]] = {
    "network": network,
    "scale": scale,
    "peers": peers,
}


def draw(name: str) -> None:
    """Draw one plot, if its benchmark recorded something."""
    recorded = results(name)
    if not recorded:
        return
    figure = Figure(figsize=SIZE, layout="constrained")
    PLOTS[name](figure, recorded)
    # Text as text keeps the file small; no date and no random names keep it the same.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        metadata = {"Date": None, "Description": digest(name)}
        figure.savefig(image(name), metadata=metadata)


if __name__ == "__main__":
    for each in PLOTS:
        draw(each)
