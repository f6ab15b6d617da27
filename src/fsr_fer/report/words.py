"""How names and numbers are written on the page."""

from __future__ import annotations

from fsr_fer.predictions import HR
from fsr_fer.report.inputs import ReportInputs
from fsr_fer.report.markup import Markup, element, join
from fsr_fer.report.scores import MEAN, Estimate


def row_name(name: str) -> Markup:
    """A row's name, which may be broken after each "_"."""
    parts = [part for piece in name.split("_") for part in ("_", Markup("<wbr>"), piece)][2:]
    return element("code", *parts)


def size_title(inputs: ReportInputs, column: str) -> str:
    """A column's heading: "x8, 13 px"."""
    if column == MEAN:
        return f"mean of {inputs.scale_names[0]}–{inputs.scale_names[-1]}"
    return f"{short(column)}, {inputs.pixels[column]} px"


def size_head(inputs: ReportInputs, column: str) -> Markup:
    """The same in two lines, for tables with a column for each size."""
    if column == MEAN:
        return join(["mean", element("small", f"{inputs.scale_names[0]}–{inputs.scale_names[-1]}")])
    name, _, pixels = size_title(inputs, column).partition(", ")
    return join([name, element("small", pixels)])


def short(column: str) -> str:
    """A column's name: "HR", "x8"."""
    return "HR" if column == HR else column


def signed(value: float) -> str:
    """A difference in points with one decimal and always a sign (a true minus)."""
    return f"{value:+.1f}".replace("-", "−")


def interval(estimate: Estimate, *, sign: bool = False) -> Markup:
    """An interval in small print."""
    low, high = estimate.interval.low, estimate.interval.high
    text = f"{signed(low)}…{signed(high)}" if sign else f"{low:.1f}–{high:.1f}"
    return element("small", text)


def with_interval(estimate: Estimate) -> Markup:
    """A difference with its interval in brackets."""
    low, high = estimate.interval.low, estimate.interval.high
    bounds = element("span", f"({signed(low)} to {signed(high)})", class_="interval")
    return join([signed(estimate.value), " ", bounds])


def p_text(p_value: float) -> str:
    """A p-value with three decimals."""
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def in_units(number: float) -> str:
    """A count with three digits and its unit: "1.15 M"."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:#.3g}".rstrip(".") + f" {unit}"
    return f"{number:.0f}"
