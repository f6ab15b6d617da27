"""How fast imresize is beside other resizers, and by how many pixels they differ from it.

    python benchmarks/resize.py [--quick]

100x100 RGB faces to each of x2..x8 and back, in batches of 1, 64 and 4096, on one core and on two.
Writes benchmarks/resize.json and prints its ratios. Needs the package's own dependencies; of the
peers, OpenCV, resize-right and basicsr are left out with a reason where they are missing:

    pip install opencv-python-headless
    pip install --no-deps resize-right basicsr   (their dependencies would bring a second torch)

Every library gets one thread; on two cores, two such threads share the batch. Beside the wall clock
stands the processor time per face, which other work on the machine disturbs less: the ratios are
taken from it. Methods that take one image at a time and need milliseconds for it are timed on fewer
faces (`faces_timed`).
"""

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import one_thread  # noqa: F401  before what reads its variables

# isort: split

import numpy as np
import torch
from machine import describe_machine, write_results
from PIL import Image, ImageFilter
from skimage.transform import resize as skimage_resize
from timing import in_turns

from fsr_fer import imresize
from fsr_fer.resize import kernel
from fsr_fer.resize.arrays import resize_array
from fsr_fer.resize.job import Job
from fsr_fer.resize.weights import Axis

RESULTS = Path(__file__).with_suffix(".json")
FACTORS = range(2, 9)
BATCHES = (1, 64, 4096)
PACKAGES = (
    "numpy",
    "pillow",
    "torch",
    "scikit-image",
    "opencv-python-headless",
    "resize-right",
    "basicsr",
)

Resizer: TypeAlias = Callable[[np.ndarray, int, float], np.ndarray]
"""(uint8 faces [N, H, W, 3], resulting side, scale) to uint8 [N, side, side, 3]."""


@dataclass(frozen=True)
class Method:
    """A way to resize, and the most faces that one timing may hold."""

    name: str
    resize: Resizer
    most_faces: int


def to_uint8(values: np.ndarray) -> np.ndarray:
    return np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8)


def with_fsr_fer(faces: np.ndarray, side: int, scale: float) -> np.ndarray:
    return imresize(faces, scale) if scale < 1 else imresize(faces, output_shape=(side, side))


def with_numpy(faces: np.ndarray, side: int, scale: float) -> np.ndarray:
    """What imresize does where no compiler was at hand."""
    given = scale if scale < 1 else side / faces.shape[1]
    axis = Axis(faces.shape[1], side, given, True, "symmetric")
    return resize_array(faces, Job(rows=axis, columns=axis, channels=3, dtype="uint8"))


def with_pillow(faces: np.ndarray, side: int, scale: float) -> np.ndarray:
    result = np.empty((len(faces), side, side, 3), np.uint8)
    for i, face in enumerate(faces):
        resized = Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC)
        result[i] = np.asarray(resized)
    return result


def with_torch(faces: np.ndarray, side: int, scale: float) -> np.ndarray:
    batch = torch.from_numpy(faces).permute(0, 3, 1, 2)  # channels last, its fastest layout here
    result = torch.nn.functional.interpolate(
        batch, size=(side, side), mode="bicubic", antialias=True
    )
    return result.permute(0, 2, 3, 1).numpy()


def with_skimage(faces: np.ndarray, side: int, scale: float) -> np.ndarray:
    options: dict[str, Any] = {"order": 3, "anti_aliasing": scale < 1, "preserve_range": True}
    return np.stack([to_uint8(skimage_resize(face, (side, side), **options)) for face in faces])


def opencv_resizer(cv2: ModuleType) -> Resizer:
    cv2.setNumThreads(1)

    def resize(faces: np.ndarray, side: int, scale: float) -> np.ndarray:
        result = np.empty((len(faces), side, side, 3), np.uint8)
        for i, face in enumerate(faces):
            cv2.resize(face, (side, side), dst=result[i], interpolation=cv2.INTER_AREA)
        return result

    return resize


def resize_right_resizer(resize_right: ModuleType) -> Resizer:
    def resize(faces: np.ndarray, side: int, scale: float) -> np.ndarray:
        shape = [len(faces), side, side, 3]
        step = scale if scale < 1 else side / faces.shape[1]
        values = resize_right.resize(
            faces.astype(np.float64), [1, step, step, 1], shape, pad_mode="symmetric"
        )
        return to_uint8(values)

    return resize


def basicsr_resizer(matlab_functions: ModuleType) -> Resizer:
    def resize(faces: np.ndarray, side: int, scale: float) -> np.ndarray:
        images = [matlab_functions.imresize(face / 255.0, scale) for face in faces]
        return to_uint8(np.stack(images)[:, :side, :side] * 255)

    return resize


