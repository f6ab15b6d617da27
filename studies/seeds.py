"""What the trainings of all seeds come to: ``python studies/seeds.py``."""

from fsr_fer.stage import run_stage  # first: see there

# isort: split
from pathlib import Path

from fsr_fer.errors import UserError
from fsr_fer.files import write_json
from fsr_fer.params import Stage, load_stage
from fsr_fer.predictions import read_predictions
from fsr_fer.seed_study import as_markdown, summarise

ROWS = (
    *("bicubic", "rcan", "meta_sr", "meta_sr_retrained"),
    *("fsr_l2", "fsr_plain", "fsr_reweighted", "mixed_resolution", "best"),
)


def main() -> Stage:
    """Write ``metrics/<profile>/seeds.json`` and print its tables.

    A row that was not trained with every seed is left out, so that who wants two rows compared need
    not wait for all: ``dvc repro -s`` runs this stage on what is there.
    """
    stage = load_stage("seeds", pipeline=Path("studies/dvc.yaml"))
    data = Path("data") / stage.profile / "seeds"
    files = {row: {s: data / f"{s}/{row}.csv" for s in stage.studies.seeds} for row in ROWS}
    trained = [row for row in ROWS if all(path.is_file() for path in files[row].values())]
    if "bicubic" not in trained:
        raise UserError(f"{data} lacks bicubic.csv of a seed: `dvc repro studies/dvc.yaml:seeds`")
    if left_out := [row for row in ROWS if row not in trained]:
        print(f"left out, for not every seed's is there: {', '.join(left_out)}")
    rows = {
        row: {seed: read_predictions(path, stage.class_names) for seed, path in files[row].items()}
        for row in trained
    }
    summary = summarise(rows, stage.scales, stage.evaluate.confidence)
    write_json(Path("metrics") / stage.profile / "seeds.json", summary)
    print(as_markdown(summary))
    return stage


if __name__ == "__main__":
    run_stage(main)
