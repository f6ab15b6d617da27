"""What a reader of labelled faces finds: the faces, and all that is wrong with their list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fsr_fer.data.archive import Files
from fsr_fer.data.manifest import SPLITS
from fsr_fer.data.problems import Problem
from fsr_fer.errors import UserError

SourceName = Literal["synthetic", "rafdb", "folder", "csv"]

SPLIT_ALIASES = {"val": "validation", "valid": "validation"}


@dataclass(frozen=True, kw_only=True)
class Face:
    """One labelled face of a source; ``label`` is a position in the class names."""

    id: str
    file: str
    split: str
    label: int
    subject: str = ""


@dataclass(frozen=True, kw_only=True)
class Source:
    """The faces of a source in its own order, and where their pictures are.

    ``doubtful`` are picture files whose row has a problem; they are not faces, but are decoded all
    the same when a user's data is checked, so that one run finds everything. ``tables`` are the
    label files as they were read, by the name under which an import stores them.
    """

    name: SourceName
    table: str
    faces: tuple[Face, ...]
    doubtful: tuple[str, ...]
    pictures: Files
    tables: dict[str, bytes]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()


class Listing:
    """What a reader gathers row by row."""

    def __init__(self, class_names: tuple[str, ...]) -> None:
        self.faces: list[Face] = []
        self.doubtful: list[str] = []
        self.problems: list[Problem] = []
        self._class_names = class_names
        self._seen: dict[str, str] = {}

    def problem(self, file: str, field: str, value: str, problem: str, allowed: str) -> None:
        self.problems.append(Problem(file, field, value, problem, allowed))

    def split(self, where: str, value: str) -> str | None:
        split = split_name(value)
        if split is None:
            self.problem(where, "split", value, "is not a split", ", ".join(SPLITS))
        return split

    def label(self, where: str, value: str, first: int) -> int | None:
        """A class name, or its position counted from ``first``."""
        label = class_position(value, self._class_names, first)
        if label is None:
            last = first + len(self._class_names) - 1
            names = ", ".join(self._class_names)
            allowed = f"{first} to {last}, standing for {names}"
            self.problem(where, "label", value, "is not a label", allowed)
        return label

    def add(
        self,
        where: str,
        identity: str,
        file: str | None,
        split: str | None,
        label: int | None,
        subject: str = "",
    ) -> None:
        """Take a row in; what is None had a problem that is noted already."""
        earlier = self._seen.setdefault(identity, where)
        if earlier != where:
            self.problem(where, "id", identity, f"is there twice (first: {earlier})", "once")
            return
        if file is None:
            return
        if split is None or label is None:
            self.doubtful.append(file)
            return
        self.faces.append(Face(id=identity, file=file, split=split, label=label, subject=subject))

    def source(
        self,
        name: SourceName,
        table: str,
        pictures: Files,
        tables: dict[str, bytes],
        notes: Sequence[str] = (),
    ) -> Source:
        """The finished list.

        Raises:
            UserError: there is not one row in it.
        """
        if not (self.faces or self.problems):
            raise UserError(f"{table} lists no faces")
        return Source(
            name=name,
            table=table,
            faces=tuple(self.faces),
            doubtful=tuple(self.doubtful),
            pictures=pictures,
            tables=tables,
            problems=tuple(self.problems),
            notes=tuple(notes),
        )


def split_name(value: str) -> str | None:
    """train, validation or test for a name people use for it, None for any other."""
    name = value.strip().casefold()
    name = SPLIT_ALIASES.get(name, name)
    return name if name in SPLITS else None


def class_position(value: str, class_names: Sequence[str], first: int) -> int | None:
    """Position of a class given by name (its case does not matter) or by number from ``first``."""
    name = value.strip()
    if name in class_names:
        return class_names.index(name)
    folded = [candidate.casefold() for candidate in class_names]
    if folded.count(name.casefold()) == 1:
        return folded.index(name.casefold())
    if not (name.isascii() and name.isdigit()):
        return None
    position = int(name) - first
    return position if 0 <= position < len(class_names) else None
