"""The report: metrics, figures and one HTML page, from the predictions of all methods."""

from pathlib import Path

from fsr_fer.common.files import replacing
from fsr_fer.evaluation.predictions import MEAN
from fsr_fer.report.face_grids import restored_grid, sizes_grid
from fsr_fer.report.figures import accuracy_figure, cost_figure
from fsr_fer.report.inputs import ReportInputs
from fsr_fer.report.page import write_page
from fsr_fer.report.score_files import write_details, write_metrics
from fsr_fer.report.scores import compute_scores


def write_report(inputs: ReportInputs, directory: Path, metrics_directory: Path) -> None:
    """Write index.html, figures and details into ``directory``, and the metrics."""
    scores = compute_scores(inputs)
    table = scores.tables["total_accuracy"]
    # Bands of all would hide each other: those that all are compared with, and the best.
    banded = [*inputs.report.references, *scores.best(MEAN)[:1]]
    priced = {name: table[name] for name in inputs.operations}
    known = {size for row in priced.values() for size in row}
    last = [size for size in inputs.sizes if size in known][-1]
    panels = [size for size in (MEAN, last) if size in known]
    titles = {size: inputs.title(size) for size in (*inputs.sizes, MEAN)}
    pictures = {
        "accuracy.svg": accuracy_figure(table, {s: titles[s] for s in inputs.sizes}, banded),
        "cost.svg": cost_figure(priced, inputs.operations, {s: titles[s] for s in panels}),
        "faces.png": sizes_grid(inputs),
    }
    if restored := restored_grid(inputs):
        pictures["restored.png"] = restored
    page = write_page(inputs, scores, pictures)
    write_metrics(inputs, scores, metrics_directory)
    write_details(scores, inputs.manifest.class_names, directory)
    for filename, content in {**pictures, "index.html": page.encode()}.items():
        with replacing(directory / filename) as part:
            part.write_bytes(content)
