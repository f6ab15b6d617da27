"""Stored predictions of other tools: a prediction table with the hash of each face's pixels.

The hash tells whether the test faces are still those that the tool was given.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fsr_fer.common.errors import UserError
from fsr_fer.evaluation.predictions import HR, Face, PredictionTable, parse_predictions

IMPORTED = Path("data/raw/predictions")  # a folder for each profile


def imported_file(profile: str, name: str) -> Path:
    """The file of one tool's predictions; its .dvc file, which Git keeps, lies beside it."""
    return IMPORTED / profile / f"{name}.csv"


def given_faces(manifest: bytes) -> list[Face]:
    """The test faces in the content of ``manifest.csv``, in its order."""
    rows = csv.DictReader(io.StringIO(manifest.decode("utf-8"), newline=""))
    return [(row["id"], row["label"], row["sha256"]) for row in rows if row["split"] == "test"]


def read_imported(
    profile: str,
    class_names: tuple[str, ...],
    scales: Sequence[int],
    manifest: Path,
    methods: Sequence[str],
) -> dict[str, PredictionTable]:
    """The predictions of all tools that were imported for a profile, by name, at its sizes.

    UserError if a file is damaged, is tracked but missing, has the name of one of our ``methods``,
    is for other faces than those of the manifest, or has none of the sizes.
    """
    faces = given_faces(manifest.read_bytes())
    mend = "import it anew, or delete it with its .dvc file"
    sizes = [HR, *(f"x{scale}" for scale in scales)]
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
        table = parse_predictions(path.read_bytes(), path, class_names)
        if not table.hashes:
            raise UserError(f"{path} was not written by `fsr-fer predictions import`; {mend}")
        if table.faces != faces:
            raise UserError(f"{path} is of other test faces than {manifest}; {mend}")
        # It was imported for the scales of its day; of these some may be gone.
        predicted, confidence = (
            {size: columns[size] for size in sizes if size in columns}
            for columns in (table.predicted, table.confidence)
        )
        if not predicted:
            raise UserError(f"{path} has none of the sizes {', '.join(sizes)}; {mend}")
        found[path.stem] = replace(table, predicted=predicted, confidence=confidence)
    return found
