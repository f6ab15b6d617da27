"""The exported model beside the network it was made from, and beside an int8 form of itself.

    pip install '.[pipeline]'
    python benchmarks/export.py data/real_faces/dataset

All test faces of the folder, which the stage `dataset` makes, are downsampled to each size that was
calibrated. Of the shipped file and the packed network in torch: the share of equal classes, the
largest difference of a probability. Of the shipped file and its int8 form (onnxruntime's static
quantisation of the convolutions, QDQ, a scale for each channel, calibrated on train faces of all
sizes; 7 bits, since 8 overflow on processors without VNNI): the same share, and the speed of both
on one thread. Writes benchmarks/export.json.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import one_thread  # noqa: F401  before what reads its variables

# isort: split

import numpy as np
from machine import describe_machine, write_results
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

import fsr_fer
from fsr_fer.common.arrays import open_faces
from fsr_fer.data.face_stream import batches_of
from fsr_fer.data.images import to_face
from fsr_fer.data.manifest import read_manifest
from fsr_fer.predict.model import SHIPPED
from fsr_fer.predict.model_file import session_of

SIZES = (100, 48, 34, 25, 20, 17, 15, 13, 10, 8)
TRAIN_FACES = 300
Inputs = dict[str, np.ndarray]


def inputs(images: np.ndarray, rows: np.ndarray, size: int) -> Iterator[Inputs]:
    """What a model file takes: these faces downsampled to ``size``, 64 at a time."""
    for part in batches_of(len(rows), 64):
        faces = np.stack([images[row] for row in rows[part]])
        small = fsr_fer.imresize(faces, output_shape=(size, size))
        full = np.stack([to_face(face) for face in small])
        yield {"faces": full, "pixels": np.full(len(full), size, np.float32)}


class TrainFaces(CalibrationDataReader):
    """The faces whose activations set the scales, as many of each size."""

    def __init__(self, images: np.ndarray, rows: np.ndarray) -> None:
        self.batches = (
            batch
            for number, size in enumerate(SIZES)
            for batch in inputs(images, rows[number :: len(SIZES)], size)
        )

    def get_next(self) -> Inputs | None:
        """The next batch, or None."""
        return next(self.batches, None)


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path, help="what the stage dataset made")
    dataset = parser.parse_args().dataset
    packed = fsr_fer.load(SHIPPED.with_suffix(".safetensors"))
    images = open_faces(dataset / "images.npy")
    manifest = read_manifest(dataset / "manifest.csv", packed.class_names)
    test, train = manifest.rows("test"), manifest.rows("train")
    some = train[np.linspace(0, len(train) - 1, TRAIN_FACES).astype(int)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "int8.onnx"
        quantize_static(
            SHIPPED,
            file,
            TrainFaces(images, some),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            per_channel=True,
            reduce_range=True,
        )
        sessions = {
            "float": session_of(SHIPPED.read_bytes()),
            "int8": session_of(file.read_bytes()),
        }
        megabytes = {"float": SHIPPED.stat().st_size / 1e6, "int8": file.stat().st_size / 1e6}
    sizes, seconds = {}, dict.fromkeys(sessions, 0.0)
    for size in SIZES:
        found: dict[str, list[np.ndarray]] = {"torch": [], "float": [], "int8": []}
        for batch in inputs(images, test, size):
            found["torch"].append(packed.probabilities(batch["faces"], batch["pixels"]))
            for name, session in sessions.items():
                start = time.process_time()
                found[name] += session.run(["probabilities"], batch)
                seconds[name] += time.process_time() - start
        shares = {name: np.concatenate(parts) for name, parts in found.items()}
        labels = {name: values.argmax(axis=1) for name, values in shares.items()}
        sizes[f"{size:03d}"] = {
            "percent_as_torch": round(100 * float((labels["float"] == labels["torch"]).mean()), 2),
            "largest_difference": float(f"{np.abs(shares['float'] - shares['torch']).max():.1e}"),
            "percent_as_int8": round(100 * float((labels["float"] == labels["int8"]).mean()), 2),
        }
    asked = len(SIZES) * len(test)
    results = {
        "machine": describe_machine("numpy", "onnxruntime", "onnx", "torch"),
        "faces": len(test),
        "sizes": sizes,
        "megabytes": {name: round(size, 2) for name, size in megabytes.items()},
        "faces_per_processor_second": {n: round(asked / s) for n, s in seconds.items()},
    }
    write_results(__file__, results)
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
