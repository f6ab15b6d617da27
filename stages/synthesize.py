"""Draw the synthetic faces of one profile: ``python -m stages.synthesize PROFILE``."""

from pathlib import Path

from fsr_fer.data.settings import SynthesizeSettings
from fsr_fer.data.synthetic.dataset import synthesize
from fsr_fer.pipeline.run_stage import run_stage
from fsr_fer.pipeline.stage import Stage, load_stage


def main(profile: str) -> Stage:
    """Write ``data/raw/PROFILE`` in RAF-DB's layout."""
    stage = load_stage("synthesize", profile)
    synthesize(
        Path("data/raw") / profile,
        settings=stage.settings(SynthesizeSettings, f"synthesize.{profile}.faces"),
        class_names=tuple(stage.value(f"synthesize.{profile}.class_names")),
        seed=stage.data_seed,
    )
    return stage


if __name__ == "__main__":
    run_stage(main)
