"""The figures of a report, drawn from results as plain values."""

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from homeedit.evaluation.report.looks import FAMILIES, look_of
from homeedit.evaluation.report.selecting import (
    Json,
    Measure,
    counts,
    headline,
    main_count,
    measures,
    methods,
    rows_at,
)
from homeedit.evaluation.report.style import (
    BLUE,
    GREY,
    GRID,
    INK,
    MUTED,
    PAPER,
    VERMILION,
    new_figure,
    one_axis_of_grid,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 4
"""Most panels side by side."""
ROW_HEIGHT = 0.21
"""Inches that a method's line takes in a dot plot."""
MOST_CURVES = 9
"""Metrics drawn as curves: a suite's first; the table has all."""
SHARED = (BLUE, GREY)
"""Families that stand in every panel of the curves."""
PRICED = (BLUE, VERMILION)
"""Families whose answers cost differently: the facts in the weights, or read with every question."""


def overview(suites: dict[str, Json]) -> "Figure":
    """Every method on every suite: the suite's headline number with its interval."""
    sections = [section for section in suites.values() if headline(section)]
    panels = [
        # The citation behind a suite's name is for the page.
        (
            section["title"].partition(" (")[0],
            f"{one.label}, {main_count(section)} edits",
            rows_at(section, main_count(section)),
            one,
        )
        for section in sections
        if (one := headline(section))
    ]
    return _dot_plots(panels, methods(sections))


def suite_dots(section: Json, count: int) -> "Figure":
    """All metrics of one suite after ``count`` edits, every method a line."""
    rows = rows_at(section, count)
    panels = [(each.label, "", rows, each) for each in measures(section)]
    return _dot_plots(panels, methods([{"results": rows}]))


def _dot_plots(panels: Sequence[tuple[str, str, Sequence[Json], Measure]], methods_shown: Iterable[str]) -> "Figure":
    """Panels of (title, label below, rows, measure), as many lines as there are methods."""
    names = list(methods_shown)
    across = min(COLUMNS, len(panels))
    down = -(-len(panels) // across)
    with styled():
        figure = new_figure(down * (0.62 + ROW_HEIGHT * len(names)) + 0.3)
        grid = figure.subplots(down, across, squeeze=False, sharey=True)
        for axes, (title, label, rows, measure) in zip(grid.flat, panels, strict=False):
            one_axis_of_grid(axes, "x")
            axes.set_title(_folded(title, 19))
            axes.set_xlabel(label)
            _dots(axes, rows, measure, names)
            axes.set_yticks(range(len(names)), names)
            axes.set_ylim(len(names) - 0.4, -0.6)
        for axes in list(grid.flat)[len(panels) :]:
            axes.set_visible(False)
        _family_legend(figure, names)
    return figure


def _dots(axes: "Axes", rows: Sequence[Json], measure: Measure, order: Sequence[str]) -> None:
    """One dot with its interval for each row; the base's value also as a line through all."""
    by_name = {row["method"]: row for row in rows}
    shares = _range(axes, rows, measure, "x")
    for height, name in enumerate(order):
        row = by_name.get(name)
        found = measure.of(row) if row else None
        look = look_of(name)
        if found is None:
            if row is not None:
                axes.text(0.02, height, "–", color=MUTED, va="center", transform=axes.get_yaxis_transform())
            continue
        if name == "base":
            axes.axvline(found["mean"], color=look.colour, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
        _interval_line(axes, found, height, look.colour)
        axes.plot(
            [found["mean"]],
            [height],
            marker="o",
            color=look.colour,
            markerfacecolor=PAPER if name == "base" else look.colour,
            markersize=5.5,
            clip_on=not shares,
            zorder=3,
        )


def _interval_line(axes: "Axes", found: Json, height: float, colour: str) -> None:
    if found["low"] is not None and found["high"] is not None:
        axes.plot(
            [found["low"], found["high"]],
            [height, height],
            color=colour,
            linewidth=2.2,
            alpha=0.45,
            solid_capstyle="round",
            zorder=2,
        )


def _range(axes: "Axes", rows: Sequence[Json], measure: Measure, which: str) -> bool:
    """Shares get an axis from 0 to 1, and say True; anything else gets one from its own values.

    Of what should be small (leaks, KL) small numbers are looked at closer.
    """
    found = [each for row in rows if (each := measure.of(row))]
    ends = [each[end] for each in found for end in ("low", "mean", "high") if each[end] is not None]
    if not ends or min(ends) < 0 or max(ends) > 1:
        axes.margins(0.12)
        return False
    closer = () if measure.higher_is_better else (0.05, 0.25)
    top = next((limit for limit in closer if max(ends) <= limit), 1.0)
    ticks = [0.0, top / 2, top]
    (axes.set_xlim if which == "x" else axes.set_ylim)(-0.03 * top, 1.03 * top)
    labels = [f"{tick:g}".removeprefix("0") or "0" for tick in ticks]
    (axes.set_xticks if which == "x" else axes.set_yticks)(ticks, labels)
    return True


def _family_legend(figure: "Figure", names: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    used = {look_of(name).colour for name in names}
    handles = [
        Line2D([], [], color=colour, marker="o", linestyle="none", label=family, markersize=5.5)
        for family, colour in FAMILIES.items()
        if colour in used
    ]
    if len(handles) > 1:
        figure.legend(handles=handles, loc="outside lower left", ncols=len(handles), handletextpad=0.2)


def curves(section: Json) -> "Figure":
    """What becomes of a suite's metrics as more is taught, intervals as bands.

    A column for each family of methods, homeedit's and the base in each of them to compare with; when there is one
    family to compare with, the metrics stand side by side.
    """
    shown, names = measures(section)[:MOST_CURVES], list(methods([section]))
    families = [colour for colour in dict.fromkeys(look_of(name).colour for name in names) if colour not in SHARED]
    if len(families) > 1:
        panels = [(measure, colour) for measure in shown for colour in families]
        across = len(families)
    else:
        panels = [(measure, families[0] if families else "") for measure in shown]
        across = min(3, len(panels))
    down = -(-len(panels) // across)
    with styled():
        figure = new_figure(down * 1.75 + 0.6)
        grid = figure.subplots(down, across, squeeze=False, sharey="row" if len(families) > 1 else False)
        for axes, (measure, colour) in zip(grid.flat, panels, strict=False):
            one_axis_of_grid(axes, "y")
            axes.set_title(_folded(measure.label, 30))
            _count_axis(axes, section)
            _range(axes, section["results"], measure, "y")
            for name in names:
                if look_of(name).colour in (*SHARED, colour):
                    _curve(axes, [row for row in section["results"] if row["method"] == name], measure, name)
        for axes in grid[-1]:
            axes.set_xlabel("edits taught together")
        for axes in list(grid.flat)[len(panels) :]:
            axes.set_visible(False)
        _method_legend(figure, names)
    return figure


def _count_axis(axes: "Axes", section: Json) -> None:
    numbers = counts(section)
    axes.set_xscale("log")
    axes.set_xticks(numbers, [str(number) for number in numbers])
    axes.minorticks_off()


def _curve(axes: "Axes", rows: Sequence[Json], measure: Measure, name: str) -> None:
    points = [(row["edits"], found) for row in rows if (found := measure.of(row))]
    if not points:
        return
    look = look_of(name)
    across = [count for count, _ in points]
    axes.plot(
        across,
        [found["mean"] for _, found in points],
        color=look.colour,
        linestyle=look.line,
        marker=look.marker,
        markersize=4.5,
        linewidth=1.4,
        clip_on=False,
        zorder=3,
    )
    if all(found["low"] is not None for _, found in points):
        low, high = [found["low"] for _, found in points], [found["high"] for _, found in points]
        axes.fill_between(across, low, high, color=look.colour, alpha=0.1, linewidth=0, zorder=1)


def _method_legend(figure: "Figure", names: Iterable[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [],
            [],
            color=look_of(name).colour,
            marker=look_of(name).marker,
            linestyle=look_of(name).line,
            linewidth=1.4,
            markersize=4.5,
            label=name,
        )
        for name in names
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(6, len(handles)), handlelength=2.6)


def price(section: Json) -> "Figure | None":
    """What an answer costs in tokens read and in seconds, against the suite's headline; the number of edits beside
    each mark. Other ways to change weights cost what homeedit's does, and stand behind in grey."""
    main = headline(section)
    rows = [row for row in section["results"] if main and main.of(row) and row["cost"]["answers"]]
    compared = [name for name in methods([{"results": rows}]) if look_of(name).colour in PRICED]
    if main is None or not any(look_of(name).colour != BLUE for name in compared):
        return None
    with styled():
        figure = new_figure(3.0)
        panels = figure.subplots(1, 2, sharey=True)
        for axes, name, label in zip(
            panels, ("read", "seconds"), ("tokens read an answer", "seconds an answer"), strict=True
        ):
            axes.set_xlabel(label)
            axes.set_xscale("log")
            _range(axes, rows, main, "y")
            _round_ticks(axes, [row["cost"][name] for row in rows])
            for row in rows:
                if row["method"] not in compared and row["cost"][name] and (found := main.of(row)):
                    axes.plot([row["cost"][name]], [found["mean"]], color=GREY, marker="o", markersize=3, alpha=0.5)
            for method in compared:
                _price_line(axes, [row for row in rows if row["method"] == method], main, name, method)
        panels[0].set_ylabel(main.label)
        _method_legend(figure, compared)
    return figure


def _price_line(axes: "Axes", rows: Sequence[Json], main: Measure, name: str, method: str) -> None:
    points = [(row["cost"][name], found["mean"], row["edits"]) for row in rows if (found := main.of(row))]
    points = [point for point in points if point[0]]
    look = look_of(method)
    axes.plot(
        [across for across, _, _ in points],
        [up for _, up, _ in points],
        color=look.colour,
        linestyle=look.line,
        linewidth=1.0,
        marker=look.marker,
        zorder=3,
        clip_on=False,
    )
    # Where the cost does not grow, the numbers of edits would stand on top of each other.
    grows = points and points[-1][0] > 1.2 * points[0][0]
    for across, up, edits in points if grows else ():
        axes.annotate(str(edits), (across, up), (5, 3), textcoords="offset points", fontsize=7, color=MUTED, zorder=4)


def _round_ticks(axes: "Axes", values: Sequence[float | None]) -> None:
    """Ticks at 1, 2 and 5 times powers of ten within the values, written as plain numbers."""
    there = [value for value in values if value]
    if not there:
        return
    low, high = min(there) / 1.25, max(there) * 1.25
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low < 100 else (1,)
    ticks = [step * 10.0**power for power in powers for step in steps]
    ticks = [tick for tick in ticks if low <= tick <= high]
    axes.set_xlim(low, high)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def quantization(found: Json) -> "Figure":
    """A suite's metrics by the type of the edited tensors, and what these take in MB."""
    rows = [row for row in found["results"] if row["method"] != "base" and row["groups"]]
    names = [row["method"] for row in rows]
    sizes = [row["report"][0]["edited_bytes"] / 1e6 for row in rows]
    shown = measures(found)[:4]
    with styled():
        figure = new_figure(0.95 + 0.24 * len(names))
        *panels, last = figure.subplots(1, len(shown) + 1, sharey=True, squeeze=False)[0]
        for axes, measure in zip(panels, shown, strict=True):
            one_axis_of_grid(axes, "x")
            axes.set_title(_folded(measure.label, 19))
            _range(axes, rows, measure, "x")
            for height, row in enumerate(rows):
                if value := measure.of(row):
                    colour = BLUE if row["report"][0]["served"] else GREY
                    _interval_line(axes, value, height, colour)
                    axes.plot([value["mean"]], [height], marker="o", color=colour, clip_on=False, zorder=3)
        last.set_title("size of the edited\ntensors, MB")
        last.grid(False)
        last.set_xticks([])
        last.spines["bottom"].set_visible(False)
        last.set_xlim(0, max(sizes) * 1.45)
        last.barh(range(len(rows)), sizes, height=0.55, color=GRID)
        for height, size in enumerate(sizes):
            last.text(size + max(sizes) * 0.04, height, f"{size:.1f}", va="center", fontsize=8, color=INK)
        figure.axes[0].set_yticks(range(len(names)), names)
        figure.axes[0].set_ylim(len(names) - 0.4, -0.6)
    return figure


def _folded(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width)) or text
