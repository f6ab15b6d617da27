"""What every stage script does around its work: a user's mistake in one line, no traceback.

Stage scripts import this first. From then on, and until the work begins, Ctrl-C ends the process at
once: libraries take seconds to load, and where they happened to be is of no use to anybody.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from fsr_fer.errors import UserError

if TYPE_CHECKING:
    from fsr_fer.params import Stage

_STARTED = time.time()  # here, so that loading the libraries counts
signal.signal(signal.SIGINT, signal.SIG_DFL)
# Threads of NumPy's linear algebra wait by spinning, on cores that torch's threads need. Read when
# NumPy loads, which is later.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

_OWN_CODE = Path("src") / "fsr_fer"


def _run_own_code() -> None:
    """Start over with the code that lies here, if another copy of it was imported.

    DVC runs a queue's experiments in folders of their own, Git has worktrees; an installed package
    still is the main folder's. dvc.lock would name code that did not run.
    """
    if not _OWN_CODE.is_dir() or _OWN_CODE.samefile(Path(__file__).parent):
        return
    path = os.pathsep.join(filter(None, [str(Path("src").resolve()), os.environ.get("PYTHONPATH")]))
    if os.environ.get("PYTHONPATH") != path and sys.argv[0].startswith(("stages", "studies")):
        os.environ["PYTHONPATH"] = path
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


_run_own_code()


def run_stage(main: Callable[[], Stage]) -> None:
    """Run a stage's ``main`` and exit: 1 and one line for a user's mistake, 130 for Ctrl-C.

    What ``main`` returns says which stage it was; a record of the run is then left beside. A main
    that calls ``sys.exit`` with a number ends with that, unrecorded.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        _record(main())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        _end(1)
    except OSError as error:
        # Files of ours say so themselves; this is for those that libraries write.
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f": {error.filename} could not be written" if error.filename else ""
        print(
            f"error: the disk is full{where}; free some space on it, then `dvc repro`",
            file=sys.stderr,
        )
        _end(1)
    except KeyboardInterrupt:
        print("interrupted; `dvc repro` goes on from here", file=sys.stderr)
        _end(130)
    except SystemExit as leaving:  # one of several processes, whose part is done
        _end(leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None))
    _end(0)


def _end(code: int) -> NoReturn:
    """Exit at once, without the half second in which the interpreter takes torch down.

    It ignores Ctrl-C in that time, and `dvc repro` would go on to the next stage; and threads by
    which processes talk to one another abort a process that ends around them.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _record(stage: Stage) -> None:
    try:
        from fsr_fer.provenance.record import write_record  # nothing before the work begins

        write_record(stage, _STARTED)
    except Exception as error:  # whatever it is: the work is done, and nothing reads the record
        print(f"note: this run was not recorded ({error!r})", file=sys.stderr)


def _terminate(signum: int, frame: object) -> None:
    raise KeyboardInterrupt
