"""Any bytes give every reader a result, or the user one line: never a traceback."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save

from fsr_fer.common.errors import UserError
from fsr_fer.data.images import PictureError, decode_picture
from fsr_fer.data.sources import open_source
from fsr_fer.evaluation.predictions import parse_predictions
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.published_weights import read_official
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.weights import load_network
from fsr_fer.pipeline.graph import resolve_graph
from fsr_fer.pipeline.params import read_params
from fsr_fer.pipeline.provenance.revision import Revision
from fsr_fer.predict.boxes import read_boxes
from fsr_fer.predict.model import load
from fsr_fer.report.diff.results import Results
from tests import ROOT
from tests.data.raw_faces import encoded
from tests.predict.models import colour_model

CLASSES = ("happy", "sad")
RCAN = {"groups": 1, "blocks": 1, "filters": 4, "reduction": 2}
Example = tuple[bytes, Callable[[Path], object]]


def picture(format: str) -> bytes:
    return encoded(Image.effect_noise((9, 7), 60), format)


def zipped(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def saved(value: object) -> bytes:
    content = io.BytesIO()
    torch.save(value, content)
    return content.getvalue()


READERS: dict[str, Example] = {
    "EmoLabel/list_patition_label.txt": (
        b"train_1.jpg 1\ntest_1.jpg 7\n",
        lambda path: open_source("rafdb", path.parents[1], CLASSES),
    ),
    "labels.csv": (
        b"image,label,split\n1.jpg,happy,train\n2.jpg,sad,test\n",
        lambda path: open_source("csv", path.parent, CLASSES),
    ),
    "folders.zip": (
        zipped({"train/happy/1": picture("png"), "test/sad/1": picture("png")}),
        lambda path: open_source("folder", path, CLASSES),
    ),
    **{
        f"face.{kind}": (picture(kind), lambda path: decode_picture(path.read_bytes()))
        for kind in ("png", "jpeg", "bmp", "gif", "tiff", "webp")
    },
    "rcan.pt": (
        saved({"head.0.weight": torch.ones(4, 3, 3, 3)}),
        lambda path: read_official("rcan", path),
    ),
    "rcan.safetensors": (
        save({"w": torch.ones(2)}, {"fsr_fer": json.dumps({"rcan": RCAN, "scale": 2})}),
        lambda path: load_network(path, Rcan, CovPoolFER),
    ),
    "params.yaml": ((ROOT / "params.yaml").read_bytes(), read_params),
    "dvc.yaml": (
        b"stages:\n  a:\n    foreach: ${scales}\n    do:\n      cmd: a ${item}\n"
        b"      deps:\n      - data/${profile}/b\n      outs:\n      - c/x${item}.npy\n",
        lambda path: resolve_graph(path.parent, path.read_bytes(), b"profile: a\nscales: [2]\n"),
    ),
    "dvc.lock": (
        b"schema: '2.0'\nstages:\n  a:\n    cmd: x\n    outs:\n    - path: y\n      md5: z\n",
        lambda path: Revision(path.parent).lock,
    ),
    "metrics/small/accuracy.json": (
        b'{"bicubic": {"hr": 91.5, "x2": 1e1}}',
        lambda path: Results(revision=Revision(path.parents[2]), profile="small").accuracy,
    ),
    "model.onnx": (colour_model().SerializeToString(), load),
    "boxes.csv": (
        b"image,x,y,w,h\na.png,1,2,3,4\nb.png,1,2,3,4.5\n",
        lambda path: list(read_boxes(str(path), None, "")),
    ),
    "boxes.jsonl": (
        b'{"image": "a.png", "xywh": [1, 2, 3, 4]}\n{"image": "b", "x": 1, "y": 2, "w": 3, "h": 4}',
        lambda path: list(read_boxes(str(path), None, "")),
    ),
    "predictions.csv": (
        b"id,label,hr,x2\n1,happy,happy,sad\n2,sad,sad,sad\n",
        lambda path: parse_predictions(path.read_bytes(), "x.csv", CLASSES),
    ),
}


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Some bytes of a file replaced, left out or said twice; or any bytes at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 12)))
        middle = draw(st.sampled_from([b"", content[start:end] * 2, draw(st.binary(max_size=8))]))
        content = content[:start] + middle + content[end:]
    return content


@pytest.mark.parametrize("name", READERS)
def test_any_bytes_are_read_or_refused_in_one_line(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    example, read = READERS[name]

    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
    @given(damaged(example))
    def check(content: bytes) -> None:
        path = tmp_path_factory.mktemp("any") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        said = ""
        try:
            read(path)
        except (UserError, PictureError) as error:
            said = str(error)
        assert "\n" not in said

    check()
