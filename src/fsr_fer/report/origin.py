"""Where the numbers come from, as far as the report can know while it runs.

What lies further up stands in dvc.yaml and dvc.lock. DVC lets no stage depend on the first and
writes the second after each stage, so a page made from them would go stale without being run again.
It names the hashes of what it read, which dvc.lock has too, and ``fsr-fer trace`` goes on there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The stage's command, the params it declares (dotted keys), and MD5 by path of its inputs.

    Our own code is left out of ``hashes``; the files of the predictions' folder are named one by
    one beside it.
    """

    command: str
    params: tuple[str, ...]
    hashes: Mapping[str, str]
