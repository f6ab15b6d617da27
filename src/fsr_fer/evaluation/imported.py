"""Stored predictions of other tools: a prediction table, and the hash of each face's pixels.

The hash tells whether the test faces are still those that the tool was given.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fsr_fer.common.errors import UserError
from fsr_fer.common.files import write_text
from fsr_fer.evaluation.predictions import PredictionTable, parse_predictions

IMPORTED = Path("data/raw/predictions")
"""Where `fsr-fer predictions import` puts them, in a folder for each profile."""


def imported_file(profile: str, name: str) -> Path:
    """The file of one tool's predictions; its .dvc file, which Git keeps, lies beside it."""
    return IMPORTED / profile / f"{name}.csv"


HASH = "sha256"
"""The last column."""


class GivenFace(NamedTuple):
    """A test face, as the manifest has it."""

    id: str
    label: str
    sha256: str


def given_faces(manifest: bytes) -> list[GivenFace]:
    """The test faces in the content of ``manifest.csv``, in its order."""
    rows = csv.DictReader(io.StringIO(manifest.decode("utf-8"), newline=""))
    return [
        GivenFace(row["id"], row["label"], row["sha256"]) for row in rows if row["split"] == "test"
    ]


def write_imported(path: Path, table: PredictionTable, faces: Sequence[GivenFace]) -> None:
    """Write the predictions for these faces, which the table has in the same order."""
    table.write(path)
    lines = path.read_text("utf-8").removesuffix("\n").split("\n")
    last = [HASH, *(face.sha256 for face in faces)]
    text = "".join(f"{line},{cell}\n" for line, cell in zip(lines, last, strict=True))
    write_text(path, text)


def parse_imported(
    content: bytes, path: Path | str, class_names: tuple[str, ...]
) -> tuple[PredictionTable, list[GivenFace]]:
    """What ``write_imported`` wrote into ``path``: the predictions, and for which faces they are.

    Raises:
        UserError: it holds no predictions, or a class that is none of ``class_names``.
    """
    lines = content.decode("utf-8", "replace").removesuffix("\n").split("\n")
    own, _, hashes = zip(*(line.rpartition(",") for line in lines), strict=True)
    if hashes[0] != HASH:
        raise UserError(f"{path} was not written by `fsr-fer predictions import`; import it again")
    table = parse_predictions("\n".join(own).encode(), path, class_names)
    labels = [class_names[label] for label in table.labels]
    return table, list(map(GivenFace, table.ids, labels, hashes[1:]))


def read_imported(
    profile: str, class_names: tuple[str, ...], manifest: Path, methods: Sequence[str]
) -> dict[str, PredictionTable]:
    """The predictions of all tools that were imported for a profile, by name.

    Raises:
        UserError: a file is damaged, is tracked but missing, has the name of one of our
            ``methods``, or is for other faces than those of the manifest.
    """
    faces = given_faces(manifest.read_bytes())
    mend = "import it anew, or delete it with its .dvc file"
    found = {}
    folder = IMPORTED / profile
    tracked = {path.with_suffix("") for path in folder.glob("*.csv.dvc")}
    for path in sorted({*folder.glob("*.csv"), *tracked}):
        if not path.exists():
            raise UserError(
                f"{path} is not here: `dvc checkout` or `dvc pull` brings it; to do without it, "
                "delete its .dvc file"
            )
        if path.stem in methods:
            raise UserError(f"{path} is called like a method of params.yaml; {mend}")
        found[path.stem], given = parse_imported(path.read_bytes(), path, class_names)
        if given != faces:
            raise UserError(f"{path} is of other test faces than {manifest}; {mend}")
    return found
