"""The figures: the same bytes for the same numbers, on white ground, readable without colour."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fsr_fer.data.manifest import IMAGE_SIZE
from fsr_fer.predictions import HR
from fsr_fer.report.curves import Curve
from fsr_fer.report.scores import Table

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


def accuracy_figure(table: Table, pixels: Mapping[str, int]) -> bytes:
    """Accuracy of each row over face size, as SVG (paper, figure 4)."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(8.6, 4.9), layout="constrained")
        axes = figure.add_subplot()
        columns = list(pixels)
        for number, (name, row) in enumerate(table.items()):
            places = [i for i, column in enumerate(columns) if column in row]
            shown = [row[columns[i]] for i in places]
            style = line_style(number)
            axes.plot(places, [e.value for e in shown], label=name, markersize=6, **style)
            axes.fill_between(
                places,
                [e.interval.low for e in shown],
                [e.interval.high for e in shown],
                color=style["color"],
                alpha=0.1,
                linewidth=0,
            )
        baseline = next(iter(table.values()))
        if HR in baseline:
            level = baseline[HR].value
            axes.axhline(level, color="#555555", linewidth=1, dashes=(2, 3))
            axes.annotate(
                f"full size: {level:.1f} %",
                (len(columns) - 1, level),
                xytext=(0, 4),
                textcoords="offset points",
                ha="right",
                color="#555555",
            )
        axes.set_xticks(range(len(columns)), [_size_label(c, pixels[c]) for c in columns])
        axes.set_xlabel("downsampling factor, height of the face in pixels")
        axes.set_ylabel("total accuracy, %")
        figure.legend(loc="outside lower center", ncols=min(4, len(table)))
        return _svg(figure)


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


def _size_label(column: str, pixels: int, sep: str = "\n") -> str:
    return f"{'HR' if column == HR else column}{sep}{pixels} px"


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
