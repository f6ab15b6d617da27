"""What ``validate`` leaves behind: the verdict (JSON), all offenders (CSV), a page for people."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterator
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from fsr_fer.data.gate import Check, Offender
from fsr_fer.data.manifest import SPLITS
from fsr_fer.data.validation import Validation
from fsr_fer.errors import UserError
from fsr_fer.files import replacing, write_json, write_text

PAGE = "index.html"
OFFENDERS = "offenders.csv"
NAMED = 3
"""Offenders named in the one-line message."""
SHOWN = 24
"""Offenders shown for each check on the page; the CSV has all."""

_STYLE = """
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 50rem; margin: 0 auto; padding: 1rem }
table { border-collapse: collapse } th, td { padding: .2rem .7rem; text-align: right }
th:first-child { text-align: left } tr + tr { border-top: 1px solid #8886 }
.wide { overflow-x: auto } .good { color: #1a7f37 } .bad { color: #d1242f }
li { margin-bottom: .6rem } small { opacity: .8; overflow-wrap: anywhere }
figure { display: inline-block; width: 100px; margin: .3rem .6rem .3rem 0; vertical-align: top }
figure img { display: block; width: 100px; image-rendering: pixelated }
@media (prefers-color-scheme: dark) { .good { color: #3fb950 } .bad { color: #f85149 } }
"""


def write_verdict(validation: Validation, path: Path) -> None:
    """Write the metrics of a validation: numbers and booleans, the same bytes for the same data.

    A check of persons is in it only where persons are known.
    """
    faces = dict(zip(SPLITS, validation.counts.sum(axis=1).tolist(), strict=True))
    checks = {check.name: check.passed for check in validation.checks}
    write_json(
        path,
        {
            "passed": not validation.failed,
            "checks": checks,
            "faces": faces,
            "subjects": validation.subjects,
            "smallest_class": int(validation.counts.min()),
            "lowest_contrast": round(validation.lowest_contrast, 2),
        },
    )


def write_report(validation: Validation, images: np.ndarray, directory: Path, title: str) -> None:
    """Write the page ``index.html``, which needs no network, and ``offenders.csv`` beside it.

    ``images`` [N, ...] are looked at only for the faces that failed.
    """
    with replacing(directory) as part:
        part.mkdir(parents=True)
        write_text(part / PAGE, _page(validation, images, title))
        write_text(part / OFFENDERS, _offenders_csv(validation))


def raise_if_failed(validation: Validation, directory: Path) -> None:
    """Stop a pipeline whose data is not fit.

    Raises:
        UserError: a check failed; names the check and its first offenders.
    """
    if not validation.failed:
        return
    parts = []
    for check in validation.failed:
        named = ", ".join(_named(offender) for offender in check.offenders[:NAMED])
        more = len(check.offenders) - NAMED
        rest = f" and {more:,} more" if more > 0 else ""
        parts.append(f"{check.name}: {named}{rest} (expected: {check.expected.rstrip('.')})")
    raise UserError(
        f"the data failed {len(validation.failed)} of {len(validation.checks)} checks; "
        f"{'; '.join(parts)}; all are listed in {directory / OFFENDERS}, see {directory / PAGE}"
    )


def _named(offender: Offender) -> str:
    row = "" if offender.row is None else f"row {offender.row} "
    return f"{row}{offender.name} = {offender.value}"


def _offenders_csv(validation: Validation) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["check", "row", "id", "value"])
    for check in validation.failed:
        for offender in check.offenders:
            row = "" if offender.row is None else offender.row
            writer.writerow([check.name, row, offender.name, offender.value])
    return text.getvalue()


def _page(validation: Validation, images: np.ndarray, title: str) -> str:
    failed = len(validation.failed)
    verdict = (
        f'<p class="bad">{failed} of {len(validation.checks)} checks failed. The pipeline stops '
        f'here; <a href="{OFFENDERS}">{OFFENDERS}</a> lists what to mend.</p>'
        if failed
        else f'<p class="good">All {len(validation.checks)} checks passed.</p>'
    )
    checks = "\n".join(_check_item(check, images) for check in validation.checks)
    subjects = (
        f"{validation.subjects:,} persons are known."
        if validation.subjects
        else "Who is on the pictures is not known, so no check of persons was made."
    )
    heading = f"Is the data fit? {escape(title)}"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{heading}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{heading}</h1>
{verdict}
<h2>Faces</h2>
<div class="wide">{_counts_table(validation)}</div>
<p>{subjects} The flattest face has a contrast of {validation.lowest_contrast:.1f} grey levels.</p>
<h2>Checks</h2>
<ul>
{checks}
</ul>
</body>
</html>
"""


def _counts_table(validation: Validation) -> str:
    rows = ["<tr><th></th>" + "".join(f"<th>{split}</th>" for split in SPLITS) + "</tr>"]
    names = [*validation.class_names, "all"]
    columns = np.concatenate([validation.counts.T, validation.counts.sum(axis=1)[None]])
    for name, counts in zip(names, columns, strict=True):
        cells = "".join(f"<td>{count:,}</td>" for count in counts)
        rows.append(f"<tr><th>{escape(name)}</th>{cells}</tr>")
    return f"<table>{''.join(rows)}</table>"


def _check_item(check: Check, images: np.ndarray) -> str:
    words = escape(check.expected)
    if check.passed:
        return f'<li><b class="good">passed</b> {words}</li>'
    count = len(check.offenders)
    left_out = f"<p>and {count - SHOWN:,} more</p>" if count > SHOWN else ""
    found = "".join(_offender_items(check, images))
    return f'<li><b class="bad">failed</b> {words} Not so: {count:,}<br>{found}{left_out}</li>'


def _offender_items(check: Check, images: np.ndarray) -> Iterator[str]:
    for offender in check.offenders[:SHOWN]:
        caption = escape(f"{offender.name}: {offender.value}")
        picture = None if offender.row is None else _thumbnail(images[offender.row])
        if picture is None:
            yield f"<small>{caption}</small><br>"
        else:
            caption = f"row {offender.row}, {caption}"
            yield f'<figure><img src="{picture}" alt=""><small>{caption}</small></figure>'


def _thumbnail(face: np.ndarray) -> str | None:
    """A face as a data URI; None for an array that is no picture."""
    if face.dtype != np.uint8 or face.ndim != 3 or face.shape[2] != 3:
        return None
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(face)).save(content, "PNG")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode("ascii")
