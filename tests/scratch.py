"""A clone to type the documentation's commands in: everything real but the size of the profiles."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from fsr_fer.data.fer2013 import CLASSES
from tests import ROOT
from tests.pipeline.provenance.conftest import own_environment, shell
from tests.pipeline.test_stages import tiny

MINUTES = 60
"""After so long a block counts as hanging, even on a busy machine."""

# Each further method costs a training and the start of three processes, and tells nothing new.
KEPT = {
    "methods": ("bicubic", "fsr_plain", "fsr_reweighted", "mixed_resolution"),
    "fsr_variants": ("plain", "reweighted"),
    "finetune": ("mixed_resolution",),
    "distill": (),
}
SCALE = 8
LEFT_OUT = ("distill", "natural", "sr", "sr_faces", "restore")


class Scratch:
    """A clone whose shell sees a home folder, a remote and a DVC cache of the test's own."""

    def __init__(self, root: Path, home: Path) -> None:
        self.root, self.home = root, home

    @property
    def environment(self) -> dict[str, str]:
        own = {
            "FSR_FER_DEVICE": "cpu",
            "HOME": str(self.home),
            "PATH": f"{self.root / '.venv/bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(self.root / "src"),
        }
        return own_environment() | own

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run lines as a shell does that stops at the first failure; both outputs in one."""
        return subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60 * MINUTES,
        )

    def must(self, script: str) -> str:
        """Run lines that the test itself needs; their output."""
        done = self.run(script)
        assert done.returncode == 0, f"{script}\n{done.stdout}"
        return done.stdout

    def copy(self, root: Path) -> Scratch:
        """Another clone in the same state, with a home of its own."""
        shutil.copytree(self.root, root / "fsr-fer", symlinks=True)
        shutil.copytree(self.home, root / "home")
        is_ready(root / "fsr-fer")
        return Scratch(root / "fsr-fer", root / "home")

    def edit(self, instruction: str, text: str) -> None:
        """Edit a file as the reader of a page does by hand, see ``MARKERS`` in tests/pages.py."""
        file, _, section = instruction.split()
        path = self.root / file
        values = yaml.safe_load(path.read_text())
        values[section] = _merged(values[section], yaml.safe_load(text))
        path.write_text(yaml.safe_dump(values, sort_keys=False, width=10_000))


def clone(folder: Path, cache: Path, python: Path) -> Scratch:
    """What lies in this repository, committed or not, cloned, with every profile made tiny.

    ``python`` stands in for the one of its environment.
    """
    made = Scratch(folder / "fsr-fer", folder / "home")
    made.home.mkdir(parents=True)
    shell(folder, "git", "clone", "--quiet", str(ROOT), str(made.root))
    changed = shell(ROOT, "git", "ls-files", "-z", "--modified", "--others", "--exclude-standard")
    for name in filter(None, set(changed.split("\0"))):
        (made.root / name).unlink(missing_ok=True)
        if (ROOT / name).is_file():
            (made.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, made.root / name)
    _make_tiny(made.root)
    _lend_the_environment(made.root, python)
    made.must(
        "git config --global user.name Reader\n"
        "git config --global user.email reader@example.org\n"
        "git checkout --quiet -B main\n"
        f"dvc config --local cache.dir {cache}\n"
        "echo /path/ >> .git/info/exclude\n"
        "git add --all\n"
        "git commit --quiet --message 'Tiny profiles'\n"
        # `git push` in a page must reach nobody. This repository may lack history (CI), and only a
        # copy of what lacks it takes more of the same.
        f"git clone --quiet --bare . {folder / 'origin.git'}\n"
        f"git remote set-url origin {folder / 'origin.git'}\n"
        "git fetch --quiet\n"
        "git branch --quiet --set-upstream-to origin/main\n"
    )
    return made


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return old | {key: _merged(old.get(key), value) for key, value in new.items()}
    return old + new if isinstance(old, list) and isinstance(new, list) else new


def _make_tiny(root: Path) -> None:
    params: dict[str, Any] = yaml.safe_load((root / "params.yaml").read_text())
    tiny(params)
    params["scales"] = [SCALE]
    # Of paper, RAF-DB's counts alone, as few as the stand-in has.
    counts = {key: params["synthesize"][key] for key in ("train_faces", "test_faces")}
    params["profiles"]["paper"] = {"dataset": {"source": "rafdb"}, "validate": counts}
    params["profiles"]["released"] = {"based_on": "paper"}
    pipeline = yaml.safe_load((root / "dvc.yaml").read_text())
    _leave_methods_out(params, pipeline["stages"])
    studies = yaml.safe_load((root / "studies.yaml").read_text())
    ablations = studies["ablations"]
    studies["ablations"] = {n: a for n, a in ablations.items() if a["method"] in params["methods"]}
    (root / "studies.yaml").write_text(yaml.safe_dump(studies, sort_keys=False))
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    (root / "dvc.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False, width=10_000))
    # DVC reads and writes the whole file after each stage, and none of its results are here.
    (root / "dvc.lock").unlink()


def _leave_methods_out(params: dict[str, Any], stages: dict[str, Any]) -> None:
    """Drop what is not in KEPT, and where other stages speak of it."""
    assert all(params[section].keys() >= set(kept) for section, kept in KEPT.items())
    for values in (params, *params["profiles"].values()):
        for section, kept in KEPT.items():
            if own := values.get(section):
                values[section] = {name: own[name] for name in own if name in kept}
    for name in LEFT_OUT:
        del stages[name]
    for stage in stages.values():
        body = stage.get("do", stage)
        unwanted = re.compile(r"}/(sr|sr_faces|restored|restoration)$")
        body["deps"] = [dep for dep in body.get("deps", []) if not unwanted.search(dep)]


def _lend_the_environment(root: Path, python: Path) -> None:
    """Give `make` the environment that this test runs in instead of installing one."""
    (root / ".venv/bin").mkdir(parents=True)
    for file in (Path(sys.prefix) / "bin").iterdir():
        own = python if file.name == "python" else file
        (root / ".venv/bin" / file.name).symlink_to(own)
    for name in ("lib", "pyvenv.cfg"):
        if (Path(sys.prefix) / name).exists():
            (root / ".venv" / name).symlink_to(Path(sys.prefix) / name)
    is_ready(root)


def is_ready(root: Path) -> None:
    """Tell `make` that the environment is that of this folder and installed."""
    for extra in ("pipeline", "dev"):
        (root / f".venv/ready-{extra}").write_text(f"{root.resolve()}\n")


def lend_faces(raw: Path, root: Path) -> None:
    """Synthetic faces, and a tool's table, in the places where pages say a reader has his own."""
    shutil.copytree(raw, root / "path/to/RAF-DB/basic")
    (root / "path/to/RAF-DB/basic/EmoLabel/subject.txt").unlink()
    names = ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"]
    table = root / "path/to/table"
    (table / "images").mkdir(parents=True)
    rows = ["image,label,split,subject"]
    fer2013 = ["emotion,pixels,Usage"]
    people = dict(line.split() for line in (raw / "EmoLabel/subject.txt").read_text().splitlines())
    with zipfile.ZipFile(raw / "Image/aligned.zip") as pictures:
        listing = (raw / "EmoLabel/list_patition_label.txt").read_text()
        for name, label in map(str.split, listing.splitlines()):
            content = pictures.read(f"aligned/{name.replace('.jpg', '_aligned.jpg')}")
            split, kind = name.split("_")[0], names[int(label) - 1]
            folder = root / "path/to/faces" / split / kind
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
            pixels = Image.open(io.BytesIO(content)).convert("L").resize((48, 48)).tobytes()
            part = "Training" if split == "train" else "PrivateTest"
            fer2013.append(f"{CLASSES.index(kind)},{' '.join(map(str, pixels))},{part}")
            if kind not in ("fear", "disgust"):  # the classes of the profile open_faces
                (table / "images" / name).write_bytes(content)
                rows.append(f"{name},{kind},{split},{people[name]}")
    (table / "labels.csv").write_text("\n".join(rows))
    (root / "path/to/fer2013.csv").write_text("\n".join(fer2013))
    with open(root / "data/small/dataset/manifest.csv", newline="") as listed:
        test = [row for row in csv.DictReader(listed) if row["split"] == "test"]
    guesses = "".join(f"{row['id']},13,happy\n" for row in test)
    (root / "path/to/tool.csv").write_text(f"id,size,label\n{guesses}")
