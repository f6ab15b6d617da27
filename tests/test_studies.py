"""The studies' scripts, run on the very small profile after the pipeline."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tests.test_stages import ROOT, ROWS, run_script

SEED = 666


@pytest.fixture(scope="module")
def with_studies(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished pipeline and beside it what the studies need; the pipeline's seed is SEED."""
    folder = tmp_path_factory.mktemp("studies") / "project"
    shutil.copytree(finished, folder, symlinks=True)
    shutil.copytree(ROOT / "studies", folder / "studies")
    params = yaml.safe_load((folder / "params.yaml").read_text())
    assert params["seed"] == SEED
    params["studies"]["seeds"] = [SEED, 1]
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return folder


def run_studies(folder: Path, *groups: list[tuple[str, ...]]) -> None:
    """Run scripts of ``studies``, those of a group side by side."""
    with ThreadPoolExecutor(2) as pool:
        for commands in groups:
            done = pool.map(lambda c: run_script(folder, f"studies/{c[0]}.py", *c[1:]), commands)
            for command, result in zip(commands, done, strict=True):
                assert result.returncode == 0, (command, result.stderr)


def test_a_seed_of_the_study_is_a_run_of_the_pipeline(with_studies: Path) -> None:
    """With the pipeline's seed every row must read every face as the pipeline's row does."""
    networks = ("rcan_x2", "rcan_x8", "meta_sr")
    run_studies(
        with_studies,
        [
            ("train", "seed_pretrain", f"{SEED}"),
            *(("seed_sr", f"{SEED}-{network}") for network in networks),
        ],
        [
            ("seed_features", f"{SEED}"),
            ("seed_sr_faces", f"{SEED}"),
            *(("train", "seed_rows", f"{SEED}-{row}") for row in ("mixed_resolution", "best")),
        ],
        [
            *(("seed_fsr", "seed_fsr", f"{SEED}-{row}") for row in ("l2", "plain", "reweighted")),
            *(("seed_pictures", f"{SEED}-{r}") for r in ("rcan", "meta_sr", "meta_sr_retrained")),
        ],
    )
    data = with_studies / "data/small"
    for row in ROWS:
        own = (data / f"seeds/{SEED}/{row}.csv").read_text()
        assert own == (data / f"predictions/{row}.csv").read_text(), row


def test_an_ablation_differs_by_its_values_alone(with_studies: Path) -> None:
    """One that says what params.yaml says already is the row itself; another one is not."""
    params = yaml.safe_load((with_studies / "params.yaml").read_text())
    long_skip = params["profiles"]["small"]["fsr"]["generator"]["long_skip"]
    same = "residual-generator" if long_skip else "literal-generator"
    names = (same, "no-gan", "weight-on-discriminator")
    of_best = ("best-without-teacher", "best-schedule-alone")
    run_studies(
        with_studies,
        [("train", "seed_pretrain", f"{SEED}")],
        [
            ("seed_features", f"{SEED}"),
            *(("train", "seed_best_ablations", f"{SEED}-{name}") for name in of_best),
        ],
        [("seed_fsr", "seed_ablations", f"{SEED}-{name}") for name in names],
    )
    data, models = with_studies / "data/small", with_studies / "models/small"
    own = {name: (data / f"ablations/{SEED}/{name}.csv").read_text() for name in names}
    assert own[same] == (data / "predictions/fsr_plain.csv").read_text()
    weights = {
        n: (models / f"ablations/{SEED}/{n}.safetensors").read_bytes() for n in (*names, *of_best)
    }
    weights["best"] = (models / "finetune/best.safetensors").read_bytes()
    assert len(set(weights.values())) == len(weights)
    reweighted = (models / "fsr/reweighted.safetensors").read_bytes()
    assert weights["weight-on-discriminator"] != reweighted

    for row in ("fsr_plain", "fsr_reweighted", "best"):
        for seed in (SEED, 1):
            (data / f"seeds/{seed}").mkdir(parents=True, exist_ok=True)
            shutil.copy(data / f"predictions/{row}.csv", data / f"seeds/{seed}")
    shutil.copytree(data / f"ablations/{SEED}", data / "ablations/1")
    (data / "ablations/1/no-gan.csv").unlink()  # not trained with every seed: left out
    run_studies(with_studies, [("ablations",)])
    summaries = json.loads((with_studies / "metrics/small/ablations.json").read_text())
    assert set(summaries) == {same, "weight-on-discriminator", *of_best}
    assert list(summaries["best-schedule-alone"]["scores"]["total_accuracy"]) == [
        "best",
        "best-schedule-alone",
    ]
    pairs = summaries[same]["pairs"]["total_accuracy"]
    assert list(pairs) == [f"{same} - fsr_plain"]
    assert pairs[f"{same} - fsr_plain"]["mean"]["values"] == [0.0, 0.0]
    shutil.rmtree(data / "ablations")
    result = run_script(with_studies, "studies/ablations.py")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)


def test_the_seeds_come_to_means_and_pairs_of_all_rows(with_studies: Path) -> None:
    seeds = with_studies / "data/small/seeds"
    for seed in (SEED, 1):
        (seeds / f"{seed}").mkdir(parents=True, exist_ok=True)
        for row in ROWS:
            shutil.copy(with_studies / f"data/small/predictions/{row}.csv", seeds / f"{seed}")
    run_studies(with_studies, [("seeds",)])
    summary = json.loads((with_studies / "metrics/small/seeds.json").read_text())
    table = json.loads((with_studies / "metrics/small/accuracy.json").read_text())
    assert summary["seeds"] == [SEED, 1]
    for row in ROWS:
        found = summary["scores"]["total_accuracy"][row]["hr"]["mean"]
        assert found == pytest.approx(table[row]["hr"], abs=1e-3), row
    assert summary["pairs"]["total_accuracy"]["best - bicubic"]["mean"]["values"][0] == (
        pytest.approx(table["best"]["mean"] - table["bicubic"]["mean"], abs=2e-3)
    )
    (seeds / "1" / "meta_sr.csv").unlink()  # one not trained yet: the others can be compared
    result = run_script(with_studies, "studies/seeds.py")
    assert result.returncode == 0, result.stderr
    assert "left out, for not every seed's is there: meta_sr\n" in result.stdout
    fewer = json.loads((with_studies / "metrics/small/seeds.json").read_text())
    assert set(fewer["scores"]["total_accuracy"]) == {row for row in ROWS if row != "meta_sr"}
    pair = "best - mixed_resolution"
    assert fewer["pairs"]["total_accuracy"][pair] == summary["pairs"]["total_accuracy"][pair]
    (seeds / "1" / "bicubic.csv").unlink()
    result = run_script(with_studies, "studies/seeds.py")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "lacks bicubic.csv of a seed" in result.stderr
