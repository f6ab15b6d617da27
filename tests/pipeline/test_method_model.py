"""A row of the table as a model for pictures: it predicts what the pipeline's evaluation does."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fsr_fer import imresize, load
from fsr_fer.common.errors import UserError
from fsr_fer.data.downsampling import downsample
from fsr_fer.data.face_stream import Faces
from fsr_fer.data.settings import DownsampleSettings
from fsr_fer.data.synthetic.dataset import CLASS_NAMES, synthetic_face
from fsr_fer.evaluation.method_settings import MethodSettings
from fsr_fer.evaluation.methods import load_method
from fsr_fer.evaluation.onnx_file import write_onnx
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.generator import Generator
from fsr_fer.models.weights import save_network
from tests import ROOT, sections
from tests.conftest import Run, refused
from tests.evaluation.test_onnx_file import CARD, POOLED, packed

RESIZE = DownsampleSettings(form="scale", boundary="symmetric", restore="resize")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which an extractor, a taught one and a generator were trained."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / ".dvc").mkdir()
    torch.manual_seed(0)
    for name in ("pretrain", "finetune/mixed_resolution"):
        network = CovPoolFER(sections.extractor(), len(CLASS_NAMES))
        network.class_names = CLASS_NAMES
        save_network(tmp_path / f"models/small/{name}.safetensors", network)
    save_network(tmp_path / "models/small/fsr/plain.safetensors", Generator(sections.generator()))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("row", "model"),
    [
        ("bicubic", "pretrain"),
        ("fsr_plain", "fsr/plain"),
        ("mixed_resolution", "finetune/mixed_resolution"),
    ],
)
def test_a_method_predicts_what_evaluate_does(project: Path, row: str, model: str) -> None:
    full = np.stack([synthetic_face("test", n, faces_per_subject=7, seed=1) for n in range(3)])
    small = downsample(full, 4, RESIZE)
    method = load_method(MethodSettings(model=model, faces="downsample"), project / "models/small")
    cpu, rows, bias = torch.device("cpu"), np.arange(3), torch.zeros(7, dtype=torch.float64)
    reader = load(row)
    assert reader.class_names == CLASS_NAMES
    confidences = []
    for images, made, side in ((full, None, 100), (small, (4, RESIZE), 25)):
        faces = list(reader.predict(list(images), channels="rgb"))
        opened = Faces(images, rows, made)
        classes, confidence = method.predict(opened, made is not None, bias, cpu, "")
        assert [face.label for face in faces] == [CLASS_NAMES[c] for c in classes]
        found = [face.probability for face in faces]
        np.testing.assert_allclose(np.array(found, float), confidence, rtol=1e-5)
        assert {face.pixels for face in faces} == {side}
        confidences.append(confidence)
    assert not np.allclose(*confidences)
    mixed = list(reader.predict([full[0], small[0]], channels="rgb"))  # in one batch
    np.testing.assert_allclose(
        [float(face.probability or 0) for face in mixed], [c[0] for c in confidences], rtol=1e-5
    )


def test_the_command_reads_a_method_with_its_accuracy(project: Path, run: Run) -> None:
    face = synthetic_face("test", 0, faces_per_subject=7, seed=1)
    Image.fromarray(face).resize((75, 75)).save("face.png")
    words = ("predict", "face.png", "--model", "mixed_resolution", "--format")
    code, out, _ = run(*words, "jsonl", "--device", "cpu")
    said = json.loads(out)
    assert (code, said["status"], said["uncertain"]) == (0, "ok", False)
    assert said["expected_accuracy"] is None
    assert run(*words, "table")[1].splitlines()[1].split()[4] == "-"
    (project / "metrics/small").mkdir(parents=True)
    (project / "metrics/small/accuracy_by_scale.csv").write_text(
        "method,scale,pixels,accuracy,low,high\nbicubic,1,100,9,9,9\n"
        "mixed_resolution,1,100,80,0,0\nmixed_resolution,2,50,60,0,0\n"
        "mixed_resolution,20,5,30,0,0\n"
    )
    assert json.loads(run(*words, "jsonl")[1])["expected_accuracy"] == 0.7  # half-way
    Image.fromarray(face).resize((5, 5)).save("face.png")  # as small as those of x20
    assert json.loads(run(*words, "jsonl")[1])["expected_accuracy"] == 0.3


def test_a_packed_network_predicts_what_its_exported_file_does(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed(tmp_path / "mean.safetensors", widths=(4, 6, 8, 16), **POOLED)
    write_onnx(tmp_path / "mean.safetensors", tmp_path / "mean.onnx", "none")
    rgb = np.stack([synthetic_face("test", n, faces_per_subject=7, seed=1) for n in range(2)])
    faces = [*rgb, *imresize(rgb, output_shape=(20, 20)), *imresize(rgb, output_shape=(9, 9))]
    both = [
        list(load(tmp_path / name).predict(faces, channels="rgb"))
        for name in ("mean.safetensors", "mean.onnx")
    ]
    for ours, exported in zip(*both, strict=True):
        assert (ours.label, ours.pixels) == (exported.label, exported.pixels)
        assert ours.uncertain == exported.uncertain
        assert ours.expected_accuracy == exported.expected_accuracy
        assert ours.probabilities == pytest.approx(exported.probabilities, abs=1e-5)
    packed(tmp_path / "covariance.safetensors")  # which no .onnx can hold
    face = faces[0]
    (read,) = load(tmp_path / "covariance.safetensors", device="cpu").predict(face, channels="rgb")
    assert read.expected_accuracy == CARD["expected_accuracy"]["accuracy"][1]
    network = CovPoolFER(sections.extractor(), 2)
    network.class_names = ("a", "b")
    save_network(tmp_path / "plain.safetensors", network)
    for words, message in (
        (["no.safetensors"], "no.safetensors is not a readable safetensors file: No such file"),
        ([tmp_path / "plain.safetensors"], "is no packed model of this release: "),
        (["a.safetensors", "--profile", "small"], "are for a method of the pipeline"),
    ):
        assert message in refused(run("predict", "face.png", "--model", *map(str, words)))
    monkeypatch.setitem(sys.modules, "fsr_fer.pipeline.method_model", None)
    with pytest.raises(UserError, match=r"a.safetensors is a packed network, which needs fsr_fer"):
        load("a.safetensors")


def test_mistakes_are_one_line(
    project: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    rows = "methods that predict pictures are bicubic, fsr_l2, fsr_plain, fsr_reweighted"
    for words, message in (
        (["rcan"], f"'rcan' is no model file, and in the profile small it needs restored faces; "
                   f"{rows}, mixed_resolution"),
        (["my-method"], "'my-method' is no model file, and in the profile small it is no method;"),
        (["orthogonal_updates"], "finetune/orthogonal_updates.safetensors is not there"),
        (["bicubic", "--profile", "ferplus"], "models/ferplus/pretrain.safetensors is not there"),
        (["bicubic", "--device", "abacus"], "device abacus cannot be used here"),
        (["no.onnx", "--device", "cpu"], "are for a method of the pipeline"),
    ):  # fmt: skip
        assert message in refused(run("predict", "face.png", "--model", *words))
    with pytest.raises(UserError, match="the model is the shipped one"):
        load(device="cpu")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert "is not inside the project" in run("predict", "a.png", "--model", "bicubic")[2]
    monkeypatch.setitem(sys.modules, "fsr_fer.pipeline.method_model", None)
    with pytest.raises(UserError, match="bicubic is no model file; a method of the pipeline needs"):
        load("bicubic")
