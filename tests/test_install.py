"""The small install: the wheel and what it declares, nothing else, predict; the rest says so.

Without a network: the wheel is built here, and the packages that it declares, with those that they
declare, are linked into an empty environment. What is not declared cannot be imported there.
"""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests import ROOT
from tests.predict.conftest import RED, paint
from tests.predict.models import colour_model, save

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the files that lie here; built elsewhere, for building leaves files behind."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    unwanted = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info", "images", "notes")
    for name in ("src", "docs"):
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=unwanted)
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source)
    words = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source)
    subprocess.run([*PIP, *words], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def binaries(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment in which the wheel was installed."""
    folder = tmp_path_factory.mktemp("installed") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin/python"
    words = ("install", "--quiet", "--no-deps", "--no-index", wheel)
    subprocess.run([*PIP, "--python", python, *words], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (metadata,) = site.glob("fsr_fer-*.dist-info")
    for name in closure(importlib.metadata.Distribution.at(metadata)):
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(distribution.locate_file(top))
    return folder / "bin"


def closure(distribution: importlib.metadata.Distribution) -> set[str]:
    """The packages that one declares, without extras, and those that they declare."""
    found: set[str] = set()
    waiting = [distribution]
    while waiting:
        for text in waiting.pop().requires or ():
            requirement = Requirement(text)
            marker = requirement.marker
            if requirement.name not in found and (not marker or marker.evaluate({"extra": ""})):
                found.add(requirement.name)
                waiting.append(importlib.metadata.distribution(requirement.name))
    return found


def test_the_wheel_holds_the_kernel_the_model_and_its_card(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler):
        assert any(re.fullmatch(r"fsr_fer/resize/_kernel\..*so", name) for name in names)
    assert {"fsr_fer/serve/page/index.html", "fsr_fer/serve/page/page.js"} <= set(names)
    assert {f"fsr_fer/predict/mtcnn_{letter}.onnx" for letter in "pro"} <= set(names)
    assert any(name.endswith(".dist-info/licenses/NOTICE") for name in names)
    assert "fsr_fer/predict/model.onnx" in names
    assert any(name.endswith(".dist-info/licenses/docs/model-card.md") for name in names)


def test_the_wheel_and_what_it_declares_predict(binaries: Path, tmp_path: Path) -> None:
    for absent in ("torch", "dvc", "onnx", "pandas", "scipy", "tqdm", "matplotlib", "ruamel"):
        command = [binaries / "python", "-c", f"import {absent}"]
        assert subprocess.run(command, capture_output=True).returncode == 1, absent
    paint(tmp_path / "red.png", RED)
    model = save(colour_model(), tmp_path / "model.onnx")
    command = [binaries / "fsr-fer", "predict", "--model", model, "red.png", "--format", "csv"]
    out = subprocess.check_output(command, cwd=tmp_path, text=True, stderr=subprocess.STDOUT)
    assert out.splitlines()[1].startswith("1,red.png,,,ok,,,,,,20,red,0.999909,false,0.9,")
    assert out.splitlines()[2].startswith("1 face in ")
    (tmp_path / "clip.mp4").write_bytes(b"not looked at")
    out = subprocess.check_output([*command[:4], "clip.mp4"], cwd=tmp_path, text=True)
    assert out.count("\n") == 2
    assert "unreadable: is a video; what reads it: pip install 'fsr-fer[video]'" in out
    said = subprocess.check_output([*command[:2], "red.png"], cwd=tmp_path, text=True)
    assert said.splitlines()[1].split()[:2] == ["red.png", "20"]  # with the shipped model
    program = "from fsr_fer.resize import kernel; print(kernel.library() is not None)"
    out = subprocess.check_output([binaries / "python", "-c", program], text=True)
    assert out == "True\n" or not shutil.which("cc")


@pytest.mark.parametrize("command", ["check", "summary", "repro"])
def test_the_pipeline_says_what_it_needs(binaries: Path, command: str) -> None:
    done = subprocess.run([binaries / "fsr-fer", command], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "not installed" in done.stderr
    assert "pip install 'fsr-fer[pipeline]'" in done.stderr


def test_the_service_says_what_it_needs(binaries: Path) -> None:
    done = subprocess.run([binaries / "fsr-fer", "serve"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "fsr-fer: starlette is not installed: pip install 'fsr-fer[serve]'\n"


def test_an_environment_that_was_moved_with_its_folder_is_made_anew(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    ready = tmp_path / ".venv/ready-pipeline"
    sources = ("pyproject.toml", "constraints.txt", "src/fsr_fer/resize/kernel.c")
    for name in (*sources, ".venv/ready-pipeline"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def commands() -> str:
        words = ("make", "--dry-run", ".venv/ready-pipeline")
        return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True).stdout

    ready.write_text(f"{tmp_path.resolve()}\n")
    assert "up to date" in commands()
    ready.write_text("/before/it/was/moved\n")
    assert "rm -rf .venv" in commands()
    assert "-e '.[pipeline]'" in commands()
    words = ("make", "--dry-run", "EXTRA=dev", ".venv/ready-dev")
    assert (
        "-e '.[dev]'" in subprocess.run(words, cwd=tmp_path, capture_output=True, text=True).stdout
    )
