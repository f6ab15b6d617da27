"""Labelled faces as people have them: RAF-DB's layout, a CSV with images, or folders per class.

Each reader lists the faces and everything that is wrong with the list; no picture is decoded here.
The same readers serve what a user imports and what ``fsr-fer import`` packed under data/raw/.
"""

import csv
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from fsr_fer.common.errors import UserError
from fsr_fer.data.archive import Files, UnreadableFileError, escapes, open_files
from fsr_fer.data.images import SUFFIXES
from fsr_fer.data.listing import Source, SourceName

RAFDB_TABLE = "EmoLabel/list_patition_label.txt"  # spelt as in the official download
RAFDB_SUBJECTS = "EmoLabel/subject.txt"
RAFDB_ZIP = "Image/aligned.zip"
CSV_TABLE = "labels.csv"
IMAGES_ZIP = "images.zip"

ALIGNED = r"([^/]+)_aligned\.jpe?g$"

_TABLE_NAMES = ("list_patition_label.txt", "list_partition_label.txt")
_CSV_REQUIRED = ("image", "label", "split")
_CSV_COLUMNS = (*_CSV_REQUIRED, "subject")


def open_source(
    name: SourceName,
    path: Path,
    class_names: tuple[str, ...],
    *,
    numbered_from: int | None = None,
    has_splits: bool = True,
) -> Source:
    """List the faces of a source in a folder or a zip.

    ``numbered_from`` says that a CSV or folders name classes by numbers, counted from there.
    Without ``has_splits`` there is no split in them: every face is a train face.

    Raises:
        UserError: ``path`` is missing, empty, no folder or zip, or holds no source of this kind.
    """
    if name == "csv":
        source = _read_csv(path, class_names, numbered_from, has_splits)
    elif name == "folder":
        source = _read_folder(path, class_names, numbered_from, has_splits)
    else:
        source = _read_rafdb(name, path, class_names)
    if not (source.faces or source.problems):
        raise UserError(f"{source.table} lists no faces")
    return source


# RAF-DB -------------------------------------------------------------------------------------------


def _read_rafdb(name: SourceName, path: Path, class_names: tuple[str, ...]) -> Source:
    files = _open_not_empty(path)
    tables, table_path = _rafdb_tables(files)
    pictures = _rafdb_pictures(files)
    table = PurePosixPath(table_path).name
    source = Source(
        name=name,
        class_names=class_names,
        table=table,
        pictures=pictures,
        tables=tables,
        numbered_from=1,
    )
    by_name: dict[str, str] = {}
    for picture in pictures.names:
        if match := re.search(ALIGNED, picture, re.IGNORECASE):
            earlier = by_name.setdefault(match[1], picture)
            if earlier != picture:
                source.problem(
                    picture, "name", match[1], f"is that of {earlier} too", "one of them"
                )
    _note_refused(source, files)
    subjects = _rafdb_subjects(source, tables.get(RAFDB_SUBJECTS))
    for number, line in enumerate(_lines(tables[RAFDB_TABLE], table_path), start=1):
        where, words = f"{table}:{number}", line.split()
        if not words:
            continue
        if len(words) != 2:
            fields = f"has {len(words)} field" + "s" * (len(words) > 1)
            source.problem(where, "line", line.strip(), fields, "a name and a label")
            continue
        image, value = words
        stem = PurePosixPath(image).stem.removesuffix("_aligned")
        if stem not in by_name:
            missing = f"{stem}_aligned.jpg"
            source.problem(where, "image", missing, f"is not in {pictures.path}", "a file there")
        split = source.split(where, image.partition("_")[0])
        label = source.label(where, value)
        subject = subjects.pop(image, "")
        source.add(where, image, by_name.get(stem), split, label, subject)
    for image in subjects:
        source.problem(RAFDB_SUBJECTS, "name", image, f"is not in {table}", "its names")
    left_out = len(by_name) - len(source.faces)
    if left_out > 0:
        source.notes.append(f"{left_out:,} pictures without a label were left out")
    return source


