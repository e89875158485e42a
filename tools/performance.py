"""Tables of docs/performance.md, made of the figures in ``bench/results/``.

``make docs`` writes them at the marks that cog reads. The plots of the same figures are made by
``performance_plots``. A benchmark whose file is missing has no rows.
"""  # noqa: INP001 - a script's part, not part of a package

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "bench" / "results"
LABELS = ("before", "now")
_DIGITS = 3
NAMES = ("everyday", "network", "scale", "peers", "idle", "logins")

Figures = Mapping[str, Any]
Row = tuple[str, Callable[[Figures], object], str]
"""What a row says, its figure, and the figure's unit."""

EVERYDAY: Sequence[Row] = (
    ("connections of one warm full sync", lambda it: it["counts"]["connections"], ""),
    ("its statements, BEGIN and COMMIT included", lambda it: it["counts"]["statements"], ""),
    ("its round trips", lambda it: it["counts"]["round_trips"], ""),
    ("warm `pims sync full`", lambda it: it["sync_full"]["seconds"], "s"),
    ("its CPU time", lambda it: it["sync_full"]["cpu_seconds"], "CPU s"),
    ("POST `/api/sync/full` with `Prefer: wait`", lambda it: it["post_sync_full"]["seconds"], "s"),
    ("its CPU time in `pims up`", lambda it: it["post_sync_full"]["cpu_seconds"], "CPU s"),
    ("`pims status`", lambda it: it["status"]["seconds"], "s"),
    ("its CPU time", lambda it: it["status"]["cpu_seconds"], "CPU s"),
    ("`pims cases list`", lambda it: it["cases_list"]["seconds"], "s"),
    ("its CPU time", lambda it: it["cases_list"]["cpu_seconds"], "CPU s"),
)
IDLE: Sequence[Row] = (
    ("`pims up --demo`, idle", lambda it: it["cores"], "cores"),
    ("its memory", lambda it: it["pss_mb"], "MB"),
    ("its processes", lambda it: it["processes"], ""),
)
LOGINS: Sequence[Row] = (("a clinic's login", lambda it: it["cpu_seconds"], "CPU s"),)


def results(name: str) -> dict[str, Any]:
    """What a benchmark recorded, by label; empty if it recorded nothing."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return {}
    recorded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {label: recorded[label] for label in LABELS if label in recorded}


def number(value: object, unit: str = "") -> str:
    """A figure with three digits that mean something, and its unit; a dash for none."""
    if value is None:
        return "–"
    text = f"{value:,}" if isinstance(value, int) else _digits(float(str(value)))
    return f"{text} {unit}".strip()


def _digits(value: float) -> str:
    whole = len(str(int(abs(value))))
    return f"{value:,.{max(0, _DIGITS - whole)}f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n" + "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def everyday() -> str:
    """The table of everyday work, with what other benchmarks know of it."""
    sources = {name: results(name) for name in ("everyday", "idle", "logins")}
    labels = [label for label in LABELS if any(label in each for each in sources.values())]
    rows = [
        [text, *(_cell(sources[name].get(label), figure, unit) for label in labels)]
        for name, its in (("everyday", EVERYDAY), ("idle", IDLE), ("logins", LOGINS))
        if sources[name]
        for text, figure, unit in its
    ]
    return table(["", *labels], rows)


def _cell(entry: Figures | None, figure: Callable[[Figures], object], unit: str) -> str:
    return number(None if entry is None else figure(entry["figures"]), unit)


def network() -> str:
    """The table of what distance to the database costs."""
    rows = [
        [
            label,
            number(each["round_trip_ms"], "ms"),
            number(each["measured_ms"], "ms"),
            number(each["sync_full"]["seconds"], "s"),
            number(each["sync_full"]["cpu_seconds"], "CPU s"),
            number(each["sync_full"]["connections"]),
            number(each["sync_full"]["round_trips"]),
            number(each["status"]["seconds"], "s"),
            number(each["cases_list"]["seconds"], "s"),
        ]
        for label, entry in results("network").items()
        for each in entry["figures"]["delays"]
    ]
    head = ["", "round trip", "a trivial query took", "warm `pims sync full`", "its CPU time"]
    head += ["connections", "round trips", "`pims status`", "`pims cases list`"]
    return table(head, rows)


def scale() -> str:
    """The table of what a clinic costs, by the number of clinics."""
    rows = [
        [
            label,
            number(each["clinics"]),
            number(each["runs"]),
            number(each["cpu_seconds"], "CPU s"),
            number(each["postgres_cpu_seconds"], "CPU s"),
            number(each["seconds"], "s"),
            number(each["first_cpu_seconds"], "CPU s"),
        ]
        for label, entry in results("scale").items()
        for each in entry["figures"]["sizes"]
    ]
    head = ["", "clinics", "runs", "a clinic's usual sync", "PostgreSQL's part", "wall time"]
    return table([*head, "a clinic's first sync"], rows)


def exponents() -> str:
    """How the total cost grows with the number of clinics, in a sentence for each label."""
    return "".join(
        f"\n- {label}: CPU time grows with the number of clinics to the power "
        f"{number(grown['cpu_seconds'])}, wall time to the power {number(grown['seconds'])}."
        for label, entry in results("scale").items()
        if (grown := entry["figures"]["exponent"])
    )


def peers() -> str:
    """The table of bulk loads, ours and others', of the latest measurement and the one before."""
    rows = [
        [
            label,
            f"{name} {entry['figures']['versions'].get(name, '')}".strip(),
            load,
            number(each["rows_per_second"]),
            number(each["rows_per_cpu_second"]),
            number(each["cpu_seconds"], "CPU s"),
            number(each["postgres_cpu_seconds"], "CPU s"),
            number(each["peak_mb"], "MB"),
        ]
        for label, entry in results("peers").items()
        for name, loads in entry["figures"]["loads"].items()
        for load, each in loads.items()
    ]
    head = ["", "program", "load", "rows/s", "rows per CPU second", "its CPU time"]
    return table([*head, "PostgreSQL's", "peak memory"], rows)


def machines() -> str:
    """The table of the machines and versions that gave the figures."""
    rows = [
        [
            f"`{name}.json`, {label}",
            entry["date"],
            f"`{entry['command']}`",
            _hardware(entry["machine"]),
            _versions(entry["machine"]),
            entry["note"],
        ]
        for name in NAMES
        for label, entry in results(name).items()
    ]
    return table(["figures", "date", "command", "machine", "versions", "note"], rows)


def _hardware(machine: Figures) -> str:
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, "
        f"{machine['system']}, load {machine['load']} at the start"
    )


def _versions(machine: Figures) -> str:
    return (
        f"Python {machine['python']}, PostgreSQL {machine['postgresql']}, "
        f"Dagster {machine['dagster']}, Playwright {machine['playwright']}"
    )
