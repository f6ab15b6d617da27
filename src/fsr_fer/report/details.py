"""What lies behind the results: classes, data, the values behind the profile's name, versions."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any

import numpy as np

from fsr_fer.data.manifest import SPLITS
from fsr_fer.report.inputs import ReportInputs
from fsr_fer.report.markup import Markup, element, join, table
from fsr_fer.report.scores import Scores
from fsr_fer.report.words import row_name, size_head, size_title

PACKAGES = (
    "fsr-fer", "torch", "numpy", "safetensors", "pillow", "dvc", "dvclive",
    "great-expectations", "pandas", "matplotlib",
)  # fmt: skip


def classes_section(inputs: ReportInputs, scores: Scores) -> Markup:
    """Per row the recall of each class, and the confusion matrix at each size.

    The page's script shows one row and one size at a time; without it everything is shown.
    """
    blocks = []
    for name, matrices in scores.confusion.items():
        blocks.append(
            element(
                "section",
                element("h3", row_name(name), ", recall of each class, %"),
                _recall_table(inputs, name, matrices),
                data_pick_row=name,
            )
        )
        grids = [
            element(
                "section",
                element("h4", row_name(name), f", {size_title(inputs, column)}"),
                _confusion_table(inputs, f"{name}, {column}", matrix),
                data_pick_row=name,
                data_pick_size=column,
            )
            for column, matrix in matrices.items()
        ]
        blocks.append(element("div", *grids, class_="grid"))
    choices = join(
        [
            _select("row", "Row", {name: name for name in inputs.rows}),
            _select(
                "size",
                "Face",
                {"": "all sizes"} | {c: size_title(inputs, c) for c in inputs.columns},
            ),
        ]
    )
    note = element(
        "p",
        "Of a confusion matrix each line is a true class: the percent of its faces read as the "
        "class at the head, and how many faces it has.",
        class_="note",
    )
    return join(
        [note, element("form", choices, class_="pick", id="pick", hidden="hidden"), *blocks]
    )


def _select(name: str, label: str, options: Mapping[str, str]) -> Markup:
    # An empty value must stay in the page: without it an option's value is its text.
    made = [
        Markup(f'<option value="{join([value])}">{join([text])}</option>')
        for value, text in options.items()
    ]
    return element("label", label + " ", element("select", *made, name=name))


def _recall_table(inputs: ReportInputs, name: str, matrices: Mapping[str, np.ndarray]) -> Markup:
    rows: list[list[str]] = []
    for position, class_name in enumerate(inputs.class_names):
        shares = [
            _share(matrix[position, position], matrix[position].sum())
            for matrix in matrices.values()
        ]
        rows.append([class_name, *(_heat_cell(share, 1) for share in shares)])
    head = ["class", *(size_head(inputs, column) for column in matrices)]
    return table(head, rows, label=f"Recall of each class, {name}")


def _confusion_table(inputs: ReportInputs, name: str, matrix: np.ndarray) -> Markup:
    short = short_names(inputs.class_names)
    rows: list[list[str]] = []
    for position, class_name in enumerate(inputs.class_names):
        total = matrix[position].sum()
        cells = [_heat_cell(_share(count, total), 0) for count in matrix[position]]
        rows.append([class_name, *cells, f"{total:,}"])
    head = ["true \\ read", *short, "faces"]
    return table(head, rows, label=f"Confusion matrix, {name}")


def short_names(names: tuple[str, ...]) -> list[Markup]:
    """The first letters of each name, as few from three on as keep all names apart."""
    longest = max(map(len, names))
    length = next(
        (n for n in range(3, longest) if len({s[:n] for s in names}) == len(names)), longest
    )
    return [element("abbr", name[:length], title=name) for name in names]


def _share(part: int, whole: int) -> float | None:
    return 100.0 * float(part) / float(whole) if whole else None


def _heat_cell(share: float | None, decimals: int) -> Markup:
    if share is None:
        return Markup("<td>–</td>")
    return element("td", f"{share:.{decimals}f}", style=f"--heat:{share / 100:.2f}", class_="heat")


def counts_table(inputs: ReportInputs) -> Markup:
    """Numbers of faces of each class in each split."""
    manifest = inputs.manifest
    counts = {
        split: np.bincount(manifest.labels[manifest.rows(split)], minlength=len(inputs.class_names))
        for split in SPLITS
    }
    rows = [
        [name, *(f"{counts[split][i]:,}" for split in SPLITS)]
        for i, name in enumerate(inputs.class_names)
    ]
    rows.append(["all", *(f"{counts[split].sum():,}" for split in SPLITS)])
    return table(["faces", *SPLITS], rows, label="Faces of each class and split")


def params_table(inputs: ReportInputs) -> Markup:
    """Every value behind the profile's name, under its dotted key."""
    lines = list(flat(inputs.effective_params))
    sections = [key.partition(".")[0] for key, _ in lines]
    first = [i == 0 or sections[i] != sections[i - 1] for i in range(len(lines))]
    return table(
        ["param", "value"],
        [[element("code", key), value] for key, value in lines],
        label="Params in effect",
        ids=[f"param-{s}" if is_first else "" for s, is_first in zip(sections, first, strict=True)],
    )


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted key and value as text, in order."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flat(value, f"{name}.")
        elif isinstance(value, (list, tuple)):
            yield name, ", ".join(map(_text, value))
        else:
            yield name, _text(value)


def _text(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def versions_table() -> Markup:
    """Versions of Python and of the packages that made the numbers."""
    rows = [["Python", platform.python_version()]]
    rows += [[name, _version(name)] for name in PACKAGES]
    return table(["package", "version"], rows, label="Versions")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
