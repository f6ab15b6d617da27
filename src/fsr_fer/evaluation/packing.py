"""A trained network calibrated for faces of any size, and measured.

Probabilities are calibrated by the face's size and the predicted class: the logits are divided by a
temperature (Guo et al., ICML 2017) that is a smooth function of the number of pixels and has a
factor for each class, fitted on validation faces. The predicted class stays the same. Everything
reported is measured on test faces.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.special import log_softmax, softmax

from fsr_fer.common.settings import FULL_SIZE
from fsr_fer.data.degradations import add, blur, brighten, jpeg, shrink
from fsr_fer.data.face_stream import Faces, batch_size, batches_of, computed
from fsr_fer.evaluation.statistics import (
    expected_calibration_error,
    mean_class_accuracy,
    total_accuracy,
)
from fsr_fer.models.covpool import CovPoolFER, standardise
from fsr_fer.resize import imresize

CENTRE_PIXELS = 25
"""Where the logarithm of the size is 0 in the temperature's formula."""
CALIBRATION_BINS = 15

Coefficients = Mapping[str, Sequence[float] | np.ndarray]
"""Of a temperature: ``classes``, a of each predicted class, and ``size``, b and c."""
Change = Callable[[np.ndarray, int], np.ndarray]
"""Full-size faces [B, 100, 100, 3] and a side -> small faces [B, n, n, 3]."""


def temperature(coefficients: Coefficients, pixels: int) -> np.ndarray:
    """exp(a + b u + c u^2) with u = log(pixels / 25), float64 [K] by predicted class."""
    u = np.log(pixels / CENTRE_PIXELS)
    b, c = coefficients["size"]
    return np.exp(np.array(coefficients["classes"]) + b * u + c * u**2)


def fit_temperature(logits: Mapping[int, np.ndarray], labels: np.ndarray) -> dict[str, list[float]]:
    """The coefficients of ``temperature`` that make ``labels`` most likely.

    That of a class keeps near the classes' mean as far as few faces say otherwise (a normal prior,
    standard deviation 1). ``logits``: float64 [N, K] of the same N faces by their side in pixels.
    """
    from scipy.optimize import minimize

    rows, (_, classes) = np.arange(len(labels)), next(iter(logits.values())).shape

    def loss(values: np.ndarray) -> float:
        coefficients = {"classes": values[:classes], "size": values[classes:]}
        unlikely = [
            -log_softmax(_scaled(own, coefficients, pixels), axis=1)[rows, labels].mean()
            for pixels, own in logits.items()
        ]
        prior = classes * values[:classes].var() / 2
        return float(np.mean(unlikely) + prior / len(labels))

    found = minimize(loss, np.zeros(classes + 2), method="BFGS").x.round(4).tolist()
    return {"classes": found[:classes], "size": found[classes:]}


def bicubic(faces: np.ndarray, pixels: int) -> np.ndarray:
    """Square faces, uint8 [B, h, h, 3] -> [B, pixels, pixels, 3], by ``imresize``."""
    same = faces.shape[1] == pixels
    return faces if same else imresize(faces, output_shape=(pixels, pixels))


def degradations(seed: int) -> dict[str, Change]:
    """Common degradations of small faces, by the name that the model card has.

    The noise is the face's own: it depends on neither batches nor threads.
    """

    def each(change: Callable[[np.ndarray], np.ndarray]) -> Change:
        return lambda faces, pixels: np.stack([change(face) for face in bicubic(faces, pixels)])

    def other(kernel: Any) -> Change:
        return lambda faces, pixels: np.stack([shrink(face, pixels, kernel) for face in faces])

    def boxed(zoom: float, right: float) -> Change:
        """Cut by a box ``zoom`` times as large, moved by a share of its side; edges repeat."""
        side = round(FULL_SIZE * zoom)
        rows = (FULL_SIZE - side) // 2 + np.arange(side)
        columns = (rows + round(right * FULL_SIZE)).clip(0, FULL_SIZE - 1)
        box = rows.clip(0, FULL_SIZE - 1)[:, None], columns

        def change(faces: np.ndarray, pixels: int) -> np.ndarray:
            cut = np.ascontiguousarray(faces[:, *box])
            return bicubic(bicubic(cut, FULL_SIZE), pixels)

        return change

    def noisy(face: np.ndarray) -> np.ndarray:
        generator = np.random.default_rng([seed, zlib.crc32(face.tobytes())])
        return add(face, generator.normal(0, 5, face.shape))

    return {
        "area averaging": other("area"),
        "nearest pixel": other("nearest"),
        "JPEG, quality 30": each(lambda face: jpeg(face, 30)),
        "JPEG, quality 60": each(lambda face: jpeg(face, 60)),
        "JPEG, quality 90": each(lambda face: jpeg(face, 90)),
        "blur, sigma 0.7 pixels": each(lambda face: blur(face, 0.7)),
        "noise, 5 grey levels": each(noisy),
        "half as bright": each(lambda face: brighten(face, 0.5)),
        "1.5 times as bright": each(lambda face: brighten(face, 1.5)),
        "box 15 % too large": boxed(1.15, 0.0),
        "box 15 % too small": boxed(0.85, 0.0),
        "box 15 % too far right": boxed(1.0, 0.15),
        "grey": each(lambda face: np.array(Image.fromarray(face).convert("L").convert("RGB"))),
        "red light": each(lambda face: add(face, face * np.array([0.2, 0, -0.2]))),
    }


