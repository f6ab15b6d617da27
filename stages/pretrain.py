"""Train CovPoolFER on full-size faces: ``python -m stages.pretrain``."""

from fsr_fer.common.distributed import barrier, is_first
from fsr_fer.data.labelled_faces import open_faces_of
from fsr_fer.models.weights import save_network
from fsr_fer.pipeline.run_stage import run_stage
from fsr_fer.pipeline.runs import training_run
from fsr_fer.pipeline.stage import Stage
from fsr_fer.training.pretrain import train_extractor
from fsr_fer.training.settings.pretraining import PretrainSettings


def main(stage: Stage) -> None:
    """Write ``models/<profile>/pretrain.safetensors`` and the curves beside the metrics."""
    train, validation = open_faces_of(stage.paths.dataset, stage.class_names)
    with training_run(stage, "pretrain") as run:
        settings, classes = stage.settings(PretrainSettings), len(stage.class_names)
        network = train_extractor(train, validation, settings, classes, run)
        network.class_names = stage.class_names
        barrier()
        if is_first():
            save_network(stage.paths.network(), network)


if __name__ == "__main__":
    run_stage(main)
