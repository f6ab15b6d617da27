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
    accuracy_figure,
    calibration_figure,
    cost_figure,
    curves_figure,
    rows_figure,
)
from fsr_fer.report.inputs import ReportInputs
from fsr_fer.report.page import Pictures, write_page
from fsr_fer.report.paper import audit_csv
from fsr_fer.report.score_files import write_details, write_metrics
from fsr_fer.report.scores import MEAN, Scores, compute_scores
from fsr_fer.report.sheets import ExampleFace, faces_figure, restored_figure
from fsr_fer.report.tables import best_rows

__all__ = ["ReportInputs", "example_faces", "write_report"]


def write_report(inputs: ReportInputs, directory: Path, metrics_directory: Path) -> None:
    """Write the page and what it shows into ``directory``, the metrics into the other folder.

    The page is ``index.html``; beside it lie the figures, ``paper_audit.csv`` and what
    ``write_details`` writes. See ``write_metrics`` for the metrics.

    Raises:
        UserError: a file that the report reads is missing or says something else than expected.
    """
    scores = compute_scores(inputs)
    pictures = _draw(inputs, scores)
    page = write_page(inputs, scores, pictures)
    write_metrics(inputs, scores, metrics_directory)
    write_details(inputs, scores, directory)
    write_text(directory / "paper_audit.csv", audit_csv(inputs, scores))
    for filename, content in pictures.files().items():
        with replacing(directory / filename) as part:
            part.write_bytes(content)
    write_text(directory / "index.html", page)


def _draw(inputs: ReportInputs, scores: Scores) -> Pictures:
    table, pixels = scores.tables["total_accuracy"], inputs.pixels
    faces = example_faces(inputs)
    scales = inputs.scale_names
    cost = {c: cost_figure(table, inputs.cost, c, scales) for c in (MEAN, scales[-1])}
    return Pictures(
        accuracy=accuracy_figure(table, pixels, _banded(inputs, scores)),
        rows=rows_figure(table, pixels),
        cost={column: content for column, content in cost.items() if content is not None},
        calibration=calibration_figure(scores.calibration),
        faces=faces_figure(faces, pixels),
        restored=restored_figure(faces, pixels),
        curves={
            heading: curves_figure(panels) for heading, panels in read_groups(inputs.curves).items()
        },
    )


def _banded(inputs: ReportInputs, scores: Scores) -> set[str]:
    """The rows a reader holds against each other: those all are compared with, and the best."""
    if len(inputs.rows) <= 4:
        return {*inputs.rows}
    return {*inputs.references, *best_rows(scores, "total_accuracy", MEAN)[:1]}


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
    position = int(np.flatnonzero(inputs.manifest.rows("test") == row)[0])
    return ExampleFace(
        title=inputs.class_names[inputs.manifest.labels[row]],
        sizes=sizes,
        restored=restored,
        by_row={
            name: {column: np.array(open_faces(path)[position]) for column, path in paths.items()}
            for name, paths in inputs.restored.items()
        },
    )
