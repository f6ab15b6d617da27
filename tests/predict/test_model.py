"""Reading faces from Python: values worked out by hand, threads, batches, damaged models."""

import itertools
import json
import math
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from PIL import ExifTags, Image

from fsr_fer.common.errors import UserError
from fsr_fer.predict.detector import Detection
from fsr_fer.predict.model import Model, load
from fsr_fer.predict.results import Box
from tests.predict.conftest import BLUE, GREEN, RED, paint, scene
from tests.predict.models import CLASSES, colour_model, probabilities, save


def test_a_crop_is_read(model: Model, here: Path) -> None:
    (face,) = model.predict(paint(here / "a.png", (135, 110, 120), side=15))
    expected = probabilities(135, 110, 120)
    assert (face.status, face.label, face.pixels) == ("ok", "red", 15)
    assert face.probability == pytest.approx(expected[0], abs=1e-6)
    assert list(face.probabilities) == list(CLASSES)
    assert list(face.probabilities.values()) == pytest.approx(expected, abs=1e-6)
    assert face.expected_accuracy == pytest.approx(0.7)  # half-way from (10, 0.5) to (20, 0.9)
    assert face.uncertain is True  # 0.51, below the 0.55 of the model


def test_options_of_what_is_said(model: Model, here: Path) -> None:
    picture = paint(here / "a.png", (110, 140, 120))
    (face,) = model.predict(picture, top_k=2, min_probability=0.4)
    assert list(face.probabilities) == ["green", "blue"]  # in falling order
    assert face.uncertain is False
    with pytest.raises(ValueError, match="min_face is for pictures in which faces are looked for"):
        model.predict("a.png", faces="crops", min_face=20)
    for wrong in ({"top_k": 0}, {"min_probability": 1.1}, {"batch_size": 0}, {"faces": "all"},
                  {"min_face": 7}, {"min_face": "12"}, {"top_k": 1.5}, {"every": None},
                  {"min_probability": "0.5"}, {"box_form": "corners"}):  # fmt: skip
        ((name, value),) = wrong.items()
        with pytest.raises(ValueError, match=f"{name} is {value!r}; "):
            model.predict(picture, **wrong)  # type: ignore[arg-type]
    (face,) = model.predict(picture, min_probability=np.float64(0.4))
    assert json.loads(json.dumps(face.to_dict()))["uncertain"] is False


