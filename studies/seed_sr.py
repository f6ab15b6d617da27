"""Image super-resolution with another seed: ``python studies/seed_sr.py SEED-KEY``.

KEY is rcan_x2, rcan_x3, ..., or meta_sr.
"""

from fsr_fer.stage import run_stage  # first: see there

# isort: split
import sys
from pathlib import Path

from fsr_fer.data.natural import open_pictures
from fsr_fer.device import choose_device
from fsr_fer.models.super_resolution import save_super_resolution
from fsr_fer.params import Stage, load_stage
from fsr_fer.progress import bar
from fsr_fer.runs import checkpoint_of
from fsr_fer.training.sr import natural_lesson, new_network, train_sr


def main() -> Stage:
    """Write a network below ``models/<profile>/seeds/<seed>/sr``."""
    seed, _, key = sys.argv[1].partition("-")
    stage = load_stage("seed_sr", sys.argv[1], Path("studies/dvc.yaml"))
    pictures = open_pictures(Path("data") / stage.profile / "natural")
    patches, training = natural_lesson(key, pictures, stage.natural, stage.sr, int(seed))
    with checkpoint_of(stage) as checkpoint:
        network = train_sr(
            new_network(key, stage.sr, int(seed)),
            patches,
            training,
            seed=int(seed),
            device=choose_device(),
            checkpoint=checkpoint,
            track=bar,
            task=f"sr {key}",
        )
        target = Path("models") / stage.profile / f"seeds/{seed}/sr/{key}.safetensors"
        save_super_resolution(target, network)
    return stage


if __name__ == "__main__":
    run_stage(main)
