"""Synthetic faces: RAF-DB's layout filled with drawn people.

A face depends on (seed, split, number) alone, so faces can be drawn in any order, and enlarging
one split leaves the faces that were there as they are.
"""

import io
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from fsr_fer.common.errors import UserError
from fsr_fer.common.files import replacing
from fsr_fer.common.progress import progress
from fsr_fer.data.archive import ZipWriter
from fsr_fer.data.settings import SynthesizeSettings
from fsr_fer.data.synthetic.action_units import EXPRESSIONS, draw_action_units
from fsr_fer.data.synthetic.drawing import draw_face
from fsr_fer.data.synthetic.identity import draw_identity

CLASS_NAMES = tuple(EXPRESSIONS)
"""The seven classes, in the order of RAF-DB's labels 1 to 7."""

Split = Literal["train", "test"]

_SPLIT_KEYS: dict[Split, int] = {"train": 0, "test": 1}
_PERSON_KEY, _FACE_KEY = 0, 1
_JPEG_QUALITY = 95


def synthesize(
    directory: Path,
    *,
    settings: SynthesizeSettings,
    class_names: tuple[str, ...],
    seed: int,
) -> None:
    """Write labelled faces in RAF-DB's layout: an existing ``directory`` is replaced at the end.

    ``EmoLabel/list_patition_label.txt`` (name and label, 1 to 7), ``EmoLabel/subject.txt`` (name
    and person; our addition, since here everybody is known) and ``Image/aligned.zip`` with
    ``aligned/<name>_aligned.jpg``, 100x100 RGB. Classes are of equal size (within one face), nobody
    is in both splits, and the same arguments give the same bytes. UserError if ``class_names`` are
    not RAF-DB's seven in order, or a split cannot hold one face of each class.
    """
    _check(settings, class_names)
    counts: dict[Split, int] = {"train": settings.train_faces, "test": settings.test_faces}
    faces: list[tuple[Split, int]] = [(s, i) for s, count in counts.items() for i in range(count)]
    labels, subjects = [], []
    with replacing(directory) as part:
        (part / "EmoLabel").mkdir(parents=True)
        with ZipWriter(part / "Image" / "aligned.zip") as pictures:
            for split, number in progress(faces, desc="drawing faces"):
                name = f"{split}_{number + 1:05d}"
                pixels = synthetic_face(
                    split, number, faces_per_subject=settings.faces_per_subject, seed=seed
                )
                pictures.add(f"aligned/{name}_aligned.jpg", _jpeg(pixels))
                person = number // settings.faces_per_subject + 1
                if split == "test":
                    person += -(-settings.train_faces // settings.faces_per_subject)
                labels.append(f"{name}.jpg {number % len(CLASS_NAMES) + 1}\n")
                subjects.append(f"{name}.jpg person_{person:04d}\n")
        for file, lines in (("list_patition_label.txt", labels), ("subject.txt", subjects)):
            (part / "EmoLabel" / file).write_bytes("".join(lines).encode())


def synthetic_face(split: Split, number: int, *, faces_per_subject: int, seed: int) -> np.ndarray:
    """Face ``number`` (from 0) of a split: uint8 [100, 100, 3] RGB.

    Its expression is ``CLASS_NAMES[number % 7]``, its person the ``number // faces_per_subject``th.
    """
    person_number = number // faces_per_subject
    key = _SPLIT_KEYS[split]
    person = draw_identity(np.random.default_rng([seed, key, _PERSON_KEY, person_number]))
    generator = np.random.default_rng([seed, key, _FACE_KEY, number])
    expression = CLASS_NAMES[number % len(CLASS_NAMES)]
    units = draw_action_units(expression, person.gains, generator)
    return draw_face(person, units, generator)


def _jpeg(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    # Colour at full resolution: halved, it would blur what lies at a scale of a few pixels.
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def _check(settings: SynthesizeSettings, class_names: tuple[str, ...]) -> None:
    if class_names != CLASS_NAMES:
        raise UserError(
            f"dataset.class_names is {list(class_names)}; synthetic faces need exactly "
            f"{list(CLASS_NAMES)}, in this order"
        )
    for key in ("train_faces", "test_faces"):
        if getattr(settings, key) < len(CLASS_NAMES):
            raise UserError(
                f"synthesize.{key} is {getattr(settings, key)}; allowed: {len(CLASS_NAMES)} or "
                "more, one face for each class"
            )
