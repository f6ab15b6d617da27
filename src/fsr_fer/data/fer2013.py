"""FER2013 with or without FER+'s votes, in all common layouts, recognised by content.

- FER+'s layout: pictures in ``FER2013Train``, ``FER2013Valid`` and ``FER2013Test``, with
  ``fer2013new.csv``, or in each folder a ``label.csv`` without a header
- a table of pixels: ``fer2013.csv`` or ``icml_face_data.csv`` (emotion, pixels, Usage), with or
  without ``fer2013new.csv`` beside it; ``train.csv`` and ``test.csv`` without Usage

A table of pixels is read line by line, and becomes pictures in a temporary zip.
"""

import io
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from PIL import Image

from fsr_fer.common.errors import UserError
from fsr_fer.common.progress import progress
from fsr_fer.data.archive import Files, ZipFiles, temporary_copy
from fsr_fer.data.listing import Source, class_position, rows_of
from fsr_fer.data.tables import cells, first_cells, lines, outermost
from fsr_fer.data.votes import VOTES

CLASSES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""FER2013's own 0 to 6."""
PARTS = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
FOLDERS = {"Training": "FER2013Train", "PublicTest": "FER2013Valid", "PrivateTest": "FER2013Test"}
VOTE_TABLE = "fer2013new.csv"
SIDE = 48
BLANK_SHOWN = 12
GREYS = frozenset(f"{grey:0{digits}}" for grey in range(256) for digits in (1, 2, 3))

_FORMS = (
    "FER2013Train/*.png with fer2013new.csv or label.csv, or a table with the columns emotion, "
    "pixels and Usage (fer2013.csv, icml_face_data.csv)"
)


class Voted(NamedTuple):
    """A row of FER+: a picture of a part, and its ten cells of votes."""

    where: str
    part: str
    image: str
    cells: list[str]


class Row(NamedTuple):
    """A row of a table of pixels; ``image`` is what its picture is called without FER+."""

    where: str
    part: str
    image: str
    emotion: int
    pixels: bytes


def read_fer2013(source: Source, *, has_splits: bool, test_part: str | None) -> None:
    """List the faces; ``test_part`` is taken for test where PrivateTest is missing.

    UserError if nothing of FER2013 is there, it has no test part, or two tables do not agree.
    """
    files = source.pictures
    pictures: dict[tuple[str, str], str] = {}
    parts = {folder: part for part, folder in FOLDERS.items()}
    for name in sorted(files.names, key=lambda name: name.count("/")):  # those beside the table
        folder, image = PurePosixPath(name).parts[-2:] if "/" in name else ("", name)
        if folder in parts and image.lower().endswith(".png"):
            pictures.setdefault((parts[folder], image), name)
    splits = PARTS | ({test_part: "test"} if test_part else {})
    if not has_splits:
        splits = dict.fromkeys(PARTS, "train")
    if pictures:
        found = _read_pictures(source, pictures, splits)
    else:
        found = _read_pixels(source, has_splits, splits)
    if found and has_splits and not source.problems:
        _check_parts(source, found, test_part)
    if all(class_position(name, source.class_names, None) is None for name in CLASSES):
        raise UserError(
            f"none of FER2013's classes is in dataset.class_names ({', '.join(source.class_names)})"
            f"; they are {', '.join(CLASSES)}"
        )


def _check_parts(source: Source, found: set[str], test_part: str | None) -> None:
    if test_part and "PrivateTest" in found:
        raise UserError(f"{source.table} has a test part, PrivateTest; leave out --test")
    wanted = test_part or "PrivateTest"
    if wanted not in found:
        remedy = "--test-fraction 0.2 draws one"
        if "PublicTest" in found:
            remedy = "--test PublicTest takes the validation part for it"
        raise UserError(f"{source.table} has no faces of {wanted}, the test part; {remedy}")
    if test_part:
        source.notes.append(
            f"{test_part} is the test part here; validation faces are held out of train"
        )


# FER+'s layout


