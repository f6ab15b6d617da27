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
import functools
import importlib.metadata
import json
import runpy
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import one_thread  # noqa: F401  before what reads its variables

# isort: split

import numpy as np
import torch
from machine import describe_machine, write_results
from PIL import Image, ImageFilter
from skimage.transform import resize as skimage_resize
from timing import in_own_process, in_turns

from fsr_fer import imresize
from fsr_fer.resize import kernel
from fsr_fer.resize.arrays import resize_array
from fsr_fer.resize.job import Job
from fsr_fer.resize.weights import Axis

FACTORS = range(2, 9)
BATCHES = (1, 64, 4096)
PACKAGES = ("numpy", "pillow", "torch", "scikit-image")
PACKAGES += ("opencv-python-headless", "resize-right", "basicsr")

Resizer: TypeAlias = Callable[[np.ndarray, int, float], np.ndarray]
"""(uint8 faces [N, H, W, 3], resulting side, scale) to uint8 [N, side, side, 3]."""


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


def with_opencv(faces: np.ndarray, side: int, scale: float) -> np.ndarray:
    import cv2

    cv2.setNumThreads(1)
    result = np.empty((len(faces), side, side, 3), np.uint8)
    for i, face in enumerate(faces):
        cv2.resize(face, (side, side), dst=result[i], interpolation=cv2.INTER_AREA)
    return result


def with_resize_right(faces: np.ndarray, side: int, scale: float) -> np.ndarray:
    from resize_right import resize_right

    shape = [len(faces), side, side, 3]
    step = scale if scale < 1 else side / faces.shape[1]
    values = resize_right.resize(
        faces.astype(np.float64), [1, step, step, 1], shape, pad_mode="symmetric"
    )
    return to_uint8(values)


@functools.cache
def basicsr_imresize() -> Callable[[np.ndarray, float], np.ndarray]:
    """Basicsr's function without the imports of its package."""
    package = importlib.metadata.distribution("basicsr")
    path = package.locate_file("basicsr/utils/matlab_functions.py")
    found: Callable[[np.ndarray, float], np.ndarray] = runpy.run_path(str(path))["imresize"]
    return found


def with_basicsr(faces: np.ndarray, side: int, scale: float) -> np.ndarray:
    images = [basicsr_imresize()(face / 255.0, scale) for face in faces]
    return to_uint8(np.stack(images)[:, :side, :side] * 255)


METHODS: dict[str, tuple[Resizer, int]] = {
    "fsr-fer imresize": (with_fsr_fer, 4096),
    "the same in NumPy alone": (with_numpy, 4096),
    "Pillow BICUBIC": (with_pillow, 4096),
    "torch bicubic antialiased": (with_torch, 4096),
    "scikit-image order 3": (with_skimage, 2),
    "OpenCV INTER_AREA": (with_opencv, 4096),
    "resize-right": (with_resize_right, 64),
    "basicsr matlab_functions": (with_basicsr, 2),
}
"""Ways to resize, and the most faces that one timing of each may hold."""


def missing_methods() -> dict[str, str]:
    """Why methods that cannot be run here cannot."""
    missing = {}
    for name, (resize, _) in METHODS.items():
        try:
            resize(np.zeros((1, 100, 100, 3), np.uint8), 50, 0.5)
        except ImportError as error:
            missing[name] = str(error)
    return missing


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
    method: str, faces: np.ndarray, cores: int, factor: int, direction: str
) -> dict[str, Any]:
    """One measurement; the differences are those from imresize."""
    resize, most_faces = METHODS[method]
    side = -(-100 // factor)
    if direction == "down":
        images, result_side, scale = faces, side, 1 / factor
    else:
        images, result_side, scale = imresize(faces, 1 / factor), 100, 100 / side
    timed = images[: max(most_faces, cores)]
    parts = np.array_split(timed, cores)
    with ThreadPoolExecutor(cores) as pool:

        def work() -> list[np.ndarray]:
            if cores == 1:
                return [resize(timed, result_side, scale)]
            return list(pool.map(lambda part: resize(part, result_side, scale), parts))

        result = np.concatenate(work())
        (best,) = in_turns(work, repeats=5 if len(timed) < 1000 else 2)
    expected = with_fsr_fer(timed, result_side, scale)
    difference = np.abs(result.astype(np.int16) - expected)
    return {
        "method": method,
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


def measure_all(cores: int, methods: Iterable[str], batches: Sequence[int]) -> list[dict[str, Any]]:
    """Every measurement on so many cores."""
    torch.set_num_threads(1)
    faces = draw_faces(max(batches))
    return [
        measure(method, faces[:batch], cores, factor, direction)
        for batch in batches
        if batch >= cores
        for direction in ("down", "up")
        for factor in FACTORS
        for method in methods
        # In a batch of 4096, those that take at most 64 would be timed on these few again.
        if batch <= 64 or METHODS[method][1] > 64
    ]


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
    """Measure in a process per number of cores, and store what is found."""
    parser = argparse.ArgumentParser(description="Time imresize beside other resizers.")
    parser.add_argument("--quick", action="store_true", help="leave out the batch of 4096")
    batches = BATCHES[:-1] if parser.parse_args().quick else BATCHES
    skipped = missing_methods()
    methods = [name for name in METHODS if name not in skipped]
    rows = []
    for cores in (1, 2):
        rows += in_own_process(measure_all, cores, methods, batches)
    results = {
        "machine": describe_machine(*PACKAGES),
        "compiled": kernel.library() is not None,
        "ratios": ratios(rows),
        "skipped": skipped,
        "rows": rows,
    }
    write_results(__file__, results)
    print(json.dumps({key: results[key] for key in ("compiled", "ratios", "skipped")}, indent=1))


if __name__ == "__main__":
    main()
