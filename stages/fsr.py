"""Train a generator: ``python -m stages.fsr VARIANT``."""

from fsr_fer.common.distributed import barrier, is_first
from fsr_fer.data.manifest import read_manifest
from fsr_fer.features.pairs import open_pairs
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.weights import load_network, save_network
from fsr_fer.pipeline.run_stage import run_stage
from fsr_fer.pipeline.runs import training_run
from fsr_fer.pipeline.stage import Stage
from fsr_fer.training.fsr import train_fsr
from fsr_fer.training.settings.fsr import FsrSettings, FsrVariantSettings


def main(stage: Stage) -> None:
    """Write ``models/<profile>/fsr/<variant>.safetensors`` and the curves beside the metrics."""
    variant = stage.item
    paths = stage.paths
    manifest = read_manifest(paths.manifest, stage.class_names)
    network = load_network(paths.network(), CovPoolFER)
    train, validation = open_pairs(paths.data / "features/train", manifest, stage.scales)
    with training_run(stage, f"fsr {variant}") as run:
        generator = train_fsr(
            train,
            validation,
            network.classifier,
            stage.settings(FsrSettings),
            stage.settings(FsrVariantSettings, f"fsr_variants.{variant}"),
            run,
        )
        barrier()
        if is_first():
            save_network(paths.network(f"fsr/{variant}"), generator)


if __name__ == "__main__":
    run_stage(main)
