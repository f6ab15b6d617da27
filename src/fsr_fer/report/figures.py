"""The figures: the same bytes for the same numbers, readable without colour.

A method's lines and points are groups whose id ends in "-m" and its number, for the page's
filter, which replaces the figures' own legends.
"""

import io
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.style import context
from matplotlib.ticker import EngFormatter, LogLocator

from fsr_fer.evaluation.predictions import HR
from fsr_fer.report.scores import Estimate

Table = Mapping[str, Mapping[str, Estimate]]

SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "fsr-fer",  # otherwise random ids differ from run to run
    "svg.fonttype": "none",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same size everywhere
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "legend.fontsize": 8,
}


class Style(NamedTuple):
    """How a method is drawn; ``symbol`` is the marker as a character."""

    color: str
    marker: str
    symbol: str
    linestyle: Any


# Okabe and Ito's colours without yellow, too pale on white; the markers and dashes have other
# periods, so that no two of the first 28 methods look the same in grey.
_COLORS = ("#000000", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_MARKERS = tuple(zip("os^DvPX*", "●■▲◆▼✚✖★", strict=True))
_DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (7, 2, 1.5, 2)))

own_settings = context(SETTINGS, after_reset=True)
"""Matplotlib's defaults and ours alone: a user's matplotlibrc would change the bytes."""


def style(number: int) -> Style:
    """The style of the method with this number; the first is plain black."""
    color = _COLORS[number % len(_COLORS)]
    return Style(color, *_MARKERS[number % len(_MARKERS)], _DASHES[number % len(_DASHES)])


@own_settings
def accuracy_figure(table: Table, titles: Mapping[str, str], banded: Collection[str]) -> bytes:
    """Accuracy by size as SVG (paper, figure 4); ``banded`` methods show intervals."""
    figure = Figure(figsize=(6.2, 4.2))
    figure.subplots_adjust(left=0.1, right=0.98, bottom=0.17, top=0.97)
    axes = figure.add_subplot()
    for number, (name, row) in enumerate(table.items()):
        places = [place for place, size in enumerate(titles) if size in row]
        shown = [row[size] for size in titles if size in row]
        values, low, high = zip(*shown, strict=True)
        width = 2.2 if name in banded else 1.3
        _plot(axes, number, name, places, values, linewidth=width)
        if name in banded:
            color, gid = style(number).color, f"band-m{number}"
            axes.fill_between(places, low, high, color=color, alpha=0.14, lw=0, gid=gid)
    baseline, first = next(iter(table.items()))
    axes.axhline(first[HR].value, color="#555555", linewidth=1, dashes=(2, 3))
    labels = [title.replace(", ", "\n") for title in titles.values()]
    axes.set_xticks(range(len(labels)), labels)
    axes.set_xlabel(f"face size; dotted: {baseline} at full size")
    axes.set_ylabel("total accuracy, %")
    return _svg(figure)


@own_settings
def cost_figure(
    table: Table, operations: Mapping[str, Mapping[str, float]], sizes: Mapping[str, str]
) -> bytes:
    """Accuracy over operations per face as SVG, a panel for each size and title."""
    figure = Figure(figsize=(9, 3.8))
    figure.subplots_adjust(left=0.07, right=0.99, bottom=0.14, top=0.92, wspace=0.16)
    all_axes = figure.subplots(1, len(sizes), squeeze=False)[0]
    for axes, (size, title) in zip(all_axes, sizes.items(), strict=True):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(EngFormatter())
        axes.minorticks_off()
        works = [operations[name][size] for name in table if size in table[name]]
        axes.set_xlim(min(works) / 1.6, max(works) * 1.6)  # two ticks or more
        for number, (name, row) in enumerate(table.items()):
            if size not in row:
                continue
            work, score = operations[name][size], row[size]
            color, gid = style(number).color, f"{size}-range-m{number}"
            axes.plot([work, work], score[1:], color=color, alpha=0.35, gid=gid)
            gid = f"{size}-point-m{number}"
            _plot(axes, number, name, [work], score[:1], linestyle="", markersize=8, gid=gid)
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_xlabel("floating-point operations per face")
    all_axes[0].set_ylabel("total accuracy, %")
    return _svg(figure)


def _plot(
    axes: Axes, number: int, name: str, x: Sequence[float], y: Sequence[float], **changes: Any
) -> None:
    drawn = style(number)
    look = {"color": drawn.color, "marker": drawn.marker, "linestyle": drawn.linestyle}
    axes.plot(x, y, **{"label": name, "gid": f"line-m{number}", **look, **changes})


def _svg(figure: Figure) -> bytes:
    figure.axes[0].legend(loc="best").set_gid("legend")
    content = io.BytesIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(content, format="svg", metadata=nothing)
    return content.getvalue()
