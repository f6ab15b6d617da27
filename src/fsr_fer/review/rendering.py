"""A comparison as text for the terminal, Markdown for a pull request, JSON for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from fsr_fer.predictions import HR
from fsr_fer.review.comparison import Cell, Change, Comparison
from fsr_fer.review.gate import p_text
from fsr_fer.review.results import MEAN, Data, Results
from fsr_fer.review.revisions import Revision

LONGEST_LIST = 40
"""Lines of one kind of change; with more, a reader looks at the files themselves."""


def as_text(comparison: Comparison, reasons: Sequence[str] | None) -> str:
    """For the terminal. ``reasons`` are the gate's, None if it was not asked for."""
    lines = [_title(comparison), ""]
    if _has_table(comparison):
        lines += [*_text_table(comparison), ""]
    lines += [*_verdict(comparison), ""]
    for heading, changes in _groups(comparison):
        lines += [heading, *(f"  {line}" for line in _listed(changes)), ""]
    lines += _remarks(comparison)
    if reasons is not None:
        lines += ["Gate: passed" if not reasons else "Gate: failed", *_indented(reasons)]
    return "\n".join(lines).rstrip() + "\n"


def as_markdown(comparison: Comparison, reasons: Sequence[str] | None) -> str:
    """For a pull request's comment or a step summary."""
    lines = [f"### {_escape(_title(comparison))}", ""]
    if reasons is not None:
        lines += ["**Gate passed.**" if not reasons else "**Gate failed:**", ""]
        lines += [*(f"- {_escape(reason)}" for reason in reasons), ""] if reasons else []
    if _has_table(comparison):
        lines += [*_markdown_table(comparison), ""]
    lines += [*(f"- {_escape(line)}" for line in _verdict(comparison)), ""]
    for heading, changes in _groups(comparison):
        listed = [f"- {_code(line)}" for line in _listed(changes)]
        lines += [f"<details><summary>{heading} ({len(changes)})</summary>", ""]
        lines += [*listed, "", "</details>", ""]
    lines += [f"> {_escape(remark)}" for remark in _remarks(comparison)]
    return "\n".join(lines).rstrip() + "\n"


def as_json(comparison: Comparison, reasons: Sequence[str] | None) -> str:
    """For programs; keys are stable. ``gate`` is null if it was not asked for."""
    gate = None if reasons is None else {"passed": not reasons, "reasons": list(reasons)}
    value = {
        "before": _revision(comparison.before.revision),
        "after": _revision(comparison.after.revision),
        "profile": comparison.after.profile,
        "level": comparison.level,
        "accuracy": {
            row: {
                column: {
                    **dataclasses.asdict(cell),
                    "difference": cell.difference,
                    "more_than_noise": None if cell.p_value is None else comparison.is_clear(cell),
                }
                for column, cell in cells.items()
            }
            for row, cells in comparison.table.items()
        },
        "params": _plain(comparison.params),
        "data": _plain(comparison.data),
        "code": _plain(comparison.code),
        "untested": comparison.untested,
        "doubts": list(comparison.doubts),
        "gate": gate,
    }
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _title(comparison: Comparison) -> str:
    before, after = comparison.before.revision.title, comparison.after.revision.title
    return f"{before} → {after}, profile {comparison.after.profile}"


def _has_table(comparison: Comparison) -> bool:
    return any(_both(results) for results in (comparison.before, comparison.after))


def _both(results: Results) -> bool:
    return bool(results.accuracy)


def _text_table(comparison: Comparison) -> list[str]:
    columns = comparison.columns
    star = "" if comparison.untested else " (* more than noise)"
    lines = [f"Total accuracy in percent, difference in points{star}"]
    lines.append(" " * 12 + "".join(f"{column:>7} " for column in columns).rstrip())
    for row, cells in comparison.table.items():
        lines.append(row)
        shown = [cells.get(column, Cell(before=None, after=None)) for column in columns]
        if all(cell.before == cell.after for cell in shown):
            lines.append("  both      " + _numbers([cell.after for cell in shown]))
            continue
        lines.append("  before    " + _numbers([cell.before for cell in shown]))
        lines.append("  after     " + _numbers([cell.after for cell in shown]))
        marked = (
            f"{_signed(cell.difference):>7}{'*' if comparison.is_clear(cell) else ' '}"
            for cell in shown
        )
        lines.append("  difference" + "".join(marked).rstrip())
    return lines


def _numbers(values: Sequence[float | None]) -> str:
    return "".join(f"{'-':>7} " if v is None else f"{v:7.1f} " for v in values).rstrip()


def _markdown_table(comparison: Comparison) -> list[str]:
    columns = comparison.columns
    titles = [{HR: "HR", MEAN: "mean"}.get(column, column) for column in columns]
    lines = ["| total accuracy, % | " + " | ".join(titles) + " |"]
    lines.append("|:--|" + "--:|" * len(columns))
    for row, cells in comparison.table.items():
        shown = [_markdown_cell(comparison, cells.get(column)) for column in columns]
        lines.append(f"| {_code(row)} | " + " | ".join(shown) + " |")
    return lines


