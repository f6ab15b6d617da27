"""The numbers in docs/results.md are those of the files that stages and studies wrote."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests import ROOT

PAGE = (ROOT / "docs/results.md").read_text()


def table(first_words: str, page: str = PAGE) -> list[list[str]]:
    """Header and lines of the table that begins so."""
    lines = page[page.index(f"| {first_words}") :].split("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [rows[0], *rows[2:]]


def read(path: str) -> Any:
    return json.loads(Path(ROOT / path).read_text())


def check(cell: str, values: Mapping[str, float], size: str) -> None:
    assert (cell == "–") == (size not in values)
    if size in values:
        assert re.match(rf"{values[size]:.1f}( |$)", cell), (cell, values[size])


def test_the_default_profiles_table() -> None:
    accuracy = read("metrics/small/accuracy.json")
    header, *rows = table("method | HR")
    sizes = [cell.split()[0].lower() for cell in header[1:]]
    assert sizes == ["hr", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "mean"]
    assert {row[0] for row in rows} == accuracy.keys()
    for method, *cells in rows:
        for size, cell in zip(sizes, cells, strict=True):
            check(cell, accuracy[method], size)


def test_the_seeds_table_of_synthetic_faces() -> None:
    scores = read("metrics/studies/small_seeds.json")["results"]["scores"]["total_accuracy"]
    _, *rows = table("method | synthetic: HR")
    assert {row[0] for row in rows} >= scores.keys()
    for method, *cells in (row for row in rows if row[0] in scores):
        values = {size: value["mean"] for size, value in scores[method].items()}
        for size, cell in zip(("hr", "x4", "x8", "mean"), cells, strict=False):
            check(cell, values, size)


def test_the_tables_of_ferplus() -> None:
    for score in ("total_accuracy", "mean_class_accuracy"):
        accuracy = read(f"metrics/ferplus/{score.removeprefix('total_')}.json")
        header, *rows = table(f"FER+, {score.replace('_accuracy', '').replace('_', '-')} accuracy")
        sizes = [cell.split()[0].lower() for cell in header[1:]]
        assert {row[0] for row in rows} == accuracy.keys()
        for method, *cells in rows:
            for size, cell in zip(sizes, cells, strict=True):
                check(cell, accuracy[method], size)
