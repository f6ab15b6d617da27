"""Reviewing a change: what it does to the accuracies, why, and whether it is more than noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fsr_fer.errors import UserError
from fsr_fer.review.comparison import Comparison, compare
from fsr_fer.review.results import Results
from fsr_fer.review.revisions import parse_range

__all__ = ["Comparison", "review"]


def review(root: Path, revisions: str, profile: str | None) -> Comparison:
    """Compare ``REV`` with the workspace, or ``A..B``, on a profile (the later one's, if None).

    Raises:
        UserError: a revision is unknown, or neither has results of the profile.
    """
    before, after = parse_range(root, revisions)
    params: dict[str, Any] = after.read_yaml("params.yaml")
    name: str = profile or str(params.get("profile"))
    profiles = params.get("profiles")
    if not isinstance(profiles, dict) or name not in profiles:
        known = ", ".join(profiles) if isinstance(profiles, dict) else "none"
        raise UserError(f"params.yaml of {after.title} has no profile {name!r}; it has {known}")
    comparison = compare(
        Results(revision=before, profile=name), Results(revision=after, profile=name)
    )
    if not comparison.table:
        raise UserError(
            f"neither {before.title} nor {after.title} has results of profile {name}; "
            "`make repro` makes them"
        )
    return comparison
