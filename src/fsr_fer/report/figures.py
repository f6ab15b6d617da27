"""The figures: the same bytes for the same numbers, on white ground, readable without colour."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fsr_fer.predictions import HR
from fsr_fer.report.curves import Curve
from fsr_fer.report.scores import MEAN, Calibration, Estimate, Table

# Okabe and Ito's colours without yellow, which is too pale for lines on white; the markers and
# dashes repeat with other periods, so that no two of the first 28 rows look the same in grey.
COLOURS = ("#000000", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (7, 2, 1.5, 2)))

SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "fsr-fer",  # otherwise random ids differ from run to run
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",  # comes with matplotlib, so is the same everywhere
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.facecolor": "white",
}


def accuracy_figure(table: Table, pixels: Mapping[str, int], banded: Collection[str]) -> bytes:
    """Accuracy of each row over face size, as SVG (paper, figure 4).

    Names stand beside the lines' ends; the rows in ``banded`` have their intervals as bands.
    """
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(8.6, 4.1), layout="constrained")
        axes = figure.add_subplot()
        for number, (name, row) in enumerate(table.items()):
            style = line_style(number) | {"linewidth": 2.2 if name in banded else 1.3}
            _row_line(axes, pixels, row, name, style, band=name in banded)
        _full_size_line(axes, table, len(pixels))
        ends = {}
        for name, row in table.items():
            last = max(i for i, column in enumerate(pixels) if column in row)
            ends[name] = (float(last), row[list(pixels)[last]].value)
        _label_ends(axes, ends, (-0.3, len(pixels) - 0.7), {n: i for i, n in enumerate(table)})
        axes.set_xticks(range(len(pixels)), [size_label(c, p) for c, p in pixels.items()])
        axes.set_xlabel("downsampling factor, height of the face in pixels")
        axes.set_ylabel("total accuracy, %")
        return _svg(figure)


def rows_figure(table: Table, pixels: Mapping[str, int]) -> bytes:
    """A panel for each row: its accuracy with the interval as a band, the others in grey; SVG."""
    num_columns = min(5, len(table))
    num_rows = math.ceil(len(table) / num_columns)
    with mpl.rc_context(SETTINGS | {"font.size": 8.5}):
        figure = Figure(figsize=(10.4, 0.4 + 2.1 * num_rows), layout="constrained")
        all_axes = figure.subplots(num_rows, num_columns, squeeze=False, sharex=True, sharey=True)
        panels = list(all_axes.flat)
        grey = {"color": "#bdbdbd", "linewidth": 0.9}
        for number, (name, axes) in enumerate(zip(table, panels, strict=False)):
            for other in table:
                if other != name:
                    _row_line(axes, pixels, table[other], other, grey)
            style = line_style(number) | {"markersize": 4.5}
            _row_line(axes, pixels, table[name], name, style, band=True)
            axes.set_title(name, loc="left", fontsize=9)
            axes.set_xticks(range(len(pixels)), [_short(column) for column in pixels])
            axes.tick_params(labelbottom=number + num_columns >= len(table))
        for axes in panels[len(table) :]:
            axes.set_axis_off()
        figure.supxlabel("downsampling factor", fontsize=8.5)
        figure.supylabel("total accuracy, %", fontsize=8.5)
        return _svg(figure)


def _row_line(
    axes: Axes,
    pixels: Mapping[str, int],
    row: Mapping[str, Estimate],
    name: str,
    style: Mapping[str, Any],
    *,
    band: bool = False,
) -> None:
    """One row over face size; the page's filter finds it by its name."""
    places = [i for i, column in enumerate(pixels) if column in row]
    shown = [row[column] for column in pixels if column in row]
    axes.plot(places, [e.value for e in shown], gid=f"row:{name}", **style)
    if band:
        low, high = [e.interval.low for e in shown], [e.interval.high for e in shown]
        shade = axes.fill_between(places, low, high, color=style["color"], alpha=0.14, linewidth=0)
        shade.set_gid(f"row:{name}")


def _full_size_line(axes: Axes, table: Table, num_sizes: int) -> None:
    baseline, row = next(iter(table.items()))
    if HR not in row:
        return
    level = row[HR].value
    axes.axhline(level, color="#555555", linewidth=1, dashes=(2, 3))
    axes.annotate(
        f"{baseline}, full size: {level:.1f} %",
        (num_sizes - 1, level),
        xytext=(0, 4),
        textcoords="offset points",
        ha="right",
        color="#555555",
    )