def _markdown_cell(comparison: Comparison, cell: Cell | None) -> str:
    if cell is None or (cell.before is None and cell.after is None):
        return "–"
    if cell.before == cell.after:
        return f"{cell.after:.1f}"
    before, after = (
        "–" if value is None else f"{value:.1f}" for value in (cell.before, cell.after)
    )
    difference = _signed(cell.difference)
    if comparison.is_clear(cell):
        difference = f"**{difference}**"
    return f"{before} → {after}<br>{difference}"


def _verdict(comparison: Comparison) -> list[str]:
    """For each row that changed, in a sentence, whether it is more than noise."""
    if comparison.untested:
        return [f"No verdict on noise: {comparison.untested}."]
    lines = []
    for row, cells in comparison.table.items():
        if row not in comparison.before.accuracy or row not in comparison.after.accuracy:
            lines.append(f"{row}: {'new' if row in comparison.after.accuracy else 'gone'}.")
            continue
        clear = {c: cells[c] for c in comparison.columns if c in cells}
        clear = {c: cell for c, cell in clear.items() if comparison.is_clear(cell)}
        if all(cell.p_value == 1 and not cell.difference for cell in cells.values()):
            continue
        parts = [
            f"{word} at {', '.join('full size' if c == HR else c for c in names)}"
            for word, sign in (("better", 1), ("worse", -1))
            if (names := [c for c in clear if c != MEAN and (clear[c].difference or 0) * sign > 0])
        ]
        if mean := cells.get(MEAN):
            kind = "more than noise" if comparison.is_clear(mean) else "may be noise"
            p_value = "" if mean.p_value is None else f", p {p_text(mean.p_value)}"
            parts.insert(0, f"mean {_signed(mean.difference)} points{p_value}: {kind}")
        if not any(c != MEAN for c in clear):
            parts.append("no size changed by more than noise")
        lines.append(f"{row}: {'; '.join(parts)}.")
    if not lines:
        return ["Every row reads every test face as before."]
    faces = len(comparison.after.test_faces or ())
    test = (
        f"Paired tests on the same {faces:,} test faces (McNemar; sign-flip for the mean), "
        f"Holm-adjusted, level {comparison.level:g}."
    )
    return [*lines, test]


def _groups(comparison: Comparison) -> list[tuple[str, Sequence[Change]]]:
    groups = [
        ("Params", comparison.params),
        ("Data", comparison.data),
        ("Code that made the results", comparison.code),
    ]
    return [(heading, changes) for heading, changes in groups if changes]


def _listed(changes: Sequence[Change]) -> list[str]:
    lines = [_change(change) for change in changes[:LONGEST_LIST]]
    rest = len(changes) - LONGEST_LIST
    return [*lines, f"and {rest} more"] if rest > 0 else lines


def _change(change: Change) -> str:
    code = isinstance(change.before or change.after, str) and "/" in change.name
    if code:
        kind = "new" if change.before is None else "gone" if change.after is None else "changed"
        return f"{change.name}: {kind}"
    return f"{change.name}: {_value(change.before)} → {_value(change.after)}"


def _value(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, Data):
        files = "" if value.num_files is None else f"{value.num_files:,} files, "
        size = "" if value.size is None else f"{value.size:,} bytes, "
        return f"{files}{size}md5 {value.md5[:8]}"
    return json.dumps(value, ensure_ascii=False, default=str)


def _remarks(comparison: Comparison) -> list[str]:
    lines = [f"Note: {doubt}; `dvc repro` brings them in line." for doubt in comparison.doubts]
    if comparison.other_profiles:
        number = comparison.other_profiles
        lines.append(
            f"Note: {number} {'param' if number == 1 else 'params'} of other profiles changed; "
            "nothing here reads them."
        )
    if not (comparison.params or comparison.data or comparison.code):
        lines.append("Params, data and code behind the results are the same.")
    return lines


def _indented(reasons: Sequence[str]) -> list[str]:
    return [f"  {reason}" for reason in reasons]


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.1f}"


def _revision(revision: Revision) -> dict[str, str | None]:
    return {"name": revision.name, "commit": revision.commit}


def _plain(changes: Sequence[Change]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(change) for change in changes]


def _code(text: str) -> str:
    """Inline code that no content can end or turn into a table's column."""
    return "`" + " ".join(text.replace("`", "'").replace("|", "¦").split()) + "`"


def _escape(text: str) -> str:
    """Plain text in Markdown: names from a pull request must not become markup or mentions."""
    for character in "\\<>[]|@#":
        text = text.replace(character, f"&#{ord(character)};")
    return text.replace("_", r"\_").replace("*", r"\*")
