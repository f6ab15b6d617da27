"""Other tools: the test faces as pictures for them, and the table of what they predict."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from fsr_fer.common.arrays import open_faces
from fsr_fer.common.errors import UserError
from fsr_fer.common.files import replacing, write_csv
from fsr_fer.data.downsampling import small_side
from fsr_fer.data.listing import class_position
from fsr_fer.data.manifest import Manifest
from fsr_fer.evaluation.predictions import HR, PredictionTable

MOST, MOST_PERCENT = 1.05, 105
"""The largest sum of a face's probabilities: they may be rounded."""


def write_faces(
    folder: Path, manifest: Manifest, images: Path, downsampled: Mapping[int, Path]
) -> int:
    """Write the test faces, SIZE/ID.png at their own resolution, and faces.csv; their number.

    ``images`` is the ``.npy`` file of all faces at full size, ``downsampled`` those by scale.
    UserError if the folder is there and not empty.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(f"{folder} is there already; name a new folder")
    rows = manifest.rows("test")
    files = {HR: images} | {f"x{scale}": path for scale, path in downsampled.items()}
    table = []
    with replacing(folder) as part:
        for size, file in files.items():
            faces = open_faces(file)
            for row in rows:
                picture = f"{size}/{manifest.ids[row]}.png"
                (part / picture).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.array(faces[row])).save(part / picture)
                table.append((manifest.ids[row], size, faces.shape[1], picture))
        write_csv(part / "faces.csv", ("id", "size", "pixels", "picture"), table)
    return len(rows)


def read_table(
    content: bytes, path: Path, manifest: Manifest, scales: Sequence[int]
) -> tuple[PredictionTable, list[str]]:
    """The table in the content of ``path``, and notes on what was left out of it.

    A row a face and size: ``id``, ``size`` (hr, x2, ... or a face's width in pixels), and ``label``
    or a column per class with its probability. UserError if the table is invalid, or a size lacks
    test faces.
    """
    test = manifest.rows("test")
    ids = tuple(manifest.ids[row] for row in test)
    notes: list[str] = []
    confidence: dict[str, np.ndarray] = {}
    try:
        rows = _rows(content)
        found = _rows_by_size(rows, ids, scales)
        if "label" in rows:
            predicted = _labels(rows, manifest.class_names)
        else:
            shares = _shares(rows, manifest.class_names, notes)
            predicted, largest = shares.argmax(axis=1), shares.max(axis=1)
            confidence = {size: largest[order] for size, order in found.items()}
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    if absent := [size for size in dict.fromkeys(_sizes(scales).values()) if size not in found]:
        notes.append(f"sizes without rows, left empty: {', '.join(absent)}")
    table = PredictionTable(
        ids=ids,
        labels=manifest.labels[test],
        class_names=manifest.class_names,
        predicted={size: predicted[order] for size, order in found.items()},
        confidence=confidence,
    )
    return table, notes


def _rows(content: bytes) -> pd.DataFrame:
    """The table's cells as text; its index are the lines of the file."""
    expected = "expected id,size,label, or id,size and a column per class"
    form = {"header": None, "dtype": str, "keep_default_na": False, "skip_blank_lines": False}
    try:
        cells = pd.read_csv(io.BytesIO(content), encoding="utf-8-sig", **form)
    except ValueError as error:  # not UTF-8, nothing, a row too long, an open quotation mark
        raise UserError(f"{' '.join(str(error).split())}; {expected}") from None
    cells = cells.fillna("").apply(lambda column: column.str.strip())
    header = [" ".join(cell.split()) for cell in cells.iloc[0]]
    header = [c.casefold() if c.casefold() in ("id", "size", "label") else c for c in header]
    if "id" not in header or "size" not in header or len(header) < 3:
        raise UserError(f"its first line is {','.join(header)[:80]!r}; {expected}")
    if twice := [column for column in header if header.count(column) > 1]:
        raise UserError(f"column {twice[0]!r} is there {header.count(twice[0])} times")
    cells.columns, cells.index = pd.Index(header), cells.index + 1
    rows = cells[1:][(cells[1:] != "").any(axis=1)]
    if rows.empty:
        raise UserError(f"no rows below its first line; {expected}")
    return rows


def _rows_by_size(
    rows: pd.DataFrame, ids: Sequence[str], scales: Sequence[int]
) -> dict[str, np.ndarray]:
    """By size, in our order, the position in ``rows`` of each face's row, int64 [faces]."""
    sizes = _sizes(scales)
    unknown = rows["id"][~rows["id"].isin(ids)]
    if len(unknown):
        raise UserError(
            f"ids that are no test face's: {len(unknown):,}, the first {unknown.iloc[0]!r} in line "
            f"{unknown.index[0]}; expected those of faces.csv, such as {ids[0]!r}"
        )
    names = rows["size"].str.casefold().map(sizes)
    if len(unknown := rows["size"][names.isna()]):
        raise UserError(
            f"line {unknown.index[0]}: size {unknown.iloc[0]!r} is none of {', '.join(sizes)}"
        )
    places = pd.DataFrame({"id": rows["id"], "size": names, "at": range(len(rows))})
    if len(twice := places[places.duplicated(["id", "size"])]):
        face, size, _ = twice.iloc[0]
        raise UserError(
            f"line {twice.index[0]}: {face!r} at {size} is there already; expected one row a face "
            "and size"
        )
    table = places.pivot(index="id", columns="size", values="at").reindex(ids)
    for size, column in table.items():
        if len(missing := table.index[column.isna()]):
            raise UserError(
                f"test faces without a row at {size}: {len(missing):,} of {len(ids):,}, "
                f"the first {missing[0]!r}; expected all of them, or none of this size"
            )
    known = [size for size in dict.fromkeys(sizes.values()) if size in table]
    return {size: table[size].to_numpy(np.int64) for size in known}


def _sizes(scales: Sequence[int]) -> dict[str, str]:
    """Size by all it may be called; two of the same width in pixels go by their scale alone."""
    names = {HR: small_side(1)} | {f"x{scale}": small_side(scale) for scale in scales}
    widths = list(names.values())
    by_width = {str(w): name for name, w in names.items() if widths.count(w) == 1}
    return {name: name for name in names} | by_width


def _labels(rows: pd.DataFrame, class_names: Sequence[str]) -> np.ndarray:
    """Position of each row's class, int64 [rows]."""
    if more := [column for column in rows if column not in ("id", "size", "label")]:
        raise UserError(
            f"column {more[0]!r} stands beside 'label'; expected the label alone, or a column per "
            "class without it"
        )
    labels = [class_position(label, class_names, None) for label in rows["label"]]
    if None in labels:
        at, expected = labels.index(None), ", ".join(class_names)
        label = rows["label"].iloc[at]
        raise UserError(f"line {rows.index[at]}: label {label!r} is none of {expected}")
    return np.array(labels, np.int64)


def _shares(rows: pd.DataFrame, class_names: Sequence[str], notes: list[str]) -> np.ndarray:
    """Probability of each of our classes, float64 [rows, classes], each row's sum 1."""
    columns = [column for column in rows if column not in ("id", "size")]
    class_of = {column: class_position(column, class_names, None) for column in columns}
    others = [column for column in columns if class_of[column] is None]
    ours = {column: label for column, label in class_of.items() if label is not None}
    if not ours:
        known = ", ".join(class_names)
        raise UserError(f"no column is label or one of {known}; it has {', '.join(columns)}")
    if twice := [c for c in ours if list(ours.values()).count(ours[c]) > 1]:
        raise UserError(f"columns {twice[0]!r} and {twice[1]!r} are one class")
    shares = np.zeros((len(rows), len(class_names)))
    for column, label in ours.items():
        shares[:, label] = pd.to_numeric(rows[column], errors="coerce")
        # nan too
        bad = np.flatnonzero(~((shares[:, label] >= 0) & (shares[:, label] <= MOST_PERCENT)))
        if len(bad):
            raise UserError(
                f"line {rows.index[bad[0]]}: {column} is {rows[column].iloc[bad[0]]!r}; expected a "
                "probability, 0 to 1 or percent"
            )
    ours_alone = shares.sum(axis=1)
    numbers = rows[others].apply(pd.to_numeric, errors="coerce")
    most = MOST if shares.max() <= MOST else MOST_PERCENT
    foreign = [column for column in others if numbers[column].between(0, most).all()]
    sums = ours_alone + numbers[foreign].to_numpy().sum(axis=1)
    beside = f", those of {', '.join(map(repr, foreign))} included," if foreign else ""
    # Scores and logits are refused. Probabilities may be rounded, and lack what other classes have;
    # percent too, but hardly for all faces.
    largest = sums.max()
    too_large = MOST < largest < 95 or largest > MOST_PERCENT
    if too_large or not sums.all():
        wrong = sums.argmax() if too_large else sums.argmin()
        raise UserError(
            f"line {rows.index[wrong]}: the probabilities{beside} add up to {sums[wrong]:.4g}; "
            "expected 1, or 100 in percent"
        )
    if not ours_alone.all():
        raise UserError(
            f"line {rows.index[ours_alone.argmin()]}: the probability of each class here is 0"
            f"{beside and f', that of {foreign[0]!r} is not'}; expected one of ours for each face"
        )
    whole = 1 if largest <= MOST else 100
    if few := int((sums < 0.95 * whole).sum()):
        notes.append(f"rows whose probabilities do not add up to {whole}, scaled to it: {few:,}")
    if others:
        notes.append(f"columns that are no class here, left out: {', '.join(map(repr, others))}")
    if absent := [name for k, name in enumerate(class_names) if k not in ours.values()]:
        notes.append(f"classes without a column, never predicted: {', '.join(absent)}")
    return shares / ours_alone[:, None]
