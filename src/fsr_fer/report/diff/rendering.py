"""A comparison as text, as Markdown for a pull request, as JSON for programs."""

import dataclasses
import json
from collections.abc import Iterator, Sequence

from tabulate import tabulate

from fsr_fer.evaluation.predictions import HR, MEAN
from fsr_fer.report.diff.comparison import Cell, Comparison
from fsr_fer.report.diff.gate import p_text


def as_text(comparison: Comparison, reasons: Sequence[str] | None) -> str:
    """For the terminal. ``reasons`` are the gate's, None if it was not asked for."""
    rows = [["\n".join(cell) for cell in row] for row in _rows(comparison)]
    lines = [_title(comparison), "", _table(comparison, rows, "simple"), "", *_verdict(comparison)]
    for heading, items in _sections(comparison, reasons):
        lines += ["", heading, *(f"  {item}" for item in items)]
    return "\n".join(lines) + "\n"


def as_markdown(comparison: Comparison, reasons: Sequence[str] | None) -> str:
    """For a pull request. Its names must not become markup: sentences are code."""
    rows = [
        ["<br>".join(map(_bold, cell)) for cell in ([_code(name[0]), *name[1:]], *cells)]
        for name, *cells in _rows(comparison)
    ]
    lines = [f"### {_code(_title(comparison))}", "", _table(comparison, rows, "pipe"), ""]
    lines += [f"- {_code(line)}" for line in _verdict(comparison)]
    for heading, items in _sections(comparison, reasons):
        lines += ["", f"<details open><summary>{heading}</summary>", ""]
        lines += [*(f"- {_code(item)}" for item in items), "", "</details>"]
    return "\n".join(lines) + "\n"


def as_json(comparison: Comparison, reasons: Sequence[str] | None) -> str:
    """For programs; keys are stable. ``gate`` is null if it was not asked for."""
    gate = None if reasons is None else {"passed": not reasons, "reasons": list(reasons)}
    value = dataclasses.asdict(comparison) | {"gate": gate}
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _title(comparison: Comparison) -> str:
    return f"{comparison.before} → {comparison.after}, profile {comparison.profile}"


def _table(comparison: Comparison, rows: list[list[str]], form: str) -> str:
    head = ["total accuracy, %", *comparison.columns]
    align = ("left", *["right"] * len(comparison.columns))
    return tabulate(rows, head, tablefmt=form, colalign=align, disable_numparse=True)


def _rows(comparison: Comparison) -> Iterator[list[list[str]]]:
    """Rows of cells: lines of before, after and difference, or one number."""
    for name, cells in comparison.table.items():
        shown = [cells.get(column, Cell()) for column in comparison.columns]
        title = [name, "", "not noise*"] if any(map(comparison.is_clear, shown)) else [name]
        yield [title, *(_lines(comparison, cell) for cell in shown)]


def _lines(comparison: Comparison, cell: Cell) -> list[str]:
    before, after = ("–" if v is None else f"{v:.1f}" for v in (cell.before, cell.after))
    if cell.before == cell.after:
        return [after]
    change = "-" if cell.difference is None else f"{cell.difference:+.1f}"
    return [before, after, change + "*" * comparison.is_clear(cell)]


def _bold(text: str) -> str:
    return f"**{text.removesuffix('*')}**" if text.endswith("*") else text


def _verdict(comparison: Comparison) -> list[str]:
    """For each method that changed, in a sentence, whether it is more than noise."""
    if comparison.untested:
        return [f"No verdict on noise: {comparison.untested}."]
    lines = []
    for name, cells in comparison.table.items():
        if all(None in (cell.before, cell.after) for cell in cells.values()):
            gone = all(cell.after is None for cell in cells.values())
            lines.append(f"{name}: {'gone' if gone else 'new'}.")
        elif not all(cell.p_value == 1 and not cell.difference for cell in cells.values()):
            lines.append(f"{name}: {'; '.join(_judged(comparison, name))}.")
    if not lines:
        return ["Every method predicts every test face as before."]
    test = (
        f"Paired tests on the same {comparison.faces:,} test faces (McNemar; sign-flip for the "
        f"mean), Holm-adjusted, level {comparison.level:g}."
    )
    return [*lines, test]


def _judged(comparison: Comparison, name: str) -> Iterator[str]:
    cells = comparison.table[name]
    mean = cells.get(MEAN)
    if mean and mean.difference is not None and mean.p_value is not None:
        kind = "more than noise" if comparison.is_clear(mean) else "may be noise"
        yield f"mean {mean.difference:+.1f} points, p {p_text(mean.p_value)}: {kind}"
    sizes = [c for c in comparison.columns if c != MEAN and c in cells]
    clear = {c: cells[c].difference or 0 for c in sizes if comparison.is_clear(cells[c])}
    for word, sign in (("better", 1), ("worse", -1)):
        if where := [column for column, points in clear.items() if points * sign > 0]:
            yield f"{word} at {', '.join('full size' if c == HR else c for c in where)}"
    if not clear:
        yield "no size changed by more than noise"


def _sections(
    comparison: Comparison, reasons: Sequence[str] | None
) -> Iterator[tuple[str, Sequence[str]]]:
    """What follows the verdict: headings and the lines below them."""
    if reasons is not None:
        yield "Gate: failed" if reasons else "Gate: passed", reasons
    elif comparison.doubts:
        yield "Notes; `dvc repro` brings the results in line", comparison.doubts
    groups = {
        "Params": comparison.params,
        "Data": comparison.data,
        "Code of stages": comparison.code,
    }
    for heading, changes in groups.items():
        if changes:
            yield heading, [f"{c.name}: {_value(c.before)} → {_value(c.after)}" for c in changes]
    if not any(groups.values()):
        yield "Params, data and code behind the results are the same.", []


def _value(value: object) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _code(text: str) -> str:
    """Inline code that no content can end or turn into a table's column."""
    return "`" + " ".join(text.replace("`", "'").replace("|", "¦").split()) + "`"