def test_boxes_are_cut_from_the_picture(model: Model, here: Path) -> None:
    scene(here / "scene.png")
    boxes = [[(30, 40, 20, 20), (200, 100, 50, 50), (500, 0, 9, 9)], []]
    faces = list(model.predict(["scene.png"] * 2, boxes=boxes, box_form="xywh"))
    assert [face.label for face in faces] == ["red", "blue", None, None]
    assert [face.status for face in faces] == ["ok", "ok", "bad_box", "no_face"]
    assert [face.pixels for face in faces] == [20, 50, None, None]
    assert [face.input for face in faces] == [1, 1, 1, 2]
    corners = [[(30, 40, 50, 60)]]
    (face,) = model.predict("scene.png", boxes=corners, box_form="xyxy")
    assert (face.label, face.box) == ("red", Box(30, 40, 20, 20))
    (entry,) = os.scandir(b".")
    assert next(model.predict(entry)).source == "./scene.png"
    with pytest.raises(ValueError, match="box_form"):
        model.predict("scene.png", boxes=corners)
    keyed = {"x": 30, "y": 40, "width": 20, "height": 20}  # as to_dict has a box
    for wrong in ([(30, 40, 20, 20)], [[(30, 40)]], [[keyed]], [["1234"]]):
        with pytest.raises(ValueError, match="boxes of source 1 are"):
            list(model.predict("scene.png", boxes=wrong, box_form="xywh"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="or of the path of a video"):
        list(model.predict(b"", boxes=[{0: []}], box_form="xywh"))
    for sources, given, ended in ((2, 1, "boxes"), (1, 2, "sources")):
        with pytest.raises(ValueError, match=f"{ended} end after 1; expected boxes for each"):
            list(model.predict(["scene.png"] * sources, boxes=corners * given, box_form="xyxy"))
    (face,) = model.predict("scene.png", boxes=[np.array(corners[0])], box_form="xyxy")
    assert face.box == Box(30, 40, 20, 20)


@pytest.mark.parametrize("kind", [str, object])
def test_a_column_of_paths_is_several_sources(model: Model, here: Path, kind: type) -> None:
    paint(here / "a.png", RED)
    paint(here / "b.png", BLUE)
    paths = np.array(["a.png", "b.png"], kind)  # as a table of pandas gives them
    assert [face.label for face in model.predict(paths)] == ["red", "blue"]


def test_pillows_images_are_read_as_their_files_are(model: Model, here: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (30, 20, 3), np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(rgb).save("turned.png", exif=exif)
    content = (here / "turned.png").read_bytes()
    (here / "cut.png").write_bytes(content[:-400])
    with Image.open("turned.png") as picture, Image.open("cut.png") as cut:
        (whole, bad), files = model.predict([picture, cut]), [*model.predict(["turned.png"])]
        (alone,) = model.predict(picture)
    assert whole == replace(files[0], source="image 1")
    assert alone == whole
    assert (bad.source, bad.status) == ("image 2", "unreadable")
    assert repr(model) == "<Model colours: red, green, blue>"


def test_one_image_of_pillows_may_be_several_sources(
    model: Model, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Image.open(paint(here / "red.png", RED)) as picture:  # its pixels are not read yet
        load_pixels, reading = picture.load, threading.Lock()

        def read_alone() -> Any:
            assert reading.acquire(blocking=False), "two threads read one file"
            time.sleep(0.01)
            try:
                return load_pixels()
            finally:
                reading.release()

        monkeypatch.setattr(picture, "load", read_alone)
        faces = list(model.predict([picture] * 16, boxes=[[(0, 0, 20, 20)]] * 16, box_form="xywh"))
    assert [face.label for face in faces] == ["red"] * 16


def test_results_are_plain_values(model_file: Path) -> None:
    class Unsure:
        def detect(self, rgb: np.ndarray, min_face: int) -> list[Detection]:
            return [Detection(Box(0, 0, 9, 9), math.nan)]

    rgb = np.zeros((300, 300, 3), np.uint8)
    (face,) = set(load(model_file, Unsure()).predict(rgb, channels="rgb"))  # it can be hashed
    assert (face.status, face.to_dict()["score"]) == ("ok", None)


def test_a_detector_that_gives_no_box_is_named(model_file: Path) -> None:
    rgb = np.zeros((300, 300, 3), np.uint8)
    detector = SimpleNamespace(detect=lambda rgb, min_face: [((1, 2, 3), 0.5)])
    with pytest.raises(TypeError, match=r"the detector gave \(1, 2, 3\); expected x, y, width"):
        list(load(model_file, detector).predict(rgb, channels="rgb"))


def test_what_is_no_source_is_named(model: Model, here: Path) -> None:
    paint(here / "a.png", RED)
    with open("a.png", "rb") as file:
        for wrong, number in ((["a.png", file], 2), (file, 1), (bytearray(b"a.png"), 1)):
            kind = type(wrong[-1] if isinstance(wrong, list) else wrong).__name__
            with pytest.raises(TypeError, match=f"source {number} is of type {kind}; expected a"):
                list(model.predict(wrong))  # type: ignore[arg-type]


def test_large_pictures_are_searched_and_tiny_faces_are_not_guessed(
    model: Model, here: Path
) -> None:
    scene(here / "scene.png")
    (face,) = model.predict("scene.png", faces="crops")
    assert (face.status, face.pixels) == ("ok", 240)
    for side, status in ((7, "too_small"), (8, "ok"), (200, "ok"), (201, "no_face")):
        (face,) = model.predict(paint(here / f"{side}.png", RED, side))
        assert face.status == status


class FindsRed:
    """A detector of the scene's red square; it keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def detect(self, rgb: np.ndarray, min_face: int) -> list[Detection]:
        self.asked.append(min_face)
        red = (rgb == RED).all(axis=2).any()
        box = Box(*np.array([30, 40, 20, 20]))  # NumPy's numbers, as detectors have them
        found = [Detection(box, np.float32(0.75)), Detection(Box(0, 0, 5, 5), 0.7)]
        return found * bool(red)


def test_faces_that_a_detector_finds_are_read(model_file: Path, here: Path) -> None:
    scene(here / "scene.png")
    detector = FindsRed()
    model = load(model_file, detector)
    red, tiny = model.predict("scene.png")
    assert (red.status, red.label, red.pixels, red.score) == ("ok", "red", 20, 0.75)
    assert (red.box, tiny.status, tiny.box) == (Box(30, 40, 20, 20), "too_small", Box(0, 0, 5, 5))
    assert json.loads(json.dumps(red.to_dict()))["score"] == 0.75
    (none,) = model.predict(paint(here / "blue.png", BLUE, 50), faces="detect", min_face=12)
    assert (none.status, none.box) == ("no_face", None)
    assert none.message == (  # in words for the command, Python and HTTP alike
        "none of 12 pixels or more was found; if one face fills the picture, "
        "set faces to crops, or give its box"
    )
    large = [np.zeros((1000, width), np.uint8) for width in (2000, 2001)]
    list(model.predict(large, channels="gray"))
    assert detector.asked == [10, 12, 10, 20]
    (crop,) = model.predict(here / "blue.png")
    assert (crop.label, crop.score, len(detector.asked)) == ("blue", None, 4)


def test_arrays_say_the_order_of_their_channels(model: Model) -> None:
    def camera() -> Iterator[np.ndarray]:
        same = np.empty((10, 10, 3), np.uint8)  # used again for the next picture
        for colour in (RED, GREEN, BLUE):
            same[:] = colour
            yield same

    for channels, expected in (("rgb", list(CLASSES)), ("bgr", list(CLASSES)[::-1])):
        assert [face.label for face in model.predict(camera(), channels=channels)] == expected
    array = np.full((20, 20, 3), RED, np.uint8)
    (face,) = model.predict(array[:, :, 0], channels="gray")
    assert face.probability == pytest.approx(1 / 3)
    for wrong, channels, error in (
        (array, None, ValueError),
        (array, "gray", ValueError),
        (array[:, :, :2], "rgb", ValueError),
        (array[:0], "rgb", ValueError),
    ):
        with pytest.raises(error, match="source 1"):
            list(model.predict(wrong, channels=channels))
    with pytest.raises(TypeError, match="source 2 has dtype float64"):
        list(model.predict([array, array / 255], channels="rgb"))


def test_long_inputs_are_read_as_far_as_they_are_asked_for(model: Model) -> None:
    taken = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal taken
        while True:
            taken += 1
            yield np.full((10, 10, 3), BLUE, np.uint8)

    # Arrays are held whole, so they are few, even where the faces in them are known.
    boxes = itertools.repeat([(0, 0, 9, 9)])
    faces = model.predict(endless(), channels="rgb", boxes=boxes, box_form="xywh")
    assert [next(faces).input for _ in range(5)] == [1, 2, 3, 4, 5]
    assert taken <= 44  # 4 for each of at most 8 threads, and for three that wait


def test_the_same_bits_in_every_batch_and_beside_another_thread() -> None:
    model = load()
    draw = np.random.default_rng(1)
    arrays = [draw.integers(0, 256, (s, s, 3), dtype=np.uint8) for s in range(10, 22)]

    def read(batch_size: int) -> list[dict[str, float]]:
        faces = model.predict(arrays, channels="rgb", batch_size=batch_size)
        return [face.probabilities for face in faces]

    expected = read(12)
    assert len({tuple(p.values()) for p in expected}) == 12
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(read, (1, 12, 5)):
            assert found == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "format is 2; this release reads 1"),
        ({"class_names": None}, "class_names"),
        ({"class_names": ["a", "b"]}, "3.*; expected .*float.*any', 2"),
        ({"class_names": ["a", "a", "b"]}, "class_names is"),
        ({"class_names": ["a", "b\n", "c"]}, "class_names is"),
        ({"class_names": [1, 2, 3]}, "class_names is"),
        ({"uncertain_below": 1.1}, "uncertain_below is 1.1"),
        ({"smallest_pixels": 0}, "smallest_pixels is 0"),
        ({"smallest_pixels": "few"}, "few"),
        (
            {"expected_accuracy": {"pixels": [20, 10], "accuracy": [0.5, 0.9]}},
            "expected_accuracy is",
        ),
        ({"expected_accuracy": {"pixels": [10], "accuracy": []}}, "expected_accuracy is"),
        ({"expected_accuracy": {"pixels": [math.nan], "accuracy": [0.5]}}, "expected_accuracy is"),
        ({"expected_accuracy": {"pixels": [10], "accuracy": [1.5]}}, "expected_accuracy is"),
    ],
)
def test_metadata_that_cannot_be_are_named(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    file = save(colour_model(**changes), tmp_path / "m.onnx")
    with pytest.raises(UserError, match=message):
        load(file)


def test_what_is_no_model_of_this_project_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match=r"m\.onnx: the model cannot be read: No such file"):
        load(tmp_path / "m.onnx")
    damaged = colour_model().SerializeToString().replace(b"Softmax", b"Softma\xff")
    for content in (bytes(100), damaged):
        (tmp_path / "m.onnx").write_bytes(content)
        with pytest.raises(UserError, match="is no ONNX"):
            load(tmp_path / "m.onnx")
    assert capsys.readouterr().out == ""
    model = colour_model()
    del model.metadata_props[:]
    with pytest.raises(UserError, match=r"not one of fsr-fer"):
        load(save(model, tmp_path / "m.onnx"))
    for axis in (0, 1):
        model = colour_model()
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = 64
        with pytest.raises(UserError, match=r"inputs and outputs are .*uint8.*64.*expected .*any"):
            load(save(model, tmp_path / "m.onnx"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="'modle' is no model file; for a method of the pipeline"):
        load("modle")


def test_a_model_that_gives_no_probabilities_is_refused(here: Path) -> None:
    model = colour_model()
    model.graph.initializer[-1].float_data[0] = math.nan  # by which logits are divided
    broken = load(save(model, here / "m.onnx"))
    with pytest.raises(UserError, match="gives no probabilities"):
        list(broken.predict(paint(here / "a.png", RED)))


def test_a_model_that_cannot_be_run_is_refused(here: Path) -> None:
    graph = colour_model().graph
    for node in graph.node:
        if node.op_type == "Div":
            node.input[1] = "steps"
    # A table that ends before the face's 20 pixels.
    graph.node.insert(0, onnx.helper.make_node("Gather", ["table", "row"], ["steps"]))
    graph.node.insert(0, onnx.helper.make_node("Cast", ["pixels"], ["row"], to=TensorProto.INT64))
    graph.initializer.append(onnx.numpy_helper.from_array(np.ones((9, 1), np.float32), "table"))
    model = colour_model()
    model.graph.CopyFrom(graph)
    broken = load(save(model, here / "m.onnx"))
    with pytest.raises(UserError, match="the model 'colours' cannot be run: "):
        list(broken.predict(paint(here / "a.png", RED)))
    for wrong, error in (("a\0b", UserError), (b"a.onnx", TypeError)):
        with pytest.raises(error, match="the model"):
            load(wrong)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="the model's name is ''; expected that of a file"):
        load("")


def test_what_stands_before_a_wrong_source_is_read(model: Model) -> None:
    faces = model.predict([np.zeros((9, 9), np.uint8)] * 9 + [None], channels="gray")
    assert [next(faces).input for _ in range(9)] == [*range(1, 10)]
    with pytest.raises(TypeError, match="source 10"):
        next(faces)
