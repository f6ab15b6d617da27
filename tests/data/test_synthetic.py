"""Synthetic faces: what is written, what depends on what. How they are drawn is frozen."""

import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fsr_fer.common.errors import UserError
from fsr_fer.data.settings import SynthesizeSettings
from fsr_fer.data.synthetic.dataset import CLASS_NAMES, synthesize, synthetic_face

SETTINGS = SynthesizeSettings(train_faces=16, test_faces=8, faces_per_subject=3)
LABELS, SUBJECTS = "EmoLabel/list_patition_label.txt", "EmoLabel/subject.txt"


def write(root: Path, seed: int = 0, **changes: Any) -> None:
    class_names = changes.pop("class_names", CLASS_NAMES)
    synthesize(root, settings=replace(SETTINGS, **changes), class_names=class_names, seed=seed)


def test_files_are_those_of_rafdb_as_they_were_when_frozen(tmp_path: Path) -> None:
    write(tmp_path, seed=3)
    files = [str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()]
    assert set(files) == {LABELS, SUBJECTS, "Image/aligned.zip"}
    labels, subjects = (
        dict(map(str.split, (tmp_path / table).read_text().splitlines()))
        for table in (LABELS, SUBJECTS)
    )
    # Train faces, then test faces, of other people.
    assert "".join(labels.values()) == "123456712345671212345671"
    persons = "111222333444555677788899"
    assert list(subjects.values()) == [f"person_000{number}" for number in persons]
    stems = [f"train_{i:05d}" for i in range(1, 17)] + [f"test_{i:05d}" for i in range(1, 9)]
    assert list(labels) == list(subjects) == [f"{stem}.jpg" for stem in stems]
    with zipfile.ZipFile(tmp_path / "Image/aligned.zip") as pictures:
        assert pictures.namelist() == [f"aligned/{stem}_aligned.jpg" for stem in stems]
        for entry in pictures.infolist():
            assert entry.compress_type == zipfile.ZIP_STORED
            image = Image.open(io.BytesIO(pictures.read(entry)))
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (100, 100))


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    names = r"dataset\.class_names is .*'surprise', 'fear'"
    for changes, message in (
        ({"class_names": CLASS_NAMES[::-1]}, names),
        ({"test_faces": 6}, r"synthesize\.test_faces is 6; allowed: 7"),
    ):
        with pytest.raises(UserError, match=message):
            write(tmp_path / "faces", **changes)
        assert not (tmp_path / "faces").exists()


def test_a_face_depends_on_seed_split_and_number_alone() -> None:
    first = synthetic_face("train", 8, faces_per_subject=7, seed=1)
    for split, number, seed in (("test", 8, 1), ("train", 15, 1), ("train", 8, 2)):
        other = synthetic_face(split, number, faces_per_subject=7, seed=seed)
        assert (other != first).mean() > 0.5
    assert (synthetic_face("train", 8, faces_per_subject=7, seed=1) == first).all()


def test_faces_are_drawn_as_they_were_when_frozen() -> None:
    """One number a face, of its means over 10x10 pixels: what moves or fades shows."""
    waves = np.cos(np.arange(100)).reshape(10, 10)
    frozen = (-112.02, -192.98, -32.92, -57.56, -130.77, -55.63, -100.45)
    for number, expected in enumerate(frozen):
        face = synthetic_face("test", number, faces_per_subject=2, seed=4)
        means = face.reshape(10, 10, 10, 10, 3).mean((1, 3, 4))
        assert (means * waves).sum() == pytest.approx(expected, abs=0.05)
