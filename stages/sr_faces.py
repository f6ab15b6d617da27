"""Train Meta-SR again, on the train faces: ``python -m stages.sr_faces``."""

from fsr_fer.data.labelled_faces import open_faces_of
from fsr_fer.data.settings import DownsampleSettings
from fsr_fer.data.super_resolution_pairs import WholeFaces
from fsr_fer.models.weights import save_network
from fsr_fer.pipeline.run_stage import run_stage
from fsr_fer.pipeline.runs import training_run
from fsr_fer.pipeline.stage import Stage, load_stage
from fsr_fer.training.settings import SrSettings
from fsr_fer.training.sr import network_to_retrain, train_sr

KEY = "meta_sr_retrained"


def main() -> Stage:
    """Write ``models/<profile>/sr_faces`` and the curves beside the metrics."""
    stage = load_stage("sr_faces")
    settings, paths = stage.settings(SrSettings), stage.paths
    train, validation = open_faces_of(paths.dataset, stage.class_names)
    faces = WholeFaces(train, validation, stage.scales, stage.settings(DownsampleSettings))
    network = network_to_retrain(paths.network("sr/meta_sr"), settings, stage.seed)
    with training_run(stage, f"sr {KEY}") as run:
        train_sr(network, faces, settings.meta_sr_retrained_training, run)
        save_network(paths.network(f"sr_faces/{KEY}"), network)
    return stage


if __name__ == "__main__":
    run_stage(main)