def _rafdb_tables(files: Files) -> tuple[dict[str, bytes], str]:
    """The label table and, if there is one, the subject table beside it; and the table's name."""
    inside = [name for name in files.names if PurePosixPath(name).name in _TABLE_NAMES]
    if not inside:
        raise UserError(
            f"{files.path}: no {_TABLE_NAMES[0]} in it; expected RAF-DB's layout, "
            f"{RAFDB_TABLE} and {RAFDB_ZIP} (or Image/aligned/*_aligned.jpg)"
        )
    name = _outermost(inside)
    tables = {RAFDB_TABLE: _read_table(files, name)}
    subjects = (PurePosixPath(name).parent / "subject.txt").as_posix()
    if subjects in files.names:
        tables[RAFDB_SUBJECTS] = _read_table(files, subjects)
    return tables, name


def _rafdb_pictures(files: Files) -> Files:
    if any(re.search(ALIGNED, name, re.IGNORECASE) for name in files.names):
        return files
    inner = [name for name in files.names if PurePosixPath(name).name == "aligned.zip"]
    if inner:
        return files.open_zip(_outermost(inner))
    raise UserError(
        f"{files.path}: no aligned faces in it; expected {RAFDB_ZIP} or Image/aligned/*_aligned.jpg"
    )


def _rafdb_subjects(source: Source, table: bytes | None) -> dict[str, str]:
    subjects: dict[str, str] = {}
    for number, line in enumerate(_lines(table or b"", RAFDB_SUBJECTS), start=1):
        words = line.split()
        if len(words) == 2 and words[0] not in subjects:
            subjects[words[0]] = words[1]
        elif words:
            where = f"{RAFDB_SUBJECTS}:{number}"
            source.problem(where, "line", line.strip(), "cannot be read", "name subject, once")
    return subjects


# CSV ----------------------------------------------------------------------------------------------


def _read_csv(
    path: Path, class_names: tuple[str, ...], numbered_from: int | None, has_splits: bool
) -> Source:
    table = path.name if path.suffix.lower() == ".csv" and path.is_file() else CSV_TABLE
    files = _open_not_empty(path.parent if table == path.name else path)
    inside = [name for name in files.names if PurePosixPath(name).name == table]
    if not inside:
        raise UserError(
            f"{files.path}: no {CSV_TABLE} in it; expected one with the columns "
            f"{','.join(_CSV_COLUMNS)} (subject may be left out), images beside it"
        )
    name = _outermost(inside)
    base = name[: -len(table)]
    pictures, bases = files, (base, base + "images/")
    if base + IMAGES_ZIP in files.names:
        pictures, bases = files.open_zip(base + IMAGES_ZIP), ("", "images/")
    content = _read_table(files, name)
    source = Source(
        name="csv",
        class_names=class_names,
        table=table,
        pictures=pictures,
        tables={CSV_TABLE: content},
        numbered_from=numbered_from,
    )
    _note_refused(source, files)
    _list_csv(source, _lines(content, table), bases, has_splits)
    return source


def _list_csv(source: Source, lines: Sequence[str], bases: Sequence[str], has_splits: bool) -> None:
    """Take in the rows of a label table, whose images lie below one of ``bases``."""
    table = source.table
    known = {unicodedata.normalize("NFC", name): name for name in source.pictures.names}
    numbered = enumerate(lines, start=1)
    first, header = next(numbered)
    if match := re.fullmatch(r"sep=(.)", header.strip()):  # Excel's own line
        if match[1] != ",":
            raise UserError(f"{table}: its cells are separated by {match[1]!r}; expected commas")
        first, header = next(numbered, (2, ""))
    columns = [c.casefold() for c in _cells(header, f"{table}:{first}")]
    required = _CSV_REQUIRED if has_splits else _CSV_REQUIRED[:2]
    if missing := [column for column in required if column not in columns]:
        draw = "; --test-fraction 0.2 draws one" if missing[0] == "split" else ""
        raise UserError(
            f"{table}: column {missing[0]!r} is missing; the first line is "
            f"{','.join(columns)!r}, expected {','.join(_CSV_COLUMNS)} (subject is optional){draw}"
        )
    if twice := [column for column in _CSV_COLUMNS if columns.count(column) > 1]:
        raise UserError(f"{table}: column {twice[0]!r} is there {columns.count(twice[0])} times")
    for number, line in numbered:
        where = f"{table}:{number}"
        try:
            cells = _cells(line, where)
        except UserError:
            allowed = "cells in quotes that close in the same line"
            source.problem(where, "line", line[:40], "has a quote that does not close", allowed)
            continue
        if not any(cells):
            continue
        if len(cells) > len(columns):
            fields = f"has {len(cells)} fields, the first line {len(columns)}"
            source.problem(where, "line", line[:40], fields, "as many")
            continue
        row = dict(zip(columns, [*cells, *[""] * len(columns)], strict=False))
        value = row["image"]
        split = source.split(where, row["split"]) if has_splits else "train"
        label = source.label(where, row["label"])
        image = PurePosixPath(unicodedata.normalize("NFC", value.replace("\\", "/"))).as_posix()
        file = next((known[base + image] for base in bases if base + image in known), None)
        if escapes(value):
            source.problem(where, "image", value, "leads out of the folder", "a path inside")
        elif file is None:
            allowed = "a path from the folder of the table, or from images/ in it"
            source.problem(where, "image", value, "is missing", allowed)
        source.add(where, image, file, split, label, row.get("subject", ""))
    if unused := [column for column in columns if column not in _CSV_COLUMNS]:
        source.notes.append(f"columns that are not used: {', '.join(unused)}")


