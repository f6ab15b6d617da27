"""Studies: experiments that change what studies.yaml names and nothing else, run once."""

import json
from pathlib import Path
from typing import Any

import pytest

from fsr_fer.pipeline import studies
from fsr_fer.pipeline.params import read_params
from fsr_fer.pipeline.profiles import effective_values
from fsr_fer.pipeline.studies import Experiment, experiments_of, run_studies
from tests import ROOT

PARAMS = read_params(ROOT / "params.yaml")
EXPERIMENTS = experiments_of(ROOT, PARAMS)
ABLATIONS = [e for e in EXPERIMENTS if e.ablation is not None and e.seed == 1]


def changed(first: dict[str, Any], second: dict[str, Any]) -> set[str]:
    return {key for key in first if first[key] != second[key]}


def test_each_seed_trains_all_methods_and_then_each_ablation_alone() -> None:
    first = [e for e in EXPERIMENTS if e.seed == 1]
    assert len(EXPERIMENTS) == 5 * len(first) == 5 * 12
    assert (first[0].name, first[0].values, first[0].target) == (
        "small-seed-1",
        ("seed=1",),
        "evaluate",
    )
    assert first[1].name == "small-no-gan-1"
    assert first[1].values == ("seed=1", "losses.gan_weight=0.0")
    assert first[1].target == "evaluate@fsr_plain"
    assert len({e.name for e in EXPERIMENTS}) == len(EXPERIMENTS)


def test_a_seed_changes_the_seed_alone() -> None:
    assert changed(effective_values(PARAMS), EXPERIMENTS[0].settings(PARAMS)) == {"seed"}


@pytest.mark.parametrize("ablation", ABLATIONS, ids=lambda e: e.ablation)
def test_an_ablation_changes_what_its_stage_reads(ablation: Experiment) -> None:
    base = EXPERIMENTS[0].settings(PARAMS)
    other = changed(base, ablation.settings(PARAMS))
    name, _, item = str(ablation.stage).partition("@")
    section = "finetune" if name == "finetune" else "fsr_variants"
    own = changed(base[section], ablation.settings(PARAMS)[section])
    assert item in own or "fsr" in other
    if name == "finetune":
        assert (other, own) == ({"finetune"}, {item})


def test_what_is_missing_and_how_long_it_takes_is_said_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("params.yaml", "studies.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "code.json").write_text("{}")
    # All trained stages took half an hour, of which the ablations repeat a few minutes.
    for stage, seconds in {"pretrain": 1200, "fsr@plain": 600, "dataset": 9999}.items():
        record = tmp_path / f".runs/{stage}/1.json"
        record.parent.mkdir(parents=True)
        record.write_text(json.dumps({"seconds": seconds}))
    assert run_studies(tmp_path, dry_run=True) == []
    hours = 5 * (1800 + 4 * 600) / 3600  # four ablations change fsr_plain
    assert capsys.readouterr().out == (
        f"60 experiments, 60 to run, about {hours:.1f} h by the last runs of their stages\n"
    )
    monkeypatch.setattr(studies, "revision_of", lambda *words: object())
    assert run_studies(tmp_path, dry_run=True) == []
    assert capsys.readouterr().out == "60 experiments, 0 to run\n"


def test_curves_are_read_as_dvclive_writes_them() -> None:
    curve = studies._curve("step\ttotal_accuracy\n50\t71.5\n100\t72.25\n")
    assert [(point["step"], point["validation/total_accuracy"]) for point in curve] == [
        (50, 71.5),
        (100, 72.25),
    ]
