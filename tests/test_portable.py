"""Training on a machine with torch, NumPy and safetensors alone, and the way there and back."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from fsr_fer.portable import CHECKPOINT, RESULT

ROOT = Path(__file__).resolve().parents[1]
CORE = ("resize", "models", "training", "features")
AROUND = (
    *("losses", "evaluation", "prefetch", "arrays", "files", "randomness", "statistics"),
    *("device", "distributed", "downsampling", "errors", "params", "portable", "progress"),
    *("runs", "settings", "stage", "data.manifest", "provenance.record"),
)
HOOK = """
import sys
class Bare:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            return None
        return self.finder.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.finder, name)
BLOCKED = {blocked!r}
sys.meta_path[:] = map(Bare, sys.meta_path)
"""


def closure(*names: str) -> set[str]:
    """Distributions that these need, themselves included."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        if name not in found:
            found.add(name)
            plain = [r for r in requirements if "extra ==" not in r]
            waiting += [re.split(r"[^A-Za-z0-9._-]", r, maxsplit=1)[0] for r in plain]
    return found


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which nothing but torch, NumPy, safetensors and theirs can be imported."""
    kept = closure("torch", "numpy", "safetensors")
    blocked = {
        module
        for module, owners in metadata.packages_distributions().items()
        if not any(re.sub(r"[-_.]+", "-", owner).lower() in kept for owner in owners)
    }
    blocked -= {"fsr_fer", "__editable___fsr_fer_0_1_0_finder"}
    assert {"yaml", "tqdm", "dvc", "dvclive", "pandas", "typer", "PIL"} <= blocked
    folder = tmp_path_factory.mktemp("bare")
    (folder / "sitecustomize.py").write_text(HOOK.replace("{blocked!r}", repr(sorted(blocked))))
    environment = {**os.environ, "PYTHONPATH": str(folder), "FSR_FER_DEVICE": "cpu"}
    environment.pop("DVC_ROOT", None)
    return environment


def python(
    folder: Path, environment: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def fsr_fer(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = "from fsr_fer.cli import main; main()"
    return python(folder, {**os.environ}, "-c", program, *arguments)


def test_every_core_module_needs_torch_numpy_and_safetensors_only(
    bare: dict[str, str], tmp_path: Path
) -> None:
    source = ROOT / "src/fsr_fer"
    inside = [f"{name}.{path.stem}" for name in CORE for path in (source / name).glob("*.py")]
    names = sorted({name.removesuffix(".__init__") for name in (*inside, *AROUND)})
    imports = "".join(f"import fsr_fer.{name}\n" for name in names)
    environment = bare | {"PYTHONPATH": os.pathsep.join([bare["PYTHONPATH"], str(ROOT / "src")])}
    done = python(tmp_path, environment, "-c", imports)
    assert done.returncode == 0, done.stderr
    refused = python(tmp_path, environment, "-c", "import yaml")
    assert "No module named 'yaml'" in refused.stderr


@pytest.fixture(scope="module")
def project(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pipeline as DVC knows it, after a change of the generator's learning rate."""
    folder = tmp_path_factory.mktemp("portable") / "project"
    shutil.copytree(finished, folder, symlinks=True)
    (folder / "src").unlink()
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".dvcignore", folder)
    made = ("synthesize", "dataset", "validate", "pretrain", "downsample", "features_hr")
    commit = ("commit", "-f", "-q", *made, "features", "fsr@plain")
    for command in (("init", "--no-scm", "-q"), commit):
        subprocess.run([sys.executable, "-m", "dvc", *command], cwd=folder, check=True)
    change(folder, 0.001)
    return folder


def change(folder: Path, learning_rate: float) -> None:
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["profiles"]["small"]["fsr"]["learning_rate"] = learning_rate
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


@pytest.fixture(scope="module")
def brought_back(project: Path, bare: dict[str, str]) -> Path:
    """What a bare node made of the packed stage."""
    packed = fsr_fer(project, "pack", "fsr@plain", "--out", "there.tar")
    assert packed.returncode == 0, packed.stderr
    node = project.parent / "node"
    with tarfile.open(project / "there.tar") as archive:
        assert all(member.name.startswith("fsr@plain/") for member in archive.getmembers())
        archive.extractall(node, filter="data")
    done = python(node, bare, "fsr@plain/run.py")
    assert done.returncode == 0, done.stderr
    assert "fsr@plain is finished" in done.stdout
    assert "Traceback" not in done.stderr
    return node / "fsr@plain"


