"""The numbers of the report as files, for DVC, for Git and for further computation."""

from collections.abc import Iterator
from pathlib import Path

from fsr_fer.common.files import write_csv, write_json
from fsr_fer.data.downsampling import small_side
from fsr_fer.report.inputs import ReportInputs
from fsr_fer.report.scores import Scores


def write_metrics(inputs: ReportInputs, scores: Scores, directory: Path) -> None:
    """Write what DVC compares and plots, percent with 3 decimals.

    ``accuracy.json``, ``mean_class_accuracy.json`` and ``calibration.json`` hold method, then
    size, then the score. ``accuracy_by_scale.csv`` has the lines of the figure.
    """
    tables = {
        "accuracy": scores.tables["total_accuracy"],
        "mean_class_accuracy": scores.tables["mean_class_accuracy"],
        "calibration": {
            name: {size: cell.error for size, cell in row.items()}
            for name, row in scores.calibration.items()
        },
    }
    for filename, table in tables.items():
        values = {
            name: {size: _rounded(estimate.value) for size, estimate in row.items()}
            for name, row in table.items()
        }
        write_json(directory / f"{filename}.json", values)
    lines = [
        (name, factor, small_side(factor), *map(_rounded, row[size]))
        for name, row in tables["accuracy"].items()
        for size, factor in inputs.factors.items()
        if size in row
    ]
    header = ("method", "scale", "pixels", "accuracy", "low", "high")
    write_csv(directory / "accuracy_by_scale.csv", header, lines)


def write_details(scores: Scores, class_names: tuple[str, ...], directory: Path) -> None:
    """Write ``scores.csv``, every number with its interval, and ``confusion.csv``, the counts.

    A line with a reference is a difference to it, in points; ``method_only`` and
    ``reference_only`` are the faces that only one of the two has correct.
    """
    header = (
        "method", "size", "score", "reference", "value", "low", "high",
        "method_only", "reference_only", "p_value",
    )  # fmt: skip
    write_csv(directory / "scores.csv", header, _lines(scores))
    counts = [
        (name, size, label, predicted, faces)
        for name, matrices in scores.confusion.items()
        for size, matrix in matrices.items()
        for label, row in zip(class_names, matrix, strict=True)
        for predicted, faces in zip(class_names, row, strict=True)
    ]
    columns = ("method", "size", "label", "predicted", "faces")
    write_csv(directory / "confusion.csv", columns, counts)


def _lines(scores: Scores) -> Iterator[tuple[object, ...]]:
    for score, table in scores.tables.items():
        for name, row in table.items():
            for size, estimate in row.items():
                yield name, size, score, "", *map(_rounded, estimate), None, None, None
    for reference, tables in scores.differences.items():
        for score, differences in tables.items():
            for name, cells in differences.items():
                for size, cell in cells.items():
                    values = map(_rounded, (cell.value, cell.low, cell.high))
                    p_value = None if cell.p_value is None else f"{cell.p_value:.3g}"
                    evidence = cell.method_only, cell.reference_only, p_value
                    yield name, size, score, reference, *values, *evidence
    for name, calibrations in scores.calibration.items():
        for size, calibration in calibrations.items():
            error = map(_rounded, calibration.error)
            yield name, size, "calibration_error", "", *error, None, None, None
            mean = _rounded(calibration.confidence)
            yield name, size, "confidence", "", mean, *[None] * 5
    for name, shares in scores.agreement.items():
        for size, share in shares.items():
            yield name, size, "share_of_votes", "", _rounded(share), *[None] * 5


def _rounded(value: float) -> float:
    return round(value, 3) + 0.0  # decimals as in the paper, and no -0.0
