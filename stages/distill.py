"""Train the second of two methods again, distilled from both: ``stages.distill STUDENT``."""

from fsr_fer.data.labelled_faces import open_faces_of
from fsr_fer.data.settings import DownsampleSettings
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.networks import NETWORKS
from fsr_fer.models.weights import load_network, save_network
from fsr_fer.pipeline.run_stage import run_stage
from fsr_fer.pipeline.runs import training_run
from fsr_fer.pipeline.stage import Stage
from fsr_fer.training.distillation import Ensemble
from fsr_fer.training.finetune import finetune
from fsr_fer.training.settings.distillation import DistillSettings
from fsr_fer.training.settings.finetuning import FinetuneSettings


def main(stage: Stage) -> None:
    """Write ``models/<profile>/finetune/<student>.safetensors``, and curves beside the metrics."""
    student = stage.item
    train, validation = open_faces_of(stage.paths.dataset, stage.class_names)
    settings = stage.settings(DistillSettings, f"distill.{student}")
    method = settings.teachers[1]
    with training_run(stage, f"distill {student}") as run:
        teachers = [
            load_network(stage.paths.network(f"finetune/{teacher}"), CovPoolFER, *NETWORKS.values())
            for teacher in settings.teachers
        ]
        network = finetune(
            load_network(stage.paths.network(), CovPoolFER),
            train,
            validation,
            stage.settings(FinetuneSettings, f"finetune.{method}"),
            stage.settings(DownsampleSettings),
            stage.scales,
            run,
            Ensemble(teachers, settings, run.device),
        )
        save_network(stage.paths.network(f"finetune/{student}"), network)


if __name__ == "__main__":
    run_stage(main)
