"""A model of colours, and pictures of one colour."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fsr_fer.predict.model import Model, load
from tests.conftest import Run
from tests.predict.models import colour_model, save

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
GREY = (128, 128, 128)
Predict = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(colour_model(), tmp_path_factory.mktemp("model") / "colours.onnx")


@pytest.fixture
def model(model_file: Path) -> Model:
    return load(model_file)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def predict(run: Run, model_file: Path) -> Predict:
    """Run ``fsr-fer predict`` with the model of colours; exit code, stdout, stderr."""
    return lambda *words: run("predict", "--model", model_file, *words)


def rows_of(text: str) -> list[dict[str, str]]:
    """The rows of a CSV table, by column."""
    return list(csv.DictReader(io.StringIO(text)))


def json_rows(predict: Predict, *words: object) -> list[dict[str, Any]]:
    """The rows of a run without mistakes, as it writes them in JSON."""
    code, out, err = predict(*words, "--format", "jsonl")
    assert code == 0, err
    assert "Traceback" not in err
    assert err.count("\n") == 1
    return [json.loads(line) for line in out.splitlines()]


def paint(path: Path, colour: tuple[int, int, int], side: int | tuple[int, int] = 20) -> Path:
    """A picture of one colour."""
    size = (side, side) if isinstance(side, int) else side
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def scene(path: Path) -> np.ndarray:
    """A grey picture, 300 wide and 240 high, with a red square of 20 at (30, 40) and a blue one
    of 50 at (200, 100).
    """
    rgb = np.full((240, 300, 3), 128, np.uint8)
    rgb[40:60, 30:50] = RED
    rgb[100:150, 200:250] = BLUE
    Image.fromarray(rgb).save(path)
    return rgb
