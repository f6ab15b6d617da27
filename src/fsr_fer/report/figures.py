"""The figures: the same bytes for the same numbers, on white ground, readable without colour."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fsr_fer.data.manifest import IMAGE_SIZE
from fsr_fer.predictions import HR
from fsr_fer.report.curves import Curve
from fsr_fer.report.scores import Estimate, Table

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

PIXELS_PER_POINT_OF_A_FACE = 2
"""Each face pixel is drawn as 2x2, so that text beside it stays sharp on dense screens."""


@dataclass(frozen=True, kw_only=True)
class ExampleFace:
    """A face at each size, uint8 [h, w, 3] keyed "hr", "x2", ...; ``title`` stands beside it.

    ``restored`` are the same put back to full size, uint8 [100, 100, 3].
    """

    title: str
    sizes: Mapping[str, np.ndarray]
    restored: Mapping[str, np.ndarray]


def accuracy_figure(table: Table, pixels: Mapping[str, int], banded: Collection[str]) -> bytes:
    """Accuracy of each row over face size, as SVG (paper, figure 4).

    Names stand beside the lines' ends; the rows in ``banded`` have their intervals as bands.
    """
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(8.6, 4.6), layout="constrained")
        axes = figure.add_subplot()
        for number, (name, row) in enumerate(table.items()):
            style = line_style(number) | {"linewidth": 2.2 if name in banded else 1.3}
            _row_line(axes, pixels, row, name, style, band=name in banded)
        _full_size_line(axes, table, len(pixels))
        _label_ends(axes, table, pixels)
        axes.set_xticks(range(len(pixels)), [_size_label(c, p) for c, p in pixels.items()])
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


def _label_ends(axes: Axes, table: Table, pixels: Mapping[str, int]) -> None:
    """Each row's name at the right, as near to its last point as the other names let it be."""
    columns = list(pixels)
    ends = {
        name: max(i for i, column in enumerate(columns) if column in row)
        for name, row in table.items()
    }
    low, high = axes.get_ylim()
    heights = {name: (table[name][columns[end]].value - low) for name, end in ends.items()}
    step = (high - low) * LABEL_STEP
    places = spread(list(heights.values()), step, high - low)
    x = len(columns) - 1 + 0.5
    for number, (name, place) in enumerate(zip(heights, places, strict=True)):
        style = line_style(number)
        leader = {"color": style["color"], "linewidth": 0.7, "clip_on": False}
        axes.plot([ends[name], x], [low + heights[name], low + place], gid=f"row:{name}", **leader)
        marker = {"color": style["color"], "marker": style["marker"], "markersize": 5}
        axes.plot([x], [low + place], clip_on=False, gid=f"row:{name}", **marker)
        # Dark, for some of the colours are too pale for small print.
        axes.text(x + 0.15, low + place, name, va="center", fontsize=9, gid=f"row:{name}")
    axes.set_ylim(low, high)
    axes.set_xlim(-0.3, len(columns) - 1 + 0.3)


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


def line_style(number: int) -> dict[str, Any]:
    """Colour, marker and dashes of the line with this number; the first is plain black."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number % len(DASHES)],
        "linewidth": 1.8,
    }


def faces_figure(faces: Sequence[ExampleFace], pixels: Mapping[str, int]) -> tuple[bytes, int]:
    """Faces at each size, above in true size, below put back to full size (paper, figure 3).

    Returns a PNG and the width in CSS pixels at which the true sizes are true.
    """
    gap, left, top = 8, 96, 34
    cell = IMAGE_SIZE + gap
    width = left + cell * len(pixels)
    height = top + (2 * cell + gap) * len(faces)
    sheet = np.full((height, width, 3), 255, np.uint8)
    for line, face in enumerate(faces):
        y = top + line * (2 * cell + gap)
        for place, column in enumerate(pixels):
            x = left + place * cell
            small = face.sizes[column]
            _paste(
                sheet, small, x + (IMAGE_SIZE - small.shape[1]) // 2, y + IMAGE_SIZE - len(small)
            )
            _paste(sheet, face.restored[column], x, y + cell)
    zoom = PIXELS_PER_POINT_OF_A_FACE
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(width / 100, height / 100), dpi=100 * zoom)
        figure.figimage(sheet.repeat(zoom, axis=0).repeat(zoom, axis=1))
        for place, column in enumerate(pixels):
            _write(
                figure,
                left + place * cell + IMAGE_SIZE / 2,
                22,
                _size_label(column, pixels[column], sep=", "),
                "center",
            )
        for line, face in enumerate(faces):
            y = top + line * (2 * cell + gap)
            _write(figure, 4, y + IMAGE_SIZE - 4, f"{face.title}\n\ntrue size", "left")
            _write(figure, 4, y + cell + IMAGE_SIZE - 4, "put back\nto full size", "left")
        content = io.BytesIO()
        figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue(), width


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
        figure.legend(loc="outside lower center", ncols=2 * len(runs))
        return _svg(figure)


def _size_label(column: str, pixels: int, sep: str = "\n") -> str:
    return f"{_short(column)}{sep}{pixels} px"


def _short(column: str) -> str:
    return "HR" if column == HR else column


def _paste(sheet: np.ndarray, face: np.ndarray, x: int, y: int) -> None:
    sheet[y : y + face.shape[0], x : x + face.shape[1]] = face


def _write(figure: Figure, x: float, y: float, text: str, align: str) -> None:
    """Text whose lower edge is ``y`` face pixels below the top."""
    width, height = figure.get_size_inches() * 100
    figure.text(x / width, 1 - y / height, text, ha=align, va="bottom", fontsize=8.5)


def _svg(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    return content.getvalue()
