"""Sources of labelled faces: RAF-DB, a CSV with images, folders per class, FER2013.

Each function lists the faces and all problems with the list; no picture is decoded here. The same
functions read what a user imports and what ``fsr-fer import`` has stored.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from fsr_fer.common.errors import UserError
from fsr_fer.data.archive import Files, FolderFiles, escapes, is_archive, open_files
from fsr_fer.data.fer2013 import VOTE_TABLE, read_fer2013
from fsr_fer.data.images import SUFFIXES
from fsr_fer.data.listing import Source, class_position, rows_of, split_named
from fsr_fer.data.settings import SourceName, VoteRule
from fsr_fer.data.tables import cells, lines, outermost, read_table
from fsr_fer.data.votes import VOTES

RAFDB_TABLE = "EmoLabel/list_patition_label.txt"  # spelt as in the official download
RAFDB_SUBJECTS = "EmoLabel/subject.txt"
RAFDB_ZIP = "Image/aligned.zip"
CSV_TABLE = "labels.csv"
IMAGES_ZIP = "images.zip"

MIRROR_TABLES = ("train_labels.csv", "test_labels.csv")
RAFDB_CLASSES = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
"""Its numbers 1 to 7."""
RAFDB_COUNTS = {
    "train": [1290, 281, 717, 4772, 1982, 705, 2524],
    "test": [329, 74, 160, 1185, 478, 162, 680],
}
"""Faces of the classes 1 to 7; repackings circulate in which test faces are in train."""

ALIGNED = r"([^/]+)_aligned\.jpe?g$"

_CSV_COLUMNS = ("image", "label", "split", "subject")
_CSV_VOTES = tuple(column.casefold() for column in VOTES)


def open_source(
    name: SourceName,
    path: Path,
    class_names: tuple[str, ...],
    numbered_from: int | None = None,
    has_splits: bool = True,
    vote_rule: VoteRule = "ferplus",
    test_part: str | None = None,
) -> Source:
    """List the faces of a source in a folder, a zip or a tar.

    ``numbered_from``: a CSV or folders give classes as numbers, counted from there. Without
    ``has_splits`` every face is a train face. ``vote_rule`` turns votes into labels; ``test_part``
    of FER2013 replaces a missing test part. UserError if ``path`` is no source of this kind.
    """
    table = CSV_TABLE
    if name == "csv" and path.suffix.lower() == ".csv" and path.is_file():
        path, table = path.parent, path.name
    if name == "fer2013" and path.is_file() and not is_archive(path):
        files: Files = FolderFiles(path.parent, (path.name, VOTE_TABLE))
    else:
        files = open_files(path)
    if not files.names and not files.refused:
        raise UserError(f"{path} is empty: no file in it")
    source = Source(name, class_names, str(path), files, numbered_from, vote_rule)
    if name == "csv" or (name == "fer2013" and {CSV_TABLE, IMAGES_ZIP} <= set(files.names)):
        _read_csv(source, table, has_splits)
    elif name == "fer2013":
        read_fer2013(source, has_splits=has_splits, test_part=test_part)
    elif name == "folder":
        _read_folder(source, has_splits)
    else:
        _read_rafdb(source)
    if source.left_out:
        reasons = (f"{count:,} {reason}" for reason, count in source.left_out.most_common())
        source.notes.append(f"faces left out: {', '.join(reasons)}")
    for place in dict.fromkeys((files, source.pictures)):
        for entry, reason in place.refused.items():
            allowed = "names of files inside, once, in UTF-8"
            source.problem(str(place.path), "entry", entry, reason, allowed)
    if not (source.faces or source.problems):
        raise UserError(f"{source.table} lists no faces")
    return source


# RAF-DB


def _read_rafdb(source: Source) -> None:
    files = source.pictures
    source.numbered_from = 1
    name = outermost(files, "list_patition_label.txt", "list_partition_label.txt")
    rows = _mirror_rows(source) if name is None else _official_rows(source, name)
    remedy, packed = "a file there", outermost(files, "aligned.zip")
    if any(re.search(ALIGNED, picture, re.IGNORECASE) for picture in files.names):
        if packed:
            remedy += f"; {packed} beside it is read where no face is unpacked"
    elif packed:
        source.pictures = files.open_zip(packed)
    else:
        raise UserError(
            f"{files.path}: no aligned faces in it; expected {RAFDB_ZIP} or "
            "Image/aligned/*_aligned.jpg"
        )
    by_name: dict[str, str] = {}
    for picture in source.pictures.names:
        if match := re.search(ALIGNED, picture, re.IGNORECASE):
            earlier = by_name.setdefault(match[1], picture)
            if earlier != picture:
                problem = f"is that of {earlier} too"
                source.problem(picture, "name", match[1], problem, "one of them")
    subject_table = PurePosixPath(name or "").parent / "subject.txt"
    subjects = _rafdb_subjects(source, files, str(subject_table), {words[0] for _, words in rows})
    for where, words in rows:
        if len(words) != 2:
            fields = f"has {len(words)} field" + "s" * (len(words) > 1)
            source.problem(where, "line", " ".join(words), fields, "a name and a label")
            continue
        image, value = words
        stem = PurePosixPath(image).stem.removesuffix("_aligned")
        if stem not in by_name:
            problem = f"is not in {source.pictures.path}"
            source.problem(where, "image", f"{stem}_aligned.jpg", problem, remedy)
        split = source.split(where, image.partition("_")[0])
        label = None
        if value.isdecimal():
            label = source.label(where, value)
        else:  # a class's name would be taken for its number below
            source.problem(where, "label", value, "is not a number", "RAF-DB's, 1 to 7")
        if name is None and stem in by_name:  # in folders of a mirror, train/1/
            folders = PurePosixPath(by_name[stem]).parts[-3:-1]
            if folders != (split, value):
                problem = f"is not what its row says, {split}/{value}"
                found = "/".join(folders)
                source.problem(by_name[stem], "folder", found, problem, "one label a picture")
        source.add(where, image, by_name.get(stem), split, label, subjects.get(image, ""))
    left_out = len(by_name) - len(source.faces)
    if left_out > 0:
        source.notes.append(f"{left_out:,} pictures without a label were left out")
    for split, official in RAFDB_COUNTS.items():
        labels = [face.label for face in source.faces if face.split == split]
        counts = np.bincount(np.array(labels, np.int64), minlength=len(official)).tolist()
        if counts != official:
            source.notes.append(
                f"{split} faces of the classes 1 to {len(counts)}: {counts}; RAF-DB has {official}"
            )
    if source.name == "rafdb":
        _name_rafdb_classes(source)


def _name_rafdb_classes(source: Source) -> None:
    """Turn RAF-DB's numbers into positions in the class names, where these are its own."""
    found = [class_position(name, source.class_names, None) for name in RAFDB_CLASSES]
    positions = [position for position in found if position is not None]
    if positions == list(range(len(source.class_names))):
        return
    numbers = range(len(RAFDB_CLASSES))
    if len(set(positions)) == len(numbers) > max((f.label for f in source.faces), default=0):
        source.faces = [replace(face, label=positions[face.label]) for face in source.faces]
    elif any(p not in (None, n) for n, p in zip(numbers, found, strict=True)):
        raise UserError(
            f"dataset.class_names has some of RAF-DB's classes at other places than its numbers "
            f"1 to 7 say, and not all: {', '.join(RAFDB_CLASSES)}; use these names, in any order"
        )
    else:  # in another language, say
        order = ", ".join(f"{number} = {name}" for number, name in enumerate(source.class_names, 1))
        source.notes.append(f"RAF-DB's numbers are taken in the order of class_names: {order}")


