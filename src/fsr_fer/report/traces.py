"""From every number back to where it comes from: inside the page, and as a command to type."""

from __future__ import annotations

import numpy as np

from fsr_fer.report.figures import operations
from fsr_fer.report.inputs import ReportInputs
from fsr_fer.report.markup import Markup, element, join, table
from fsr_fer.report.origin import Origin
from fsr_fer.report.score_files import METRICS_FILES
from fsr_fer.report.scores import MEAN, Comparison, Scores
from fsr_fer.report.words import p_text, row_name, signed, size_title
from fsr_fer.statistics import Score


def anchor(name: str, column: str) -> str:
    """The id of the line that says where a row's numbers at a size come from."""
    return f"trace-{name}-{column}"


def traced(name: str, column: str, text: str) -> Markup:
    """A number as a link to its trace."""
    return element("a", text, class_="n", href=f"#{anchor(name, column)}")


def file_trace(path: str) -> Markup:
    """The command that traces a file of the report."""
    return command(f"fsr-fer trace {path}")


def command(text: str) -> Markup:
    """A command to copy; the page's script puts a button beside it."""
    return element("code", text, class_="command")


def metric(score: Score, name: str, column: str) -> str:
    """What ``fsr-fer trace`` calls a number."""
    return f"{METRICS_FILES[score].removesuffix('.json')}.{name}.{column}"


def traces_section(inputs: ReportInputs, scores: Scores) -> Markup:
    """Per row what every number is made of; then what the report itself ran and read."""
    note = element(
        "p",
        "Every score is a count over the test faces in one file, and every line here has the "
        "command that follows it back to the raw data: with the hash of each file, the values that "
        "each stage read, versions, device, time and Git commit, held against dvc.lock. A page "
        "cannot know these, for DVC writes them down after it. ",
        command("fsr-fer verify"),
        " reads every byte again.",
        class_="note",
    )
    rows = [_row_traces(inputs, scores, name) for name in inputs.rows]
    return join([note, *rows, *_report_itself(inputs)])


def _row_traces(inputs: ReportInputs, scores: Scores, name: str) -> Markup:
    columns = [c for c in (*inputs.columns, MEAN) if c in scores.tables["total_accuracy"][name]]
    head = ["face", "total accuracy", "right", "mean-class accuracy"]
    rows = [
        [
            size_title(inputs, column),
            f"{scores.tables['total_accuracy'][name][column].value:.3f} %",
            _right(inputs, name, column),
            f"{scores.tables['mean_class_accuracy'][name][column].value:.3f} %",
        ]
        for column in columns
    ]
    for reference, comparisons in scores.against.items():
        if name in comparisons:
            head += [f"gain on {reference}", f"right: only this, only {reference}", "p"]
            for line, column in zip(rows, columns, strict=True):
                line += _compared(comparisons[name].get(column))
    if scores.calibration.get(name):
        head.append("calibration error")
        for line, column in zip(rows, columns, strict=True):
            cell = scores.calibration[name].get(column)
            line.append("–" if cell is None else f"{cell.error.value:.3f} %")
    if name in inputs.cost:
        head.append("operations per face")
        for line, column in zip(rows, columns, strict=True):
            work = operations(inputs.cost[name], column, inputs.scale_names)
            line.append("–" if work is None else f"{work:,.0f}")
    for line, column in zip(rows, columns, strict=True):
        line.append(_commands(inputs, scores, name, column))
    made = table(
        [*head, "trace"], rows, label=f"Numbers of {name}", ids=[anchor(name, c) for c in columns]
    )
    # Open where no script runs; the page's script closes it until somebody asks.
    return element(
        "details",
        element("summary", row_name(name)),
        _source(inputs, name),
        made,
        id=f"trace-{name}",
        class_="trace",
        open="open",
        data_row=name,
    )


def _commands(inputs: ReportInputs, scores: Scores, name: str, column: str) -> Markup:
    wanted = [metric(score, name, column) for score in METRICS_FILES]
    if column in scores.calibration.get(name, {}):
        wanted.append(f"calibration.{name}.{column}")
    if column in inputs.cost.get(name, {}).get("flop_per_face", {}):
        wanted.append(f"cost.{name}.flop_per_face.{column}")
    lines = [element("div", command(f"fsr-fer trace {words}")) for words in wanted]
    return element("td", *lines, class_="words")


def _right(inputs: ReportInputs, name: str, column: str) -> str:
    row = inputs.rows[name]
    names = inputs.scale_names if column == MEAN else (column,)
    right = sum(int(np.count_nonzero(row.predicted[c] == row.labels)) for c in names)
    return f"{right:,} of {len(row) * len(names):,}"


def _compared(comparison: Comparison | None) -> list[str]:
    if comparison is None:
        return ["–", "–", "–"]
    counts = "–"
    if comparison.first_only is not None:
        counts = f"{comparison.first_only:,}, {comparison.second_only:,}"
    gain, interval = comparison.difference.value, comparison.difference.interval
    text = f"{signed(gain)} ({signed(interval.low)} to {signed(interval.high)})"
    return [text, counts, "–" if comparison.p_value is None else p_text(comparison.p_value)]


def _source(inputs: ReportInputs, name: str) -> Markup:
    file = inputs.predictions_path(name)
    parts: list[str] = ["What it read on each face: ", path(file)]
    if inputs.origin is not None and file in inputs.origin.hashes:
        parts += [", MD5 ", element("code", inputs.origin.hashes[file])]
    parts += [". ", command(f"fsr-fer trace {file}")]
    return element("p", *parts, class_="chain")


def path(text: str) -> Markup:
    """A path, which may be broken after each "/"."""
    pieces = [part for piece in text.split("/") for part in ("/", Markup("<wbr>"), piece)][2:]
    return element("code", *pieces)


def _report_itself(inputs: ReportInputs) -> list[Markup]:
    if inputs.origin is None:
        return []
    origin = inputs.origin
    files = [[path(file), element("code", md5)] for file, md5 in origin.hashes.items()]
    return [
        element("h3", "What the report itself ran and read"),
        element("p", "Command: ", command(origin.command)),
        element("p", "Params: ", *_param_links(inputs, origin), "."),
        element("div", table(["path", "MD5"], files, label="Files read"), class_="text"),
        element(
            "p",
            "Hashes are those of dvc.lock; a folder's is that of the list of its files.",
            class_="note",
        ),
    ]


def _param_links(inputs: ReportInputs, origin: Origin) -> list[str]:
    """The keys that the report declares, each leading to its values."""
    links: list[str] = []
    for key in origin.params:
        section = key if key in inputs.effective_params else ""
        target = f"#param-{section}" if section else "#params"
        links.append(element("a", key, href=target))
    return [part for link in links for part in (", ", link)][1:]
