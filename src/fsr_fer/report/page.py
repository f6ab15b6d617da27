"""The page: what the templates show, as plain values."""

from __future__ import annotations

import base64
import platform
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fsr_fer.data.manifest import SPLITS
from fsr_fer.report.figures import legend_mark, short
from fsr_fer.report.inputs import ReportInputs
from fsr_fer.report.paper import paper_tables, why_not_comparable
from fsr_fer.report.scores import MEAN, Comparison, Estimate, Scores
from fsr_fer.statistics import Interval, Score

SOURCES = {
    "synthetic": "synthetic faces drawn by this project",
    "rafdb": "RAF-DB",
    "folder": "faces imported from folders",
    "csv": "faces imported from a CSV list",
}
SCORE_TITLES: dict[Score, str] = {
    "total_accuracy": "total accuracy",
    "mean_class_accuracy": "mean-class accuracy",
}
PACKAGES = ("fsr-fer", "torch", "numpy", "pillow", "dvc", "great-expectations", "matplotlib")


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The figures: SVG as bytes, PNG with its width in CSS pixels; None for what there is not."""

    accuracy: bytes
    cost: bytes | None
    calibration: bytes | None
    faces: tuple[bytes, int]
    restored: tuple[bytes, int] | None

    def files(self) -> dict[str, bytes]:
        """The figures by the names of their files."""
        found = {
            "accuracy.svg": self.accuracy,
            "cost.svg": self.cost,
            "calibration.svg": self.calibration,
            "faces.png": self.faces[0],
            "restored.png": self.restored[0] if self.restored else None,
        }
        return {name: content for name, content in found.items() if content is not None}


@dataclass(frozen=True)
class Cell:
    """One cell of a table: a number, what stands below it in small print, and how it is marked."""

    text: str
    small: Sequence[str] = ()
    trace: str = ""
    """What ``fsr-fer trace`` calls the number."""
    kind: str = ""
    """"best" of its column, "clear" (more than chance explains), or nothing."""
    heat: float | None = None
    """0 to 1: how strongly the cell is coloured."""


NONE = Cell("–")


@dataclass(frozen=True)
class Table:
    """A table with a line for each method (or class) and a column for each size."""

    title: str
    head: Sequence[tuple[str, str]]
    """Name and small print of each column; its first is that of the lines' names."""
    lines: Mapping[str, Sequence[Cell]]


