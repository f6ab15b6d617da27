"""Rows that read pictures: the same answers as from stored features, whoever restored the faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from fsr_fer.data.manifest import Manifest
from fsr_fer.downsampling import downsample, restore
from fsr_fer.errors import UserError
from fsr_fer.evaluation import predict
from fsr_fer.face_evaluation import answer_faces, open_test_faces, plain_reader, predict_faces
from fsr_fer.features.extraction import Faces, publish, write_shards
from fsr_fer.features.tables import Layout, StoredTable
from fsr_fer.models.covpool import CovPoolFER, standardise
from fsr_fer.resize import imresize
from fsr_fer.settings import DownsampleSettings
from tests import sections

CPU = torch.device("cpu")
SMALL = DownsampleSettings(form="scale", boundary="symmetric", restore="resize")
SCALES = (2, 6)
NUM_FACES = 110
TEST = np.arange(10, NUM_FACES, 2)


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    test = set(TEST.tolist())
    return Manifest(
        ids=tuple(f"face{i}" for i in range(NUM_FACES)),
        sources=("",) * NUM_FACES,
        splits=tuple("test" if i in test else "train" for i in range(NUM_FACES)),
        labels=np.arange(NUM_FACES) % 3,
        subjects=("",) * NUM_FACES,
        sha256=("",) * NUM_FACES,
        class_names=("a", "b", "c"),
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Full-size faces, small ones of all, and restored ones of the test faces at x6 alone."""
    folder = tmp_path_factory.mktemp("faces")
    coarse = np.random.default_rng(0).integers(0, 256, (NUM_FACES, 20, 20, 3)).astype(np.uint8)
    images = imresize(coarse, output_shape=(100, 100))
    np.save(folder / "images.npy", images)
    for name in ("small", "restored"):
        (folder / name).mkdir()
    for scale in SCALES:
        np.save(folder / f"small/x{scale}.npy", downsample(images, scale, SMALL))
    small = np.load(folder / "small/x6.npy")
    np.save(folder / "restored/x6.npy", restore(small[TEST], 6, SMALL))
    return folder


@pytest.fixture(scope="module")
def network(data: Path) -> CovPoolFER:
    """Untrained, but its classes are all about as likely, so that it does not name just one."""
    torch.manual_seed(0)
    network = CovPoolFER(sections.extractor(), 3).eval().requires_grad_(False)
    _, logits = network(standardise(torch.from_numpy(np.load(data / "images.npy"))))
    network.classifier.logits.bias -= logits.mean(dim=0)
    return network


def opened(data: Path, name: str, manifest: Manifest) -> dict[str, Faces]:
    return open_test_faces(data / "images.npy", data / name, SCALES, manifest, SMALL)


def test_pictures_and_stored_features_give_the_same_answers(
    tmp_path: Path, data: Path, network: CovPoolFER, manifest: Manifest
) -> None:
    faces = opened(data, "small", manifest)
    tables = {}
    layout = Layout(faces=len(TEST), dim=8, dtype="float32", extractor="e", shard_faces=40)
    for column, some in faces.items():
        write_shards(network.extractor, some, tmp_path / column, layout, device=CPU)
        publish(tmp_path / column, layout, tmp_path / f"done/{column}")
        tables[column] = StoredTable(tmp_path / f"done/{column}")
    small = {scale: tables[f"x{scale}"] for scale in SCALES}
    stored = predict(tables["hr"], small, network.classifier, None, CPU)
    read = predict_faces(faces, plain_reader(network), CPU)
    assert list(read) == list(stored) == ["hr", "x2", "x6"]
    for column, answers in stored.items():
        assert len(set(answers.classes.tolist())) > 1
        np.testing.assert_array_equal(read[column].classes, answers.classes)
        np.testing.assert_allclose(read[column].confidence, answers.confidence, atol=1e-5)


def test_restored_test_faces_are_read_as_they_are(
    data: Path, network: CovPoolFER, manifest: Manifest
) -> None:
    small = predict_faces(opened(data, "small", manifest), plain_reader(network), CPU)
    restored = predict_faces(opened(data, "restored", manifest), plain_reader(network), CPU)
    assert list(restored) == ["hr", "x6"]  # the folder has no x2
    for column, answers in restored.items():
        np.testing.assert_array_equal(answers.classes, small[column].classes)
        np.testing.assert_array_equal(answers.confidence, small[column].confidence)


def test_the_network_is_told_how_small_the_faces_were(data: Path, manifest: Manifest) -> None:
    told: dict[int, int] = {}

    def read(faces: Tensor, pixels: int) -> Tensor:
        assert faces.dtype == torch.uint8
        assert faces.shape[1:] == (100, 100, 3)
        told[pixels] = told.get(pixels, 0) + len(faces)
        chosen = torch.full((len(faces),), pixels % 3)
        return torch.nn.functional.one_hot(chosen, 3).float()

    for name, sizes in (("small", {100, 50, 17}), ("restored", {100, 17})):
        told.clear()
        predicted = predict_faces(opened(data, name, manifest), read, CPU)
        assert told == dict.fromkeys(sizes, len(TEST))
        assert set(predicted["x6"].classes) == {17 % 3}


def test_no_face_at_all(network: CovPoolFER) -> None:
    nobody = Faces(np.empty((0, 100, 100, 3), np.uint8), np.arange(0))
    answers = answer_faces(nobody, 100, plain_reader(network), CPU)
    assert (answers.classes.shape, answers.classes.dtype) == ((0,), np.int64)
    assert (answers.confidence.shape, answers.confidence.dtype) == ((0,), np.float64)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((NUM_FACES, 13, 13, 3), "110 faces of 13x13 pixels"),  # all, but of another scale
        ((len(TEST) - 1, 100, 100, 3), "49 faces of 100x100 pixels"),
        ((len(TEST), 17, 17, 3), "50 faces of 17x17 pixels"),  # small, but of the test faces alone
    ],
)
def test_faces_of_something_else_are_refused(
    tmp_path: Path, data: Path, manifest: Manifest, shape: tuple[int, ...], said: str
) -> None:
    np.save(tmp_path / "x6.npy", np.zeros(shape, np.uint8))
    with pytest.raises(UserError, match=rf"x6\.npy holds {said}; expected the 110 faces"):
        open_test_faces(data / "images.npy", tmp_path, SCALES, manifest, SMALL)


def test_a_folder_without_faces_is_refused(tmp_path: Path, data: Path, manifest: Manifest) -> None:
    with pytest.raises(UserError, match=r"has no x2\.npy"):
        open_test_faces(data / "images.npy", tmp_path / "none", SCALES, manifest, SMALL)
