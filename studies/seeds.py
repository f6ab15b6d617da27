"""What the trainings of all seeds come to: ``python studies/seeds.py``."""

from fsr_fer.stage import run_stage  # first: see there

# isort: split
from pathlib import Path

from fsr_fer.files import write_json
from fsr_fer.params import Stage, load_stage
from fsr_fer.predictions import read_predictions
from fsr_fer.seed_study import as_markdown, summarise

ROWS = (
    *("bicubic", "rcan", "meta_sr", "meta_sr_retrained"),
    *("fsr_l2", "fsr_plain", "fsr_reweighted", "mixed_resolution", "best"),
)


def main() -> Stage:
    """Write ``metrics/<profile>/seeds.json`` and print its tables."""
    stage = load_stage("seeds", pipeline=Path("studies/dvc.yaml"))
    data = Path("data") / stage.profile / "seeds"
    rows = {
        row: {
            seed: read_predictions(data / f"{seed}/{row}.csv", stage.class_names)
            for seed in stage.studies.seeds
        }
        for row in ROWS
    }
    summary = summarise(rows, stage.scales, stage.evaluate.confidence)
    write_json(Path("metrics") / stage.profile / "seeds.json", summary)
    print(as_markdown(summary))
    return stage


if __name__ == "__main__":
    run_stage(main)
