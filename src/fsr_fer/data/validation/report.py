"""What ``validate`` writes: the verdict (JSON), faces that failed (CSV), a page."""

import base64
import io
from pathlib import Path

import numpy as np
from jinja2 import Template
from PIL import Image

from fsr_fer.common.errors import UserError
from fsr_fer.common.files import replacing, write_csv, write_json, write_text
from fsr_fer.data.validation.checks import Offender, Validation

NAMED = 3
"""Offenders named in the one-line message."""


def write_verdict(validation: Validation, path: Path) -> None:
    """Write the metrics of a validation: numbers and booleans, the same bytes for the same data."""
    verdict = {
        "passed": not validation.failed,
        "checks": {check.name: not check.offenders for check in validation.checks},
        "faces": validation.counts.sum().to_dict(),
        "subjects": validation.subjects,
        "smallest_class": int(validation.counts.to_numpy().min()),
        "lowest_contrast": round(validation.lowest_contrast, 2),
    }
    if validation.left_out:
        verdict["left_out"] = validation.left_out
    write_json(path, verdict)


def write_report(validation: Validation, directory: Path, title: str) -> None:
    """Write the page ``index.html``, which needs no network, and ``offenders.csv`` beside it."""
    text = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    template = Template(text, autoescape=True, trim_blocks=True)
    with replacing(directory) as part:
        part.mkdir(parents=True)
        page = template.render(data=validation, title=title, thumbnail=_thumbnail)
        write_text(part / "index.html", page)
        offenders = [(check.name, *o) for check in validation.failed for o in check.offenders]
        write_csv(part / "offenders.csv", ["check", *Offender._fields], offenders)


def raise_if_failed(validation: Validation, directory: Path) -> None:
    """Raise UserError with each failed check and its first offenders, if there are any."""
    if not validation.failed:
        return
    parts = []
    for check in validation.failed:
        named = [
            ("" if row is None else f"row {row} ") + f"{face} = {value}"
            for row, face, value in check.offenders[:NAMED]
        ]
        more = len(check.offenders) - len(named)
        rest = f" and {more:,} more" if more else ""
        expected = check.expected.rstrip(".")
        parts.append(f"{check.name}: {', '.join(named)}{rest} (expected: {expected})")
    raise UserError(
        f"the data failed {len(parts)} of {len(validation.checks)} checks; {'; '.join(parts)}; "
        f"all are listed in {directory}/offenders.csv, see {directory}/index.html"
    )


def _thumbnail(images: np.ndarray, row: int | None) -> str | None:
    """A face as a PNG in a data URI; None for a group of faces, or if they are no pictures."""
    if row is None or images.dtype != np.uint8:
        return None
    content = io.BytesIO()
    Image.fromarray(images[row]).save(content, "PNG")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode("ascii")
