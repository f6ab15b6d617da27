"""Train Meta-SR again, on the train faces: ``python -m stages.sr_faces``."""

from fsr_fer.data.labelled_faces import open_faces_of
from fsr_fer.data.settings import DownsampleSettings
from fsr_fer.data.super_resolution_pairs import WholeFaces
from fsr_fer.models.settings import MetaSrSettings
from fsr_fer.models.weights import save_network
from fsr_fer.pipeline.run_stage import run_stage
from fsr_fer.pipeline.runs import training_run
from fsr_fer.pipeline.stage import Stage
from fsr_fer.training.settings.sr import SuperResolutionSettings
from fsr_fer.training.sr import network_to_retrain, new_network, train_sr

KEY = "meta_sr_retrained"


def main(stage: Stage) -> None:
    """Write ``models/<profile>/sr_faces`` and the curves beside the metrics."""
    train, validation = open_faces_of(stage.paths.dataset, stage.class_names)
    faces = WholeFaces(train, validation, stage.scales, stage.settings(DownsampleSettings))
    if stage.value("sr.retrained_from") == "meta_sr":
        network = network_to_retrain(stage.paths.network("sr/meta_sr"))
    else:
        network = new_network(KEY, stage.settings(MetaSrSettings, "sr.meta_sr"), stage.seed)
    training = stage.settings(SuperResolutionSettings, f"sr.{KEY}_training")
    with training_run(stage, f"sr {KEY}") as run:
        train_sr(network, faces, training, run)
        save_network(stage.paths.network(f"sr_faces/{KEY}"), network)


if __name__ == "__main__":
    run_stage(main)