def _label_ends(
    axes: Axes,
    ends: Mapping[str, tuple[float, float]],
    limits: tuple[float, float],
    numbers: Mapping[str, int],
) -> None:
    """Each row's name at the right, as near to its last point as the other names let it be.

    ``ends`` are the points in the coordinates of the axes, ``limits`` what x shall reach
    over, ``numbers`` say each row's style.
    """
    axes.set_xlim(*limits)
    low, high = axes.get_ylim()
    places = spread([y - low for _, y in ends.values()], (high - low) * LABEL_STEP, high - low)
    right = axes.get_yaxis_transform()  # x in shares of the axes, y in data
    for (name, (x, y)), place in zip(ends.items(), places, strict=True):
        style = line_style(numbers[name])
        share = axes.transAxes.inverted().transform(axes.transData.transform((x, y)))[0]
        common: dict[str, Any] = {"clip_on": False, "transform": right, "gid": f"row:{name}"}
        leader = {"color": style["color"], "linewidth": 0.7}
        axes.plot([share, LABEL_PLACE], [y, low + place], **leader, **common)
        mark = {"color": style["color"], "marker": style["marker"], "markersize": 5}
        axes.plot([LABEL_PLACE], [low + place], **mark, **common)
        # Dark, for some of the colours are too pale for small print.
        axes.text(LABEL_PLACE + 0.02, low + place, name, va="center", fontsize=9, **common)
    axes.set_ylim(low, high)


LABEL_PLACE = 1.03
"""Where labels begin, as a share of the figure's width."""

LABEL_STEP = 0.055
"""Height of a line's label as a share of the figure's."""


def spread(heights: Sequence[float], step: float, top: float) -> list[float]:
    """The heights in the same order, moved as little as keeps them ``step`` apart in [0, top].

    Where they do not fit they overlap evenly.
    """
    order = sorted(range(len(heights)), key=heights.__getitem__)
    step = min(step, top / max(1, len(heights) - 1))
    groups: list[list[int]] = []
    middles: list[float] = []
    for position in order:
        group, middle = [position], heights[position]
        while groups and middle - (len(group) - 1) * step / 2 < (
            middles[-1] + (len(groups[-1]) + 1) * step / 2
        ):
            group = groups.pop() + group
            middles.pop()
            middle = sum(heights[i] for i in group) / len(group)
        half = (len(group) - 1) * step / 2
        groups.append(group)
        middles.append(min(max(middle, half), top - half))
    placed = [0.0] * len(heights)
    for group, middle in zip(groups, middles, strict=True):
        for number, position in enumerate(group):
            placed[position] = middle + (number - (len(group) - 1) / 2) * step
    return placed


def cost_figure(table: Table, cost: Cost, column: str, scales: Sequence[str]) -> bytes | None:
    """Accuracy over floating-point operations per face at one size, as SVG.

    For the mean over the scales the operations are the mean too. None if no row has both.
    """
    points: dict[str, tuple[float, Estimate]] = {}
    for name, row in table.items():
        work = operations(cost[name], column, scales) if name in cost else None
        if work and column in row:
            points[name] = work, row[column]
    if not points:
        return None
    numbers = {name: number for number, name in enumerate(table)}
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(6.6, 4.2), layout="constrained")
        axes = figure.add_subplot()
        axes.set_xscale("log")
        for name, (work, estimate) in points.items():
            low, high = estimate.interval.low, estimate.interval.high
            style = line_style(numbers[name])
            mark = {"color": style["color"], "marker": style["marker"], "linestyle": ""}
            axes.plot(
                [work, work], [low, high], color=style["color"], alpha=0.35, gid=f"row:{name}"
            )
            axes.plot([work], [estimate.value], markersize=7, gid=f"row:{name}", **mark)
        _label_points(axes, {n: (work, e.value) for n, (work, e) in points.items()}, numbers)
        size = "mean over the scales" if column == MEAN else column
        axes.set_xlabel(f"floating-point operations per face, {size}")
        axes.set_ylabel("total accuracy, %")
        return _svg(figure)


def _label_points(
    axes: Axes, points: Mapping[str, tuple[float, float]], numbers: Mapping[str, int]
) -> None:
    """The points' names in a column at the right, each joined to its point by a thin line."""
    low, high = axes.get_ylim()
    works = [work for work, _ in points.values()]
    x = 1.6 * max(works)
    order = sorted(points, key=lambda name: points[name])
    heights = [points[name][1] - low for name in order]
    places = spread(heights, (high - low) * LABEL_STEP, high - low)
    for name, place in zip(order, places, strict=True):
        (work, value), gid = points[name], f"row:{name}"
        colour = line_style(numbers[name])["color"]
        axes.plot([work, x], [value, low + place], color=colour, linewidth=0.7, alpha=0.7, gid=gid)
        axes.text(x, low + place, " " + name, va="center", fontsize=9, gid=gid)
    axes.set_xlim(min(works) / 1.7, x * 4)  # room for the names at the right
    axes.set_ylim(low, high)


