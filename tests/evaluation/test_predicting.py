"""Test faces predicted: small ones and ones that somebody restored, at every size there is."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from fsr_fer.common.errors import UserError
from fsr_fer.data.downsampling import downsample, restore
from fsr_fer.data.face_stream import Faces
from fsr_fer.data.manifest import Manifest
from fsr_fer.data.settings import DownsampleSettings
from fsr_fer.evaluation.methods import Method
from fsr_fer.evaluation.predicting import open_test_faces, predict_test_faces
from fsr_fer.evaluation.predictions import PredictionTable
from fsr_fer.models.covpool import CovPoolFER, standardise
from fsr_fer.resize import imresize
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
        splits=tuple("test" if i in test else "train" for i in range(NUM_FACES)),
        labels=np.arange(NUM_FACES) % 3,
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
    network.class_names = ("a", "b", "c")
    return network


def opened(data: Path, name: str, manifest: Manifest) -> dict[str, Faces]:
    return open_test_faces(data / "images.npy", data / name, SCALES, manifest, SMALL)


def predicted(network: CovPoolFER, faces: dict[str, Faces], manifest: Manifest) -> PredictionTable:
    return predict_test_faces("mine", Method(network=network), faces, manifest, CPU)


def test_predictions_are_the_networks_most_probable_classes(
    data: Path, network: CovPoolFER, manifest: Manifest
) -> None:
    table = predicted(network, opened(data, "small", manifest), manifest)
    assert list(table.predicted) == list(table.confidence) == ["hr", "x2", "x6"]
    assert table.ids == tuple(f"face{i}" for i in TEST)
    assert table.labels.tolist() == (TEST % 3).tolist()
    images = np.load(data / "images.npy")[TEST]
    for column, classes in table.predicted.items():
        full = images
        if column != "hr":
            scale = int(column[1:])
            full = restore(np.load(data / f"small/{column}.npy")[TEST], scale, SMALL)
        _, logits = network(standardise(torch.from_numpy(full)))
        confidence, expected = logits.softmax(dim=1).max(dim=1)
        assert len(set(classes.tolist())) > 1
        np.testing.assert_array_equal(classes, expected.numpy())
        np.testing.assert_allclose(table.confidence[column], confidence.numpy(), atol=1e-5)


def test_restored_test_faces_are_read_as_they_are(
    data: Path, network: CovPoolFER, manifest: Manifest
) -> None:
    small = predicted(network, opened(data, "small", manifest), manifest)
    restored = predicted(network, opened(data, "restored", manifest), manifest)
    assert list(restored.predicted) == ["hr", "x6"]  # the folder has no x2
    for column in restored.predicted:
        np.testing.assert_array_equal(restored.predicted[column], small.predicted[column])
        np.testing.assert_array_equal(restored.confidence[column], small.confidence[column])


def test_the_method_is_told_how_small_the_faces_were(
    data: Path, network: CovPoolFER, manifest: Manifest
) -> None:
    told: dict[int, int] = {}

    class Telling(Method):
        def logits(self, faces: Tensor, pixels: int) -> Tensor:
            assert faces.dtype == torch.uint8
            assert faces.shape[1:] == (100, 100, 3)
            told[pixels] = told.get(pixels, 0) + len(faces)
            chosen = torch.full((len(faces),), pixels % 3)
            return torch.nn.functional.one_hot(chosen, 3).float()

    for name, sizes in (("small", {100, 50, 17}), ("restored", {100, 17})):
        told.clear()
        faces = opened(data, name, manifest)
        table = predict_test_faces("mine", Telling(network=network), faces, manifest, CPU)
        assert told == dict.fromkeys(sizes, len(TEST))
        assert set(table.predicted["x6"]) == {17 % 3}


def test_a_method_for_other_classes_is_one_line(
    data: Path, network: CovPoolFER, manifest: Manifest
) -> None:
    other = dataclasses.replace(manifest, class_names=("c", "b", "a"))
    with pytest.raises(
        UserError, match=r"^mine was trained on the classes \('a', 'b', 'c'\), not "
    ):
        predicted(network, opened(data, "small", manifest), other)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((NUM_FACES, 13, 13, 3), "110 faces of 13 pixels; expected 110 of 17"),  # another scale
        ((len(TEST) - 1, 100, 100, 3), "49 faces of 100 pixels; expected 50 of 100"),
        ((len(TEST), 17, 17, 3), "50 faces of 17 pixels; expected 110 of 17"),  # test faces alone
    ],
)
def test_faces_of_something_else_are_refused(
    tmp_path: Path, data: Path, manifest: Manifest, shape: tuple[int, ...], message: str
) -> None:
    np.save(tmp_path / "x6.npy", np.zeros(shape, np.uint8))
    with pytest.raises(UserError, match=rf"x6\.npy holds {message}"):
        open_test_faces(data / "images.npy", tmp_path, SCALES, manifest, SMALL)


def test_a_folder_without_faces_is_refused(tmp_path: Path, data: Path, manifest: Manifest) -> None:
    with pytest.raises(UserError, match=r"has no x2\.npy"):
        open_test_faces(data / "images.npy", tmp_path / "none", SCALES, manifest, SMALL)
