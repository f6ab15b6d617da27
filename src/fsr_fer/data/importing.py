"""``fsr-fer import``: check all of a user's faces, then pack them into few files under data/raw/.

Nothing is at the target until everything has been checked: the packed files grow in a folder beside
it, which takes its place in the end or vanishes.
"""

from __future__ import annotations

import filecmp
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fsr_fer.data.archive import ZipWriter
from fsr_fer.data.images import PictureError, to_face
from fsr_fer.data.listing import Face, Source, SourceName
from fsr_fer.data.manifest import IMAGE_SIZE, pixel_sha256
from fsr_fer.data.problems import Problem, raise_problems
from fsr_fer.data.sources import IMAGES_ZIP, RAFDB_ZIP, open_source, read_picture
from fsr_fer.errors import UserError
from fsr_fer.files import replacing
from fsr_fer.progress import progress

NEEDED_SPLITS = ("train", "test")


@dataclass(frozen=True, kw_only=True)
class ImportSummary:
    """What was imported; ``notes`` are sentences the user should read."""

    faces: dict[str, int]
    subjects: int
    notes: tuple[str, ...]


def import_faces(
    name: SourceName,
    path: Path,
    target: Path,
    *,
    class_names: tuple[str, ...],
    problems_file: Path,
    force: bool = False,
) -> ImportSummary:
    """Check the faces in ``path`` (folder or zip) and pack them into the folder ``target``.

    The pictures are stored as they came, in one uncompressed zip whose bytes depend on nothing but
    them; the label files are kept beside it. Memory does not grow with the pictures.

    Raises:
        UserError: something is wrong with the data (all of it is listed in ``problems_file``), or
            ``target`` holds another import and ``force`` is false. ``target`` is then untouched.
    """
    source = open_source(name, path, class_names)
    checks = _Checks(source, class_names)
    with replacing(target) as part:
        _pack(source, part, checks)
        checks.finish()
        raise_problems(checks.problems, problems_file, outcome="nothing was imported")
        if target.exists() and not force and not _same_files(target, part):
            raise UserError(
                f"{target} already holds another import, which was left as it is; "
                "add --force to put this one in its place"
            )
    problems_file.unlink(missing_ok=True)  # left by an earlier try
    return ImportSummary(
        faces=dict(Counter(face.split for face in source.faces)),
        subjects=len({face.subject for face in source.faces if face.subject}),
        notes=(*source.notes, *checks.notes()),
    )


class _Checks:
    """What can only be known by looking at every picture, and at all of them together."""

    def __init__(self, source: Source, class_names: tuple[str, ...]) -> None:
        self.problems = list(source.problems)
        self._source = source
        self._class_names = class_names
        self._first_with: dict[str, Face] = {}
        self._other_shapes = 0
        self._smaller = 0

    def unreadable(self, file: str, error: PictureError) -> None:
        allowed = "a picture that opens in a viewer"
        self.problems.append(Problem(file, "file", "", str(error), allowed))

    def face(self, face: Face, rgb: np.ndarray) -> None:
        height, width, _ = rgb.shape
        self._other_shapes += height != width
        self._smaller += min(height, width) < IMAGE_SIZE
        first = self._first_with.setdefault(pixel_sha256(to_face(rgb)), face)
        if first.split != face.split:
            problem = f"is the same picture as {first.file} in {first.split}"
            allowed = "a picture in one split only"
            self.problems.append(Problem(face.file, "split", face.split, problem, allowed))

    def finish(self) -> None:
        """Look for splits without faces and for classes that one of them lacks."""
        found = Counter((face.split, face.label) for face in self._source.faces)
        splits = {split for split, _ in found}
        for split in NEEDED_SPLITS:
            if split not in splits:
                self._lacking("split", split, "has no faces", "train and test with faces")
                continue
            for label, class_name in enumerate(self._class_names):
                if not found[split, label]:
                    allowed = "each class in train and in test"
                    self._lacking("label", class_name, f"has no faces in {split}", allowed)

    def notes(self) -> Iterator[str]:
        if self._other_shapes:
            yield f"pictures that are not square: {self._other_shapes:,}; the middle square counts"
        if self._smaller:
            yield (
                f"pictures smaller than {IMAGE_SIZE}x{IMAGE_SIZE} pixels: {self._smaller:,}; "
                "they are enlarged, so what is called full size is not for them"
            )

    def _lacking(self, field: str, value: str, problem: str, allowed: str) -> None:
        self.problems.append(Problem(self._source.table, field, value, problem, allowed))


def _pack(source: Source, folder: Path, checks: _Checks) -> None:
    folder.mkdir(parents=True)
    for table, content in source.tables.items():
        (folder / table).parent.mkdir(parents=True, exist_ok=True)
        (folder / table).write_bytes(content)
    with ZipWriter(folder / (RAFDB_ZIP if source.name == "rafdb" else IMAGES_ZIP)) as packed:
        for face in progress(source.faces, desc="checking faces"):
            try:
                content, rgb = read_picture(source.pictures, face.file)
            except PictureError as error:
                checks.unreadable(face.file, error)
                continue
            checks.face(face, rgb)
            packed.add(_packed_name(source, face), content)
    for file in source.doubtful:
        try:
            read_picture(source.pictures, file)
        except PictureError as error:
            checks.unreadable(file, error)


def _packed_name(source: Source, face: Face) -> str:
    if source.name == "rafdb":
        return f"aligned/{face.file.rpartition('/')[2]}"
    return face.id


def _same_files(one: Path, other: Path) -> bool:
    """Whether two folders hold the same files with the same bytes."""
    names = [
        sorted(file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file())
        for root in (one, other)
    ]
    return names[0] == names[1] and all(
        filecmp.cmp(one / name, other / name, shallow=False) for name in names[0]
    )
