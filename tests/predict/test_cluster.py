"""The recipe of docs/predict.md for several machines, with two workers on this one."""

import json
import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

from fsr_fer import load
from fsr_fer.data.synthetic.dataset import synthetic_face
from tests import ROOT
from tests.pages import blocks


def test_two_workers_give_the_rows_of_one_process(here: Path) -> None:
    (recipe,) = [b.text for b in blocks(ROOT / "docs/predict.md") if "dask" in b.text]
    (here / "cluster.py").write_text(recipe)
    for number in range(4):
        face = Image.fromarray(synthetic_face("test", number, faces_per_subject=7, seed=1))
        face.resize((12 + number, 12 + number)).save(here / f"{number}.png")
    paths = [f"{number % 5}.png" for number in range(220)]  # three tasks; 4.png is not there
    (here / "list.txt").write_text("\ufeff" + "\n".join(paths).replace("\n", "\n \n", 3))
    command = [sys.executable, "cluster.py", "list.txt"]
    environment = os.environ | {"TMPDIR": str(here)}  # where dask leaves a folder
    out = subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment
    ).stdout
    expected = [face.to_dict() for face in load().predict(paths)]
    assert [json.loads(line) for line in out.splitlines()] == expected
    assert expected[4]["status"] == "unreadable"