def _read_pictures(
    source: Source, pictures: dict[tuple[str, str], str], splits: dict[str, str]
) -> set[str]:
    """Add the pictures that FER+'s tables name; returns the parts that are there."""
    files = source.pictures
    if table := outermost(files, VOTE_TABLE):
        source.table = VOTE_TABLE
        rows = _voted(files, table)
    else:
        source.table, rows = "label.csv", []
        places = {part: PurePosixPath(name).parent for (part, _), name in pictures.items()}
        for part in (part for part in PARTS if part in places):
            table = (places[part] / "label.csv").as_posix()
            if table not in files.names:
                raise UserError(f"{files.path}: neither {VOTE_TABLE} nor {table} is in it")
            rows += _voted(files, table, part)
    found = {part for part, _ in pictures}
    rows = [row for row in rows if row.part in found]  # fer2013new.csv may list more parts
    for row in _each_once(source, rows):
        file = pictures.get((row.part, row.image))
        if file is None:
            source.problem(row.where, "image", row.image, f"is not in {files.path}", "a file there")
        _add_voted(source, row, file, splits)
    if unnamed := pictures.keys() - {(row.part, row.image) for row in rows}:
        source.notes.append(f"{len(unnamed):,} pictures without votes were left out")
    return found


def _voted(files: Files, table: str, part: str = "") -> list[Voted]:
    """The rows of fer2013new.csv, or of a part's label.csv, which has no first line."""
    shown = "/".join(PurePosixPath(table).parts[-2:]) if part else VOTE_TABLE
    form = "a name, perhaps a box in quotes, and ten votes" if part else "Usage, a name, ten votes"
    columns = ("Usage", "Image name", *VOTES)
    numbered = lines(files, table)
    if not part:
        header = tuple(cells(next(numbered, (1, ""))[1], f"{shown}:1"))
        if header != columns:
            found, right = ",".join(header), ",".join(columns)
            raise UserError(f"{shown}: its first line is {found!r}, expected {right!r}")
    rows = []
    for number, line in numbered:
        where = f"{shown}:{number}"
        row = cells(line, where)
        if not line.strip():
            continue
        if len(row) != len(columns) and not (part and len(row) == len(columns) - 1):
            raise UserError(f"{where} has {len(row)} fields, expected {form}")
        usage, image = (part, row[0]) if part else row[:2]
        if usage not in PARTS:
            raise UserError(f"{where}: Usage {usage!r} is none of {', '.join(PARTS)}")
        if image != PurePosixPath(image).name or image.startswith("."):
            raise UserError(f"{where}: Image name {image!r} is no name of a file without folders")
        rows.append(Voted(where, usage, image, row[-len(VOTES) :]))
    return rows


def _each_once(source: Source, rows: list[Voted]) -> Iterator[Voted]:
    """The rows that have a name, one of those that name the same picture.

    FER+ has 173 rows without a name (its annotators saw no face) and four names in two rows: of
    equal votes one counts, of others none.
    """
    votes = defaultdict(list)
    for row in rows:
        votes[row.part, row.image].append(row.cells)
    seen = set()
    for row in rows:
        key = row.part, row.image
        if not row.image:
            source.left_out["not a face"] += 1
        elif key in seen or any(other != row.cells for other in votes[key]):
            source.left_out["named in two rows"] += 1
        else:
            seen.add(key)
            yield row


def _add_voted(source: Source, row: Voted, file: str | None, splits: dict[str, str]) -> None:
    votes, label = source.voted(row.where, row.cells)
    identity = f"{FOLDERS[row.part]}/{row.image}"
    source.add(row.where, identity, file, splits[row.part], label, votes=votes)


# Tables of pixels


def _read_pixels(source: Source, has_splits: bool, splits: dict[str, str]) -> set[str]:
    """Make pictures of the rows and add them; returns the parts that are there."""
    files = source.pictures
    tables = _tables(source, has_splits)
    source.table = " and ".join(PurePosixPath(table).name for table in tables)
    vote_table = outermost(files, VOTE_TABLE)
    votes = _voted(files, vote_table) if vote_table else None
    positions = [class_position(name, source.class_names, None) for name in CLASSES]
    found, blank = set(), []
    with temporary_copy() as copy, zipfile.ZipFile(copy, "w") as packed:
        for row, vote in _pairs(source, _rows(source, tables), votes):
            found.add(row.part)
            if min(row.pixels) == max(row.pixels):
                blank.append(row.where)
                continue
            file = f"{FOLDERS[row.part]}/{vote.image if vote else row.image}"
            picture = io.BytesIO()
            Image.frombytes("L", (SIDE, SIDE), row.pixels).save(picture, "PNG")
            packed.writestr(file, picture.getvalue())
            if vote:
                _add_voted(source, vote, file, splits)
            elif (label := positions[row.emotion]) is not None:
                source.add(row.where, file, file, splits[row.part], label)
            else:
                source.left_out[f"{CLASSES[row.emotion]}, which is no class here"] += 1
    source.pictures = ZipFiles(files.path, copy)
    if blank:
        listed = ", ".join(blank[:BLANK_SHOWN]) + ", ..." * (len(blank) > BLANK_SHOWN)
        source.notes.append(f"blank pictures left out: {len(blank):,} ({listed})")
    return found