def _cells(line: str, where: str) -> list[str]:
    """The cells of one line; a quote must close in it, or it would swallow the lines after it."""
    try:
        cells = next(csv.reader([line], skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        raise UserError(f"{where}: {error}; expected comma-separated cells") from None
    return [cell.strip() for cell in cells]


# Folders ------------------------------------------------------------------------------------------


def _read_folder(
    path: Path, class_names: tuple[str, ...], numbered_from: int | None, has_splits: bool
) -> Source:
    files = _open_not_empty(path)
    pictures: Files = files
    if files.names == (IMAGES_ZIP,):
        pictures = files.open_zip(IMAGES_ZIP)
    source = Source(
        name="folder",
        class_names=class_names,
        table=str(path),
        pictures=pictures,
        numbered_from=numbered_from,
    )
    depth = 3 if has_splits else 2
    _note_refused(source, files)
    base = _wrapping_folder(pictures.names, depth)
    splits: dict[str, str | None] = {}
    labels: dict[str, int | None] = {}
    for file in pictures.names:
        if not file.startswith(base):  # a README beside the one folder, say
            continue
        parts = PurePosixPath(file[len(base) :]).parts
        if not file.lower().endswith(SUFFIXES):
            if len(parts) == depth:
                allowed = "pictures: " + " ".join(SUFFIXES)
                source.problem(file, "file", "", "is not named like a picture", allowed)
            continue
        if len(parts) != depth:
            allowed = "split/class/picture" if has_splits else "class/picture"
            source.problem(file, "file", "", "is not in a folder of split and class", allowed)
            source.doubtful.append(file)
            continue
        split, label = ("train", parts[0]) if depth == 2 else parts[:2]
        if split not in splits:  # a folder that nobody knows is one problem, not one per picture
            splits[split] = source.split(f"{split}/", split)
        if label not in labels:
            labels[label] = source.label(f"{split}/{label}/", label)
        identity = "/".join(parts)
        source.add(identity, identity, file, splits[split], labels[label])
    return source


def _wrapping_folder(names: Sequence[str], depth: int) -> str:
    """The folders that one alone leads to what is listed, as zips often have them: ``a/b/``."""
    pictures = [PurePosixPath(name).parts for name in names if name.lower().endswith(SUFFIXES)]
    base = ""
    for level in range(min(map(len, pictures), default=0) - depth):
        if len({parts[level] for parts in pictures}) > 1:
            break
        base += f"{pictures[0][level]}/"
    return base


# Shared -------------------------------------------------------------------------------------------


def _open_not_empty(path: Path) -> Files:
    files = open_files(path)
    if not files.names and not files.refused:
        raise UserError(f"{path} is empty: no file in it")
    return files


def _outermost(names: Sequence[str]) -> str:
    return min(names, key=lambda name: (name.count("/"), name))


def _note_refused(source: Source, given: Files) -> None:
    for files in {id(files): files for files in (given, source.pictures)}.values():
        for name, reason in files.refused.items():
            source.problem(str(files.path), "entry", name, reason, "names inside, once, in UTF-8")


def _read_table(files: Files, name: str) -> bytes:
    try:
        return files.read(name)
    except UnreadableFileError as error:
        raise UserError(f"{files.path}: {name} {error}") from error


def _lines(content: bytes, name: str) -> list[str]:
    try:
        return re.split(r"\r\n|\n|\r", content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8 text (byte {error.start})") from error
