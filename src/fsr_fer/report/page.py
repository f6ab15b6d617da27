"""The page: one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from string import Template

from fsr_fer.report import details, tables, traces
from fsr_fer.report.inputs import ReportInputs
from fsr_fer.report.markup import Markup, element, figure, image, inline_svg, join
from fsr_fer.report.paper import paper_section
from fsr_fer.report.scores import MEAN, Scores
from fsr_fer.report.words import row_name, short
from fsr_fer.settings import FULL_SIZE

SOURCES = {
    "synthetic": "synthetic faces drawn by this project",
    "rafdb": "RAF-DB",
    "folder": "faces imported from folders",
    "csv": "faces imported from a CSV list",
}


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """The figures: SVG as bytes, PNG with its width in CSS pixels."""

    accuracy: bytes
    rows: bytes
    faces: tuple[bytes, int]
    curves: Mapping[str, bytes]


def write_page(inputs: ReportInputs, scores: Scores, pictures: Pictures) -> str:
    """The whole page as text."""
    sections = {
        "scores": ("Scores", _scores_section(inputs, scores, pictures)),
        "classes": ("Class by class", details.classes_section(inputs, scores)),
        "faces": ("The faces", _faces_section(inputs, pictures.faces)),
        "paper": ("Beside the paper", paper_section(inputs, scores)),
        "training": ("Training", _training_section(inputs, pictures.curves)),
        "traces": ("Where the numbers come from", traces.traces_section(inputs, scores)),
        "run": ("What was run", _run_section(inputs)),
    }
    links = element(
        "nav", *(_link(key, title) for key, (title, _) in sections.items()), aria_label="Sections"
    )
    body = join(
        [
            element("div", links, _filter(inputs), class_="bar"),
            element("header", _lead(inputs, scores, pictures)),
        ]
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


def _filter(inputs: ReportInputs) -> Markup:
    """Which rows and sizes the tables and lines show; the page's script makes it work."""
    rows = {name: row_name(name) for name in inputs.rows}
    sizes = {column: join([short(column)]) for column in (*inputs.columns, MEAN)}
    groups = [
        element(
            "fieldset",
            element("legend", title),
            *(_checkbox(kind, value, label) for value, label in choices.items()),
            Markup('<button type="button" data-all="true">all</button>'),
            Markup('<button type="button" data-all="">none</button>'),
            data_kind=kind,
        )
        for kind, title, choices in (("row", "Rows", rows), ("size", "Faces", sizes))
    ]
    summary = element("summary", "Filter: ", element("span", "all rows, all sizes", id="shown"))
    form = element("form", *groups)
    return element("details", summary, form, id="filter", class_="filter", hidden="hidden")


def _checkbox(kind: str, value: str, label: Markup) -> Markup:
    box = Markup(
        f'<input type="checkbox" name="{kind}" value="{join([value])}" checked autocomplete="off">'
    )
    return element("label", box, label)


def _lead(inputs: ReportInputs, scores: Scores, pictures: Pictures) -> Markup:
    """The first screen: what was run, on which data, what won and by how much."""
    num_train, num_validation, num_test = (
        len(inputs.manifest.rows(split)) for split in ("train", "validation", "test")
    )
    run = element(
        "p",
        "Profile ",
        element("code", inputs.profile),
        f" on {SOURCES.get(inputs.source, inputs.source)}: {num_test:,} test faces "
        f"({num_train:,} train, {num_validation:,} validation), {len(inputs.class_names)} "
        f"expressions, {len(inputs.rows)} rows, read at {FULL_SIZE} px and at "
        f"{len(inputs.scales)} smaller sizes.",
        class_="run",
    )
    return join(
        [
            element("h1", "Reading expressions from small faces"),
            run,
            tables.answer(inputs, scores),
            tables.winners_table(inputs, scores),
            _accuracy_figure(inputs, pictures),
        ]
    )


def _accuracy_figure(inputs: ReportInputs, pictures: Pictures) -> Markup:
    picture = inline_svg(
        pictures.accuracy, label="Total accuracy of each row at each face size", prefix="acc-"
    )
    return figure(
        picture,
        "Total accuracy of each row over face size, after the paper's figure 4; the dotted line is "
        f"{inputs.baseline} on full-size faces.",
        label="Figure: accuracy over face size",
        trace=_picture_trace(inputs, "accuracy.svg"),
    )


def _picture_trace(inputs: ReportInputs, filename: str) -> Markup:
    return traces.file_trace(f"data/{inputs.profile}/report/{filename}")


def _method(inputs: ReportInputs) -> str:
    return (
        f"In brackets and small print: {100 * inputs.confidence:g} % bootstrap intervals over test "
        f"faces ({inputs.resamples:,} resamples, seed {inputs.seed}). p: McNemar's exact test "
        f"against {inputs.baseline}, adjusted by Holm's method for all comparisons with it. "
        f"Clear: p below {1 - inputs.confidence:g}, or for the mean an interval without 0. Both "
        "speak of other faces of the same kind, not of another training run."
    )


def _scores_section(inputs: ReportInputs, scores: Scores, pictures: Pictures) -> Markup:
    parts: list[str] = [element("p", _method(inputs), class_="note")]
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
    level = f"{100 * inputs.confidence:g} %"
    parts.append(
        figure(
            image(pictures.rows, "svg+xml", alt="Total accuracy of each row in a panel of its own"),
            f"Each row in a panel of its own with its {level} interval; the others in grey.",
            label="Figure: each row",
            trace=_picture_trace(inputs, "rows.svg"),
        )
    )
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
    return figure(
        picture,
        caption,
        label="Figure: example faces",
        trace=_picture_trace(inputs, "faces.png"),
    )


def _training_section(inputs: ReportInputs, curves: Mapping[str, bytes]) -> Markup:
    if not curves:
        return element("p", "No training curves were given.")
    return join(
        figure(
            image(content, "svg+xml", alt=f"Training curves, {heading}"),
            f"Training of {heading}. Over steps; long curves are averaged over neighbouring steps.",
            label=f"Figure: training of {heading}",
            trace=traces.file_trace(f"metrics/{inputs.profile}/{heading.partition(':')[0]}"),
        )
        for heading, content in curves.items()
    )


def _run_section(inputs: ReportInputs) -> Markup:
    return join(
        [
            element("h3", "Faces of each class and split"),
            details.counts_table(inputs),
            element("h3", f"Values behind the profile {inputs.profile}"),
            element("div", details.params_table(inputs), class_="text", id="params"),
            element("h3", "Versions"),
            element("div", details.versions_table(), class_="text"),
        ]
    )
