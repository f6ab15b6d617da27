"""The labelled faces of a source, their pictures, and all problems found."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fsr_fer.common.errors import UserError
from fsr_fer.common.files import write_csv
from fsr_fer.data.archive import Files, UnreadableFileError
from fsr_fer.data.images import PictureError, decode_picture
from fsr_fer.data.manifest import SPLITS
from fsr_fer.data.settings import SourceName, VoteRule
from fsr_fer.data.tables import cells
from fsr_fer.data.votes import winner

SPLIT_ALIASES = {
    **dict.fromkeys(("val", "valid", "dev"), "validation"),
    "training": "train",
    "testing": "test",
}
CLASS_SPELLINGS = {
    "angry": "anger",
    "disgusted": "disgust",
    "fearful": "fear",
    "happy": "happiness",
    "sad": "sadness",
    "surprised": "surprise",
}
"""One class in two words: FER2013's folders have adjectives, RAF-DB and FER+ have nouns."""
UNDECIDED = {None: "no majority", "unknown": "unknown", "NF": "not a face"}
NOBODY = ("", "nan", "none", "null", "n/a", "na")
"""Values in tables that mean an unknown person."""


@dataclass(frozen=True)
class Face:
    """One labelled face of a source; ``label`` is a position in the class names.

    ``votes`` are those of FER+ (data/votes.py), empty where nobody has voted.
    """

    id: str
    file: str
    split: str
    label: int
    subject: str = ""
    votes: tuple[int, ...] = ()


class Problem(NamedTuple):
    """Something wrong; ``file`` carries the line where there is one (``labels.csv:12``)."""

    file: str
    field: str
    value: str
    problem: str
    allowed: str

    def __str__(self) -> str:
        value = f" {self.value!r}" if self.value else ""
        file = "".join(one if one.isprintable() else repr(one)[1:-1] for one in self.file)
        return f"{file}: {self.field}{value} {self.problem}"


@dataclass
class Source:
    """The labelled faces of a source in its own order, and all problems with them.

    ``table`` is the name of the list in messages, ``tables`` are the label files by the names under
    which an import stores them. ``numbered_from``: labels are class numbers, counted from there.
    ``undecided`` faces have votes, but no label by ``vote_rule`` (theirs is 0); ``left_out`` counts
    what is not used, by reason. ``doubtful`` pictures, of faulty rows, are decoded too.
    """

    name: SourceName
    class_names: tuple[str, ...]
    table: str
    pictures: Files
    numbered_from: int | None = None
    vote_rule: VoteRule = "ferplus"
    tables: dict[str, bytes] = field(default_factory=dict)
    faces: list[Face] = field(default_factory=list)
    undecided: list[Face] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    doubtful: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _seen: dict[str, str] = field(default_factory=dict)
    _numbered: dict[str, bool] = field(default_factory=dict)

    def problem(self, file: str, field: str, value: str, problem: str, allowed: str) -> None:
        """Note a problem; the arguments are the fields of ``Problem``."""
        self.problems.append(Problem(file, field, value, problem, allowed))

    def split(self, where: str, value: str) -> str | None:
        """Train, validation or test, by any common name; None, and a problem noted, if neither."""
        split = split_named(value)
        if split is None:
            problem = "is not a split" if value else "is empty"
            self.problem(where, "split", value, problem, ", ".join(SPLITS))
        return split

    def label(self, where: str, value: str) -> int | None:
        """Position of a class given by name or number; None, and a problem noted, if unknown."""
        first = self.numbered_from
        label = class_position(value, self.class_names, first)
        number = value.strip().isdecimal() and value.strip() not in self.class_names
        if label is not None and number != self._numbered.setdefault("number", number):
            other = "a name where others are numbers", "a number where others are names"
            self.problem(where, "label", value, f"is {other[number]}", "one of both throughout")
        if label is None:
            allowed = ", ".join(self.class_names)
            if first is not None:
                last = first + len(self.class_names) - 1
                allowed = f"{first} to {last}, standing for {allowed}"
            elif value.strip().isdecimal():
                allowed += "; numbers with --numbered-from"
            else:
                allowed += "; others once they are in dataset.class_names"
            self.problem(where, "label", value, "is not a label" if value else "is empty", allowed)
        return label

    def voted(self, where: str, cells: Sequence[str]) -> tuple[tuple[int, ...], int | None]:
        """The ten counts of votes, and the position of the class they decide for.

        () if they cannot be read, which is a problem; None without such a class, which is counted.
        """
        counts = [cell.isascii() and cell.isdigit() and len(cell) < 10 for cell in cells]
        if not all(counts):
            value, allowed = ",".join(cells), "ten whole numbers from 0"
            self.problem(where, "votes", value, "cannot be read", allowed)
            return (), None
        votes = tuple(map(int, cells))
        name = winner(votes, self.vote_rule)
        label = None if name is None else class_position(name, self.class_names, None)
        if label is None:
            self.left_out[UNDECIDED.get(name, f"{name}, which is no class here")] += 1
        return votes, label

    def add(
        self,
        where: str,
        identity: str,
        file: str | None,
        split: str | None,
        label: int | None,
        subject: str = "",
        votes: tuple[int, ...] = (),
    ) -> None:
        """Add a face; what is None had a problem that is noted already."""
        # A face is identified by its file: a table may name one file in several ways.
        earlier = self._seen.setdefault(file or f"no file {identity}", where)
        if earlier != where:
            self.problem(where, "id", identity, f"is there twice (first: {earlier})", "once")
            return
        if file is None:
            return
        if any(c == "\\" or unicodedata.category(c) == "Cc" for c in file):
            odd = "has a backslash or a control character in its name"
            self.problem(where, "image", file, odd, "another name")
        elif split is None or (label is None and not votes):
            self.doubtful.append(file)
        else:
            subject = unicodedata.normalize("NFC", subject)
            subject = "" if subject.casefold() in NOBODY else subject
            faces, position = (self.undecided, 0) if label is None else (self.faces, label)
            faces.append(Face(identity, file, split, position, subject, votes))

    def read(self, file: str) -> tuple[bytes, np.ndarray] | None:
        """A picture's bytes and RGB pixels, uint8 [H, W, 3]; None, and a problem, if unreadable."""
        try:
            content = self.pictures.read(file)
            return content, decode_picture(content)
        except (UnreadableFileError, PictureError) as error:
            self.problem(file, "file", "", str(error), "a picture that opens in a viewer")
            return None

    def raise_problems(self, listing: Path, outcome: str) -> None:
        """If there are problems, list all in a CSV and raise UserError with three."""
        if not self.problems:
            return
        listed = f"listed in {listing}"
        try:
            write_csv(listing, Problem._fields, self.problems)
        except (OSError, UserError) as error:
            listed = f"not listed ({listing}: {getattr(error, 'strerror', None) or error})"
        first, *others = self.problems[:3]
        shown = "; ".join([f"{first} (allowed: {first.allowed})", *map(str, others)])
        count = len(self.problems)
        more = f"; and {count - 3:,} more" if count > 3 else ""
        problems = f"{count:,} problem" + ("s" if count > 1 else "")
        raise UserError(f"{outcome}: {problems}, {listed}: {shown}{more}")


