"""The numbers in docs/results.md are those of the files that stages and studies wrote."""

import csv
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests import ROOT

PAGE = (ROOT / "docs/results.md").read_text()


def table(first_words: str, page: str = PAGE) -> list[list[str]]:
    """Header and lines of the table that begins so."""
    lines = page[page.index(f"| {first_words}") :].split("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [rows[0], *rows[2:]]


def by_size(first_words: str, page: str = PAGE) -> dict[str, dict[str, str]]:
    """The cells of such a table by name of the line and by size: hr, x2, ..., mean."""
    header, *rows = table(first_words, page)
    sizes = [cell.split()[0].lower() for cell in header[1:]]
    return {name: dict(zip(sizes, cells, strict=True)) for name, *cells in rows}


def read(path: str) -> Any:
    return json.loads((ROOT / path).read_text())


def check(cell: str, values: Mapping[str, float], size: str) -> None:
    expected = f"{values[size]:.1f}" if size in values else "–"
    assert cell.split()[0] == expected


def with_interval(found: Mapping[str, float], decimals: int = 1) -> str:
    """A difference as the tables have it."""
    mean, low, high = (f"{found[key]:.{decimals}f}" for key in ("mean", "low", "high"))
    return f"{'+' * (found['mean'] >= 0)}{mean} [{low}, {high}]"


ALL_SIZES = ["hr", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "mean"]
PAPERS = list(by_size("method | HR"))[:7]
"""The paper's methods; in other tables those beyond it are apart."""


@pytest.mark.parametrize(
    ("first_words", "path", "methods"),
    [
        ("method | HR", "small/accuracy", None),
        ("FER+, total accuracy", "ferplus/accuracy", PAPERS),
        ("FER+, mean-class accuracy", "ferplus/mean_class_accuracy", PAPERS),
    ],
)
def test_the_tables_of_all_methods(first_words: str, path: str, methods: list[str] | None) -> None:
    accuracy = read(f"metrics/{path}.json")
    rows = by_size(first_words)
    assert list(rows) == methods if methods else rows.keys() == accuracy.keys()
    for method, cells in rows.items():
        assert list(cells) == ALL_SIZES
        for size, cell in cells.items():
            check(cell, accuracy[method], size)


@pytest.mark.parametrize(
    ("first_words", "profile"), [("method | HR", "small"), ("FER+, total accuracy", "ferplus")]
)
def test_the_intervals_of_the_smallest_faces(first_words: str, profile: str) -> None:
    file = ROOT / f"metrics/{profile}/accuracy_by_scale.csv"
    lines = csv.DictReader(file.read_text().splitlines())
    found = {line["method"]: line for line in lines if line["scale"] == "8"}
    for method, cells in by_size(first_words).items():
        bounds = (f"{float(found[method][key]):.1f}" for key in ("low", "high"))
        assert cells["x8"].partition(" ")[2] == f"[{', '.join(bounds)}]"


def test_what_each_part_of_the_generator_is_worth() -> None:
    found = read("metrics/studies/small_ablations.json")["results"]
    seeds = read("metrics/studies/small_seeds.json")["results"]["pairs"]["total_accuracy"]
    _, *rows = table("ablation | of")
    for name, method, *cells in rows:
        for size, cell in zip(("mean", "x8"), cells, strict=True):
            if name == "no-perceptual (= `fsr_l2`)":
                own = seeds["fsr_plain - fsr_l2"][size]
                own = {"mean": -own["mean"], "low": -own["high"], "high": -own["low"]}
            else:
                own = found[name]["pairs"]["total_accuracy"][f"{name} - {method}"][size]
            assert cell == with_interval(own)


def test_the_convergence_of_re_weighting() -> None:
    found = read("metrics/studies/small_convergence.json")["results"]
    _, *rows = table("| plain | re-weighted | difference")
    kinds = ("plain", "reweighted")
    steps = found["steps_to_plains_last_accuracy"]
    assert rows[0][1:3] == [str(round(steps[kind]["mean"])) for kind in kinds]
    names = ("last_validation", "best_validation", "test_mean_of_scales")
    for (_, *shown, difference), name in zip(rows[1:], names, strict=True):
        own = found["accuracy"][name]
        assert shown == [f"{own[kind]['mean']:.1f}" for kind in kinds]
        assert difference == with_interval(own["difference"], 2)
    assert with_interval(found["ratio_of_steps"], 2).removeprefix("+") in PAGE


def test_the_second_seed_of_ferplus() -> None:
    total, by_class = (
        read("metrics/studies/ferplus_seed_1.json")[score]
        for score in ("total_accuracy", "mean_class_accuracy")
    )

    def leads(score: Mapping[str, Mapping[str, float]], size: str, over: str) -> str:
        return f"{score['fsr_plain'][size] - score[over][size]:+.1f}"

    retrained = "meta_sr_retrained"
    sizes = ("x4", "x5", "x6", "x7")
    said = ", ".join(f"{size} {leads(total, size, retrained)}" for size in sizes)
    assert f"Seed 1: {said}." in PAGE
    at_x8 = [leads(total, "x8", over) for over in (retrained, "rcan", "bicubic")]
    own = leads(by_class, "x8", retrained)
    said = f"Seed 1: {at_x8[0]}, {at_x8[1]} and {at_x8[2]}; by class {own}."
    assert said in " ".join(PAGE.split())


def test_the_tuned_baseline_on_real_faces() -> None:
    stored = read("metrics/studies/open_faces_tuned_baseline.json")
    header, *rows = table("open faces |")
    sizes = [cell.split()[-1].lower() for cell in header[1:]]
    scores = ["total_accuracy"] * 6 + ["mean_class_accuracy"] * 3
    assert [row[0] for row in rows] == ["bicubic", "mixed_resolution"]
    for method, *cells in rows:
        for cell, size, score in zip(cells, sizes, scores, strict=True):
            check(cell, stored[score][method], size)
    page = " ".join(PAGE.split())
    for profile, words in (
        ("ferplus", "{} points in total on FER+ [{}, {}]"),
        ("open_faces", "and {} on the open faces [{}, {}]"),
    ):
        own = read(f"metrics/studies/{profile}_tuned_baseline.json")["total_accuracy"]
        lead = own["self_distillation - mixed_resolution"]["mean"]
        assert words.format(*(f"{number:.1f}" for number in lead)) in page
    own = read("metrics/studies/ferplus_tuned_baseline.json")["mean_class_accuracy"]
    mean, low, high = own["self_distillation - mixed_resolution"]["mean"]
    assert f"costs {-mean:.1f} by class on FER+ [{-high:.1f}, {-low:.1f}]" in page


def test_native_arithmetic_is_named_where_it_was_used() -> None:
    page = " ".join(PAGE.split())
    for path in (ROOT / "metrics/studies").glob("*.json"):
        if json.loads(path.read_text()).get("arithmetic") == "native":
            assert f"{path.name}), in `native` arithmetic" in page


TEACHERS = "mixed_resolution_orthogonal_updates_ensemble_distillation"
MUON = "bicubic_mixed_resolution_self_distillation_orthogonal_updates"


@pytest.mark.parametrize(
    ("first_words", "studies", "score"),
    [
        ("five seeds |", ("small_seeds", f"small_{MUON}"), "total_accuracy"),
        (
            "five seeds, 2,400 iterations",
            ("small_long_bicubic_fsr_plain_fsr_reweighted",),
            "total_accuracy",
        ),
        (
            "FER+, four seeds, class balance -0.4, total",
            (f"ferplus_in_total_bicubic_{TEACHERS}",),
            "total_accuracy",
        ),
        (
            "FER+, four seeds, class balance 0.2, by class",
            (f"ferplus_by_class_bicubic_{TEACHERS}",),
            "mean_class_accuracy",
        ),
        ("open faces, four seeds, total", (f"open_faces_bicubic_{TEACHERS}",), "total_accuracy"),
        (
            "open faces, four seeds, by class",
            (f"open_faces_bicubic_{TEACHERS}",),
            "mean_class_accuracy",
        ),
    ],
)
def test_the_first_place_over_seeds(first_words: str, studies: tuple[str, ...], score: str) -> None:
    values: dict[str, Mapping[str, Mapping[str, float]]] = {}
    for study in studies:
        found = read(f"metrics/studies/{study}.json")["results"]
        assert found["seeds"] == [1, 2, 3, 4, 5][: 4 if "four" in first_words else 5]
        for name, own in {**found["scores"][score], **found["pairs"][score]}.items():
            assert values.setdefault(name, own) == own  # the same trainings, in both studies
    for name, cells in by_size(first_words).items():
        for size, cell in cells.items():
            shown = "–"
            if value := values[name].get(size):
                shown = with_interval(value) if " - " in name else f"{value['mean']:.1f}"
            assert cell == shown, (name, size)


def test_what_the_teacher_adds_on_drawn_faces() -> None:
    found = read(f"metrics/studies/small_{MUON}.json")["results"]["pairs"]["total_accuracy"]
    mean, at_x8 = (
        with_interval(found["self_distillation - mixed_resolution"][size])
        for size in ("mean", "x8")
    )
    said = f"the teacher adds {mean} over five seeds, and at x8 {at_x8}"
    assert said in " ".join(PAGE.split())


def test_the_lead_without_a_class_balance() -> None:
    found = read(f"metrics/studies/ferplus_bicubic_{TEACHERS}.json")["results"]
    leads = [
        with_interval(found["pairs"][score][f"ensemble_distillation - {over}"][size])
        for score, over, size in (
            ("total_accuracy", "mixed_resolution", "mean"),
            ("mean_class_accuracy", "mixed_resolution", "mean"),
            ("mean_class_accuracy", "bicubic", "hr"),
        )
    ]
    total, by_class, whole = leads
    page = " ".join(PAGE.split())
    lead = total.removeprefix("+").replace(" ", " in total ", 1)
    assert f"leads `mixed_resolution` by {lead}" in page
    assert f"not shown ({by_class})" in page
    assert f"{whole.removeprefix('+').replace(' ', ' above by class ', 1)}" in page
    assert f"has {found['scores']['total_accuracy']['bicubic']['hr']['mean']:.1f} at its" in page


def test_what_four_times_the_training_gains() -> None:
    found = read("metrics/studies/small_long_bicubic_fsr_plain_fsr_reweighted.json")["results"]
    gain = found["pairs"]["total_accuracy"]["fsr_plain - bicubic"]
    mean = f"{gain['mean']['mean']:.1f} points over bicubic {with_interval(gain['mean'])[5:]}"
    assert f"gains {mean}, not 2.4,** and {gain['x8']['mean']:.1f} at x8" in PAGE
    usual = read("metrics/studies/small_seeds.json")["results"]["scores"]["total_accuracy"]
    others = [usual[name]["x8"]["mean"] for name in ("meta_sr_retrained", "rcan", "bicubic")]
    leads = [
        f"{scores['fsr_plain']['x8']['mean'] - other:.0f}"
        for scores in (usual, found["scores"]["total_accuracy"])
        for other in (max(others), min(others))
    ]
    said = "On synthetic faces it was {} to {}, and {} to {} with [four times the training]"
    assert said.format(*leads) in " ".join(PAGE.split())


@pytest.mark.parametrize(
    ("faces", "study"),
    [("", "small_ablations"), ("open faces, ", f"open_faces_bicubic_{TEACHERS}_ablations")],
)
@pytest.mark.parametrize("method", ["orthogonal_updates", "ensemble_distillation"])
def test_the_ablations_of_the_most_accurate_methods(faces: str, study: str, method: str) -> None:
    found = read(f"metrics/studies/{study}.json")["results"]
    rows = by_size(f"{faces}ablation of `{method}`")
    assert list(rows) == [
        name for name in found if method in found[name]["scores"]["total_accuracy"]
    ]
    for name, cells in rows.items():
        pair = found[name]["pairs"]["total_accuracy"][f"{name} - {method}"]
        for size, cell in cells.items():
            assert cell == with_interval(pair[size])