def _official_rows(source: Source, name: str) -> list[tuple[str, list[str]]]:
    source.table = PurePosixPath(name).name
    source.tables[RAFDB_TABLE] = read_table(source.pictures, name)
    numbered = lines(source.pictures, name)
    return [(f"{source.table}:{number}", line.split()) for number, line in numbered if line.strip()]


def _mirror_rows(source: Source) -> list[tuple[str, list[str]]]:
    """RAF-DB's mirrors have two tables of image,label; what is stored is the official one."""
    files = source.pictures
    rows: list[tuple[str, list[str]]] = []
    found = [name for table in MIRROR_TABLES if (name := outermost(files, table))]
    if len(found) != len(MIRROR_TABLES):
        raise UserError(
            f"{files.path}: no list_patition_label.txt in it; expected RAF-DB's layout, "
            f"{RAFDB_TABLE} and {RAFDB_ZIP} (or Image/aligned/*_aligned.jpg), or "
            f"{' and '.join(MIRROR_TABLES)} with DATASET/train/1/*_aligned.jpg"
        )
    source.table = " and ".join(MIRROR_TABLES)
    for path in found:
        table = PurePosixPath(path).name
        for number, line in lines(files, path):
            words = " ".join(cells(line, f"{table}:{number}")).split()
            if words and [word.casefold() for word in words] != ["image", "label"]:
                words[0] = re.sub(r"_aligned(?=\.\w+$)", "", words[0])
                rows.append((f"{table}:{number}", words))
    source.tables[RAFDB_TABLE] = "".join(f"{' '.join(words)}\n" for _, words in rows).encode()
    return rows


