"""What a benchmark gives: figures, and how they are shown."""

import os
import platform
import sqlite3
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from airloom import __version__
from airloom.executors.settings import cores


class Figure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One measurement. `unit`: of ours, floor and budget. more: whether a larger figure is the better one.

    budget None: there is none for this figure, it explains another one. `floor_is`: what the floor does.
    """

    what: str
    ours: float
    unit: str
    floor: float | None = None
    floor_is: str = ""
    budget: float | None = None
    more: bool = False

    @property
    def ratio(self) -> float | None:
        """Ours to the floor."""
        return self.ours / self.floor if self.floor else None

    @property
    def verdict(self) -> str:
        """Whether the budget is met."""
        if self.budget is None:
            return ""
        met = self.ours >= self.budget if self.more else self.ours <= self.budget
        return "met" if met else "MISSED"


def median(values: Iterable[float]) -> float:
    """The middle one."""
    return statistics.median(values)


def percentile(values: Iterable[float], share: float) -> float:
    """The value below which `share` of all are."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def table(figures: Sequence[Figure]) -> str:
    """The figures as lines of text."""
    head = ("what", "ours", "floor", "ratio", "budget", "", "the floor is")
    rows = [head, *(_cells(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(row[n].rjust(widths[n]) for n in range(1, 5))]
        lines.append("  ".join((*cells, row[5].ljust(widths[5]), row[6])).rstrip())
    return "\n".join(lines)


def _cells(figure: Figure) -> tuple[str, ...]:
    floor = "" if figure.floor is None else f"{_number(figure.floor)} {figure.unit}"
    ratio = "" if figure.ratio is None else _number(figure.ratio)
    budget = "" if figure.budget is None else f"{_number(figure.budget)} {figure.unit}"
    ours = f"{_number(figure.ours)} {figure.unit}"
    return figure.what, ours, floor, ratio, budget, figure.verdict, figure.floor_is


def _number(value: float) -> str:
    """Three digits that count, and no exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    names = [
        line.partition(":")[2].strip()
        for line in _lines("/proc/cpuinfo")
        if line.startswith(("model name", "Model", "Hardware"))
    ]
    memory = [line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    load = os.getloadavg()[0]
    return {
        "cores": str(cores()),
        "processor": names[0] if names else platform.machine(),
        "memory": f"{int(memory[0]) / 2**20:.0f} GiB" if memory else "unknown",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "airloom": __version__,
        "load before": f"{load:.2f}"
        + (" (the machine is busy: figures are worse than they are)" if load > 0.5 else ""),
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
