"""A project with made-up results: what DVC and the stages leave behind, without running them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from fsr_fer.common.files import write_json
from fsr_fer.evaluation.predictions import PredictionTable
from fsr_fer.evaluation.statistics import total_accuracy
from fsr_fer.pipeline.code_fingerprint import fingerprint
from fsr_fer.pipeline.profiles import effective_values, read_yaml
from fsr_fer.pipeline.provenance.hashing import md5_of_bytes as md5
from tests import ROOT
from tests.pipeline.provenance.conftest import commit, git_init, shell

CLASSES = ("neutral", "happiness")
FACES = 200
LABELS = np.arange(FACES) % 2
CODE, METRICS = "stages/report.py", "metrics/small/accuracy.json"

Table = Mapping[str, Mapping[str, int]]
"""Row, column, number of faces read wrong: always the first ones."""


class Project:
    """Params, dvc.yaml and a lock file of the profile ``small``, two scales, a cache of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / ".dvc").mkdir(parents=True)
        (root / ".gitignore").write_text("/data/small/\n/.dvc/\n")
        (root / "stages").mkdir()
        (root / "stages/__init__.py").touch()
        (root / CODE).write_text("print('report')\n")
        (root / "dvc.yaml").write_text((ROOT / "dvc.yaml").read_text())
        self.params: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
        self.params["scales"] = [2, 8]
        self.params["dataset"]["class_names"] = list(CLASSES)
        self.write_params()
        git_init(root)

    def git(self, *words: str) -> str:
        return shell(self.root, "git", *words).strip()

    def write_params(self) -> None:
        (self.root / "params.yaml").write_text(yaml.safe_dump(self.params, sort_keys=False))

    def commit(self, message: str = "a change") -> str:
        commit(self.root, message)
        return self.git("rev-parse", "HEAD")

    def reproduce(self, wrong: Table, *, faces: str = "a") -> None:
        """Leave what a finished run leaves; ``faces`` names the pictures."""
        self.write_params()
        lines = [f"face{i},test,{CLASSES[LABELS[i]]},{faces}{i}\n" for i in range(FACES)]
        manifest = "id,split,label,sha256\n" + "".join(lines)
        outs = {"data/small/dataset/manifest.csv": manifest.encode()}
        accuracy: dict[str, dict[str, float]] = {}
        for row, columns in wrong.items():
            readings = {
                column: np.where(np.arange(FACES) < count, 1 - LABELS, LABELS)
                for column, count in columns.items()
            }
            predictions = PredictionTable(
                ids=tuple(f"face{i}" for i in range(FACES)),
                labels=LABELS,
                class_names=CLASSES,
                predicted=readings,
            )
            path = f"data/small/predictions/{row}.csv"
            predictions.write(self.root / path)
            outs[path] = (self.root / path).read_bytes()
            accuracy[row] = {c: round(total_accuracy(LABELS, v), 3) for c, v in readings.items()}
            small = np.stack([v for column, v in readings.items() if column != "hr"])
            accuracy[row]["mean"] = round(total_accuracy(LABELS, small), 3)
        self._outs = {path: self.keep(path, content) for path, content in outs.items()}
        self.rewrite_metrics(accuracy, faces)

    def rewrite_metrics(self, accuracy: Mapping[str, Any], faces: str = "a") -> None:
        """Put these accuracies in the place of those that were made."""
        write_json(self.root / METRICS, accuracy)
        self._lock(self._outs, faces)

    def keep(self, path: str, content: bytes) -> str:
        """Put a file in its place and into the cache; its hash."""
        key = md5(content)
        for file in (self.root / ".dvc/cache/files/md5" / key[:2] / key[2:], self.root / path):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return key

    def _lock(self, outs: Mapping[str, str], faces: str) -> None:
        settings = effective_values(read_yaml(self.root / "params.yaml"))
        code = {"report": fingerprint("report")}
        params = {"settings.json": settings, "code.json": code}
        for name, values in params.items():
            write_json(self.root / name, values)
        metrics = {"path": METRICS, "md5": md5((self.root / METRICS).read_bytes())}
        raw = {"path": "data/raw/small", "md5": md5(faces.encode()), "size": 7, "nfiles": FACES}
        stages: dict[str, Any] = {
            "synthesize@small": {"cmd": "", "outs": [raw]},
            "dataset": {"cmd": "", "deps": [raw], "outs": []},
            "report": {"cmd": "", "outs": [metrics], "params": params},
        }
        for path, key in outs.items():
            name = Path(path).stem
            stage = "dataset" if name == "manifest" else f"evaluate@{name}"
            entry = {"path": path, "hash": "md5", "md5": key}
            stages.setdefault(stage, {"cmd": ""}).setdefault("outs", []).append(entry)
        (self.root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project without results; the current folder is its top."""
    made = Project(tmp_path / "project")
    monkeypatch.chdir(made.root)
    return made
