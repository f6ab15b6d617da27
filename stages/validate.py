"""Check the data; fail if it is not fit to train on: ``python -m stages.validate``."""

from fsr_fer.data.settings import ValidateSettings
from fsr_fer.data.validation.checks import validate_dataset
from fsr_fer.data.validation.report import raise_if_failed, write_report, write_verdict
from fsr_fer.pipeline.run_stage import run_stage
from fsr_fer.pipeline.stage import Stage


def main(stage: Stage) -> None:
    """Check the selected profile's dataset; write the verdict, then fail if it is bad."""
    validation = validate_dataset(
        stage.paths.dataset,
        settings=stage.settings(ValidateSettings),
        class_names=stage.class_names,
    )
    write_verdict(validation, stage.paths.metrics / "validation.json")
    write_report(validation, stage.paths.data / "validate", stage.profile)
    raise_if_failed(validation, stage.paths.data / "validate")


if __name__ == "__main__":
    run_stage(main)
