"""Stage ``dataset``: the faces of any source in one form, validation held out.

Written are ``images.npy`` (uint8 [N, 100, 100, 3] RGB) and ``manifest.csv`` (data/manifest.py),
which has the shares of the votes where faces have any. ``left_out.json`` counts by reason what is
in the source and not in the dataset; it is there only where something is.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fsr_fer.common.arrays import writing_array
from fsr_fer.common.errors import UserError
from fsr_fer.common.files import write_csv, write_json
from fsr_fer.common.progress import progress
from fsr_fer.common.settings import FULL_SIZE
from fsr_fer.data.images import to_face
from fsr_fer.data.listing import Face, Source, SourceName, class_position
from fsr_fer.data.manifest import COLUMNS, LEFT_OUT, SHARES, SPLITS, pixel_sha256
from fsr_fer.data.sources import open_source
from fsr_fer.data.votes import VOTES, VoteRule

Duplicates = Literal["refuse", "drop"]


def build_dataset(
    source_name: SourceName,
    root: Path,
    directory: Path,
    *,
    class_names: tuple[str, ...],
    validation_fraction: float,
    seed: int,
    votes: VoteRule = "ferplus",
    duplicates: Duplicates = "refuse",
) -> None:
    """Bring the faces in ``root`` to one form in the folder ``directory``.

    Rows are train, then validation, then test faces, each in the source's order. A source without
    a validation split gets one from its train faces (see ``hold_out``). ``votes`` is the rule that
    makes labels of votes; with ``duplicates`` "drop" pictures of equal pixels count once
    (``without_twins``).

    Raises:
        UserError: ``root`` is missing, or its faces have problems; all of them are then listed in
            ``dataset-problems.csv`` beside ``directory``, which is left as it was.
    """
    if not root.exists():
        raise UserError(
            f"{root} does not exist; bring faces there with `fsr-fer import`, "
            "or run `dvc pull` if they were imported before"
        )
    source = open_source(source_name, root, class_names, vote_rule=votes)
    if duplicates == "drop":
        source.faces, twins = without_twins(source.faces, pixels_of(source))
        source.left_out += twins
    faces = sorted(source.faces, key=lambda face: SPLITS.index(face.split))  # a stable sort
    hashes = []
    listing = directory.with_name("dataset-problems.csv")
    shape = (len(faces), FULL_SIZE, FULL_SIZE, 3)
    with writing_array(directory / "images.npy", np.dtype(np.uint8), shape) as append:
        for face in progress(faces, desc="reading faces"):
            if picture := source.read(face.file):
                pixels = to_face(picture[1])
                append(pixels[None])
                hashes.append(pixel_sha256(pixels))
        source.raise_problems(listing, f"{root} cannot be used")
    splits = [face.split for face in faces]
    if "validation" not in splits:
        train = faces[: splits.count("train")]
        labels = np.array([face.label for face in train], np.int64)
        subjects = [face.subject for face in train]
        for row in hold_out(labels, subjects, validation_fraction, seed, hashes[: len(train)]):
            splits[row] = "validation"
    voted = any(face.votes for face in faces)
    rows = [
        (face.id, face.file, split, class_names[face.label], face.subject, sha256)
        + (_shares(face.votes, class_names),) * voted
        for face, split, sha256 in zip(faces, splits, hashes, strict=True)
    ]
    write_csv(directory / "manifest.csv", COLUMNS + (SHARES,) * voted, rows)
    (directory / LEFT_OUT).unlink(missing_ok=True)
    if source.left_out:
        write_json(directory / LEFT_OUT, dict(source.left_out))
    listing.unlink(missing_ok=True)


def _shares(votes: Sequence[int], class_names: Sequence[str]) -> str:
    """What each class has of the votes for any of them, in the classes' order; they sum to 1."""
    if not votes:
        return ""
    counts = [0] * len(class_names)
    for name, count in zip(VOTES, votes, strict=True):
        position = class_position(name, class_names, None)
        if position is not None:
            counts[position] += count
    return " ".join(f"{count / sum(counts):.6g}" for count in counts)


def pixels_of(source: Source) -> list[str]:
    """What is equal for faces of the same pixels; "" if a picture cannot be read."""
    known = len(source.problems)
    pictures = (source.read(face.file) for face in progress(source.faces, desc="comparing faces"))
    pixels = ["" if read is None else pixel_sha256(to_face(read[1])) for read in pictures]
    del source.problems[known:]  # who reads them again finds the same
    return pixels


def without_twins(faces: Sequence[Face], pixels: Sequence[str]) -> tuple[list[Face], Counter[str]]:
    """The faces of which no two have the same ``pixels``, and how many were left out, by reason.

    Of twins the first in the last of their parts stays, so that no picture that is tested was
    trained on. Twins under two labels all go: one of them is wrong, nobody knows which.
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
    return [faces[position] for position in sorted(kept)], +left_out


def hold_out(
    labels: np.ndarray,
    subjects: Sequence[str],
    fraction: float,
    seed: int,
    pixels: Sequence[str] = (),
) -> np.ndarray:
    """Choose which train faces become the validation part.

    ``labels`` are int64 [N], ``subjects`` N names (empty: unknown), ``pixels`` N hashes if known.
    Each class aims at ``fraction`` of its faces, at least one, and never gives all of them. Where
    no subject is known, and no picture there twice, each class meets its aim exactly. Otherwise
    whole subjects are taken, so that nobody and no picture is on both sides; a face of an unknown
    subject counts as a subject of its own. Returns positions, int64, ascending.
    """
    generator = np.random.default_rng(seed)
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
