"""Pictures and files that stand for a user's faces."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fsr_fer.data.dataset import build_dataset
from fsr_fer.data.importing import ImportSummary, import_faces
from fsr_fer.data.manifest import Manifest, read_manifest
from fsr_fer.data.settings import DatasetSettings, SourceName

CLASSES = ("happy", "sad", "angry")


def face_pixels(number: int, size: tuple[int, int] = (100, 100)) -> np.ndarray:
    """A picture that no other number gives: smooth enough to survive JPEG."""
    generator = np.random.default_rng((11, number))
    coarse = generator.integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((size[1], size[0]), Image.Resampling.BICUBIC))


def encoded(picture: np.ndarray | Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The bytes of a picture file."""
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def edit_line(path: Path, number: int, line: str) -> None:
    """Replace one line (counted from 1) of a text file."""
    lines = path.read_text().splitlines()
    lines[number - 1] = line
    path.write_text("\n".join(lines) + "\n")


def run_import(name: SourceName, path: Path, target: Path, **options: Any) -> ImportSummary:
    """Import into ``target``; problems are listed in ``problems.csv`` beside its folder."""
    options |= {"class_names": CLASSES, "problems_file": target.parent.with_name("problems.csv")}
    return import_faces(name, path, target, **options)


def build(source: str, raw: Path, directory: Path, **options: Any) -> Manifest:
    """What the stage ``dataset`` makes of imported faces."""
    values = {"class_names": CLASSES, "validation_fraction": 0.25, "train_share": 1.0}
    values |= {"source": source, "votes": "ferplus", "duplicates": "refuse", **options}
    settings = DatasetSettings(**values)
    build_dataset(raw, directory, settings, seed=5)
    return read_manifest(directory / "manifest.csv", settings.class_names)


def zip_of(folder: Path, target: Path, prefix: str = "") -> Path:
    """A compressed zip of all files below a folder."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                packed.write(file, prefix + file.relative_to(folder).as_posix())
    return target


def _faces(split: str, count: int) -> list[tuple[str, int, np.ndarray]]:
    return [(split, n, face_pixels(n + 100 * (split == "test"))) for n in range(count)]


def write_rafdb(root: Path) -> Path:
    """RAF-DB's layout: per class four train faces and two test faces, labels from 1.

    Test faces come first; the official file is not sorted either.
    """
    for folder in ("EmoLabel", "Image/aligned"):
        (root / folder).mkdir(parents=True)
    lines = []
    for split, number, picture in [*_faces("test", 6), *_faces("train", 12)]:
        name = f"{split}_{number:05d}"
        lines.append(f"{name}.jpg {number % len(CLASSES) + 1}")
        (root / f"Image/aligned/{name}_aligned.jpg").write_bytes(encoded(picture, "JPEG"))
    (root / "EmoLabel/list_patition_label.txt").write_text("\n".join(lines) + "\n")
    return root


def write_csv(root: Path) -> Path:
    """labels.csv and images/: per class four train faces and two test faces of known people."""
    (root / "images").mkdir(parents=True)
    lines = ["image,label,split,subject"]
    for split, number, picture in [*_faces("train", 12), *_faces("test", 6)]:
        name, label = f"{split}{number}.png", CLASSES[number % len(CLASSES)]
        lines.append(f"{name},{label},{split},{split} person {number // len(CLASSES)}")
        (root / "images" / name).write_bytes(encoded(picture))
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


def write_class_folders(root: Path) -> Path:
    """split/class/picture, with a validation split of its own."""
    for position, (split, count) in enumerate((("train", 3), ("val", 1), ("test", 2))):
        for label, name in enumerate(CLASSES):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = face_pixels(100 * position + 10 * label + number)
                (folder / f"{number}.png").write_bytes(encoded(pixels))
    return root
