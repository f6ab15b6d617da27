"""Labelled faces as people have them: RAF-DB's layout, a CSV with images, or folders per class.

Each reader lists the faces and everything that is wrong with the list; no picture is decoded here.
The same readers serve what a user imports and what ``fsr-fer import`` packed under data/raw/.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from fsr_fer.common.errors import UserError
from fsr_fer.data.archive import Files, UnreadableFileError, escapes, open_files
from fsr_fer.data.images import SUFFIXES
from fsr_fer.data.listing import Source, SourceName, split_name

RAFDB_TABLE = "EmoLabel/list_patition_label.txt"  # spelt as in the official download
RAFDB_SUBJECTS = "EmoLabel/subject.txt"
RAFDB_ZIP = "Image/aligned.zip"
CSV_TABLE = "labels.csv"
IMAGES_ZIP = "images.zip"

_TABLE_NAMES = ("list_patition_label.txt", "list_partition_label.txt")
_CSV_REQUIRED = ("image", "label", "split")
_CSV_COLUMNS = (*_CSV_REQUIRED, "subject")


def open_source(name: SourceName, path: Path, class_names: tuple[str, ...]) -> Source:
    """List the faces of a source in a folder or a zip.

    Raises:
        UserError: ``path`` is missing, empty, no folder or zip, or holds no source of this kind.
    """
    if name == "csv":
        source = _read_csv(path, class_names)
    elif name == "folder":
        source = _read_folder(path, class_names)
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
        name=name, class_names=class_names, table=table, pictures=pictures, tables=tables
    )
    by_name = {
        PurePosixPath(picture).name: picture
        for picture in pictures.names
        if picture.endswith("_aligned.jpg")
    }
    _note_escaping(source, files)
    subjects = _rafdb_subjects(source, tables.get(RAFDB_SUBJECTS))
    for number, line in enumerate(_text(tables[RAFDB_TABLE], table_path).splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{table}:{number}"
        image, *rest = line.strip().rsplit(maxsplit=1)
        if not rest:
            source.problem(where, "line", image, "has no label", "a name and a label")
            continue
        aligned = f"{PurePosixPath(image).stem}_aligned.jpg"
        if aligned not in by_name:
            source.problem(where, "image", aligned, f"is not in {pictures.path}", "a file there")
        split = source.split(where, image.partition("_")[0])
        label = source.label(where, rest[0], first=1)
        subject = subjects.pop(image, "")
        source.add(where, image, by_name.get(aligned), split, label, subject)
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
    if any(name.endswith("_aligned.jpg") for name in files.names):
        return files
    inner = [name for name in files.names if PurePosixPath(name).name == "aligned.zip"]
    if inner:
        return files.open_zip(_outermost(inner))
    raise UserError(
        f"{files.path}: no aligned faces in it; expected {RAFDB_ZIP} or Image/aligned/*_aligned.jpg"
    )


def _rafdb_subjects(source: Source, table: bytes | None) -> dict[str, str]:
    subjects: dict[str, str] = {}
    for number, line in enumerate(_text(table or b"", RAFDB_SUBJECTS).splitlines(), start=1):
        words = line.split()
        if len(words) == 2 and words[0] not in subjects:
            subjects[words[0]] = words[1]
        elif words:
            where = f"{RAFDB_SUBJECTS}:{number}"
            source.problem(where, "line", line.strip(), "cannot be read", "name subject, once")
    return subjects


# CSV ----------------------------------------------------------------------------------------------


def _read_csv(path: Path, class_names: tuple[str, ...]) -> Source:
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
    )
    _note_escaping(source, files)
    _list_csv(source, _text(content, table), bases)
    return source


def _list_csv(source: Source, text: str, bases: Sequence[str]) -> None:
    """Take in the rows of a label table, whose images lie below one of ``bases``."""
    table, known = source.table, set(source.pictures.names)
    reader = csv.DictReader(io.StringIO(text, newline=""), restval="")
    try:
        reader.fieldnames = [column.strip().casefold() for column in reader.fieldnames or ()]
        columns = list(reader.fieldnames)
        if missing := [column for column in _CSV_REQUIRED if column not in columns]:
            raise UserError(
                f"{table}: column {missing[0]!r} is missing; the first line is "
                f"{','.join(columns)!r}, expected {','.join(_CSV_COLUMNS)} (subject is optional)"
            )
        for row in reader:
            where = f"{table}:{reader.line_num}"
            value = row["image"].strip()
            split = source.split(where, row["split"])
            label = source.label(where, row["label"], first=0)
            image = PurePosixPath(value.replace("\\", "/")).as_posix()
            file = next((base + image for base in bases if base + image in known), None)
            if escapes(value):
                source.problem(where, "image", value, "leads out of the folder", "a path inside")
            elif file is None:
                allowed = "a path from the folder of the table, or from images/ in it"
                source.problem(where, "image", value, "is missing", allowed)
            source.add(where, image, file, split, label, row.get("subject", "").strip())
    except csv.Error as error:
        raise UserError(f"{table}:{reader.line_num}: {error}; expected comma-separated") from error
    if unused := [column for column in columns if column not in _CSV_COLUMNS]:
        source.notes.append(f"columns that are not used: {', '.join(unused)}")


# Folders ------------------------------------------------------------------------------------------


def _read_folder(path: Path, class_names: tuple[str, ...]) -> Source:
    files = _open_not_empty(path)
    pictures: Files = files
    if files.names == (IMAGES_ZIP,):
        pictures = files.open_zip(IMAGES_ZIP)
    source = Source(name="folder", class_names=class_names, table=str(path), pictures=pictures)
    _note_escaping(source, files)
    base = _wrapping_folder(pictures.names)
    splits: dict[str, str | None] = {}
    labels: dict[str, int | None] = {}
    for file in pictures.names:
        parts = PurePosixPath(file[len(base) :]).parts
        if not file.lower().endswith(SUFFIXES):
            if len(parts) == 3:
                allowed = "pictures: " + " ".join(SUFFIXES)
                source.problem(file, "file", "", "is not named like a picture", allowed)
            continue
        if len(parts) != 3:
            allowed = "split/class/picture"
            source.problem(file, "file", "", "is not in a folder of split and class", allowed)
            source.doubtful.append(file)
            continue
        split, label = parts[:2]
        if split not in splits:  # a folder that nobody knows is one problem, not one per picture
            splits[split] = source.split(f"{split}/", split)
        if label not in labels:
            labels[label] = source.label(f"{split}/{label}/", label, first=0)
        identity = "/".join(parts)
        source.add(identity, identity, file, splits[split], labels[label])
    return source


def _wrapping_folder(names: Sequence[str]) -> str:
    """``name/`` when everything lies in one folder that is not a split, as zips often have it."""
    tops = {name.partition("/")[0] for name in names if "/" in name}
    if len(tops) != 1 or any("/" not in name for name in names):
        return ""
    top = tops.pop()
    return "" if split_name(top) else f"{top}/"


# Shared -------------------------------------------------------------------------------------------


def _open_not_empty(path: Path) -> Files:
    files = open_files(path)
    if not files.names and not files.escaping:
        raise UserError(f"{path} is empty: no file in it")
    return files


def _outermost(names: Sequence[str]) -> str:
    return min(names, key=lambda name: (name.count("/"), name))


def _note_escaping(source: Source, given: Files) -> None:
    for files in {id(files): files for files in (given, source.pictures)}.values():
        for name in files.escaping:
            source.problem(str(files.path), "entry", name, "leads out of the zip", "names inside")


def _read_table(files: Files, name: str) -> bytes:
    try:
        return files.read(name)
    except UnreadableFileError as error:
        raise UserError(f"{files.path}: {name} {error}") from error


def _text(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8 text (byte {error.start})") from error
