"""What the parts of the method are worth over the seeds: ``python studies/ablations.py``."""

from fsr_fer.stage import run_stage  # first: see there

# isort: split
from pathlib import Path

from fsr_fer.ablations import ABLATIONS, row_of
from fsr_fer.errors import UserError
from fsr_fer.files import write_json
from fsr_fer.params import Stage, load_stage
from fsr_fer.predictions import read_predictions
from fsr_fer.seed_study import as_markdown, summarise


def main() -> Stage:
    """Write ``metrics/<profile>/ablations.json`` and print a table of each ablation.

    One that was not trained with every seed is left out.
    """
    stage = load_stage("ablations", pipeline=Path("studies/dvc.yaml"))
    data, seeds = Path("data") / stage.profile, stage.studies.seeds
    summaries = {}
    for name in ABLATIONS:
        row = row_of(name)
        files = {
            row: {seed: data / f"seeds/{seed}/{row}.csv" for seed in seeds},
            name: {seed: data / f"ablations/{seed}/{name}.csv" for seed in seeds},
        }
        if not all(path.is_file() for by_seed in files.values() for path in by_seed.values()):
            continue
        read = {
            label: {s: read_predictions(path, stage.class_names) for s, path in by_seed.items()}
            for label, by_seed in files.items()
        }
        summaries[name] = summarise(read, stage.scales, stage.evaluate.confidence)
    if not summaries:
        raise UserError(f"{data}/ablations holds none: `dvc repro studies/dvc.yaml:ablations`")
    write_json(Path("metrics") / stage.profile / "ablations.json", summaries)
    for name, summary in summaries.items():
        print(f"\n# {name}{as_markdown(summary)}")
    return stage


if __name__ == "__main__":
    run_stage(main)
