"""What is wrong with the data a user gave: collected, so that one run lists everything."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fsr_fer.common.errors import UserError
from fsr_fer.common.files import write_csv

SHOWN = 3


class Problem(NamedTuple):
    """One offender; ``file`` carries the line where there is one (``labels.csv:12``)."""

    file: str
    field: str
    value: str
    problem: str
    allowed: str

    def __str__(self) -> str:
        value = f" {self.value!r}" if self.value else ""
        return f"{self.file}: {self.field}{value} {self.problem}"


def raise_problems(problems: Sequence[Problem], listing: Path, *, outcome: str) -> None:
    """Do nothing when there is no problem; else write all of them to ``listing`` (CSV) and stop.

    Raises:
        UserError: one line with ``outcome``, the number of problems and the first three.
    """
    if not problems:
        return
    write_csv(listing, Problem._fields, problems)
    first = problems[0]
    shown = "; ".join(str(problem) for problem in problems[:SHOWN])
    more = f"; and {len(problems) - SHOWN:,} more" if len(problems) > SHOWN else ""
    count = f"{len(problems):,} problem" + ("s" if len(problems) > 1 else "")
    shown = shown.replace(str(first), f"{first} (allowed: {first.allowed})", 1)
    raise UserError(f"{outcome}: {count}, listed in {listing}: {shown}{more}")