def _rafdb_subjects(source: Source, files: Files, table: str, names: set[str]) -> dict[str, str]:
    """Who is on the pictures of these names; RAF-DB does not say, synthetic faces have it."""
    subjects: dict[str, str] = {}
    if table not in files.names:
        return subjects
    source.tables[RAFDB_SUBJECTS] = read_table(files, table)
    for number, line in lines(files, table):
        name, *subject = line.split() or [""]
        if name in names and name not in subjects and len(subject) == 1:
            subjects[name] = subject[0]
        elif name:
            allowed = f"a name in {source.table} and its subject, once"
            where = f"{RAFDB_SUBJECTS}:{number}"
            source.problem(where, "line", line.strip(), "cannot be read", allowed)
    return subjects


# CSV


def _read_csv(source: Source, table: str, has_splits: bool) -> None:
    files = source.pictures
    name = outermost(files, table)
    if name is None:
        raise UserError(
            f"{files.path}: no {CSV_TABLE} in it; expected one with the columns "
            f"{','.join(_CSV_COLUMNS)} (subject may be left out), images beside it"
        )
    base = name[: -len(table)]
    missing, allowed = "is missing", "a path from the folder of the table, or from images/ in it"
    if base + IMAGES_ZIP in files.names:
        source.pictures, base = files.open_zip(base + IMAGES_ZIP), ""
        missing = f"is not in {IMAGES_ZIP}"
        allowed = "a path in it; pictures beside it are read where there is no such zip"
    source.table = table
    source.tables[CSV_TABLE] = read_table(files, name)
    known = {
        unicodedata.normalize("NFC", file.removeprefix(base)): file
        for file in source.pictures.names
        if file.startswith(base)
    }
    numbered = lines(files, name)
    first, header = next(numbered, (1, ""))
    if header.strip() == "sep=,":  # Excel's own line
        first, header = next(numbered, (2, ""))
    columns = [c.casefold() for c in cells(header, f"{table}:{first}")]
    voted = "label" not in columns and set(_CSV_VOTES) <= set(columns)
    required = ["image", *["label"] * (not voted), *["split"] * has_splits]
    if absent := [column for column in required if column not in columns]:
        draw = "; --test-fraction 0.2 draws one" if absent[0] == "split" else ""
        raise UserError(
            f"{table}: column {absent[0]!r} is missing; the first line is "
            f"{','.join(columns)!r}, expected {','.join(_CSV_COLUMNS)} (subject is optional){draw}"
        )
    if not has_splits and "split" in columns:
        raise UserError(f"{table} has a column split; leave out --test-fraction, or the column")
    if twice := [column for column in _CSV_COLUMNS if columns.count(column) > 1]:
        raise UserError(f"{table}: column {twice[0]!r} is there {columns.count(twice[0])} times")
    for number, row in rows_of(source, table, columns, numbered):
        if row is None:
            continue
        where, value = f"{table}:{number}", row["image"]
        split = source.split(where, row["split"]) if has_splits else "train"
        votes: tuple[int, ...] = ()
        if voted:
            votes, label = source.voted(where, [row[column] for column in _CSV_VOTES])
        else:
            label = source.label(where, row["label"])
        image = PurePosixPath(unicodedata.normalize("NFC", value.replace("\\", "/"))).as_posix()
        file = known.get(image, known.get(f"images/{image}"))
        if not value:
            source.problem(where, "image", "", "is empty", allowed)
            continue
        if escapes(value):
            problem = "is absolute, or leads out of the folder"
            source.problem(where, "image", value, problem, allowed)
        elif file is None:
            source.problem(where, "image", value, missing, allowed)
        source.add(where, image, file, split, label, row.get("subject", ""), votes)
    known_columns = {*_CSV_COLUMNS, *(_CSV_VOTES if voted else ())}
    if unused := [column for column in columns if column not in known_columns]:
        source.notes.append(f"columns that are not used: {', '.join(map(repr, unused))}")