def rows_of(
    source: Source, table: str, columns: Sequence[str], numbered: Iterable[tuple[int, str]]
) -> Iterator[tuple[int, dict[str, str] | None]]:
    """The rows of a table by their columns, each with the number of its line.

    None, and a problem is noted, is one that cannot be read. Cells that a row lacks are empty.
    """
    for number, line in numbered:
        problem = ""
        try:
            found = cells(line, table)
            if len(found) > len(columns):
                problem = f"has {len(found)} fields, the first line {len(columns)}"
        except UserError:
            problem = "has a cell that is too long"
            if '"' in line:
                problem = "has a quote that does not close"
        if problem:
            allowed = "as many cells as in the first line"
            source.problem(f"{table}:{number}", "line", line[:40].strip(), problem, allowed)
            yield number, None
        elif any(found):
            yield number, dict(zip_longest(columns, found, fillvalue=""))


def split_named(value: str) -> str | None:
    """The split of that name in any common spelling; None if it is none."""
    name = re.sub(r"[ _-]?set$", "", value.strip().casefold())
    name = SPLIT_ALIASES.get(name, name)
    return name if name in SPLITS else None


def class_position(value: str, class_names: Sequence[str], first: int | None) -> int | None:
    """Position of a class given by name or by number from ``first``.

    A name's case does not matter, nor whether it is *angry* or *anger* (CLASS_SPELLINGS). Where
    ``first`` is None numbers are names: which class 0 is differs between data sets.
    """
    exact = [unicodedata.normalize("NFC", name.strip()) for name in (value, *class_names)]
    folded = [name.casefold() for name in exact]
    spelt = [CLASS_SPELLINGS.get(name, name) for name in folded]
    for wanted, *known in (exact, folded, spelt):
        if known.count(wanted) == 1:
            return known.index(wanted)
    name = exact[0]
    if first is None or not (name.isascii() and name.isdigit() and len(name) < 10):
        return None
    position = int(name) - first
    return position if 0 <= position < len(class_names) else None