def mirrored_logits(network: CovPoolFER, faces: torch.Tensor) -> torch.Tensor:
    """Logits [B, K] of standardised faces [B, 3, H, W]: the mean over each and its mirror image."""
    _, logits = network(faces)
    _, mirrored = network(faces.flip(3))
    return torch.as_tensor((logits + mirrored) / 2)


def logits_of(
    network: CovPoolFER,
    images: np.ndarray,
    rows: np.ndarray,
    pixels: int,
    change: Change,
    device: torch.device,
    desc: str,
) -> np.ndarray:
    """Logits, float64 [N, K], of these faces downsampled by ``change`` and resized to full size.

    They are ``mirrored_logits``.
    """
    network.to(device)

    def compute(faces: torch.Tensor) -> torch.Tensor:
        small = change(faces.cpu().numpy(), pixels)
        values = standardise(torch.from_numpy(bicubic(small, FULL_SIZE)).to(device))
        return mirrored_logits(network, values)

    batches = batches_of(len(rows), batch_size(device, cpu=32, gpu=256))
    made = torch.cat(list(computed(Faces(images, rows), batches, compute, device, desc)))
    return made.to(torch.float64).numpy()


def probabilities(logits: np.ndarray, coefficients: Coefficients, pixels: int) -> np.ndarray:
    """Calibrated probabilities, float64 [N, K], of faces of one size."""
    return np.asarray(softmax(_scaled(logits, coefficients, pixels), axis=1))


def _scaled(logits: np.ndarray, coefficients: Coefficients, pixels: int) -> np.ndarray:
    return logits / temperature(coefficients, pixels)[logits.argmax(axis=1), None]


def measured(
    labels: np.ndarray,
    shares: np.ndarray,
    class_names: Sequence[str],
    uncertain_below: float,
) -> dict[str, Any]:
    """Accuracy and calibration of ``shares`` (probabilities [N, K]) at one size, in percent."""
    predicted, confidence = shares.argmax(axis=1), shares.max(axis=1)
    certain = confidence >= uncertain_below
    right = predicted == labels
    of_certain = round(100 * float(right[certain].mean()), 2) if certain.any() else None
    recall = {
        name: round(100 * float(right[labels == label].mean()), 2)
        for label, name in enumerate(class_names)
        if (labels == label).any()
    }
    return {
        "faces": len(labels),
        "total_accuracy": round(total_accuracy(labels, predicted), 2),
        "mean_class_accuracy": round(mean_class_accuracy(labels, predicted), 2),
        "recall": recall,
        "calibration_error": round(
            expected_calibration_error(labels, predicted, confidence, bins=CALIBRATION_BINS), 2
        ),
        "certain": round(100 * float(certain.mean()), 2),
        "accuracy_of_certain": of_certain,
    }


def expected_accuracy(by_size: Mapping[int, Mapping[str, Any]]) -> dict[str, list[float]]:
    """Accuracy 0 to 1 by pixels, for the model file; pixels ascend, and accuracy never falls."""
    pixels = sorted(by_size)
    accuracy = np.maximum.accumulate([by_size[side]["total_accuracy"] / 100 for side in pixels])
    return {
        "pixels": [float(side) for side in pixels],
        "accuracy": [round(float(value), 4) for value in accuracy],
    }