def load_file(package: str, path: str) -> ModuleType:
    """One module of an installed package without the imports in its ``__init__``."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ImportError(f"No module named {package!r}")
    spec = importlib.util.spec_from_file_location(
        f"{package}_file", Path(found.submodule_search_locations[0]) / path
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def find_methods() -> tuple[list[Method], dict[str, str]]:
    """All methods that can be run here, and why the others cannot."""
    methods = [
        Method("fsr-fer imresize", with_fsr_fer, 4096),
        Method("the same in NumPy alone", with_numpy, 4096),
        Method("Pillow BICUBIC", with_pillow, 4096),
        Method("torch bicubic antialiased", with_torch, 4096),
        Method("scikit-image order 3", with_skimage, 2),
    ]
    skipped = {}
    peers: list[tuple[str, Callable[[], Resizer], int]] = [
        (
            "OpenCV INTER_AREA",
            lambda: opencv_resizer(importlib.import_module("cv2")),
            4096,
        ),
        (
            "resize-right",
            lambda: resize_right_resizer(importlib.import_module("resize_right.resize_right")),
            64,
        ),
        (
            "basicsr matlab_functions",
            lambda: basicsr_resizer(load_file("basicsr", "utils/matlab_functions.py")),
            2,
        ),
    ]
    for name, make, most_faces in peers:
        try:
            methods.append(Method(name, make(), most_faces))
        except ImportError as error:
            skipped[name] = str(error)
    return methods, skipped


def draw_faces(count: int) -> np.ndarray:
    """Smooth blobs, hard edges and a little noise, uint8 [count, 100, 100, 3]."""
    random = np.random.default_rng(0)
    faces = np.empty((count, 100, 100, 3), np.uint8)
    for face in faces:
        coarse = Image.fromarray(random.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((100, 100)).filter(ImageFilter.GaussianBlur(2)))
        top, left = random.integers(10, 60, 2)
        face[:] = np.clip(smooth + random.normal(0, 4, (100, 100, 3)), 0, 255)
        face[top : top + 25, left : left + 30] = random.integers(0, 256, 3)
    return faces


def measure(
    method: Method, faces: np.ndarray, cores: int, factor: int, direction: str
) -> dict[str, Any]:
    """One measurement; the differences are those from imresize."""
    side = -(-100 // factor)
    if direction == "down":
        images, result_side, scale = faces, side, 1 / factor
    else:
        images, result_side, scale = imresize(faces, 1 / factor), 100, 100 / side
    timed = images[: max(method.most_faces, cores)]
    parts = np.array_split(timed, cores)
    with ThreadPoolExecutor(cores) as pool:

        def work() -> list[np.ndarray]:
            if cores == 1:
                return [method.resize(timed, result_side, scale)]
            return list(pool.map(lambda part: method.resize(part, result_side, scale), parts))

        result = np.concatenate(work())
        (best,) = in_turns(work, repeats=5 if len(timed) < 1000 else 2)
    expected = with_fsr_fer(timed, result_side, scale)
    difference = np.abs(result.astype(np.int16) - expected)
    return {
        "method": method.name,
        "cores": cores,
        "batch": len(faces),
        "direction": direction,
        "factor": factor,
        "faces_timed": len(timed),
        "faces_per_second": round(len(timed) / best.wall, 1),
        "processor_us_per_face": round(best.processor / len(timed) * 1e6, 2),
        "different_percent": round(float((difference > 0).mean()) * 100, 3),
        "largest_difference": int(difference.max()),
    }


def run_worker(cores: int, quick: bool) -> dict[str, Any]:
    torch.set_num_threads(1)
    methods, skipped = find_methods()
    faces = draw_faces(64 if quick else max(BATCHES))
    rows = []
    for batch in BATCHES[: 2 if quick else 3]:
        if batch < cores:
            continue
        for direction in ("down", "up"):
            for factor in FACTORS:
                for method in methods:
                    if batch > 64 and method.most_faces <= 64:
                        continue  # timed on these few faces already
                    rows.append(measure(method, faces[:batch], cores, factor, direction))
    return {"rows": rows, "skipped": skipped}


def ratios(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Processor time per face of each method over that of imresize, one core: worst, mean, best."""
    own = {
        (row["batch"], row["direction"], row["factor"]): row["processor_us_per_face"]
        for row in rows
        if row["method"] == "fsr-fer imresize" and row["cores"] == 1
    }
    table: dict[str, list[float]] = {}
    for row in rows:
        if row["cores"] == 1 and row["batch"] >= 64 and row["method"] != "fsr-fer imresize":
            key = (row["batch"], row["direction"], row["factor"])
            name = f"{row['method']}, batch {row['batch']}"
            table.setdefault(name, []).append(row["processor_us_per_face"] / own[key])
    return {
        name: {
            "least": round(min(values), 2),
            "geometric_mean": round(float(np.exp(np.mean(np.log(values)))), 2),
            "most": round(max(values), 2),
        }
        for name, values in table.items()
    }


def main() -> None:
    """Run the workers, one per number of cores, and store what they found."""
    parser = argparse.ArgumentParser(description="Time imresize beside other resizers.")
    parser.add_argument("--quick", action="store_true", help="leave out the batch of 4096")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(run_worker(arguments.worker, arguments.quick)))
        return
    rows: list[dict[str, Any]] = []
    skipped: dict[str, str] = {}
    for cores in (1, 2):
        command = [sys.executable, __file__, "--worker", str(cores)]
        command += ["--quick"] if arguments.quick else []
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        rows += found["rows"]
        skipped |= found["skipped"]
    results = {
        "machine": describe_machine(PACKAGES),
        "compiled": kernel.library() is not None,
        "ratios": ratios(rows),
        "skipped": skipped,
        "rows": rows,
    }
    write_results(RESULTS, results)
    print(json.dumps({key: results[key] for key in ("compiled", "ratios", "skipped")}, indent=1))


if __name__ == "__main__":
    main()