Cost = Mapping[str, Mapping[str, Mapping[str, int]]]
"""What ``fsr_fer.cost`` counts: row, then kind of count, then column."""


def operations(
    counts: Mapping[str, Mapping[str, int]], column: str, scales: Sequence[str]
) -> float | None:
    """Operations per face, eigendecompositions included, or their mean over all ``scales``.

    None where the row does not exist at the size, or for the mean at one of the scales.
    """
    flop, eigen = counts["flop_per_face"], counts["eigen_flop_per_face"]
    wanted = scales if column == MEAN else (column,)
    if any(name not in flop for name in wanted):
        return None
    return sum(flop[name] + eigen.get(name, 0) for name in wanted) / len(wanted)


def calibration_figure(rows: Mapping[str, Mapping[str, Calibration]]) -> bytes | None:
    """Accuracy over mean confidence, a point for each size of each row, as SVG.

    Below the diagonal a row is surer than it is right. None if no row stored its confidence.
    """
    shown = {name: list(columns.values()) for name, columns in rows.items() if columns}
    if not shown:
        return None
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(6.4, 4.6), layout="constrained")
        axes = figure.add_subplot()
        for number, name in enumerate(rows):
            if name in shown:
                style = line_style(number) | {"linewidth": 1.1, "markersize": 5}
                x, y = [c.confidence for c in shown[name]], [c.accuracy for c in shown[name]]
                axes.plot(x, y, label=name, gid=f"row:{name}", **style)
        values = [v for cells in shown.values() for c in cells for v in (c.confidence, c.accuracy)]
        low, high = min(values) - 2, min(100.0, max(values) + 2)
        axes.plot([low, high], [low, high], color="#555555", linewidth=1, dashes=(2, 3))
        axes.set(xlim=(low, high), ylim=(low, high), box_aspect=1)
        axes.set_xlabel("mean confidence, %")
        axes.set_ylabel("total accuracy, %")
        figure.legend(loc="outside right center", fontsize=8.5)
        return _svg(figure)


def line_style(number: int) -> dict[str, Any]:
    """Colour, marker and dashes of the line with this number; the first is plain black."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number % len(DASHES)],
        "linewidth": 1.8,
    }


def curves_figure(panels: Mapping[str, Mapping[str, Curve]]) -> bytes:
    """One small plot for each value that was logged, one line for each run in it, as SVG."""
    num_columns = min(3, len(panels))
    num_rows = math.ceil(len(panels) / num_columns)
    runs = list(dict.fromkeys(itertools.chain.from_iterable(panels.values())))
    with mpl.rc_context(SETTINGS | {"font.size": 8.5}):
        figure = Figure(figsize=(8.6, 0.5 + 2.0 * num_rows), layout="constrained")
        all_axes = list(figure.subplots(num_rows, num_columns, squeeze=False).flat)
        for axes, (name, lines) in zip(all_axes, panels.items(), strict=False):
            for run, curve in lines.items():
                style = line_style(runs.index(run)) | {"linewidth": 1.3}
                style["marker"] = "o" if len(curve.steps) == 1 else ""
                axes.plot(curve.steps, curve.values, **style)
            axes.set_title(name, loc="left", fontsize=9)
            axes.ticklabel_format(axis="y", scilimits=(-3, 4))
            axes.xaxis.get_major_locator().set_params(nbins=5, integer=True)
        for axes in all_axes[len(panels) :]:
            axes.set_axis_off()
        handles = [
            Line2D([], [], label=run, **(line_style(i) | {"marker": ""}))
            for i, run in enumerate(runs)
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(runs)))
        return _svg(figure)


def band_figure(
    runs: Mapping[str, Sequence[tuple[Sequence[float], Sequence[float]]]], *, x: str, y: str
) -> bytes:
    """Mean of the curves of each name, and how far they lie apart, as SVG.

    ``runs`` are (steps, values) by name, all with the same steps.
    """
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(8.6, 4.6), layout="constrained")
        axes = figure.add_subplot()
        for number, (name, curves) in enumerate(runs.items()):
            steps = curves[0][0]
            values = np.array([values for _, values in curves])
            style = line_style(number) | {"marker": ""}
            axes.plot(steps, values.mean(axis=0), label=f"{name}, mean of {len(values)}", **style)
            axes.fill_between(
                steps,
                values.min(axis=0),
                values.max(axis=0),
                color=style["color"],
                alpha=0.15,
                linewidth=0,
                label=f"{name}, least to greatest",
            )
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        figure.legend(loc="outside lower center", ncols=len(runs))
        return _svg(figure)


def size_label(column: str, pixels: int, sep: str = "\n") -> str:
    """A size as figures name it: its name and the height of the face."""
    return f"{_short(column)}{sep}{pixels} px"


def _short(column: str) -> str:
    return "HR" if column == HR else column


def _svg(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    return content.getvalue()
