"""Reviewing a change: what it does to accuracies, why, and whether it is noise."""

from pathlib import Path

from fsr_fer.common.errors import UserError
from fsr_fer.pipeline.params import explaining
from fsr_fer.pipeline.paths import PARAMS_FILE
from fsr_fer.pipeline.provenance.revision import Revision, find_revision
from fsr_fer.report.diff.comparison import Comparison, compare
from fsr_fer.report.diff.gate import breaches
from fsr_fer.report.diff.results import Results


def review(
    root: Path, revisions: str, profile: str | None, *, gate: bool
) -> tuple[Comparison, list[str] | None]:
    """Compare ``REV`` with the workspace, or ``A..B`` (an empty side is HEAD).

    With ``gate`` the reasons why the change should not pass come too. UserError if a revision is
    unknown, or neither has results of the profile.
    """
    before, dots, after = revisions.partition("..")
    first = find_revision(root, before or "HEAD")
    last = find_revision(root, after or "HEAD") if dots else Revision(root)
    params = last.values(PARAMS_FILE.name)
    sides = {last: params, first: first.values(PARAMS_FILE.name)}
    with explaining({f"{PARAMS_FILE} of {side.title}": own for side, own in sides.items() if own}):
        profiles = params.get("profiles", {})
        name = profile or str(params.get("profile"))
        if name not in profiles:
            known = ", ".join(profiles) or "none"
            raise UserError(f"params.yaml of {last.title} has no profile {name!r}; it has {known}")
        results = Results(revision=last, profile=name)
        comparison = compare(Results(revision=first, profile=name), results)
        if not comparison.table:
            raise UserError(
                f"neither {first.title} nor {last.title} has results of profile {name}; "
                "`make repro` makes them"
            )
        return comparison, breaches(comparison, results) if gate else None
