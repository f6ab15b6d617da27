"""Test faces predicted: small ones and ones that somebody restored, at every size there is."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from fsr_fer.common.errors import UserError
from fsr_fer.data.downsampling import downsample, restore
from fsr_fer.data.manifest import Manifest
from fsr_fer.evaluation.class_balance import EvaluateSettings
from fsr_fer.evaluation.methods import Method
from fsr_fer.evaluation.predicting import open_test_faces, predict_test_faces
from fsr_fer.evaluation.predictions import PredictionTable
from fsr_fer.models.covpool import CovPoolFER, standardise
from fsr_fer.models.generator import Generator
from tests import sections
from tests.data.test_downsampling import faces
from tests.report.conftest import build_manifest, save

SMALL = sections.downsample(form="scale", restore="resize")
SCALES = (2, 6)
NUM_FACES = 70
TEST = np.arange(10, NUM_FACES, 2)
MANIFEST = build_manifest(
    ["test" if i in TEST else "train" for i in range(NUM_FACES)], ("a", "b", "c")
)
Predict = Callable[..., PredictionTable]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Full-size faces, small ones of all, and restored ones of the test faces at x6 alone."""
    folder = tmp_path_factory.mktemp("faces")
    images = faces(NUM_FACES)
    save(folder / "images.npy", images)
    for scale in SCALES:
        save(folder / f"small/x{scale}.npy", downsample(images, scale, SMALL))
    small = downsample(images, 6, SMALL)
    save(folder / "restored/x6.npy", restore(small[TEST], 6, SMALL))
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


@pytest.fixture
def predict(data: Path, network: CovPoolFER) -> Predict:
    def predict_faces(
        folder: str,
        manifest: Manifest = MANIFEST,
        generator: Generator | None = None,
        class_balance: float = 0.0,
    ) -> PredictionTable:
        opened = open_test_faces(data / "images.npy", data / folder, SCALES, TEST, SMALL)
        method = Method(network=network, generator=generator)
        balance = EvaluateSettings(class_balance=class_balance)
        return predict_test_faces("mine", method, opened, manifest, balance, torch.device("cpu"))

    return predict_faces


@pytest.mark.parametrize("has_generator", [False, True])
def test_predictions_are_the_networks_most_probable_classes(
    data: Path, network: CovPoolFER, predict: Predict, has_generator: bool
) -> None:
    generator = Generator(sections.generator()).eval() if has_generator else None
    table = predict("small", generator=generator)
    assert list(table.predicted) == list(table.confidence) == ["hr", "x2", "x6"]
    assert table.ids == tuple(f"face{i}" for i in TEST)
    assert table.labels.tolist() == (TEST % 3).tolist()
    for column, classes in table.predicted.items():
        full = np.load(data / "images.npy")[TEST]
        if column != "hr":
            full = restore(np.load(data / f"small/{column}.npy")[TEST], int(column[1:]), SMALL)
        with torch.inference_mode():
            features = network.extractor(standardise(torch.from_numpy(full)))
            if generator is not None and column != "hr":
                features = generator(features[:, None])
            confidence, expected = network.classifier(features)[1].softmax(dim=1).max(dim=1)
        assert generator or len(set(classes.tolist())) > 1
        np.testing.assert_array_equal(classes, expected.numpy())
        np.testing.assert_allclose(table.confidence[column], confidence.numpy(), atol=1e-5)


def test_class_balance_divides_probabilities_by_powers_of_the_train_shares(
    data: Path, network: CovPoolFER, predict: Predict
) -> None:
    train = np.setdiff1d(np.arange(NUM_FACES), TEST)  # 40
    labels = MANIFEST.labels.copy()
    labels[train] = np.repeat([0, 1, 2], [20, 12, 8])
    rare = dataclasses.replace(MANIFEST, labels=labels)
    table = predict("small", rare, class_balance=2.0)
    images = torch.from_numpy(np.load(data / "images.npy")[TEST])
    probabilities = network(standardise(images))[1].softmax(dim=1).numpy()
    expected = probabilities / np.square([20, 12, 8])
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_array_equal(table.predicted["hr"], expected.argmax(axis=1))
    np.testing.assert_allclose(table.confidence["hr"], expected.max(axis=1), atol=1e-5)
    without = predict("small", rare)
    assert (table.predicted["hr"] != without.predicted["hr"]).any()


def test_restored_test_faces_are_read_as_they_are(predict: Predict) -> None:
    small, restored = predict("small"), predict("restored")
    assert list(restored.predicted) == ["hr", "x6"]  # the folder has no x2
    for column in restored.predicted:
        np.testing.assert_array_equal(restored.predicted[column], small.predicted[column])
        np.testing.assert_array_equal(restored.confidence[column], small.confidence[column])


def test_a_method_for_other_classes_is_one_line(predict: Predict) -> None:
    other = dataclasses.replace(MANIFEST, class_names=("c", "b", "a"))
    with pytest.raises(UserError, match=r"^mine was trained on the classes \('a', 'b', 'c'\), "):
        predict("small", other)


def test_a_folder_without_faces_is_refused(tmp_path: Path, data: Path) -> None:
    with pytest.raises(UserError, match=r"has no x2\.npy"):
        open_test_faces(data / "images.npy", tmp_path, SCALES, TEST, SMALL)
