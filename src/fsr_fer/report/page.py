"""The page: one HTML file that needs nothing but itself, not even a script.

The templates stand in templates/, one for each section.
"""

import base64
import re
from collections.abc import Mapping
from functools import partial

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fsr_fer.data.fer2013 import FOLDERS, PARTS
from fsr_fer.data.manifest import SPLITS
from fsr_fer.evaluation.predictions import MEAN
from fsr_fer.pipeline.profiles import flat
from fsr_fer.report.face_grids import ZOOM
from fsr_fer.report.figures import style
from fsr_fer.report.inputs import ReportInputs
from fsr_fer.report.paper import SIZES, not_comparable, paper_rows
from fsr_fer.report.scores import Scores, as_good


def write_page(inputs: ReportInputs, scores: Scores, pictures: Mapping[str, bytes]) -> str:
    """The whole page as text; ``pictures`` are SVG and PNG files by name."""
    manifest = inputs.manifest
    num_classes = len(manifest.class_names)
    parts = {split: part for part, split in PARTS.items()}  # of FER2013
    tested = [manifest.ids[row] for row in manifest.rows("test")]
    tested_parts = {part for part in PARTS if any(f"{FOLDERS[part]}/" in i for i in tested)}
    environment = Environment(
        loader=PackageLoader("fsr_fer.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "method": method_name,
        "signed": signed,
        "units": in_units,
        "times": in_times,
        "size_title": inputs.title,
        "interval": lambda e: f"{e.low:.1f}–{e.high:.1f}",
        "signed_interval": lambda e: f"{signed(e.low)} to {signed(e.high)}",
    }
    return environment.get_template("page.html").render(
        inputs=inputs,
        scores=scores,
        as_good=partial(as_good, inputs),
        losing=losing_generators(inputs, scores),
        methods=list(inputs.methods),
        sizes=inputs.sizes,
        columns=[*inputs.sizes, MEAN],
        mean=MEAN,
        level=f"{100 * inputs.report.confidence:g} %",
        numbers={name: number for number, name in enumerate(inputs.methods)},
        styles=[style(number) for number in range(len(inputs.methods))],
        references=list(inputs.report.references) if len(inputs.methods) > 1 else [],
        counts={
            split: np.bincount(manifest.labels[manifest.rows(split)], minlength=num_classes)
            for split in SPLITS
        },
        parts=parts,
        tested_on_validation=tested_parts == {parts["validation"]},
        settings=flat(inputs.settings),
        paper=paper_rows(),
        paper_sizes=SIZES,
        not_comparable=not_comparable(inputs),
        pictures=pictures,
        inline_svg=inline_svg,
        inline_png=inline_png,
    )


def losing_generators(inputs: ReportInputs, scores: Scores) -> dict[str, list[str]]:
    """By reference that is trained on faces of all sizes: the generators with a lower mean."""
    models = {name: own["model"] for name, own in inputs.settings.get("methods", {}).items()}
    return {
        reference: [
            name
            for name, row in scores.differences[reference]["total_accuracy"].items()
            if models.get(name, "").startswith("fsr/") and row[MEAN].high < 0
        ]
        for reference in inputs.report.references
        if models.get(reference, "").startswith("finetune/")
    }


def method_name(name: str) -> Markup:
    """A method's name, which may be broken after each "_"."""
    return Markup("<code>{}</code>").format(Markup("_<wbr>").join(name.split("_")))


def signed(value: float) -> str:
    """A difference in points with one decimal and always a sign (a true minus)."""
    return f"{value + 0:+.1f}".replace("-", "−")  # + 0: a negative zero would have a minus


def in_units(number: float) -> str:
    """A count with three digits and its unit: "1.15 M"."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= 0.9995 * size:  # which three digits round up to it
            return f"{number / size:#.3g}".rstrip(".") + f" {unit}"
    return f"{number:.0f}"


def in_times(ratio: float) -> str:
    """How many times as much, with three digits or more: "1.05", "2,387"."""
    return f"{ratio:.3g}" if ratio < 999.5 else f"{ratio:,.0f}"


def inline_svg(pictures: Mapping[str, bytes], filename: str) -> Markup:
    """A figure as part of the page; its ids begin with the file's name."""
    text = pictures[filename].decode("utf-8")
    prefix = filename.removesuffix("svg")
    svg = text[text.index("<svg") :]
    # An id, and where one is used.
    return Markup(re.sub(r'( id="|="#|url\(#)', rf"\1{prefix}", svg))


def inline_png(pictures: Mapping[str, bytes], filename: str, caption: str) -> Markup:
    """A grid as part of the page, its faces in their true size."""
    content = pictures[filename]
    width = int.from_bytes(content[16:20], "big") // ZOOM  # where every PNG keeps it
    data = base64.b64encode(content).decode("ascii")
    image = Markup('<img src="data:image/png;base64,{}" alt="{}" width="{}">')
    return image.format(data, caption, width)
