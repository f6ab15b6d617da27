"""Draw the synthetic faces of one profile: ``python -m stages.synthesize PROFILE``."""

from pathlib import Path

from fsr_fer.data.settings import SynthesizeSettings
from fsr_fer.data.synthetic.dataset import synthesize
from fsr_fer.pipeline.run_stage import run_stage
from fsr_fer.pipeline.stage import Stage


def main(stage: Stage) -> None:
    """Write ``data/raw/PROFILE`` in RAF-DB's layout."""
    profile = stage.item
    synthesize(
        Path("data/raw", profile),
        settings=stage.settings(SynthesizeSettings, f"synthesize.{profile}.faces"),
        class_names=tuple(stage.value(f"synthesize.{profile}.class_names")),
        seed=stage.data_seed,
    )


if __name__ == "__main__":
    run_stage(main)
