"""The report: metrics, figures and one HTML page, from the predictions of all methods."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fsr_fer.arrays import open_faces
from fsr_fer.downsampling import restore
from fsr_fer.files import replacing, write_text
from fsr_fer.predictions import HR
from fsr_fer.report.figures import accuracy_figure, calibration_figure, cost_figure
from fsr_fer.report.inputs import ReportInputs
from fsr_fer.report.page import Figures, best_methods, write_page
from fsr_fer.report.score_files import write_details, write_metrics
from fsr_fer.report.scores import MEAN, Scores, compute_scores
from fsr_fer.report.sheets import ExampleFace, faces_sheet, restored_sheet

__all__ = ["ReportInputs", "example_faces", "write_report"]


def write_report(inputs: ReportInputs, directory: Path, metrics_directory: Path) -> None:
    """Write the page and what it shows into ``directory``, the metrics into the other folder.

    The page is ``index.html``; beside it lie the figures and what ``write_details`` writes. See
    ``write_metrics`` for the metrics.

    Raises:
        UserError: a file that the report reads is missing or holds something else than expected.
    """
    scores = compute_scores(inputs)
    figures = _draw(inputs, scores)
    page = write_page(inputs, scores, figures)
    write_metrics(inputs, scores, metrics_directory)
    write_details(inputs, scores, directory)
    for filename, content in figures.files().items():
        with replacing(directory / filename) as part:
            part.write_bytes(content)
    write_text(directory / "index.html", page)


def _draw(inputs: ReportInputs, scores: Scores) -> Figures:
    table, pixels = scores.tables["total_accuracy"], inputs.pixels
    banded = {*inputs.references, *best_methods(scores, "total_accuracy", MEAN)[:1]}
    faces = example_faces(inputs)
    return Figures(
        accuracy=accuracy_figure(table, pixels, banded),
        cost=cost_figure(inputs, table),
        calibration=calibration_figure(scores.calibration),
        faces=faces_sheet(faces, pixels),
        restored=restored_sheet(faces, pixels),
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
    """The face in this row of the manifest at each size, and brought back to full size."""
    full = np.array(open_faces(inputs.images_path)[row])
    sizes, upsampled = {HR: full}, {HR: full}
    for scale, name in zip(inputs.scales, inputs.scale_names, strict=True):
        sizes[name] = np.array(open_faces(inputs.downsampled[name])[row])
        upsampled[name] = restore(sizes[name][None], scale, inputs.downsample)[0]
    position = int(np.flatnonzero(inputs.manifest.rows("test") == row)[0])
    return ExampleFace(
        title=inputs.class_names[inputs.manifest.labels[row]],
        sizes=sizes,
        upsampled=upsampled,
        restored={
            name: {column: np.array(open_faces(path)[position]) for column, path in paths.items()}
            for name, paths in inputs.restored.items()
        },
    )
