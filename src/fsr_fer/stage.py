"""What every stage script does around its work: a user's mistake in one line, no traceback."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

from fsr_fer.errors import UserError


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage's ``main`` and exit: 1 and one line for a user's mistake, 130 for Ctrl-C."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted; `dvc repro` goes on from here", file=sys.stderr)
        sys.exit(130)


def _terminate(signum: int, frame: object) -> None:
    raise KeyboardInterrupt