def write_page(inputs: ReportInputs, scores: Scores, figures: Figures) -> str:
    """The whole page as text; it needs nothing but itself."""
    environment = Environment(
        loader=PackageLoader("fsr_fer.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"svg": _inline_svg, "png": _data_url}
    manifest = inputs.manifest
    values: dict[str, Any] = {
        "inputs": inputs,
        "source": SOURCES.get(inputs.source, inputs.source),
        "faces": {split: len(manifest.rows(split)) for split in SPLITS},
        "legend": {name: legend_mark(i) for i, name in enumerate(inputs.methods)},
        "level": f"{100 * inputs.confidence:g} %",
        "figures": figures,
        "answer": _answer(inputs, scores),
        "by_size": _best_by_size(inputs, scores),
        "views": list(_views(inputs, scores)),
        "cost": _cost_table(inputs),
        "calibration": _calibration_table(inputs, scores),
        "recall": _recall_tables(inputs, scores),
        "fidelity": _fidelity_table(inputs),
        "paper": paper_tables(scores) if len(inputs.scales) > 1 else [],
        "not_comparable": why_not_comparable(inputs),
        "counts": _counts(inputs),
        "settings": dict(_flat(inputs.settings)),
        "versions": {"Python": platform.python_version()} | {p: _version(p) for p in PACKAGES},
    }
    return environment.get_template("page.html").render(values)


def best_methods(scores: Scores, score: Score, column: str) -> list[str]:
    """The method with the highest score in this column; several if they are equal."""
    values = {
        name: row[column].value for name, row in scores.tables[score].items() if column in row
    }
    return [name for name, value in values.items() if value == max(values.values())]


def is_clear(comparison: Comparison, confidence: float) -> bool:
    """Whether a difference is more than chance explains: by its p-value, else by its interval."""
    if comparison.p_value is not None:
        return comparison.p_value < 1 - confidence
    return excludes_zero(comparison.difference)


def excludes_zero(estimate: Estimate) -> bool:
    """Whether a difference's interval lies on one side of 0."""
    return estimate.interval.low > 0 or estimate.interval.high < 0


def signed(value: float) -> str:
    """A difference in points with one decimal and always a sign (a true minus)."""
    return f"{value:+.1f}".replace("-", "−")


def p_text(p_value: float) -> str:
    """A p-value with three decimals."""
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def in_units(number: float) -> str:
    """A count with three digits and its unit: "1.15 M"."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:#.3g}".rstrip(".") + f" {unit}"
    return f"{number:.0f}"


def _answer(inputs: ReportInputs, scores: Scores) -> dict[str, Any] | None:
    """Which method is best over all sizes, by how much, how certain, at what cost."""
    best = best_methods(scores, "total_accuracy", MEAN)
    if not best:
        return None
    gains = {
        reference: comparisons[best[0]][MEAN].difference
        for reference, comparisons in scores.against.items()
        if MEAN in comparisons.get(best[0], {})
    }
    work, base = (inputs.operations(name, MEAN) for name in (best[0], inputs.baseline))
    return {
        "methods": best,
        "accuracy": scores.tables["total_accuracy"][best[0]][MEAN],
        "gains": {
            reference: f"{signed(gain.value)} ({_bounds(gain.interval, signed)})"
            for reference, gain in gains.items()
        },
        "certain": {reference: excludes_zero(gain) for reference, gain in gains.items()},
        "cost": f"{work / base:.3g}" if work and base else None,
    }


def _best_by_size(inputs: ReportInputs, scores: Scores) -> Table:
    """At each size the best method, what it gains on the references, and what it costs."""
    columns = [c for c in (*inputs.columns, MEAN) if best_methods(scores, "total_accuracy", c)]
    best = {column: best_methods(scores, "total_accuracy", column) for column in columns}

    def names(column: str) -> Cell:
        more = [f"and {len(best[column]) - 1} more"] if len(best[column]) > 1 else []
        return Cell(best[column][0], more)

    def accuracy(column: str) -> Cell:
        name = best[column][0]
        return _cell(scores.tables["total_accuracy"][name][column], f"accuracy.{name}.{column}")

    def gain(reference: str) -> Callable[[str], Cell]:
        def cell(column: str) -> Cell:
            comparison = scores.against[reference].get(best[column][0], {}).get(column)
            return NONE if comparison is None else _gain(comparison, inputs, "total_accuracy")

        return cell

    lines: dict[str, Callable[[str], Cell]] = {"best method": names, "accuracy, %": accuracy}
    if len(inputs.methods) > 1:
        lines |= {f"gain on {reference}": gain(reference) for reference in scores.against}
    lines["times the operations"] = lambda c: _times(inputs, best[c][0], c)
    made = {title: [cell(column) for column in columns] for title, cell in lines.items()}
    return Table("Best method at each size", _head(inputs, "face", columns), made)


def _times(inputs: ReportInputs, name: str, column: str) -> Cell:
    work, base = inputs.operations(name, column), inputs.operations(inputs.baseline, column)
    return Cell(f"{work / base:.3g} ×") if work and base else NONE


def _views(inputs: ReportInputs, scores: Scores) -> Iterator[Table]:
    """The main table, once for each switch: both scores, as they are and against each reference."""
    columns = (*inputs.columns, MEAN)
    for score, title in SCORE_TITLES.items():
        best = {column: best_methods(scores, score, column) for column in columns}
        file = "accuracy" if score == "total_accuracy" else score
        lines = {
            name: [
                _cell(row[c], f"{file}.{name}.{c}", "best" if name in best[c] else "")
                if c in row
                else NONE
                for c in columns
            ]
            for name, row in scores.tables[score].items()
        }
        yield Table(f"{title}, %", _head(inputs, f"{title}, %", columns), lines)
        for reference, against in scores.against.items() if len(inputs.methods) > 1 else ():
            lines = {
                name: [
                    _gain(comparisons[c], inputs, score) if c in comparisons else NONE
                    for c in columns
                ]
                for name, comparisons in against.items()
            }
            head = _head(inputs, f"minus {reference}, points", columns)
            yield Table(f"{title}: gain on {reference}", head, lines)


def _head(inputs: ReportInputs, first: str, columns: Sequence[str]) -> list[tuple[str, str]]:
    over = f"{inputs.scale_names[0]}–{inputs.scale_names[-1]}"
    sizes = [("mean", over) if c == MEAN else (short(c), f"{inputs.pixels[c]} px") for c in columns]
    return [(first, ""), *sizes]


def _cell(estimate: Estimate, trace: str, kind: str = "") -> Cell:
    return Cell(f"{estimate.value:.1f}", [_bounds(estimate.interval)], trace, kind)


def _gain(comparison: Comparison, inputs: ReportInputs, score: Score) -> Cell:
    if score == "total_accuracy":
        gain, clear = comparison.difference, is_clear(comparison, inputs.confidence)
        p_value = comparison.p_value
    else:
        gain, p_value = comparison.mean_class_difference, None
        clear = excludes_zero(gain)
    small = [_bounds(gain.interval, signed)]
    if p_value is not None:
        small.append(f"p {p_text(p_value)}")
    return Cell(signed(gain.value), small, kind="clear" if clear else "")


def _bounds(interval: Interval, form: Callable[[float], str] = "{:.1f}".format) -> str:
    return f"{form(interval.low)}…{form(interval.high)}"


def _cost_table(inputs: ReportInputs) -> Table | None:
    """Parameters and operations per face of each method, and how many times the baseline's."""
    columns = (*inputs.columns, MEAN)
    lines = {}
    for name in inputs.methods:
        if name not in inputs.cost:
            continue
        work = [inputs.operations(name, column) for column in columns]
        lines[name] = [Cell(in_units(max(inputs.cost[name]["parameters"].values())))] + [
            NONE if w is None else Cell(in_units(w), [_times(inputs, name, c).text])
            for w, c in zip(work, columns, strict=True)
        ]
    first, *sizes = _head(inputs, "operations per face", columns)
    head = [first, ("parameters", ""), *sizes]
    return Table("Cost of each method", head, lines) if lines else None


def _calibration_table(inputs: ReportInputs, scores: Scores) -> Table | None:
    """Calibration error of each method at each size, and confidence minus accuracy."""
    lines = {}
    for name, row in scores.calibration.items():
        if row:
            lines[name] = [
                Cell(
                    f"{row[c].error.value:.1f}",
                    [_bounds(row[c].error.interval), signed(row[c].confidence - row[c].accuracy)],
                    f"calibration.{name}.{c}",
                )
                if c in row
                else NONE
                for c in inputs.columns
            ]
    head = _head(inputs, "calibration error, %", inputs.columns)
    return Table("Calibration error", head, lines) if lines else None


def _recall_tables(inputs: ReportInputs, scores: Scores) -> dict[str, Table]:
    """By method the share of each class's faces that are predicted right, at each size."""
    tables = {}
    for name, matrices in scores.confusion.items():
        lines = {}
        for label, class_name in enumerate(inputs.class_names):
            shares = [
                m[label, label] / m[label].sum() if m[label].sum() else None
                for m in matrices.values()
            ]
            lines[class_name] = [
                NONE if share is None else Cell(f"{100 * share:.1f}", heat=float(share))
                for share in shares
            ]
        head = _head(inputs, "recall, %", list(matrices))
        tables[name] = Table(f"Recall of each class, {name}", head, lines)
    return tables


def _fidelity_table(inputs: ReportInputs) -> Table | None:
    """PSNR and SSIM of restored faces against the full-size ones."""
    columns = [c for c in inputs.scale_names if any(c in row for row in inputs.fidelity.values())]
    lines = {
        name: [
            Cell(f"{row[c]['psnr']:.2f}", [f"SSIM {row[c]['ssim']:.4f}"]) if c in row else NONE
            for c in columns
        ]
        for name, row in inputs.fidelity.items()
    }
    head = _head(inputs, "PSNR, dB", columns)
    return Table("PSNR and SSIM", head, lines) if columns else None


def _counts(inputs: ReportInputs) -> Table:
    """Numbers of faces of each class in each split."""
    labels, classes = inputs.manifest.labels, len(inputs.class_names)
    counts = [np.bincount(labels[inputs.manifest.rows(s)], minlength=classes) for s in SPLITS]
    lines = {
        name: [Cell(f"{count[label]:,}") for count in counts]
        for label, name in enumerate(inputs.class_names)
    }
    lines["all"] = [Cell(f"{count.sum():,}") for count in counts]
    return Table(
        "Faces of each class and split", [("faces", ""), *((s, "") for s in SPLITS)], lines
    )


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Dotted key and value as text, in order."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        elif isinstance(value, (list, tuple)):
            yield f"{above}{key}", ", ".join(map(str, value))
        else:
            yield (
                f"{above}{key}",
                {None: "none", True: "true", False: "false"}.get(value, str(value)),
            )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _inline_svg(content: bytes, label: str) -> Markup:
    """An SVG for the page, without what only a file needs.

    The ids that matplotlib numbers occur in every figure, so they go.
    """
    text = content.decode()
    text = re.sub(r'<g id="[\w.]+_\d+">', "<g>", text[text.index("<svg") :])
    text = re.sub(r'<metadata>.*?</metadata>| xmlns(:\w+)?="[^"]*"', "", text, flags=re.S)
    attributes = Markup('<svg role="img" aria-label="{}" ').format(label)
    return Markup(text.replace("<svg ", attributes, 1))


def _data_url(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