def _tables(source: Source, has_splits: bool) -> dict[str, str]:
    """The tables of pixels to read, each with its part, "" where its rows say which."""
    files = source.pictures
    columns = {
        name: first_cells(files, name)
        for name in sorted(files.names, key=lambda name: name.count("/"))
        if PurePosixPath(name).suffix.lower() in ("", ".csv")
    }
    tables = [name for name in columns if "pixels" in columns[name]]
    labelled = [name for name in tables if "emotion" in columns[name]]
    if whole := [name for name in labelled if "usage" in columns[name]]:
        return {whole[0]: ""}
    stems = {PurePosixPath(name).stem.casefold(): name for name in reversed(labelled)}
    if {"train", "test"} <= stems.keys():
        return {stems["train"]: "Training", stems["test"]: "PrivateTest"}
    if labelled and not has_splits:
        return {labelled[0]: "Training"}
    without = "".join(f"; {name} has no labels" for name in tables if name not in labelled)
    if labelled:
        raise UserError(
            f"{labelled[0]} has no column Usage, so no split{without}; "
            "--test-fraction 0.2 draws one"
        )
    if without:
        raise UserError(f"{without[2:]}: no column emotion; {_FORMS} is expected")
    hint, folders = "", {PurePosixPath(name).parent.name for name in files.names}
    if any(class_position(folder, CLASSES, None) is not None for folder in folders):
        hint = (
            ". Folders per class are for `fsr-fer import folder`; the numbers in their pictures' "
            "names are no rows, so FER+'s votes cannot be joined with them"
        )
    raise UserError(f"{source.table}: nothing of FER2013 in it; expected {_FORMS}{hint}")


def _rows(source: Source, tables: dict[str, str]) -> Iterator[Row | None]:
    """The rows of the tables; None is one that cannot be read."""
    for table, part in tables.items():
        shown = PurePosixPath(table).name
        numbered = iter(progress(lines(source.pictures, table), desc="reading pixels"))
        _, header = next(numbered)
        columns = [column.casefold() for column in cells(header, f"{shown}:1")]
        for number, row in rows_of(source, shown, columns, numbered):
            where, image = f"{shown}:{number}", f"line{number:05d}.png"
            yield _row(source, where, image, part or row["usage"], row) if row else None


def _row(source: Source, where: str, image: str, part: str, row: dict[str, str]) -> Row | None:
    known = len(source.problems)
    if part not in PARTS:
        source.problem(where, "Usage", part, "is no part", ", ".join(PARTS))
    emotion, values = row["emotion"], row["pixels"].split()
    if emotion not in map(str, range(len(CLASSES))):
        allowed = f"0 to 6, standing for {', '.join(CLASSES)}"
        source.problem(where, "emotion", emotion, "is not a label", allowed)
    problem = ""
    if wrong := [v for v in dict.fromkeys(values) if v not in GREYS]:
        problem = f"has the value {wrong[0][:20]!r}"
    if len(values) != SIDE * SIDE:
        problem = f"has {len(values):,} numbers"
    if problem:
        allowed = f"{SIDE * SIDE:,} numbers from 0 to 255"
        source.problem(where, "pixels", "", problem, allowed)
    if len(source.problems) > known:
        return None
    return Row(where, part, image, int(emotion), bytes(map(int, values)))


def _pairs(
    source: Source, rows: Iterable[Row | None], votes: list[Voted] | None
) -> Iterator[tuple[Row, Voted | None]]:
    """The rows, each with FER+'s of the same number; those that FER+ does not use are left out.

    The number in a picture's name is not its row: it does not count rows without a name.
    """
    if votes is None:
        yield from ((row, None) for row in rows if row)
        return
    used = {vote.where for vote in _each_once(source, votes)}
    others = iter(votes)
    apart = ": the two go together row by row, but one lacks rows or is in another order"
    for row in rows:
        vote = next(others, None)
        if row and (vote is None or vote.part != row.part):
            other = f"{vote.where} of {vote.part}" if vote else f"{VOTE_TABLE} has no more rows"
            raise UserError(f"{row.where} is of {row.part}, {other}{apart}")
        if row and vote and vote.where in used:
            yield row, vote
    if vote := next(others, None):
        raise UserError(f"{source.table} has no more rows, {vote.where} of {vote.part}{apart}")
