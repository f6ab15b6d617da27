"""The figures: the same bytes for the same numbers, on white ground, readable without colour.

Methods are told apart by colour, marker and dash; their legend is the page's, which finds a
method's lines by their id.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fsr_fer.predictions import HR
from fsr_fer.report.inputs import ReportInputs
from fsr_fer.report.scores import MEAN, Calibration, Estimate, Table

# Okabe and Ito's colours without yellow, which is too pale for lines on white; the markers and
# dashes repeat with other periods, so that no two of the first 28 methods look the same in grey.
COLOURS = ("#000000", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (7, 2, 1.5, 2)))

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "fsr-fer",  # otherwise random ids differ from run to run
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",  # comes with matplotlib, so is the same everywhere
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "axes.axisbelow": True,
    "figure.facecolor": "white",
}


def accuracy_figure(table: Table, pixels: Mapping[str, int], banded: Collection[str]) -> bytes:
    """Accuracy of each method over face size, as SVG (paper, figure 4).

    Those in ``banded`` have their intervals as bands; the dotted line is the first method at full
    size.
    """
    with mpl.rc_context(STYLE):
        figure, axes = _axes()
        for number, (name, row) in enumerate(table.items()):
            places = [i for i, column in enumerate(pixels) if column in row]
            shown = [row[column] for column in pixels if column in row]
            style = line_style(number) | {"linewidth": 2.2 if name in banded else 1.3}
            axes.plot(places, [e.value for e in shown], gid=f"accuracy:{name}", **style)
            if name in banded:
                low, high = [e.interval.low for e in shown], [e.interval.high for e in shown]
                band = axes.fill_between(places, low, high, color=style["color"], alpha=0.14, lw=0)
                band.set_gid(f"accuracy-band:{name}")
        baseline = next(iter(table.values()))
        if HR in baseline:
            axes.axhline(baseline[HR].value, color="#555555", linewidth=1, dashes=(2, 3))
        axes.set_xticks(range(len(pixels)), [f"{short(c)}\n{p} px" for c, p in pixels.items()])
        axes.set_xlabel("downsampling factor, height of the face in pixels")
        axes.set_ylabel("total accuracy, %")
        return _svg(figure)


def cost_figure(inputs: ReportInputs, table: Table) -> bytes | None:
    """Accuracy over operations per face, both means over the scales, as SVG.

    None if no method has both.
    """
    with mpl.rc_context(STYLE):
        figure, axes = _axes()
        axes.set_xscale("log")
        for number, (name, row) in enumerate(table.items()):
            work = inputs.operations(name, MEAN)
            if work is not None and MEAN in row:
                _point(axes, work, row[MEAN], name, line_style(number))
        axes.set_xlabel("floating-point operations per face, mean over the scales")
        axes.set_ylabel("total accuracy, mean over the scales, %")
        return _svg(figure) if axes.lines else None


def _point(
    axes: Axes, work: float, estimate: Estimate, name: str, style: Mapping[str, Any]
) -> None:
    bounds, colour = [estimate.interval.low, estimate.interval.high], style["color"]
    axes.plot([work, work], bounds, color=colour, alpha=0.35, gid=f"cost-interval:{name}")
    mark = {"color": colour, "marker": style["marker"], "linestyle": "", "markersize": 7}
    axes.plot([work], [estimate.value], gid=f"cost:{name}", **mark)


def calibration_figure(methods: Mapping[str, Mapping[str, Calibration]]) -> bytes | None:
    """Accuracy over mean confidence, a point for each size of each method, as SVG.

    Below the diagonal a method is overconfident. None if no method stored its confidence.
    """
    with mpl.rc_context(STYLE):
        figure, axes = _axes()
        values = []
        for number, (name, columns) in enumerate(methods.items()):
            style = line_style(number) | {"linewidth": 1.1, "markersize": 5}
            x = [cell.confidence for cell in columns.values()]
            y = [cell.accuracy for cell in columns.values()]
            if columns:
                axes.plot(x, y, gid=f"calibration:{name}", **style)
            values += x + y
        if not values:
            return None
        low, high = min(values) - 2, min(100.0, max(values) + 2)
        axes.plot([low, high], [low, high], color="#555555", linewidth=1, dashes=(2, 3))
        axes.set(xlim=(low, high), ylim=(low, high))
        axes.set_xlabel("mean confidence, %")
        axes.set_ylabel("total accuracy, %")
        return _svg(figure)


def line_style(number: int) -> dict[str, Any]:
    """Colour, marker and dashes of the method with this number; the first is plain black."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number % len(DASHES)],
        "linewidth": 1.8,
    }


def legend_mark(number: int) -> bytes:
    """A method's line and marker alone, for the legend, as SVG."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(0.5, 0.2))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.plot([0, 1, 2], [0, 0, 0], markevery=[1], markersize=5, **line_style(number))
        axes.set_axis_off()
        return _svg(figure)


def short(column: str) -> str:
    """A column's name: "HR", "x8"."""
    return "HR" if column == HR else column


def _axes() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.2, 4.2))
    axes = figure.add_subplot()
    figure.subplots_adjust(left=0.09, right=0.99, top=0.98, bottom=0.16)
    return figure, axes


def _svg(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    return content.getvalue()
