"""The numbers in docs/results.md are those of the files that stages and studies wrote."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

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


def with_interval(mean: float, low: float, high: float) -> str:
    """A difference as the tables have it."""
    return f"{mean:+.1f} [{low:.1f}, {high:.1f}]"


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


def test_the_second_seed_of_ferplus() -> None:
    second = read("metrics/studies/ferplus_seed_1.json")
    _, *rows = table("FER+, seeds 666 and 1")
    kinds = [("total_accuracy", size) for size in ("hr", "x4", "x8", "mean")]
    kinds += [("mean_class_accuracy", size) for size in ("x8", "mean")]
    first = {
        "total_accuracy": read("metrics/ferplus/accuracy.json"),
        "mean_class_accuracy": read("metrics/ferplus/mean_class_accuracy.json"),
    }
    assert {row[0] for row in rows} == first["total_accuracy"].keys()
    for method, *cells in rows:
        for (score, size), cell in zip(kinds, cells, strict=True):
            for one, shown in zip((first, second), cell.split(", "), strict=False):
                check(shown, one[score][method], size)


def test_the_time_of_ferplus_by_stage() -> None:
    times = read("metrics/studies/ferplus_seed_1.json")["time_by_stage"]
    _, *rows = table("FER+: stage")
    found = {name: [int(cell.replace(",", "")) for cell in cells] for name, *cells in rows}
    assert found == {
        name: [time["runs"], time["seconds"], time["processor_seconds"]]
        for name, time in times.items()
    }
    del found["all"]
    for column, total in enumerate(times["all"][key] for key in ("runs", "seconds")):
        assert sum(values[column] for values in found.values()) == total


def test_the_tuned_baseline_on_real_faces() -> None:
    header, *rows = table("tuned baseline |")
    sizes = [cell.split()[-1].lower() for cell in header[1:]]
    scores = ["total_accuracy"] * 6 + ["mean_class_accuracy"] * 3
    cells = {name: values for name, *values in rows}
    for faces, profile in (("FER+", "ferplus"), ("open faces", "open_faces")):
        stored = read(f"metrics/studies/{profile}_tuned_baseline.json")
        for column, (size, score) in enumerate(zip(sizes, scores, strict=True)):
            for method in ("bicubic", "mixed_resolution", "self_distillation"):
                check(cells[f"{faces}: {method}"][column], stored[score][method], size)
            difference = stored[score]["self_distillation - mixed_resolution"][size]
            assert cells[f"{faces}: difference"][column] == with_interval(*difference)


def test_the_generator_with_four_times_the_training() -> None:
    found = read("metrics/studies/small_long_bicubic_fsr_plain_fsr_reweighted.json")["results"]
    scores, pairs = (found[kind]["total_accuracy"] for kind in ("scores", "pairs"))
    header, *rows = table("2,400 iterations")
    sizes = [cell.split()[0].lower() for cell in header[1:]]
    for name, *cells in rows:
        row, form = (pairs[name], "+.1f") if " - " in name else (scores[name], ".1f")
        shown = [", ".join(format(value, form) for value in row[size]["values"]) for size in sizes]
        assert cells == shown, name
    gain = pairs["fsr_plain - bicubic"]
    assert f"gains {gain['mean']['mean']:.1f} points over bicubic" in PAGE
    assert f"and {gain['x8']['mean']:.1f} at x8" in PAGE


MUON = "bicubic_mixed_resolution_self_distillation_orthogonal_updates"
TEACHERS = "mixed_resolution_orthogonal_updates_ensemble_distillation"


@pytest.mark.parametrize(
    ("first_words", "study", "score"),
    [
        ("five seeds, Muon", f"small_{MUON}", "total_accuracy"),
        ("five seeds, two teachers", f"small_{TEACHERS}", "total_accuracy"),
        ("FER+, three seeds, total", f"ferplus_bicubic_{TEACHERS}", "total_accuracy"),
        ("FER+, three seeds, by class", f"ferplus_bicubic_{TEACHERS}", "mean_class_accuracy"),
    ],
)
def test_the_first_place_over_seeds(first_words: str, study: str, score: str) -> None:
    found = read(f"metrics/studies/{study}.json")["results"]
    assert found["seeds"] == [1, 2, 3, 4, 5][: 3 if "three" in first_words else 5]
    header, *rows = table(first_words)
    sizes = [cell.split()[0].lower() for cell in header[1:]]
    for name, *cells in rows:
        kind = "pairs" if " - " in name else "scores"
        for size, cell in zip(sizes, cells, strict=True):
            value = found[kind][score][name][size]
            mean, low, high = value["mean"], value["low"], value["high"]
            shown = with_interval(mean, low, high) if kind == "pairs" else f"{mean:.1f}"
            assert cell == shown, (name, size)


def test_the_ablations_of_the_first_place() -> None:
    found = read("metrics/studies/small_orthogonal_updates_ablations.json")["results"]
    header, *rows = table("ablation of `orthogonal_updates`")
    sizes = [cell.split()[0].lower() for cell in header[1:]]
    assert [row[0] for row in rows] == list(found)
    for name, *cells in rows:
        pair = found[name]["pairs"]["total_accuracy"][f"{name} - orthogonal_updates"]
        for size, cell in zip(sizes, cells, strict=True):
            assert cell == with_interval(*(pair[size][key] for key in ("mean", "low", "high")))
