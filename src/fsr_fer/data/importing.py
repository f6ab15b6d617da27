"""``fsr-fer import``: check all of a user's faces, then pack them into few files under data/raw/.

The packed files are written to a temporary folder, which replaces the target if all is well.
"""

import filecmp
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from fsr_fer.common.errors import UserError
from fsr_fer.common.files import replacing, write_csv
from fsr_fer.common.progress import progress
from fsr_fer.common.settings import FULL_SIZE
from fsr_fer.data.archive import ZipWriter
from fsr_fer.data.dataset import hold_out, pixels_of, without_duplicates
from fsr_fer.data.images import to_face
from fsr_fer.data.listing import NOBODY, Face, Source
from fsr_fer.data.manifest import pixel_sha256
from fsr_fer.data.settings import Duplicates, SourceName, VoteRule
from fsr_fer.data.sources import ALIGNED, CSV_TABLE, IMAGES_ZIP, RAFDB_ZIP, open_source
from fsr_fer.data.votes import VOTES

NEARLY_BLACK = 32
TABLED = ("csv", "fer2013")
"""Sources that are stored as a table and the pictures that it names."""


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
    numbered_from: int | None = None,
    test_fraction: float | None = None,
    subject_from: str | None = None,
    seed: int = 0,
    votes: VoteRule = "ferplus",
    duplicates: Duplicates = "refuse",
    test_part: str | None = None,
    one_of_several: bool = False,
    is_import: bool = True,
) -> ImportSummary:
    """Check the faces in ``path`` (folder, zip or tar) and pack them into the folder ``target``.

    Pictures are stored as they came. Faces without splits get a test split of ``test_fraction``,
    drawn with ``seed``, with each person in one split; ``subject_from`` is a pattern whose group in
    a picture's name is the person. ``numbered_from`` and ``test_part`` are those of
    ``open_source``. Checked are the faces that the stage ``dataset`` will use by ``votes`` and
    ``duplicates``; all are stored, so that another rule needs no new import. With
    ``one_of_several`` other sources may have the classes that are missing.

    UserError, and an untouched ``target``, if something is wrong with the data (all of it is listed
    in ``problems_file``), or ``target`` holds another import and ``force`` is false, or anything
    else that is not an import (``is_import``).
    """
    has_splits = test_fraction is None
    as_read = has_splits and numbered_from is None and subject_from is None
    if name == "rafdb" and not as_read:
        raise UserError("RAF-DB's list has splits, numbers and persons; leave out these options")
    if name == "fer2013" and (numbered_from is not None or subject_from is not None):
        raise UserError("FER2013 has its own numbers, and knows nobody; leave out these options")
    if test_part and (name != "fer2013" or not has_splits):
        raise UserError("--test names a part of FER2013; leave it out, or --test-fraction")
    source = open_source(name, path, class_names, numbered_from, has_splits, votes, test_part)
    if subject_from is not None:
        _find_subjects(source, subject_from)
    if test_fraction is not None:
        for faces in (source.faces, source.undecided):  # these have labels by another rule
            for position in hold_out(faces, test_fraction, seed, pixels_of(source, faces)):
                faces[position] = replace(faces[position], split="test")
    if numbered_from is not None:
        numbers = enumerate(class_names, start=numbered_from)
        source.notes.append(", ".join(f"{number} = {label}" for number, label in numbers))
    with replacing(target) as part:
        _pack(source, part, as_read and name != "fer2013", duplicates)
        _check_classes(source, has_splits, every_class=not one_of_several)
        source.raise_problems(problems_file, "nothing was imported")
        if target.exists() and not (force and is_import) and not _same_files(target, part):
            found, remedy = "is no import", "move it elsewhere"
            if is_import:
                found, remedy = "already holds another import", "--force puts this one in its place"
            raise UserError(f"{target} {found} and was left as it is; {remedy}")
    problems_file.unlink(missing_ok=True)  # left by an earlier try
    return ImportSummary(
        faces=dict(Counter(face.split for face in source.faces)),
        subjects=len({face.subject for face in source.faces if face.subject}),
        notes=tuple(source.notes),
    )


def _find_subjects(source: Source, pattern: str) -> None:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(f"--subject-from {pattern!r}: {error}") from None
    if compiled.groups != 1:
        raise UserError(f"--subject-from {pattern!r}: expected one group, as in '([^_]+)_'")
    if any(face.subject for face in source.faces):
        raise UserError(f"{source.table} says who is who; leave out --subject-from")
    for faces in (source.faces, source.undecided):
        for position, face in enumerate(faces):
            found = compiled.search(face.file.rpartition("/")[2])
            subject = unicodedata.normalize("NFC", (found[1] or "").strip()) if found else ""
            if subject.casefold() in NOBODY or subject.startswith("."):  # a hidden folder
                allowed = "a name that has one in all pictures"
                source.problem(face.file, "subject", subject, f"is none by {pattern}", allowed)
            faces[position] = replace(face, subject=subject)


