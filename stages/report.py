"""Write metrics, figures and the page: ``python -m stages.report``."""

import json

from fsr_fer.data.manifest import read_manifest
from fsr_fer.data.settings import DatasetSettings, DownsampleSettings
from fsr_fer.evaluation.imported import read_imported
from fsr_fer.evaluation.predictions import parse_predictions
from fsr_fer.evaluation.settings import ReportSettings
from fsr_fer.pipeline.run_stage import run_stage
from fsr_fer.pipeline.stage import Stage
from fsr_fer.report.inputs import ReportInputs, read_fidelity
from fsr_fer.report.writing import write_report


def main(stage: Stage) -> None:
    """Write ``metrics/<profile>/*`` and ``data/<profile>/report/``."""
    paths, class_names = stage.paths, stage.class_names
    files = {name: paths.predictions(name) for name in stage.methods}
    imported = read_imported(stage.profile, class_names, stage.scales, paths.manifest, list(files))
    inputs = ReportInputs(
        profile=stage.profile,
        source=stage.settings(DatasetSettings).source,
        scales=stage.scales,
        manifest=read_manifest(paths.manifest, class_names),
        methods={
            name: parse_predictions(file.read_bytes(), file, class_names)
            for name, file in files.items()
        }
        | imported,
        imported=tuple(imported),
        data=paths.data,
        downsample=stage.settings(DownsampleSettings),
        report=stage.settings(ReportSettings),
        seed=stage.seed,
        settings=stage.values,
        cost=json.loads((paths.metrics / "cost.json").read_bytes()),
        fidelity=read_fidelity(list(files), paths.metrics / "restoration"),
    )
    write_report(inputs, paths.data / "report", paths.metrics)


if __name__ == "__main__":
    run_stage(main)
