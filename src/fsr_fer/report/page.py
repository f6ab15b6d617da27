"""The page: one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from string import Template

from fsr_fer.report import details, tables
from fsr_fer.report.inputs import ReportInputs
from fsr_fer.report.markup import Markup, element, figure, image, join, scroll_box
from fsr_fer.report.paper import paper_section
from fsr_fer.report.scores import Scores
from fsr_fer.settings import FULL_SIZE

SOURCES = {
    "synthetic": "synthetic faces drawn by this project",
    "rafdb": "RAF-DB",
    "folder": "faces imported from folders",
    "csv": "faces imported from a CSV list",
}


def write_page(
    inputs: ReportInputs,
    scores: Scores,
    *,
    accuracy: bytes,
    faces: tuple[bytes, int],
    curves: Mapping[str, bytes],
) -> str:
    """The whole page as text; ``accuracy`` and ``curves`` are SVG, ``faces`` PNG and width."""
    sections = {
        "scores": ("Scores", _scores_section(inputs, scores, accuracy)),
        "paper": ("Beside the paper", paper_section(inputs, scores)),
        "faces": ("The faces", _faces_section(inputs, faces)),
        "classes": ("Class by class", details.classes_section(inputs, scores)),
        "training": ("Training", _training_section(curves)),
        "run": ("What was run", _run_section(inputs)),
    }
    links = element(
        "nav", *(_link(key, title) for key, (title, _) in sections.items()), aria_label="Sections"
    )
    body = join(
        [_lead(inputs, scores), links]
        + [
            element("section", element("h2", title), content, id=key)
            for key, (title, content) in sections.items()
        ]
    )
    template = resources.files("fsr_fer.report").joinpath("page.html").read_text("utf-8")
    title = join([f"Reading expressions from small faces: {inputs.profile}"])
    return Template(template).substitute(title=title, body=body)


def _link(key: str, title: str) -> Markup:
    return element("a", title, href=f"#{key}")


def _lead(inputs: ReportInputs, scores: Scores) -> Markup:
    """The first screen: what was run, on which data, what won and by how much."""
    num_train, num_validation, num_test = (
        len(inputs.manifest.rows(split)) for split in ("train", "validation", "test")
    )
    return join(
        [
            element("h1", "Reading expressions from small faces"),
            element(
                "p",
                "Profile ",
                element("code", inputs.profile),
                f" on {SOURCES.get(inputs.source, inputs.source)}: {num_test:,} test faces "
                f"({num_train:,} train, {num_validation:,} validation), "
                f"{len(inputs.class_names)} expressions, read at {FULL_SIZE} px and at "
                f"{len(inputs.scales)} smaller sizes.",
                class_="run",
            ),
            tables.answer(inputs, scores),
            tables.winners_table(inputs, scores),
            element("p", _method(inputs), class_="note"),
        ]
    )


def _method(inputs: ReportInputs) -> str:
    return (
        f"In brackets and small print: {100 * inputs.confidence:g} % bootstrap intervals over test "
        f"faces ({inputs.resamples:,} resamples, seed {inputs.seed}). p: McNemar's exact test "
        f"against {inputs.baseline}, adjusted by Holm's method for all comparisons with it. "
        f"Clear: p below {1 - inputs.confidence:g}, or for the mean an interval without 0. Both "
        "speak of other faces of the same kind, not of another training run."
    )


def _scores_section(inputs: ReportInputs, scores: Scores, accuracy: bytes) -> Markup:
    parts: list[str] = [
        figure(
            image(accuracy, "svg+xml", alt="Total accuracy of each row at each face size"),
            f"Total accuracy of each row at each face size, with "
            f"{100 * inputs.confidence:g} % intervals as bands; the dotted line is "
            f"{inputs.baseline} on full-size faces. After the paper's figure 4.",
        )
    ]
    for score, title in tables.SCORE_TITLES.items():
        parts += [element("h3", title), tables.scores_table(inputs, scores, score)]
    parts.append(
        element(
            "p",
            "Shaded and bold: best of the column. Mean-class accuracy counts each "
            "expression the same, however many faces it has.",
            class_="note",
        )
    )
    if scores.against_baseline:
        parts += [
            element("h3", f"Gain on {inputs.baseline}, total accuracy"),
            tables.gains_table(inputs, scores),
            element("p", "Bold: more than chance explains.", class_="note"),
        ]
    if scores.pairs_of_means:
        parts += [
            element("h3", "Rows against each other, total accuracy, mean over the scales"),
            tables.pairs_table(scores),
            element("p", "The row at the left minus the row at the head, points.", class_="note"),
        ]
    return join(parts)


def _faces_section(inputs: ReportInputs, faces: tuple[bytes, int]) -> Markup:
    content, width = faces
    alt = "Test faces at full size and at each smaller size, in true size and put back"
    picture = image(content, "png", alt=alt, width=width)
    notice = (
        " These are pictures of the data set: mind its licence before you pass this page on."
        if inputs.source != "synthetic"
        else ""
    )
    caption = (
        "Test faces at each size, above in true size, below put back to full size as the "
        "networks see them. After the paper's figure 3." + notice
    )
    return figure(scroll_box(picture, label="Example faces"), caption)


def _training_section(curves: Mapping[str, bytes]) -> Markup:
    if not curves:
        return element("p", "No training curves were given.")
    return join(
        figure(
            image(content, "svg+xml", alt=f"Training curves, {heading}"),
            f"Training of {heading}. Over steps; long curves are averaged over neighbouring steps.",
        )
        for heading, content in curves.items()
    )


def _run_section(inputs: ReportInputs) -> Markup:
    return join(
        [
            element("h3", "Faces of each class and split"),
            details.counts_table(inputs),
            element("h3", f"Values behind the profile {inputs.profile}"),
            element("div", details.params_table(inputs), class_="text"),
            element("h3", "Versions"),
            element("div", details.versions_table(), class_="text"),
        ]
    )
