"""The report: metrics, figures and one HTML page, from the predictions of all rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fsr_fer.arrays import open_faces
from fsr_fer.downsampling import restore
from fsr_fer.files import replacing, write_text
from fsr_fer.predictions import HR
from fsr_fer.report.curves import read_groups
from fsr_fer.report.figures import (
    ExampleFace,
    accuracy_figure,
    curves_figure,
    faces_figure,
    rows_figure,
)
from fsr_fer.report.inputs import ReportInputs
from fsr_fer.report.page import Pictures, write_page
from fsr_fer.report.score_files import write_details, write_metrics
from fsr_fer.report.scores import MEAN, Scores, compute_scores
from fsr_fer.report.tables import best_rows

__all__ = ["ReportInputs", "example_faces", "write_report"]


def write_report(inputs: ReportInputs, directory: Path, metrics_directory: Path) -> None:
    """Write the page and what it shows into ``directory``, the metrics into the other folder.

    The page is ``index.html``; beside it lie the figures and what ``write_details``
    writes. See ``write_metrics`` for the metrics.

    Raises:
        UserError: a file that the report reads is missing or says something else than expected.
    """
    scores = compute_scores(inputs)
    pixels = inputs.pixels
    table = scores.tables["total_accuracy"]
    pictures = Pictures(
        accuracy=accuracy_figure(table, pixels, _banded(inputs, scores)),
        rows=rows_figure(table, pixels),
        faces=faces_figure(example_faces(inputs), pixels),
        curves={
            heading: curves_figure(panels) for heading, panels in read_groups(inputs.curves).items()
        },
    )
    page = write_page(inputs, scores, pictures)
    write_metrics(inputs, scores, metrics_directory)
    write_details(inputs, scores, directory)
    files = {
        "accuracy.svg": pictures.accuracy,
        "rows.svg": pictures.rows,
        "faces.png": pictures.faces[0],
    }
    for filename, content in files.items():
        with replacing(directory / filename) as part:
            part.write_bytes(content)
    write_text(directory / "index.html", page)


def _banded(inputs: ReportInputs, scores: Scores) -> set[str]:
    """The rows a reader holds against each other: baselines and the best."""
    best = best_rows(scores, "total_accuracy", MEAN)
    return (
        {inputs.baseline, "mixed_resolution", *best[:1]} if len(inputs.rows) > 4 else {*inputs.rows}
    )


def example_faces(inputs: ReportInputs) -> list[ExampleFace]:
    """Test faces drawn by (seed, position), the classes in turn, each face at most once."""
    test = inputs.manifest.rows("test")
    labels = inputs.manifest.labels[test]
    by_class = [
        np.random.default_rng((inputs.seed, label)).permutation(test[labels == label])
        for label in range(len(inputs.class_names))
    ]
    in_turn = [
        rows[turn] for turn in range(inputs.example_faces) for rows in by_class if turn < len(rows)
    ]
    return [_example(inputs, int(row)) for row in in_turn[: inputs.example_faces]]


def _example(inputs: ReportInputs, row: int) -> ExampleFace:
    """The face in this row of the manifest at each size, and put back to full size."""
    full = np.array(open_faces(inputs.images_path)[row])
    sizes, restored = {HR: full}, {HR: full}
    for scale, name in zip(inputs.scales, inputs.scale_names, strict=True):
        sizes[name] = np.array(open_faces(inputs.downsampled[name])[row])
        restored[name] = restore(sizes[name][None], scale, inputs.downsample)[0]
    title = inputs.class_names[inputs.manifest.labels[row]]
    return ExampleFace(title=title, sizes=sizes, restored=restored)
