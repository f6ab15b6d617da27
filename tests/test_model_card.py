"""The model card has what the stage ``pack`` measured, of the shipped file."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from fsr_fer import load
from fsr_fer.evaluation.onnx_file import write_onnx
from fsr_fer.predict.model import SHIPPED
from tests import ROOT
from tests.model_card import RESULTS, tables
from tests.test_results import table

CARD = ROOT / "docs/model-card.md"


@pytest.mark.parametrize("name", ["source", "certain", "recall", "degraded"])
def test_the_card_has_the_measured_figures(name: str) -> None:
    lines = CARD.read_text().splitlines()
    for line in tables(json.loads(RESULTS.read_text()))[name]:
        assert line in lines


def test_the_card_says_what_more_faces_bring() -> None:
    study = json.loads((ROOT / "metrics/studies/real_faces_train_share.json").read_text())
    _, *rows = table("train faces used", CARD.read_text())
    columns = [
        (source, size)
        for source, full in (("fer2013", "48"), ("csv", "100"))
        for size in (full, "20", "13")
    ]
    tenth, third = (study["shares"][share] for share in ("0.1", "0.3333"))
    sources = {
        f"a tenth ({tenth['train_faces']:,})": tenth["by_source"],
        f"a third ({third['train_faces']:,})": third["by_source"],
        "all (24,474)": json.loads(RESULTS.read_text())["by_source"],
    }
    assert [name for name, *_ in rows] == list(sources)
    for (_, *cells), found in zip(rows, sources.values(), strict=True):
        values = [found[source][size] for source, size in columns]
        both = [(one["total_accuracy"], one["mean_class_accuracy"]) for one in values]
        assert cells == [f"{total:.1f} / {by_class:.1f}" for total, by_class in both]


def test_the_shipped_model_is_the_one_that_was_measured(tmp_path: Path) -> None:
    said = json.loads(RESULTS.read_text())["model"]
    session = onnxruntime.InferenceSession(SHIPPED, providers=["CPUExecutionProvider"])
    own = json.loads(session.get_modelmeta().custom_metadata_map["fsr_fer"])
    assert own["provenance"] == said["inputs"]
    assert own["expected_accuracy"] == said["expected_accuracy"]
    assert SHIPPED.stat().st_size < 3_000_000
    write_onnx(SHIPPED.with_suffix(".safetensors"), tmp_path / "model.onnx", own["licence"])
    assert (tmp_path / "model.onnx").read_bytes() == SHIPPED.read_bytes()


def test_the_shipped_model_reads_a_face_as_when_it_was_packed() -> None:
    model = load()
    stored = json.loads((ROOT / "tests/shipped_prediction.json").read_text())
    side = stored["pixels"]
    rows, columns = np.mgrid[:side, :side] / side  # a face of a few strokes
    eyes = np.exp(-(((rows - 0.4) / 0.06) ** 2 + ((abs(columns - 0.5) - 0.2) / 0.08) ** 2))
    bent = rows - 0.75 + 2 * (columns - 0.5) ** 2
    mouth = np.exp(-((bent / 0.05) ** 2)) * (abs(columns - 0.5) < 0.25)
    face = np.uint8(np.rint(200 - 150 * np.maximum(eyes, mouth)))
    (read,) = model.predict([face], channels="gray")
    assert read.pixels == side
    assert read.label == stored["label"]
    for name, value in stored["probabilities"].items():
        assert read.probabilities[name] == pytest.approx(value, abs=1e-3)
