"""Stage ``validate``: stop here, and say why, if the data is not fit to train on.

``python stages/validate.py --data-docs DIR`` writes Great Expectations' own pages (Data Docs) to
DIR as well; they load scripts and a logo from the network when they are opened.
"""

from __future__ import annotations

from fsr_fer.stage import run_stage  # first: see there

# isort: split
import argparse
from pathlib import Path

from fsr_fer.data.image_statistics import open_images
from fsr_fer.data.validation import validate_dataset
from fsr_fer.data.validation_report import raise_if_failed, write_report, write_verdict
from fsr_fer.params import Stage, load_stage
from fsr_fer.progress import bar


def main() -> Stage:
    """Check the selected profile's dataset; write the verdict, then fail if it is bad."""
    parser = argparse.ArgumentParser(description="Check the faces of the selected profile.")
    parser.add_argument("--data-docs", type=Path, metavar="DIR", help="also write Data Docs there")
    data_docs = parser.parse_args().data_docs
    stage = load_stage("validate")
    dataset = Path("data") / stage.profile / "dataset"
    directory = Path("data") / stage.profile / "validate"
    validation = validate_dataset(
        dataset,
        settings=stage.validate,
        class_names=stage.dataset.class_names,
        data_docs=data_docs,
        track=bar,
    )
    write_verdict(validation, Path("metrics") / stage.profile / "validation.json")
    write_report(validation, open_images(dataset / "images.npy"), directory, stage.profile)
    raise_if_failed(validation, directory)
    return stage


if __name__ == "__main__":
    run_stage(main)