def _pack(source: Source, folder: Path, as_read: bool, duplicates: Duplicates) -> None:
    """Write label files and pictures; note the problems that only decoded pictures show.

    All are stored; with ``duplicates`` "drop" the source keeps the faces that will be used.
    """
    folder.mkdir(parents=True)
    for table, content in source.tables.items():
        (folder / table).parent.mkdir(parents=True, exist_ok=True)
        (folder / table).write_bytes(content)
    if source.name in TABLED and not as_read:
        _write_table(source, folder / CSV_TABLE)
    pixels: list[str] = []
    first_with: dict[str, Face] = {}
    not_square = smaller = equal = 0
    dark: list[str] = []
    taken: set[str] = set()
    with ZipWriter(folder / (RAFDB_ZIP if source.name == "rafdb" else IMAGES_ZIP)) as packed:
        for face in progress(source.faces, desc="checking faces"):
            picture = source.read(face.file)
            if picture is None:
                pixels.append("")
                continue
            content, rgb = picture
            height, width, _ = rgb.shape
            not_square += height != width
            smaller += min(height, width) < FULL_SIZE
            if rgb.max() < NEARLY_BLACK:
                dark.append(f"{face.file} ({rgb.max()})")
            pixels.append(pixel_sha256(to_face(rgb)))
            first = first_with.setdefault(pixels[-1], face)
            if duplicates == "refuse" and first.split != face.split:
                problem = f"is the same picture as {first.file} in {first.split}"
                allowed = "a picture in one split only; dataset.duplicates: drop keeps one of two"
                source.problem(face.file, "split", face.split, problem, allowed)
            elif duplicates == "refuse" and first.label != face.label:
                label, other = (source.class_names[f.label] for f in (face, first))
                problem = f"is the label of the same picture as {first.file}, which is {other}"
                source.problem(face.file, "label", label, problem, "one label a picture")
            equal += first is not face
            packed.add(_packed_name(source, face, as_read, taken), content)
        for face in source.undecided:
            if picture := source.read(face.file):
                packed.add(_packed_name(source, face, as_read, taken), picture[0])
    if duplicates == "drop":
        kept, left_out = without_duplicates(source.faces, pixels)
        source.faces = [source.faces[position] for position in kept]
        reasons = [f"{count:,} {reason}" for reason, count in left_out.most_common()]
        if reasons:
            source.notes.append(f"equal pictures left out: {', '.join(reasons)}")
    for file in source.doubtful:
        source.read(file)
    if not_square:
        note = f"pictures that are not square: {not_square:,}; the middle square counts"
        source.notes.append(note)
    if equal and duplicates == "refuse":
        source.notes.append(f"pictures of the same pixels as another one: {equal:,}")
    if dark:
        source.notes.append(
            f"nearly black pictures: {len(dark):,}, the first {dark[0]} at its brightest of 255; "
            "so come 12-bit values in 16-bit files"
        )
    if smaller:
        note = f"pictures smaller than {FULL_SIZE} pixels: {smaller:,}; they are enlarged"
        source.notes.append(note)


def _write_table(source: Source, path: Path) -> None:
    """Write the table that the CSV source reads; with votes in place of labels if there are any."""
    voted = any(face.votes for face in (*source.faces, *source.undecided))
    rows: list[tuple[object, ...]] = []
    for face in (*source.faces, *source.undecided):
        labels = face.votes if voted else (source.class_names[face.label],)
        rows.append((face.id, *labels, face.split, face.subject))
    labels_in = VOTES if voted else ("label",)
    write_csv(path, ("image", *labels_in, "split", "subject"), rows)


def _check_classes(source: Source, has_splits: bool, every_class: bool) -> None:
    """Look for splits without faces and for classes that one of them lacks."""
    found = Counter((face.split, face.label) for face in source.faces)
    splits_found = {face.split for face in source.faces}
    for split in ("train", "test"):
        if split not in splits_found:
            allowed = "train and test with faces, each person in one of them"
            if has_splits and splits_found == {"train"} and source.name in ("csv", "folder"):
                allowed += "; --test-fraction 0.2 draws a test split"
            source.problem(source.table, "split", split, "has no faces", allowed)
            continue
        for label, class_name in enumerate(source.class_names):
            if every_class and not found[split, label]:
                problem, allowed = f"has no faces in {split}", "each class in train and in test"
                source.problem(source.table, "label", class_name, problem, allowed)

    splits: dict[str, str] = {}
    for face in (face for face in source.faces if face.subject):
        other = splits.setdefault(face.subject, face.split)
        if other != face.split:
            problem, allowed = f"is in {other} and in {face.split}", "each person in one split"
            source.problem(face.file, "subject", face.subject, problem, allowed)


def _packed_name(source: Source, face: Face, as_read: bool, taken: set[str]) -> str:
    """A picture's name in the zip, numbered if taken: two folders of pictures may be one class."""
    name = face.file.rpartition("/")[2]
    if source.name == "rafdb":
        name = re.sub(ALIGNED, r"aligned/\1_aligned.jpg", name, flags=re.IGNORECASE)
    elif source.name in TABLED or as_read:
        name = face.id
    else:
        person = [face.subject] if face.subject else []
        name = "/".join([face.split, source.class_names[face.label], *person, name])
    stem, dot, suffix = name.rpartition(".")
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{stem}-{number}{dot}{suffix}"
    taken.add(free)
    return free


def _same_files(one: Path, other: Path) -> bool:
    """Whether two folders hold the same files with the same bytes."""
    names, others = (
        sorted(str(file.relative_to(root)) for file in root.rglob("*") if file.is_file())
        for root in (one, other)
    )
    return names == others and filecmp.cmpfiles(one, other, names, shallow=False)[0] == names