# Folders


def _read_folder(source: Source, has_splits: bool) -> None:
    if source.pictures.names == (IMAGES_ZIP,):
        source.pictures = source.pictures.open_zip(IMAGES_ZIP)
    names, depth = source.pictures.names, 3 if has_splits else 2
    base = _wrapping_folder(names, depth)
    tops = {name[len(base) :].split("/")[0] for name in names}
    if has_splits and tops and not any(map(split_named, tops)):
        raise UserError(
            f"{source.table} has no folder called train or test; expected split/class/picture. "
            "--test-fraction 0.2 draws a split of class/picture"
        )
    if not has_splits and (named := sorted(filter(split_named, tops))):
        raise UserError(
            f"{source.table} has splits, the folders {', '.join(named)}; leave out --test-fraction"
        )
    splits: dict[str, str | None] = {}
    labels: dict[str, int | None] = {}
    for file in names:
        if not file.startswith(base):  # a README beside the one folder, say
            continue
        parts = PurePosixPath(file[len(base) :]).parts
        if not file.lower().endswith(SUFFIXES):
            if len(parts) == depth:
                allowed = "pictures: " + " ".join(SUFFIXES)
                source.problem(file, "file", "", "is not named like a picture", allowed)
            continue
        if len(parts) not in (depth, depth + 1):
            allowed = "split/class/picture" if has_splits else "class/picture"
            source.problem(file, "file", "", "is not in a folder of split and class", allowed)
            source.doubtful.append(file)
            continue
        split, label, *person, _ = parts if has_splits else ("train", *parts)
        if split not in splits:  # a folder that nobody knows is one problem, not one per picture
            splits[split] = source.split(f"{split}/", split)
        if label not in labels:
            labels[label] = source.label(f"{split}/{label}/", label)
        identity = "/".join(parts)
        source.add(identity, identity, file, splits[split], labels[label], "".join(person))


def _wrapping_folder(names: Sequence[str], depth: int) -> str:
    """The folders that wrap all pictures, as zips often have them, for example ``a/b/``."""
    pictures = [PurePosixPath(name).parts for name in names if name.lower().endswith(SUFFIXES)]
    base = ""
    for level in range(min(map(len, pictures), default=0) - depth):
        if len({parts[level] for parts in pictures}) > 1:
            break
        split, inside = map(split_named, pictures[0][level : level + 2])
        if depth == 3 and split and not inside:  # a split alone, with folders for persons
            break
        base += f"{pictures[0][level]}/"
    return base
