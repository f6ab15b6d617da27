"""Stage ``dataset``: the faces of any source in one format, validation held out.

Written are ``images.npy`` (uint8 [N, 100, 100, 3] RGB) and ``manifest.csv`` (data/manifest.py),
which has the shares of the votes where faces have any. ``left_out.json`` counts by reason what is
in the source and not in the dataset; it is there only where something is.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fsr_fer.common.arrays import writing_array
from fsr_fer.common.errors import UserError
from fsr_fer.common.files import write_csv, write_json
from fsr_fer.common.progress import progress
from fsr_fer.common.settings import FULL_SIZE
from fsr_fer.data.images import to_face
from fsr_fer.data.listing import Face, Source, class_position
from fsr_fer.data.manifest import BEYOND_SHARE, COLUMNS, LEFT_OUT, SHARES, SPLITS, pixel_sha256
from fsr_fer.data.settings import DatasetSettings, SourceName
from fsr_fer.data.sources import IMAGES_ZIP, RAFDB_ZIP, open_source
from fsr_fer.data.votes import VOTES


def build_dataset(root: Path, directory: Path, settings: DatasetSettings, seed: int) -> None:
    """Write the faces in ``root`` to the folder ``directory`` in one format (see above).

    Rows are train, then validation, then test faces, each in the source's order. A source without a
    validation split gets one from its train faces (see ``hold_out``). "several" sources lie in
    folders of ``root`` named after them, as their faces' ids begin. A person who is held out of one
    is held out of all. UserError if ``root`` is missing or its faces have problems, listed in
    ``dataset-problems.csv`` beside ``directory``, which is left as it was.
    """
    if not root.exists():
        raise UserError(
            f"{root} does not exist; bring faces there with `fsr-fer import`, "
            "or run `dvc pull` if they were imported before"
        )
    class_names, kinds = settings.class_names, get_args(SourceName)
    if settings.source != "several":
        places = {settings.source: root}
    else:
        places = {kind: root / kind for kind in kinds if (root / kind).is_dir()}
        for file in (IMAGES_ZIP, RAFDB_ZIP):
            if (root / file).exists():
                raise UserError(
                    f"{root / file} is of an import of one source, which dataset.source: several "
                    f"does not read; remove {root} and {root}.dvc, then import each source again"
                )
    if not places:
        raise UserError(f"{root} has no folder of a source: {', '.join(kinds)}; `fsr-fer import`")
    sources = [
        open_source(name, place, class_names, vote_rule=settings.votes)
        for name, place in places.items()
    ]
    pairs = [(source, face) for source in sources for face in source.faces]
    left_out = sum((source.left_out for source in sources), Counter[str]())
    if settings.duplicates == "drop":
        pixels = [key for source in sources for key in pixels_of(source, source.faces)]
        kept, equal = without_duplicates([face for _, face in pairs], pixels)
        pairs = [pairs[position] for position in kept]
        left_out += equal
    if settings.train_share < 1:
        kept = fewer_train_faces([face for _, face in pairs], settings.train_share, seed)
        left_out[BEYOND_SHARE] += len(pairs) - len(kept)
        pairs = [pairs[position] for position in kept]
    pairs.sort(key=lambda pair: SPLITS.index(pair[1].split))  # a stable sort
    hashes = []
    listing = directory.with_name("dataset-problems.csv")
    shape = (len(pairs), FULL_SIZE, FULL_SIZE, 3)
    with writing_array(directory / "images.npy", np.dtype(np.uint8), shape) as append:
        for source, face in progress(pairs, desc="reading faces"):
            if picture := source.read(face.file):
                pixels_read = to_face(picture[1])
                append(pixels_read[None])
                hashes.append(pixel_sha256(pixels_read))
        for source in sources:
            source.raise_problems(listing, f"{root} cannot be used")
    splits = [face.split for _, face in pairs]
    for source in sources:
        if any(of is source and face.split == "validation" for of, face in pairs):
            continue
        train = [r for r, (of, face) in enumerate(pairs) if of is source and face.split == "train"]
        faces, pixels = [pairs[row][1] for row in train], [hashes[row] for row in train]
        for position in hold_out(faces, settings.validation_fraction, seed, pixels):
            splits[train[position]] = "validation"
    people = [face.subject for _, face in pairs]
    held = {one for one, split in zip(people, splits, strict=True) if split == "validation"} - {""}
    for number, person in enumerate(people):  # held out in one source is held out in all
        if person in held and splits[number] == "train":
            splits[number] = "validation"
    voted = any(face.votes for _, face in pairs)
    rows = []
    for (source, face), split, sha256 in zip(pairs, splits, hashes, strict=True):
        prefix = f"{source.name}/" if settings.source == "several" else ""
        label = class_names[face.label]
        row = (prefix + face.id, prefix + face.file, split, label, face.subject, sha256)
        rows.append(row + (_shares(face, class_names),) * voted)
    write_csv(directory / "manifest.csv", COLUMNS + (SHARES,) * voted, rows)
    (directory / LEFT_OUT).unlink(missing_ok=True)
    if left_out:
        write_json(directory / LEFT_OUT, dict(left_out))
    listing.unlink(missing_ok=True)


def _shares(face: Face, class_names: Sequence[str]) -> str:
    """Each class's share of the votes for all classes, summing to 1; all to the label without."""
    counts = [0] * len(class_names)
    if not face.votes:
        counts[face.label] = 1
    for name, count in zip(VOTES, face.votes, strict=False):
        position = class_position(name, class_names, None)
        if position is not None:
            counts[position] += count
    return " ".join(f"{count / sum(counts):.6g}" for count in counts)


