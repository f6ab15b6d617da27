"""What every stage script shares: the stage, errors in one line, and the record of the run.

``python -m stages.NAME`` runs the code that lies in the current folder (stages/__init__.py).
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from fsr_fer.common.errors import UserError, refusal
from fsr_fer.pipeline.code_fingerprint import require_own_code
from fsr_fer.pipeline.provenance.record import write_record
from fsr_fer.pipeline.stage import Stage, load_stage

_STARTED = time.time()  # here, so that loading the libraries counts


def run_stage(main: Callable[[Stage], None]) -> NoReturn:
    """Call ``main`` with the stage that the command names and record it; see ``run_script``."""

    def run() -> None:
        script = Path(sys.argv[0]).stem
        stage = load_stage("@".join([script, *sys.argv[1:]]))
        main(stage)
        stage.require_unchanged()
        require_own_code(script)
        if os.environ.get("RANK", "0") == "0":  # of torchrun's processes the first
            _record(stage)

    run_script(run)


def run_script(main: Callable[[], None]) -> NoReturn:
    """Call ``main`` and exit: with code 1 and one line for a user's mistake, 130 for Ctrl-C."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(*(sys.modules["__main__"].__doc__ or "").splitlines()[:1])
        sys.exit()
    if "RANK" not in os.environ:  # torchrun's wait for one another in C++, where no handler runs
        signal.signal(signal.SIGTERM, _terminate)
    try:
        main()
        require_own_code(Path(sys.argv[0]).stem)
    except UserError as error:
        _exit(1, f"error: {error}")
    except OSError as error:
        if not (line := refusal(error)):
            raise
        _exit(1, f"error: {line}")
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not _is_out_of_memory(error):
            raise
        _exit(
            1,
            "error: out of memory; end other programs, or run one stage at a time (`fsr-fer repro "
            "--jobs 1`), which changes no result, as a smaller batch_size does",
        )
    except KeyboardInterrupt:
        _exit(130, "interrupted; `dvc repro` goes on from here")
    _exit(0)


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Torch's own way to say so, of a GPU or of the machine."""
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)


def _exit(code: int, last_words: str = "") -> NoReturn:
    """Say why and exit at once, without the half second in which the interpreter takes torch down.

    It ignores Ctrl-C in that time, and `dvc repro` would go on to the next stage; and threads by
    which processes talk to one another abort a process that ends around them.
    """
    if last_words:
        print(last_words, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _record(stage: Stage) -> None:
    try:
        write_record(stage, _STARTED)
    except Exception as error:  # whatever it is: the work is done, and nothing reads the record
        print(f"note: this run was not recorded ({error!r})", file=sys.stderr)


def _terminate(signum: int, frame: object) -> None:
    raise KeyboardInterrupt
