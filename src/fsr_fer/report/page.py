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
from fsr_fer.report.words import row_name, short, size_title
from fsr_fer.settings import FULL_SIZE

SOURCES = {
    "synthetic": "synthetic faces drawn by this project",
    "rafdb": "RAF-DB",
    "folder": "faces imported from folders",
    "csv": "faces imported from a CSV list",
}


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """The figures: SVG as bytes, PNG with its width in CSS pixels; None for what there is not."""

    accuracy: bytes
    rows: bytes
    cost: Mapping[str, bytes]
    """By column: the mean over the scales, and the smallest faces."""
    calibration: bytes | None
    faces: tuple[bytes, int]
    restored: tuple[bytes, int] | None
    curves: Mapping[str, bytes]

    def files(self) -> dict[str, bytes]:
        """The figures as files, the training curves left out."""
        return (
            {"accuracy.svg": self.accuracy, "rows.svg": self.rows, "faces.png": self.faces[0]}
            | {f"cost_{column}.svg": content for column, content in self.cost.items()}
            | ({"calibration.svg": self.calibration} if self.calibration else {})
            | ({"restored.png": self.restored[0]} if self.restored else {})
        )


def write_page(inputs: ReportInputs, scores: Scores, pictures: Pictures) -> str:
    """The whole page as text."""
    sections = {
        "scores": ("Scores", "Scores", _scores_section(inputs, scores, pictures)),
        "cost": ("Cost", "Cost", _cost_section(inputs, scores, pictures)),
        "calibration": (
            "Calibration",
            "How far to believe a row",
            _belief_section(scores, pictures, inputs),
        ),
        "classes": ("Classes", "Class by class", details.classes_section(inputs, scores)),
        "faces": ("Faces", "The faces", _faces_section(inputs, pictures)),
        "paper": ("Paper", "Beside the paper", paper_section(inputs, scores)),
        "training": ("Training", "Training", _training_section(inputs, pictures.curves)),
        "traces": ("Traces", "Where the numbers come from", traces.traces_section(inputs, scores)),
        "run": ("Run", "What was run", _run_section(inputs)),
    }
    links = element(
        "nav",
        *(_link(key, title) for key, (title, _, _) in sections.items()),
        aria_label="Sections",
    )
    body = join(
        [
            element("div", links, _filter(inputs), class_="bar"),
            element("header", _lead(inputs, scores, pictures)),
        ]
        + [
            element("section", element("h2", title), content, id=key)
            for key, (_, title, content) in sections.items()
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
            element("div", *_lead_figures(inputs, pictures), class_="pair"),
        ]
    )


def _lead_figures(inputs: ReportInputs, pictures: Pictures) -> list[Markup]:
    label = "Total accuracy of each row at each face size"
    figures = [
        figure(
            inline_svg(pictures.accuracy, label=label, prefix="acc-"),
            "Accuracy over face size, after the paper's figure 4; the dotted line is "
            f"{inputs.baseline} on full-size faces. Bands: {100 * inputs.confidence:g} % "
            "intervals.",
            label="Figure: accuracy over face size",
            trace=_picture_trace(inputs, "accuracy.svg"),
        )
    ]
    if MEAN in pictures.cost:
        figures.append(_cost_figure(inputs, pictures, MEAN))
    return figures


def _cost_figure(inputs: ReportInputs, pictures: Pictures, column: str) -> Markup:
    size = "mean over the scales" if column == MEAN else size_title(inputs, column)
    return figure(
        inline_svg(
            pictures.cost[column],
            label=f"Accuracy against operations per face, {size}",
            prefix=f"cost-{column}-",
        ),
        f"Accuracy against cost, {size}: the higher and further left, the better.",
        label=f"Figure: accuracy against cost, {size}",
        trace=_picture_trace(inputs, f"cost_{column}.svg"),
    )


def _picture_trace(inputs: ReportInputs, filename: str) -> Markup:
    return traces.file_trace(f"data/{inputs.profile}/report/{filename}")


def _method(inputs: ReportInputs) -> str:
    return (
        f"In brackets and small print: {100 * inputs.confidence:g} % bootstrap intervals over test "
        f"faces ({inputs.resamples:,} resamples, seed {inputs.seed}). p: McNemar's exact test "
        "against the row named, adjusted by Holm's method for all comparisons with it. "
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
    for reference in scores.against if len(inputs.rows) > 1 else ():
        for score, title in tables.SCORE_TITLES.items():
            parts += [
                element("h3", "Gain on ", row_name(reference), f", {title.lower()}"),
                tables.gains_table(inputs, scores, reference, score),
            ]
    if len(inputs.rows) > 1:
        parts.append(element("p", "Bold: more than chance explains.", class_="note"))
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


def _cost_section(inputs: ReportInputs, scores: Scores, pictures: Pictures) -> Markup:
    if not inputs.cost:
        return element("p", "No costs were counted.")
    note = (
        "Counted, not timed: the same on every machine. Two operations per multiplication and "
        "addition, eigendecompositions included; from the small face to the expression."
    )
    figures = [_cost_figure(inputs, pictures, c) for c in pictures.cost if c != MEAN]
    return join([tables.cost_table(inputs), element("p", note, class_="note"), *figures])


def _belief_section(scores: Scores, pictures: Pictures, inputs: ReportInputs) -> Markup:
    if pictures.calibration is None:
        return element("p", "No confidences were stored.")
    note = (
        f"Expected calibration error over {inputs.calibration_bins} bins of confidence, percent: "
        "how far, on average, a row's confidence is from its accuracy. Below it mean confidence "
        "minus accuracy: a plus is a row that is surer than it is right."
    )
    picture = figure(
        image(pictures.calibration, "svg+xml", alt="Accuracy over mean confidence of each row"),
        "Accuracy over mean confidence, a point for each size of a row; on the dotted line a row "
        "is as sure as it is right, below it surer.",
        label="Figure: accuracy over confidence",
        trace=_picture_trace(inputs, "calibration.svg"),
    )
    return join(
        [tables.calibration_table(inputs, scores), element("p", note, class_="note"), picture]
    )


def _faces_section(inputs: ReportInputs, pictures: Pictures) -> Markup:
    notice = (
        " These are pictures of the data set: mind its licence before you pass this page on."
        if inputs.source != "synthetic"
        else ""
    )
    content, width = pictures.faces
    alt = "Test faces at full size and at each smaller size, in true size and put back"
    parts = [
        figure(
            image(content, "png", alt=alt, width=width),
            "Test faces at each size, above in true size, below put back to full size as the "
            "networks see them. After the paper's figure 3." + notice,
            label="Figure: example faces",
            trace=_picture_trace(inputs, "faces.png"),
        )
    ]
    if pictures.restored is not None:
        content, width = pictures.restored
        parts.append(
            figure(
                image(content, "png", alt="Faces restored by each row that does", width=width),
                "The same faces restored by bicubic and by the rows that restore pictures, beside "
                "the full-size face. After the paper's figure 5." + notice,
                label="Figure: restored faces",
                trace=_picture_trace(inputs, "restored.png"),
            )
        )
    if inputs.fidelity:
        parts.append(element("h3", "How near the restored faces come to the full-size ones"))
        parts.append(tables.fidelity_table(inputs))
    return join(parts)


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