def pixels_of(source: Source, faces: Sequence[Face]) -> list[str]:
    """A hash of each face's pixels, equal for equal pictures; "" if a picture cannot be read."""
    known = len(source.problems)
    pictures = (source.read(face.file) for face in progress(faces, desc="comparing faces"))
    pixels = ["" if read is None else pixel_sha256(to_face(read[1])) for read in pictures]
    del source.problems[known:]  # reading the pictures again finds the same problems
    return pixels


def without_duplicates(
    faces: Sequence[Face], pixels: Sequence[str]
) -> tuple[list[int], Counter[str]]:
    """Positions of faces of which no two have the same ``pixels``; how many are left out, and why.

    Of duplicates the first one in the latest split stays, so that no test picture was trained on.
    Duplicates under two labels are all left out: one label is wrong, but it is unknown which.
    """
    groups: dict[str, list[int]] = {}
    for position, key in enumerate(pixels):
        groups.setdefault(key or f"unreadable {position}", []).append(position)
    kept, left_out = [], Counter[str]()
    for group in groups.values():
        if len({faces[position].label for position in group}) > 1:
            left_out["equal under two labels"] += len(group)
            continue
        stays = max(group, key=lambda position: SPLITS.index(faces[position].split))
        kept.append(stays)
        same = sum(faces[position].split == faces[stays].split for position in group)
        left_out["equal to one in the same part"] += same - 1
        left_out["equal to one in a later part"] += len(group) - same
    return sorted(kept), +left_out


def fewer_train_faces(faces: Sequence[Face], share: float, seed: int) -> list[int]:
    """Positions of this share of each class's train faces, two at least, and of all other faces.

    The choice is random; the faces of a smaller share are among those of a larger one.
    """
    generator = np.random.default_rng(seed)
    left: list[int] = []
    for label in sorted({face.label for face in faces}):
        train = [p for p, face in enumerate(faces) if (face.split, face.label) == ("train", label)]
        left += generator.permutation(train).tolist()[max(2, round(share * len(train))) :]
    return sorted(set(range(len(faces))) - set(left))


def hold_out(
    faces: Sequence[Face], fraction: float, seed: int, pixels: Sequence[str]
) -> np.ndarray:
    """Choose which train faces become the validation part; ``pixels`` are their hashes.

    Each class aims at ``fraction`` of its faces, at least one, and never gives all of them. Where
    no subject is known, and no picture there twice, each class meets its aim exactly. Otherwise
    whole subjects are taken, so that nobody and no picture is on both sides; a face of an unknown
    subject counts as a subject of its own. Returns positions, int64, ascending.
    """
    generator = np.random.default_rng(seed)
    labels = np.array([face.label for face in faces], np.int64)
    subjects = [face.subject for face in faces]
    counts = np.bincount(labels)
    aims = np.minimum(np.maximum(np.rint(fraction * counts), 1), np.maximum(counts - 1, 0))
    if not any(subjects) and len(set(pixels)) == len(pixels):
        held: list[int] = []
        for label, aim in enumerate(aims.astype(int)):
            held += generator.permutation(np.flatnonzero(labels == label))[:aim].tolist()
        return np.array(sorted(held), np.int64)
    first_with: dict[str, int] = {}
    same = []  # of each row the first with its subject, and the first with its pixels
    for keys in ([f"subject {s}" if s else "" for s in subjects], pixels):
        for row, key in enumerate(keys):
            same.append((row, first_with.setdefault(key or f"row {row}", row)))
    rows, others = np.array(same).T
    links = coo_array((np.ones(len(rows)), (rows, others)), shape=(len(labels), len(labels)))
    groups, group = connected_components(links, directed=False)  # how many, and each row's
    sizes = np.zeros((groups, len(counts)), np.int64)
    np.add.at(sizes, (group, labels), 1)
    chosen = _choose_groups(sizes, aims, counts, generator.permutation(groups))
    return np.flatnonzero(np.isin(group, chosen))


def _choose_groups(
    sizes: np.ndarray, aims: np.ndarray, counts: np.ndarray, order: np.ndarray
) -> list[int]:
    """Groups whose summed ``sizes`` [G, K] come near ``aims`` [K], tried in the given order.

    First those that fit below every aim, then those that bring the sum nearer (relative to the
    aims, squared) though they pass one, or bring a class that has no face yet. No class of
    ``counts`` faces is emptied.
    """
    total = np.zeros(len(aims))
    scale = np.maximum(aims, 1)
    chosen: list[int] = []
    for group in order:
        if (total + sizes[group] <= aims).all():
            total += sizes[group]
            chosen.append(group)
    for group in order[~np.isin(order, chosen)]:
        after = total + sizes[group]
        nearer = (((after - aims) / scale) ** 2).sum() < (((total - aims) / scale) ** 2).sum()
        missing = ((total == 0) & (aims > 0) & (sizes[group] > 0)).any()
        if (nearer or missing) and (after < counts)[sizes[group] > 0].all():
            total = after
            chosen.append(group)
    return chosen