def test_the_terms_are_lines_of_json_where_there_is_no_dvclive(
    brought_back: Path, finished: Path
) -> None:
    path = brought_back / "metrics/small/fsr/plain/metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(line.keys() == {"step", "name", "value"} for line in lines)
    curves = finished / "metrics/small/fsr/plain/plots/metrics"
    names = {str(p.relative_to(curves).with_suffix("")) for p in curves.rglob("*.tsv")}
    assert {line["name"] for line in lines} == names
    assert sorted({line["step"] for line in lines}) == [2, 4]


def test_what_comes_back_is_the_stage_done(
    project: Path, brought_back: Path, tmp_path: Path
) -> None:
    here, local = tmp_path / "here", tmp_path / "local"
    for folder in (here, local):
        shutil.copytree(project, folder)
        shutil.rmtree(folder / ".ckpt", ignore_errors=True)
    done = fsr_fer(here, "unpack", str(brought_back / "result.tar"))
    assert done.returncode == 0, done.stderr
    assert "fsr@plain: checkpoint accepted; `dvc repro` writes its outputs without" in done.stdout
    (kept,) = (here / ".ckpt").rglob("state.safetensors")
    saved = kept.stat().st_mtime_ns
    for folder in (here, local):
        python_dvc = [sys.executable, "-m", "dvc", "repro", "-q", "-s", "fsr@plain"]
        environment = {**os.environ, "FSR_FER_DEVICE": "cpu"}
        subprocess.run(python_dvc, cwd=folder, check=True, env=environment)
    assert kept.stat().st_mtime_ns == saved
    for part in ("models/small/fsr/plain.safetensors", "metrics/small/fsr/plain/plots"):
        files = [f for f in (here / part, *(here / part).rglob("*")) if f.is_file()]
        assert files
        for file in files:
            assert file.read_bytes() == (local / file.relative_to(here)).read_bytes()
    status = subprocess.run(
        [sys.executable, "-m", "dvc", "status", "fsr@plain"],
        cwd=here,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "up to date" in status.stdout
    again = fsr_fer(here, "unpack", str(brought_back / "result.tar"))
    assert again.returncode == 1
    assert "is no further than the checkpoint here (4, here 4)" in again.stderr


def test_a_result_of_other_params_or_code_is_refused_in_one_line(
    project: Path, brought_back: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(project, folder)
    shutil.rmtree(folder / ".ckpt", ignore_errors=True)
    change(folder, 0.25)
    with open(folder / "src/fsr_fer/losses.py", "a") as file:
        file.write("# changed\n")
    done = fsr_fer(folder, "unpack", str(brought_back / "result.tar"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    for told in (
        "is of another fsr@plain",
        "profiles.small.fsr.learning_rate (0.001 there, 0.25 here)",
        "src/fsr_fer/losses.py",
    ):
        assert told in done.stderr
    assert not list((folder / ".ckpt").rglob("state.safetensors"))


def test_a_tar_that_reaches_outside_or_is_none_changes_nothing(
    project: Path, brought_back: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "attacked"
    shutil.copytree(project, folder)
    shutil.rmtree(folder / ".ckpt", ignore_errors=True)
    with tarfile.open(brought_back / "result.tar") as archive:
        header = archive.extractfile(RESULT)
        assert header is not None
        content = header.read()
    evil = tmp_path / "evil.tar"
    with tarfile.open(evil, "w") as archive:
        member = tarfile.TarInfo(RESULT)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
        member = tarfile.TarInfo(f"{CHECKPOINT}/../../../../../outside")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"evil"))
    (tmp_path / "text.tar").write_text("no tar")
    for file, told in ((evil, "outside the destination"), (tmp_path / "text.tar", "is no result")):
        done = fsr_fer(folder, "unpack", str(file))
        assert done.returncode == 1
        assert told in done.stderr
        assert done.stderr.count("\n") == 1
    assert not list(tmp_path.rglob("outside"))
    assert not list((folder / ".ckpt").rglob("state.safetensors"))


@pytest.mark.parametrize(
    ("stage", "told"),
    [
        ("validate", "validate keeps no checkpoint"),
        ("fsr", "dvc.yaml has no stage fsr; known: synthesize, dataset"),
        ("fsr@none", "dvc.yaml has no stage fsr@none; fsr has l2, plain, reweighted"),
    ],
)
def test_what_cannot_be_packed_is_one_line(project: Path, stage: str, told: str) -> None:
    done = fsr_fer(project, "pack", stage)
    assert done.returncode == 1
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
