"""The votes of FER+, ten per face, and the rules that turn them into one label."""

from collections.abc import Sequence

from fsr_fer.data.settings import VoteRule

VOTES = (
    "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt",
    "unknown", "NF",
)  # fmt: skip
"""The columns of FER+'s tables in their order; NF is "not a face"."""
EXPRESSIONS = VOTES[:8]


def winner(votes: Sequence[int], rule: VoteRule) -> str | None:
    """The name in ``VOTES`` for which the counts ``votes`` [10] decide; None without a majority.

    ``ferplus``: single votes count nothing, then more than half of what is left of all ten
    columns, as FER+'s own code has it. ``strict``: more than half of all votes. ``plurality``: the
    expression with the most votes, the first in a tie, unless nobody saw one.
    """
    if rule == "plurality" and any(votes[: len(EXPRESSIONS)]):
        votes = votes[: len(EXPRESSIONS)]
        return EXPRESSIONS[votes.index(max(votes))]
    if rule == "ferplus":
        votes = [count if count > 1 else 0 for count in votes]
    most = max(votes)
    return VOTES[votes.index(most)] if 2 * most > sum(votes) else None
